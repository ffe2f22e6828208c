"""Loader: one thread that opens the explorer, then loads what can come after the first answer."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tui.pace import Pace

if TYPE_CHECKING:
    from core.explorer import Explorer
    from core.store.progress import Progress

_PROGRESS_SECONDS = 0.1


class Loader:
    """Opens an explorer. An import cannot be stopped: whoever leaves waits a moment, then ends the process.

    Args:
        open_explorer: Makes the explorer; imports torch.
        progressed: Called on the thread with a step of slow work and a line about it, ten times a second at most.
        opened: Called on the thread with the explorer once it answers captions.
        warmed: Called on the thread once all the rest is loaded, too.
        failed: Called on the thread when a file cannot be used (AssetError), or with a bug.
    """

    def __init__(
        self,
        open_explorer: Callable[[], Explorer],
        *,
        progressed: Callable[[Progress, str], object],
        opened: Callable[[Explorer], object],
        warmed: Callable[[], object],
        failed: Callable[[Exception], object],
    ) -> None:
        self._open_explorer = open_explorer
        self._progressed = progressed
        self._opened = opened
        self._warmed = warmed
        self._failed = failed
        self._stopped = False
        self._answered = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loader")
        self._thread.start()

    def go_on(self) -> None:
        """Load the rest, now that there is something to look at."""
        self._answered.set()

    def stop(self) -> None:
        """End the thread at its next step."""
        self._stopped = True
        self._answered.set()

    def join(self, seconds: float) -> None:
        """Wait so long for the end."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            with _kept():
                explorer = self._open_explorer()
            if not self._prepare(explorer):
                return
            self._opened(explorer)
            self._answered.wait()
            if not self._stopped:
                with _kept():
                    explorer.warm_up()
                if all(not self._stopped for _ in explorer.open_methods()):
                    self._warmed()
        except Exception as error:  # an AssetError, or a bug: shown by the app
            if not self._stopped:
                self._failed(error)

    def _prepare(self, explorer: Explorer) -> bool:
        """Run the slow work; False when it was stopped."""
        pace, shown, stage = Pace(), 0.0, ""
        steps = explorer.prepare()
        for progress in steps:
            if self._stopped:
                steps.close()
                return False
            now = time.monotonic()
            line = pace.line(progress, now=now)
            if now - shown > _PROGRESS_SECONDS or progress.stage != stage:
                shown, stage = now, progress.stage
                self._progressed(progress, line)
        return not self._stopped


@contextmanager
def _kept() -> Iterator[None]:
    """Keep what is made meanwhile, modules above all, out of garbage collections, which stop the screen."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
