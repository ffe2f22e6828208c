"""The asker runs the latest request of each kind, and the calibration while no request is waiting."""

import threading
import time
from collections.abc import Iterator

import pytest

from core.assets import AssetError
from core.store.progress import Progress
from tui import asker as asker_module
from tui.asker import Asker
from tui.messages import Answered, BackgroundFailed, Compared, Explained, Failed, FeatureFound, Measured, Ordered
from tui.requests import ComparisonRequest, ExplanationRequest, FeatureRequest, Question


class Log:
    """The messages that an asker posted, in order; thread-safe."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self._changed = threading.Condition()

    def __call__(self, event: object) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait_for(self, holds) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: holds(self.names), timeout=20), self.names

    @property
    def names(self) -> list[object]:
        """The type and question serial number of each event."""
        return [event if isinstance(event, str) else (type(event), serial_of(event)) for event in self.events]


def serial_of(event: object) -> int | None:
    if isinstance(event, Answered | Ordered):
        return event.question.serial
    return event.request.serial if isinstance(event, Explained) else None


DONE = (Measured, None)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def explorer(files):
    return files.explorer()


@pytest.fixture
def asker(explorer, log) -> Iterator[Asker]:
    asker = Asker(log)
    asker.start(explorer)
    yield asker
    asker.stop()
    asker.join(20)


def steps_of(count: int) -> Iterator[Progress]:
    yield from (Progress("working", i, count, "") for i in range(count))


def is_calibrated(log: Log) -> bool:
    return isinstance(log.events[-1], Measured) and log.events[-1].progress is None


def test_what_was_asked_before_the_start_is_answered_after_it(explorer, log):
    asker = Asker(log)
    for serial, text in enumerate(("a cat", "a dog")):
        asker.ask(Question(serial, text))
    asker.start(explorer)
    log.wait_for(lambda names: (Ordered, 1) in names)
    asker.stop()
    asker.join(20)
    assert log.names == [(Answered, 1), (Ordered, 1)]


def test_calibration_begins_without_any_question(asker, log):
    asker.calibrate(steps_of(3))
    log.wait_for(lambda names: len(names) == 4)
    assert [event.progress and event.progress.done for event in log.events] == [0, 1, 2, None]


def test_calibration_begins_when_the_asker_has_been_idle_for_long(asker, log, monkeypatch):
    monkeypatch.setattr(asker_module, "_IDLE_SECONDS", 0.0)
    asker.ask(Question(1, "a dog"))
    log.wait_for(lambda names: (Ordered, 1) in names)
    time.sleep(0.05)  # by now the thread is waiting
    asker.calibrate(steps_of(3))
    log.wait_for(lambda names: names.count(DONE) == 4)


def test_a_question_is_answered_before_the_calibration_continues(asker, log, monkeypatch):
    monkeypatch.setattr(asker_module, "_IDLE_SECONDS", 0.01)

    def steps():
        for i in range(3):
            if i == 1:
                asker.ask(Question(7, "a dog"))
            log(f"step {i}")
            yield Progress("working", i, 3, "")

    asker.calibrate(steps())
    log.wait_for(lambda names: names.count(DONE) == 4)
    assert [name for name in log.names if name != DONE] == ["step 0", "step 1", (Answered, 7), (Ordered, 7), "step 2"]


def test_calibration_pauses_for_a_while_after_a_question(asker, log, monkeypatch):
    monkeypatch.setattr(asker_module, "_IDLE_SECONDS", 1e6)
    asker.ask(Question(1, "a dog"))
    log.wait_for(lambda names: (Ordered, 1) in names)
    asker.calibrate(steps_of(3))
    asker.ask(Question(2, "a cat"))
    log.wait_for(lambda names: (Ordered, 2) in names)
    assert DONE not in log.names


def test_a_saved_calibration_is_loaded_without_a_pause(asker, log, monkeypatch):
    monkeypatch.setattr(asker_module, "_IDLE_SECONDS", 1e6)
    asker.ask(Question(1, "a dog"))
    log.wait_for(lambda names: (Ordered, 1) in names)
    asker.calibrate(steps_of(3), is_saved=True)
    log.wait_for(lambda names: names.count(DONE) == 4)


def test_stopping_ends_the_calibration_and_closes_it(asker, log):
    closed = threading.Event()

    def steps():
        try:
            while True:
                yield Progress("working", 0, 0, "")
        finally:
            closed.set()

    asker.calibrate(steps())
    log.wait_for(lambda names: len(names) > 2)
    asker.stop()
    asker.join(20)
    assert closed.is_set()
    assert not is_calibrated(log)
    assert not asker._thread.is_alive()


def test_a_calibration_that_raises_is_reported_and_questions_are_still_answered(asker, log):
    def steps():
        yield Progress("working", 0, 0, "")
        raise AssetError("--device cuda", "out of memory")

    asker.calibrate(steps())
    log.wait_for(lambda names: (BackgroundFailed, None) in names)
    asker.ask(Question(1, "a dog"))
    log.wait_for(lambda names: (Ordered, 1) in names)
    assert log.names.index((BackgroundFailed, None)) < len(log.names) - 2


def test_questions_are_answered_after_the_calibration_has_ended(asker, log):
    asker.calibrate(steps_of(1))
    log.wait_for(lambda names: len(names) == 2)
    asker.ask(Question(1, "a dog"))
    log.wait_for(lambda names: (Ordered, 1) in names)


@pytest.mark.parametrize("error", [AssetError("weights.pkl", "no such file"), MemoryError("no room")])
def test_a_question_that_cannot_be_answered_is_refused_and_the_next_is_answered(
    asker, explorer, log, monkeypatch, error
):
    def refuse(text, **how):
        raise error

    monkeypatch.setattr(explorer, "ask", refuse)
    asker.ask(Question(1, "a dog"))
    log.wait_for(lambda names: (Failed, None) in names)
    assert not log.events[-1].has_result
    asker.ask(Question(2, "a dog", row=3))
    log.wait_for(lambda names: (Ordered, 2) in names)


def test_the_error_of_a_question_that_was_replaced_is_not_posted(asker, explorer, log, monkeypatch):
    held, release, ask = threading.Event(), threading.Event(), explorer.ask

    def refuse(text, **how):
        if text == "a cat":
            held.set()
            release.wait(10)
            raise AssetError("weights.pkl", "no such file")
        return ask(text, **how)

    monkeypatch.setattr(explorer, "ask", refuse)
    asker.ask(Question(1, "a cat"))
    assert held.wait(10)
    asker.ask(Question(2, "a dog"))
    release.set()
    log.wait_for(lambda names: (Ordered, 2) in names)
    assert log.names == [(Answered, 2), (Ordered, 2)]


def test_a_withdrawn_comparison_is_not_begun_and_an_interrupted_one_is_begun_again(asker, explorer, log, monkeypatch):
    for _ in explorer.opened.open_methods():
        pass
    query, begun, compare = explorer.ask("a dog").query, [], explorer.compare
    held, release = threading.Event(), threading.Event()

    def slow(query, **how):
        begun.append(query)
        if len(begun) == 1:
            held.set()
            release.wait(10)
        return compare(query, **how)

    monkeypatch.setattr(explorer, "compare", slow)
    asker.ask(ComparisonRequest(query))
    assert held.wait(10)
    asker.ask(Question(1, "a cat"))
    release.set()
    log.wait_for(lambda names: (Compared, None) in names)
    assert log.names == [(Answered, 1), (Ordered, 1), (Compared, None)]
    assert len(begun) == 2
    asker.ask(Question(2, "a dog near the window"))
    asker.ask(ComparisonRequest(query))
    asker.withdraw(ComparisonRequest)
    log.wait_for(lambda names: (Ordered, 2) in names)
    assert len(begun) == 2


def test_a_comparison_and_an_explanation_come_after_the_question_in_that_order(asker, explorer, log, monkeypatch):
    for _ in explorer.opened.open_methods():
        pass
    answer = explorer.ask("a dog near the window")
    held, release, ask = threading.Event(), threading.Event(), explorer.ask

    def slow(text, **how):
        held.set()
        release.wait(10)
        return ask(text, **how)

    monkeypatch.setattr(explorer, "ask", slow)
    asker.ask(Question(1, "a dog"))
    assert held.wait(10)
    asker.ask(ExplanationRequest(1, answer, 5))
    asker.ask(ComparisonRequest(answer.query))
    asker.ask(ExplanationRequest(1, answer, 6))
    release.set()
    log.wait_for(lambda names: (Explained, 1) in names)
    assert [kind for kind, _ in log.names] == [Answered, Ordered, Compared, Explained]
    assert log.events[-1].request.row == 6


def test_a_feature_that_a_question_interrupts_is_found_afterwards(asker, explorer, log, monkeypatch):
    begun, find, held, release = [], explorer.explainer.feature, threading.Event(), threading.Event()

    def slow(number, **how):
        begun.append(number)
        if len(begun) == 1:
            held.set()
            release.wait(10)
        return find(number, **how)

    monkeypatch.setattr(explorer.explainer, "feature", slow)
    asker.ask(FeatureRequest(3))
    assert held.wait(10)
    asker.ask(Question(1, "a cat"))
    release.set()
    log.wait_for(lambda names: (FeatureFound, None) in names)
    assert log.names == [(Answered, 1), (Ordered, 1), (FeatureFound, None)]
    assert begun == [3, 3]
    assert log.events[-1].winners.number == 3
