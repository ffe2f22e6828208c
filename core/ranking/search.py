"""Search: exact cosine neighbours of one query, and float32 neighbours of many queries at once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from core.corpus.sentences import Sentences
from core.encoding.device_errors import is_device_error
from core.encoding.halving import PartStep, in_parts_that_fit
from core.ranking.device_rows import DeviceRows, in_order_on_device
from core.ranking.ranking import LEADING, Allowed, Found, Ranking, in_order
from core.ranking.scan import COMPILED_FROM, load_compiled_scan, scan, scan_error

_ROWS_PER_STEP = 768  # few, so that a user's question can run soon

_Rest: TypeAlias = Callable[[NDArray[np.int32]], tuple[NDArray[np.int32], NDArray[np.float32]]]


class Rows(Protocol):
    """A matrix that can be searched."""

    rows: NDArray[np.float16]
    """Unit rows, (N, D)."""
    row_norms: NDArray[np.float32]
    """Norms of the rows, near 1, (N,)."""
    sentences: Sentences
    """Token ids of the captions; captions without known words are never found."""


class _Asked(NamedTuple):
    """A query, and what one scan of all rows told of it."""

    wide: NDArray[np.float64]
    """(D,)"""
    unit: NDArray[np.float64]
    """Its direction, (D,)."""
    own_row: int | None
    k: int
    """Number of leading hits that are wanted."""
    cosines: NDArray[np.float32] | torch.Tensor
    """With every row, (N,), on a GPU or not; -inf for rows that are never ranked."""


class MatrixSearcher:
    """Cosine search over a matrix, on the GPU when `device` is one and the matrix fits there, else on the CPU.

    Captions without any known word all have the same embedding; they are never ranked.
    """

    def __init__(self, matrix: Rows, *, device: str = "cpu") -> None:
        self._matrix = matrix
        self._ranked = np.ones(len(matrix.rows), bool)  # (N,)
        self._ranked[matrix.sentences.wordless()] = False
        self._on_gpu = DeviceRows.copy(matrix.rows, matrix.row_norms, device) if device.startswith("cuda") else None

    def warm_up(self) -> None:
        """Load what makes later searches faster; it takes half a second where the matrix is large, else no time."""
        if self._on_gpu is None and self._matrix.rows.size >= COMPILED_FROM:
            load_compiled_scan()

    @property
    def device(self) -> str:
        """Device that holds the matrix; it becomes `cpu` when the GPU fails or runs out of memory."""
        return "cpu" if self._on_gpu is None else str(self._on_gpu.rows.device)

    def nearest(
        self,
        query: NDArray[np.floating],
        *,
        k: int = LEADING,
        own_row: int | None = None,
        allowed: Allowed | None = None,
    ) -> Found:
        """Rank the k nearest rows exactly.

        One scan of the rows gives cosines with a proven error bound (`scan_error`). The rows that the bound does not
        exclude from the first k are ranked in float64 by scipy's `cdist`. A GPU that holds the rows does the scan
        (`DeviceRows`). `Searcher.nearest` describes the arguments.
        """
        ranked = self._ranked  # (N,)
        if own_row is not None and not ranked[own_row]:
            ranked = ranked.copy()
            ranked[own_row] = True
        wide = query.astype(np.float64)  # (D,)
        unit = wide / np.linalg.norm(wide)  # (D,)
        asked = _Asked(wide, unit, own_row, k, self._scan(unit, ranked))
        if allowed is None:
            return self._found(asked, ranked)
        narrowed = ranked & allowed.mask  # (N,)
        if own_row is not None:
            narrowed[own_row] = True
        return replace(self._found(asked, narrowed, is_part=True), among_all=lambda: self._found(asked, ranked))

    def _found(self, asked: _Asked, ranked: NDArray[np.bool_], *, is_part: bool = False) -> Found:
        """Rank rows, (N,), by what a scan told of them; they are a part of those that were scanned if `is_part`."""
        k, own_row = min(asked.k, int(ranked.sum())), asked.own_row
        if k <= 0:
            return Found.by_distance(Ranking.empty(), lambda: (np.empty(0, np.int32), np.empty(0, np.float32)))
        candidates, rest = self._candidates(asked, ranked, k, is_part=is_part)  # (C,), ascending
        if own_row is not None and own_row not in candidates:
            candidates = np.union1d(candidates, [own_row])  # (C,), ascending
        distances = cosine_distances(asked.wide, self._matrix.rows, candidates)  # (C,)
        if own_row is not None:
            distances[candidates == own_row] = -1  # ranks first; becomes 0 below
        best = np.argsort(distances, kind="stable")[:k]  # (k,)
        leading = Ranking(candidates[best].astype(np.int32), np.maximum(distances[best], 0))
        return Found.by_distance(leading, lambda: rest(leading.rows))

    def _scan(self, unit: NDArray[np.float64], ranked: NDArray[np.bool_]) -> NDArray[np.float32] | torch.Tensor:
        """Compute the cosines of a unit query, (D,), to all rows, (N,); -inf for rows that are not ranked, (N,)."""
        gpu = self._on_gpu
        if gpu is not None:
            try:
                return gpu.cosines(unit, ranked)
            except RuntimeError as error:
                if not is_device_error(error):
                    raise
            del gpu
            self._leave_gpu()  # outside `except`, whose traceback keeps the tensors alive
        return self._cosines(unit, ranked)

    def _candidates(
        self, asked: _Asked, ranked: NDArray[np.bool_], k: int, *, is_part: bool
    ) -> tuple[NDArray[np.int64], _Rest]:
        """Return the rows that can be among the k nearest, ascending, and what orders all rows but the leading ones."""
        gpu, cosines, unit = self._on_gpu, asked.cosines, asked.unit
        if isinstance(cosines, torch.Tensor):
            try:
                if gpu is not None:
                    on_gpu = gpu.narrowed(cosines, ranked) if is_part else cosines  # (N,)
                    return gpu.candidates(on_gpu, unit, k), partial(self._rest_on_gpu, on_gpu, unit, ranked)
            except RuntimeError as error:
                if not is_device_error(error):
                    raise
            del gpu
            self._leave_gpu()  # outside `except`, whose traceback keeps the tensors alive
            part = self._cosines(unit, ranked)  # (N,)
        else:
            part = np.where(ranked, cosines, np.float32(-np.inf)) if is_part else cosines  # (N,)
        floor = np.partition(part, -k)[-k] - 2 * scan_error(len(unit))
        return np.flatnonzero(part >= floor), lambda leading: in_order(part, leading)

    def _rest_on_gpu(
        self, cosines: torch.Tensor, unit: NDArray[np.float64], ranked: NDArray[np.bool_], leading: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        try:
            return in_order_on_device(cosines, leading)
        except RuntimeError as error:
            if not is_device_error(error):
                raise
        self._leave_gpu()
        return in_order(self._cosines(unit, ranked), leading)

    def _leave_gpu(self) -> None:
        """Search on the CPU from now on."""
        self._on_gpu = None
        with suppress(RuntimeError):  # a GPU that has failed
            torch.cuda.empty_cache()

    def _cosines(self, unit: NDArray[np.float64], ranked: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Compute the cosines of a unit query (D,) to all rows, (N,); -inf for rows that are not ranked."""
        cosines = scan(self._matrix.rows, unit)  # (N,)
        cosines /= self._matrix.row_norms
        cosines[~ranked] = -np.inf
        return cosines


def cosine_distances(
    query: NDArray[np.float64], rows: NDArray[np.float16], which: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Compute float64 cosine distances from a query (D,) to some rows, as scipy defines them; (len(which),).

    A row of zeros, for which scipy returns nan, gets distance 1.
    """
    distances = np.empty(len(which))  # (n,)
    for at in range(0, len(which), 4096):
        part = which[at : at + 4096]
        wide = torch.from_numpy(rows[part]).double().numpy()  # (n, D), in a tenth of the time that numpy takes
        distances[at : at + 4096] = cdist(query[None], wide, "cosine")[0]
    return np.where(np.isnan(distances), 1, np.maximum(distances, 0))


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
            block = torch.from_numpy(rows[start : start + _ROWS_PER_STEP]).to(device).float()  # (b, D)
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
