"""NoteScreen: asks for the note of a bookmark."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.text import drawable, visible
from tui.widgets.search_box import SearchBox


class NoteScreen(ModalScreen[str | None]):
    """The caption to be marked, and a line for its note. The result is the note, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "keep", "Keep", priority=True),
        Binding("escape", "dismiss(None)", "Cancel", priority=True),
    ]

    def __init__(self, caption: str, note: str | None) -> None:
        super().__init__()
        self._caption = caption
        self.box = SearchBox(id="note")
        self.box.placeholder = "a note, or nothing"
        self.box.value = visible(note or "")

    def compose(self) -> ComposeResult:
        """Yield the caption and the line."""
        with Vertical(id="note-panel") as panel:
            panel.border_title, panel.border_subtitle = "bookmark", "⏎ keep · esc cancel"
            yield Static(drawable(self._caption), markup=False)
            yield self.box

    def on_mount(self) -> None:
        """Focus the line."""
        self.set_focus(self.box)

    def action_keep(self) -> None:
        """Close the screen with the note."""
        self.dismiss(self.box.value.strip())
