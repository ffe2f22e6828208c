"""OverlaysScreen: what looks closer at a query: its lists by several methods, its variations, its features."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widget import Widget

from core.ranking.methods import AGAINST, Method
from tui import messages
from tui.requests import ComparisonRequest, FeatureRequest, Request, VariationsRequest
from tui.screens.compare import CompareScreen
from tui.screens.features import FeaturesScreen
from tui.screens.opening import OpeningScreen
from tui.screens.picture import Depicted, PictureScreen
from tui.screens.variations import VariationsScreen
from tui.session import Visit
from tui.trail import Run, TrailWriter

if TYPE_CHECKING:
    from core.encoding.text_encoder import TextEncoder
    from core.query import Query
    from tui.pictures import Pictures


class OverlaysScreen(OpeningScreen):
    """A screen that opens others over it, whose content a request computes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "compare", "compare", id="compare"),
        Binding("x", "vary", "variations", show=False, id="variations"),
        Binding("w", "features", "features", show=False, id="features"),
        Binding("I", "show_image", "image", show=False, id="show-image"),
    ]

    def __init__(self, trail: TrailWriter, resumed: Run | None, *, id: str | None = None) -> None:
        super().__init__(trail, resumed, id=id)
        self.pictures: Pictures | None = None
        """The images of the captions; None where no folder of them is named."""
        self.graphics: type[Widget] | None = None
        """The widget that draws images by the terminal's graphics; None for half blocks."""
        self._overlay: tuple[ModalScreen[Any], Request] | None = None  # such a screen, and what it waits for

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
            self._open(screen, ComparisonRequest(query, answer.among), self.go_to_caption)
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
        text, opened = answer.query.literal, explorer.opened
        asked = opened.encoder_of(self.session.method)
        if why_not := _why_not_varied(answer.query, asked.text_encoder):
            self.notify(why_not)
        else:
            method: Method = "infersent" if asked is opened else AGAINST
            screen = VariationsScreen(text, opened.captions.shown, opened.name_of(method))
            self._open(screen, VariationsRequest(text, method), self._follow_variation)

    @on(messages.Varied)
    def show_variations(self, message: messages.Varied) -> None:
        """Show the variations, or how far they are asked, unless their screen was closed."""
        if isinstance(screen := self._waiting(message.request), VariationsScreen):
            screen.progress = message.progress
            screen.stressed = message.stressed or screen.stressed  # a request may be run again after its end

    def _follow_variation(self, text: str) -> None:
        from core.ranking.arithmetic import quoted  # numpy is not loaded before the first frame

        if self.session.is_typing:
            self.submit()
        self.go(Visit(quoted(text), None, "followed"))

    def action_features(self) -> None:
        """Show the features behind the nearness of the hit under the cursor."""
        explorer, answer, row = self.explorer, self.view.answer, self.hit_list.row
        if explorer is None or answer is None or row is None or not self.has_hits():
            return
        explanation = self.view.caption_pane.explanation
        if explanation is None:
            self.notify("this hit is still being explained")
        elif not answer.query.is_text:
            self.notify("a sum or a feature has no words, so it has no features in common with a hit")
        elif not explorer.opened.encoder_of(answer.method).text_encoder.can_encode:
            self.notify("features need the encoder, and these embeddings came without it")
        elif explanation.agreement is None or not explanation.agreement.features:
            self.notify("the words of this hit and of the query have no features in common")
        else:
            texts, features = explorer.opened.captions.shown, explanation.agreement.features
            method: Method = AGAINST if answer.method == AGAINST else "infersent"
            name, look_at = explorer.opened.name_of(method), partial(self._look_at_feature, method)
            screen = FeaturesScreen(answer.query.text, texts[row], texts, features, encoder=name, look_at=look_at)
            follow = partial(self._ask_feature, method)
            self._open(screen, FeatureRequest(features[0].number, method), follow)

    def _look_at_feature(self, method: Method, number: int) -> None:
        request = FeatureRequest(number, method)
        if self._overlay is not None and self._overlay[1] != request:
            self._overlay = self._overlay[0], request
            self.asker.ask(request)

    @on(messages.FeatureFound)
    def show_feature(self, message: messages.FeatureFound) -> None:
        """Show what a feature responds to, unless the cursor is on another one, or the screen was closed."""
        if isinstance(screen := self._waiting(message.request), FeaturesScreen):
            screen.winners = message.winners

    def _ask_feature(self, method: Method, number: int) -> None:
        if method == AGAINST:
            self.notify("only features of the first encoder can be asked")
        else:
            self.go(Visit(f"#{number}", None))

    def action_show_image(self) -> None:
        """Show the image of the caption under the cursor."""
        if self.pictures is None:
            self.notify("start with --images FOLDER to see the images of the captions")
        elif self.has_hits():
            move = self.hit_list.action_move
            screen = PictureScreen(self.pictures, self._depicted, move, graphics=self.graphics)
            self.app.push_screen(screen, self._follow_depicted)

    def _depicted(self) -> Depicted | None:
        explorer, row, place = self.explorer, self.hit_list.row, self.hit_list.place
        if explorer is None or row is None or place is None:
            return None
        captions = explorer.opened.captions
        return Depicted(captions.shown[row], place + 1, captions.file_name(row) or "")

    def _follow_depicted(self, is_followed: bool | None) -> None:
        if is_followed and self.hit_list.row is not None:
            self.go_to_caption(self.hit_list.row)

    def close_overlay(self, request: Request) -> None:
        """Close the screen that waits for a request, and the help over it."""
        screen = self._waiting(request)
        while screen in self.app.screen_stack:
            self.app.pop_screen()

    def _open(self, screen: ModalScreen[Any], request: Request, follow: Callable[[Any], object]) -> None:
        """Open a screen over this one and ask for what it shows; `follow` takes its result, unless that is None."""

        def close(result: Any) -> None:
            self.asker.withdraw(type(request))
            self._overlay = None
            if result is not None:
                follow(result)

        self._overlay = screen, request
        self.app.push_screen(screen, close)
        self.asker.ask(request)

    def _waiting(self, request: Request) -> ModalScreen[Any] | None:
        """Return the screen that waits for a request; None once it is closed."""
        return self._overlay[0] if self._overlay is not None and self._overlay[1] is request else None


def _why_not_varied(query: Query, text_encoder: TextEncoder) -> str:
    """Say why a query has no variations by an encoder; empty if it may have some."""
    from core.trust.variations import MOST_WORDS  # not loaded before the first frame

    if not query.text.strip():
        return "there is no query yet"
    if not query.is_text:
        return "sums and features have no variations: put it in quotes to make it plain text"
    if not text_encoder.can_encode:
        return "variations need the encoder, and these embeddings came without it"
    if len(query.literal.split()) > MOST_WORDS:
        return f"more than {MOST_WORDS} words: type a sentence"
    known = len(text_encoder.vocabulary.look_up(query.literal).ids) > 2
    return "" if known else "no word of this text is known, so nothing can move it"
