"""Locks: of what several processes want to write, one writes and the others wait."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from core.assets import AssetError
from core.store.disk import ensure_folder
from core.store.progress import Progress, Steps

CACHE_OPTION = "--cache-dir"
_POLL_SECONDS = 0.2
_ADVICE = {
    errno.ENOSPC: "free some space, or name another folder with {option}",
    errno.EDQUOT: "free some space, or name another folder with {option}",
    errno.EFBIG: "name a folder on a disk that takes larger files, with {option}",
    errno.EACCES: "name a folder that can be written, with {option}",
    errno.EPERM: "name a folder that can be written, with {option}",
    errno.EROFS: "name a folder that can be written, with {option}",
    errno.EIO: "check the disk, or name a folder on another one with {option}",
}
"""What the user can do about an error; `option` names the folder."""
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


@contextmanager
def only_one(folder: Path, *, doing: str = "uses this folder", option: str = CACHE_OPTION) -> Iterator[Steps[None]]:
    """Hold a folder's lock while writing the folder, which need not exist yet.

    The operating system releases the lock when the process dies. On NFS, locks need version 4.

    Args:
        folder: The folder.
        doing: What another process that holds the lock does, shown while waiting.
        option: The option that names the folder above it.

    Yields:
        Slow work to run before writing: it waits while another process holds the lock, and reports that.

    Raises:
        AssetError: The folder cannot be written, its file system has no locks, or the block raised OSError.
    """
    lock = _lock(folder)
    try:
        yield _acquire(lock, folder.parent, doing, option)
    except FileNotFoundError as error:
        raise AssetError(folder, "was deleted during the work", advice="start again") from error
    except OSError as error:
        raise cannot_write(folder, error, option=option) from error
    finally:
        lock.release()


@contextmanager
def unless_locked(folder: Path) -> Iterator[bool]:
    """Try to take a folder's lock; yield True when it was taken, False when another process holds it.

    Raises:
        OSError: The folder above cannot be written, or its file system has no locks.
    """
    lock = _lock(folder)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        yield False
        return
    except OSError as error:
        raise OSError(error.errno, _reason(error), folder.parent) from error
    try:
        yield True
    finally:
        lock.release()


def _acquire(lock: filelock.BaseFileLock, parent: Path, doing: str, option: str) -> Steps[None]:
    while True:
        try:
            ensure_folder(parent)
            try:
                lock.acquire(timeout=_POLL_SECONDS)
                return
            except filelock.Timeout:  # also where no file can be made, as in /proc: then this is an error
                os.close(os.open(lock.lock_file, os.O_RDWR | os.O_CREAT, 0o644))
        except OSError as error:
            advice = _advice(error, option)
            if error.errno in _NO_LOCKS:
                advice = f"name a folder on a disk with file locks, with {option}"
            raise AssetError(parent, f"the folder cannot be written ({_reason(error)})", advice=advice) from error
        yield Progress(f"waiting for another process that {doing}", 0, 0, "")


def _reason(error: OSError) -> str:
    return "its file system has no file locks" if error.errno in _NO_LOCKS else error.strerror or str(error)


def _lock(folder: Path) -> filelock.BaseFileLock:
    # Not thread-local: slow work may be stopped by another thread than the one that started it. Not soft: on a file
    # system without locks, a lock file would outlive a process that is killed on another machine, where nobody can see
    # that it is gone.
    return filelock.FileLock(folder.with_name(folder.name + ".lock"), thread_local=False, fallback_to_soft=False)


def cannot_write(path: Path, error: OSError, *, option: str = CACHE_OPTION, advice: str = "") -> AssetError:
    """Describe a file or folder that could not be written.

    Args:
        path: The file or folder.
        error: Why not.
        option: The option that names the folder.
        advice: What the user can do; by default, what helps against this error.
    """
    if short := AssetError.from_shortage(error.filename or path, error):
        return short
    named = str(error.filename or path)
    advice = advice or f"{_advice(error, option)}; finished work is kept"
    return AssetError(path if named.endswith(".part") else named, error.strerror or str(error), advice=advice)


def _advice(error: OSError, option: str) -> str:
    default = "check the path, or name another folder with {option}"
    is_short = re.fullmatch(r"\d+ requested and \d+ written", str(error)) is not None  # NumPy's word for a full disk
    return _ADVICE.get(errno.ENOSPC if is_short else error.errno or 0, default).format(option=option)
