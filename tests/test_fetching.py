"""Fetching the official files from a mirror: whole, checked, unpacked, and then used without being named."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import random
import shutil
import stat
import subprocess
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from warnings import catch_warnings
from zipfile import ZIP_BZIP2, ZipFile, ZipInfo

import pytest
from conftest import write_weights
from web_server import Give, packed, serving

from core.assets import AssetError
from core.fetching import CHECKSUMS, bytes_needed, check_space, fetch
from core.official import OFFICIAL
from core.store.locks import only_one
from core.store.progress import finish
from core.store.whole import whole_file


def mirror_of(name: str, content: bytes, folder: Path, **options: str) -> Path:
    """Fetch a file from a mirror that has this content."""
    with serving(Give(content)) as server:
        path = finish(fetch(name, folder, mirror=f"{server.url}/some/folder/", **options))
        assert server.seen[0][0] == f"/some/folder/{OFFICIAL[name].download_name}"
        return path


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_each_file_is_there_alone_with_its_checksum(tmp_path: Path, published: dict[str, bytes]) -> None:
    folder = tmp_path / "official"
    zipped = published["annotations_trainval2014.zip"]
    weights = mirror_of("infersent2", published["infersent2.pkl"], folder)
    vectors = mirror_of("crawl", published["crawl-300d-2M.vec.zip"], folder)
    captions = mirror_of("coco", zipped, folder, sha256=sha256(zipped))
    assert (weights.name, vectors.name, captions.name) == (
        "infersent2.pkl",
        "crawl-300d-2M.vec.zip",
        "captions_val2014.json",
    )
    assert len(json.loads(captions.read_bytes())["annotations"]) == 60
    assert names(folder) == sorted([CHECKSUMS, weights.name, vectors.name, captions.name])
    check = subprocess.run(["sha256sum", "-c", CHECKSUMS], cwd=folder, capture_output=True, text=True, check=True)
    assert check.stdout.count("OK") == 3


def test_what_is_there_is_compared_and_not_fetched_again(tmp_path: Path, published: dict[str, bytes]) -> None:
    path = mirror_of("infersent2", published["infersent2.pkl"], tmp_path)
    with serving(Give(b"", status=404)) as server:
        assert finish(fetch("infersent2", tmp_path, mirror=server.url)) == path
        with pytest.raises(AssetError, match="another checksum"):
            finish(fetch("infersent2", tmp_path, mirror=server.url, sha256="0" * 64))
        damaged = bytearray(path.read_bytes())
        damaged[-1] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(AssetError, match="delete it, then fetch again"):
            finish(fetch("infersent2", tmp_path, mirror=server.url))
        assert not server.seen


def test_a_file_that_differs_from_the_first_one_is_refused(tmp_path: Path, published: dict[str, bytes]) -> None:
    mirror_of("infersent2", published["infersent2.pkl"], tmp_path).unlink()
    other = write_weights(tmp_path / "other.pkl", seed=1).read_bytes()
    with pytest.raises(AssetError, match="another checksum"):
        mirror_of("infersent2", other, tmp_path)
    assert not (tmp_path / "infersent2.pkl").exists()
    assert finish(fetch("infersent2", tmp_path, sha256=sha256(other))).read_bytes() == other


def test_who_named_a_mirror_without_the_file_is_told_its_name_and_how_to_do_without(tmp_path: Path) -> None:
    with serving(files={"other": b""}) as server, pytest.raises(AssetError, match="404") as caught:
        finish(fetch("coco", tmp_path, mirror=f"{server.url}/files"))
    assert "the folder of a mirror needs annotations_trainval2014.zip" in caught.value.advice
    assert "name another --mirror, or none" in caught.value.advice
    assert names(tmp_path) == []
    with pytest.raises(AssetError) as caught:
        finish(fetch("coco", tmp_path, mirror="localhost:8765/files"))
    assert caught.value.path == "localhost:8765/files"
    assert caught.value.expected == "http://SERVER/FOLDER or https://SERVER/FOLDER"


def test_a_published_checksum_counts_on_a_mirror_too(tmp_path: Path, published: dict[str, bytes]) -> None:
    with pytest.raises(AssetError, match=OFFICIAL["coco"].sha256):
        mirror_of("coco", published["annotations_trainval2014.zip"], tmp_path)


def _bomb() -> bytes:
    return packed(**{"annotations/captions_val2014.json": bytes(5_000_000)})


def _link() -> bytes:
    link = ZipInfo("annotations/captions_val2014.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with closing(io.BytesIO()) as buffer:
        with ZipFile(buffer, "w") as archive:
            archive.writestr(link, "/etc/passwd")
        return buffer.getvalue()


def _twice() -> bytes:
    """The second one, which readers of the archive would take, is damaged."""
    with closing(io.BytesIO()) as buffer, catch_warnings(action="ignore"):
        with ZipFile(buffer, "w") as archive:
            for content in ("{}", "[damaged]"):
                archive.writestr("annotations/captions_val2014.json", content)
        return buffer.getvalue().replace(b"[damaged]", b"[flipped]")


WRONG = {
    "no weights": ("infersent2", b"\x80\x02}q\x00.", "infersent"),
    "weights that end early": ("infersent2", None, "infersent2"),
    "no archive": ("crawl", b"word 1 2 3", "no whole zip archive"),
    "another archive": ("crawl", packed(**{"crawl-300d-2M-subword.vec": b"a 1"}), "has no crawl-300d-2M.vec"),
    "an archive of another kind": ("crawl", packed(ZIP_BZIP2, **{"crawl-300d-2M.vec": b"a 1"}), "packed with bzip2"),
    "a bomb": ("coco", _bomb(), "in the archive is 5 MB"),
    "a link": ("coco", _link(), "in the archive is a link"),
    "a second member of the name": ("coco", _twice(), "no whole zip archive"),
}


@pytest.mark.parametrize(("name", "content", "found"), WRONG.values(), ids=WRONG)
def test_what_is_not_the_file_leaves_nothing(
    tmp_path: Path, published: dict[str, bytes], name: str, content: bytes | None, found: str
) -> None:
    if content is None:
        content = published["infersent2.pkl"][:-2000]
    with pytest.raises(AssetError, match=found) as caught:
        mirror_of(name, content, tmp_path / "official", sha256=sha256(content))
    assert "partial" not in str(caught.value)
    assert caught.value.advice.startswith("fetch it again; if that stays so, name another --mirror")
    assert names(tmp_path / "official") == []


def test_an_archive_with_flipped_bits_is_refused(tmp_path: Path, published: dict[str, bytes]) -> None:
    content = bytearray(published["crawl-300d-2M.vec.zip"])
    content[len(content) // 2] ^= 0x10
    with pytest.raises(AssetError, match="zip archive"):
        mirror_of("crawl", bytes(content), tmp_path)


def test_several_at_once_fetch_once(tmp_path: Path, published: dict[str, bytes]) -> None:
    zipped = published["annotations_trainval2014.zip"]
    with serving(Give(zipped, stop=len(zipped) // 2, stall=0.3), Give(zipped)) as server:

        def run() -> None:
            finish(fetch("coco", tmp_path / "official", mirror=server.url, sha256=sha256(zipped)))

        threads = [threading.Thread(target=run) for _ in range(3)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len(server.seen) == 2
    assert names(tmp_path / "official") == [CHECKSUMS, "captions_val2014.json"]


def test_who_waits_compares_what_another_one_fetched(tmp_path: Path, published: dict[str, bytes]) -> None:
    content = published["infersent2.pkl"]
    with serving(Give(content)) as server:
        waiting = fetch("infersent2", tmp_path, mirror=server.url, sha256="0" * 64)
        with only_one(tmp_path / "infersent2.pkl") as own:
            finish(own)
            assert "waiting for another process" in next(waiting).stage
            (tmp_path / "infersent2.pkl").write_bytes(content)
        with pytest.raises(AssetError, match="as --sha256 says"):
            finish(waiting)
        assert not server.seen


def test_what_is_in_a_folder_that_can_only_be_read_is_compared(
    tmp_path: Path, published: dict[str, bytes], read_only_disk: Callable[[Path], Path]
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "infersent2.pkl").write_bytes(published["infersent2.pkl"])
    folder = read_only_disk(tmp_path / "shared")
    assert finish(fetch("infersent2", folder)) == folder / "infersent2.pkl"
    with pytest.raises(AssetError, match="another checksum"):
        finish(fetch("infersent2", folder, sha256="0" * 64))
    with pytest.raises(AssetError, match="Read-only file system") as caught:
        finish(fetch("crawl", folder))
    assert "name a folder that can be written, with --data-dir" in caught.value.advice


def test_what_several_remember_at_once_is_all_kept(
    tmp_path: Path, published: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits, between reading and writing the checksums, until the others have read them, or wait for a lock."""
    folder, names_of = tmp_path / "official", {"infersent2": "infersent2.pkl", "infersent1": "infersent1.pkl"}
    folder.mkdir()
    for name in names_of.values():
        (folder / name).write_bytes(published["infersent2.pkl"])
    both = threading.Barrier(2)

    @contextmanager
    def whole_file_after_all(path: Path, *, option: str) -> Iterator[Path]:
        with suppress(threading.BrokenBarrierError):
            both.wait(1)
        with whole_file(path, option=option) as temporary:
            yield temporary

    monkeypatch.setattr("core.fetching.whole_file", whole_file_after_all)
    threads = [threading.Thread(target=finish, args=(fetch(name, folder),)) for name in names_of]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (folder / CHECKSUMS).read_text().count("infersent") == 2
    assert names(folder) == sorted([CHECKSUMS, *names_of.values()])


def test_a_lock_that_a_killed_run_left_does_not_stay(tmp_path: Path, published: dict[str, bytes]) -> None:
    mirror_of("infersent2", published["infersent2.pkl"], tmp_path / "official")
    (tmp_path / "official" / f"{CHECKSUMS}.lock").touch()
    finish(fetch("infersent2", tmp_path / "official"))
    assert names(tmp_path / "official") == [CHECKSUMS, "infersent2.pkl"]


def test_an_archive_that_was_not_unpacked_yet_is_not_fetched_again(tmp_path: Path, published: dict[str, bytes]) -> None:
    """The run before was killed between its last byte and unpacking, or before the archive was deleted."""
    zipped = published["annotations_trainval2014.zip"]
    with serving(Give(b"", status=404)) as server:
        for _ in range(2):
            (tmp_path / "captions_val2014.json.archive").write_bytes(zipped)
            (tmp_path / "captions_val2014.json.archive.partial.json").write_text("{}")
            (tmp_path / "captions_val2014.json.lock").touch()
            assert bytes_needed(["coco"], tmp_path) < OFFICIAL["coco"].bytes + OFFICIAL["coco"].member_bytes
            finish(fetch("coco", tmp_path, mirror=server.url, sha256=sha256(zipped)))
            assert {"published", *names(tmp_path)} == {"published", CHECKSUMS, "captions_val2014.json"}
        assert not server.seen


def test_a_persons_own_files_stay_as_they_are(tmp_path: Path, published: dict[str, bytes]) -> None:
    own = {"annotations_trainval2014.zip": b"mine", CHECKSUMS: b"# mine\n" + b"0" * 64 + b" *other.bin\n"}
    for name, content in own.items():
        (tmp_path / name).write_bytes(content)
    zipped = published["annotations_trainval2014.zip"]
    for _ in range(2):
        mirror_of("coco", zipped, tmp_path, sha256=sha256(zipped))
        (tmp_path / "captions_val2014.json").unlink()
    assert (tmp_path / "annotations_trainval2014.zip").read_bytes() == b"mine"
    assert (tmp_path / CHECKSUMS).read_bytes().startswith(own[CHECKSUMS])
    assert len((tmp_path / CHECKSUMS).read_bytes().splitlines()) == 3


def test_an_archive_that_was_not_unpacked_yet_has_to_have_its_checksum(
    tmp_path: Path, published: dict[str, bytes]
) -> None:
    zipped = published["annotations_trainval2014.zip"]
    (tmp_path / "captions_val2014.json.archive").write_bytes(zipped[:100] + b"!" + zipped[101:])
    assert mirror_of("coco", zipped, tmp_path, sha256=sha256(zipped)).is_file()
    assert {"published", *names(tmp_path)} == {"published", CHECKSUMS, "captions_val2014.json"}


def test_what_else_is_among_the_checksums_stays_byte_by_byte(tmp_path: Path, published: dict[str, bytes]) -> None:
    content = published["infersent2.pkl"]
    lines = [
        b"0" * 64 + b"  caf\xe9.bin",
        b"\xff\xfe damaged \0 line",
        b"0" * 64 + b"  \xe2\x80\xa8two\x0blines\x85.bin",
        b"0" * 64 + b" *other.bin\r",
        b"\\" + b"0" * 64 + b"  a\\nb",
        b"",
        b"0" * 63 + b"  infersent2.pkl",
    ]
    for end in (b"", b"\n"):
        (tmp_path / CHECKSUMS).write_bytes(b"\n".join(lines) + end)
        mirror_of("infersent2", content, tmp_path).unlink()
        kept = (tmp_path / CHECKSUMS).read_bytes()
        assert kept.split(b"\n") == [*lines, sha256(content).encode() + b"  infersent2.pkl", b""]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
@pytest.mark.parametrize("beside", [b"", b"\xff damaged\n"])
def test_what_was_remembered_counts_however_its_line_ends_and_whatever_stands_beside_it(
    tmp_path: Path, published: dict[str, bytes], end: bytes, beside: bytes
) -> None:
    (tmp_path / CHECKSUMS).write_bytes(beside + b"A" * 64 + b"  infersent2.pkl" + end)
    with pytest.raises(AssetError, match=f"as kept in {CHECKSUMS}"):
        mirror_of("infersent2", published["infersent2.pkl"], tmp_path)


def test_the_advice_about_another_checksum_helps(tmp_path: Path, published: dict[str, bytes]) -> None:
    """A damaged line, or a file that its owner has published anew: of what comes and of what is there."""
    content = published["infersent2.pkl"]
    wrong = b"0" * 64 + b"  infersent2.pkl\n"
    (tmp_path / CHECKSUMS).write_bytes(wrong)
    with pytest.raises(AssetError, match=f"as kept in {CHECKSUMS}") as caught:
        mirror_of("infersent2", content, tmp_path)
    assert f"--sha256 {sha256(content)}" in caught.value.advice
    with serving(Give(b"", status=404)) as server:
        path = finish(fetch("infersent2", tmp_path, mirror=server.url, sha256=sha256(content)))
        assert not server.seen, "what came is kept"
    (tmp_path / CHECKSUMS).write_bytes(wrong)
    with pytest.raises(AssetError, match=f"as kept in {CHECKSUMS}") as caught:
        finish(fetch("infersent2", tmp_path))
    assert f"--sha256 {sha256(content)}" in caught.value.advice
    assert finish(fetch("infersent2", tmp_path, sha256=sha256(content))) == path
    assert finish(fetch("infersent2", tmp_path)) == path
    captions = tmp_path / "captions_val2014.json"
    zipped = published["annotations_trainval2014.zip"]
    (tmp_path / CHECKSUMS).write_bytes(b"0" * 64 + b"  captions_val2014.json\n")
    captions.write_bytes(b"{}")
    with pytest.raises(AssetError, match="delete it, then fetch again") as caught:
        finish(fetch("coco", tmp_path))
    assert "--sha256" not in caught.value.advice, "that of the archive would say nothing of this file"
    captions.unlink()
    mirror_of("coco", zipped, tmp_path, sha256=sha256(zipped))
    assert finish(fetch("coco", tmp_path)) == captions


def test_a_published_checksum_counts_where_the_kept_one_is_damaged(
    tmp_path: Path, published: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = published["crawl-300d-2M.vec.zip"]
    monkeypatch.setitem(OFFICIAL, "crawl", replace(OFFICIAL["crawl"], sha256=sha256(content)))
    mirror_of("crawl", content, tmp_path)
    (tmp_path / CHECKSUMS).write_bytes(b"0" * 64 + b"  crawl-300d-2M.vec.zip\n")
    finish(fetch("crawl", tmp_path))
    assert (tmp_path / CHECKSUMS).read_text().startswith(sha256(content))


def test_what_is_no_plain_file_is_neither_replaced_nor_fetched(tmp_path: Path) -> None:
    (tmp_path / "infersent2.pkl").mkdir()
    os.mkfifo(tmp_path / "crawl-300d-2M.vec.zip")
    with serving(Give(b"", status=404)) as server:
        for name in ("infersent2", "crawl"):
            with pytest.raises(AssetError, match="is no plain file"):
                finish(fetch(name, tmp_path, mirror=server.url))
        assert not server.seen


@pytest.mark.parametrize("seed", range(25))
def test_flipped_bits_in_an_archive_are_errors_for_people(
    tmp_path: Path, published: dict[str, bytes], seed: int
) -> None:
    rng, content = random.Random(seed), bytearray(published["annotations_trainval2014.zip"])
    ends = [*range(200), *range(len(content) - 300, len(content))]  # headers and directory
    for _ in range(3):
        content[rng.choice(ends)] ^= 1 << rng.randrange(8)
    with suppress(AssetError):  # any other error fails the test
        mirror_of("coco", bytes(content), tmp_path / "official", sha256=sha256(content))
    assert {*names(tmp_path / "official")} <= {CHECKSUMS, "captions_val2014.json"}


def test_the_disk_is_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12, 10**9))
    check_space(["infersent2"], tmp_path / "not/yet/there")
    with pytest.raises(AssetError, match=r"1.5 GB are needed, and 1.0 are free"):
        check_space(["crawl"], tmp_path / "not/yet/there")
    (tmp_path / "crawl-300d-2M.vec.zip.partial").write_bytes(bytes(1000))
    assert bytes_needed(["crawl"], tmp_path) == OFFICIAL["crawl"].bytes - 1000
    (tmp_path / "crawl-300d-2M.vec.zip").touch()
    assert bytes_needed(["crawl"], tmp_path) == 0


def test_a_folder_that_cannot_be_is_no_matter_of_space(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AssetError) as caught:
        finish(fetch("crawl", tmp_path / "file" / "official"))
    assert "check the path, or name another folder with --data-dir" in caught.value.advice


FAULTS = {
    "a disk": (OSError(errno.EIO, os.strerror(errno.EIO)), "Input/output error", "check the disk"),
    "memory": (MemoryError(), "not enough memory", "close other programs"),
}


@pytest.mark.parametrize(("fault", "found", "advice"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("name", ["crawl", "infersent2"])
def test_a_fault_of_the_machine_is_none_of_the_download(
    tmp_path: Path,
    published: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    fault: Exception,
    found: str,
    advice: str,
) -> None:
    """What has come stays, and is not fetched again once the fault is over."""

    def fail(*_: object, **__: object) -> None:
        raise fault

    content = published[OFFICIAL[name].download_name]
    with serving(Give(content)) as server:
        with monkeypatch.context() as patch:
            patch.setattr("zipfile.ZipExtFile.read", fail)
            patch.setattr("core.encoding.weights.read_checkpoint", fail)
            with pytest.raises(AssetError) as caught:
                finish(fetch(name, tmp_path, mirror=server.url))
        assert found in caught.value.found
        assert advice in caught.value.advice
        path = finish(fetch(name, tmp_path, mirror=server.url))
        assert path.read_bytes() == content
        assert server.ranges[1:] == [f"bytes={len(content)}-"]
