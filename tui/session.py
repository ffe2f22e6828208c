"""Session: the current question, the method, and the queries asked so far. It does not know the screen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from core.ranking.methods import CHOICES, Choice
from tui.messages import Question

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.answers import Answer
    from core.query import Query

How = Literal["typed", "random", "followed"]


@dataclass(slots=True, eq=False)
class Visit:
    """One query that the person asked. Visits form a tree, in which each knows where the person came from."""

    text: str
    row: int | None
    """The caption that is the query; None for typed text."""
    how: How = "typed"
    """Followed visits were hits of the visit before."""
    cursor: int | None = None
    """Place of the cursor when the person went to another query; None before that."""
    came_from: Visit | None = None
    went_to: Visit | None = None
    """The visit to which the person went from here last."""
    embedding: NDArray[np.floating] | None = None
    """Embedding of the query, (D,); None before its answer, and where it has none."""


@dataclass(slots=True)
class Session:
    """The state of the exploration. The methods that change the query return the question to ask."""

    method: Choice = "infersent"
    here: Visit | None = None
    """The current query, or the last one if a text is being typed."""
    visits: list[Visit] = field(default_factory=list)
    """All queries from followed hits, random captions and submitted texts, in the order in which they were asked."""
    is_typing: bool = False
    """Whether the latest question is typed text that is no visit yet."""
    serial: int = 0
    """Serial number of the latest question."""
    shown: Question | None = None
    """The question whose answer is shown."""
    cursor_wanted: int | None = None
    """Place in the ranking where the cursor should go once that place is loaded."""
    _cursor_meanwhile: int | None = None  # place of the cursor until then

    @property
    def path(self) -> list[Visit]:
        """The visits through which the person came here, the first one first."""
        path, at = [], self.here
        while at is not None:
            path.append(at)
            at = at.came_from
        return path[::-1]

    @property
    def walk(self) -> list[Visit]:
        """The end of the path since the person last asked a text or a random caption: that query and its followers."""
        path = self.path
        first = max((i for i, visit in enumerate(path) if visit.how != "followed"), default=0)
        return path[first:]

    def drift(self) -> float | None:
        """Return the cosine distance from the first query of the walk to the current one; None where not known."""
        walk = self.walk
        if not walk or walk[0].embedding is None or walk[-1].embedding is None:
            return None
        from core.ranking.ranking import cosine_distance  # numpy is not loaded before the first frame

        return cosine_distance(walk[0].embedding, walk[-1].embedding)

    def type(self, text: str, *, cursor: int) -> Question:
        """Ask a text that is being typed; `cursor` is the place of the cursor in the list shown so far."""
        self._save_cursor(cursor)
        self.is_typing = True
        return self._question(text, settled=False)

    def settle(self, text: str) -> Question:
        """Ask a typed text again after the typing has paused."""
        return self._question(text)

    def go(self, visit: Visit, *, cursor: int) -> Question:
        """Go to a new visit and ask it; `cursor` is the place of the cursor in the list shown so far."""
        self._save_cursor(cursor)
        visit.came_from = self.here
        if self.here is not None:
            self.here.went_to = visit
        self.visits.append(visit)
        return self.return_to(visit)

    def back(self, *, cursor: int) -> Question | None:
        """Return to the previous query and its cursor place; None when there is no previous query."""
        self._save_cursor(cursor)
        to = self.here if self.is_typing else self.here and self.here.came_from
        return None if to is None else self.return_to(to)

    def forward(self, *, cursor: int) -> Question | None:
        """Go again to where the person went from the current query; None when that was nowhere."""
        self._save_cursor(cursor)
        to = self.here and self.here.went_to
        return None if to is None else self.return_to(to)

    def return_to(self, visit: Visit) -> Question:
        """Ask a visit again, with its cursor place."""
        self.here, self.is_typing = visit, False
        question = self._question(visit.text, row=visit.row)
        self.cursor_wanted = visit.cursor
        return question

    def again(self, answer: Answer | None, typed: str) -> Question | None:
        """Ask the shown answer's query, or the typed text, again; None when there is neither."""
        shown = self.shown
        if answer is not None and shown is not None and self.is_current(shown) and shown.settled:
            query = answer.query if answer.query.tokens or answer.query.terms else None
            return self._question(shown.text, row=shown.row, query=query)
        if self.is_typing:
            return self._question(typed)
        return None if self.here is None else self._question(self.here.text, row=self.here.row)

    def note_answer(self, question: Question, answer: Answer) -> None:
        """Note that the answer to the latest question is shown."""
        self.shown = question
        if self.here is not None and not self.is_typing:
            self.here.embedding = answer.query.embedding

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

    def _question(
        self, text: str, *, row: int | None = None, settled: bool = True, query: Query | None = None
    ) -> Question:
        self.serial += 1
        self.cursor_wanted = None
        return Question(self.serial, text, row, settled, self.method, query)
