"""What is taken away: copies, exports, pictures."""

import base64
import csv
import json
import os
import stat
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from conftest import demo_texts, write_coco
from test_app import ask, compared, make_app, notices, ready, settle, until, with_methods
from textual.events import Paste

from core.assets import AssetError
from tui.app import ExplorerApp
from tui.documents import HIT_COLUMNS, hit_documents
from tui.exports import ENDINGS, check_output, open_rows
from tui.screens.help import HelpScreen
from tui.screens.prompt import PromptScreen
from tui.settings import Settings

pytestmark = pytest.mark.opened


ROWS = [
    {"rank": 1, "distance": 0.25, "score": None, "caption": "a dog, “big” | small\\"},
    {"rank": 2, "distance": 0.5, "score": None, "caption": '=HYPERLINK("http://example.org")'},
    {"rank": 3, "distance": 0.75, "score": None, "caption": "- a list"},
]


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """The user's data folder and the current folder, both empty."""
    monkeypatch.setattr("tui.screens.taking.data_folder", lambda: tmp_path / "data")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def write_rows(path: Path, rows: list[dict]) -> None:
    with open_rows(path, list(rows[0])) as write:
        write(rows)


def test_rows_come_back_from_each_format(tmp_path):
    for ending in ("jsonl", "parquet", "csv", "md"):
        write_rows(tmp_path / f"rows.{ending}", ROWS)
    assert [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()] == ROWS
    assert pd.read_parquet(tmp_path / "rows.parquet")["caption"].tolist() == [row["caption"] for row in ROWS]
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["caption"] == ROWS[0]["caption"]
    assert float(rows[2]["distance"]) == 0.75
    table = (tmp_path / "rows.md").read_text().splitlines()
    assert table[0] == "| rank | distance | score | caption |"
    assert table[2] == r"| 1 | 0.2500 |  | a dog, “big” \| small\\ |"


def test_rows_may_come_in_parts_of_which_the_first_lack_values(tmp_path):
    first = {"query": "a", "distance": None, "file_name": None, "caption_id": 1}
    second = {"query": "b", "distance": 0.5, "file_name": "x.jpg", "caption_id": 2}
    for ending in (".jsonl", ".parquet", ".csv", ".md"):
        with open_rows(tmp_path / f"rows{ending}", list(first)) as write:
            for part in ([], [first], [], [second, second]):
                write(part)
    frame = pd.read_parquet(tmp_path / "rows.parquet")
    assert frame["distance"].tolist()[1:] == [0.5, 0.5]
    assert frame["file_name"].fillna("").tolist() == ["", "x.jpg", "x.jpg"]
    assert (tmp_path / "rows.csv").read_text().splitlines() == [
        "query,distance,file_name,caption_id",
        "a,,,1",
        "b,0.5,x.jpg,2",
        "b,0.5,x.jpg,2",
    ]
    assert len((tmp_path / "rows.md").read_text().splitlines()) == 5
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 3


def test_a_file_without_rows_has_its_columns(tmp_path):
    for ending in ENDINGS:
        with open_rows(tmp_path / f"rows{ending}", ["query", "distance"]):
            pass
    assert (tmp_path / "rows.csv").read_text() == "query,distance\n"
    assert (tmp_path / "rows.md").read_text().splitlines()[0] == "| query | distance |"
    assert (tmp_path / "rows.jsonl").read_text() == ""
    assert pd.read_parquet(tmp_path / "rows.parquet").columns.tolist() == ["query", "distance"]


def test_the_columns_of_hits_are_their_keys(files):
    explorer = files.explorer()
    (hit, *_) = hit_documents(explorer.opened.captions, explorer.neighbours(0).hits)
    assert tuple(hit) == HIT_COLUMNS


def test_a_failure_in_the_middle_leaves_no_file(tmp_path):
    with suppress(ZeroDivisionError), open_rows(tmp_path / "rows.csv", list(ROWS[0])) as write:
        write(ROWS)
        write([{"rank": 1 / 0}])
    assert list(tmp_path.iterdir()) == []


def test_no_cell_of_a_csv_file_is_a_formula(tmp_path):
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "fine"]
    write_rows(tmp_path / "rows.csv", [{"caption": text} for text in texts])
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        cells = [row["caption"] for row in csv.DictReader(file)]
    assert all(cell.startswith("'") for cell in cells[:-1])
    assert cells[-1] == "fine"


@pytest.mark.parametrize(
    ("name", "found"), [("rows", "no ending"), ("rows.xlsx", "'.xlsx'"), ("no/rows.csv", "folder")]
)
def test_a_file_that_cannot_be_exported_to_is_refused_with_what_to_do(tmp_path, name, found):
    with pytest.raises(AssetError, match=found):
        check_output(tmp_path / name, endings=ENDINGS)


async def copied(pilot, key: str) -> tuple[str, str]:
    """Press a key; return what the terminal was sent and what the file holds."""
    app, sent = pilot.app, []
    app._driver.write = sent.append
    await pilot.press(key)
    await pilot.pause()
    code = next(text for text in sent if "]52;c;" in text)
    return base64.b64decode(code.split(";")[2].rstrip("\a")).decode(), (
        Path(notices(app).split(": ")[-1]).read_text(encoding="utf-8")
    )


async def test_y_copies_the_caption_and_capital_y_the_list(files, home):
    app = make_app(files)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        caption = app.explore.hit_list.texts[app.explore.hit_list.row]
        assert await copied(pilot, "y") == (caption, caption)
        app.clear_notifications()
        clipboard, file = await copied(pilot, "Y")
        assert clipboard == file
        lines = [line.split("\t") for line in file.splitlines()]
        assert len(lines) == 100
        assert lines[1][0] == "2"
        assert lines[1][2] == caption
        assert float(lines[1][1]) == pytest.approx(app.explore.hit_list.value, abs=1e-4)
    assert stat.S_IMODE((home / "data" / "copied.txt").stat().st_mode) == 0o600


async def test_inside_tmux_a_copy_also_passes_it_by(files, home, monkeypatch):
    monkeypatch.setenv("TMUX", "/tmp/tmux,1,0")
    app = make_app(files)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        sent = []
        app._driver.write = sent.append
        await pilot.press("y")
        caption = base64.b64encode(app.explore.hit_list.texts[app.explore.hit_list.row].encode()).decode()
        assert f"\x1bPtmux;\x1b\x1b]52;c;{caption}\a\x1b\\" in sent
        assert any(text.startswith("\x1b]52;c;") for text in sent)


async def test_a_copy_is_told_even_where_its_file_cannot_be_written(files, home):
    (home / "data").write_text("")
    app = make_app(files)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await pilot.press("y")
        assert "copied the caption to the terminal's clipboard; not to" in notices(app)


async def test_e_exports_the_whole_list(files, home):
    app = make_app(files)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await settle(pilot)
        await pilot.press("e")
        assert isinstance(app.screen, PromptScreen)
        await pilot.press("enter")
        await until(pilot, lambda: "300 rows" in notices(app), what="the notice")
        rows = pd.read_csv("hits.csv")
        assert rows["row"].tolist() == app.explore.hit_list.ranking.rows.tolist()
        captions = app.explore.explorer.opened.captions
        assert rows["caption_id"].tolist() == [captions.ids[row] for row in rows["row"]]
        assert rows["image_id"].tolist() == [captions.group(row) for row in rows["row"]]
        assert rows["file_name"][0] == captions.file_names[rows["image_id"][0]]


async def test_an_existing_file_is_replaced_only_when_its_name_is_accepted_twice(files, home):
    Path("hits.csv").write_text("mine")
    app = make_app(files)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await pilot.press("e", "enter")
        assert "exists" in app.screen._text
        await pilot.press("escape")
        assert app.screen is app.explore
        assert Path("hits.csv").read_text() == "mine"
        await pilot.press("e", "enter", "enter")
        await until(pilot, lambda: "rows" in notices(app), what="the notice")
        assert len(pd.read_csv("hits.csv")) >= 100


async def test_a_target_that_cannot_be_written_is_asked_for_again(files, home):
    Path("locked").mkdir()
    app = make_app(files)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await pilot.press("e", "end", "backspace", "backspace", "backspace", "enter")
        await until(pilot, lambda: "expected: one of" in getattr(app.screen, "problem", ""), what="what to do")
        assert app.screen.box.value == "hits."
        await pilot.press("j", "s", "o", "n", "l", "enter")
        await until(pilot, lambda: "rows" in notices(app), what="the notice")
        assert len(Path("hits.jsonl").read_text().splitlines()) >= 100


@pytest.mark.parametrize("name", ["~nosuchperson/x.csv", "x" * 300 + ".csv", "no/such/folder.csv"])
async def test_no_name_of_a_file_ends_the_program(files, home, name):
    app = make_app(files)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await pilot.press("e", "ctrl+u")
        app.post_message(Paste(name))
        await pilot.press("enter")
        await until(pilot, lambda: getattr(app.screen, "problem", ""), what="the question again")


async def test_the_file_that_is_read_is_never_replaced(files, home):
    before = files.captions.read_bytes()
    other = files.captions.with_suffix(".csv")
    other.symlink_to(files.captions)
    app = make_app(files)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await pilot.press("e", "ctrl+u")
        app.post_message(Paste(str(other)))
        await pilot.press("enter")
        await until(pilot, lambda: "is a file that is read" in getattr(app.screen, "problem", ""), what="the question")
    assert files.captions.read_bytes() == before


async def test_the_trail_and_a_comparison_are_exported_from_their_screens(files, home):
    app = make_app(files)
    async with app.run_test(size=(120, 40)) as pilot:
        await with_methods(pilot)
        await pilot.press("j", "enter")
        await settle(pilot)
        await pilot.press("t", "e", "enter")
        await until(pilot, lambda: "trail.csv: 2 rows" in notices(app), what="the notice")
        trail = pd.read_csv("trail.csv")
        assert trail["how"].tolist() == ["random", "followed"]
        assert trail["step"][1] == pytest.approx(app.explore.session.here.step)
        await ask(pilot, "a dog near a window")
        await compared(pilot)
        await pilot.press("e", "enter")
        await until(pilot, lambda: "comparison.csv" in notices(app), what="the notice")
        lists = pd.read_csv("comparison.csv")
        assert lists["method"].unique().tolist() == ["infersent", "words", "bm25", "context", "fused"]
        await pilot.press("escape")
        assert app.screen is app.explore


async def test_capital_s_saves_a_picture_of_the_screen(files, home):
    app = make_app(files)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await pilot.press("S")
        (picture,) = Path().glob("*.svg")
        assert "neighbours" in picture.read_text()
        assert str(picture.absolute()) in notices(app)


async def test_where_the_list_is_empty_each_key_says_what_to_do(files, home):
    app = make_app(files)
    async with app.run_test(size=(100, 30)) as pilot:
        await with_methods(pilot)
        await ask(pilot, "qwertz")
        screen = "\n".join(app.explore.hit_list.render_line(y).text for y in range(6))
        assert "no word of the query is known" in " ".join(screen.split())
        assert "tab: another method · r: a random caption" in screen
        for key in ("y", "Y", "e", "b"):
            app.clear_notifications()
            await pilot.press(key)
            assert "the list is empty" in notices(app), key


@pytest.mark.parametrize("key", ["c", "t"])
async def test_the_help_opens_over_other_screens_too(files, home, key):
    app = make_app(files)
    async with app.run_test(size=(100, 30)) as pilot:
        await with_methods(pilot)
        await pilot.press(key)
        await pilot.pause(0.1)
        under = app.screen
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("escape")
        assert app.screen is under


async def test_the_palette_names_the_keys_of_the_config_file(files, home):
    app = ExplorerApp(make_app(files)._loader._open_corpus, settings=Settings(keys={"random": "f5"}))
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        helps = {command.title: command.help for command in app.get_system_commands(app.screen)}
        assert helps["Random caption"].startswith("f5: ")
        assert helps["Back"].startswith("backspace: ")


async def test_a_bug_in_an_export_is_said_and_the_program_goes_on(files, home, monkeypatch):
    monkeypatch.setattr("tui.screens.taking.hit_documents", lambda *_, **__: 1 / 0)
    app = make_app(files)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await pilot.press("e", "enter")
        await until(pilot, lambda: "the export failed: division by zero" in notices(app), what="the notice")
        await pilot.press("escape", "j")
        assert app.explore.hit_list.cursor == 2


def test_an_export_through_a_link_replaces_the_file_that_it_names(tmp_path):
    (tmp_path / "kept.csv").write_text("before")
    (tmp_path / "link.csv").symlink_to(tmp_path / "kept.csv")
    path = check_output(tmp_path / "link.csv", endings=ENDINGS)
    write_rows(path, ROWS)
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "kept.csv").read_text().startswith("rank,")


def test_neither_a_pipe_nor_a_device_is_replaced_by_an_export(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "device.csv").symlink_to("/dev/null")
    for name in ("pipe.csv", "device.csv"):
        with pytest.raises(AssetError):
            check_output(tmp_path / name)


async def test_a_copied_caption_cannot_end_the_paste_of_a_shell(files, home):
    write_coco(files.captions, ["a dog \x1b[201~ id #\x0f", *demo_texts(120)])
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        await ask(pilot, "#0")
        for key in ("y", "Y"):
            assert "\x1b" not in "".join(await copied(pilot, key))
