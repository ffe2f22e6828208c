"""A panel of text: when it lays the screen out again, and what it paints."""

import pytest
from textual.app import App
from textual.content import Content
from textual.events import Resize
from textual.reactive import reactive
from textual.widgets import Static

from tui.panel import SHRINK_AFTER, Panel


class Lines(Panel):
    """Draws its lines."""

    DRAWS = ("lines",)
    lines: reactive[str] = reactive("one", repaint=False)

    def render(self) -> Content:
        return Content(self.lines)


class Panels(App):
    """Two panels that share a column, with a line below."""

    CSS = "Lines { height: auto; }"

    def compose(self):
        yield Lines(id="upper")
        yield Lines(id="lower")
        yield Static("end", id="end")


@pytest.fixture
async def pilot():
    async with Panels().run_test(size=(40, 20)) as pilot:
        yield pilot


def heights(pilot) -> tuple[int, int, int]:
    """Return the lines of both panels, and where the line below them is."""
    query_one = pilot.app.query_one
    return query_one("#upper").size.height, query_one("#lower").size.height, query_one("#end").region.y


async def change(pilot, panel: str, lines: str) -> None:
    pilot.app.query_one(panel).lines = lines
    for _ in range(3):
        await pilot.pause()


def painted(pilot) -> list[str]:
    """Return the lines of the screen as they were last painted."""
    strips = pilot.app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).strip() for strip in strips]


async def test_it_grows_at_once_and_shrinks_on_a_pause(pilot):
    await change(pilot, "#upper", "one\ntwo\nthree")
    assert heights(pilot) == (3, 1, 4)
    await change(pilot, "#upper", "one")
    assert heights(pilot) == (3, 1, 4), "the lines stay while someone types"
    assert pilot.app.query_one("#upper").shrinking
    await pilot.pause(SHRINK_AFTER + 0.2)
    assert heights(pilot) == (1, 1, 2)
    assert pilot.app.query_one("#upper").shrinking is None


async def test_lines_that_come_and_go_with_every_key_lay_nothing_out(pilot):
    await change(pilot, "#upper", "one\ntwo\nthree")
    for lines in ("one", "one\ntwo", "two\nthree\nfour", "four"):
        await change(pilot, "#upper", lines)
        assert heights(pilot) == (3, 1, 4)
        assert painted(pilot)[:3] == [*lines.split("\n"), "", ""][:3], "the lines it no longer fills are blank"


async def test_a_panel_that_waits_to_shrink_shows_all_lines_after_another_has_grown(pilot):
    await change(pilot, "#upper", "one\ntwo\nthree")
    await change(pilot, "#upper", "one\ntwo")
    await change(pilot, "#lower", "five\nsix")
    await change(pilot, "#upper", "one\ntwo\nthree")
    assert heights(pilot) == (3, 2, 5)
    await change(pilot, "#upper", "one\ntwo\nthree\nfour")
    assert heights(pilot) == (4, 2, 6)


async def test_a_change_during_a_resize_is_painted(pilot):
    upper = pilot.app.query_one("#upper")
    await change(pilot, "#upper", "one\ntwo")
    upper.post_message(Resize(upper.size, upper.size))  # still unread when the text changes
    await change(pilot, "#upper", "one\nthree")
    assert painted(pilot)[:2] == ["one", "three"]


@pytest.mark.parametrize("lines", ["one two three four", "five"])
async def test_a_change_after_the_paint_of_a_new_width_is_painted(pilot, lines):
    upper = pilot.app.query_one("#upper")
    await change(pilot, "#upper", "one two three")
    await pilot.resize_terminal(8, 20)
    upper.lines = lines
    await pilot.resize_terminal(30, 20)
    await pilot.pause()
    assert painted(pilot)[0] == lines
