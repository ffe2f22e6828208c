"""The panes shown in place of the list: progress while loading, or an error that the person can fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult, RenderResult
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import ProgressBar, Static

from tui.keys import first_key
from tui.text import drawable

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.assets import AssetError
    from core.store.progress import Progress


class LoadingPane(Vertical):
    """The progress of loading: stage, amount, rate and time left."""

    def compose(self) -> ComposeResult:
        """Yield the stage, the progress bar and a hint."""
        yield Static("starting", id="stage", markup=False)
        yield ProgressBar(show_eta=False, id="bar")
        hint = "What you type meanwhile is the query. You can quit at any time (ctrl+c): the next start continues from "
        hint += "the finished part."
        yield Static(hint, id="hint")

    def show(self, progress: Progress, line: str) -> None:
        """Show the progress, with `line` as its description."""
        self.query_one("#stage", Static).update(drawable(line))
        self.query_one(ProgressBar).update(total=progress.total or None, progress=progress.done)


class ErrorPane(Widget):
    """An error: what was found, what was expected, and what to do."""

    error: reactive[AssetError | None] = reactive(None, layout=True)
    can_go_on: reactive[bool] = reactive(False, layout=True)
    """Whether other queries are still possible."""
    key_of: Callable[[str], str] = staticmethod(first_key)
    """Function from a command to its key."""

    def render(self) -> RenderResult:
        """Draw the error as labelled lines."""
        if self.error is None:
            return ""
        lines = [
            Content.styled("This file or setting cannot be used", "bold $text-error"),
            Content(drawable(self.error.path)),
        ]
        error = self.error
        for label, text in (("found", error.found), ("expected", error.expected), ("what to do", error.advice)):
            if text:
                lines.append(Content.assemble((f"{label:<11}", "bold"), drawable(text)))
        keys = "a: try again · o: open another file of captions"
        if self.can_go_on:
            keys = f"{self.key_of('random')}: random caption · {self.key_of('find')}: type another text"
        keys = f"{keys} · {self.key_of('quit')}: quit"
        lines += [Content(""), Content.styled(keys, "$text-muted")]
        return Content("\n").join(lines)
