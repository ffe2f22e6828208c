"""Plain files: opened so that nothing else is read in their place. Reading a pipe or a device may never end."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from core.assets import AssetError

_FROM_STDIN = "write them to a file, or pipe them into search or encode: COMMAND | infersent-tui encode --captions -"


class NotPlainError(OSError):
    """A pipe, a device or a socket stands in place of a file."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EINVAL, "is not a plain file", str(path))


def open_plain(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a plain file, or a link to one, for its owner alone where it is made; return its descriptor.

    Raises:
        OSError: It cannot be opened, or is something else (`NotPlainError`), whose other end is not waited for.
    """
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY, 0o600)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket, or a pipe that nobody reads
            raise NotPlainError(path) from error
        raise
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise NotPlainError(path)


def read_short(path: Path, *, most: int) -> str:
    """Read a plain text file that has no reason to be long.

    Raises:
        OSError: It cannot be opened or read, or is no plain file.
        ValueError: It has more characters than `most`, or is not UTF-8.
    """
    with os.fdopen(open_plain(path), encoding="utf-8") as file:
        text = file.read(most + 1)
    if len(text) > most:
        raise ValueError(f"it has more than {most:,} characters")
    return text


def refuse_pipes(*files: Path | None, captions: Path | None = None) -> None:
    """Refuse named files that are none, as a shell's `<(COMMAND)`: they are read several times, and to their end.

    Args:
        files: Weights, vectors, embeddings; None for those that are not named.
        captions: Captions, which may also be standard input, `-`.

    Raises:
        AssetError: One is a pipe, a device or a socket.
    """
    for path in filter(None, (*files, captions)):
        with suppress(OSError, ValueError):  # told by who opens it
            mode = path.stat().st_mode
            if str(path) != "-" and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                advice = _FROM_STDIN if path is captions else "write it to a file, and name that one"
                raise AssetError(path, "is not a plain file", expected="a file", advice=advice)
