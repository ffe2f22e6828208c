"""Answers: values, free of torch, with all that the screen or `--json` shows about a query or a hit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.query import Query, Token
from core.ranking.agreement import Agreement
from core.ranking.filters import EVERY, Filter
from core.ranking.methods import Method
from core.ranking.ranking import Allowed, Found, Ranking

if TYPE_CHECKING:
    from core.trust.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a hit is near the query."""

    row: int
    """Row of the explained caption."""
    tokens: tuple[Token, ...] = ()
    """Tokens without the sentence marks; none without an encoder."""
    marks_importance: float = 0.0
    """Share of the features whose maximum falls on the two sentence marks, 0..1."""
    agreement: Agreement | None = None
    """Cosine split by pairs of words; None for sums and features, where the cosine is not clearly positive, and without
    an encoder."""
    falls_on: str | None = None
    """The word on which the asked feature falls, empty for a sentence mark; None for other queries."""


@dataclass(frozen=True, slots=True)
class FeatureWinners:
    """What a feature of the embeddings responds to in a corpus."""

    number: int
    hits: Ranking
    """The captions in whose unit embeddings it is greatest."""
    words: tuple[str, ...]
    """The word of each hit on which it falls; empty for a sentence mark."""


def _no_words(text: str) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Answer:
    """All that the screen or `--json` shows about one query."""

    query: Query
    method: Method
    found: Found | None = None
    """The result of the search; None when the method cannot compare the query with any caption."""
    among: Filter = EVERY
    """Which captions were searched."""
    allowed: Allowed | None = None
    """The captions that meet this filter; None for no filter."""
    verdict: Verdict | None = None
    """How far the hits can be trusted; None for an empty query, and for `Explorer.neighbours` until
    `Explorer.complete`."""
    closer_than: NDArray[np.float64] | None = None
    """For each leading hit, the share of random captions that are farther from the query, 0..1, (K,). None before a
    calibration, for sums, and for other methods than `infersent`."""
    relevant_within: float | None = None
    """Distance from the query within which 1 of 100 random captions is; None where `closer_than` is None."""
    shared_words: Callable[[str], tuple[str, ...]] = _no_words
    """Function from the text of a caption to those of its words, as written, whose stem the query has. It returns
    none until the other methods are open."""
    timings_ms: dict[str, float]
    """Milliseconds by step: `tokenize`, `encode`, `search`, `total`."""

    @property
    def hits(self) -> Ranking:
        """The leading hits."""
        return Ranking.empty() if self.found is None else self.found.leading

    @property
    def searched(self) -> int | None:
        """Number of captions that meet the filter; None for no filter."""
        return None if self.allowed is None else self.allowed.count


class Stopwatch:
    """Measures the steps that answer one question, and adds them to the times of `earlier` steps."""

    def __init__(self, earlier: dict[str, float] | None = None) -> None:
        self._start = self._last = time.perf_counter()
        self._laps = dict(earlier or {})
        self._earlier = self._laps.pop("total", 0.0)

    def lap(self, step: str) -> None:
        """End a step and store its time."""
        now = time.perf_counter()
        self._laps[step] = round((now - self._last) * 1000, 3)
        self._last = now

    def timings(self) -> dict[str, float]:
        """Return the milliseconds of each step and their `total`."""
        total = self._earlier + (time.perf_counter() - self._start) * 1000
        return self._laps | {"total": round(total, 3)}
