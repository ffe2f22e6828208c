"""PictureScreen: the image of the caption under the cursor; the cursor of the list moves on below it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from core.assets import AssetError
from tui.screens.overlay import Overlay
from tui.text import drawable, message_line
from tui.widgets.half_block_image import HalfBlockImage

if TYPE_CHECKING:
    from tui.pictures import Pictures

_KEYS = "↑ ↓ move in the list  ⏎ follow  esc close"


class Depicted(NamedTuple):
    """A caption with its image."""

    caption: str
    place: int
    """In the list, from 1."""
    file_name: str
    """Empty where the file of the captions names none."""


class PictureScreen(Overlay[bool]):
    """The image of the caption under the cursor, with the caption. The result is whether the person follows it.

    Args:
        pictures: The images.
        depicted: Returns what is under the cursor now; None if nothing is.
        move: Moves the cursor by lines.
        graphics: The widget that draws images by the terminal's graphics; None for half blocks.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,I,q", "dismiss(False)", "Close"),
        Binding("enter", "dismiss(True)", "Follow"),
        Binding("down,j", "move(1)", show=False),
        Binding("up,k", "move(-1)", show=False),
        Binding("pagedown,space", "move(10)", show=False),
        Binding("pageup", "move(-10)", show=False),
        Binding("question_mark", "app.help", "Help"),
    ]

    def __init__(
        self,
        pictures: Pictures,
        depicted: Callable[[], Depicted | None],
        move: Callable[[int], object],
        *,
        graphics: type[Widget] | None = None,
    ) -> None:
        super().__init__()
        self._pictures, self._depicted, self._move = pictures, depicted, move
        self.picture = HalfBlockImage(id="picture") if graphics is None else graphics(id="picture", classes="graphics")
        self.told = Static("", id="picture-problem", markup=False)
        self.caption = Static("", id="picture-caption", classes="panel", markup=False)
        self.wanted = ""
        """File name of the image that was asked for last."""

    def compose(self) -> ComposeResult:
        """Yield the image, the caption and the keys."""
        yield self.told
        with Container(id="picture-place"):
            yield self.picture
        yield self.caption
        yield Static(_KEYS, classes="keys", markup=False)

    def on_mount(self) -> None:
        """Show the image of the caption under the cursor."""
        self.show()

    def action_move(self, lines: int) -> None:
        """Move in the list, and show the image of another caption."""
        self._move(lines)
        self.show()

    def show(self) -> None:
        """Show what is under the cursor: the caption at once, the image when it is read."""
        depicted = self._depicted()
        if depicted is None:
            return
        self.caption.update(drawable(depicted.caption))
        self.caption.border_title = Content(f"{depicted.place:,} · {drawable(depicted.file_name)}".rstrip(" ·"))
        self.wanted = depicted.file_name
        if depicted.file_name:
            self._read(depicted.file_name)
        else:
            self._show_problem("the file of the captions names no image for this one")

    @work(thread=True, exclusive=True, group="picture", exit_on_error=False)
    def _read(self, name: str) -> None:
        try:
            image = self._pictures.read(name)
        except AssetError as error:
            self.app.call_later(self._take, name, None, message_line(error))
        else:
            self.app.call_later(self._take, name, image, "")

    def _take(self, name: str, image: object, problem: str) -> None:
        """Show an image that was read, unless another one is wanted meanwhile."""
        if name != self.wanted or not self.is_attached:
            return
        if problem:
            self._show_problem(problem)
        else:
            self.told.display = False
            self.picture.image = image  # type: ignore[attr-defined]

    def _show_problem(self, problem: str) -> None:
        self.picture.image = None  # type: ignore[attr-defined]
        self.told.display = True
        self.told.update(drawable(problem))
