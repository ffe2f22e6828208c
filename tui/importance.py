"""Word importance, drawn: a bar for each word of a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content

from tui.text import bar, fit, visible

if TYPE_CHECKING:
    from core.query import Token

_BAR_CELLS = 10
_MARKS = "sentence marks"


def importance_lines(tokens: Sequence[Token], marks_importance: float, *, most_words: int) -> list[Content]:
    """Draw a bar a word, the strongest of them in the order of the sentence, and one for the two sentence marks."""
    shown = list(tokens)
    if len(tokens) > most_words:
        ranked = sorted(range(len(tokens)), key=lambda i: -tokens[i].importance)
        shown = [tokens[i] for i in sorted(ranked[: most_words - 1])]
    names = [visible(token.text) for token in shown]
    width = min(14, max(map(cell_len, [*names, _MARKS])))
    most = max([marks_importance, *(token.importance for token in shown)]) or 1.0
    lines = []
    for name, token in zip(names, shown, strict=True):
        if token.known:
            lines.append(_share_line(name, width, token.importance, most))
        else:
            state = "…" if token.unfinished else "unknown, dropped"
            lines.append(Content.styled(f"{fit(name, width)} {state}", "$foreground-muted"))
    lines.append(_share_line(_MARKS, width, marks_importance, most))
    if left_out := len(tokens) - len(shown):
        lines.append(Content.styled(f"and {left_out} weaker ones", "$foreground-muted"))
    return lines


def _share_line(name: str, width: int, share: float, most: float) -> Content:
    drawn = bar(share / most, _BAR_CELLS)
    return Content.assemble(f"{fit(name, width)} ", (drawn, "$primary"), f" {share:4.0%}")
