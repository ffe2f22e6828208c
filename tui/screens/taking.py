"""TakingScreen: what a person takes away: copied captions, exported lists, and pictures of the screen."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from textual import work
from textual.binding import Binding, BindingType
from textual.worker import get_current_worker

from core.assets import AssetError
from core.store.disk import ensure_folder
from core.store.plain import open_plain
from core.store.progress import Cancelled
from tui import messages
from tui.documents import comparison_rows, hit_documents, visit_documents
from tui.exports import ENDINGS, check_output, open_rows
from tui.screens.keeping import KeepingScreen
from tui.screens.prompt import PromptScreen
from tui.text import counted, message_line, visible
from tui.trail import data_folder

if TYPE_CHECKING:
    from core.ranking.comparison import Comparison

Rows: TypeAlias = Callable[[], Iterator[list[dict[str, Any]]]]
"""Makes the rows of an export, a few thousand at a time."""

_COPIED_HITS = 100
_ROWS_TOGETHER = 4096


class TakingScreen(KeepingScreen):
    """A screen whose list and trail can be taken away."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy_hit", "Copy", show=False, id="copy"),
        Binding("Y", "copy_list", "Copy the list", show=False, id="copy-list"),
        Binding("e", "export_hits", "Export", show=False, id="export"),
        Binding("S", "save_picture", "Save a picture", show=False, id="picture"),
    ]

    def action_copy_hit(self) -> None:
        """Copy the caption under the cursor."""
        if self.has_hits() and self.explorer is not None and self.hit_list.row is not None:
            self._copy(visible(self.explorer.opened.captions.shown[self.hit_list.row]), "the caption")

    def action_copy_list(self) -> None:
        """Copy the first hits, a line each: rank, distance or score, caption."""
        hits = self.view.answer.hits if self.view.answer else None
        if not self.has_hits() or self.explorer is None or hits is None:
            return
        first = range(min(len(hits), _COPIED_HITS))
        documents = hit_documents(self.explorer.opened.captions, hits, places=first)
        value = "distance" if hits.scores is None else "score"
        lines = [f"{hit['rank']}\t{hit[value]:.4f}\t{visible(hit['caption'])}" for hit in documents]
        self._copy("\n".join(lines) + "\n", f"{len(lines)} hits")

    def _copy(self, text: str, what: str) -> None:
        """Give a text to the terminal's clipboard, which never says whether it took it, and put it into a file."""
        self.app.copy_to_clipboard(text)
        path = data_folder() / "copied.txt"
        try:
            ensure_folder(path.parent)
            file_number = open_plain(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            with os.fdopen(file_number, "w", encoding="utf-8", errors="replace") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(text)
        except OSError as error:
            self.notify(f"copied {what} to the terminal's clipboard; not to {path}: {error.strerror}", markup=False)
        else:
            self.notify(f"copied {what}; if the terminal has no clipboard: {path}", markup=False)

    def action_export_hits(self) -> None:
        """Write the list to a file."""
        answer, ranking, explorer = self.view.answer, self.hit_list.ranking, self.explorer
        if not self.has_hits() or answer is None or ranking is None or explorer is None:
            return
        closer = self.view.closer_than(ranking.distances)
        captions, count = explorer.opened.captions, len(ranking)
        parts = [range(start, min(start + _ROWS_TOGETHER, count)) for start in range(0, count, _ROWS_TOGETHER)]
        folded = ", folded ones too" if len(self.hit_list) < count else ""
        among = f", with {answer.among.text}" if answer.among.conditions else ""
        self.export(
            lambda: (hit_documents(captions, ranking, closer, places=part) for part in parts),
            f"{counted(count, 'hit')} of “{answer.query.text}”{folded}{among}",
            "hits.csv",
        )

    def export_trail(self) -> None:
        """Write the visits to a file."""
        visits = list(self.session.visits)
        what = f"{counted(len(visits), 'query')} of the trail"
        self.export(lambda: iter([visit_documents(visits)]), what, "trail.csv")

    def export_comparison(self, comparison: Comparison) -> None:
        """Write the lists of a comparison to a file."""
        if self.explorer is not None:
            captions = self.explorer.opened.captions
            rows = lambda: iter([comparison_rows(captions, comparison)])  # noqa: E731 - a function of its own says no more
            self.export(rows, f"{len(comparison.lists)} lists for “{comparison.query}”", "comparison.csv")

    def export(self, rows: Rows, what: str, name: str, problem: str = "") -> None:
        """Ask for a file and write rows to it; on an error, ask again, with the `problem`."""
        title = f"export to a file ({' '.join(ENDINGS)})"
        prompt = PromptScreen(title, what, value=name, is_proposal=not problem, problem=problem)
        self.app.push_screen(prompt, lambda path: self._check_export(rows, what, path))

    def _check_export(self, rows: Rows, what: str, name: str | None, *, replace: bool = False) -> None:
        if not name:
            return
        try:
            used = () if self.explorer is None else self.explorer.opened.setup.assets.files
            path = check_output(Path(name), endings=ENDINGS, used=used)
        except AssetError as error:
            self.export(rows, what, name, str(error))
            return
        if path.exists() and not replace:
            text = f"{path} exists. Accept its name again to replace it, or name another file."
            again = PromptScreen("export", text, value=name)
            self.app.push_screen(again, lambda chosen: self._check_export(rows, what, chosen, replace=chosen == name))
            return
        self._write(rows, what, path)

    @work(thread=True, group="export")
    def _write(self, rows: Rows, what: str, path: Path) -> None:
        worker, count = get_current_worker(), 0
        try:
            parts = rows()
            first = next(parts, [])
            with open_rows(path, list(first[0]) if first else []) as write:
                for part in chain([first], parts):
                    if worker.is_cancelled:  # the person leaves
                        raise Cancelled
                    write(part)
                    count += len(part)
        except Cancelled:
            return
        except AssetError as error:
            self.call_later(self.export, rows, what, str(path), str(error))
        except Exception as error:  # a bug in this thread would end the program
            self.post_message(messages.BackgroundFailed("the export failed", error))
        else:
            self.call_later(self.notify, f"{path}: {counted(count, 'row')}", markup=False)

    def action_save_picture(self) -> None:
        """Save the screen as an SVG file in the current folder."""
        from core.store.whole import whole_file  # not loaded before the first frame

        path = Path(f"infersent-tui-{datetime.now():%Y%m%d-%H%M%S-%f}.svg")
        try:
            path = path.absolute()
            with whole_file(path, advice="check the folder and the disk") as work:
                work.write_text(self.app.export_screenshot(), encoding="utf-8")
        except (AssetError, OSError) as error:  # the current folder may be gone
            self.notify(message_line(error), severity="warning", markup=False)
        else:
            self.notify(f"the screen is in {path}", markup=False)
