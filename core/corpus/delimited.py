"""Delimited text: tables whose columns stand between commas, tabs or other separators, with or without a header."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from core.assets import AssetError
from core.corpus.kinds import REFERENCES, Kind, are_most, is_label, kind_of
from core.corpus.rows import BEHIND_A_NAME, ONE_COLUMN, Row, has_open_quote, split_line, split_rows
from core.corpus.shape import SAMPLE, Shape
from core.corpus.table import MOST_BROKEN, Table, first_numbers, refuse_sparse
from core.corpus.text_files import empty

_SEPARATORS = {"\t": "tab", "|": "bar", ";": "semicolon", ",": "comma", " : ": "colon", ": ": "colon", " ": "blank"}
_ID = re.compile(r"[\w.-]*\d{5,}|[\w.-]+#\d+")  # a first word that is no part of a sentence
_THOUSANDS = re.compile(r"[1-9]\d{0,2},\d{3}(?!\S)")
_TWO_DIGITS = re.compile(r"[^,;]*\d[^,;]*\d")
_QUOTED = re.compile(r'(?:^|(?<=[,;]))"[^"\n]*"(?=[,;]|$)', re.MULTILINE)
_ROWS_OF_NUMBERS = 10  # that begin with a number, before it is taken for an id: `2 dogs` may be a caption
_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}")
_RULE = re.compile(r":?-{2,}:?")


def recognise(lines: Sequence[str], *, tabular: bool, header: bool | None = None) -> str | None:
    """Return the separator of a table; None for lines that are captions by themselves.

    A table has a header with a usual name, or numbers, file names, labels or other references beside its text.

    Args:
        lines: The lines of the file.
        tabular: Whether the file's name announces a table, which may then have one column, or several of texts.
        header: Whether the first row names the columns; None to tell that too.
    """
    sample = [line for line in lines[:SAMPLE] if line.strip()]
    if not sample:
        return None
    if named := re.fullmatch(r"sep=(.)", sample[0].strip()):
        return named[1]
    rows = {separator: split_rows(sample, separator) for separator in _SEPARATORS}
    shapes = {separator: Shape.of(rows[separator], header=header) for separator in _SEPARATORS}
    fit = {mark: _fitting(rows[mark], shape, mark) for mark, shape in shapes.items() if len(shape.names) > 1}
    usual = [mark for mark in fit if mark not in BEHIND_A_NAME and shapes[mark].has_usual_name]
    if usual:
        return usual[0]
    if Shape.of(split_rows(sample, ONE_COLUMN)).has_usual_name:
        return ONE_COLUMN
    tables = {mark for mark in fit if not _is_prose(sample, mark, shapes[mark])}
    wide = {mark for mark in tables if fit[mark] >= 1 - MOST_BROKEN}
    certain = [  # of those that fit few rows, the reader says what is wrong
        mark
        for mark in _SEPARATORS
        if mark in tables and fit[mark] > 0.5 and _is_certain(rows[mark], shapes[mark], mark)
    ]
    if "\t" in wide:
        certain.append("\t")
    if tabular:
        certain += [*(mark for mark in _SEPARATORS if mark in wide.difference(BEHIND_A_NAME)), ONE_COLUMN]
    return certain[0] if certain else None


def read_delimited(lines: Sequence[str], path: Path, *, separator: str, header: bool | None = None) -> Table:
    """Read a table. Quoted fields may hold separators, line breaks and doubled quotes; a quote elsewhere is text.

    A row with too many fields is mended where only one column holds texts. A row that still does not fit is broken.

    Raises:
        AssetError: It has no rows, too many broken rows, a quote that may have swallowed rows, or more columns than
            nearly all rows have.
    """
    rows = [row for row in split_rows(lines, separator) if not _is_no_row(row)]
    if not rows:
        raise empty(path)
    shape = Shape.of(rows, header=header)
    body = shape.body(rows)
    refuse_sparse([row.fields for row in body], len(shape.names), path, most=10)  # a field may take one byte
    kept: list[Row] = []
    broken = [row.start for row in rows[: shape.above]]
    surplus: list[int] = []
    unclosed: list[int] = []
    long: list[int] = []
    is_quoted = are_most(lines[row.start - 1].lstrip().startswith('"') for row in body)
    for row in body:
        if row.is_one_line and shape.is_whole(row.fields):
            kept.append(row)
            continue
        parts = [row]
        if not row.is_one_line:
            parts = [Row(n, n + 1, split_line(lines[n - 1], separator)) for n in range(row.start, row.end)]
        if len(parts) > 1 and not _swallowed(parts, shape, path, is_quoted=is_quoted):
            parts = [row]
            if any("\n" in text.strip() for text in row.fields):
                long.append(row.start)
        elif len(parts) > 1:
            unclosed.append(row.start)
        for part in parts:
            fields = part.fields if shape.is_whole(part.fields) else shape.mend(part.fields, separator)
            if fields is None:
                broken.append(part.start)
                continue
            if shape.text is not None and fields[shape.text] != part.fields[shape.text]:
                surplus.append(part.start)
            kept.append(part._replace(fields=fields))
    repeated = shape.header.fields if shape.header else None
    misfits = {n for n, row in enumerate(kept) if row.fields == repeated or _is_misplaced(row.fields, shape.kinds)}
    broken = sorted([*broken, *(kept[n].start for n in misfits)])
    kept = [row for n, row in enumerate(kept) if n not in misfits]
    below = [number for number in broken if not kept or number > kept[0].start]  # not a title or comments
    if len(below) > MOST_BROKEN * len(body):
        found = f"{len(broken):,} of {len(body):,} rows have not {len(shape.names)} columns between {separator!r}"
        advice = f"mend line {broken[0]:,}, or name what is between columns with --separator; "
        advice += "if each line is a caption, use --layout lines"
        raise AssetError(path, f"{found}; the first is line {broken[0]:,}", advice=advice)
    read = kept if shape.header is None else [shape.header, *kept]
    unclosed += [row.start for row in read if has_open_quote(row, lines[row.start - 1], separator)]
    columns = zip(*(row.fields for row in kept), strict=True) if kept else ([] for _ in shape.names)
    mended = (
        (surplus, f"with {_SEPARATORS.get(separator, repr(separator))}s outside quotes"),
        (sorted(set(unclosed)), "with an open quote, read line by line"),
        (long, "over several lines"),
    )
    return Table(
        layout=_describe(separator, shape),
        columns=dict(zip(shape.names, map(_stripped, columns), strict=True)),
        lines=[row.start for row in kept],
        broken=broken,
        notes=[f"{len(numbers):,} {what} ({first_numbers(numbers)})" for numbers, what in mended if numbers],
    )


def _fitting(rows: Sequence[Row], shape: Shape, separator: str) -> float:
    """Return the share of rows that fit a shape or can be mended."""
    body = shape.body(rows)
    fitting = sum(shape.fits(row.fields) or shape.mend(row.fields, separator) is not None for row in body)
    return fitting / len(body) if body else 1.0


def _is_certain(rows: Sequence[Row], shape: Shape, separator: str) -> bool:
    """Tell whether what stands beside the text shows a table, and not a text that holds the separator."""
    if shape.text is None:  # several columns of texts, or none
        return separator not in BEHIND_A_NAME and "file" in shape.kinds and "text" in shape.kinds
    wanted: set[Kind] = set(REFERENCES)
    if separator == " : ":
        wanted = {"file", "code"}
    elif separator in BEHIND_A_NAME:
        wanted = {"file", "number", "code"} if separator == " " and len(rows) >= _ROWS_OF_NUMBERS else {"file"}
    others = [(i, kind) for i, kind in enumerate(shape.kinds) if i != shape.text]
    body = [row.fields for row in shape.body(rows)]
    labels = {i for i, kind in others if kind == "word" and is_label([fields[i] for fields in body if len(fields) > i])}
    known = all(kind in REFERENCES or kind == "empty" or i in labels for i, kind in others)
    is_told = any(kind in wanted for _, kind in others)
    is_told = is_told or (bool(labels) and (separator == "\t" or shape.header is not None))
    if separator in BEHIND_A_NAME:
        is_told = is_told and shape.text == 1 and not any(mark in row.fields[0] for row in rows for mark in "\t,;|")
    if separator == " " and shape.kinds[0] in ("number", "code"):
        is_told = is_told and are_most(_ID.fullmatch(fields[0]) for fields in body)
    is_asked = separator not in BEHIND_A_NAME and shape.kinds[0] == "file"  # which column it is
    return (known or shape.header is not None or is_asked) and is_told


def _is_prose(sample: Sequence[str], separator: str, shape: Shape) -> bool:
    """Tell whether commas or semicolons are followed by blanks, as in a text, and no name or number comes first."""
    if separator == "," and are_most(map(_THOUSANDS.match, sample)):
        return True
    if separator not in (",", ";") or shape.kinds[0] in ("number", "file") or shape.header is not None:
        return False
    if shape.kinds[0] == "code" and are_most(map(_TWO_DIGITS.match, sample)):
        return False  # no `1girl, solo`
    text = _QUOTED.sub("", "\n".join(sample))
    return 2 * text.count(f"{separator} ") >= max(1, text.count(separator))


def _is_no_row(row: Row) -> bool:
    """Tell whether a row is the rule below a Markdown table's header, or names the separator for a spreadsheet."""
    fields = [field.strip() for field in row.fields if field.strip()]
    if len(row.fields) == 1 and not fields:
        return False  # an empty text in quotes
    return all(map(_RULE.fullmatch, fields)) or (row.start == 1 and "".join(row.fields).startswith("sep="))


def _is_misplaced(fields: Sequence[str], kinds: Sequence[Kind]) -> bool:
    """Tell whether a text stands where the other rows have references."""
    return any(kind in REFERENCES and kind_of(text) == "text" for text, kind in zip(fields, kinds, strict=True))


def _stripped(column: Iterable[str]) -> list[Any]:
    """Strip a column, and convert it where all are whole numbers as Python writes them: `007` and `1e5` stay texts."""
    texts = [text.strip() for text in column]
    return list(map(int, texts)) if all(map(_WHOLE.fullmatch, texts)) else texts


def _swallowed(inside: Sequence[Row], shape: Shape, path: Path, *, is_quoted: bool) -> bool:
    """Tell whether the lines of a quoted field are rows of their own, whose quote was never closed.

    Args:
        inside: The lines, each split as a row.
        shape: The shape of the table.
        path: The file, for errors.
        is_quoted: Whether most rows are quoted, so that quotes mean something.

    Raises:
        AssetError: Some are and some are not.
    """
    if any(text.strip() == '"' for row in inside[1:] for text in row.fields):
        return False  # a lone quote closes a text that ends with a line break
    if len(shape.names) == 1 and (is_quoted or len(inside) < 3):
        return False
    references = [i for i, kind in enumerate(shape.kinds) if kind in REFERENCES]
    fitting = [shape.fits(row.fields) and all(row.fields[i].strip() for i in references) for row in inside]
    if not any(fitting[1:]):
        return False
    if all(fitting) and references:
        return True
    if not references and not all(fitting):
        return False
    start, end = inside[0].start, inside[-1].start
    found = f"the quote that opens in line {start:,} closes in line {end:,}, but these lines look like rows"
    advice = f"take the quote out of line {start:,}; if the lines are one caption, write it in one line"
    raise AssetError(path, found, advice=advice)


def _describe(separator: str, shape: Shape) -> str:
    if len(shape.names) == 1:
        return f"one column, {shape.names[0]}" if shape.header else "one column"
    name = _SEPARATORS.get(separator, repr(separator))
    if separator in BEHIND_A_NAME:
        return f"name and caption between {name}s" if separator != " " else "name, blank and caption"
    return f"{name}-separated table" + ("" if shape.header else " without a header")
