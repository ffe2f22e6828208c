"""CaptionPane: the caption under the cursor in full, and the explanation of its distance."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive
from textual.style import Style

from tui.importance import importance_lines
from tui.panel import Panel
from tui.text import drawable, fit

if TYPE_CHECKING:
    from core.answers import Explanation
    from core.ranking.agreement import Agreement

_PAIRS = 4
_ADDRESS = re.compile(r"https?://[!-~]{1,2000}")  # nothing else of a file goes into a link


class CaptionPane(Panel):
    """The caption under the cursor, the word pairs that explain its distance, and its word importance."""

    BORDER_TITLE = "under the cursor"
    DRAWS = ("caption", "nearness", "about", "explanation", "brief", "most_words")

    caption: reactive[str] = reactive("", repaint=False)
    nearness: reactive[str] = reactive("", repaint=False)
    """How near it is to the query."""
    about: reactive[str] = reactive("", repaint=False)
    """Its id and image, in a few lines."""
    explanation: reactive[Explanation | None] = reactive(None, repaint=False)
    """None until it is computed."""
    brief: reactive[bool] = reactive(False, repaint=False)
    """Whether there is only room for the text and the most important details."""
    most_words: reactive[int] = reactive(5, repaint=False)
    """The number of bars that fit."""

    def render(self) -> Content:
        """Draw the text and its explanation."""
        if not self.caption:
            return Content("")
        caption = drawable(self.caption)
        agreement = self.explanation.agreement if self.explanation else None
        if self.brief:
            pairs = "  ".join(" ".join(each) for each in _pairs(agreement))
            falls_on = self.explanation.falls_on if self.explanation else None
            falls = f"falls on {falls_on or 'start or end'}" if falls_on is not None else ""
            about = " · ".join(filter(None, [self.nearness, falls, pairs, *self.about.splitlines()[:2]]))
            return Content.assemble(caption, "  ", (drawable(about), "$foreground-muted"))
        lines = [
            Content(caption),
            Content.styled(self.nearness, "$foreground-muted"),
            *map(_detail, self.about.splitlines()),
        ]
        if agreement:
            lines += [Content(""), Content.styled("features in common, by word", "bold")]
            cells = max(cell_len(words) for words, _ in _pairs(agreement))
            lines += [Content(f"{fit(words, cells)} {share:>4}") for words, share in _pairs(agreement)]
            lines.append(Content.styled(f"start and end marks {agreement.marks:.0%}", "$foreground-muted"))
        if self.explanation and self.explanation.falls_on is not None:
            falls_on = drawable(self.explanation.falls_on) or "the start or the end"
            lines += [Content(""), Content.assemble("the feature falls on ", (falls_on, "bold $text-accent"))]
        if self.explanation and self.most_words > 0:
            lines += [Content(""), Content.styled("importance of its words", "bold")]
            lines += importance_lines(
                self.explanation.tokens,
                self.explanation.marks_importance,
                most_words=self.most_words,
                width=self.content_size.width,
            )
        return Content("\n").join(lines)


def _detail(line: str) -> Content:
    """Draw a line about the caption; a web address is also a link, in terminals that follow links."""
    content = Content.styled(drawable(line), "$foreground-muted")
    return content.stylize(Style(link=line)) if _ADDRESS.fullmatch(line) else content


def _pairs(agreement: Agreement | None) -> list[tuple[str, str]]:
    """Describe the strongest pairs of words as `query ~ hit`, each with its share of the cosine."""
    pairs = agreement.pairs[:_PAIRS] if agreement else ()
    return [(f"{drawable(pair.query)} ~ {drawable(pair.hit)}", f"{pair.share:.0%}") for pair in pairs]
