"""Images: which captions describe the same image, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEAST = 10  # images with several captions that it takes to learn from some and judge on others


class Images:
    """The captions' grouping by image (or whatever else a corpus groups them by).

    Args:
        groups: The group of each caption, (N,); a caption with an empty text for a group is alone in its image.
        leave_out: Captions that are never found, those without a known word: they are nobody's sisters.
    """

    def __init__(self, groups: NDArray[Any], *, leave_out: NDArray[np.int64] | None = None) -> None:
        of = np.unique(groups, return_inverse=True)[1]  # (N,)
        if groups.dtype.kind == "U":
            alone = np.flatnonzero(groups == "")
            of[alone] = len(groups) + np.arange(len(alone))
            of = np.unique(of, return_inverse=True)[1]
        self.of: NDArray[np.int32] = of.astype(np.int32)
        """The image of each caption, numbered from 0, (N,)."""
        rows = np.delete(np.arange(len(of), dtype=np.int32), [] if leave_out is None else leave_out)
        self.sizes: NDArray[np.int64] = np.bincount(of[rows], minlength=int(of.max(initial=-1)) + 1)
        """How many captions each image has, (I,)."""
        self._order = rows[np.argsort(of[rows], kind="stable")]
        self._starts = np.concatenate([[0], np.cumsum(self.sizes)])

    def captions(self, image: int) -> NDArray[np.int32]:
        """The captions of an image, ascending."""
        return self._order[self._starts[image] : self._starts[image + 1]]

    def have_siblings(self) -> NDArray[np.bool_]:
        """Whether each caption's image has another caption, (N,)."""
        several: NDArray[np.bool_] = self.sizes[self.of] > 1
        return several

    @property
    def suffice(self) -> bool:
        """Whether enough images have several captions to measure by them."""
        return int((self.sizes > 1).sum()) >= _LEAST
