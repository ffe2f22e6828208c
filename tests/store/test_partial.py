"""What has come of a file is gone on with wherever that cannot spoil it; where it is dropped, that is said, and why."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
from test_download import FILE, OTHER, RIGHT, _impatient, begun, fails, names
from web_server import Give, Server, serving

from core.assets import AssetError
from core.store.download import Checksum, download
from core.store.progress import Progress, finish

__all__ = ["_impatient"]  # it holds here too

TWIN = random.Random(9).randbytes(len(FILE))  # another file of the same length
BACK = Checksum(hashlib.sha256(TWIN).hexdigest(), "as the test says")


def remarks(server: Server, folder: Path, **options: object) -> list[str]:
    """Download, and return the remarks."""
    seen: list[Progress] = []
    finish(download(f"{server.url}/file.bin", folder / "file.bin", most_bytes=10**7, **options), seen.append)  # type: ignore[arg-type]
    assert names(folder) == ["file.bin"]
    return [each.stage for each in seen if each.is_remark]


@pytest.mark.parametrize("etag", ['"1"', '"2"', None], ids=["the same sign", "another sign", "no sign"])
def test_another_server_goes_on_where_a_checksum_tells(tmp_path: Path, etag: str | None) -> None:
    with serving(Give(FILE)) as first, serving(Give(FILE, etag=etag)) as second:
        begun(first, tmp_path)
        assert not remarks(second, tmp_path, checksum=RIGHT)
        assert (tmp_path / "file.bin").read_bytes() == FILE
        assert second.ranges == ["bytes=400000-"]


@pytest.mark.parametrize("etags", [(None, None), ('"1"', '"2"'), ('W/"1"', 'W/"2"')])
def test_a_server_without_a_lasting_sign_goes_on_where_a_checksum_tells(
    tmp_path: Path, etags: tuple[str | None, str | None]
) -> None:
    with serving(Give(FILE, stop=400_000, etag=etags[0]), Give(FILE, etag=etags[1])) as server:
        assert not remarks(server, tmp_path, checksum=RIGHT)
        assert server.ranges == [None, "bytes=400000-"]


def test_parts_that_do_not_fit_are_dropped_once_and_that_is_said(tmp_path: Path) -> None:
    with serving(Give(FILE)) as first, serving(Give(TWIN)) as second:
        begun(first, tmp_path)
        said = remarks(second, tmp_path, checksum=BACK)
        assert (tmp_path / "file.bin").read_bytes() == TWIN
        assert second.ranges == ["bytes=400000-", None]
        assert len(said) == 1
        assert "its parts together have another checksum" in said[0]


@pytest.mark.parametrize("etag", [None, 'W/"1"'])
def test_parts_of_one_server_without_a_lasting_sign_that_do_not_fit_are_dropped_too(
    tmp_path: Path, etag: str | None
) -> None:
    with serving(Give(FILE, stop=400_000, etag=etag), Give(TWIN, etag=etag)) as server:
        assert "its parts together have another checksum" in remarks(server, tmp_path, checksum=BACK)[0]
        assert server.ranges == [None, "bytes=400000-", None]


def test_a_file_with_another_checksum_is_not_fetched_a_third_time(tmp_path: Path) -> None:
    with serving(Give(FILE)) as first, serving(Give(TWIN)) as second:
        begun(first, tmp_path)
        assert "another checksum" in fails(second, tmp_path, checksum=Checksum("0" * 64, "as the test says"))
        assert second.ranges == ["bytes=400000-", None]


def test_a_part_that_was_joined_is_not_gone_on_with_once_no_checksum_tells(tmp_path: Path) -> None:
    with serving(Give(FILE)) as first, serving(Give(TWIN, stop=100_000), *[Give(b"", status=503)] * 9) as second:
        begun(first, tmp_path)
        fails(second, tmp_path, checksum=RIGHT)
        second.answers = [Give(TWIN)]
        assert "no checksum is known any more" in remarks(second, tmp_path)[0]
        assert (tmp_path / "file.bin").read_bytes() == TWIN


def test_a_file_of_another_length_is_not_joined(tmp_path: Path) -> None:
    right = Checksum(hashlib.sha256(OTHER).hexdigest(), "as the test says")
    with serving(Give(FILE)) as first, serving(Give(OTHER)) as second:
        begun(first, tmp_path)
        assert "0.4 MB that have come are dropped" in remarks(second, tmp_path, checksum=right)[0]
        assert second.ranges == ["bytes=400000-", None]


DATE, LATER = ({"Last-Modified": f"Wed, 21 Oct 2015 07:2{n}:00 GMT"} for n in (8, 9))
DROPPED = {
    "ranges are ignored": (Give(FILE, stop=400_000), Give(FILE, ranges=False), "the server does not resume"),
    "another tag": (Give(FILE, stop=400_000), Give(FILE, etag='"2"'), "the file is another one now"),
    "another date": (
        Give(FILE, stop=400_000, etag=None, headers=dict(DATE)),
        Give(FILE, etag=None, headers=dict(LATER)),
        "the file is another one now",
    ),
    "no sign": (Give(FILE, stop=400_000, etag=None), Give(FILE, etag=None), "the server sends nothing (ETag, date)"),
}


@pytest.mark.parametrize(("first", "then", "why"), DROPPED.values(), ids=DROPPED)
def test_a_download_that_starts_over_says_so_and_why(tmp_path: Path, first: Give, then: Give, why: str) -> None:
    with serving(first, then) as server:
        said = remarks(server, tmp_path)
    assert len(said) == 1
    assert said[0].startswith("file.bin starts over, and the 0.4 MB that have come are dropped: ")
    assert why in said[0]


def test_nothing_is_said_to_be_dropped_for_a_file_that_is_refused(tmp_path: Path) -> None:
    said: list[Progress] = []
    with serving(Give(FILE)) as server:
        begun(server, tmp_path)
        server.answers = [Give(FILE, etag='"2"', headers={"Content-Length": str(10**8)})]
        with pytest.raises(AssetError, match="at most 10 MB"):
            finish(download(f"{server.url}/file.bin", tmp_path / "file.bin", most_bytes=10**7), said.append)
        assert not [each.stage for each in said if each.is_remark]
        server.answers = [Give(FILE)]
        assert not remarks(server, tmp_path)


def test_another_address_starts_over_where_no_checksum_tells_and_says_so(tmp_path: Path) -> None:
    with serving(Give(FILE)) as first, serving(Give(FILE)) as second:
        begun(first, tmp_path)
        assert "dropped: they came from another address" in remarks(second, tmp_path)[0]


def test_the_advice_promises_of_what_has_come_only_what_is_true(tmp_path: Path) -> None:
    with serving(Give(FILE, stop=400_000), *[Give(b"", status=503)] * 8) as server:
        message = fails(server, tmp_path)
        assert "the 0.4 MB that have come are kept, and fetching it again goes on from there" in message
        assert "but starts over from another server" in message
        assert "also from another server" in fails(server, tmp_path, checksum=RIGHT)
    with serving(Give(b"", status=503)) as server:
        assert "kept" not in fails(server, tmp_path / "new")
    with serving(Give(FILE, stop=400_000, etag=None), *[Give(b"", status=503)] * 8) as server:
        assert "kept" not in fails(server, tmp_path / "no sign")
