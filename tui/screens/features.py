"""FeaturesScreen: the features that a query and a hit have in common, and what each responds to in the corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from tui.hit_line import split_shared
from tui.screens.overlay import Overlay
from tui.text import drawable, short_number
from tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from core.answers import FeatureWinners
    from core.ranking.agreement import Feature

_KEYS = "⏎ ask the captions by the feature  ? help  esc close"
_WORDS, _CAPTIONS = 12, 30


class FeaturesScreen(Overlay[int | None]):
    """Features in common. The result is the number of the feature to ask the captions by, or None.

    Args:
        query: The query.
        hit: The hit.
        texts: All captions.
        features: What both have in common.
        encoder: Name of the encoder whose features they are.
        look_at: Called with the number of the feature under the cursor; `winners` answers it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,w,q", "dismiss(None)", "Close"),
    ]

    winners: reactive[FeatureWinners | None] = reactive(None)
    """What a feature responds to; None before the first is known."""

    def __init__(
        self,
        query: str,
        hit: str,
        texts: Sequence[str],
        features: Sequence[Feature],
        *,
        encoder: str,
        look_at: Callable[[int], object],
    ) -> None:
        super().__init__()
        self._texts, self._features, self._look_at = texts, features, look_at
        self._encoder = encoder
        self.pair = Static(f"{drawable(query)}\n{drawable(hit)}", id="alike", classes="panel", markup=False)
        self.lines = LineList(id="features", classes="panel")
        self.lines.show(len(features), lambda line: _line(features[line]))
        self.details = Static("", id="feature", classes="panel", markup=False)

    def compose(self) -> ComposeResult:
        """Yield the panels."""
        self.pair.border_title = Content(f"query and hit, by {drawable(self._encoder)}")
        self.lines.border_title = "features: share of the cosine"
        yield self.pair
        with Container(id="features-body"):
            yield self.lines
            yield self.details
        yield Static(_KEYS, id="features-keys", classes="keys", markup=False)

    def on_mount(self) -> None:
        """Focus the list."""
        self.set_focus(self.lines)

    @on(LineList.CursorMoved)
    def look(self, message: LineList.CursorMoved) -> None:
        """Ask what the feature under the cursor responds to."""
        number = self._features[message.line].number
        if self.winners is None or self.winners.number != number:
            self.details.border_title = f"#{number} ..."
        self._look_at(number)

    def watch_winners(self) -> None:
        """Show the words and captions of the feature under the cursor."""
        if self.winners is None:
            return
        hits, words = self.winners.hits, self.winners.words
        counts = Counter(word.lower() for word in words).most_common(_WORDS)
        told = " · ".join(f"{drawable(word) or '(start or end)'} {count}" for word, count in counts)
        lines = [Content.assemble((told, "bold")), Content("")]
        values = (1 - hits.distances).tolist()
        for row, value, word in list(zip(hits.rows.tolist(), values, words, strict=True))[:_CAPTIONS]:
            pieces = split_shared(drawable(self._texts[row]), {word})
            caption = ((piece, "underline $text-accent" if is_won else "") for piece, is_won in pieces)
            lines.append(Content.assemble((f"{short_number(value):>4} ", "dim"), *caption))
        self.details.border_title = f"#{self.winners.number} falls on, in the captions that have most of it"
        self.details.update(Content("\n").join(lines))

    @on(LineList.Followed)
    def select(self, message: LineList.Followed) -> None:
        """Close the screen, with the feature under the cursor as its result."""
        self.dismiss(self._features[message.line].number)


def _line(feature: Feature) -> Content:
    return Content(f"#{feature.number:<5}{feature.share:6.1%}  {drawable(feature.query)} ~ {drawable(feature.hit)}")
