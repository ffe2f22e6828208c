"""Text for a terminal: replace unsafe characters, fit text to a width, and draw bars."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LONGEST: Final = 5_000
"""Characters of one text that are drawn, or that the search box takes: drawing more would delay each key."""

# Control characters (C0, DEL, C1), line separators, direction overrides, lone surrogates.
_CONTROLS = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff"
# What shows nothing but may be within a word: soft hyphens, spaces without width, fillers, variation selectors that
# choose no emoji, tags.
_HIDDEN = (
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2065\u206a-\u206f\u3164\ufe00-\ufe0d\uffa0"
    "\ufff0-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_REGION_FLAG = "\U0001f3f4[\U000e0030-\U000e007a]{1,6}\U000e007f"  # of England, Scotland, Wales: the only use of tags
_UNSAFE = re.compile(f"({_REGION_FLAG})|[{_CONTROLS}{_HIDDEN}]")
# Joiners, emoji variants, skin tones, tags: a terminal may draw the parts of such a character side by side.
_VARIANTS = re.compile("[\u200c\u200d\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\U000e0030-\U000e007f]")
_JAMO = "\u1160-\u11ff\ud7b0-\ud7fb"  # vowels and ends of Korean syllables, which stand in the cell of their beginning
# Where five characters may stand on the one before them: marks are no letters (`\w`) and no ASCII.
_MAYBE_FLOOD = re.compile(f"(?:[^\\w\x00-\x7f]|[{_JAMO}]){{5,}}")
_ON_ONE_LETTER = 4  # no writing has five marks on one letter


def visible(text: str) -> str:
    """Replace every character that could control the terminal, change the writing direction or hide in a word.

    Of marks on one letter, four stay.
    """
    return _MAYBE_FLOOD.sub(_without_flood, _UNSAFE.sub(_picture, text))


def drawable(text: str) -> str:
    """Make the first 5,000 characters of a text visible, and leave out what terminals count differently.

    That is joiners, emoji variants and skin tones. A text that is cut ends with an ellipsis.
    """
    drawn = _VARIANTS.sub("", _UNSAFE.sub(_picture, text[:LONGEST]))
    drawn = _MAYBE_FLOOD.sub(_without_flood, drawn)
    return f"{drawn[: LONGEST - 1]}…" if max(len(text), len(drawn)) > LONGEST else drawn


def one_line(text: str) -> str:
    """Join the lines of a text with spaces."""
    return " ".join(text.split())


def message_line(error: Exception) -> str:
    """Write an error's message, whose parts have a line each, in one line."""
    return " · ".join(str(error).splitlines())


def counted(count: int, noun: str) -> str:
    """Write a number of things: `1 query`, `2,640 queries`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def fit(text: str, cells: int) -> str:
    """Pad a text to exactly `cells` cells, or cut it with an ellipsis."""
    from rich.cells import cell_len, set_cell_size  # not loaded for `--help`

    beginning = text[: 8 * cells]  # of a drawable text, no eight characters share a cell
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
    return "\u2421" if code == 0x7F else f"\\u{code:04x}"


def _without_flood(match: re.Match[str]) -> str:
    """Leave four of the marks that follow each other, and an ellipsis for the rest; joiners count as marks."""
    kept, count = [], 0
    for char in match[0]:
        count = count + 1 if char in "\u200c\u200d" or _is_mark(char) else 0
        if count <= _ON_ONE_LETTER:
            kept.append(char)
        elif count == _ON_ONE_LETTER + 1:
            kept.append("…")
    return "".join(kept)


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Me") or "\u1160" <= char <= "\u11ff" or "\ud7b0" <= char <= "\ud7fb"
