"""Delays: how late an event loop is, with what the thread ran meanwhile; and the memory of the process."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import traceback
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import core
import tui

BAR = 0.05
"""The longest delay that nobody feels, in seconds."""

_TICK = 0.005
_OURS = tuple(str(Path(str(each.__file__)).parent) for each in (core, tui))


class Delay(NamedTuple):
    """One delay above the bar."""

    seconds: float
    worked: float
    """Processor time of all threads of the process meanwhile, in seconds; far less where the machine was busy."""
    doing: str
    where: str
    """The stacks that were seen most often, and the time of garbage collection."""


class DelayWatch:
    """Measures the delays of the event loop that it is started in, and tells what ran during the longest."""

    def __init__(self) -> None:
        self.doing = "starting"
        self.delays: list[Delay] = []
        self.largest = 0.0
        self._beat = time.monotonic()
        self._collected = 0.0  # seconds of garbage collection
        self._where: Counter[str] = Counter()
        self._thread_id = threading.get_ident()
        self._stopped = threading.Event()

    async def tick(self) -> None:
        """Sleep and measure how much longer it took."""
        gc.callbacks.append(self._collect)
        self._stopped.clear()
        sampler = threading.Thread(target=self._sample, daemon=True)
        sampler.start()
        try:
            while True:
                self._beat, own, collected = time.monotonic(), time.process_time(), self._collected
                await asyncio.sleep(_TICK)
                late = time.monotonic() - self._beat - _TICK
                self.largest = max(self.largest, late)
                seen, self._where = self._where, Counter()
                if late > BAR:
                    where = " | ".join(f"{count}x {at}" for at, count in seen.most_common(2))
                    rubbish = self._collected - collected
                    where += f" | garbage collection {1000 * rubbish:.0f} ms" if rubbish > 0.005 else ""
                    self.delays.append(Delay(late, time.process_time() - own, self.doing, where))
        finally:
            self._stopped.set()
            sampler.join()
            gc.callbacks.remove(self._collect)

    def _collect(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._collected -= time.monotonic()
        else:
            self._collected += time.monotonic()

    def _sample(self) -> None:
        while not self._stopped.wait(0.01):
            if time.monotonic() - self._beat > BAR / 2:
                frame = sys._current_frames().get(self._thread_id)
                if frame is not None:
                    with suppress(AttributeError):  # the stack changes while it is read
                        self._where[_frames(frame)] += 1


def _frames(frame: FrameType) -> str:
    """Name the innermost functions of a stack, and the innermost of this program."""
    calls = [(at.f_code, line) for at, line in traceback.walk_stack(frame)]
    names = [f"{Path(code.co_filename).stem}.{code.co_name}:{line}" for code, line in calls]
    ours = [name for name, (code, _) in zip(names, calls, strict=True) if code.co_filename.startswith(_OURS)]
    return " < ".join(names[:4] + ([f"... {ours[0]}"] if ours and ours[0] not in names[:4] else []))


def resident_mb(kind: str = "VmRSS") -> float:
    """Return the resident memory of this process in MB; `RssAnon` is that without mapped files."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")) / 1024
