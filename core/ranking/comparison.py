"""Comparison: the same query answered by several methods, side by side."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from core.ranking.methods import Method
from core.ranking.ranking import FIRST, Ranking

_WORD = re.compile(r"\w\w+")  # as BM25 reads them


@dataclass(frozen=True, slots=True)
class ComparedHit:
    """One hit of one list."""

    row: int
    """The caption."""
    rank: int
    """From 1."""
    distance: float | None
    """None for methods that have scores."""
    score: float | None
    """None for methods that have distances."""
    ranks: Mapping[Method, int | None]
    """Its rank by each of the other methods; None where it is not among their leading hits."""
    shared: tuple[str, ...]
    """Its words, as written, whose stem the query has too."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """How far two lists agree."""

    methods: tuple[Method, Method]
    hits: int
    """How many captions are among the first ten hits of both, the query itself left out."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Lists of hits by method."""

    query: str
    row: int | None
    """The caption that the query is, None when it is none."""
    lists: Mapping[Method, tuple[ComparedHit, ...]]
    """Leading hits, best first."""
    overlaps: tuple[Overlap, ...]
    """Every two methods."""

    def overlap(self, one: Method, other: Method) -> int:
        """How many of the first ten hits two methods share."""
        return next(each.hits for each in self.overlaps if set(each.methods) == {one, other})


def compare(
    query: str,
    row: int | None,
    rankings: Mapping[Method, Ranking],
    *,
    texts: Sequence[str],
    stems: Collection[str],
    stem: Callable[[str], str],
) -> Comparison:
    """Lay rankings of one query side by side.

    Args:
        query: As asked.
        row: The caption that it is, if any.
        rankings: The leading hits by each method.
        texts: The captions.
        stems: The query's stems, stop words left out.
        stem: Gives a word's stem.
    """
    ranks = {name: {hit: at for at, hit in enumerate(ranking.rows.tolist(), 1)} for name, ranking in rankings.items()}
    shared = {
        hit: shared_words(texts[hit], stems, stem) for hit in {hit for of_method in ranks.values() for hit in of_method}
    }
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


def shared_words(text: str, stems: Collection[str], stem: Callable[[str], str]) -> tuple[str, ...]:
    """The distinct words of a text, as written and in order, whose stem is among some."""
    return tuple(dict.fromkeys(word for word in _WORD.findall(text) if stem(word) in stems))
