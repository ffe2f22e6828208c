"""Columns: which columns of many Parquet files hold the captions, their ids and images, and how a store has them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.assets import AssetError
from core.cluster.parts import Parts
from core.cluster.schema import schema
from core.corpus.captions import Captions
from core.corpus.parquet import readable_columns, table_of
from core.corpus.table import ReadOptions, Roles

_LISTS = ("list", "object")  # kinds of columns whose rows hold several captions


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of the files, all of which have the same."""

    names: tuple[str, ...]
    """Those that are read."""
    roles: Roles
    kept: tuple[str, ...]
    """Those that the store has, as `column_0` and so on."""
    kinds: pa.Schema
    """The columns of the store."""
    layout: str
    """What the files were recognised as, in words."""

    @property
    def roles_told(self) -> str:
        """Which columns have which role."""
        return repr((tuple(self.roles.texts), self.roles.id, self.roles.group, str(self.kinds)))

    @property
    def has_images(self) -> bool:
        """Whether the files name the images of the captions."""
        return self.roles.group is not None

    @classmethod
    def choose(cls, parts: Parts, options: ReadOptions, dim: int) -> Columns:
        """Choose columns by the first part, for a store of embeddings of width D, `dim`.

        Raises:
            AssetError: Nothing tells which column holds the captions, or its rows hold several.
        """
        first = parts.parts[0]
        try:
            names = readable_columns(parts.schema, first.path)
            table = table_of(first.read(names).replace_schema_metadata(None))
        except (OSError, ValueError, pa.ArrowException) as error:
            found, advice = f"cannot be read as parquet ({str(error)[:100]})", "copy it again"
            raise AssetError(first.path, found, advice=advice) from error
        roles = Roles.choose(table, options, first.path)
        if len(roles.texts) > 1 or set(roles.texts.values()).intersection(_LISTS):
            found = f"a row has several captions, in {' and '.join(roles.texts)}"
            advice = "write a row for each caption, or name one column of texts with --text-column"
            raise AssetError(first.path, found, expected="a caption a row", advice=advice)
        captions = Captions.of_table(table, roles, Path(first.path))
        ids, images = _kind_of(captions.ids), _kind_of(captions.groups)
        types = {field.name: _plain(field.type) for field in parts.schema if not _is_nested(field.type)}
        types |= {roles.id: ids, roles.group: images}
        kept = {name: types[name] for name in table.columns if name in types and name not in roles.texts}
        read = [*roles.texts, *_named(roles), *kept]
        return cls(
            names=tuple(each for each in names if each.partition(".")[0] in read),
            roles=roles,
            kept=tuple(kept),
            kinds=schema(dim, ids, images, {f"column_{i}": kind for i, kind in enumerate(kept.values())}),
            layout=captions.layout,
        )

    def take(self, rows: pa.Table, first: int, path: str) -> tuple[Captions, dict[str, pa.Array]]:
        """Take n captions from rows that were read, of which `first` is the first one of the corpus.

        Returns:
            The captions, and their columns by the names that these have in the store, (n,) each.
        """
        (texts,) = self.roles.texts
        table = table_of(rows.select([texts, *_named(self.roles)]).replace_schema_metadata(None))
        table.texts, table.lines = texts, range(first + 1, first + 1 + len(table))  # each value is one caption
        if any(table.columns[texts]):
            captions = Captions.of_table(table, self.roles, Path(path))
        else:  # an error in a file that is the whole corpus
            captions = Captions("", [""] * len(table), np.array(table.lines), None, {}, {})
        if pa.types.is_integer(self.kinds.field("caption_id").type) and captions.ids.dtype.kind == "U":
            captions = replace(captions, ids=np.where(captions.ids == "", table.lines, captions.ids))
        known = {self.roles.id: pa.array(captions.ids)}
        known |= {self.roles.group: pa.array(list(map(captions.group, range(len(captions)))))}
        names = {f"column_{i}": name for i, name in enumerate(self.kept)}
        return captions, {
            own: known[name] if name in known else rows[name].combine_chunks() for own, name in names.items()
        }


def _named(roles: Roles) -> list[str]:
    """Return the columns of the ids and of the images, where there are any."""
    return list(dict.fromkeys(name for name in (roles.id, roles.group) if name is not None))


def _kind_of(labels: NDArray[Any] | None) -> pa.DataType:
    return pa.int64() if labels is not None and labels.dtype.kind == "i" else pa.string()


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the type of what a column of places in a dictionary stands for; another type as it is."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_nested(kind: pa.DataType) -> bool:
    """Tell whether the values of a column are no numbers or texts, nor lists of them."""
    types, is_list = pa.types, pa.types.is_list(kind) or pa.types.is_large_list(kind)
    inner = kind.value_type if is_list or types.is_fixed_size_list(kind) else _plain(kind)
    return bool(types.is_nested(inner) or types.is_binary(inner) or types.is_large_binary(inner))
