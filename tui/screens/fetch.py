"""FetchScreen: fetches the official files after the person has seen their sizes and agreed to their licences."""

from __future__ import annotations

import os
import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from core.assets import AssetError
from core.official import OFFICIAL, USUAL
from core.store.progress import Cancelled, Progress, finish
from tui.pace import Pace
from tui.screens.overlay import Overlay
from tui.text import drawable, drawable_lines, message_line

_OPTION = re.compile(r"--mirror|--data-dir|--sha256 [0-9a-f]{64}")


class FetchScreen(Overlay[Path | None]):
    """What will be fetched, and then how far it is. The result is the folder when all is there, else None.

    Args:
        folder: Where the files are put. The variable INFERSENT_TUI_MIRROR may name a mirror.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "go_on", "Fetch"),
        Binding("escape,q", "close", "Close"),
    ]

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder, self._mirror = folder, os.environ.get("INFERSENT_TUI_MIRROR") or None
        self._is_closed = False
        self._state = "asked"  # then `running`, and `done` or `failed`
        self.status = Static("", id="fetch-status", markup=False)
        self._list = Static(markup=False)
        self.panel = Vertical(id="fetch-panel")

    def compose(self) -> ComposeResult:
        """Yield the files and the status."""
        with self.panel:
            self.panel.border_title = "official files"
            self._list.update(self._files())
            yield self._list
            yield self.status
        self._show("", "⏎ agree and fetch · esc close")

    def _files(self) -> Content:
        server = (self._mirror or "the servers of their owners").rpartition("@")[2]  # without a password
        total = 0
        lines = [Content("InferSent version 2, its word vectors and COCO's captions"), Content("")]
        for name in USUAL:
            file = OFFICIAL[name]
            is_here = False
            with suppress(OSError):  # fetching will tell
                is_here = (self._folder / file.file_name).exists()
            shown = file.file_name if is_here else file.download_name
            lines.append(Content(f"{shown:<28} {'here' if is_here else _megabytes(file.bytes):>8}  {file.licence}"))
            total += 0 if is_here else file.bytes
        return Content("\n").join(
            [
                *lines,
                Content(""),
                Content(f"{_megabytes(total)} in all, from {drawable(server)}, to {drawable(str(self._folder))}"),
            ]
        )

    def _show(self, text: str, keys: str) -> None:
        self.status.update(drawable_lines(text))
        self.panel.border_subtitle = keys

    def action_go_on(self) -> None:
        """Fetch; when all is there, close the screen."""
        if self._state == "done":
            self.dismiss(self._folder)
        elif self._state != "running":
            self._state = "running"
            self._list.display = True
            self._show("asking the servers", "esc or q stop; what has come is kept")
            # Leaving the program does not wait for it: what has come is on disk.
            threading.Thread(target=self._fetch, name="fetch", daemon=True).start()

    def action_close(self) -> None:
        """Close the screen; say so where that stops a download."""
        if self._state == "running":
            self.app.notify("the download is stopped; what has come is kept, and Official files goes on from there")
        self.dismiss(None)

    def on_unmount(self) -> None:
        """Stop after the current step."""
        self._is_closed = True

    def _fetch(self) -> None:
        from core.fetching import check_space, fetch

        pace, remark = Pace(), ""

        def show(progress: Progress) -> None:
            nonlocal remark
            if self._is_closed:
                raise Cancelled
            if progress.is_remark:
                remark = f"{drawable(progress.stage)}\n"
            elif (line := pace.due_line(progress)) is not None:
                self.call_later(self.status.update, remark + drawable(line))

        name = ""
        try:
            check_space(USUAL, self._folder)
            for name in USUAL:
                finish(fetch(name, self._folder, mirror=self._mirror), show)
        except Cancelled:
            return
        except AssetError as error:
            self._fail(_with_commands(error, name))
        except Exception as error:  # whatever it is, the list stays usable
            self._fail(message_line(error) or type(error).__name__)
        else:
            self._state = "done"
            self.call_later(self._show, "all files are here", "⏎ explore them · esc stay")

    def _fail(self, text: str) -> None:
        self._state = "failed"

        def show() -> None:
            self._list.display = False  # a long error takes all lines of a small window
            self._show(text, "⏎ try again · esc close")

        self.call_later(show)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def _with_commands(error: AssetError, name: str) -> str:
    """Return an error about an official file with the commands for the options that its advice names."""
    options = dict.fromkeys(_OPTION.findall(error.advice))
    words = {"--mirror": "--mirror URL", "--data-dir": "--data-dir FOLDER"}
    commands = [" ".join(filter(None, ("infersent-tui fetch", name, words.get(each, each)))) for each in options]
    return "\n".join([str(error), *(f"in a shell: {command}" for command in commands)])
