"""Asker: one thread that answers the latest question and forgets those it overtook."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.explorer import Answer, Explorer
    from core.search import Ranking


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
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="asker")
        self._thread.start()

    def ask(self, question: Question) -> None:
        """Put a question in place of one that still waits."""
        with self._changed:
            self._waiting = question
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
                self._changed.wait_for(lambda: self._stopped or self._waiting is not None)
                if self._stopped:
                    return
                question, self._waiting = self._waiting, None
            assert question is not None
            try:
                answer = self._answer(question)
                if answer is not None:
                    self._answered(question, answer)
                    if answer.found is not None and not self._is_overtaken():
                        self._ordered(question, answer.found.order())
            except Exception as error:  # a bug: shown by the app, with its traceback
                self._failed(error)
                return

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
