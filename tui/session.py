"""Session: the current question, the method, and the queries asked so far. It does not know the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.ranking.filters import EVERY, Filter, FilterError
from core.ranking.methods import Choice
from tui.requests import Question
from tui.trail import How

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.answers import Answer
    from core.query import Query

_KEPT = 10  # hits of each answer


@dataclass(slots=True, eq=False)
class Visit:
    """One query that the person asked. Visits form a tree, in which each knows where the person came from."""

    text: str
    row: int | None
    """The caption that is the query; None for typed text."""
    how: How = "typed"
    """Followed visits were hits or variations of the visit before."""
    cursor: int | None = None
    """Place of the cursor when the person went to another query; None before that."""
    came_from: Visit | None = None
    went_to: Visit | None = None
    """The visit to which the person went from here last."""
    number: int = 0
    """Number of the visit in its session, from 0."""
    embedding: NDArray[np.floating] | None = None
    """Embedding of the query, (D,); None before its answer in this run, and where it has none."""
    step: float | None = None
    """Cosine distance from the query before, if it was followed from there; None where not known."""
    drift: float | None = None
    """Cosine distance from the first query of the walk; None where not known."""
    level: str | None = None
    """Level of the verdict; None where there is none."""
    is_answered: bool = False


@dataclass(slots=True)
class Session:
    """The state of the exploration. The methods that change the query return the question to ask."""

    method: Choice = "infersent"
    among: Filter = EVERY
    """Which captions may be found; its bookmarks are those of the moment when it is asked."""
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
    bookmarks: dict[int, str] = field(default_factory=dict)
    """Notes of the captions that the person marked, by row, the latest last."""
    pin: Query | None = None
    """The query whose distance to each later one is shown; None without a pin."""
    keep: Callable[[dict[str, Any]], object] = lambda event: None
    """Called with each visit, answer, move, bookmark and filter as JSON values."""
    _cursor_meanwhile: int | None = None  # place of the cursor until then

    @property
    def asked_among(self) -> Filter:
        """The filter with the bookmarks of this moment."""
        return self.among.with_bookmarks(self.bookmarks)

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

    def tree(self) -> list[tuple[Visit, int]]:
        """List all visits, each behind the one that it was followed from, with the number of branches above it."""
        followers: dict[Visit | None, list[Visit]] = {}
        for visit in self.visits:
            followers.setdefault(visit.came_from if visit.how == "followed" else None, []).append(visit)
        tree, waiting = [], [(visit, 0) for visit in reversed(followers.get(None, []))]
        while waiting:
            visit, depth = waiting.pop()
            tree.append((visit, depth))
            below = followers.get(visit, [])
            deeper = depth + (len(below) > 1 or visit.how != "followed")
            waiting += [(each, deeper) for each in reversed(below)]
        return tree

    def type(self, text: str, *, cursor: int) -> Question:
        """Ask a text that is being typed; `cursor` is the place of the cursor in the list shown so far."""
        self._save_cursor(cursor)
        self.is_typing = True
        return self._question(text, settled=False)

    def settle(self, typed: Question) -> Question | None:
        """Ask a typed text again after the typing has paused; None if something else was asked meanwhile."""
        return self._question(typed.text) if self.is_current(typed) else None

    def go(self, visit: Visit, *, cursor: int) -> Question:
        """Go to a new visit and ask it; `cursor` is the place of the cursor in the list shown so far."""
        self._save_cursor(cursor)
        visit.came_from = self.here
        visit.number = 1 + max((each.number for each in self.visits), default=-1)
        if self.here is not None:
            self.here.went_to = visit
        self.visits.append(visit)
        came_from = None if visit.came_from is None else visit.came_from.number
        event = {"visit": visit.number, "from": came_from, "how": visit.how, "text": visit.text, "row": visit.row}
        self.keep(event)
        return self._question_of(visit)

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

    def return_to(self, visit: Visit, *, cursor: int | None = None) -> Question:
        """Ask a visit again, with its cursor place; `cursor` is the place in the list shown so far."""
        if cursor is not None:
            self._save_cursor(cursor)
        self.keep({"at": visit.number})
        return self._question_of(visit)

    def restore(self, events: Iterable[dict[str, Any]], find_row: Callable[[int | None, str], int | None]) -> None:
        """Take over visits, bookmarks and the last filter of an earlier run; the last visit becomes the current one.

        `find_row` returns the row of a caption by its former row and its text; None if these captions lack it.
        """
        numbered: dict[int, Visit] = {}
        for event in events:
            if "visit" in event:
                before = numbered.get(event["from"])
                row = find_row(event["row"], event["text"])
                visit = Visit(event["text"], row, event["how"], came_from=before, number=event["visit"])
                if before is not None:
                    before.went_to = visit
                self.visits.append(visit)
                self.here = numbered[event["visit"]] = visit
            elif event.get("answer") in numbered:
                visit = numbered[event["answer"]]
                visit.step, visit.drift, visit.level = event["step"], event["drift"], event["level"]
            elif "filter" in event and "answer" not in event:
                with suppress(FilterError):  # a damaged one
                    self.among = Filter.parse(event["filter"])
            elif event.get("at") in numbered:
                self.here = numbered[event["at"]]
            elif "bookmark" in event and (row := find_row(event["bookmark"], event["text"])) is not None:
                self.bookmarks[row] = event["note"]
            elif "unbookmark" in event and (row := find_row(event["unbookmark"], event["text"])) is not None:
                self.bookmarks.pop(row, None)

    def pin_or_unpin(self, query: Query) -> None:
        """Pin a query in place of the one pinned before; if it is that, take the pin away."""
        self.pin = None if self.pin is not None and self.pin.text == query.text else query

    def bookmark(self, row: int, text: str, note: str) -> None:
        """Mark a caption, with a note that may be empty."""
        self.bookmarks.pop(row, None)
        self.bookmarks[row] = note
        self.keep({"bookmark": row, "text": text, "note": note})

    def remove_bookmark(self, row: int, text: str) -> None:
        """Take the mark of a caption away."""
        if self.bookmarks.pop(row, None) is not None:
            self.keep({"unbookmark": row, "text": text})

    def narrow(self, among: Filter) -> None:
        """Ask among other captions from now on."""
        if among.text != self.among.text:
            self.keep({"filter": among.text})
        self.among = among

    def _question_of(self, visit: Visit) -> Question:
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

    def note_answer(self, question: Question, answer: Answer, texts: Sequence[str] = ()) -> None:
        """Note that the answer to the latest question is shown; `texts` are the captions."""
        self.shown, here = question, self.here
        if here is None or self.is_typing:
            return
        here.embedding = answer.query.embedding
        if here.how == "followed":
            step, drift = _distance(here.came_from, here), _distance(self.walk[0], here)
            here.step, here.drift = here.step if step is None else step, here.drift if drift is None else drift
        level = answer.verdict.level if answer.verdict else None
        if here.is_answered and level in (None, here.level):
            return
        here.is_answered, here.level, hits = True, level, answer.hits
        values = hits.distances if hits.scores is None else hits.scores
        kept = [
            {"row": row, "caption": texts[row], "distance" if hits.scores is None else "score": float(value)}
            for row, value in zip(hits.rows[:_KEPT].tolist(), values[:_KEPT], strict=True)
        ]
        event = {"answer": here.number, "method": answer.method, "level": level}
        among = {"filter": answer.among.text} if answer.among.conditions else {}
        self.keep(event | among | {"step": here.step, "drift": here.drift, "hits": kept})

    @property
    def is_shown(self) -> bool:
        """Whether the answer to the latest question is shown."""
        return self.shown is not None and self.is_current(self.shown)

    def switch_method(self, steps: int, choices: Sequence[Choice]) -> None:
        """Select the method that is `steps` after the current one in the cyclic order of the choices."""
        self.method = choices[(choices.index(self.method) + steps) % len(choices)]

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
        here, shown = self.here, self.shown
        if here is None or shown is None or self.is_typing:
            return
        # Not `is_shown`: the query may have been asked again, as at the end of a calibration.
        if (shown.text, shown.method, shown.among.text) == (here.text, self.method, self.among.text):  # else of another
            here.cursor = cursor

    def _question(
        self, text: str, *, row: int | None = None, settled: bool = True, query: Query | None = None
    ) -> Question:
        self.serial += 1
        self.cursor_wanted = None
        return Question(self.serial, text, row, settled, self.method, query, self.asked_among)


def _distance(one: Visit | None, other: Visit) -> float | None:
    """Return the cosine distance of two visits; None where it is not known."""
    if one is None or one.embedding is None or other.embedding is None:
        return None
    from core.ranking.ranking import cosine_distance  # numpy is not loaded before the first frame

    return cosine_distance(one.embedding, other.embedding)
