"""How fast it is, beside the alternatives: `python -m benchmarks NAME [--json]`.

Each module answers one question. It measures this project and the usual ways in the same minutes, interleaved, and the
machine's own ceiling beside them, so that a figure reads as a share of the possible. Ratios are the result; absolute
times are noise.
"""
