"""Answers: everything that a screen or `--json` shows about a query, or about a hit; values without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.query import Query, Term, Token
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

    text: str
    """As asked."""
    row: int | None = None
    """The caption that the query is, None when it is none."""
    query: Query | None = None
    """The query as every method takes it; None for a sum, and where no word is known."""
    tokens: tuple[Token, ...] = ()
    """The query's tokens, without the sentence marks; none where it is a sum, whose terms have their own."""
    marks_importance: float = 0.0
    """Share of the features whose maximum falls on the two sentence marks, 0..1."""
    verdict: Verdict | None = None
    """How far the hits can be trusted; None for an empty query, and for what `Explorer.neighbours` has left open."""
    found: Found | None = None
    """What the query found; None when there are no hits."""
    timings_ms: dict[str, float]
    """Milliseconds by step: `tokenize`, `encode`, `search`, `total`."""
    method: Method = "infersent"
    """How the captions were compared."""
    closer_than: NDArray[np.float64] | None = None
    """For each leading hit the share of captions drawn at random that are farther, 0..1; None before a calibration."""
    terms: tuple[Term, ...] = ()
    """The terms of a query that is a sum; none for others."""

    @property
    def hits(self) -> Ranking:
        """The leading hits."""
        return Ranking.empty() if self.found is None else self.found.leading
