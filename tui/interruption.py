"""Interruption: SIGINT, SIGTERM and SIGHUP end a command in order and soon, with the exit code that shells expect."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType

from core.store.ending import end_process

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask the program to end."""
_LEAVE_SECONDS = 1.5  # the longest wait for an orderly end
_IMPORTING = "<frozen importlib._bootstrap>"  # the file of Python's own code that imports a module
_received: list[int] = []


class Interrupted(KeyboardInterrupt):
    """A signal has come. Of `KeyboardInterrupt` itself, Python may remember one and end itself by SIGINT."""


def is_interrupted() -> bool:
    """Tell whether one of the signals has come."""
    return bool(_received)


def exit_code() -> int:
    """Return the exit code of an interrupted command: 128 and the number of the signal, 130 without one."""
    return 128 + (_received[0] if _received else signal.SIGINT)


def interrupt_on_signals() -> None:
    """Let these signals raise `Interrupted` in the main thread, unless the parent has them ignored, as nohup does.

    While a module is imported, the process ends at once. It also ends if the command has not ended soon, because it is
    inside a library or a library has swallowed the exception; what is finished is kept. A second signal ends it, too.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    threading.Thread(target=_end_soon, args=[read], name="interruption", daemon=True).start()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_at_once_on_signals() -> None:
    """Let these signals end the process at once, now that its work is done."""
    for number in SIGNALS:
        if signal.getsignal(number) is _interrupt:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    end_at_once_on_signals()
    _received.append(number)
    while frame is not None:  # compiled modules may abort at an exception that comes while they are imported
        if frame.f_code.co_filename == _IMPORTING:
            end_process(128 + number)
        frame = frame.f_back
    raise Interrupted


def _end_soon(read: int) -> None:
    """Wait until the interpreter writes the number of one of these signals, then end the process after a while."""
    while (number := os.read(read, 1)[0]) not in SIGNALS:
        pass
    time.sleep(_LEAVE_SECONDS)
    end_process(128 + number)
