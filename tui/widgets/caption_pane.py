"""CaptionPane: the caption under the cursor in full, and why it is where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.importance import importance_lines
from tui.text import visible

if TYPE_CHECKING:
    from core.answers import Explanation
    from core.ranking.agreement import Agreement

_PAIRS = 4


class CaptionPane(Widget):
    """The caption under the cursor, with the words that it agrees with the query on, and its own word importance."""

    caption: reactive[str] = reactive("", layout=True)
    """Its text."""
    about: reactive[str] = reactive("", layout=True)
    """Which image it describes, in a few lines."""
    explanation: reactive[Explanation | None] = reactive(None, layout=True)
    """Why it is near; None while that is not known."""

    brief: reactive[bool] = reactive(False, layout=True)
    """Whether there is only room for the text and a word about it."""
    most_words: reactive[int] = reactive(5, layout=True)
    """How many of its words there is room for."""

    def render(self) -> RenderResult:
        """Draw the whole text, wrapped, and what explains it."""
        if not self.caption:
            return ""
        agreement = self.explanation.agreement if self.explanation else None
        if self.brief:
            pairs = "".join(f"  {each}" for each in _pairs(agreement))
            about = " · ".join(self.about.splitlines()[:2])
            return Content.assemble(
                visible(self.caption), (pairs, "$primary"), "  ", (visible(about), "$foreground-muted")
            )
        lines = [
            Content.styled("UNDER THE CURSOR", "bold"),
            Content(visible(self.caption)),
            *(Content.styled(visible(line), "$foreground-muted") for line in self.about.splitlines()),
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
    """The strongest pairs of words, `query ~ hit`, with their share of the cosine."""
    pairs = agreement.pairs[:_PAIRS] if agreement else ()
    return [f"{visible(pair.query)} ~ {visible(pair.hit)} {pair.share:.0%}" for pair in pairs]
