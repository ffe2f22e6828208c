"""Scan: the products of all stored rows with a query, at about the speed at which they can be read."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from core.encoding.threads import in_slices
from core.ranking.ranking import cosine_error

_SCALE = 2.0**11  # the query's second half is multiplied by it, so that it loses no digits
_BLOCK_BYTES = 2 << 20  # float32 rows multiplied at once; they fit in the processor's cache


def scan(rows: NDArray[np.float16], unit: NDArray[np.float64]) -> NDArray[np.float32]:
    """Multiply rows of about unit length, (N, D), with a unit query, (D,); the sums err by at most `scan_error`.

    numkong multiplies float16 numbers exactly and sums in float32. A float64 query is the sum of two float16 vectors,
    up to 2^-22 of its numbers; numkong multiplies both with a row in one pass.
    """
    if not _sums_in_float32():
        return _scan_with_torch(rows, unit)
    import numkong

    high = unit.astype(np.float16)  # (D,)
    low = ((unit - high) * _SCALE).astype(np.float16)  # (D,)
    halves = numkong.dots_pack(np.stack([high, low]), "float16")
    out = np.empty(len(rows), np.float32)  # (N,)

    def multiply(start: int, end: int) -> None:
        products = np.asarray(numkong.dots_packed(rows[start:end], halves))  # (n, 2)
        np.multiply(products[:, 1], 1 / _SCALE, out=out[start:end])
        out[start:end] += products[:, 0]

    in_slices(multiply, len(rows))
    return out


def scan_error(dim: int) -> float:
    """Bound the error of a cosine from `scan`: that of its sums, of the halves and of the norms."""
    return (1 + 1 / _SCALE) * cosine_error(dim, np.float32) + 2.0**-21


@cache
def _sums_in_float32() -> bool:
    """Tell whether numkong sums in float32 here; on some processors a version may sum in float16."""
    import numkong

    draw = np.random.default_rng(0)
    rows = draw.uniform(0.5, 1, (8, 4096)).astype(np.float16)  # equal signs, whose rounding errors are largest
    query = draw.uniform(0.5, 1, (1, 4096)).astype(np.float16)
    products = np.asarray(numkong.dots_packed(rows, numkong.dots_pack(query, "float16")))[:, 0]  # (8,)
    exact = rows.astype(np.float64) @ query[0].astype(np.float64)  # (64,)
    return bool((np.abs(products / exact - 1) < cosine_error(4096, np.float32)).all())


def _scan_with_torch(rows: NDArray[np.float16], unit: NDArray[np.float64]) -> NDArray[np.float32]:
    vector = torch.from_numpy(unit.astype(np.float32))  # (D,)
    out = torch.empty(len(rows))  # (N,)
    size = max(1, _BLOCK_BYTES // (4 * len(unit)))

    def multiply(start: int, end: int) -> None:
        for at in range(start, end, size):
            part = slice(at, min(at + size, end))
            torch.mv(torch.from_numpy(rows[part]).float(), vector, out=out[part])  # (b,)

    in_slices(multiply, len(rows))
    return np.asarray(out.numpy())
