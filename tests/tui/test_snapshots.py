"""Snapshots of the screen in its main states; look at a changed snapshot before you accept it."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import Files
from test_app import ask, compared, explained, make_app, ready, settle, type_text, until
from test_overlays import looking_at_features, varied
from textual.widgets import Input

from core.trust.calibration import Recall
from core.trust.verdict import Verdict
from tui.app import ExplorerApp
from tui.options import Options
from tui.session import Visit

pytestmark = pytest.mark.opened


SIZES = [(80, 24), (120, 40)]


async def opened(pilot) -> None:
    """Wait for the opening caption, its explanation and the methods, which underline shared words."""
    await ready(pilot)
    await until(pilot, lambda: pilot.app.explore.asker._calibration is not None, what="the methods")
    await explained(pilot)


async def still_cursor(pilot) -> None:
    """Stop the blinking of the cursor in a dialog."""
    pilot.app.screen.query_one(Input).cursor_blink = False
    await pilot.pause(0.1)


@pytest.fixture
def still(monkeypatch, files):
    """An app that looks the same in every run: relative paths, a fixed caption, no timings, no calibration."""
    monkeypatch.setattr("tui.asker._IDLE_SECONDS", 1e6)
    next(files.cache.glob("matrix/*/calibration-*.json")).unlink()
    monkeypatch.chdir(files.folder)
    monkeypatch.setattr("core.explorer.Explorer.random_row", lambda explorer, rng=None, **how: 42)
    monkeypatch.setattr(
        "tui.screens.explore.timings_line", lambda answer, *, brief: "1 ms" if brief else "encode 0.5 · search 0.5 ms"
    )
    folder = files.folder
    names = [path.relative_to(folder) for path in (files.weights, files.vectors, files.captions, files.cache)]
    return make_app(Files(folder, *names))


@pytest.mark.parametrize("size", SIZES)
def test_the_opening_caption(snap_compare, still, size):
    async def wait(pilot):
        await opened(pilot)

    assert snap_compare(still, terminal_size=size, run_before=wait)


@pytest.mark.parametrize("size", SIZES)
def test_one_word_is_unreliable(snap_compare, still, size):
    async def keys(pilot):
        await opened(pilot)
        await pilot.press("slash")
        await type_text(pilot, "dog")
        await pilot.press("enter")
        await settle(pilot)
        await explained(pilot)

    assert snap_compare(still, terminal_size=size, run_before=keys)


MEASURED = {
    "doubtful": Verdict(
        "doubtful",
        (
            "− 1 of 10 confirmed, only 8 captions could be",
            "− too short for one scene: 8 of 100 find it, whole captions 66",
            "− unknown and left out: zyzzyva",
        ),
        advice="with 3 content words 38 of 100 do",
    ),
    "unreliable": Verdict(
        "unreliable",
        ("− not in this corpus: hit 1 at 0.87; 99% of captions have a nearer one",),
        in_corpus=False,
    ),
    "reliable": Verdict(
        "reliable",
        (
            "+ 10 of 10 confirmed by other captions of their image",
            "− too short for one scene: 8 of 100 find it, whole captions 66",
        ),
    ),
}
CURVE = [("words", 1, 0.08), ("words", 2, 0.24), ("words", 3, 0.38), ("words", 4, 0.53), ("whole", 0, 0.66)]


@pytest.mark.parametrize("size", [(60, 15), *SIZES])
@pytest.mark.parametrize("level", MEASURED)
def test_a_measured_verdict(snap_compare, still, level, size):
    async def keys(pilot):
        await opened(pilot)
        await ask(pilot, "a dog")
        await explained(pilot)
        pane = pilot.app.explore.view.verdict_pane
        cells = [Recall(kind, length, 300, {"infersent": (share, 0.0, 1.0)}) for kind, length, share in CURVE]
        pane.calibration = SimpleNamespace(curve=cells, measures=lambda method: True)
        pane.answer = replace(pane.answer, verdict=MEASURED[level])

    assert snap_compare(still, terminal_size=size, run_before=keys)


@pytest.mark.parametrize("size", SIZES)
def test_unknown_words_have_no_hits(snap_compare, still, size):
    async def keys(pilot):
        await opened(pilot)
        await pilot.press("slash")
        await type_text(pilot, "xylograph zzz")
        await pilot.press("enter")
        await settle(pilot)

    assert snap_compare(still, terminal_size=size, run_before=keys)


@pytest.mark.parametrize("size", SIZES)
def test_a_followed_neighbour_with_a_trail_in_a_light_theme(snap_compare, still, size):
    async def keys(pilot):
        await opened(pilot)
        pilot.app.theme = "textual-light"
        pilot.app.explore.go(Visit("a dog near a window", None))
        await settle(pilot)
        await pilot.press("j", "j", "enter")
        await settle(pilot)
        await explained(pilot)

    assert snap_compare(still, terminal_size=size, run_before=keys)


@pytest.mark.parametrize("size", SIZES)
def test_a_sum(snap_compare, still, size):
    async def keys(pilot):
        await opened(pilot)
        await ask(pilot, "a dog near a window - 0.5 * a cat")
        await explained(pilot)

    assert snap_compare(still, terminal_size=size, run_before=keys)


@pytest.mark.parametrize("size", SIZES)
def test_a_sum_that_cancels(snap_compare, still, size):
    async def keys(pilot):
        await opened(pilot)
        await ask(pilot, "a dog - a dog")

    assert snap_compare(still, terminal_size=size, run_before=keys)


@pytest.mark.parametrize("size", SIZES)
def test_each_image_once(snap_compare, still, size):
    async def keys(pilot):
        await opened(pilot)
        await pilot.press("s", "j")
        await explained(pilot)

    assert snap_compare(still, terminal_size=size, run_before=keys)


@pytest.mark.parametrize("size", SIZES)
def test_ranked_by_bm25(snap_compare, still, size):
    async def keys(pilot):
        await opened(pilot)
        await ask(pilot, "two dogs near a window")
        await pilot.press("tab", "tab")
        await settle(pilot)
        await explained(pilot)

    assert snap_compare(still, terminal_size=size, run_before=keys)


@pytest.mark.parametrize("size", [*SIZES, (160, 50)])
def test_methods_side_by_side(snap_compare, still, size):
    async def keys(pilot):
        await opened(pilot)
        await ask(pilot, "two dogs near a window")
        await compared(pilot)
        await pilot.press("right", "down")

    assert snap_compare(still, terminal_size=size, run_before=keys)


@pytest.mark.parametrize("size", SIZES)
def test_variations(snap_compare, still, size):
    async def keys(pilot):
        await opened(pilot)
        await ask(pilot, "a dog is sitting on a red couch")
        await varied(pilot)
        await pilot.press("down", "down", "down")

    assert snap_compare(still, terminal_size=size, run_before=keys)


@pytest.mark.parametrize("size", SIZES)
def test_the_features_behind_a_hit(snap_compare, still, size):
    async def keys(pilot):
        await opened(pilot)
        await ask(pilot, "a dog is sitting on a red couch")
        await looking_at_features(pilot)

    assert snap_compare(still, terminal_size=size, run_before=keys)


@pytest.mark.parametrize("size", SIZES)
def test_a_pinned_query(snap_compare, still, size):
    async def keys(pilot):
        await opened(pilot)
        await ask(pilot, "a man bites a dog")
        await pilot.press("p")
        await ask(pilot, "a dog bites a man")
        await explained(pilot)

    assert snap_compare(still, terminal_size=size, run_before=keys)


@pytest.mark.parametrize("size", SIZES)
def test_a_file_that_cannot_be_used(snap_compare, still, files, size):
    files.weights.write_text("<html>not found</html>")

    async def wait(pilot):
        for _ in range(200):
            await pilot.pause(0.02)
            if pilot.app.explore.body.current == "error":
                return

    assert snap_compare(still, terminal_size=size, run_before=wait)


@pytest.mark.parametrize("size", SIZES)
def test_the_trail(snap_compare, still, size):
    async def keys(pilot):
        await opened(pilot)
        await pilot.press("j", "enter")
        await settle(pilot)
        await ask(pilot, "two dogs near a window")
        await pilot.press("t")

    assert snap_compare(still, terminal_size=size, run_before=keys)


@pytest.mark.parametrize("size", SIZES)
def test_a_bookmark_is_noted(snap_compare, still, size):
    async def keys(pilot):
        await opened(pilot)
        await pilot.press("b")
        await type_text(pilot, "why so near")
        await still_cursor(pilot)

    assert snap_compare(still, terminal_size=size, run_before=keys)


@pytest.mark.parametrize("size", SIZES)
def test_the_bookmarks(snap_compare, still, size):
    async def keys(pilot):
        await opened(pilot)
        for note in ("first", ""):
            await pilot.press("j", "b")
            await type_text(pilot, note)
            await pilot.press("enter")
        pilot.app.clear_notifications()
        await pilot.press("B")

    assert snap_compare(still, terminal_size=size, run_before=keys)


@pytest.mark.parametrize("size", SIZES)
def test_an_export(snap_compare, still, size):
    async def keys(pilot):
        await opened(pilot)
        await pilot.press("e")
        await still_cursor(pilot)

    assert snap_compare(still, terminal_size=size, run_before=keys)


@pytest.mark.parametrize("size", SIZES)
def test_embeddings_that_are_given(snap_compare, files, still, size):
    embeddings = files.folder / "clip.npy"
    np.save(embeddings, np.random.default_rng(0).standard_normal((300, 8)))
    options = Options(embeddings=embeddings, captions=files.captions, cache_dir=files.cache, device="cpu")

    async def keys(pilot):
        await ready(pilot)
        await until(pilot, lambda: pilot.app.explore.asker._calibration is not None, what="the methods")
        await ask(pilot, "two dogs near a window")

    assert snap_compare(ExplorerApp(options.open_corpus), terminal_size=size, run_before=keys)


@pytest.mark.parametrize("size", SIZES)
def test_help(snap_compare, still, size):
    async def keys(pilot):
        await opened(pilot)
        await pilot.press("question_mark")

    assert snap_compare(still, terminal_size=size, run_before=keys)


def test_without_colour(snap_compare, files, monkeypatch, request):
    monkeypatch.setenv("NO_COLOR", "1")
    still = request.getfixturevalue("still")

    async def keys(pilot):
        await opened(pilot)
        await pilot.press("j")
        await explained(pilot)

    assert snap_compare(still, terminal_size=(80, 24), run_before=keys)
