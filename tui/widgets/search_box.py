"""SearchBox: the input line for the query."""

from __future__ import annotations

from textual.geometry import Size
from textual.reactive import Reactive
from textual.widgets import Input
from textual.widgets.input import Selection

from tui.text import LONGEST, one_line, visible


def boxed(text: str) -> str:
    """Return what the box holds of a text: at most 5,000 characters, in which nothing controls the terminal."""
    return visible(text[:LONGEST])[:LONGEST]


class SearchBox(Input):
    """A one-line input in which every printable key types. The screen binds the keys that leave it."""

    virtual_size = Reactive(Size(0, 0))  # Textual's own would lay the whole screen out again at each key

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, compact=True, select_on_focus=False, placeholder="/ or just type a sentence")

    def validate_value(self, value: str) -> str:
        """Hold nothing that controls the terminal, however it came together: Textual draws it as it is."""
        return boxed(value)

    def watch_virtual_size(self) -> None:
        """Show no blank end after a deletion."""
        self.scroll_x = self.validate_scroll_x(self.scroll_x)

    def on_mount(self) -> None:
        """Blink only where animations are wanted."""
        self.cursor_blink = self.app.animation_level != "none"

    def put(self, text: str) -> None:
        """Put a text in place of the selection, or at the cursor, as much of it as there is room for."""
        start, end = sorted(self.selection)
        room = max(0, LONGEST - len(self.value) + end - start)
        is_cut = len(text) > LONGEST
        text = visible(self.value[:start] + text[:LONGEST])[start:]  # what comes before tells what needs a selector
        if is_cut or len(text) > room:
            text = text[:room]
            self.notify(f"a text has at most {LONGEST:,} characters: the rest is left out", severity="warning")
        if self.selection.is_empty:
            self.insert_text_at_cursor(text)
        else:
            self.replace(text, *self.selection)

    def action_paste(self) -> None:
        """Paste what this program copied or cut last, as the terminal's paste does."""
        self.put(one_line(self.app.clipboard))

    def show(self, text: str) -> None:
        """Show a text from its beginning, selected, so that typing replaces it."""
        self.value = text
        self.select_text()

    def select_text(self) -> None:
        """Select the whole text, with the cursor at its beginning."""
        self.selection = Selection(len(self.value), 0)
