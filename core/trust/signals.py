"""Signals: properties of a query and its hits that predict whether the query succeeds."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray

from core.corpus.images import Images
from core.ranking.lexical import BM25
from core.ranking.ranking import FIRST

HITS = 20
"""Number of hits that the signals use."""


@dataclass(frozen=True, slots=True)
class Signals:
    """The signals of one query. The hits exclude the caption that the query equals or was cut from."""

    known: float
    """ln(number of known tokens)."""
    content: float
    """ln(1 + number of distinct word stems), stop words left out."""
    rarity: float
    """Sum over the stems of ln(N / number of captions with the stem)."""
    matches: float
    """ln(1 + number of captions with all stems); ln(1 + N) when the query has no stem."""
    nearest: float
    """Distance of hit 1."""
    gap: float
    """Distance of hit 10 minus that of hit 1."""
    spread: float
    """Mean distance between the first ten hits."""
    from_marks: float
    """Distance from the embedding of the two sentence marks alone."""
    same_image: float
    """Number of the first twenty hits that describe the same image as a nearer hit; 0 without image groups."""
    image_fit: float
    """Highest mean cosine to all captions of an image, over the images of the hits; without image groups, mean cosine
    to the first ten hits."""
    image_lead: float
    """`image_fit` minus the mean over those images; 0 without image groups."""

    def array(self) -> NDArray[np.float64]:
        """Return the signals in field order, (S,)."""
        return np.array(astuple(self))


NAMES = tuple(field.name for field in fields(Signals))
"""Names of the S signals."""


class SignalMeter:
    """Measures signals over one corpus.

    `rows` are the unit embeddings of the captions, (N, D), and `marks` is that of the two sentence marks alone, (D,).
    """

    def __init__(
        self, rows: NDArray[np.float16], *, marks: NDArray[np.float32], bm25: BM25, images: Images | None
    ) -> None:
        self._rows, self._marks, self.images = rows, marks, images
        self.bm25 = bm25

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
        """Measure the signals of one query.

        Args:
            query: Unit embedding, (D,).
            known: Number of known tokens, without the sentence marks.
            stems: Distinct word stems, from `BM25.stems`.
            hits: Nearest captions, nearest first, (K,), 1 <= K <= `HITS`.
            cosines: Cosines of the hits, (K,).
            leave_out: Caption that the query equals or was cut from, which is not among the hits; -1 for none.
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
        counts = np.array([len(rows) - _among(np.array([leave_out]), rows).sum() for rows in lists])  # (stems,)
        common = lists[0][lists[0] != leave_out]  # captions with all stems
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
        if self.images is None:
            return 0.0, float(cosines[:FIRST].mean()), 0.0
        images = np.unique(self.images.of[hits])  # (I,)
        captions = [self.images.captions(image) for image in images]
        captions = [rows[rows != leave_out] for rows in captions]
        similar = self._rows[np.concatenate(captions)].astype(np.float32) @ query  # (captions of the I images,)
        ends = np.cumsum([len(rows) for rows in captions])  # (I,)
        means = np.add.reduceat(similar, np.concatenate([[0], ends[:-1]])) / [len(rows) for rows in captions]  # (I,)
        return float(len(hits) - len(images)), float(means.max()), float(means.max() - means.mean())


def _among(wanted: NDArray[np.integer], rows: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Tell which of `wanted` occur in `rows`, which ascend; fast where `wanted` is short and `rows` long."""
    if not len(rows):
        return np.zeros(len(wanted), bool)
    places = np.minimum(np.searchsorted(rows, wanted.astype(np.int32)), len(rows) - 1)  # (wanted,)
    found: NDArray[np.bool_] = rows[places] == wanted  # (wanted,)
    return found
