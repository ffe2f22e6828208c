"""ExplorerApp: the terminal application. It starts and stops the threads, and dispatches keys in their order."""

from __future__ import annotations

import asyncio
import base64
import os
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.events import Event, Key, MouseEvent, Paste
from textual.screen import Screen, SystemModalScreen
from textual.theme import Theme
from textual.widget import Widget

from tui import garbage, messages
from tui.keys import COMMANDS, keys_of, usable_keys
from tui.loader import Loader
from tui.output import FAULT, fault_text
from tui.screens.answer_view import HIGH_CELLS, ROOMY_CELLS, WIDE_CELLS
from tui.screens.explore import ExploreScreen
from tui.screens.help import HelpScreen
from tui.settings import HIGH_CONTRAST, Settings, keep_theme, last_theme
from tui.text import drawable_lines, message_line, one_line
from tui.trail import Run, TrailWriter
from tui.widgets.search_box import SearchBox, boxed

if TYPE_CHECKING:
    from core.opened import Opened
    from core.store.progress import Steps
    from tui.watchdog import Watchdog

_HANDLED_SECONDS = 0.5  # the longest wait for the messages of one key
_ATTACHED_SECONDS = 0.02  # time between two looks whether their widget is still there
_EXIT_SECONDS = 0.3  # the longest wait for each thread; killing a thread later loses no data

_HIGH_CONTRAST = Theme(
    name=HIGH_CONTRAST,
    primary="#00ffff",
    accent="#ffff00",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#000000",
    success="#00ff00",
    warning="#ffff00",
    error="#ff8080",
    variables=dict.fromkeys(("frame", "foreground-muted", "text-muted"), "#ffffff"),
)


class ExplorerApp(App[Path | dict[str, Any]]):
    """The explorer. It calls `open_corpus` on a thread after the first frame, because that imports torch.

    Its result is what the person wants to explore in place of these captions: another file, or the options of an
    earlier run; None for nothing.
    """

    CSS_PATH = "app.tcss"
    TITLE = "infersent-tui"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE_CELLS, "-wide"), (ROOMY_CELLS, "-roomy")]  # noqa: RUF012 - as Textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-low"), (HIGH_CELLS, "-high")]  # noqa: RUF012 - as Textual declares it

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "help", key_display="?", id="help"),
        Binding("q", "quit", "quit", id="quit"),
        Binding("ctrl+z", "suspend_process", show=False, priority=True),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
    ]

    def __init__(
        self,
        open_corpus: Callable[[], Steps[Opened]],
        watchdog: Watchdog | None = None,
        *,
        trail: TrailWriter | None = None,
        resumed: Run | None = None,
        settings: Settings | None = None,
    ) -> None:
        super().__init__()
        self._settings = settings or Settings()
        self._watchdog = watchdog
        self.explore = ExploreScreen(trail or TrailWriter(None), resumed)
        if self._settings.low_bandwidth:
            self.animation_level = "none"
        self._keys, problems = usable_keys(self._settings.keys)
        self.set_keymap(self._keys)
        self.explore.use_keys(self._keys)
        self.explore.use_settings(self._settings)
        self._problems = [*self._settings.problems, *problems]
        if self._problems and self._settings.path is not None:
            self._problems.insert(0, f"{self._settings.path}:")
        self.register_theme(_HIGH_CONTRAST)
        self._choose_theme()
        self._early: list[Event] | None = []
        self._used_at = 0.0  # the monotonic time of the last key or movement of the mouse
        self._open_corpus = open_corpus
        self._loader = Loader(open_corpus, self.post_message)

    def get_default_screen(self) -> Screen[None]:
        """Return the main screen."""
        return self.explore

    async def on_ready(self) -> None:
        """Take the keys that were pressed before the screen was there."""
        early, self._early = self._early or [], None
        for event in early:
            await self.on_event(event)

    def on_mount(self) -> None:
        """Load after the first frame; exit cleanly when the watchdog asks for it."""
        if self._watchdog is not None:
            loop = asyncio.get_running_loop()
            self._watchdog.ask_to_leave = lambda code: loop.call_soon_threadsafe(partial(self.exit, return_code=code))
        self.call_after_refresh(self._loader.start)
        self.explore.show_problems(self._problems)
        self.mutate_reactive(App.ansi_color)  # the theme that `_choose_theme` set may have the terminal's colours
        self.watch(self, "theme", keep_theme, init=False)
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))
        garbage.collect_rarely()
        garbage.free_painted_lines()
        self.set_interval(garbage.PAUSE_SECONDS / 2, lambda: garbage.collect_in_a_pause(self._used_at))

    def notify(self, message: str, **how: Any) -> None:
        """Show a notice, unless an equal one is still shown; nothing in it controls the terminal."""
        message = drawable_lines(message)
        if message not in (notice.message for notice in self._notifications):
            super().notify(message, **how)

    def action_clear_notices(self) -> None:
        """Take the notices away."""
        self.clear_notifications()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return the colours that themes need not have: that of the frames without the focus."""
        return {"frame": f"{self.current_theme.to_color_system().generate()['foreground']} 25%"}

    def _choose_theme(self) -> None:
        """Take the theme of the settings, else the one that was chosen last, before the style sheet is read."""
        wanted = self._settings.theme or last_theme()
        if wanted in self.available_themes:
            self.set_reactive(App.theme, wanted)
            is_dark = self.current_theme.dark
            self.set_class(is_dark, "-dark-mode").set_class(not is_dark, "-light-mode")
            self.add_class(f"-theme-{wanted}")
            self.stylesheet.set_variables(self.get_css_variables())

    def on_unmount(self) -> None:
        """Stop the threads and close the cache."""
        for thread in (self.explore.asker, self._loader):
            thread.stop()
        for thread in (self.explore.asker, self._loader):
            thread.join(_EXIT_SECONDS)
        if self.explore.explorer is not None:
            self.explore.explorer.opened.cache.close()

    @on(messages.Progressed)
    def show_progress(self, message: messages.Progressed) -> None:
        """Show the progress of loading, in the last line once the list is there."""
        if self.explore.explorer is None:
            self.explore.loading_pane.show(message.progress, message.line)
        else:
            self.explore.show_activity(message.progress)

    @on(messages.CorpusOpened)
    def start_exploring(self, message: messages.CorpusOpened) -> None:
        """Hand the opened corpus to the main screen."""
        self.explore.open(message.explorer)

    @on(messages.Answered)
    def load_the_rest(self) -> None:
        """Let the loader continue, now that the first answer is shown."""
        self._loader.load_rest()

    @on(messages.Warmed)
    def start_calibrating(self, message: messages.Warmed) -> None:
        """Calibrate while no request is waiting; before a second encoder is there, only load what was measured.

        Without the methods there is no calibration, and what was measured before cannot be loaded.
        """
        self.explore.show_activity(None)
        self.explore.show_lines()  # with the name of a second encoder
        self.explore.hit_list.redraw()  # with the words that hits share with the query, which bm25 finds
        opened = None if self.explore.explorer is None else self.explore.explorer.opened
        if opened is not None and opened.rankers is not None:
            self.explore.show_problems(opened.problems())
            steps = opened.open_calibration() if message.more_follows else opened.calibrate()
            self.explore.asker.calibrate(steps, is_saved=opened.is_all_saved)
        else:
            self.explore.judge_again()

    @on(messages.Refused)
    def show_error(self, message: messages.Refused) -> None:
        """Show an error in place of the list."""
        self.explore.show_error(message.error)

    @on(messages.OpeningWanted)
    def open_again(self) -> None:
        """Open the files again, after they could not be used."""
        self._loader = Loader(self._open_corpus, self.post_message)
        self._loader.start()

    @on(messages.BackgroundFailed)
    def show_failure(self, message: messages.BackgroundFailed) -> None:
        """Log the error and notify the person; the list stays."""
        self.log.error("".join(traceback.format_exception(message.error)))
        self.explore.show_problems([f"{message.what}: {message_line(message.error) or type(message.error).__name__}"])

    @on(messages.Crashed)
    def crash(self, message: messages.Crashed) -> None:
        """Raise the error of a thread, so that its traceback is shown."""
        raise message.error

    async def on_event(self, event: Event) -> None:
        """Act on each key and paste before the next is taken, so that those that arrive together act in their order.

        Textual queues a printable key for the focused widget, lets another key bubble up from there, and runs priority
        bindings at once: of a burst, later keys would overtake earlier ones.
        """
        if isinstance(event, Key | Paste | MouseEvent):
            self._used_at = time.monotonic()
        if not isinstance(event, Key | Paste) or event.is_forwarded or not self._is_ours():
            if isinstance(event, Paste):  # into the command palette, whose box draws what it holds as it is
                event.text = boxed(one_line(event.text))
            await super().on_event(event)
            return
        if self._early is not None:
            self._early.append(event)
            return
        focused = self.focused or self.screen
        if isinstance(event, Key):
            await self._act(event)
        elif self.screen is self.explore:
            self.explore.type(one_line(event.text))
        elif isinstance(self.focused, SearchBox):
            self.focused.put(one_line(event.text))
        await self._handled(focused)

    def _is_ours(self) -> bool:
        """Tell whether a screen of this program is shown, and not the command palette."""
        return bool(self.screen_stack) and not isinstance(self.screen, SystemModalScreen)

    async def _act(self, key: Key) -> None:
        """Type a key into the search box, or run its binding."""
        if key.character is not None and key.is_printable:
            if self.explore.is_text(key.key):
                self.explore.type(key.character)
                return
            if isinstance(self.focused, SearchBox):  # of another screen
                self.focused.put(key.character)
                return
        bound = self.screen.active_bindings.get(key.key)
        if key.key in ("ctrl+c", "ctrl+z"):  # a modal screen's active bindings lack them
            await self.run_action("quit" if key.key == "ctrl+c" else "suspend_process")
            return
        if bound is not None and bound.enabled:
            await self.run_action(bound.binding.action, bound.node)

    async def _handled(self, widget: DOMNode) -> None:
        """Wait until the messages that a widget has posted have been handled by its screen, and that screen's too."""
        for first in (widget, self.screen):
            done = asyncio.Event()
            pass_on: Callable[[], object] = done.set
            for node in reversed([each for each in first.ancestors_with_self if isinstance(each, Widget)]):
                pass_on = partial(node.call_later, pass_on)
            pass_on()
            until = time.monotonic() + _HANDLED_SECONDS
            while first.is_attached and not done.is_set() and time.monotonic() < until:
                with suppress(TimeoutError):
                    await asyncio.wait_for(done.wait(), _ATTACHED_SECONDS)

    def _handle_exception(self, error: Exception) -> None:
        """Show an error's traceback, unless it comes of a widget that goes away because the app exits."""
        if self._exit:
            self.log.error("".join(traceback.format_exception(error)))
            return
        super()._handle_exception(error)
        self._return_code = FAULT

    def _fatal_error(self) -> None:
        """Leave with a traceback in which no text of a file controls the terminal, and without values of variables."""
        self.panic(Text(fault_text()))

    def copy_to_clipboard(self, text: str) -> None:
        """Give a text to the terminal's clipboard by OSC 52, inside tmux also past it."""
        super().copy_to_clipboard(text)
        if os.environ.get("TMUX") and self._driver is not None:
            code = f"\x1b]52;c;{base64.b64encode(text.encode('utf-8', 'replace')).decode()}\a"
            self._driver.write(f"\x1bPtmux;{code.replace(chr(27), chr(27) * 2)}\x1b\\")

    async def action_quit(self) -> None:
        """Exit with code 2 if an error is shown, else 0."""
        self.exit(return_code=2 if self.explore.error_pane.error else 0)

    def action_help(self) -> None:
        """Show the help screen."""
        corpus = ""
        if (explorer := self.explore.explorer) is not None:
            corpus = explorer.opened.captions.understood()
            if explorer.opened.setup.assets.is_demo_encoder:
                corpus += " · The encoder is the bundled demo; for InferSent itself: ctrl+p, Official files."
        self.push_screen(HelpScreen(corpus, self._keys))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer everything that a key does in the command palette too."""
        useless = {"Keys", "Maximize", "Minimize", "Screenshot"}  # the help screen shows the keys
        yield from (command for command in super().get_system_commands(screen) if command.title not in useless)
        explore, hits = self.explore, self.explore.hit_list
        with_keys = {
            "find": ("Search", explore.action_focus_search),
            "back": ("Back", explore.action_go_back),
            "forward": ("Forward", explore.action_go_forward),
            "random": ("Random caption", explore.action_random),
            "method": ("Next method", explore.action_next_method),
            "compare": ("Compare methods", explore.action_compare),
            "variations": ("Variations", explore.action_vary),
            "features": ("Features", explore.action_features),
            "pin": ("Pin", explore.action_pin),
            "images": ("Fold images", explore.action_fold),
            "why": ("Panels", explore.action_swap_panels),
            "trail": ("Trail", explore.action_show_trail),
            "bookmark": ("Bookmark", explore.action_bookmark),
            "bookmarks": ("Bookmarks", explore.action_show_bookmarks),
            "copy": ("Copy", explore.action_copy_hit),
            "copy-list": ("Copy the list", explore.action_copy_list),
            "export": ("Export", explore.action_export_hits),
            "picture": ("Picture", explore.action_save_picture),
            "help": ("Help", self.action_help),
        }
        for command, (title, run) in with_keys.items():
            yield SystemCommand(title, f"{keys_of(command, self._keys)}: {COMMANDS[command][1]}", run)
        yield SystemCommand("Open captions", "explore a recent corpus, or another file", explore.action_open_other)
        yield SystemCommand("Official files", "fetch InferSent, its vectors and COCO's captions", explore.action_fetch)
        yield SystemCommand("Follow", "enter: make the caption under the cursor the query", hits.action_follow)
        previous = partial(explore.action_next_method, -1)
        yield SystemCommand("Previous method", "shift+tab: rank the captions by the previous method", previous)
        yield SystemCommand("First hit", "g: go to the top of the list", partial(hits.action_go, 0))
        yield SystemCommand("Last hit", "G: go to the farthest caption", partial(hits.action_go, -1))
