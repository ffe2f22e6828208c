"""Shortage: recognises what is raised when memory, threads or open files run out, and says what to do."""

from __future__ import annotations

import errno
import re
from typing import NamedTuple


class Shortage(NamedTuple):
    """What has run out."""

    found: str
    advice: str
    """What the user can do."""


_MEMORY = Shortage("there is not enough memory", "close other programs, or allow more memory: ulimit -v unlimited")
_FILES = Shortage("too many files are open", "close other programs, or allow more open files: ulimit -n 4096")
_BY_ERRNO = {errno.ENOMEM: _MEMORY, errno.EMFILE: _FILES, errno.ENFILE: _FILES}
_MEMORY_MESSAGES = re.compile("can't allocate memory|can't start new thread")  # of torch's CPU allocator, and of Python


def shortage(error: BaseException) -> Shortage | None:
    """Return what has run out, where an error tells that, and so says nothing of the file that is read; else None."""
    if isinstance(error, MemoryError):  # NumPy's and Arrow's too
        return _MEMORY
    if isinstance(error, OSError):
        return _BY_ERRNO.get(error.errno or 0)
    is_known = isinstance(error, RuntimeError) and _MEMORY_MESSAGES.search(str(error)) is not None
    return _MEMORY if is_known else None


def is_of_machine(error: BaseException) -> bool:
    """Tell whether an error, come while a file was read, is of the disk or of a shortage, and none of the file."""
    is_of_disk = isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)  # of offsets that are damaged
    return is_of_disk or shortage(error) is not None
