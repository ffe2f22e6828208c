"""SearchBox: the input line for the query."""

from __future__ import annotations

from textual.events import Paste
from textual.message import Message
from textual.widgets import Input
from textual.widgets.input import Selection

from tui.text import one_line


class SearchBox(Input):
    """A one-line input in which every printable key types. The screen binds the keys that leave it."""

    class Left(Message):
        """The person has finished typing."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, compact=True, select_on_focus=False, placeholder="type a sentence, as in a caption")

    def _on_paste(self, event: Paste) -> None:
        """Insert all lines of the pasted text as one line."""
        self.insert_text_at_cursor(one_line(event.text))
        event.stop()
        event.prevent_default()

    def show(self, text: str) -> None:
        """Show a text from its beginning, selected, so that typing replaces it."""
        self.value = text
        self.select_text()

    def select_text(self) -> None:
        """Select the whole text, with the cursor at its beginning."""
        self.selection = Selection(len(self.value), 0)

    def action_leave(self) -> None:
        """Report that typing has finished."""
        self.post_message(self.Left())
