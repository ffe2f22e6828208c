"""Images: which captions describe the same image, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Images:
    """The captions' grouping by image (or whatever else a corpus groups them by).

    Args:
        groups: The group of each caption, (N,).
    """

    def __init__(self, groups: NDArray[Any]) -> None:
        _, of, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        self.of: NDArray[np.int32] = of.astype(np.int32)
        """The image of each caption, numbered from 0, (N,)."""
        self.sizes: NDArray[np.int64] = sizes
        """How many captions each image has, (I,)."""
        self._order = np.argsort(of, kind="stable").astype(np.int32)
        self._starts = np.concatenate([[0], np.cumsum(sizes)])

    def captions(self, image: int) -> NDArray[np.int32]:
        """The captions of an image, ascending."""
        return self._order[self._starts[image] : self._starts[image + 1]]

    def have_sisters(self) -> NDArray[np.bool_]:
        """Whether each caption's image has another caption, (N,)."""
        several: NDArray[np.bool_] = self.sizes[self.of] > 1
        return several
