"""Session: the current question, the method, and the trail of earlier queries. It does not know the screen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.ranking.methods import CHOICES, Choice
from tui.messages import Question
from tui.text import fit

if TYPE_CHECKING:
    from core.answers import Answer
    from core.query import Query


@dataclass(slots=True)
class Visit:
    """One query of the trail."""

    text: str
    row: int | None
    """The caption that is the query; None for typed text."""
    cursor: int | None = None
    """Place of the cursor when the person went to another query; None before that."""


@dataclass(slots=True)
class Session:
    """The state of the exploration. The methods that change the query return the question to ask."""

    method: Choice = "infersent"
    trail: list[Visit] = field(default_factory=list)
    """The queries from followed hits, random captions and submitted texts, the current one last."""
    is_typing: bool = False
    """Whether the latest question is typed text that is not part of the trail yet."""
    serial: int = 0
    """Serial number of the latest question."""
    shown: Question | None = None
    """The question whose answer is shown."""
    cursor_wanted: int | None = None
    """Place in the ranking where the cursor should go once that place is loaded."""
    _cursor_meanwhile: int | None = None  # place of the cursor until then

    @property
    def here(self) -> Visit | None:
        """The last query of the trail."""
        return self.trail[-1] if self.trail else None

    def trail_line(self, width: int) -> str:
        """Describe the last four queries in one line of at most `width` cells, the current one last."""
        steps = [visit.text for visit in self.trail[-4:]]
        if not steps:
            return ""
        more = "… › " if len(self.trail) > len(steps) else ""
        each = max(8, (width - len(more) - 3 * (len(steps) - 1)) // len(steps))
        return more + " › ".join(fit(text, each).rstrip() for text in steps)

    def type(self, text: str, *, cursor: int) -> Question:
        """Ask a text that is being typed; `cursor` is the place of the cursor in the list shown so far."""
        self._save_cursor(cursor)
        self.is_typing = True
        return self._question(text, settled=False)

    def settle(self, text: str) -> Question:
        """Ask a typed text again after the typing has paused."""
        return self._question(text)

    def go(self, visit: Visit, *, cursor: int) -> Question:
        """Append a query to the trail and ask it; `cursor` is the place of the cursor in the list shown so far."""
        self._save_cursor(cursor)
        self.trail.append(visit)
        return self._question_of(visit)

    def back(self) -> Question | None:
        """Return to the previous query and its cursor place; None when there is no previous query."""
        if not self.is_typing:
            if len(self.trail) < 2:
                return None
            self.trail.pop()
        return None if self.here is None else self._question_of(self.here)

    def again(self, answer: Answer | None, typed: str) -> Question | None:
        """Ask the shown answer's query, or the typed text, again; None when there is neither."""
        shown = self.shown
        if answer is not None and shown is not None and self.is_current(shown) and shown.settled:
            query = answer.query if answer.query.tokens or answer.query.terms else None
            return self._question(shown.text, row=shown.row, query=query)
        if self.is_typing:
            return self._question(typed)
        return None if self.here is None else self._question(self.here.text, row=self.here.row)

    @property
    def is_shown(self) -> bool:
        """Whether the answer to the latest question is shown."""
        return self.shown is not None and self.is_current(self.shown)

    def switch_method(self, steps: int) -> None:
        """Select the method that is `steps` after the current one in the cyclic order of `CHOICES`."""
        self.method = CHOICES[(CHOICES.index(self.method) + steps) % len(CHOICES)]

    def is_current(self, question: Question) -> bool:
        """Return whether a question is the latest one; answers to other questions are dropped."""
        return question.serial == self.serial

    def place_for_answer(self, hits: int) -> int | None:
        """Return the wanted cursor place when an answer with this many hits is shown; the place may lie beyond them."""
        wanted = self.cursor_wanted
        if wanted is not None and wanted < hits:
            self.cursor_wanted = None
        return wanted

    def note_cursor(self, place: int | None) -> None:
        """Remember where the cursor is while its wanted place is not loaded."""
        self._cursor_meanwhile = place

    def place_for_ranking(self, place: int | None) -> int | None:
        """Return the wanted cursor place when the whole ranking is shown; None if the person has moved the cursor."""
        wanted, self.cursor_wanted = self.cursor_wanted, None
        return wanted if place == self._cursor_meanwhile else None

    def _save_cursor(self, cursor: int) -> None:
        if self.here is not None and not self.is_typing and self.is_shown:  # else it is the cursor of another list
            self.here.cursor = cursor

    def _question_of(self, visit: Visit) -> Question:
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
