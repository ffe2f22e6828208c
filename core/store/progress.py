"""Progress: what slow work says of itself while it runs; and how slow work is followed, finished and given up."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar


class Cancelled(Exception):
    """Work was given up because nobody wants its result any longer."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of slow work."""

    stage: str
    """What is being done, as a phrase: `encoding captions`."""
    done: float
    """How much is done, in `unit`."""
    total: float
    """How much there is in all, in `unit`; 0 when unknown."""
    unit: str
    """What is counted: `captions`, `MB`."""


S = TypeVar("S")
T = TypeVar("T")

Steps: TypeAlias = Generator[Progress, None, T]
"""Slow work: yields its progress, returns T. Whoever iterates it shows the progress and may stop it by closing it."""


def follow(steps: Generator[S, None, T], describe: Callable[[S], Progress]) -> Steps[T]:
    """Run work as a part of slow work.

    Args:
        steps: The work; it may yield anything.
        describe: Turns what it yields into progress.

    Returns:
        What the work returns.
    """
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            result: T = stop.value
            return result
        yield describe(step)


def finish(steps: Generator[object, None, T]) -> T:
    """Run slow work to its end, unseen, and return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: T = stop.value
            return result
