"""MappingScreen: what the map does: it shares query, selection and filter with the list, and its axes can be chosen."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType

from core.ranking.axes import EXAMPLE, Axes, AxesError
from core.ranking.filters import Filter
from tui import messages
from tui.requests import MapRequest, RegionsRequest
from tui.screens.overlays import OverlaysScreen
from tui.screens.prompt import PromptScreen
from tui.text import stage_line
from tui.trail import Run, TrailWriter
from tui.widgets.hit_list import HitList
from tui.widgets.map_pane import MapPane


class MappingScreen(OverlaysScreen):
    """A screen with a map beside its list."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("m", "map", "map", show=False, id="map")]

    def __init__(self, trail: TrailWriter, resumed: Run | None, *, id: str | None = None) -> None:
        super().__init__(trail, resumed, id=id)
        self._asked_map: MapRequest | None = None  # the latest request
        self._axes_text = ""  # as typed

    def action_map(self) -> None:
        """Show the map, go to it, or show the list alone."""
        if self.explorer is None:
            return
        self.view.is_map = not self.view.is_map or not self.view.map_pane.has_focus
        if self.view.is_map:
            if self.view.map_pane.corpus_map is None:  # also after a failure
                self._ask_map(None)
            self.view.draw_map()
            self.set_focus(self.view.map_pane)
        else:
            self.set_focus(self.hit_list)

    def action_leave_map(self) -> None:
        """Go to the list, which takes the place of the map where there is no room for both."""
        if self.view.covers_list:
            self.view.is_map = False
        self.set_focus(self.hit_list)

    def action_only_region(self) -> None:
        """Search only the region under the cursor of the map, or all again."""
        pane, among = self.view.map_pane, self.session.among
        if pane.regions is None or pane.row is None:
            return
        if not (number := pane.region_number):
            self.notify("this caption is in no region: no word of it is known, or it is not of the sample")
            return
        wanted, others = f"region:{number}", among.without("region")
        is_wanted = [each.text for each in among.conditions if each.field == "region"] == [wanted]
        self.narrow(Filter.parse(" ".join(others if is_wanted else [*others, wanted])))

    def action_axes(self, text: str | None = None, problem: str = "") -> None:
        """Ask for the axes of the map."""

        def take(text: str | None) -> None:
            if text is None:
                return
            try:
                axes = Axes.parse(text) if text.strip() else None
            except AxesError as error:
                self.action_axes(text, str(error))
                return
            self._axes_text = text
            self._ask_map(axes)

        about = f"two axes, each from one phrase to another: {EXAMPLE}. Nothing here shows the principal plane."
        value = self._axes_text if text is None else text
        self.app.push_screen(PromptScreen("axes", about, value=value, hint="principal plane", problem=problem), take)

    def _ask_map(self, axes: Axes | None) -> None:
        self._asked_map = MapRequest(axes)
        self.asker.ask(self._asked_map)

    @on(messages.Mapped)
    def show_map(self, message: messages.Mapped) -> None:
        """Show a map, how far it is, or why there is none."""
        if message.request is not self._asked_map:
            return
        if message.problem:
            self.action_axes(self._axes_text, message.problem)
        elif message.progress is not None:
            self.view.map_pane.show_progress(stage_line(message.progress))
        elif message.corpus_map is not None:
            self.view.show_map(message.corpus_map)
            if self.view.map_pane.regions is None:
                self.asker.ask(RegionsRequest())

    @on(messages.Divided)
    def show_regions(self, message: messages.Divided) -> None:
        """Name the regions on the map, or show how far they are."""
        self.view.map_pane.show_progress("" if message.progress is None else stage_line(message.progress))
        if message.regions is not None:
            self.view.show_regions(message.regions)

    @on(HitList.CursorMoved)
    def select_on_map(self, message: HitList.CursorMoved) -> None:
        """Put the cursor of the map on the caption under that of the list, unless the list follows the map."""
        if self.view.is_map and not self.view.map_pane.has_focus:
            self.view.map_pane.select(message.row)

    @on(MapPane.CursorMoved)
    def select_in_list(self, message: MapPane.CursorMoved) -> None:
        """Put the cursor of the list on the caption under that of the map."""
        if message.row is not None:
            self.view.go_to_row(message.row)

    @on(MapPane.Followed)
    def follow_on_map(self, message: MapPane.Followed) -> None:
        """Make the chosen caption the query."""
        if self.session.is_typing:
            self.submit()
        self.go_to_caption(message.row)
