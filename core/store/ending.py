"""Ending: how a process ends without unwinding, and leaves no temporary file behind."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

unfinished: set[Path] = set()
"""Temporary files that this process writes now."""


def delete_unfinished() -> None:
    """Delete the temporary files of this process, which ends without unwinding."""
    for path in list(unfinished):
        with suppress(OSError):
            path.unlink()


def end_process(code: int) -> NoReturn:
    """End the process at once: Python's own shutdown takes a second with torch, and waits for threads.

    Nothing finished is lost, since what is unfinished never has the name of what is whole.
    """
    delete_unfinished()
    os._exit(code)
