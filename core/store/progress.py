"""Progress: the reports of slow work while it runs, and functions that run such work."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar


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


R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")

Steps: TypeAlias = Generator[Progress, None, T]
"""Slow work: a generator that yields its progress and returns T. The caller may stop it by closing it."""


def follow(steps: Generator[S, None, T], describe: Callable[[S], R]) -> Generator[R, None, T]:
    """Run a generator as a part of another one and return its result.

    Args:
        steps: The generator; it may yield anything. It is not closed when this one is.
        describe: Converts each yielded value, usually into progress.
    """
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            result: T = stop.value
            return result
        yield describe(step)


class Resumable(Generic[T]):
    """Slow work that is done once, and goes on where it was left when it is run again. One thread at a time may run it.

    `make` starts the work. It must hold nothing that others wait for while it yields. After an error it starts anew.
    """

    def __init__(self, make: Callable[[], Steps[T]]) -> None:
        self._make = make
        self._begun: Steps[T] | None = None
        self._results: list[T] = []

    def run(self) -> Steps[T]:
        """Do the rest of the work, and return its result."""
        if not self._results:
            self._begun = self._begun or self._make()
            try:
                self._results.append((yield from follow(self._begun, lambda progress: progress)))
            except GeneratorExit:  # it is left, to be gone on with
                raise
            except BaseException:
                self._begun = None
                raise
        return self._results[0]


def nothing_to_do() -> Steps[None]:
    """Return work that is done at once."""
    yield from ()


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
