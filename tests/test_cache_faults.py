"""A cache folder that can only be read, goes away, has no file locks, or holds what others put there."""

import ctypes
import errno
import os
import shutil
import stat
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Files, ask_caption

from core.assets import AssetError
from core.explorer import Explorer
from core.opening import open_
from core.store.cache import Cache
from core.store.progress import finish
from core.store.whole import MANIFEST, read_json, write_json


def hits(explorer: Explorer, method: str = "infersent") -> list[int]:
    rows: list[int] = ask_caption(explorer, 7, method=method).hits.rows.tolist()
    return rows


def whole_entries(cache: Path) -> list[str]:
    return [entry.kind for entry in Cache(cache).entries() if entry.whole]


# A cache that can only be read.


def test_a_finished_cache_that_can_only_be_read_answers(files: Files, read_only_disk: Callable[[Path], Path]) -> None:
    explorer = files.explorer(need="methods")
    wanted = [hits(explorer, method) for method in ("infersent", "fused")]
    explorer.opened.cache.close()
    explorer = replace(files, cache=read_only_disk(files.cache)).explorer(need="methods")
    assert [hits(explorer, method) for method in ("infersent", "fused")] == wanted
    explorer.queries.of_text("a dog")
    explorer.queries.remember()
    assert all("going on without it" in problem for problem in explorer.opened.problems())
    assert finish(explorer.opened.cache.check()) == []


def test_unfinished_work_in_a_cache_that_can_only_be_read_is_an_error_that_helps(
    files: Files, read_only_disk: Callable[[Path], Path]
) -> None:
    files.explorer().opened.cache.close()
    files = replace(files, cache=read_only_disk(files.cache))
    explorer = files.explorer()
    with pytest.raises(AssetError, match="Read-only file system") as caught:
        finish(explorer.opened.open_methods())
    assert "--cache-dir" in caught.value.advice
    assert hits(explorer)
    with pytest.raises(AssetError, match="Read-only file system") as caught:
        finish(open_(replace(files.setup(), vocab_size=9), Cache(files.cache)))
    assert "--cache-dir" in caught.value.advice


# A cache that goes away.


def test_a_cache_that_is_deleted_while_it_is_open_goes_on_answering(files: Files) -> None:
    explorer = files.explorer(need="methods")
    wanted = [hits(explorer, method) for method in ("infersent", "fused")]
    shutil.rmtree(files.cache)
    assert [hits(explorer, method) for method in ("infersent", "fused")] == wanted
    explorer.queries.of_text("a dog on a beach")
    explorer.queries.remember()
    (problem,) = explorer.opened.problems()
    assert problem == f"cache: {files.cache} is gone; going on without it, and the next start makes it again"
    explorer.opened.cache.close()
    assert hits(files.explorer(need="methods"), "fused") == wanted[1]
    assert sorted(whole_entries(files.cache)) == ["matrix", "vectors"]


def test_methods_of_a_cache_that_was_deleted_are_indexed_anew(files: Files) -> None:
    explorer = files.explorer()
    shutil.rmtree(files.cache)
    finish(explorer.opened.open_methods())
    assert hits(explorer, "fused") == hits(files.explorer(need="methods"), "fused")
    assert sorted(whole_entries(files.cache)) == ["matrix", "vectors"]


@pytest.mark.parametrize(
    "stage", ["hashing", "converting", "reading", "loading", "tokenizing", "encoding", "indexing words"]
)
def test_a_cache_that_is_deleted_during_work_is_made_again_or_an_error(files: Files, stage: str) -> None:
    steps, deleted, refusals = open_(files.setup(), Cache(files.cache), need="methods"), 0, []
    try:
        for progress in steps:
            if progress.stage.startswith(stage):
                shutil.rmtree(files.cache, ignore_errors=True)
                deleted += 1
    except AssetError as error:
        refusals.append(error)
    assert deleted
    assert [(error.found, error.advice) for error in refusals] in ([], [("was deleted during the work", "start again")])
    again = files.explorer(need="methods")
    assert hits(again, "fused")
    assert sorted(whole_entries(files.cache)) == ["matrix", "vectors"]
    assert finish(Cache(files.cache).check()) == []


# A cache of another version of the program.


@pytest.mark.parametrize("folder", ["matrix/*", "matrix/*/lexical", "vectors/*"])
@pytest.mark.parametrize("version", [0, 99])
def test_what_another_version_made_is_made_again(files: Files, folder: str, version: int) -> None:
    explorer = files.explorer(need="methods")
    wanted = hits(explorer, "fused")
    explorer.opened.cache.close()
    [manifest] = files.cache.glob(f"{folder}/{MANIFEST}")
    own = read_json(manifest)
    write_json(manifest, own | {"version": version})
    assert hits(files.explorer(need="methods"), "fused") == wanted
    assert read_json(manifest)["version"] == own["version"]


def test_what_a_newer_version_also_noted_of_a_folder_is_passed_over(files: Files) -> None:
    explorer = files.explorer()
    manifest = explorer.opened.matrix.folder / MANIFEST
    write_json(manifest, read_json(manifest) | {"of the future": [1]})
    again = files.explorer()
    assert again.opened.report.reused
    assert "of the future" in read_json(manifest)
    assert finish(again.opened.cache.check()) == []


# A file system without file locks.


def without_file_locks(run: Callable[[], None]) -> None:
    """Run in a thread in which the kernel answers `flock` as on file systems without it, such as Lustre."""
    number = {"x86_64": 73, "aarch64": 32}.get(os.uname().machine)
    if number is None:
        pytest.skip("the number of the system call is not known here")
    load, jump, give = 0x20, 0x15, 0x06
    filters = [(load, 0, 0, 0), (jump, 0, 1, number), (give, 0, 0, 0x50000 | errno.ENOSYS), (give, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in filters))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(filters), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)

    def in_thread() -> None:
        if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):  # no new privileges; a filter
            pytest.skip("no filter of system calls can be set here")
        run()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(in_thread).result()


def test_without_file_locks_work_is_refused_and_finished_work_is_used(files: Files) -> None:
    files.explorer(need="methods").opened.cache.close()

    def run() -> None:
        with pytest.raises(AssetError, match="its file system has no file locks") as caught:
            finish(open_(replace(files.setup(), vocab_size=9), Cache(files.cache)))
        assert "--cache-dir" in caught.value.advice
        explorer = files.explorer(need="methods")
        assert hits(explorer, "fused")
        with pytest.raises(AssetError, match="its file system has no file locks"):
            explorer.opened.cache.prune(set())

    without_file_locks(run)


# What others put into the cache.


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder with files and a folder, which must stay as it is."""
    folder = tmp_path / "elsewhere"
    (folder / "photos").mkdir(parents=True)
    names = ("thesis.txt", "photos/rainbow.jpg", MANIFEST, "recipe.json", "progress.json", "embeddings.npy")
    for name in names:
        (folder / name).write_text(f"my own {name}")
    folder.chmod(0o755)
    yield folder
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*")} == {"photos", *names}
    assert all((folder / name).read_text() == f"my own {name}" for name in names)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


@pytest.mark.parametrize("kind", ["matrix", "vectors"])
def test_a_link_in_place_of_a_folder_is_replaced_and_not_followed(files: Files, elsewhere: Path, kind: str) -> None:
    files.explorer().opened.cache.close()
    [entry] = [entry.path for entry in Cache(files.cache).entries() if entry.kind == kind]
    shutil.rmtree(entry)
    entry.symlink_to(elsewhere)
    assert hits(files.explorer())
    assert not entry.is_symlink()


@pytest.mark.parametrize(
    ("name", "link"),
    [
        *((name, Path.symlink_to) for name in ("embeddings.npy", "recipe.json", MANIFEST, "lexical")),
        ("embeddings.npy", Path.hardlink_to),
    ],
)
def test_a_link_in_a_folder_is_replaced_and_not_followed(
    files: Files, elsewhere: Path, name: str, link: Callable[[Path, Path], None]
) -> None:
    explorer = files.explorer(need="methods")
    wanted, folder = hits(explorer, "fused"), explorer.opened.matrix.folder
    target = elsewhere / ("photos" if name == "lexical" else name)
    place = folder / name
    shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    link(place, target)
    assert hits(files.explorer(need="methods"), "fused") == wanted
    assert not place.is_symlink()


def test_a_link_in_an_unfinished_folder_is_replaced_and_not_followed(
    files: Files, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.encoding.building.CHUNK", 64)
    steps = open_(files.setup(), Cache(files.cache))
    while not (progress := next(steps)).stage.startswith("encoding") or progress.done < 100:
        pass
    steps.close()
    [folder] = [entry.path for entry in Cache(files.cache).entries() if entry.kind == "matrix"]
    copy = elsewhere.parent / "rows.npy"
    shutil.copy(folder / "embeddings.npy", copy)
    before = copy.read_bytes()
    (folder / "embeddings.npy").unlink()
    (folder / "embeddings.npy").symlink_to(copy)
    assert hits(files.explorer())
    assert copy.read_bytes() == before


@pytest.mark.parametrize("name", ["registry", "answers"])
def test_a_link_in_place_of_a_database_is_not_followed(files: Files, elsewhere: Path, name: str) -> None:
    files.cache.mkdir()
    (files.cache / name).symlink_to(elsewhere)
    explorer = files.explorer()
    explorer.queries.of_text("a dog")
    explorer.queries.remember()
    assert any(name in problem for problem in explorer.opened.problems())


def test_prune_deletes_a_link_and_not_what_it_names(files: Files, elsewhere: Path) -> None:
    link = files.cache / "matrix" / ("a" * 64)
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    assert [entry.path for entry in Cache(files.cache).prune(set())] == [link]
    assert not link.is_symlink()


def test_prune_keeps_folders_that_the_program_did_not_make(files: Files, elsewhere: Path) -> None:
    for kind in ("matrix", "vectors"):  # a cache in a folder that has some of these names already
        (files.cache / kind).parent.mkdir(exist_ok=True)
        (files.cache / kind).symlink_to(elsewhere)
    assert Cache(files.cache).prune(set()) == []
    assert list(Cache(files.cache).entries()) == []


@pytest.mark.parametrize("place", ["matrix", "vectors", f"matrix/{64 * 'a'}", f"matrix/{64 * 'a'}/lexical"])
def test_checking_follows_no_link_and_marks_nothing_that_the_program_did_not_make(
    files: Files, elsewhere: Path, place: str
) -> None:
    link = files.cache / place
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    (files.cache / "mine").mkdir()
    (files.cache / "mine" / MANIFEST).write_text("my own")
    assert finish(Cache(files.cache).check()) == []
    assert (files.cache / "mine" / MANIFEST).read_text() == "my own"
    assert [path.name for path in (files.cache / "mine").iterdir()] == [MANIFEST]


@pytest.mark.parametrize("kind", ["matrix", "vectors"])
def test_a_link_in_place_of_all_folders_of_a_kind_is_refused(files: Files, elsewhere: Path, kind: str) -> None:
    files.cache.mkdir()
    (files.cache / kind).symlink_to(elsewhere)
    with pytest.raises(AssetError, match="is a link") as caught:
        files.explorer()
    assert "--cache-dir" in caught.value.advice


@pytest.mark.parametrize("name", ["norms.npy", MANIFEST])
def test_a_pipe_in_place_of_a_file_is_damage(files: Files, name: str) -> None:
    folder = files.explorer().opened.matrix.folder
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert hits(files.explorer())
    assert (folder / name).is_file()


def test_ones_own_folder_that_every_user_may_write_is_told(files: Files) -> None:
    files.cache.mkdir()
    files.cache.chmod(0o777)
    explorer = files.explorer()
    assert [f"chmod o-w {files.cache}" in problem for problem in explorer.opened.problems()] == [True]
    explorer.opened.cache.close()
    files.cache.chmod(0o755)
    assert files.explorer().opened.problems() == []


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make folders of other users")


@needs_root
@pytest.mark.parametrize(
    ("owners", "modes", "refused"),
    [
        ((1000, 1000), (0o755, 0o755), False),  # a colleague's
        ((1000, 1000), (0o2775, 0o2775), False),  # a group's
        ((0, 2000), (0o1777, 0o700), False),  # one's own in /tmp
        ((2000, 2000), (0o777, 0o777), False),  # one's own
        ((0, 1000), (0o1777, 0o755), True),  # another user's in /tmp
        ((1000, 1000), (0o777, 0o755), True),
        ((1000, 1000), (0o755, 0o777), True),
    ],
)
def test_a_folder_of_another_user_that_anyone_may_have_filled_is_refused(
    tmp_path: Path, owners: tuple[int, int], modes: tuple[int, int], refused: bool
) -> None:
    cache = Cache(tmp_path / "cache")
    folders = (cache.root, cache.root / "matrix")
    for folder, owner, mode in zip(folders, owners, modes, strict=True):
        folder.mkdir()
        os.chown(folder, owner, owner)
        folder.chmod(mode)
    for parent in (tmp_path, *tmp_path.parents):
        if not parent.stat().st_mode & 0o001:  # pytest's folders are private
            parent.chmod(0o755)
    os.seteuid(2000)
    try:
        with pytest.raises(AssetError, match="belongs to another user") if refused else nullcontext() as caught:
            cache.check_owners()
    finally:
        os.seteuid(0)
    cache.check_owners()  # root is not asked
    assert not refused or "--cache-dir" in caught.value.advice
