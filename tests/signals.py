"""Random signals: send signals to commands and to the explorer at random moments, and look at how they end.

`python tests/torture.py --signals 150` runs this.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import random
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import NamedTuple

from conftest import demo_texts, make_files

ROOT = Path(__file__).parents[1]
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SECONDS = 6.0
"""The longest time from a signal to the end of the process, on a busy machine."""
KEYS = {
    "starting": b"",
    "typing": b"/a dog runs on the beach",
    "help": b"?",
    "compare": b"c",
    "variations": b"x",
    "features": b"w",
    "trail": b"t",
    "palette": b"\x10",
    "prompt": b"e",
    "fetch": b"\x10official\r",
    "scrolling": b"Gkkkg",
}
_MODE = re.compile(rb"\x1b\[\?(\d+)([hl])")
_ON_BEFORE = {7, 25}  # line wrap and the cursor; all other modes are off


class End(NamedTuple):
    """How a process ended."""

    code: int
    """As `subprocess` tells it: negative if the signal itself ended the process."""
    written: bytes
    seconds: float
    """From the signal to the end."""


def environment() -> dict[str, str]:
    """The variables of a process under test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("INFERSENT_TUI_", "TEXTUAL"))}
    return kept | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "OMP_NUM_THREADS": "1"}


def default_signals() -> None:
    """Take back what a parent ignores, as background jobs ignore SIGINT."""
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)


def modes_left(written: bytes) -> list[int]:
    """List the modes of the terminal that a program has left other than they were."""
    last = {int(mode): switch == b"h" for mode, switch in _MODE.findall(written)}
    return sorted(mode for mode, is_on in last.items() if is_on != (mode in _ON_BEFORE))


class Pty:
    """Python, usually with the program, in a pseudo-terminal that is its controlling one."""

    def __init__(self, arguments: list[str], *, module: str | None = "tui") -> None:
        self.primary, self._secondary = os.openpty()
        fcntl.ioctl(self.primary, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self._before = termios.tcgetattr(self._secondary)
        self.written = b""

        def own_terminal() -> None:
            default_signals()
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [sys.executable, *([] if module is None else ["-m", module]), *arguments],
            **dict.fromkeys(("stdin", "stdout", "stderr"), self._secondary),
            env=environment(),
            preexec_fn=own_terminal,  # noqa: PLW1509 - it only makes system calls
        )

    def read(self, seconds: float, until: bytes | None = None) -> bool:
        """Read what it draws for so long, or until some bytes were drawn or it ended; return whether they were."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if select.select([self.primary], [], [], 0.02)[0]:
                self.written += os.read(self.primary, 1 << 16)
            elif self.process.poll() is not None:
                break
            if until is not None and until in self.written:
                return True
        return until is None

    def press(self, keys: bytes) -> None:
        os.write(self.primary, keys)

    def resize(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self.primary, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def go_on(self) -> bool:
        """Continue it if it was stopped; return whether it was."""
        stopped = os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOHANG) is not None
        if stopped:
            self.process.send_signal(signal.SIGCONT)
        return stopped

    def end(self, seconds: float = 20.0) -> End:
        """Read until it ends; kill it if it does not."""
        began = time.monotonic()
        while self.process.poll() is None and time.monotonic() - began < seconds:
            self.go_on()
            self.read(0.05)
        took = time.monotonic() - began
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.read(0.1)
        return End(self.process.returncode, self.written, took)

    def faults(self, end: End) -> list[str]:
        """Say what is wrong with how it left the terminal."""
        faults = [f"mode {mode} is left" for mode in modes_left(end.written)]
        if termios.tcgetattr(self._secondary) != self._before:
            faults.append("the terminal's settings are not restored")
        return faults

    def close(self) -> None:
        for descriptor in (self.primary, self._secondary):
            os.close(descriptor)


def faults_of(end: End, sent: signal.Signals, *, may_finish: bool) -> list[str]:
    """Say what is wrong with how a process ended after a signal, before which it may have finished."""
    faults: list[str] = []
    if b"KeyboardInterrupt" in end.written and str(ROOT).encode() not in end.written:
        return faults  # Python itself was interrupted, before it ran the program
    if end.code not in (128 + sent, -sent) and not (end.code == 0 and may_finish):
        faults.append(f"exit code {end.code}, printed {end.written[-300:].decode(errors='replace')!r}")
    if b"Traceback" in end.written or b"Error" in end.written or b"Exception" in end.written:
        faults.append(f"printed {end.written[-1500:].decode(errors='replace')}")
    if end.seconds > SECONDS:
        faults.append(f"took {end.seconds:.1f} s")
    return faults


class Signals:
    """Sends signals and counts.

    Args:
        place: An empty folder for all files.
        url: Of the server that has `archive`, for `fetch`.
        seed: Of the moments.
    """

    def __init__(self, place: Path, url: str, archive: bytes, seed: int) -> None:
        self.sent = self.wrong = 0
        (place / "files").mkdir()
        files = make_files(place / "files", demo_texts(300))
        self._files, self._rng, self._place = files, random.Random(seed), place / "signals"
        self._seconds: dict[str, float] = {}  # that commands took that ended before their signal
        lines = files.folder / "lines.txt"
        lines.write_text("\n".join(f"a dog number {i} runs on the beach" for i in range(1000)))
        at = self._place
        flags = files.flags[:-2]
        sha256 = hashlib.sha256(archive).hexdigest()
        fresh, ready = [*flags, "--cache-dir", str(at / "cache")], files.flags
        self._commands = {
            "encode": ["encode", *fresh],
            "calibrate": ["calibrate", *ready],
            "export": ["export", "-o", str(at / "captions.parquet"), *ready],
            "embed": ["embed", str(lines), "-o", str(at / "embeddings.npy"), *fresh],
            "stress": ["stress", *ready],
            "compare": ["compare", "a dog on the beach", *ready],
            "search": ["search", "-", "--jsonl", *ready],
            "fetch": [
                "fetch",
                "coco",
                "--mirror",
                url,
                "--sha256",
                sha256,
                "--data-dir",
                str(at / "official"),
            ],
        }

    def send(self, count: int) -> None:
        """Send so many signals, each to a new process."""
        for i in range(count):
            shutil.rmtree(self._place, ignore_errors=True)
            self._place.mkdir()
            if i % 10 == 9:
                print(f"{self.sent} signals, {self.wrong} wrong", flush=True)
            if i % 2:
                name, what, faults = self._to_explorer()
            else:
                name, what, faults = self._to_command()
            self.sent += 1
            self.wrong += bool(faults)
            for fault in faults:
                print(f"{what} to {name}: {fault}", flush=True)

    def _to_command(self) -> tuple[str, str, list[str]]:
        name, sent = self._rng.choice(list(self._commands)), self._rng.choice(ENDING)
        moment = self._rng.uniform(0, self._seconds.get(name, 8.0))
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "tui", *self._commands[name]],
            stdin=subprocess.PIPE,  # left open: `search` waits for more queries
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment(),
            preexec_fn=default_signals,  # noqa: PLW1509 - there are no threads here
        )
        if process.stdin is None or process.stderr is None:
            raise RuntimeError("no pipes")
        process.stdin.write(b"a dog on the beach\n")
        process.stdin.flush()
        try:
            process.wait(moment)
            self._seconds[name] = time.monotonic() - began
        except subprocess.TimeoutExpired:
            process.send_signal(sent)
        at = time.monotonic()
        written = process.stderr.read()
        end = End(process.wait(), written, time.monotonic() - at)
        faults = faults_of(end, sent, may_finish=True)
        if end.code != -sent and name in ("export", "embed"):
            faults += [f"left {path.name}" for path in self._place.glob("*.part*")]
        return name, f"{sent.name} after {moment:.2f} s", faults

    def _to_explorer(self) -> tuple[str, str, list[str]]:
        stage = self._rng.choice(["starting", *KEYS])
        is_fresh = stage == "starting" and self._rng.random() < 0.5
        flags = [*self._files.flags[:-2], "--cache-dir", str(self._place / "cache")] if is_fresh else self._files.flags
        program = Pty([*flags, "--no-trail"])
        try:
            moment = self._rng.uniform(0, 5 if stage == "starting" else 0.7)
            if stage != "starting":
                program.read(120, until=b"follow")
                program.press(KEYS[stage])
            program.read(moment)
            sent = self._rng.choice([*ENDING, signal.SIGTSTP, signal.SIGWINCH])
            what = f"{sent.name} after {moment:.2f} s"
            if sent == signal.SIGWINCH:
                for _ in range(30):
                    program.resize(self._rng.randint(1, 60), self._rng.randint(1, 200))
                    program.read(0.005)
                sent = signal.SIGTERM
            program.process.send_signal(sent)
            faults = []
            if sent == signal.SIGTSTP:
                for _ in range(50):
                    program.read(0.1)
                    if program.go_on():
                        break
                else:  # before the program heeds it, Linux drops it: no shell is there that could continue the process
                    faults += [] if stage == "starting" else ["did not stop"]
                program.read(0.3)
                sent = signal.SIGTERM
                program.process.send_signal(sent)
            end = program.end()
            faults += faults_of(end, sent, may_finish=False) + program.faults(end)
            return f"the explorer, {stage}", what, faults
        finally:
            program.close()
