"""Write the generated sections of the model card, each between two markers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from training.evaluate import RANK, RECALL, SETS, Figures


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table with the first column left-aligned and the others right-aligned."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [head, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])], *rows]
    return "\n".join(
        "| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |" for row in lines
    )


def figures_table(figures: Mapping[str, Figures]) -> str:
    """Format the figures as a Markdown table with one column per method."""
    rows = []
    for name in [*SETS, RECALL, RANK]:
        values = [figures[method].get(name) for method in figures]
        template = "{:,.0f}" if name == RANK else "{:.4f}"
        rows.append([name, *("" if value is None else template.format(value) for value in values)])
    return table(["figure", *figures], rows)


def write_section(card: Path, section: str, text: str) -> None:
    """Replace the text between a section's two markers, `<!-- section -->` and `<!-- /section -->`.

    Raises:
        ValueError: The card lacks a marker.
    """
    opening, closing = f"<!-- {section} -->", f"<!-- /{section} -->"
    before, found, rest = card.read_text(encoding="utf-8").partition(opening)
    _, closed, after = rest.partition(closing)
    if not found or not closed:
        raise ValueError(f"{card} lacks {opening} or {closing}")
    card.write_text(f"{before}{opening}\n\n{text}\n\n{closing}{after}", encoding="utf-8")
