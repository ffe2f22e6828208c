"""Folds: display equal texts once in a ranking and, on request, all captions of an image once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.corpus.captions import Captions
from core.corpus.images import Images


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Which hits of a ranking are displayed."""

    places: NDArray[np.int32]
    """Displayed places of the ranking, from 0, ascending, (L,)."""
    line_of: NDArray[np.int32]
    """For each place, the line 0..L-1 that displays it or the hit it is folded into, (K,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Folding:
    """Both folds of a ranking."""

    texts: Fold
    """Each text once, at its nearest caption."""
    images: Fold | None
    """Each image and each text once, at its nearest caption; None where the captions have no images."""


class Folder(Protocol):
    """Folds rankings of N captions by equal texts and by images."""

    copies: NDArray[np.int64] | None
    """Number of captions with the same text, including itself, (N,); None where nobody counted."""
    sibling_counts: NDArray[np.int64] | None
    """Number of sibling captions, (N,); None where the captions have no images, or nobody counted."""

    def fold(self, rows: NDArray[np.int32]) -> Folding:
        """Fold a ranking, rows (K,): the nearest caption of a group represents it."""


class Folds:
    """Folds rankings of N captions in memory: see `Folder`."""

    def __init__(self, captions: Captions) -> None:
        numbers = {text: number for number, text in enumerate(dict.fromkeys(captions.texts))}
        texts = np.fromiter(map(numbers.__getitem__, captions.texts), np.int32, len(captions))  # (N,)
        self._texts = texts if len(numbers) < len(texts) else None  # None where all texts differ
        self.copies: NDArray[np.int64] | None = np.bincount(texts)[texts]
        self._images: NDArray[np.int32] | None = None
        self.sibling_counts: NDArray[np.int64] | None = None
        if captions.groups is not None:
            images = Images(captions.groups)
            self._images, self.sibling_counts = images.of, images.sizes[images.of] - 1

    def fold(self, rows: NDArray[np.int32]) -> Folding:
        """Fold a ranking, rows (K,): the nearest caption of a group represents it."""
        texts = None if self._texts is None else self._texts[rows]  # (K,)
        return fold(len(rows), texts=texts, images=None if self._images is None else self._images[rows])


def fold(count: int, *, texts: NDArray[np.integer] | None, images: NDArray[np.integer] | None) -> Folding:
    """Fold K hits: the nearest one of a group represents it.

    Args:
        count: K.
        texts: The number of each hit's text, (K,), from 0; None where all texts differ.
        images: The number of each hit's image, (K,), from 0; None where the captions have no images.
    """
    every = np.arange(count, dtype=np.int32)  # (K,)
    by_text = every if texts is None else _first_of(every, texts)  # (K,)
    if images is None:
        return Folding(_shown(by_text), None)
    by_image = _first_of(every, images)  # (K,)
    return Folding(_shown(by_text), _shown(by_image if texts is None else _first_of(by_image, texts)))


def _first_of(stands_for: NDArray[np.int32], codes: NDArray[np.integer]) -> NDArray[np.int32]:
    """Let the first representative with a code represent every place with that code.

    Args:
        stands_for: Current representative of each place, (K,); a representative represents itself.
        codes: Group of each place, (K,), from 0.

    Returns:
        New representative of each place, (K,).
    """
    kept = np.flatnonzero(stands_for == np.arange(len(codes), dtype=np.int32)).astype(np.int32)  # (kept,)
    first = np.empty(codes.max(initial=-1) + 1, np.int32)  # (codes,); only codes that occur are read
    first[codes[kept[::-1]]] = kept[::-1]  # in reverse, so that the nearest of equal codes is assigned last
    return np.asarray(first[codes[stands_for]])  # (K,)


def _shown(stands_for: NDArray[np.int32]) -> Fold:
    shown = stands_for == np.arange(len(stands_for), dtype=np.int32)  # (K,)
    return Fold(np.flatnonzero(shown).astype(np.int32), (np.cumsum(shown, dtype=np.int32) - 1)[stands_for])
