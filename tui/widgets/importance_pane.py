"""ImportancePane: which words made the query's embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.importance import importance_lines
from tui.text import visible

if TYPE_CHECKING:
    from core.query import Query


class ImportancePane(Widget):
    """The share of the features that each word won in max pooling."""

    asked: reactive[Query | None] = reactive(None, layout=True)
    """What is shown; None before the first answer."""

    most_words: reactive[int] = reactive(20, layout=True)
    """How many words there is room for."""

    def render(self) -> RenderResult:
        """Draw a bar a word, in the order of the sentence, the two marks last; a sum term by term."""
        title = Content.styled("WORD IMPORTANCE", "bold")
        query = self.asked
        if query is None or not (query.tokens or query.terms):
            return title
        if not query.terms:
            bars = importance_lines(query.tokens, query.marks_importance, most_words=self.most_words)
            return Content("\n").join([title, *bars])
        lines = [Content.styled("SUM OF", "bold")]
        each = (self.most_words + 1) // len(query.terms) - 2  # a line names the term, one shows the marks
        for term in query.terms:
            lines.append(Content.styled(f"{term.weight:+g} × {visible(term.text)}", "bold"))
            if each > 1:
                lines += importance_lines(term.tokens, term.marks_importance, most_words=each)
        return Content("\n").join(lines)
