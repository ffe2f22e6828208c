"""The side pane: how far to trust the hits, which words made the embedding, and the caption under the cursor."""

from __future__ import annotations

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
    from core.calibration import Calibration
    from core.explorer import Answer

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
        if verdict.better is not None:
            lines.append(Content.styled(f"tab: {verdict.better} does better here", "$text-accent"))
        if self.calibration is not None and not self.brief:
            content = sum(token.known and token.is_content for token in self.answer.tokens)
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
        """Draw a bar a word, in the order of the sentence, the two marks last."""
        lines = [Content.styled("WORD IMPORTANCE", "bold")]
        if self.answer is None or not self.answer.tokens:
            return lines[0]
        tokens = self.answer.tokens
        if len(tokens) > self.most_words:  # keep the strongest, in the order of the sentence
            ranked = sorted(range(len(tokens)), key=lambda i: -tokens[i].importance)
            tokens = tuple(tokens[i] for i in sorted(ranked[: self.most_words - 1]))
        names = [visible(token.text) for token in tokens]
        width = min(14, max(map(cell_len, [*names, _MARKS])))
        most = max([self.answer.marks_importance, *(token.importance for token in tokens)]) or 1.0
        for name, token in zip(names, tokens, strict=True):
            if token.known:
                lines.append(_share_line(name, width, token.importance, most))
            else:
                state = "…" if token.unfinished else "unknown, dropped"
                lines.append(Content.styled(f"{fit(name, width)} {state}", "$foreground-muted"))
        lines.append(_share_line(_MARKS, width, self.answer.marks_importance, most))
        if left_out := len(self.answer.tokens) - len(tokens):
            lines.append(Content.styled(f"and {left_out} weaker ones", "$foreground-muted"))
        return Content("\n").join(lines)


def _share_line(name: str, width: int, share: float, most: float) -> Content:
    return Content.assemble(f"{fit(name, width)} ", (bar(share / most, _BAR_CELLS), "$primary"), f" {share:4.0%}")


class CaptionPane(Widget):
    """The caption under the cursor, in full."""

    caption: reactive[str] = reactive("", layout=True)
    """Its text."""
    about: reactive[str] = reactive("", layout=True)
    """Which image it describes, in a few lines."""

    brief: reactive[bool] = reactive(False, layout=True)
    """Whether there is only room for the text and a word about it."""

    def render(self) -> RenderResult:
        """Draw the whole text, wrapped."""
        if not self.caption:
            return ""
        if self.brief:
            about = " · ".join(self.about.splitlines()[:2])
            return Content.assemble(visible(self.caption), "  ", (visible(about), "$foreground-muted"))
        return Content("\n").join(
            [
                Content.styled("UNDER THE CURSOR", "bold"),
                Content(visible(self.caption)),
                *(Content.styled(visible(line), "$foreground-muted") for line in self.about.splitlines()),
            ]
        )
