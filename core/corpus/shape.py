"""Shape: the names and kinds of a table's columns, and whether its first row is a header."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from core.corpus.kinds import REFERENCES, Kind, are_most, kind_of, kind_of_column
from core.corpus.rows import Row
from core.corpus.table import MOST_BROKEN, distinct, is_caption_name, is_reference_name

SAMPLE = 1000
"""Rows that tell the shape."""

_WORDS_OF_A_USUAL_NAME = 4
_WORDS_OF_A_NAME = 12  # a form's question
_ROWS_ABOVE = 5  # comments or a title
_NAME = re.compile(r"[^\W\d].*[^.!]|[^\W\d]|\w{1,4}\.|#", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Shape:
    """How many columns a table has, of which kinds, and which of them takes what is too much in a row."""

    names: list[str]
    kinds: list[Kind]
    header: Row | None
    """The row that names the columns."""
    above: int
    """Number of rows above the header: comments, a title."""
    text: int | None
    """The only column of texts; None where there are none or several."""
    behind: frozenset[str] | None
    """Fields behind the text; None where a blank follows most separators."""

    @property
    def has_usual_name(self) -> bool:
        """Whether two columns of the header have usual names, or one that its rows bear out."""
        return self.header is not None and _has_usual_name(_columns(self.header.fields, self.kinds))

    @classmethod
    def of(cls, rows: Sequence[Row], *, header: bool | None = None) -> Shape:
        """Tell the shape from the first rows; `header` says whether the first row is one, None to tell that too."""
        sample = [row for row in rows[:SAMPLE] if row.is_one_line]
        if 2 * len(sample) < len(rows[:SAMPLE]):
            sample = list(rows[:SAMPLE])
        named = next((n for n, row in enumerate(sample[:_ROWS_ABOVE]) if _names_columns(row.fields)), None)
        below = sample[(named or 0) + 1 :] or sample
        count = _column_count([row.fields for row in below])
        top = sample[named or 0].fields
        if named is not None or all(not any(map(str.strip, row.fields[len(top) :])) for row in below):
            count = min(count, len(top))  # the rows end with separators that the header lacks
        if named is not None and len(top) == count:
            above = named
        else:
            above = next((n for n, row in enumerate(sample[:_ROWS_ABOVE]) if len(row.fields) >= count), 0)
        first, rest = sample[above], [row.fields for row in sample[above + 1 :]]
        kinds = _kinds(rest, len(first.fields))
        if header if header is not None else _is_header(first.fields, kinds, rest):
            names, head = distinct(first.fields), first
        else:
            rest, head, above = [first.fields, *rest], None, 0
            count = _column_count(rest)
            kinds, names = _kinds(rest, count), [str(number + 1) for number in range(count)]
        text = _only_text(kinds)
        return cls(names, kinds, head, above, text, _behind(rest, text))

    def body(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Return the rows below the header and what stands above it."""
        return rows[self.above + 1 :] if self.header else rows

    def fits(self, fields: Sequence[str]) -> bool:
        """Tell whether a row has the right number of fields, with references where the other rows have them."""
        return len(fields) == len(self.kinds) and self._fit(fields)

    def mend(self, fields: list[str], separator: str) -> list[str] | None:
        """Join the parts of a text with separators in it, or add missing last fields; None if neither fits.

        Without a header, parts without a blank before them may be texts of their own, and are not joined.
        """
        count, text = len(self.kinds), self.text
        if text is not None and text < len(fields):
            last = len(fields) if self.behind is not None else text + 1 + max(0, len(fields) - count)
            behind = itertools.takewhile(_is_continued, fields[text + 1 : last])
            fields = _joined(fields, text, sum(1 for _ in behind), separator)
        blank = itertools.takewhile(lambda text: not text.strip(), reversed(fields[count:]))
        fields = fields[: len(fields) - sum(1 for _ in blank)]
        if len(fields) > count and text is not None and self.header is not None:
            fields = _joined(fields, text, len(fields) - count, separator)
        elif text is not None and text < len(fields):
            fields = fields + [""] * (count - len(fields))
        return fields if self.fits(fields) else None

    def is_whole(self, fields: Sequence[str]) -> bool:
        """Tell whether a row has the right number of fields, and its text does not go on behind a separator in it.

        `A red, wet dog.` goes on in a table in which no blanks follow the separators.
        """
        if len(fields) != len(self.kinds) or self.text is None or self.behind is None:
            return len(fields) == len(self.kinds)
        return not any(_is_continued(text) and text.strip() not in self.behind for text in fields[self.text + 1 :][:1])

    def _fit(self, fields: Sequence[str]) -> bool:
        return all(
            kind not in REFERENCES or kind_of(text) in (*REFERENCES, "empty")
            for text, kind in zip(fields, self.kinds, strict=False)
        )


def _joined(fields: list[str], text: int, count: int, separator: str) -> list[str]:
    """Join a field with this many behind it."""
    end = text + count + 1
    return [*fields[:text], separator.join(fields[text:end]), *fields[end:]]


def _column_count(rows: Sequence[Sequence[str]]) -> int:
    """Return the number of columns that all but a tenth of the rows have at least, or that most rows have."""
    widths = sorted(map(len, rows))
    least, counts = widths[int(MOST_BROKEN * len(widths))], Counter(widths)
    usual, number = max(counts.items(), key=lambda each: (each[1], each[0]))
    if usual > least and 2 * number >= len(widths) + (least == 1):
        longer = [row for row in rows if len(row) == usual]
        if not all(any(_is_continued(text) for text in row[least:]) for row in longer):
            return usual  # shorter rows lack their last fields
    return least


def _behind(rows: Sequence[Sequence[str]], text: int | None) -> frozenset[str] | None:
    """Return the fields behind a column; None where a blank follows most separators, as that before the column."""
    if text is None:
        return frozenset()
    fields = [row[text + 1] for row in rows if len(row) > text + 1]
    told = [row[text] for row in rows if len(row) > text] if text > 0 else fields
    tight = frozenset(field for field in fields if not _is_continued(field))
    return None if are_most(map(_is_continued, told)) else tight


def _is_continued(text: str) -> bool:
    """Tell whether a part behind a separator goes on in the sentence before it: `A dog, running`."""
    return text[:1] == " " and bool(text.strip())


def _kinds(rows: Sequence[Sequence[str]], count: int) -> list[Kind]:
    """Return the kinds of the columns, from rows with exactly this many, or else with at least."""
    exact = [row for row in rows if len(row) == count] or [row for row in rows if len(row) > count]
    return [kind_of_column([row[i] for row in exact]) for i in range(count)]


def _only_text(kinds: Sequence[Kind]) -> int | None:
    for wanted in (("text", "list"), ("word", "mixed")):
        found = [i for i, kind in enumerate(kinds) if kind in wanted]
        if found:
            return found[0] if len(found) == 1 else None
    return 0 if len(kinds) == 1 else None


class _Column(NamedTuple):
    """A field of the first row, its kind, and the kind of the rows below it."""

    field: str
    own: Kind
    kind: Kind


def _is_header(fields: Sequence[str], kinds: Sequence[Kind], rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether the first row names columns: by a usual name, or by names where other rows have something else."""
    columns = _columns(fields, kinds)
    names = [column.field for column in columns if column.field]
    if len(columns) > 1 and names == [str(n) for n in range(len(names))]:
        return True  # the numbers that pandas gives to columns without names
    if any(own in ("number", "file", "list", "object") for _, own, _ in columns):
        return False
    if _has_usual_name(columns):
        return True
    if not names or any(own == "empty" for _, own, _ in columns[1:]):
        return False  # the first may be empty: a header of row numbers
    if any(field.strip() and field in {row[i] for row in rows if len(row) > i} for i, field in enumerate(fields)):
        return False  # a label
    return _differs_from_rows(columns, names)


def _columns(fields: Sequence[str], kinds: Sequence[Kind]) -> list[_Column]:
    """Pair the fields of a row with the kinds below them, without columns that are empty everywhere."""
    columns = [_Column(field.strip(), kind_of(field), kind) for field, kind in zip(fields, kinds, strict=True)]
    return [column for column in columns if column.field or column.kind != "empty"]


def _names_columns(fields: Sequence[str]) -> bool:
    """Tell whether two fields are usual names of columns."""
    return sum(is_caption_name(field) or is_reference_name(field) for field in fields) > 1


def _has_usual_name(columns: Sequence[_Column]) -> bool:
    """Tell whether two columns have usual names, or one that its rows bear out."""
    if any(len(field.split()) > _WORDS_OF_A_USUAL_NAME for field, _, _ in columns):
        return False
    if _names_columns([field for field, _, _ in columns]):
        return True
    sentences = ("text", "mixed", "list", "object", "empty", *(["word"] if len(columns) > 1 else []))
    return any(
        (is_caption_name(field) and kind in sentences) or (is_reference_name(field) and kind in REFERENCES)
        for field, _, kind in columns
    )


def _differs_from_rows(columns: Sequence[_Column], names: Sequence[str]) -> bool:
    """Tell whether names stand above numbers, file names or codes, or single words above texts."""
    if len(set(names)) < len(names) or any(own == kind == "code" for _, own, kind in columns):
        return False
    if not all(_NAME.fullmatch(name) and len(name.split()) <= _WORDS_OF_A_NAME for name in names):
        return False
    if any(kind in REFERENCES and own not in (*REFERENCES, "empty") for _, own, kind in columns):
        return True
    above_texts = [own for _, own, kind in columns if kind == "text"]
    return bool(above_texts) and all(own in ("word", "code") for own in above_texts)
