"""One thread answers the latest question, and goes on with slow work in between."""

import threading
import time
from collections.abc import Iterator

import pytest

from core.assets import AssetError
from core.store.progress import Progress
from tui import asker as asker_module
from tui.asker import Asker, Question


class Log:
    """What an asker told, in order, as any thread may read it."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self._changed = threading.Condition()

    def __call__(self, event: object) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait_for(self, holds) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: holds(self.events), timeout=20), self.events


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def asker(files, log) -> Iterator[Asker]:
    asker = Asker(
        files.explorer(),
        answered=lambda question, answer, folding: log(("answered", question.serial)),
        ordered=lambda question, ranking, folding: log(("ordered", question.serial)),
        explained=lambda doubt, explanation: None,
        compared=lambda contest, comparison: None,
        failed=log,
    )
    yield asker
    asker.stop()
    asker.join(20)


def test_work_begins_without_any_question(asker, log):
    asker.work_on((Progress("working", i, 3, "") for i in range(3)), log, failed=log)
    log.wait_for(lambda events: events[-1:] == [None])
    assert [event.done for event in log.events[:-1]] == [0, 1, 2]


def test_work_begins_when_the_asker_had_long_been_waiting(asker, log, monkeypatch):
    monkeypatch.setattr(asker_module, "_REST_SECONDS", 0.0)
    asker.ask(Question(1, "a dog"))
    log.wait_for(lambda events: ("ordered", 1) in events)
    time.sleep(0.05)  # it waits for something to do by now
    asker.work_on((Progress("working", i, 3, "") for i in range(3)), log, failed=log)
    log.wait_for(lambda events: events[-1:] == [None])


def test_a_question_is_answered_before_the_work_goes_on(asker, log, monkeypatch):
    monkeypatch.setattr(asker_module, "_REST_SECONDS", 0.01)

    def steps():
        for i in range(3):
            if i == 1:
                asker.ask(Question(7, "a dog"))
            log(f"step {i}")
            yield Progress("working", i, 3, "")

    asker.work_on(steps(), log, failed=log)
    log.wait_for(lambda events: events[-1:] == [None])
    told = [event for event in log.events if isinstance(event, str | tuple)]
    assert told == ["step 0", "step 1", ("answered", 7), ("ordered", 7), "step 2"]


def test_work_rests_for_a_while_after_a_question(asker, log, monkeypatch):
    monkeypatch.setattr(asker_module, "_REST_SECONDS", 1e6)
    asker.ask(Question(1, "a dog"))
    log.wait_for(lambda events: ("ordered", 1) in events)
    asker.work_on((Progress("working", i, 3, "") for i in range(3)), log, failed=log)
    asker.ask(Question(2, "a cat"))
    log.wait_for(lambda events: ("ordered", 2) in events)
    assert all(isinstance(event, tuple) for event in log.events)


def test_stopping_ends_the_work_and_closes_it(asker, log):
    closed = threading.Event()

    def steps():
        try:
            while True:
                yield Progress("working", 0, 0, "")
        finally:
            closed.set()

    asker.work_on(steps(), log, failed=log)
    log.wait_for(lambda events: len(events) > 2)
    asker.stop()
    asker.join(20)
    assert closed.is_set()
    assert None not in log.events
    assert not asker._thread.is_alive()


def test_work_that_raises_is_told_and_questions_are_answered_as_before(asker, log):
    def steps():
        yield Progress("working", 0, 0, "")
        raise AssetError("--device cuda", "out of memory")

    asker.work_on(steps(), log, failed=log)
    log.wait_for(lambda events: any(isinstance(event, AssetError) for event in events))
    asker.ask(Question(1, "a dog"))
    log.wait_for(lambda events: ("ordered", 1) in events)
    assert None not in log.events  # the work has not ended well


def test_questions_are_answered_after_the_work_has_ended(asker, log):
    asker.work_on(iter_of(Progress("working", 0, 0, "")), log, failed=log)
    log.wait_for(lambda events: events[-1:] == [None])
    asker.ask(Question(1, "a dog"))
    log.wait_for(lambda events: ("ordered", 1) in events)


def iter_of(*steps: Progress):
    yield from steps
