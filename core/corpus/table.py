"""Table: rows of a file in named columns, and which of them hold the captions, their ids and their images."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from core.assets import AssetError, first_names
from core.corpus.kinds import REFERENCES, Kind, is_label, kind_of, kind_of_column, parse_list, parse_object, sample_of

Layout = Literal["lines", "table", "json", "jsonl", "parquet"]
LAYOUTS = get_args(Layout)
"""`lines`: a caption a line; `table`: columns between separators; `json`: one document; `jsonl`: an object a line."""

MOST_BROKEN = 0.1
"""A file with a larger share of broken rows has another layout, and is refused."""

_TEXT_NAMES = ("caption", "text", "sentence", "raw", "phrase", "description", "comment", "title", "prompt", "query")
_NUMBERED = ("caption", "description", "comment", "raw")  # not: two numbered sentences are often a pair
_ID_NAMES = ("id", "caption_id", "sentid", "annotation_id", "uid", "key")
_GROUP_NAMES = tuple(
    "image_id imgid img_id cocoid image img image_name img_name image_path image_file filepath path photo photo_id "
    "video video_id group group_id file_name filename file url image_url img_url photo_url".split()
)
_NAMES_OF_IMAGE = ("file_name", "filename", "path", "url", "src", "name", "id")  # in an object that describes an image
_PART_OF_IMAGE = re.compile(r"(.+)#\w+")  # caption 2 of an image: dog.jpg#2
_LONGEST_NAME = 1000  # characters
_MOST_NAMES = 10  # of columns, in an error
_SHOWN = 40  # characters of an example
_SMALL = 1_000_000  # cells that any table may have


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


def table_of_objects(objects: Sequence[dict[str, Any]], layout: str, path: Path) -> Table:
    """Make a table of JSON objects; a key that an object lacks has the value None there.

    Raises:
        AssetError: Nearly all values would be None.
    """
    names = dict.fromkeys(str(name) for each in objects for name in each)
    refuse_sparse(objects, len(names), path)
    return Table(layout=layout, columns={name: [each.get(name) for each in objects] for name in names})


def refuse_sparse(rows: Sequence[Sized], width: int, path: Path, *, most: int = 100) -> None:
    """Raise `AssetError` for rows that would fill hardly any of so many columns, and far more memory than their file.

    Such are rows of which each has names of its own, or of which one is vast. A table that is not small may have `most`
    times as many cells as values.
    """
    values = sum(map(len, rows))
    if len(rows) * width > max(_SMALL, most * values):
        found = f"its {len(rows):,} rows have {values:,} values, in {width:,} columns"
        advice = "convert it to JSON lines: a caption and its image a line, under the same names in each"
        raise AssetError(path, found, expected="values in most columns of a row", advice=advice)


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns that hold the captions, their ids and their images."""

    texts: dict[str, Kind]
    """Names and kinds of the columns that hold captions."""
    id: str | None
    group: str | None

    @classmethod
    def choose(cls, table: Table, options: ReadOptions, path: Path | str) -> Roles:
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
                    raise AssetError(
                        path,
                        f"has no column {name!r}",
                        expected=first_names(list(table.columns), _MOST_NAMES),
                        advice=advice,
                    )
        kinds = {name: kind_of_column(values) for name, values in table.columns.items()}
        texts = options.text_columns or ([table.texts] if table.texts else _text_columns(table, kinds, path))
        others = {name: kind for name, kind in kinds.items() if name not in texts}
        for name in [name for name, kind in others.items() if kind == "object"]:
            if all(image_of(value) is None for value in table.columns[name]):  # it describes no image
                del others[name]
        if len(texts) > 1 and not options.text_columns:
            _refuse_several_images(list(others), path)
        identity = options.id_column or table.ids or _named(others, _ID_NAMES) or _unnamed_id(table, others)
        group = options.group_column or table.groups or _named(others, _GROUP_NAMES) or _unnamed_group(table, others)
        identity = identity if identity != group or options.id_column else None
        return cls({name: kinds[name] for name in texts}, identity, group)


def texts_of(value: object, kind: Kind) -> list[str] | None:
    """Return the captions in a value of a column of this kind: of a list, each element is one; None if it has none.

    A text that is a list or an object is read as one in a column with such values. A number is its text.
    """
    if isinstance(value, str):
        own = kind_of(value) if kind in ("list", "object", "mixed") else "text"
        read = parse_list(value) if own == "list" else parse_object(value) if own == "object" else None
        if read is not None:
            return texts_of(read, "text")
        return None if kind == own and own in ("list", "object") else [value]
    if isinstance(value, list | tuple):
        parts = [texts_of(element, kind) for element in value]
        return None if any(part is None for part in parts) else [text for part in parts for text in part or ()]
    if isinstance(value, dict):
        name = _caption_key(value)
        return None if name is None else texts_of(value[name], kind)
    return [str(value) if type(value) is int else ""]


def image_of(value: object) -> object:
    """Return the id of an image: of an object that describes one, its file name, path, URL, name or id."""
    if isinstance(value, dict):
        return next((value[name] for name in _NAMES_OF_IMAGE if value.get(name) is not None), None)
    return value


def image_of_part(name: str) -> str:
    """Return the image of a name such as `dog.jpg#2`; another name as it is."""
    part = _PART_OF_IMAGE.fullmatch(name)
    return part[1] if part else name


def first_numbers(numbers: Sequence[int]) -> str:
    """List the first five numbers: `3, 14, 15, 92, 65 ...`."""
    return ", ".join(f"{number:,}" for number in numbers[:5]) + (" ..." if len(numbers) > 5 else "")


def distinct(names: Iterable[str]) -> list[str]:
    """Number the names that stand there twice (`caption 2`) and what has no name."""
    counts: dict[str, int] = {}
    result = []
    for number, stripped in enumerate(map(str.strip, names), 1):
        name = stripped or str(number)
        counts[name] = counts.get(name, 0) + 1
        result.append(f"{name} {counts[name]}" if counts[name] > 1 else name)
    return result


def is_caption_name(name: str) -> bool:
    """Tell whether a text is a usual name of a column of captions."""
    return _text_stem(name) is not None


def is_reference_name(name: str) -> bool:
    """Tell whether a text is a usual name of a column of ids or images, also in the plural."""
    return bool({_plain(name), _plain(name).removesuffix("s")}.intersection((*_ID_NAMES, *_GROUP_NAMES)))


def _plain(name: str) -> str:
    """Return a column name as it is compared: `Image-ID` and `imageId` are `image_id`."""
    name = name.strip()[:_LONGEST_NAME]
    return re.sub(r"[\s.-]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).lower()


def _text_stem(name: str) -> str | None:
    """Return which usual name of a text column this is, with a number or in the plural, or None."""
    match = re.fullmatch(r"(\w*?)s?((?:_?\d{1,3})?)", _plain(name))
    if match is None or match[1] not in _TEXT_NAMES or (match[2] and match[1] not in _NUMBERED):
        return None
    return match[1]


def _refuse_several_images(names: Sequence[str], path: Path | str) -> None:
    """Refuse rows whose captions belong to different images, such as `image_0` and `image_1`."""
    numbered = [name for name in names if name[-1:].isdigit() and is_reference_name(name.rstrip("0123456789_"))]
    if len(numbered) > 1:
        found = f"a row names several images: {first_names(numbered)}"
        advice = f"name one of them with --group-column {numbered[0]}, and its captions with --text-column"
        raise AssetError(path, found, advice=advice)


def _text_columns(table: Table, kinds: dict[str, Kind], path: Path | str) -> list[str]:
    holds = {name: _texts_kind(values, kinds[name]) for name, values in table.columns.items()}
    usable = [name for name, kind in holds.items() if kind in ("text", "word", "mixed")]
    usable = [name for name in usable if holds[name] != "word" or kinds[name] != "list"]  # tokens of a caption
    varied = [name for name in usable if not is_label(table.columns[name])]  # no `Describe the picture.` in all rows
    for stem in _TEXT_NAMES:
        if named := [name for name in varied or usable if _text_stem(name) == stem]:
            return named
    textual = [name for name in varied or usable if holds[name] == "text"]
    if textual and all(name.isdigit() for name in table.columns):  # nothing says that other columns are no captions
        textual = [name for name in usable if holds[name] == "text" or name in varied]
    part_named = [name for name in textual if any(stem in _plain(name) for stem in _TEXT_NAMES)]
    for names in (part_named, textual):
        if len(names) == 1:
            return names
        if names:
            break
    if len(table.columns) == 1 and usable:
        return usable
    shown = part_named or textual or list(table.columns)
    columns = first_names([f"{name} ({_example(table.columns[name])})" for name in shown], _MOST_NAMES)
    found = f"{len(shown)} columns may hold the captions" if textual else "no column holds sentences"
    lists = 'a list in a cell as JSON: ["A dog.", "A cat."]' if "list" in holds.values() else ""
    advice = "name the column with --text-column; repeat it for several"
    if all(name.isdigit() for name in table.columns):
        advice += "; if the first row names the columns, use --header"
    if not textual and {"list", "object"}.intersection(kinds.values()):
        advice = 'write the captions to JSON lines, such as {"image": "7.jpg", "caption": "A dog runs."}'
    raise AssetError(path, f"{found}: {columns}", expected=lists, advice=advice)


def _texts_kind(values: Sequence[object], kind: Kind) -> Kind:
    """Return the kind of the texts in a column of lists or objects; that of another column is its own."""
    if kind not in ("list", "object"):
        return kind
    texts = [text for value in sample_of(values, 200) for text in texts_of(value, kind) or ["[]"]]
    return kind_of_column(texts)


def _caption_key(value: dict[str, Any]) -> str | None:
    """Return the key of an object that holds its caption."""
    names = {_text_stem(str(name)): str(name) for name in reversed(value)}
    return next((names[stem] for stem in _TEXT_NAMES if stem in names), None)


def _named(kinds: dict[str, Kind], names: Sequence[str]) -> str | None:
    """Return the column with the first of these names, also in the plural, that holds single values."""
    by_name = {_plain(name): name for name, kind in reversed(kinds.items()) if kind not in ("list", "empty")}
    return next((by_name[each] for name in names for each in (name, f"{name}s") if each in by_name), None)


def _unnamed_group(table: Table, kinds: dict[str, Kind]) -> str | None:
    """Return the only column of names or addresses, or of repeated numbers in a table without a header."""
    files = [
        name
        for name, kind in kinds.items()
        if kind == "file" or (kind == "code" and all("#" in str(value) for value in table.columns[name]))
    ]
    if len(files) == 1:
        return files[0]
    repeated = [
        name
        for name, kind in kinds.items()
        if name.isdigit() and kind in REFERENCES and 2 * len(set(map(str, table.columns[name]))) <= len(table)
    ]
    return repeated[0] if len(repeated) == 1 and not files else None


def _unnamed_id(table: Table, kinds: dict[str, Kind]) -> str | None:
    """Return the only column of numbers in a table without a header, if they are all different."""
    numbers = [name for name, kind in kinds.items() if name.isdigit() and kind == "number"]
    if len(numbers) == 1 and len(set(map(str, table.columns[numbers[0]]))) == len(table):
        return numbers[0]
    return None


def _example(values: Sequence[object]) -> str:
    first = str(next((value for value in values if kind_of(value) != "empty"), "empty"))
    return first if len(first) <= _SHOWN else first[: _SHOWN - 1] + "…"
