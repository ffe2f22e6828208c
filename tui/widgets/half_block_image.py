"""HalfBlockImage: an image in half blocks, two pixels a cell, which every terminal with colours can show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.events import Resize
from textual.strip import Strip
from textual.widget import Widget

from tui.pictures import in_half_blocks

if TYPE_CHECKING:
    from PIL.Image import Image

    from tui.pictures import Drawn


class HalfBlockImage(Widget):
    """An image, as large as fits, in the middle. Set `image` to show one."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._image: Image | None = None
        self._drawn: Drawn | None = None

    @property
    def image(self) -> Image | None:
        """The image that is shown; None for nothing."""
        return self._image

    @image.setter
    def image(self, image: Image | None) -> None:
        self._image, self._drawn = image, None
        self.refresh()

    def on_resize(self, event: Resize) -> None:
        """Draw it in the new size."""
        self._drawn = None

    def render_line(self, y: int) -> Strip:
        """Draw a line of the image."""
        width, height = self.content_size
        blank = Strip.blank(width, self.visual_style.rich_style)
        if self._image is None or not width or not height:
            return blank
        if self._drawn is None:
            self._drawn = in_half_blocks(self._image, columns=width, lines=height)
        line, left = y - (height - len(self._drawn.lines)) // 2, (width - self._drawn.columns) // 2
        if not 0 <= line < len(self._drawn.lines):
            return blank
        return Strip.join([blank.crop(0, left), self._drawn.lines[line], blank.crop(left + self._drawn.columns)])
