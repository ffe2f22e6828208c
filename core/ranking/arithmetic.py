"""Arithmetic: parse a typed text as a weighted sum, such as `a dog on a beach - a dog + a horse`, or a feature."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SIGNS = {"+": 1.0, "-": -1.0}
_PIECE = re.compile(r'"[^"]*"(?!\S)|\S+')  # a quoted text, or else a run without blanks
_WEIGHT = re.compile(r"\d{1,6}(\.\d{0,6})?|\.\d{1,6}", re.ASCII)
_FEATURE = re.compile(r"#(\d{1,6})", re.ASCII)
_CANCELLED = 1e-3  # relative to the sum of absolute weights; a shorter vector is mostly rounding error


@dataclass(frozen=True, slots=True)
class Summand:
    """One term as parsed; `core.query.Term` adds its tokens."""

    weight: float
    """Factor of its unit embedding."""
    text: str
    """Text of the term, without quotes."""


def parse(text: str) -> tuple[Summand, ...] | None:
    """Parse a text as a sum of at least two terms; return None for a plain text.

    Operators stand between blanks; a weight is a number before ` * `; quotes make a text literal. Consecutive signs are
    multiplied; a sign at the end is ignored.
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


def feature_of(text: str) -> int | None:
    """Parse a text such as `#812`, which stands for a feature of the embeddings; return None for every other text."""
    match = _FEATURE.fullmatch(text.strip())
    return int(match[1]) if match else None


def unquoted(text: str) -> str:
    """Remove the quotes around a whole text that would else be a sum or a feature; return other texts unchanged."""
    match = _PIECE.fullmatch(text.strip())
    inner = _without_quotes(match[0]) if match else text
    return text if parse(inner) is None and feature_of(inner) is None else inner


def quoted(text: str) -> str:
    """Put a text that would be read as a sum or a feature in quotes; return other texts unchanged."""
    return text if parse(text) is None and feature_of(text) is None else f'"{text}"'


def weighted_sum(weights: Sequence[float], embeddings: Sequence[NDArray[np.floating]]) -> NDArray[np.float64] | None:
    """Add weighted unit embeddings and return (D,), or None when they cancel out.

    The embeddings, (D,) each, are normalized here; none is 0.
    """
    total = np.zeros(len(embeddings[0]))  # (D,)
    for weight, embedding in zip(weights, embeddings, strict=True):
        wide = embedding.astype(np.float64)  # (D,)
        total += weight * wide / np.linalg.norm(wide)  # (D,)
    return total if np.linalg.norm(total) > _CANCELLED * sum(map(abs, weights)) else None


def _term(sign: float, pieces: list[str]) -> list[Summand]:
    """Make the term of some pieces; none for a blank text."""
    weight = 1.0
    if len(pieces) > 1 and pieces[1] == "*" and _WEIGHT.fullmatch(pieces[0]):
        weight, pieces = float(pieces[0]), pieces[2:]
    text = _without_quotes(pieces[0]) if len(pieces) == 1 else " ".join(pieces)
    return [Summand(sign * weight, text)] if text.strip() else []


def _without_quotes(piece: str) -> str:
    return piece[1:-1] if len(piece) > 1 and piece[0] == piece[-1] == '"' else piece
