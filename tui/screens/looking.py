"""LookingScreen: what looks closer at a query: its lists by several methods, its variations, its features."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from tui import messages
from tui.messages import ComparisonRequest, FeatureRequest, Request, VariationsRequest
from tui.screens.compare import CompareScreen
from tui.screens.features import FeaturesScreen
from tui.screens.opening import OpeningScreen
from tui.screens.variations import VariationsScreen
from tui.session import Visit
from tui.trail import Run, TrailWriter

if TYPE_CHECKING:
    from core.query import Query


class LookingScreen(OpeningScreen):
    """A screen that opens others over it, whose content a request computes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "compare", "compare", id="compare"),
        Binding("x", "vary", "variations", show=False, id="variations"),
        Binding("w", "features", "features", show=False, id="features"),
    ]

    def __init__(self, trail: TrailWriter, resumed: Run | None, *, id: str | None = None) -> None:
        super().__init__(trail, resumed, id=id)
        self._over: tuple[ModalScreen[Any], Request] | None = None  # such a screen, and what it waits for

    def action_compare(self) -> None:
        """Show the lists of all methods for the current query side by side."""
        answer, explorer = self.view.answer, self.explorer
        if not self.are_methods_open() or answer is None or explorer is None:
            return
        query = answer.query
        if not query.is_text:
            self.notify("only infersent can rank a sum or a feature: there is nothing to compare")
        elif query.row is not None or query.tokens:  # other methods may find something
            screen = CompareScreen(query, explorer.opened, first=answer.method, export=self.export_comparison)
            self._open(screen, ComparisonRequest(query), self.go_to_caption)
        else:
            self.has_hits()

    @on(messages.Compared)
    def show_comparison(self, message: messages.Compared) -> None:
        """Show the lists, unless the comparison was closed."""
        if isinstance(screen := self._waiting(message.request), CompareScreen):
            screen.comparison = message.comparison

    def action_vary(self) -> None:
        """Show the variations of the current query, and how far each moves it."""
        answer, explorer = self.view.answer, self.explorer
        if answer is None or explorer is None:
            return
        if why_not := self._why_not_varied(answer.query):
            self.notify(why_not)
        else:
            text, method, opened = answer.query.literal, self.session.method, explorer.opened
            name = opened.name_of(method if opened.encoder_of(method) is opened.against else "infersent")
            screen = VariationsScreen(text, opened.captions.texts, name)
            self._open(screen, VariationsRequest(text, method), self._follow_variation)

    def _why_not_varied(self, query: Query) -> str:
        """Say why a query has no variations; empty if it may have some."""
        from core.trust.variations import MOST_WORDS  # not loaded before the first frame

        encoder = None if self.explorer is None else self.explorer.opened.encoder_of(self.session.method)
        if encoder is not None and not encoder.text_encoder.can_encode:
            return "variations need the encoder, and these embeddings came without it"
        if not query.is_text:
            return "sums and features have no variations: put it in quotes to make it plain text"
        if len(query.ids) <= 2:
            return "no word of this text is known, so nothing can move it"
        return f"more than {MOST_WORDS} words: type a sentence" if len(query.ids) - 2 > MOST_WORDS else ""

    @on(messages.Varied)
    def show_variations(self, message: messages.Varied) -> None:
        """Show the variations, or how far they are asked, unless their screen was closed."""
        if isinstance(screen := self._waiting(message.request), VariationsScreen):
            screen.progress, screen.stressed = message.progress, message.stressed

    def _follow_variation(self, text: str) -> None:
        from core.ranking.arithmetic import parse

        if self.session.is_typing:
            self.submit()
        self.go(Visit(f'"{text}"' if parse(text) else text, None, "followed"))

    def action_features(self) -> None:
        """Show the features behind the nearness of the hit under the cursor."""
        explorer, answer, row = self.explorer, self.view.answer, self.hit_list.row
        if explorer is None or answer is None or row is None or not self.has_hits():
            return
        explanation = self.view.caption_pane.explanation
        if explanation is None:
            self.notify("this hit is still being explained")
        elif explanation.agreement is None or not explanation.agreement.features:
            self.notify("no word of this hit has features in common with the query")
        else:
            texts, features = explorer.opened.captions.texts, explanation.agreement.features
            screen = FeaturesScreen(answer.query.text, texts[row], texts, features, look_at=self._look_at_feature)
            self._open(screen, FeatureRequest(features[0].number), self._ask_feature)

    def _look_at_feature(self, number: int) -> None:
        if self._over is not None:
            self._over = self._over[0], FeatureRequest(number)
            self.asker.ask(self._over[1])

    @on(messages.FeatureFound)
    def show_feature(self, message: messages.FeatureFound) -> None:
        """Show what a feature responds to, unless the cursor is on another one, or the screen was closed."""
        if isinstance(screen := self._waiting(message.request), FeaturesScreen):
            screen.winners = message.winners

    def _ask_feature(self, number: int) -> None:
        self.go(Visit(f"#{number}", None))

    def close_over(self, request: Request) -> None:
        """Close the screen that waits for a request, and the help over it."""
        screen = self._waiting(request)
        while screen in self.app.screen_stack:
            self.app.pop_screen()

    def _open(self, screen: ModalScreen[Any], request: Request, follow: Callable[[Any], object]) -> None:
        """Open a screen over this one and ask for what it shows; `follow` takes its result, unless that is None."""

        def close(result: Any) -> None:
            self.asker.withdraw(type(request))
            self._over = None
            if result is not None:
                follow(result)

        self._over = screen, request
        self.app.push_screen(screen, close)
        self.asker.ask(request)

    def _waiting(self, request: Request) -> ModalScreen[Any] | None:
        """Return the screen that waits for a request; None once it is closed."""
        return self._over[0] if self._over is not None and self._over[1] is request else None
