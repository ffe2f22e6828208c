"""The images of captions: read within their folder, drawn in half blocks, and moved through with the list."""

import os
import struct
import zlib
from pathlib import Path

import pytest
from conftest import Files
from PIL import Image
from test_app import make_app, notices, ready, until
from textual.content import Content

from core.assets import AssetError
from tui.pictures import MOST_CELLS, Pictures, graphics_widget, in_half_blocks
from tui.screens.picture import PictureScreen
from tui.settings import Settings
from tui.widgets.caption_pane import CaptionPane

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
PIXELS = [RED, GREEN, BLUE, WHITE, WHITE, WHITE, RED, RED]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an image."""
    folder = tmp_path / "val2014"
    folder.mkdir()
    image = Image.new("RGB", (2, 4))
    image.putdata(PIXELS)
    image.save(folder / "small.png")
    return folder


def test_an_image_is_read_by_its_name_and_made_as_small_as_screens_are(folder: Path) -> None:
    assert Pictures(folder).read("small.png").tobytes() == bytes(sum(PIXELS, ()))
    Image.new("RGB", (4000, 3000), BLUE).save(folder / "large.jpg")
    assert Pictures(folder).read("large.jpg").size == (800, 600)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter
    Image.new("RGB", (4, 2), BLUE).save(folder / "turned.jpg", exif=turned)
    assert Pictures(folder).read("turned.jpg").size == (2, 4)
    Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(folder / "clear.png")
    assert Pictures(folder).read("clear.png").getpixel((0, 0)) == WHITE
    deep = Image.new("I;16", (2, 2), 32_768)
    deep.save(folder / "deep.png")
    assert abs(Pictures(folder).read("deep.png").getpixel((0, 0))[0] - 128) < 3
    (folder / "inner").mkdir()
    Image.new("L", (3, 3), 255).save(folder / "inner" / "grey.png")
    assert Pictures(folder).read("inner/grey.png").getpixel((0, 0)) == WHITE


def test_what_cannot_be_read_says_why(folder: Path) -> None:
    Image.new("RGB", (2, 2)).save(folder.parent / "outside.png")
    (folder / "link.png").symlink_to(folder.parent / "outside.png")
    (folder / "text.png").write_text("no image")
    (folder / "cut.png").write_bytes((folder / "small.png").read_bytes()[:-30])
    (folder / "script.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n")
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(b"")]
    parts = [struct.pack(">I", len(each) - 4) + each + struct.pack(">I", zlib.crc32(each)) for each in chunks]
    (folder / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    for name, why in {
        "missing.png": "no such file",
        "../outside.png": "outside the folder",
        "/etc/passwd": "outside the folder",
        "link.png": "outside the folder",
        "text.png": "no image that can be read",
        "cut.png": "no image that can be read",
        "folder.png": "is a folder",
        "pipe.png": "not a plain file",
        "bomb.png": "pixels",
        "a" * 5000: "too long",
        "nul\0.png": "no image that can be read",
        "script.jpg": "no image that can be read",
    }.items():
        with pytest.raises(AssetError, match=why):
            Pictures(folder).read(name)
    for name in ("text.png", "script.jpg"):
        with pytest.raises(AssetError) as caught:
            Pictures(folder).read(name)
        assert caught.value.found == "is no image that can be read"
    with pytest.raises(AssetError, match="is no folder"):
        Pictures(folder / "nowhere")


def test_a_half_block_has_the_colours_of_two_pixels(folder: Path) -> None:
    drawn = in_half_blocks(Pictures(folder).read("small.png"), columns=2, lines=2)
    assert drawn.columns == 2
    cells = [segment for strip in drawn.lines for segment in strip]
    found = [(cell.style.color.triplet, cell.style.bgcolor.triplet) for cell in cells]
    assert found == [(RED, BLUE), (GREEN, WHITE), (WHITE, RED), (WHITE, RED)]
    assert {cell.text for cell in cells} == {"▀"}


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (1000, 10), (1, 900)])
def test_a_picture_fits_and_keeps_its_shape(size: tuple[int, int]) -> None:
    drawn = in_half_blocks(Image.new("RGB", size), columns=200, lines=40)
    assert 1 <= drawn.columns <= 200
    assert 1 <= len(drawn.lines) <= 40
    assert drawn.columns * len(drawn.lines) <= MOST_CELLS * 1.02
    assert all(strip.cell_length == drawn.columns for strip in drawn.lines)
    if min(size) > 100:
        assert drawn.columns / (2 * len(drawn.lines)) == pytest.approx(size[0] / size[1], rel=0.05)


def test_inside_tmux_and_screen_nothing_is_asked_of_the_terminal() -> None:
    assert graphics_widget({"TMUX": "/tmp/tmux-0/default,1,0"}) is None
    assert graphics_widget({"STY": "1.pts-0"}) is None


def lines_of(screen: PictureScreen) -> str:
    return "\n".join(screen.picture.render_line(y).text for y in range(screen.picture.size.height))


@pytest.mark.opened
async def test_the_image_under_the_cursor_is_shown_and_the_list_moves_below_it(files: Files, folder: Path) -> None:
    for number in range(60):
        Image.new("RGB", (8, 6), (number, 0, 0)).save(folder / f"image_{number}.jpg")
    app = make_app(files, settings=Settings(pictures=Pictures(folder)))
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await pilot.press("I")
        await until(pilot, lambda: isinstance(app.screen, PictureScreen), what="the image")
        screen, hits = app.screen, app.explore.hit_list
        assert isinstance(screen, PictureScreen)
        before = hits.row
        for _ in range(2):
            await until(pilot, lambda: screen.picture.image is not None, what="the image")
            assert screen.wanted == f"image_{hits.row // 5}.jpg"
            red = screen.picture.image.getpixel((0, 0))[0]
            assert abs(red - hits.row // 5) < 5
            assert "▀▀▀" in lines_of(screen)
            assert app.explore.explorer.opened.captions.texts[hits.row] in str(screen.caption.content)
            screen.picture.image = None
            await pilot.press("down")
        assert hits.row != before
        (folder / f"image_{hits.row // 5}.jpg").unlink(missing_ok=True)
        screen.show()
        await until(pilot, lambda: "no such file" in str(screen.told.content), what="why there is none")
        assert "▀" not in lines_of(screen)
        row = hits.row
        await pilot.press("enter")
        await until(pilot, lambda: app.explore.session.here.row == row, what="the followed caption")
        assert app.screen is app.explore


@pytest.mark.opened
async def test_without_a_folder_of_images_the_key_says_how_to_name_one(files: Files) -> None:
    app = make_app(files)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await pilot.press("I")
        await until(pilot, lambda: "--images FOLDER" in notices(app), what="the notice")


async def test_only_a_web_address_becomes_a_link(files: Files) -> None:
    pane = CaptionPane()
    pane.set_reactive(CaptionPane.caption, "A dog.")
    good = "http://images.cocodataset.org/val2014/COCO_val2014_000000000042.jpg"
    bad = ["http://a\x1b]8;;evil", "javascript:alert(1)", "file:///etc/passwd", "http://a b", "HTTP://é"]
    pane.set_reactive(CaptionPane.about, "\n".join(["caption 7", good, *bad]))
    content = pane.render()
    assert isinstance(content, Content)
    links = {span.style.link for span in content.spans if not isinstance(span.style, str) and span.style.link}
    assert links == {good}
