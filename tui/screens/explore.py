"""ExploreScreen: the main screen. It sends requests to core and passes the answers to its widgets."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Resize
from textual.reactive import reactive
from textual.widgets import Static

from core.assets import AssetError
from core.store.progress import Progress
from tui import messages
from tui.lines import header, nearness, pin_line, query_title, timings_line
from tui.requests import ExplanationRequest, PageRequest, Question
from tui.screens.answer_view import HIGH_CELLS
from tui.screens.mapping import MappingScreen
from tui.text import drawable, message_line
from tui.trail import Run, TrailWriter
from tui.widgets.hit_list import HitList
from tui.widgets.key_line import KeyLine
from tui.widgets.notices import ErrorPane, LoadingPane

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.explorer import Explorer
    from tui.settings import Settings

_MOST_HITS, _GROWTH = 16_000, 4  # hits of a store that are listed, and how many times as many come at once
_OF_ALL = ("next_method", "compare", "only_region")  # these keys need all captions in memory
_LONG_STATUS_CELLS = 116  # from this width on, the last line has room for the parts of the time beside the keys


class ExploreScreen(MappingScreen):
    """The search box, the ranked list and the panels. Call `open` with a corpus to begin."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "fold", "images", show=False, id="images"),  # a footer of 80 cells has no room for it
        Binding("v", "swap_panels", "why", show=False, id="why"),  # the folded panel names it
    ]

    heading: reactive[Content] = reactive(Content(""), repaint=False)
    """The first line: corpus, model and methods."""
    query_title: reactive[Content] = reactive(Content("query"), repaint=False)
    """The title of the search box."""
    pinned: reactive[Content | None] = reactive(None, repaint=False)
    """The line of the pinned query, with its distance; None without a pin."""
    status: reactive[str] = reactive("", repaint=False)
    """The end of the last line: work in the background, and the time that the answer took."""

    def __init__(self, trail: TrailWriter, resumed: Run | None) -> None:
        super().__init__(trail, resumed, id="_default")
        self.header_line = Static("infersent-tui", id="header", markup=False)
        self.query_panel = Horizontal(id="query", classes="panel")
        self.pin_line = Static("", id="pin", markup=False)
        self.loading_pane = LoadingPane(id="loading")
        self.error_pane = ErrorPane(id="error")
        self.key_line = KeyLine(id="keys")
        self.status_line = Static("", id="status", markup=False)
        self._explained: tuple[int, int | None] | None = None  # question serial and row of the last explanation request
        self._extended: tuple[int, int] | None = None  # question and number of hits for which more were requested
        self._understood = ""  # what was understood of the captions file
        self._shown_problems: set[str] = set()
        self._activity = ""  # work in the background

    def compose(self) -> ComposeResult:
        """Yield the lines from top to bottom."""
        yield self.header_line
        with self.query_panel:
            yield Static(">", id="prompt")
            yield self.search_box
        yield self.pin_line
        with self.body:
            yield self.loading_pane
            yield self.error_pane
            yield self.view
        with Horizontal(id="bottom"):
            yield self.key_line
            yield self.status_line

    def on_mount(self) -> None:
        """Name keys only where they are keys: while files are opened, all of them type."""

        def show(current: str | None) -> None:
            self.key_line.visible = current != "loading"

        self.watch(self.body, "current", show)

    def use_keys(self, keymap: Mapping[str, str]) -> None:
        """Name the keys of `keymap` in the hints."""
        super().use_keys(keymap)
        self.error_pane.key_of = self.key_of

    def use_settings(self, settings: Settings) -> None:
        """Draw random captions by the seed, the map by the font, and images as the terminal can."""
        if settings.seed is not None:
            self.rng = Random(settings.seed)
        self.view.map_pane.is_ascii = settings.ascii
        self.pictures, self.graphics = settings.pictures, settings.graphics

    # Opening

    def open(self, explorer: Explorer) -> None:
        """Show the list and ask the text that was typed while loading, or a random caption if there is none."""
        self.explorer = explorer
        self._understood = explorer.opened.captions.understood()
        self.view.open(explorer.opened)
        self.refresh_bindings()
        self.show_lines()
        self.body.current = "answer"
        not_understood = explorer.opened.captions.not_understood()
        self.show_problems([f"captions: {' · '.join(not_understood)}"] if not_understood else [])
        self.show_problems(explorer.opened.problems())
        self.asker.start(explorer)
        if self.focused is not self.search_box or not self.search_box.value:
            self.set_focus(self.hit_list)
        typed = self.search_box.value if self.session.is_typing else ""
        early = self.begin_trail(explorer)
        self.mark_bookmarks()
        for visit in early:
            self.go(visit)
        if early and typed.strip():  # it came after those
            self.search_box.value, self.search_box.cursor_position = typed, len(typed)
        if self.search_box.value.strip():
            return
        if self.session.here is None:
            self.action_random()
        else:
            self.ask_visit(self.session.return_to(self.session.here))

    def show_error(self, error: AssetError) -> None:
        """Show an error in place of the list until another question is answered."""
        self.error_pane.error, self.error_pane.can_go_on = error, self.explorer is not None
        self.body.current = "error"
        if self.explorer is None:
            self.set_focus(None)  # so that q quits
        self.refresh_bindings()

    def show_loading(self) -> None:
        """Show that files are being opened."""
        self.error_pane.error, self.body.current = None, "loading"
        self.refresh_bindings()

    @on(messages.Failed)
    def show_failure(self, message: messages.Failed) -> None:
        """Show the error in place of the list if a question has no answer; else notify the person."""
        request, error = message.request, message.error
        if isinstance(request, Question) and not message.has_result:
            if self.session.is_current(request):
                self.show_error(error)
            return
        self.close_overlay(request)
        self.view.map_pane.show_progress("")
        self.show_problems([f"a part of the answer is missing: {message_line(error)}"])

    def show_problems(self, problems: list[str]) -> None:
        """Notify the person of problems, each only once, and together."""
        new = [problem for problem in dict.fromkeys(problems) if problem not in self._shown_problems]
        self._shown_problems.update(new)
        if new:
            seconds = 3.0 + 3.0 * len(new)  # to read them
            self.notify("\n".join(new), severity="warning", markup=False, timeout=seconds)

    @on(messages.Measured)
    def show_measuring(self, message: messages.Measured) -> None:
        """Show the progress of the calibration; at its end, judge by it."""
        self.show_activity(message.progress)
        if message.progress is None:
            self.judge_again()

    def judge_again(self) -> None:
        """Ask the current query again, now that there is a calibration, or that there will be none."""
        if self.explorer is not None:
            self.view.trust(self.explorer.opened.calibration)
            if self.session.is_shown:
                self.ask(self.session.again(self.view.answer, self.search_box.value))

    def show_activity(self, progress: Progress | None) -> None:
        """Show the progress of background work in the last line; None at its end."""
        text = "" if progress is None else drawable(progress.stage)
        if progress is not None and progress.total and ":" not in text:  # of several parts, each would count to 100 %
            text += f" {progress.done / progress.total:.0%}"
        is_above = text.startswith("calibrating") and self.size.height >= HIGH_CELLS
        self.view.show_measuring(text if is_above else "")
        self._activity = "" if is_above else text
        self._show_status()

    # Showing

    @on(messages.Answered)
    def show_answer(self, message: messages.Answered) -> None:
        """Show an answer, unless its question is no longer the latest."""
        if not self.session.is_current(message.question):
            return
        texts = () if self.explorer is None else self.explorer.opened.captions.shown
        self.session.note_answer(message.question, message.answer, texts)
        self.error_pane.error, self.body.current = None, "answer"
        if self.focused is None:
            self.set_focus(self.hit_list)
        wanted = self.session.place_for_answer(len(message.answer.hits))
        visited = {visit.row for visit in self.session.visits if visit.row is not None}
        self.view.show_answer(message.answer, message.folding, cursor=wanted, visited=visited)
        self.session.note_cursor(self.hit_list.place)
        if self.explorer is not None:
            self.show_problems(self.explorer.opened.problems_of_asking())
        self._explain()
        self.show_lines()

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
        self.hit_list.redraw()

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

    @on(HitList.CursorMoved)
    def _rank_more(self) -> None:
        """Rank more hits of a store as the cursor nears the end of the list."""
        answer, shown, hits = self.view.answer, self.session.shown, self.hit_list
        if answer is None or shown is None or hits.ranking is None:
            return
        count = len(hits.ranking)
        is_near_end = len(answer.hits) < count < _MOST_HITS and hits.cursor >= len(hits) - len(answer.hits)
        has_more = answer.found is not None and answer.found.up_to is not None
        if is_near_end and has_more and self._extended != (shown.serial, count):  # else there were no more
            self._extended = shown.serial, count
            self.asker.ask(PageRequest(shown, answer, count * _GROWTH))

    @on(Resize)
    def show_lines(self) -> None:
        """Update the header, the title of the search box and the last line."""
        if self.explorer is not None:
            opened, width = self.explorer.opened, self.size.width - 2
            key = "" if opened.is_sampled else self.key_of("method")
            self.heading = header(opened, self.session.method, width=width, key=key)
        self.query_title = query_title(self.session, self._understood)
        self.pinned = self._pin_line()
        self._show_status()

    def _pin_line(self) -> Content | None:
        """Describe the pinned query and its distance to the one that is shown."""
        pin, answer = self.session.pin, self.view.answer
        if pin is None or pin.embedding is None or answer is None:
            return None
        if answer.query.text == pin.text:
            return pin_line(pin.text, f"{self.key_of('pin')} removes the pin", width=self.size.width - 2)
        if answer.query.embedding is None:
            return pin_line(pin.text, "no distance: this query has no embedding", width=self.size.width - 2)
        from core.ranking.ranking import cosine_distance  # numpy is not loaded before the first frame

        distance = cosine_distance(pin.embedding, answer.query.embedding)
        closer = self.view.closer_than(distance) if pin.is_text else None
        told = nearness(distance, is_score=False, closer=None if closer is None else float(closer))
        told += "" if answer.method == "infersent" else ", by infersent"
        return pin_line(pin.text, told, width=self.size.width - 2)

    def _show_status(self) -> None:
        brief = self.size.width < _LONG_STATUS_CELLS
        timings = "" if self.view.answer is None else timings_line(self.view.answer, brief=brief)
        parts = [self._activity] if brief and self._activity else [self._activity, timings]  # hints need the room
        self.status = " · ".join(filter(None, parts))

    def watch_heading(self) -> None:
        """Draw the first line."""
        self.header_line.update(self.heading, layout=False)

    def watch_query_title(self) -> None:
        """Title the search box."""
        self.query_panel.border_title = self.query_title

    def watch_pinned(self) -> None:
        """Draw the pinned query, which has a line only if there is one."""
        self.pin_line.display = self.pinned is not None
        self.pin_line.update(self.pinned or "", layout=False)

    def watch_status(self, before: str, now: str) -> None:
        """Draw the end of the last line, which moves what stands beside it only if its length changes."""
        self.status_line.update(now, layout=cell_len(before) != cell_len(now))

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Disable the keys that do nothing now, so that the last line names only those that do something."""
        if self.explorer is None and self.body.current == "error" and self.focused is not self.search_box:
            return action in ("open_again", "open_other", "focus_search")
        if action in _OF_ALL and self.explorer is not None and self.explorer.opened.is_sampled:
            return False
        if action in ("focus_search", "leave_search"):
            return (self.focused is self.search_box) == (action == "leave_search")
        return action not in ("open_again", "open_other")

    def action_fold(self) -> None:
        """Show each image once, at its nearest caption, or all captions again."""
        if not self.hit_list.can_fold:
            self.notify("the file of these captions does not say which belong to one image")
        else:
            self.hit_list.fold(not self.hit_list.by_image)

    def action_swap_panels(self) -> None:
        """Show the panels whole, or a line of each."""
        self.view.is_swapped = not self.view.is_swapped
