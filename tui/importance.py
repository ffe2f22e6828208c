"""Word importance: a bar chart of the words of a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content

from tui.text import bar, drawable, fit

if TYPE_CHECKING:
    from core.query import Token

_BAR_CELLS = 10
_MARKS = "sentence marks"


def importance_lines(tokens: Sequence[Token], marks_importance: float, *, most_words: int) -> list[Content]:
    """Draw a bar per word in sentence order, at most `most_words` of the strongest, and one for the sentence marks."""
    shown = list(tokens)
    if len(tokens) > most_words:
        ranked = sorted(range(len(tokens)), key=lambda i: -tokens[i].importance)
        shown = [tokens[i] for i in sorted(ranked[: most_words - 1])]
    names = [drawable(token.text) for token in shown]
    width = min(14, max(map(cell_len, [*names, _MARKS])))
    largest = max([marks_importance, *(token.importance for token in shown)]) or 1.0
    lines = []
    for name, token in zip(names, shown, strict=True):
        if token.known:
            lines.append(_share_line(name, width, token.importance, largest))
        else:
            state = "…" if token.unfinished else "unknown, dropped"
            lines.append(Content.styled(f"{fit(name, width)} {state}", "$foreground-muted"))
    lines.append(_share_line(_MARKS, width, marks_importance, largest))
    if left_out := len(tokens) - len(shown):
        lines.append(Content.styled(f"and {left_out} weaker words", "$foreground-muted"))
    return lines


def _share_line(name: str, width: int, share: float, largest: float) -> Content:
    drawn = bar(share / largest, _BAR_CELLS)
    return Content.assemble(f"{fit(name, width)} ", (drawn, "$primary"), f" {share:4.0%}")
