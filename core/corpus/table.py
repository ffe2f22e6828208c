"""Table: rows of a file in named columns, and which of them hold the captions, their ids and their images."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from core.assets import AssetError
from core.corpus.kinds import REFERENCES, Kind, kind_of, kind_of_column, parse_list

Layout = Literal["lines", "table", "json", "jsonl", "parquet"]
LAYOUTS = get_args(Layout)
"""`lines`: a caption a line; `table`: columns between separators; `json`: one document; `jsonl`: an object a line."""

_TEXT_NAMES = ("caption", "text", "sentence", "raw", "description", "comment", "title", "prompt", "query")
_NUMBERED = ("caption", "description", "comment", "raw")  # not: two numbered sentences are often a pair
_ID_NAMES = ("id", "caption_id", "sentid", "annotation_id", "uid", "key")
_GROUP_NAMES = (
    *("image_id", "imgid", "img_id", "cocoid", "image", "img", "image_name", "image_path", "image_file", "filepath"),
    *(
        "path",
        "photo_id",
        "video_id",
        "group",
        "group_id",
        "file_name",
        "filename",
        "file",
        "url",
        "image_url",
        "img_url",
    ),
)
_PART_OF_IMAGE = re.compile(r"(.+\.\w+)#\w+")  # caption 2 of an image: dog.jpg#2
_SHOWN = 40  # characters of an example


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What the user says about a captions file; None and nothing mean: recognise it."""

    layout: Layout | None = None
    text_columns: tuple[str, ...] = ()
    """Names of the columns that hold captions; numbers from 1 in a table without a header."""
    id_column: str | None = None
    group_column: str | None = None
    header: bool | None = None
    """Whether the first row of a table names its columns."""
    separator: str | None = None
    """What stands between the columns of a table."""
    encoding: str | None = None


@dataclass(slots=True, kw_only=True)
class Table:
    """R rows of a file in named columns of R values each."""

    layout: str
    """What the file was recognised as, in words: `Karpathy JSON`."""
    columns: dict[str, list[Any]]
    texts: str | None = None
    """The column of the captions, a text each, where the layout determines it."""
    ids: str | None = None
    """The column of the caption ids, where the layout determines it."""
    groups: str | None = None
    """The column of the image ids, where the layout determines it."""
    file_names: dict[Any, str] = field(default_factory=dict)
    """Image file name by image id."""
    urls: dict[Any, str] = field(default_factory=dict)
    """Image URL by image id."""
    lines: Sequence[int] = ()
    """Line of each row, from 1, where a row without an id is known by it."""
    broken: list[int] = field(default_factory=list)
    """Lines, or places in a list, from 1, that could not be read."""
    notes: list[str] = field(default_factory=list)
    """What was mended, one phrase each."""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))


def table_of_objects(objects: Sequence[dict[str, Any]], layout: str) -> Table:
    """Make a table of JSON objects; a key that an object lacks has the value None there."""
    names = dict.fromkeys(str(name) for each in objects for name in each)
    return Table(layout=layout, columns={name: [each.get(name) for each in objects] for name in names})


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns that hold the captions, their ids and their images."""

    texts: list[str]
    id: str | None
    group: str | None

    @classmethod
    def choose(cls, table: Table, options: ReadOptions, path: Path) -> Roles:
        """Choose columns: those that the options name, else those that the layout determines, else by names and kinds.

        Raises:
            AssetError: A named column does not exist, or nothing tells which column holds the captions.
        """
        for option, names in (
            ("--text-column", options.text_columns),
            ("--id-column", (options.id_column,)),
            ("--group-column", (options.group_column,)),
        ):
            for name in names:
                if name is not None and name not in table.columns:
                    advice = f"name one of these with {option}"
                    raise AssetError(path, f"has no column {name!r}", expected=_listed(table), advice=advice)
        kinds = {name: kind_of_column(values) for name, values in table.columns.items()}
        texts = list(options.text_columns) or ([table.texts] if table.texts else _text_columns(table, kinds, path))
        others = {name: kind for name, kind in kinds.items() if name not in texts}
        identity = options.id_column or table.ids or _named(others, _ID_NAMES)
        group = options.group_column or table.groups or _named(others, _GROUP_NAMES) or _unnamed_group(table, others)
        return cls(texts, identity if identity != group else None, group)


def texts_of(value: object, kind: Kind) -> Iterator[str]:
    """Yield the captions in a value of a column of this kind: of a list, each element is one."""
    if isinstance(value, str):
        elements = parse_list(value) if kind == "list" else None
        if elements is None:
            yield value
        else:
            yield from texts_of(elements, kind)
    elif isinstance(value, list | tuple):
        for element in value:
            yield from texts_of(element, kind)
    elif isinstance(value, dict):
        name = _caption_key(value)
        yield from texts_of(value[name], kind) if name else ("",)
    else:
        yield ""


def image_of_part(name: str) -> str:
    """Return the image of a name such as `dog.jpg#2`; another name as it is."""
    part = _PART_OF_IMAGE.fullmatch(name)
    return part[1] if part else name


def plain_name(name: str) -> str:
    """Return a column name as it is compared: `Image-ID` is `image_id`."""
    return re.sub(r"[\s.-]+", "_", name.strip().lower())


def is_known_name(name: str) -> bool:
    """Tell whether a text is a usual name of a column of captions, ids or images."""
    return plain_name(name) in (*_ID_NAMES, *_GROUP_NAMES) or is_caption_name(name)


def is_caption_name(name: str) -> bool:
    """Tell whether a text is a usual name of a column of captions."""
    return _text_stem(name)[0] is not None


def _text_stem(name: str) -> tuple[str | None, bool]:
    """Return which usual name of a text column this is, or None, and whether it has a number."""
    match = re.fullmatch(r"(\w*?)s?((?:_?\d+)?)", plain_name(name))
    if match is None or match[1] not in _TEXT_NAMES or (match[2] and match[1] not in _NUMBERED):
        return None, False
    return match[1], bool(match[2])


def _text_columns(table: Table, kinds: dict[str, Kind], path: Path) -> list[str]:
    holds = {name: _texts_kind(values, kinds[name]) for name, values in table.columns.items()}
    usable = [name for name, kind in holds.items() if kind in ("text", "word", "mixed")]
    for stem in _TEXT_NAMES:
        named = [name for name in usable if _text_stem(name)[0] == stem]
        if any(_text_stem(name)[1] for name in named):
            return named
        if named:
            return [min(named, key=lambda name: (kinds[name] == "list", len(name)))]
    textual = [name for name in usable if holds[name] == "text"]
    part_named = [name for name in textual if any(stem in plain_name(name) for stem in _TEXT_NAMES)]
    for names in (part_named, textual):
        if len(names) == 1:
            return names
        if names:
            break
    if len(table.columns) == 1 and usable:
        return usable
    columns = ", ".join(f"{name} ({_example(values)})" for name, values in table.columns.items())
    if textual:
        found = f"{len(part_named or textual)} columns may hold the captions: {columns}"
    else:
        found = f"no column holds sentences: {columns}"
    lists = 'a list in a cell as JSON: ["A dog.", "A cat."]' if "list" in holds.values() else ""
    raise AssetError(path, found, expected=lists, advice="name the column with --text-column; repeat it for several")


def _texts_kind(values: Sequence[object], kind: Kind) -> Kind:
    """Return the kind of the texts in a column of lists or objects; that of another column is its own."""
    if kind not in ("list", "object"):
        return kind
    sample = values[:: max(1, len(values) // 200)]
    texts = [text for value in sample for text in texts_of(value, kind)]
    return kind_of_column(texts)


def _caption_key(value: dict[str, Any]) -> str | None:
    """Return the key of an object that holds its caption."""
    names = {plain_name(str(name)): str(name) for name in reversed(value)}
    return next((names[stem] for name in _TEXT_NAMES for stem in (name, f"{name}s") if stem in names), None)


def _named(kinds: dict[str, Kind], names: Sequence[str]) -> str | None:
    """Return the column with the first of these names that holds single values."""
    by_name = {plain_name(name): name for name, kind in reversed(kinds.items()) if kind not in ("list", "empty")}
    return next((by_name[name] for name in names if name in by_name), None)


def _unnamed_group(table: Table, kinds: dict[str, Kind]) -> str | None:
    """Return the only column of file names or addresses, or of repeated numbers in a table without a header."""
    files = [name for name, kind in kinds.items() if kind == "file"]
    if len(files) == 1:
        return files[0]
    repeated = [
        name
        for name, kind in kinds.items()
        if name.isdigit() and kind in REFERENCES and 2 * len(set(map(str, table.columns[name]))) <= len(table)
    ]
    return repeated[0] if len(repeated) == 1 and not files else None


def _listed(table: Table) -> str:
    return ", ".join(table.columns)


def _example(values: Sequence[object]) -> str:
    first = str(next((value for value in values if kind_of(value) != "empty"), "empty"))
    return first if len(first) <= _SHOWN else first[: _SHOWN - 1] + "…"
