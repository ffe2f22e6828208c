"""Fetching the official files, by the command and on the screen; afterwards they are used without being named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import refused
from test_app import make_app, ready, until
from web_server import Server, serving

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
    assert refused(run("fetch", "glove2"), "glove2")
    assert refused(run("fetch", "glove"), "the server answers: 404")
    assert refused(run("fetch", "crawl", "--mirror", "ftp://host"), "https://SERVER/")
    assert refused(run("fetch", "crawl", "--sha256", "0" * 64), "another checksum")


def test_weights_alone_are_not_used(run, mirror: Server, tmp_path: Path) -> None:
    run("fetch", "infersent2", "--accept-licence")
    assert run("paths").out.count("demo") == 3
    assert refused(run("paths", "--data-dir", fetched_folder()), "infersent-tui fetch crawl")


async def test_the_screen_offers_and_fetches_them(files, mirror: Server) -> None:
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        app.explore.action_fetch()
        await until(pilot, lambda: isinstance(app.screen, FetchScreen), what="the screen")
        screen = app.screen
        assert "1,524 MB" in str(screen.panel.children[0].render())
        assert "agree" in screen.panel.border_subtitle
        assert not mirror.seen
        await pilot.press("enter")
        await until(pilot, lambda: "explore" in str(screen.panel.border_subtitle), what="the files")
        await pilot.press("enter")
        await until(pilot, lambda: app.return_value is not None, what="the end")
    assert app.return_value == {"data_dir": str(fetched_folder())}
    assert json.loads((fetched_folder() / "captions_val2014.json").read_bytes())["annotations"]


async def test_the_screen_shows_why_a_file_does_not_come(files, mirror: Server) -> None:
    mirror.files = {}
    mirror.answers = []
    app = make_app(files)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        mirror.files = {"other": b""}
        app.explore.action_fetch()
        await until(pilot, lambda: isinstance(app.screen, FetchScreen), what="the screen")
        await pilot.press("enter")
        await until(pilot, lambda: "404" in str(app.screen.status.render()), what="the error")
        assert "try again" in app.screen.panel.border_subtitle
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.explore, what="the list")
