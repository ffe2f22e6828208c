"""Ticks: slow work in a thread of its own, so that whoever waits for it can tell how long nothing has come."""

from __future__ import annotations

import threading
from collections.abc import Generator
from queue import Empty, SimpleQueue
from typing import Literal, TypeVar

T = TypeVar("T")

_TICK_SECONDS = 1.0


def with_ticks(items: Generator[T, None, None]) -> Generator[T | None, None, None]:
    """Yield what a generator yields, and None for each second in which nothing comes.

    The generator runs in a thread, one step after the other. Closing this one does not wait for its present step, after
    which it is closed too.

    Raises:
        BaseException: Whatever the generator raises.
    """
    asked, came = SimpleQueue[bool](), SimpleQueue[tuple[Literal["item"], T] | tuple[Literal["end"], BaseException]]()

    def run() -> None:
        while asked.get():
            try:
                came.put(("item", next(items)))
            except BaseException as error:  # also its end
                came.put(("end", error))
        items.close()

    threading.Thread(target=run, name="ticks", daemon=True).start()
    try:
        while True:
            asked.put(True)
            while (what := _next(came)) is None:
                yield None
            if what[0] == "item":
                yield what[1]
            elif isinstance(what[1], StopIteration):
                return
            else:
                raise what[1]
    finally:
        asked.put(False)


def _next(came: SimpleQueue[T]) -> T | None:
    try:
        return came.get(timeout=_TICK_SECONDS)
    except Empty:
        return None
