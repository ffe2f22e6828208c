"""Text for a terminal: replace unsafe characters, fit text to a width, and draw bars."""

from __future__ import annotations

import re

# Control characters (C0, DEL, C1), line separators, direction overrides, lone surrogates.
_CONTROLS = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff"
# What shows nothing but may be within a word: soft hyphens, spaces without width, fillers.
_HIDDEN = (
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2065\u206a-\u206f\u3164\uffa0\ufff0-\ufffb"
    "\U0001d173-\U0001d17a\U000e0001"
)
_UNSAFE = re.compile(f"[{_CONTROLS}{_HIDDEN}]")
# Marks that stand on the letter before them; no writing has five on one letter.
_MARK = (
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u064b-\u065f\u0e34-\u0e3a\u0e47-\u0e4e"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
)
_FLOOD = re.compile(f"({_MARK}{{4}}){_MARK}+")
# Joiners, variation selectors, skin tones, tags: a terminal may draw the parts of such a character side by side.
_VARIANTS = re.compile("[\u200c\u200d\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")


def visible(text: str) -> str:
    """Replace every character that could control the terminal, change the writing direction or hide in a word.

    Of marks on one letter, four stay.
    """
    return _FLOOD.sub(r"\1…", _UNSAFE.sub(_picture, text))


def drawable(text: str) -> str:
    """Make a text visible and leave out what terminals count differently: joiners, emoji variants and skin tones."""
    return _VARIANTS.sub("", visible(text))


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

    return text + " " * (cells - cell_len(text)) if cell_len(text) <= cells else set_cell_size(text, cells - 1) + "…"


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
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)  # Unicode's pictures of control characters
    return "\u2421" if code == 0x7F else f"\\u{code:04x}"
