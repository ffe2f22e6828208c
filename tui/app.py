"""ExplorerApp: the terminal application; it starts and leaves in order, and dispatches keys in their order."""

from __future__ import annotations

import asyncio
import signal
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Event, Key
from textual.screen import Screen

from tui import messages
from tui.loader import Loader
from tui.screens.answer_view import WIDE_CELLS
from tui.screens.explore import ExploreScreen
from tui.screens.help import HelpScreen
from tui.text import one_line

if TYPE_CHECKING:
    from core.explorer import Explorer
    from core.opening import Opened
    from core.store.progress import Steps

_LEAVING_SECONDS = 0.3  # that a thread is given to end; killed later, it loses nothing


class ExplorerApp(App[None]):
    """The explorer.

    Args:
        open_corpus: Begins to open the corpus; called on a thread after the first frame, since it imports torch.
    """

    CSS_PATH = "app.tcss"
    TITLE = "infersent-tui"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE_CELLS, "-wide")]  # noqa: RUF012 - as Textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-low"), (20, "-high")]  # noqa: RUF012 - as Textual declares it

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("q", "quit", "quit"),
        Binding("ctrl+z", "suspend_process", show=False),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
    ]

    def __init__(self, open_corpus: Callable[[], Steps[Opened]]) -> None:
        super().__init__()
        self.explore = ExploreScreen()
        self._loader = Loader(open_corpus, self.post_message)
        self._explorer: Explorer | None = None

    def get_default_screen(self) -> Screen[None]:
        """Return the main screen."""
        return self.explore

    def on_mount(self) -> None:
        """Show the first frame, then load; leave the terminal in order when told to end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, partial(self.exit, return_code=128 + number))
        self.call_after_refresh(self._loader.start)

    def on_unmount(self) -> None:
        """Let the threads end."""
        for thread in (self.explore.asker, self._loader):
            thread.stop()
        for thread in (self.explore.asker, self._loader):
            thread.join(_LEAVING_SECONDS)
        if self._explorer is not None:
            self._explorer.opened.cache.close()

    @on(messages.Progressed)
    def show_progress(self, message: messages.Progressed) -> None:
        """Show how far loading has come."""
        self.explore.loading_pane.show(message.progress, message.line)

    @on(messages.CorpusOpened)
    def start_exploring(self, message: messages.CorpusOpened) -> None:
        """Let the person explore."""
        self._explorer = message.explorer
        self.explore.open(message.explorer)

    @on(messages.Answered)
    def load_the_rest(self) -> None:
        """Let the loader go on, now that there is something to look at."""
        self._loader.load_rest()

    @on(messages.Warmed)
    def start_calibrating(self) -> None:
        """Calibrate between the questions."""
        if self._explorer is not None and self._explorer.opened.rankers is not None:
            self.explore.asker.calibrate(self._explorer.opened.calibrate())

    @on(messages.Refused)
    def show_error(self, message: messages.Refused) -> None:
        """Show an error in place of the list."""
        self.explore.show_error(message.error)

    @on(messages.BackgroundFailed)
    def tell_failure(self, message: messages.BackgroundFailed) -> None:
        """Say what is missing; the list stays."""
        self.explore.view.show_measuring(None)
        self.log.error("".join(traceback.format_exception(message.error)))
        self.explore.tell([f"{message.what}: {one_line(str(message.error)) or type(message.error).__name__}"])

    @on(messages.Crashed)
    def crash(self, message: messages.Crashed) -> None:
        """Let a bug show its traceback."""
        raise message.error

    async def on_event(self, event: Event) -> None:
        """Dispatch a key outside the box here and now, so that the keys of one burst act in their order.

        Textual hands a key that has no priority to the focused widget, whose turn comes after the keys that have it.
        """
        if isinstance(event, Key) and not event.is_forwarded and self._acts_at_once():
            if not await self._check_bindings(event.key, priority=True):
                await self._check_bindings(event.key)
            return
        await super().on_event(event)

    def _acts_at_once(self) -> bool:
        """Whether keys act on the main screen, outside the box."""
        return self.screen is self.explore and self.focused is not self.explore.search_box

    async def action_quit(self) -> None:
        """Leave; the exit code tells whether a file could not be used."""
        self.exit(return_code=2 if self.explore.error_pane.error else 0)

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(HelpScreen())

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer everything that a key does in the command palette too."""
        useless = {"Keys", "Maximize", "Minimize", "Screenshot"}  # of no use here: see Explain
        yield from (command for command in super().get_system_commands(screen) if command.title not in useless)
        explore, hits = self.explore, self.explore.hit_list
        yield SystemCommand("Search", "Go to the search box (/)", explore.action_focus_search)
        yield SystemCommand("Random caption", "Ask a random caption (r)", explore.action_random)
        yield SystemCommand("Follow", "Make the caption under the cursor the query (enter)", hits.action_follow)
        yield SystemCommand("Back", "Return to the query before (backspace)", explore.action_go_back)
        yield SystemCommand("Next method", "Compare captions by another method (tab)", explore.action_next_method)
        yield SystemCommand(
            "Previous method", "Compare captions by another method (shift+tab)", partial(explore.action_next_method, -1)
        )
        yield SystemCommand("Compare methods", "The lists of all methods side by side (c)", explore.action_compare)
        if hits.sibling_counts is not None:
            yield SystemCommand("Fold images", "Show each image once, or all its captions (s)", explore.action_fold)
        yield SystemCommand("First hit", "Go to the top of the list (g)", partial(hits.action_go, 0))
        yield SystemCommand("Last hit", "Go to the farthest caption (G)", partial(hits.action_go, -1))
        yield SystemCommand("Explain", "Show keys, and how to read the screen (?)", self.action_help)
