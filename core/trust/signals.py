"""Signals: properties of a query and its hits that predict whether the query succeeds."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.corpus.images import Images
from core.ranking.lexical import BM25
from core.ranking.ranking import FIRST

HITS = 20
"""Number of hits that the signals use."""
_FEW = 4
NOTHING = np.empty(0, np.int64)
"""No rows to leave out."""


@dataclass(frozen=True, slots=True)
class Signals:
    """The signals of one query. Rows left out, the query's own caption and its copies, count nowhere.

    The best image is the one whose captions have the highest mean cosine to the query, among the images of the hits.
    """

    known: float
    """ln(number of known tokens)."""
    content: float
    """ln(1 + number of distinct word stems), stop words left out."""
    rarity: float
    """Sum over the stems of ln(N / number of captions with the stem)."""
    matches: float
    """ln(1 + number of captions with all stems); ln(1 + N) when the query has no stem."""
    confirmable: float
    """ln(1 + number of captions that would be confirmed), see `Confirmed.attainable`."""
    nearest: float
    """Distance of hit 1."""
    gap: float
    """Distance of hit 10 minus that of hit 1."""
    spread: float
    """Mean distance between the first ten hits."""
    dimension: float
    """Local intrinsic dimension of the hits' distances (Levina and Bickel 2004): in many dimensions they are equal."""
    same_image: float
    """Number of the first twenty hits that describe the same image as a nearer hit; 0 without image groups."""
    image_fit: float
    """Mean cosine to the captions of the best image; without image groups, mean cosine to the first ten hits."""
    image_lead: float
    """`image_fit` minus the mean over the images of the hits; 0 without image groups."""
    image_gain: float
    """Highest difference, over these images, of the mean cosine to the captions and the mean cosine between them, 1 if
    there is one; 0 without image groups."""
    image_hits: float
    """Number of the first twenty hits that describe the best image; 0 without image groups."""
    image_words: float
    """Share of the stems, weighted by rarity, that the captions of the best image have, 0..1; without image groups,
    that hit 1 has."""

    def array(self) -> NDArray[np.float64]:
        """Return the signals in field order, (S,)."""
        return np.array([getattr(self, name) for name in NAMES])


NAMES = tuple(field.name for field in fields(Signals))
"""Names of the S signals."""


class SignalMeter:
    """Measures signals over one corpus; `rows` are the unit embeddings of the captions, (N, D)."""

    def __init__(self, rows: NDArray[np.float16], *, bm25: BM25, images: Images | None) -> None:
        self._rows, self.bm25, self.images = rows, bm25, images
        self._between: dict[int, float] = {}  # mean cosine between the captions of an image, where computed

    def measure(
        self,
        query: NDArray[np.float32],
        *,
        known: int,
        stems: list[str],
        hits: NDArray[np.integer],
        cosines: NDArray[np.floating],
        attainable: int,
        leave_out: NDArray[np.int64] = NOTHING,
    ) -> Signals:
        """Measure the signals of one query.

        Args:
            query: Unit embedding, (D,).
            known: Number of known tokens, without the sentence marks.
            stems: Distinct word stems, from `BM25.stems`.
            hits: Nearest captions, nearest first, (K,), 1 <= K <= `HITS`.
            cosines: Cosines of the hits, (K,).
            attainable: How many captions would be confirmed; 0 for a query without content words.
            leave_out: Captions that the query equals or was cut from, which are not among the hits, ascending.
        """
        lists = [without(self.bm25.rows_with(stem), leave_out) for stem in stems]  # rows by stem
        rarities = np.log(len(self.bm25) / np.maximum(1, [len(rows) for rows in lists]))  # (stems,)
        first = self._rows[hits[:FIRST]].astype(np.float32)  # (10, D)
        others = len(first) * (len(first) - 1)
        fit = self._fit_images(query, hits, cosines, leave_out)
        has = np.array([_among(fit.captions, rows).any() for rows in lists])  # (stems,)
        return Signals(
            known=float(np.log(max(1, known))),
            content=float(np.log1p(len(stems))),
            rarity=float(rarities.sum()),
            matches=float(np.log1p(_count_common(lists) if stems else len(self.bm25))),
            confirmable=float(np.log1p(attainable)),
            nearest=float(1 - cosines[0]),
            gap=float(cosines[0] - cosines[:FIRST][-1]),
            spread=float(1 - ((first @ first.T).sum() - len(first)) / others) if others else 0.0,
            dimension=_dimension(1 - cosines),
            same_image=fit.same_image,
            image_fit=fit.fit,
            image_lead=fit.lead,
            image_gain=fit.gain,
            image_hits=fit.hits,
            image_words=float(rarities @ has / max(rarities.sum(), 1e-9)) if stems else 0.0,
        )

    def _fit_images(
        self,
        query: NDArray[np.float32],
        hits: NDArray[np.integer],
        cosines: NDArray[np.floating],
        leave_out: NDArray[np.int64],
    ) -> _ImageFit:
        if self.images is None:
            return _ImageFit(0.0, float(cosines[:FIRST].mean()), 0.0, 0.0, 0.0, hits[:1])
        images, counts = np.unique(self.images.of[hits], return_counts=True)  # (I,), (I,)
        captions = [without(self.images.captions(image), leave_out) for image in images.tolist()]
        sizes = np.array([len(rows) for rows in captions])  # (I,)
        embeddings = self._rows[np.concatenate(captions)].astype(np.float32)  # (captions of the I images, D)
        starts = np.cumsum(sizes) - sizes  # (I,)
        fits = np.add.reduceat(embeddings @ query, starts) / sizes  # (I,)
        own = set(self.images.of[leave_out].tolist())
        between = [
            self._cosine_between(image, embeddings[start : start + size], whole=image not in own)
            for image, start, size in zip(images.tolist(), starts.tolist(), sizes.tolist(), strict=True)
        ]
        best = int(fits.argmax())
        return _ImageFit(
            float(len(hits) - len(images)),
            float(fits[best]),
            float(fits[best] - fits.mean()),
            float((fits - between).max()),
            float(counts[best]),
            captions[best],
        )

    def _cosine_between(self, image: int, embeddings: NDArray[np.float32], *, whole: bool) -> float:
        """Return the mean cosine between the captions of an image, (C, D), which are all of them if `whole`."""
        if whole and image in self._between:
            return self._between[image]
        count, total = len(embeddings), embeddings.sum(axis=0)  # (D,)
        mean = float(total @ total - count) / (count * (count - 1)) if count > 1 else 1.0
        if whole:
            self._between[image] = mean
        return mean


class _ImageFit(NamedTuple):
    """How the images of the hits fit a query; see `Signals`."""

    same_image: float
    fit: float
    lead: float
    gain: float
    hits: float
    captions: NDArray[np.integer]
    """Captions of the best image, (C,); hit 1 without image groups."""


def _dimension(distances: NDArray[np.floating]) -> float:
    """Estimate the local intrinsic dimension from ascending distances (K,), by maximum likelihood; 0 if K = 1."""
    if len(distances) < 2:
        return 0.0
    ratios = np.maximum(distances[:-1], 1e-6) / max(float(distances[-1]), 1e-6)  # (K - 1,)
    return float(1 / max(-float(np.log(np.minimum(ratios, 1)).mean()), 1e-2))


def _count_common(lists: list[NDArray[np.int32]]) -> int:
    """Count the rows that are in all lists."""
    ordered = sorted(lists, key=len)
    common = ordered[0]
    for rows in ordered[1:]:
        common = common[_among(common, rows)]
    return len(common)


def without(rows: NDArray[np.int32], leave_out: NDArray[np.int64]) -> NDArray[np.int32]:
    """Drop some rows."""
    if len(leave_out) > _FEW:
        return rows[~np.isin(rows, leave_out)]
    for row in leave_out.tolist():  # much faster than isin
        rows = rows[rows != row]
    return rows


def _among(wanted: NDArray[np.integer], rows: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Tell which of `wanted` occur in `rows`, which ascend; fast where `wanted` is short and `rows` long."""
    if not len(rows):
        return np.zeros(len(wanted), bool)
    places = np.minimum(np.searchsorted(rows, wanted.astype(np.int32)), len(rows) - 1)  # (wanted,)
    found: NDArray[np.bool_] = rows[places] == wanted  # (wanted,)
    return found
