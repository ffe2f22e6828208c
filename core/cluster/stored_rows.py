"""Stored rows: captions and embeddings of a store by row, remembered for a while."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.assets import AssetError
from core.cluster.connection import Connection
from core.cluster.predicates import rows_in
from core.cluster.schema import CAPTIONS, EMBEDDING, About, embeddings_of

_REMEMBERED = 50_000  # captions
_EMBEDDINGS = 4_000  # embeddings among them
_COLUMNS = ["row", "caption", "caption_id", "image_id", "file_name", "url", "sentence", EMBEDDING]


class StoredCaption(NamedTuple):
    """A caption with what is shown of it."""

    text: str
    caption_id: int | str
    image_id: int | str | None
    file_name: str | None
    url: str | None
    sentence: int
    """Hash of its token ids."""


class StoredRows:
    """Captions and embeddings of a store by row; threads may ask at once."""

    columns = _COLUMNS
    """What `take` takes."""

    def __init__(self, connection: Connection, about: About) -> None:
        self._connection, self.about = connection, about
        with connection.errors():
            self.table = connection.open(CAPTIONS)
        self._captions: OrderedDict[int, StoredCaption] = OrderedDict()
        self._embeddings: OrderedDict[int, NDArray[np.float16]] = OrderedDict()  # (D,) each
        self._lock = threading.Lock()

    def take(self, found: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Remember captions that a search has returned.

        Returns:
            Their rows, (n,), and their embeddings, (n, D), or (0, D) where the search did not ask for them.
        """
        rows: NDArray[np.int64] = found["row"].to_numpy()
        embeddings = np.empty((0, self.about.dim), np.float16)
        if EMBEDDING in found.column_names:
            embeddings = embeddings_of(found[EMBEDDING]).reshape(len(rows), self.about.dim)
        columns = [found[name].to_pylist() for name in _COLUMNS[1:-1]]
        with self._lock:
            for i, row in enumerate(rows.tolist()):
                _put(self._captions, row, StoredCaption(*(column[i] for column in columns)), _REMEMBERED)
                if len(embeddings):
                    _put(self._embeddings, row, embeddings[i].copy(), _EMBEDDINGS)  # not all that were read
        return rows, embeddings

    def where(self, predicate: str, *, most: int) -> pa.Table:
        """Read the captions that meet a predicate, at most so many, in any order.

        Raises:
            AssetError: The store cannot be read.
        """
        with self._connection.errors():
            return self.table.search().where(predicate).select(_COLUMNS).limit(most).to_arrow()

    def count(self, predicate: str) -> int:
        """Count the captions that meet a predicate.

        Raises:
            AssetError: The store cannot be read.
        """
        with self._connection.errors():
            count: int = self.table.count_rows(predicate)
        return count

    def at(self, place: int, predicate: str) -> int:
        """Return the row of the caption at a place, from 0, among those that meet a predicate, or all if it is empty.

        Raises:
            AssetError: The store cannot be read.
        """
        with self._connection.errors():
            if predicate:
                search = self.table.search().where(predicate).offset(place).limit(1)
            else:
                search = self.table.take_offsets([place])
            found = search.select(_COLUMNS).to_arrow()
        return int(self.take(found)[0][0])

    def caption(self, row: int) -> StoredCaption:
        """Return the caption of a row.

        Raises:
            AssetError: The store cannot be read, or has no such row.
        """
        with self._lock:
            known = self._captions.get(row)
        if known is None:
            self._read([row])
            with self._lock:
                known = self._captions[row]
        return known

    def captions(self, rows: NDArray[np.integer]) -> list[StoredCaption]:
        """Return the captions of rows, (n,), in their order.

        Raises:
            AssetError: The store cannot be read, or lacks one of the rows.
        """
        wanted: list[int] = rows.tolist()
        with self._lock:
            missing = [row for row in wanted if row not in self._captions]
        if missing:
            self._read(missing)
        return [self.caption(row) for row in wanted]

    def embeddings(self, rows: NDArray[np.integer]) -> NDArray[np.float16]:
        """Return the unit embeddings of rows, (n,), in their order; (n, D).

        Raises:
            AssetError: The store cannot be read, or lacks one of the rows.
        """
        wanted: list[int] = rows.tolist()
        with self._lock:
            known = {row: self._embeddings[row] for row in wanted if row in self._embeddings}
        missing = [row for row in wanted if row not in known]
        if missing:
            read, embeddings = self._read(missing)
            known |= dict(zip(read.tolist(), embeddings, strict=True))
        return np.stack([known[row] for row in wanted]) if wanted else np.empty((0, self.about.dim), np.float16)

    def _read(self, rows: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        wanted = set(rows)
        found = self.where(rows_in(wanted), most=len(wanted))
        if found.num_rows < len(wanted):
            lost = min(wanted - set(found["row"].to_pylist()))
            advice = "it was written anew meanwhile: start again"
            raise AssetError(self._connection.address, f"has no caption of row {lost} any more", advice=advice)
        return self.take(found)


def _put(known: OrderedDict[int, Any], row: int, value: Any, most: int) -> None:
    known[row] = value
    known.move_to_end(row)
    while len(known) > most:
        known.popitem(last=False)
