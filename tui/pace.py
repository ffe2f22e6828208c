"""Pace: describes progress in a line with rate and time left, and shows it on stderr."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.store.progress import Progress, Steps, T, finish
from tui.output import tell, tell_message
from tui.text import visible

if TYPE_CHECKING:
    from core.opened import Opened

_WINDOW_SECONDS = 10.0
_LOGGED_SECONDS = 10.0
_STALL_SECONDS = 3.0
_FEW_MB = 10.0  # of which a tenth is worth showing


class Pace:
    """Describes how far slow work is, with its rate over the last ten seconds.

    Args:
        every: Seconds between two lines of `due_line` about the same stage.
    """

    def __init__(self, *, every: float = 0.1) -> None:
        self._every = every
        self._stage = ""
        self._has_amount = False
        self._due_at = self._moved_at = 0.0
        self._seen: deque[tuple[float, float]] = deque()  # (time, done)

    def due_line(self, progress: Progress) -> str | None:
        """Describe progress, or return None a moment after another line about the same stage.

        The first line with an amount comes at once.
        """
        has_amount = progress.done > 0 or progress.total > 0
        now, is_due = time.monotonic(), progress.stage != self._stage or has_amount > self._has_amount
        line = self.line(progress, now=now)
        if now < self._due_at and not is_due:
            return None
        self._due_at = now + self._every
        return line

    def line(self, progress: Progress, *, now: float | None = None) -> str:
        """Describe progress: `encoding captions · 12,345 of 69,009 captions · 2,300 captions/s · 0:25 left`."""
        now = time.monotonic() if now is None else now
        if progress.stage != self._stage:
            self._stage = progress.stage
            self._seen.clear()
        if not self._seen or progress.done != self._seen[-1][1]:
            self._moved_at = now
        self._has_amount = progress.done > 0 or progress.total > 0
        self._seen.append((now, progress.done))
        while now - self._seen[0][0] > _WINDOW_SECONDS:
            self._seen.popleft()
        parts = [progress.stage]
        if self._has_amount:
            of = f" of {_amount(progress.total, progress.unit)}" if progress.total else ""
            parts.append(f"{_amount(progress.done, progress.unit)}{of} {progress.unit}")
        (then, was), seconds = self._seen[0], now - self._seen[0][0]
        if progress.unit == "MB" and now - self._moved_at >= _STALL_SECONDS:
            parts.append(f"nothing for {now - self._moved_at:.0f} s")
        elif seconds > 0.2 and progress.done > was:
            rate = (progress.done - was) / (now - then)
            seconds_left = (progress.total - progress.done) / rate if rate else math.inf
            if math.isfinite(seconds_left):
                left = round(seconds_left)
                time_left = [f"{left // 60}:{left % 60:02} left"] if progress.total else []
                is_slow = progress.unit == "MB" and rate < 1
                parts += [f"{1000 * rate:,.0f} kB/s" if is_slow else f"{rate:,.0f} {progress.unit}/s", *time_left]
        return " · ".join(parts)


def _amount(number: float, unit: str) -> str:
    return f"{number:,.1f}" if unit == "MB" and 0 < number < _FEW_MB else f"{number:,.0f}"


def print_message(message: str, *, quiet: bool) -> None:
    """Print a message on stderr, unless `quiet`."""
    if not quiet:
        tell(message, err=True)


def print_notes(opened: Opened, *, quiet: bool) -> None:
    """Print on stderr what was understood of the captions file, and the problems of the opened files."""
    if quiet:
        return
    tell(opened.captions.understood(), err=True)
    for problem in opened.problems():
        tell(f"note: {problem}", err=True)


def run_steps(steps: Steps[T], *, quiet: bool) -> T:
    """Run slow work to its end, with its progress on stderr unless `quiet`, and return its result."""
    with progress_line(quiet=quiet) as show:
        return finish(steps, show)


@contextmanager
def progress_line(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Yield a function that shows progress on stderr.

    In a terminal, one line is rewritten; elsewhere each stage gets a line, and another one after every ten seconds.
    A remark gets a line of its own.
    """
    rewrite = sys.stderr.isatty()
    pace, width, last = Pace() if rewrite else Pace(every=_LOGGED_SECONDS), 0, ""

    def show(progress: Progress) -> None:
        nonlocal width, last
        if quiet:
            return
        if progress.is_remark:
            clear()
            tell(progress.stage, err=True)
            return
        if (line := pace.due_line(progress)) is None:
            return
        if rewrite:
            line = visible(line)[: shutil.get_terminal_size().columns - 1]
            tell_message(f"\r{line:<{width}}")
            width = len(line)
        elif line != last:  # else it would read as if the same had happened twice
            tell(line, err=True)
        last = line

    def clear() -> None:
        nonlocal width
        if width:
            tell_message(f"\r{'':<{width}}\r")
        width = 0

    try:
        yield show
    finally:
        clear()
