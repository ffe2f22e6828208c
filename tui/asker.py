"""Asker: one thread that answers the latest question, forgets those it overtook, and does slow work between them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.store.progress import Cancelled

if TYPE_CHECKING:
    from core.answers import Answer, Explanation
    from core.explorer import Explorer
    from core.ranking.comparison import Comparison
    from core.ranking.folds import Folding
    from core.ranking.methods import Choice
    from core.ranking.ranking import Ranking
    from core.store.progress import Progress, Steps

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
    method: Choice = "infersent"
    """How to compare the captions."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A hit that the person wonders about."""

    serial: int
    """Of the question that it answers."""
    answer: Answer
    """That question's answer."""
    row: int
    """The hit."""


@dataclass(frozen=True, slots=True)
class Contest:
    """A query that the person wants to see answered by every method."""

    text: str
    """As asked."""
    row: int | None
    """The caption asked; None for typed text."""


class Asker:
    """Answers questions on a thread of its own, the latest first; a question that is overtaken is never begun.

    Args:
        explorer: A prepared explorer, used by this thread alone from now on.
        answered: Called on the thread with each answer, and how its leading hits fold; while the encoder is not loaded,
            with a caption's hits before.
        ordered: Called on the thread with the whole ranking, when no newer question waits, and how it folds.
        explained: Called on the thread with the explanation of a hit, when no newer question or doubt waits.
        compared: Called on the thread with the lists of every method, when no newer question waits.
        failed: Called on the thread when an answer raised.
    """

    def __init__(
        self,
        explorer: Explorer,
        *,
        answered: Callable[[Question, Answer, Folding], object],
        ordered: Callable[[Question, Ranking, Folding], object],
        explained: Callable[[Doubt, Explanation], object],
        compared: Callable[[Contest, Comparison], object],
        failed: Callable[[Exception], object],
    ) -> None:
        self._explorer = explorer
        self._answered = answered
        self._ordered = ordered
        self._explained = explained
        self._compared = compared
        self._failed = failed
        self._changed = threading.Condition()
        self._waiting: Question | None = None
        self._doubt: Doubt | None = None
        self._contest: Contest | None = None
        self._work: Steps[None] | None = None
        self._worked: Callable[[Progress | None], object] = lambda progress: None
        self._work_failed: Callable[[Exception], object] = lambda error: None
        self._asked = 0.0  # when the last question was answered
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="asker")
        self._thread.start()

    def ask(self, question: Question) -> None:
        """Put a question in place of one that still waits; a doubt about an answer before it is dropped."""
        with self._changed:
            self._waiting, self._doubt = question, None
            self._changed.notify()

    def explain(self, doubt: Doubt) -> None:
        """Put a doubt in place of one that still waits, behind a question that does."""
        with self._changed:
            self._doubt = doubt
            self._changed.notify()

    def compare(self, contest: Contest | None) -> None:
        """Put a contest in place of the one before, behind a question that waits; None when nobody looks any longer."""
        with self._changed:
            self._contest = contest
            self._changed.notify()

    def work_on(
        self,
        steps: Steps[None],
        worked: Callable[[Progress | None], object],
        *,
        failed: Callable[[Exception], object],
    ) -> None:
        """Do slow work, a step at a time, whenever no question has come for a while.

        Args:
            steps: The work.
            worked: Called on the thread with each step, and with None at the end.
            failed: Called on the thread when the work raised; questions are answered as before.
        """
        with self._changed:
            self._work, self._worked, self._work_failed = steps, worked, failed
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
                while not self._is_wanted() and (rest := self._rest()) != 0:
                    self._changed.wait(rest)
                question, self._waiting, work = self._waiting, None, self._work
                contest = doubt = None
                if question is None:
                    contest = self._contest
                if question is None and contest is None:
                    doubt, self._doubt = self._doubt, None
            try:
                if self._stopped:
                    if work is not None:
                        work.close()
                    return
                if question is not None:
                    self._take(question)
                elif contest is not None:
                    self._take_contest(contest)
                elif doubt is not None:
                    self._take_doubt(doubt)
                elif work is not None:
                    self._go_on(work)
                if question is not None or contest is not None or doubt is not None:
                    self._asked = time.monotonic()
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
        except Exception as error:  # background work may fail in any way: the list stays usable
            with self._changed:
                self._work = None
            self._work_failed(error)
        else:
            self._worked(progress)

    def _is_wanted(self) -> bool:
        return self._is_overtaken() or self._contest is not None or self._doubt is not None

    def _is_overtaken(self) -> bool:
        return self._stopped or self._waiting is not None

    def _take(self, question: Question) -> None:
        answer = self._answer(question)
        if answer is None:
            return
        self._show(question, answer)
        if answer.found is not None and not self._is_overtaken():
            ranking = answer.found.order()
            self._ordered(question, ranking, self._explorer.folds.fold(ranking.rows))
        if not self._is_overtaken():
            self._explorer.remember()

    def _show(self, question: Question, answer: Answer) -> None:
        self._answered(question, answer, self._explorer.folds.fold(answer.hits.rows))

    def _take_doubt(self, doubt: Doubt) -> None:
        def given_up() -> bool:
            return self._is_overtaken() or self._doubt is not None

        try:
            explanation = self._explorer.explain(doubt.answer, doubt.row, cancelled=given_up)
        except Cancelled:
            return
        if not given_up():
            self._explained(doubt, explanation)

    def _take_contest(self, contest: Contest) -> None:
        def given_up() -> bool:
            return self._is_overtaken() or self._contest is not contest

        try:
            comparison = self._explorer.compare(contest.text, row=contest.row, cancelled=given_up)
        except Cancelled:
            return  # begun again when the question is answered, unless it was dropped
        with self._changed:
            if self._contest is contest:
                self._contest = None
        self._compared(contest, comparison)

    def _answer(self, question: Question) -> Answer | None:
        try:
            if question.row is not None:
                answer = self._explorer.neighbours(question.row, method=question.method)
                if not self._explorer.is_encoder_loaded:
                    self._show(question, answer)
                return self._explorer.complete(answer, cancelled=self._is_overtaken)
            return self._explorer.ask(
                question.text, method=question.method, settled=question.settled, cancelled=self._is_overtaken
            )
        except Cancelled:
            return None
