"""Pace: turns progress into a line that a person can read, with rate and time left."""

from __future__ import annotations

import time
from collections import deque

from core.progress import Progress

_WINDOW_SECONDS = 10.0


class Pace:
    """Watches one piece of slow work."""

    def __init__(self) -> None:
        self._stage = ""
        self._seen: deque[tuple[float, float]] = deque()  # (time, done) of the last seconds

    def line(self, progress: Progress, *, now: float | None = None) -> str:
        """Describe a step: `encoding captions · 12,345 of 69,009 captions · 2,300 captions/s · 0:25 left`."""
        now = time.monotonic() if now is None else now
        if progress.stage != self._stage:
            self._stage = progress.stage
            self._seen.clear()
        self._seen.append((now, progress.done))
        while now - self._seen[0][0] > _WINDOW_SECONDS:
            self._seen.popleft()
        if not progress.total:
            return progress.stage
        parts = [progress.stage, f"{progress.done:,.0f} of {progress.total:,.0f} {progress.unit}"]
        (then, was), seconds = self._seen[0], now - self._seen[0][0]
        if seconds > 0.2 and progress.done > was:
            rate = (progress.done - was) / (now - then)
            left = round((progress.total - progress.done) / rate)
            parts += [f"{rate:,.0f} {progress.unit}/s", f"{left // 60}:{left % 60:02} left"]
        return " · ".join(parts)
