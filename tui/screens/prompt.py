"""PromptScreen: asks for one line, such as the note of a bookmark or the name of a file."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from tui.screens.overlay import Overlay
from tui.text import drawable, drawable_lines
from tui.widgets.search_box import SearchBox


class PromptScreen(Overlay[str | None]):
    """A text and a line to fill in. The result is the line, or None.

    Args:
        title: What is asked for.
        text: Said above the line.
        value: What the line begins with.
        hint: Shown in the line while it is empty.
        is_proposal: Whether typing replaces `value`.
        problem: What was wrong with the answer before.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "accept", "Accept", priority=True),
        Binding("escape", "dismiss(None)", "Cancel", priority=True),
    ]

    def __init__(
        self, title: str, text: str, *, value: str = "", hint: str = "", is_proposal: bool = False, problem: str = ""
    ) -> None:
        super().__init__()
        self._title, self._text, self._is_proposal = title, text, is_proposal
        self.problem = problem
        self.box = SearchBox(id="prompt-line")
        self.box.placeholder, self.box.value = hint, value

    def compose(self) -> ComposeResult:
        """Yield the text and the line."""
        with Vertical(id="prompt-panel") as panel:
            panel.border_title, panel.border_subtitle = self._title, "⏎ accept · esc cancel"
            yield Static(drawable(self._text), id="prompt-text", markup=False)
            if self.problem:
                yield Static(drawable_lines(self.problem), id="prompt-problem", markup=False)
            yield self.box

    def on_mount(self) -> None:
        """Focus the line."""
        self.set_focus(self.box)
        self.box.cursor_position = len(self.box.value)
        if self._is_proposal:
            self.box.select_text()

    def action_accept(self) -> None:
        """Close the screen with the line."""
        self.dismiss(self.box.value.strip())
