"""OpeningScreen: opening the files again, and exploring other captions."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.content import Content

from core.assets import AssetError
from core.store.progress import Progress
from tui import messages
from tui.exports import resolved
from tui.lines import corpus_line
from tui.screens.fetch import FetchScreen
from tui.screens.pick import Picked, PickScreen
from tui.screens.prompt import PromptScreen
from tui.screens.taking import TakingScreen
from tui.trail import default_folder, fetched_folder, recent_corpora


class OpeningScreen(TakingScreen):
    """A screen that can open files again, or other captions in place of what is open."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "open_again", "again"),
        Binding("o", "open_other", "other captions"),
    ]

    def show_loading(self) -> None:
        """Show that files are being opened."""
        raise NotImplementedError

    def show_activity(self, progress: Progress | None) -> None:
        """Show the progress of background work; None at its end."""
        raise NotImplementedError

    def action_open_again(self) -> None:
        """Open the files again, which may have been mended meanwhile."""
        self.show_loading()  # so that a second key of a burst wants nothing more
        self.post_message(messages.OpeningWanted())

    def action_open_other(self) -> None:
        """Explore a recent corpus, or ask for another file of captions."""
        recent = recent_corpora(default_folder())
        lines = [*(corpus_line(about) for about in recent), Content("another file ...")]

        def pick(picked: Picked | None) -> None:
            if picked is not None and picked.line < len(recent):
                about = recent[picked.line]
                self.app.exit(about["options"] if "options" in about else Path(about["captions"]))
            elif picked is not None:
                self._open_file()

        if recent:
            self.app.push_screen(PickScreen(Content("open captions"), len(lines), lines.__getitem__), pick)
        else:
            self._open_file()

    def action_fetch(self) -> None:
        """Fetch the official files, then explore them."""

        def explore(folder: Path | None) -> None:
            if folder is not None:
                self.app.exit({"data_dir": str(folder)})

        self.app.push_screen(FetchScreen(fetched_folder()), explore)

    def _open_file(self, before: str = "", problem: str = "") -> None:
        hint, question = "captions.json, or a caption a line", "Which file of captions?"
        prompt = PromptScreen("open captions", question, value=before, hint=hint, problem=problem)

        def check(name: str | None) -> None:
            if name:
                self._check_captions(name)

        self.app.push_screen(prompt, check)

    @work(thread=True, group="captions")
    def _check_captions(self, name: str) -> None:
        """Explore another file of captions if it can be read, else ask again: what is open would be lost."""
        from core.corpus.captions import Captions

        self.call_later(self.show_activity, Progress(f"reading {name}", 0, 0, ""))
        try:
            path = resolved(Path(name)).absolute()
            Captions.read(path)
        except (AssetError, OSError) as error:
            self.call_later(self._open_file, name, str(error))
        else:
            self.call_later(self.app.exit, path)
        self.call_later(self.show_activity, None)
