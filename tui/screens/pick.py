"""PickScreen: a list of lines from which the person picks one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from tui.screens.overlay import Overlay
from tui.widgets.line_list import LineList


class Picked(NamedTuple):
    """What the person picked."""

    line: int
    """Number of the line, from 0."""
    key: str
    """`enter`, or one of the other keys."""


class PickScreen(Overlay[Picked | None]):
    """Lines to pick from. The result is the line and the key, or None.

    Args:
        title: Title of the list.
        count: Number of lines.
        line_at: Returns the text of a line, by its number.
        at: Number of the line with the cursor.
        keys: Other keys than enter that pick a line, with what they do.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "Close"),
        Binding("d", "pick('d')", show=False),
        Binding("e", "pick('e')", show=False),
    ]

    def __init__(
        self,
        title: Content,
        count: int,
        line_at: Callable[[int], Content],
        *,
        at: int = 0,
        keys: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._keys = keys or {}
        self.lines = LineList(id="lines")
        self.lines.show(count, line_at, cursor=at)
        self.lines.border_title = title
        hints = ["⏎ go", *(f"{key} {what}" for key, what in self._keys.items()), "esc close"]
        self.lines.border_subtitle = " · ".join(hints)

    def compose(self) -> ComposeResult:
        """Yield the list."""
        yield self.lines

    def on_mount(self) -> None:
        """Focus the list."""
        self.set_focus(self.lines)

    def action_pick(self, key: str) -> None:
        """Pick the line under the cursor with another key than enter."""
        if key in self._keys and self.lines.cursor is not None:
            self.dismiss(Picked(self.lines.cursor, key))

    @on(LineList.Followed)
    def pick(self, message: LineList.Followed) -> None:
        """Pick the line under the cursor."""
        self.dismiss(Picked(message.line, "enter"))
