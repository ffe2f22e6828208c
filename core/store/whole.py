"""Whole: files and folders that appear whole or not at all, each made by one process at a time.

What is made lies beside its place, under a name of its own that ends in `.part`, until it has reached the disk. In a
folder, `whole.json` comes last: it says what the folder was made from, by which version of its maker, and of each file
the size and a checksum of the beginning. A folder without it, or with a file that differs, is not whole, whoever asks.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import filelock

from core.assets import AssetError
from core.store.progress import Progress, Steps

MANIFEST = "whole.json"
_BEGINNING = 1 << 16  # bytes of a file that its fingerprint reads
_POLL_SECONDS = 0.2
_ADVICE = "free some space, or name another folder with --cache-dir; finished work is kept"


class Origin(NamedTuple):
    """What a folder was made from."""

    made_from: str
    """Key of its inputs, such as a hash."""
    version: int
    """Version of the code that made it: another one may write other files or other values."""
    about: str
    """A phrase for people."""


def is_whole(folder: Path, origin: Origin | None = None) -> bool:
    """Tell whether a folder is finished and has all its files, as far as their sizes and beginnings tell.

    Args:
        folder: The folder, which need not exist.
        origin: What it must be made from, whatever the phrase for people; None for anything.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if origin is not None and (manifest["made_from"], manifest["version"]) != origin[:2]:
            return False
        return all(_fingerprint(folder / name) == known for name, known in manifest["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def about(folder: Path) -> str:
    """Read what a whole folder is about; empty where that cannot be told."""
    try:
        return str(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["about"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def seal(folder: Path, origin: Origin, *, files: Sequence[str] | None = None) -> None:
    """Declare a folder whole, once its files have reached the disk.

    Args:
        folder: The folder.
        origin: What it was made from.
        files: The files that belong to it, relative to the folder; None for all that it holds.

    Raises:
        AssetError, OSError: The disk is full or cannot be written.
    """
    paths = [folder / name for name in files or ()] or [path for path in folder.rglob("*") if path.is_file()]
    for path in {*paths, *(path.parent for path in paths), folder}:
        _sync(path)
    prints = {path.relative_to(folder).as_posix(): _fingerprint(path) for path in sorted(paths)}
    write_json(folder / MANIFEST, {**origin._asdict(), "files": prints})


def _fingerprint(path: Path) -> list[int]:
    """Return a file's size, and the CRC-32 of its beginning: all of a small file, the header of an array."""
    with path.open("rb") as file:
        return [os.fstat(file.fileno()).st_size, zlib.crc32(file.read(_BEGINNING))]


def unseal(folder: Path) -> None:
    """Declare a folder unfinished.

    Raises:
        OSError: It cannot be written.
    """
    (folder / MANIFEST).unlink(missing_ok=True)


def make_folder(
    folder: Path, origin: Origin, make: Callable[[Path], Steps[None]], *, doing: str, lock: Path | None = None
) -> Steps[None]:
    """Make a folder, unless it is whole already, also when several processes begin at once.

    Args:
        folder: Its place.
        origin: What it is made from.
        make: Writes its files into the folder that it is given.
        doing: What another process does meanwhile, for people: `encodes these captions`.
        lock: The folder whose lock is held; None for its own.

    Raises:
        AssetError: The disk is full or cannot be written; and what `make` raises.
    """
    if is_whole(folder, origin):
        return
    with only_one(lock or folder, doing=doing) as waiting:
        yield from waiting
        if is_whole(folder, origin):
            return
        for left in folder.parent.glob(f"{folder.name}.*.part"):  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        work = _part_of(folder)
        try:
            work.mkdir(parents=True, mode=0o700)
            yield from make(work)
            seal(work, origin)
            shutil.rmtree(folder, ignore_errors=True)  # made from something else, or damaged
            work.rename(folder)
            _sync(folder.parent)
        finally:
            shutil.rmtree(work, ignore_errors=True)


@contextmanager
def whole_file(path: Path, *, advice: str = _ADVICE) -> Iterator[Path]:
    """Write a file that appears whole or not at all, and survives a power cut.

    Args:
        path: Its place; what is there stays until the new file is whole.
        advice: What the user can do when it cannot be written.

    Yields:
        Where to write it meanwhile.

    Raises:
        AssetError: It cannot be written.
    """
    work = _part_of(path)
    try:
        yield work
        _sync(work)
        work.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise _cannot_write(path, error, advice) from error
    finally:
        with suppress(OSError):
            work.unlink(missing_ok=True)


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a JSON file that appears whole or not at all.

    Raises:
        AssetError: It cannot be written.
    """
    with whole_file(path) as work:
        work.write_text(json.dumps(document, indent=1), encoding="utf-8")


@contextmanager
def only_one(folder: Path, *, doing: str = "uses this folder") -> Iterator[Steps[None]]:
    """Hold the lock of a folder (which need not exist yet) that is about to be written.

    The lock is the operating system's: it falls when its process dies. Network file systems have it since NFSv4.

    Args:
        folder: The folder.
        doing: What another process that holds the lock does, for people.

    Yields:
        Slow work to run before writing: it waits for as long as another process holds the lock, and says so.

    Raises:
        AssetError: The folder cannot be written, or its file system has no locks; or the block raised OSError.
    """
    lock = _lock(folder)
    try:
        yield _acquire(lock, folder.parent, doing)
    except OSError as error:
        raise _cannot_write(folder, error, _ADVICE) from error
    finally:
        lock.release()


@contextmanager
def unless_locked(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder unless another process does; yields whether it is held."""
    lock = _lock(folder)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _acquire(lock: filelock.BaseFileLock, parent: Path, doing: str) -> Steps[None]:
    while True:
        try:
            parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock.acquire(timeout=_POLL_SECONDS)
        except filelock.Timeout:
            yield Progress(f"waiting for another process that {doing}", 0, 0, "")
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            advice = "name a folder that can be written, on a disk with file locks, with --cache-dir"
            raise AssetError(parent, f"the cache folder cannot be written ({reason})", advice=advice) from error
        else:
            return


def _lock(folder: Path) -> filelock.BaseFileLock:
    # Not thread-local: slow work may be stopped from another thread than the one that began it. Not soft: where the
    # file system has no locks, a file in their place would outlive a killed process.
    return filelock.FileLock(folder.with_name(folder.name + ".lock"), thread_local=False, fallback_to_soft=False)


def _part_of(path: Path) -> Path:
    """Name a place beside another that nobody else uses, also where locks do not work."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")


def _cannot_write(path: Path, error: OSError, advice: str) -> AssetError:
    return AssetError(error.filename or path, error.strerror or str(error), advice=advice)


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, have reached the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
