"""SearchBox: the line where a query is typed."""

from __future__ import annotations

from textual.events import Paste
from textual.message import Message
from textual.widgets import Input
from textual.widgets.input import Selection

from tui.text import one_line


class SearchBox(Input):
    """A one-line input in which every printable key types; the app decides which keys leave it."""

    class Left(Message):
        """The person is done typing."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, compact=True, select_on_focus=False, placeholder="type a sentence, as in a caption")

    def _on_paste(self, event: Paste) -> None:
        """Insert pasted text, of all its lines."""
        self.insert_text_at_cursor(one_line(event.text))
        event.stop()
        event.prevent_default()

    def show(self, text: str) -> None:
        """Put a text in place; typing replaces it, and of a long one the beginning is seen."""
        self.value = text
        self.select_text()

    def select_text(self) -> None:
        """Select the whole text, with the cursor at its beginning."""
        self.selection = Selection(len(self.value), 0)

    def action_leave(self) -> None:
        """Hand over to the list."""
        self.post_message(self.Left())
