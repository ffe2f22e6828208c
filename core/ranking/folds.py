"""Folds: a ranking with equal texts, and on demand all captions of an image, shown once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.corpus.captions import Captions
from core.corpus.images import Images


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Which hits of a ranking are shown."""

    places: NDArray[np.int32]
    """The places in the ranking that are shown, from 0, ascending, (L,)."""
    line_of: NDArray[np.int32]
    """The line, 0..L-1, that shows each place or stands for it, (K,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Folding:
    """Both ways to show a ranking."""

    texts: Fold
    """Each text once."""
    images: Fold | None
    """Each image once, at its nearest caption, and each text once; None where the captions have no images."""


class Folds:
    """The captions' copies and sibling captions.

    Args:
        captions: N of them.
    """

    def __init__(self, captions: Captions) -> None:
        numbers = {text: number for number, text in enumerate(dict.fromkeys(captions.texts))}
        texts = np.fromiter(map(numbers.__getitem__, captions.texts), np.int32, len(captions))  # (N,)
        self._texts = texts if len(numbers) < len(texts) else None
        self.copies: NDArray[np.int64] = np.bincount(texts)[texts]
        """How many captions have the same text, itself included, (N,)."""
        self._images: NDArray[np.int32] | None = None
        self.sibling_counts: NDArray[np.int64] | None = None
        """How many other captions describe the same image, (N,); None where the captions have no images."""
        if captions.groups is not None:
            images = Images(captions.groups)
            self._images, self.sibling_counts = images.of, images.sizes[images.of] - 1

    def fold(self, rows: NDArray[np.int32]) -> Folding:
        """Fold a ranking: what is nearest stands for what equals it."""
        every = np.arange(len(rows), dtype=np.int32)  # (K,)
        texts = every if self._texts is None else _first_of(every, self._texts[rows])
        if self._images is None:
            return Folding(_shown(texts), None)
        images = _first_of(every, self._images[rows])
        return Folding(_shown(texts), _shown(images if self._texts is None else _first_of(images, self._texts[rows])))


def _first_of(stands_for: NDArray[np.int32], codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """Let the first place with a code stand for all with that code.

    Args:
        stands_for: The place that stands for each place so far, (K,); one that stands for others stands for itself.
        codes: What is to be shown once, by place, (K,).

    Returns:
        The place that stands for each place now, (K,).
    """
    kept = np.flatnonzero(stands_for == np.arange(len(codes), dtype=np.int32)).astype(np.int32)
    first = np.empty(codes.max(initial=-1) + 1, np.int32)  # by code; only codes that occur are ever looked up
    first[codes[kept[::-1]]] = kept[::-1]  # of equal codes the last assignment stays: the nearest
    return np.asarray(first[codes[stands_for]])


def _shown(stands_for: NDArray[np.int32]) -> Fold:
    shown = stands_for == np.arange(len(stands_for), dtype=np.int32)
    return Fold(np.flatnonzero(shown).astype(np.int32), (np.cumsum(shown, dtype=np.int32) - 1)[stands_for])
