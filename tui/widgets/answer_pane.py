"""The upper side panes: how far to trust the hits, and which words made the query's embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.cells import fit
from tui.visible import visible
from tui.widgets.hit_list import bar

if TYPE_CHECKING:
    from core.answers import Answer
    from core.query import Token
    from core.trust.calibration import Calibration

_SIGNS = {"reliable": ("✔", "$text-success"), "doubtful": ("?", "$text-warning"), "unreliable": ("✘", "$text-error")}
_LEVELS = "▁▂▃▄▅▆▇█"
_BAR_CELLS = 10
_MARKS = "sentence marks"


class VerdictPane(Widget):
    """The verdict with its reasons, and where the query's length stands on the measured curve."""

    answer: reactive[Answer | None] = reactive(None, layout=True)
    """What is shown; None before the first answer."""
    calibration: reactive[Calibration | None] = reactive(None, layout=True)
    """What was measured; None before that."""
    measuring: reactive[str] = reactive("", layout=True)
    """What is being measured, a phrase; empty when nothing is."""
    brief: reactive[bool] = reactive(False, layout=True)
    """Whether there is only room for what matters most."""

    def render(self) -> RenderResult:
        """Draw sign, level, chance, curve and reasons."""
        verdict = self.answer.verdict if self.answer else None
        if self.answer is None or verdict is None:
            return Content.styled("How far a query can be trusted is told here.", "$foreground-muted")
        sign, colour = _SIGNS[verdict.level]
        lines = [Content.styled(f"{sign} {verdict.level.upper()}", f"bold {colour}")]
        if verdict.probability is not None:
            lines[0] = Content.assemble(lines[0], f"   success {verdict.probability:.0%} likely")
        if verdict.better not in (None, self.answer.method):
            lines.append(Content.styled(f"tab: {verdict.better} does better here", "$text-accent"))
        if self.calibration is not None and not self.brief:
            content = sum(token.counts for token in self.answer.tokens)
            lines += curve(self.calibration, content)
        lines += [Content(f"· {visible(reason)}") for reason in verdict.reasons]
        lines.append(Content.styled(f"({self.measuring or verdict.basis})", "$foreground-muted"))
        return Content("\n").join(lines)


def curve(calibration: Calibration, content: int) -> list[Content]:
    """Draw how often queries of each number of content words succeed, the query's own length in brackets.

    Args:
        calibration: What was measured.
        content: The query's known content words.
    """
    cells = [(str(cell.length), cell) for cell in calibration.curve if cell.kind == "words"]
    here = max((i for i, (_, cell) in enumerate(cells) if cell.length <= content), default=None)
    cells += [("all", cell) for cell in calibration.curve if cell.kind == "whole"]
    most = max((cell.by_method["infersent"][0] for _, cell in cells), default=0) or 1.0
    heights, names = [], []
    for i, (name, cell) in enumerate(cells):
        left, right = "[]" if i == here else "  "
        share = cell.by_method["infersent"][0]
        heights.append(f"{left}{_LEVELS[round(share / most * (len(_LEVELS) - 1))] * len(name)}{right}")
        names.append(f" {name} ")
    return [
        Content.assemble(("".join(heights), "$primary"), f" {most:.0%}"),
        Content.styled("".join(names) + " words", "$foreground-muted"),
    ]


class ImportancePane(Widget):
    """The share of the features that each word won in max pooling."""

    answer: reactive[Answer | None] = reactive(None, layout=True)
    """What is shown; None before the first answer."""

    most_words: reactive[int] = reactive(20, layout=True)
    """How many words there is room for."""

    def render(self) -> RenderResult:
        """Draw a bar a word, in the order of the sentence, the two marks last; a sum term by term."""
        title = Content.styled("WORD IMPORTANCE", "bold")
        answer = self.answer
        if answer is None or not (answer.tokens or answer.terms):
            return title
        if not answer.terms:
            bars = importance_lines(answer.tokens, answer.marks_importance, most_words=self.most_words)
            return Content("\n").join([title, *bars])
        lines = [Content.styled("SUM OF", "bold")]
        each = (self.most_words + 1) // len(answer.terms) - 2  # a line names the term, one shows the marks
        for term in answer.terms:
            lines.append(Content.styled(f"{term.weight:+g} × {visible(term.text)}", "bold"))
            if each > 1:
                lines += importance_lines(term.tokens, term.marks_importance, most_words=each)
        return Content("\n").join(lines)


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
    return Content.assemble(f"{fit(name, width)} ", (bar(share / most, _BAR_CELLS), "$primary"), f" {share:4.0%}")
