"""Files and folders appear whole or not at all, each made by one process at a time."""

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core.assets import AssetError
from core.store.locks import only_one, unless_locked
from core.store.progress import Progress, finish
from core.store.whole import (
    Origin,
    about,
    damaged,
    is_whole,
    make_folder,
    read_json,
    seal,
    unseal,
    whole_file,
    write_json,
)

# Files


def test_a_file_keeps_its_permissions_when_it_is_written_again(tmp_path):
    path = tmp_path / "private.csv"
    path.write_text("before")
    path.chmod(0o600)
    with whole_file(path) as work:
        work.write_text("after")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("after", 0o600)


def test_a_file_system_that_syncs_no_folders_is_written_to_all_the_same(tmp_path, monkeypatch):
    fsync = os.fsync

    def refuse_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    write_json(tmp_path / "a.json", {"about": 1})
    assert read_json(tmp_path / "a.json") == {"about": 1}


def test_a_json_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"about": "é"})
    with pytest.raises(TypeError):
        write_json(path, {"about": object()})
    assert read_json(path) == {"about": "é"}
    text = path.read_text(encoding="utf-8")
    for wrong in (text.replace("00e9", "00e8"), text[:-1], "[]", "{}", "", "[" * 100_000):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(ValueError, match=r"damaged|Expecting|nested"):
            read_json(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_keeps_what_it_holds_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.npy"
    path.write_text("before")

    def interrupted():
        with whole_file(path) as work:
            work.write_text("half of")
            assert path.read_text() == "before"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "before"
    with whole_file(path) as work:
        work.write_text("after")
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_two_that_write_one_file_at_once_both_succeed_and_it_is_always_readable(tmp_path):
    path, errors = tmp_path / "a.json", []

    def write(number):
        try:
            for i in range(60):
                write_json(path, {"number": number, "text": "x" * (1000 * (i % 7))})
                json.loads(path.read_text(encoding="utf-8"))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_where_nothing_can_be_written_is_an_error_that_says_what_to_do(tmp_path):
    place = tmp_path / "no" / "a"
    with pytest.raises(AssetError, match="another disk") as error, whole_file(place, advice="another disk") as work:
        work.write_text("a")
    assert error.value.path.startswith(str(place))


# Folders

ORIGIN = Origin("inputs", 1, "kites")


def made(folder, origin=ORIGIN, text="kite", begun=None):
    def make(work):
        yield Progress("making", 0, 2, "")
        if begun is not None:
            begun.append(work)
        (work / "part").mkdir()
        (work / "part" / "a.txt").write_text(text)
        yield Progress("making", 1, 2, "")
        (work / "b.bin").write_bytes(bytes(100_000))

    return make_folder(folder, origin, make, doing="makes kites")


def test_a_folder_is_whole_once_it_is_made_and_not_made_twice(tmp_path):
    folder = tmp_path / "new" / "abc"
    assert not is_whole(folder)
    finish(made(folder))
    assert is_whole(folder)
    assert is_whole(folder, Origin("inputs", 1, "another phrase"))
    assert list(made(folder)) == []
    assert {path.name for path in folder.parent.iterdir()} == {"abc", "abc.lock"}
    assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("origin", [Origin("other inputs", 1, "kites"), Origin("inputs", 2, "kites")])
def test_a_folder_made_from_something_else_or_by_another_version_is_made_anew(tmp_path, origin):
    finish(made(tmp_path / "abc"))
    assert not is_whole(tmp_path / "abc", origin)
    finish(made(tmp_path / "abc", origin, text="boat"))
    assert is_whole(tmp_path / "abc", origin)
    assert (tmp_path / "abc" / "part" / "a.txt").read_text() == "boat"


def shorten(path):
    path.write_bytes(path.read_bytes()[:-1])


def change_beginning(path):
    path.write_bytes(b"?" + path.read_bytes()[1:])


@pytest.mark.parametrize("name", ["part/a.txt", "b.bin", "whole.json"])
@pytest.mark.parametrize("damage", [shorten, change_beginning, os.unlink])
def test_a_folder_with_a_damaged_file_is_not_whole_and_made_anew(tmp_path, name, damage):
    folder = tmp_path / "abc"
    finish(made(folder))
    damage(folder / name)
    assert not is_whole(folder)
    finish(made(folder))
    assert is_whole(folder)
    assert (folder / "part" / "a.txt").read_text() == "kite"


@pytest.mark.parametrize("manifest", ["[]", "null", "{}", '{"files": 3}', "{cut of", '{"files": {"b.bin": null}}'])
def test_a_manifest_that_says_nothing_is_not_whole(tmp_path, manifest):
    finish(made(tmp_path / "abc"))
    (tmp_path / "abc" / "whole.json").write_text(manifest)
    assert not is_whole(tmp_path / "abc")
    assert not is_whole(tmp_path / "abc", ORIGIN)


def test_a_manifest_that_is_nested_without_end_is_damaged(tmp_path):
    finish(made(tmp_path / "abc"))
    (tmp_path / "abc" / "whole.json").write_text("[" * 100_000)
    assert not is_whole(tmp_path / "abc")
    assert about(tmp_path / "abc") == ""
    assert finish(damaged(tmp_path / "abc")) == ["whole.json"]


def test_a_folder_left_halfway_is_not_there_and_its_part_goes(tmp_path):
    steps = made(tmp_path / "abc")
    next(steps)
    next(steps)
    steps.close()
    assert {path.name for path in tmp_path.iterdir()} <= {"abc.lock"}
    with unless_locked(tmp_path / "abc") as free:
        assert free


def test_what_a_killed_process_left_goes_when_the_folder_is_made(tmp_path):
    (tmp_path / "abc.0123.part").mkdir()
    (tmp_path / "abcd.0123.part").mkdir()  # of another folder
    finish(made(tmp_path / "abc"))
    assert {path.name for path in tmp_path.iterdir()} == {"abc", "abc.lock", "abcd.0123.part"}


def test_one_waits_while_another_makes_the_folder_and_then_uses_it(tmp_path):
    begun = []
    first, second = made(tmp_path / "abc", begun=begun), made(tmp_path / "abc", begun=begun)
    next(first)
    assert next(second).stage == "waiting for another process that makes kites"
    finish(first)
    assert list(second) == []
    assert len(begun) == 1


def test_a_full_disk_is_an_error_that_says_what_to_do_and_leaves_nothing(tmp_path):
    def make(work):
        (work / "a").write_text("a")
        yield Progress("making", 0, 0, "")
        raise OSError(28, "No space left on device", str(work / "a"))

    with pytest.raises(AssetError, match=r"No space left(.|\n)*--cache-dir"):
        finish(make_folder(tmp_path / "abc", ORIGIN, make, doing="makes kites"))
    assert {path.name for path in tmp_path.iterdir()} <= {"abc.lock"}


def test_a_sealed_folder_may_get_more_files_and_loses_its_seal_when_told(tmp_path):
    (tmp_path / "rows.bin").write_bytes(b"rows")
    seal(tmp_path, ORIGIN, files=["rows.bin"])
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "codes.bin").write_bytes(b"codes")
    assert is_whole(tmp_path, ORIGIN)
    unseal(tmp_path)
    assert not is_whole(tmp_path, ORIGIN)
    assert (tmp_path / "rows.bin").exists()


ADVICE = {
    errno.ENOSPC: "free some space, or name another folder with --cache-dir",
    errno.EDQUOT: "free some space, or name another folder with --cache-dir",
    errno.EFBIG: "name a folder on a disk that takes larger files, with --cache-dir",
    errno.EACCES: "name a folder that can be written, with --cache-dir",
    errno.EROFS: "name a folder that can be written, with --cache-dir",
    errno.EIO: "check the disk, or name a folder on another one with --cache-dir",
    errno.ENOTDIR: "check the path, or name another folder with --cache-dir",
}


@pytest.mark.parametrize("number", ADVICE, ids=errno.errorcode.get)
def test_the_advice_is_about_what_went_wrong(tmp_path, number):
    """The operating system would raise these errors inside the blocks."""
    with pytest.raises(AssetError) as caught, whole_file(tmp_path / "abc"):
        raise OSError(number, os.strerror(number))
    assert ADVICE[number] in caught.value.advice
    with pytest.raises(AssetError) as caught, only_one(tmp_path / "abc"):
        raise OSError(number, os.strerror(number))
    assert ADVICE[number] in caught.value.advice


def test_a_file_that_is_larger_than_may_be_is_no_matter_of_space(tmp_path):
    script = (
        "import resource; from pathlib import Path; from core.store.whole import whole_file\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "with whole_file(Path('abc')) as work: work.write_bytes(bytes(2000))"
    )
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert "takes larger files" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_or_a_link_with_a_leftovers_name_holds_nothing_up(tmp_path):
    path, mine = tmp_path / "a.csv", tmp_path / "mine"
    mine.write_text("mine")
    os.mkfifo(f"{path}.00000000.part")
    Path(f"{path}.00000001.part").symlink_to(mine)
    with whole_file(path) as work:
        work.write_text("new")
    assert (path.read_text(), mine.read_text()) == ("new", "mine")


# Locks.


def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    folder = tmp_path / "matrix" / "abc"
    with only_one(folder) as waiting:
        assert list(waiting) == []
        with only_one(folder) as second:
            next(second)  # it waits
            next(second)
        with unless_locked(folder) as free:
            assert not free
    with unless_locked(folder) as free:
        assert free


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no /proc")
def test_where_no_lock_can_be_made_nobody_is_waited_for():
    with pytest.raises(AssetError, match="the folder cannot be written"), only_one(Path("/proc/abc")) as waiting:
        next(waiting)


def test_a_lock_does_not_fall_when_one_who_waited_leaves(tmp_path):
    with only_one(tmp_path / "abc") as waiting:
        list(waiting)
        with only_one(tmp_path / "abc") as second:
            next(second)
        with unless_locked(tmp_path / "abc") as free:
            assert not free


def test_a_lock_falls_when_its_process_is_killed(tmp_path, another_process):
    holder = another_process(tmp_path / "abc")
    with only_one(tmp_path / "abc") as waiting:
        next(waiting)
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        start = time.monotonic()
        for _ in waiting:
            assert time.monotonic() - start < 30
        with unless_locked(tmp_path / "abc") as free:
            assert not free  # it is ours now


def test_work_begun_in_one_thread_and_stopped_in_another_gives_its_lock_back(tmp_path):
    def work():
        with only_one(tmp_path / "abc") as waiting:
            yield from waiting
            yield "working"

    steps = work()
    thread = threading.Thread(target=lambda: next(steps))
    thread.start()
    thread.join()
    steps.close()
    with unless_locked(tmp_path / "abc") as free:
        assert free


def test_a_lock_where_nothing_can_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with only_one(tmp_path / "file" / "abc") as waiting, pytest.raises(AssetError, match="--cache-dir"):
        list(waiting)


def test_what_numpy_says_of_a_full_disk_has_the_advice_for_one(tmp_path):
    with pytest.raises(AssetError) as caught, whole_file(tmp_path / "rows.npy"):
        raise OSError("42544 requested and 30704 written")
    assert ADVICE[errno.ENOSPC] in caught.value.advice
