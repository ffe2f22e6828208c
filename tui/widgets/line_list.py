"""LineList: lines with a cursor, of which one can be picked."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.widgets import OptionList


class LineList(OptionList):
    """Textual's list of options, none of which is wrapped, with the keys of the list of hits."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "app.help", "Help"),
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
        Binding("g", "first", show=False),
        Binding("G", "last", show=False),
    ]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the number of lines; Textual would measure each of them three times while it opens the list."""
        return len(self.options)

    def action_page_up(self) -> None:
        """Move the cursor up by a page; without room for a line, Textual would raise KeyError."""
        if self.scrollable_content_region:
            super().action_page_up()  # type: ignore[no-untyped-call]

    def action_page_down(self) -> None:
        """Move the cursor down by a page; without room for a line, Textual would raise KeyError."""
        if self.scrollable_content_region:
            super().action_page_down()  # type: ignore[no-untyped-call]
