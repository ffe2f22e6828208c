"""Asker: one thread that answers the latest question, forgets those it overtook, and does slow work between them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.explorer import Answer, Explorer
    from core.progress import Progress, Steps
    from core.search import Ranking

_REST_SECONDS = 1.0  # without a question, before slow work goes on


@dataclass(frozen=True, slots=True)
class Question:
    """What the person wants to see the neighbours of."""

    serial: int
    """Later questions have larger ones."""
    text: str
    """The typed text; empty when a caption is asked by its row."""
    row: int | None = None
    """The caption asked; None for typed text."""
    settled: bool = True
    """False while the text is being typed."""


class Asker:
    """Answers questions on a thread of its own, the latest first; a question that is overtaken is never begun.

    Args:
        explorer: A prepared explorer, used by this thread alone from now on.
        answered: Called on the thread with each answer; while the encoder is not loaded, with a caption's hits before.
        ordered: Called on the thread with the whole ranking, when no newer question waits.
        failed: Called on the thread when an answer raised.
    """

    def __init__(
        self,
        explorer: Explorer,
        *,
        answered: Callable[[Question, Answer], object],
        ordered: Callable[[Question, Ranking], object],
        failed: Callable[[Exception], object],
    ) -> None:
        self._explorer = explorer
        self._answered = answered
        self._ordered = ordered
        self._failed = failed
        self._changed = threading.Condition()
        self._waiting: Question | None = None
        self._work: Steps[None] | None = None
        self._worked: Callable[[Progress | None], object] = lambda progress: None
        self._asked = 0.0  # when the last question was answered
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="asker", daemon=True)
        self._thread.start()

    def ask(self, question: Question) -> None:
        """Put a question in place of one that still waits."""
        with self._changed:
            self._waiting = question
            self._changed.notify()

    def work_on(self, steps: Steps[None], worked: Callable[[Progress | None], object]) -> None:
        """Do slow work, a step at a time, whenever no question has come for a while.

        Args:
            steps: The work.
            worked: Called on the thread with each step, and with None at the end.
        """
        with self._changed:
            self._work, self._worked = steps, worked
            self._changed.notify()

    def stop(self) -> None:
        """End the thread after the answer it is at."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def join(self, seconds: float) -> None:
        """Wait so long for the end."""
        self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._is_overtaken() and (rest := self._rest()) != 0:
                    self._changed.wait(rest)
                question, self._waiting, work = self._waiting, None, self._work
            try:
                if self._stopped:
                    if work is not None:
                        work.close()
                    return
                if question is not None:
                    self._reply(question)
                    self._asked = time.monotonic()
                elif work is not None:
                    self._go_on(work)
            except Exception as error:  # an AssetError, or a bug: shown by the app
                self._failed(error)
                return

    def _rest(self) -> float | None:
        """Seconds until slow work may go on; None when there is none."""
        return None if self._work is None else max(0.0, self._asked + _REST_SECONDS - time.monotonic())

    def _go_on(self, work: Steps[None]) -> None:
        try:
            progress = next(work)
        except StopIteration:
            with self._changed:
                self._work = None
            self._worked(None)
        else:
            self._worked(progress)

    def _reply(self, question: Question) -> None:
        answer = self._answer(question)
        if answer is not None:
            self._answered(question, answer)
            if answer.found is not None and not self._is_overtaken():
                self._ordered(question, answer.found.order())

    def _is_overtaken(self) -> bool:
        return self._stopped or self._waiting is not None

    def _answer(self, question: Question) -> Answer | None:
        from core.encoder import Cancelled

        try:
            if question.row is not None:
                answer = self._explorer.neighbours(question.row)
                if not self._explorer.is_encoder_loaded:
                    self._answered(question, answer)
                return self._explorer.complete(answer, cancelled=self._is_overtaken)
            return self._explorer.ask(question.text, settled=question.settled, cancelled=self._is_overtaken)
        except Cancelled:
            return None
