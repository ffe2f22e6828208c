"""Rows: split the lines of a table into fields. Quotes that are no marks of fields are text."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

ONE_COLUMN = "\x1f"
"""The separator of a table of one column, whose texts may hold any other one."""
BEHIND_A_NAME = (" : ", ": ", " ")
"""Separators of a name from its caption: they count once in a line, and fields are not quoted."""

_LONGEST_ROW = 1000  # lines that a quoted field may run over
_MOST_CHARACTERS = 1 << 24  # of a field
_MOST_TIMES = 10  # that a larger table may be read ahead for the ends of quotes


class Row(NamedTuple):
    """One row, from line number `start` (from 1) up to and without `end`."""

    start: int
    end: int
    fields: list[str]

    @property
    def is_one_line(self) -> bool:
        """Whether no quoted field runs over lines."""
        return self.end - self.start == 1


def split_line(line: str, separator: str) -> list[str]:
    """Split a line at every separator, with quotes as text."""
    return line.split(separator, 1 if separator in BEHIND_A_NAME else -1)


def split_rows(lines: Sequence[str], separator: str) -> list[Row]:
    """Split lines into rows, without blank ones. A quoted field may run over lines if its quote is closed properly."""
    csv.field_size_limit(_MOST_CHARACTERS)
    rows: list[Row] = []
    ahead = _Ahead(lines)
    number = 0
    while number < len(lines):
        line, count = lines[number], 1
        fields = split_line(line, separator)
        if '"' in line and separator not in BEHIND_A_NAME and len(separator) == 1:
            fields, count = _unquoted(line, ahead.behind(number), separator) or (fields, 1)
        if line.strip():
            rows.append(Row(number + 1, number + 1 + count, fields))
        number += count
    return rows


def has_open_quote(row: Row, line: str, separator: str) -> bool:
    """Tell whether a field begins with a quote that its line does not close, so that the quote was read as text."""
    if '"' not in line or separator in BEHIND_A_NAME or len(separator) > 1 or not row.is_one_line:
        return False
    is_odd = any(text.lstrip().startswith('"') and text.count('"') % 2 for text in row.fields)
    return is_odd and _unquoted(line, (), separator) is None


class _Ahead:
    """Reads lines ahead for the end of a quote, all together no more than some times the length of the table."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._left = max(_MOST_CHARACTERS, _MOST_TIMES * sum(map(len, lines)))

    def behind(self, number: int) -> Iterator[str]:
        """Yield the lines behind the one of this number, from 0, with their ends."""
        for n in range(number + 1, min(len(self._lines), number + _LONGEST_ROW)):
            if self._left <= 0:
                return
            line = self._lines[n]
            self._left -= len(line)
            yield f"{line}\n"


def _unquoted(line: str, following: Iterable[str], separator: str) -> tuple[list[str], int] | None:
    """Return the fields of the row that begins with a line, and its number of lines; None for stray quotes.

    Args:
        line: The line.
        following: The lines after it, with their ends.
        separator: What stands between the fields.
    """
    mark = re.escape(separator)  # tried behind itself, a tab would make the search quadratic
    is_spaced = re.search(rf'{mark}(?:(?!{mark})[ \t])*[ \t]"', line) is not None  # before quotes
    if fields := _read(chain([f"{line}\n"], following), separator, skipinitialspace=is_spaced):
        return fields
    if '\\"' in line:
        return _read([line], separator, skipinitialspace=is_spaced, escapechar="\\", doublequote=False)
    tight = re.sub(rf'"[ \t]+(?={mark}|$)', '"', line)  # blanks behind a closing quote
    return _read([tight], separator, skipinitialspace=is_spaced) if tight != line else None


def _read(lines: Iterable[str], separator: str, **how: object) -> tuple[list[str], int] | None:
    try:
        reader = csv.reader(lines, delimiter=separator, strict=True, **how)  # type: ignore[arg-type]
        return next(reader), reader.line_num
    except (csv.Error, StopIteration, ValueError):  # from Python 3.13 on, a separator may be none: a quote, a backslash
        return None
