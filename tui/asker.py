"""Asker: one thread that runs the latest request of each kind, and the calibration while no request is waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from core.assets import AssetError
from core.store.progress import Cancelled
from tui import messages
from tui.requests import ExplanationRequest, Question, Request

if TYPE_CHECKING:
    from textual.message import Message

    from core.explorer import Explorer
    from core.store.progress import Steps

_IDLE_SECONDS = 1.0  # time without a request before the calibration continues


class Asker:
    """Runs requests on its own thread, the most urgent kind first. Only the latest request of a kind is run.

    A request that a more urgent one interrupts is cancelled, and starts again from the beginning afterwards.
    `post` takes the resulting messages; it is called on the thread.
    """

    def __init__(self, post: Callable[[Message], object]) -> None:
        self._post = post
        self._changed = threading.Condition()
        self._waiting: dict[type[Request], Request] = {}  # a request stays here until it is done
        self._calibration: Steps[None] | None = None
        self._pause = _IDLE_SECONDS  # before the next step of the calibration
        self._last_request = 0.0  # time.monotonic() at the end of the last request
        self._stopped = False
        self._thread: threading.Thread | None = None

    def start(self, explorer: Explorer) -> None:
        """Start the thread, which from now on is the only one that asks the explorer."""
        self._thread = threading.Thread(target=self._run, args=[explorer], name="asker")
        self._thread.start()

    def ask(self, request: Request) -> None:
        """Queue a request. It replaces one of its kind; a question also drops a waiting explanation request."""
        with self._changed:
            if isinstance(request, Question):
                self._waiting.pop(ExplanationRequest, None)  # it is about the previous answer
            self._waiting[type(request)] = request
            self._changed.notify()

    def withdraw(self, kind: type[Request]) -> None:
        """Cancel the request of a kind, whether it is waiting or running."""
        with self._changed:
            self._waiting.pop(kind, None)

    def calibrate(self, calibration: Steps[None], *, is_saved: bool = False) -> None:
        """Run the steps of a calibration whenever no request has come for a while; of a saved one, between requests."""
        with self._changed:
            self._calibration, self._pause = calibration, 0.0 if is_saved else _IDLE_SECONDS
            self._changed.notify()

    def stop(self) -> None:
        """Tell the thread to end after its current step."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def join(self, seconds: float) -> None:
        """Wait at most `seconds` for the thread to end."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self, explorer: Explorer) -> None:
        try:
            while not self._stopped:
                with self._changed:
                    while not self._stopped and not self._waiting and (delay := self._idle_delay()) != 0:
                        self._changed.wait(delay)
                    request = min(self._waiting.values(), key=lambda each: each.urgency, default=None)
                if self._stopped:
                    break
                if request is not None:
                    self._run_request(request, explorer)
                    self._last_request = time.monotonic()
                elif self._calibration is not None:
                    self._run_step(self._calibration)
            if self._calibration is not None:
                self._calibration.close()
        except Exception as error:  # a bug: the app shows its traceback
            self._post(messages.Crashed(error))

    def _idle_delay(self) -> float | None:
        """Return the seconds until the calibration may continue; None when there is no calibration."""
        if self._calibration is None:
            return None
        return max(0.0, self._last_request + self._pause - time.monotonic())

    def _run_request(self, request: Request, explorer: Explorer) -> None:
        """Run a request until it is done or cancelled."""
        has_result = False

        def cancelled() -> bool:
            urgent = any(other.urgency < request.urgency for other in tuple(self._waiting.values()))
            return self._stopped or urgent or self._waiting.get(type(request)) is not request

        results = request.run(explorer, cancelled)
        try:
            while (message := next(results, None)) is not None:
                self._post(message)
                has_result = True
                if cancelled():
                    return
        except Cancelled:
            return
        except Exception as error:
            told = error if isinstance(error, AssetError) else AssetError.from_shortage("this query", error)
            if told is None:
                raise
            if cancelled():
                return
            self._post(messages.Failed(request, told, has_result))
        with self._changed:
            if self._waiting.get(type(request)) is request:
                del self._waiting[type(request)]

    def _run_step(self, calibration: Steps[None]) -> None:
        try:
            self._post(messages.Measured(next(calibration)))
            return
        except StopIteration:
            pass
        except Exception as error:  # background work may fail in any way: the list stays usable
            what = "the calibration failed and will be tried again at the next start"
            self._post(messages.BackgroundFailed(what, error))
        self._post(messages.Measured(None))
        with self._changed:
            if self._calibration is calibration:
                self._calibration = None
