"""The screen over a store."""

import shutil
from pathlib import Path

import pytest
from test_app import ask, make_app, notices, ready, settle, title, until

from tui.commands.explore import _with_files_of
from tui.options import Options
from tui.screens.prompt import PromptScreen
from tui.trail import TrailWriter, list_runs, recent_corpora

pytestmark = pytest.mark.usefixtures("small_sample", "few_sources")


def app_of(files, store, **changes):
    return make_app(files, captions=None, store=str(store), **changes)


async def test_a_store_is_walked_as_a_file_is(files, store):
    app = app_of(files, store)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        second = int(app.explore.view.answer.hits.rows[1])
        await pilot.press("enter")
        await settle(pilot)
        assert app.explore.session.here.row == second
        await ask(pilot, "a dog on a beach")
        await pilot.press("escape", "r")
        await settle(pilot)
        assert app.explore.view.answer.hits.distances[0] == 0


async def test_more_hits_come_as_the_cursor_reaches_the_end(files, store, monkeypatch):
    monkeypatch.setattr("core.cluster.searching.PAGE", 110)
    app = app_of(files, store)
    async with app.run_test() as pilot:
        await ready(pilot)
        hits = app.explore.hit_list
        await until(pilot, lambda: len(hits.ranking) == 110, what="the first page")
        await pilot.press("end")
        await until(pilot, lambda: len(hits.ranking) == 300, what="all captions")
        assert hits.place == 109
        await pilot.press("end")
        assert hits.place == 299


async def test_the_map_shows_the_sample_and_places_hits_that_are_not_of_it(files, store):
    app = app_of(files, store)
    async with app.run_test(size=(170, 48)) as pilot:
        await ready(pilot)
        await pilot.press("m")
        pane, opened = app.explore.view.map_pane, app.explore.explorer.opened
        await until(pilot, lambda: pane.regions is not None, what="the regions")
        assert "of a sample" in title(pane)
        others = [row for row in app.explore.view.answer.hits.rows.tolist() if row not in opened.sample.rows]
        place = pane.corpus_map.places(others[:1])[0]
        expected = pane.corpus_map.plane.place(opened.matrix.rows[others[0]][None].astype("f4"))[0]
        assert place == pytest.approx(expected)
        await pilot.press("right", "right", "down")
        assert pane.row is None or pane.row in opened.sample.rows


async def test_a_filter_that_a_store_does_not_have_is_refused_where_it_is_typed(files, store):
    app = app_of(files, store)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("f", *"region:1", "enter")
        await settle(pilot)
        assert isinstance(app.screen, PromptScreen)
        assert "the regions are those of its sample alone" in app.screen.problem
        await pilot.press("ctrl+u", *"/(/", "enter")
        await settle(pilot)
        assert app.screen.problem.endswith("regular expressions as Rust's regex does: unclosed group")
        await pilot.press("ctrl+u", *"dog", "enter")
        await settle(pilot)
        assert app.screen is app.explore
        assert app.explore.view.answer.searched < 300


async def test_keys_that_need_all_captions_in_memory_are_not_offered(files, store):
    app = app_of(files, store)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        offered = {binding.action for _, binding, *_ in app.explore.active_bindings.values()}
        assert "random" in offered
        assert not offered & {"next_method", "compare"}
        await pilot.press("escape", "tab", "c")
        await settle(pilot)
        assert app.screen is app.explore
        assert app.explore.session.method == "infersent"


async def test_a_filter_of_a_store_is_cleared(files, store):
    app = app_of(files, store)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        for text in ("dog", ""):
            await pilot.press("f", "ctrl+u", *text, "enter")
            await settle(pilot)
            assert app.explore.session.among.text == text
        assert not [message for message in notices(app) if "cannot be used" in message]


async def test_a_store_that_is_lost_is_told_and_the_next_question_is_answered_once_it_is_back(files, store):
    app, lost = app_of(files, store), Path(store).with_name("elsewhere")

    def told() -> str:
        return notices(app) + str(app.explore.error_pane.error)

    async with app.run_test() as pilot:
        await ready(pilot)
        shutil.move(store, lost)
        await pilot.press("slash")
        await pilot.press(*"dogs", "enter")
        await until(pilot, lambda: "cannot be used" in told(), what="the error")
        app.explore.explorer.opened.captions.stored._captions.clear()
        assert "cannot be read now" in app.explore.explorer.opened.captions.shown[7]
        shutil.move(lost, store)
        await ask(pilot, "a dog on a beach")
        assert len(app.explore.view.answer.hits)


async def test_the_screen_outlives_a_store_that_is_lost_whatever_is_looked_at(files, store):
    app, lost = app_of(files, store), Path(store).with_name("elsewhere")
    async with app.run_test(size=(170, 48)) as pilot:
        await ready(pilot)
        await pilot.press("m")
        await until(pilot, lambda: app.explore.view.map_pane.regions is not None, what="the regions")
        await pilot.press("m", "escape")
        shutil.move(store, lost)
        stored = app.explore.explorer.opened.captions.stored
        stored._captions.clear()
        stored._embeddings.clear()
        await pilot.press("end", "up", "pageup", "s", "s", "m", "right", "down", "escape", "b", "enter")
        await pilot.pause(0.5)
        await pilot.press("escape", "r", "y", "t")
        await pilot.pause(0.5)
        await pilot.press("escape")
        shutil.move(lost, store)
        await ask(pilot, "a dog on a beach")
        assert len(app.explore.view.answer.hits)


async def test_a_run_over_a_store_is_resumed_and_offered_again(files, store, tmp_path):
    writer = TrailWriter(tmp_path / "trails", {"options": Options(store=store, exact=True).document()})
    app = app_of(files, store, exact=True)
    app.explore._trail = writer
    async with app.run_test() as pilot:
        await ready(pilot)
        await ask(pilot, "a dog on a beach")
        await pilot.press("escape", "enter")
        await settle(pilot)
    (run,) = list_runs(tmp_path / "trails")
    options = _with_files_of(run, Options(model=files.weights, vectors=files.vectors))
    assert (options.store, options.exact, options.captions) == (store, True, None)
    (about,) = recent_corpora(tmp_path / "trails")
    assert about["captions"] == str(Path(store).resolve())
    app = make_app(files, captions=None, store=store)
    app.explore._resumed = run
    async with app.run_test() as pilot:
        await until(pilot, lambda: len(app.explore.session.visits) > 1, what="the visits")
        assert not app.explore.explorer.opened.captions.rows_by_text().get("nosuch")
        assert any(visit.row is not None for visit in app.explore.session.visits)


def test_the_options_of_a_store_are_kept_with_a_run():
    document = Options(store="/a b", exact=True, nprobes="7").document()
    filled = Options().filled(document)
    assert (filled.store, filled.exact, filled.nprobes) == ("/a b", True, "7")
    assert Options(store="s3://a/b").document()["store"] == "s3://a/b"
