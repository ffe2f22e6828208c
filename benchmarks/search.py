"""How fast the captions are ranked, at the size of the official file: 202,654 rows of 4,096 features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from usearch.index import MetricKind, search

from benchmarks.measure import interleave, read_rate
from core.codes import RowCodes
from core.matrix import Sentences
from core.search import Searcher


@dataclass
class Matrix:
    """What a searcher needs of an embedding matrix."""

    rows: NDArray[np.float16]
    row_norms: NDArray[np.float32]
    sentences: Sentences
    codes: RowCodes


def run(*, quick: bool = False) -> dict[str, Any]:
    """Measure the first hundred and the whole order, and check that they equal float64's."""
    n, dim = (20_000, 4096) if quick else (202_654, 4096)
    rounds = 3 if quick else 5
    matrix = rows_that_share_a_mean(n, dim)
    searcher = Searcher(matrix)  # type: ignore[arg-type]
    query = matrix.rows[n // 2].astype(np.float32)
    query += np.random.default_rng(5).normal(size=dim).astype(np.float32) * 0.003
    single = np.empty((n, dim), np.float32)
    for at in range(0, n, 4096):
        single[at : at + 4096] = matrix.rows[at : at + 4096]

    def notebook() -> NDArray[np.int64]:
        return np.argsort(cdist(query[None], single, "cosine")[0], kind="stable")

    def numpy_float32() -> NDArray[np.int64]:
        return np.argsort(-(single @ query), kind="stable")

    scale = 127 / np.abs(single).max()
    half, eighth = query.astype(np.float16), np.clip(query * scale, -127, 127).astype(np.int8)
    bytes_rows = np.empty((n, dim), np.int8)
    for at in range(0, n, 4096):
        bytes_rows[at : at + 4096] = single[at : at + 4096] * scale
    tasks = {
        "ours, first hundred": lambda: searcher.nearest(query),
        "ours, whole order": lambda: searcher.nearest(query).order(),
        "numpy float32, whole order": numpy_float32,
        "faiss flat float32, first hundred": lambda: faiss.knn(query[None], single, 100, faiss.METRIC_INNER_PRODUCT),
        "usearch exact f16, first hundred": lambda: search(matrix.rows, half, 100, MetricKind.Cos, exact=True),
        "usearch exact i8, first hundred": lambda: search(bytes_rows, eighth, 100, MetricKind.Cos, exact=True),
    }
    timings = interleave(tasks, rounds=rounds)
    timings |= interleave({"cdist + argsort": notebook}, rounds=1 if quick else 3, warm_up=False)
    order = notebook()
    found = searcher.nearest(query)
    reading = matrix.rows.nbytes / read_rate()
    base = timings["cdist + argsort"].median
    return {
        "question": "milliseconds to rank all captions for one query",
        "rows": n,
        "dim": dim,
        "rounds": rounds,
        "seconds": timings,
        "speedup_over_cdist": base / timings["ours, first hundred"].median,
        "speedup_of_whole_order": base / timings["ours, whole order"].median,
        "first_hundred_equals_float64": found.leading.rows.tolist() == order[:100].tolist(),
        "seconds_to_read_the_float16_matrix": reading,
        "times_the_reading": timings["ours, first hundred"].median / reading,
    }


def rows_that_share_a_mean(n: int, dim: int) -> Matrix:
    """Unit rows in float16 with cosines of 0.6 to 0.95 to their mean, one in a hundred a copy of another."""
    rng = np.random.default_rng(0)
    mean = rng.normal(size=dim).astype(np.float32)
    mean /= np.linalg.norm(mean)
    rows, norms = np.empty((n, dim), np.float16), np.empty(n, np.float32)
    for at in range(0, n, 4096):
        share = rng.uniform(0.6, 0.95, size=(min(4096, n - at), 1)).astype(np.float32)
        noise = rng.standard_normal((len(share), dim), dtype=np.float32) / np.float32(np.sqrt(dim))
        part = share * mean + np.sqrt(1 - share**2) * noise
        part /= np.linalg.norm(part, axis=1, keepdims=True)
        rows[at : at + 4096] = part
    copies = rng.choice(n, n // 100, replace=False)
    rows[copies] = rows[rng.choice(n, len(copies))]
    for at in range(0, n, 4096):
        norms[at : at + 4096] = np.linalg.norm(rows[at : at + 4096].astype(np.float64), axis=1)
    sentences = Sentences(np.zeros(3 * n, np.int32), np.arange(0, 3 * n + 1, 3, dtype=np.int64))
    return Matrix(rows, norms, sentences, RowCodes.of(rows))
