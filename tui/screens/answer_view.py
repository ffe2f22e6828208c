"""AnswerView: the ranked list and the panes beside it, for one answer at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.events import Resize
from textual.widgets import Static

from core.ranking.methods import Method
from tui.lines import about_caption, columns_line
from tui.text import drawable
from tui.widgets.caption_pane import CaptionPane
from tui.widgets.hit_list import HitList
from tui.widgets.importance_pane import ImportancePane
from tui.widgets.verdict_pane import VerdictPane

if TYPE_CHECKING:
    from core.answers import Answer
    from core.corpus.captions import Captions
    from core.opening import Opened
    from core.ranking.folds import Folding
    from core.ranking.ranking import Ranking
    from core.store.progress import Progress
    from core.trust.calibration import Calibration

WIDE_CELLS = 100
"""From this screen width on, the panes are beside the list instead of below it."""

HIGH_CELLS = 20
"""From this screen height on, there is room for the panes below the list, and not only for one line of the verdict."""


class AnswerView(Container):
    """The list, with panes for the verdict, the word importance and the caption under the cursor."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.columns_line = Static("", id="columns", markup=False)
        self.hit_list = HitList(id="hits")
        self.verdict_pane = VerdictPane(id="verdict")
        self.importance_pane = ImportancePane(id="importance")
        self.caption_pane = CaptionPane(id="caption")
        self.answer: Answer | None = None
        self._captions: Captions | None = None
        self._calibration: Calibration | None = None

    def compose(self) -> ComposeResult:
        """Yield the list and the panes."""
        with Container(id="ranking"):
            yield self.columns_line
            yield self.hit_list
        with Container(id="panes"):
            yield self.verdict_pane
            yield self.importance_pane
            yield self.caption_pane

    def open(self, opened: Opened) -> None:
        """Set the corpus that answers refer to."""
        self._captions = opened.captions
        self.hit_list.texts = opened.captions.texts
        self.hit_list.copies, self.hit_list.sibling_counts = opened.folds.copies, opened.folds.sibling_counts

    def trust(self, calibration: Calibration | None) -> None:
        """Set the calibration that the curve, the hub marks and the closeness column use."""
        self._calibration = self.verdict_pane.calibration = calibration

    def show_measuring(self, progress: Progress | None) -> None:
        """Show the progress of the calibration; None when none is running."""
        share = f" {progress.done / progress.total:.0%}" if progress is not None and progress.total else ""
        self.verdict_pane.measuring = "" if progress is None else f"{progress.stage}{share}"

    def show_answer(self, answer: Answer, folding: Folding, *, cursor: int | None) -> None:
        """Show an answer and the folding of its leading hits, with the cursor at a place of the ranking.

        If `cursor` is None, the cursor stays if the query is unchanged, else it goes to the first other caption.
        """
        before, self.answer, hits = self.answer, answer, self.hit_list
        same = before is not None and _about(before) == _about(answer)
        hits.query_row = answer.query.row
        median = answer.found.median_distance if answer.found else None
        hits.scale = 1.0 if median is None else max(median, 1e-6)
        if not (same and hits.ranking is not None and _begins_with(hits.ranking, answer.hits)):
            hits.show(answer.hits, folding)
        hits.closer_than = self._closer_than(answer)
        hits.notice = drawable(answer.verdict.reasons[0]) if answer.verdict and not len(answer.hits) else ""
        if cursor is not None:
            hits.go_to(cursor)
        elif not same:
            hits.scroll_to(y=0, animate=False, force=True)
            hits.go(0 if answer.query.row is None else 1)
        self.verdict_pane.answer = answer
        self.importance_pane.asked = answer.query
        self.show_columns()

    @on(HitList.CursorMoved)
    def show_caption(self, message: HitList.CursorMoved) -> None:
        """Show the caption under the cursor in full."""
        pane, row = self.caption_pane, message.row
        self.show_columns()
        if self._captions is None or row is None:
            pane.caption = pane.about = ""
            return
        is_hub = self._calibration is not None and row in self._calibration.hub_set
        pane.caption, pane.about = self._captions.texts[row], about_caption(self._captions, row, is_hub=is_hub)

    def show_columns(self) -> None:
        """Update the line above the list."""
        hits, method = self.hit_list, self.answer.method if self.answer else "infersent"
        images = len(hits) if hits.by_image else None
        line = columns_line(hits.ranking, hits.place, method, images=images, closer=hits.shows_closer)
        self.columns_line.update(line)

    @on(Resize)
    def resize_panes(self) -> None:
        """Fit the panes once they are displayed: Textual does not measure them again for changes before that."""
        self.call_after_refresh(self._fit_panes)

    def _fit_panes(self) -> None:
        width, height = self.screen.size
        narrow = width < WIDE_CELLS
        self.verdict_pane.one_line = narrow and height < HIGH_CELLS
        self.importance_pane.most_words = 5 if narrow else max(5, height - 32)
        self.caption_pane.most_words = max(4, height - 40)
        self.caption_pane.brief = self.verdict_pane.brief = narrow

    def _closer_than(self, answer: Answer) -> Callable[[float], float] | None:
        """Return the function from a distance to the share of random captions that are farther; None if unknown."""
        calibration, known = self._calibration, answer.query.known
        if calibration is None or answer.closer_than is None:
            return None
        return lambda distance: float(calibration.closer_than(distance, known))


def _about(answer: Answer) -> tuple[str, int | None, Method]:
    """Return what was asked: text, row and method."""
    return answer.query.text, answer.query.row, answer.method


def _begins_with(ranking: Ranking, hits: Ranking) -> bool:
    """Return whether `hits` are the leading hits of a longer ranking."""
    k = len(hits)
    return 0 < k < len(ranking) and bool((ranking.rows[:k] == hits.rows).all())
