"""MapMarks: what is marked on the map of a corpus: the query, its hits, the bookmarks and the trail."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from tui.scatter import Mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.answers import Answer
    from core.mapping import CorpusMap
    from core.opened import Opened

_NUMBERED = 9  # hits shown by their rank, which has one digit


def mapped_rows(opened: Opened, answer: Answer) -> NDArray[np.integer]:
    """Return the captions that are on the map: those that were searched, less those without a known word, (M,)."""
    shown = np.ones(len(opened.matrix), bool) if answer.allowed is None else answer.allowed.copy()  # (N,)
    shown[opened.matrix.sentences.wordless()] = False
    return np.flatnonzero(shown)


def map_marks(
    corpus_map: CorpusMap, answer: Answer, *, bookmarked: Collection[int], visited: Collection[int]
) -> list[Mark]:
    """Return the marks of an answer, the most important last, which is on top."""
    points, query, hits = corpus_map.points, answer.query, answer.hits.rows  # (N, 2), (K,)
    if answer.relevant_within is not None:
        hits = hits[: max(_NUMBERED, int(answer.hits.distances.searchsorted(answer.relevant_within)))]
    marks = [
        Mark(points[list(visited)], "•", "trail"),
        Mark(points[hits[_NUMBERED:]], "○", "hit"),
        Mark(points[list(bookmarked)], "★", "bookmark"),
    ]
    numbered = list(enumerate(hits[:_NUMBERED].tolist(), 1))  # as in the list, where a caption that is the query is 1
    marks += [Mark(points[[row]], str(rank), "hit") for rank, row in reversed(numbered) if row != query.row]
    if query.embedding is not None:
        marks.append(Mark(corpus_map.plane.place(query.embedding[None]), "◆", "query"))
    return marks
