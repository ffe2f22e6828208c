"""Measure how the cost of encoding (per caption) and of search grows from 1,000 to 200,000 captions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks.encode import encode, nodes_per_token
from benchmarks.material import Corpus, random_weights, rows_that_share_a_mean
from benchmarks.measure import interleave
from core.encoding.encoder import SentenceEncoder
from core.ranking.search import MatrixSearcher

_PLOT = Path(__file__).parent / "scale.png"


def run(*, quick: bool = False) -> dict[str, Any]:
    """Measure, and draw the plot unless `quick`."""
    sizes = (1_000, 3_000) if quick else (1_000, 3_000, 10_000, 30_000, 69_009)
    searched = (1_000, 10_000) if quick else (1_000, 10_000, 50_000, 100_000, 200_000)
    whole = Corpus.read(max(sizes))
    sizes = tuple(size for size in sizes if size <= len(whole.texts))

    encoder = SentenceEncoder(random_weights(hidden=512), dtype="float32")
    encoding, nodes = [], []
    for size in sizes:
        corpus = Corpus(whole.name, whole.texts[:size])
        task = {"encode": lambda corpus=corpus: encode(corpus.sentences, corpus.vectors, encoder)}
        encoding.append(1e6 * interleave(task, rounds=1, warm_up=size <= 3_000)["encode"].median / size)
        nodes.append(nodes_per_token(corpus.sentences))
    searching = []
    for size in searched:
        matrix = rows_that_share_a_mean(size, 1024)
        searcher, query = MatrixSearcher(matrix), matrix.rows[0].astype(np.float32)
        task = {"search": lambda searcher=searcher, query=query: searcher.nearest(query)}
        searching.append(1000 * interleave(task, rounds=5)["search"].median)
    if not quick:
        _plot(sizes, encoding, nodes, searched, searching)
    return {
        "question": "cost of encoding and search by number of captions",
        "encoded": list(sizes),
        "encoding_us_a_caption": encoding,
        "nodes_per_token": nodes,
        "searched": list(searched),
        "search_ms": searching,
        "plot": _PLOT.name,
    }


def _plot(
    sizes: tuple[int, ...], encoding: list[float], nodes: list[float], searched: tuple[int, ...], searching: list[float]
) -> None:
    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
    for axis, x, y, label in (
        (axes[0], sizes, encoding, "encoding, µs per caption (300 -> 2x512)"),
        (axes[1], sizes, nodes, "LSTM steps per token"),
        (axes[2], searched, searching, "search, ms (D = 1,024)"),
    ):
        axis.plot(x, y, marker="o")
        axis.set(xscale="log", xlabel="captions", title=label, ylim=(0, None))
        axis.grid(alpha=0.3)
    figure.savefig(_PLOT, dpi=110)
