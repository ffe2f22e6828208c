"""Scan: the products of all stored rows with a query, at about the speed at which they can be read."""

from __future__ import annotations

import logging
import platform
import threading
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from core.encoding.threads import in_slices
from core.ranking.ranking import cosine_error

COMPILED_FROM = 30_000_000
"""Numbers in a matrix from which the compiled scan saves more than 7 ms."""
_BLOCK_BYTES = 2 << 20  # float32 rows multiplied at once; they fit in the processor's cache
_is_loaded = threading.Event()  # whether the compiled scan is used


def scan(rows: NDArray[np.float16], unit: NDArray[np.float64]) -> NDArray[np.float32]:
    """Multiply rows of about unit length, (N, D), with a unit query, (D,); the sums err by at most `scan_error`.

    Float16 numbers are multiplied with float32 ones and summed in float32. Once `load_compiled_scan` has been called,
    large matrices are read by compiled code, whose sums may have other last digits.
    """
    vector = unit.astype(np.float32)  # (D,)
    out = np.empty(len(rows), np.float32)  # (N,)
    multiply = _multiply if _is_loaded.is_set() and rows.size >= COMPILED_FROM else _multiply_with_torch
    in_slices(lambda start, end: multiply(rows[start:end], vector, out[start:end]), len(rows))
    return out


def scan_error(dim: int) -> float:
    """Bound the error of a cosine from `scan`: that of its sum, and of the rounded query, norm and quotient."""
    return cosine_error(dim, np.float32)


def load_compiled_scan() -> bool:
    """Load compiled code for `scan`, in half a second, or two when it is compiled; return whether it works here."""
    if _compiled_scan_works():
        _is_loaded.set()
    return _is_loaded.is_set()


@cache
def _compiled_scan_works() -> bool:
    """Compare compiled products with numpy's, where the processor reads float16 numbers."""
    rows = np.random.default_rng(0).normal(size=(5, 67)).astype(np.float16)
    vector, out = rows[0].astype(np.float32), np.empty(5, np.float32)
    try:
        if not _reads_float16():
            return False
        _multiply(rows, vector, out)
    except Exception:  # Numba may be missing, or fail in any way: torch multiplies
        logging.getLogger(__name__).info("the scan cannot be compiled", exc_info=True)
        return False
    return bool(np.allclose(out, rows.astype(np.float32) @ vector, rtol=1e-4, atol=1e-4))


def _reads_float16() -> bool:
    """Tell whether the processor for which Numba compiles has instructions for float16 numbers; else it may crash."""
    from llvmlite.binding import get_host_cpu_features
    from numba.core import config

    if getattr(config, "CPU_NAME", None):  # not the processor at hand
        return False
    machine = platform.machine().lower()
    has_f16c = machine in ("x86_64", "amd64") and bool(get_host_cpu_features().get("f16c"))
    return has_f16c or machine in ("aarch64", "arm64")


def _multiply(rows: NDArray[np.float16], vector: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    from core.ranking.compiled_scan import multiply

    multiply(np.asarray(rows).view(np.uint16), vector, out)


def _multiply_with_torch(rows: NDArray[np.float16], vector: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    size = max(1, _BLOCK_BYTES // (4 * len(vector)))
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        wide = torch.from_numpy(rows[part]).float()  # (b, D)
        torch.mv(wide, torch.from_numpy(vector), out=torch.from_numpy(out[part]))
