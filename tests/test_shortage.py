"""Memory, threads and open files run out: an error says what to do, and nothing finished is made anew."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from conftest import Files, ask_caption, demo_texts, write_coco, write_weights

from core.assets import AssetError
from core.encoding.row_files import unfinished_rows
from core.opening import locate, open_
from core.store.cache import Cache
from core.store.progress import finish
from core.store.whole import MANIFEST


@contextmanager
def open_files_left(count: int) -> Iterator[None]:
    """Let this process open so many files more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = [os.dup(0) for _ in range(count + 1)]
    for number in free:
        os.close(number)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(free), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def made(files: Files) -> dict[Path, int]:
    """The finished folders of the cache, and what changes when one is made anew."""
    return {path: path.stat().st_ino for path in files.cache.glob(f"*/*/{MANIFEST}")}


@pytest.mark.parametrize("left", range(14))
def test_without_open_files_an_error_helps_and_finished_work_stays(opened_files: Files, left: int) -> None:
    before, wanted = made(opened_files), ask_caption(opened_files.explorer(), 7).hits.rows.tolist()
    try:
        with open_files_left(left):
            ask_caption(opened_files.explorer(), 7)
    except (AssetError, OSError) as error:
        told = error if isinstance(error, AssetError) else AssetError.from_shortage("", error)
        assert told is not None
        assert "too many files are open" in told.found
        assert "ulimit -n" in told.advice
    else:
        assert left > 3
    assert made(opened_files) == before
    assert ask_caption(opened_files.explorer(), 7).hits.rows.tolist() == wanted


def test_an_unfinished_matrix_is_continued_after_a_start_without_open_files(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.encoding.building.CHUNK", 40)
    cache = Cache(files.cache)
    folder = finish(locate(files.setup(), cache)).matrix
    steps = open_(files.setup(), cache)
    while (unfinished_rows(folder) or 0) < 100:
        next(steps)
    steps.close()
    for left in range(12):
        with open_files_left(left), suppress(AssetError, OSError):
            files.explorer()
    report = files.explorer().opened.report
    assert report.reused or report.resumed_rows >= 100
    assert report.started_over == ""


def test_a_check_of_the_cache_without_open_files_calls_nothing_damaged(opened_files: Files) -> None:
    cache, before = Cache(opened_files.cache), made(opened_files)
    for left in range(8):
        with open_files_left(left), suppress(AssetError, OSError):
            assert finish(cache.check()) == []
    assert made(opened_files) == before
    assert finish(cache.check()) == []


_LIMITED = """
import os, resource, sys
import core.explorer, core.opening, core.encoding.encoder, tui.__main__, tui.cli, tui.commands.search
import bm25s, nltk.tokenize, numba, pandas, pyarrow.parquet, torch
torch.nn.LSTM(2, 2)
used = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
resource.setrlimit(resource.RLIMIT_AS, (used + 30_000_000,) * 2)
tui.__main__.run()
"""


@pytest.mark.parametrize("large", ["weights", "captions"])
def test_without_memory_for_a_file_an_error_helps_and_finished_work_stays(opened_files: Files, large: str) -> None:
    """All is imported beforehand: without memory, an import raises errors of any kind."""
    before = made(opened_files)
    if large == "weights":
        write_weights(opened_files.weights, hidden=1200)
    else:
        write_coco(opened_files.captions, demo_texts(2000) * 200)
    command = [sys.executable, "-c", _LIMITED, "search", *opened_files.flags, "a dog on the grass"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.splitlines()[-2:] == [
        "infersent-tui: there is not enough memory",
        "what to do: close other programs, or allow more memory: ulimit -v unlimited; finished work is kept",
    ]
    assert made(opened_files).items() >= before.items()


def test_a_thread_that_cannot_start_keeps_no_other_waiting() -> None:
    program = """
import threading, torch
from core.encoding.threads import run_in_parallel
torch.set_num_threads(3)
begin, count = threading.Thread.start, []
def start(self):
    if self.name.startswith("compute"):
        count.append(1)
        if len(count) == 2:
            raise RuntimeError("can't start new thread")
    begin(self)
threading.Thread.start = start
try:
    run_in_parallel([int, int, int])
except RuntimeError as error:
    print(error)
print(run_in_parallel([int, int, int]))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout == "can't start new thread\n[0, 0, 0]\n", ended.stderr
