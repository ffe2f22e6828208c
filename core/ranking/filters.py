"""Filters: say which captions may be found, by their words, length, image, bookmark and the columns of their file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from dataclasses import field as detail
from typing import Literal, TypeAlias

Field: TypeAlias = Literal["word", "phrase", "pattern", "length", "image", "region", "bookmark", "column"]
Operator: TypeAlias = Literal[":", "<", "<=", ">", ">="]

EXAMPLES = (
    'dog · "red bus" · /runn?ing/ · -cat · length<8 · image:362 · region:1 · is:bookmarked · column:value · column>=3'
)
"""What a filter can say, for people."""

MOST_CONDITIONS = 32
"""Each is a search through all captions, and keeps a byte for each."""

_COMPUTED = ("region", "bookmark")
_HALF = re.compile("[\ud800-\udfff]")
_PIECE = re.compile(
    r"""
    (?P<minus>-?)
    (?:
        /(?P<pattern>(?:\\.|[^\\/])+)/
      | (?:"(?P<quoted_name>[^"]+)"|(?P<name>[^\W\d][\w.-]*))
        (?P<operator><=|>=|[:<>=])
        (?:"(?P<quoted>[^"]*)"|(?P<value>[^\s"]+))
      | "(?P<phrase>[^"]*[^"\s][^"]*)"
      | (?P<word>[^\s"/<>:=-][^\s"/<>:=]*)
    )
    (?:\s+|$)
    """,
    re.VERBOSE,
)


class FilterError(ValueError):
    """A text is no filter; the message says which part of it, and why."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on a caption."""

    field: Field
    value: str
    """What the field is compared with; for `pattern`, a regular expression in RE2's syntax."""
    operator: Operator = ":"
    name: str = ""
    """Name of the column."""
    is_not: bool = False
    """Whether the captions that meet it are left out."""
    text: str = detail(default="", compare=False)
    """As typed."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions that a caption has to meet, all of them; without any, every caption does."""

    text: str = ""
    """As typed."""
    conditions: tuple[Condition, ...] = ()
    bookmarked: frozenset[int] = frozenset()
    """Rows of the captions that the person has marked."""

    def with_bookmarks(self, rows: Iterable[int]) -> Filter:
        """Return the filter with the captions that are marked now, on which it may depend."""
        return replace(self, bookmarked=frozenset(rows)) if self.asks("bookmark") else self

    def asks(self, kind: Field) -> bool:
        """Tell whether a condition is of a kind."""
        return any(condition.field == kind for condition in self.conditions)

    def without(self, kind: Field) -> list[str]:
        """Return the conditions of other kinds, as typed."""
        return [each.text for each in self.conditions if each.field != kind]

    def of_file(self) -> Filter:
        """Return the conditions that depend on nothing but the file of the captions."""
        return replace(self, conditions=tuple(each for each in self.conditions if each.field not in _COMPUTED))

    @classmethod
    def parse(cls, text: str) -> Filter:
        """Parse conditions with blanks between.

        Raises:
            FilterError: A part of it is no condition.
        """
        text, place = text.strip(), 0
        if _HALF.search(text):  # a lone surrogate, for bytes that are no UTF-8
            raise FilterError("it holds half of a character; type it again")
        conditions: list[Condition] = []
        while place < len(text):
            if len(conditions) == MOST_CONDITIONS:
                raise FilterError(f"it has more than {MOST_CONDITIONS} conditions; use fewer")
            piece = _PIECE.match(text, place)
            if piece is None:
                raise FilterError(f"{text[place:].split()[0]} is no condition; there are {EXAMPLES}")
            conditions.append(replace(_condition(piece), text=piece[0].strip()))
            place = piece.end()
        return cls(text, tuple(conditions))


EVERY = Filter()
"""The filter that every caption meets."""


def _condition(piece: re.Match[str]) -> Condition:
    is_not = bool(piece["minus"])
    for kind in ("pattern", "phrase", "word"):
        if piece[kind] is not None:
            return Condition(kind, piece[kind], is_not=is_not)
    operator: Operator = ":" if piece["operator"] == "=" else piece["operator"]  # type: ignore[assignment]
    value, name = piece["value"] if piece["quoted"] is None else piece["quoted"], piece["name"]
    if operator != ":" and not _is_number(value):
        raise FilterError(f"{piece[0].strip()}: {value} is no number")
    if name == "length":
        if not _is_number(value):
            raise FilterError(f"{piece[0].strip()}: a length is a number of words")
        return Condition("length", value, operator, is_not=is_not)
    if name == "region" and operator != ":":
        raise FilterError(f"{piece[0].strip()}: regions have no order; region:3,5 asks for two of them")
    if name in ("image", "region") and operator == ":":
        return Condition(name, value, is_not=is_not)  # type: ignore[arg-type]
    if name == "is":
        if operator != ":" or value not in ("bookmarked", "bookmark"):
            raise FilterError(f"{piece[0].strip()} is no condition: is:bookmarked is one")
        return Condition("bookmark", "", is_not=is_not)
    return Condition("column", value, operator, name or piece["quoted_name"], is_not)


def _is_number(text: str) -> bool:
    try:
        return float(text) == float(text)
    except ValueError:
        return False
