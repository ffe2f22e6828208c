"""Garbage: when Python looks for unused objects, which stops the screen; it would do so amid a burst of keys."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

from textual._styles_cache import StylesCache

PAUSE_SECONDS = 1.0
"""Without a key or the mouse for so long, nobody feels that all objects are looked through, which takes some 50 ms."""

_ROUNDS = (10_000, 5, 50)  # new objects until young ones are looked through, such rounds until older ones are, and all


def collect_rarely() -> None:
    """Leave it to `collect_in_a_pause` to look through all objects, unless very many are made without one."""
    gc.set_threshold(*_ROUNDS)


def collect_in_a_pause(used_at: float) -> None:
    """Look through all objects if nothing was pressed for a while, and enough of them are new.

    Textual keeps the painted lines of up to 1,024 closed widgets, by a cache whose keys hold them: it is emptied first.

    Args:
        used_at: When something was last pressed, in seconds of `time.monotonic`.
    """
    is_due = gc.isenabled() and gc.get_count()[2] > 0
    if is_due and time.monotonic() - used_at > PAUSE_SECONDS:
        StylesCache.get_inner_outer.cache_clear()
        gc.collect()


@contextmanager
def without_collection() -> Iterator[None]:
    """Switch collections off, and exempt all objects there are from later ones."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
