"""HitList: the ranking of all captions. Each line is drawn from arrays, so that the length costs no time."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.bindings import LIST_KEYS
from tui.hit_line import BAR_CELLS, POINTER, HitLine, Styles, draw_hit
from tui.panel import refresh_changed
from tui.text import bar, drawable, fit, short_number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.style import Style

    from core.ranking.folds import Fold, Folding
    from core.ranking.ranking import Ranking


class HitList(ScrollView, can_focus=True):
    """A ranked list of captions with a cursor.

    Set `texts`, `copies` and `sibling_counts` once per corpus, then call `show` for each ranking. A hit stands for one
    place of the ranking and for the places that are folded into it. `cursor` counts the hits from 0. On the screen, one
    more line follows the hits within `relevant_within`.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "hit-list--cursor",
        "hit-list--muted",
        "hit-list--bar",
        "hit-list--pointer",
        "hit-list--shared",
    }

    BINDINGS: ClassVar[list[BindingType]] = [
        *LIST_KEYS,
        Binding("escape", "app.clear_notices", "Take the notices away", show=False),
    ]

    @dataclass
    class CursorMoved(Message):
        """The cursor is on another hit; `row` is None when the list is empty."""

        row: int | None

    @dataclass
    class Followed(Message):
        """The person chose a hit."""

        row: int

    # A change repaints nothing by itself: `redraw` paints the lines that have changed.
    ranking: reactive[Ranking | None] = reactive(None, repaint=False)
    by_image: reactive[bool] = reactive(False, repaint=False)
    """Whether each image is shown once; without effect if the captions have no images."""
    cursor: reactive[int] = reactive(0, repaint=False)
    query_row: reactive[int | None] = reactive(None, repaint=False)
    """The caption that is the query; None for typed text."""
    visited: reactive[Collection[int]] = reactive(frozenset(), repaint=False)
    """The captions that were queries before."""
    bookmarked: reactive[Collection[int]] = reactive(frozenset(), repaint=False)
    """The captions that the person marked."""
    relevant_within: reactive[float | None] = reactive(None, repaint=False)
    """Distance within which 1 of 100 random captions is; None when unknown."""
    title: reactive[Content] = reactive(Content(""), repaint=False)
    notice: reactive[str] = reactive("", repaint=False)
    """The text shown when there are no hits."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.texts: Sequence[str] = ()
        self.copies: Sequence[int] | NDArray[np.int64] | None = None
        """The number of captions with the text of each row; None if nobody counted."""
        self.sibling_counts: Sequence[int] | NDArray[np.int64] | None = None
        """The number of other captions of each row's image; None if there are no images, or nobody counted."""
        self.is_part = False
        """Whether the ranking is of a part of the captions, among which copies and siblings are not counted."""
        self.shared_words: Callable[[str], Collection[str]] = lambda text: ()
        """Function from a caption to those of its words that the query has."""
        self._folding: Folding | None = None
        self._is_whole = True
        self._drawn: list[HitLine | str] = []  # the lines on the screen
        self._relevant: int | None = None  # number of hits above the line that ends the relevant ones; None for no line

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
    def value(self) -> float | None:
        """The distance, or the score, of the hit under the cursor."""
        return None if self.place is None else self._value(self.place)

    @property
    def _fold(self) -> Fold | None:
        if self._folding is None:
            return None
        return self._folding.images if self.by_image and self._folding.images else self._folding.texts

    @property
    def can_fold(self) -> bool:
        """Whether the captions of an image can be one line."""
        return self._folding is not None and self._folding.images is not None

    def show(self, ranking: Ranking, folding: Folding, *, is_whole: bool = True) -> None:
        """Take a ranking with its folding, which `redraw` shows.

        If only its leading hits are there yet, and not the whole ranking, the scroll bar stays as it is until then.
        """
        self._folding, self._is_whole = folding, is_whole
        self.ranking = ranking

    def watch_ranking(self) -> None:
        """Keep the cursor within the new ranking."""
        self._measure()
        self.cursor = self.validate_cursor(self.cursor)
        self.post_message(self.CursorMoved(self.row))

    def watch_relevant_within(self) -> None:
        """Put the line that ends the relevant hits elsewhere."""
        self._measure()

    def watch_title(self) -> None:
        """Title the frame, which repaints it whole."""
        self.border_title = self.title

    def watch_bookmarked(self) -> None:
        """Draw the marks."""
        self.redraw()

    def fold(self, by_image: bool) -> None:
        """Fold or unfold images. The cursor stays on its caption, or goes to the hit that represents it."""
        place, self.by_image = self.place, by_image
        self._measure()
        if place is not None:
            self.go_to(place)
        self.post_message(self.CursorMoved(self.row))
        self.redraw()

    def validate_cursor(self, cursor: int) -> int:
        """Keep the cursor within the list."""
        return max(0, min(cursor, len(self) - 1))

    def watch_cursor(self) -> None:
        """Scroll to the cursor and report its move."""
        self._scroll_to_cursor()
        self.redraw()
        self.post_message(self.CursorMoved(self.row))

    def go(self, hit: int) -> None:
        """Move the cursor to a hit and scroll to it, even if the cursor is there already."""
        self.cursor = hit
        self._scroll_to_cursor()

    def go_to(self, place: int) -> None:
        """Move the cursor to the hit that shows or represents a place of the ranking."""
        if self._fold is not None and len(self):
            self.go(int(self._fold.line_of[min(place, len(self._fold.line_of) - 1)]))

    def on_click(self, event: Click) -> None:
        """Move the cursor to the clicked hit; a double click follows it."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        clicked = self._hit_at(offset.y + round(self.scroll_offset.y))
        if clicked is not None:
            if clicked == self.cursor and event.chain > 1:
                self.action_follow()
            self.cursor = clicked

    def action_move(self, hits: int) -> None:
        """Move the cursor by hits."""
        self.cursor += hits

    def action_page(self, pages: int) -> None:
        """Move the cursor by screen pages."""
        self.cursor += pages * max(1, self.scrollable_content_region.height - 1)

    def action_go(self, hit: int) -> None:
        """Move the cursor to a hit; -1 is the last one."""
        self.go(hit if hit >= 0 else len(self) - 1)

    def action_follow(self) -> None:
        """Choose the hit under the cursor, unless it is the query itself."""
        if self.row is not None and self.row != self.query_row:
            self.post_message(self.Followed(self.row))

    def render_line(self, y: int) -> Strip:
        """Draw a hit, the line that ends the relevant hits, or a line of the notice that there are none."""
        width, line = self.scrollable_content_region.width, self._line(y)
        plain = self.visual_style.rich_style
        if isinstance(line, HitLine):
            base = plain + self._style("hit-list--cursor") if line.mark == POINTER else plain
            parts = ("pointer", "muted", "bar", "shared")
            return draw_hit(
                line, Styles(base, *(base + self._style(f"hit-list--{part}") for part in parts)), width=width
            )
        if line.startswith("──"):
            line, plain = f"{line} {'─' * width}"[:width], plain + self._style("hit-list--muted")
        return Strip([Segment(fit(line, width), plain)]).adjust_cell_length(width, plain)

    def redraw(self) -> None:
        """Paint the lines of the screen that have changed."""
        region, before = self.scrollable_content_region, self._drawn
        visible = self._visible_places() if len(self) else None
        self._drawn = [self._line(y, visible) for y in range(region.height)]
        refresh_changed(self, before, self._drawn, width=region.width)

    def _line(self, y: int, visible: tuple[int, int] | None = None) -> HitLine | str:
        """Return what a line of the screen shows: a hit, the line that ends the relevant ones, a notice, or nothing.

        `visible` are the `_visible_places`, for a caller that asks for many lines.
        """
        line = y + round(self.scroll_offset.y)
        hit = self._hit_at(line)
        if hit is not None:
            return self._hit_line(hit, visible or self._visible_places())
        if line == self._relevant:
            return f"── 1% of random captions are nearer than {short_number(self.relevant_within or 0.0)}"
        if len(self):
            return ""
        width = max(20, self.scrollable_content_region.width - 4)
        notice = [line for part in self.notice.split("\n") for line in textwrap.wrap(part, width) or [""]]
        return f"  {notice[y]}" if y < len(notice) else ""

    def _hit_line(self, hit: int, visible: tuple[int, int]) -> HitLine:
        assert self._fold is not None
        assert self.ranking is not None
        place = int(self._fold.places[hit])
        row = int(self.ranking.rows[place])
        text = drawable(self.texts[row])
        return HitLine(
            mark=POINTER if hit == self.cursor else self._mark(row),
            rank=f"{place + 1:>{max(3, len(str(visible[1] + 1)))}}",
            value=short_number(self._value(place)),
            bar="" if row == self.query_row else bar(self._share(place, *visible), BAR_CELLS),
            text=text,
            shared=frozenset(() if row == self.query_row else self.shared_words(text)),
            others=self._others(row),
            is_query=row == self.query_row,
        )

    def _mark(self, row: int) -> str:
        if row in self.bookmarked:
            return "★"
        return "•" if row in self.visited and row != self.query_row else " "

    def _value(self, place: int) -> float:
        assert self.ranking is not None
        values = self.ranking.distances if self.ranking.scores is None else self.ranking.scores
        return float(values[place])

    def _share(self, place: int, top: int, bottom: int) -> float:
        """Return how long the bar of a place is, 0..1, from the first of the `_visible_places` to the last."""
        first, last = self._value(top), self._value(bottom)
        low, high = min(first, last), max(first, last)
        return (self._value(place) - low) / (high - low) if high > low else 0.0

    def _visible_places(self) -> tuple[int, int]:
        """Return the places of the first and the last hit on the screen, without the query itself.

        At distance 0, the query would leave no room for the differences of the others.
        """
        assert self._fold is not None
        assert self.ranking is not None
        top = round(self.scroll_offset.y)
        lines = (top, top + max(1, self.scrollable_content_region.height) - 1)
        first, last = (max(0, min(line - self._is_beyond(line), len(self) - 1)) for line in lines)
        if first < last and self.ranking.rows[self._fold.places[first]] == self.query_row:
            first += 1
        return int(self._fold.places[first]), int(self._fold.places[last])

    def _others(self, row: int) -> str:
        """Describe the captions folded into a line: ` ×4` have the same text, ` +3` more have the same image."""
        if self.is_part:
            return ""
        copies = f" ×{self.copies[row]}" if self.copies is not None and self.copies[row] > 1 else ""
        folded = self.by_image and self.sibling_counts is not None and self.sibling_counts[row] > 0
        return f"{copies} +{self.sibling_counts[row]}" if folded and self.sibling_counts is not None else copies

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(name, partial=True)

    def _line_of(self, hit: int) -> int:
        """Return the line of the list, from 0, on which a hit is drawn."""
        return hit + self._is_beyond(hit)

    def _hit_at(self, line: int) -> int | None:
        """Return the hit that is drawn on a line of the list; None for other lines."""
        hit = line - self._is_beyond(line)
        return hit if hit < len(self) and line != self._relevant else None

    def _is_beyond(self, line: int) -> bool:
        """Tell whether a line, or the line that a hit would have, is not above the one that ends the relevant hits."""
        return self._relevant is not None and line >= self._relevant

    def _scroll_to_cursor(self) -> None:
        if not self.scrollable_content_region.height:  # not laid out yet: each line would be scrolled away
            return
        line = self._line_of(self.cursor)
        region = Region(0, line, 1, 1) if self.cursor else Region(0, 0, 1, line + 1)  # with a line above the first hit
        self.scroll_to_region(region, animate=False, force=True)

    @on(Resize)
    def keep_cursor_visible(self) -> None:
        """Scroll to the cursor, which a smaller window would hide."""
        self._measure()
        self._scroll_to_cursor()

    def _measure(self) -> None:
        """Count the lines, and the hits within `relevant_within`: those that are shown with that distance, too."""
        self._relevant, within = None, self.relevant_within
        if self._fold is not None and self.ranking is not None and self.ranking.scores is None and within is not None:
            place = self.ranking.distances.searchsorted(round(within, 3) + 0.0005)
            hits = int(self._fold.places.searchsorted(place))
            if hits < len(self) and (hits or within >= 0.0005):  # nothing is nearer than .000
                self._relevant = hits
        lines = len(self) + (self._relevant is not None)
        self.virtual_size = Size(0, lines if self._is_whole else max(lines, self.virtual_size.height))
