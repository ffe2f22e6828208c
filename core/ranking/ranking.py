"""Ranking: captions ordered by nearness to a query."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

LEADING = 100
"""Default number of hits that a search ranks."""
_GROWTH = 4  # times as many hits of a store are ranked each time
FIRST = 10
"""Number of hits on which success and overlap are measured."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Hits, nearest first; equal distances by row number, except that the query's own row leads."""

    rows: NDArray[np.int32]
    """Rows of the captions, (K,)."""
    distances: NDArray[np.floating]
    """Cosine distances, 0..2, ascending, (K,): exact float64 among the leading hits, float32 in the complete order.
    Empty for methods with scores."""
    scores: NDArray[np.float32] | None = None
    """Scores, descending after the query's own row, (K,); None for methods with distances."""

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, places: NDArray[np.int32]) -> Ranking:
        """Return the hits at some places, ascending."""
        scores = None if self.scores is None else self.scores[places]
        return Ranking(self.rows[places], self.distances[places] if scores is None else self.distances, scores)

    @classmethod
    def empty(cls) -> Ranking:
        """Return a ranking without hits."""
        return cls(np.empty(0, np.int32), np.empty(0, np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The result of a search by any method."""

    leading: Ranking
    """The best hits; by distance they equal those of a complete float64 ranking."""
    order: Callable[[], Ranking] | None
    """Ranks all captions, or the first of a store, leading hits first, the others by float32 distances, in which equal
    captions may differ in the last digits. None where there are too many captions."""
    up_to: Callable[[int], Ranking] | None = None
    """Ranks so many captions, where `order` ranks the first of a store; fewer where there are no more. None where
    `order` ranks all."""
    among_all: Callable[[], Found] | None = None
    """Ranks by the same scan what was not allowed, too. None where all was allowed, or the method scans again."""

    def page(self, start: int, stop: int) -> Ranking:
        """Return the hits at places start..stop-1, counted from 0; fewer where the ranking ends."""
        ranking = self.leading
        if stop > len(ranking) and self.order is not None:
            ranking = self.order()
        return ranking.at(np.arange(start, min(stop, len(ranking)), dtype=np.int32))

    def beyond(self, distance: float, *, most: int | None) -> Ranking:
        """Rank all captions that lie within a distance, or at least `most` of them, and perhaps more."""
        ranking = self.leading if self.order is None else self.order()
        while self.up_to is not None and 0 < len(ranking) < (most or np.inf) and ranking.distances[-1] <= distance:
            more = self.up_to(_GROWTH * len(ranking))
            if len(more) == len(ranking):
                break
            ranking = more
        return ranking

    @classmethod
    def by_distance(cls, leading: Ranking, rest: Callable[[], tuple[NDArray[np.int32], NDArray[np.float32]]]) -> Found:
        """Make the result of a search by distance.

        `rest` returns all other rows that may be ranked and their distances, (R,) each, ascending by distance.
        """

        def order() -> Ranking:
            rows, distances = rest()
            floor = leading.distances[-1] if len(leading) else 0
            return Ranking(
                np.concatenate([leading.rows, rows]),
                np.concatenate([leading.distances, np.maximum(distances, floor)]).astype(np.float32),
            )

        return cls(leading, order)

    @classmethod
    def by_score(cls, scores: NDArray[np.float32], *, k: int, own_row: int | None) -> Found:
        """Rank rows by their scores, (N,), at least 0; rows of score 0 are left out.

        Equal scores are ordered by row number; `own_row`, the caption that equals the query, leads.
        """
        weights = scores  # (N,)
        if own_row is not None:
            weights = scores.copy()  # (N,)
            weights[own_row] = np.inf
        rows = np.flatnonzero(weights).astype(np.int32)  # (R,)

        def ranked(rows: NDArray[np.int32], k: int) -> Ranking:
            best = rows[np.argsort(-weights[rows], kind="stable")[:k]]  # (k,)
            return Ranking(best, np.empty(0), scores[best])

        leading = rows
        if len(rows) > k:
            leading = rows[weights[rows] >= np.partition(weights[rows], -k)[-k]]  # at least k rows
        return cls(ranked(leading, k), lambda: ranked(rows, len(rows)))


@dataclass(frozen=True, slots=True, eq=False)
class Allowed:
    """The captions that meet a filter."""

    mask: NDArray[np.bool_]
    """Which captions in memory meet it, (N,): all captions are in memory, or of a store a sample."""
    count: int
    """Number of captions that meet it."""
    of: int
    """Number of all captions."""
    predicate: str = ""
    """The filter as a store understands it."""

    @classmethod
    def by(cls, mask: NDArray[np.bool_]) -> Allowed:
        """Allow captions that are all in memory by a mask, (N,)."""
        return cls(mask, int(mask.sum()), len(mask))


class Searcher(Protocol):
    """Finds the captions nearest to an embedding, in a matrix in memory or in a larger store."""

    @property
    def device(self) -> str:
        """The device that holds the embeddings; `cpu` once a GPU has failed."""

    def warm_up(self) -> None:
        """Load what makes later searches faster."""

    def nearest(
        self,
        query: NDArray[np.floating],
        *,
        k: int = LEADING,
        own_row: int | None = None,
        allowed: Allowed | None = None,
    ) -> Found:
        """Find the nearest captions by cosine distance.

        Args:
            query: Embedding, (D,), not normalized, never 0.
            k: Number of leading hits; fewer where fewer captions are allowed.
            own_row: The caption that equals the query; it leads, at distance exactly 0, even where not allowed.
            allowed: Which captions may be found; None for all. Captions without known words are never found.
        """


def in_order(cosines: NDArray[np.float32], leading: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Sort all other rows than the leading ones by distance, equal distances by row.

    Args:
        cosines: The cosine to every row, (N,), with -inf for rows that are never ranked.
        leading: The rows to leave out.

    Returns:
        The rows and their distances, (R,) each.
    """
    kept = np.isfinite(cosines)  # (N,)
    kept[leading] = False
    distances = np.maximum(1 - cosines[kept], 0)  # (R,), whose bits sort like the numbers
    keys = distances.view(np.uint32).astype(np.uint64) << 32 | np.flatnonzero(kept).astype(np.uint64)  # (R,)
    keys.sort()  # in a fifth of the time of `argsort`
    return keys.astype(np.uint32).view(np.int32), (keys >> 32).astype(np.uint32).view(np.float32)


def cosine_error(dim: int, dtype: type[np.floating]) -> float:
    """Bound the error of a cosine of D products in float32 or float64: that of the sum, and five other roundings.

    For D products of unit vectors, in any order, the sum errs by at most D u / (1 - D u), where u is the unit roundoff
    (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1).
    """
    unit = float(np.finfo(dtype).eps) / 2
    return dim * unit / (1 - dim * unit) + 5 * unit


def direction(embedding: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the unit vector along an embedding of any length but 0, (D,)."""
    unit: NDArray[np.float32] = (embedding / np.linalg.norm(embedding.astype(np.float64))).astype(np.float32)
    return unit


def cosine_distance(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Return the cosine distance of two vectors, (D,), neither of them 0, in float64; 0..2."""
    wide, other_wide = one.astype(np.float64), other.astype(np.float64)  # (D,)
    cosine = wide @ other_wide / (np.linalg.norm(wide) * np.linalg.norm(other_wide))
    return max(0.0, 1 - float(cosine))
