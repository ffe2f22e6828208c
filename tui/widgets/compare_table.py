"""CompareTable: the hits of several methods for one query, side by side, with a cursor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from core.ranking.methods import Method
from tui.bindings import LIST_KEYS
from tui.hit_line import POINTER, split_shared
from tui.text import drawable, fit

if TYPE_CHECKING:
    from core.opened import Opened
    from core.ranking.comparison import ComparedHit, Comparison

_LINES = 2  # screen lines per hit


class CompareTable(ScrollView, can_focus=True):
    """Lists of hits in columns, with a cursor."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "compare--cursor",
        "compare--muted",
        "compare--head",
        "compare--pointer",
        "compare--query",
        "compare--shared",
    }

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "turn(-1)", "Previous list", show=False),
        Binding("right,l", "turn(1)", "Next list", show=False),
        *LIST_KEYS,
    ]

    @dataclass
    class CursorMoved(Message):
        """The cursor is on another hit; None when the list is empty."""

        hit: ComparedHit | None

    @dataclass
    class Followed(Message):
        """The person chose a hit."""

        row: int

    comparison: reactive[Comparison | None] = reactive(None)
    methods: reactive[tuple[Method, ...]] = reactive(())
    """The methods whose lists are shown, from left to right."""
    column: reactive[int] = reactive(0)
    line: reactive[int] = reactive(0)
    """The hit under the cursor, counted from 0 in the list `column`."""

    def __init__(self, opened: Opened) -> None:
        super().__init__()
        self._opened = opened

    @property
    def hits(self) -> tuple[ComparedHit, ...]:
        """The list under the cursor."""
        if self.comparison is None or not self.methods:
            return ()
        return self.comparison.lists.get(self.methods[self.column], ())

    @property
    def hit(self) -> ComparedHit | None:
        """The hit under the cursor."""
        return self.hits[self.line] if self.line < len(self.hits) else None

    def watch_comparison(self) -> None:
        """Move the cursor to the first hit that is not the query itself."""
        self._measure()
        first = self.hits[0].row if self.hits else None
        self.line = 1 if self.comparison is not None and first is not None and first == self.comparison.row else 0
        self.watch_line()

    def watch_methods(self) -> None:
        """Keep the cursor within the lists."""
        self._measure()
        self.column = min(self.column, max(0, len(self.methods) - 1))
        self.watch_line()

    def validate_line(self, line: int) -> int:
        """Keep the cursor within its list."""
        return max(0, min(line, len(self.hits) - 1))

    def watch_line(self) -> None:
        """Scroll to the cursor and report its move."""
        self.scroll_to_region(Region(0, self.line * _LINES, 1, _LINES + 1), animate=False, force=True)
        self.refresh()
        self.post_message(self.CursorMoved(self.hit))

    def action_turn(self, columns: int) -> None:
        """Move the cursor to another list."""
        self.column = max(0, min(self.column + columns, len(self.methods) - 1))
        self.line = self.validate_line(self.line)
        self.watch_line()

    def action_move(self, hits: int) -> None:
        """Move the cursor by hits."""
        self.line += hits

    def action_page(self, pages: int) -> None:
        """Move the cursor by screen pages."""
        self.line += pages * max(1, (self.size.height - 1) // _LINES - 1)

    def action_go(self, line: int) -> None:
        """Move the cursor to a hit; -1 is the last one."""
        self.line = line if line >= 0 else len(self.hits) - 1

    def action_follow(self) -> None:
        """Choose the hit under the cursor, unless it is the query itself."""
        if self.hit is not None and self.comparison is not None and self.hit.row != self.comparison.row:
            self.post_message(self.Followed(self.hit.row))

    def _name_of(self, method: Method, *, short: bool) -> str:
        return drawable(self._opened.name_of(method, short=short))

    def render_line(self, y: int) -> Strip:
        """Draw the names of the methods, or one of the two lines of a hit in each list."""
        width = self.scrollable_content_region.width
        plain = self.visual_style.rich_style
        if self.comparison is None or not self.methods:
            return Strip([Segment(fit("  computing the hits of every method", width) if y == 1 else "", plain)])
        each = (width + 1) // len(self.methods) - 1
        segments: list[Segment] = []
        for column, method in enumerate(self.methods):
            if column:
                segments.append(Segment("│", plain + self._style("compare--muted")))
            if y == 0:
                here = column == self.column
                style = plain + self._style("compare--head" if here else "compare--muted")
                name, short = (self._name_of(method, short=short) for short in (False, True))
                both = f"{name} ({short})" if len(self.methods) > 3 and short != name else name
                segments.append(Segment(fit(f"{POINTER if here else ' '}{both}", each), style))
                continue
            at, part = divmod(y - 1 + round(self.scroll_offset.y), _LINES)
            hits = self.comparison.lists.get(method, ())
            if at >= len(hits):
                nothing = "  no hits" if not hits and y == 1 else ""
                segments.append(Segment(fit(nothing, each), plain + self._style("compare--muted")))
            else:
                here = column == self.column and at == self.line
                segments += self._hit_line(hits[at], part, each, plain, here=here)
        return Strip(segments).adjust_cell_length(width, plain)

    def _hit_line(self, hit: ComparedHit, part: int, width: int, plain: Style, *, here: bool) -> list[Segment]:
        base = plain + self._style("compare--cursor") if here else plain
        muted = base if here else base + self._style("compare--muted")
        if part:
            value = hit.distance if hit.score is None else hit.score
            others = {other: rank for other, rank in hit.ranks.items() if other in self.methods}
            short = len(self.methods) > 3
            ranks = [f"{self._name_of(other, short=short)} {rank or '–'}" for other, rank in others.items()]
            return [Segment(fit(f"     {value or 0:.4f}"[:11] + "  " + "  ".join(ranks), width), muted)]
        if self.comparison is not None and hit.row == self.comparison.row:
            base += self._style("compare--query")
        text = fit(drawable(self._opened.captions.shown[hit.row]), max(1, width - 5))
        drawn = [
            Segment(piece, base + self._style("compare--shared") if is_shared else base)
            for piece, is_shared in split_shared(text, hit.shared)
        ]
        pointer = Segment(POINTER, base + self._style("compare--pointer")) if here else Segment(" ", muted)
        return [pointer, Segment(f"{hit.rank:>3} ", muted), *drawn]

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(name, partial=True)

    def _measure(self) -> None:
        lists = self.comparison.lists if self.comparison is not None else {}
        longest = max((len(lists.get(method, ())) for method in self.methods), default=0)
        self.virtual_size = Size(0, longest * _LINES + 1)
