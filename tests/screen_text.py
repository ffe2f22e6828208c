"""What is drawn on the screen, and what of it a terminal might take for more than text."""

import re
import unicodedata

from rich.segment import Segment
from textual.app import App

_FORMATS = (  # allowed: joiners, which make one emoji or one word of its parts; signs that are seen; flags
    "\u200c\u200d\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)
_REGION_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e007a]+\U000e007f")
_MARKS = re.compile("(?:[MmJ]){5}")


def screen_lines(app: App) -> list[str]:
    """The lines of the screen that is shown."""
    strips = app.screen._compositor.render_strips()
    return ["".join(part.text for part in strip if isinstance(part, Segment)) for strip in strips]


def unsafe(text: str) -> list[str]:
    """What could control a terminal, turn the writing direction or hide, or stands five times on one letter."""
    text = _REGION_FLAG.sub("", text)
    classes = [unicodedata.category(char) for char in text]
    found = [
        f"U+{ord(char):04X}"
        for char, category in zip(text, classes, strict=True)
        if category in ("Cc", "Cs", "Zl", "Zp") or (category == "Cf" and char not in _FORMATS)
    ]
    kinds = "".join("M" if category in ("Mn", "Me") else "." for category in classes)
    return found + ["a flood of marks"] * bool(_MARKS.search(kinds))
