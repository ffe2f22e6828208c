"""Session: what is asked, by which method, and how the person came there; knows nothing of the screen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.ranking.methods import CHOICES, Choice
from tui.messages import Question
from tui.trail import Trail, Visit

if TYPE_CHECKING:
    from core.answers import Answer
    from core.query import Query


@dataclass(slots=True)
class Session:
    """The state of asking. Each method that leads to another question returns it; who has it asked shows its answer."""

    method: Choice = "infersent"
    """How captions are compared."""
    trail: Trail = field(default_factory=Trail)
    """Followed hits, random captions and submitted texts."""
    is_typing: bool = False
    """Whether typed text is shown that is no step of the trail yet."""
    serial: int = 0
    """Of the latest question."""
    shown: Question | None = None
    """The question whose answer is shown."""
    cursor_wanted: int | None = None
    """A place in the ranking to go to once it is there."""
    _cursor_meanwhile: int | None = None  # where the cursor waits for that

    def type(self, text: str, *, cursor: int) -> Question:
        """Ask a text that is being typed; `cursor` is the place that the person leaves."""
        if not self.is_typing:
            self.trail.leave(cursor)
            self.is_typing = True
        return self._question(text, settled=False)

    def settle(self, text: str) -> Question:
        """Ask a typed text again, as the typing rests."""
        return self._question(text)

    def go(self, visit: Visit, *, cursor: int) -> Question:
        """Go on to another query; `cursor` is the place that the person leaves."""
        if not self.is_typing:
            self.trail.leave(cursor)
        self.trail.go(visit)
        return self._present(visit)

    def back(self) -> Question | None:
        """Return to the query before, and to where the cursor was; None when there is none."""
        visit = self.trail.here if self.is_typing else self.trail.back()
        return None if visit is None else self._present(visit)

    def again(self, answer: Answer | None, typed: str) -> Question | None:
        """Ask the same again, by another method or after a calibration; None when nothing is asked.

        Args:
            answer: What is shown.
            typed: The text in the box.
        """
        shown = self.shown
        if answer is not None and shown is not None and self.is_current(shown) and shown.settled:
            query = answer.query if answer.query.tokens or answer.query.terms else None
            return self._question(shown.text, row=shown.row, query=query)
        if self.is_typing:
            return self._question(typed)
        here = self.trail.here
        return None if here is None else self._question(here.text, row=here.row)

    @property
    def is_shown(self) -> bool:
        """Whether the answer to the latest question is shown."""
        return self.shown is not None and self.is_current(self.shown)

    def turn(self, steps: int) -> None:
        """Take another method, so many further in the order of `CHOICES`."""
        self.method = CHOICES[(CHOICES.index(self.method) + steps) % len(CHOICES)]

    def is_current(self, question: Question) -> bool:
        """Whether a question is the latest one: answers to others are dropped."""
        return question.serial == self.serial

    def arrive(self, hits: int) -> int | None:
        """Return the wanted place when an answer with so many leading hits is shown; the rest may bring it nearer."""
        wanted = self.cursor_wanted
        if wanted is not None and wanted < hits:
            self.cursor_wanted = None
        return wanted

    def wait_at(self, place: int | None) -> None:
        """Note where the cursor waits for a wanted place that is not there yet."""
        self._cursor_meanwhile = place

    def arrive_in_order(self, place: int | None) -> int | None:
        """Return the wanted place when the whole order is shown; None when the person moved the cursor meanwhile."""
        wanted, self.cursor_wanted = self.cursor_wanted, None
        return wanted if place == self._cursor_meanwhile else None

    def _present(self, visit: Visit) -> Question:
        self.is_typing = False
        question = self._question(visit.text, row=visit.row)
        self.cursor_wanted = visit.cursor
        return question

    def _question(
        self, text: str, *, row: int | None = None, settled: bool = True, query: Query | None = None
    ) -> Question:
        self.serial += 1
        self.cursor_wanted = None
        return Question(self.serial, text, row, settled, self.method, query)
