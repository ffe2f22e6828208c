"""Agreement: which tokens of two sentences make their embeddings similar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEATURES = 50
"""Number of features that are listed."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A query token and a hit token, with the features whose maximum falls on both."""

    query: str
    hit: str
    share: float
    """Share of the cosine that these features contribute; all shares sum to 1, and a share may be negative."""


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature that two sentences have in common."""

    number: int
    """From 0 to D - 1."""
    query: str
    """The query token on which its maximum falls."""
    hit: str
    share: float
    """Share of the cosine that it contributes, above 0."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The cosine of two sentences, split by pairs of tokens."""

    cosine: float
    """Cosine, 0.001..1."""
    pairs: tuple[Pair, ...]
    """Pairs of words, largest share first; tokens with equal texts are merged."""
    marks: float
    """Share of the cosine from features that a sentence mark won on either side; may be negative."""
    features: tuple[Feature, ...]
    """Features that are positive in both and that words won in both, largest share first, at most `FEATURES`."""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of the two sentences."""

    embedding: NDArray[np.floating]
    """Embedding, (D,), not normalized, never 0."""
    winners: NDArray[np.int32]
    """Index of the token on which each feature's maximum falls, (D,)."""
    tokens: Sequence[str]
    """The T encoded tokens, with the sentence marks first and last."""


def agree(query: Side, hit: Side) -> Agreement | None:
    """Split the cosine of two sentences by (query token, hit token); return None when it is below 0.001.

    A feature contributes the product of its values in the two unit embeddings to the pair of tokens that won it.
    """
    products = _unit(query.embedding) * _unit(hit.embedding)  # (D,)
    cosine = float(products.sum())
    if cosine < 1e-3:
        return None
    names_q, codes_q = _codes(query.tokens)
    names_h, codes_h = _codes(hit.tokens)
    cells = codes_q[query.winners] * len(names_h) + codes_h[hit.winners]  # (D,)
    shares = np.bincount(cells, products, minlength=len(names_q) * len(names_h)) / cosine  # (names_q * names_h,)
    table = shares.reshape(len(names_q), len(names_h))  # (names_q, names_h); code 0 is the marks
    words = table[1:, 1:]  # (words_q, words_h)
    order = np.argsort(-words, axis=None, kind="stable")  # (words_q * words_h,)
    order = order[words.ravel()[order] != 0]  # (pairs,)
    pairs = tuple(
        Pair(names_q[1 + at // words.shape[1]], names_h[1 + at % words.shape[1]], float(words.flat[at]))
        for at in order.tolist()
    )
    marks = float(table[0].sum() + table[1:, 0].sum())
    return Agreement(cosine, pairs, marks, tuple(_features(query, hit, products / cosine)))


def _features(query: Side, hit: Side, shares: NDArray[np.float64]) -> Iterator[Feature]:
    """Yield the features that contribute most to the cosine; `shares` are those of all, (D,)."""
    words = [(side.winners > 0) & (side.winners < len(side.tokens) - 1) for side in (query, hit)]  # (D,) each
    fit = words[0] & words[1] & (query.embedding > 0) & (hit.embedding > 0)  # (D,)
    for number in np.argsort(-np.where(fit, shares, 0), kind="stable")[:FEATURES].tolist():
        if fit[number] and shares[number] > 0:
            asked, found = (side.tokens[side.winners[number]] for side in (query, hit))
            yield Feature(number, asked, found, float(shares[number]))


def _unit(embedding: NDArray[np.floating]) -> NDArray[np.float64]:
    wide = embedding.astype(np.float64)  # (D,)
    return np.asarray(wide / np.linalg.norm(wide))


def _codes(tokens: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Number the distinct tokens from 1 and the two marks 0; return texts by number, and each token's number, (T,)."""
    numbers: dict[str, int] = {}
    codes = [numbers.setdefault(token, len(numbers) + 1) for token in tokens[1:-1]]
    return ["", *numbers], np.array([0, *codes, 0])  # (T,)
