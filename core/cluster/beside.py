"""Beside: the sample of a store with the captions that an answer needs behind it, as one small corpus.

The verdict counts and compares captions by their numbers. Those of the sample are 0 to S - 1, as in its matrix; further
ones, the hits of an answer and the other captions of their images, follow.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from core.cluster.predicates import sql_value
from core.cluster.schema import MOST_OF_IMAGE
from core.cluster.stored_rows import StoredRows
from core.corpus.images import Images
from core.corpus.sentences import Sentences
from core.opened import Sample
from core.ranking.lexical import BM25
from core.trust.signals import SignalMeter


class Surroundings:
    """Finds the captions that the verdict on an answer needs beside the sample, which has these words and images."""

    def __init__(self, rows: StoredRows, sample: Sample, bm25: BM25, images: Images | None) -> None:
        self.rows, self.sample, self.bm25, self.images = rows, sample, bm25, images
        self._read: dict[str | int, list[int]] = {}  # rows of the images that were read ahead

    def of(self, wanted: NDArray[np.integer]) -> Beside:
        """Return the sample with these rows of the store, (K,), and the other captions of their images.

        Raises:
            AssetError: The store cannot be read.
        """
        extra, read = self._not_sampled(wanted), self._read  # (E,)
        images = self._images_of(extra)
        if unread := images - read.keys():
            read = read | self._rows_by_image(unread)
        siblings = [row for image in images for row in read.get(image, ())]
        return Beside(self, self._not_sampled(np.append(extra, np.array(siblings, np.int64))))

    def read_ahead(self, wanted: NDArray[np.integer]) -> None:
        """Read what `of` needs of all these rows, (n,), and forget what was read ahead before.

        Raises:
            AssetError: The store cannot be read.
        """
        missing = self._not_sampled(wanted)  # (m,)
        self._read = self._rows_by_image(self._images_of(missing))
        self.rows.embeddings(missing)

    def _not_sampled(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the different rows that are not in the sample, ascending, (m,)."""
        different: NDArray[np.int64] = np.unique(rows).astype(np.int64)  # (n,)
        places = np.minimum(np.searchsorted(self.sampled, different), len(self.sampled) - 1)  # (n,)
        missing: NDArray[np.int64] = different[self.sampled[places] != different]
        return missing

    def _images_of(self, rows: NDArray[np.int64]) -> set[int | str]:
        if self.images is None:
            return set()
        return {caption.image_id for caption in self.rows.captions(rows) if caption.image_id is not None}

    def _rows_by_image(self, images: set[int | str]) -> dict[int | str, list[int]]:
        """Read the rows of images."""
        rows: dict[int | str, list[int]] = {image: [] for image in images}
        if images:
            images_in_sql = ", ".join(map(sql_value, images))
            found = self.rows.where(f"image_id IN ({images_in_sql})", most=MOST_OF_IMAGE * len(images))
            self.rows.take(found)
            for image, row in zip(found["image_id"].to_pylist(), found["row"].to_pylist(), strict=True):
                rows[image].append(row)
        return rows

    @property
    def sampled(self) -> NDArray[np.int64]:
        """The rows of the sample, ascending, (S,)."""
        assert self.sample.rows is not None
        return self.sample.rows


class Beside:
    """The sample of a store, rows 0 to S - 1, and behind it further rows of the store, `extra`, (E,), ascending."""

    def __init__(self, around: Surroundings, extra: NDArray[np.int64]) -> None:
        self._around, self._extra = around, extra
        self._captions = around.rows.captions(extra)  # (E,)

    def numbers(self, rows: NDArray[np.integer]) -> NDArray[np.int32]:
        """Return the numbers of rows of the store that are here, in their order, (n,)."""
        sampled = self._around.sampled
        places = np.minimum(np.searchsorted(sampled, rows), len(sampled) - 1)  # (n,)
        behind = len(sampled) + np.searchsorted(self._extra, rows)  # (n,)
        return np.where(sampled[places] == rows, places, behind).astype(np.int32)

    @cached_property
    def meter(self) -> SignalMeter:
        """Measures signals of queries whose hits have these numbers."""
        rows = cast(Any, _Rows(self._around, self._extra))
        return SignalMeter(
            rows, bm25=_BM25(self._around.bm25, [caption.text for caption in self._captions]), images=self._images()
        )

    def sentences(self, copies: NDArray[np.int32]) -> Sentences:
        """Return the token ids of the sample; `copies` are the numbers of what a search for the query's ids finds."""
        return _Sentences(self._around.sample.matrix.sentences, copies)

    def _images(self) -> Images | None:
        images = self._around.images
        if images is None or not self._captions:
            return images
        groups = _numbered(
            ("row", row) if caption.image_id is None else caption.image_id
            for row, caption in zip(self._extra.tolist(), self._captions, strict=True)
        )
        return Images.joined(images, Images(groups, texts=_numbered(caption.sentence for caption in self._captions)))


def _numbered(values: Iterable[Hashable]) -> NDArray[np.int64]:
    """Number values, equal ones alike, from 0."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], np.int64)


class _Rows:
    """The unit embeddings, as an array would have them."""

    def __init__(self, around: Surroundings, extra: NDArray[np.int64]) -> None:
        self._around, self._extra = around, extra

    def __getitem__(self, numbers: NDArray[np.integer]) -> NDArray[np.float16]:
        matrix, numbers = self._around.sample.matrix, np.asarray(numbers, np.int64)
        found = np.empty((len(numbers), matrix.dim), np.float16)  # (n, D)
        behind = numbers >= len(matrix)  # (n,)
        found[~behind] = matrix.rows[numbers[~behind]]
        found[behind] = self._around.rows.embeddings(self._extra[numbers[behind] - len(matrix)])
        return found


class _BM25(BM25):
    """The words of the sample and of the captions behind it."""

    def __init__(self, sample: BM25, texts: Sequence[str]) -> None:
        self._sample = sample
        self._behind = [set(stems) for stems in sample.stems_of(texts)]  # (E,)

    def __len__(self) -> int:
        return len(self._sample) + len(self._behind)

    def stems(self, text: str) -> list[str]:
        """Return the distinct stems of a text in order, without stop words."""
        return self._sample.stems(text)

    def stem(self, word: str) -> str:
        """Return the stem of a word."""
        return self._sample.stem(word)

    def rows_with(self, stem: str) -> NDArray[np.int32]:
        """Return the captions that contain a stem, ascending, (n,)."""
        behind = [number for number, stems in enumerate(self._behind, len(self._sample)) if stem in stems]
        return np.concatenate([self._sample.rows_with(stem), np.array(behind, np.int32)])


class _Sentences(Sentences):
    """The token ids of the sample, in which the copies of one query are known."""

    def __init__(self, sample: Sentences, copies: NDArray[np.int32]) -> None:
        super().__init__(sample.ids, sample.starts)
        self._copies = copies

    def find(self, ids: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the numbers of the query's copies."""
        return self._copies.astype(np.int64)
