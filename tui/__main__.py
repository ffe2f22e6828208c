"""Run the command line: `python -m tui` is the same as `infersent-tui`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from core.store.ending import end_process
from tui.interruption import end_at_once_on_signals, exit_code, interrupt_on_signals, is_interrupted


def run() -> None:
    """Run `main` so that signals end it in order and soon, also while modules are imported."""
    _open_closed_streams()
    try:
        try:
            interrupt_on_signals()
            from tui.cli import main

            main()
        finally:
            end_at_once_on_signals()
    except BaseException as error:  # libraries turn an interruption into other errors
        if not is_interrupted():
            if not isinstance(error, Exception):
                raise
            from core.assets import AssetError
            from tui.output import FAULT, fault_text, tell_lines

            if short := AssetError.from_shortage("infersent-tui", error):
                tell_lines(str(short), err=True)
                sys.exit(2)
            tell_lines(fault_text(), err=True)
            sys.exit(FAULT)
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        end_process(exit_code())


def _open_closed_streams() -> None:
    """Let streams that the caller has closed lead nowhere; else files of the cache would get their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):  # each gets the lowest free number
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - it stays open


if __name__ == "__main__":
    run()
