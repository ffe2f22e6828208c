"""Messages: what the threads tell the screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

from core.assets import AssetError

if TYPE_CHECKING:
    from core.answers import Answer, Explanation, FeatureWinners
    from core.explorer import Explorer
    from core.mapping import CorpusMap
    from core.ranking.comparison import Comparison
    from core.ranking.folds import Folding
    from core.ranking.ranking import Ranking
    from core.ranking.regions import Regions
    from core.store.progress import Progress
    from core.trust.stress import Stressed
    from tui.requests import (
        ComparisonRequest,
        DrawRequest,
        ExplanationRequest,
        FeatureRequest,
        FilterRequest,
        MapRequest,
        Question,
        RegionsRequest,
        Request,
        VariationsRequest,
    )


@dataclass
class Progressed(Message):
    """Loading made progress."""

    progress: Progress
    line: str
    """The progress as text, with rate and time left."""


@dataclass
class CorpusOpened(Message):
    """The corpus is open, and captions can be queries."""

    explorer: Explorer


@dataclass
class Warmed(Message):
    """The encoder and the other methods are loaded, except those that failed to load."""

    more_follows: bool = False
    """Whether a second encoder is still to come, with which the calibration is measured."""


@dataclass
class Refused(Message):
    """A file that the corpus needs cannot be used."""

    error: AssetError


@dataclass
class OpeningWanted(Message):
    """The person wants the files to be opened again."""


@dataclass
class Failed(Message):
    """A file that a request needs cannot be used, or the device failed."""

    request: Request
    error: AssetError
    has_result: bool
    """Whether a part of the result was posted before."""


@dataclass
class Answered(Message):
    """A question has its answer; `folding` belongs to the leading hits."""

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
    """The hits of a query by every method are known."""

    request: ComparisonRequest
    comparison: Comparison


@dataclass
class Varied(Message):
    """The variations of a text made progress; `stressed` is there at the end."""

    request: VariationsRequest
    progress: Progress | None
    stressed: Stressed | None


@dataclass
class Checked(Message):
    """A filter was checked; `problem` says what is wrong with it, empty for nothing."""

    request: FilterRequest
    problem: str


@dataclass
class Drawn(Message):
    """A random caption is drawn, or there is none."""

    request: DrawRequest
    row: int | None
    problem: str = ""


@dataclass
class Mapped(Message):
    """The placing of captions on a plane made progress; at the end, `corpus_map` is there, or what is wrong."""

    request: MapRequest
    progress: Progress | None
    corpus_map: CorpusMap | None
    problem: str = ""


@dataclass
class Divided(Message):
    """The division of the captions into regions made progress; `regions` are there at the end."""

    request: RegionsRequest
    progress: Progress | None
    regions: Regions | None


@dataclass
class FeatureFound(Message):
    """What a feature responds to is known."""

    request: FeatureRequest
    winners: FeatureWinners


@dataclass
class Measured(Message):
    """The calibration made progress; `progress` is None at its end."""

    progress: Progress | None


@dataclass
class BackgroundFailed(Message):
    """Background work failed; the list stays usable, and the next start tries again."""

    what: str
    """What does not work now, as a clause."""
    error: Exception


@dataclass
class Crashed(Message):
    """A thread raised an unexpected error."""

    error: Exception
