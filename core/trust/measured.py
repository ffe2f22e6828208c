"""Measured: what asking test queries gave, the input of a calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.ranking.methods import Method


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Asked:
    """Test queries and what was seen of their hits."""

    lengths: NDArray[np.int64]
    """Length that was cut, 0 for whole captions or sentences, (Q,)."""
    known: NDArray[np.int64]
    """Number of known tokens, (Q,)."""
    content: NDArray[np.int64]
    """Number of known content words, (Q,)."""
    groups: NDArray[np.int64]
    """Number of the image, or without images of the text, or of the foreign sentence that the query was cut from, (Q,).
    Images that share a text have the same. A group is held out as a whole."""
    commonness: NDArray[np.float64]
    """How common the words are, see `commonness_of`, (Q,)."""
    signals: NDArray[np.float64]
    """Signals, (Q, S)."""
    evidence: NDArray[np.float64]
    """What a short query is judged by, see `evidence`; its first column is the number of confirmed hits, (Q, 4)."""
    attainable: NDArray[np.int64]
    """How many captions would be confirmed, (Q,)."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Measured(Asked):
    """Test queries cut from captions, with their success, and foreign ones."""

    kinds: NDArray[np.str_]
    """Kind of each query, one of `KINDS`, (Q,)."""
    extra: NDArray[np.bool_]
    """Whole captions beyond the number per length, (Q,). They serve what is measured of whole captions, but do not
    teach to predict success."""
    success: Mapping[Method, NDArray[np.bool_]]
    """Success by method, (Q,)."""
    random_distances: NDArray[np.float32]
    """Distances to R random captions, (Q, R); nan for the source caption."""
    hubs: NDArray[np.int32]
    """Captions that are near many unrelated captions, ascending."""
    captions: int
    """Number of captions among which success was measured."""
    chance: float
    """Probability that ten random captions are a success."""
    by_images: bool
    """Whether success means another caption of the same image among the first ten hits."""
    foreign: Asked
    """Queries that have nothing to do with the corpus."""
    sums: NDArray[np.float64]
    """Distances of hit 1 for sums of queries cut from captions, (U,)."""
    foreign_sums: NDArray[np.float64]
    """The same for sums of queries cut from foreign sentences."""
