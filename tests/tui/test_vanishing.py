"""Files that change or go away while the screen is open."""

import shutil

import pytest
from conftest import write_weights
from test_app import ask, make_app, notices, ready, settle, until

pytestmark = pytest.mark.opened


async def test_the_screen_goes_on_when_its_cache_is_deleted(files):
    async with make_app(files).run_test() as pilot:
        await ready(pilot)
        shutil.rmtree(files.cache, ignore_errors=True)  # work in the background makes and renames files in it
        await ask(pilot, "a dog on a beach")
        assert pilot.app.explore.view.answer.hits.rows.size
        await pilot.press("enter")
        await settle(pilot)
    files.explorer(need="methods")


async def test_weights_that_changed_before_they_were_loaded_answer_nothing_and_are_named(files):
    files.explorer(need="methods").opened.cache.close()
    app = make_app(files)
    load_rest = app._loader.load_rest

    def changed_before() -> None:
        write_weights(files.weights, seed=9)
        load_rest()

    app._loader.load_rest = changed_before
    async with app.run_test() as pilot:
        await ready(pilot)
        await until(pilot, lambda: "changed while it was in use" in notices(app), what="the notice")
        assert "typed queries cannot be answered" in notices(app)
        await pilot.press("enter")  # captions can still be asked
        await settle(pilot)
        assert app.explore.view.answer.hits.rows.size
