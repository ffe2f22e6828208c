"""Asker: one thread that runs the latest request of each kind, and slow work between them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from core.assets import AssetError
from core.store.progress import Cancelled
from tui.messages import (
    BackgroundFailed,
    ComparisonRequest,
    Crashed,
    ExplanationRequest,
    Measured,
    Question,
    Refused,
    Request,
)

if TYPE_CHECKING:
    from textual.message import Message

    from core.explorer import Explorer
    from core.store.progress import Steps

_REST_SECONDS = 1.0  # without a request, before slow work goes on
_ORDER: tuple[type[Request], ...] = (Question, ComparisonRequest, ExplanationRequest)  # the most urgent first


class Asker:
    """Runs requests on a thread of its own. The most urgent kind goes first; within a kind only the latest is run.

    A request that is overtaken by a more urgent one is given up, and begun again afterwards.

    Args:
        post: Takes messages; called on the thread.
    """

    def __init__(self, post: Callable[[Message], object]) -> None:
        self._post = post
        self._changed = threading.Condition()
        self._waiting: dict[type[Request], Request] = {}
        self._calibration: Steps[None] | None = None
        self._asked = 0.0  # when the last request was done
        self._stopped = False
        self._thread: threading.Thread | None = None

    def start(self, explorer: Explorer) -> None:
        """Begin with what waits; the thread alone uses the explorer from now on."""
        self._thread = threading.Thread(target=self._run, args=[explorer], name="asker")
        self._thread.start()

    def ask(self, request: Request) -> None:
        """Put a request in place of a waiting one of its kind. A question also drops a waiting explanation request."""
        with self._changed:
            if isinstance(request, Question):
                self._waiting.pop(ExplanationRequest, None)  # it is about the answer before
            self._waiting[type(request)] = request
            self._changed.notify()

    def withdraw(self, kind: type[Request]) -> None:
        """Give up the request of a kind, waiting or running: nobody wants its result any longer."""
        with self._changed:
            self._waiting.pop(kind, None)

    def work_on(self, calibration: Steps[None]) -> None:
        """Do slow work, a step at a time, whenever no request has come for a while."""
        with self._changed:
            self._calibration = calibration
            self._changed.notify()

    def stop(self) -> None:
        """End the thread after the step it is at."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def join(self, seconds: float) -> None:
        """Wait so long for the end."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self, explorer: Explorer) -> None:
        try:
            while not self._stopped:
                with self._changed:
                    while not self._stopped and not self._waiting and (rest := self._rest()) != 0:
                        self._changed.wait(rest)
                    request = next((self._waiting[kind] for kind in _ORDER if kind in self._waiting), None)
                if self._stopped:
                    break
                if request is not None:
                    self._take(request, explorer)
                    self._asked = time.monotonic()
                elif self._calibration is not None:
                    self._go_on(self._calibration)
            if self._calibration is not None:
                self._calibration.close()
        except Exception as error:  # a bug: the app shows its traceback
            self._post(Crashed(error))

    def _rest(self) -> float | None:
        """Seconds until slow work may go on; None when there is none."""
        return None if self._calibration is None else max(0.0, self._asked + _REST_SECONDS - time.monotonic())

    def _take(self, request: Request, explorer: Explorer) -> None:
        """Run a request until it is done or overtaken."""
        kind, answered = type(request), False

        def overtaken() -> bool:
            urgent = any(other in self._waiting for other in _ORDER[: _ORDER.index(kind)])
            return self._stopped or urgent or self._waiting.get(kind) is not request

        messages = request.run(explorer, overtaken)
        try:
            while not overtaken() and (message := next(messages, None)) is not None:
                self._post(message)
                answered = True
        except Cancelled:
            return
        except AssetError as error:
            needed = kind is Question and not answered
            self._post(Refused(error) if needed else BackgroundFailed("a part of the answer is missing", error))
        with self._changed:
            if not overtaken():
                del self._waiting[kind]

    def _go_on(self, work: Steps[None]) -> None:
        """Do one step of the calibration."""
        try:
            self._post(Measured(next(work)))
            return
        except StopIteration:
            self._post(Measured(None))
        except Exception as error:  # background work may fail in any way: the list stays usable
            self._post(BackgroundFailed("the calibration failed, and is tried again at the next start", error))
        self._calibration = None
