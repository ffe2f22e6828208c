"""Downloads from servers that misbehave: what comes is whole or an error says what to do, and nothing is lost."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import random
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import trustme
from urllib3 import Timeout
from urllib3.util import Retry
from web_server import Give, Server, serving

from core.assets import AssetError
from core.store import download as module
from core.store import partial, ticks, web
from core.store.download import Checksum, download
from core.store.progress import finish

FILE = random.Random(7).randbytes(700_001)
DIGEST = hashlib.sha256(FILE).hexdigest()
RIGHT = Checksum(DIGEST, "as the test says")
OTHER = random.Random(8).randbytes(500_000)
_PATIENCE_SECONDS = 60  # for what another process does, on a busy machine


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again at once, and call half a second a stall."""
    monkeypatch.setattr(module, "_WAITS", Retry(total=6, backoff_factor=0))
    monkeypatch.setattr(web, "_TIMEOUT", Timeout(connect=2, read=0.5))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def get(server: Server, folder: Path, **options: object) -> bytes:
    """Download, check that nothing else is left in the folder, and return the content."""
    folder.mkdir(exist_ok=True)
    finish(download(f"{server.url}/file.bin", folder / "file.bin", most_bytes=10**7, **options))  # type: ignore[arg-type]
    assert names(folder) == ["file.bin"]
    return (folder / "file.bin").read_bytes()


def fails(server: Server, folder: Path, **options: object) -> str:
    """Download in vain, check that nothing has the file's name, and return the message."""
    folder.mkdir(exist_ok=True)
    with pytest.raises(AssetError) as caught:
        finish(download(f"{server.url}/file.bin", folder / "file.bin", most_bytes=10**7, **options))  # type: ignore[arg-type]
    assert not (folder / "file.bin").exists()
    assert caught.value.advice
    return str(caught.value)


def test_a_file_comes_whole(tmp_path: Path) -> None:
    with serving(Give(FILE)) as server:
        assert get(server, tmp_path, checksum=RIGHT) == FILE


BROKEN = {
    "a connection that breaks off": Give(FILE, stop=200_000),
    "one that breaks off at once": Give(FILE, stop=0),
    "a stall": Give(FILE, stop=200_000, stall=1.5),
    "a short body": Give(FILE[:300_000], headers={"Content-Length": str(len(FILE))}),
    "a busy server": Give(b"later", status=503),
    "one that names the time": Give(b"later", status=429, headers={"Retry-After": "1"}),
    "chunks that end early": Give(FILE, stop=100_000, chunked=True),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_download_goes_on(tmp_path: Path, broken: Give) -> None:
    with serving(broken, Give(FILE)) as server:
        assert get(server, tmp_path) == FILE
        came = 0 if broken.status or broken.chunked else len(FILE[:300_000]) if broken.stop is None else broken.stop
        if not broken.chunked:
            assert server.ranges == [None, f"bytes={came}-" if came else None]


def test_ten_breaks_in_a_row_cost_nothing_as_long_as_something_comes(tmp_path: Path) -> None:
    with serving(*[Give(FILE, stop=60_000)] * 12, Give(FILE)) as server:
        assert get(server, tmp_path) == FILE
        assert server.ranges[1:] == [f"bytes={60_000 * i}-" for i in range(1, len(server.seen))]


def test_a_download_that_was_given_up_goes_on_later(tmp_path: Path) -> None:
    with serving(Give(FILE, stop=400_000), *[Give(FILE, stop=0)] * 6) as server:
        assert "the connection broke off" in fails(server, tmp_path)
        assert len(server.seen) == 7
        server.answers = [Give(FILE)]
        assert get(server, tmp_path) == FILE
        assert server.ranges[-1] == "bytes=400000-"


def test_without_a_sign_that_the_file_is_the_same_it_starts_over(tmp_path: Path) -> None:
    with serving(Give(FILE, stop=400_000, etag=None), Give(FILE, etag=None)) as server:
        server.answers[0].headers = {}
        assert get(server, tmp_path) == FILE


def test_a_date_serves_where_the_tag_is_weak_or_missing(tmp_path: Path) -> None:
    date = {"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
    for etag in ('W/"1"', None):
        with serving(Give(FILE, stop=400_000, etag=etag, headers=date), Give(FILE, etag=etag, headers=date)) as server:
            assert get(server, tmp_path / str(etag)[:1]) == FILE
            assert server.seen[1][1]["If-Range"] == date["Last-Modified"]
            assert server.ranges == [None, "bytes=400000-"]


@pytest.mark.parametrize("changed", [Give(OTHER, etag='"2"'), Give(OTHER, ranges=False, etag='"2"')])
def test_a_file_that_changed_meanwhile_comes_anew(tmp_path: Path, changed: Give) -> None:
    with serving(Give(FILE, stop=400_000), changed) as server:
        assert get(server, tmp_path) == OTHER


def test_a_server_without_ranges_sends_it_all_again(tmp_path: Path) -> None:
    with serving(Give(FILE, stop=400_000), Give(FILE, ranges=False)) as server:
        assert get(server, tmp_path) == FILE


def test_a_server_without_ranges_that_always_breaks_off_is_given_up(tmp_path: Path) -> None:
    with serving(Give(FILE, stop=400_000, ranges=False)) as server:
        assert "broke off" in fails(server, tmp_path)
        assert len(server.seen) == 7


@pytest.mark.parametrize("then", [{}, {"ranges": False}], ids=["with ranges", "without ranges"])
def test_a_file_that_is_another_one_each_time_is_given_up(tmp_path: Path, then: dict[str, bool]) -> None:
    changing = [Give(FILE, stop=300_000 + 50_000 * (n % 2), etag=f'"{n}"', **then) for n in range(99)]  # type: ignore[arg-type]
    with serving(Give(FILE, stop=350_000), *changing) as server:
        assert "broke off" in fails(server, tmp_path)
        assert len(server.seen) == 7


def test_ten_breaks_in_a_row_cost_nothing_either_after_a_larger_part_was_dropped(tmp_path: Path) -> None:
    breaking = [Give(OTHER, stop=50_000, etag='"2"')] * 12
    with serving(Give(FILE, stop=600_000), *breaking) as server:
        assert get(server, tmp_path / "meanwhile") == OTHER
    with serving(Give(FILE)) as server:
        begun(server, tmp_path / "later")
        server.seen.clear()
        server.answers = breaking
        assert get(server, tmp_path / "later") == OTHER
        assert server.ranges == ["bytes=400000-", *(f"bytes={50_000 * n}-" for n in range(1, 10))]


def test_another_part_than_the_one_asked_for_is_not_taken(tmp_path: Path) -> None:
    wrong = Give(FILE[:100], status=206, headers={"Content-Range": f"bytes 0-99/{len(FILE)}"})
    with serving(Give(FILE, stop=400_000), wrong, Give(FILE)) as server:
        assert get(server, tmp_path) == FILE
        assert server.ranges == [None, "bytes=400000-", None]


def test_a_part_that_was_the_whole_is_done(tmp_path: Path) -> None:
    """The first answer promised more than there is."""
    with serving(Give(FILE, headers={"Content-Length": str(len(FILE) + 10)}), Give(FILE)) as server:
        assert get(server, tmp_path, checksum=RIGHT) == FILE
        assert server.ranges == [None, f"bytes={len(FILE)}-"]


def test_a_file_that_has_become_shorter_comes_anew(tmp_path: Path) -> None:
    with serving(Give(FILE, stop=600_000), Give(FILE[:500_000])) as server:
        assert get(server, tmp_path) == FILE[:500_000]


def test_a_server_that_says_a_part_is_the_whole_is_not_believed_against_its_first_answer(tmp_path: Path) -> None:
    shorter = Give(b"", status=416, etag=None, headers={"Content-Range": "bytes */400000"})
    with serving(Give(FILE, stop=400_000), shorter, Give(FILE)) as server:
        assert get(server, tmp_path) == FILE
        assert server.ranges == [None, "bytes=400000-", None]


def test_a_rest_of_which_nobody_says_where_it_ends_is_not_taken(tmp_path: Path) -> None:
    """Neither the first answer nor the second one has the length of the file."""
    rest = Give(FILE[400_000:500_000], status=206, headers={"Content-Range": "bytes 400000-499999/*"})
    with serving(Give(FILE, stop=400_000, chunked=True), rest, Give(FILE)) as server:
        assert get(server, tmp_path) == FILE
    with serving(Give(FILE, stop=400_000), rest, Give(FILE)) as server:
        assert get(server, tmp_path / "known") == FILE
        assert server.ranges == [None, "bytes=400000-", "bytes=500000-"]


@pytest.mark.parametrize("give", [Give(FILE, chunked=True), Give(FILE, headers={"Content-Length": None}, stop=10**9)])
def test_a_file_of_unknown_length_comes_whole(tmp_path: Path, give: Give) -> None:
    with serving(give) as server:
        assert get(server, tmp_path) == FILE


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><p>Please log in", b"\n <html>", b"<?xml version='1.0'?><Error>"])
def test_a_web_page_is_refused(tmp_path: Path, page: bytes) -> None:
    for give in (Give(page), Give(page, chunked=True, chunk_bytes=1)):
        with serving(give) as server:
            message = fails(server, tmp_path)
            assert "a web page came" in message
            assert not any(untrue in message for untrue in ("network", "kept"))


REFUSALS = {
    400: "fetch it again later",
    401: "open the address in a browser",
    403: "open the address in a browser",
    404: "the folder of a mirror needs file.bin",
    410: "the folder of a mirror needs file.bin",
    501: "fetch it again later",
}


@pytest.mark.parametrize(("status", "advice"), REFUSALS.items())
def test_a_refusal_is_told_at_once_with_what_helps_against_it(tmp_path: Path, status: int, advice: str) -> None:
    with serving(Give(b"no", status=status)) as server:
        message = fails(server, tmp_path)
        assert f"the server answers: {status}" in message
        assert advice in message
        assert "name another server with --mirror" in message
        assert not any(untrue in message for untrue in ("network", "kept")), "nothing has come, and the network is fine"
        assert len(server.seen) == 1


def test_a_busy_server_is_asked_seven_times(tmp_path: Path) -> None:
    with serving(Give(b"later", status=503)) as server:
        assert "the server is busy: 503" in fails(server, tmp_path)
        assert len(server.seen) == 7


def test_a_packed_answer_is_refused(tmp_path: Path) -> None:
    with serving(Give(gzip.compress(FILE), headers={"Content-Encoding": "gzip"})) as server:
        assert "packed (gzip)" in fails(server, tmp_path)


def test_redirects_are_followed_but_not_in_a_circle(tmp_path: Path) -> None:
    with serving(Give(b"", status=302, headers={"Location": "/elsewhere"}), Give(FILE)) as server:
        assert get(server, tmp_path) == FILE
        assert server.seen[1][0] == "/elsewhere"
    with serving(Give(b"", status=301, headers={"Location": "/file.bin"})) as server:
        assert "too many redirects" in fails(server, tmp_path / "new")
    with serving(Give(b"", status=302, headers={"Location": "file:///etc/passwd"})) as server:
        fails(server, tmp_path / "new")
        assert len(server.seen) == 1


def test_only_a_server_that_proves_its_name_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, secure = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(secure)
    with serving(Give(FILE), secure=secure) as server:
        assert "cannot prove its name" in fails(server, tmp_path)
        assert not server.seen
        authority.cert_pem.write_to_path(tmp_path / "authority.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        assert get(server, tmp_path / "new") == FILE
        with serving(Give(FILE)) as other:
            for target in (other.url, other.url.replace("http", "HTTP")):
                server.answers = [Give(b"", status=302, headers={"Location": f"{target}/file.bin"})]
                for server.scheme in ("https", "HTTPS"):
                    assert "not secure (http)" in fails(server, tmp_path)
            server.answers = [Give(b"", status=302, headers={"Location": f"{server.url}/file.bin"}), Give(FILE)]
            server.seen.clear()
            assert get(server, tmp_path / "secure") == FILE
            assert not other.seen


def test_what_has_another_checksum_is_kept_for_whoever_trusts_it(tmp_path: Path) -> None:
    with serving(Give(OTHER)) as server:
        message = fails(server, tmp_path, checksum=RIGHT)
        assert all(
            each in message for each in (hashlib.sha256(OTHER).hexdigest(), DIGEST, "as the test says", "--sha256")
        )
        trusted = Checksum(hashlib.sha256(OTHER).hexdigest(), "as the advice says")
        assert get(server, tmp_path, checksum=trusted) == OTHER
        assert len(server.seen) == 1, "it has come already"


def test_what_was_refused_is_not_checked_in_vain_but_comes_again(tmp_path: Path) -> None:
    with serving(Give(OTHER), Give(FILE)) as server:
        fails(server, tmp_path, checksum=RIGHT)
        assert get(server, tmp_path, checksum=RIGHT) == FILE
        assert server.ranges == [None, None]


@pytest.mark.parametrize("useless", [Give(b"no", status=404), Give(b"<html>"), Give(FILE, stop=0), Give(b"")])
def test_where_nothing_has_come_nothing_is_left(tmp_path: Path, useless: Give) -> None:
    with serving(useless) as server:
        fails(server, tmp_path)
    assert names(tmp_path) == []


def test_no_server_and_no_address(tmp_path: Path) -> None:
    with serving(Give(FILE)) as server:
        pass
    assert "cannot be reached" in fails(server, tmp_path)
    wrong = ["file:///etc/passwd", "ftp://host/file", "host/file", "https:///file", "http://[x"]
    for address in [*wrong, "http://me:secret@host/file"]:
        with pytest.raises(AssetError) as caught:
            finish(download(address, tmp_path / "file.bin", most_bytes=10))
        assert "secret" not in str(caught.value)


def test_while_nothing_comes_there_is_progress_from_time_to_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both before the answer's head and within its body."""
    monkeypatch.setattr(ticks, "_TICK_SECONDS", 0.01)
    seen: list[float] = []
    with serving(Give(FILE, stop=400_000, stall=0.3), Give(FILE)) as server:
        steps = download(f"{server.url}/file.bin", tmp_path / "file.bin", most_bytes=10**7)
        finish(steps, lambda progress: seen.append(progress.done) if progress.unit == "MB" else None)
    assert seen.count(0.4) > 3
    assert (tmp_path / "file.bin").read_bytes() == FILE


def test_a_download_is_stopped_without_a_wait_for_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticks, "_TICK_SECONDS", 0.01)
    monkeypatch.setattr(web, "_TIMEOUT", Timeout(connect=20, read=20))
    with serving(Give(FILE, stop=400_000, stall=20)) as server:
        steps = download(f"{server.url}/file.bin", tmp_path / "file.bin", most_bytes=10**7)
        for progress in steps:
            if progress.done == 0.4:
                break
        steps.close()
        server.answers = [Give(FILE)]
        assert get(server, tmp_path) == FILE
        assert server.ranges == [None, "bytes=400000-"]


def tries(url: str, folder: Path) -> int:
    """Download in vain, and return how often it was tried."""
    stages: list[str] = []
    with pytest.raises(AssetError, match="cannot be reached"):
        finish(download(url, folder / "file.bin", most_bytes=10**7), lambda progress: stages.append(progress.stage))
    return stages.count("fetching file.bin")


def test_a_server_that_is_not_there_is_tried_twice_and_patiently_where_something_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Give(FILE)) as server:
        begun(server, tmp_path)
    address = f"{server.url}/file.bin"
    assert tries(address, tmp_path) == 7
    (tmp_path / "new").mkdir()
    assert tries(address, tmp_path / "new") == 2
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    assert tries("http://no.such.host/file.bin", tmp_path / "new") == 2


def test_a_proxy_of_the_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Give(FILE)) as proxy:
        monkeypatch.setenv("http_proxy", f"http://me:se%40cret@localhost:{proxy.server_port}")
        finish(download("http://no.such.host/file.bin", tmp_path / "file.bin", most_bytes=10**7))
        path, headers = proxy.seen[0]
        assert path == "http://no.such.host/file.bin"
        assert headers["proxy-authorization"] == "Basic bWU6c2VAY3JldA=="
        monkeypatch.setenv("no_proxy", "localhost")
        with serving(Give(FILE)) as server:
            assert get(server, tmp_path / "direct") == FILE
        assert len(proxy.seen) == 1


def get_until_killed(
    server: Server, folder: Path, seen: Callable[[], bool], *, sync_bytes: int = partial._SYNC_BYTES
) -> None:
    """Download in a process of its own, and kill it once something is seen."""
    script = (
        "import sys; from pathlib import Path; from core.store import download, partial; "
        f"partial._SYNC_BYTES = {sync_bytes}\n"
        "from core.store.progress import finish\n"
        "finish(download.download(sys.argv[1], Path(sys.argv[2]), most_bytes=10**7))"
    )
    command = [sys.executable, "-c", script, f"{server.url}/file.bin", str(folder / "file.bin")]
    with subprocess.Popen(command) as process:
        until = time.monotonic() + _PATIENCE_SECONDS
        while not (is_seen := seen()) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        process.kill()
    assert is_seen, f"not seen before the process ended with {process.returncode}"


def test_a_killed_download_goes_on(tmp_path: Path) -> None:
    """What was synced before the kill is not asked for again, and the file is as if nothing had happened."""
    about = tmp_path / "file.bin.partial.json"

    def is_synced() -> bool:
        return about.exists() and json.loads(about.read_bytes())["done"] >= 350_000

    with serving(Give(FILE, stop=400_000, stall=20), Give(FILE)) as server:
        get_until_killed(server, tmp_path, is_synced, sync_bytes=50_000)
        assert get(server, tmp_path) == FILE
        assert 350_000 <= int(server.ranges[1].removeprefix("bytes=").rstrip("-")) <= 400_000  # type: ignore[union-attr]


def test_what_a_kill_left_of_a_note_goes_with_the_partial_file(tmp_path: Path) -> None:
    for name in ("file.bin.partial", "file.bin.partial.json", "file.bin.partial.json.0123abcd.part"):
        (tmp_path / name).write_text("{")
    partial.delete_partial(tmp_path / "file.bin")
    assert names(tmp_path) == []


def test_a_server_that_only_sends_interim_answers_counts_as_stalled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SILENT_SECONDS", 1.5)
    with serving(Give(FILE, interim=20), Give(FILE)) as server:
        assert get(server, tmp_path) == FILE
        assert len(server.seen) == 2


def test_what_comes_slowly_is_noted_too_so_that_a_kill_loses_little(tmp_path: Path) -> None:
    about = tmp_path / "file.bin.partial.json"

    def is_noted() -> bool:
        return about.exists() and json.loads(about.read_bytes())["done"] == 400_000

    with serving(Give(FILE, stop=400_000, stall=20), Give(FILE)) as server:
        get_until_killed(server, tmp_path, is_noted)
        assert get(server, tmp_path) == FILE
        assert server.ranges == [None, "bytes=400000-"]


def test_a_fast_download_is_not_synced_with_each_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(partial, "_SYNC_SECONDS", 60.0)
    monkeypatch.setattr(partial, "sync", synced.append)
    with serving(Give(FILE * 10)) as server:
        get(server, tmp_path)
    assert len(synced) == 1, "when all has come"


def test_a_download_goes_on_from_what_fitted_on_a_full_disk(small_disk: Path) -> None:
    large = random.Random(5).randbytes(4_000_000)
    with serving(Give(large, chunked=True), Give(large)) as server:  # the first does not say how long it is
        with pytest.raises((OSError, AssetError), match="No space left"):
            finish(download(f"{server.url}/file.bin", small_disk / "file.bin", most_bytes=10**7))
        subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
        assert get(server, small_disk) == large
        start = int(server.ranges[1].removeprefix("bytes=").rstrip("-"))  # type: ignore[union-attr]
        assert start > 1_800_000


def test_a_file_for_which_the_disk_has_no_room_is_refused_before_it_comes(small_disk: Path) -> None:
    large = random.Random(5).randbytes(4_000_000)
    with serving(Give(large, stop=1_000_000), Give(large)) as server:
        assert "the file has 4.0 MB, and there is room for 2.1" in fails(server, small_disk)
        assert names(small_disk) == []
        subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
        assert get(server, small_disk) == large


def test_a_part_of_another_state_of_the_file_is_not_mixed_in(tmp_path: Path) -> None:
    """The server ignores If-Range, and has another file of equal length."""
    other = random.Random(9).randbytes(len(FILE))
    rest = {"Content-Range": f"bytes 400000-{len(FILE) - 1}/{len(FILE)}", "ETag": '"2"'}
    mixed = Give(other[400_000:], status=206, headers=rest)
    with serving(Give(FILE, stop=400_000), mixed, Give(other, etag='"2"')) as server:
        assert get(server, tmp_path) == other
    unknown = Give(FILE, stop=400_000, etag=None)
    with serving(unknown, Give(other, etag='"2"')) as server:
        assert get(server, tmp_path / "unknown") == other
        assert server.ranges == [None, None]


def test_a_rest_that_tells_the_length_has_to_come_whole(tmp_path: Path) -> None:
    part = Give(FILE[400_000:500_000], status=206, headers={"Content-Range": f"bytes 400000-499999/{len(FILE)}"})
    with serving(Give(FILE, stop=400_000, headers={"Content-Length": None}), part, Give(FILE)) as server:
        server.answers[0].headers["Connection"] = "close"
        content = get(server, tmp_path)
    assert content in (FILE, FILE[:400_000])  # the end of a connection without a length cannot be told from the file's
    with serving(Give(FILE, stop=400_000, chunked=True), Give(FILE)) as server:
        assert get(server, tmp_path / "chunked") == FILE


def test_a_login_page_on_the_way_costs_nothing(tmp_path: Path) -> None:
    page = Give(b"<html>Please log in", status=200, etag=None)
    with serving(Give(FILE, stop=400_000), page) as server:
        assert "a web page came" in fails(server, tmp_path)
        server.answers = [Give(FILE)]
        assert get(server, tmp_path) == FILE
        assert server.ranges[-1] == "bytes=400000-"


def test_a_file_that_is_far_too_large_is_refused(tmp_path: Path) -> None:
    for large in (Give(bytes(20_000_000)), Give(bytes(20_000_000), chunked=True)):
        with serving(large) as server:
            assert "at most 10 MB" in fails(server, tmp_path)
    for length in ("9" * 400, "9" * 5000, "-1", "x"):
        with serving(Give(FILE, headers={"Content-Length": length})) as server:
            fails_or_comes(server, tmp_path)


def fails_or_comes(server: Server, folder: Path) -> None:
    """Download; an error has to be one for people."""
    with suppress(AssetError):
        finish(download(f"{server.url}/file.bin", folder / "file.bin", most_bytes=10**7))
    for path in folder.iterdir():
        path.unlink()


def test_addresses_that_no_server_has_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for target in ("http://[x", "ftp://host/file", "http://me:secret@host/"):
        with serving(Give(b"", status=302, headers={"Location": target})) as server:
            assert "leads to what is not an address" in fails(server, tmp_path)
    with serving(Give(FILE)) as server:
        monkeypatch.setenv("http_proxy", "http://[bad")
        assert "http_proxy" in fails(server, tmp_path)


def test_a_partial_file_without_its_description_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "file.bin.partial").write_bytes(OTHER)
    for about in ("", "{", "[]", '{"url": 1}', '{"url": "x", "done": "many"}'):
        (tmp_path / "file.bin.partial.json").write_text(about)
        with serving(Give(FILE)) as server:
            assert get(server, tmp_path) == FILE
            assert server.ranges == [None]
        (tmp_path / "file.bin").rename(tmp_path / "file.bin.partial")


def test_a_link_in_place_of_a_partial_file_is_not_followed(tmp_path: Path) -> None:
    mine, folder = tmp_path / "mine", tmp_path / "data"
    mine.write_bytes(b"mine")
    folder.mkdir()
    (folder / "file.bin.partial").symlink_to(mine)
    with serving(Give(FILE)) as server:
        assert get(server, folder) == FILE
    assert mine.read_bytes() == b"mine"


def begun(server: Server, folder: Path, give: Give | None = None) -> None:
    """Let the first 400,000 bytes of a file come from a server, which has the whole file from then on."""
    server.answers = [give or Give(FILE, stop=400_000), *[Give(FILE, stop=0)] * 6]
    server.seen.clear()
    fails(server, folder)
    server.answers = [Give(FILE)]


USELESS = {
    "that does not have it": Give(b"no", status=404),
    "that is busy": Give(b"later", status=503),
    "that breaks off at once": Give(OTHER, stop=0),
    "that sends a page": Give(b"<html>Please log in"),
    "that sends it packed": Give(gzip.compress(OTHER), headers={"Content-Encoding": "gzip"}),
    "that sends nothing": Give(b""),
    "whose file is too large": Give(OTHER, headers={"Content-Length": str(10**8)}),
    "that sends a part unasked": Give(OTHER[:9], status=206, headers={"Content-Range": "bytes 0-8/500000"}),
    "that refuses the range": Give(b"", status=416, headers={"Content-Range": "bytes */400000"}),
    "that leads nowhere": Give(b"", status=302, headers={"Location": "ftp://host/file"}),
}


@pytest.mark.parametrize("useless", USELESS.values(), ids=USELESS)
def test_another_server_costs_nothing_before_it_has_answered_well(tmp_path: Path, useless: Give) -> None:
    with serving(Give(FILE)) as first, serving(useless) as second:
        begun(first, tmp_path)
        fails(second, tmp_path)
        assert {None} == set(second.ranges), "its file is another one: no part of it is asked for"
        assert get(first, tmp_path) == FILE
        assert first.ranges[-1] == "bytes=400000-"


@pytest.mark.parametrize("useless", USELESS.values(), ids=USELESS)
def test_the_same_server_costs_nothing_while_it_does_not_answer_well(tmp_path: Path, useless: Give) -> None:
    wrong = Give(b"", status=416, headers={"Content-Range": "bytes */500000"})
    with serving(Give(FILE)) as server:
        begun(server, tmp_path)
        server.answers = [*[Give(FILE)] * 7, wrong, useless]
        fails(server, tmp_path)
        server.answers = [Give(FILE)]
        assert get(server, tmp_path) == FILE
        assert server.ranges[-1] == "bytes=400000-"


def test_parts_of_two_servers_are_not_mixed(tmp_path: Path) -> None:
    """Both call their file by the same tag."""
    with serving(Give(FILE)) as first, serving(Give(OTHER)) as second:
        begun(first, tmp_path)
        assert get(second, tmp_path) == OTHER
        assert second.ranges == [None]
        begun(first, tmp_path / "new")
        begun(second, tmp_path / "new", Give(OTHER, stop=450_000))
        assert get(first, tmp_path / "new") == FILE
        assert first.ranges[-1] is None


@pytest.mark.parametrize("same", [True, False])
def test_a_download_that_is_killed_soon_after_it_began_anew_is_not_mixed(tmp_path: Path, same: bool) -> None:
    """Nothing of the new file was synced, and the old note would fit its length."""
    part = tmp_path / "file.bin.partial"
    new = Give(OTHER, stop=450_000, stall=20, etag='"2"')
    with serving(Give(FILE)) as first, serving(new) as second:
        begun(first, tmp_path)
        if same:
            first.answers = [new]
            first.seen.clear()
        server = first if same else second
        get_until_killed(server, tmp_path, lambda: part.exists() and part.read_bytes() == OTHER[:450_000])
        first.answers = [Give(FILE)]
        assert get(first, tmp_path) == FILE


def test_parts_of_two_servers_behind_one_address_are_not_mixed(tmp_path: Path) -> None:
    """The address leads to one, then to another one, which has another file with the same tag and length."""
    other = random.Random(9).randbytes(len(FILE))
    with serving(Give(FILE, stop=400_000)) as one, serving(Give(other)) as two, serving(Give(b"")) as front:
        leads = [Give(b"", status=302, headers={"Location": f"{server.url}/file.bin?key=1"}) for server in (one, two)]
        front.answers = [leads[0], leads[1]]
        assert get(front, tmp_path) == other
        assert two.ranges == ["bytes=400000-", None]
        again = Give(b"", status=302, headers={"Location": f"{one.url}/file.bin?key=2"})
        front.answers, one.answers = [leads[0], again], [Give(FILE, stop=400_000), Give(FILE)]
        front.seen.clear()
        one.seen.clear()
        assert get(front, tmp_path / "new") == FILE
        assert one.ranges == [None, "bytes=400000-"], "the key of a signed address may change"


DATE, LATER = "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:29:00 GMT"
RANGE = f"bytes 400000-{len(FILE) - 1}/{len(FILE)}"
MIXED = {
    "no sign": ({}, '"1"', {}, None),
    "another tag": ({}, '"1"', {}, '"2"'),
    "a tag that became weak": ({}, '"1"', {}, 'W/"1"'),
    "another date under a weak tag": ({"Last-Modified": DATE}, 'W/"1"', {"Last-Modified": LATER}, 'W/"1"'),
    "another weak tag": ({"Last-Modified": DATE}, 'W/"1"', {"Last-Modified": DATE}, 'W/"2"'),
    "another tag under a date": ({"Last-Modified": DATE}, None, {}, '"2"'),
    "another date": ({"Last-Modified": DATE}, None, {"Last-Modified": LATER}, None),
}


@pytest.mark.parametrize(("headers", "etag", "then", "etag_then"), MIXED.values(), ids=MIXED)
def test_a_rest_needs_the_sign_by_which_it_was_asked_for(
    tmp_path: Path, headers: dict[str, str | None], etag: str | None, then: dict[str, str | None], etag_then: str | None
) -> None:
    """The server ignores If-Range and sends the rest of another file, of equal length."""
    other = random.Random(9).randbytes(len(FILE))
    rest = Give(other[400_000:], status=206, etag=etag_then, headers={"Content-Range": RANGE, **then})
    with serving(Give(FILE, stop=400_000, etag=etag, headers=headers), rest, Give(other)) as server:
        assert get(server, tmp_path) == other
        assert server.ranges == [None, "bytes=400000-", None]


@pytest.mark.parametrize("etag", [None, 'W/"1"'])
def test_a_rest_that_was_asked_for_by_a_date_need_not_repeat_it(tmp_path: Path, etag: str | None) -> None:
    rest = Give(FILE[400_000:], status=206, etag=etag, headers={"Content-Range": RANGE})
    with serving(Give(FILE, stop=400_000, etag=etag, headers={"Last-Modified": DATE}), rest) as server:
        assert get(server, tmp_path) == FILE
        assert server.ranges == [None, "bytes=400000-"]
        assert server.seen[1][1]["If-Range"] == DATE


def test_a_rest_that_is_longer_than_it_was_said_to_be_is_not_taken(tmp_path: Path) -> None:
    longer = Give(FILE[400_000:] + b"more", status=206, chunked=True, headers={"Content-Range": RANGE})
    with serving(Give(FILE, stop=400_000), longer, Give(FILE)) as server:
        assert get(server, tmp_path) == FILE


@pytest.mark.parametrize(
    "stated",
    [
        f"bytes 400000-{len(FILE) - 1}/999999",
        f"bytes 400000-{len(FILE) - 1}/{len(FILE) - 1}",
        f"bytes 400000-3/{len(FILE)}",
        f"bytes 400000-{len(FILE)}/{len(FILE)}",
        f"bytes 400001-{len(FILE) - 1}/{len(FILE)}",
        f"bytes=400000-{len(FILE) - 1}/{len(FILE)}",
        f"items 400000-{len(FILE) - 1}/{len(FILE)}",
        f"bytes */{len(FILE)}",
        None,
    ],
)
def test_a_rest_whose_range_cannot_be_is_not_taken(tmp_path: Path, stated: str | None) -> None:
    wrong = Give(OTHER[:300_001], status=206, headers={"Content-Range": stated})
    with serving(Give(FILE, stop=400_000), wrong, Give(FILE)) as server:
        assert get(server, tmp_path) == FILE
        assert server.ranges == [None, "bytes=400000-", None]


@pytest.mark.parametrize("after", ["", "0", "-1", "nan", "9" * 30, "9" * 5000, "Wed, 21 Oct 9999 07:28:00 GMT", "\xff"])
def test_no_wish_of_a_busy_server_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str) -> None:
    monkeypatch.setattr(module, "_LONGEST_WAIT_SECONDS", 0)
    with serving(Give(b"later", status=429, headers={"Retry-After": after}), Give(FILE)) as server:
        assert get(server, tmp_path) == FILE


# Proxies.


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("form", ["http://localhost:{}", "localhost:{}", "http://localhost:{}/", "HTTP://localhost:{}"])
def test_a_proxy_may_be_named_in_several_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, form: str
) -> None:
    with serving(Give(FILE)) as proxy:
        monkeypatch.setenv(variable, form.format(proxy.server_port))
        finish(download("http://no.such.host/file.bin", tmp_path / "file.bin", most_bytes=10**7))
        assert proxy.seen[0][0] == "http://no.such.host/file.bin"


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
@pytest.mark.parametrize("hosts", ["*", "localhost", "other.host, .localhost"])
def test_hosts_without_a_proxy_are_asked_directly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, hosts: str
) -> None:
    monkeypatch.setenv("http_proxy", "http://localhost:1")
    monkeypatch.setenv(name, hosts)
    with serving(Give(FILE)) as server:
        assert get(server, tmp_path) == FILE


def test_each_address_has_the_proxy_that_is_named_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one is reached through a proxy, the one to which it leads is not, or by another one."""
    with serving(Give(FILE)) as server, serving(Give(b"")) as proxy, serving(Give(b"", status=403)) as secure:
        monkeypatch.setenv("http_proxy", proxy.url.replace("localhost", "127.0.0.1"))
        monkeypatch.setenv("https_proxy", secure.url)
        monkeypatch.setenv("no_proxy", "localhost")
        proxy.answers = [Give(b"", status=302, headers={"Location": f"{server.url}/file.bin"})]
        finish(download("http://no.such.host/file.bin", tmp_path / "file.bin", most_bytes=10**7))
        assert (tmp_path / "file.bin").read_bytes() == FILE
        assert len(proxy.seen) == 1
        proxy.answers = [Give(b"", status=302, headers={"Location": "https://other.host/file.bin"})]
        with pytest.raises(AssetError, match="the proxy refuses: 403"):
            finish(download("http://no.such.host/file.bin", tmp_path / "other.bin", most_bytes=10**7))
        assert [path for path, _ in secure.seen] == ["other.host:443"]


def test_a_password_may_hold_any_character(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Give(FILE)) as proxy:
        monkeypatch.setenv("http_proxy", f"http://me:%C5%82%3A%23%2F@localhost:{proxy.server_port}")
        finish(download("http://no.such.host/file.bin", tmp_path / "file.bin", most_bytes=10**7))
        sent = proxy.seen[0][1]["proxy-authorization"].removeprefix("Basic ")
        assert base64.b64decode(sent).decode() == "me:ł:#/"


WRONG_PROXIES = [
    *("http://", "http://:3128", "http://me:secret@", "http://me:secret@[x", "socks5://me:secret@host:1080"),
    *("http://me:secret@host:port", "http://me:secret@host:99999", "http://me:sec#ret@host:1", "ftp://me:secret@host"),
    *("http://me:sec/ret@host:1", "http://me:sec?ret@host:1", "http://me:secret@ho st:1", "me:secret@host:secret"),
    *("http://me:12#secret@host:1", "http://me:12/secret@host", "http://host:1/secret", "http://me:secret@host:0"),
]


@pytest.mark.parametrize("address", WRONG_PROXIES)
def test_a_proxy_that_cannot_be_is_an_error_that_keeps_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    with serving(Give(FILE)) as server:
        monkeypatch.setenv("HTTP_PROXY", address)
        message = fails(server, tmp_path)
        assert "http_proxy: this variable names a proxy that cannot be used" in message
        assert not any(word in message for word in ("secret", "sec", "ret@", "me:"))
        assert not server.seen


def test_a_proxy_that_refuses_or_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Give(b"", status=407)) as proxy:
        address = f"http://me:secret@localhost:{proxy.server_port}"
        monkeypatch.setenv("https_proxy", address)
        with pytest.raises(AssetError, match="the proxy refuses: 407") as caught:
            finish(download("https://no.such.host/file.bin", tmp_path / "file.bin", most_bytes=10**7))
        assert "secret" not in str(caught.value)
        assert len(proxy.seen) == 1, "it would refuse again"
    with pytest.raises(AssetError, match="the proxy that the environment names cannot be reached") as caught:
        finish(download("https://no.such.host/file.bin", tmp_path / "file.bin", most_bytes=10**7))
    assert "secret" not in str(caught.value)
