"""Run the command line: `python -m tui` is the same as `infersent-tui`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from tui.interruption import Interrupted, end_at_once_on_signals, exit_code, interrupt_on_signals, is_interrupted


def run() -> None:
    """Run `main` so that signals end it in order and soon, also while modules are imported."""
    try:
        interrupt_on_signals()
        try:
            from tui.cli import main

            main()
        except BaseException:  # libraries turn an interruption into other errors
            if not is_interrupted():
                raise
            with suppress(OSError, ValueError):
                sys.stdout.flush()
            os._exit(exit_code())  # the interpreter's shutdown takes a second with torch
        finally:
            end_at_once_on_signals()
    except Interrupted:  # it came before or after all that
        os._exit(exit_code())


if __name__ == "__main__":
    run()
