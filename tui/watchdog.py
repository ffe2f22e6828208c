"""Watchdog: ends the program when its terminal is gone or a signal asks for it, even while the event loop is stuck.

When a connection dies while the screen paints, Textual's writing thread dies of the error, and the event loop waits
forever for it: no signal handler of the loop would run.
"""

from __future__ import annotations

import os
import select
import signal
import stat
import termios
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from core.store.ending import end_process
from tui.interruption import SIGNALS

_LOOK_SECONDS = 0.2  # between two looks at the terminal
_LEAVE_SECONDS = 1.5  # the longest wait for an orderly exit
_OFF = (1000, 1003, 1004, 1006, 1015, 2004, 2026, 2048)  # mouse, focus, pasting, synchronized output, resizing
_RESTORE = b"\x1b[<u" + b"".join(b"\x1b[?%dl" % mode for mode in _OFF) + b"\x1b[?7h\x1b[?1049l\x1b[?25h"


def is_gone(terminal: int) -> bool:
    """Tell whether the other end of a terminal, given by its file descriptor, has been closed."""
    poll = select.poll()
    poll.register(terminal, 0)  # hang-ups and errors are always reported
    return stat.S_ISCHR(os.fstat(terminal).st_mode) and bool(poll.poll(0))  # not a pipe, which may be closed too


class Watchdog(threading.Thread):
    """Watches a terminal. Start it before other threads, which inherit that these signals are left to it.

    Args:
        terminal: File descriptor of the terminal.
    """

    def __init__(self, terminal: int) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._terminal = terminal
        self._settings = termios.tcgetattr(terminal)
        self.ask_to_leave: Callable[[int], object] | None = None
        """Asks for an orderly exit with this code; None before the screen has started."""

    def start(self) -> None:
        """Leave the signals to this thread and start it."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        super().start()

    def run(self) -> None:
        """Wait for a signal or the end of the terminal, then end the program."""
        while True:
            received = signal.sigtimedwait(SIGNALS, _LOOK_SECONDS)
            if received is not None and received.si_signo in SIGNALS:  # else the thread was stopped and went on
                self._leave(128 + received.si_signo)
            elif is_gone(self._terminal):
                self._leave(128 + signal.SIGHUP)

    def _leave(self, code: int) -> None:
        """Ask for an orderly exit; if that takes too long, end the process. Nothing that is finished is lost."""
        deadline, asked = time.monotonic() + _LEAVE_SECONDS, False
        while time.monotonic() < deadline:
            if self.ask_to_leave is not None and not asked:
                asked = True
                with suppress(RuntimeError):  # the event loop has ended already
                    self.ask_to_leave(code)
            time.sleep(0.02)
        with suppress(OSError, termios.error):  # the terminal may be gone, or full
            os.set_blocking(self._terminal, False)
            os.write(self._terminal, _RESTORE)
            termios.tcsetattr(self._terminal, termios.TCSANOW, self._settings)
        end_process(code)
