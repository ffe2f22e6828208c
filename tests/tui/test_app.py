"""The screen: what a person sees after pressing keys."""

import asyncio
import gc
import os
import re
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ask_caption, demo_texts, write_coco
from textual.content import Content
from textual.events import Key, Paste
from textual.strip import Strip

from core.assets import AssetError
from core.corpus.tokenizer import Tokenizer
from core.encoding.row_files import unfinished_rows
from core.query import Query
from core.store.progress import Progress
from core.trust.verdict import Verdict
from tui.app import ExplorerApp
from tui.messages import Crashed, Ordered
from tui.options import Options
from tui.panel import Panel
from tui.screens.compare import CompareScreen
from tui.screens.help import HelpScreen
from tui.settings import Settings
from tui.text import LONGEST, visible
from tui.trail import TrailWriter
from tui.widgets.hit_list import HitList
from tui.widgets.verdict_pane import VerdictPane

pytestmark = pytest.mark.opened


def make_app(files, *, settings: Settings | None = None, **changes) -> ExplorerApp:
    """An app over files, with other options in place of some."""
    options = Options(
        model=files.weights,
        vectors=files.vectors,
        captions=files.captions,
        cache_dir=files.cache,
        model_version="2",
        dtype="float32",
        device="cpu",
    )
    return ExplorerApp(replace(options, **changes).open_corpus, settings=settings)


async def until(pilot, holds, *, what: str) -> None:
    """Wait until a condition holds."""
    for _ in range(400):
        await pilot.pause(0.02)
        if holds():
            return
    pytest.fail(f"did not happen in time: {what}")


def is_trusted(app) -> bool:
    """Return whether what was measured before is loaded, if there is any."""
    return (
        app.explore.explorer.opened.saved_calibration is None or app.explore.view.verdict_pane.calibration is not None
    )


async def ready(pilot) -> None:
    """Wait for the opening caption and its whole ranking, judged by what was measured before."""
    explore = pilot.app.explore

    def is_ready() -> bool:
        return len(explore.hit_list) > 100 and is_trusted(pilot.app) and explore.session.is_shown

    await until(pilot, is_ready, what="the first answer")


def is_still(app) -> bool:
    """Return whether no panel is about to be drawn or to give up lines, and all is painted where the list is shown."""
    explore = app.explore
    panels = list(explore.query(Panel))
    if any(panel.is_stale or panel.shrinking for panel in panels):
        return False
    waits = any(each._layout_required or each._repaint_required for each in (explore, *panels))
    return app.screen is not explore or not (waits or explore._dirty_widgets)


async def settle(pilot) -> None:
    """Wait until the latest question has its whole ranking, or none."""
    app = pilot.app

    def settled() -> bool:
        answer = app.explore.view.answer
        if answer is None or not app.explore.session.is_shown or not (is_still(app) and is_trusted(app)):
            return False
        return answer.found is None or len(app.explore.hit_list.ranking) == len(answer.found.order())

    await until(pilot, settled, what="the answer")


async def type_text(pilot, text: str) -> None:
    await pilot.press(*["space" if char == " " else char for char in text])


def title(widget) -> str:
    """Return the title of a panel."""
    return Content.from_markup(widget.border_title).plain


def strip(app, hit: int) -> Strip:
    """Return a hit of the list as it is drawn; a line that ends the relevant ones may stand above it."""
    hits = app.explore.hit_list
    return hits.render_line(hits._line_of(hit) - round(hits.scroll_offset.y))


def line(app, hit: int) -> str:
    """Return the text of a hit as it is drawn."""
    return strip(app, hit).text


async def test_it_starts_with_a_random_caption_and_the_cursor_on_its_nearest_neighbour(files):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        assert app.explore.hit_list.has_focus
        assert app.explore.hit_list.cursor == 1
        assert app.explore.search_box.value == app.explore.hit_list.texts[app.explore.hit_list.ranking.rows[0]]
        assert line(app, 0).startswith("   1 .000 ")
        assert line(app, 1).startswith("›")
        assert "captions · 300 │ weights │ [infersent] words" in str(app.explore.header_line.content)
        await until(pilot, lambda: "total" in str(app.explore.status_line.content), what="the time it took")


async def test_answers_follow_the_typing(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("slash")
        await type_text(pilot, "a dog on the beach")
        await settle(pilot)
        assert app.explore.search_box.value == "a dog on the beach"
        assert app.explore.view.answer.query.text == "a dog on the beach"
        assert len(app.explore.hit_list) == 300
        await pilot.press("enter")
        assert app.explore.hit_list.has_focus
        assert app.explore.hit_list.cursor == 0


async def test_every_printable_key_types_in_the_box(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("i")
        await type_text(pilot, "qrijkgG")
        await pilot.press("question_mark", "slash")
        assert app.explore.search_box.value == "qrijkgG?/"


async def test_enter_follows_a_neighbour_and_backspace_returns_to_the_same_place(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        start = app.explore.search_box.value
        await pilot.press("j", "j", "j")
        chosen = app.explore.hit_list.texts[app.explore.hit_list.row]
        await pilot.press("enter")
        await settle(pilot)
        assert app.explore.search_box.value == chosen
        assert app.explore.hit_list.cursor == 1
        assert title(app.explore.query_panel).startswith("query step 1 · .")
        assert f"from “{start}”" in title(app.explore.query_panel)
        await pilot.press("backspace")
        await settle(pilot)
        assert app.explore.search_box.value == start
        assert app.explore.hit_list.cursor == 4
        await pilot.press("backspace")
        await settle(pilot)
        assert app.explore.search_box.value == start


async def test_enter_on_the_query_itself_does_nothing(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        before = app.explore.search_box.value
        await pilot.press("g", "enter")
        await pilot.pause(0.2)
        assert app.explore.search_box.value == before
        assert len(app.explore.session.path) == 1


async def test_a_place_far_down_the_list_is_found_again_on_the_way_back(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("G", "k")
        assert app.explore.hit_list.cursor == 298
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("backspace")
        await settle(pilot)
        await until(pilot, lambda: app.explore.hit_list.cursor == 298, what="the old place")


async def test_going_back_to_typed_text_puts_it_into_the_box_and_asks_once(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("slash")
        await type_text(pilot, "a red bus")
        await pilot.press("down")
        await settle(pilot)
        await pilot.press("j", "enter")
        await settle(pilot)
        serial = app.explore.session.serial
        await pilot.press("alt+left")
        await settle(pilot)
        assert app.explore.search_box.value == "a red bus"
        await pilot.pause(0.6)
        assert app.explore.session.serial == serial + 1


async def test_keystrokes_are_not_steps_of_the_trail(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("slash")
        await type_text(pilot, "a red bus")
        assert len(app.explore.session.path) == 1
        await pilot.press("escape")
        assert [visit.text for visit in app.explore.session.path][1:] == ["a red bus"]


async def test_r_and_ctrl_r_ask_random_captions(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("r")
        await settle(pilot)
        await pilot.press("slash", "ctrl+r")
        await settle(pilot)
        assert len(app.explore.session.path) == 3
        assert app.explore.search_box.value == app.explore.session.path[-1].text
        assert app.explore.search_box.has_focus


async def test_page_keys_and_both_ends(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("pagedown", "pagedown")
        assert app.explore.hit_list.cursor > 10
        assert line(app, app.explore.hit_list.cursor).startswith("›")
        await pilot.press("end")
        assert app.explore.hit_list.cursor == 299
        assert line(app, 299).startswith("›300 ")
        await pilot.press("home", "k")
        assert app.explore.hit_list.cursor == 0
        await pilot.press("pageup", "up")
        assert app.explore.hit_list.cursor == 0


async def test_an_empty_box_empties_the_list(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("slash", "backspace")
        await settle(pilot)
        assert app.explore.search_box.value == ""
        assert len(app.explore.hit_list) == 0
        assert app.explore.view.verdict_pane.answer.verdict is None
        await pilot.press("enter", "j", "enter", "G")
        assert app.explore.hit_list.has_focus


async def test_an_unknown_word_has_no_hits_and_the_pane_says_why(files):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await pilot.press("slash")
        await type_text(pilot, "xylograph")
        await pilot.press("enter")
        await settle(pilot)
        assert len(app.explore.hit_list) == 0
        assert "UNRELIABLE" in str(app.explore.view.verdict_pane.render())
        assert "unknown" in str(app.explore.view.importance_pane.render())


async def test_a_query_whose_words_no_hit_has_is_marked_unreliable_in_words_and_by_a_sign(new_files):
    app = make_app(new_files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await pilot.press("slash")
        await type_text(pilot, "dog")
        await pilot.press("enter")
        await settle(pilot)
        verdict = str(app.explore.view.verdict_pane.render())
        assert verdict.startswith("✘ UNRELIABLE")
        assert "− the hits have 0% of its words" in verdict


async def test_an_overtaken_answer_is_never_shown(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        ask, held, release = app.explore.explorer.ask, threading.Event(), threading.Event()

        def slow_ask(text, **options):
            if text == "old" and not held.is_set():
                held.set()
                release.wait(10)
            return ask(text, **options)

        app.explore.explorer.ask = slow_ask
        await pilot.press("slash")
        await pilot.press(*"old")
        await until(pilot, held.is_set, what="the old question at work")
        seen = []
        app.watch(
            app.explore.hit_list, "ranking", lambda ranking: seen.append(app.explore.view.answer.query.text), init=False
        )
        await type_text(pilot, "er dog")
        release.set()
        await settle(pilot)
        assert app.explore.view.answer.query.text == "older dog"
        assert "old" not in seen


def held(app) -> threading.Event:
    """Hold the opening of the corpus until the event is set."""
    gate, open_corpus = threading.Event(), app._loader._open_corpus
    app._loader._open_corpus = lambda: gate.wait(10) and open_corpus()
    return gate


async def test_keys_typed_while_loading_are_kept_and_asked(files):
    app = make_app(files)
    gate = held(app)
    async with app.run_test() as pilot:
        await pilot.press("slash")
        await type_text(pilot, "a cat")
        assert app.explore.body.current == "loading"
        gate.set()
        await until(
            pilot,
            lambda: app.explore.view.answer is not None and app.explore.view.answer.query.text == "a cat",
            what="the typed query",
        )
        assert app.explore.search_box.has_focus
        assert app.explore.search_box.value == "a cat"
        await pilot.press("s")
        assert app.explore.search_box.value == "a cats"


async def test_leaving_while_encoding_keeps_what_is_done(files, monkeypatch):
    monkeypatch.setattr("core.encoding.building.CHUNK", 20)
    app = make_app(files)
    async with app.run_test() as pilot:
        await until(pilot, lambda: any(files.cache.glob("matrix/*/recipe.json")), what="encoding to begin")
        folder = next(files.cache.glob("matrix/*/"))
        await until(pilot, lambda: unfinished_rows(folder) != 0, what="the first chunk")
        await pilot.press("ctrl+c")
        await until(pilot, lambda: not app.is_running, what="the end")
    again = files.explorer()
    assert again.opened.report.resumed_rows + (300 if again.opened.report.reused else 0) > 0


async def test_where_nothing_could_be_opened_one_can_try_again(files):
    weights = files.weights.read_bytes()
    files.weights.write_text("<html>not found</html>")
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.explore.body.current == "error", what="the error")
        await pilot.press("a")
        await until(pilot, lambda: app.explore.body.current == "error", what="the error again")
        files.weights.write_bytes(weights)
        await pilot.press("a")
        await ready(pilot)
        assert app.explore.hit_list.has_focus
        await pilot.press("a")
        assert app.explore.search_box.value == "a", "no command while captions are shown"


async def test_where_nothing_could_be_opened_one_can_open_other_captions(files):
    other = files.folder / "other.txt"
    other.write_text("\n".join(demo_texts(150)))
    files.captions.write_text("{}")
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.explore.body.current == "error", what="the error")
        assert "o: open another file" in app.explore.error_pane.render().plain
        await pilot.press("o")
        await type_text(pilot, str(files.folder / "nowhere.txt"))
        await pilot.press("enter")
        await until(pilot, lambda: "no such file" in getattr(app.screen, "problem", ""), what="the question again")
        assert app.screen.box.value.endswith("nowhere.txt"), "what was typed is there to be mended"
        await pilot.press("end", "ctrl+u")
        app.post_message(Paste(str(other)))
        await pilot.press("enter")
        await until(pilot, lambda: not app.is_running, what="the end")
    assert app.return_value == other
    assert app.return_code == 0


async def test_a_pipe_is_no_file_of_captions_to_open(files, tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    app = make_app(files)
    async with app.run_test(size=(100, 24)) as pilot:
        await ready(pilot)
        app.explore._open_file()
        await pilot.pause()
        app.post_message(Paste(str(tmp_path / "pipe.txt")))
        await pilot.press("enter")
        await until(
            pilot, lambda: "is not a plain file" in getattr(app.screen, "problem", ""), what="the question again"
        )
        assert "write them to a file" in app.screen.problem


async def test_recent_corpora_are_offered_once_and_only_while_their_files_exist(files, tmp_path, monkeypatch):
    folder = tmp_path / "trails"
    monkeypatch.setattr("tui.screens.opening.default_folder", lambda: folder)
    gone, other = tmp_path / "gone.txt", tmp_path / "other.txt"
    other.write_text("\n".join(demo_texts(60)))
    options = {"captions": str(other), "text_column": ["2"]}
    for captions in (other, gone, other, files.captions):
        about = {"captions": str(captions), "model": "weights", "count": 60}
        writer = TrailWriter(folder, about | ({"options": options} if captions == other else {}))
        writer.write({"bookmark": 0, "text": "a", "note": ""})
        writer.path.rename(folder / f"2020010{len(list(folder.iterdir()))}-000000-x.jsonl")
    (folder / "20300101-000000-x.jsonl").write_text("[1]\n")
    app = make_app(files)
    async with app.run_test(size=(100, 24)) as pilot:
        await ready(pilot)
        (command,) = [each for each in app.get_system_commands(app.screen) if each.title == "Open captions"]
        command.callback()
        await pilot.pause(0.1)
        lines = [app.screen.lines.line_at(line).plain for line in range(app.screen.lines.count)]
        assert [line.split()[0] for line in lines] == ["captions.json", "other.txt", "another"]
        await pilot.press("j", "enter")
    assert app.return_value == options


async def test_a_file_that_cannot_be_used_is_shown_as_a_panel_that_says_what_to_do(files):
    files.weights.write_text("<html>not found</html>")
    app = make_app(files)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.explore.body.current == "error", what="the error")
        text = str(app.explore.error_pane.render())
        assert str(files.weights) in text
        assert "HTML" in text
        assert "what to do" in text
        await pilot.press("r", "j", "enter", "slash", "a", "escape", "backspace", "ctrl+r")
        await pilot.press("q")
    assert app.return_code == 2


async def test_captions_without_any_known_word_are_an_error_panel_not_a_crash(files):
    write_coco(files.captions, ["xylograph", "zzz"])
    app = make_app(files)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.explore.body.current == "error", what="the error")


async def test_help_opens_over_everything_and_closes(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("escape")
        assert not isinstance(app.screen, HelpScreen)


async def test_hostile_captions_are_shown_as_data(files):
    texts = ["\x1b[31mred dog", "[bold]a dog[/bold]", "a \u202edog", "a dog \U0001f600 here", "a\tdog"] * 30
    write_coco(files.captions, texts)
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.explore.view.answer is not None, what="the first answer")
        await settle(pilot)
        drawn = [line(app, place) for place in range(len(app.explore.hit_list))]
        assert not any(char < " " or "\x7f" <= char <= "\x9f" or char == "\u202e" for char in "".join(drawn))
        for text in ("␛[31mred dog", "[bold]a dog[/bold]", "a \\u202edog", "a dog \U0001f600 here", "a␉dog"):
            assert any(text in each for each in drawn)
        await pilot.press("r", "r", "j", "enter", "r", "backspace")
        await settle(pilot)


async def test_resizing_folds_the_panes_under_the_list_and_back(files):
    app = make_app(files)
    async with app.run_test(size=(160, 50)) as pilot:
        await ready(pilot)
        panes, hits = app.query_one("#panes"), app.explore.hit_list
        assert panes.region.x > hits.region.x
        await pilot.resize_terminal(80, 24)
        await pilot.pause(0.1)
        assert panes.region.y > hits.region.y
        assert hits.size.height >= 8
        for size in ((40, 10), (20, 5), (300, 80)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.05)


async def test_a_long_query_shows_its_strongest_words(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("v")
        app.explore.search_box.value = "a man and a dog and a cat near the window of a red bus in the rain"
        await settle(pilot)
        pane = app.explore.view.importance_pane
        assert pane.render().plain.count("\n") + 1 <= pane.size.height
        strongest = max(app.explore.view.answer.query.tokens, key=lambda token: token.importance)
        assert strongest.text in pane.render().plain
        assert "less important" in pane.render().plain


async def test_a_new_answer_is_shown_from_its_top_even_when_the_wheel_had_scrolled_away(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        hits = app.explore.hit_list
        await until(pilot, lambda: hits.max_scroll_y > 50, what="the layout of the list")
        hits.scroll_to(y=100, animate=False)
        await until(pilot, lambda: hits.scroll_offset.y > 50, what="the wheel")
        await pilot.press("r")
        await settle(pilot)
        await until(pilot, lambda: app.explore.hit_list.scroll_offset.y <= 1, what="the top")


async def test_a_click_moves_the_cursor_and_a_double_click_follows(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        sixth = (20, 1 + app.explore.hit_list._line_of(5))  # the title is above the list
        await pilot.click(HitList, offset=sixth)
        assert app.explore.hit_list.cursor == 5
        chosen = app.explore.hit_list.texts[app.explore.hit_list.row]
        await pilot.click(HitList, offset=sixth, times=2)
        await settle(pilot)
        assert app.explore.search_box.value == chosen


async def test_the_caption_under_the_cursor_is_shown_with_its_image(files):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await pilot.press("j", "j")
        row = app.explore.hit_list.row
        pane = app.explore.view.caption_pane.render().plain
        assert app.explore.hit_list.texts[row] in pane
        assert f"image {100 + row // 5}\nimage_{row // 5}.jpg\nhttp://example.org/{row // 5}.jpg" in pane
        assert f"caption {1000 + row}" in pane


async def test_of_a_followed_caption_that_is_too_long_for_the_box_the_beginning_is_seen(files):
    write_coco(files.captions, [f"a {'very ' * 40}long caption {i}" for i in range(150)])
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("enter")
        await settle(pilot)
        await pilot.pause(0.1)
        assert app.explore.search_box.render_line(0).text.startswith("a very very")


async def test_typing_after_a_random_caption_asked_from_the_box_replaces_it(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("slash", "ctrl+r")
        await settle(pilot)
        await type_text(pilot, "a cat")
        assert app.explore.search_box.value == "a cat"


async def test_correcting_a_submitted_text_does_not_select_it(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("slash")
        await type_text(pilot, "a dog")
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("slash", "end", "s", "backspace")
        await settle(pilot)
        await pilot.pause(0.5)
        await type_text(pilot, " runs")
        assert app.explore.search_box.value == "a dog runs"


async def test_back_returns_to_where_the_cursor_was_before_the_typing(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        start = app.explore.search_box.value
        await pilot.press(*"jjjjjj")
        assert app.explore.hit_list.cursor == 7
        await pilot.press("slash")
        await type_text(pilot, "a dog")
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("backspace")
        await settle(pilot)
        assert (app.explore.search_box.value, app.explore.hit_list.cursor) == (start, 7)


async def test_back_from_an_emptied_box_returns_to_what_was_shown_before(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        start = app.explore.search_box.value
        await pilot.press("slash", "backspace", "escape")
        await settle(pilot)
        assert len(app.explore.hit_list) == 0
        await pilot.press("backspace")
        await settle(pilot)
        assert app.explore.search_box.value == start
        assert len(app.explore.hit_list) == 300


async def test_quitting_during_a_very_long_query_takes_no_longer_than_its_present_part(files, monkeypatch):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        kind, parts = type(app.explore.explorer.opened.text_encoder.sentence_encoder._directions[0]), []
        project = kind.project  # once a part
        monkeypatch.setattr(kind, "project", lambda *given: parts.append(time.sleep(0.02)) or project(*given))
        app.explore.search_box.value = "a dog on the beach " * 2000
        await until(pilot, lambda: len(parts) > 2, what="the encoding to begin")
        await pilot.press("ctrl+c")
    assert len(parts) < 150


async def test_a_followed_hit_from_far_down_is_shown_from_its_first_line(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("G", "enter")
        await settle(pilot)
        await until(pilot, lambda: app.explore.hit_list.scroll_offset.y == 0, what="the top")
        assert app.explore.hit_list.cursor == 1


@pytest.mark.parametrize("size", [(80, 12), (40, 12), (120, 10), (30, 8)])
async def test_the_list_has_room_in_a_low_window(files, size):
    app = make_app(files)
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        assert app.explore.hit_list.size.height >= size[1] - 6


async def test_all_lines_of_a_pasted_text_are_the_query_wherever_it_is_pasted(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        app.post_message(Paste("a dog\non the\r\nbeach"))
        await until(pilot, lambda: app.explore.search_box.value == "a dog on the beach", what="the pasted text")
        await settle(pilot)
        assert app.explore.view.answer.query.text == "a dog on the beach"


async def test_a_pasted_text_cannot_control_the_terminal(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        app.post_message(Paste("dog \x9b31m \x9d0;PWN\x9c \x0e \u202e \x7f"))
        await until(pilot, lambda: app.explore.search_box.value.startswith("dog"), what="the pasted text")
        drawn = app.explore.search_box.render_line(0).text
        assert visible(drawn) == drawn
        await settle(pilot)
        assert app.explore.view.answer.query.text == app.explore.search_box.value


async def test_a_fault_of_the_program_ends_it_with_a_traceback_that_cannot_control_the_terminal(files, capsys):
    app = make_app(files)
    with suppress(TypeError):  # which the pilot raises again
        async with app.run_test() as pilot:
            await ready(pilot)
            app.post_message(Crashed(TypeError("of a file: \x1b]0;PWNED\x07 \x9b31m")))
            await until(pilot, lambda: app._exception is not None, what="the end")
    written = capsys.readouterr()
    assert app.return_code == 70
    assert "TypeError: of a file: ␛]0;PWNED␇ \\u009b31m" in written.err
    assert "PWNED\x07" not in written.err + written.out


async def test_garbage_collections_do_not_look_through_what_was_loaded(files, monkeypatch):
    frozen = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append({id(each) for each in gc.get_objects()}))
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        opened = app.explore.explorer.opened
        await until(pilot, lambda: opened.rankers is not None, what="the other methods")
        await until(pilot, gc.isenabled, what="the end of loading")
        assert id(opened.rankers) in frozen[-1]


async def test_all_garbage_is_collected_in_a_pause(files, monkeypatch):
    class Node:
        pass

    monkeypatch.setattr("tui.garbage.PAUSE_SECONDS", 1.0)
    app = make_app(files)
    async with app.run_test() as pilot:
        await settle(pilot)
        node = Node()
        node.itself = node
        gc.collect()  # from here on it is old: only a full collection can find it
        gc.collect(1)  # this counts as new objects
        left = weakref.ref(node)
        del node
        await until(pilot, lambda: left() is None, what="a full collection")


async def test_a_click_on_a_key_presses_it(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        keys = app.explore.key_line
        await pilot.click(keys, offset=(str(keys.render()).index("compare"), 0))
        await until(pilot, lambda: isinstance(app.screen, CompareScreen), what="the comparison")


async def test_of_a_huge_paste_the_beginning_is_asked_and_a_notice_says_so(files):
    app = make_app(files)
    pasted = "a dog on the beach " * 5000
    async with app.run_test() as pilot:
        await ready(pilot)
        app.post_message(Paste(pasted))
        await until(pilot, lambda: app.explore.search_box.value == pasted[:LONGEST], what="the beginning of the paste")
        await type_text(pilot, "x")
        assert app.explore.search_box.value == pasted[:LONGEST]
        await settle(pilot)
        assert app.explore.view.answer.query.text == pasted[:LONGEST]
        assert [notice.message for notice in app._notifications] == [
            "a text has at most 5,000 characters: the rest is left out"
        ]
        await pilot.press("home", "delete", "x")
        assert app.explore.search_box.value == "x" + pasted[1:LONGEST]


async def test_timings_and_panes_fit_the_window_after_a_resize(files):
    app = make_app(files)
    async with app.run_test(size=(160, 50)) as pilot:
        await ready(pilot)
        await until(pilot, lambda: "search" in str(app.explore.status_line.content), what="the time it took")
        await pilot.resize_terminal(80, 24)
        await pilot.pause(0.1)
        assert "search" not in str(app.explore.status_line.content)
        assert app.explore.hit_list.texts[app.explore.hit_list.row] in app.explore.view.caption_pane.render().plain
        await pilot.resize_terminal(160, 50)
        await pilot.pause(0.1)
        assert "search" in str(app.explore.status_line.content)


async def test_a_fast_typist_gets_the_last_text_answered(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("slash")
        for text in ("a man", "a woman", "a dog"):
            app.explore.search_box.value = text
            await asyncio.sleep(0)
        await settle(pilot)
        assert app.explore.view.answer.query.text == "a dog"


async def test_everything_a_key_does_is_in_the_command_palette(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        titles = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Search", "Random caption", "Follow", "Back", "First hit", "Last hit", "Help", "Quit"} <= titles
        assert {"Fold images", "Next method", "Previous method", "Compare methods"} <= titles


async def test_a_bug_while_answering_is_not_swallowed(files):
    app = make_app(files)

    async def provoke() -> None:
        async with app.run_test() as pilot:
            await ready(pilot)
            app.explore.explorer.ask = lambda *_, **__: 1 / 0
            await pilot.press("slash", "x")
            await pilot.pause(0.5)

    with pytest.raises(ZeroDivisionError):
        await provoke()


def press_together(app, keys: str) -> None:
    """Post keys together, as a slow connection delivers them; none waits for the effect of the key before it."""
    for key in keys:
        app.post_message(Key(key, key))


@pytest.mark.parametrize("width", [8, 6, 4, 1])
async def test_the_command_palette_opens_in_a_terminal_of_any_width(files, width):
    app = make_app(files)
    async with app.run_test(size=(width, 10)) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+p")
        await pilot.pause(0.5)
        await pilot.press("r", "a")
        await pilot.pause(0.5)
        await pilot.press("down", "escape")
        assert app.screen is app.explore


async def test_a_burst_that_leaves_first_leaves_and_types_nothing(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        before = app.explore.search_box.value
        press_together(app, "qi")
        await until(pilot, lambda: not app.is_running, what="the end")
        assert app.explore.search_box.value == before
        assert app.return_code == 0


async def test_keys_of_a_burst_act_in_their_order(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        press_together(app, "riqrj")
        await until(
            pilot, lambda: app.explore.search_box.value == "qrj", what="what is typed after i, in place of the caption"
        )
        assert len(app.explore.session.path) == 2, "r asked a random caption before"
        await pilot.press("escape")
        await settle(pilot)
        hits = ask_caption(app.explore.explorer, 7).hits
        app.explore.hit_list.show(hits, app.explore.explorer.opened.folds.fold(hits.rows))
        press_together(app, "jjjkq")
        await until(pilot, lambda: not app.is_running, what="the end")
        assert app.explore.hit_list.cursor == 2


async def test_the_opening_captions_hits_are_shown_before_the_encoder_is_loaded(files, monkeypatch):
    files.explorer()  # the captions are encoded
    app = make_app(files)
    tokenize, gate = Tokenizer.tokenize, threading.Event()
    monkeypatch.setattr(Tokenizer, "tokenize", lambda self, text: gate.wait(10) and tokenize(self, text))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: len(app.explore.hit_list) == 100, what="the leading hits")
        assert app.explore.hit_list.cursor == 1
        assert line(app, 0).startswith("   1 .000 ")
        assert "\n" not in app.explore.view.importance_pane.render().plain, "no word importance yet"
        assert "RELIABLE" not in str(app.explore.view.verdict_pane.render())
        gate.set()
        await settle(pilot)
        assert len(app.explore.hit_list) == 300
        assert "RELIABLE" in str(app.explore.view.verdict_pane.render()) or "DOUBTFUL" in str(
            app.explore.view.verdict_pane.render()
        )
        assert app.explore.view.importance_pane.render().plain.count("%") > 2


async def test_weights_that_vanish_leave_the_list_and_are_named_when_a_text_is_typed(files):
    files.explorer()  # the captions are encoded
    app = make_app(files)
    open_corpus = app._loader._open_corpus

    def without_weights():
        opened = yield from open_corpus()
        files.weights.unlink()
        return opened

    app._loader._open_corpus = without_weights
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "no such file" in notices(app), what="the notice")
        assert "typed queries cannot be answered" in notices(app)
        assert app.explore.body.current == "answer"
        await until(pilot, lambda: len(app.explore.hit_list) == 300, what="the whole ranking, which needs no encoder")
        await pilot.press("slash")
        await type_text(pilot, "a dog")
        await until(pilot, lambda: app.explore.body.current == "error", what="the error")
        assert "no such file" in str(app.explore.error_pane.render())
        await pilot.press("escape", "r")
        await until(pilot, lambda: app.explore.body.current == "answer", what="the list")
        await until(pilot, lambda: len(app.explore.hit_list) == 300, what="the whole ranking")
        await pilot.press("q")
    assert app.return_code == 0


async def test_words_that_cannot_be_indexed_are_a_notice_and_the_list_stays(files, monkeypatch):
    def full_disk(*_, **__):
        yield Progress("indexing words", 0, 0, "")
        raise AssetError(files.cache, "no space left on device")

    monkeypatch.setattr("core.opened.Lexical.build", full_disk)
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await until(pilot, lambda: "no space left" in notices(app), what="the notice")
        await until(pilot, lambda: app.explore.view.answer.verdict is not None, what="a verdict by rules of thumb")
        assert "the other methods could not be opened" in notices(app)
        await ask(pilot, "a dog near the window")
        assert app.explore.body.current == "answer"
        await pilot.press("tab")
        assert app.explore.session.method == "infersent"


async def test_a_comparison_that_fails_closes_and_says_why(files, monkeypatch):
    def fail(self, query, **how):
        raise AssetError("--device cuda", "out of memory")

    monkeypatch.setattr("core.explorer.Explorer.compare", fail)
    app = make_app(files)
    async with app.run_test() as pilot:
        await with_methods(pilot)
        await pilot.press("c")
        await until(pilot, lambda: "out of memory" in notices(app), what="the notice")
        await until(pilot, lambda: app.screen is app.explore, what="the main screen")


async def test_a_text_submitted_while_loading_leaves_the_keys_to_the_list(files):
    app = make_app(files)
    gate = held(app)
    async with app.run_test() as pilot:
        await pilot.press("slash")
        await type_text(pilot, "a dog")
        await pilot.press("enter")
        gate.set()
        await until(pilot, lambda: app.explore.view.answer is not None, what="the answer")
        await settle(pilot)
        assert app.explore.view.answer.query.text == "a dog"
        assert app.explore.hit_list.has_focus
        await pilot.press("r")
        await until(pilot, lambda: app.explore.search_box.value != "a dog", what="a random caption")
        assert app.explore.session.here.row is not None


async def test_what_is_typed_behind_a_text_submitted_while_loading_is_asked(files):
    app = make_app(files)
    gate = held(app)
    async with app.run_test() as pilot:
        await pilot.press("slash")
        await type_text(pilot, "a dog")
        await pilot.press("enter")
        await type_text(pilot, "two cats")
        gate.set()
        await until(pilot, lambda: app.explore.explorer is not None, what="the corpus")
        await settle(pilot)
        assert app.explore.view.answer.query.text == app.explore.search_box.value == "two cats"
        assert app.explore.search_box.has_focus
        assert [visit.text for visit in app.explore.session.visits] == ["a dog"]
        await pilot.press("!")
        assert app.explore.search_box.value == "two cats!"


async def test_a_caption_of_stop_words_is_shown_by_bm25_too(files):
    write_coco(files.captions, ["the on a", *demo_texts(150)])
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await with_methods(pilot)
        await ask(pilot, "the on a")
        await pilot.press("tab", "tab")
        await until(pilot, lambda: app.explore.view.answer.method == "bm25", what="bm25")
        await settle(pilot)
        assert "the on a" in line(app, 0)


async def test_a_hit_followed_twice_in_a_burst_is_one_step_of_the_trail(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        neighbours, release, pressed = app.explore.explorer.neighbours, threading.Event(), asyncio.Event()
        app.explore.explorer.neighbours = lambda row, **options: release.wait(10) and neighbours(row, **options)
        for _ in range(2):
            app.post_message(Key("enter", None))
        app.call_later(pressed.set)
        await pressed.wait()
        release.set()
        await until(pilot, lambda: len(app.explore.session.path) > 1, what="the followed hit")
        await settle(pilot)
        assert len(app.explore.session.path) == 2


def notices(app) -> str:
    """Return all notifications as one text."""
    return "\n".join(notice.message for notice in app._notifications)


async def ask(pilot, text: str) -> None:
    """Paste a text, submit it and wait for its answer."""
    await pilot.press("slash")
    pilot.app.post_message(Paste(text))  # a value set here could be noticed after the next key; a paste is not
    await pilot.press("enter")
    await until(pilot, lambda: pilot.app.explore.session.here.text == text, what="the text to be asked")
    await settle(pilot)


async def test_a_cursor_that_was_moved_meanwhile_stays_when_the_whole_order_arrives(files):
    app = make_app(files)
    held, post_message, holding = [], app.explore.post_message, threading.Event()
    app.explore.asker._post = lambda message: (
        held.append(message) if holding.is_set() and isinstance(message, Ordered) else post_message(message)
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await ask(pilot, "a dog near the window")
        for place in (20, 150):  # among the leading hits, and beyond them
            app.explore.hit_list.go(place)
            await pilot.press("r")
            await settle(pilot)
            holding.set()
            await pilot.press("backspace")
            await until(
                pilot,
                lambda: held and app.explore.view.answer.query.text == "a dog near the window",
                what="the leading hits",
            )
            shown = app.explore.hit_list.place
            await pilot.press("down" if place == 20 else "up", "j" if place == 20 else "k")
            moved = app.explore.hit_list.place
            assert abs(moved - shown) == 2
            holding.clear()
            post_message(held.pop())
            await settle(pilot)
            assert app.explore.hit_list.place == moved


async def test_a_cursor_beyond_the_leading_hits_comes_back_with_the_whole_order(files):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await ask(pilot, "a dog near the window")
        app.explore.hit_list.go(150)
        await pilot.press("r")
        await settle(pilot)
        await pilot.press("backspace")
        await until(pilot, lambda: app.explore.view.answer.query.text == "a dog near the window", what="the answer")
        await settle(pilot)
        assert app.explore.hit_list.place == 150


async def test_typing_the_same_text_again_leaves_backspace_to_the_query_before(files):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        first = app.explore.view.answer.query.text
        await ask(pilot, "a dog")
        await pilot.press("slash", "end", "backspace")
        await type_text(pilot, "g")
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("backspace")
        await until(pilot, lambda: app.explore.view.answer.query.text == first, what="the query before")


@pytest.mark.parametrize("keys", [["s"], ["enter", "backspace"], ["ctrl+r"]])
async def test_a_pause_in_typing_that_is_noticed_late_leaves_the_list_to_what_was_asked_since(files, keys):
    app = make_app(files)
    set_timer, paused = app.explore.set_timer, []
    app.explore.set_timer = lambda seconds, callback: paused.append(callback) or set_timer(1e6, callback)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await pilot.press("slash")
        await type_text(pilot, "a dog")
        await settle(pilot)
        late = paused[-1]
        await pilot.press(*keys)
        app.explore.call_next(late)  # as a timer does when the screen is slower than the keys
        await pilot.pause()
        await settle(pilot)
        assert app.explore.view.answer.query.text == app.explore.search_box.value


async def explained(pilot) -> None:
    """Wait until the hit under the cursor has its explanation, and until that is painted."""
    app = pilot.app
    await until(
        pilot,
        lambda: (
            app.explore.view.caption_pane.explanation is not None
            and app.explore.view.caption_pane.explanation.row == app.explore.hit_list.row
            and is_still(app)
        ),
        what="the explanation of the hit under the cursor",
    )
    for _ in range(3):  # its lines, the layout, the paint
        await pilot.pause()


async def test_a_typed_sum_is_shown_as_its_terms_with_their_weights(files):
    app = make_app(files)
    async with app.run_test(size=(120, 50)) as pilot:
        await ready(pilot)
        await pilot.press("slash")
        await type_text(pilot, "a dog - 0.5 * a cat")
        await pilot.press("enter")
        await settle(pilot)
        pane = app.explore.view.importance_pane.render().plain
        assert "+1 × a dog" in pane
        assert "-0.5 × a cat" in pane
        assert "cat " in pane.split("-0.5")[1]
        assert len(app.explore.hit_list) == 300
        await explained(pilot)
        assert app.explore.view.caption_pane.explanation.agreement is None
        assert "in common" not in app.explore.view.caption_pane.render().plain


async def test_why_there_are_no_hits_stands_in_their_place(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await ask(pilot, "a dog - a dog")
        assert "the terms cancel out" in line(app, 0)
        await ask(pilot, "a dog + xylograph")
        assert "“xylograph”" in line(app, 0)
        await ask(pilot, "a dog")
        assert "1 " in line(app, 0)


async def test_a_followed_caption_that_looks_like_a_sum_is_asked_as_the_caption_it_is(files):
    write_coco(files.captions, ["a dog - a cat", "a dog", *(f"a man {i} - a dog" for i in range(150))])
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        await ask(pilot, "a dog - a cat")
        assert (app.explore.view.answer.query.row, app.explore.view.answer.query.terms) == (0, ())
        await pilot.press("j", "enter")
        await settle(pilot)
        assert app.explore.view.answer.query.row == app.explore.session.here.row
        assert app.explore.view.answer.query.terms == ()


async def test_the_hit_under_the_cursor_is_explained_by_its_words_and_those_it_shares(files):
    app = make_app(files)
    async with app.run_test(size=(160, 50)) as pilot:
        await ready(pilot)
        await explained(pilot)
        await pilot.press("j", "j")
        await explained(pilot)
        pane = app.explore.view.caption_pane.render().plain
        strongest = app.explore.view.caption_pane.explanation.agreement.pairs[0]
        assert re.search(rf"{strongest.query} ~ {strongest.hit} +{strongest.share:.0%}\n", pane)
        word = max(app.explore.view.caption_pane.explanation.tokens, key=lambda token: token.importance)
        assert word.text in pane.split("importance of its words")[1]


async def test_in_a_narrow_window_the_shared_words_follow_the_caption(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await explained(pilot)
        assert app.explore.view.caption_pane.render().plain.startswith(
            f"{app.explore.hit_list.texts[app.explore.hit_list.row]}  "
        )
        assert " ~ " in app.explore.view.caption_pane.render().plain


async def test_nothing_is_explained_while_one_types_and_the_hit_once_the_typing_rests(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        await explained(pilot)
        explain, asked = app.explore.explorer.explainer.explain, []
        app.explore.explorer.explainer.explain = lambda answer, row, **how: (
            asked.append(answer.query.text) or explain(answer, row, **how)
        )
        await pilot.press("slash")
        await type_text(pilot, "a dog")
        await until(pilot, lambda: app.explore.view.answer.query.text == "a dog", what="the answer")
        await until(pilot, lambda: app.explore.session.shown.settled, what="the typing to rest")
        await explained(pilot)
        assert asked == ["a dog"]


async def test_an_explanation_that_the_cursor_has_left_is_never_shown(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        await explained(pilot)
        explain, held, release = app.explore.explorer.explainer.explain, threading.Event(), threading.Event()

        def slow_explain(answer, row, **how):
            if not held.is_set():
                held.set()
                release.wait(10)
            return explain(answer, row, **how)

        app.explore.explorer.explainer.explain = slow_explain
        await pilot.press("j")
        await until(pilot, held.is_set, what="the first explanation at work")
        seen = []
        app.watch(
            app.explore.view.caption_pane, "explanation", lambda shown: seen.append(shown and shown.row), init=False
        )
        await pilot.press("j", "j")
        last = app.explore.hit_list.row
        release.set()
        await explained(pilot)
        assert set(seen) <= {None, last}


async def test_s_shows_each_image_once_and_the_cursor_stays_on_its_caption(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await ask(pilot, "a dog near a window")
        first = app.explore.hit_list.row
        await pilot.press("s")
        assert len(app.explore.hit_list) == 60
        assert "+4" in line(app, 0)
        assert "60 images" in title(app.explore.hit_list)
        await pilot.press("j", "j", "j")
        row = app.explore.hit_list.row
        images = [int(app.explore.hit_list.ranking.rows[place]) // 5 for place in app.explore.hit_list._fold.places]
        assert sorted(images) == list(range(60))
        await pilot.press("s")
        assert app.explore.hit_list.row == row
        assert len(app.explore.hit_list) == 300
        assert "+4" not in line(app, app.explore.hit_list.cursor)
        await pilot.press("G", "s")
        assert app.explore.hit_list.row // 5 == app.explore.hit_list.ranking.rows[-1] // 5
        await pilot.press("g")
        assert app.explore.hit_list.row == first


async def test_following_and_going_back_find_the_same_caption_in_a_folded_list(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("s", "j", "j", "j")
        row, start = app.explore.hit_list.row, app.explore.search_box.value
        await pilot.press("enter")
        await settle(pilot)
        assert app.explore.search_box.value == app.explore.hit_list.texts[row]
        assert app.explore.hit_list.cursor == 1
        await pilot.press("s", "backspace")
        await settle(pilot)
        assert app.explore.search_box.value == start
        await until(pilot, lambda: app.explore.hit_list.row == row, what="the old place")


async def test_equal_captions_are_one_line_with_their_number(files):
    write_coco(files.captions, ["a dog", "a cat", "a dog", "a dog", *(f"a man {i}" for i in range(120))])
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await ask(pilot, "a dog")
        assert "×3" in line(app, 0)
        assert sum("a dog" in line(app, at) for at in range(10)) == 1
        assert len(app.explore.hit_list) < len(app.explore.hit_list.ranking)


async def test_captions_without_images_have_nothing_to_fold(files):
    lines = files.folder / "captions.txt"
    lines.write_text("\n".join(f"a dog and a man {i}" for i in range(150)))
    app = make_app(replace(files, captions=lines))
    async with app.run_test() as pilot:
        await ready(pilot)
        query = app.explore.search_box.value
        await pilot.press("s")
        assert not app.explore.hit_list.by_image
        assert "does not say which belong to one image" in notices(app)
        assert app.explore.search_box.value == query, "the key stays a command"
        await pilot.press("escape")
        assert not notices(app), "escape takes notices away"


async def test_another_file_that_cannot_be_read_leaves_what_is_open(files):
    other = files.folder / "numbers.csv"
    other.write_text("1,2\n3,4\n")
    app = make_app(files)
    async with app.run_test(size=(100, 24)) as pilot:
        await ready(pilot)
        query = app.explore.search_box.value
        app.explore.action_open_other()
        await pilot.pause()
        app.post_message(Paste(str(other)))
        await pilot.press("enter")
        await until(pilot, lambda: "numbers.csv" in getattr(app.screen, "problem", ""), what="the question again")
        await pilot.press("escape")
        assert app.is_running
        assert app.explore.search_box.value == query


async def with_methods(pilot) -> None:
    """Wait until every method can be asked."""
    await ready(pilot)
    await until(
        pilot,
        lambda: pilot.app.explore.explorer is not None and pilot.app.explore.explorer.opened.rankers is not None,
        what="the other methods",
    )


async def compared(pilot) -> CompareScreen:
    """Open the comparison of the current query and wait for its lists."""
    await pilot.press("c")
    await until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen), what="the comparison")
    screen = pilot.app.screen
    await until(pilot, lambda: screen.comparison is not None, what="the lists")
    await pilot.pause()
    return screen


def table_line(screen: CompareScreen, y: int) -> str:
    return screen.table.render_line(y).text


async def test_tab_ranks_the_list_by_the_next_method_which_is_named(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await with_methods(pilot)
        await ask(pilot, "a dog near a window")
        assert "by infersent" in title(app.explore.hit_list)
        for keys, method in (
            ("tab", "words"),
            ("tab", "bm25"),
            ("tab", "context"),
            ("tab", "fused"),
            ("tab tab", "infersent"),
        ):
            await pilot.press(*keys.split())
            await settle(pilot)
            assert app.explore.view.answer.method == method
            assert f"[{method}]" in str(app.explore.header_line.content)
            assert f"by {method}" in title(app.explore.hit_list)
            assert ("score" in title(app.explore.hit_list)) == (method in ("bm25", "fused"))
            expected = app.explore.explorer.ask("a dog near a window", method=method).hits.rows
            assert app.explore.hit_list.ranking.rows[: len(expected)].tolist() == expected.tolist()
            assert line(app, 0).startswith("›")
        await pilot.press("shift+tab", "shift+tab")
        await settle(pilot)
        assert app.explore.view.answer.method == "fused"
        assert len(app.explore.session.path) == 2


async def test_tab_changes_the_method_from_the_box_too_and_leaves_the_typing_there(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await with_methods(pilot)
        await pilot.press("slash")
        await type_text(pilot, "a dog")
        await pilot.press("tab", "tab")
        await settle(pilot)
        assert (app.explore.view.answer.query.text, app.explore.view.answer.method) == ("a dog", "bm25")
        await type_text(pilot, "s")
        await settle(pilot)
        assert (app.explore.search_box.value, app.explore.view.answer.method) == ("a dogs", "bm25")


async def test_the_method_stays_while_one_follows_and_asks_at_random(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await with_methods(pilot)
        await pilot.press("tab", "tab")
        await settle(pilot)
        assert app.explore.hit_list.cursor == 1
        await pilot.press("enter")
        await settle(pilot)
        assert (app.explore.view.answer.method, app.explore.hit_list.ranking.rows[0]) == (
            "bm25",
            app.explore.view.answer.query.row,
        )
        await pilot.press("r")
        await settle(pilot)
        assert app.explore.view.answer.method == "bm25"


async def test_in_the_command_palette_tab_is_not_the_method_key(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await with_methods(pilot)
        await pilot.press("ctrl+p")
        await pilot.pause(0.1)
        await pilot.press("tab", "escape")
        assert app.explore.session.method == "infersent"


async def test_a_sum_is_ranked_in_the_sentence_space_whatever_the_method(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await with_methods(pilot)
        await ask(pilot, "a dog - a cat")
        await pilot.press("tab")
        await settle(pilot)
        assert app.explore.view.answer.method == "infersent"
        assert "by infersent" in title(app.explore.hit_list)
        await pilot.press("c")
        await pilot.pause(0.1)
        assert not isinstance(app.screen, CompareScreen)


@pytest.mark.parametrize(("width", "lists"), [(40, 1), (80, 2), (120, 3), (160, 4), (300, 4)])
async def test_c_shows_as_many_methods_as_there_is_room_for(files, width, lists):
    app = make_app(files)
    async with app.run_test(size=(width, 24)) as pilot:
        await with_methods(pilot)
        await ask(pilot, "two dogs near a window")
        screen = await compared(pilot)
        assert table_line(screen, 0).count("│") == lists - 1
        assert table_line(screen, 1).count("│") == lists - 1
        overlaps = title(screen.query_panel)
        assert overlaps.count("/") == lists * (lists - 1) // 2
        if lists > 1:
            count = screen.comparison.overlap("infersent", "words")
            assert f"infersent/words {count}" in overlaps


async def test_compared_hits_show_their_ranks_by_the_other_methods_and_underline_shared_words(files):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await with_methods(pilot)
        await ask(pilot, "two dogs near a window")
        await pilot.press("tab", "tab")
        await settle(pilot)
        screen = await compared(pilot)
        best = screen.comparison.lists["bm25"][0]
        assert screen.table.methods[0] == "bm25"
        assert f"infersent {best.ranks['infersent'] or '–'}  words {best.ranks['words'] or '–'}" in table_line(
            screen, 2
        )
        underlined = [
            segment.text for segment in screen.table.render_line(1) if segment.style and segment.style.underline
        ]
        assert set(underlined) == {word for word in best.shared if f"{word} " in table_line(screen, 1)}
        assert underlined


async def test_arrows_go_through_the_lists_and_enter_follows(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await with_methods(pilot)
        await ask(pilot, "a dog near a window")
        screen = await compared(pilot)
        await pilot.press("right", "down", "down")
        chosen = screen.comparison.lists["words"][2]
        assert screen.table.hit == chosen
        assert app.explore.hit_list.texts[chosen.row] in str(screen.full_caption.render())
        await pilot.press("left")
        assert screen.table.hit == screen.comparison.lists["infersent"][2]
        await pilot.press("G")
        assert screen.table.hit.rank == 100
        await pilot.press("g", "down", "down", "right", "enter")
        await settle(pilot)
        assert not isinstance(app.screen, CompareScreen)
        assert app.explore.view.answer.query.row == chosen.row
        assert app.explore.session.here.row == chosen.row


async def test_escape_closes_a_comparison_and_changes_nothing(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await with_methods(pilot)
        before = app.explore.session.serial
        for key in ("escape", "c", "q"):
            await compared(pilot)
            await pilot.press(key)
            assert not isinstance(app.screen, CompareScreen)
        assert app.is_running
        assert app.explore.session.serial == before


async def test_tab_puts_other_methods_beside_the_first(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await with_methods(pilot)
        screen = await compared(pilot)
        seen = [screen.table.methods]
        for _ in range(3):
            await pilot.press("tab")
            seen.append(screen.table.methods)
        assert seen == [("infersent", other) for other in ("words", "bm25", "context", "fused")]
        await pilot.press("shift+tab")
        assert screen.table.methods == ("infersent", "context")
        assert app.explore.session.method == "infersent"


async def test_a_compared_caption_has_its_cursor_on_the_first_neighbour_and_is_not_followed_itself(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await with_methods(pilot)
        screen = await compared(pilot)
        assert screen.table.hit.rank == 2
        await pilot.press("up", "enter")
        assert isinstance(app.screen, CompareScreen)


async def test_a_comparison_survives_every_size(files):
    app = make_app(files)
    async with app.run_test(size=(160, 50)) as pilot:
        await with_methods(pilot)
        screen = await compared(pilot)
        await pilot.press("right", "right", "right", "G")
        for size in ((40, 10), (20, 5), (300, 80), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.05)
        assert screen.table.column < len(screen.table.methods) == 2


# Calibration


@pytest.fixture
def measured(opened_files, monkeypatch):
    """The files of a corpus that is calibrated already; what was measured is loaded at once."""
    monkeypatch.setattr("tui.asker._IDLE_SECONDS", 0.0)
    return opened_files


async def ask_measured(pilot, text: str) -> None:
    """Ask a text once the calibration is loaded."""
    app = pilot.app
    await until(pilot, lambda: app.explore.view.verdict_pane.calibration is not None, what="the calibration")
    await pilot.press("slash")
    await type_text(pilot, text)
    await settle(pilot)
    await until(
        pilot,
        lambda: app.explore.view.answer.query.text == text and app.explore.view.answer.verdict.whole is not None,
        what="verdict",
    )
    await pilot.pause()


def drawn(pane) -> list[str]:
    """Return the visible lines of a pane as they are drawn."""
    return [pane.render_line(y).text.strip() for y in range(pane.size.height)]


@pytest.mark.parametrize("text", ["dog", "a dog near the window"])
async def test_the_curve_of_success_fits_the_pane_with_the_querys_length_in_brackets(measured, text):
    app = make_app(measured)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await ask_measured(pilot, text)
        lines = drawn(app.explore.view.verdict_pane)
        verdict = app.explore.view.answer.verdict
        assert lines[0].endswith(f" {verdict.level.upper()}")
        bars = next(line for line in lines if "[" in line)
        names = lines[lines.index(bars) + 1]
        assert bars.endswith("%")
        assert names.endswith("all  words")
        here = (bars.index("["), bars.index("]"))
        content = sum(token.is_content for token in app.explore.view.answer.query.tokens)
        assert app.explore.view.verdict_pane.render_line(lines.index(bars) + 1).text[here[0] : here[1] + 2].split() == [
            str(content)
        ]
        shown = " ".join(lines)
        assert all(reason in shown for reason in verdict.reasons)
        assert ("→ " in shown) == (verdict.level != "reliable")


async def test_the_verdict_is_whole_again_after_the_window_was_too_low_for_it(measured):
    app = make_app(measured)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await ask_measured(pilot, "dog")
        before = drawn(app.explore.view.verdict_pane)
        await pilot.resize_terminal(40, 10)
        await pilot.pause(0.2)
        await pilot.resize_terminal(120, 40)
        await pilot.pause(0.2)
        assert drawn(app.explore.view.verdict_pane) == before


@pytest.mark.parametrize("text", ["dog", "a dog near the window", "bicycle dog"])
async def test_level_and_first_reason_are_visible_in_a_small_window(measured, text):
    app = make_app(measured)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await ask_measured(pilot, text)
        await pilot.press("escape", "v")
        await settle(pilot)
        await pilot.pause(0.1)
        lines = drawn(app.explore.view.verdict_pane)
        verdict = app.explore.view.answer.verdict
        assert lines[0].endswith(f" {verdict.level.upper()}")
        assert verdict.reasons[0] in " ".join(filter(None, lines))


async def test_one_line_of_the_verdict_is_visible_where_there_is_no_room_for_more(measured):
    app = make_app(measured)
    async with app.run_test(size=(60, 15)) as pilot:
        await ready(pilot)
        await ask_measured(pilot, "dog")
        verdict = app.explore.view.answer.verdict
        (line,) = drawn(app.explore.view.verdict_pane)
        assert f"{verdict.level.upper()}  {verdict.reasons[0][2:20]}" in line
        assert app.explore.hit_list.size.height >= 9


@pytest.mark.parametrize("level", ["unreliable", "doubtful", "reliable", None])
def test_each_reason_has_its_sign_and_advice_is_given_only_where_a_level_is_not_reliable(level):
    pane = VerdictPane()
    verdict = Verdict(level, ("+ good", "− bad", "· so"), advice="more words")
    pane.answer = SimpleNamespace(verdict=verdict, query=Query(text="", ids=np.arange(2)), method="bm25")
    first, *lines = pane.render().plain.splitlines()
    assert first.split()[-1] == ("BM25" if level is None else level.upper())
    advice = ["→ more words"] if level in ("unreliable", "doubtful") else []
    assert lines == ["+ good", "− bad", "· so", *advice]


async def test_a_calibration_ends_with_a_verdict_on_the_shown_query(new_files, few_sources, monkeypatch):
    monkeypatch.setattr("tui.asker._IDLE_SECONDS", 0.0)
    app = make_app(new_files)
    titles = set()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        query, cursor = app.explore.search_box.value, app.explore.hit_list.cursor
        for _ in range(1000):
            titles.add(str(app.explore.view.verdict_pane.border_title))
            if app.explore.view.answer.verdict is not None and app.explore.view.answer.verdict.whole is not None:
                break
            await pilot.pause(0.02)
        else:
            pytest.fail("no verdict from the calibration in time")
        assert any("calibrating: " in title for title in titles)
        assert not any("%" in title for title in titles), "each part of it would count to 100 %"
        assert "calibrating" not in str(app.explore.view.verdict_pane.border_title)
        assert (app.explore.search_box.value, app.explore.hit_list.cursor) == (query, cursor)


async def test_a_failed_calibration_is_reported_and_the_list_stays(new_files, monkeypatch):
    def out_of_memory(self, *, again=False):
        yield Progress("calibrating", 0, 0, "")
        raise AssetError("--device cuda", "out of memory", advice="use --device cpu")

    monkeypatch.setattr("core.opened.Opened.calibrate", out_of_memory)
    monkeypatch.setattr("tui.asker._IDLE_SECONDS", 0.0)
    app = make_app(new_files)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await until(pilot, lambda: "out of memory" in notices(app), what="the notice")
        assert "calibrating" not in str(app.explore.view.verdict_pane.border_title)
        await ask(pilot, "a dog near the window")
        assert app.explore.body.current == "answer"
        assert app.explore.view.answer.query.text == "a dog near the window"


async def test_the_hit_under_the_cursor_has_the_share_of_random_captions_that_are_farther(measured):
    app = make_app(measured)
    async with app.run_test(size=(120, 40)) as pilot:
        await ask_measured(pilot, "a dog near the window")
        await settle(pilot)
        share = float(app.explore.view.answer.closer_than[1])
        await pilot.press("escape", "j")
        await settle(pilot)
        assert f"nearer than {int(10_000 * share) / 100:.2f}% of" in app.explore.view.caption_pane.render().plain
        await pilot.press("tab", "tab")
        await until(pilot, lambda: app.explore.view.answer.method == "bm25", what="another method")
        assert "nearer than" not in app.explore.view.caption_pane.render().plain


async def test_the_lists_are_shown_even_if_a_question_interrupts_the_comparison(files):
    app = make_app(files)
    async with app.run_test() as pilot:
        await with_methods(pilot)
        compare, held, release = app.explore.explorer.compare, threading.Event(), threading.Event()

        def slow_compare(query, **options):
            held.set()
            release.wait(10)
            return compare(query, **options)

        app.explore.explorer.compare = slow_compare
        await pilot.press("c")
        await until(pilot, held.is_set, what="the comparison at work")
        app.explore.ask(app.explore.session.again(app.explore.view.answer, ""))  # as at the end of a calibration
        await pilot.press("question_mark")  # the help lies over them when they come
        release.set()
        below = app.screen_stack[-2]
        await until(pilot, lambda: below.comparison is not None, what="the lists")
        await pilot.press("escape")
        assert app.screen is below


async def test_an_error_of_a_widget_that_goes_away_does_not_change_the_exit_code(files):
    def fail() -> None:
        raise RuntimeError("a widget that is no longer there")

    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        app.exit(return_code=143)
        app.screen.call_later(fail)
    assert app.return_code == 143
