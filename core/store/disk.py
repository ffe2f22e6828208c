"""Disk: waits until contents and names are on it, so that a power cut takes back nothing that has been named."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_NOT_FOR_FOLDERS = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)  # what some network file systems answer


def sync(path: Path) -> None:
    """Wait until a file's content, or the list of names in a folder, is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_FOR_FOLDERS or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def ensure_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for its owner alone, and wait until their names are on disk.

    Raises:
        OSError: It cannot be made.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for each in missing:
        sync(each.parent)
