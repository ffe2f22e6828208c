"""Compiled scan: the products of float16 rows with a float32 vector, in one pass over the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from core.encoding.compiling import compiled


def _read_float16(_context: Any, _bits: Any) -> tuple[Any, Any]:
    """Read the bits of a float16 number, a type that Numba lacks; this is one instruction of the processor."""

    def generate(_: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.uint16), generate


_float16: Any = intrinsic(_read_float16)


@compiled(sums_in_any_order=True)
def multiply(rows: NDArray[np.uint16], vector: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Multiply rows with a vector.

    Args:
        rows: The bits of float16 numbers, (n, D).
        vector: (D,).
        out: Where to write the products, (n,).
    """
    for row in range(len(rows)):
        total = np.float32(0)
        for k in range(len(vector)):
            total += _float16(rows[row, k]) * vector[k]
        out[row] = total
