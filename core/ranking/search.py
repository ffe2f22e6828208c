"""Search: exact cosine neighbours of one query, and float32 neighbours of many queries at once."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from core.corpus.sentences import Sentences
from core.encoding.codes import RowCodes
from core.encoding.halving import PartStep, in_parts_that_fit, is_out_of_memory
from core.encoding.threads import in_slices
from core.ranking.ranking import LEADING, Found, Ranking

_FLOAT32_UNIT = 2.0**-24  # unit roundoff
_BLOCK_BYTES = 2 << 20  # float32 rows multiplied at once; they fit in the processor's cache
_SPARE_CUDA_BYTES = 2 << 30  # GPU memory that must stay free
_ROWS_PER_STEP = 768  # few, so that a user's question can run soon


class Rows(Protocol):
    """A matrix that can be searched."""

    rows: NDArray[np.float16]
    """Unit rows, (N, D)."""
    row_norms: NDArray[np.float32]
    """Norms of the rows, near 1, (N,)."""
    sentences: Sentences
    """Token ids of the captions; captions without known words are never found."""
    codes: RowCodes | None
    """The rows in 8 bits per feature; None where they are not used."""


class MatrixSearcher:
    """Cosine search over a matrix, on the GPU when `device` is one and the matrix fits there, else on the CPU.

    Captions without any known word all have the same embedding; they are never ranked.
    """

    def __init__(self, matrix: Rows, *, device: str = "cpu") -> None:
        self._matrix = matrix
        self._ranked = np.ones(len(matrix.rows), bool)  # (N,)
        self._ranked[matrix.sentences.wordless()] = False
        self._rows = torch.from_numpy(matrix.rows)  # (N, D)
        if device.startswith("cuda") and self._rows.nbytes + _SPARE_CUDA_BYTES < torch.cuda.mem_get_info(device)[0]:
            # If another process takes the memory before the copy, the rows stay on the CPU.
            with suppress(torch.OutOfMemoryError):
                self._rows = self._rows.to(device)
        self._codes = self._usable_codes()

    @property
    def device(self) -> str:
        """Device that holds the matrix; it becomes `cpu` when the GPU runs out of memory."""
        return str(self._rows.device)

    def nearest(
        self,
        query: NDArray[np.floating],
        *,
        k: int = LEADING,
        own_row: int | None = None,
        allowed: NDArray[np.bool_] | None = None,
    ) -> Found:
        """Rank the k nearest rows exactly.

        The search narrows the candidates in three steps; each keeps every row that its proven error bound cannot
        exclude from the first k. The 8-bit codes, half the size of the matrix, leave some thousands of rows
        (`RowCodes`). For these, or for all rows where there are no codes, cosines are accumulated in float32, whose
        error for D products of unit vectors is at most D u / (1 - D u) (Higham 2002, Accuracy and Stability of
        Numerical Algorithms, section 3.1). The rows that remain are ranked in float64 by scipy's `cdist`.
        `Searcher.nearest` describes the arguments.
        """
        ranked = self._ranked if allowed is None else self._ranked & allowed  # (N,)
        wide = query.astype(np.float64)  # (D,)
        unit = wide / np.linalg.norm(wide)  # (D,)
        n = len(self._matrix.rows)
        k = min(k, int(ranked.sum()))
        if k <= 0:
            nothing = np.full(n, -np.inf, np.float32)  # (N,)
            return Found.by_distance(Ranking.empty(), lambda: nothing)
        if self._codes is None:
            candidates, cosines = np.arange(n), self._similarities(unit, ranked)  # (N,), (N,)
        else:
            coarse, errors = self._codes.scan(unit)  # (N,), (N,)
            coarse[~ranked] = -np.inf
            seeds = np.argpartition(coarse, -k)[-k:]  # (k,)
            # at least k rows have a true cosine of `floor` or more
            floor = self._similarities(unit, ranked, seeds).min() - _error_bound(len(unit))
            candidates = np.flatnonzero(coarse + errors >= floor)  # (C,), ascending
            cosines = self._similarities(unit, ranked, candidates)  # (C,)
        kth = np.partition(cosines, -k)[-k]
        candidates = candidates[cosines >= kth - 2 * _error_bound(len(unit))]  # (C,), ascending
        if own_row is not None and own_row not in candidates:
            candidates = np.union1d(candidates, [own_row])  # (C,), ascending
        distances = cosine_distances(wide, self._matrix.rows, candidates)  # (C,)
        if own_row is not None:
            distances[candidates == own_row] = -1  # ranks first; becomes 0 below
        best = np.argsort(distances, kind="stable")[:k]  # (k,)
        leading = Ranking(candidates[best].astype(np.int32), np.maximum(distances[best], 0))
        complete = cosines if self._codes is None else None  # (N,)
        return Found.by_distance(leading, lambda: self._similarities(unit, ranked) if complete is None else complete)

    def _similarities(
        self, unit: NDArray[np.float64], ranked: NDArray[np.bool_], which: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Compute the cosines of a unit query (D,) to some rows, None for all; -inf for rows that are not ranked."""
        everything = slice(None) if which is None else which
        cosines = self._products(unit, which)  # (n,)
        cosines /= self._matrix.row_norms[everything]
        cosines[~ranked[everything]] = -np.inf
        return cosines

    def _products(self, unit: NDArray[np.float64], which: NDArray[np.int64] | None) -> NDArray[np.float32]:
        """Multiply rows with a query; when the GPU runs out of memory, move the matrix to the CPU and retry."""
        try:
            return self._multiply(unit, which)
        except RuntimeError as error:
            if self.device == "cpu" or not is_out_of_memory(error):
                raise
        self._rows = torch.from_numpy(self._matrix.rows)  # outside `except`, whose traceback keeps the tensors alive
        self._codes = self._usable_codes()
        torch.cuda.empty_cache()
        return self._multiply(unit, which)

    def _usable_codes(self) -> RowCodes | None:
        return self._matrix.codes if self.device == "cpu" and RowCodes.supported() else None

    @torch.inference_mode()
    def _multiply(self, unit: NDArray[np.float64], which: NDArray[np.int64] | None) -> NDArray[np.float32]:
        vector = torch.from_numpy(unit.astype(np.float32)).to(self._rows.device)  # (D,)
        out = torch.empty(len(self._rows) if which is None else len(which), device=self._rows.device)  # (n,)
        chosen = None if which is None else torch.from_numpy(which)
        size = max(1, _BLOCK_BYTES // (4 * len(unit))) if self.device == "cpu" else 1 << 16

        def multiply(start: int, end: int) -> None:
            block = torch.empty((min(size, end - start), len(unit)), device=self._rows.device)  # (b, D)
            for at in range(start, end, size):
                part = slice(at, min(at + size, end))
                rows = self._rows[part if chosen is None else chosen[part]]  # (b, D)
                torch.mv(block[: len(rows)].copy_(rows), vector, out=out[part])  # (b,)

        if self.device == "cpu":
            in_slices(multiply, len(out))
        else:
            multiply(0, len(out))
        products: NDArray[np.float32] = out.cpu().numpy()  # (n,)
        return products


def cosine_distances(
    query: NDArray[np.float64], rows: NDArray[np.float16], which: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Compute float64 cosine distances from a query (D,) to some rows, as scipy defines them; (len(which),).

    A row of zeros, for which scipy returns nan, gets distance 1.
    """
    distances = np.empty(len(which))  # (n,)
    for at in range(0, len(which), 4096):
        part = which[at : at + 4096]
        distances[at : at + 4096] = cdist(query[None], rows[part].astype(np.float64), "cosine")[0]
    return np.where(np.isnan(distances), 1, np.maximum(distances, 0))


def _error_bound(dim: int) -> float:
    """Bound the error of a float32 cosine of D products: that of the sum, and five roundings of norms and query."""
    products = dim * _FLOAT32_UNIT
    return products / (1 - products) + 5 * _FLOAT32_UNIT


class Nearest(NamedTuple):
    """The nearest rows of many queries."""

    rows: NDArray[np.int64]
    """Rows, (Q, K), nearest first."""
    cosines: NDArray[np.float32]
    """Cosines, (Q, K)."""


def nearest_together(
    queries: NDArray[np.float32],
    rows: NDArray[np.float16],
    *,
    k: int,
    leave_out: NDArray[np.int64],
    excluded: NDArray[np.int64],
    device: torch.device,
) -> Generator[PartStep, None, Nearest]:
    """Find the nearest rows of many queries by float32 cosines, in one pass where the queries fit on the device.

    Args:
        queries: Unit rows, (Q, D).
        rows: Unit rows, (N, D).
        k: Number of neighbours; fewer where there are fewer rows.
        leave_out: Pairs of a query and a row that get the cosine -inf, (P, 2).
        excluded: Rows that get the cosine -inf for every query, (X,).
        device: Where to compute.

    Yields:
        A step for each block of rows. The caller may stop after any of them.

    Raises:
        AssetError: Not even one query fits on the device.
    """
    k = min(k, len(rows))
    found = Nearest(np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32))

    def search(part: slice) -> Iterator[float]:
        wanted = torch.from_numpy(queries[part]).to(device)  # (q, D)
        own = leave_out[(leave_out[:, 0] >= part.start) & (leave_out[:, 0] < part.stop)] - [part.start, 0]  # (p, 2)
        best = torch.empty((len(wanted), 0), device=device)  # (q, up to K)
        which = torch.empty((len(wanted), 0), dtype=torch.int64, device=device)  # (q, up to K)
        for start in range(0, len(rows), _ROWS_PER_STEP):
            block = torch.from_numpy(rows[start : start + _ROWS_PER_STEP].astype(np.float32)).to(device)  # (b, D)
            hidden = excluded[(excluded >= start) & (excluded < start + len(block))] - start  # (x,)
            with torch.inference_mode():
                cosines = wanted @ block.T  # (q, b)
                inside = own[(own[:, 1] >= start) & (own[:, 1] < start + len(block))] - [0, start]  # (pairs here, 2)
                cosines[tuple(torch.from_numpy(inside.T).to(device))] = -torch.inf
                cosines[:, torch.from_numpy(hidden).to(device)] = -torch.inf
                values, places = cosines.topk(min(k, len(block)), dim=1)  # (q, up to k) each
                best, order = torch.cat([best, values], dim=1).sort(dim=1, descending=True, stable=True)
                which = torch.cat([which, places + start], dim=1).gather(1, order)[:, :k]  # (q, up to k)
                best = best[:, :k]
            yield (start + len(block)) / len(rows)
        found.rows[part], found.cosines[part] = which.cpu().numpy(), best.cpu().numpy()

    yield from in_parts_that_fit(len(queries), search, device=device)
    return found
