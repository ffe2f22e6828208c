"""Fetching the official files, by the command and on the screen; afterwards they are used without being named."""

from __future__ import annotations

import hashlib
import json
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import refused
from signals import Pty, environment
from test_app import make_app, ready, until
from web_server import Give, Server, serving

from core.official import OFFICIAL
from tui.screens.fetch import FetchScreen
from tui.trail import fetched_folder


@pytest.fixture
def mirror(published, monkeypatch):
    """A server that has small files in place of the official ones, named by its variable."""
    monkeypatch.setitem(OFFICIAL, "coco", replace(OFFICIAL["coco"], sha256=None))
    with serving(files=published) as server:
        monkeypatch.setenv("INFERSENT_TUI_MIRROR", f"{server.url}/files")
        yield server


async def open_screen(pilot) -> None:
    """Wait for the first answer, and open the screen over it."""
    await ready(pilot)
    pilot.app.explore.action_fetch()
    await until(pilot, lambda: isinstance(pilot.app.screen, FetchScreen), what="the screen")


def test_what_is_fetched_is_used_from_then_on(run, mirror: Server, tmp_path: Path) -> None:
    flags = "--cache-dir", tmp_path / "cache"
    assert run("paths", *flags).out.count("demo") == 3
    done = run("fetch", "--accept-licence", "--json")
    assert list(done.document) == ["infersent2", "crawl", "coco"]
    for said in ("154 MB", "CC BY-NC 4.0: no commercial use", "1,524 MB", "CC BY-SA 3.0"):
        assert said in done.err
    assert run("paths", *flags).out.count(str(fetched_folder())) == 3
    document = run("doctor", "--json", *flags).document
    assert document["ok"] is True
    found = run("search", "a dog", "--json", *flags).document
    assert found["corpus"]["rows"] == 60
    assert "demo" in run("paths", "--demo", *flags).out
    again = run("fetch", "--accept-licence")
    assert again.out == "".join(f"{path}\n" for path in done.document.values())
    assert len(mirror.seen) == 3


def test_nobody_who_could_agree_is_told_how(run, mirror: Server) -> None:
    assert refused(run("fetch", "infersent2"), "use --accept-licence")
    assert not mirror.seen
    assert run("fetch", "crawl").code == 0, "its licence asks for nothing"


def test_another_folder(run, mirror: Server, tmp_path: Path) -> None:
    done = run("fetch", "coco", "--data-dir", tmp_path / "mine")
    assert Path(done.out.strip()) == tmp_path / "mine/captions_val2014.json"
    assert "demo" in run("paths").out, "a folder that was named is not used without being named"


def test_wrong_use_is_refused(run, mirror: Server) -> None:
    assert refused(run("fetch", "--sha256", "0" * 64), "give one NAME")
    for wrong in ("sha256:" + "0" * 64, "0" * 63, "g" * 64, ""):
        assert refused(run("fetch", "crawl", "--sha256", wrong), "64 digits")
    assert refused(run("fetch", "glove2"), "glove2")
    run("fetch", "coco")
    assert "--sha256, which is about its download, is not compared" in run("fetch", "coco", "--sha256", "0" * 64).err
    assert refused(run("fetch", "glove"), "the server answers: 404")
    assert refused(run("fetch", "crawl", "--mirror", "ftp://host"), "https://SERVER/")
    assert refused(run("fetch", "crawl", "--sha256", "0" * 64), "another checksum")


def test_weights_alone_are_not_used(run, mirror: Server, tmp_path: Path) -> None:
    run("fetch", "infersent2", "--accept-licence")
    assert run("paths").out.count("demo") == 3
    assert refused(run("paths", "--data-dir", fetched_folder()), "infersent-tui fetch crawl")


def test_folder_total_and_room_are_told_before_and_the_next_step_after(run, mirror: Server, tmp_path: Path) -> None:
    folder = tmp_path / "my data"
    refused_one = run("fetch", "infersent2", "crawl", "--data-dir", folder)
    assert refused(refused_one, "use --accept-licence")
    assert f"1,678 MB in all, into {folder}; 1.7 GB of disk space needed" in refused_one.err
    assert "GB free" in refused_one.err
    first = run("fetch", "infersent2", "--accept-licence", "--data-dir", folder)
    assert "still needed: vectors for InferSent version 2" in first.err
    assert "infersent-tui fetch crawl" in first.err
    assert f"to explore them: infersent-tui --data-dir '{folder}'\n" in run("fetch", "crawl", "--data-dir", folder).err
    again = run("fetch", "crawl", "--data-dir", folder)
    assert "in all" not in again.err
    here = run("fetch", "coco")
    assert here.err.endswith("to explore them: infersent-tui\n")
    assert "archive" not in here.err
    assert (
        "checking annotations_trainval2014.zip" in run("fetch", "coco", "--sha256", "0" * 64, "--data-dir", folder).err
    )


@pytest.mark.parametrize("how", ["option", "variable"])
def test_the_next_step_names_the_mirror_and_can_be_run(run, published, monkeypatch, tmp_path: Path, how: str) -> None:
    folder = tmp_path / "my; data"
    with serving(files=published) as server:
        address = f"{server.url}/files;a&b"  # which a shell would take apart
        if how == "variable":
            monkeypatch.setenv("INFERSENT_TUI_MIRROR", address)
        named = ["--mirror", address] if how == "option" else []
        first = run("fetch", "infersent2", "--accept-licence", "--data-dir", folder, *named)
        told = first.err.splitlines()[-1]
        monkeypatch.delenv("INFERSENT_TUI_MIRROR", raising=False)
        told = told.partition("fetch them: infersent-tui ")[2]
        assert shlex.split(told) == ["fetch", "crawl", "--mirror", address, "--data-dir", str(folder)]
        line = shlex.join([sys.executable, "-m", "tui"]) + f" {told}"
        done = subprocess.run(["sh", "-c", line], env=environment(), capture_output=True, text=True, check=False)
        assert done.stdout == f"{folder}/crawl-300d-2M.vec.zip\n"
        assert "to explore them" in done.stderr
        alone = run("fetch", "crawl", "--data-dir", tmp_path / "vectors", "--mirror", address).err
        assert f"infersent-tui fetch --mirror '{address}' --data-dir {tmp_path}/vectors\n" in alone
        assert f"infersent-tui fetch crawl --mirror '{address}'\n" in (
            run("fetch", "infersent2", "--accept-licence", "--mirror", address).err
        )


def test_without_a_mirror_the_next_step_names_none(run, published, tmp_path: Path) -> None:
    (tmp_path / "infersent2.pkl").write_bytes(published["infersent2.pkl"])
    done = run("fetch", "infersent2", "--data-dir", tmp_path)
    assert done.err.endswith(f"or fetch them: infersent-tui fetch crawl --data-dir {tmp_path}\n")


async def test_the_screen_offers_and_fetches_them(files, mirror: Server) -> None:
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_screen(pilot)
        screen = app.screen
        shown = str(screen.panel.children[0].render())
        assert all(part in shown for part in ("1,524 MB", "annotations_trainval2014.zip", "1,931 MB in all"))
        assert "agree" in screen.panel.border_subtitle
        assert not mirror.seen
        await pilot.press("enter")
        await until(pilot, lambda: "explore" in str(screen.panel.border_subtitle), what="the files")
        await pilot.press("enter")
        await until(pilot, lambda: app.return_value is not None, what="the end")
    assert app.return_value == {"data_dir": str(fetched_folder())}
    assert json.loads((fetched_folder() / "captions_val2014.json").read_bytes())["annotations"]


async def test_the_screen_shows_why_a_file_does_not_come(files, mirror: Server) -> None:
    mirror.files = {"other": b""}
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_screen(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "404" in str(app.screen.status.render()), what="the error")
        assert "in a shell: infersent-tui fetch infersent2 --mirror URL" in str(app.screen.status.render())
        assert "try again" in app.screen.panel.border_subtitle
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.explore, what="the list")


async def test_the_screen_shows_the_command_that_takes_another_checksum(files, mirror: Server, monkeypatch) -> None:
    monkeypatch.setattr("tui.screens.fetch.USUAL", ("coco",))
    monkeypatch.setitem(OFFICIAL, "coco", replace(OFFICIAL["coco"], sha256="0" * 64))
    digest = hashlib.sha256(mirror.files["annotations_trainval2014.zip"]).hexdigest()
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_screen(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "another checksum" in str(app.screen.status.render()), what="the error")
        assert f"in a shell: infersent-tui fetch coco --sha256 {digest}" in str(app.screen.status.render())
        await pilot.pause()
        assert app.screen.panel.region.height <= 24, "all of it and the keys can be seen"


@pytest.mark.parametrize("key", ["escape", "q"])
async def test_the_screen_can_be_closed_while_a_server_says_nothing(files, published, monkeypatch, key: str) -> None:
    content = published["infersent2.pkl"]
    with serving(Give(content, stop=100, stall=20)) as server:
        monkeypatch.setenv("INFERSENT_TUI_MIRROR", server.url)
        app = make_app(files)
        began = time.monotonic()
        async with app.run_test(size=(80, 24)) as pilot:
            await open_screen(pilot)
            await pilot.press("enter", "enter")
            await until(pilot, lambda: server.seen, what="the request")
            assert "esc or q stop; what has come is kept" in app.screen.panel.border_subtitle
            await pilot.press(key)
            await until(pilot, lambda: app.screen is app.explore, what="the list")
            assert any("the download is stopped; what has come is kept" in each.message for each in app._notifications)
        assert time.monotonic() - began < 15, "leaving does not wait for the server"


async def test_an_address_that_is_none_is_told_on_the_screen(files, monkeypatch) -> None:
    monkeypatch.setenv("INFERSENT_TUI_MIRROR", "http://[x")
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_screen(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "not the address" in str(app.screen.status.render()), what="the error")


async def test_a_password_in_an_address_is_refused_and_shown_nowhere(run, files, monkeypatch) -> None:
    address = "https://name:secret@host.example/files"
    done = run("fetch", "crawl", "--mirror", address)
    assert refused(done, "name or password are not supported")
    assert "secret" not in done.err
    monkeypatch.setenv("INFERSENT_TUI_MIRROR", address)
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_screen(pilot)
        assert "from host.example/files" in str(app.screen.panel.children[0].render())
        await pilot.press("enter")
        await until(pilot, lambda: "not supported" in str(app.screen.status.render()), what="the error")
        assert "secret" not in str(app.screen.status.render())


def test_captions_alone_are_used_and_weights_alone_take_nothing_away(run, mirror: Server) -> None:
    run("fetch", "coco")
    assert str(fetched_folder() / "captions_val2014.json") in run("paths").out
    run("fetch", "infersent2", "--accept-licence")
    assert str(fetched_folder() / "captions_val2014.json") in run("paths").out
    assert run("paths").out.count("demo") == 2
    run("fetch", "crawl")
    assert "demo" not in run("paths").out


def test_the_demo_wins_over_the_environment_and_not_over_the_command_line(run, files, monkeypatch) -> None:
    monkeypatch.setenv("INFERSENT_TUI_MODEL", str(files.weights))
    monkeypatch.setenv("INFERSENT_TUI_VECTORS", str(files.vectors))
    assert "encoder.pkl" not in run("paths").out
    assert "encoder.pkl" in run("paths", "--demo").out
    assert refused(run("paths", "--demo", "--model", files.weights), "--demo is an encoder of its own")


@pytest.mark.parametrize("keys", [b"n\r", b"\r", b"\x04"], ids=["no", "enter", "end"])
def test_who_does_not_agree_gets_nothing(mirror: Server, tmp_path: Path, keys: bytes) -> None:
    terminal = Pty(["fetch", "infersent2", "coco", "--mirror", mirror.url, "--data-dir", str(tmp_path / "data")])
    try:
        assert terminal.read(60, until=b"[y/N]: ")
        terminal.press(keys)
        end = terminal.end()
    finally:
        terminal.close()
    assert end.code == 2
    assert b"\nError: nothing is fetched" in end.written
    assert f"infersent-tui fetch coco --mirror {mirror.url} --data-dir {tmp_path}/data\r\n".encode() in end.written
    assert not mirror.seen


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_question_ends_its_line(mirror: Server, tmp_path: Path, number: signal.Signals) -> None:
    terminal = Pty(["fetch", "infersent2", "--mirror", mirror.url, "--data-dir", str(tmp_path / "data")])
    try:
        assert terminal.read(60, until=b"[y/N]: ")
        terminal.read(0.5)  # it waits for the answer: a signal just before would end it without a word
        terminal.process.send_signal(number)
        end = terminal.end()
    finally:
        terminal.close()
    assert end.code == 128 + number
    assert b"\ninterrupted; finished work is kept" in end.written
    assert not mirror.seen


def test_a_closed_standard_input_agrees_to_nothing(mirror: Server, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tui",
        "fetch",
        "infersent2",
        "--mirror",
        mirror.url,
        "--data-dir",
        str(tmp_path / "data"),
    ]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *command], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "use --accept-licence" in done.stderr
    assert not mirror.seen


def test_a_password_in_an_address_that_is_none_is_shown_nowhere(run) -> None:
    for address in ("https://name:sec/ret@host/files", "https://name:12#secret@host", "https://host/files?key=secret"):
        done = run("fetch", "crawl", "--mirror", address)
        assert refused(done, "is not the address")
        assert not any(part in done.err for part in ("sec", "ret@", "name:"))


async def test_a_folder_that_cannot_be_looked_at_is_told_on_the_screen(files) -> None:
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        app.push_screen(FetchScreen(files.folder / ("x" * 300)))
        await until(pilot, lambda: isinstance(app.screen, FetchScreen), what="the screen")
        assert "1,524 MB" in str(app.screen.panel.children[0].render())
        await pilot.press("enter")
        await until(pilot, lambda: "File name too long" in str(app.screen.status.render()), what="the error")


@pytest.mark.parametrize("header", ["Content-Encoding", "ETag", "Retry-After", "Location"])
def test_what_a_server_says_does_not_reach_the_terminal_raw(run, tmp_path: Path, header: str) -> None:
    statuses = {"Retry-After": 418, "Location": 301}
    give = Give(b"no", status=statuses.get(header), headers={header: "\x1b[31m\x9b1m\x07" + "long" * 10_000})
    with serving(give) as server:
        done = run("fetch", "coco", "--mirror", server.url, "--data-dir", tmp_path)
    assert done.code == 2
    assert not any(control in done.err for control in "\x1b\x9b\x07")
    assert len(done.err) < 5000
