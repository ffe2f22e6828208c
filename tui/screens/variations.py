"""VariationsScreen: the variations of a text, how far each moved it, and what each finds beside what the text finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from core.store.progress import Progress
from tui.screens.overlay import Overlay
from tui.text import drawable, fit, short_number, stage_line
from tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from core.ranking.ranking import Ranking
    from core.trust.stress import Moved, Stressed

_KEYS = "⏎ follow  ? help  esc close · 9/10: hits that stay, of the first ten"


class VariationsScreen(Overlay[str | None]):
    """The variations of a text. The result is the text of the variation to follow, or None.

    Args:
        text: The text.
        texts: All captions.
        encoder: Name of the encoder that moves the variations.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,x,q", "dismiss(None)", "Close"),
    ]

    progress: reactive[Progress | None] = reactive(None)
    """How far the variations are asked."""
    stressed: reactive[Stressed | None] = reactive(None)
    """None while they are asked."""

    def __init__(self, text: str, texts: Sequence[str], encoder: str) -> None:
        super().__init__()
        self._encoder = encoder
        self.asked = text
        self._texts = texts
        self.query_panel = Static(drawable(text), id="varied", classes="panel", markup=False)
        self._shown: list[Moved | str] = []  # the lines; a text is a heading
        self.lines = LineList(id="variations", classes="panel")
        self.hits = [Static("", classes="panel", markup=False) for _ in range(2)]

    def compose(self) -> ComposeResult:
        """Yield the lines from top to bottom."""
        self.query_panel.border_title = Content(f"variations, by {drawable(self._encoder)}")
        yield self.query_panel
        yield self.lines
        with Horizontal(id="varied-hits"):
            yield from self.hits
        yield Static(_KEYS, id="variations-keys", classes="keys", markup=False)

    def on_mount(self) -> None:
        """Focus the list."""
        self.set_focus(self.lines)

    def watch_progress(self) -> None:
        """Show what is being done in place of the lines."""
        if self.progress is not None and self.stressed is None:
            self.lines.border_title = Content(stage_line(self.progress))

    def watch_stressed(self) -> None:
        """Draw the variations in their groups."""
        from core.trust.variations import GROUPS  # not loaded before the first frame
        from tui.variation_line import claim, few_kinds

        stressed = self.stressed
        if stressed is None:
            return
        self._shown = []
        for group, kinds in GROUPS.items():
            moved = [each for each in stressed.moved if each.variation.kind in kinds]
            self._shown += [group, *moved] if moved else []
        if not stressed.moved:
            self._shown.append("no rule fits this text: the rules are for English sentences")
        headings = {line for line, each in enumerate(self._shown) if isinstance(each, str)}
        self.lines.show(len(self._shown), self._line, headings=headings)
        self.lines.border_title = Content(claim(stressed.threshold))
        title = " · ".join(filter(None, (f"variations, by {drawable(self._encoder)}", few_kinds(stressed))))
        self.query_panel.border_title = Content(title)

    def _line(self, line: int) -> Content:
        from tui.variation_line import variation_line

        shown = self._shown[line]
        if isinstance(shown, str):
            return Content.styled(shown, "bold $text-accent")
        assert self.stressed is not None
        return variation_line(shown, self.stressed, width=self.lines.scrollable_content_region.width)

    @on(LineList.CursorMoved)
    def show_hits(self, message: LineList.CursorMoved) -> None:
        """Show the hits of the text and of the variation under the cursor side by side."""
        moved = self._shown[message.line]
        if self.stressed is None or isinstance(moved, str):
            return
        names = "query", f"{moved.variation.kind}: {drawable(moved.variation.text)}"
        rankings = self.stressed.hits, moved.hits
        for pane, name, own, other, sign in zip(self.hits, names, rankings, rankings[::-1], "−+", strict=True):
            pane.border_title = Content(name)
            pane.update(self._listed(own, other, sign, width=pane.content_size.width))

    def _listed(self, own: Ranking, other: Ranking, sign: str, *, width: int) -> Content:
        """Draw hits, a line each; the sign marks those that the other list lacks."""
        kept, lines = set(other.rows.tolist()), list[Content]()
        for row, distance in zip(own.rows.tolist(), own.distances.tolist(), strict=True):
            mark, style = (" ", "") if row in kept else (sign, "$text-accent")
            text = fit(drawable(self._texts[row]), max(1, width - 7))
            lines.append(Content.assemble((f"{mark} ", style), (f"{short_number(distance):>4} ", "dim"), (text, style)))
        return Content("\n").join(lines)

    @on(LineList.Followed)
    def select(self, message: LineList.Followed) -> None:
        """Close the screen, with the variation under the cursor as its result."""
        moved = self._shown[message.line]
        if not isinstance(moved, str):
            self.dismiss(moved.variation.text)
