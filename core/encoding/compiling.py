"""Compiling: functions that Numba compiles for the processor at hand. Importing this takes a third of a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])

_LIBERTIES = {"nsz", "contract", "arcp", "afn"}  # those that leave infinity and NaN what they are


def inlined(function: F) -> F:
    """Make a function a part of the compiled functions that call it."""
    return cast("F", njit(fastmath=_LIBERTIES, inline="always")(function))


def compiled(*, sums_in_any_order: bool = False) -> Callable[[F], F]:
    """Compile a function when it is first called, which takes a second or two; the result is kept on disk.

    Other threads run while it is compiled and while it runs.

    Args:
        sums_in_any_order: Whether sums may be computed in parts, which is faster.
    """
    liberties = _LIBERTIES | {"reassoc"} if sums_in_any_order else _LIBERTIES
    options: dict[str, Any] = {"fastmath": liberties, "nogil": True, "error_model": "numpy"}

    def decorate(function: F) -> F:
        try:
            return cast("F", njit(cache=True, **options)(function))
        except RuntimeError:  # there is no folder in which it could be kept
            return cast("F", njit(**options)(function))

    return decorate
