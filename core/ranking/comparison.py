"""Comparison: the rankings of one query by several methods, side by side."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from core.query import Query
from core.ranking.lexical import BM25
from core.ranking.methods import Method
from core.ranking.ranking import FIRST, Ranking

_WORD = re.compile(r"\w\w+")  # the token pattern of bm25s


@dataclass(frozen=True, slots=True)
class ComparedHit:
    """One hit in the list of one method."""

    row: int
    rank: int
    """From 1."""
    distance: float | None
    """Cosine distance; None for methods with scores."""
    score: float | None
    """Score; None for methods with distances."""
    ranks: Mapping[Method, int | None]
    """Rank by each other method; None where the caption is not among its leading hits."""
    shared: tuple[str, ...]
    """Words of the caption, as written, whose stem occurs in the query."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Number of hits that two methods share."""

    methods: tuple[Method, Method]
    hits: int
    """Number of captions among the first ten hits of both, without the query itself."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The leading hits of each method and the overlap of every two."""

    query: str
    row: int | None
    """Row of the caption that equals the query; None when there is none."""
    lists: Mapping[Method, tuple[ComparedHit, ...]]
    """Leading hits by method, best first."""
    overlaps: tuple[Overlap, ...]
    """One entry for every two methods."""

    def overlap(self, one: Method, other: Method) -> int:
        """Return the number of first ten hits that two methods share."""
        return next(each.hits for each in self.overlaps if set(each.methods) == {one, other})


def compare(
    query: str,
    row: int | None,
    rankings: Mapping[Method, Ranking],
    *,
    texts: Sequence[str],
    shared_words: Callable[[str], tuple[str, ...]],
) -> Comparison:
    """Compare the leading hits of several methods for one query, which is the caption `row` unless that is None.

    `shared_words` returns the words of a text that the query has, see `SharedWords`.
    """
    ranks = {name: {hit: at for at, hit in enumerate(ranking.rows.tolist(), 1)} for name, ranking in rankings.items()}
    shared = {hit: shared_words(texts[hit]) for hit in {hit for of_method in ranks.values() for hit in of_method}}
    lists = {
        name: tuple(
            ComparedHit(
                hit,
                rank,
                float(ranking.distances[rank - 1]) if ranking.scores is None else None,
                float(ranking.scores[rank - 1]) if ranking.scores is not None else None,
                {other: ranks[other].get(hit) for other in rankings if other != name},
                shared[hit],
            )
            for hit, rank in ranks[name].items()
        )
        for name, ranking in rankings.items()
    }
    first = {name: set([hit for hit in of_method if hit != row][:FIRST]) for name, of_method in ranks.items()}
    overlaps = tuple(Overlap((one, other), len(first[one] & first[other])) for one, other in combinations(rankings, 2))
    return Comparison(query, row, lists, overlaps)


class SharedWords:
    """Finds the words that captions share with a query, without stop words, by their stems.

    `find_bm25` returns what stems words; None while that is not open, and then no words are found.
    """

    def __init__(self, query: Query, find_bm25: Callable[[], BM25 | None]) -> None:
        self._text = query.literal or " ".join(token.text for token in query.subject)
        self._find_bm25 = find_bm25
        self._stems: frozenset[str] | None = None
        self._found: dict[str, tuple[str, ...]] = {}  # by text: a list asks again for each line that it draws

    def __call__(self, text: str) -> tuple[str, ...]:
        """Return the distinct words of a text, as written and in order, that the query has too."""
        bm25 = self._find_bm25()
        if bm25 is None:
            return ()
        if self._stems is None:
            self._stems = frozenset(bm25.stems(self._text))
        if text not in self._found:
            words = dict.fromkeys(word for word in _WORD.findall(text) if bm25.stem(word) in self._stems)
            self._found[text] = tuple(words)
        return self._found[text]
