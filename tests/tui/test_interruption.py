"""Signals, and readers that close a pipe: commands end in order, soon and with the right exit code."""

import hashlib
import os
import signal
import subprocess
import sys

import pytest
from signals import Pty, default_signals, environment, modes_left
from web_server import Give, packed, serving

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def started(*arguments: object, **how: object) -> subprocess.Popen[bytes]:
    """Start Python with arguments; signals act as they do in a shell."""
    command = [sys.executable, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
    return subprocess.Popen(command, env=environment(), preexec_fn=default_signals, **pipes)  # noqa: PLW1509 - no threads


def interrupted(program: str, number: int) -> tuple[int, bytes, bytes]:
    """Run a program after `interrupt_on_signals`, and send a signal as soon as it prints; return code, out, err."""
    setup = "import signal, sys, time, tui.interruption as i; i._LEAVE_SECONDS = 0.1; i.interrupt_on_signals()\n"
    process = started("-c", setup + program)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    return (*process.communicate(timeout=60), process.returncode)[::-1]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_a_command_with_its_exit_code_and_without_a_traceback(number, tmp_path):
    with serving(Give(b"a" * 1000, stop=500, stall=60)) as server:
        arguments = ["fetch", "coco", "--mirror", server.url, "--sha256", "0" * 64, "--data-dir", tmp_path]
        process = started("-m", "tui", *arguments)
        assert process.stderr is not None
        while not server.seen:
            assert process.poll() is None, process.stderr.read()
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (128 + number, b"")
    assert b"interrupted; finished work is kept" in err
    assert b"Traceback" not in err


@pytest.mark.parametrize("number", SIGNALS)
def test_a_library_that_swallows_the_interruption_does_not_keep_the_process(number):
    swallow = """
while True:
    try:
        print("ready", flush=True)
        time.sleep(60)
    except BaseException:
        pass
"""
    assert interrupted(swallow, number)[0] == 128 + number


def test_an_interruption_that_a_library_turns_into_another_error_is_one():
    program = """
import tui.cli, tui.__main__
def main():
    try:
        print("ready", flush=True)
        time.sleep(60)
    except BaseException as error:
        raise ImportError from error
tui.cli.main = main
tui.__main__.run()
"""
    code, _, err = interrupted(program, signal.SIGTERM)
    assert (code, err) == (143, b"")


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interruption_while_a_module_is_imported_ends_the_program_at_once(number, tmp_path):
    (tmp_path / "slow.py").write_text("""
import os, time
try:
    print("ready", flush=True)
    time.sleep(60)
except BaseException:  # compiled modules do so
    os.abort()
""")
    assert interrupted(f"sys.path.insert(0, {str(tmp_path)!r})\nimport slow", number)[0] == 128 + number


HALF_WRITTEN = """
from pathlib import Path
from core.store.whole import whole_file
with whole_file(Path("hits.csv")) as work:
    work.write_text("half of it")
    while True:
        try:
            {step}
        except BaseException:
            {after}
"""


@pytest.mark.parametrize(
    ("step", "after"),
    [("import slow", "raise"), ("print(1, flush=True); time.sleep(60)", "pass")],
    ids=["while it imports a module", "in a library that swallows the interruption"],
)
def test_a_file_that_is_half_written_when_a_signal_ends_the_process_is_deleted(step, after, tmp_path, monkeypatch):
    (tmp_path / "slow.py").write_text("import time; print(1, flush=True); time.sleep(60)")
    monkeypatch.chdir(tmp_path)
    program = "sys.path.insert(0, '.')" + HALF_WRITTEN.format(step=step, after=after)
    assert interrupted(program, signal.SIGTERM)[0] == 143
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["slow.py"]


def test_an_interruption_within_generated_code_has_the_exit_code_of_its_signal():
    program = """
import tui.cli
def main():
    try:
        exec("print('ready', flush=True); time.sleep(60)")
    except KeyboardInterrupt:
        sys.exit(i.exit_code())
main()
"""
    assert interrupted(program, signal.SIGTERM)[0] == 143


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("moment", ["interrupt_on_signals", "end_at_once_on_signals"])
def test_a_signal_just_before_or_after_the_command_ends_it_alike(number, moment):
    program = f"""
import os, sys, tui.__main__ as program
act = program.{moment}
def signalled():
    if "{moment}" == "interrupt_on_signals":
        act()
    os.kill(os.getpid(), {int(number)})
    act()
program.{moment} = signalled
sys.argv = ["infersent-tui", "--version"]
program.run()
"""
    process = started("-c", program)
    assert b"Traceback" not in process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number


def test_a_hang_up_that_the_parent_ignores_is_ignored():
    program = "signal.signal(signal.SIGHUP, signal.SIG_IGN); i.interrupt_on_signals(); print(1, flush=True); input()"
    process = started("-c", f"import signal, tui.interruption as i; {program}", stdin=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    process.communicate(b"\n", timeout=60)
    assert process.returncode == 0


@pytest.mark.parametrize("number", SIGNALS)
def test_an_explorer_that_hangs_is_ended_and_its_terminal_is_as_before(number):
    program = """
import os, time, tui.watchdog
tui.watchdog._LEAVE_SECONDS = 0.1
from tui.app import ExplorerApp

def hang():
    os.write(1, b"hanging")
    time.sleep(60)

async def on_ready(app):
    app.call_after_refresh(hang)

ExplorerApp.on_ready = on_ready
watchdog = tui.watchdog.Watchdog(0)
watchdog.start()
ExplorerApp(lambda: time.sleep(60), watchdog).run()
"""
    terminal = Pty(["-c", program], module=None)
    try:
        assert terminal.read(60, until=b"hanging")
        terminal.process.send_signal(number)
        end = terminal.end()
        assert end.code == 128 + number
        assert terminal.faults(end) == []
        assert b"\x1b[<u" in end.written
        assert end.written.rindex(b"\x1b[<u") < end.written.rindex(b"\x1b[?1049l"), "of the alternate screen"
    finally:
        terminal.close()


def test_modes_that_are_left_are_found():
    assert modes_left(b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[?1004h\x1b[?1049l\x1b[?7h") == [25, 1004]


@pytest.mark.parametrize(
    ("arguments", "closed", "code"),
    [
        (["--help"], "stdout", 0),
        (["--version"], "stdout", 0),
        (["search", "--help"], "stdout", 0),
        (["completion", "bash"], "stdout", 0),
        (["no such command"], "stderr", 2),
        (["paths", "--model", "missing.pkl"], "stderr", 2),
    ],
)
def test_a_reader_that_closes_a_pipe_changes_no_exit_code(arguments, closed, code):
    read, write = os.pipe()
    os.close(read)
    process = started("-m", "tui", *arguments, **{closed: write})
    os.close(write)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert not out
    assert not err


def test_work_goes_on_when_nobody_reads_its_messages(tmp_path):
    read, write = os.pipe()
    os.close(read)
    archive = packed(**{"annotations/captions_val2014.json": b"{}"})
    with serving(Give(archive)) as server:
        sha256 = hashlib.sha256(archive).hexdigest()
        arguments = ["fetch", "coco", "--mirror", server.url, "--sha256", sha256, "--data-dir", tmp_path]
        process = started("-m", "tui", *arguments, stderr=write)
        os.close(write)
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, out.decode()) == (0, f"{tmp_path / 'captions_val2014.json'}\n")
