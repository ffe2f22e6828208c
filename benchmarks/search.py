"""Measure how fast all captions are ranked at the size of the official file: 202,654 rows of 4,096 features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faiss
import numkong
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from usearch.index import MetricKind, search

from benchmarks.material import rows_that_share_a_mean
from benchmarks.measure import interleave
from core.encoding.threads import in_slices
from core.ranking.search import MatrixSearcher


def run(*, quick: bool = False) -> dict[str, Any]:
    """Measure the first hundred hits and the whole order, and check that the first hundred equal those of float64."""
    n, dim = (20_000, 4096) if quick else (202_654, 4096)
    rounds = 3 if quick else 9
    matrix = rows_that_share_a_mean(n, dim)
    searcher = MatrixSearcher(matrix)
    searcher.warm_up()
    query = matrix.rows[n // 2].astype(np.float32)  # (D,)
    query += np.random.default_rng(5).normal(size=dim).astype(np.float32) * 0.003
    rows_f32 = np.empty((n, dim), np.float32)  # (N, D)
    for start in range(0, n, 4096):
        rows_f32[start : start + 4096] = matrix.rows[start : start + 4096]

    def notebook() -> NDArray[np.int64]:
        return np.argsort(cdist(query[None], rows_f32, "cosine")[0], kind="stable")

    def numpy_float32() -> NDArray[np.int64]:
        return np.argsort(-(rows_f32 @ query), kind="stable")

    packed = numkong.dots_pack(query.astype(np.float16)[None], "float16")

    def numkong_float16() -> NDArray[np.int64]:
        parts = in_slices(lambda start, end: np.asarray(numkong.dots_packed(matrix.rows[start:end], packed)), n)
        return np.argpartition(-np.concatenate(parts)[:, 0], 100)[:100]

    scale = 127 / np.abs(rows_f32).max()
    query_f16, query_i8 = query.astype(np.float16), np.clip(query * scale, -127, 127).astype(np.int8)
    rows_i8 = np.empty((n, dim), np.int8)  # (N, D)
    for start in range(0, n, 4096):
        rows_i8[start : start + 4096] = rows_f32[start : start + 4096] * scale
    eight_bytes = torch.from_numpy(matrix.rows.view(np.int64))  # (N, D / 4)
    tasks: dict[str, Callable[[], object]] = {
        "reading the float16 rows once": eight_bytes.sum,
        "ours, first hundred": lambda: searcher.nearest(query),
        "ours, whole order": lambda: searcher.nearest(query).order(),
        "numpy float32, whole order": numpy_float32,
        "faiss flat float32, first hundred": lambda: faiss.knn(query[None], rows_f32, 100, faiss.METRIC_INNER_PRODUCT),
        "numkong f16 in our threads, first hundred": numkong_float16,
        "usearch exact f16, first hundred": lambda: search(matrix.rows, query_f16, 100, MetricKind.Cos, exact=True),
        "usearch exact i8, first hundred": lambda: search(rows_i8, query_i8, 100, MetricKind.Cos, exact=True),
    }
    timings = interleave(tasks, rounds=rounds)
    timings |= interleave({"cdist + argsort": notebook}, rounds=1 if quick else 3, warm_up=False)
    order = notebook()
    found = searcher.nearest(query)
    reading = timings["reading the float16 rows once"].median
    notebook_seconds = timings["cdist + argsort"].median
    return {
        "question": "milliseconds to rank all captions for one query",
        "rows": n,
        "dim": dim,
        "rounds": rounds,
        "seconds": timings,
        "speedup_over_cdist": notebook_seconds / timings["ours, first hundred"].median,
        "speedup_of_whole_order": notebook_seconds / timings["ours, whole order"].median,
        "first_hundred_equals_float64": found.leading.rows.tolist() == order[:100].tolist(),
        "times_the_reading": {
            name: timings[f"ours, {name}"].median / reading for name in ("first hundred", "whole order")
        },
    }
