"""Loader: one thread that opens the corpus, and after the first answer loads the encoder and the other methods."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from core.assets import AssetError
from core.store.progress import Cancelled, Progress, Steps, finish
from tui.garbage import without_collection
from tui.messages import BackgroundFailed, CorpusOpened, Crashed, Progressed, Refused, Warmed
from tui.pace import Pace

if TYPE_CHECKING:
    from textual.message import Message

    from core.opened import Opened


class Loader:
    """Opens a corpus on its own thread, which calls `open_corpus` and `post`. It cannot be stopped during an import."""

    def __init__(self, open_corpus: Callable[[], Steps[Opened]], post: Callable[[Message], object]) -> None:
        self._open_corpus = open_corpus
        self._post = post
        self._pace = Pace()
        self._stopped = False
        self._answered = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loader")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def load_rest(self) -> None:
        """Let the thread load the encoder and the other methods; call it after the first answer."""
        self._answered.set()

    def stop(self) -> None:
        """Tell the thread to end after its current step."""
        self._stopped = True
        self._answered.set()

    def join(self, seconds: float) -> None:
        """Wait at most `seconds` for the thread to end, if it was started."""
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        try:
            with without_collection():
                steps = self._open_corpus()
                from core.explorer import Explorer
            opened = finish(steps, self._show)
            self._post(CorpusOpened(Explorer(opened)))
            self._answered.wait()
            self._load("typed queries cannot be answered", _warm_up(opened))
            what = "the other methods could not be opened; the next start tries again"
            with without_collection():
                self._load(what, opened.open_methods())
            self._post(Warmed(more_follows=opened.setup.second is not None))
            if opened.setup.second is not None:
                self._load(f"{opened.setup.second.model_name} cannot be asked", _open_second(opened))
                self._post(Warmed())
        except Cancelled:
            return
        except AssetError as error:
            self._post(Refused(error))
        except Exception as error:
            short = AssetError.from_shortage("infersent-tui", error)
            self._post(Refused(short) if short else Crashed(error))  # else a bug: the app shows its traceback

    def _show(self, progress: Progress) -> None:
        """Post the progress, unless progress of the same stage was posted a moment ago."""
        self._check(progress)
        if (line := self._pace.due_line(progress)) is not None:
            self._post(Progressed(progress, line))

    def _check(self, progress: Progress) -> None:
        if self._stopped:
            raise Cancelled

    def _load(self, missing: str, steps: Steps[object]) -> None:
        """Run background work; when it fails, post `missing`, which says what does not work now."""
        try:
            finish(steps, self._show)
        except Cancelled:
            raise
        except Exception as error:  # background work may fail in any way: the list stays usable
            self._post(BackgroundFailed(missing, error))


def _warm_up(opened: Opened) -> Steps[None]:
    if opened.text_encoder.can_encode:
        yield Progress("loading the encoder", 0, 0, "")
    with without_collection():
        opened.text_encoder.warm_up()
        opened.searcher.warm_up()


def _open_second(opened: Opened) -> Steps[None]:
    from core.opening import open_second

    yield from open_second(opened)
    if opened.second is not None:
        yield from _warm_up(opened.second)
