"""Text for a terminal: replace unsafe characters, fit text to a width, and draw bars."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from core.store.progress import Progress

LONGEST: Final = 5_000
"""Characters of one text that are drawn, or that the search box takes: drawing more would delay each key."""

# Control characters (C0, DEL, C1), line separators, direction overrides, lone surrogates, what is no character.
_CONTROLS = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufeff"
_CONTROLS += "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
# What shows nothing but may be within a word: soft hyphens, spaces without width, fillers, selectors, tags.
_SELECTORS = "\ufe00-\ufe0d\U000e0100-\U000e01ef"  # each chooses the shape of the sign before it
_HIDDEN = (
    f"\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2065\u206a-\u206f\u3164\uffa0\ufff0-\ufffb{_SELECTORS}"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Ideographs, mathematical and Burmese signs have several shapes.
_WITH_SHAPES = "\u1000-\u109f\u2200-\u22ff\u2a00-\u2aff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_REGION_FLAGS = "|".join(  # of England, Scotland and Wales: the only use of tags
    f"\U0001f3f4{''.join(chr(0xE0000 + ord(letter)) for letter in region)}\U000e007f"
    for region in ("gbeng", "gbsct", "gbwls")
)
# Joiners and emoji selectors hide at the beginning, behind each other, and in words that need none.
_NEEDS_NONE = '\x00-"$-)+-/:-\x7f\u00c0-\u052f\u200c\u200d'  # less 0-9, # and *, the keycaps
_NEEDLESS = f"(?:^|(?<=[{_NEEDS_NONE}]))[\u200c\u200d\ufe0e\ufe0f]"
_UNSAFE = re.compile(f"({_REGION_FLAGS}|(?<=[{_WITH_SHAPES}])[{_SELECTORS}])|[{_CONTROLS}{_HIDDEN}]|{_NEEDLESS}")
# Joiners, selectors, skin tones, tags: a terminal may draw the parts of such a character side by side.
_VARIANTS = re.compile(f"[\u200c\u200d\ufe0e\ufe0f{_SELECTORS}\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
_JAMO = "\u1160-\u11ff\ud7b0-\ud7fb"  # vowels and ends of Korean syllables, which stand in the cell of their beginning
_IS_JAMO = re.compile(f"[{_JAMO}]")
_ON_ONE_LETTER = 7  # Tibetan has six marks on one letter
# Where more characters may stand on the one before them: marks are no letters (`\w`) and no ASCII.
_MAYBE_FLOOD = re.compile(f"(?:[^\\w\x00-\x7f]|[{_JAMO}]){{{_ON_ONE_LETTER + 1},}}")


def visible(text: str) -> str:
    """Replace every character that could control the terminal, change the writing direction or hide in a word.

    Of marks on one letter, seven stay.
    """
    return _MAYBE_FLOOD.sub(_without_flood, _UNSAFE.sub(_picture, text))


def drawable(text: str, *, most: int = LONGEST) -> str:
    """Make the first characters of a text visible, and leave out what terminals count differently.

    That is joiners, emoji variants, selectors and skin tones. A text of more than `most` characters ends with an
    ellipsis.
    """
    drawn = _VARIANTS.sub("", _UNSAFE.sub(_picture, text[:most]))
    drawn = _MAYBE_FLOOD.sub(_without_flood, drawn)
    return f"{drawn[: most - 1]}…" if max(len(text), len(drawn)) > most else drawn


def drawable_lines(text: str) -> str:
    """Make each line of a text drawable, and leave its line ends."""
    return "\n".join(map(drawable, text.splitlines()))


def one_line(text: str) -> str:
    """Join the lines of a text with spaces."""
    return " ".join(text.split())


def message_line(error: Exception) -> str:
    """Write an error's message, whose parts have a line each, in one line."""
    return " · ".join(str(error).splitlines())


def stage_line(progress: Progress) -> str:
    """Name the stage of slow work, with the share that is done where that is known: `indexing words 42%`."""
    share = f" {progress.done / progress.total:.0%}" if progress.total else ""
    return f"{progress.stage}{share}"


def counted(count: int, noun: str) -> str:
    """Write a number of things: `1 query`, `2,640 queries`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def fit(text: str, cells: int) -> str:
    """Pad a text to exactly `cells` cells, or cut it with an ellipsis."""
    from rich.cells import cell_len, set_cell_size  # not loaded for `--help`

    beginning = text[: (1 + _ON_ONE_LETTER) * cells]  # of a drawable text, no more share a cell
    if len(text) == len(beginning) and (used := cell_len(text)) <= cells:
        return text + " " * (cells - used)
    return set_cell_size(beginning, cells - 1) + "…"


def short_number(number: float) -> str:
    """Format a distance or score, at least 0, in at most four cells: `.443`, `1.02`, `23.4`, `1234`."""
    text = f"{number:.3f}"
    if text.startswith("0"):
        return text[1:]
    return next((text for text in (f"{number:.2f}", f"{number:.1f}") if len(text) <= 4), f"{number:.0f}")


def bar(share: float, cells: int) -> str:
    """Draw a share as a thin bar in half cells, at least one of them; shares outside 0..1 are clipped."""
    halves = max(1, round(max(0.0, min(1.0, share)) * cells * 2))
    return ("━" * (halves // 2) + ("╸" if halves % 2 else "")).ljust(cells)


def bar_to_mark(share: float, cells: int, *, mark: float | None) -> str:
    """Draw a share as a thin bar, with a line across at the share `mark` if that is one, at most 1."""
    drawn = bar(share, cells)
    if mark is None or mark > 1:
        return drawn
    at = min(cells - 1, round(mark * cells))
    return f"{drawn[:at]}{'│' if drawn[at] == ' ' else '┿'}{drawn[at + 1 :]}"


def _picture(match: re.Match[str]) -> str:
    if match[1]:
        return match[1]
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)  # Unicode's pictures of control characters
    if code == 0x7F:
        return "\u2421"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _without_flood(match: re.Match[str]) -> str:
    """Leave seven of the marks that follow each other, and an ellipsis for the rest; joiners count as marks."""
    kept, count = [], 0
    for char in match[0]:
        count = count + 1 if char in "\u200c\u200d" or _is_mark(char) else 0
        if count <= _ON_ONE_LETTER:
            kept.append(char)
        elif count == _ON_ONE_LETTER + 1:
            kept.append("…")
    return "".join(kept)


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Me", "Mc") or _IS_JAMO.match(char) is not None
