"""Compiling: functions that Numba compiles for the processor at hand, for encoding and for search.

Importing this module takes a third of a second.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from numba import njit
from numba.core import config

if getattr(config, "DISABLE_JIT", False):  # Numba would run every function as plain Python, a thousand times slower
    raise ImportError("Numba does not compile here: NUMBA_DISABLE_JIT is set")

Function = TypeVar("Function", bound=Callable[..., Any])

# What the compiler may do to be faster: ignore the sign of zero, join a product and a sum, divide by a product with the
# reciprocal, use approximate functions. Infinity and NaN stay what they are. Numba's files on disk do not notice a
# change here or in `inlined`: change the files that use it, too.
_FAST_MATH = {"nsz", "contract", "arcp", "afn"}


def inlined(function: Function) -> Function:
    """Make a function a part of the compiled functions that call it."""
    return cast("Function", njit(fastmath=_FAST_MATH, inline="always")(function))


def compiled(*, sums_in_any_order: bool = False) -> Callable[[Function], Function]:
    """Compile a function when it is first called, which takes a second or two; the result is kept on disk.

    Files on disk that cannot be read or written cost that time again. The function may be called again with the same
    arguments. Other threads run while it is compiled and while it runs.

    Args:
        sums_in_any_order: Whether sums may be computed in parts, which is faster.
    """
    fast_math = _FAST_MATH | {"reassoc"} if sums_in_any_order else _FAST_MATH
    options: dict[str, Any] = {"fastmath": fast_math, "nogil": True, "error_model": "numpy"}

    def decorate(function: Function) -> Function:
        current = not_kept = njit(**options)(function)
        try:
            current = njit(cache=True, **options)(function)
        except RuntimeError:  # there is no folder in which it could be kept
            logging.getLogger(__name__).info("compiled code cannot be kept", exc_info=True)

        @wraps(function)
        def call(*arguments: Any) -> Any:
            nonlocal current
            try:
                return current(*arguments)
            except Exception:
                if current is not_kept:
                    raise
                logging.getLogger(__name__).info("Numba's files cannot be used", exc_info=True)
                current = not_kept
            return not_kept(*arguments)

        return cast("Function", call)

    return decorate
