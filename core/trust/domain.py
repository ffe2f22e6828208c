"""Domain: whether a query is about what the corpus is about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from core.corpus.sentences import Sentences
from core.trust.predictor import Predictor
from core.trust.probes import length_key

SUMS = "sum"
"""Key of the sums; other queries have their length in tokens as text, see `length_key`."""
LEAST_CUTS = 50
"""Least number of caption cuts, and of foreign cuts, to tell them apart."""
LONG = 8
"""Length from which on the words count; a shorter query of rare words may well have hits that are about it."""


@dataclass(frozen=True, slots=True)
class Domain:
    """What tells queries of one length that are about the corpus from foreign ones."""

    captions: int
    """Number of queries cut from captions that it was learned from; for the reader of `calibrate --json`."""
    foreign: int
    """Number of queries cut from foreign sentences, likewise."""
    predictor: Predictor
    """Predicts that a query is about the corpus, where both kinds are as frequent, from the distance of hit 1 and, for
    long queries, from how common its words are."""
    least: float
    """Least such probability of a query about the corpus: 99 % of the caption cuts have it, and it is at most 0.5."""
    farthest: float
    """Distance of hit 1 that 99 % of the caption cuts stay below."""

    def contains(
        self, nearest: NDArray[np.float64] | float, commonness: NDArray[np.float64] | float
    ) -> NDArray[np.bool_]:
        """Tell whether queries are about the corpus, by the distance of hit 1 and `commonness_of`; same shape."""
        figures = np.stack([np.asarray(nearest), np.asarray(commonness)], axis=-1)  # (..., 2)
        probability = self.predictor.probability(figures[..., : len(self.predictor.weights)])
        near = np.less_equal(nearest, self.farthest) & (not self.by_words)
        return np.asarray((probability >= self.least) | near)

    @property
    def by_words(self) -> bool:
        """Whether the words count beside the distance of hit 1."""
        return len(self.predictor.weights) > 1

    @classmethod
    def learn(cls, captions: NDArray[np.float64], foreign: NDArray[np.float64]) -> Domain | None:
        """Learn from the figures of caption cuts, (C, 1 or 2), and of foreign cuts, (F, the same).

        The figures are the distance of hit 1 and, for long queries, `commonness_of`.

        Returns:
            None when there are too few of either kind.
        """
        if min(len(captions), len(foreign)) < LEAST_CUTS:
            return None
        is_caption = np.arange(len(captions) + len(foreign)) < len(captions)  # (C + F,)
        fitted = Predictor.fit(np.concatenate([captions, foreign]), is_caption)
        even = fitted.intercept - float(np.log(len(captions) / len(foreign)))
        predictor = replace(fitted, intercept=even)
        least = min(0.5, float(np.quantile(predictor.probability(captions), 0.01)))
        return cls(len(captions), len(foreign), predictor, least, float(np.quantile(captions[:, 0], 0.99)))


@cache
def domain_key(known: int | None) -> str:
    """Return the key of the domain by which a query of so many known tokens, or a sum, None, is judged."""
    if known is None:
        return SUMS
    return length_key(known)


def commonness_of(ids: NDArray[np.integer], sentences: Sentences, left_out: NDArray[np.integer] | None = None) -> float:
    """Return how common the words of a query are: the mean of ln(occurrences / number of captions); 0 without words.

    Args:
        ids: Its known tokens, without the sentence marks, (T,).
        sentences: The captions.
        left_out: Rows whose words do not count: the query's own caption and the copies of it.
    """
    if not len(ids):
        return 0.0
    counts = sentences.count(ids).astype(float)  # (T,)
    if left_out is not None and len(left_out):  # all of them have the same words
        counts -= len(left_out) * (sentences[int(left_out[0])] == ids[:, None]).sum(axis=1)
    return float(np.log((counts + 0.5) / len(sentences)).mean())
