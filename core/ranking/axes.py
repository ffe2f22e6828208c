"""Axes: name the two directions of a map by what lies at their ends."""

from __future__ import annotations

from dataclasses import dataclass

EXAMPLE = "indoors > outdoors; one person > a crowd"
"""What axes can say, for people."""


class AxesError(ValueError):
    """Two axes cannot be drawn; the message says why."""


@dataclass(frozen=True, slots=True)
class Axes:
    """Two axes, each from one phrase to another."""

    x: tuple[str, str]
    y: tuple[str, str]

    @classmethod
    def parse(cls, text: str) -> Axes:
        """Parse axes such as `EXAMPLE`.

        Raises:
            AxesError: It is something else.
        """
        pairs = [[end.strip() for end in pair.split(">")] for pair in text.split(";")]
        if len(pairs) != 2 or any(len(pair) != 2 or not all(pair) for pair in pairs):
            raise AxesError(f"two pairs of phrases are needed, as in: {EXAMPLE}")
        (x0, x1), (y0, y1) = pairs
        return cls((x0, x1), (y0, y1))
