"""Agreement: which tokens of two sentences make their embeddings alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Pair:
    """A token of the query and one of the hit, with the features that both won in max pooling."""

    query: str
    hit: str
    share: float
    """Share of the cosine that these features contribute; all shares sum to 1, single ones may be negative."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The cosine of two sentences, by the tokens that it comes from."""

    cosine: float
    """-1..1."""
    pairs: tuple[Pair, ...]
    """Pairs of words, equal texts together, the largest share first."""
    marks: float
    """The share of the features where a sentence mark won on either side."""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of two sentences."""

    embedding: NDArray[np.floating]
    """(D,), of any length but 0."""
    winners: NDArray[np.int32]
    """Which token each feature's maximum falls on, (D,)."""
    tokens: Sequence[str]
    """The T tokens that were encoded, the sentence marks first and last."""


def agree(query: Side, hit: Side) -> Agreement | None:
    """Split the cosine of two sentences by (query token, hit token); None when they are (nearly) orthogonal or opposed.

    A feature contributes the product of both unit embeddings' values to the pair of tokens that won it.
    """
    products = _unit(query.embedding) * _unit(hit.embedding)  # (D,)
    cosine = float(products.sum())
    if cosine < 1e-3:
        return None
    names_q, codes_q = _codes(query.tokens)
    names_h, codes_h = _codes(hit.tokens)
    cells = codes_q[query.winners] * len(names_h) + codes_h[hit.winners]  # (D,)
    shares = np.bincount(cells, products, minlength=len(names_q) * len(names_h)) / cosine  # (distinct * distinct,)
    table = shares.reshape(len(names_q), len(names_h))
    words = table[1:, 1:]  # the marks have code 0
    order = np.argsort(-words, axis=None, kind="stable")
    order = order[words.ravel()[order] != 0]
    pairs = tuple(
        Pair(names_q[1 + at // words.shape[1]], names_h[1 + at % words.shape[1]], float(words.flat[at]))
        for at in order.tolist()
    )
    return Agreement(cosine, pairs, float(table[0].sum() + table[1:, 0].sum()))


def _unit(embedding: NDArray[np.floating]) -> NDArray[np.float64]:
    wide = embedding.astype(np.float64)
    return np.asarray(wide / np.linalg.norm(wide))


def _codes(tokens: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Number the distinct tokens from 1, the two marks being 0; return their names by number, and each token's."""
    numbers: dict[str, int] = {}
    codes = [numbers.setdefault(token, len(numbers) + 1) for token in tokens[1:-1]]
    return ["", *numbers], np.array([0, *codes, 0])
