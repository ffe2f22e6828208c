"""What stands in place of the list: slow work with its progress, or an error that the person can mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult, RenderResult
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import ProgressBar, Static

from tui.text import visible

if TYPE_CHECKING:
    from core.assets import AssetError
    from core.store.progress import Progress


class LoadingPane(Vertical):
    """The progress of slow work: what, how much, how fast, how long still."""

    def compose(self) -> ComposeResult:
        """A line of text over a bar."""
        yield Static("starting", id="stage", markup=False)
        yield ProgressBar(show_eta=False, id="bar")
        yield Static(
            "What is finished is kept: leave with q (ctrl+c from the box), and the next start goes on from here.",
            id="hint",
        )

    def show(self, progress: Progress, line: str) -> None:
        """Show a step of the work, described by `line`."""
        self.query_one("#stage", Static).update(visible(line))
        self.query_one(ProgressBar).update(total=progress.total or None, progress=progress.done)


class ErrorPane(Widget):
    """An error with what was found, what was expected, and what to do."""

    error: reactive[AssetError | None] = reactive(None, layout=True)
    """What is shown."""
    can_go_on: reactive[bool] = reactive(False, layout=True)
    """Whether something else can still be asked."""

    def render(self) -> RenderResult:
        """Draw the error as labelled lines."""
        if self.error is None:
            return ""
        lines = [Content.styled("This cannot be used", "bold $text-error"), Content(visible(self.error.path))]
        for label, text in (
            ("found", self.error.found),
            ("expected", self.error.expected),
            ("what to do", self.error.advice),
        ):
            if text:
                lines.append(Content.assemble((f"{label:<11}", "bold"), visible(text)))
        leave = "r asks a random caption, / another text, q leaves" if self.can_go_on else "q leaves"
        lines += [Content(""), Content.styled(leave, "$text-muted")]
        return Content("\n").join(lines)
