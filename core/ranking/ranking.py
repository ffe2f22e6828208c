"""Ranking: captions in the order of their nearness to a query, as values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

LEADING = 100
"""How many hits a search ranks unless told otherwise."""
FIRST = 10
"""The hits that a person sees first."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Hits, nearest first; equal distances by row number, but the query's own row leads."""

    rows: NDArray[np.int32]
    """Caption rows, (K,)."""
    distances: NDArray[np.floating]
    """Cosine distances, 0..2, ascending, (K,): float64 and exact among the leading, float32 in the whole order. Empty
    for methods that have scores instead."""
    scores: NDArray[np.float32] | None = None
    """The scores of a method that has no distances, descending after the query's own row, (K,)."""

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, places: NDArray[np.int32]) -> Ranking:
        """The hits at some places, ascending."""
        scores = None if self.scores is None else self.scores[places]
        return Ranking(self.rows[places], self.distances[places] if scores is None else self.distances, scores)

    @classmethod
    def empty(cls) -> Ranking:
        """No hits."""
        return cls(np.empty(0, np.int32), np.empty(0, np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a query found by any method."""

    leading: Ranking
    """The best hits; by distance they equal the full float64 ranking."""
    order: Callable[[], Ranking] | None
    """Ranks every caption that the method ranks, the leading ones first; by distance this reads the whole matrix. None
    where the captions are too many for that."""
    median_distance: float | None
    """The distance that half of all captions are nearer than, to two decimals at least; None for scores."""

    def page(self, start: int, stop: int) -> Ranking:
        """Return the hits from one place of the order, counted from 0, to before another; fewer where it ends."""
        ranking = self.leading
        if stop > len(ranking) and self.order is not None:
            ranking = self.order()
        return ranking.at(np.arange(start, min(stop, len(ranking)), dtype=np.int32))

    @classmethod
    def by_distance(
        cls, leading: Ranking, similarities: Callable[[], NDArray[np.float32]], *, median_distance: float
    ) -> Found:
        """Put together what a search by distance found.

        Args:
            leading: The nearest.
            similarities: Computes the cosine to every row, (N,); -inf for rows that are never ranked.
            median_distance: The distance that half of all captions are nearer than.
        """

        def order() -> Ranking:
            cosines = similarities()  # (N,)
            rest = np.isfinite(cosines)  # (N,)
            rest[leading.rows] = False
            rows = np.flatnonzero(rest).astype(np.int32)
            distances = 1 - cosines[rows]
            ascending = np.argsort(distances, kind="stable")
            floor = leading.distances[-1] if len(leading) else 0
            return Ranking(
                np.concatenate([leading.rows, rows[ascending]]),
                np.concatenate([leading.distances, np.maximum(distances[ascending], floor)]).astype(np.float32),
            )

        return cls(leading, order, median_distance)

    @classmethod
    def by_score(cls, scores: NDArray[np.float32], *, k: int, own_row: int | None) -> Found:
        """Rank rows by their scores, equal ones by row number; those of score 0 are not ranked.

        Args:
            scores: One a row, (N,), at least 0.
            k: How many leading hits.
            own_row: The row that the query is; it leads.
        """
        weights = scores  # (N,)
        if own_row is not None:
            weights = scores.copy()
            weights[own_row] = np.inf
        rows = np.flatnonzero(weights).astype(np.int32)

        def ranked(rows: NDArray[np.int32], k: int) -> Ranking:
            best = rows[np.argsort(-weights[rows], kind="stable")[:k]]
            return Ranking(best, np.empty(0), scores[best])

        leading = rows
        if len(rows) > k:
            leading = rows[weights[rows] >= np.partition(weights[rows], -k)[-k]]
        return cls(ranked(leading, k), lambda: ranked(rows, len(rows)), None)


class Searcher(Protocol):
    """What finds the captions nearest to an embedding: a matrix in memory, or a store that is larger."""

    def nearest(
        self,
        query: NDArray[np.floating],
        *,
        k: int = LEADING,
        own_row: int | None = None,
        allowed: NDArray[np.bool_] | None = None,
    ) -> Found:
        """Find the nearest captions by cosine distance.

        Args:
            query: (D,), of any length but 0.
            k: How many leading hits, fewer where fewer captions are allowed.
            own_row: The caption that the query is; it leads, at distance exactly 0, allowed or not.
            allowed: Which captions may be found, (N,); None for all. Those without known words never are.
        """
