"""Signals: what can be seen of a query and its nearest captions before anyone says whether they are any good."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray

from core.corpus.images import Images
from core.ranking.lexical import BM25
from core.ranking.ranking import FIRST

HITS = 20
"""How many hits the signals look at."""


@dataclass(frozen=True, slots=True)
class Signals:
    """The signals of one query. Hits never include the caption that the query is, or was cut from."""

    known: float
    """ln of the number of its known tokens."""
    content: float
    """ln(1 + the number of its distinct word stems, stop words left out)."""
    rarity: float
    """Sum over those stems of ln(N / captions that have it)."""
    matches: float
    """ln(1 + captions that have all of them); ln(1 + N) when there are none."""
    nearest: float
    """Distance of hit 1."""
    gap: float
    """Distance of hit 10 less that of hit 1."""
    spread: float
    """Mean distance of the first ten hits from each other."""
    from_marks: float
    """Distance from the embedding of the two sentence marks alone."""
    same_image: float
    """How many of the first twenty hits describe the same image as a nearer one; 0 without image groups."""
    image_fit: float
    """The best mean cosine of the query to all captions of an image, among the images of the hits; without image
    groups, the mean cosine to the first ten hits."""
    image_lead: float
    """That less its mean over those images; 0 without image groups."""

    def array(self) -> NDArray[np.float64]:
        """The signals in the order of the fields, (S,)."""
        return np.array(astuple(self))


NAMES = tuple(field.name for field in fields(Signals))
"""The signals' names, S of them."""


class SignalMeter:
    """Measures signals over one corpus.

    Args:
        rows: The captions' unit embeddings, (N, D).
        marks: Unit embedding of the two sentence marks alone, (D,).
        bm25: The captions' words.
        images: The captions' image groups; None where there are none.
    """

    def __init__(
        self, rows: NDArray[np.float16], *, marks: NDArray[np.float32], bm25: BM25, images: Images | None
    ) -> None:
        self._rows = rows
        self._marks = marks
        self.bm25 = bm25
        """The captions' words."""
        self._images = images

    def measure(
        self,
        query: NDArray[np.float32],
        *,
        known: int,
        stems: list[str],
        hits: NDArray[np.integer],
        cosines: NDArray[np.floating],
        leave_out: int = -1,
    ) -> Signals:
        """Measure one query.

        Args:
            query: Its unit embedding, (D,).
            known: How many of its tokens are known, marks not counted.
            stems: Its distinct word stems, `BM25.stems`.
            hits: Its nearest captions, nearest first, (K,), K at most `HITS`; at least one.
            cosines: Of the hits, (K,).
            leave_out: The caption that it is, or was cut from; it is not among the hits. -1 for none.
        """
        rarity, matches = self._words(stems, leave_out)
        first = self._rows[hits[:FIRST]].astype(np.float32)  # (10, D)
        others = len(first) * (len(first) - 1)
        same_image, image_fit, image_lead = self._image_signals(query, hits, cosines, leave_out)
        return Signals(
            known=float(np.log(max(1, known))),
            content=float(np.log1p(len(stems))),
            rarity=rarity,
            matches=matches,
            nearest=float(1 - cosines[0]),
            gap=float(cosines[0] - cosines[:FIRST][-1]),
            spread=float(1 - ((first @ first.T).sum() - len(first)) / others) if others else 0.0,
            from_marks=float(1 - query @ self._marks),
            same_image=same_image,
            image_fit=image_fit,
            image_lead=image_lead,
        )

    def _words(self, stems: list[str], leave_out: int) -> tuple[float, float]:
        if not stems:
            return 0.0, float(np.log1p(len(self.bm25)))
        lists = sorted((self.bm25.rows_with(stem) for stem in stems), key=len)
        counts = np.array([len(rows) - _among(np.array([leave_out]), rows).sum() for rows in lists])
        common = lists[0][lists[0] != leave_out]
        for rows in lists[1:]:
            common = common[_among(common, rows)]
        return float(np.log(len(self.bm25) / np.maximum(1, counts)).sum()), float(np.log1p(len(common)))

    def _image_signals(
        self,
        query: NDArray[np.float32],
        hits: NDArray[np.integer],
        cosines: NDArray[np.floating],
        leave_out: int,
    ) -> tuple[float, float, float]:
        if self._images is None:
            return 0.0, float(cosines[:FIRST].mean()), 0.0
        images = np.unique(self._images.of[hits])
        captions = [self._images.captions(image) for image in images]
        captions = [rows[rows != leave_out] for rows in captions]
        similar = self._rows[np.concatenate(captions)].astype(np.float32) @ query  # (captions of all of them,)
        ends = np.cumsum([len(rows) for rows in captions])
        means = np.add.reduceat(similar, np.concatenate([[0], ends[:-1]])) / [len(rows) for rows in captions]  # (I,)
        return float(len(hits) - len(images)), float(means.max()), float(means.max() - means.mean())


def _among(wanted: NDArray[np.integer], rows: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Tell which of some rows are among others, which ascend; quick where few are wanted of many."""
    if not len(rows):
        return np.zeros(len(wanted), bool)
    places = np.minimum(np.searchsorted(rows, wanted.astype(np.int32)), len(rows) - 1)
    found: NDArray[np.bool_] = rows[places] == wanted
    return found
