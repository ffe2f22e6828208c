"""Images: which captions describe the same image, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_MIN_IMAGES = 10  # images with several captions: enough to calibrate on some and test on others
_MOST_CAPTIONS = 100  # of half of the images; larger groups are topics or collections, not images


class Images:
    """The captions grouped by image, or by another kind of group in the corpus.

    Args:
        groups: The group of each caption, (N,); a caption whose group is "" gets an image of its own.
        leave_out: Rows not counted in any image: captions without a known word, which are never ranked.
        texts: The number of each caption's text, (N,), where a text counts once in an image; else each caption counts.
    """

    def __init__(
        self,
        groups: NDArray[Any],
        *,
        leave_out: NDArray[np.int64] | None = None,
        texts: NDArray[np.int64] | None = None,
    ) -> None:
        of = np.unique(groups, return_inverse=True)[1]  # (N,)
        if groups.dtype.kind == "U":
            alone = np.flatnonzero(groups == "")  # (A,)
            of[alone] = len(groups) + np.arange(len(alone))
            of = np.unique(of, return_inverse=True)[1]  # (N,)
        self.of: NDArray[np.int32] = of.astype(np.int32)
        """The image number of each caption, from 0, (N,)."""
        self.counted: NDArray[np.bool_] = np.ones(len(of), bool)
        """Whether a caption is counted, not left out, (N,)."""
        self.counted[[] if leave_out is None else leave_out] = False
        self.repeated: NDArray[np.bool_] = np.zeros(len(of), bool)
        """Whether a caption repeats the text of an earlier one of its image and is therefore not counted, (N,)."""
        if texts is not None:
            pairs = of * (int(texts.max(initial=0)) + 1) + texts  # (N,)
            self.repeated[:] = True
            self.repeated[np.unique(pairs, return_index=True)[1]] = False
            self.counted &= ~self.repeated
        rows = np.flatnonzero(self.counted).astype(np.int32)  # (M,)
        self.sizes: NDArray[np.int64] = np.bincount(of[rows], minlength=int(of.max(initial=-1)) + 1)
        """Number of captions of each image, those left out not counted, (I,)."""
        self._order = rows[np.argsort(of[rows], kind="stable")]  # (M,)
        self._starts = np.concatenate([[0], np.cumsum(self.sizes)])  # (I + 1,)

    @classmethod
    def joined(cls, first: Images, second: Images) -> Images:
        """Return the images of N captions and of M others behind them, which describe other images, as one."""
        joined, shift = cls.__new__(cls), len(first.sizes)
        joined.of = np.concatenate([first.of, second.of + np.int32(shift)])
        joined.counted, joined.repeated, joined.sizes = (
            np.concatenate([getattr(first, name), getattr(second, name)]) for name in ("counted", "repeated", "sizes")
        )
        joined._order = np.concatenate([first._order, second._order + np.int32(len(first.of))])
        joined._starts = np.concatenate([[0], np.cumsum(joined.sizes)])
        return joined

    def captions(self, image: int) -> NDArray[np.int32]:
        """Return the rows of an image, ascending, without those left out."""
        return self._order[self._starts[image] : self._starts[image + 1]]

    def have_siblings(self) -> NDArray[np.bool_]:
        """Return for each caption whether its image has at least two captions, those left out not counted, (N,)."""
        several: NDArray[np.bool_] = self.sizes[self.of] > 1
        return several

    @property
    def suffice(self) -> bool:
        """Whether enough images have several captions to calibrate with them, and few of these very many."""
        several = self.sizes[self.sizes > 1]  # (S,)
        return len(several) >= _MIN_IMAGES and float(np.median(several)) <= _MOST_CAPTIONS
