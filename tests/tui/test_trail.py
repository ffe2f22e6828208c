"""What is kept of a run: its file, the screen of visits, bookmarks, and going on with an earlier run."""

import json
import os
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import Files, refused, write_coco
from test_app import line, make_app, notices, ready, settle, type_text
from test_filter import filtered

from core.assets import AssetError
from core.ranking.filters import EVERY
from tui.app import ExplorerApp
from tui.lines import visit_line
from tui.screens.pick import PickScreen
from tui.screens.prompt import PromptScreen
from tui.session import Session, Visit
from tui.trail import FORMAT, Run, TrailWriter, default_folder, find_run, list_runs, read_run

pytestmark = pytest.mark.opened


def explorer(files: Files, folder, *, resume: str | None = None) -> ExplorerApp:
    """An app that keeps a trail in a folder."""
    app = make_app(files)
    resumed = None if resume is None else find_run(folder, resume)
    return ExplorerApp(app._loader._open_corpus, trail=TrailWriter(folder), resumed=resumed)


def write_run(folder, *events, about: dict | None = None) -> Run:
    writer = TrailWriter(folder, about or {})
    for event in events:
        writer.write(event)
    return read_run(writer.path)


def visit(number: int, text: str, *, before: int | None = None, how: str = "typed", row: int | None = None) -> dict:
    return {"visit": number, "from": before, "how": how, "text": text, "row": row}


def test_what_is_written_is_read_again(tmp_path):
    run = write_run(tmp_path, visit(0, "a dog"), visit(1, "ein Ähnliches \ud83d", before=0), about={"model": "m"})
    assert [event["text"] for event in run.those("visit")] == ["a dog", "ein Ähnliches \ud83d"]
    assert run.about == {"format": FORMAT, "model": "m"}
    assert all("time" in event for event in run.events)


def test_a_look_at_one_caption_leaves_no_file_and_a_bookmark_does(tmp_path):
    writer = TrailWriter(tmp_path / "trails")
    writer.write(visit(0, "a dog"))
    writer.write({"answer": 0, "level": None, "step": None, "drift": None, "hits": []})
    assert not (tmp_path / "trails").exists()
    writer.write({"bookmark": 3, "text": "a cat", "note": ""})
    assert [next(iter(event.keys() - {"time"})) for event in read_run(writer.path).events if "visit" in event]
    assert len(read_run(writer.path).events) == 3


def test_what_a_killed_process_left_before_its_first_line_is_deleted_later(tmp_path):
    now, names = time.time(), ("20260102-030405-abcdefgh.jsonl.part", "20260102-030405-hgfedcba.jsonl.part")
    for name, seconds in zip(names, (3600, 1), strict=True):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (now - seconds, now - seconds))
    assert list(list_runs(tmp_path)) == []
    run = write_run(tmp_path, visit(0, "a"), visit(1, "b"))
    assert [each.path for each in list_runs(tmp_path)] == [run.path]
    assert {path.name for path in tmp_path.iterdir()} == {run.path.name, names[1]}, "another may be about to write it"


def test_runs_that_begin_together_have_files_of_their_own(tmp_path):
    runs = [write_run(tmp_path, visit(0, f"a{number}"), visit(1, "b")) for number in range(5)]
    assert [run.those("visit")[0]["text"] for run in runs] == [f"a{number}" for number in range(5)]
    assert len({run.path for run in runs}) == len(list(list_runs(tmp_path))) == 5


@pytest.mark.parametrize("ahead", [0, 1, 3600], ids=["at once", "in the next second", "clock set back by an hour"])
def test_the_last_run_is_the_last_also_if_the_clock_says_otherwise(tmp_path, ahead):
    earlier = write_run(tmp_path, visit(0, "a dog"), visit(1, "a cat", before=0))
    then = datetime.now() + timedelta(seconds=ahead)
    earlier.path.rename(tmp_path / f"{then:%Y%m%d-%H%M%S}-zzzz.jsonl")
    for _ in range(3):
        written = write_run(tmp_path, visit(0, "a horse"), visit(1, "a bird", before=0))
        assert find_run(tmp_path, "last").path == written.path


def test_a_trail_from_far_in_the_future_does_not_name_those_after_it(tmp_path):
    (tmp_path / "20990101-000000-aaaa.jsonl").touch()
    written = write_run(tmp_path, visit(0, "a dog"), visit(1, "a cat", before=0))
    assert written.name.startswith(f"{datetime.now():%Y%m%d}")


def test_only_its_owner_reads_a_trail(tmp_path):
    run = write_run(tmp_path / "trails", visit(0, "a"), visit(1, "b"))
    assert stat.S_IMODE(run.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(run.path.parent.stat().st_mode) == 0o700


def test_each_event_is_on_disk_at_once(tmp_path):
    script = f"""
import os, sys
from pathlib import Path
from tui.trail import TrailWriter
writer = TrailWriter(Path({str(tmp_path)!r}))
for number in range(3):
    writer.write({{"visit": number, "from": None, "how": "typed", "text": "a dog", "row": None}})
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    (run,) = list_runs(tmp_path)
    assert len(run.those("visit")) == 3


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_trail_that_was_cut_off_loses_its_last_line_only(tmp_path, cut):
    path = write_run(tmp_path, *(visit(number, "a dog") for number in range(4))).path
    path.write_bytes(path.read_bytes()[:-cut])
    run = read_run(path)
    assert [event["visit"] for event in run.those("visit")] == ([0, 1, 2, 3] if cut == 1 else [0, 1, 2])
    assert run.broken == (cut != 1)


@pytest.mark.parametrize("broken", [lambda line: line[:20], lambda line: "[" * 100_000], ids=["cut off", "nested"])
def test_a_line_that_is_broken_in_the_middle_costs_that_line_only(tmp_path, broken):
    path = write_run(tmp_path, *(visit(number, "a dog") for number in range(4))).path
    lines = path.read_text().splitlines()
    lines[2] = broken(lines[2])
    path.write_text("\n".join([*lines, ""]))
    run = read_run(path)
    assert [event["visit"] for event in run.those("visit")] == [0, 2, 3]
    assert run.broken == 1
    session = Session()
    session.restore(run.events, lambda row, text: row)
    assert [each.text for each in session.visits] == ["a dog"] * 3


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (json.dumps({"format": FORMAT + 1}) + "\n", "another version"),
        ("", "no trail"),
        ("hello\n", "no trail"),
        ("[1]\n", "no trail"),
        pytest.param("[" * 100_000, "no trail", id="nested"),
        ("\xff\xfe", "no trail"),
    ],
)
def test_other_files_among_the_trails_are_named_and_the_others_are_read(tmp_path, content, found):
    run = write_run(tmp_path, visit(0, "a"), visit(1, "b"))
    other = tmp_path / "20990101-000000-1.jsonl"
    other.write_text(content, encoding="latin-1")
    error, fine = list_runs(tmp_path)
    assert found in str(error)
    assert str(other) in str(error)
    assert fine.name == run.name
    assert find_run(tmp_path, "last").name == run.name
    with pytest.raises(AssetError, match=found):
        find_run(tmp_path, "2099")


def test_a_run_is_named_by_the_beginning_of_its_name(tmp_path):
    with pytest.raises(AssetError, match="no trail yet"):
        find_run(tmp_path / "nowhere", "last")
    run = write_run(tmp_path, visit(0, "a"), visit(1, "b"))
    (tmp_path / f"{run.name}x.jsonl").write_bytes(run.path.read_bytes())
    assert find_run(tmp_path, run.name).name == run.name
    with pytest.raises(AssetError, match="2 trails"):
        find_run(tmp_path, run.name[:8])
    with pytest.raises(AssetError, match="trail list"):
        find_run(tmp_path, "never")


def test_a_trail_that_cannot_be_written_says_so_once_and_raises_nothing(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    writer = TrailWriter(blocked / "trails")
    for number in range(3):
        writer.write(visit(number, "a dog"))
    assert "the trail is not written" in writer.problem
    assert str(blocked) in writer.problem


@pytest.mark.parametrize("begun", [True, False])
def test_what_a_full_disk_kept_out_of_the_trail_is_written_once_there_is_room(small_disk, begun):
    writer = TrailWriter(small_disk / "trails", {"captions": "c"})
    if begun:
        writer.write(visit(0, "a dog"))
        writer.write(visit(1, "a cat"))
        assert not writer.problem
    fill = small_disk / "fill"
    with suppress(OSError), fill.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    for number in range(2, 200):
        writer.write(visit(number, "a long text " * 10))
    assert "No space left" in writer.problem
    if begun:
        assert read_run(writer.path).broken == 0, "no half of a line"
    fill.unlink()
    writer.write({"bookmark": 7, "text": "a dog", "note": "KEEPME"})
    assert not writer.problem
    run = read_run(writer.path)
    assert run.broken == 0
    assert [event["visit"] for event in run.those("visit")] == [*((0, 1) if begun else ()), *range(2, 200)]
    assert [event["note"] for event in run.those("bookmark")] == ["KEEPME"]


def test_what_is_missing_is_written_at_the_end(small_disk):
    writer = TrailWriter(small_disk / "trails", {"captions": "c"})
    fill = small_disk / "fill"
    with suppress(OSError), fill.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    writer.write({"bookmark": 7, "text": "a dog", "note": ""})
    assert writer.problem
    fill.unlink()
    writer.finish()
    assert not writer.problem
    assert len(read_run(writer.path).those("bookmark")) == 1


def test_a_session_is_restored_with_its_tree_its_answers_and_its_bookmarks():
    kept = []
    before = Session(keep=kept.append)
    hits = SimpleNamespace(rows=np.array([1, 2]), distances=np.array([0.1, 0.2]), scores=None)
    vectors = np.eye(4)
    for number, (text, how) in enumerate(zip("abcd", ("random", "followed", "followed", "typed"), strict=True)):
        question = before.go(Visit(text, None if how == "typed" else number, how), cursor=0)
        query = SimpleNamespace(embedding=vectors[number], tokens=("x",), terms=())
        verdict = SimpleNamespace(level="doubtful")
        answer = SimpleNamespace(query=query, verdict=verdict, hits=hits, method="infersent", among=EVERY)
        before.note_answer(question, answer, texts=["x", "y", "z"])
        if text == "b":
            before.back(cursor=0)
    before.bookmark(1, "y", "see this")
    before.bookmark(2, "z", "")
    before.remove_bookmark(2, "z")
    after = Session()
    after.restore(json.loads(json.dumps(kept)), lambda row, text: row)
    assert [(visit.text, depth) for visit, depth in after.tree()] == [
        (visit.text, depth) for visit, depth in before.tree()
    ]
    assert [visit.text for visit in after.path] == [visit.text for visit in before.path] == ["a", "c", "d"]
    assert [(v.step, v.drift, v.level) for v in after.visits] == [(v.step, v.drift, v.level) for v in before.visits]
    assert after.visits[1].step == pytest.approx(1.0)
    assert after.bookmarks == {1: "see this"}
    assert next(event for event in kept if "answer" in event)["hits"][0] == {"row": 1, "caption": "y", "distance": 0.1}


def test_branches_are_indented_and_a_straight_walk_is_not():
    session = Session()
    for text in ("start", "a", "b", "c"):
        session.go(Visit(text, None, "typed" if text == "start" else "followed"), cursor=0)
    assert [depth for _, depth in session.tree()] == [0, 1, 1, 1]
    session.back(cursor=0)
    session.go(Visit("other", None, "followed"), cursor=0)
    session.go(Visit("new", None, "typed"), cursor=0)
    assert [(visit.text, depth) for visit, depth in session.tree()] == [
        ("start", 0),
        ("a", 1),
        ("b", 1),
        ("c", 2),
        ("other", 2),
        ("new", 0),
    ]


def test_a_walk_of_thousands_of_branches_is_not_indented_ever_further():
    session = Session()
    events = [visit(n, "a", how="followed", before=(n - 1) // 2 * 2) for n in range(4000)]
    session.restore(events, lambda row, text: row)
    assert max(depth for _, depth in session.tree()) > 1000
    assert sum(len(visit_line(each, depth).plain) for each, depth in session.tree()) < 100 * 4000


async def test_t_lists_all_visits_and_returns_to_the_chosen_one(files, tmp_path):
    app = explorer(files, tmp_path)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        first = app.explore.search_box.value
        await pilot.press("j", "j", "enter")
        await settle(pilot)
        await type_text(pilot, "a dog near a window")
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("t")
        assert isinstance(app.screen, PickScreen)
        prompts = [app.screen.lines.line_at(line).plain for line in range(app.screen.lines.count)]
        assert len(prompts) == 3
        assert app.screen.lines.cursor == 2, "the cursor is where one is"
        assert first in prompts[0]
        step = app.explore.session.visits[1].step
        assert f"{step:.3f}"[1:] in prompts[1]
        await pilot.press("k", "k", "enter")
        await settle(pilot)
        assert app.explore.search_box.value == first
        assert app.explore.hit_list.cursor == 3
        await pilot.press("t", "escape")
        assert app.screen is app.explore
        assert len(app.explore.session.visits) == 3


async def test_b_marks_a_caption_with_a_note_and_capital_b_lists_the_marks(files, tmp_path):
    app = explorer(files, tmp_path)
    async with app.run_test(size=(100, 40)) as pilot:
        await ready(pilot)
        await pilot.press("B")
        assert "no bookmarks yet" in notices(app)
        await pilot.press("j", "b")
        assert isinstance(app.screen, PromptScreen)
        row = app.explore.hit_list.row
        await type_text(pilot, "like qrijk")
        await pilot.press("left", "backspace", "enter")
        assert app.explore.session.bookmarks == {row: "like qrik"}
        await pilot.press("k")
        assert line(app, app.explore.hit_list.cursor + 1).startswith("★")
        await pilot.press("j")
        await pilot.pause()
        assert "★ like qrik" in app.explore.view.caption_pane.render().plain
        await pilot.press("r")
        await settle(pilot)
        await pilot.press("B")
        assert "like qrik" in app.screen.lines.line_at(0).plain
        await pilot.press("enter")
        await settle(pilot)
        assert app.explore.session.here.row == row
        await pilot.press("B", "d")
        assert app.explore.session.bookmarks == {}
        assert app.screen is app.explore
    events = next(list_runs(tmp_path)).events
    assert [name for event in events for name in ("bookmark", "unbookmark") if name in event] == [
        "bookmark",
        "unbookmark",
    ]


async def test_keys_of_a_burst_go_to_the_screen_that_an_earlier_one_opened(files, tmp_path):
    app = explorer(files, tmp_path)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        row = app.explore.hit_list.row
        await pilot.press("b", "o", "k", "enter", "r", "t", "k", "escape", "slash", "x")
        await settle(pilot)
        assert app.explore.session.bookmarks == {row: "ok"}
        assert len(app.explore.session.visits) == 2
        assert app.explore.search_box.value == "x"


async def test_an_earlier_run_is_resumed_where_it_ended_and_its_file_stays_as_it_was(files, tmp_path):
    app = explorer(files, tmp_path)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await pilot.press("j", "j", "enter")
        await settle(pilot)
        await pilot.press("j", "b", "enter")
        ended, marked = app.explore.search_box.value, set(app.explore.session.bookmarks)
    (first,) = list_runs(tmp_path)
    content = first.path.read_bytes()
    first.path.rename(first.path.with_stem("20200101-000000-1"))
    app = explorer(files, tmp_path, resume="2020")
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        assert app.explore.search_box.value == ended
        assert set(app.explore.session.bookmarks) == marked
        assert len(list(list_runs(tmp_path))) == 1, "nothing new was asked yet"
        await pilot.press("backspace")
        await settle(pilot)
        await pilot.press("r")
        await settle(pilot)
    later, before = list_runs(tmp_path)
    assert before.path.read_bytes() == content
    assert [event["text"] for event in later.those("visit")][:2] == [event["text"] for event in before.those("visit")]
    assert len(later.those("visit")) == 3


@pytest.mark.parametrize("texts", [["length>9"], ["length>9", ""], ["dog", "length>9"]])
async def test_the_filter_with_which_a_run_ended_is_that_of_the_resumed_one(files, tmp_path, texts):
    app = explorer(files, tmp_path)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await pilot.press("j", "enter")
        await settle(pilot)
        for text in texts:
            await filtered(pilot, text)
    app = explorer(files, tmp_path, resume="last")
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await settle(pilot)
        assert app.explore.session.among.text == texts[-1]
        assert app.explore.view.answer.among.text == texts[-1]


async def test_a_filter_that_other_captions_cannot_meet_is_left_out_and_named(files, tmp_path):
    run = write_run(tmp_path, visit(0, "a cat"), visit(1, "a dog"), {"filter": "colour:red"})
    app = explorer(files, tmp_path, resume=run.name)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await settle(pilot)
        assert app.explore.session.among.text == ""
        assert "the filter of that run, colour:red, is left out: colour" in notices(app)


async def test_a_run_over_other_captions_finds_those_that_both_have(files, tmp_path):
    texts = ["a dog sleeps", "a cat sits", *(f"a man {i} walks" for i in range(150))]
    write_coco(files.captions, texts)
    run = write_run(
        tmp_path,
        visit(0, "a cat sits", how="random", row=77),
        visit(1, "a ship that these captions lack", how="followed", row=78, before=0),
        {"bookmark": 77, "text": "a cat sits", "note": "cat"},
        {"bookmark": 5, "text": "gone", "note": "gone"},
    )
    app = explorer(files, tmp_path, resume=run.name)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        assert [visit.row for visit in app.explore.session.visits] == [1, None]
        assert app.explore.session.bookmarks == {1: "cat"}
        assert app.explore.search_box.value == "a ship that these captions lack"


async def test_damaged_lines_of_a_run_are_named_and_left_out(files, tmp_path):
    damaged = [
        visit(1, "b") | {"text": 5},
        visit(2, "b") | {"row": "3"},
        {"bookmark": 1, "text": "cat", "note": 5},
        {"answer": 0, "level": None, "step": "x", "drift": None, "hits": []},
        {"answer": 0, "level": None, "step": None, "drift": None, "hits": [{"caption": "a", "distance": None}]},
        {"at": []},
    ]
    run = write_run(tmp_path, visit(0, "a"), *damaged, visit(3, "a dog"))
    app = explorer(files, tmp_path, resume=run.name)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        assert f"{run.name}.jsonl: {len(damaged)} damaged lines are left out" in notices(app)
        assert [each.text for each in app.explore.session.visits] == ["a", "a dog"]
        assert app.explore.session.bookmarks == {}
        await pilot.press("t")
        assert isinstance(app.screen, PickScreen)


async def test_a_trail_that_cannot_be_written_is_a_notice(files, tmp_path):
    (tmp_path / "file").write_text("")
    app = explorer(files, tmp_path / "file")
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await pilot.press("r")
        await settle(pilot)
        await pilot.press("r")
        await settle(pilot)
        assert notices(app).count("the trail is not written") == 1


def run_trail(data, *arguments: str, **how) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"XDG_DATA_HOME": str(data)}
    command = [sys.executable, "-m", "tui", "trail", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, **how)


@pytest.mark.skipif(sys.platform != "linux", reason="sets the folder as Linux has it")
def test_runs_are_listed_shown_and_deleted(tmp_path):
    folder = tmp_path / "infersent-tui" / "trails"
    assert "no trails in" in run_trail(tmp_path, "list").stderr
    hits = [{"row": 3, "caption": "a dog sleeps", "distance": 0.25}]
    run = write_run(
        folder,
        visit(0, "a dog"),
        {"answer": 0, "method": "infersent", "level": None, "step": None, "drift": None, "hits": hits},
        visit(1, "two dogs\x1b[2J", before=0, how="followed", row=3),
        {"bookmark": 3, "text": "a dog sleeps", "note": "why?"},
        about={"captions": "/data/captions.json"},
    )
    listed = run_trail(tmp_path, "list")
    assert run.name in listed.stdout
    assert "2 queries" in listed.stdout
    assert "/data/captions.json" in listed.stdout
    (summary,) = json.loads(run_trail(tmp_path, "list", "--json").stdout)
    assert (summary["name"], summary["queries"], summary["bookmarks"]) == (run.name, 2, 1)
    shown = run_trail(tmp_path, "show").stdout
    assert "0.2500  a dog sleeps" in shown
    assert "a dog sleeps  [why?]" in shown
    assert "\x1b" not in shown
    assert len(json.loads(run_trail(tmp_path, "show", run.name, "--json").stdout)["events"]) == 4
    refused = run_trail(tmp_path, "delete", run.name, stdin=subprocess.DEVNULL)
    assert (refused.returncode, "--yes" in refused.stderr) == (2, True)
    assert run.path.exists()
    assert run_trail(tmp_path, "delete", run.name, "--yes").returncode == 0
    assert not run.path.exists()
    missing = run_trail(tmp_path, "show")
    assert (missing.returncode, "no trail yet" in missing.stderr) == (2, True)


async def test_a_text_submitted_while_loading_is_kept_in_its_place(files, tmp_path):
    run = write_run(tmp_path, visit(0, "a dog"), visit(1, "a cat", before=0))
    app = explorer(files, tmp_path, resume=run.name)
    open_corpus, gate = app._loader._open_corpus, threading.Event()
    app._loader._open_corpus = lambda: gate.wait(10) and open_corpus()
    async with app.run_test(size=(100, 30)) as pilot:
        await type_text(pilot, "a kite")
        await pilot.press("enter")
        gate.set()
        await ready(pilot)
        await settle(pilot)
        assert [each.text for each in app.explore.session.path] == ["a dog", "a cat", "a kite"]
        assert app.explore.session.here.text == app.explore.view.answer.query.text == "a kite"
    run.path.unlink()
    (later,) = list_runs(tmp_path)
    assert [event["visit"] for event in later.those("visit")] == [0, 1, 2]
    assert {event["answer"] for event in later.those("answer")} == {2}


async def test_visits_keep_their_numbers_and_distances_when_they_are_resumed(files, tmp_path):
    app = explorer(files, tmp_path)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await pilot.press("j", "enter")
        await settle(pilot)
        await pilot.press("j", "enter")
        await settle(pilot)
        step = app.explore.session.here.step
    (run,) = list_runs(tmp_path)
    lines = run.path.read_text().splitlines()
    first = next(line for line in lines if '"visit": 0' in line)
    earlier = tmp_path / "20200101-000000-1.jsonl"
    earlier.write_text("\n".join("{broken" if line == first else line for line in lines) + "\n")
    run.path.unlink()
    app = explorer(files, tmp_path, resume="2020")
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await settle(pilot)
        assert [each.number for each in app.explore.session.visits] == [1, 2]
        assert app.explore.session.here.step == pytest.approx(step, abs=1e-3)
        await pilot.press("r")
        await settle(pilot)
    later = next(list_runs(tmp_path))
    assert [event["visit"] for event in later.those("visit")] == [1, 2, 3]


def test_after_the_file_is_made_everything_is_written_at_once(tmp_path):
    writer = TrailWriter(tmp_path)
    writer.write(visit(0, "a"))
    writer.write({"bookmark": 1, "text": "a cat", "note": ""})
    writer.write({"unbookmark": 1, "text": "a cat"})
    assert len(read_run(writer.path).events) == 3


def test_a_bookmark_that_is_taken_away_after_resuming_stays_away(tmp_path):
    run = write_run(tmp_path, visit(0, "a"), {"bookmark": 1, "text": "a cat", "note": ""})
    run.path.rename(run.path.with_stem("20200101-000000-1"))
    writer = TrailWriter(tmp_path)
    writer.resume(run)
    writer.write({"unbookmark": 1, "text": "a cat"})
    session = Session()
    session.restore(read_run(writer.path).events, lambda row, text: row)
    assert session.bookmarks == {}


def test_a_trail_that_cannot_be_deleted_holds_up_no_other(tmp_path):
    folder = tmp_path / "infersent-tui" / "trails"
    runs = [write_run(folder, visit(0, "a"), visit(1, "b")) for _ in range(2)]
    (folder / "20000102-100000-b.jsonl").mkdir()
    done = run_trail(tmp_path, "delete", "--all", "-y")
    assert done.returncode == 2
    assert "deleted 2" in done.stdout
    assert "20000102-100000-b.jsonl" in done.stderr
    assert not any(run.path.exists() for run in runs)


def test_only_files_among_the_trails_are_deleted(tmp_path):
    folder = tmp_path / "infersent-tui" / "trails"
    run = write_run(folder, visit(0, "a"), visit(1, "b"))
    other = tmp_path / "other.jsonl"
    other.write_text("mine")
    for name in (str(tmp_path / "other"), "../../other", ""):
        assert run_trail(tmp_path, "delete", "-y", name).returncode == 2
    assert other.exists()
    assert run.path.exists()


@pytest.mark.parametrize(
    "event",
    [
        visit(0, "a dog", how="ho\x1b]0;P"),
        pytest.param(visit(10**4300 - 1, "a dog"), id="number"),  # the next one could not be written
        {"answer": 0, "level": None, "step": 10**400, "drift": None, "hits": []},
        {"answer": 0, "level": None, "step": None, "drift": float("inf"), "hits": []},
        {"answer": 0, "level": None, "step": None, "drift": None, "hits": [{"caption": "a", "distance": float("nan")}]},
    ],
)
def test_an_event_with_a_value_that_cannot_be_is_left_out(tmp_path, event):
    run = write_run(tmp_path, event, visit(1, "a cat"), visit(2, "a cow"))
    assert (len(run.events), run.broken) == (2, 1)


def test_an_event_that_lacks_a_part_is_left_out(tmp_path):
    run = write_run(tmp_path, visit(0, "a"), {"visit": 1}, visit(2, "b"), {"answer": 0}, {"bookmark": 3})
    assert [event["visit"] for event in run.those("visit")] == [0, 2]
    assert run.broken == 3


async def test_a_followed_hit_of_a_typed_text_was_followed_from_that_text(files, tmp_path):
    app = explorer(files, tmp_path)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await type_text(pilot, "a dog near a window")
        await settle(pilot)
        third = (20, 1 + app.explore.hit_list._line_of(2))  # the title is above the list
        await pilot.click(app.explore.hit_list, offset=third)
        await pilot.click(app.explore.hit_list, offset=third, times=2)
        await settle(pilot)
        typed, followed = app.explore.session.visits[-2:]
        assert (typed.text, typed.how, followed.how) == ("a dog near a window", "typed", "followed")
        assert followed.came_from is typed
        assert followed.step is not None


async def test_keys_of_the_main_screen_do_nothing_behind_another(files, tmp_path):
    app = explorer(files, tmp_path)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        visits = len(app.explore.session.visits)
        await pilot.press("t", "slash", "i", "ctrl+r", "alt+left", "escape")
        assert app.screen is app.explore
        assert app.explore.hit_list.has_focus
        await pilot.press("slash")
        app.explore.action_bookmark()
        await pilot.pause()
        await pilot.press("o", "k", "ctrl+r", "enter")
        assert app.screen is app.explore
        assert list(app.explore.session.bookmarks.values()) == ["ok"]
        assert len(app.explore.session.visits) == visits


async def test_returning_by_the_trail_keeps_the_place_of_the_cursor(files, tmp_path):
    app = explorer(files, tmp_path)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await pilot.press("j", "enter")
        await settle(pilot)
        await pilot.press("j", "j", "j", "t", "k", "enter")
        await settle(pilot)
        await pilot.press("t", "j", "enter")
        await settle(pilot)
        assert app.explore.hit_list.cursor == 4


def test_a_trail_of_a_newer_version_is_neither_resumed_nor_changed(tmp_path, run):
    folder = default_folder()
    folder.mkdir(parents=True)
    newer = folder / "20990101-000000-1.jsonl"
    newer.write_text(json.dumps({"format": FORMAT + 1}) + "\n" + json.dumps({"visit": "of another form"}) + "\n")
    before = newer.read_bytes()
    for command in (["trail", "show", "2099"], ["trail", "show"]):
        assert refused(run(*command), "another version" if "2099" in command else "no trail yet")
    listed = run("trail", "list")
    assert "read it with that version" in listed.err
    assert listed.code == 0
    assert newer.read_bytes() == before
