"""HitList: the ranking of all captions, drawn line by line from arrays, so that its length costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click, Paste, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.cells import fit
from tui.visible import visible

if TYPE_CHECKING:
    from core.search import Ranking

_BAR_CELLS = 8
_EIGHTHS = " ▏▎▍▌▋▊▉"


class HitList(ScrollView, can_focus=True):
    """A ranked list of captions with a cursor.

    Set `ranking` to show hits and `texts` once for what their rows mean; `cursor` is a place in the ranking from 0.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "hit-list--cursor",
        "hit-list--rank",
        "hit-list--bar",
        "hit-list--query",
    }

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("pagedown,ctrl+f,space", "page(1)", "Page down", show=False),
        Binding("home,g", "go(0)", "First", show=False),
        Binding("end,G", "go(-1)", "Last", show=False),
        Binding("enter", "follow", "follow", key_display="⏎"),
    ]

    class CursorMoved(Message):
        """The cursor rests on another hit."""

        def __init__(self, row: int | None) -> None:
            super().__init__()
            self.row = row
            """The caption under the cursor, None when the list is empty."""

    class Followed(Message):
        """The person chose a hit."""

        def __init__(self, row: int) -> None:
            super().__init__()
            self.row = row
            """The caption chosen."""

    class Pasted(Message):
        """A text was pasted here."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    ranking: reactive[Ranking | None] = reactive(None)
    """The hits, nearest first."""
    cursor: reactive[int] = reactive(0)
    """The place under the cursor."""
    query_row: reactive[int | None] = reactive(None)
    """The caption that the query is: its line is marked."""
    scale: reactive[float] = reactive(1.0)
    """The distance that a full bar stands for."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.texts: Sequence[str] = ()

    def __len__(self) -> int:
        return 0 if self.ranking is None else len(self.ranking)

    @property
    def row(self) -> int | None:
        """The caption under the cursor."""
        if self.ranking is None or not 0 <= self.cursor < len(self.ranking):
            return None
        return int(self.ranking.rows[self.cursor])

    def watch_ranking(self) -> None:
        """Show the new hits."""
        self._measure()
        self.cursor = self.validate_cursor(self.cursor)
        self.post_message(self.CursorMoved(self.row))
        self.refresh()

    def validate_cursor(self, cursor: int) -> int:
        """Keep the cursor in the list."""
        return max(0, min(cursor, len(self) - 1))

    def watch_cursor(self) -> None:
        """Keep the cursor in sight."""
        self._scroll_to_cursor()
        self.refresh()
        self.post_message(self.CursorMoved(self.row))

    def go(self, place: int) -> None:
        """Put the cursor on a place and bring it into sight, even when it was there before."""
        self.cursor = place
        self._scroll_to_cursor()

    def on_resize(self, event: Resize) -> None:
        """Lines are as wide as the window."""
        self._measure()

    def on_click(self, event: Click) -> None:
        """Move the cursor to the clicked line; a second click follows it."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        place = offset.y + round(self.scroll_offset.y)
        if place < len(self):
            if place == self.cursor and event.chain > 1:
                self.action_follow()
            self.cursor = place

    def on_paste(self, event: Paste) -> None:
        """Hand a pasted text on."""
        event.stop()
        self.post_message(self.Pasted(event.text))

    def action_move(self, lines: int) -> None:
        """Move the cursor by lines."""
        self.cursor += lines

    def action_page(self, pages: int) -> None:
        """Move the cursor by windows."""
        self.cursor += pages * max(1, self.size.height - 1)

    def action_go(self, place: int) -> None:
        """Move the cursor to a place; -1 is the last one."""
        self.go(place if place >= 0 else len(self) - 1)

    def action_follow(self) -> None:
        """Choose the hit under the cursor, unless it is the query itself."""
        if self.row is not None and self.row != self.query_row:
            self.post_message(self.Followed(self.row))

    def render_line(self, y: int) -> Strip:
        """Draw one line: rank, distance as number and bar, caption."""
        width = self.scrollable_content_region.width
        place = y + round(self.scroll_offset.y)
        plain = self.visual_style.rich_style
        if self.ranking is None or place >= len(self.ranking):
            return Strip.blank(width, plain)
        row, distance = int(self.ranking.rows[place]), float(self.ranking.distances[place])
        here = place == self.cursor
        base = plain + self._style("hit-list--cursor") if here else plain
        text = visible(self.texts[row])
        if row == self.query_row:
            base += self._style("hit-list--query")
        digits = max(4, len(str(len(self.ranking))) + 1)
        return Strip(
            [
                Segment("›" if here else " ", base),
                Segment(f"{place + 1:>{digits}} ", base if here else base + self._style("hit-list--rank")),
                Segment(f"{distance:.4f} ", base),
                Segment(bar(distance / self.scale), base if here else base + self._style("hit-list--bar")),
                Segment(f" {fit(text, max(1, width - digits - 2 - 7 - _BAR_CELLS - 1))}", base),
            ]
        ).adjust_cell_length(width, base)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(name, partial=True)

    def _scroll_to_cursor(self) -> None:
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True)

    def _measure(self) -> None:
        self.virtual_size = Size(0, len(self))


def bar(share: float, cells: int = _BAR_CELLS) -> str:
    """Draw a share, 0..1, as a bar of eighths of a cell; more than 1 is full."""
    eighths = round(max(0.0, min(1.0, share)) * cells * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[part] if part else "")).ljust(cells)
