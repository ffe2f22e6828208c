"""A list of lines: which it draws, where its cursor stands, and what picks one."""

import pytest
from screen_text import screen_lines
from textual.app import App
from textual.content import Content

from tui.widgets.line_list import LineList

HEADINGS = {0, 1, 5, 19_998, 19_999}
HEIGHT = 8


class Listed(App):
    """A list of 20,000 lines in a small window."""

    CSS = "LineList { height: 1fr; overflow-x: hidden; text-wrap: nowrap; text-overflow: ellipsis; }"

    def __init__(self, count=20_000, headings=HEADINGS):
        super().__init__()
        self.drawn: list[int] = []
        self.picked: list[int] = []
        self.moves: list[int] = []
        self.lines = LineList(id="lines")
        self.lines.show(count, self.line_at, headings={line for line in headings if line < count})

    def line_at(self, line):
        self.drawn.append(line)
        return Content(f"line {line} " + "x" * 100)

    def compose(self):
        yield self.lines

    def on_line_list_cursor_moved(self, message):
        self.moves.append(message.line)

    def on_line_list_followed(self, message):
        self.picked.append(message.line)


async def test_only_visible_lines_are_drawn():
    app = Listed()
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        await pilot.pause()
        assert set(app.drawn) == set(range(HEIGHT))
        app.drawn.clear()
        await pilot.press("j")
        await pilot.pause()
        assert set(app.drawn) == {2, 3}
        app.drawn.clear()
        await pilot.press("G")
        await pilot.pause()
        assert app.lines.cursor == 19_997
        assert set(app.drawn) <= {3, *range(19_997 - 2 * HEIGHT, 20_000)}


async def test_a_line_is_cut_to_the_width():
    app = Listed()
    async with app.run_test(size=(20, HEIGHT)) as pilot:
        await pilot.pause()
        assert [line[:15] for line in screen_lines(app)[:2]] == ["line 0 xxxxxxxx", "line 1 xxxxxxxx"]
        assert all("…" in line for line in screen_lines(app))
        await pilot.resize_terminal(60, HEIGHT)
        await pilot.pause()
        assert screen_lines(app)[0].startswith("line 0 " + "x" * 40)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (["g"], 2),
        (["k"], 2),
        (["j", "j"], 4),
        (["j", "j", "j"], 6),
        (["j", "j", "j", "k"], 4),
        (["pagedown"], 9),
        (["pagedown", "pageup"], 2),
        (["G"], 19_997),
        (["end", "j", "down"], 19_997),
        (["end", "home", "pageup"], 2),
        (["space", "ctrl+f", "ctrl+b"], 9),
    ],
)
async def test_the_cursor_steps_over_headings_and_stays_within_the_lines(keys, line):
    app = Listed()
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        await pilot.press(*keys, "enter")
        await pilot.pause()
        assert app.lines.cursor == line
        assert app.picked == [line]
        assert app.moves[-1] == line


async def test_the_headings_above_the_first_line_come_back_into_view():
    app = Listed()
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        await pilot.press("G", "g")
        await pilot.pause()
        assert screen_lines(app)[0].startswith("line 0")


async def test_a_smaller_window_keeps_the_cursor_in_view():
    app = Listed()
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        await pilot.press("pagedown")
        await pilot.resize_terminal(40, 3)
        await pilot.pause()
        assert any(line.startswith(f"line {app.lines.cursor} ") for line in screen_lines(app))


async def test_a_click_picks_a_line_and_no_heading_and_nothing_below_the_lines():
    app = Listed(count=4)
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        for y in (0, 3, 5):
            await pilot.click(LineList, offset=(4, y))
        await pilot.pause()
        assert app.picked == [3]


@pytest.mark.parametrize("count", [0, 2])
async def test_a_list_without_a_line_to_pick_has_no_cursor(count):
    app = Listed(count=count)
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        await pilot.press("j", "G", "pageup", "enter")
        await pilot.pause()
        assert app.lines.cursor is None
        assert app.picked == []
        assert app.moves == []


async def test_other_lines_take_the_place_of_the_first():
    app = Listed()
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        await pilot.press("G")
        app.lines.show(3, lambda line: Content(f"other {line}"), cursor=1)
        await pilot.pause()
        assert [line.rstrip() for line in screen_lines(app)[:4]] == ["other 0", "other 1", "other 2", ""]
        assert app.lines.cursor == app.moves[-1] == 1
