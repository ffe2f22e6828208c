"""Count the bytes that the program sends to the terminal for a keystroke, in a pseudo-terminal with true colours.

The alternative is to paint the whole screen at each key: what is sent after a resize, which paints it, is counted.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from typing import Any

import pexpect

from benchmarks.material import temporary_folder

_SIZES = {"80x24": (24, 80), "120x36": (36, 120)}
_TEXT = "a dog runs on the beach"
_KEY_SECONDS = 0.8  # between two keys, so that what follows a pause in the typing is counted too
_QUIET_SECONDS = 4.0
_MOST_SECONDS = 120.0  # to start
_PAGE_DOWN = "\x1b[6~"


def run(*, quick: bool = False) -> dict[str, Any]:
    """Measure typing, moving the cursor, random captions and paging, with the bundled encoder and captions."""
    result: dict[str, Any] = {
        "question": "bytes sent to the terminal per keystroke",
        "alternative": "the whole screen painted at each keystroke",
    }
    with temporary_folder() as folder:
        flags = ["--cache-dir", folder, "--no-trail", "--seed", "1"]
        for size in ("80x24",) if quick else _SIZES:
            for name, more in {"": [], " --low-bandwidth": ["--low-bandwidth"]}.items():
                result[size + name] = _count(_SIZES[size], flags + more, folder, rounds=2 if quick else 8)
    return result


def _count(size: tuple[int, int], flags: list[str], home: str, *, rounds: int) -> dict[str, float]:
    """Return the mean number of bytes per key, by what the key does."""
    own = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home}
    command = ["-m", "tui", *flags]
    terminal = pexpect.spawn(sys.executable, command, env=os.environ | own, dimensions=size, timeout=_MOST_SECONDS)
    terminal.delaybeforesend = None
    try:
        terminal.expect("neighbours")
        _wait_until_quiet(terminal)
        kinds = {  # by what the key does: the key that leads there, and the keys that are counted
            "typing": ("/", _TEXT[: 4 * rounds]),
            "moving the cursor": ("\r", "j" * rounds),
            "random captions": ("", "r" * rounds),
            "paging": ("", [_PAGE_DOWN] * rounds),
        }
        figures = {}
        for kind, (first, keys) in kinds.items():
            _press(terminal, first)
            figures[kind] = sum(_press(terminal, key) for key in keys) / len(keys)
        return figures | {"the whole screen": _whole(terminal, size)}
    finally:
        terminal.close(force=True)


def _whole(terminal: pexpect.spawn, size: tuple[int, int]) -> int:
    """Return the number of bytes of the whole screen, which another terminal size makes the program paint again."""
    rows, columns = size
    terminal.setwinsize(rows, columns - 1)
    _read(terminal, _KEY_SECONDS)
    terminal.setwinsize(rows, columns)
    return _read(terminal, _KEY_SECONDS)


def _press(terminal: pexpect.spawn, key: str) -> int:
    """Return the number of bytes that the program sends after a key."""
    terminal.send(key)
    return _read(terminal, _KEY_SECONDS)


def _read(terminal: pexpect.spawn, seconds: float) -> int:
    """Read for some seconds; return the number of bytes."""
    count, ends = 0, time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        with suppress(pexpect.TIMEOUT):
            count += len(terminal.read_nonblocking(1 << 16, timeout=left))
    return count


def _wait_until_quiet(terminal: pexpect.spawn) -> None:
    """Read until nothing has come for some seconds: the progress of the calibration is over."""
    while _read(terminal, _QUIET_SECONDS):
        pass
