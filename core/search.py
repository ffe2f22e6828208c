"""Searcher: the exact cosine neighbours of a query among all captions, the first hundred at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from core.matrix import EmbeddingMatrix

LEADING = 100
"""How many hits `Searcher.nearest` ranks unless told otherwise."""
_FLOAT32_UNIT = 2.0**-24  # unit roundoff
_BLOCK_BYTES = 2 << 20  # float32 rows multiplied at once: they stay in the processor's cache
_SPARE_CUDA_BYTES = 2 << 30


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Hits, nearest first; equal distances by row number, but the query's own row leads."""

    rows: NDArray[np.int32]
    """Caption rows, (K,)."""
    distances: NDArray[np.floating]
    """Cosine distances, 0..2, ascending, (K,): float64 and exact among the leading, float32 in the whole order."""

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def empty(cls) -> Ranking:
        """No hits."""
        return cls(np.empty(0, np.int32), np.empty(0, np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What one pass over the matrix gave."""

    leading: Ranking
    """The nearest, equal to the full float64 ranking."""
    similarities: NDArray[np.float32]
    """Cosine to every row, accumulated in float32, (N,); -inf for rows that are never ranked."""
    median_distance: float
    """The distance that half of all captions are nearer than."""

    def order(self) -> Ranking:
        """Rank every row: the leading ones as they are, the rest by their float32 distance."""
        rest = np.isfinite(self.similarities)  # (N,)
        rest[self.leading.rows] = False
        rows = np.flatnonzero(rest).astype(np.int32)
        distances = 1 - self.similarities[rows]
        order = np.argsort(distances, kind="stable")
        floor = self.leading.distances[-1] if len(self.leading) else 0
        return Ranking(
            np.concatenate([self.leading.rows, rows[order]]),
            np.concatenate([self.leading.distances, np.maximum(distances[order], floor)]).astype(np.float32),
        )


class Searcher:
    """Cosine search over a matrix, on the GPU when it fits there, else on the CPU.

    Rows without any known word are all the same point; they are never ranked.

    Args:
        matrix: Unit rows, (N, D) float16.
        device: `cpu` or a CUDA device.
    """

    def __init__(self, matrix: EmbeddingMatrix, *, device: str = "cpu") -> None:
        self._matrix = matrix
        self._wordless = matrix.sentences.wordless()
        rows = torch.from_numpy(matrix.rows)  # (N, D)
        if device.startswith("cuda") and rows.nbytes + _SPARE_CUDA_BYTES < torch.cuda.mem_get_info(device)[0]:
            rows = rows.to(device)
        self._rows = rows
        self.device = str(rows.device)
        """Where the matrix is read."""

    def nearest(self, query: NDArray[np.floating], *, k: int = LEADING, own_row: int | None = None) -> Found:
        """Rank the k nearest rows exactly, and give every row's similarity.

        Every similarity is accumulated in float32, whose error for D products of unit vectors is at most
        D u / (1 - D u) (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1). Every row that this
        bound cannot exclude from the first k is ranked again in float64 by scipy's `cdist`.

        Args:
            query: (D,), of any length but 0.
            k: How many hits, fewer where the corpus is smaller.
            own_row: The row that the query is; it leads, at distance exactly 0.
        """
        wide = query.astype(np.float64)  # (D,)
        similarities = self._similarities((wide / np.linalg.norm(wide)).astype(np.float32))  # (N,)
        similarities /= self._matrix.row_norms
        similarities[self._wordless] = -np.inf
        k = min(k, len(similarities) - len(self._wordless))
        if k <= 0:
            return Found(Ranking.empty(), similarities, 1.0)
        kth = np.partition(similarities, -k)[-k]
        candidates = np.flatnonzero(similarities >= kth - 2 * _error_bound(len(wide)))  # (C,), ascending
        if own_row is not None and own_row not in candidates:
            candidates = np.union1d(candidates, [own_row])
        distances = cosine_distances(wide, self._matrix.rows, candidates)  # (C,)
        if own_row is not None:
            distances[candidates == own_row] = -1  # before every other
        best = np.argsort(distances, kind="stable")[:k]
        leading = Ranking(candidates[best].astype(np.int32), np.maximum(distances[best], 0))
        return Found(leading, similarities, 1 - float(np.median(similarities[np.isfinite(similarities)])))

    @torch.inference_mode()
    def _similarities(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        vector = torch.from_numpy(query).to(self._rows.device)  # (D,)
        out = torch.empty(len(self._rows), device=self._rows.device)  # (N,)
        size = max(1, _BLOCK_BYTES // (4 * len(query))) if self.device == "cpu" else 1 << 16
        block = torch.empty((size, len(query)), device=self._rows.device)
        for at in range(0, len(out), size):
            rows = self._rows[at : at + size]
            torch.mv(block[: len(rows)].copy_(rows), vector, out=out[at : at + size])
        return out.cpu().numpy()


def cosine_distances(
    query: NDArray[np.float64], rows: NDArray[np.float16], which: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Cosine distances in float64, as scipy defines them, from a query (D,) to some rows of a matrix; (len(which),)."""
    distances = np.empty(len(which))
    for at in range(0, len(which), 4096):
        part = which[at : at + 4096]
        distances[at : at + 4096] = cdist(query[None], rows[part].astype(np.float64), "cosine")[0]
    return np.maximum(distances, 0)


def _error_bound(dim: int) -> float:
    """Bound the error of a float32 cosine of D products: the sum's, and five roundings of norms and query."""
    products = dim * _FLOAT32_UNIT
    return products / (1 - products) + 5 * _FLOAT32_UNIT
