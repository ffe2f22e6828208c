"""Scatter: points of a plane as braille dots with marks among them, by numpy: 200,000 points take milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

LEVELS = 4
"""Of density."""

DOTS_WIDE, DOTS_HIGH = 2, 4
"""Dots of a braille character."""

_BITS = np.array([[1, 8], [2, 16], [4, 32], [64, 128]], np.uint8)  # of the dots of a character, (4, 2)
_BLANK = 0x2800
_ASCII_DENSITY = np.frombuffer(" .:+#".encode("utf-32-le"), "<u4")  # by level
_ASCII_SIGNS = str.maketrans("◆○★•", "@o*x")
_MARGIN = 1.05  # of the window around all points
_REACH = 1.5  # cells within which a point is under the cursor
_LEAST_SPREAD = 1e-6  # points within are drawn as one: float16 rows are no more exact


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a plane that is shown; the unit is the same in both directions, so that distances look true."""

    x: float
    """Coordinate in the middle."""
    y: float
    unit: float
    """Side of a dot."""
    columns: int
    """Width in cells."""
    lines: int
    """Height in cells."""

    @classmethod
    def around(cls, points: NDArray[np.float32], *, columns: int, lines: int) -> Window:
        """Return the window that shows all points, (N, 2)."""
        low, high = (points.min(axis=0), points.max(axis=0)) if len(points) else (np.zeros(2), np.zeros(2))
        spread = np.maximum(high - low, _LEAST_SPREAD) * _MARGIN
        unit = max(spread[0] / (DOTS_WIDE * columns), spread[1] / (DOTS_HIGH * lines))
        x, y = ((low + high) / 2).tolist()
        return cls(x, y, float(unit), columns, lines)

    def cells(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return column and line of points, (N, 2), which may lie outside the window; (N, 2), with fractions."""
        x = (points[:, 0] - self.x) / (self.unit * DOTS_WIDE) + self.columns / 2
        y = (self.y - points[:, 1]) / (self.unit * DOTS_HIGH) + self.lines / 2
        return np.stack([x, y], axis=1)

    def cell(self, point: NDArray[np.floating]) -> tuple[int, int] | None:
        """Return column and line of a point, (2,); None for one outside the window."""
        column, line = np.floor(self.cells(point[None])[0]).astype(int).tolist()
        return (column, line) if 0 <= column < self.columns and 0 <= line < self.lines else None

    def nearest(self, places: NDArray[np.float64], column: int, line: int) -> int | None:
        """Return which of M places, (M, 2) from `cells`, is nearest to the middle of a cell; None if none is near."""
        away = np.square((places - (column + 0.5, line + 0.5)) * (1, 2)).sum(axis=1)  # (M,), a cell is as high as two
        nearest = int(away.argmin()) if len(away) else 0
        return nearest if len(away) and away[nearest] <= _REACH**2 else None

    def point(self, column: float, line: float) -> tuple[float, float]:
        """Return the coordinates of a place in cells."""
        x = self.x + (column - self.columns / 2) * self.unit * DOTS_WIDE
        y = self.y - (line - self.lines / 2) * self.unit * DOTS_HIGH
        return x, y

    def moved(self, columns: float, lines: float) -> Window:
        """Return the window moved by cells, right and down."""
        x, y = self.point(self.columns / 2 + columns, self.lines / 2 + lines)
        return replace(self, x=x, y=y)

    def zoomed(self, factor: float, *, column: float, line: float) -> Window:
        """Return the window enlarged by a factor, in which a place in cells stays where it is."""
        x, y = self.point(column, line)
        return replace(self, x=x + (self.x - x) / factor, y=y + (self.y - y) / factor, unit=self.unit / factor)

    def within(self, whole: Window) -> Window:
        """Return the window moved such that its middle lies in another one."""
        (left, low), (right, high) = whole.point(0, whole.lines), whole.point(whole.columns, 0)
        return replace(self, x=max(left, min(self.x, right)), y=max(low, min(self.y, high)))

    def around_point(self, point: NDArray[np.floating]) -> Window:
        """Return the window moved such that a point, (2,), is in its middle."""
        x, y = point.tolist()
        return replace(self, x=x, y=y)

    def sized(self, points: NDArray[np.float32], *, columns: int, lines: int) -> Window:
        """Return the window with another size, around the same middle, in which points, (N, 2), are as far enlarged.

        One that showed all of them still does.
        """
        before, now = (
            Window.around(points, columns=each[0], lines=each[1]).unit
            for each in ((self.columns, self.lines), (columns, lines))
        )
        return replace(self, unit=self.unit * now / before, columns=columns, lines=lines)


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """Points that are shown by a sign; an earlier mark lies below a later one."""

    points: NDArray[np.floating]
    """Coordinates, (n, 2)."""
    sign: str
    """One cell."""
    part: str
    """What it is, for its colour."""
    is_minor: bool = False
    """Whether it lies below labels."""


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """A text at a point; it is left out where more important ones leave no room."""

    point: NDArray[np.floating]
    """Coordinates, (2,)."""
    text: str
    """Characters of one cell each."""


Run = tuple[str, str]
"""Characters of one line, and the part that colours them: that of a mark, `label`, `context`, `cursor`, or `density-0`
to `density-4`."""


def draw(
    points: NDArray[np.floating],
    window: Window,
    marks: Sequence[Mark],
    cursor: tuple[int, int],
    labels: Sequence[Label] = (),
    *,
    context: NDArray[np.floating] | None = None,
    is_ascii: bool = False,
) -> list[list[Run]]:
    """Draw points, (N, 2), in a window, labels on them and marks on those, line by line.

    The cell of the cursor is coloured as part `cursor`. The first labels are the most important. Points of the
    `context`, (C, 2), are drawn where no others are. Where `is_ascii`, a sign for each density stands in place of
    braille dots, and marks have signs of ASCII.
    """
    canvas = _Canvas(points, window, context, is_ascii=is_ascii)
    for mark in marks:
        if mark.is_minor:
            canvas.put(mark)
    major = [mark for mark in marks if not mark.is_minor]
    taken = np.zeros((window.lines, window.columns), bool)
    for mark in major:
        taken[canvas.cells(mark)] = True
    for label in labels:
        canvas.write(label, taken)
    for mark in major:
        canvas.put(mark)
    canvas.colours[cursor[1], cursor[0]] = canvas.part("cursor")
    return [_runs(*each, canvas.parts) for each in zip(canvas.codes, canvas.colours, strict=True)]


class _Canvas:
    """Characters, as code points, and numbers of the parts that colour them, (lines, columns) each."""

    def __init__(
        self,
        points: NDArray[np.floating],
        window: Window,
        context: NDArray[np.floating] | None,
        *,
        is_ascii: bool,
    ) -> None:
        self._window, self._is_ascii = window, is_ascii
        self.parts = [f"density-{level}" for level in range(LEVELS + 1)]
        self.codes, counts = count(points, window)
        self.colours = shades(counts)
        levels = self.colours  # (lines, columns)
        if context is not None:
            codes, others = count(context, window)
            alone = (counts == 0) & (others > 0)  # (lines, columns)
            self.codes = np.where(alone, codes, self.codes)
            levels, self.colours = levels + alone, np.where(alone, self.part("context"), self.colours)
        if is_ascii:
            self.codes = _ASCII_DENSITY[levels]

    def part(self, name: str) -> int:
        """Return the number of a part."""
        if name not in self.parts:
            self.parts.append(name)
        return self.parts.index(name)

    def cells(self, mark: Mark) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return lines and columns of the cells in which points of a mark lie, (n,) each."""
        places = np.floor(self._window.cells(mark.points)).astype(np.int64)  # (n, 2)
        inside = ((places >= 0) & (places < (self._window.columns, self._window.lines))).all(axis=1)  # (n,)
        return places[inside, 1], places[inside, 0]

    def put(self, mark: Mark) -> None:
        """Put a sign into the cells of a mark."""
        cells, sign = self.cells(mark), mark.sign.translate(_ASCII_SIGNS) if self._is_ascii else mark.sign
        self.codes[cells], self.colours[cells] = ord(sign), self.part(mark.part)

    def write(self, label: Label, taken: NDArray[np.bool_]) -> None:
        """Write a label around its point, or up to two lines off it where cells are `taken`, (lines, columns).

        It never covers another label: where it would on all these lines, it is left out.
        """
        window, part, length = self._window, self.part("label"), len(label.text)
        place = window.cell(label.point)
        if place is None or length > window.columns:
            return
        start = max(0, min(place[0] - length // 2, window.columns - length))
        cells, around = slice(start, start + length), slice(max(0, start - 1), start + length + 1)
        lines = [line for line in (place[1] + off for off in (0, -1, 1, -2, 2)) if 0 <= line < window.lines]
        free = [line for line in lines if (self.colours[line, around] != part).all()]
        line = next((line for line in free if not taken[line, cells].any()), free[0] if free else None)
        if line is not None:
            self.codes[line, cells] = np.frombuffer(label.text.encode("utf-32-le"), "<u4")
            self.colours[line, cells] = part


def count(points: NDArray[np.floating], window: Window) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Return the code points of braille characters that show points, (N, 2), and the points of each cell.

    Both are (lines, columns).
    """
    wide, high = DOTS_WIDE * window.columns, DOTS_HIGH * window.lines
    x = (points[:, 0] - window.x) / window.unit + wide / 2  # (N,)
    y = (window.y - points[:, 1]) / window.unit + high / 2  # (N,)
    inside = (x >= 0) & (x < wide) & (y >= 0) & (y < high)  # (N,)
    at = y[inside].astype(np.int64) * wide + x[inside].astype(np.int64)  # (points inside,)
    dots = np.bincount(at, minlength=wide * high).reshape(window.lines, DOTS_HIGH, window.columns, DOTS_WIDE)
    bits = ((dots > 0) * _BITS[None, :, None, :]).sum(axis=(1, 3))  # (lines, columns)
    return (bits + _BLANK).astype("<u4"), dots.sum(axis=(1, 3))


def shades(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the density of each cell by the logarithm of its points, 0 for none, up to `LEVELS` for the densest."""
    densest = int(counts.max(initial=0))
    if densest <= 1:
        return np.minimum(counts, 1)
    share = np.log(np.maximum(counts, 1)) / np.log(densest)  # (lines, columns)
    return np.where(counts > 0, 1 + np.minimum((share * LEVELS).astype(np.int64), LEVELS - 1), 0)


def _runs(codes: NDArray[np.uint32], colours: NDArray[np.int64], parts: Sequence[str]) -> list[Run]:
    """Return the characters of a line, (columns,), as texts of one colour each."""
    text = codes.tobytes().decode("utf-32-le")
    cuts = [0, *(np.flatnonzero(np.diff(colours)) + 1).tolist(), len(text)]
    return [(text[start:end], parts[int(colours[start])]) for start, end in pairwise(cuts)]
