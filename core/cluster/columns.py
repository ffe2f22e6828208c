"""Columns: which columns of many Parquet files hold the captions, their ids and images, and how a store has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.assets import AssetError
from core.cluster.parts import Parts
from core.cluster.salvaging import FailingError, salvaged
from core.cluster.schema import schema
from core.corpus.captions import Captions, label_of
from core.corpus.kinds import kind_of_column
from core.corpus.parquet import is_binary, is_list, readable_columns, table_of
from core.corpus.table import ReadOptions, Roles, Table, image_of, image_of_part
from core.corpus.text_files import tidy

_LISTS = ("list", "object")  # kinds of columns whose rows hold several captions
_INDEX = "__index_level_0__"  # how pandas names an index without a name, which is `index` in one file


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of the files, all of which have the same. What they are is decided once, for all parts."""

    names: tuple[str, ...]
    """Those that are read."""
    text: str
    """The one of the captions."""
    id: str | None
    """The one of their ids."""
    group: str | None
    """The one of their images."""
    are_parts: bool
    """Whether images are named as in `dog.jpg#2`, which is caption 2 of `dog.jpg`."""
    kept: tuple[str, ...]
    """Those that the store has, as `column_0` and so on."""
    kinds: pa.Schema
    """The columns of the store."""
    layout: str
    """What the files were recognised as, in words."""
    first: str
    """The first caption, or its beginning."""

    @property
    def shown(self) -> tuple[str, ...]:
        """The names of those that the store has, on screen."""
        return tuple("index" if name == _INDEX else name for name in self.kept)

    @property
    def told(self) -> str:
        """What they are, for a hash."""
        return repr((self.text, self.id, self.group, self.are_parts, self.kept, str(self.kinds)))

    @classmethod
    def choose(cls, parts: Parts, options: ReadOptions, dim: int) -> Columns:
        """Choose columns by the first part that can be read, for a store of embeddings of width D, `dim`.

        Raises:
            AssetError: Nothing tells which column holds the captions, or its rows hold several.
        """
        path = parts.parts[0].path
        names = readable_columns(parts.schema, path)
        table = _first_table(parts, names)
        roles = Roles.choose(table, options, path)
        if len(roles.texts) > 1 or set(roles.texts.values()).intersection(_LISTS):
            found = f"a row has several captions, in {' and '.join(roles.texts)}"
            advice = "write a row for each caption, or name one column of texts with --text-column"
            raise AssetError(path, found, expected="a caption a row", advice=advice)
        (text,) = roles.texts
        captions = Captions.of_table(table, roles, Path(path))
        groups = [] if roles.group is None else _groups(table.columns[roles.group])
        are_parts = kind_of_column(groups) in ("file", "code") and any(image_of_part(each) != each for each in groups)
        types = {field.name: field.type for field in parts.schema}
        kinds = {name: _plain(kind) for name, kind in types.items() if not _is_nested(kind)}
        images = _kind_of_labels(roles.group, types, parts)
        ids = _kind_of_labels(roles.id, types, parts)
        if roles.id is None:
            ids = pa.string() if are_parts else pa.int64()  # the images as they are named, or the number of the row
        kinds |= {roles.id: ids, roles.group: images}
        kept = {name: kinds[name] for name in table.columns if name in kinds and name != text}
        wanted = {text, roles.id, roles.group, *kept}
        return cls(
            names=tuple(each for each in names if _own_name(each, types) in wanted),
            text=text,
            id=roles.id,
            group=roles.group,
            are_parts=are_parts,
            kept=tuple(kept),
            kinds=schema(dim, ids, images, {f"column_{i}": kind for i, kind in enumerate(kept.values())}),
            layout=captions.layout,
            first=captions.beginning,
        )

    def take(self, rows: pa.Table, first: int) -> tuple[Captions, dict[str, pa.Array]]:
        """Take n captions from rows that were read, of which `first` is the first one of the corpus.

        Returns:
            The captions, and their columns by the names that these have in the store, (n,) each.
        """
        wanted = dict.fromkeys(name for name in (self.text, self.id, self.group) if name is not None)
        columns = table_of(rows.select(list(wanted)).replace_schema_metadata(None)).columns
        texts = [tidy(_text(value)) for value in columns[self.text]]
        groups = None if self.group is None else _groups(columns[self.group])
        images = groups if groups is None or not self.are_parts else list(map(image_of_part, groups))
        if self.id is not None:
            ids: Sequence[Any] = list(map(label_of, columns[self.id]))
        else:
            ids = groups if self.are_parts and groups else range(first + 1, first + 1 + len(rows))
        captions = Captions(
            name="",
            texts=texts,
            ids=_array(ids, self.kinds.field("caption_id").type),
            groups=None if images is None else _array(images, self.kinds.field("image_id").type),
            file_names={},
            urls={},
        )
        known = {self.id: pa.array(captions.ids)}
        known |= {self.group: pa.array(list(map(captions.group, range(len(captions)))))}
        names = {f"column_{i}": name for i, name in enumerate(self.kept)}
        return captions, {
            own: known[name] if name in known else rows[name].cast(self.kinds.field(own).type).combine_chunks()
            for own, name in names.items()
        }


def _first_table(parts: Parts, names: Sequence[str]) -> Table:
    """Read the rows of the first part that can be read, without those that cannot.

    Raises:
        AssetError: There is none.
    """
    for part in parts.parts:
        try:
            rows = part.read(list(names)).replace_schema_metadata(None)
            pieces = salvaged(partial(_table_of_rows, rows), len(rows))
            tables = [table for _, _, table in pieces if isinstance(table, Table)]
            if not tables:
                raise FailingError("none of its rows can be read")
        except (OSError, ValueError, pa.ArrowException, FailingError) as error:
            last = error
            continue
        columns = {name: [value for each in tables for value in each.columns[name]] for name in tables[0].columns}
        return Table(layout=tables[0].layout, columns=columns)
    found = f"no part of it can be read ({str(last)[:100]})"
    raise AssetError(parts.parts[0].path, found, advice="copy it again")


def _table_of_rows(rows: pa.Table, start: int, stop: int) -> Table:
    return table_of(rows.slice(start, stop - start))


def _own_name(name: str, types: dict[str, pa.DataType]) -> str:
    """Return the column of a name that is read, which of pictures is their path."""
    return name if name in types else name.removesuffix(".path")


def _kind_of_labels(name: str | None, types: dict[str, pa.DataType], parts: Parts) -> pa.DataType:
    """Return how ids are stored: as numbers if all of them are, as in one file; else as texts."""
    kind = pa.null() if name is None else types[name]
    is_number = pa.types.is_integer(kind) and kind != pa.uint64() and name not in parts.nullable
    return pa.int64() if is_number else pa.string()


def _groups(values: Sequence[Any]) -> list[str]:
    return [label_of(image_of(value)) for value in values]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if type(value) is int else ""


def _array(labels: Sequence[Any], kind: pa.DataType) -> NDArray[Any]:
    return np.array(list(map(int, labels)), np.int64) if pa.types.is_integer(kind) else np.array(labels, str)


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the one type for all that say the same: texts, lists, and what places in a dictionary stand for."""
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if is_list(kind):
        return pa.list_(_plain(kind.value_type))
    return pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind


def _is_nested(kind: pa.DataType) -> bool:
    """Tell whether the values of a column are no numbers or texts, nor lists of them."""
    inner = _plain(kind).value_type if is_list(kind) else _plain(kind)
    return bool(pa.types.is_nested(inner) or is_binary(inner))
