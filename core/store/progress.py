"""Progress: the reports of slow work while it runs, and functions that run such work."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar


class Cancelled(Exception):
    """Work was stopped because its result is no longer needed."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One progress report of slow work."""

    stage: str
    """The current activity, such as `encoding captions`."""
    done: float
    """Amount done, in `unit`."""
    total: float
    """Total amount, in `unit`; 0 when unknown."""
    unit: str
    """What is counted, such as `captions` or `MB`."""
    is_remark: bool = False
    """Whether the stage is a remark that stays to be read while the work goes on."""


S = TypeVar("S")
T = TypeVar("T")

Steps: TypeAlias = Generator[Progress, None, T]
"""Slow work: a generator that yields its progress and returns T. The caller may stop it by closing it."""


def follow(steps: Generator[S, None, T], describe: Callable[[S], Progress]) -> Steps[T]:
    """Run a generator as a part of slow work and return its result.

    Args:
        steps: The generator; it may yield anything.
        describe: Converts each yielded value into progress.
    """
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            result: T = stop.value
            return result
        yield describe(step)


def finish(steps: Generator[S, None, T], show: Callable[[S], object] = lambda step: None) -> T:
    """Run slow work to its end and return its result.

    Args:
        steps: The work.
        show: Takes each step; an exception of it ends the work.
    """
    try:
        while True:
            show(next(steps))
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        steps.close()
