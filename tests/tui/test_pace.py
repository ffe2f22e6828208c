"""Progress as a line with rate and time left."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.store.progress import Progress
from tui.pace import Pace, progress_line


def test_where_nobody_rewrites_the_line_another_one_comes_from_time_to_time(monkeypatch, capsys):
    now = 0.0
    monkeypatch.setattr("tui.pace.time.monotonic", lambda: now)
    with progress_line(quiet=False) as show:
        for second in range(25):
            now = float(second)
            show(captions(100 * second))
        show(Progress("indexing words", 0, 0, ""))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" · ")[1].split()[0] for line in lines[:-1]] == ["0", "1,000", "2,000"]
    assert lines[-1] == "indexing words"


def test_a_line_is_not_there_twice_in_a_row(monkeypatch, capsys):
    """A wait that is longer than ten seconds would read as two."""
    now = 0.0
    monkeypatch.setattr("tui.pace.time.monotonic", lambda: now)
    with progress_line(quiet=False) as show:
        for stage in (
            "the server is busy; asking again in 16 s",
            "fetching",
            "the server is busy; asking again in 16 s",
        ):
            for _ in range(16):
                now += 1
                show(Progress(stage, 0, 0, ""))
    assert [line.split()[0] for line in capsys.readouterr().err.splitlines()] == ["the", "fetching", "the"]


def megabytes(done: float, total: float = 1500) -> Progress:
    return Progress("fetching vectors.zip", done, total, "MB")


def test_slow_downloads_have_their_rate_in_kilobytes():
    pace = Pace()
    assert pace.line(megabytes(0.3), now=0) == "fetching vectors.zip · 0.3 of 1,500 MB"
    assert pace.line(megabytes(2.3), now=5) == "fetching vectors.zip · 2.3 of 1,500 MB · 400 kB/s · 62:24 left"
    assert "· 23 of 1,500 MB · 2 MB/s ·" in pace.line(megabytes(23), now=10)


def test_a_stall_tells_for_how_long_nothing_has_come():
    pace = Pace()
    pace.line(megabytes(0), now=0)
    pace.line(megabytes(5), now=1)
    assert "MB/s" in pace.line(megabytes(5), now=2)
    assert pace.line(megabytes(5), now=13) == "fetching vectors.zip · 5.0 of 1,500 MB · nothing for 12 s"
    assert "nothing" not in pace.line(megabytes(6), now=14)
    waiting = Progress("fetching vectors.zip again", 0, 0, "MB")
    pace.line(waiting, now=20)
    assert pace.line(waiting, now=29) == "fetching vectors.zip again · nothing for 9 s"


def test_the_first_amount_is_shown_at_once(monkeypatch, capsys):
    monkeypatch.setattr("tui.pace.time.monotonic", lambda: 0.0)
    with progress_line(quiet=False) as show:
        for done, total in ((0, 0), (0.3, 1500), (0.6, 1500)):
            show(megabytes(done, total))
    assert capsys.readouterr().err.splitlines() == ["fetching vectors.zip", "fetching vectors.zip · 0.3 of 1,500 MB"]


def test_a_remark_gets_a_line_of_its_own(capsys):
    with progress_line(quiet=False) as show:
        for _ in range(2):
            show(captions(100))
            show(Progress("captions.json starts over", 0, 0, "", is_remark=True))
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["encoding captions · 100 of 10,000 captions", *["captions.json starts over"] * 2]


def captions(done: float, total: float = 10_000) -> Progress:
    return Progress("encoding captions", done, total, "captions")


def test_work_of_unknown_size_is_only_named():
    assert Pace().line(Progress("reading captions", 0, 0, ""), now=0) == "reading captions"


def test_the_first_step_promises_no_rate():
    assert Pace().line(captions(1234), now=0) == "encoding captions · 1,234 of 10,000 captions"


def test_rate_and_time_left_come_from_what_was_done():
    pace = Pace()
    pace.line(captions(0), now=100)
    assert pace.line(captions(1000), now=102) == (
        "encoding captions · 1,000 of 10,000 captions · 500 captions/s · 0:18 left"
    )


def test_time_left_is_in_minutes_and_seconds():
    pace = Pace()
    pace.line(captions(0), now=0)
    assert pace.line(captions(100), now=1).endswith("1:39 left")


def test_rows_that_an_earlier_run_finished_do_not_count_as_speed():
    pace = Pace()
    pace.line(captions(8000), now=0)
    assert "· 100 captions/s · 0:19 left" in pace.line(captions(8100), now=1)


def test_only_the_last_seconds_decide_the_rate():
    pace = Pace()
    for second in range(11):
        pace.line(captions(second), now=second)  # slow at first: 1 a second
    for second in range(1, 11):
        line = pace.line(captions(10 + 100 * second), now=10 + second)
    assert "· 100 captions/s ·" in line


def test_another_stage_starts_its_own_clock():
    pace = Pace()
    pace.line(Progress("converting word vectors", 0, 50, "MB"), now=0)
    pace.line(Progress("converting word vectors", 50, 50, "MB"), now=5)
    assert pace.line(captions(5000), now=6) == "encoding captions · 5,000 of 10,000 captions"


def test_work_without_progress_shows_no_rate():
    pace = Pace()
    pace.line(captions(5000), now=0)
    assert pace.line(captions(5000), now=5) == "encoding captions · 5,000 of 10,000 captions"


def test_a_long_pause_is_survived():
    pace = Pace()
    pace.line(captions(0), now=0)
    assert pace.line(captions(5000), now=3600).startswith("encoding captions · 5,000 of 10,000 captions")


@pytest.mark.parametrize("unit", ["captions", "MB"])
@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 100)), min_size=1, max_size=30))
@example([(0.0, 0.0), (2.2e-313, 1.0)])  # so slow that the time left is infinite
def test_every_line_starts_with_the_stage(unit, steps):
    pace, now = Pace(), 0.0
    for done, seconds in steps:
        now += seconds
        assert pace.line(Progress("working", done, 1e4, unit), now=now).startswith("working · ")
