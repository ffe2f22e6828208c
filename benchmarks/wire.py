"""Count the bytes that the program sends to the terminal for a keystroke, in a pseudo-terminal with true colours.

The alternative is to paint the whole screen at each keystroke: the bytes of the first screen are counted for it.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import pexpect

from benchmarks.material import temporary_folder

_SIZES = {"80x24": (24, 80), "120x36": (36, 120)}
_TEXT = "a dog runs on the beach"
_QUIET_SECONDS = 0.7  # the screen is painted when nothing has come for so long
_MOST_SECONDS = 60.0
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
    own = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home}
    command = ["-m", "tui", *flags]
    terminal = pexpect.spawn(sys.executable, command, env=os.environ | own, dimensions=size, timeout=_MOST_SECONDS)
    terminal.delaybeforesend = None
    try:
        terminal.expect("calibrat")
        _drain(terminal, 5.0)  # until the calibration is over
        kinds = {
            "typing": _TEXT[: 4 * rounds],
            "moving the cursor": ["\r", *"j" * rounds],
            "random captions": "r" * rounds,
            "paging": [_PAGE_DOWN] * rounds,
        }
        _press(terminal, "/")
        figures = {kind: sum(_press(terminal, key) for key in keys) / len(keys) for kind, keys in kinds.items()}
        return figures | {"the whole screen": _whole(terminal, size)}
    finally:
        terminal.close(force=True)


def _whole(terminal: pexpect.spawn, size: tuple[int, int]) -> int:
    """Return the number of bytes of the whole screen, which another terminal size makes the program paint again."""
    rows, columns = size
    terminal.setwinsize(rows, columns - 1)
    _drain(terminal, _QUIET_SECONDS)
    terminal.setwinsize(rows, columns)
    return _drain(terminal, _QUIET_SECONDS)


def _press(terminal: pexpect.spawn, key: str) -> int:
    """Return the number of bytes that a key makes the program send."""
    terminal.send(key)
    return _drain(terminal, _QUIET_SECONDS)


def _drain(terminal: pexpect.spawn, quiet: float) -> int:
    """Read until nothing has come for `quiet` seconds; return the number of bytes."""
    count, ends = 0, time.monotonic() + _MOST_SECONDS
    while time.monotonic() < ends:
        try:
            count += len(terminal.read_nonblocking(1 << 16, timeout=quiet))
        except pexpect.TIMEOUT:
            break
    return count
