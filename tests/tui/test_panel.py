"""A panel of text: when it lays the screen out again, and what it paints."""

import pytest
from screen_text import screen_lines
from textual.app import App
from textual.containers import Container
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


class Bars(Panel):
    """Draws bars as wide as itself."""

    DRAWS = ("bars",)
    bars: reactive[int] = reactive(1, repaint=False)

    def render(self) -> Content:
        return Content("\n".join(["━" * self.content_size.width] * self.bars))


class Panels(App):
    """Three panels that share a column, with a line below, and one beside another in a grid."""

    CSS = """
    Lines, Bars { height: auto; }
    #grid { layout: grid; grid-size: 2; grid-rows: auto; height: auto; }
    #whole { column-span: 2; }
    """

    def compose(self):
        yield Lines(id="upper")
        yield Lines(id="lower")
        yield Static("end", id="end")
        yield Bars(id="bars")
        with Container(id="grid"):
            yield Lines(id="half")
            yield Lines(id="other")
            yield Lines(id="whole")


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
    return [line.strip() for line in screen_lines(pilot.app)]


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


def layouts(pilot) -> int:
    """Return how many layouts the panels have asked for."""
    return sum(panel._layout_updates for panel in pilot.app.query(Panel))


async def test_a_panel_that_is_not_displayed_lays_nothing_out_and_is_whole_once_it_is(pilot):
    upper = pilot.app.query_one("#upper")
    upper.display = False
    await pilot.pause()
    before = layouts(pilot)
    await change(pilot, "#upper", "one two three four five six\nseven")
    await change(pilot, "#upper", "eight\nnine\nten")
    assert layouts(pilot) == before
    upper.display = True
    await pilot.pause()
    assert painted(pilot)[:4] == ["eight", "nine", "ten", "one"]


async def test_a_text_that_is_longer_than_the_lines_laid_out_is_whole_after_the_width_went_and_came(pilot):
    await change(pilot, "#upper", "one two three four five six")  # one line of 40 cells, four of 8
    for width in (8, 40):
        await pilot.resize_terminal(width, 20)
        await pilot.pause()
    await change(pilot, "#upper", "a\nb\nc\nd")
    assert painted(pilot)[:5] == ["a", "b", "c", "d", "one"]


async def test_a_panel_across_two_columns_is_as_high_as_its_text_after_another_has_grown(pilot):
    await change(pilot, "#whole", "one two three four five six seven")  # one line, two of a column's width
    await change(pilot, "#half", "eight\nnine")
    await change(pilot, "#whole", "ten\neleven")
    grid = painted(pilot)[4:]
    assert [line.split() for line in grid[:4]] == [["eight", "one"], ["nine"], ["ten"], ["eleven"]]


async def test_bars_that_a_narrower_window_would_have_wrapped_leave_no_blank_lines(pilot):
    bars = pilot.app.query_one("#bars")
    bars.bars = 3
    await pilot.pause()
    assert bars.size.height == 3
    await pilot.resize_terminal(24, 20)
    await pilot.pause(SHRINK_AFTER + 0.2)
    assert bars.size.height == 3
