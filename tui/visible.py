"""Text from files and keyboards, made safe to show: what a terminal would obey is shown instead."""

from __future__ import annotations

import re

# Control characters (C0, DEL, C1), line separators, direction overrides, lone surrogates.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


def visible(text: str) -> str:
    """Replace every character that would move the cursor, colour the screen or turn the writing around."""
    return _UNSAFE.sub(_picture, text)


def one_line(text: str) -> str:
    """Join the lines of a text by blanks."""
    return " ".join(text.split())


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)  # Unicode's pictures of control characters
    return "\u2421" if code == 0x7F else f"\\u{code:04x}"
