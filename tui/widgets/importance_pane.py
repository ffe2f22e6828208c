"""ImportancePane: how much each word contributes to the query's embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.reactive import reactive

from tui.importance import importance_lines
from tui.panel import Panel
from tui.text import drawable

if TYPE_CHECKING:
    from core.query import Query


class ImportancePane(Panel):
    """The share of the features whose maximum, in max pooling, falls on each word of the query."""

    BORDER_TITLE = "importance of its words"
    DRAWS = ("asked", "most_words")

    asked: reactive[Query | None] = reactive(None, repaint=False)
    """The query; None before the first answer."""
    most_words: reactive[int] = reactive(20, repaint=False)
    """The number of bars that fit."""

    def render(self) -> Content:
        """Draw a bar per word, the most important first, then the sentence marks; a sum term by term."""
        query, width = self.asked, self.content_size.width
        if query is None or not (query.tokens or query.terms):
            return Content("")
        if not query.marks_importance and not query.terms:  # with an encoder, the marks have some
            return Content.styled("needs an encoder", "$foreground-muted")
        if not query.terms:
            bars = importance_lines(query.tokens, query.marks_importance, most_words=self.most_words, width=width)
            return Content("\n").join(bars)
        lines = []
        each = (self.most_words + 1) // len(query.terms) - 2  # minus the name of the term and the sentence marks
        for term in query.terms:
            lines.append(Content.styled(f"{term.weight:+g} × {drawable(term.text)}", "bold"))
            if each > 1:
                lines += importance_lines(term.tokens, term.marks_importance, most_words=each, width=width)
        return Content("\n").join(lines)
