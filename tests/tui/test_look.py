"""The look of the list and its panels: what is marked, what is where, and what fits."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from conftest import demo_texts, write_coco
from screen_text import screen_lines
from test_app import (
    ask,
    ask_measured,
    explained,
    line,
    make_app,
    measured,
    ready,
    settle,
    strip,
    title,
    type_text,
    with_methods,
)

pytestmark = pytest.mark.opened


__all__ = ["measured"]


def underlined(app, hit: int) -> list[str]:
    """The underlined words of a hit of the list."""
    return [part.text for part in strip(app, hit) if part.style and part.style.underline]


async def test_a_key_that_is_no_command_types_a_new_query_from_the_list(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await type_text(pilot, "a man repairing a bicycle")
        await settle(pilot)
        assert app.explore.search_box.value == "a man repairing a bicycle"
        assert app.explore.search_box.has_focus
        assert app.explore.view.answer.query.text == "a man repairing a bicycle"
        assert len(app.explore.session.visits) == 1, "no random caption was asked"


async def test_a_command_acts_at_once_from_the_list(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("r")
        await settle(pilot)
        assert len(app.explore.session.visits) == 2
        assert app.explore.hit_list.has_focus


async def test_words_of_the_query_are_underlined_in_its_hits_but_not_in_itself(files):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await with_methods(pilot)
        await ask(pilot, "a dog near a window")
        texts = [app.explore.hit_list.texts[row] for row in app.explore.hit_list.ranking.rows[:30]]
        for place, text in enumerate(texts):
            words = {word.strip(".,").lower() for word in text.split()}
            expected = words & {"dog", "dogs", "window", "windows", "near"}
            if len(text) < 50:
                assert {word.lower() for word in underlined(app, place)} == expected
        assert any(underlined(app, place) for place in range(30))
        await pilot.press("r")
        await settle(pilot)
        assert not underlined(app, 0)


async def test_visited_captions_have_a_dot_and_the_cursor_hides_it(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        start = app.explore.hit_list.query_row
        await pilot.press("j", "enter")
        await settle(pilot)
        hits = app.explore.hit_list
        place = hits.ranking.rows.tolist().index(start)
        hits.go_to(place)
        await pilot.pause()
        assert line(app, hits.cursor).startswith("›")
        await pilot.press("k")
        assert line(app, hits.cursor + 1).startswith("•")


async def test_a_copy_of_the_query_does_not_flatten_the_bars(files):
    texts = demo_texts(150)
    write_coco(files.captions, [texts[0], *texts])  # the first two are alike, at distance 0
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        app.explore.go_to_caption(0)
        await settle(pilot)
        assert line(app, 0)[10:16] == "      ", "the query"
        assert line(app, 1)[10:16] == "╸     "
        assert line(app, 14)[10:16] == "━━━━━━"


async def test_the_bars_run_from_the_nearest_to_the_farthest_hit_on_the_screen(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await ask(pilot, "a dog near a window")
        bars = [line(app, place)[10:16] for place in range(15)]
        assert bars[0] == "╸     "
        assert bars[-1] == "━━━━━━"
        lengths = [bar.count("━") * 2 + bar.count("╸") for bar in bars]
        assert lengths == sorted(lengths)
        await pilot.press("G")
        await pilot.pause()
        assert line(app, 299)[10:16] == "━━━━━━", "scaled anew to what is visible"
        assert line(app, 285)[10:16].count("━") < 6


async def test_the_line_of_random_captions_stands_below_the_hits_at_its_distance(new_files):
    write_coco(new_files.captions, ["a brown dog"] * 20 + demo_texts(280))
    app = make_app(new_files)
    async with app.run_test(size=(80, 50)) as pilot:
        await ready(pilot)
        await ask(pilot, "a brown dog")
        await settle(pilot)
        hits = app.explore.hit_list
        assert (hits.ranking.distances[:20] < 1e-6).all()
        places = hits.ranking.distances[[0, *range(20, 40)]].tolist()  # of the hits, as 20 captions are folded into one
        hits.relevant_within = 0.0
        hits.redraw()
        assert hits.render_line(0).text[1:9] == "  1 .000", "the equal captions are as near as those 1%"
        assert hits.render_line(1).text.startswith("── 1% of random captions are nearer than .000")
        hits.relevant_within = places[5] - 1e-7  # as measured in another precision than the hit's distance
        hits.redraw()
        assert hits.render_line(6).text.startswith("── 1%")
        await ask(pilot, "a man repairing a bicycle")
        await settle(pilot)
        assert hits.ranking.distances[0] > 0.001
        hits.relevant_within = 0.0
        hits.redraw()
        assert not any("── 1%" in hits.render_line(y).text for y in range(20)), "nothing is nearer than .000"


async def test_a_line_ends_the_hits_that_are_nearer_than_random_captions(measured):
    app = make_app(measured)
    async with app.run_test(size=(80, 50)) as pilot:
        await ready(pilot)
        await ask_measured(pilot, "a dog near the window")
        await settle(pilot)
        hits, within = app.explore.hit_list, app.explore.view.answer.relevant_within
        closer = app.explore.explorer.opened.calibration.closer_than(within, app.explore.view.answer.query.known)
        assert closer == pytest.approx(0.99, abs=0.002)
        assert hits.ranking.distances[0] > within
        assert hits.render_line(0).text.startswith("── 1%"), "no hit is so near"
        assert hits.render_line(1).text.startswith("›")
        await pilot.press("escape", "r")
        await settle(pilot)
        within = app.explore.view.answer.relevant_within
        near = int((hits.ranking.distances < round(within, 3) + 0.0005).sum())
        assert near > 0
        hits.go(0)
        assert hits.render_line(near).text.startswith(f"── 1% of random captions are nearer than {within:.3f}"[:40])
        assert hits.render_line(near - 1).text[1:4].strip() == str(near)
        assert hits.render_line(near + 1).text[1:4].strip() == str(near + 1)
        await pilot.press(*["j"] * near)
        assert hits.place == near, "the cursor passes over the line"
        assert hits.render_line(near + 1 - round(hits.scroll_offset.y)).text.startswith("›")
        await pilot.press("end")
        assert hits.place == len(hits) - 1
        await pilot.press("tab", "tab")
        await settle(pilot)
        assert hits.virtual_size.height == len(hits), "scores have no such line"


@pytest.mark.parametrize(("size", "least"), [((60, 15), 9), ((80, 24), 15), ((120, 36), 28)])
async def test_the_list_has_most_of_the_window_and_the_verdict_a_line(files, size, least):
    app = make_app(files)
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        await explained(pilot)
        assert app.explore.hit_list.scrollable_content_region.height >= least
        assert any("RELIABLE" in text or "DOUBTFUL" in text for text in screen_lines(app))
        assert "[inf" in screen_lines(app)[0], "the method in use"


async def test_v_unfolds_the_reasons_below_a_list_and_folds_them_beside_one(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await explained(pilot)
        assert not any("importance of its words" in text for text in screen_lines(app))
        await pilot.press("v")
        await pilot.pause(0.1)
        assert any("importance of its words" in text for text in screen_lines(app))
        assert len([text for text in screen_lines(app) if " ━" in text or "╸" in text]) >= 6, "hits are still there"
        await pilot.resize_terminal(120, 36)
        await pilot.pause(0.1)
        assert any("importance of its words" in text for text in screen_lines(app)), "what fits another window"
        await pilot.press("v")
        await pilot.pause(0.1)
        assert not any("importance of its words" in text for text in screen_lines(app))


@pytest.mark.parametrize("key", ["", "v"])
async def test_the_cursor_stays_on_the_screen_when_the_list_gets_shorter(files, key):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await settle(pilot)
        await pilot.press(*["j"] * 12)
        if key:
            await pilot.press(key)
        else:
            await pilot.resize_terminal(60, 15)
        await pilot.pause(0.2)
        hits = app.explore.hit_list
        assert 0 <= hits.cursor - hits.scroll_offset.y < hits.scrollable_content_region.height


@pytest.mark.parametrize("width", [150, 200])
async def test_the_address_of_an_image_is_in_one_line_where_there_is_room(files, width):
    document = json.loads(files.captions.read_text())
    for number, image in enumerate(document["images"]):
        image["coco_url"] = f"http://images.cocodataset.org/val2014/COCO_val2014_{number:012}.jpg"
    files.captions.write_text(json.dumps(document))
    app = make_app(files)
    async with app.run_test(size=(width, 40)) as pilot:
        await ready(pilot)
        await settle(pilot)
        assert any(
            "http://images.cocodataset.org/val2014/COCO_val2014_0000000000" in text for text in screen_lines(app)
        )
        assert any(re.search(r"COCO_val2014_\d{12}\.jpg", text) for text in screen_lines(app))


async def test_a_corpus_with_a_short_name_is_named(files):
    short = files.folder / "u.json"
    files.captions.rename(short)
    app = make_app(replace(files, captions=short))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert str(app.explore.heading).startswith("u · 300 │ weights │ [infersent]")


async def test_the_title_of_the_query_says_how_far_one_has_walked(files):
    app = make_app(files)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        assert "300 captions of 60 images" in title(app.explore.query_panel), "what was understood of the file"
        await ask(pilot, "a dog near a window")
        assert title(app.explore.query_panel) == "query"
        start = app.explore.view.answer.query.embedding.astype(np.float64)
        for step in (1, 2):
            await pilot.press("j", "enter")
            await settle(pilot)
            here = app.explore.view.answer.query.embedding.astype(np.float64)
            drift = 1 - start @ here / np.linalg.norm(start) / np.linalg.norm(here)
            assert title(app.explore.query_panel) == (
                f"query step {step} · {drift:.3f}".replace(" 0.", " .") + " from “a dog near a window”"
            )


async def test_forward_returns_to_where_one_came_back_from(files):
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("j", "j", "enter")
        await settle(pilot)
        followed = app.explore.search_box.value
        await pilot.press("j", "j", "backspace")
        await settle(pilot)
        assert app.explore.hit_list.cursor == 3
        await pilot.press("alt+right")
        await settle(pilot)
        assert app.explore.search_box.value == followed
        assert app.explore.hit_list.cursor == 3, "with the cursor where it was"
        await pilot.press("alt+right")
        await settle(pilot)
        assert app.explore.search_box.value == followed


async def test_the_importance_of_words_is_sorted_and_the_marks_have_no_bar(files):
    app = make_app(files)
    async with app.run_test(size=(120, 50)) as pilot:
        await ready(pilot)
        await ask(pilot, "a dog near a window")
        lines = app.explore.view.importance_pane.render().plain.splitlines()
        shares = [int(text.split()[-1].rstrip("%")) for text in lines[:-1]]
        assert shares == sorted(shares, reverse=True)
        assert "━" in lines[0]
        assert lines[-1].startswith("start and end marks")
        assert "━" not in lines[-1]


async def test_the_help_scrolls_with_the_keys_of_a_list(files):
    app = make_app(files)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await pilot.press("question_mark")
        page = app.screen.page
        for key, expected in (("j", 1), ("down", 2), ("k", 1), ("g", 0)):
            await pilot.press(key)
            await pilot.pause()
            assert page.scroll_y == expected, key
        await pilot.press("pagedown")
        await pilot.pause()
        assert page.scroll_y > 10
        await pilot.press("end")
        await pilot.pause()
        assert page.scroll_y == page.max_scroll_y > 0
        await pilot.press("escape")
        assert app.screen is app.explore
