"""MapMarks: what is marked on the map of a corpus: the query, its hits, the bookmarks, the trail and the regions."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from tui.scatter import Label, Mark
from tui.text import drawable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.answers import Answer
    from core.mapping import CorpusMap
    from core.opened import Opened
    from core.ranking.ranking import Allowed
    from core.ranking.regions import Region, Regions

_LABEL_CELLS = 24
_SHORT_LABEL_CELLS = 12
_LOW_LINES = 24  # below this height, the names of twelve regions would cover the map
_NUMBERED = 9  # hits shown by their rank, which has one digit


def mapped_rows(opened: Opened, allowed: Allowed | None) -> NDArray[np.integer]:
    """Return the captions on the map, by number: those that are allowed, less those without a known word, (M,)."""
    matrix = opened.sample.matrix
    shown = np.ones(len(matrix), bool) if allowed is None else allowed.mask.copy()  # (N,)
    shown[matrix.sentences.wordless()] = False
    return np.flatnonzero(shown)


def map_marks(
    corpus_map: CorpusMap, answer: Answer, *, bookmarked: Collection[int], visited: Collection[int]
) -> list[Mark]:
    """Return the marks of an answer, the most important last, which is on top."""
    places, query, hits = corpus_map.places, answer.query, answer.hits.rows  # (K,)
    if answer.relevant_within is not None:
        hits = hits[: max(_NUMBERED, int(answer.hits.distances.searchsorted(answer.relevant_within)))]
    marks = [
        Mark(places(list(visited)), "•", "trail", is_minor=True),
        Mark(places(hits[_NUMBERED:]), "○", "hit", is_minor=True),
        Mark(places(list(bookmarked)), "★", "bookmark"),
    ]
    numbered = list(enumerate(hits[:_NUMBERED].tolist(), 1))  # as in the list, where a caption that is the query is 1
    marks += [Mark(places([row]), str(rank), "hit") for rank, row in reversed(numbered) if row != query.row]
    if query.embedding is not None:
        marks.append(Mark(corpus_map.place(query.embedding)[None], "◆", "query"))
    return marks


def region_labels(corpus_map: CorpusMap, regions: Regions, rows: NDArray[np.integer], lines: int) -> list[Label]:
    """Return the names of those regions that have one of the captions `rows`, (M,), each at its centre on the plane.

    They are short on a map of few `lines`.
    """
    most = _LABEL_CELLS if lines >= _LOW_LINES else _SHORT_LABEL_CELLS
    of, k = regions.of, len(regions.regions)  # (N,)
    there = np.bincount(of[rows], minlength=k + 1)  # (k + 1,)
    sizes = np.maximum(np.bincount(of, minlength=k + 1), 1)  # (k + 1,)
    sums = [np.bincount(of, weights=along, minlength=k + 1) for along in corpus_map.points.T]  # (k + 1,) each
    centres = np.stack(sums, axis=1) / sizes[:, None]  # (k + 1, 2)
    return [Label(centres[each.number], region_name(each, most)) for each in regions.regions if there[each.number]]


def region_name(region: Region, most: int = _LABEL_CELLS) -> str:
    """Return the number of a region, and as many of its words as fit in so many cells; a cell for each character."""
    from rich.cells import cell_len

    text = str(region.number)
    for word in map(drawable, region.words):
        if len(text) + 1 + len(word) > most or cell_len(word) != len(word):
            break
        text = f"{text} {word}"
    return text
