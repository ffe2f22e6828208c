"""Run the command line: `python -m tui` is the same as `infersent-tui`."""

from __future__ import annotations

import sys
from contextlib import suppress

from core.store.ending import end_process
from tui.interruption import end_at_once_on_signals, exit_code, interrupt_on_signals, is_interrupted


def run() -> None:
    """Run `main` so that signals end it in order and soon, also while modules are imported."""
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


if __name__ == "__main__":
    run()
