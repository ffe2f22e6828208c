"""Locks: of what several processes want to write, one writes and the others wait."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from core.assets import AssetError
from core.store.disk import ensure_folder
from core.store.progress import Progress, Steps

SPACE = "free some space, or name another folder with {option}; finished work is kept"
"""What the user can do where nothing can be written; `option` names the folder."""
CACHE_OPTION = "--cache-dir"
_POLL_SECONDS = 0.2
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
        raise cannot_write(folder, error, SPACE.format(option=option)) from error
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
            lock.acquire(timeout=_POLL_SECONDS)
        except filelock.Timeout:
            yield Progress(f"waiting for another process that {doing}", 0, 0, "")
        except OSError as error:
            advice = f"name a folder that can be written, on a disk with file locks, with {option}"
            raise AssetError(parent, f"the folder cannot be written ({_reason(error)})", advice=advice) from error
        else:
            return


def _reason(error: OSError) -> str:
    return "its file system has no file locks" if error.errno in _NO_LOCKS else error.strerror or str(error)


def _lock(folder: Path) -> filelock.BaseFileLock:
    # Not thread-local: slow work may be stopped by another thread than the one that started it. Not soft: on a file
    # system without locks, a lock file would outlive a process that is killed on another machine, where nobody can see
    # that it is gone.
    return filelock.FileLock(folder.with_name(folder.name + ".lock"), thread_local=False, fallback_to_soft=False)


def cannot_write(path: Path, error: OSError, advice: str) -> AssetError:
    """Describe a file or folder that could not be written; `advice` says what the user can do."""
    named = str(error.filename or path)
    return AssetError(path if named.endswith(".part") else named, error.strerror or str(error), advice=advice)
