"""CaptionPane: the caption under the cursor in full, and the explanation of its distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.importance import importance_lines
from tui.text import drawable

if TYPE_CHECKING:
    from core.answers import Explanation
    from core.ranking.agreement import Agreement

_PAIRS = 4


class CaptionPane(Widget):
    """The caption under the cursor, the word pairs that explain its distance, and its word importance."""

    caption: reactive[str] = reactive("", layout=True)
    about: reactive[str] = reactive("", layout=True)
    """Its id and image, in a few lines."""
    explanation: reactive[Explanation | None] = reactive(None, layout=True)
    """None until it is computed."""
    brief: reactive[bool] = reactive(False, layout=True)
    """Whether there is only room for the text and the most important details."""
    most_words: reactive[int] = reactive(5, layout=True)
    """The number of bars that fit."""

    def render(self) -> RenderResult:
        """Draw the text and its explanation."""
        if not self.caption:
            return ""
        agreement = self.explanation.agreement if self.explanation else None
        if self.brief:
            pairs = "".join(f"  {each}" for each in _pairs(agreement))
            about = " · ".join(self.about.splitlines()[:2])
            return Content.assemble(
                drawable(self.caption), (pairs, "$primary"), "  ", (drawable(about), "$foreground-muted")
            )
        lines = [
            Content.styled("UNDER THE CURSOR", "bold"),
            Content(drawable(self.caption)),
            *(Content.styled(drawable(line), "$foreground-muted") for line in self.about.splitlines()),
        ]
        if agreement:
            lines.append(Content.styled("FEATURES IN COMMON, BY WORD", "bold"))
            lines += [Content(each) for each in _pairs(agreement)]
            lines.append(Content.styled(f"sentence marks {agreement.marks:.0%}", "$foreground-muted"))
        if self.explanation:
            lines.append(Content.styled("ITS WORD IMPORTANCE", "bold"))
            lines += importance_lines(
                self.explanation.tokens, self.explanation.marks_importance, most_words=self.most_words
            )
        return Content("\n").join(lines)


def _pairs(agreement: Agreement | None) -> list[str]:
    """Describe the strongest pairs of words as `query ~ hit` with their share of the cosine."""
    pairs = agreement.pairs[:_PAIRS] if agreement else ()
    return [f"{drawable(pair.query)} ~ {drawable(pair.hit)} {pair.share:.0%}" for pair in pairs]
