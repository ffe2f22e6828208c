"""The program in a pseudo-terminal of 80x24: the tests send keys and read the screen."""

import contextlib
import fcntl
import os
import pty
import random
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pexpect
import pyte
import pytest
from conftest import Files, demo_texts, write_weights
from hypothesis import settings
from key_model import KEYS, OTHER_SCREENS, PLACEHOLDER, Model

pytestmark = pytest.mark.opened


PATIENCE = 60.0
"""Seconds to wait before a test fails; importing torch is slow on a busy machine."""

ENTER, DOWN, ESCAPE, BACKSPACE, CTRL_C, CTRL_R = "\r", "\x1b[B", "\x1b", "\x7f", "\x03", "\x12"


HIT = re.compile(r"[│ ]?([› •])\s*(\d+) +(\d*\.\d+) .{6} (.*?)\s*[▁-█▎]?\s*(?:│.*)?$")
"""A line of the list: mark, rank, distance, bar, caption; then perhaps the panels beside it."""


class Terminal:
    """The program in a pseudo-terminal, and the screen that it draws."""

    def __init__(self, arguments: list[str], *, columns: int = 80, lines: int = 24, **environment: str) -> None:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("INFERSENT_TUI_", "TEXTUAL", "NO_COLOR", "COLORTERM", "TERM", "TMUX"))
        }
        root = str(Path(__file__).parents[2])
        settings = {"TERM": "xterm-256color", "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
        # The shell prints the terminal's settings before and after the program, and continues it when it was suspended.
        script = """
            set -m
            stty -g
            "$@"
            code=$?
            while [ $code -eq 147 ] || [ $code -eq 148 ]; do sleep 0.5; fg > /dev/null; code=$?; done
            echo "exit code $code"
            stty -g
        """
        self.process = pexpect.spawn(
            "/bin/sh",
            ["-c", script, "sh", sys.executable, "-m", "tui", *arguments],
            dimensions=(lines, columns),
            env=kept | settings | environment,
        )
        self.process.delaybeforesend = None
        self.written = b""
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def lines(self) -> list[str]:
        """The lines of the screen."""
        return list(self._screen.display)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def query(self) -> str:
        """The text in the search box."""
        title = next((i for i, line in enumerate(self.lines[:3]) if "─ query" in line), None)
        return self.lines[1].strip(" >") if title is None else self.lines[title + 1].strip(" │")

    @property
    def hits(self) -> list[tuple[int, float, str]]:
        """The visible hits as (rank, distance, caption)."""
        found = map(HIT.match, self.lines)
        return [(int(hit[2]), float(hit[3]), hit[4].strip()) for hit in found if hit]

    @property
    def cursor(self) -> str:
        """The caption under the list's cursor."""
        return next((hit[4].strip() for hit in map(HIT.match, self.lines) if hit and hit[1] == "›"), "")

    @property
    def in_box(self) -> bool:
        """Whether the search box has the focus; the footer then lacks the key `r`."""
        return "random" not in self.lines[-1]

    @property
    def is_grey(self) -> bool:
        """Whether no character has a colour."""
        colours = {char.fg for row in self._screen.buffer.values() for char in row.values()} - {"default"}
        return all(map(_is_grey, colours))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.process.send(key.encode())

    def type_into_box(self, text: str) -> None:
        """Go to the search box and replace its text."""
        self.press("/")
        self.wait_for(lambda terminal: terminal.in_box, "the search box with the focus")
        self.press(text)

    def clear(self) -> None:
        """Forget what was drawn, as a terminal does that shows another screen."""
        self._screen.reset()

    def resize(self, columns: int, lines: int) -> None:
        self._screen.resize(lines, columns)
        self.process.setwinsize(lines, columns)

    def wait_for(self, seen: Callable[["Terminal"], object], what: str) -> None:
        """Read the screen until a condition holds."""
        deadline = time.monotonic() + PATIENCE
        while not seen(self):
            if time.monotonic() > deadline:
                pytest.fail(f"{what}: not seen in time\n{self.text}")
            try:
                self._take(self.process.read_nonblocking(1 << 16, timeout=0.1))
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                if seen(self):
                    return
                pytest.fail(f"{what}: the program ended first\n{self.text}\n{self.written[-3000:]!r}")

    def wait_for_text(self, text: str) -> None:
        self.wait_for(lambda terminal: text in terminal.text, repr(text))

    def settled_hits(self) -> list[tuple[int, float, str]]:
        """Wait until the list has not changed for a second."""
        since, before = time.monotonic(), self.hits
        while time.monotonic() - since < 1:
            with contextlib.suppress(pexpect.TIMEOUT):
                self._take(self.process.read_nonblocking(1 << 16, timeout=0.1))
            if self.hits != before:
                since, before = time.monotonic(), self.hits
        return before

    def exit_code(self) -> int:
        """Wait for the program to end, check that the terminal is restored, and return the exit code."""
        while True:
            try:
                self._take(self.process.read_nonblocking(1 << 16, timeout=PATIENCE))
            except pexpect.EOF:
                break
        self.process.wait()
        before, after = (line.strip() for line in (self.written.split(b"\n")[0], self.written.split(b"\n")[-2]))
        assert before == after, "the terminal's settings are restored"
        for switch in (b"1049", b"1000", b"1003", b"2004"):
            assert self.written.rfind(b"\x1b[?%sl" % switch) >= self.written.rfind(b"\x1b[?%sh" % switch), switch
        assert self.written.rfind(b"\x1b[?25h") > self.written.rfind(b"\x1b[?25l"), "the cursor is back"
        printed = re.search(rb"exit code (\d+)", self.written)
        assert printed is not None
        return int(printed[1])

    def _take(self, data: bytes) -> None:
        self.written += data
        # pyte would print the end of these queries about keyboard and modes.
        self._stream.feed(re.sub(rb"\x1b\[(?:[<>=?][0-9;]*u|\?[0-9;]*\$p|>[0-9;]*q)", b"", data))


@pytest.fixture
def start() -> Iterator[Callable[..., Terminal]]:
    """A function that starts the program in a terminal; it is stopped at the end of the test."""
    started: list[Terminal] = []

    def start(*arguments: str, **settings: object) -> Terminal:
        started.append(Terminal(list(arguments), **settings))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for terminal in started:
        terminal.process.close(force=True)


def answered(terminal: Terminal) -> bool:
    return bool(terminal.query) and len(terminal.hits) > 3 and re.search("RELIABLE|DOUBTFUL", terminal.text)


def is_caption(query: str, texts: list[str]) -> bool:
    """Return whether the search box shows a caption, or the beginning of a long one."""
    return len(query) > 10 and any(text.startswith(query) for text in texts)


def test_a_session_from_the_first_answer_to_the_last_key(start, files: Files):
    texts = demo_texts(300)
    terminal: Terminal = start(*files.flags, NO_COLOR="")

    terminal.wait_for(answered, "the neighbours of a random caption")
    assert not terminal.is_grey, "an empty NO_COLOR means nothing"
    first = terminal.query
    assert is_caption(first, texts), "it starts with a caption"
    assert terminal.hits[0][:2] == (1, 0.0)
    assert terminal.hits[0][2]
    assert first.startswith(terminal.hits[0][2].rstrip("…")), "which is its own first hit"
    assert "weights" in terminal.lines[0]
    assert "· 300 │" in terminal.lines[0]
    assert terminal.cursor == terminal.hits[1][2], "the cursor rests on the nearest other caption"

    terminal.type_into_box("a dog runs on the beach")
    terminal.wait_for(lambda t: t.query == "a dog runs on the beach", "the typed text")
    terminal.wait_for(lambda t: "beach" in "".join(t.lines[4:]), "the answer to the typed text")
    typed = terminal.settled_hits()
    assert not first.startswith(typed[0][2].rstrip("…")), "no longer those of the first query"

    terminal.press(DOWN, "j")  # leaves the box; then moves in the list
    terminal.wait_for(lambda t: t.cursor == typed[1][2], "the cursor on the second hit")
    assert terminal.query == "a dog runs on the beach", "in the list, keys do not type"
    terminal.press("k")
    terminal.wait_for(lambda t: t.cursor == typed[0][2], "the cursor on the first hit again")
    terminal.press("j")

    terminal.press(ENTER)  # follow
    terminal.wait_for(lambda t: t.query.startswith(typed[1][2].rstrip("…")), "the followed caption as the query")
    terminal.wait_for(lambda t: t.hits[0][:2] == (1, 0.0), "itself as its first hit")
    terminal.wait_for(lambda t: "from “a dog runs on the beach”" in t.lines[1], "where the person came from")

    terminal.press(BACKSPACE)
    terminal.wait_for(lambda t: t.query == "a dog runs on the beach", "the query before")
    terminal.wait_for(lambda t: t.hits == typed and t.cursor == typed[1][2], "its hits, with the cursor where it was")

    terminal.press("r")
    terminal.wait_for(lambda t: t.query != "a dog runs on the beach" and is_caption(t.query, texts), "a random caption")
    terminal.type_into_box("x")
    terminal.wait_for(lambda t: t.query == "x", "the box, where every key types")
    terminal.press(CTRL_R)
    terminal.wait_for(lambda t: is_caption(t.query, texts), "a random caption, asked from the box")
    terminal.press(DOWN)
    terminal.settled_hits()

    terminal.press("G")
    terminal.wait_for(lambda t: t.hits and t.hits[-1][0] == 300, "the end of the whole ranking")
    terminal.press("g")
    terminal.wait_for(lambda t: t.hits and t.hits[0][0] == 1, "its beginning")

    terminal.press("?")
    terminal.wait_for_text("random caption (ctrl+r from anywhere)")
    terminal.press(ESCAPE)
    terminal.wait_for(lambda t: "from anywhere" not in t.text, "the list, without the help")

    terminal.resize(160, 50)
    terminal.wait_for(lambda t: len(t.hits) > 20 and "importance of its words" in t.text, "a larger window")
    terminal.resize(80, 24)
    terminal.wait_for(lambda t: 3 < len(t.hits) < 20 and len(t.lines) == 24, "the small window again")

    terminal.press("q")
    assert terminal.exit_code() == 0


def test_keys_that_arrive_in_one_burst_all_type_and_ctrl_c_leaves_from_the_box(start, files: Files):
    terminal: Terminal = start(*files.flags)
    terminal.wait_for(answered, "the first answer")
    terminal.press("/quiet red rooms")  # as a slow connection delivers many keys together
    terminal.wait_for(lambda t: t.query == "quiet red rooms", "the typed text")
    terminal.press(CTRL_C)
    assert terminal.exit_code() == 0


def test_keys_typed_while_it_loads_are_kept(start, files: Files):
    terminal: Terminal = start(*files.flags)
    terminal.wait_for_text("starting")
    terminal.press("/", "two dogs play in the snow")
    terminal.wait_for(answered, "hits")
    assert terminal.query == "two dogs play in the snow"
    terminal.press(CTRL_C)
    assert terminal.exit_code() == 0


def test_keys_typed_before_the_first_frame_are_kept(start, files: Files):
    for keys in ("two dogs play", "/two dogs play"):
        terminal: Terminal = start(*files.flags)
        terminal.wait_for(lambda t: b"\n" in t.written, "the shell")
        terminal.press(keys)  # before the program reads
        terminal.wait_for(answered, "hits")
        terminal.wait_for(lambda t: t.query == "two dogs play", "the typed text")
        terminal.press(CTRL_C)
        assert terminal.exit_code() == 0


def test_a_query_without_known_words_has_no_hits(start, files: Files):
    terminal: Terminal = start(*files.flags)
    terminal.wait_for(answered, "the first answer")
    terminal.type_into_box("qwertz yxcvb ")
    terminal.wait_for(lambda t: "UNRELIABLE" in t.text and not t.hits, "a verdict and no hits")
    terminal.press(ESCAPE)
    terminal.wait_for(lambda t: "UNRELIABLE" in t.text and not t.hits, "the same")
    time.sleep(0.3)  # or escape and q would be read as alt+q
    terminal.press("q")
    assert terminal.exit_code() == 0


def test_captions_cannot_control_the_terminal(start, files: Files):
    captions = files.folder / "lines.txt"
    captions.write_text("a dog\x1b[2J\x1b]0;owned\x07 on the grass\na dog [red]on[/] the \u202e grass\na dog\n")
    terminal: Terminal = start(*replace(files, captions=captions).flags)
    terminal.wait_for(lambda t: len(t.hits) == 3, "three hits")
    assert "a dog␛[2J␛]0;owned␇ on the grass" in terminal.text
    assert "a dog [red]on[/] the \\u202e grass" in terminal.text
    assert b"owned\x07" not in terminal.written
    terminal.press("q")
    assert terminal.exit_code() == 0


def test_no_color_is_honoured(start, files: Files):
    terminal: Terminal = start(*files.flags, NO_COLOR="1")
    terminal.wait_for(answered, "the first answer")
    assert terminal.is_grey
    terminal.press("q")
    assert terminal.exit_code() == 0


def test_a_file_that_cannot_be_used_is_shown_in_a_panel_and_exits_2(start, files: Files):
    files.captions.write_text('{"annotations": [{"image_id": 1, "bbox": [0, 0, 1, 1]}]}')
    terminal: Terminal = start(*files.flags)
    terminal.wait_for_text("This file or setting cannot be used")
    for text in ("found", "COCO *instances*", "expected", "what to do", "q: quit"):
        terminal.wait_for_text(text)
    assert "Traceback" not in terminal.text
    terminal.press("q")
    assert terminal.exit_code() == 2
    assert b"Traceback" not in terminal.written


def test_a_captions_file_is_opened_by_its_name_and_what_was_understood_is_shown(start, files: Files):
    captions = files.folder / "mine.token"
    captions.write_text("a.jpg#0\ta man on a beach\na.jpg#1\ta horse\n")
    flags = files.flags
    at = flags.index("--captions")
    terminal: Terminal = start(str(captions), *flags[:at], *flags[at + 2 :])
    terminal.wait_for_text("2 captions of 1 image")
    terminal.press("?")
    terminal.wait_for_text("These captions:")
    terminal.press("q", "q")
    assert terminal.exit_code() == 0


def test_a_run_is_resumed_with_its_files_and_the_way_they_were_read(start, files: Files, monkeypatch):
    table = files.folder / "table.csv"
    texts = [text.replace(",", "") for text in demo_texts(80)]
    rows = [f"{one},{other}" for one, other in zip(texts[:40], texts[40:], strict=True)]
    table.write_text("\n".join(["one,other", *rows]) + "\n")
    flags = ["--model", str(files.weights), "--vectors", str(files.vectors), "--cache-dir", str(files.cache)]
    terminal: Terminal = start(*flags, "--text-column", "other", "--model-version", "2", str(table))
    terminal.wait_for(lambda t: is_caption(t.query, texts[40:]), "a caption of the column that was named")
    terminal.press("r")
    terminal.settled_hits()
    last = terminal.query
    terminal.press("q")
    assert terminal.exit_code() == 0
    monkeypatch.chdir(files.folder.parent)
    others = {"INFERSENT_TUI_CAPTIONS": str(files.captions), "INFERSENT_TUI_VOCAB_SIZE": "all"}
    terminal = start("--cache-dir", str(files.cache), "--resume", **others)
    terminal.wait_for(lambda t: t.query == last and t.hits, "the last query of the run")
    assert "table · 40 │ weights" in terminal.lines[0]
    terminal.press("q")
    assert terminal.exit_code() == 0


def test_a_missing_file_is_shown_in_a_panel(start, files: Files):
    terminal: Terminal = start(*replace(files, weights=files.folder / "nowhere.pkl").flags)
    terminal.wait_for_text("no such file")
    terminal.press(CTRL_C)
    assert terminal.exit_code() == 2


def test_other_captions_are_explored_in_the_same_terminal(start, files: Files):
    other = files.folder / "other.txt"
    other.write_text("\n".join(demo_texts(60)))
    broken = files.folder / "broken.json"
    broken.write_text("{}")
    flags = [flag for flag in files.flags if flag not in ("--captions", str(files.captions))]
    terminal: Terminal = start(*flags, str(broken))
    terminal.wait_for_text("o: open another file")
    terminal.press("o")
    terminal.wait_for_text("Which file of captions?")
    terminal.press(*str(other), ENTER)
    terminal.wait_for(
        lambda t: "other · 60" in t.lines[0] and is_caption(t.query, demo_texts(60)), "the other captions"
    )
    terminal.settled_hits()
    terminal.press("q")
    assert terminal.exit_code() == 0


def test_quitting_while_modules_load_is_possible(start, files: Files):
    terminal: Terminal = start(*files.flags)
    terminal.wait_for_text("starting")
    terminal.press(CTRL_C)
    assert terminal.exit_code() == 0


def test_quitting_while_captions_are_encoded_restores_the_terminal(start, files: Files):
    texts = demo_texts(300)
    captions = files.folder / "long.txt"
    captions.write_text("".join(f"{a[:-1]} and {b}\n" for a in texts[:40] for b in texts))
    weights = write_weights(files.folder / "large.pkl", hidden=512)
    terminal: Terminal = start(*replace(files, captions=captions, weights=weights).flags)
    terminal.wait_for_text("encoding captions")
    terminal.wait_for(lambda t: re.search(r"of 12,000 captions", t.text), "the progress")
    terminal.press(CTRL_C)
    assert terminal.exit_code() == 0


def test_the_program_goes_on_after_it_was_suspended_and_paints_the_whole_screen(start, files: Files):
    terminal: Terminal = start(*files.flags)
    terminal.wait_for(answered, "the first answer")
    for times in (1, 2):
        terminal.press("\x1a")  # ctrl+z
        terminal.wait_for(lambda t, n=times: t.written.count(b"\x1b[?1049l") == n, "the shell")
        terminal.clear()
        terminal.wait_for(lambda t: "[infersent]" in t.lines[0] and t.hits, "the whole screen")
    terminal.type_into_box("a dog")
    terminal.wait_for(lambda t: t.query.endswith("a dog"), "what was typed")
    terminal.press(CTRL_C)
    assert terminal.exit_code() == 0


def test_a_panel_is_suspended_as_the_list_is(start, files: Files):
    terminal: Terminal = start(*files.flags)
    terminal.wait_for(answered, "the first answer")
    terminal.press("?")
    terminal.wait_for_text("esc closes")
    terminal.press("\x1a")  # ctrl+z
    terminal.wait_for(lambda t: t.written.count(b"\x1b[?1049l") == 1, "the shell")
    terminal.clear()
    terminal.wait_for_text("esc closes")
    terminal.press(CTRL_C)
    assert terminal.exit_code() == 0


def _is_grey(colour: str) -> bool:
    if re.fullmatch("[0-9a-f]{6}", colour):
        return colour[:2] == colour[2:4] == colour[4:]
    return colour in ("black", "white", "brightblack", "brightwhite")


def test_bursts_in_a_real_terminal_do_what_they_would_do_one_by_one(start, files: Files):
    draw = random.Random(0)
    terminal: Terminal = start(*files.flags, columns=200)
    terminal.wait_for(answered, "the opening caption")
    model = Model(terminal.query)
    names = [*"ab z,.'é0/i", *(name for name in KEYS if name != "ctrl+r")]
    for _ in range(1000 if settings.get_current_profile_name() == "long" else 40):
        keys = draw.choices(names, k=draw.randint(1, 12))
        if model.in_box and len(model.value) > 100:
            keys = ["ctrl+e", "ctrl+u", *keys]
        sent = ""
        for name in keys:
            if name not in {"enter", *OTHER_SCREENS} or model.in_box:  # enter follows the hit under the cursor
                sent += KEYS.get(name, name)
                model.press(name)
        if draw.random() < 0.2:
            sent += "\x1b[200~a \x1b[31m\x03\x11dog\x1b[201~"
            model.paste("a ␛[31m␃␑dog")
        terminal.press(sent)
        wanted = (model.value.strip() if model.value else PLACEHOLDER, model.in_box)
        terminal.wait_for(partial(shows, wanted), f"{wanted} after {sent!r}")


def shows(wanted: tuple[str, bool], terminal: Terminal) -> bool:
    return (terminal.query.strip(), terminal.in_box) == wanted


MOMENTS = ["starting", "loading", "typing", "scrolling", "comparing", "painting"]


def cut_off(files: Files, moment: str, *, has_controlling_terminal: bool, seconds: float) -> int | None:
    """Cut the terminal off at a moment; return the exit code, None if it did not end."""
    primary, secondary = pty.openpty()
    fcntl.ioctl(primary, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    arguments = [sys.executable, "-m", "tui", *files.flags]
    environment = os.environ | {"TERM": "xterm-256color", "PYTHONPATH": str(Path(__file__).parents[2])}

    def own_terminal() -> None:
        os.setsid()
        if has_controlling_terminal:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        arguments,
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
        env=environment,
        preexec_fn=own_terminal,  # noqa: PLW1509 - it only makes system calls
    )
    os.close(secondary)
    written = b""

    def read(until: Callable[[], bool]) -> None:
        nonlocal written
        deadline = time.monotonic() + PATIENCE
        while not until() and time.monotonic() < deadline:
            if select.select([primary], [], [], 0.02)[0]:
                written += os.read(primary, 1 << 16)

    if moment == "starting":
        time.sleep(seconds / 5)
    else:
        if moment != "loading":
            read(lambda: b"follow" in written)
        else:
            read(lambda: b"\x1b[?1049h" in written)  # the screen is there, the encoder is not
        keys = {
            "typing": b"/a dog runs on the beach ",
            "scrolling": b"jjjjjjGkkkkg",
            "comparing": b"c\t\t",
            "painting": b"rrrrrrrrrrrr",
        }
        os.write(primary, keys.get(moment, b""))
        if moment == "painting":  # nobody reads: the terminal fills up and the program's writing blocks
            for _ in range(300):
                os.write(primary, b"jkjkjkjkr")
                time.sleep(seconds / 300)
        else:
            end = time.monotonic() + seconds
            read(lambda: time.monotonic() > end)
    os.close(primary)
    try:
        code: int | None = process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        code = None
        process.kill()
        process.wait()
    return code


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_program_ends_when_its_terminal_is_cut_off(files: Files, moment):
    draw = random.Random(moment)
    cuts = 16 if moment == "starting" else 1
    for cut in range(40 if settings.get_current_profile_name() == "long" else cuts):
        seconds = draw.uniform(0, 2)
        controls = (cut + MOMENTS.index(moment)) % 2 == 0  # every other cut, and at every other moment the first
        code = cut_off(files, moment, has_controlling_terminal=controls, seconds=seconds)
        killed_before_it_could_watch = code == -signal.SIGHUP and moment == "starting"  # a shell reports 129 too
        assert code == 129 or killed_before_it_could_watch, f"{code} after {seconds} s, cut {cut}"
