"""Locks: one writer at a time to a folder of the cache, across processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from core.assets import AssetError

_POLL_SECONDS = 0.2


@contextmanager
def only_one(folder: Path) -> Iterator[Iterator[None]]:
    """Hold the lock of a folder (which need not exist yet) that is about to be written.

    The lock is the operating system's: it falls when its process dies. Network file systems have it since NFSv4.

    Yields:
        An iterator to run through before writing: it pauses between its items for as long as another process holds
        the lock, and so lets the caller show that it waits, or leave.

    Raises:
        AssetError: The cache folder cannot be written, or its file system has no locks.
    """
    lock = _lock(folder)
    try:
        yield _acquire(lock, folder.parent)
    finally:
        lock.release()


def _acquire(lock: filelock.BaseFileLock, parent: Path) -> Iterator[None]:
    while True:
        try:
            parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock.acquire(timeout=_POLL_SECONDS)
        except filelock.Timeout:
            yield
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            advice = "name a folder that can be written, on a disk with file locks, with --cache-dir"
            raise AssetError(parent, f"the cache folder cannot be written ({reason})", advice=advice) from error
        else:
            return


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


def _lock(folder: Path) -> filelock.BaseFileLock:
    # Not thread-local: slow work may be stopped from another thread than the one that began it. Not soft: where the
    # file system has no locks, a file in their place would outlive a killed process.
    return filelock.FileLock(folder.with_name(folder.name + ".lock"), thread_local=False, fallback_to_soft=False)
