"""Pictures: the images of captions, read from a folder, and drawn in half blocks or by what the terminal can do."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.color import Color
from rich.color_triplet import ColorTriplet
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from core.assets import AssetError
from core.store.plain import open_plain

if TYPE_CHECKING:
    from PIL.Image import Image
    from textual.widget import Widget

MOST_CELLS = 3000
"""A larger picture in half blocks would take longer to paint than a key may."""

_MOST_PIXELS = 60_000_000
_MOST_SIDE = 800  # pixels of what is drawn
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP")  # of others, Pillow starts programs, or libtiff prints
_INSTALL = "pip install 'infersent-tui[images]'"


class Pictures:
    """The images in a folder, by the file names that captions have for them.

    Raises:
        AssetError: The folder is none, or Pillow is not installed.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise AssetError(folder, "is no folder", expected="the folder of the images, such as COCO's val2014")
        try:
            importlib.import_module("PIL.Image")
        except ImportError as error:
            raise AssetError(folder, "images need Pillow, which is not installed", advice=_INSTALL) from error
        self._folder = folder.resolve()

    def read(self, name: str) -> Image:
        """Read an image and make it as small as screens are.

        Raises:
            AssetError: It is missing, lies outside the folder, is damaged or far too large.
        """
        from PIL import Image, ImageOps, UnidentifiedImageError

        path = self._folder / name
        try:
            if not path.resolve().is_relative_to(self._folder):
                raise AssetError(path, "lies outside the folder of the images")
            with os.fdopen(open_plain(path), "rb") as file, Image.open(file, formats=_FORMATS) as image:
                width, height = image.size
                if width * height > _MOST_PIXELS:
                    raise AssetError(path, f"has {width:,} x {height:,} pixels", expected=f"at most {_MOST_PIXELS:,}")
                image.draft("RGB", (_MOST_SIDE, _MOST_SIDE))
                if image.mode.startswith("I"):  # 16 bits of grey, of which `convert` would cut the upper half off
                    small = image.convert("I").point(lambda value: value / 256).convert("L")
                else:
                    small = image
                small.thumbnail((_MOST_SIDE, _MOST_SIDE))
                return _on_white(ImageOps.exif_transpose(small))
        except FileNotFoundError as error:
            raise AssetError(path, "no such file", advice="name the folder that holds it: --images FOLDER") from error
        except AssetError:
            raise
        except Exception as error:  # Pillow raises errors of many kinds where bits are flipped
            reason = "" if isinstance(error, UnidentifiedImageError) else str(error) or type(error).__name__
            found = f"is no image that can be read{f' ({reason})' if reason else ''}"
            advice = f"there are {', '.join(_FORMATS)}; copy it again"
            raise AssetError.from_reader(path, error, found, advice=advice) from error


def _on_white(image: Image) -> Image:
    """Lay what is transparent on white."""
    from PIL import Image

    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


class Drawn(NamedTuple):
    """A picture in half blocks."""

    columns: int
    lines: list[Strip]


def in_half_blocks(image: Image, *, columns: int, lines: int) -> Drawn:
    """Draw an image as large as fits, two pixels a cell, one above the other."""
    scale = min(columns / image.width, 2 * lines / image.height)
    scale = min(scale, (2 * MOST_CELLS / (image.width * image.height)) ** 0.5)
    wide, high = max(1, round(image.width * scale)), max(1, round(image.height * scale / 2))
    pixels = image.resize((wide, 2 * high)).tobytes()  # three bytes each, line by line
    row = 3 * wide

    def cell(x: int, y: int) -> Segment:
        at = 2 * y * row + 3 * x
        upper, lower = (Color.from_triplet(ColorTriplet(*pixels[start : start + 3])) for start in (at, at + row))
        return Segment("▀", Style(color=upper, bgcolor=lower))

    return Drawn(wide, [Strip([cell(x, y) for x in range(wide)], wide) for y in range(high)])


def graphics_widget(environment: Mapping[str, str] = os.environ) -> type[Widget] | None:
    """Return the widget that draws images by Kitty's or Sixel graphics; None where half blocks draw them.

    It asks the terminal, so call it before Textual starts. Inside tmux or screen, graphics are not reliable.
    """
    if environment.get("TMUX") or environment.get("STY"):
        return None
    try:
        renderable: Any = importlib.import_module("textual_image.renderable")
        widget: Any = importlib.import_module("textual_image.widget")
    except Exception:  # it is not installed, or stumbles over what the terminal answers
        return None
    if renderable.Image not in (renderable.SixelImage, renderable.TGPImage):
        return None
    found: type[Widget] = widget.Image
    return found
