"""Slow work: it can be left and gone on with, and starts anew after an error."""

from __future__ import annotations

import pytest

from core.store.progress import Progress, Resumable, Steps, finish


def test_work_that_is_left_goes_on_where_it_was_and_is_done_once() -> None:
    done: list[int] = []

    def make() -> Steps[str]:
        for step in range(5):
            done.append(step)
            yield Progress("working", step, 5, "steps")
        return "result"

    work = Resumable(make)
    for _ in range(2):
        steps = work.run()
        next(steps)
        next(steps)
        steps.close()
    assert done == [0, 1, 2, 3]
    assert finish(work.run()) == finish(work.run()) == "result"
    assert done == [0, 1, 2, 3, 4]


def test_work_that_failed_starts_anew() -> None:
    tries: list[int] = []

    def make() -> Steps[int]:
        tries.append(1)
        yield Progress("working", 0, 0, "")
        if len(tries) == 1:
            raise OSError("the disk is full")
        return len(tries)

    work = Resumable(make)
    with pytest.raises(OSError, match="full"):
        finish(work.run())
    assert finish(work.run()) == 2
