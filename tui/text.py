"""Text for a terminal: made safe to show, cut to cells, and bars drawn with it."""

from __future__ import annotations

import re

# Control characters (C0, DEL, C1), line separators, direction overrides, lone surrogates.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_EIGHTHS = " ▏▎▍▌▋▊▉"


def visible(text: str) -> str:
    """Replace every character that would move the cursor, colour the screen or turn the writing around."""
    return _UNSAFE.sub(_picture, text)


def one_line(text: str) -> str:
    """Join the lines of a text by blanks."""
    return " ".join(text.split())


def fit(text: str, cells: int) -> str:
    """Make a text fill exactly so many cells: padded, or cut with an ellipsis."""
    from rich.cells import cell_len, set_cell_size  # not loaded for `--help`

    return text + " " * (cells - cell_len(text)) if cell_len(text) <= cells else set_cell_size(text, cells - 1) + "…"


def bar(share: float, cells: int) -> str:
    """Draw a share, 0..1, as a bar of eighths of a cell; more than 1 is full."""
    eighths = round(max(0.0, min(1.0, share)) * cells * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[part] if part else "")).ljust(cells)


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)  # Unicode's pictures of control characters
    return "\u2421" if code == 0x7F else f"\\u{code:04x}"
