"""AskingScreen: what turns keys into questions: typing, following, random captions, going back, other methods."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Input

from core.assets import AssetError
from core.ranking.filters import EXAMPLES, Filter, FilterError
from tui import messages
from tui.asker import Asker
from tui.keys import first_key
from tui.requests import DrawRequest, FilterRequest
from tui.screens.answer_view import AnswerView
from tui.screens.prompt import PromptScreen
from tui.session import Session, Visit
from tui.trail import How
from tui.widgets.hit_list import HitList
from tui.widgets.search_box import SearchBox, boxed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from core.explorer import Explorer
    from tui.requests import Question

_SETTLED_SECONDS = 0.4


class AskingScreen(Screen[None]):
    """A screen with a search box and a list, whose keys ask questions. `explorer` is None before a corpus is open."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "next_method", "method", id="method"),
        Binding("shift+tab", "next_method(-1)", "Previous method", show=False),
        Binding("slash,i", "focus_search", "find", key_display="/", priority=True, id="find"),
        Binding("enter", "leave_search", "to the list", key_display="⏎", priority=True),
        Binding("escape,down", "leave_search", show=False, priority=True),
        Binding("f", "filter", "Filter", show=False, id="filter"),
        Binding("r", "random", "random", id="random"),
        Binding("ctrl+r", "random", "Random caption", show=False, priority=True),
        Binding("backspace", "go_back", "back", key_display="⌫", id="back"),
        Binding("alt+left", "go_back", "Back", show=False, priority=True),
        Binding("alt+right", "go_forward", "Forward", show=False, priority=True, id="forward"),
    ]

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)  # the two widgets repaint their frames themselves

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rng: Random | None = None
        """Draws the random captions; None for new ones in each run."""
        self.search_box = SearchBox(id="search")
        self.body = ContentSwitcher(initial="loading", id="body")
        self.view = AnswerView(id="answer")
        self.session = Session()
        self.asker = Asker(self.post_message)
        self.explorer: Explorer | None = None
        self.key_of: Callable[[str], str] = first_key

    def use_keys(self, keymap: Mapping[str, str]) -> None:
        """Name the keys of `keymap` in the hints."""
        self.key_of = self.view.key_of = self.view.verdict_pane.key_of = partial(first_key, keymap=keymap)
        self.search_box.placeholder = f"{self.key_of('find')} or just type a sentence"

    @property
    def hit_list(self) -> HitList:
        """The ranked list."""
        return self.view.hit_list

    def show_error(self, error: AssetError) -> None:
        """Show an error in place of the list."""
        raise NotImplementedError

    def show_lines(self) -> None:
        """Update the header, the title of the search box and the last line."""
        raise NotImplementedError

    def ask(self, question: Question | None) -> None:
        """Ask a question in place of the one before; None asks nothing."""
        if question is not None:
            self.asker.ask(question)

    def ask_visit(self, question: Question | None) -> None:
        """Ask the question of a visit and put its text into the search box."""
        if question is not None:
            with self.search_box.prevent(Input.Changed):
                self.search_box.show(question.text)
            self.ask(question)

    def go(self, visit: Visit) -> None:
        """Go to a new visit."""
        self.ask_visit(self.session.go(visit, cursor=self.hit_list.place or 0))

    def go_to_caption(self, row: int, how: How = "followed") -> None:
        """Make a caption the query."""
        if self.explorer is None:
            return
        try:
            text = self.explorer.opened.captions.texts[row]
        except AssetError as error:  # a store that cannot be read now
            self.show_error(error)
            return
        self.go(Visit(text, row, how))

    @on(Input.Changed, "#search")
    def ask_while_typing(self, message: Input.Changed) -> None:
        """Ask at every keystroke, and again when the typing pauses."""
        question = self.session.type(message.value, cursor=self.hit_list.place or 0)
        self.ask(question)
        # Not stopped by the next question: Textual queues the call, so that it may come after a stop.
        self.set_timer(_SETTLED_SECONDS, lambda: self.ask(self.session.settle(question)))

    def submit(self) -> None:
        """Make the typed text a visit."""
        text, here = self.search_box.value, self.session.here
        if here is not None and boxed(here.text) == text:
            self.session.is_typing = False  # the trail already ends with this text
        elif text.strip():
            visit, answer = Visit(text, None), self.view.answer
            if answer is not None and answer.query.text == text:
                visit.embedding = answer.query.embedding
            self.go(visit)

    @on(HitList.Followed)
    def follow(self, message: HitList.Followed) -> None:
        """Make the chosen hit the query, unless it was chosen just before."""
        if self.session.is_typing:
            self.submit()
        if self.session.here is None or self.session.here.row != message.row or self.session.is_typing:
            self.go_to_caption(message.row)

    def action_filter(self, text: str | None = None, problem: str = "") -> None:
        """Ask which captions are searched from now on; `text` is what was typed before, with a `problem`."""
        if self.explorer is None:
            return

        def take(text: str | None) -> None:
            if text is None:
                return
            try:
                self.narrow(Filter.parse(text), is_typed=True)
            except FilterError as error:
                self.action_filter(text, str(error))

        examples = EXAMPLES.replace(" · region:1", "") if self.explorer.opened.is_sampled else EXAMPLES
        about = f"search only captions that meet all of: {examples}. dog is a whole word, length:10 means ten words. "
        about += "Nothing here searches all."
        value = self.session.among.text if text is None else text
        self.app.push_screen(PromptScreen("filter", about, value=value, hint="all captions", problem=problem), take)

    def narrow(self, among: Filter, *, is_typed: bool = False) -> None:
        """Search only captions that meet a filter from now on, once it is checked; one that is typed can be mended."""
        self.asker.ask(FilterRequest(among, is_typed))

    @on(messages.Checked)
    def take_filter(self, message: messages.Checked) -> None:
        """Search only captions that meet the filter, or tell what is wrong with it."""
        among = message.request.among
        if not message.problem:
            self.session.narrow(among)
            self.ask(self.session.again(self.view.answer, self.search_box.value))
        elif message.request.is_typed:
            self.action_filter(among.text, message.problem)
        else:
            self.notify(message.problem, severity="warning", markup=False)

    def action_random(self) -> None:
        """Search with a random caption, of those that meet the filter."""
        if self.explorer is None:
            return
        among, here = self.session.asked_among, self.session.here
        other_than = here.row if here else None
        if among.conditions or self.explorer.opened.is_sampled:
            self.asker.ask(DrawRequest(self.session.serial, among, other_than, self.rng))
            return
        try:
            self.go_to_caption(self.explorer.random_row(self.rng, other_than=other_than), "random")
        except AssetError as error:
            self.show_error(error)

    @on(messages.Drawn)
    def go_to_drawn(self, message: messages.Drawn) -> None:
        """Search with the caption that was drawn, unless something else was asked meanwhile."""
        if message.request.serial != self.session.serial:
            return
        if message.row is None:
            self.notify(message.problem, severity="warning", markup=False)
        else:
            self.go_to_caption(message.row, "random")

    def action_go_back(self) -> None:
        """Return to the previous query and its cursor place."""
        self.ask_visit(self.session.back(cursor=self.hit_list.place or 0))

    def action_go_forward(self) -> None:
        """Go again to where the person went from the current query."""
        self.ask_visit(self.session.forward(cursor=self.hit_list.place or 0))

    def action_next_method(self, steps: int = 1) -> None:
        """Rank the captions by another method from now on."""
        if self.are_methods_open() and self.explorer is not None:
            self.session.switch_method(steps, self.explorer.opened.choices)
            self.show_lines()
            if self.view.answer is not None and not self.view.answer.query.is_text:
                self.notify("only infersent can rank a sum or a feature: this list is by infersent")
            self.ask(self.session.again(self.view.answer, self.search_box.value))

    def are_methods_open(self) -> bool:
        """Return whether the other methods are open; notify the person if they are not open yet."""
        if self.explorer is None:
            return False
        if self.explorer.opened.rankers is None:
            self.notify("the other methods are still being opened")
        return self.explorer.opened.rankers is not None

    def is_text(self, key: str) -> bool:
        """Tell whether a printable key is text for the search box, and not a command.

        While the corpus is being opened there is nothing to command, so that all keys are text.
        """
        if not self.is_active or self.focused is self.search_box:
            return self.is_active
        if self.body.current == "loading":
            return key != "slash"
        return self.explorer is not None and key not in self.active_bindings

    def type(self, text: str) -> None:
        """Type into the search box; if it has not the focus, in place of its text."""
        if self.focused is not self.search_box:
            self.action_focus_search()
        self.search_box.put(text)

    def action_focus_search(self) -> None:
        """Focus the search box before the next key is dispatched, with its text selected."""
        self.set_focus(self.search_box)
        self.search_box.select_text()

    def action_leave_search(self) -> None:
        """Go to the list, or to the map in its place, and append the typed text to the trail."""
        target = self.view.map_pane if self.view.covers_list else self.hit_list
        self.set_focus(target if target.focusable else None)  # not while an error is shown
        self.submit()
