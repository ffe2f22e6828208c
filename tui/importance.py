"""Word importance: a bar chart of the words of a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content

from tui.text import bar, drawable, fit

if TYPE_CHECKING:
    from core.query import Token

_MARKS = "start and end marks"


def importance_lines(tokens: Sequence[Token], marks_importance: float, *, most_words: int, width: int) -> list[Content]:
    """Draw a bar per word, the most important first, at most `most_words` lines of them, then the sentence marks.

    The marks have no bar: they hold many features in every sentence, and say nothing about this one.
    """
    ranked = sorted(tokens, key=lambda token: (not token.known, -token.importance))
    shown = ranked if len(ranked) <= most_words else ranked[: max(1, most_words - 1)]
    names = [drawable(token.text) for token in shown]
    name_cells = min(16, max(map(cell_len, names), default=0))
    bar_cells = max(4, min(24, width - name_cells - 6))
    largest = max((token.importance for token in shown), default=0) or 1.0
    lines = []
    for name, token in zip(names, shown, strict=True):
        if token.known:
            drawn = bar(token.importance / largest, bar_cells)
            lines.append(
                Content.assemble(f"{fit(name, name_cells)} ", (drawn, "$primary"), f" {token.importance:4.0%}")
            )
        else:
            state = "…" if token.unfinished else "unknown, dropped"
            lines.append(Content.styled(f"{fit(name, name_cells)} {state}", "$foreground-muted"))
    if left_out := len(tokens) - len(shown):
        lines.append(Content.styled(f"and {left_out} less important words", "$foreground-muted"))
    cells = max(len(_MARKS), name_cells + bar_cells + 1)
    return [*lines, Content.styled(f"{_MARKS:<{cells}} {marks_importance:4.0%}", "$foreground-muted")]
