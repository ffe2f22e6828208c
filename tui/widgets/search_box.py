"""SearchBox: the line where a query is typed."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class SearchBox(Input):
    """A one-line input in which every printable key types."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "app.leave_search", "to the list", key_display="⏎"),
        Binding("escape,down", "app.leave_search", "To the list", show=False),
    ]

    class Left(Message):
        """The person is done typing."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, compact=True, select_on_focus=False, placeholder="type a sentence, as in a caption")

    def action_leave(self) -> None:
        """Hand over to the list."""
        self.post_message(self.Left())
