"""Progress: what slow work says of itself while it runs."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar


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


T = TypeVar("T")

Steps: TypeAlias = Generator[Progress, None, T]
"""Slow work: yields its progress, returns T. Whoever iterates it shows the progress and may stop it by closing it."""


def finish(steps: Steps[T]) -> T:
    """Run slow work to its end, unseen, and return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: T = stop.value
            return result
