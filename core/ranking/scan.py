"""Scan: the products of all stored rows with a query, at about the speed at which they can be read."""

from __future__ import annotations

import platform
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from core.encoding.threads import in_slices
from core.ranking.ranking import cosine_error

_WORTH_COMPILING = 30_000_000  # numbers, of which the compiled scan saves about 7 ms
_BLOCK_BYTES = 2 << 20  # float32 rows multiplied at once; they fit in the processor's cache


def scan(rows: NDArray[np.float16], unit: NDArray[np.float64]) -> NDArray[np.float32]:
    """Multiply rows of about unit length, (N, D), with a unit query, (D,); the sums err by at most `scan_error`.

    Float16 numbers are multiplied with float32 ones and summed in float32. Many rows are read by a compiled function.
    It is loaded, within half a second, for the first scan.
    """
    vector = unit.astype(np.float32)  # (D,)
    out = np.empty(len(rows), np.float32)  # (N,)
    multiply = _multiply if rows.size >= _WORTH_COMPILING and can_be_compiled() else _multiply_with_torch
    in_slices(lambda start, end: multiply(rows[start:end], vector, out[start:end]), len(rows))
    return out


def scan_error(dim: int) -> float:
    """Bound the error of a cosine from `scan`: that of its sum, and of the rounded query, norm and quotient."""
    return cosine_error(dim, np.float32)


@cache
def can_be_compiled() -> bool:
    """Tell whether scans can be compiled here: whether Numba works, and the processor reads float16 numbers."""
    try:
        from llvmlite.binding import get_host_cpu_features

        import core.ranking.compiled_scan  # noqa: F401
    except ImportError:
        return False
    return platform.machine().lower() not in ("x86_64", "amd64") or bool(get_host_cpu_features().get("f16c"))


def _multiply(rows: NDArray[np.float16], vector: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    from core.ranking.compiled_scan import multiply

    multiply(np.asarray(rows).view(np.uint16), vector, out)


def _multiply_with_torch(rows: NDArray[np.float16], vector: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    size = max(1, _BLOCK_BYTES // (4 * len(vector)))
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        wide = torch.from_numpy(rows[part]).float()  # (b, D)
        torch.mv(wide, torch.from_numpy(vector), out=torch.from_numpy(out[part]))
