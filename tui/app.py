"""ExplorerApp: the screen. It owns the facts, asks core in threads, and hands the answers down to its widgets."""

from __future__ import annotations

import asyncio
import signal
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal
from textual.events import Event, Key, Resize
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import ContentSwitcher, Footer, Input, Static

from core.assets import AssetError
from core.ranking.methods import CHOICES, Choice, Method
from tui.asker import Asker, Contest, Doubt, Question
from tui.loader import Loader
from tui.trail import Trail, Visit
from tui.visible import one_line, visible
from tui.widgets.answer_pane import ImportancePane, VerdictPane
from tui.widgets.caption_pane import CaptionPane
from tui.widgets.compare_screen import CompareScreen
from tui.widgets.help_screen import HelpScreen
from tui.widgets.hit_list import HitList
from tui.widgets.notices import ErrorPane, LoadingPane
from tui.widgets.search_box import SearchBox

if TYPE_CHECKING:
    from core.answers import Answer, Explanation
    from core.explorer import Explorer
    from core.ranking.comparison import Comparison
    from core.ranking.folds import Folding
    from core.ranking.ranking import Ranking
    from core.store.progress import Progress

_SETTLED_SECONDS = 0.4
_LEAVING_SECONDS = 0.3  # that a thread is given to end; killed later, it loses nothing
_WIDE_CELLS = 100  # from here on the panes stand beside the list


class MainScreen(Screen[None]):
    """The screen under all others; Textual's own use of `tab` would hide a binding of the app."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.next_method", "method"),
        Binding("shift+tab", "app.next_method(-1)", "Previous method", show=False),
    ]


class ExplorerApp(App[None]):
    """The explorer's screen.

    Args:
        open_explorer: Makes the explorer; called on a thread after the first frame, since it imports torch.
    """

    CSS_PATH = "app.tcss"
    TITLE = "infersent-tui"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (_WIDE_CELLS, "-wide")]  # noqa: RUF012 - as Textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-low"), (20, "-high")]  # noqa: RUF012 - as Textual declares it
    AUTO_FOCUS = None

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash,i", "focus_search", "search", key_display="/", priority=True),
        Binding("enter", "leave_search", "to the list", key_display="⏎", priority=True),
        Binding("escape,down", "leave_search", show=False, priority=True),
        Binding("r", "random", "random"),
        Binding("ctrl+r", "random", "Random caption", show=False, priority=True),
        Binding("backspace", "go_back", "back", key_display="⌫"),
        Binding("alt+left", "go_back", "Back", show=False, priority=True),
        Binding("c", "compare", "compare"),
        Binding("s", "fold", "images", show=False),  # a footer of 80 cells has no room for it
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("q", "quit", "quit"),
        Binding("ctrl+z", "suspend_process", show=False),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
    ]

    class Opened(Message):
        """Everything is loaded."""

        def __init__(self, explorer: Explorer) -> None:
            super().__init__()
            self.explorer = explorer

    class Progressed(Message):
        """Slow work went on."""

        def __init__(self, progress: Progress, line: str) -> None:
            super().__init__()
            self.progress = progress
            self.line = line

    class Refused(Message):
        """A file cannot be used."""

        def __init__(self, error: AssetError) -> None:
            super().__init__()
            self.error = error

    class Answered(Message):
        """A question has its answer."""

        def __init__(self, question: Question, answer: Answer, folding: Folding) -> None:
            super().__init__()
            self.question = question
            self.answer = answer
            self.folding = folding

    class Ordered(Message):
        """A question has its whole ranking."""

        def __init__(self, question: Question, ranking: Ranking, folding: Folding) -> None:
            super().__init__()
            self.question = question
            self.ranking = ranking
            self.folding = folding

    class Explained(Message):
        """A hit has its explanation."""

        def __init__(self, doubt: Doubt, explanation: Explanation) -> None:
            super().__init__()
            self.doubt = doubt
            self.explanation = explanation

    class Compared(Message):
        """A query has its lists by every method."""

        def __init__(self, contest: Contest, comparison: Comparison) -> None:
            super().__init__()
            self.contest = contest
            self.comparison = comparison

    class Warmed(Message):
        """What typed texts and the other methods need is loaded, too."""

    class Measured(Message):
        """The calibration went on; None at its end."""

        def __init__(self, progress: Progress | None) -> None:
            super().__init__()
            self.progress = progress

    class MeasuringFailed(Message):
        """The calibration raised."""

        def __init__(self, error: Exception) -> None:
            super().__init__()
            self.error = error

    class Crashed(Message):
        """A thread raised: a bug."""

        def __init__(self, error: Exception) -> None:
            super().__init__()
            self.error = error

    def __init__(self, open_explorer: Callable[[], Explorer]) -> None:
        super().__init__()
        self.header_line = Static("infersent-tui", id="header", markup=False)
        self.search_box = SearchBox(id="search")
        self.trail_line = Static("", id="trail", markup=False)
        self.body = ContentSwitcher(initial="loading", id="body")
        self.loading_pane = LoadingPane(id="loading")
        self.error_pane = ErrorPane(id="error")
        self.columns_line = Static("", id="columns", markup=False)
        self.hit_list = HitList(id="hits")
        self.verdict_pane = VerdictPane(id="verdict")
        self.importance_pane = ImportancePane(id="importance")
        self.caption_pane = CaptionPane(id="caption")
        self.timings_line = Static("", id="timings", markup=False)
        self._open_explorer = open_explorer
        self._explorer: Explorer | None = None
        self._loader: Loader | None = None
        self._asker: Asker | None = None
        self._width = 80  # cells, as of the last resize
        self._trail = Trail()
        self._typing = False  # typed text is shown, which is no step of the trail yet
        self._told: set[str] = set()  # problems that were shown
        self._serial = 0  # of the latest question
        self._shown_serial = 0  # of the question whose answer is shown
        self._settled = False  # whether that question was
        self._answer: Answer | None = None
        self._method: Choice = "infersent"
        self._doubted: tuple[int, int | None] | None = None  # the question and the hit whose explanation was asked
        self._cursor_wanted: int | None = None  # a place in the ranking, to go to once it is there
        self._cursor_meanwhile: int | None = None  # where the cursor waits for that
        self._settling: Timer | None = None

    def compose(self) -> ComposeResult:
        """Header, box, trail, then the list beside the panes, and the footer."""
        yield self.header_line
        with Horizontal(id="query"):
            yield Static(">", id="prompt")
            yield self.search_box
        yield self.trail_line
        with self.body:
            yield self.loading_pane
            yield self.error_pane
            with Container(id="answer"):
                with Container(id="ranking"):
                    yield self.columns_line
                    yield self.hit_list
                with Container(id="panes"):
                    yield self.verdict_pane
                    yield self.importance_pane
                    yield self.caption_pane
        with Horizontal(id="bottom"):
            yield Footer(show_command_palette=False, compact=True)
            yield self.timings_line

    def on_mount(self) -> None:
        """Show the first frame, then load; leave the terminal in order when told to end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, partial(self.exit, return_code=128 + number))
        self.call_after_refresh(self._load)

    def on_unmount(self) -> None:
        """Let the threads end."""
        threads = [thread for thread in (self._asker, self._loader) if thread is not None]
        for thread in threads:
            thread.stop()
        for thread in threads:
            thread.join(_LEAVING_SECONDS)
        if self._explorer is not None:
            self._explorer.cache.close()

    def _load(self) -> None:
        self._loader = Loader(
            self._open_explorer,
            progressed=lambda progress, line: self.post_message(self.Progressed(progress, line)),
            opened=lambda explorer: self.post_message(self.Opened(explorer)),
            warmed=lambda: self.post_message(self.Warmed()),
            failed=self._fail,
        )

    def _fail(self, error: Exception) -> None:
        self.post_message(self.Refused(error) if isinstance(error, AssetError) else self.Crashed(error))

    @on(Progressed)
    def show_progress(self, message: Progressed) -> None:
        """Show how far loading has come."""
        self.loading_pane.show(message.progress, message.line)

    @on(Refused)
    def show_error(self, message: Refused) -> None:
        """Show an error in place of the list."""
        self.error_pane.error = message.error
        self.body.current = "error"

    @on(Opened)
    def start_exploring(self, message: Opened) -> None:
        """Open the list; ask what was typed meanwhile, or else a random caption."""
        self._explorer = explorer = message.explorer
        self._asker = Asker(
            explorer,
            answered=lambda *of: self.post_message(self.Answered(*of)),
            ordered=lambda *of: self.post_message(self.Ordered(*of)),
            explained=lambda *of: self.post_message(self.Explained(*of)),
            compared=lambda *of: self.post_message(self.Compared(*of)),
            failed=self._fail,
        )
        self.hit_list.texts = explorer.captions.texts
        self.hit_list.copies, self.hit_list.sisters = explorer.folds.copies, explorer.folds.sisters
        self.refresh_bindings()
        self._show_header()
        self.body.current = "answer"
        self._tell(explorer.problems())
        if self.search_box.value.strip():
            if not self.search_box.has_focus:
                self.search_box.focus()
            self._ask(self.search_box.value)
        else:
            if not self.search_box.has_focus:
                self.hit_list.focus()
            self.action_random()

    @on(Warmed)
    def start_measuring(self) -> None:
        """Calibrate between the questions."""
        if self._explorer is not None and self._asker is not None:
            self._asker.work_on(
                self._explorer.calibrate(),
                lambda progress: self.post_message(self.Measured(progress)),
                failed=lambda error: self.post_message(self.MeasuringFailed(error)),
            )

    @on(Measured)
    def show_measuring(self, message: Measured) -> None:
        """Show how far the calibration is; judge the present query again at its end."""
        progress = message.progress
        if progress is not None:
            share = f" {progress.done / progress.total:.0%}" if progress.total else ""
            self.verdict_pane.measuring = f"{progress.stage}{share}"
            return
        self.verdict_pane.measuring = ""
        self.verdict_pane.calibration = self._explorer.calibration if self._explorer else None
        if self._answer is not None and self._shown_serial == self._serial:
            self._ask(self._answer.text, row=self._answer.row)

    @on(MeasuringFailed)
    def show_measuring_failed(self, message: MeasuringFailed) -> None:
        """Say that nothing was measured; the list stays, and the next start tries again."""
        self.verdict_pane.measuring = ""
        self.log.error("".join(traceback.format_exception(message.error)))
        reason = str(message.error) or type(message.error).__name__
        self._tell([f"the calibration failed, and is tried again at the next start: {reason}"])

    # Asking

    def _ask(self, text: str = "", *, row: int | None = None, settled: bool = True) -> None:
        if self._settling is not None:
            self._settling.stop()
        self._serial += 1
        self._cursor_wanted = None
        if self._asker is not None:
            self._asker.ask(Question(self._serial, text, row, settled, self._method))

    def _go(self, visit: Visit) -> None:
        if not self._typing:
            self._trail.leave(self.hit_list.place or 0)
        self._trail.go(visit)
        self._present(visit)

    def _present(self, visit: Visit) -> None:
        """Ask a step of the trail, with its text in the box."""
        self._typing = False
        with self.search_box.prevent(Input.Changed):
            self.search_box.show(visible(visit.text))
        self._ask(visit.text, row=visit.row)
        self._cursor_wanted = visit.cursor

    @on(Input.Changed, "#search")
    def ask_while_typing(self, message: Input.Changed) -> None:
        """Ask at every keystroke; once more when the typing rests."""
        if not self._typing:
            self._trail.leave(self.hit_list.place or 0)
            self._typing = True
        self._ask(message.value, settled=False)
        self._settling = self.set_timer(_SETTLED_SECONDS, lambda: self._ask(message.value))

    @on(SearchBox.Left)
    def submit(self) -> None:
        """Go to the list; what was typed becomes a step of the trail."""
        self.hit_list.focus()
        text = self.search_box.value
        if not text.strip():
            return
        if self._trail.here is None or visible(self._trail.here.text) != text:
            self._go(Visit(text, None))
        else:
            self._typing = False  # it is where the trail stands already

    @on(HitList.Pasted)
    def ask_pasted(self, message: HitList.Pasted) -> None:
        """Take a text that is pasted outside the box for a query."""
        self.action_focus_search()
        self.search_box.value = one_line(message.text)

    @on(HitList.Followed)
    def follow(self, message: HitList.Followed) -> None:
        """Make the chosen hit the query."""
        if self._explorer is not None:
            self._go(Visit(self._explorer.captions.texts[message.row], message.row))

    def action_random(self) -> None:
        """Ask a random caption."""
        if self._explorer is not None:
            try:
                row = self._explorer.random_row(other_than=self._trail.here.row if self._trail.here else None)
            except AssetError as error:
                self.post_message(self.Refused(error))
            else:
                self._go(Visit(self._explorer.captions.texts[row], row))

    def action_go_back(self) -> None:
        """Return to the query before, and to where the cursor was."""
        visit = self._trail.here if self._typing else self._trail.back()
        if visit is not None:
            self._present(visit)

    # Showing

    @on(Answered)
    def show_answer(self, message: Answered) -> None:
        """Show an answer, unless it is no longer the question."""
        if self._loader is not None:
            self._loader.go_on()
        if message.question.serial != self._serial:
            return
        before, answer = self._answer, message.answer
        self._answer, self._shown_serial, self._settled = answer, message.question.serial, message.question.settled
        hits = self.hit_list
        same = before is not None and _about(before) == _about(answer)
        hits.query_row = answer.row
        hits.scale = _scale(answer)
        if not (same and hits.ranking is not None and _begins_with(hits.ranking, answer.hits)):
            hits.show(answer.hits, message.folding)
        hits.closer_than = self._closer_than(answer)
        hits.notice = visible(answer.verdict.reasons[0]) if answer.verdict and not len(answer.hits) else ""
        if self._cursor_wanted is not None:
            hits.go_to(self._cursor_wanted)
            if self._cursor_wanted < len(answer.hits):
                self._cursor_wanted = None
            self._cursor_meanwhile = hits.place
        elif not same:
            hits.scroll_to(y=0, animate=False, force=True)
            hits.go(0 if answer.row is None else 1)
        if self._explorer is not None:
            self._tell(self._explorer.problems_of_asking())
        self.verdict_pane.answer = answer
        self.importance_pane.answer = answer
        self._explain()
        self._show_lines()

    def _closer_than(self, answer: Answer) -> Callable[[float], float] | None:
        """What turns the distance of a hit into the share of random captions that are farther; None if unknown."""
        calibration, known = self.verdict_pane.calibration, sum(token.known for token in answer.tokens)
        if calibration is None or answer.closer_than is None or not known:
            return None
        return lambda distance: float(calibration.closer_than(distance, known))

    @on(Ordered)
    def show_order(self, message: Ordered) -> None:
        """Put the whole ranking in place of the leading hits."""
        if message.question.serial != self._serial:
            return
        cursor = self.hit_list.place
        self.hit_list.show(message.ranking, message.folding)
        if self._cursor_wanted is not None and cursor == self._cursor_meanwhile:
            self.hit_list.go_to(self._cursor_wanted)
        self._cursor_wanted = None

    @on(HitList.CursorMoved)
    def show_caption(self, message: HitList.CursorMoved) -> None:
        """Show the caption under the cursor in full."""
        pane, explorer = self.caption_pane, self._explorer
        self._explain()
        self._show_columns()
        if explorer is None or message.row is None:
            pane.caption = pane.about = ""
            return
        captions = explorer.captions
        pane.caption = captions.texts[message.row]
        group = captions.group(message.row)
        about = [f"caption {captions.ids[message.row]}"]
        if group is not None:
            about += [f"image {group}", captions.file_names.get(group, ""), captions.urls.get(group, "")]
        calibration = self.verdict_pane.calibration
        if calibration is not None and message.row in calibration.hub_set:
            about.append("a hub: it is near far more captions than others are")
        pane.about = "\n".join(filter(None, about))

    @on(Explained)
    def show_explanation(self, message: Explained) -> None:
        """Show why the hit under the cursor is near, unless the cursor or the question has gone on."""
        if (message.doubt.serial, message.doubt.row) == (self._serial, self.hit_list.row):
            self.caption_pane.explanation = message.explanation

    def _explain(self) -> None:
        """Ask why the hit under the cursor is near, once it is painted; while one types, nobody wonders yet."""
        answer, row, doubted = self._answer, self.hit_list.row, (self._shown_serial, self.hit_list.row)
        if doubted == self._doubted:
            return
        self.caption_pane.explanation, self._doubted = None, None
        if self._asker is not None and answer is not None and row is not None and self._settled:
            self._doubted = doubted
            self.call_after_refresh(self._asker.explain, Doubt(self._shown_serial, answer, row))

    def _show_columns(self) -> None:
        """Say what the columns hold, and where the cursor is."""
        hits = self.hit_list
        place = "no hits"
        if hits.ranking is not None and hits.place is not None:
            place = f"{hits.place + 1:,} of {len(hits.ranking):,}"
            place += f" · {len(hits):,} images" if hits.by_image else ""
        value = "distance" if hits.ranking is None or hits.ranking.scores is None else "score   "
        method = self._answer.method if self._answer else self._method
        closer = " closer" if hits.shows_closer else ""
        self.columns_line.update(f"    # {value}         {closer} caption   {place} · by {method}")

    def _show_header(self) -> None:
        """Name the method, the model, the corpus and the device."""
        explorer = self._explorer
        if explorer is not None:
            short = {"bfloat16": "bf16", "float32": "f32"}[explorer.dtype]
            self.header_line.update(
                f"infersent-tui   {self._method} · {explorer.model_name} · {explorer.assets.vectors.name}"
                f" ({len(explorer.vectors):,}) · {explorer.captions_name} ({len(explorer.captions):,})"
                f" · {explorer.device} {short}"
            )

    @on(Crashed)
    def crash(self, message: Crashed) -> None:
        """Let a bug show its traceback."""
        raise message.error

    def on_resize(self, event: Resize) -> None:
        """Fit trail, timings and panes to the window."""
        self._width = event.size.width
        self.importance_pane.most_words = 5 if self._is_narrow else max(5, event.size.height - 32)
        self.caption_pane.most_words = max(4, event.size.height - 40)
        self.caption_pane.brief = self.verdict_pane.brief = self._is_narrow
        self._show_lines()

    @property
    def _is_in_box(self) -> bool:
        """Whether keys type: true at once, where `has_focus` waits for the box to learn of it."""
        return self.focused is self.search_box

    @property
    def _is_narrow(self) -> bool:
        return self._width < _WIDE_CELLS

    def _tell(self, problems: list[str]) -> None:
        """Show problems that were not shown before."""
        for problem in problems:
            if problem not in self._told:
                self._told.add(problem)
                self.notify(visible(problem), severity="warning", markup=False)

    def _show_lines(self) -> None:
        self.trail_line.update(visible(self._trail.line(self._width - 2)))
        if self._answer is not None:
            self.timings_line.update(_timings(self._answer, brief=self._is_narrow))

    # Keys

    async def on_event(self, event: Event) -> None:
        """Dispatch a key outside the box here and now, so that the keys of one burst act in their order.

        Textual hands a key that has no priority to the focused widget, whose turn comes after the keys that have it.
        """
        here = len(self.screen_stack) == 1 and not self._is_in_box
        if isinstance(event, Key) and not event.is_forwarded and here:
            if not await self._check_bindings(event.key, priority=True):
                await self._check_bindings(event.key)
            return
        await super().on_event(event)

    async def action_quit(self) -> None:
        """Leave; the exit code tells whether a file could not be used."""
        self.exit(return_code=2 if self.error_pane.error else 0)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave `/` and `i` to the box while it has the focus, and its leaving keys to the others while it has not."""
        if action in ("focus_search", "leave_search"):
            return len(self.screen_stack) == 1 and self._is_in_box == (action == "leave_search")
        if action in ("next_method", "compare") and len(self.screen_stack) > 1:
            return False
        if action == "fold":
            return self.hit_list.sisters is not None
        return True

    def get_default_screen(self) -> Screen[None]:
        """Make the main screen."""
        return MainScreen(id="_default")

    def action_next_method(self, steps: int = 1) -> None:
        """Compare the captions in another way, from now on."""
        if self._are_methods_open():
            self._method = CHOICES[(CHOICES.index(self._method) + steps) % len(CHOICES)]
            self._show_header()
            if self._answer is not None and self._answer.terms:
                self.notify("sums have a place in the sentence space only: this list is by infersent")
            if self._typing:
                self._ask(self.search_box.value)
            elif self._trail.here is not None:
                self._ask(self._trail.here.text, row=self._trail.here.row)

    def action_compare(self) -> None:
        """Show the lists of all methods for the present query side by side."""
        answer = self._answer
        if not self._are_methods_open() or answer is None or self._asker is None:
            return
        if answer.terms:
            self.notify("sums have a place in the sentence space only: there is nothing to compare")
        elif len(answer.hits):
            first = answer.method
            self.push_screen(CompareScreen(answer.text, self.hit_list.texts, first=first), self._follow_compared)
            self._asker.compare(Contest(answer.text, answer.row))

    @on(Compared)
    def show_comparison(self, message: Compared) -> None:
        """Show the lists, if they are still looked at."""
        if isinstance(self.screen, CompareScreen) and self.screen.query_text == message.contest.text:
            self.screen.comparison = message.comparison

    def _follow_compared(self, row: int | None) -> None:
        if self._asker is not None:
            self._asker.compare(None)
        if row is not None and self._explorer is not None:
            self._go(Visit(self._explorer.captions.texts[row], row))

    def _are_methods_open(self) -> bool:
        """Whether other methods can be asked; says so when they cannot yet."""
        if self._explorer is None:
            return False
        if not self._explorer.has_methods:
            self.notify("the other methods are still being opened")
        return self._explorer.has_methods

    def action_fold(self) -> None:
        """Show each image once, at its nearest caption, or all captions again."""
        self.hit_list.fold(not self.hit_list.by_image)

    def action_focus_search(self) -> None:
        """Go to the search box before the next key is dispatched; what is typed there replaces the text."""
        self.screen.set_focus(self.search_box)
        self.search_box.select_text()

    def action_leave_search(self) -> None:
        """Go to the list before the next key is dispatched; the box still has keys of its own to type first."""
        self.screen.set_focus(self.hit_list)
        self.search_box.call_later(self.search_box.action_leave)

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(HelpScreen())

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer everything that a key does in the command palette too."""
        useless = {"Keys", "Maximize", "Minimize", "Screenshot"}  # of no use here: see Explain
        yield from (command for command in super().get_system_commands(screen) if command.title not in useless)
        yield SystemCommand("Search", "Go to the search box (/)", self.action_focus_search)
        yield SystemCommand("Random caption", "Ask a random caption (r)", self.action_random)
        yield SystemCommand(
            "Follow", "Make the caption under the cursor the query (enter)", self.hit_list.action_follow
        )
        yield SystemCommand("Back", "Return to the query before (backspace)", self.action_go_back)
        yield SystemCommand("Next method", "Compare captions in another way (tab)", self.action_next_method)
        yield SystemCommand(
            "Previous method", "Compare captions in another way (shift+tab)", lambda: self.action_next_method(-1)
        )
        yield SystemCommand("Compare methods", "The lists of all methods side by side (c)", self.action_compare)
        if self.hit_list.sisters is not None:
            yield SystemCommand("Fold images", "Show each image once, or all its captions (s)", self.action_fold)
        yield SystemCommand("First hit", "Go to the top of the list (g)", lambda: self.hit_list.action_go(0))
        yield SystemCommand("Last hit", "Go to the farthest caption (G)", lambda: self.hit_list.action_go(-1))
        yield SystemCommand("Explain", "Show keys, and how to read the screen (?)", self.action_help)


def _about(answer: Answer) -> tuple[str, int | None, Method]:
    """What an answer answers."""
    return answer.text, answer.row, answer.method


def _scale(answer: Answer) -> float:
    """The distance that a full bar stands for."""
    median = answer.found.median_distance if answer.found else None
    return 1.0 if median is None else max(median, 1e-6)


def _begins_with(ranking: Ranking, hits: Ranking) -> bool:
    """Whether the leading hits are those of a longer ranking that is shown already."""
    k = len(hits)
    return 0 < k < len(ranking) and bool((ranking.rows[:k] == hits.rows).all())


def _timings(answer: Answer, *, brief: bool) -> str:
    total = answer.timings_ms["total"]
    if brief:
        return f"{total:.0f} ms"
    parts = [f"{step} {answer.timings_ms[step]:.1f}" for step in ("encode", "search") if step in answer.timings_ms]
    return " · ".join([*parts, f"total {total:.1f} ms"])
