"""Loader: one thread that opens the corpus, then loads what can come after the first answer."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.assets import AssetError
from core.store.progress import Cancelled, Progress, Steps, finish
from tui.messages import BackgroundFailed, CorpusOpened, Crashed, Progressed, Refused, Warmed
from tui.pace import Pace

if TYPE_CHECKING:
    from textual.message import Message

    from core.opening import Opened

_PROGRESS_SECONDS = 0.1


class Loader:
    """Opens a corpus. An import cannot be stopped: whoever leaves waits a moment, then ends the process.

    Args:
        open_corpus: Begins to open it; imports torch.
        post: Takes messages, of progress at most ten a second; called on the thread.
    """

    def __init__(self, open_corpus: Callable[[], Steps[Opened]], post: Callable[[Message], object]) -> None:
        self._open_corpus = open_corpus
        self._post = post
        self._pace, self._shown, self._stage = Pace(), 0.0, ""  # of the progress that was posted last
        self._stopped = False
        self._answered = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loader")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def go_on(self) -> None:
        """Load the rest, now that there is something to look at."""
        self._answered.set()

    def stop(self) -> None:
        """End the thread at its next step."""
        self._stopped = True
        self._answered.set()

    def join(self, seconds: float) -> None:
        """Wait so long for the end, where there was a beginning."""
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        try:
            with _kept():
                steps = self._open_corpus()
                from core.explorer import Explorer
            opened = finish(steps, self._show)
            self._post(CorpusOpened(Explorer(opened)))
            self._answered.wait()
            self._load("typed queries cannot be answered", _warm_up(opened))
            self._load(
                "the other methods could not be opened, and are tried again at the next start", opened.open_methods()
            )
            self._post(Warmed())
        except Cancelled:
            return
        except AssetError as error:
            self._post(Refused(error))
        except Exception as error:  # a bug: the app shows its traceback
            self._post(Crashed(error))

    def _show(self, progress: Progress) -> None:
        """Post a step of the opening, unless the last one has just been."""
        self._check(progress)
        now = time.monotonic()
        line = self._pace.line(progress, now=now)
        if now - self._shown > _PROGRESS_SECONDS or progress.stage != self._stage:
            self._shown, self._stage = now, progress.stage
            self._post(Progressed(progress, line))

    def _check(self, progress: Progress) -> None:
        """Give up between two steps when told to stop."""
        if self._stopped:
            raise Cancelled

    def _load(self, missing: str, steps: Steps[object]) -> None:
        """Run work in the background; say what is missing when it fails."""
        try:
            finish(steps, self._check)
        except Cancelled:
            raise
        except Exception as error:  # background work may fail in any way: the list stays usable
            self._post(BackgroundFailed(missing, error))


def _warm_up(opened: Opened) -> Steps[None]:
    yield Progress("loading the encoder", 0, 0, "")
    with _kept():
        opened.text_encoder.warm_up()


@contextmanager
def _kept() -> Iterator[None]:
    """Keep what is made meanwhile, modules above all, out of garbage collections, which stop the screen."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
