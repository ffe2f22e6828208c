"""Captions: the texts of the corpus with their ids and images, and what was understood of their file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.assets import AssetError
from core.corpus.kinds import kind_of, kind_of_column
from core.corpus.layouts import read_table
from core.corpus.table import MOST_BROKEN, ReadOptions, Roles, Table, first_numbers, image_of, image_of_part, texts_of
from core.corpus.text_files import DAMAGED, tidy
from core.store.file_state import FileState
from core.store.plain import refuse_pipes

_FIRST = 60  # characters of the first caption
_LONGEST_ID = 300  # characters


@dataclass(frozen=True, slots=True, eq=False)
class Captions:
    """The corpus: N texts in file order."""

    name: str
    """Name of the corpus on screen: the file's name without its endings."""
    texts: Sequence[str]
    """N texts, stripped, without line breaks."""
    ids: NDArray[Any]
    """Each caption's id in its file, (N,), int64 or str; the line number from 1 when the file has none."""
    groups: NDArray[Any] | None
    """Id of the image (or other group) of each caption, (N,), int64 or str; None when the file has none."""
    file_names: dict[Any, str]
    """Image file name by group; empty when the file has none."""
    urls: dict[Any, str]
    """Image URL by group; empty when the file has none."""
    layout: str = ""
    """What the file was recognised as, in words: `Karpathy JSON`."""
    empty: int = 0
    """Number of empty texts; they keep their rows."""
    broken: Sequence[int] = ()
    """Lines of the file, or places in its list, from 1, that could not be read."""
    notes: Sequence[str] = ()
    """What was mended in the file, a phrase each."""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """The columns of its file, less those of the texts, by name: Arrow or NumPy arrays, (N,)."""

    def __len__(self) -> int:
        return len(self.texts)

    def group(self, row: int) -> int | str | None:
        """Return the image id of a row as a plain Python value; None when it has none."""
        group: int | str | None = None if self.groups is None else self.groups[row].item()
        return None if group == "" else group

    @property
    def shown(self) -> Sequence[str]:
        """The texts to be shown, which raise no error where they cannot be read."""
        return self.texts

    def id(self, row: int) -> int | str:
        """Return the id of a caption as a plain Python value."""
        own: int | str = self.ids[row].item()
        return own

    def file_name(self, row: int) -> str | None:
        """Return the file name of a caption's image; None where the file has none."""
        return self.file_names.get(self.group(row))

    def url(self, row: int) -> str | None:
        """Return the address of a caption's image; None where the file has none."""
        return self.urls.get(self.group(row))

    def has(self, row: int, text: str) -> bool:
        """Tell whether a row has a text; False where there is no such row."""
        return 0 <= row < len(self.texts) and self.texts[row] == text

    def rows_by_text(self) -> Mapping[str, int]:
        """Return a row of each text."""
        return {text: row for row, text in enumerate(self.texts)}

    @property
    def images(self) -> int | None:
        """Number of images; None when the file names none."""
        return None if self.groups is None else len(set(self.groups.tolist()) - {""})

    @property
    def first(self) -> str:
        """The first caption that is not empty."""
        return next(text for text in self.texts if text)

    @property
    def beginning(self) -> str:
        """The first caption that is not empty, or its beginning."""
        return self.first if len(self.first) <= _FIRST else self.first[: _FIRST - 1] + "…"

    def understood(self) -> str:
        """Say in one line what was understood of the file, and what was not."""
        images = "" if self.images is None else f" of {_count(self.images, 'image')}"
        parts = [
            f"{_count(len(self), 'caption')}{images}",
            self.layout,
            f'first: "{self.beginning}"',
            *self.not_understood(),
        ]
        return " · ".join(parts)

    def not_understood(self) -> list[str]:
        """Say what was empty, broken or mended, a phrase each."""
        empty = [f"{self.empty:,} empty"] if self.empty else []
        broken = [f"{_count(len(self.broken), 'broken line')} ({first_numbers(self.broken)})"] if self.broken else []
        return [*empty, *broken, *self.notes]

    @classmethod
    def read(cls, path: Path, *, options: ReadOptions | None = None) -> Captions:
        """Read a corpus. Its content tells its layout, unless the options do; `-` is standard input.

        Raises:
            AssetError: The file is missing, no plain file, empty, damaged, of an unknown layout, holds no captions, or
                changes meanwhile.
        """
        options = options or ReadOptions()
        refuse_pipes(captions=path)
        state = None if str(path) == "-" else FileState.of(path)
        try:
            table = read_table(path, options)
            if state is not None:
                state.check()
            if not len(table):
                advice = "check which file you meant"
                raise AssetError(path, "holds no rows", expected="at least one caption", advice=advice)
            return cls.of_table(table, Roles.choose(table, options, path), path)
        except RecursionError as error:
            advice = "write each caption as a text, or as a list of texts"
            raise AssetError(path, "a value of it is nested too deeply", advice=advice) from error

    @classmethod
    def of_table(cls, table: Table, roles: Roles, path: Path) -> Captions:
        """Take the captions, their ids and images from the columns of a table that have these roles.

        Raises:
            AssetError: It holds no captions, or lists of them that cannot be read.
        """
        texts, rows, unreadable = _texts(table, roles)
        lines = table.lines or range(1, len(table) + 1)
        if len(unreadable) > MOST_BROKEN * len(table):
            found = f"{len(unreadable):,} of {len(table):,} rows hold lists that cannot be read; "
            found += f"the first is {lines[unreadable[0]]:,}"
            advice = "write the lists as JSON, or name another column with --text-column"
            raise AssetError(path, found, expected='["A dog.", "A cat."]', advice=advice)
        empty = sum(not text for text in texts)
        if empty == len(texts):
            advice = "check which file, and which of its columns, you meant"
            raise AssetError(path, "holds no captions", expected="at least one line of text", advice=advice)
        ids = None if roles.id is None else [table.columns[roles.id][row] for row in rows]
        groups: list[Any] | None = None
        if roles.group is not None:
            groups = [image_of(table.columns[roles.group][row]) for row in rows]
            if not any(map(label_of, groups)):
                groups = None  # blank names of images are none
        broken, notes = sorted([*table.broken, *(lines[row] for row in unreadable)]), list(table.notes)
        if len(set(rows)) < len(rows):  # rows with several captions
            if groups is None:
                groups, ids = [row + 1 for row in rows] if ids is None else ids, None
            numbers: Sequence[int] = range(1, len(rows) + 1)
        else:
            numbers = [lines[row] for row in rows]
            if groups is not None and kind_of_column(groups) in ("file", "code"):
                parts = [None if group is None else image_of_part(str(group)) for group in groups]
                ids = groups if ids is None and parts != groups else ids
                groups = parts
        if without := len(table) - len(set(rows)) - len(unreadable):
            notes.append(f"{_count(without, 'row')} without a caption")
        if damaged := sum(DAMAGED in text for text in texts):
            notes.append(f"{_count(damaged, 'caption')} with a damaged character (U+FFFD)")
        id_array = _labels(ids) if ids is not None else np.array(numbers)
        group_array = None if groups is None else _labels(groups)
        known = {roles.id: None if ids is None else id_array, roles.group: group_array}
        return cls(
            name="stdin" if str(path) == "-" else path.name.split(".")[0],
            texts=texts,
            ids=id_array,
            groups=group_array,
            file_names=table.file_names,
            urls=table.urls,
            layout=_describe(table, roles),
            empty=empty,
            broken=broken,
            notes=notes,
            columns=_columns(table, roles, rows, known),
        )


def _columns(table: Table, roles: Roles, rows: Sequence[int], known: Mapping[str | None, Any]) -> dict[str, Any]:
    """Convert the columns that hold no captions to arrays, of a value for each caption, whose row is in `rows`."""
    columns: dict[str, Any] = {}
    for name, values in table.columns.items():
        if known.get(name) is not None:
            columns[name] = known[name]
        elif name not in roles.texts and (array := _array([values[row] for row in rows])) is not None:
            columns[name] = array
    return columns


def _array(values: Sequence[Any]) -> Any:
    """Convert values to an Arrow array, of texts where they are of several kinds; None for objects and bytes."""
    import pyarrow as pa  # slow to import

    if any(isinstance(value, dict) for value in values):
        return None
    try:
        array = pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeError):
        texts = [None if value is None else tidy(str(value)) for value in values]
        array = pa.array(texts, pa.string())
    kind = array.type.value_type if pa.types.is_list(array.type) else array.type
    return None if pa.types.is_nested(kind) or pa.types.is_binary(kind) else array


def _texts(table: Table, roles: Roles) -> tuple[list[str], list[int], list[int]]:
    """Return the captions of all rows, (N,), the row of each, and the rows that hold something else than captions."""
    columns = [(table.columns[name], kind) for name, kind in roles.texts.items()]
    if len(columns) == 1 and (table.texts in roles.texts or columns[0][1] not in ("list", "object", "mixed")):
        values = columns[0][0]
        if all(isinstance(value, str) or value is None for value in values):
            return [tidy(value or "") for value in values], list(range(len(values))), []
        columns = [(values, "text")]
    texts: list[str] = []
    rows: list[int] = []
    unreadable: list[int] = []
    for row in range(len(table)):
        values = [(column[row], kind) for column, kind in columns]
        if len(columns) > 1:
            values = [(value, kind) for value, kind in values if kind_of(value) != "empty"]
        is_repeated = len({isinstance(value, list) for value, _ in values}) > 1  # one caption, and a list with it
        new: list[str] = []
        for value, kind in values:
            parts = texts_of(value, kind)
            if parts is None:
                unreadable.append(row)
                break
            before = set(new) if is_repeated else set()
            new += [text for text in map(tidy, parts) if text not in before]
        else:
            texts += new
            rows += [row] * len(new)
    return texts, rows, unreadable


def _labels(values: Sequence[Any]) -> NDArray[Any]:
    """Convert ids to an array (N,): int64 if all are whole numbers, else text, "" if missing."""
    if all(type(value) is int and -(2**63) <= value < 2**63 for value in values):
        return np.array(values, np.int64)  # (N,)
    return np.array(list(map(label_of, values)), str)  # (N,)


def label_of(value: object) -> str:
    """Return an id as a text; a very long one, such as a picture in a URL, by its beginning and its hash."""
    if kind_of(value) == "empty":
        return ""
    text = tidy(str(int(value) if isinstance(value, float) and value.is_integer() else value))
    return text if len(text) <= _LONGEST_ID else f"{text[:40]}…{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _describe(table: Table, roles: Roles) -> str:
    """Describe layout and columns: `comma-separated table, column text, images by image_id`."""
    if table.ids or table.groups or len(table.columns) == 1:
        return table.layout
    columns = "columns" if len(roles.texts) > 1 else "column"
    by = "column " if roles.group and roles.group.isdigit() else ""
    images = f", images by {by}{roles.group}" if roles.group else ""
    return f"{table.layout}, {columns} {', '.join(roles.texts)}{images}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
