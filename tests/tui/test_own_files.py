"""The person's own files: pipes, devices and vast files in place of the config file, the theme, trails and copies."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from signals import environment
from test_app import make_app, notices, ready
from test_trail import visit, write_run

from tui.settings import config_path, last_theme, read_settings
from tui.trail import default_folder, list_runs, recent_corpora

SECONDS = 120
"""After which a process is taken to wait for ever."""
MEMORY = 500_000_000
"""Bytes of addresses that a process without torch may have."""
IN_PLACE = {"pipe": "is not a plain file", "device": "is not a plain file", "folder": "is a folder"}


def put(path: Path, kind: str) -> Path:
    """Put something that is no plain file at a path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")  # which has no end
    else:
        path.mkdir()
    return path


def limited(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with a limit to its memory."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        stdin=subprocess.DEVNULL,
        timeout=SECONDS,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )


def trail(*arguments: str) -> subprocess.CompletedProcess[str]:
    return limited("-m", "tui", "trail", *arguments)


@pytest.mark.parametrize("kind", IN_PLACE)
def test_what_is_no_plain_file_in_place_of_the_config_file_is_a_problem(kind: str) -> None:
    put(config_path(), kind)
    code = "from tui.settings import *; print(read_settings(config_path()).problems)"
    assert f"nothing of it counts: {IN_PLACE[kind]}" in limited("-c", code).stdout


def test_doctor_tells_of_a_pipe_in_place_of_the_config_file(tmp_path: Path) -> None:
    put(config_path(), "pipe")
    command = [sys.executable, "-m", "tui", "doctor", "--json", "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, check=False, env=environment(), timeout=SECONDS)
    (problem,) = json.loads(done.stdout)["config"]["problems"]
    assert "not a plain file" in problem


@pytest.mark.parametrize(
    "text", ["#" * 16_001, f"a{'.a' * 50_000} = 1"], ids=["comment", "a table in a table in a ..."]
)
def test_a_config_file_that_is_too_long_is_a_problem(text: str) -> None:
    config_path().parent.mkdir(parents=True)
    config_path().write_text(text)
    code = "from tui.settings import *; print(read_settings(config_path()).problems)"
    assert "nothing of it counts: it has more than 16,000 characters" in limited("-c", code).stdout


def test_a_config_file_may_be_a_link_to_a_file(tmp_path: Path) -> None:
    (tmp_path / "dotfiles.toml").write_text('theme = "nord"\r\nmouse = false\r\n')
    config_path().parent.mkdir(parents=True)
    config_path().symlink_to(tmp_path / "dotfiles.toml")
    settings = read_settings(config_path())
    assert (settings.theme, settings.mouse, settings.problems) == ("nord", False, ())


@pytest.mark.parametrize("kind", IN_PLACE)
def test_what_is_no_plain_file_in_place_of_the_last_theme_chooses_none(kind: str) -> None:
    put(default_folder().parent / "theme.txt", kind)
    done = limited("-c", "from tui.settings import *; print(last_theme())")
    assert done.stdout == "None\n"
    assert last_theme() is None


@pytest.mark.parametrize("kind", IN_PLACE)
def test_what_is_no_plain_file_among_the_trails_is_named_and_the_others_are_read(kind: str, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("a dog\n")
    about = {"captions": str(tmp_path / "mine.txt"), "model": "m", "count": 1}
    run = write_run(default_folder(), visit(0, "a dog"), visit(1, "a cat"), about=about)
    other = put(default_folder() / "20991129-200007-other.jsonl", kind)
    listed = trail("list")
    assert (listed.returncode, run.name in listed.stdout, str(other) in listed.stderr) == (0, True, True)
    assert IN_PLACE[kind] in listed.stderr
    assert [each["name"] for each in json.loads(trail("list", "--json").stdout)] == [run.name]
    assert "a cat" in trail("show").stdout
    shown = trail("show", "2099")
    assert (shown.returncode, IN_PLACE[kind] in shown.stderr, "delete it" in shown.stderr) == (
        2,
        True,
        kind != "folder",
    )
    code = "from tui.trail import *; print([each['model'] for each in recent_corpora(default_folder())])"
    assert limited("-c", code).stdout == "['m']\n"
    assert recent_corpora(default_folder())[0]["count"] == 1
    if kind != "folder":
        assert trail("delete", other.stem, "--yes").returncode == 0
        assert not os.path.lexists(other)


def test_a_trail_may_be_a_link_to_a_file(tmp_path: Path) -> None:
    run = write_run(tmp_path, visit(0, "a dog"), visit(1, "a cat"))
    default_folder().mkdir(parents=True)
    (default_folder() / "20200101-000000-link.jsonl").symlink_to(run.path)
    (linked,) = list_runs(default_folder())
    assert [event["text"] for event in linked.those("visit")] == ["a dog", "a cat"]


def test_a_vast_line_of_a_trail_takes_no_memory_and_costs_that_line_only() -> None:
    run = write_run(default_folder(), visit(0, "a dog"), visit(1, "a cat"))
    with run.path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.truncate(file.tell() + MEMORY)  # a hole, which takes no disk
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + json.dumps(visit(2, "a horse")).encode() + b"\n")
    shown = trail("show")
    assert [line.split("  ")[-1].strip() for line in shown.stdout.splitlines()] == ["a dog", "a cat", "a horse"]
    assert "note: 1 broken lines are left out" in shown.stderr


def test_a_vast_first_line_is_no_trail() -> None:
    path = default_folder() / "20991129-200007-vast.jsonl"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert "is no trail" in trail("list").stderr
    assert "no trail yet" in trail("show").stderr
    assert limited("-c", "from tui.trail import *; print(recent_corpora(default_folder()))").stdout == "[]\n"


@pytest.mark.opened
@pytest.mark.parametrize("kind", IN_PLACE)
async def test_a_copy_is_told_where_its_file_is_no_plain_file(files, kind: str) -> None:
    put(default_folder().parent / "copied.txt", kind)
    app = make_app(files)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("y")
        await pilot.pause()
        assert "copied the caption to the terminal's clipboard; not to" in notices(app)
