"""What is drawn on the screen, and what of it a terminal might take for more than text."""

import re
import unicodedata

from rich.segment import Segment
from textual.app import App

_LEFT = re.compile(  # what may stand there: flags of regions, and one selector behind a sign that has several shapes
    "\U0001f3f4\U000e0067\U000e0062"
    "(\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073)\U000e007f"
    "|(?<=[\u1000-\u109f\u2200-\u22ff\u2a00-\u2aff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])"
    "[\ufe00-\ufe0d\U000e0100-\U000e01ef]"
)
# Unicode's Default_Ignorable_Code_Point, less joiners and emoji variants, which make one sign of its parts.
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SEEN = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"  # Cf, but drawn
_JOINERS = "\u200c\u200d"
_NEEDLESS = re.compile("(^|[A-Za-z \u00c0-\u052f])[\u200c\u200d\ufe0e\ufe0f]")
_FLOOD = re.compile("M{8}")


def screen_lines(app: App) -> list[str]:
    """The lines of the screen that is shown."""
    strips = app.screen._compositor.render_strips()
    return ["".join(part.text for part in strip if isinstance(part, Segment)) for strip in strips]


def unsafe(text: str) -> list[str]:
    """What could control a terminal, turn the writing direction or hide, or stands eight times on one letter."""
    text = _LEFT.sub("", text)
    kinds = [_kind(char) for char in text]
    found = [f"U+{ord(char):04X}" for char, kind in zip(text, kinds, strict=True) if kind == "!"]
    found += ["a needless joiner"] * bool(_NEEDLESS.search(text))
    return found + ["a flood of marks"] * bool(_FLOOD.search("".join(kinds)))


def _kind(char: str) -> str:
    """`!` for what may not be, `M` for what stands on the character before it, `.` for others."""
    category = unicodedata.category(char)
    if ord(char) & 0xFFFE == 0xFFFE or "\ufdd0" <= char <= "\ufdef":  # no character
        return "!"
    if char in _JOINERS or category in ("Mn", "Me", "Mc"):
        return "!" if _IGNORABLE.match(char) else "M"
    is_control = category in ("Cc", "Cs", "Zl", "Zp") or (category == "Cf" and char not in _SEEN)
    if is_control or _IGNORABLE.match(char):
        return "!"
    return "M" if "\u1160" <= char <= "\u11ff" or "\ud7b0" <= char <= "\ud7fb" else "."
