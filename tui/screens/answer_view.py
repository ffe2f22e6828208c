"""AnswerView: the ranked list and the panels about it, for one answer at a time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.events import Resize
from textual.reactive import reactive

from core.assets import AssetError
from core.ranking.methods import Method
from tui.keys import first_key
from tui.lines import about_caption, list_title, nearness
from tui.text import drawable
from tui.widgets.caption_pane import CaptionPane
from tui.widgets.hit_list import HitList
from tui.widgets.importance_pane import ImportancePane
from tui.widgets.map_pane import MapPane
from tui.widgets.verdict_pane import VerdictPane

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from core.answers import Answer
    from core.mapping import CorpusMap
    from core.opened import Opened
    from core.ranking.filters import Filter
    from core.ranking.folds import Folding
    from core.ranking.ranking import Ranking
    from core.ranking.regions import Regions
    from core.trust.calibration import Calibration

WIDE_CELLS = 100
"""From this screen width on, the panels are beside the list instead of below it."""

ROOMY_CELLS = 150
"""From this screen width on, the panels are wide enough for the address of an image of COCO."""

MAP_CELLS = 140
"""From this screen width on, the map is beside the list instead of in its place."""

HIGH_CELLS = 20
"""From this screen height on, there is room for titles of the panels."""

_WITHOUT_HITS = {"method": "another method", "random": "a random caption", "find": "another text"}
_TALL_CELLS = 40  # from this screen height on, there is room for whole panels below the list


class AnswerView(Container):
    """The list, with panels for the verdict, the word importance and the caption under the cursor."""

    is_swapped: reactive[bool] = reactive(False)
    """Whether the person asked for the opposite of what fits the window: whole panels, or a line of each."""
    is_map: reactive[bool] = reactive(False)
    """Whether the map is shown: beside the list, or in its place where the window has no room for both."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.hit_list = HitList(id="hits")
        self.map_pane = MapPane(id="map")
        self.verdict_pane = VerdictPane(id="verdict")
        self.importance_pane = ImportancePane(id="importance")
        self.caption_pane = CaptionPane(id="caption")
        self.answer: Answer | None = None
        self.notes: Mapping[int, str] = {}
        """Notes of the bookmarked captions, by row."""
        self.key_of: Callable[[str], str] = first_key
        """Function from a command to its key."""
        self._measuring = ""  # the progress of the calibration
        self._fits: bool | None = None  # whether whole panels fit the window
        self._opened: Opened | None = None
        self._corpus_map: CorpusMap | None = None
        self._visited: Collection[int] = ()
        self._calibration: Calibration | None = None

    def compose(self) -> ComposeResult:
        """Yield the list and the panels."""
        self.hit_list.add_class("panel")
        self.map_pane.add_class("panel")
        with Container(id="pair"):
            yield self.hit_list
            yield self.map_pane
        with Container(id="panes"):
            for pane in (self.verdict_pane, self.importance_pane, self.caption_pane):
                pane.add_class("panel")
                yield pane

    def open(self, opened: Opened) -> None:
        """Set the corpus that answers refer to."""
        self._opened = opened
        self.verdict_pane.name_of, self.verdict_pane.can_compare = opened.name_of, len(opened.methods) > 1
        self.hit_list.texts = self.map_pane.texts = opened.captions.shown
        self.hit_list.copies, self.hit_list.sibling_counts = opened.folds.copies, opened.folds.sibling_counts

    def trust(self, calibration: Calibration | None) -> None:
        """Set the calibration that the curve, the hub marks and the nearness of a hit use."""
        self._calibration = self.verdict_pane.calibration = calibration

    @property
    def covers_list(self) -> bool:
        """Whether the map stands in the place of the list."""
        return self.is_map and self.screen.size.width < MAP_CELLS

    def show_answer(
        self, answer: Answer, folding: Folding, *, cursor: int | None, visited: Collection[int] = ()
    ) -> None:
        """Show an answer and the folding of its leading hits, with the cursor at a place of the ranking.

        If `cursor` is None, the cursor stays if the query is unchanged, else it goes to the first other caption.
        `visited` are the captions that were queries before.
        """
        before, self.answer, hits = self.answer, answer, self.hit_list
        same = before is not None and _about(before) == _about(answer)
        hits.query_row, hits.shared_words, hits.visited = answer.query.row, answer.shared_words, visited
        hits.relevant_within, hits.is_part = answer.relevant_within, answer.allowed is not None
        if not (same and hits.ranking is not None and _begins_with(hits.ranking, answer.hits)):
            hits.show(answer.hits, folding, is_whole=answer.found is None)
        reason = answer.verdict.reasons[0][2:] if answer.verdict and not len(answer.hits) else ""
        ways = _WITHOUT_HITS
        if answer.searched == 0:
            reason, ways = f"no caption meets the filter {answer.among.text}", {"filter": "another filter, or none"}
        keys = [f"{self.key_of(command)}: {what}" for command, what in ways.items()]
        hits.notice = f"{drawable(reason)}\n\n{' · '.join(keys)}" if reason else ""
        if cursor is not None:
            hits.go_to(cursor)
        elif not same:
            hits.scroll_to(y=0, animate=False, force=True)
            hits.go(0 if answer.query.row is None else 1)
        hits.redraw()
        self.verdict_pane.answer = answer
        self.importance_pane.asked = answer.query
        self.show_caption()
        self._visited = visited
        self.draw_map()

    def show_map(self, corpus_map: CorpusMap) -> None:
        """Show the captions on a plane."""
        self._corpus_map = corpus_map
        self.draw_map()

    def show_regions(self, regions: Regions) -> None:
        """Name the regions of the captions on the map."""
        self.map_pane.regions = regions
        self.draw_map()

    def draw_map(self) -> None:
        """Draw the map, if it is shown, for the answer and what is marked."""
        answer, corpus_map, opened = self.answer, self._corpus_map, self._opened
        if not self.is_map or answer is None or corpus_map is None or opened is None:
            return
        from tui.map_marks import map_marks, mapped_rows, region_labels  # numpy is not loaded before the first frame

        try:
            marks = map_marks(corpus_map, answer, bookmarked=self.hit_list.bookmarked, visited=self._visited)
        except AssetError:  # a store that cannot be read now
            marks = []
        rows, regions = mapped_rows(opened, answer.allowed), self.map_pane.regions
        labels = None if regions is None else partial(region_labels, corpus_map, regions, rows)
        every = None if answer.allowed is None else mapped_rows(opened, None)
        self.map_pane.show(corpus_map, rows, marks, labels, among=every, filter_text=answer.among.text)
        self.map_pane.select(self.hit_list.row)

    def go_to_row(self, row: int) -> None:
        """Move the cursor of the list to a caption, if it is in the list."""
        ranking = self.hit_list.ranking
        places = [] if ranking is None else (ranking.rows == row).nonzero()[0].tolist()
        if places:
            self.hit_list.go_to(places[0])

    @on(HitList.CursorMoved)
    def show_caption(self) -> None:
        """Show the caption under the cursor in full, and its place."""
        pane, hits, answer, opened = self.caption_pane, self.hit_list, self.answer, self._opened
        if opened is None or answer is None:
            return
        so_far = " so far" if opened.is_sampled else ""  # more may come as the cursor goes on
        images = f"{len(hits):,} images{so_far}" if hits.by_image else ""
        hits.title = list_title(answer, hits.ranking, opened.name_of(answer.method), images=images)
        row, value = hits.row, hits.value
        if row is None or value is None or hits.ranking is None:
            pane.caption = pane.about = pane.nearness = ""
            return
        closer, calibration = self.closer_than(value), self._calibration
        is_hub = calibration is not None and row in calibration.hub_set
        pane.caption, pane.about = (
            opened.captions.shown[row],
            about_caption(opened.captions, row, is_hub=is_hub, note=self.notes.get(row)),
        )
        pane.nearness = nearness(
            value, is_score=hits.ranking.scores is not None, closer=None if closer is None else float(closer)
        )

    def closer_than(self, distances: NDArray[np.floating] | float) -> NDArray[np.float64] | None:
        """Return the share of random captions that are farther than each distance; same shape, None if not measured."""
        answer, calibration = self.answer, self._calibration
        if answer is None or calibration is None or answer.relevant_within is None:
            return None
        return calibration.closer_than(distances, answer.query.known)

    def watch_is_swapped(self) -> None:
        """Show whole panels, or a line of each."""
        self.fit_panels()

    def watch_is_map(self) -> None:
        """Show the map, or the list alone."""
        self.fit_panels()

    @on(Resize)
    def fit_panels(self) -> None:
        """Arrange the panels once they are displayed: Textual does not measure them again for changes before that."""
        self.call_after_refresh(self._fit_panels)

    def show_measuring(self, progress: str) -> None:
        """Show the progress of the calibration above the verdict; empty at its end."""
        if progress != self._measuring:
            self._measuring = progress
            self._title_verdict()

    def _title_verdict(self) -> None:
        why = "" if not self.verdict_pane.one_line else f"{self.key_of('why')}: why"
        notes = " · ".join(filter(None, (why, self._measuring)))
        title = Content.assemble("can I trust this?", (f" {notes}" if notes else "", "not bold $foreground-muted"))
        self.verdict_pane.border_title = title

    def _fit_panels(self) -> None:
        width, height = self.screen.size
        wide = width >= WIDE_CELLS
        fits = wide or height >= _TALL_CELLS
        if fits != self._fits:  # another window: begin with what fits it
            self._fits = fits
            self.set_reactive(AnswerView.is_swapped, False)
        whole = fits != self.is_swapped and not self.is_map
        self.set_class(self.is_map, "-map")
        self.set_class(self.is_map and width < MAP_CELLS, "-map-only")
        self.set_class(whole and wide, "-beside")
        self.set_class(whole and not wide, "-below")
        self.set_class(not whole, "-folded")
        self.verdict_pane.one_line = not whole
        self._title_verdict()
        self.importance_pane.most_words = max(3, min(12, height - 31 if wide else height // 2 - 6))
        self.caption_pane.most_words = max(0, min(12, height - 45))
        self.caption_pane.brief = not whole or not wide or height < _TALL_CELLS - 6


def _about(answer: Answer) -> tuple[str, int | None, Method, Filter]:
    """Return what was asked: text, row, method and filter."""
    return answer.query.text, answer.query.row, answer.method, answer.among


def _begins_with(ranking: Ranking, hits: Ranking) -> bool:
    """Return whether `hits` are the leading hits of a longer ranking."""
    k = len(hits)
    return 0 < k < len(ranking) and bool((ranking.rows[:k] == hits.rows).all())
