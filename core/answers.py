"""Answers: everything that a screen or `--json` shows about a query, or about a hit; values without torch."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.query import Query, Token
from core.ranking.agreement import Agreement
from core.ranking.methods import Method
from core.ranking.ranking import Found, Ranking

if TYPE_CHECKING:
    from core.trust.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a hit is near."""

    row: int
    """The caption explained."""
    tokens: tuple[Token, ...]
    """The caption's tokens, without the sentence marks."""
    marks_importance: float
    """Share of its features whose maximum falls on the two sentence marks, 0..1."""
    agreement: Agreement | None
    """Which words it shares features with; None for sums, and for what is not alike at all."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Answer:
    """Everything that a screen or `--json` shows about one query."""

    query: Query
    """What was asked."""
    method: Method
    """How the captions were compared."""
    found: Found | None = None
    """What the query found; None when the method cannot compare it with any caption."""
    verdict: Verdict | None = None
    """How far the hits can be trusted; None for an empty query, and for what `Explorer.neighbours` has left open."""
    closer_than: NDArray[np.float64] | None = None
    """For each leading hit, the share of captions drawn at random that are farther, 0..1; None before a calibration,
    and for other methods than `infersent`."""
    timings_ms: dict[str, float]
    """Milliseconds by step: `tokenize`, `encode`, `search`, `total`."""

    @property
    def hits(self) -> Ranking:
        """The leading hits."""
        return Ranking.empty() if self.found is None else self.found.leading


class Stopwatch:
    """Times the steps of one question.

    Args:
        earlier: The times of steps that were done before, which are added to.
    """

    def __init__(self, earlier: dict[str, float] | None = None) -> None:
        self._start = self._last = time.perf_counter()
        self._laps = dict(earlier or {})
        self._earlier = self._laps.pop("total", 0.0)

    def lap(self, step: str) -> None:
        """End a step."""
        now = time.perf_counter()
        self._laps[step] = round((now - self._last) * 1000, 3)
        self._last = now

    def timings(self) -> dict[str, float]:
        """Return milliseconds by step, and their `total`."""
        total = self._earlier + (time.perf_counter() - self._start) * 1000
        return self._laps | {"total": round(total, 3)}
