"""LineList: lines with a cursor, of which one can be picked. It draws the visible ones: their number costs no time."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

from tui.bindings import LIST_KEYS


class LineList(ScrollView, can_focus=True):
    """Lines with a cursor, none of which is wrapped. Call `show` with the lines."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"line-list--cursor"}

    BINDINGS: ClassVar[list[BindingType]] = [*LIST_KEYS, Binding("question_mark", "app.help", "Help")]

    @dataclass
    class CursorMoved(Message):
        """The cursor is on another line, or the lines are others."""

        line: int

    @dataclass
    class Followed(Message):
        """The person picked a line."""

        line: int

    cursor: reactive[int | None] = reactive(None, repaint=False)
    """The line under the cursor, from 0; None if there is none to pick."""

    def __init__(self, *, id: str, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.count = 0
        """The number of lines."""
        self.line_at: Callable[[int], Content] = lambda line: Content()
        """Function from the number of a line to its text."""
        self._headings: Collection[int] = ()

    def show(
        self, count: int, line_at: Callable[[int], Content], *, headings: Collection[int] = (), cursor: int = 0
    ) -> None:
        """Show lines.

        Args:
            count: Number of lines.
            line_at: Returns the text of a line; called for those that come into view.
            headings: The lines on which the cursor never stands.
            cursor: The line with the cursor.
        """
        self.count, self.line_at, self._headings = count, line_at, headings
        self.virtual_size = Size(0, count)
        self.set_reactive(LineList.cursor, self.validate_cursor(cursor))
        self.refresh(layout=True)
        self._report()

    def validate_cursor(self, cursor: int | None) -> int | None:
        """Keep the cursor within the lines, and off the headings: it goes on in its direction, or else back."""
        if cursor is None or not self.count:
            return None
        wanted = max(0, min(cursor, self.count - 1))
        ways = [range(wanted, self.count), range(wanted, -1, -1)]
        if wanted < (self.cursor or 0):
            ways.reverse()
        return next((line for way in ways for line in way if line not in self._headings), None)

    def watch_cursor(self, before: int | None, now: int | None) -> None:
        """Move the cursor on the screen and report its move."""
        for line in (before, now):
            if line is not None:
                self.refresh_line(line)
        self._report()

    def _report(self) -> None:
        self._scroll_to_cursor()
        if self.cursor is not None:
            self.post_message(self.CursorMoved(self.cursor))

    def action_move(self, lines: int) -> None:
        """Move the cursor by lines."""
        self.cursor = (self.cursor or 0) + lines

    def action_page(self, pages: int) -> None:
        """Move the cursor by screen pages."""
        self.action_move(pages * max(1, self.scrollable_content_region.height - 1))

    def action_go(self, line: int) -> None:
        """Move the cursor to a line; -1 is the last one."""
        self.cursor = line if line >= 0 else self.count - 1

    def action_follow(self) -> None:
        """Pick the line under the cursor."""
        if self.cursor is not None:
            self.post_message(self.Followed(self.cursor))

    def on_click(self, event: Click) -> None:
        """Pick the clicked line."""
        offset = event.get_content_offset(self)
        line = None if offset is None else offset.y + round(self.scroll_offset.y)
        if line is not None and line < self.count and line not in self._headings:
            self.cursor = line
            self.action_follow()

    def render_line(self, y: int) -> Strip:
        """Draw a line, cut to the width."""
        line, width = y + round(self.scroll_offset.y), self.scrollable_content_region.width
        style = self.get_visual_style(*(["line-list--cursor"] if line == self.cursor else []))
        if line >= self.count or not width:
            return Strip.blank(width, style.rich_style)
        return Visual.to_strips(self, self.line_at(line), width, 1, style, pad=True)[0]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the number of lines."""
        return self.count

    @on(Resize)
    def _scroll_to_cursor(self) -> None:
        """Scroll to the cursor, with the headings right above it."""
        if self.cursor is None or not self.scrollable_content_region.height:  # else each line would be scrolled away
            return
        top = self.cursor
        while top - 1 in self._headings:
            top -= 1
        self.scroll_to_region(Region(0, top, 1, self.cursor + 1 - top), animate=False, force=True)
