"""Garbage: when Python looks for unused objects, which stops the screen; it would do so amid a burst of keys."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from textual._styles_cache import StylesCache
from textual.strip import Strip

PAUSE_SECONDS = 1.0
"""Without a key or the mouse for so long, nobody feels that all objects are looked through, which takes some 50 ms."""

_ROUNDS = (10_000, 5, 50)  # new objects until young ones are looked through, such rounds until older ones are, and all


_divide = Strip.divide


def collect_rarely() -> None:
    """Leave it to `collect_in_a_pause` to look through all objects, unless very many are made without one."""
    gc.set_threshold(*_ROUNDS)


def free_painted_lines() -> None:
    """Let a painted line go as soon as nothing shows it.

    Textual keeps one that is cut nowhere as a piece of itself, so that it, and its twenty objects, would wait for a
    search for unused ones.
    """
    Strip.divide = _divide_without_cycle  # type: ignore[method-assign]


def _divide_without_cycle(self: Strip, cuts: Iterable[int]) -> Sequence[Strip]:
    """Divide a line, as Textual does."""
    cuts = [cut for cut in cuts if cut <= self.cell_length]
    return [self] if cuts == [self.cell_length] else _divide(self, cuts)


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
