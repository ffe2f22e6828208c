"""Salvaging: work on many captions is done for all but those at which it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from core.assets import AssetError
from core.shortage import shortage

_MOST_FAILURES = 100
_OUT_OF_MEMORY = "out of memory"  # of a device that one long caption does not fit on

T = TypeVar("T")


class FailingError(Exception):
    """So many captions fail that it is no fault of theirs."""


def salvaged(work: Callable[[int, int], T], n: int) -> Iterator[tuple[int, int, T | Exception]]:
    """Do work for captions 0..n-1, in halves where it fails.

    Args:
        work: Does it for captions start..stop-1.
        n: N.

    Yields:
        Start, stop and result of each piece; of a single caption that fails, the error in place of the result.

    Raises:
        AssetError: `work` raised it.
        FailingError: More than a hundred captions fail, or more than half of them and more than one.
    """
    left, failures = [(0, n)], 0
    while left:
        start, stop = left.pop()
        if start == stop:
            continue
        try:
            result: T | Exception = work(start, stop)
        except Exception as error:
            if shortage(error) or (isinstance(error, AssetError) and error.found != _OUT_OF_MEMORY):
                raise
            if stop - start > 1:
                middle = (start + stop) // 2
                left += [(middle, stop), (start, middle)]
                continue
            result, failures = error, failures + 1
            if failures > _MOST_FAILURES or failures > max(1, n / 2):
                told = f"{failures:,} captions failed, the last one by {type(error).__name__}: {error}"
                raise FailingError(told) from error
        yield start, stop, result
