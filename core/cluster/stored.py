"""Stored: the captions of a store, read when they are asked for and remembered for a while."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from core.assets import AssetError
from core.cluster.predicates import sql_text
from core.cluster.schema import UNCOUNTED, hash_of
from core.cluster.stored_rows import StoredCaption, StoredRows
from core.corpus.captions import Captions
from core.corpus.vocabulary import Vocabulary
from core.ranking.folds import Folding, fold

_MOST_COPIES = 1000
_UNREADABLE = "(the store cannot be read now)"
_TOO_MANY = "a store is not read as a whole"


class StoredTexts(Sequence[str]):
    """The texts of N captions. Rows are those of their file, of which some may be left out."""

    def __init__(self, rows: StoredRows) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return self._rows.about.captions

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[str]: ...
    def __getitem__(self, row: int | slice) -> str | Sequence[str]:
        if isinstance(row, slice):
            raise TypeError(_TOO_MANY)
        return self._rows.caption(int(row)).text

    def __iter__(self) -> Iterator[str]:
        raise TypeError(_TOO_MANY)


class _ShownTexts(StoredTexts):
    """Texts for the screen, which outlives the store."""

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[str]: ...
    def __getitem__(self, row: int | slice) -> str | Sequence[str]:
        try:
            return super().__getitem__(row)
        except AssetError:
            return _UNREADABLE


@dataclass(frozen=True, slots=True, eq=False)
class StoredCaptions(Captions):
    """N captions of a store."""

    stored: StoredRows = field(kw_only=True)
    beginning: str = field(kw_only=True)

    @classmethod
    def open(cls, rows: StoredRows, beginning: str) -> StoredCaptions:
        """Open the captions of a store, of which `beginning` is one."""
        about, nothing = rows.about, np.empty(0, np.int64)
        return cls(
            name=about.name,
            texts=StoredTexts(rows),
            ids=nothing,
            groups=nothing if about.images is not None else None,
            file_names={},
            urls={},
            layout=f"store of {about.layout}" if about.layout else "store",
            notes=about.notes,
            stored=rows,
            beginning=beginning,
        )

    @property
    def shown(self) -> Sequence[str]:
        """The texts, or a sign in the place of those that cannot be read now."""
        return _ShownTexts(self.stored)

    def group(self, row: int) -> int | str | None:
        """Return the image id of a row; None also where the store cannot be read now, as for the other fields."""
        return self._shown(row).image_id

    def id(self, row: int) -> int | str:
        """Return the id of a caption."""
        return self._shown(row).caption_id

    def file_name(self, row: int) -> str | None:
        """Return the file name of a caption's image."""
        return self._shown(row).file_name

    def url(self, row: int) -> str | None:
        """Return the address of a caption's image."""
        return self._shown(row).url

    def _shown(self, row: int) -> StoredCaption:
        try:
            return self.stored.caption(row)
        except AssetError:
            return StoredCaption(_UNREADABLE, "?", None, None, None, 0)

    def has(self, row: int, text: str) -> bool:
        """Tell whether a row has a text."""
        with suppress(AssetError):  # there is no such row
            return self.stored.caption(row).text == text
        return False

    def rows_by_text(self) -> Mapping[str, int]:
        """Return a row of each text, which is looked for when it is asked for."""
        return _RowsByText(self.stored)

    @property
    def images(self) -> int | None:
        """Number of images, as the store says."""
        return None if self.stored.about.images == UNCOUNTED else self.stored.about.images

    @property
    def first(self) -> str:
        """A caption."""
        return self.beginning


class _RowsByText(Mapping[str, int]):
    def __init__(self, rows: StoredRows) -> None:
        self._rows = rows

    def __getitem__(self, text: str) -> int:
        found: list[int] = self._rows.where(f"caption = {sql_text(text)}", most=1)["row"].to_pylist()
        if not found:
            raise KeyError(text)
        return found[0]

    def __iter__(self) -> Iterator[str]:
        raise TypeError(_TOO_MANY)

    def __len__(self) -> int:
        return self._rows.about.captions


class StoredSentences:
    """The token ids of N captions."""

    def __init__(self, rows: StoredRows, vocabulary: Vocabulary) -> None:
        self._rows, self._vocabulary = rows, vocabulary

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        return self._vocabulary.look_up(self._rows.caption(int(row)).text).ids

    def find(self, ids: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the rows with exactly these token ids, ascending, (n,); at most `_MOST_COPIES`."""
        found = self._rows.where(f"sentence = {hash_of(ids)}", most=_MOST_COPIES)
        rows, _ = self._rows.take(found)
        same = [row for row in sorted(rows.tolist()) if np.array_equal(self[row], ids)]
        return np.array(same, np.int64)


class _StoredEmbeddings:
    """The unit embeddings of N captions, as an array would have them."""

    def __init__(self, rows: StoredRows) -> None:
        self._rows = rows

    def __getitem__(self, rows: int | NDArray[np.integer]) -> NDArray[np.float16]:
        if isinstance(rows, np.ndarray):
            return self._rows.embeddings(rows)
        embedding: NDArray[np.float16] = self._rows.embeddings(np.array([rows]))[0]
        return embedding


class StoredMatrix:
    """The embeddings and token ids of N captions, read when they are asked for. `folder` is that of the sample."""

    def __init__(self, rows: StoredRows, vocabulary: Vocabulary, folder: Path) -> None:
        self.rows, self.sentences, self.folder = _StoredEmbeddings(rows), StoredSentences(rows, vocabulary), folder
        self.dim, self._captions = rows.about.dim, rows.about.captions

    def __len__(self) -> int:
        return self._captions


class StoredFolds:
    """Folds rankings by equal texts and by images; nobody counted how many of each there are."""

    copies: NDArray[np.int64] | None = None
    sibling_counts: NDArray[np.int64] | None = None

    def __init__(self, captions: StoredCaptions) -> None:
        self._captions = captions

    def fold(self, rows: NDArray[np.int32]) -> Folding:
        """Fold a ranking, rows (K,): the nearest caption of a group represents it."""
        hits = self._captions.stored.captions(rows)
        images = None
        if self._captions.groups is not None:
            named = zip(hits, rows.tolist(), strict=True)
            images = _numbered((hit.image_id, None) if hit.image_id is not None else (None, row) for hit, row in named)
        return fold(len(rows), texts=_numbered(hit.text for hit in hits), images=images)


def _numbered(values: Iterable[Hashable]) -> NDArray[np.int32]:
    """Number values: equal ones alike, in the order in which they come, from 0."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], np.int32)
