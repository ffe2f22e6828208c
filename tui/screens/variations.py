"""VariationsScreen: the variations of a text, how far each moved it, and what each finds beside what the text finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Resize
from textual.reactive import reactive
from textual.screen import ModalScreen
from textual.widgets import Static
from textual.widgets.option_list import Option

from core.store.progress import Progress
from tui.text import drawable, fit, short_number
from tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from core.ranking.ranking import Ranking
    from core.trust.stress import Stressed

_KEYS = "⏎ follow  ? help  esc close · 9/10: hits that stay, of the first ten"


class VariationsScreen(ModalScreen[str | None]):
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
        self.lines = LineList(id="variations", classes="panel", markup=False)
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
            share = f" {self.progress.done / self.progress.total:.0%}" if self.progress.total else ""
            self.lines.border_title = Content(f"{self.progress.stage}{share}")

    @on(Resize)
    def watch_stressed(self) -> None:
        """Draw the variations in their groups."""
        from core.trust.variations import GROUPS  # not loaded before the first frame
        from tui.variation_line import claim, few_kinds, variation_line

        stressed = self.stressed
        if stressed is None:
            return
        at, width = self.lines.highlighted, self.lines.scrollable_content_region.width - 2
        self.lines.clear_options()
        for group, kinds in GROUPS.items():
            moved = [(i, each) for i, each in enumerate(stressed.moved) if each.variation.kind in kinds]
            if moved:
                self.lines.add_option(Option(Content.styled(group, "bold $text-accent"), disabled=True))
            for i, each in moved:
                self.lines.add_option(Option(variation_line(each, stressed, width=width), id=str(i)))
        self.lines.highlighted = at or 1
        self.lines.border_title = Content(claim(stressed.threshold))
        title = " · ".join(filter(None, (f"variations, by {drawable(self._encoder)}", few_kinds(stressed))))
        self.query_panel.border_title = Content(title)
        if not stressed.moved:
            self.lines.add_option(Option("no rule fits this text: the rules are for English sentences", disabled=True))

    @on(LineList.OptionHighlighted)
    def show_hits(self, message: LineList.OptionHighlighted) -> None:
        """Show the hits of the text and of the variation under the cursor side by side."""
        if self.stressed is None or message.option.id is None:
            return
        moved = self.stressed.moved[int(message.option.id)]
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

    @on(LineList.OptionSelected)
    def select(self, message: LineList.OptionSelected) -> None:
        """Close the screen, with the variation under the cursor as its result."""
        if self.stressed is not None and message.option.id is not None:
            self.dismiss(self.stressed.moved[int(message.option.id)].variation.text)
