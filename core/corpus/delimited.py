"""Delimited text: tables whose columns stand between commas, tabs or other separators, with or without a header."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core.assets import AssetError
from core.corpus.kinds import REFERENCES, Kind, kind_of, kind_of_column
from core.corpus.table import Table, is_known_name
from core.corpus.text_files import empty

_SEPARATORS = {"\t": "tab", "|": "bar", ";": "semicolon", ",": "comma", " : ": "colon", ": ": "colon", " ": "blank"}
_BEHIND_A_NAME = (" : ", ": ", " ")  # separate a name from its caption only
_SAMPLE = 1000  # lines that tell the layout
_LONGEST_ROW = 1000  # lines that a quoted field may run over
_MOST_BROKEN = 0.1
_ROWS_OF_NUMBERS = 10  # that begin with a number, before it is taken for an id: `2 dogs` may be a caption
_WORDS_OF_A_NAME = 4
_NAME = re.compile(r"[^\W\d][\w.-]*( [\w.-]+){0,2}")
_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}")


class _Row(NamedTuple):
    """One row, from line number `start` (from 1) up to and without `end`."""

    start: int
    end: int
    fields: list[str]


@dataclass(frozen=True, slots=True)
class _Shape:
    """How many columns a table has, of which kinds, and which of them takes what is too much in a row."""

    names: list[str]
    has_header: bool
    kinds: list[Kind]
    text: int | None
    """The only column of texts; None where there are none or several."""

    def fits(self, fields: Sequence[str]) -> bool:
        """Tell whether a row has the right number of fields, with references where the other rows have them."""
        return len(fields) == len(self.kinds) and self._fit(fields, self.kinds)

    def mend(self, fields: list[str], separator: str) -> list[str] | None:
        """Join the parts of a text with separators in it, or add missing last fields; None if neither fits."""
        count, surplus = len(self.kinds), len(fields) - len(self.kinds)
        if surplus < 0:
            whole = self.text is not None and self.text < len(fields) and self._fit(fields, self.kinds)
            return fields + [""] * -surplus if whole else None
        if self.text is None:
            return None
        text = separator.join(fields[self.text : self.text + surplus + 1])
        joined = [*fields[: self.text], text, *fields[len(fields) - (count - self.text - 1) :]]
        return joined[:count] if self.fits(joined[:count]) else None

    @staticmethod
    def _fit(fields: Sequence[str], kinds: Sequence[Kind]) -> bool:
        return all(
            kind not in REFERENCES or kind_of(text) in (*REFERENCES, "empty")
            for text, kind in zip(fields, kinds, strict=False)
        )


def recognise(lines: Sequence[str], *, tabular: bool) -> str | None:
    """Return the separator of a table; None for lines that are captions by themselves.

    A table has a header with a usual name, a tab or bar in each row, or numbers, file names or other references beside
    its text.

    Args:
        lines: The lines of the file.
        tabular: Whether the file's name announces a table, which may then have one column, or several of texts.
    """
    sample = [line for line in lines[:_SAMPLE] if line.strip()]
    shapes = {separator: _shape(_rows(sample, separator), separator, header=None) for separator in _SEPARATORS}
    with_header = [mark for mark, shape in shapes.items() if shape.has_header and any(map(is_known_name, shape.names))]
    if with_header:
        widest = max(with_header, key=lambda mark: len(shapes[mark].names))
        return widest if len(shapes[widest].names) > 1 else ","
    fitting = [mark for mark, shape in shapes.items() if len(shape.names) > 1 and _fit_enough(sample, mark, shape)]
    for separator in fitting:
        shape = shapes[separator]
        others = {kind for i, kind in enumerate(shape.kinds) if i != shape.text}
        if separator in ("\t", "|") or (shape.text is not None and others & _references(separator, len(sample))):
            return separator
    if not tabular:
        return None
    return next((mark for mark in fitting if mark not in _BEHIND_A_NAME), ",")


def _references(separator: str, rows: int) -> set[Kind]:
    """Return the kinds beside a text that tell a table from lines of text which hold the separator too."""
    if separator == " : ":
        return {"file", "code"}
    if separator in _BEHIND_A_NAME:
        return {"file", "number"} if separator == " " and rows >= _ROWS_OF_NUMBERS else {"file"}
    return set(REFERENCES)


def read_delimited(lines: Sequence[str], path: Path, *, separator: str, header: bool | None = None) -> Table:
    """Read a table. Quoted fields may hold separators, line breaks and doubled quotes; a quote elsewhere is text.

    A row with too many fields is mended where only one column holds texts. A row that still does not fit is broken.

    Raises:
        AssetError: It has no rows, too many broken rows, or a quote that may have swallowed rows.
    """
    rows = _rows(lines, separator)
    if not rows:
        raise empty(path)
    shape = _shape(rows, separator, header=header)
    body = rows[1 if shape.has_header else 0 :]
    kept: list[_Row] = []
    broken: list[int] = []
    surplus: list[int] = []
    unclosed: list[int] = []
    long: list[int] = []
    for row in body:
        if len(row.fields) == len(shape.names) and row.end - row.start == 1:
            kept.append(row)
            continue
        parts = [_Row(n, n + 1, _split(lines[n - 1], separator)) for n in range(row.start, row.end)]
        if len(parts) > 1 and not _swallowed(parts, shape, path):
            parts = [row]
            if any("\n" in text.strip() for text in row.fields):
                long.append(row.start)
        elif len(parts) > 1:
            unclosed.append(row.start)
        for part in parts:
            fields = part.fields if len(part.fields) == len(shape.names) else shape.mend(part.fields, separator)
            if fields is None:
                broken.append(part.start)
                continue
            if len(part.fields) > len(shape.names) > 1:
                surplus.append(part.start)
            kept.append(part._replace(fields=fields))
    if len(broken) > _MOST_BROKEN * len(body):
        found = f"{len(broken):,} of {len(body):,} rows have not {len(shape.names)} columns between {separator!r}"
        advice = "use --layout lines, or name what is between columns with --separator"
        raise AssetError(path, f"{found}; the first is line {broken[0]:,}", advice=advice)
    columns = zip(*(row.fields for row in kept), strict=True) if kept else ([] for _ in shape.names)
    mended = (
        (surplus, f"with {_SEPARATORS.get(separator, repr(separator))}s outside quotes"),
        (unclosed, "with an open quote, read line by line"),
        (long, "over several lines"),
    )
    return Table(
        layout=_describe(separator, shape),
        columns=dict(zip(shape.names, map(_stripped, columns), strict=True)),
        lines=[row.start for row in kept],
        broken=broken,
        notes=[f"{len(numbers):,} {what} ({listed(numbers)})" for numbers, what in mended if numbers],
    )


def listed(numbers: Sequence[int]) -> str:
    """List the first five numbers: `3, 14, 15, 92, 65 ...`."""
    return ", ".join(f"{number:,}" for number in numbers[:5]) + (" ..." if len(numbers) > 5 else "")


def _rows(lines: Sequence[str], separator: str) -> list[_Row]:
    """Split lines into rows, without blank ones. A quoted field may run over lines if the quote is closed properly."""
    rows: list[_Row] = []
    may_quote = len(separator) == 1 and separator != " "
    quotes_all = bool(lines) and all(text[:1] == text[-1:] == '"' for text in _split(lines[0], separator))
    number = 0
    while number < len(lines):
        line = lines[number]
        fields, count = _split(line, separator), 1
        if may_quote and '"' in line:
            quoted, count = _unquoted(lines, number, separator) or (fields, 1)
            if separator == "\t" and not quotes_all and len(quoted) == len(fields):
                # tab-separated fields are rarely quoted: unquote only what a writer had to quote
                quoted = [each if '""' in raw[1:-1] else raw for raw, each in zip(fields, quoted, strict=True)]
            fields = quoted
        if line.strip():
            rows.append(_Row(number + 1, number + 1 + count, fields))
        number += count
    return rows


def _unquoted(lines: Sequence[str], number: int, separator: str) -> tuple[list[str], int] | None:
    """Return the fields of the row from this line number, from 0, and its number of lines; None for stray quotes."""
    following = (f"{lines[n]}\n" for n in range(number, min(len(lines), number + _LONGEST_ROW)))
    reader = csv.reader(following, delimiter=separator, strict=True, skipinitialspace=True)
    try:
        return next(reader), reader.line_num
    except (csv.Error, StopIteration):
        return None


def _split(line: str, separator: str) -> list[str]:
    return line.split(separator, 1 if separator in _BEHIND_A_NAME else -1)


def _shape(rows: Sequence[_Row], separator: str, *, header: bool | None) -> _Shape:
    """Tell names and kinds of the columns from the first rows, and whether the first row is a header."""
    single = [row.fields for row in rows[:_SAMPLE] if row.end - row.start == 1]
    if not single:
        return _Shape(["1"], False, ["text"], 0)
    first, rest = single[0], single[1:]
    count = _column_count(rest) if rest else len(first)
    kinds = _kinds(rest, len(first))
    has_header = header if header is not None else _is_header(first, kinds, usual=len(first) == count)
    if has_header:
        names = _distinct([name.strip() for name in first])
    else:
        count = _column_count(single)
        kinds, names = _kinds(single, count), [str(number + 1) for number in range(count)]
    texts = [i for i, kind in enumerate(kinds) if kind in ("text", "word", "mixed")]
    only = [i for i in texts if kinds[i] == "text"] if len(texts) > 1 else texts
    if len(names) == 1:
        only = [0]
    return _Shape(names, has_header, kinds, only[0] if len(only) == 1 else None)


def _column_count(rows: Iterable[Sequence[str]]) -> int:
    """Return the number of columns that nearly all rows have at least."""
    return int(np.quantile([len(row) for row in rows], 0.05, method="lower"))


def _kinds(rows: Sequence[Sequence[str]], count: int) -> list[Kind]:
    """Return the kinds of the columns, from rows with exactly this many, or else with at least."""
    exact = [row for row in rows if len(row) == count] or [row for row in rows if len(row) > count]
    return [kind_of_column([row[i] for row in exact]) for i in range(count)]


def _is_header(fields: Sequence[str], kinds: Sequence[Kind], *, usual: bool) -> bool:
    """Tell whether the first row names columns: by a usual name, or by names where other rows have something else."""
    own = [kind_of(field) for field in fields]
    if any(kind in ("number", "file", "list", "object", "empty") for kind in own[1:] or own):
        return False  # the first may be empty: a header of row numbers
    if any(map(is_known_name, fields)):
        return all(len(field.split()) <= _WORDS_OF_A_NAME for field in fields)
    if not usual or len(set(fields)) < len(fields) or not all(_NAME.fullmatch(field.strip()) for field in fields):
        return False
    texts = [field for field, kind in zip(fields, kinds, strict=True) if kind == "text"]
    return "number" in kinds or "file" in kinds or (bool(texts) and all(len(text.split()) == 1 for text in texts))


def _fit_enough(sample: Sequence[str], separator: str, shape: _Shape) -> bool:
    rows = _rows(sample, separator)
    fitting = sum(shape.fits(row.fields) or shape.mend(row.fields, separator) is not None for row in rows)
    return fitting >= 0.95 * len(rows)


def _distinct(names: Sequence[str]) -> list[str]:
    """Number names that stand there twice: `caption`, `caption 2`."""
    seen: dict[str, int] = {}
    for name in names:
        seen[name] = seen.get(name, 0) + 1
    counts: dict[str, int] = {}
    result = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        result.append(f"{name} {counts[name]}" if seen[name] > 1 and counts[name] > 1 else name)
    return result


def _stripped(column: Iterable[str]) -> list[Any]:
    """Strip a column, and convert it where all are whole numbers as Python writes them: `007` and `1e5` stay texts."""
    texts = [text.strip() for text in column]
    return list(map(int, texts)) if all(map(_WHOLE.fullmatch, texts)) else texts


def _swallowed(inside: Sequence[_Row], shape: _Shape, path: Path) -> bool:
    """Tell whether the lines of a quoted field are rows of their own, whose quote was never closed.

    Raises:
        AssetError: Some are and some are not.
    """
    if len(shape.names) == 1:
        return False
    fitting = [shape.fits(row.fields) and all(text.strip() for text in row.fields) for row in inside]
    if not any(fitting[1:]):
        return False
    sure = any(kind in REFERENCES for kind in shape.kinds)
    if all(fitting) and sure:
        return True
    if not sure and not all(fitting):
        return False
    start, end = inside[0].start, inside[-1].start
    found = f"the quote that opens in line {start:,} closes in line {end:,}, but these lines look like rows"
    advice = f"take the quote out of line {start:,}; if the lines are one caption, write it in one line"
    raise AssetError(path, found, advice=advice)


def _describe(separator: str, shape: _Shape) -> str:
    if len(shape.names) == 1:
        return f"one column, {shape.names[0]}" if shape.has_header else "one column"
    name = _SEPARATORS.get(separator, repr(separator))
    if separator in _BEHIND_A_NAME:
        return f"name and caption between {name}s" if separator != " " else "name, blank and caption"
    return f"{name}-separated table" + ("" if shape.has_header else " without a header")
