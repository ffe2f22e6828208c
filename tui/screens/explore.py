"""ExploreScreen: the main screen. It sends requests to core and passes the answers to its widgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import Resize
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import ContentSwitcher, Footer, Input, Static

from core.assets import AssetError
from tui import messages
from tui.asker import Asker
from tui.lines import header, query_title, timings_line
from tui.messages import ComparisonRequest, ExplanationRequest, Question
from tui.screens.answer_view import WIDE_CELLS, AnswerView
from tui.screens.compare import CompareScreen
from tui.session import How, Session, Visit
from tui.text import drawable, one_line, visible
from tui.widgets.hit_list import HitList
from tui.widgets.notices import ErrorPane, LoadingPane
from tui.widgets.search_box import SearchBox

if TYPE_CHECKING:
    from core.explorer import Explorer
    from core.store.progress import Progress

_SETTLED_SECONDS = 0.4


class ExploreScreen(Screen[None]):
    """The search box, the ranked list and the panels. Call `open` with a corpus to begin."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "next_method", "method"),
        Binding("shift+tab", "next_method(-1)", "Previous method", show=False),
        Binding("slash,i", "focus_search", "find", key_display="/", priority=True),
        Binding("enter", "leave_search", "to the list", key_display="⏎", priority=True),
        Binding("escape,down", "leave_search", show=False, priority=True),
        Binding("r", "random", "random"),
        Binding("ctrl+r", "random", "Random caption", show=False, priority=True),
        Binding("backspace", "go_back", "back", key_display="⌫"),
        Binding("alt+left", "go_back", "Back", show=False, priority=True),
        Binding("alt+right", "go_forward", "Forward", show=False, priority=True),
        Binding("c", "compare", "compare"),
        Binding("s", "fold", "images", show=False),  # a footer of 80 cells has no room for it
        Binding("v", "swap_panels", "why"),
    ]

    def __init__(self) -> None:
        super().__init__(id="_default")
        self.header_line = Static("infersent-tui", id="header", markup=False)
        self.query_panel = Horizontal(id="query", classes="panel")
        self.search_box = SearchBox(id="search")
        self.body = ContentSwitcher(initial="loading", id="body")
        self.loading_pane = LoadingPane(id="loading")
        self.error_pane = ErrorPane(id="error")
        self.view = AnswerView(id="answer")
        self.status_line = Static("", id="status", markup=False)
        self.session = Session()
        self.asker = Asker(self.post_message)
        self._explorer: Explorer | None = None
        self._explained: tuple[int, int | None] | None = None  # question serial and row of the last explanation request
        self._understood = ""  # what was understood of the captions file
        self._shown_problems: set[str] = set()
        self._settling: Timer | None = None
        self._activity = ""  # work in the background

    def compose(self) -> ComposeResult:
        """Yield the lines from top to bottom."""
        yield self.header_line
        with self.query_panel:
            yield Static(">", id="prompt")
            yield self.search_box
        with self.body:
            yield self.loading_pane
            yield self.error_pane
            yield self.view
        with Horizontal(id="bottom"):
            yield Footer(show_command_palette=False, compact=True)
            yield self.status_line

    @property
    def hit_list(self) -> HitList:
        """The ranked list."""
        return self.view.hit_list

    # Opening

    def open(self, explorer: Explorer) -> None:
        """Show the list and ask the text that was typed while loading, or a random caption if there is none."""
        self._explorer = explorer
        self._understood = explorer.opened.captions.understood()
        self.view.open(explorer.opened)
        self.refresh_bindings()
        self._show_lines()
        self.body.current = "answer"
        not_understood = explorer.opened.captions.not_understood()
        self.show_problems([f"captions: {' · '.join(not_understood)}"] if not_understood else [])
        self.show_problems(explorer.opened.problems())
        self.asker.start(explorer)
        if self.focused is not self.search_box or not self.search_box.value:
            self.set_focus(self.hit_list)
        if not self.search_box.value.strip():
            self.action_random()

    def show_error(self, error: AssetError) -> None:
        """Show an error in place of the list until another question is answered."""
        self.error_pane.error, self.error_pane.can_go_on = error, self._explorer is not None
        self.body.current = "error"
        if self._explorer is None:
            self.set_focus(None)  # so that q quits

    @on(messages.Failed)
    def show_failure(self, message: messages.Failed) -> None:
        """Show the error in place of the list if a question has no answer; else notify the person."""
        request, error = message.request, message.error
        if isinstance(request, Question) and not message.has_result:
            if self.session.is_current(request):
                self.show_error(error)
            return
        if isinstance(request, ComparisonRequest) and isinstance(self.app.screen, CompareScreen):
            self.app.pop_screen()
        self.show_problems([f"a part of the answer is missing: {one_line(str(error))}"])

    def show_problems(self, problems: list[str]) -> None:
        """Notify the person of problems, each only once."""
        for problem in problems:
            if problem not in self._shown_problems:
                self._shown_problems.add(problem)
                self.notify(drawable(problem), severity="warning", markup=False)

    @on(messages.Measured)
    def show_measuring(self, message: messages.Measured) -> None:
        """Show the progress of the calibration; at its end, ask the current query again."""
        self.show_activity(message.progress)
        if message.progress is None and self._explorer is not None:
            self.view.trust(self._explorer.opened.calibration)
            if self.session.is_shown:
                self._ask(self.session.again(self.view.answer, self.search_box.value))

    def show_activity(self, progress: Progress | None) -> None:
        """Show the progress of background work in the last line; None at its end."""
        share = f" {progress.done / progress.total:.0%}" if progress is not None and progress.total else ""
        self._activity = "" if progress is None else f"{progress.stage.split(':')[0]}{share}"
        self._show_status()

    # Asking

    def _ask(self, question: Question | None) -> None:
        if self._settling is not None:
            self._settling.stop()
        if question is not None:
            self.asker.ask(question)

    def _ask_step(self, question: Question | None) -> None:
        """Ask a query of the trail and put its text into the search box."""
        if question is not None:
            with self.search_box.prevent(Input.Changed):
                self.search_box.show(visible(question.text))
            self._ask(question)

    def _go(self, visit: Visit) -> None:
        self._ask_step(self.session.go(visit, cursor=self.hit_list.place or 0))

    def _go_to_caption(self, row: int, how: How = "followed") -> None:
        if self._explorer is not None:
            self._go(Visit(self._explorer.opened.captions.texts[row], row, how))

    @on(Input.Changed, "#search")
    def ask_while_typing(self, message: Input.Changed) -> None:
        """Ask at every keystroke, and again when the typing pauses."""
        self._ask(self.session.type(message.value, cursor=self.hit_list.place or 0))
        self._settling = self.set_timer(_SETTLED_SECONDS, lambda: self._ask(self.session.settle(message.value)))

    def submit(self) -> None:
        """Append the typed text to the trail."""
        text, here = self.search_box.value, self.session.here
        if here is not None and visible(here.text) == text:
            self.session.is_typing = False  # the trail already ends with this text
        elif text.strip():
            self._go(Visit(text, None))

    @on(HitList.Followed)
    def follow(self, message: HitList.Followed) -> None:
        """Make the chosen hit the query, unless it was chosen just before."""
        if self.session.here is None or self.session.here.row != message.row or self.session.is_typing:
            self._go_to_caption(message.row)

    def action_random(self) -> None:
        """Search with a random caption."""
        if self._explorer is not None:
            here = self.session.here
            try:
                row = self._explorer.random_row(other_than=here.row if here else None)
            except AssetError as error:
                self.show_error(error)
            else:
                self._go_to_caption(row, "random")

    def action_go_back(self) -> None:
        """Return to the previous query and its cursor place."""
        self._ask_step(self.session.back(cursor=self.hit_list.place or 0))

    def action_go_forward(self) -> None:
        """Go again to where the person went from the current query."""
        self._ask_step(self.session.forward(cursor=self.hit_list.place or 0))

    def action_next_method(self, steps: int = 1) -> None:
        """Rank the captions by another method from now on."""
        if self._are_methods_open():
            self.session.switch_method(steps)
            self._show_lines()
            if self.view.answer is not None and self.view.answer.query.terms:
                self.notify("only infersent can rank a sum: this list is by infersent")
            self._ask(self.session.again(self.view.answer, self.search_box.value))

    # Showing

    @on(messages.Answered)
    def show_answer(self, message: messages.Answered) -> None:
        """Show an answer, unless its question is no longer the latest."""
        if not self.session.is_current(message.question):
            return
        self.session.note_answer(message.question, message.answer)
        self.error_pane.error, self.body.current = None, "answer"
        if self.focused is None:
            self.set_focus(self.hit_list)
        wanted = self.session.place_for_answer(len(message.answer.hits))
        visited = {visit.row for visit in self.session.visits if visit.row is not None}
        self.view.show_answer(message.answer, message.folding, cursor=wanted, visited=visited)
        self.session.note_cursor(self.hit_list.place)
        if self._explorer is not None:
            self.show_problems(self._explorer.opened.problems_of_asking())
        self._explain()
        self._show_lines()

    @on(messages.Ordered)
    def show_order(self, message: messages.Ordered) -> None:
        """Replace the leading hits by the whole ranking."""
        if not self.session.is_current(message.question):
            return
        place = self.hit_list.place
        self.hit_list.show(message.ranking, message.folding)
        wanted = self.session.place_for_ranking(place)
        if wanted is not None:
            self.hit_list.go_to(wanted)

    @on(messages.Explained)
    def show_explanation(self, message: messages.Explained) -> None:
        """Show an explanation, unless the question or the hit under the cursor has changed."""
        if (message.request.serial, message.request.row) == (self.session.serial, self.hit_list.row):
            self.view.caption_pane.explanation = message.explanation

    @on(HitList.CursorMoved)
    def _explain(self) -> None:
        """Request an explanation of the hit under the cursor, except while a text is being typed."""
        answer, row, shown = self.view.answer, self.hit_list.row, self.session.shown
        wanted = None if shown is None else (shown.serial, row)
        if wanted is not None and wanted == self._explained:
            return
        self.view.caption_pane.explanation, self._explained = None, None
        if answer is not None and shown is not None and row is not None and shown.settled:
            self._explained = wanted
            # After the refresh, so that computing the explanation does not delay drawing the hit.
            self.call_after_refresh(self.asker.ask, ExplanationRequest(shown.serial, answer, row))

    @on(Resize)
    def _show_lines(self) -> None:
        if self._explorer is not None:
            self.header_line.update(header(self._explorer.opened, self.session.method, width=self.size.width - 2))
        self.query_panel.border_title = query_title(self.session, self._understood)
        self._show_status()

    def _show_status(self) -> None:
        brief = self.size.width < WIDE_CELLS
        timings = "" if self.view.answer is None else timings_line(self.view.answer, brief=brief)
        parts = [self._activity] if brief and self._activity else [self._activity, timings]  # hints need the room
        self.status_line.update(" · ".join(filter(None, parts)))

    # Comparing, and other keys

    def action_compare(self) -> None:
        """Show the lists of all methods for the current query side by side."""
        answer = self.view.answer
        if not self._are_methods_open() or answer is None:
            return
        if answer.query.terms:
            self.notify("only infersent can rank a sum: there is nothing to compare")
        elif len(answer.hits):
            screen = CompareScreen(answer.query, self.hit_list.texts, first=answer.method)
            self.app.push_screen(screen, self._follow_compared)
            self.asker.ask(ComparisonRequest(answer.query))

    @on(messages.Compared)
    def show_comparison(self, message: messages.Compared) -> None:
        """Show the lists, unless the comparison was closed."""
        if isinstance(self.app.screen, CompareScreen) and self.app.screen.asked is message.request.query:
            self.app.screen.comparison = message.comparison

    def _follow_compared(self, row: int | None) -> None:
        self.asker.withdraw(ComparisonRequest)
        if row is not None:
            self._go_to_caption(row)

    def _are_methods_open(self) -> bool:
        """Return whether the other methods are open; notify the person if they are not open yet."""
        if self._explorer is None:
            return False
        if self._explorer.opened.rankers is None:
            self.notify("the other methods are still being opened")
        return self._explorer.opened.rankers is not None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Disable the search keys while the box has the focus, and the keys that leave it while it has not."""
        if action in ("focus_search", "leave_search"):
            return (self.focused is self.search_box) == (action == "leave_search")
        if action == "fold":
            return self.hit_list.sibling_counts is not None
        return True

    def action_fold(self) -> None:
        """Show each image once, at its nearest caption, or all captions again."""
        self.hit_list.fold(not self.hit_list.by_image)

    def action_swap_panels(self) -> None:
        """Show the panels whole, or a line of each."""
        self.view.is_swapped = not self.view.is_swapped

    def is_text(self, key: str) -> bool:
        """Tell whether a printable key is text for the search box, and not a command.

        While the corpus is being opened there is nothing to command, so that all keys are text.
        """
        if not self.is_current or self.focused is self.search_box:
            return self.is_current
        if self.body.current == "loading":
            return key != "slash"
        return self._explorer is not None and key not in self.active_bindings

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
        """Go to the list, and append the typed text to the trail."""
        self.set_focus(self.hit_list if self.hit_list.focusable else None)  # not while an error is shown
        self.submit()
