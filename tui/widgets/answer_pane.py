"""The side pane: how far to trust the hits, which words made the embedding, and the caption under the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.visible import visible
from tui.widgets.hit_list import bar

if TYPE_CHECKING:
    from core.explorer import Answer

_SIGNS = {"reliable": ("✔", "$text-success"), "doubtful": ("?", "$text-warning"), "unreliable": ("✘", "$text-error")}
_BAR_CELLS = 10


class VerdictPane(Widget):
    """The verdict with its reasons."""

    answer: reactive[Answer | None] = reactive(None, layout=True)
    """What is shown; None before the first answer."""

    def render(self) -> RenderResult:
        """Draw sign, level and reasons."""
        verdict = self.answer.verdict if self.answer else None
        if verdict is None:
            return Content.styled("How far a query can be trusted is told here.", "$text-muted")
        sign, colour = _SIGNS[verdict.level]
        lines = [Content.styled(f"{sign} {verdict.level.upper()}", f"bold {colour}")]
        lines += [Content(f"· {visible(reason)}") for reason in verdict.reasons]
        lines.append(Content.styled(f"({verdict.basis})", "$text-muted"))
        return Content("\n").join(lines)


class ImportancePane(Widget):
    """The share of the features that each word won in max pooling."""

    answer: reactive[Answer | None] = reactive(None, layout=True)
    """What is shown; None before the first answer."""

    def render(self) -> RenderResult:
        """Draw a bar a word, in the order of the sentence, the two marks last."""
        lines = [Content.styled("WORD IMPORTANCE", "bold")]
        if self.answer is None or not self.answer.tokens:
            return lines[0]
        words = [(visible(token.text), token.importance, token.known) for token in self.answer.tokens]
        words.append(("sentence marks", self.answer.marks_importance, True))
        width = min(14, max(len(word) for word, _, _ in words))
        most = max(share for _, share, _ in words) or 1.0
        for word, share, known in words:
            name = word if len(word) <= width else word[: width - 1] + "…"
            if known:
                lines.append(
                    Content.assemble(
                        f"{name:<{width}} ",
                        (bar(share / most, _BAR_CELLS), "$primary"),
                        f" {share:4.0%}",
                    )
                )
            else:
                lines.append(Content.styled(f"{name:<{width}} unknown, dropped", "$text-muted"))
        return Content("\n").join(lines)


class CaptionPane(Widget):
    """The caption under the cursor, in full."""

    caption: reactive[str] = reactive("", layout=True)
    """Its text."""
    about: reactive[str] = reactive("", layout=True)
    """Which image it describes."""

    def render(self) -> RenderResult:
        """Draw the whole text, wrapped."""
        return Content("\n").join(
            [
                Content.styled("UNDER THE CURSOR", "bold"),
                Content(visible(self.caption)),
                Content.styled(visible(self.about), "$text-muted"),
            ]
        )
