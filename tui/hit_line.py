"""HitLine: one hit of a list as a line of the screen."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.text import fit

POINTER = "›"
"""Marks the hit under the cursor."""

BAR_CELLS = 6
_WORD = re.compile(r"\w\w+")


@dataclass(frozen=True, slots=True)
class HitLine:
    """What a line shows."""

    mark: str
    """One cell: whether the cursor is here, or the caption was visited."""
    rank: str
    """From 1, padded to the width of the longest one on the screen."""
    value: str
    """Distance or score, at most four cells."""
    bar: str
    """The value as a bar of `BAR_CELLS`."""
    text: str
    """The caption, drawable."""
    shared: frozenset[str]
    """Words of the caption that the query has."""
    others: str
    """Describes the captions that are folded into the line."""
    is_query: bool
    """Whether the caption is the query itself."""


class Styles(NamedTuple):
    """How the parts of a line look."""

    text: Style
    pointer: Style
    muted: Style
    bar: Style
    shared: Style


def draw_hit(line: HitLine, styles: Styles, *, width: int) -> Strip:
    """Draw a hit: mark, rank, distance or score as number and bar, caption, and the number of folded captions."""
    room = width - len(line.rank) - BAR_CELLS - len(line.others) - 8
    text = fit(line.text, max(1, room))
    pieces = split_shared(text, line.shared)
    plain = styles.muted if line.is_query else styles.text
    strip = Strip(
        [
            Segment(line.mark, styles.pointer if line.mark.strip() else styles.muted),
            Segment(f"{line.rank} ", styles.muted),
            Segment(f"{line.value:>4} ", plain),
            Segment(f"{line.bar:<{BAR_CELLS}} ", styles.bar),
            *(Segment(piece, styles.shared if is_shared else plain) for piece, is_shared in pieces),
            Segment(line.others, styles.muted),
        ]
    )
    return strip.adjust_cell_length(width, styles.text).simplify()


def split_shared(text: str, shared: Collection[str]) -> list[tuple[str, bool]]:
    """Split a text into pieces, each with whether it is one of the shared words."""
    pieces, at = [], 0
    for match in _WORD.finditer(text):
        if match[0] in shared:
            pieces += [(text[at : match.start()], False), (match[0], True)]
            at = match.end()
    return [*pieces, (text[at:], False)]
