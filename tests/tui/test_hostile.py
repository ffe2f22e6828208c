"""Texts, names and pastes that would control the terminal, or hold the program up, are shown as what they are."""

import pytest
from conftest import demo_texts, make_files, write_coco
from screen_text import screen_lines, unsafe
from test_app import make_app, ready, settle, until
from textual.events import Paste
from textual.screen import SystemModalScreen
from textual.widgets import Input

from tui.screens.compare import CompareScreen
from tui.screens.help import HelpScreen
from tui.screens.pick import PickScreen
from tui.screens.prompt import PromptScreen
from tui.screens.variations import VariationsScreen
from tui.text import LONGEST
from tui.widgets.search_box import boxed

HOSTILE = (
    "\x1b]0;title\x07\x1b[2J\x9b31m a dog \x00\x7f \u202eesrever\u2066 \u2028 z"
    + "\u0301\u200d\u20dd" * 40
    + "\U000e0041\ufe01 dog"
)

OVERLAYS = {
    "b": PromptScreen,
    "c": CompareScreen,
    "x": VariationsScreen,
    "t": PickScreen,
    "e": PromptScreen,
    "question_mark": HelpScreen,
    "ctrl+p": SystemModalScreen,
}


@pytest.fixture
def hostile_files(tmp_path):
    """Captions of which many hold what a terminal obeys, and one of them 20,000 characters."""
    texts = demo_texts(200)
    files = make_files(tmp_path, texts)
    texts[::2] = [f"{text} {HOSTILE}" for text in texts[::2]]
    texts[7] = f"a dog runs {HOSTILE}" + " on the beach" * 1_500
    write_coco(files.captions, texts)
    return files


async def go_to_the_long_caption(pilot) -> None:
    """Wait for the corpus, and ask its caption of 20,000 characters."""
    explore = pilot.app.explore
    await until(pilot, lambda: explore.explorer is not None, what="the corpus")
    explore.go_to_caption(7)
    await settle(pilot)


def check(app) -> None:
    """Fail if anything on the screen is unsafe."""
    for line in screen_lines(app):
        assert not unsafe(line), line


async def test_no_screen_passes_on_what_a_caption_holds(hostile_files, tmp_path, monkeypatch):
    odd = tmp_path / "folder \x1b[31m\u202e"
    odd.mkdir()
    monkeypatch.chdir(odd)
    app = make_app(hostile_files)
    async with app.run_test(size=(120, 40)) as pilot:
        await go_to_the_long_caption(pilot)
        check(app)
        assert any("dog ␀␡ \\u202eesrever" in line for line in screen_lines(app))
        app.explore.go_to_caption(0)  # the other one is too long for variations
        await settle(pilot)
        for key, kind in OVERLAYS.items():
            await pilot.press("escape", "escape", key)
            await until(pilot, lambda kind=kind: isinstance(app.screen, kind), what=f"the screen of {key}")
            if key in "bcxt":
                shows = lambda: any("\\u202eesrever" in line for line in screen_lines(app))  # noqa: E731 - for this only
                await until(pilot, shows, what=f"the caption on the screen of {key}")
            await pilot.pause(0.1)
            check(app)
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.explore, what="the list")
        for key in "SyYpsv":
            await pilot.press(key)
            await settle(pilot)
            check(app)
        assert any("folder ␛[31m\\u202e" in each.message for each in app._notifications), "where the picture is"
    assert [path.suffix for path in odd.iterdir()] == [".svg"], "the picture of the screen"


async def test_the_box_of_the_command_palette_takes_only_visible_text(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+p")
        await pilot.pause(0.1)
        app.post_message(Paste(f"{HOSTILE}{'a dog ' * 1000}"))
        box = app.screen.query_one(Input)
        await until(pilot, lambda: box.value, what="the paste")
        await pilot.pause(0.1)
        assert box.value.startswith("␛]0;title␇")
        assert len(box.value) <= LONGEST
        assert not unsafe(box.value)
        check(app)


async def test_what_was_copied_in_a_box_is_pasted_by_its_key_as_by_the_terminal(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("slash", "ctrl+u")
        app._clipboard = "a dog\n\x1b[2J\u202e runs"
        await pilot.press("ctrl+v")
        assert app.explore.search_box.value == "a dog ␛[2J\\u202e runs"
        app._clipboard = "x" * (LONGEST + 1)
        await pilot.press("ctrl+v")
        assert len(app.explore.search_box.value) == LONGEST


async def test_of_a_followed_long_caption_the_box_shows_the_beginning_and_stays_at_its_visit(hostile_files):
    app = make_app(hostile_files)
    async with app.run_test(size=(80, 24)) as pilot:
        await go_to_the_long_caption(pilot)
        caption, box = app.explore.explorer.opened.captions.texts[7], app.explore.search_box
        assert box.value == boxed(caption)
        assert len(box.value) <= LONGEST < len(caption)
        assert app.explore.view.answer.query.row == 7
        await pilot.press("slash", "enter")
        await settle(pilot)
        assert app.explore.session.here.row == 7, "the whole caption is the query still"


async def test_a_prompt_above_a_long_caption_keeps_its_line_in_view(hostile_files):
    app = make_app(hostile_files)
    async with app.run_test(size=(80, 24)) as pilot:
        await go_to_the_long_caption(pilot)
        await pilot.press("g", "b")
        await until(pilot, lambda: isinstance(app.screen, PromptScreen), what="the note")
        await pilot.pause(0.1)
        assert app.screen.box.region.bottom < 24
        check(app)
