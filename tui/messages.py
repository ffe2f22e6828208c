"""Messages: what the screen asks of core, and the messages that answer it.

A request does its own work: `Asker` iterates it on its thread and posts what it yields. A new kind of request is a
request class here, and a handler for its message on the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from textual.message import Message

if TYPE_CHECKING:
    from core.answers import Answer, Explanation
    from core.assets import AssetError
    from core.explorer import Explorer
    from core.query import Query
    from core.ranking.comparison import Comparison
    from core.ranking.folds import Folding
    from core.ranking.methods import Choice
    from core.ranking.ranking import Ranking
    from core.store.progress import Progress


class Request(Protocol):
    """Something that the screen asks of core."""

    def run(self, explorer: Explorer, cancelled: Callable[[], bool]) -> Iterator[Message]:
        """Do the work.

        Args:
            explorer: Answers.
            cancelled: Tells whether nobody wants the result any longer.

        Yields:
            Messages to post. It is not resumed once `cancelled` is true.

        Raises:
            Cancelled: `cancelled` said so.
            AssetError: It cannot be done.
        """


@dataclass(frozen=True, slots=True)
class Question:
    """A request for the neighbours of a text or caption."""

    serial: int
    """Later questions have larger ones."""
    text: str
    """The typed text, or the caption's."""
    row: int | None = None
    """The caption asked; None for typed text."""
    settled: bool = True
    """False while the text is being typed."""
    method: Choice = "infersent"
    """How to compare the captions."""
    query: Query | None = None
    """The complete query of an answer to the same text, where there is one: it is not made again."""

    def run(self, explorer: Explorer, cancelled: Callable[[], bool]) -> Iterator[Message]:
        """Answer, then rank all captions, then remember the query on disk."""
        if self.query is not None:
            answer = explorer.answer(self.query, method=self.method)
        elif self.row is None:
            answer = explorer.ask(self.text, method=self.method, settled=self.settled, cancelled=cancelled)
        else:
            answer = explorer.neighbours(self.row, method=self.method)
            if not explorer.opened.text_encoder.is_loaded:
                yield self._answered(explorer, answer)
            answer = explorer.complete(answer, cancelled=cancelled)
        yield self._answered(explorer, answer)
        if answer.found is not None and answer.found.order is not None:
            ranking = answer.found.order()
            yield Ordered(self, ranking, explorer.opened.folds.fold(ranking.rows))
        explorer.queries.remember()

    def _answered(self, explorer: Explorer, answer: Answer) -> Answered:
        return Answered(self, answer, explorer.opened.folds.fold(answer.hits.rows))


@dataclass(frozen=True, slots=True)
class ExplanationRequest:
    """A request to explain why a hit is near."""

    serial: int
    """Of the question whose answer holds the hit."""
    answer: Answer
    """That answer."""
    row: int
    """The hit."""

    def run(self, explorer: Explorer, cancelled: Callable[[], bool]) -> Iterator[Message]:
        """Explain the hit."""
        yield Explained(self, explorer.explain(self.answer, self.row, cancelled=cancelled))


@dataclass(frozen=True, slots=True)
class ComparisonRequest:
    """A request for the hits of every method, side by side."""

    query: Query
    """What is compared."""

    def run(self, explorer: Explorer, cancelled: Callable[[], bool]) -> Iterator[Message]:
        """Compare the methods."""
        yield Compared(self, explorer.compare(self.query, cancelled=cancelled))


@dataclass
class Progressed(Message):
    """Loading went on."""

    progress: Progress
    line: str
    """The progress as a line for people."""


@dataclass
class CorpusOpened(Message):
    """Captions can be asked."""

    explorer: Explorer


@dataclass
class Warmed(Message):
    """What typed texts and the other methods need is loaded, as far as it can be."""


@dataclass
class Refused(Message):
    """A file cannot be used, and what was asked needs it."""

    error: AssetError


@dataclass
class Answered(Message):
    """A question has its answer; its leading hits fold in the given ways."""

    question: Question
    answer: Answer
    folding: Folding


@dataclass
class Ordered(Message):
    """A question has its whole ranking."""

    question: Question
    ranking: Ranking
    folding: Folding


@dataclass
class Explained(Message):
    """A hit has its explanation."""

    request: ExplanationRequest
    explanation: Explanation


@dataclass
class Compared(Message):
    """A query has its hits by every method."""

    request: ComparisonRequest
    comparison: Comparison


@dataclass
class Measured(Message):
    """The calibration made a step; None at its end."""

    progress: Progress | None


@dataclass
class BackgroundFailed(Message):
    """Work in the background failed; the list stays usable, and the next start tries again."""

    what: str
    """What is missing now, a phrase."""
    error: Exception


@dataclass
class Crashed(Message):
    """A thread raised an unexpected error."""

    error: Exception
