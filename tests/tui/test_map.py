"""The map: dots where the captions are, marks where query and hits are, and one selection with the list."""

import numpy as np
import pytest
from test_app import ask, make_app, ready, title, until
from test_filter import filtered
from textual.events import Click

from tui.map_marks import region_name
from tui.scatter import Label, Mark, Window, count, draw, shades
from tui.screens.prompt import PromptScreen

RNG = np.random.default_rng(4)


def dots(points, window) -> set[tuple[int, int]]:
    """Return the dots that braille characters show, as columns and lines of dots from the upper left corner."""
    shown = set()
    for line, codes in enumerate(count(points, window)[0].tolist()):
        for column, code in enumerate(codes):
            for bit, (x, y) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]):
                if (code - 0x2800) >> bit & 1:
                    shown.add((2 * column + x, 4 * line + y))
    return shown


def test_each_point_is_a_dot_at_its_place_and_none_outside_is_drawn():
    points = RNG.normal(size=(500, 2)).astype(np.float32)
    window = Window(x=0.3, y=-0.2, unit=0.05, columns=17, lines=9)
    wanted = set()
    for x, y in points.tolist():  # slowly
        column, line = int(np.floor((x - 0.3) / 0.05 + 17)), int(np.floor((-0.2 - y) / 0.05 + 18))
        if 0 <= column < 34 and 0 <= line < 36:
            wanted.add((column, line))
    assert dots(points, window) == wanted
    assert 0 < len(wanted) < 500
    inside = window.cells(points)
    counts = count(points, window)[1]
    for line, column in np.ndindex(counts.shape):
        here = (np.floor(inside) == (column, line)).all(axis=1).sum()
        assert counts[line, column] == here


@pytest.mark.parametrize("points", [[[1, 2]], [[1, 2]] * 50, [[0, 0], [1e-9, 0]], [[0, 0], [0, 5]], [[-3, 1], [9, 1]]])
@pytest.mark.parametrize("size", [(1, 1), (80, 3), (2, 60)])
def test_few_or_equal_points_are_all_in_the_window_around_them(points, size):
    points = np.array(points, np.float32)
    window = Window.around(points, columns=size[0], lines=size[1])
    assert window.unit > 0
    assert count(points, window)[1].sum() == len(points)
    assert all(window.cell(point) is not None for point in points)


def test_no_points_have_a_window():
    window = Window.around(np.empty((0, 2), np.float32), columns=5, lines=5)
    assert dots(np.empty((0, 2), np.float32), window) == set()
    assert window.nearest(np.empty((0, 2)), 2, 2) is None


def test_a_zoom_leaves_the_place_under_the_cursor_where_it_is():
    window = Window(x=1.0, y=2.0, unit=0.1, columns=40, lines=20)
    closer = window.zoomed(3.0, column=7.5, line=4.5)
    assert closer.unit == pytest.approx(0.1 / 3)
    assert closer.point(7.5, 4.5) == pytest.approx(window.point(7.5, 4.5))
    assert window.moved(4, -2).point(3, 9) == pytest.approx(window.point(7, 7))


def test_a_window_of_another_size_shows_as_much_and_the_way_back_leads_to_the_same():
    points = RNG.normal(size=(300, 2)).astype(np.float32) * np.float32([3, 1])
    for window in (Window.around(points, columns=78, lines=14), Window(x=1, y=0.5, unit=0.01, columns=78, lines=14)):
        other = window.sized(points, columns=118, lines=31)
        back = other.sized(points, columns=78, lines=14)
        assert back.unit == pytest.approx(window.unit)
        assert (back.x, back.y, back.columns, back.lines) == (window.x, window.y, 78, 14)
    whole = Window.around(points, columns=78, lines=14).sized(points, columns=118, lines=31)
    assert whole == Window.around(points, columns=118, lines=31)


def test_denser_cells_have_more_shade():
    counts = np.array([[0, 1, 2, 10, 100, 1000]])
    found = shades(counts)[0].tolist()
    assert found == sorted(found)
    assert (found[0], found[1], found[-1]) == (0, 1, 4)
    assert shades(np.zeros((2, 2), np.int64)).max() == 0


def test_later_marks_lie_above_earlier_ones_and_those_outside_are_left_out():
    window = Window(x=0, y=0, unit=0.5, columns=5, lines=3)
    marks = [Mark(np.array([[0, 0], [99, 0]]), "a", "hit"), Mark(np.array([[0, 0]]), "b", "query")]
    lines = draw(np.zeros((1, 2)), window, marks, cursor=(0, 2))
    assert "".join(text for text, _ in lines[1]) == "⠀⠀b⠀⠀"
    assert [part for text, part in lines[1] if "b" in text] == ["query"]
    assert lines[2][0][1] == "cursor"


def test_a_label_stands_at_its_point_or_beside_marks_and_more_important_labels():
    middle, edge = np.array([0.0, 0.0]), np.array([-5.9, 0.0])
    labels = [Label(middle, "first"), Label(edge, "second"), Label(edge, "2"), Label(np.array([0, 99.0]), "outside")]
    labels.append(Label(np.array([0, 2.0]), "longer than the window"))

    def drawn(lines: int, *marks: Mark) -> list[str]:
        window = Window(x=0, y=0, unit=0.5, columns=12, lines=lines)
        rows = draw(np.zeros((1, 2)), window, marks, (11, lines - 1), labels)
        assert all(part == "label" for row in rows for text, part in row if text.strip("⠀").isalpha())
        return ["".join(text for text, _ in row) for row in rows]

    hit, query = Mark(middle[None], "○", "hit", is_minor=True), Mark(middle[None], "◆", "query")
    assert drawn(3, hit) == ["second⠀⠀⠀⠀⠀⠀", "2⠀⠀⠀first⠀⠀⠀", "⠀" * 12]
    assert drawn(3, query) == ["2⠀⠀⠀first⠀⠀⠀", "second◆⠀⠀⠀⠀⠀", "⠀" * 12]
    assert drawn(1, hit) == ["2⠀⠀⠀first⠀⠀⠀"], "there is no room for the second one"
    assert drawn(1, query) == ["2⠀⠀⠀fi◆st⠀⠀⠀"]


def test_what_a_filter_leaves_out_is_drawn_where_nothing_else_is():
    window = Window(x=0, y=0, unit=0.5, columns=4, lines=1)
    some, every = np.array([[-1.9, 0.1]]), np.array([[-1.9, 0.1], [-1.1, 0.1], [1.9, 0.1]])
    (line,) = draw(some, window, [], (3, 0), context=every)
    codes = "".join(text for text, _ in line)
    assert [part for _, part in line] == ["density-1", "density-0", "cursor"]
    assert [char == "⠀" for char in codes] == [False, True, True, False]
    assert codes[0] == "".join(text for text, _ in draw(some, window, [], (3, 0))[0])[0]
    (line,) = draw(some[:0], window, [], (2, 0), context=every)
    assert [part for _, part in line] == ["context", "density-0", "cursor", "context"]
    (line,) = draw(some, window, [], (2, 0), context=every, is_ascii=True)
    assert "".join(text for text, _ in line) == ".  ."


def test_the_nearest_caption_to_a_cell_is_the_one_a_slow_search_finds():
    points = RNG.normal(size=(300, 2)).astype(np.float32)
    window = Window.around(points, columns=60, lines=20)
    places = window.cells(points)
    for column, line in ((30, 10), (20, 8), (0, 0), (59, 19)):
        away = [np.hypot(x - column - 0.5, 2 * (y - line - 0.5)) for x, y in places]
        nearest = int(np.argmin(away))
        assert window.nearest(places, column, line) == (nearest if away[nearest] <= 1.5 else None)


async def mapped(pilot):
    """Open the map and wait for it."""
    await pilot.press("m")
    pane = pilot.app.explore.view.map_pane
    await until(pilot, lambda: pane.window is not None, what="the map")
    await pilot.pause()
    return pane


@pytest.mark.opened
@pytest.mark.parametrize(("width", "beside"), [(160, True), (100, False)])
async def test_m_shows_the_map_and_hides_it_again(files, width, beside):
    app = make_app(files)
    async with app.run_test(size=(width, 40)) as pilot:
        await ready(pilot)
        pane, hits = await mapped(pilot), app.explore.hit_list
        assert pane.display
        assert (hits.size.width > 0) == beside
        assert "of the variance · 300 captions" in title(pane)
        assert any("◆" in pane.render_line(y).text for y in range(pane.size.height))
        await pilot.press("m")
        await pilot.pause()
        assert not pane.display
        assert app.focused is hits


@pytest.mark.opened
@pytest.mark.parametrize("width", [160, 100])
async def test_list_and_map_share_the_selection_and_enter_follows_it(files, width):
    app = make_app(files)
    async with app.run_test(size=(width, 40)) as pilot:
        await ready(pilot)
        await until(pilot, lambda: len(app.explore.hit_list.ranking) == 300, what="the whole list")
        pane, hits = await mapped(pilot), app.explore.hit_list
        assert pane.row == hits.row
        if width == 160:
            app.explore.set_focus(hits)
            await pilot.press("j", "j")
            await pilot.pause()
            assert pane.row == hits.row
            app.explore.set_focus(pane)
        points = pane.corpus_map.points
        away = np.hypot(*(points - np.median(points, axis=0)).T)
        pane.select(int(np.argmin(away)))  # where others are near, wherever the run began
        seen = {pane.row}
        for key in [*["left"] * 4, *["down"] * 4, "plus", "l", "K", "minus", "0", "h", "h"]:
            await pilot.press(key)
            await pilot.pause()
            if pane.row is not None:
                assert hits.row == pane.row
                seen.add(pane.row)
        assert len(seen) > 2
        row = app.explore.hit_list.row
        pane.select(row)
        await pilot.press("enter")
        await until(pilot, lambda: app.explore.session.here.row == row, what="the followed caption")


@pytest.mark.opened
@pytest.mark.parametrize("width", [160, 100])
async def test_after_the_search_box_the_keys_are_those_of_what_is_seen(files, width):
    app = make_app(files)
    async with app.run_test(size=(width, 40)) as pilot:
        await ready(pilot)
        pane = await mapped(pilot)
        for key in ("escape", "enter"):
            await pilot.press("slash", key)
            await pilot.pause()
            assert app.focused is (pane if width == 100 else app.explore.hit_list)
        if width == 160:
            await pilot.press("m")
            assert app.focused is pane
            assert pane.display
        await pilot.press("plus", "0")
        assert app.explore.search_box.value not in ("+", "0")


@pytest.mark.opened
async def test_hits_have_the_numbers_of_the_list_and_bookmarks_and_visits_their_signs(files):
    app = make_app(files)
    async with app.run_test(size=(160, 40)) as pilot:
        await ready(pilot)
        first = app.explore.session.here.row
        await pilot.press("j", "j", "b", "enter")
        marked = app.explore.hit_list.row
        await pilot.press("j", "enter")
        await until(pilot, lambda: app.explore.session.is_shown, what="the followed caption")
        pane, answer = await mapped(pilot), app.explore.view.answer
        points = pane.corpus_map.points
        shown = {mark.sign: mark for mark in pane._marks}
        assert answer.hits.rows[0] == answer.query.row
        for rank in range(2, 10):
            np.testing.assert_array_equal(shown[str(rank)].points, points[[answer.hits.rows[rank - 1]]])
        assert "1" not in shown, "the query itself, which has a sign of its own"
        np.testing.assert_allclose(shown["◆"].points, points[[answer.query.row]], atol=1e-4)
        np.testing.assert_array_equal(shown["★"].points, points[[marked]])
        assert points[first].tolist() in shown["•"].points.tolist()
        assert pane._marks[-1].sign == "◆", "on top"


@pytest.mark.opened
async def test_the_map_is_of_the_captions_that_meet_the_filter(files):
    app = make_app(files)
    async with app.run_test(size=(160, 40)) as pilot:
        await ready(pilot)
        pane = await mapped(pilot)
        before = pane.window
        await filtered(pilot, "length>9")
        await pilot.pause()
        searched = app.explore.view.answer.searched
        assert 0 < searched < 300
        assert f"{searched} captions with length>9 · ×1" in title(pane)
        assert pane.window == before, "what is left stays where it was"


@pytest.mark.opened
async def test_regions_have_their_names_on_the_map_and_are_a_filter(files):
    app = make_app(files)
    async with app.run_test(size=(160, 48)) as pilot:
        await ready(pilot)
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, PromptScreen), what="the prompt")
        app.screen.box.value = "region:1"
        await pilot.press("enter")
        await until(pilot, lambda: "open the map" in getattr(app.screen, "problem", ""), what="what to do first")
        await pilot.press("escape")
        pane = await mapped(pilot)
        await until(pilot, lambda: pane.regions is not None, what="the regions")
        await pilot.pause()
        names = [region_name(region) for region in pane.regions.regions]
        shown = "\n".join(pane.render_line(y).text for y in range(pane.size.height))
        assert sum(name in shown for name in names) >= 2
        row = int(np.flatnonzero(pane.regions.of == 2)[0])
        pane.select(row)
        assert str(pane.border_subtitle).startswith(f"{names[1]} │ ")
        await pilot.press("space")
        await until(pilot, lambda: app.explore.view.answer.among.text == "region:2", what="its captions")
        assert app.explore.view.answer.searched == pane.regions.regions[1].captions
        await filtered(pilot, "length>2 region:2")
        pane.select(row)
        await pilot.press("space")
        await until(pilot, lambda: app.explore.view.answer.among.text == "length>2", what="all regions again")
        await filtered(pilot, "region:1")
        await pilot.pause()
        assert app.explore.view.answer.searched == pane.regions.regions[0].captions
        shown = "\n".join(pane.render_line(y).text for y in range(pane.size.height))
        assert [name for name in names if name in shown] in ([], names[:1])


@pytest.mark.opened
async def test_axes_by_meaning_keep_the_selection_and_wrong_ones_are_explained(files):
    app = make_app(files)
    async with app.run_test(size=(160, 40)) as pilot:
        await ready(pilot)
        await ask(pilot, "a dog on a beach")
        pane = await mapped(pilot)
        row = pane.row
        shown = [pane.render_line(y).text for y in range(pane.size.height)]
        assert any("◆" in line for line in shown), "a typed query lies among the captions"

        async def axes(text: str) -> None:
            await pilot.press("a")
            await until(pilot, lambda: isinstance(app.screen, PromptScreen), what="the prompt")
            app.screen.box.value = text
            await pilot.press("enter")

        await axes("a dog > a cat; one man > a crowd of people")
        await until(pilot, lambda: pane.corpus_map.axes is not None, what="the axes")
        await pilot.pause()
        assert "a dog → a cat, one man ↑ a crowd of people" in title(pane)
        assert pane.row == row
        for text, problem in [
            ("a dog; a cat", "two pairs of phrases"),
            ("a dog > a dog; a man > a cat", "begins where it ends"),
            ("a dog > a cat; a dog > a cat", "same direction"),
            ("qwertz > a cat; a dog > a man", "no word of “qwertz” is known"),
        ]:
            await axes(text)
            await until(pilot, lambda problem=problem: problem in getattr(app.screen, "problem", ""), what=problem)
            await pilot.press("escape")
        assert pane.corpus_map.axes is not None


@pytest.mark.opened
async def test_the_map_is_dragged_with_the_mouse_and_a_drag_is_no_click(files):
    app = make_app(files)
    async with app.run_test(size=(160, 40)) as pilot:
        await ready(pilot)
        pane = await mapped(pilot)
        await pilot.press("plus", "plus")
        await pilot.pause()
        before, cursor = pane.window, pane.cursor

        await pilot.mouse_down(pane, offset=(11, 6))
        for offset in ((13, 7), (15, 8)):
            await pilot.hover(pane, offset=offset)
        await pilot.mouse_up(pane, offset=(15, 8))
        await pilot.pause()
        assert pane.window.point(14, 7) == pytest.approx(before.point(10, 5))
        pane.post_message(Click(pane, 15, 8, 0, 0, 1, False, False, False))  # which Textual sends after it
        await pilot.hover(pane, offset=(30, 20))
        await pilot.pause()
        assert pane.window.point(14, 7) == pytest.approx(before.point(10, 5))
        assert pane.cursor == cursor
        await pilot.click(pane, offset=(31, 11))
        await pilot.pause()
        assert pane.cursor in {(30, 10), (29, 10)}


def test_without_braille_density_and_marks_are_signs_of_ascii():
    window = Window(x=0, y=0, unit=0.5, columns=9, lines=5)
    points = RNG.normal(size=(400, 2)).astype(np.float32)
    marks = [Mark(points[:9], "•", "trail"), Mark(points[:1], "◆", "query"), Mark(points[1:2], "7", "hit")]
    lines = draw(points, window, marks, (0, 0), [Label(np.array([0.0, 1.0]), "dog")], is_ascii=True)
    text = "".join(part for line in lines for part, _ in line)
    assert text.isascii()
    assert set("@x7") <= set(text)
    assert "#" in "".join(part for line in draw(points, window, [], (0, 0), is_ascii=True) for part, _ in line)
