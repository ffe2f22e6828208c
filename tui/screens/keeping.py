"""KeepingScreen: what a person keeps of an exploration: the trail, bookmarks and a pin."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from core.assets import AssetError
from core.ranking.filters import FilterError
from tui.lines import bookmark_line, visit_line
from tui.screens.asking import AskingScreen
from tui.screens.pick import Picked, PickScreen
from tui.screens.prompt import PromptScreen
from tui.session import Session, Visit
from tui.text import counted
from tui.trail import Run, TrailWriter

if TYPE_CHECKING:
    from core.corpus.captions import Captions
    from core.explorer import Explorer


class KeepingScreen(AskingScreen):
    """A screen that keeps where the person has been.

    Args:
        trail: Writes what was asked.
        resumed: The earlier run to go on with; None to begin anew.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pin", "Pin", show=False, id="pin"),
        Binding("t", "show_trail", "Trail", show=False, id="trail"),
        Binding("b", "bookmark", "Bookmark", show=False, id="bookmark"),
        Binding("B", "show_bookmarks", "Bookmarks", show=False, id="bookmarks"),
    ]

    def __init__(self, trail: TrailWriter, resumed: Run | None, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._trail, self._resumed = trail, resumed

    def begin_trail(self, explorer: Explorer) -> list[Visit]:
        """Begin to keep what is asked, after what an earlier run kept.

        Returns:
            The visits that were made while the corpus was opened; they have to be made again.
        """
        opened = explorer.opened
        self._trail.about |= {
            "captions": opened.place if "://" in opened.place else str(Path(opened.place).resolve()),
            "model": opened.setup.model_name,
            "count": len(opened.captions),
            "corpus": opened.matrix.folder.name,
        }
        early, self.session.visits, self.session.here = self.session.visits, [], None
        if self._resumed is not None:
            self._resume(self._resumed, explorer)
        self.session.keep = self._keep
        self.view.notes = self.session.bookmarks
        return early

    def _resume(self, run: Run, explorer: Explorer) -> None:
        """Take over an earlier run; say what of it is damaged, or missing among these captions."""
        before, rows = Session(), _Rows(explorer.opened.captions)
        rows_before = (each.get(name) for each in run.events for name in ("row", "bookmark"))
        explorer.opened.prepare([row for row in rows_before if type(row) is int])
        before.restore(run.events, rows.find)
        if run.broken:
            self.show_problems([f"{run.path}: {run.broken:,} damaged lines are left out"])
        for visit in before.visits:
            if visit.row is not None:
                with suppress(AssetError):  # a store that cannot be read now
                    visit.embedding = explorer.opened.matrix.rows[visit.row]
        self.session.visits, self.session.here = before.visits, before.here
        self.session.bookmarks = before.bookmarks
        self._trail.resume(run)
        if before.among.conditions:
            try:
                explorer.check(before.among)
                self.session.among = before.among
            except (FilterError, AssetError) as error:
                self.show_problems([f"the filter of that run, {before.among.text}, is left out: {error}"])
                self._trail.write({"filter": ""})
        if rows.missing:
            self.show_problems([f"{len(rows.missing)} captions of {run.name} are not among these captions"])

    def _keep(self, event: dict[str, object]) -> None:
        before = self._trail.problem
        self._trail.write(event)
        if self._trail.problem and not before:
            self.notify(self._trail.problem, severity="warning", markup=False, timeout=10)
        elif before and not self._trail.problem:
            self.notify("the trail is written again, with what was missing")

    def show_problems(self, problems: list[str]) -> None:
        """Notify the person of problems, each only once."""
        raise NotImplementedError

    def export_trail(self) -> None:
        """Write the visits to a file."""
        raise NotImplementedError

    def has_hits(self) -> bool:
        """Tell whether the list has hits; say what to do where it has none."""
        if self.explorer is not None and self.hit_list.row is None:
            self.notify(f"the list is empty: type another text, or {self.key_of('random')} for a random caption")
        return self.explorer is not None and self.hit_list.row is not None

    def action_show_trail(self) -> None:
        """Show all visits, to return to one."""
        tree = self.session.tree()
        if not tree:
            return
        here = next((i for i, (visit, _) in enumerate(tree) if visit is self.session.here), 0)

        def go(picked: Picked | None) -> None:
            if picked is not None and picked.key == "e":
                self.export_trail()
            elif picked is not None:
                visit = tree[picked.line][0]
                self.ask_visit(self.session.return_to(visit, cursor=self.hit_list.place or 0))

        what = f" {counted(len(tree), 'query')}: verdict (✔ ? ✘), step, distance from the start"
        title = Content.assemble("trail", (what, "not bold dim"))
        screen = PickScreen(title, len(tree), lambda line: visit_line(*tree[line]), at=here, keys={"e": "export"})
        self.app.push_screen(screen, go)

    def action_pin(self) -> None:
        """Pin the current query, or take the pin away from it."""
        answer = self.view.answer
        if answer is None or answer.query.embedding is None:
            self.notify("there is nothing to pin: this query has no embedding")
        else:
            self.session.pin_or_unpin(answer.query)
            self.show_lines()

    def action_bookmark(self) -> None:
        """Mark the caption under the cursor, with a note; or change the note."""
        row, explorer = self.hit_list.row, self.explorer
        if not self.has_hits() or row is None or explorer is None:
            return
        try:
            text = explorer.opened.captions.texts[row]
        except AssetError as error:  # a store that cannot be read now
            self.notify(error.found, severity="warning", markup=False)
            return
        before = self.session.bookmarks.get(row)

        def keep(note: str | None) -> None:
            if note is not None:
                self.session.bookmark(row, text, note)
                self.mark_bookmarks()
                self.notify(f"{len(self.session.bookmarks)} bookmarked; {self.key_of('bookmarks')} lists them")

        self.app.push_screen(PromptScreen("bookmark", text, value=before or "", hint="a note, or nothing"), keep)

    def action_show_bookmarks(self) -> None:
        """Show the bookmarks, to follow one or to take it away."""
        if self.explorer is None:
            return
        if not self.session.bookmarks:
            self.notify(f"no bookmarks yet: {self.key_of('bookmark')} marks the caption under the cursor")
            return
        texts, marked = self.explorer.opened.captions.shown, list(self.session.bookmarks.items())[::-1]

        def line_at(line: int) -> Content:
            row, note = marked[line]
            return bookmark_line(texts[row], note)

        def act(picked: Picked | None) -> None:
            if picked is None:
                return
            row, _ = marked[picked.line]
            if picked.key == "d":
                self.session.remove_bookmark(row, texts[row])
                self.mark_bookmarks()
                if self.session.bookmarks:
                    self.action_show_bookmarks()
            else:
                self.go_to_caption(row, "bookmark")

        title = Content.assemble("bookmarks", (f" {len(marked)}", "not bold dim"))
        self.app.push_screen(PickScreen(title, len(marked), line_at, keys={"d": "take away"}), act)

    def mark_bookmarks(self) -> None:
        """Mark the bookmarked captions in the list and on the map; ask again if the filter is about them."""
        self.hit_list.bookmarked = frozenset(self.session.bookmarks)
        self.view.show_caption()
        self.view.draw_map()
        if self.session.among.asks("bookmark") and self.session.shown is not None:
            self.ask(self.session.again(self.view.answer, self.search_box.value))


class _Rows:
    """Finds the rows of captions that another run knew, perhaps of another file."""

    def __init__(self, captions: Captions) -> None:
        self._captions = captions
        self._rows: Mapping[str, int] | None = None
        self.missing: set[str] = set()
        """Captions that were not found."""

    def find(self, row: int | None, text: str) -> int | None:
        """Return the row of a caption by its former row and its text; None for typed text and where it is missing."""
        if row is None or self._captions.has(row, text):
            return row
        if self._rows is None:
            self._rows = self._captions.rows_by_text()
        found = None
        with suppress(AssetError):  # a store that cannot be read now
            found = self._rows.get(text)
        if found is None:
            self.missing.add(text)
        return found
