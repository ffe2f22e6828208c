"""The model card: its sections that a program writes, between markers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from training.evaluate import RANK, RECALL, SETS, Figures


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a Markdown table, the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [head, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])], *rows]
    return "\n".join(
        "| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |" for row in lines
    )


def figures_table(figures: Mapping[str, Figures]) -> str:
    """Lay out the figures, a method a column."""
    rows = []
    for name in [*SETS, RECALL, RANK]:
        values = [figures[method].get(name) for method in figures]
        shape = "{:,.0f}" if name == RANK else "{:.4f}"
        rows.append([name, *("" if value is None else shape.format(value) for value in values)])
    return table(["figure", *figures], rows)


def write_section(card: Path, section: str, text: str) -> None:
    """Replace what stands between a section's two markers, `<!-- section -->` and `<!-- /section -->`.

    Raises:
        ValueError: The card lacks a marker.
    """
    first, last = f"<!-- {section} -->", f"<!-- /{section} -->"
    before, found, rest = card.read_text(encoding="utf-8").partition(first)
    _, closed, after = rest.partition(last)
    if not found or not closed:
        raise ValueError(f"{card} lacks {first} or {last}")
    card.write_text(f"{before}{first}\n\n{text}\n\n{last}{after}", encoding="utf-8")
