"""Measure a frame of the map of 200,000 captions, and how long their plane and regions take, at 4,096 features."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from textual.strip import Strip

from benchmarks.material import rows_that_share_a_mean, temporary_folder
from benchmarks.measure import interleave
from core.ranking.lexical import BM25
from core.ranking.projection import plane_between, principal_plane, project
from core.ranking.regions import find_regions
from core.store.progress import finish
from tui.scatter import Mark, Run, Window, draw

_COLUMNS, _LINES = 120, 50


def run(*, quick: bool = False) -> dict[str, Any]:
    """Measure pans, zooms and the search for the caption under the cursor, the two kinds of planes, and regions."""
    n, dim = (20_000, 1024) if quick else (200_000, 4096)
    points = np.random.default_rng(1).normal(size=(n, 2)).astype(np.float32)
    whole = Window.around(points, columns=_COLUMNS, lines=_LINES)
    close = whole.zoomed(4.0, column=60, line=25)
    marks = [Mark(points[:100], "○", "hit"), Mark(points[:1], "◆", "query")]

    def frame(window: Window) -> Callable[[], object]:
        def paint() -> list[Strip]:
            return [Strip(list(map(_segment, line))) for line in draw(points, window, marks, (60, 25))]

        return paint

    def dots_in_a_loop() -> set[tuple[int, int]]:
        """As libraries do that set one dot after the other."""
        wide, high = 2 * _COLUMNS, 4 * _LINES
        dots = set()
        for x, y in points.tolist():
            column, line = int((x - whole.x) / whole.unit + wide / 2), int((whole.y - y) / whole.unit + high / 2)
            if 0 <= column < wide and 0 <= line < high:
                dots.add((column, line))
        return dots

    tasks: dict[str, Callable[[], object]] = {
        "a frame of all": frame(whole),
        "a frame of a part": frame(close),
        "the caption under the cursor": lambda: whole.nearest(whole.cells(points), 60, 25),
        "the dots alone, in a loop": dots_in_a_loop,
    }
    timings = interleave(tasks, rounds=3 if quick else 9)
    planes = _planes(n, dim)
    return {
        "question": "seconds for a frame of the map, and for its plane",
        "captions": n,
        "dim": dim,
        "cells": [_COLUMNS, _LINES],
        "seconds": timings,
        "plane_seconds": planes,
        "speedup_over_a_loop": timings["the dots alone, in a loop"].median / timings["a frame of all"].median,
    }


def _planes(n: int, dim: int) -> dict[str, float]:
    """Return the seconds to find each plane and to place all captions on it, and those for regions and their names."""
    rows: NDArray[np.float16] = rows_that_share_a_mean(n, dim).rows
    none, ends = np.empty(0, np.int64), rows[:4].astype(np.float32).reshape(2, 2, dim)
    seconds = {}
    for name, find in {
        "principal plane": lambda: principal_plane(rows, leave_out=none),
        "axes by meaning": lambda: plane_between(rows, ends, leave_out=none),
    }.items():
        start = time.perf_counter()
        plane = finish(find())
        finish(project(rows, plane.mean, plane.axes, doing="placing captions"))
        seconds[name] = round(time.perf_counter() - start, 2)
    with temporary_folder() as name:
        texts = [f"a caption with word {row % 977} and word {row % 31}" for row in range(n)]
        BM25.build(Path(name) / "bm25", texts)
        bm25, start = BM25(Path(name) / "bm25"), time.perf_counter()
        finish(find_regions(rows, texts, bm25, leave_out=none))
    seconds["regions"] = round(time.perf_counter() - start, 2)
    return seconds


def _segment(run: Run) -> Segment:
    return Segment(run[0])
