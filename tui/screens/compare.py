"""CompareScreen: the hits of several methods for one query, side by side."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Resize
from textual.reactive import reactive
from textual.widgets import Static

from core.ranking.methods import AGAINST, Method
from tui.hit_line import split_shared
from tui.screens.overlay import Overlay
from tui.text import drawable
from tui.widgets.compare_table import CompareTable

if TYPE_CHECKING:
    from core.opened import Opened
    from core.query import Query
    from core.ranking.comparison import Comparison

_WIDTHS = (60, 120, 160)  # screen widths, in cells, from which two, three and four lists fit
_KEYS = "← → lists  ↑ ↓ hits  ⏎ follow  tab other methods  e export  esc close"


class CompareScreen(Overlay[int | None]):
    """Lists of hits by several methods, `first` leftmost. The result is the caption to follow, or None.

    `export` is called with the comparison when the person wants it in a file.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,c,q", "dismiss(None)", "Close"),
        Binding("tab", "rotate(1)", "Other methods"),
        Binding("e", "export", "Export"),
        Binding("question_mark", "app.help", "Help"),
        Binding("shift+tab", "rotate(-1)", "Other methods, backwards"),
    ]

    comparison: reactive[Comparison | None] = reactive(None)
    """None while it is being computed."""

    def __init__(self, query: Query, opened: Opened, *, first: Method, export: Callable[[Comparison], object]) -> None:
        super().__init__()
        self._export = export
        self.asked = query
        self.table = CompareTable(opened)
        self.query_panel = Static(drawable(query.text), id="compared-query", classes="panel", markup=False)
        self.full_caption = Static("", id="compared", classes="panel", markup=False)
        self._opened = opened
        others = [method for method in opened.methods if method != first]
        self._order: list[Method] = [first, *sorted(others, key=lambda method: method != AGAINST)]

    def compose(self) -> ComposeResult:
        """Yield the lines from top to bottom."""
        self.query_panel.border_title, self.full_caption.border_title = "query", "under the cursor"
        yield self.query_panel
        yield self.table
        yield self.full_caption
        yield Static(_KEYS, id="compare-keys", classes="keys", markup=False)

    def on_mount(self) -> None:
        """Focus the lists."""
        self.set_focus(self.table)

    def watch_comparison(self) -> None:
        """Show the lists."""
        self.table.comparison = self.comparison
        self._show_methods()

    def action_export(self) -> None:
        """Write the lists to a file."""
        if self.comparison is not None:
            self._export(self.comparison)

    def action_rotate(self, steps: int) -> None:
        """Show other methods beside the first."""
        others = self._order[1:]
        self._order[1:] = others[steps:] + others[:steps]
        self._show_methods()

    @on(CompareTable.CursorMoved)
    def show_caption(self, message: CompareTable.CursorMoved) -> None:
        """Show the caption under the cursor in full."""
        if message.hit is None:
            self.full_caption.update("")
            return
        pieces = split_shared(drawable(self._opened.captions.shown[message.hit.row]), message.hit.shared)
        shared = "underline $text-accent"
        self.full_caption.update(Content.assemble(*((text, shared if same else "") for text, same in pieces)))

    @on(CompareTable.Followed)
    def follow(self, message: CompareTable.Followed) -> None:
        """Close the screen, with the caption as its result."""
        self.dismiss(message.row)

    @on(Resize)
    def _show_methods(self) -> None:
        shown = tuple(self._order[: 1 + sum(self.size.width >= width for width in _WIDTHS)])
        self.table.methods = shown
        if self.comparison is not None:
            name, overlap = self._opened.name_of, self.comparison.overlap
            pairs = [f"{name(one)}/{name(other)} {overlap(one, other)}" for one, other in combinations(shown, 2)]
            overlaps = (f" overlap@10 {drawable(' · '.join(pairs))}" if pairs else "", "not bold $foreground-muted")
            self.query_panel.border_title = Content.assemble("query", overlaps)
