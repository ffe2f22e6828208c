"""HitList: the ranking of all captions. Each line is drawn from arrays, so that the length costs no time."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import on
from textual.binding import BindingType
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.keys import LIST_KEYS
from tui.text import bar, drawable, fit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.ranking.folds import Fold, Folding
    from core.ranking.ranking import Ranking

_BAR_CELLS = 8
_WIDE_CELLS = 78  # from this width on, the column `closer` fits


class HitList(ScrollView, can_focus=True):
    """A ranked list of captions with a cursor.

    Set `texts`, `copies` and `sibling_counts` once per corpus, then call `show` for each ranking. A line shows one
    place of the ranking and represents the places that are folded into it. `cursor` is a line, from 0.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"hit-list--cursor", "hit-list--rank", "hit-list--bar", "hit-list--query"}

    BINDINGS: ClassVar[list[BindingType]] = LIST_KEYS

    @dataclass
    class CursorMoved(Message):
        """The cursor is on another hit; `row` is None when the list is empty."""

        row: int | None

    @dataclass
    class Followed(Message):
        """The person chose a hit."""

        row: int

    ranking: reactive[Ranking | None] = reactive(None)
    by_image: reactive[bool] = reactive(False)
    """Whether each image is shown once; without effect if the captions have no images."""
    cursor: reactive[int] = reactive(0)
    query_row: reactive[int | None] = reactive(None)
    """The caption that is the query, drawn in italics; None for typed text."""
    scale: reactive[float] = reactive(1.0)
    """The distance of a full bar. For scores, the best score is a full bar."""
    closer_than: reactive[Callable[[float], float] | None] = reactive(None)
    """Function from a distance to the share of random captions that are farther; None when unknown."""
    notice: reactive[str] = reactive("")
    """The text shown when there are no hits."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.texts: Sequence[str] = ()
        self.copies: Sequence[int] | NDArray[np.int64] = ()
        """The number of captions with the text of each row."""
        self.sibling_counts: Sequence[int] | NDArray[np.int64] | None = None
        """The number of other captions of each row's image; None if the captions have no images."""
        self._folding: Folding | None = None

    def __len__(self) -> int:
        return 0 if self._fold is None else len(self._fold.places)

    @property
    def row(self) -> int | None:
        """The caption under the cursor."""
        return None if self.ranking is None or self.place is None else int(self.ranking.rows[self.place])

    @property
    def place(self) -> int | None:
        """The place in the ranking under the cursor, from 0; None when the list is empty."""
        if self._fold is None or not 0 <= self.cursor < len(self):
            return None
        return int(self._fold.places[self.cursor])

    @property
    def _fold(self) -> Fold | None:
        if self._folding is None:
            return None
        return self._folding.images if self.by_image and self._folding.images else self._folding.texts

    def show(self, ranking: Ranking, folding: Folding) -> None:
        """Show a ranking with its folding."""
        self._folding = folding
        self.ranking = ranking

    def watch_ranking(self) -> None:
        """Draw the new ranking and keep the cursor within it."""
        self._measure()
        self.cursor = self.validate_cursor(self.cursor)
        self.post_message(self.CursorMoved(self.row))
        self.refresh()

    def fold(self, by_image: bool) -> None:
        """Fold or unfold images. The cursor stays on its caption, or goes to the line that represents it."""
        place = self.place
        self.by_image = by_image
        self._measure()
        if place is not None:
            self.go_to(place)
        self.post_message(self.CursorMoved(self.row))

    def validate_cursor(self, cursor: int) -> int:
        """Keep the cursor within the list."""
        return max(0, min(cursor, len(self) - 1))

    def watch_cursor(self) -> None:
        """Scroll to the cursor and report its move."""
        self._scroll_to_cursor()
        self.refresh()
        self.post_message(self.CursorMoved(self.row))

    def go(self, line: int) -> None:
        """Move the cursor to a line and scroll to it, even if the cursor is there already."""
        self.cursor = line
        self._scroll_to_cursor()

    def go_to(self, place: int) -> None:
        """Move the cursor to the line that shows or represents a place of the ranking."""
        if self._fold is not None and len(self):
            self.go(int(self._fold.line_of[min(place, len(self._fold.line_of) - 1)]))

    def on_click(self, event: Click) -> None:
        """Move the cursor to the clicked line; a double click follows the hit."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        clicked = offset.y + round(self.scroll_offset.y)
        if clicked < len(self):
            if clicked == self.cursor and event.chain > 1:
                self.action_follow()
            self.cursor = clicked

    def action_move(self, lines: int) -> None:
        """Move the cursor by lines."""
        self.cursor += lines

    def action_page(self, pages: int) -> None:
        """Move the cursor by screen pages."""
        self.cursor += pages * max(1, self.size.height - 1)

    def action_go(self, line: int) -> None:
        """Move the cursor to a line; -1 is the last one."""
        self.go(line if line >= 0 else len(self) - 1)

    def action_follow(self) -> None:
        """Choose the hit under the cursor, unless it is the query itself."""
        if self.row is not None and self.row != self.query_row:
            self.post_message(self.Followed(self.row))

    def render_line(self, y: int) -> Strip:
        """Draw one line: rank, distance or score as number and bar, caption, and the number of folded captions."""
        width = self.scrollable_content_region.width
        at = y + round(self.scroll_offset.y)
        plain = self.visual_style.rich_style
        if self.ranking is None or self._fold is None or at >= len(self):
            notice = textwrap.wrap(self.notice, max(20, width - 8)) if not len(self) else []
            text = fit(f"    {notice[y]}", width) if y < len(notice) else ""
            return Strip([Segment(text, plain)]).adjust_cell_length(width, plain)
        place = int(self._fold.places[at])
        row = int(self.ranking.rows[place])
        if self.ranking.scores is None:
            value, share = float(self.ranking.distances[place]), float(self.ranking.distances[place]) / self.scale
        else:
            value = float(self.ranking.scores[place])
            share = value / (float(self.ranking.scores[0]) or 1.0)
        here = at == self.cursor
        base = plain + self._style("hit-list--cursor") if here else plain
        muted = base if here else base + self._style("hit-list--rank")
        text, others = drawable(self.texts[row]), self._others(row)
        if row == self.query_row:
            base += self._style("hit-list--query")
        digits = max(4, len(str(len(self.ranking))) + 1)
        closer = self._closer(value)
        return Strip(
            [
                Segment("›" if here else " ", base),
                Segment(f"{place + 1:>{digits}} ", muted),
                Segment(f"{value:.4f}"[:6] + " ", base),
                Segment(bar(share, _BAR_CELLS), base if here else base + self._style("hit-list--bar")),
                Segment(closer, muted),
                Segment(f" {fit(text, max(1, width - digits - 10 - _BAR_CELLS - len(closer) - len(others)))}", base),
                Segment(others, muted),
            ]
        ).adjust_cell_length(width, base)

    @property
    def shows_closer(self) -> bool:
        """Whether the list has the column for the share of random captions that are farther."""
        scored = self.ranking is not None and self.ranking.scores is not None
        return self.closer_than is not None and not scored and self.size.width >= _WIDE_CELLS

    def _closer(self, distance: float) -> str:
        if self.closer_than is None or not self.shows_closer:
            return ""
        return f"{int(10_000 * self.closer_than(distance)) / 100:6.2f}%"  # rounded down: 100 % means all

    def _others(self, row: int) -> str:
        """Describe the captions folded into a line: ` ×4` have the same text, ` +3` more have the same image."""
        copies = f" ×{self.copies[row]}" if self.copies[row] > 1 else ""
        folded = self.by_image and self.sibling_counts is not None and self.sibling_counts[row] > 0
        return f"{copies} +{self.sibling_counts[row]}" if folded and self.sibling_counts is not None else copies

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(name, partial=True)

    def _scroll_to_cursor(self) -> None:
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True)

    @on(Resize)
    def _measure(self) -> None:
        self.virtual_size = Size(0, len(self))
