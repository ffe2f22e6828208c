"""A closer look at a query: its variations, its distance to a pinned one, and its list by a second encoder."""

import gc
import re
import threading
from dataclasses import replace

import pytest
from conftest import write_vectors, write_weights
from scipy.spatial.distance import cosine
from test_app import ask, make_app, ready, settle, title, type_text, until
from textual._styles_cache import StylesCache
from textual.events import AppBlur, AppFocus
from textual.strip import Strip
from textual.widget import Widget

from core.assets import AssetError
from core.corpus.tokenizer import Tokenizer
from core.explaining import Explainer
from core.opened import Opened
from core.store.progress import Progress
from tui.app import ExplorerApp
from tui.garbage import collect_in_a_pause
from tui.messages import Varied
from tui.screens.features import FeaturesScreen
from tui.screens.variations import VariationsScreen

pytestmark = pytest.mark.opened


TEXT = "a dog is sitting on a red couch in front of a white house"


async def varied(pilot) -> VariationsScreen:
    """Open the variations of the current query and wait for them."""
    await pilot.press("x")
    await until(pilot, lambda: isinstance(pilot.app.screen, VariationsScreen), what="the screen")
    screen = pilot.app.screen
    await until(pilot, lambda: screen.stressed is not None, what="the variations")
    await pilot.pause()
    return screen


def files_texts(app) -> list[str]:
    return app.explore.explorer.opened.captions.texts


def lines_of(screen: VariationsScreen) -> list[str]:
    return [screen.lines.line_at(line).plain for line in range(screen.lines.count)]


async def test_variations_stand_in_groups_and_the_cursor_shows_their_hits(files):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await ask(pilot, TEXT)
        screen = await varied(pilot)
        assert [line for line in lines_of(screen) if " " not in line] == ["harmless", "order", "meaning"]
        assert "left out" in lines_of(screen)
        assert lines_of(screen)[1].startswith("article")
        assert title(screen.hits[1]) == f"article: {screen.stressed.moved[0].variation.text}"
        await pilot.press("j")
        kinds = [moved.variation.kind for moved in screen.stressed.moved]
        assert title(screen.hits[1]).startswith(f"{kinds[1]}: ")
        shown = str(screen.hits[0].render()).splitlines()
        texts = app.explore.explorer.opened.captions.texts
        assert len(shown) == 10
        for line, row in zip(shown, screen.stressed.hits.rows.tolist(), strict=True):
            kept = row in screen.stressed.moved[1].hits.rows
            assert line.startswith(" " if kept else "−")
            assert line.split(maxsplit=1 if kept else 2)[-1][:20] == texts[row][:20]


async def test_variations_that_are_asked_again_stay_as_they_are(files):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await ask(pilot, TEXT)
        screen = await varied(pilot)
        before = lines_of(screen)
        _, request = app.explore._overlay
        app.explore.post_message(Varied(request, Progress("asking variations", 1, 2, ""), None))
        await pilot.pause()
        screen.refresh()
        await pilot.pause()
        assert lines_of(screen) == before
        app.explore.post_message(Varied(request, None, replace(screen.stressed)))
        await pilot.pause()
        assert lines_of(screen) == before


async def test_a_followed_variation_is_a_step_of_the_walk(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await ask(pilot, TEXT)
        screen = await varied(pilot)
        colour = next(each for each in screen.stressed.moved if each.variation.kind == "colour")
        screen.lines.cursor = next(i for i, line in enumerate(lines_of(screen)) if line.startswith("colour"))
        await pilot.press("enter")
        await settle(pilot)
        here = app.explore.session.here
        assert (here.text, here.how, here.came_from.text) == (colour.variation.text, "followed", TEXT)
        assert here.step == pytest.approx(colour.distance, abs=1e-4)
        assert app.explore.search_box.value == colour.variation.text
        await pilot.press("backspace")
        await settle(pilot)
        assert app.explore.session.here.text == TEXT


async def test_a_followed_variation_that_reads_like_a_sum_is_quoted(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await ask(pilot, '"a dog - a cat"')
        await varied(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert app.explore.session.here.text == '"the dog - a cat"'
        assert not app.explore.view.answer.query.terms


@pytest.mark.parametrize("text", ["a dog [/b] runs on a beach", "a [b]dog[/b] on a beach", "a [@click=app.quit]dog[/]"])
async def test_markup_in_a_text_is_text(files, text):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await ask(pilot, text)
        screen = await varied(pilot)
        assert title(screen.hits[1]).endswith(screen.stressed.moved[0].variation.text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a dog - a cat", "sums and features have no variations"),
        ("#3", "sums and features have no variations"),
        ("qwertz", "no word of this text is known"),
        ("a dog " * 101, "more than 200 words"),
    ],
)
async def test_what_has_no_variations_says_so(files, text, why):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        app.explore.type(text)
        await settle(pilot)
        app.explore.action_vary()
        await pilot.pause()
        assert app.screen is app.explore
        assert why in next(iter(app._notifications)).message


async def test_a_text_that_few_rules_fit_says_so(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        app.explore.type("on")
        await settle(pilot)
        app.explore.action_vary()
        await until(pilot, lambda: isinstance(app.screen, VariationsScreen), what="the screen")
        await until(pilot, lambda: app.screen.stressed is not None, what="the variations")
        assert "of changes fit this text" in title(app.screen.query_panel)
        await pilot.press("down", "enter", "escape")
        assert app.screen is app.explore


async def test_captions_have_variations_without_a_word_in_the_box(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        screen = await varied(pilot)
        assert screen.asked == app.explore.session.here.text
        assert screen.asked in files_texts(app)
        await pilot.press("question_mark", "escape", "escape")
        assert app.screen is app.explore


async def test_variations_that_fail_close_and_say_why(files, monkeypatch):
    def fail(explorer, text, *, method):
        yield Progress("encoding queries", 0, 10, "queries")
        raise AssetError("--device cuda", "out of memory")

    monkeypatch.setattr("core.explorer.Explorer.stress", fail)
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("x")
        await until(pilot, lambda: app._notifications, what="the notice")
        assert app.screen is app.explore
        assert "out of memory" in next(iter(app._notifications)).message


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (60, 15), (200, 60)])
async def test_variations_survive_every_size(files, size):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await varied(pilot)
        await pilot.resize_terminal(*size)
        await pilot.press("down", "G", "g")
        await pilot.pause()


async def test_the_distance_to_the_pinned_query_is_shown_with_each_answer(files):
    app = make_app(files)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await ask(pilot, "a man bites a dog")
        assert not app.explore.pin_line.display
        await pilot.press("p")
        pinned = app.explore.view.answer.query.embedding
        assert "removes the pin" in str(app.explore.pinned)
        await pilot.press("slash")
        await type_text(pilot, "a dog bites a man")
        await settle(pilot)
        shown = re.search(r"pin a man bites a dog · distance (\d\.\d{4})", str(app.explore.pinned))
        assert app.explore.pin_line.display
        assert float(shown[1]) == pytest.approx(cosine(pinned, app.explore.view.answer.query.embedding), abs=1e-4)
        await pilot.press("enter", "tab")
        await settle(pilot)
        assert shown[0] in str(app.explore.pinned), "it is the encoder's, whatever the method"


async def test_a_pinned_feature_is_not_compared_with_random_captions(files, few_sources):
    app = make_app(files)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await until(pilot, lambda: app.explore.explorer.opened.calibration is not None, what="the calibration")
        for text, is_text in (("#3", False), ("a man bites a dog", True)):
            await ask(pilot, text)
            await pilot.press("p")
            await ask(pilot, "a dog bites a man")
            await until(pilot, lambda: app.explore.view.answer.closer_than is not None, what="the measured answer")
            app.explore.show_lines()
            assert ("random captions" in str(app.explore.pinned)) == is_text


async def test_another_pin_replaces_the_first_and_the_same_key_takes_it_away(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("p", "enter")
        await settle(pilot)
        await pilot.press("p")
        assert app.explore.session.pin.text == app.explore.session.here.text
        await pilot.press("p")
        assert app.explore.session.pin is None
        assert not app.explore.pin_line.display


async def test_a_query_without_an_embedding_has_no_distance_and_is_not_pinned(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("p")
        await ask(pilot, "qwertz")
        assert "no distance" in str(app.explore.pinned)
        app.explore.action_pin()
        assert app.explore.session.pin.text in files_texts(app), "it stays"


def make_app_with_two(files, **changes) -> ExplorerApp:
    other = write_weights(files.folder / "other.pkl", hidden=8, seed=5)
    return make_app(files, **{"against": other} | changes)


async def test_the_second_encoder_is_a_tab_once_it_is_open(files):
    app = make_app_with_two(files)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await until(pilot, lambda: " other " in str(app.explore.heading), what="the second encoder")
        await ask(pilot, "a dog runs on the beach")
        await pilot.press("shift+tab", "shift+tab")
        await settle(pilot)
        assert "[other]" in str(app.explore.heading)
        assert title(app.explore.hit_list) == "neighbours by other"
        alone = app.explore.explorer.opened.second
        query = app.explore.explorer.queries.of_text("a dog runs on the beach")
        ids = alone.text_encoder.vocabulary.look_up(query.literal).ids
        nearest = alone.searcher.nearest(alone.text_encoder.encode(ids).embedding).leading
        assert app.explore.hit_list.ranking.rows[:100].tolist() == nearest.rows.tolist()
        screen = await varied(pilot)
        assert title(screen.query_panel) == "variations, by other"
        await pilot.press("escape")
        features = await looking_at_features(pilot)
        assert title(features.pair) == "query and hit, by other"
        assert features.winners.hits.rows[0] == alone.matrix.rows[:, features.winners.number].argmax()
        await pilot.press("enter")
        assert app.explore.session.here.text == "a dog runs on the beach", "only the first encoder's can be asked"
        await pilot.press("c")
        await until(pilot, lambda: getattr(app.screen, "comparison", None) is not None, what="the lists")
        assert title(app.screen.query_panel).startswith("query overlap@10 other/infersent")


async def test_variations_are_judged_by_the_words_that_the_asked_encoder_knows(files):
    vectors = write_vectors(files.folder / "few.vec", [*Tokenizer(2).marks, "cat", "sofa"], seed=3)
    app = make_app_with_two(files, against_vectors=vectors)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await until(pilot, lambda: " other " in str(app.explore.heading), what="the second encoder")
        await ask(pilot, "a dog runs on the beach")
        await pilot.press("shift+tab", "shift+tab")
        await pilot.press("x")
        await pilot.pause()
        assert app.screen is app.explore
        assert any("no word of this text is known" in notice.message for notice in app._notifications)


async def test_the_list_stays_usable_where_the_second_encoder_cannot_be_opened(files, monkeypatch):
    def full(opened):
        yield Progress("encoding captions", 0, 300, "captions")
        raise AssetError(files.cache, "no space left on device")

    monkeypatch.setattr("core.opening.open_second", full)
    app = make_app_with_two(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await until(pilot, lambda: app._notifications, what="the notice")
        assert "other cannot be asked" in next(iter(app._notifications)).message
        await ask(pilot, "a dog runs on the beach")
        assert "other" not in str(app.explore.heading)


async def test_a_second_encoder_that_does_not_fit_is_an_error_at_the_start(files):
    wide = write_vectors(files.folder / "wide.vec", [*Tokenizer(2).marks, "dog"], dim=20)
    wrong = {
        "is the first encoder, and also the second": {"against": files.weights},
        "20 numbers": {"against_vectors": wide},
    }
    for said, changes in wrong.items():
        app = make_app_with_two(files, **changes)
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda app=app: app.explore.body.current == "error", what="the error")
            assert said in str(app.explore.error_pane.error)


async def looking_at_features(pilot) -> FeaturesScreen:
    app = pilot.app
    pane = app.explore.view.caption_pane
    await until(pilot, lambda: pane.explanation is not None and pane.explanation.agreement, what="the explanation")
    await pilot.press("w")
    await until(pilot, lambda: isinstance(app.screen, FeaturesScreen), what="the screen")
    screen = app.screen
    await until(pilot, lambda: screen.winners is not None, what="the winners")
    return screen


async def test_the_features_behind_a_hit_show_what_they_respond_to_and_can_be_asked(files, monkeypatch):
    find, asked = Explainer.feature, []

    def noted(explainer, number, **how):
        asked.append(number)
        return (yield from find(explainer, number, **how))

    monkeypatch.setattr(Explainer, "feature", noted)
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await ask(pilot, "a dog is sitting on a red couch")
        screen = await looking_at_features(pilot)
        agreement = app.explore.view.caption_pane.explanation.agreement
        assert screen.winners.number == agreement.features[0].number
        assert asked == [screen.winners.number], "once"
        await pilot.press("down")
        number = agreement.features[1].number
        await until(pilot, lambda: screen.winners.number == number, what="the next feature")
        assert title(screen.details) == f"#{number} falls on, in the captions that have most of it"
        shown = str(screen.details.render())
        assert screen.winners.words[0] in shown
        assert files_texts(app)[screen.winners.hits.rows[0]] in shown
        await pilot.press("enter")
        await settle(pilot)
        assert app.explore.search_box.value == f"#{number}"
        values = app.explore.explorer.opened.matrix.rows[:, number].astype(float)
        assert app.explore.hit_list.ranking.rows[0] == values.argmax()
        await until(pilot, lambda: app.explore.view.caption_pane.explanation, what="the explanation")
        assert app.explore.view.caption_pane.explanation.falls_on is not None
        for key in ("c", "x", "w"):
            await pilot.press(key)
            assert app.screen is app.explore, "a feature is no text"
        await pilot.press("backspace")
        await settle(pilot)
        assert app.explore.search_box.value == "a dog is sitting on a red couch"


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (60, 15), (200, 60)])
async def test_features_survive_every_size(files, size):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await looking_at_features(pilot)
        await pilot.resize_terminal(*size)
        await pilot.press("down", "G", "g", "escape")
        assert app.screen is app.explore


async def test_nothing_is_measured_before_the_second_encoder_is_there(files, monkeypatch):
    import core.opening

    release, measured_with = threading.Event(), []
    open_second, calibrate = core.opening.open_second, Opened.calibrate

    def held(opened):
        release.wait(20)
        yield from open_second(opened)

    def noted(opened, **how):
        measured_with.append(opened.second is not None)
        yield from calibrate(opened, **how)

    monkeypatch.setattr("tui.asker._IDLE_SECONDS", 0.0)
    monkeypatch.setattr("core.opening.open_second", held)
    monkeypatch.setattr("core.opened.Opened.calibrate", noted)
    app = make_app_with_two(files)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await until(pilot, lambda: app.explore.explorer.opened.rankers is not None, what="the methods")
        await ask(pilot, "a dog runs on the beach")
        assert not measured_with
        release.set()
        await until(pilot, lambda: measured_with == [True], what="the calibration")


@pytest.mark.parametrize("key", ["b", "w", "x"])
async def test_keys_do_nothing_in_a_list_of_lines_while_the_window_is_not_active(files, key):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        await ask(pilot, TEXT)
        await pilot.press("B", key)
        await until(pilot, lambda: app.screen is not app.explore, what="the lines")
        overlay = app.screen
        app.post_message(AppBlur())
        await until(pilot, lambda: overlay.focused is None, what="the loss of the focus")
        await pilot.press("j", "k", "g", "G")
        app.post_message(AppFocus())
        await until(pilot, lambda: overlay.focused is not None, what="the focus again")
        await pilot.press("j", "escape")
        await until(pilot, lambda: app.screen is app.explore, what="the list again")


@pytest.mark.parametrize("key", ["t", "w", "x"])
async def test_page_keys_do_nothing_in_a_list_of_lines_without_room(files, key):
    app = make_app(files)
    async with app.run_test(size=(20, 5)) as pilot:
        await ready(pilot)
        await ask(pilot, TEXT)
        await pilot.press(key)
        await until(pilot, lambda: app.screen is not app.explore and app.screen.lines.count, what="the lines")
        await pilot.press("j", "pagedown", "pageup")
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        await pilot.press("pagedown", "pagedown", "pagedown", "pagedown")
        lines = app.screen.lines
        await until(pilot, lambda: lines.cursor == lines.count - 1, what="the last line")


async def test_closed_overlays_leave_no_widgets_and_no_painted_lines_in_memory(files):
    def left() -> int:
        gc.collect(1)  # makes a full collection due
        collect_in_a_pause(-1e9)
        return sum(issubclass(type(each), Widget | StylesCache) for each in gc.get_objects())

    async def open_and_close() -> None:
        for key in ("question_mark", "c", "t", "slash"):
            await pilot.press(key, "escape")
            await until(pilot, lambda: app.screen is app.explore, what="the list again")
            await pilot.press("escape")  # also out of the box
        await settle(pilot)

    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        await ask(pilot, TEXT)
        await open_and_close()
        before = left()
        await open_and_close()
        assert left() <= before


async def test_painted_lines_are_freed_without_a_collection(files):
    def painted() -> int:
        return sum(isinstance(each, Strip) for each in gc.get_objects())

    async def paint() -> None:
        for _ in range(3):
            app.screen.refresh()
            for widget in app.screen.walk_children():
                widget.refresh()
            await pilot.pause()

    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        await settle(pilot)
        await paint()
        gc.collect()
        gc.disable()
        try:
            before = painted()
            await paint()
            assert painted() < before + 20
        finally:
            gc.enable()


@pytest.mark.parametrize("key", ["t", "B", "w", "x", "c"])
async def test_a_line_that_is_picked_twice_at_once_closes_one_screen(files, key):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await ask(pilot, TEXT)
        await pilot.press("b", "enter", key)
        await until(pilot, lambda: app.screen is not app.explore, what="the lines")
        screen = app.screen
        await until(pilot, lambda: getattr(screen, "stressed", 0) is not None, what="its content")
        await until(pilot, lambda: getattr(screen, "comparison", 0) is not None, what="its content")
        await pilot.pause()
        for _ in range(2):  # as a double click does
            app.focused.action_follow()
        await until(pilot, lambda: app.screen is app.explore, what="the list")
        await settle(pilot)
        assert app.is_running
        assert app.screen_stack == [app.explore]
