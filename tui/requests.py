"""Requests: what the screen asks core to do.

`Asker` iterates the `run` method of a request on its thread and posts each message that it yields. To add a kind of
request, add its class here, its message to `messages`, and a handler on the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Protocol

from core.assets import AssetError
from core.ranking.axes import Axes, AxesError
from core.ranking.filters import EVERY, Filter, FilterError
from core.store.progress import Cancelled, finish, follow
from tui.messages import (
    Answered,
    Checked,
    Compared,
    Divided,
    Drawn,
    Explained,
    FeatureFound,
    Mapped,
    Ordered,
    Varied,
)

if TYPE_CHECKING:
    from random import Random

    from textual.message import Message

    from core.answers import Answer
    from core.explorer import Explorer
    from core.query import Query
    from core.ranking.methods import Choice, Method
    from core.store.progress import Progress


class Request(Protocol):
    """Work that the screen asks core to do."""

    urgency: ClassVar[int]
    """Requests with a smaller number are run first."""

    def run(self, explorer: Explorer, cancelled: Callable[[], bool]) -> Iterator[Message]:
        """Do the work and yield messages to post. The caller stops the iteration once `cancelled` returns True.

        Raises:
            Cancelled: `cancelled` returned True.
            AssetError: A file that the work needs cannot be used, or the device fails.
        """


@dataclass(frozen=True, slots=True)
class Question:
    """A request for the hits of a text or caption."""

    urgency: ClassVar[int] = 0
    serial: int
    """Serial number; it increases with each question."""
    text: str
    row: int | None = None
    """The caption that is the query; None for typed text."""
    settled: bool = True
    """False while the text is being typed."""
    method: Choice = "infersent"
    query: Query | None = None
    """The complete query if an earlier answer to the same text has it, so that it is not encoded again."""
    among: Filter = EVERY
    """Which captions may be found."""

    def run(self, explorer: Explorer, cancelled: Callable[[], bool]) -> Iterator[Message]:
        """Answer, then rank all captions, then store the query in the cache."""
        if self.query is not None:
            answer = explorer.answer(self.query, method=self.method, among=self.among, cancelled=cancelled)
        elif self.row is None:
            ask = partial(explorer.ask, method=self.method, among=self.among, cancelled=cancelled)
            answer = ask(self.text, settled=self.settled)
        else:
            answer = explorer.neighbours(self.row, method=self.method, among=self.among)
            if not explorer.opened.text_encoder.is_loaded:
                yield self._answered(explorer, answer)
            try:
                answer = explorer.complete(answer, cancelled=cancelled)
            except AssetError:  # the list needs no encoder
                yield from self._ordered(explorer, answer)
                raise
        yield self._answered(explorer, answer)
        yield from self._ordered(explorer, answer)
        explorer.queries.remember()

    def _answered(self, explorer: Explorer, answer: Answer) -> Answered:
        return Answered(self, answer, explorer.opened.folds.fold(answer.hits.rows))

    def _ordered(self, explorer: Explorer, answer: Answer) -> Iterator[Ordered]:
        if answer.found is not None and answer.found.order is not None:
            ranking = answer.found.order()
            yield Ordered(self, ranking, explorer.opened.folds.fold(ranking.rows))


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request for more hits of a store, which are not ranked all at once."""

    urgency: ClassVar[int] = 1
    question: Question
    answer: Answer
    count: int
    """Number of hits to rank."""

    def run(self, explorer: Explorer, cancelled: Callable[[], bool]) -> Iterator[Message]:
        """Rank them."""
        if self.answer.found is not None and self.answer.found.up_to is not None:
            ranking = self.answer.found.up_to(self.count)
            yield Ordered(self.question, ranking, explorer.opened.folds.fold(ranking.rows))


@dataclass(frozen=True, slots=True)
class ExplanationRequest:
    """A request to explain why a hit is near."""

    urgency: ClassVar[int] = 2
    serial: int
    """Serial number of the question whose answer contains the hit."""
    answer: Answer
    row: int
    """The caption of the hit."""

    def run(self, explorer: Explorer, cancelled: Callable[[], bool]) -> Iterator[Message]:
        """Compute the explanation."""
        yield Explained(self, explorer.explainer.explain(self.answer, self.row, cancelled=cancelled))


@dataclass(frozen=True, slots=True)
class ComparisonRequest:
    """A request for the hits of every method, side by side."""

    urgency: ClassVar[int] = 1
    query: Query
    among: Filter = EVERY
    """Which captions may be found."""

    def run(self, explorer: Explorer, cancelled: Callable[[], bool]) -> Iterator[Message]:
        """Find the hits of every method."""
        yield Compared(self, explorer.compare(self.query, among=self.among, cancelled=cancelled))


@dataclass(frozen=True, slots=True)
class VariationsRequest:
    """A request for the variations of a text."""

    urgency: ClassVar[int] = 1
    text: str
    method: Choice = "infersent"
    """`against` for the second encoder; the first asks them for every other method."""

    def run(self, explorer: Explorer, cancelled: Callable[[], bool]) -> Iterator[Message]:
        """Ask the variations, and report how far that is."""
        steps = explorer.stress(self.text, method=self.method)
        stressed = yield from follow(steps, lambda progress: Varied(self, progress, None))
        yield Varied(self, None, stressed)


@dataclass(frozen=True, slots=True)
class FeatureRequest:
    """A request for what a feature of the embeddings responds to."""

    urgency: ClassVar[int] = 1
    number: int
    method: Method = "infersent"
    """`against` for a feature of the second encoder."""

    def run(self, explorer: Explorer, cancelled: Callable[[], bool]) -> Iterator[Message]:
        """Find the captions in which it is greatest, and the words on which it falls."""

        def check(progress: Progress) -> None:
            if cancelled():
                raise Cancelled

        yield FeatureFound(self, finish(explorer.explainer.feature(self.number, method=self.method), check))


@dataclass(frozen=True, slots=True)
class FilterRequest:
    """A request to check a filter before only captions that meet it are searched."""

    urgency: ClassVar[int] = 0
    among: Filter
    is_typed: bool
    """Whether it was typed, and can be mended there."""

    def run(self, explorer: Explorer, cancelled: Callable[[], bool]) -> Iterator[Message]:
        """Check it."""
        problem = ""
        try:
            explorer.check(self.among)
        except (FilterError, AssetError) as error:  # a store may be gone
            problem = str(error)
        yield Checked(self, problem)


@dataclass(frozen=True, slots=True)
class DrawRequest:
    """A request for a random caption that meets a filter."""

    urgency: ClassVar[int] = 1
    serial: int
    """Serial number of the question before it."""
    among: Filter
    other_than: int | None
    """A row to avoid."""
    rng: Random | None
    """None for a new one."""

    def run(self, explorer: Explorer, cancelled: Callable[[], bool]) -> Iterator[Message]:
        """Draw it."""
        try:
            yield Drawn(self, explorer.random_row(self.rng, other_than=self.other_than, among=self.among))
        except AssetError as error:
            yield Drawn(self, None, error.found)


@dataclass(frozen=True, slots=True)
class MapRequest:
    """A request for the places of all captions on a plane."""

    urgency: ClassVar[int] = 3
    axes: Axes | None = None
    """None for the principal plane."""

    def run(self, explorer: Explorer, cancelled: Callable[[], bool]) -> Iterator[Message]:
        """Place them, and report how far that is."""
        steps = explorer.mapper.principal() if self.axes is None else explorer.mapper.between(self.axes)
        try:
            corpus_map = yield from follow(steps, lambda progress: Mapped(self, progress, None))
        except AxesError as error:
            yield Mapped(self, None, None, str(error))
        else:
            yield Mapped(self, None, corpus_map)


@dataclass(frozen=True, slots=True)
class RegionsRequest:
    """A request for the regions of the captions."""

    urgency: ClassVar[int] = 3

    def run(self, explorer: Explorer, cancelled: Callable[[], bool]) -> Iterator[Message]:
        """Find them, and report how far that is."""
        regions = yield from follow(explorer.mapper.regions(), lambda progress: Divided(self, progress, None))
        yield Divided(self, None, regions)
