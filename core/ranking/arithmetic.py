"""Query arithmetic: a typed text such as `a dog on a beach - a dog + a horse` as terms with weights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SIGNS = {"+": 1.0, "-": -1.0}
_PIECE = re.compile(r'"[^"]*"(?!\S)|\S+')  # what stands in quotes, or else between blanks
_WEIGHT = re.compile(r"\d{1,6}(\.\d{0,6})?|\.\d{1,6}", re.ASCII)
_CANCELLED = 1e-3  # of the sum of absolute weights: a shorter vector is made of rounding errors


@dataclass(frozen=True, slots=True)
class Summand:
    """One summand of a query."""

    weight: float
    """What its unit embedding is multiplied by."""
    text: str
    """A text of its own, without quotes."""


def parse(text: str) -> tuple[Summand, ...] | None:
    """Read a text as a sum. Operators stand between blanks; a weight is a number before ` * `; quotes make it literal.

    Signs that follow each other are multiplied; one at the end waits for its term.

    Returns:
        At least two terms; None for a plain text, where no operator stands between two terms.
    """
    terms: list[Summand] = []
    sign, pieces = 1.0, list[str]()
    for piece in [match[0] for match in _PIECE.finditer(text)]:
        if piece not in _SIGNS:
            pieces.append(piece)
            continue
        terms += _term(sign, pieces)
        sign = _SIGNS[piece] if pieces else sign * _SIGNS[piece]
        pieces = []
    terms += _term(sign, pieces)
    return tuple(terms) if len(terms) > 1 else None


def unquoted(text: str) -> str:
    """Take off the quotes that keep a whole text from being read as a sum; other texts stay as they are."""
    match = _PIECE.fullmatch(text.strip())
    inner = _without_quotes(match[0]) if match else text
    return text if parse(inner) is None else inner


def weighted_sum(weights: Sequence[float], embeddings: Sequence[NDArray[np.floating]]) -> NDArray[np.float64] | None:
    """Add unit embeddings, (D,) of any length but 0 each, times their weights; None when they cancel out."""
    total = np.zeros(len(embeddings[0]))  # (D,)
    for weight, embedding in zip(weights, embeddings, strict=True):
        wide = embedding.astype(np.float64)
        total += weight * wide / np.linalg.norm(wide)
    return total if np.linalg.norm(total) > _CANCELLED * sum(map(abs, weights)) else None


def _term(sign: float, pieces: list[str]) -> list[Summand]:
    """The term that some pieces make, if any."""
    weight = 1.0
    if len(pieces) > 1 and pieces[1] == "*" and _WEIGHT.fullmatch(pieces[0]):
        weight, pieces = float(pieces[0]), pieces[2:]
    text = _without_quotes(pieces[0]) if len(pieces) == 1 else " ".join(pieces)
    return [Summand(sign * weight, text)] if text.strip() else []


def _without_quotes(piece: str) -> str:
    return piece[1:-1] if len(piece) > 1 and piece[0] == piece[-1] == '"' else piece
