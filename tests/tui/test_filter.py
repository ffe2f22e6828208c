"""The filter of the screen: a part of the captions is searched, walked and compared, and the title says which."""

import threading

import pytest
from test_app import ask, make_app, notices, ready, title, until

from core.ranking.filters import Filter
from core.ranking.masks import Masks
from tui.screens.prompt import PromptScreen

pytestmark = pytest.mark.opened


async def filter_by(pilot, text: str) -> None:
    """Press the key, replace the line and accept it."""
    app = pilot.app
    await pilot.press("f")
    await until(pilot, lambda: isinstance(app.screen, PromptScreen), what="the prompt")
    app.screen.box.value = text
    await pilot.press("enter")


async def filtered(pilot, text: str) -> None:
    """Filter, and wait for the list."""
    explore = pilot.app.explore
    await filter_by(pilot, text)
    await until(pilot, lambda: explore.view.answer.among.text == text and explore.session.is_shown, what="the list")


def rows(app) -> set[int]:
    return set(app.explore.hit_list.ranking.rows.tolist())


async def test_only_captions_that_meet_the_filter_are_in_the_list_and_the_title_has_their_number(files):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await ask(pilot, "a dog on a beach")
        await filtered(pilot, "length>9")
        allowed = app.explore.explorer.masks.mask(Filter.parse("length>9"))
        await until(pilot, lambda: len(app.explore.hit_list.ranking) == allowed.sum(), what="the whole list")
        assert all(allowed[row] for row in rows(app))
        assert f"{allowed.sum()} with length>9" in str(app.explore.hit_list.title)
        await filtered(pilot, "")
        await until(pilot, lambda: len(app.explore.hit_list.ranking) == 300, what="all captions")
        assert "with" not in str(app.explore.hit_list.title)


async def test_the_filter_stays_while_one_walks_and_random_captions_meet_it(files):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await filtered(pilot, "length>9")
        allowed = app.explore.explorer.masks.mask(Filter.parse("length>9"))
        for key in ("r", "enter", "r", "enter"):
            before = app.explore.session.here
            await pilot.press(key)
            await until(pilot, lambda before=before: app.explore.session.here is not before, what="another query")
            await until(pilot, lambda: app.explore.session.is_shown, what="its answer")
            assert allowed[app.explore.session.here.row]
            assert app.explore.view.answer.among.text == "length>9"


@pytest.mark.parametrize(
    ("text", "said"), [("/a(/", "no regular expression"), ("colour:red", "no such column"), ("a:", "no condition")]
)
async def test_what_is_no_filter_is_said_beside_the_line_which_stays(files, text, said):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await filter_by(pilot, text)
        await until(pilot, lambda: getattr(app.screen, "problem", ""), what="the problem")
        assert said in app.screen.problem
        assert app.screen.box.value == text
        await pilot.press("escape")
        assert app.explore.session.among == Filter()


async def test_a_filter_that_keeps_nothing_says_so(files):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await ask(pilot, "a dog on a beach")
        await filtered(pilot, "/no such text/")
        assert len(app.explore.hit_list.ranking) == 0
        assert "none · 0 with /no such text/" in str(app.explore.hit_list.title)
        await pilot.press("r")
        await pilot.pause()
        assert "no caption meets the filter" in notices(app)


async def test_bookmarks_made_later_are_found(files):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        row = app.explore.hit_list.row
        await pilot.press("b", "enter")
        await filtered(pilot, "is:bookmarked")
        await until(pilot, lambda: row in rows(app), what="the bookmarked caption")


async def test_the_screen_never_waits_for_a_filter(files, monkeypatch):
    release, searching, meet = threading.Event(), list[threading.Thread](), Masks._meet

    def slowly(masks, condition):
        if len(masks._captions) > 1:  # else it is only checked
            searching.append(threading.current_thread())
            release.wait(20)
        return meet(masks, condition)

    monkeypatch.setattr(Masks, "_meet", slowly)
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        before = app.explore.session.here
        await filter_by(pilot, "length>9")
        await pilot.press("r")
        await pilot.pause(0.2)
        assert app.explore.session.here is before
        release.set()
        await until(pilot, lambda: app.explore.session.here is not before, what="a random caption")
        assert app.explore.session.here.how == "random"
        await until(pilot, lambda: app.explore.session.is_shown, what="its list")
        assert threading.main_thread() not in searching


async def test_a_random_caption_comes_though_another_filter_was_applied_meanwhile(files):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await filtered(pilot, "length>9")
        before, explorer = app.explore.session.here, app.explore.explorer
        explorer.masks.mask(Filter.parse("length<9"))  # as a comparison of the list before does
        await pilot.press("r")
        await until(pilot, lambda: app.explore.session.here is not before, what="a random caption")


async def test_a_list_that_a_filter_empties_says_so_and_names_its_key(files):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await ask(pilot, "a dog on a beach")
        await filtered(pilot, "/no such text/")
        notice = app.explore.hit_list.notice
        assert notice == "no caption meets the filter /no such text/\n\nf: another filter, or none"


async def test_bookmarks_that_are_taken_away_leave_the_list_of_bookmarks(files):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await ask(pilot, "a dog on a beach")
        await pilot.press("b", "enter", "j", "b", "enter")
        await filtered(pilot, "is:bookmarked")
        await until(pilot, lambda: len(app.explore.hit_list.ranking) == 2, what="both")
        await pilot.press("B", "d", "escape")
        await until(pilot, lambda: len(app.explore.hit_list.ranking) == 1, what="the one that is left")
        assert "1 with is:bookmarked" in title(app.explore.hit_list)
        assert rows(app) == set(app.explore.session.bookmarks)


async def test_copies_and_siblings_are_not_counted_among_a_part_of_the_captions(files):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await ask(pilot, "a dog on a beach")
        await pilot.press("s")
        assert any("+4" in app.explore.hit_list.render_line(y).text for y in range(10))
        await filtered(pilot, "length>9")
        await pilot.pause()
        assert not any(" +" in app.explore.hit_list.render_line(y).text for y in range(10))
