"""Compare speed, memory and quality with the alternatives: `python -m benchmarks NAME [--json]`.

Each module answers one question. It interleaves this project and the standard methods within the same minutes, and
measures the machine's own limits (matrix products, memory reads), so that a result can be read as a share of what is
possible. Compare ratios between runs: absolute times depend on the machine and its load.
"""
