"""Panel: a widget of text that paints only the lines that change, so that a slow connection has less to carry."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import ClassVar, Final

from textual import on
from textual.content import Content, Span
from textual.events import Resize
from textual.geometry import Region, Size
from textual.reactive import Reactive
from textual.timer import Timer
from textual.widget import Widget

SHRINK_AFTER: Final = 0.5
"""Seconds without a change after which a panel gives up lines it no longer fills."""


def refresh_changed(widget: Widget, before: Sequence[object], now: Sequence[object], *, width: int) -> None:
    """Paint the lines of a widget that are not as before; each line is any value that says what is drawn there."""
    for y, (old, new) in enumerate(zip_longest(before, now)):
        if old != new:
            widget.refresh(Region(0, y, width, 1))


class Panel(Widget):
    """Draws the text of `render`, which reads the reactives that `DRAWS` names. They repaint nothing by themselves.

    It grows at once and shrinks on a pause: each new height lays the whole screen out again, and while someone types,
    the lines come and go with every key.
    """

    DRAWS: ClassVar[tuple[str, ...]] = ()
    virtual_size = Reactive(Size(0, 0))  # Textual's own would lay the screen out a second time after each layout

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._drawn: list[tuple[str, Sequence[Span]]] = []  # by line
        self._drawn_size = Size(0, 0)  # of the content, for which those lines were wrapped
        self.is_stale = False
        """Whether a change waits to be drawn."""
        self.shrinking: Timer | None = None
        """Runs while the panel holds lines that it no longer fills."""

    def on_mount(self) -> None:
        """Draw again at each change."""
        for name in self.DRAWS:
            self.watch(self, name, self._redraw_soon, init=False)

    def render(self) -> Content:
        """Return the text."""
        raise NotImplementedError

    def _redraw_soon(self) -> None:
        """Redraw once for all reactives that change together."""
        if not self.is_stale:
            self.is_stale = True
            self.call_later(self._redraw)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the lines to lay out: those of the text, and until it shrinks those it had."""
        lines = super().get_content_height(container, viewport, width)
        return max(lines, self.content_size.height) if self.shrinking else lines

    def _redraw(self) -> None:
        """Paint the lines that have changed, and see to the height."""
        self.is_stale = False
        before, size_before = self._drawn, self._drawn_size
        self._note_drawn()
        self._end_shrinking()
        if self._fits_text:
            blank = self.content_size.height - len(self._drawn)
            if blank < 0:
                self.refresh(layout=True)
                return
            if blank > 0:
                self.shrinking = self.set_timer(SHRINK_AFTER, self._shrink)
        if self._drawn_size == size_before:
            refresh_changed(self, before, self._drawn, width=self.content_size.width)
        else:  # what was painted for the new size is not known
            self.refresh()

    @property
    def _fits_text(self) -> bool:
        """Whether the panel is displayed and as high as its text; a hidden one is measured once it is shown."""
        return self.display and self.styles.height is not None and self.styles.height.is_auto

    def _shrink(self) -> None:
        if not self.is_stale:  # else the change that waits decides
            self._end_shrinking()
            self.refresh(layout=True)

    def _end_shrinking(self) -> None:
        if self.shrinking is not None:
            self.shrinking.stop()
            self.shrinking = None

    @on(Resize)
    def _note_resized(self) -> None:
        """Note the lines as they were painted for the new size. If a change waits, `_redraw` notes them.

        Textual measures a panel while `content_size` still has the old width, so its height may fit the text of that
        width.
        """
        if self.is_stale:
            return
        self._note_drawn()
        if self._fits_text and len(self._drawn) != self.content_size.height:
            self._redraw_soon()

    def _note_drawn(self) -> None:
        content = self.render()
        is_wrapped = self.styles.text_wrap == "wrap"
        lines = content.wrap(max(1, self.content_size.width)) if is_wrapped else content.split()
        self._drawn, self._drawn_size = [(line.plain, line.spans) for line in lines], self.content_size
