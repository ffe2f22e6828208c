"""Search: exact cosine neighbours of one query, and float32 neighbours of many queries at once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from core.corpus.sentences import Sentences
from core.encoding.codes import RowCodes
from core.encoding.halving import PartStep, in_parts_that_fit, is_out_of_memory
from core.encoding.threads import in_slices
from core.ranking.device_rows import DeviceRows
from core.ranking.ranking import LEADING, Found, Ranking, cosine_error, in_order

_BLOCK_BYTES = 2 << 20  # float32 rows multiplied at once; they fit in the processor's cache
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
        self._on_gpu = DeviceRows.copy(matrix.rows, matrix.row_norms, device) if device.startswith("cuda") else None

    @property
    def device(self) -> str:
        """Device that holds the matrix; it becomes `cpu` when the GPU runs out of memory."""
        return "cpu" if self._on_gpu is None else str(self._on_gpu.rows.device)

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
        (`RowCodes`). For these, or for all rows where there are no codes, cosines are accumulated in float32
        (`cosine_error`). The rows that remain are ranked in float64 by scipy's `cdist`. A GPU that holds the rows does
        the first two steps by itself (`DeviceRows`). `Searcher.nearest` describes the arguments.
        """
        ranked = self._ranked if allowed is None else self._ranked & allowed  # (N,)
        wide = query.astype(np.float64)  # (D,)
        unit = wide / np.linalg.norm(wide)  # (D,)
        k = min(k, int(ranked.sum()))
        if k <= 0:
            return Found.by_distance(Ranking.empty(), lambda: (np.empty(0, np.int32), np.empty(0, np.float32)))
        candidates, rest = self._candidates(unit, ranked, k)  # (C,), ascending
        if own_row is not None and own_row not in candidates:
            candidates = np.union1d(candidates, [own_row])  # (C,), ascending
        distances = cosine_distances(wide, self._matrix.rows, candidates)  # (C,)
        if own_row is not None:
            distances[candidates == own_row] = -1  # ranks first; becomes 0 below
        best = np.argsort(distances, kind="stable")[:k]  # (k,)
        leading = Ranking(candidates[best].astype(np.int32), np.maximum(distances[best], 0))
        return Found.by_distance(leading, lambda: rest(leading.rows))

    def _candidates(
        self, unit: NDArray[np.float64], ranked: NDArray[np.bool_], k: int
    ) -> tuple[NDArray[np.int64], _Rest]:
        """Return the rows that can be among the k nearest, ascending, and what orders all rows but the leading ones."""
        if self._on_gpu is not None:
            try:
                gpu, on_gpu = self._on_gpu, self._on_gpu.cosines(unit, ranked)  # (N,)
                return gpu.candidates(on_gpu, unit, k), partial(self._rest_on_gpu, gpu, on_gpu, unit, ranked)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            self._leave_gpu()  # outside `except`, whose traceback keeps the tensors alive
        codes = self._matrix.codes if RowCodes.supported() else None
        if codes is None:
            candidates, cosines = np.arange(len(ranked)), self._similarities(unit, ranked)  # (N,), (N,)
        else:
            coarse, errors = codes.scan(unit)  # (N,), (N,)
            coarse[~ranked] = -np.inf
            seeds = np.argpartition(coarse, -k)[-k:]  # (k,)
            # at least k rows have a true cosine of `floor` or more
            floor = self._similarities(unit, ranked, seeds).min() - cosine_error(len(unit), np.float32)
            candidates = np.flatnonzero(coarse + errors >= floor)  # (C,), ascending
            cosines = self._similarities(unit, ranked, candidates)  # (C,)
        kth = np.partition(cosines, -k)[-k]
        near = candidates[cosines >= kth - 2 * cosine_error(len(unit), np.float32)]  # (C,), ascending
        complete = cosines if codes is None else None  # (N,)
        return near, lambda leading: in_order(
            self._similarities(unit, ranked) if complete is None else complete, leading
        )

    def _rest_on_gpu(
        self,
        gpu: DeviceRows,
        cosines: torch.Tensor,
        unit: NDArray[np.float64],
        ranked: NDArray[np.bool_],
        leading: NDArray[np.int32],
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        try:
            return gpu.in_order(cosines, leading)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        self._leave_gpu()
        return in_order(self._similarities(unit, ranked), leading)

    def _leave_gpu(self) -> None:
        """Search on the CPU from now on."""
        self._on_gpu = None
        torch.cuda.empty_cache()

    def _similarities(
        self, unit: NDArray[np.float64], ranked: NDArray[np.bool_], which: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Compute the cosines of a unit query (D,) to some rows, None for all; -inf for rows that are not ranked."""
        everything = slice(None) if which is None else which
        cosines = self._multiply(unit, which)  # (n,)
        cosines /= self._matrix.row_norms[everything]
        cosines[~ranked[everything]] = -np.inf
        return cosines

    @torch.inference_mode()
    def _multiply(self, unit: NDArray[np.float64], which: NDArray[np.int64] | None) -> NDArray[np.float32]:
        vector = torch.from_numpy(unit.astype(np.float32))  # (D,)
        out = torch.empty(len(self._rows) if which is None else len(which))  # (n,)
        chosen = None if which is None else torch.from_numpy(which)
        size = max(1, _BLOCK_BYTES // (4 * len(unit)))

        def multiply(start: int, end: int) -> None:
            block = torch.empty((min(size, end - start), len(unit)))  # (b, D)
            for at in range(start, end, size):
                part = slice(at, min(at + size, end))
                rows = self._rows[part if chosen is None else chosen[part]]  # (b, D)
                torch.mv(block[: len(rows)].copy_(rows), vector, out=out[part])  # (b,)

        in_slices(multiply, len(out))
        products: NDArray[np.float32] = out.numpy()  # (n,)
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
