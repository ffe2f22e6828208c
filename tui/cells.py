"""Text cut to the cells of a terminal."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size


def fit(text: str, cells: int) -> str:
    """Make a text fill exactly so many cells: padded, or cut with an ellipsis."""
    return text + " " * (cells - cell_len(text)) if cell_len(text) <= cells else set_cell_size(text, cells - 1) + "…"
