"""Graph: the nearest captions of every caption, and how far two encoders agree on them."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from core.encoding.halving import PartStep
from core.encoding.matrix import EmbeddingMatrix
from core.ranking.rankers import pairs_of
from core.ranking.ranking import FIRST, LEADING
from core.ranking.search import Nearest, nearest_together
from core.store.progress import Progress, Steps, follow

_QUERIES_PER_STEP = 2048
_ASKED = 1000  # captions whose neighbours are compared
_SPARE = 16  # candidates beyond k, since the search takes the stored float16 rows for unit rows


class Graph(NamedTuple):
    """The nearest captions of each of N captions, nearest first."""

    rows: NDArray[np.int32]
    """Rows, (N, K); -1 behind the last one, and throughout for captions without a known word."""
    distances: NDArray[np.float32]
    """Cosine distances from float32 products, 0..2, (N, K); nan where there is no row."""


def nearest_of_all(matrix: EmbeddingMatrix, *, k: int, device: str) -> Steps[Graph]:
    """Find the k nearest other captions of every caption; it takes time that grows with the square of their number.

    Raises:
        AssetError: Not even one query fits on the device.
    """
    n, wordless = len(matrix.rows), matrix.sentences.wordless()
    k = max(0, min(k, n - 1 - len(wordless)))
    graph = Graph(np.full((n, k), -1, np.int32), np.full((n, k), np.nan, np.float32))
    asked = np.setdiff1d(np.arange(n), wordless)  # (M,)
    for start in range(0, len(asked) if k else 0, _QUERIES_PER_STEP):
        part = asked[start : start + _QUERIES_PER_STEP]  # (q,)
        found: Nearest = yield from follow(
            nearest_together(
                matrix.rows[part].astype(np.float32),
                matrix.rows,
                k=k + _SPARE,
                leave_out=np.column_stack([np.arange(len(part)), part]),
                excluded=wordless,
                device=torch.device(device),
            ),
            partial(_progress, start, len(asked)),
        )
        norms = matrix.row_norms  # (N,)
        distances = 1 - found.cosines / (norms[part][:, None] * norms[found.rows])  # (q, k + spare), inf for none
        order = np.argsort(distances, axis=1, kind="stable")[:, :k]  # (q, k)
        graph.rows[part] = np.take_along_axis(found.rows, order, axis=1)
        graph.distances[part] = np.clip(np.take_along_axis(distances, order, axis=1), 0, 2)
    return graph


class Agreed(NamedTuple):
    """How many of the nearest captions of some captions two encoders agree on; those of the least agreement first."""

    rows: NDArray[np.int64]
    """The captions, (n,)."""
    first: NDArray[np.int64]
    """Of the first ten, (n,)."""
    leading: NDArray[np.int64]
    """Of the first hundred, (n,)."""


def agree_on_nearest(one: EmbeddingMatrix, other: EmbeddingMatrix, *, device: str) -> Steps[Agreed]:
    """Compare the nearest captions by two encoders for a thousand captions of different texts, always the same.

    Raises:
        AssetError: Not even one query fits on the device.
    """
    known = np.setdiff1d(one.sentences.distinct(), other.sentences.wordless())
    asked = np.random.default_rng(0).permutation(known)[:_ASKED]  # (n,)
    pairs = pairs_of(one.sentences.copies(asked.tolist()))  # (P, 2)
    found = list[NDArray[np.int64]]()
    for number, matrix in enumerate((one, other)):
        nearest: Nearest = yield from follow(
            nearest_together(
                matrix.rows[asked].astype(np.float32),
                matrix.rows,
                k=LEADING,
                leave_out=pairs,
                excluded=matrix.sentences.wordless(),
                device=torch.device(device),
            ),
            partial(_progress, number * len(asked), 2 * len(asked)),
        )
        found.append(np.where(np.isfinite(nearest.cosines), nearest.rows, -1 - number))
    first, leading = (_count_shared(*(rows[:, :k] for rows in found)) for k in (FIRST, LEADING))  # (n,) each
    order = np.lexsort([leading, first])  # (n,)
    return Agreed(asked[order], first[order], leading[order])


def _count_shared(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the rows that two lists, each (n, k), share, (n,)."""
    return np.array([len(np.intersect1d(*lists)) for lists in zip(one, other, strict=True)], np.int64)


def _progress(start: int, total: int, step: PartStep) -> Progress:
    return Progress("nearest captions", start + step.done, total, "captions")
