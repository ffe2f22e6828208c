"""MapPane: the captions on a plane, with the query, its hits, the bookmarks and the trail among them, and a cursor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click, MouseDown, MouseMove, MouseScrollDown, MouseScrollUp, MouseUp, Resize
from textual.geometry import Offset
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from core.assets import AssetError
from tui.panel import refresh_changed
from tui.text import counted, drawable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from rich.style import Style

    from core.mapping import CorpusMap
    from core.ranking.regions import Regions
    from tui.scatter import Label, Mark, Run, Window

_ZOOM = 1.5  # for one key or one notch of the wheel
_MOST_ZOOM = 1000
_TITLE_CELLS = 200  # of the caption under the cursor


class MapPane(Widget, can_focus=True):
    """A scatter of the captions on a plane. Call `show` with a map and with what is marked on it."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "map--context",
        "map--density-0",
        "map--density-1",
        "map--density-2",
        "map--density-3",
        "map--density-4",
        "map--label",
        "map--trail",
        "map--hit",
        "map--bookmark",
        "map--query",
        "map--cursor",
    }

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "follow", "follow", key_display="⏎"),
        Binding("plus,equals_sign", "zoom(1)", "zoom", key_display="+ −"),
        Binding("minus", "zoom(-1)", show=False),
        Binding("0", "whole", "all"),
        Binding("a", "screen.axes", "axes"),
        Binding("space", "screen.only_region", "region", key_display="space"),
        Binding("escape", "screen.leave_map", "list", key_display="esc"),
        Binding("up,k", "move(0, -1)", show=False),
        Binding("down,j", "move(0, 1)", show=False),
        Binding("left,h", "move(-1, 0)", show=False),
        Binding("right,l", "move(1, 0)", show=False),
        Binding("shift+up,K", "pan(0, -1)", show=False),
        Binding("shift+down,J", "pan(0, 1)", show=False),
        Binding("shift+left,H", "pan(-1, 0)", show=False),
        Binding("shift+right,L", "pan(1, 0)", show=False),
    ]

    @dataclass
    class CursorMoved(Message):
        """The person moved the cursor; `row` is the caption under it."""

        row: int | None

    @dataclass
    class Followed(Message):
        """The person chose the caption under the cursor."""

        row: int

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.texts: Sequence[str] = ()
        self.corpus_map: CorpusMap | None = None
        """None before `show`."""
        self.is_ascii = False
        """Whether it is drawn without braille."""
        self.regions: Regions | None = None
        """Those of the captions, once they are known."""
        self.row: int | None = None
        """The caption under the cursor."""
        self.window: Window | None = None
        """What is shown of the plane; None before there is room for it."""
        self.cursor = (0, 0)
        """Column and line, in cells."""
        self._rows: NDArray[np.integer] | None = None  # (M,), the captions that are shown
        self._points: NDArray[np.float32] | None = None  # (M, 2), theirs
        self._every: NDArray[np.float32] | None = None  # (A, 2), those of all captions where there is a filter
        self._filter_text = ""
        self._places: NDArray[np.float64] | None = None  # (M, 2), in cells of the window
        self._marks: Sequence[Mark] = ()
        self._labels: Sequence[Label] = ()
        self._labels_for: Callable[[int], Sequence[Label]] | None = None
        self._lines: list[list[Run]] = []  # as drawn
        self._whole: Window | None = None  # around all
        self._progress = ""
        self._held: Offset | None = None  # where the mouse is on the screen while its button is held
        self._is_dragged = False

    def show(
        self,
        corpus_map: CorpusMap,
        rows: NDArray[np.integer],
        marks: Sequence[Mark],
        labels_for: Callable[[int], Sequence[Label]] | None = None,
        *,
        among: NDArray[np.integer] | None = None,
        filter_text: str = "",
    ) -> None:
        """Show captions on a plane, all of it if it is another plane, with marks and labels.

        Args:
            corpus_map: The plane.
            rows: The captions by the numbers of their points, (M,).
            marks: What is marked.
            labels_for: Returns the labels for a map of so many lines; None for no labels.
            among: All captions, of which `rows` are those that meet a filter, likewise, (A,); None for no filter.
            filter_text: The filter.
        """
        if self.corpus_map is not corpus_map:
            self.window = None
        self.corpus_map, self._rows, self._marks, self._labels_for = corpus_map, rows, marks, labels_for
        self._points, self._places, self._progress = corpus_map.points[rows], None, ""
        self._every, self._filter_text = None if among is None else corpus_map.points[among], filter_text
        self._fit()

    @property
    def region_number(self) -> int:
        """The number of the region of the caption under the cursor; 0 where it is in none, or that is not known."""
        if self.regions is None or self.row is None or self.corpus_map is None:
            return 0
        number = self.corpus_map.number_of(self.row)
        return 0 if number is None else int(self.regions.of[number])

    def show_progress(self, progress: str) -> None:
        """Show how far a map is; empty at its end."""
        self._progress = progress
        self._title()

    def select(self, row: int | None) -> None:
        """Put the cursor on a caption."""
        if row != self.row:
            self.row = row
            self._go_to_row()
            self.redraw()

    @on(Resize)
    def _fit(self) -> None:
        """Show the same part in another size."""
        from tui.scatter import Window  # numpy is not loaded before the first frame

        columns, lines = self.content_size
        if self._points is None or not columns or not lines:
            return
        self._labels = () if self._labels_for is None else self._labels_for(lines)
        every = self._points if self._every is None else self._every
        self._whole = whole = Window.around(every, columns=columns, lines=lines)
        if self.window is None:
            self._look_at(whole)
        elif (self.window.columns, self.window.lines) != (columns, lines):
            self._look_at(self.window.sized(every, columns=columns, lines=lines))
        self.cursor = min(self.cursor[0], columns - 1), min(self.cursor[1], lines - 1)
        self._go_to_row()
        self.redraw()

    def _look_at(self, window: Window) -> None:
        """Show another part, whose middle lies within the whole."""
        self.window, self._places = window if self._whole is None else window.within(self._whole), None

    def _go_to_row(self) -> None:
        """Put the cursor where its caption is, which is brought into view."""
        if self.window is None or self.corpus_map is None or self.row is None:
            return
        try:
            point = self.corpus_map.places([self.row])[0]
        except AssetError:  # a store that cannot be read now
            return
        if self.window.cell(point) is None:
            self._look_at(self.window.around_point(point))
        self.cursor = self.window.cell(point) or self.cursor

    def action_move(self, columns: int, lines: int) -> None:
        """Move the cursor by cells; at the edge, move the window."""
        if self.window is None:
            return
        column, line = self.cursor[0] + columns, self.cursor[1] + lines
        within = max(0, min(column, self.window.columns - 1)), max(0, min(line, self.window.lines - 1))
        if within != (column, line):
            self._look_at(self.window.moved(column - within[0], line - within[1]))
        self._go_to_cell(*within)

    def action_pan(self, columns: int, lines: int) -> None:
        """Move the window by a quarter of itself."""
        if self.window is not None:
            self._look_at(self.window.moved(columns * self.window.columns / 4, lines * self.window.lines / 4))
            self._go_to_cell(*self.cursor)

    def action_zoom(self, steps: int) -> None:
        """Enlarge what is around the cursor, or the opposite."""
        self._zoom(steps, *self.cursor)

    def _zoom(self, steps: int, column: int, line: int) -> None:
        if self.window is None or self._whole is None:
            return
        unit = self.window.unit / _ZOOM**steps
        unit = max(self._whole.unit / _MOST_ZOOM, min(unit, self._whole.unit))
        at = column + 0.5, line + 0.5
        self._look_at(self.window.zoomed(self.window.unit / unit, column=at[0], line=at[1]))
        self._go_to_row()
        self.redraw()

    def action_whole(self) -> None:
        """Show all captions."""
        self.window = None
        self._fit()

    def action_follow(self) -> None:
        """Choose the caption under the cursor."""
        if self.row is not None:
            self.post_message(self.Followed(self.row))

    @on(MouseScrollUp)
    @on(MouseScrollDown)
    def _zoom_at_mouse(self, event: MouseScrollUp | MouseScrollDown) -> None:
        offset = event.get_content_offset(self)
        if offset is not None:
            event.stop()
            self._zoom(1 if isinstance(event, MouseScrollUp) else -1, *offset)

    def on_mouse_down(self, event: MouseDown) -> None:
        """Begin to drag, or to click."""
        self._held, self._is_dragged = event.screen_offset, False
        self.capture_mouse()

    def on_mouse_move(self, event: MouseMove) -> None:
        """Move the window with the mouse while its button is held."""
        if self._held is None or self.window is None or event.screen_offset == self._held:
            return
        moved = event.screen_offset - self._held
        self._held, self._is_dragged = event.screen_offset, True
        self._look_at(self.window.moved(-moved.x, -moved.y))
        self._go_to_cell(*self.cursor)

    def on_mouse_up(self, event: MouseUp) -> None:
        """End to drag."""
        self._held = None
        self.release_mouse()

    def on_click(self, event: Click) -> None:
        """Move the cursor to the clicked cell; a double click follows its caption. The end of a drag is no click."""
        offset = event.get_content_offset(self)
        if offset is not None and not self._is_dragged:
            self._go_to_cell(*offset)
            if event.chain > 1:
                self.action_follow()

    def _go_to_cell(self, column: int, line: int) -> None:
        self.cursor = column, line
        self.row = self._row_at(column, line)
        self.redraw()
        self.post_message(self.CursorMoved(self.row))

    def _row_at(self, column: int, line: int) -> int | None:
        """Return the caption nearest to the middle of a cell; None if none is near."""
        if self.window is None or self._rows is None or self._points is None:
            return None
        if self._places is None:
            self._places = self.window.cells(self._points)
        nearest = self.window.nearest(self._places, column, line)
        if nearest is None or self.corpus_map is None:
            return None
        return self.corpus_map.row_of(int(self._rows[nearest]))

    def redraw(self) -> None:
        """Paint the lines that have changed."""
        from tui.scatter import draw  # numpy is not loaded before the first frame

        self._title()
        if self.window is not None and self._points is not None:
            before, marks = self._lines, (self._marks, self.cursor, self._labels)
            self._lines = draw(self._points, self.window, *marks, context=self._every, is_ascii=self.is_ascii)
            refresh_changed(self, before, self._lines, width=self.window.columns)

    def _title(self) -> None:
        told = self._progress
        if not told and self.corpus_map is not None and self._rows is not None:
            plane, axes = self.corpus_map.plane, self.corpus_map.axes
            named = "principal plane"
            if axes is not None:
                (left, right), (low, high) = axes.x, axes.y
                named = drawable(f"{left} → {right}, {low} ↑ {high}")
            among = f" with {drawable(self._filter_text, most=_TITLE_CELLS)}" if self._filter_text else ""
            zoom = 1.0 if self.window is None or self._whole is None else self._whole.unit / self.window.unit
            of = "" if self.corpus_map.rows is None else " of a sample"
            shown = f"{counted(len(self._rows), 'caption')}{of}{among}"
            told = f"{named}: {plane.held:.0%} of the variance · {shown} · ×{zoom:.3g}"
        self.border_title = Content.assemble("map", (f" {told}", "not bold $foreground-muted"))
        self.border_subtitle = Content(self._about_row())

    def _about_row(self) -> str:
        """Return the caption under the cursor behind the name of its region."""
        if self.row is None:
            return "no caption here"
        caption = drawable(self.texts[self.row], most=_TITLE_CELLS)
        number = self.region_number
        if self.regions is None or not number:
            return caption
        from tui.map_marks import region_name  # numpy is not loaded before the first frame

        return f"{region_name(self.regions.regions[number - 1])} │ {caption}"

    def render_line(self, y: int) -> Strip:
        """Draw a line of the map."""
        if y >= len(self._lines):
            return Strip.blank(self.content_size.width, self.visual_style.rich_style)
        return Strip([Segment(text, self._style(name)) for text, name in self._lines[y]])

    def _style(self, part: str) -> Style:
        return self.get_component_rich_style(f"map--{part}")
