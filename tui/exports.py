"""Exports: rows of hits, visits or comparisons as CSV, JSON lines, Parquet or Markdown; the corpus as Parquet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.assets import AssetError
from core.store.whole import whole_file
from tui.text import visible

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.assets import Assets
    from core.corpus.captions import Captions
    from core.ranking.graph import Graph

ENDINGS = (".csv", ".jsonl", ".parquet", ".md")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet takes a cell that begins so for a formula


def check_target(path: Path) -> Path:
    """Return a path to which rows can be exported, with `~` resolved.

    Raises:
        AssetError: Its ending names no format, or its folder does not exist.
    """
    path = resolved(path)
    if path.suffix.lower() not in ENDINGS:
        found = f"has the ending {path.suffix!r}" if path.suffix else "has no ending"
        raise AssetError(path, found, expected=f"one of {', '.join(ENDINGS)}", advice=f"name {path.stem}.csv, say")
    try:
        fits = not path.is_dir() and path.parent.is_dir()
    except OSError as error:
        raise AssetError.from_os_error(path, error) from error
    if not fits:
        raise AssetError(path, "cannot be written", expected="a file in a folder that exists")
    return path


def resolved(path: Path) -> Path:
    """Return a path with `~` resolved.

    Raises:
        AssetError: It names a person who is not known here.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise AssetError(path, str(error), advice="write the whole path") from error


def refuse_to_replace(output: Path, assets: Assets) -> None:
    """Raise `AssetError` where a file to be written is one of the files in use."""
    for used in assets.files:
        if output.exists() and used.exists() and output.samefile(used):
            raise AssetError(output, "is a file that is read", advice="name another file to write")


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows with equal keys to a file, whose ending names the format; it appears whole or not at all.

    In CSV, a text that a spreadsheet would take for a formula begins with an apostrophe.

    Raises:
        AssetError: The file cannot be written.
    """
    path = check_target(path)
    with whole_file(path, advice="check the path and the disk, or name another file") as work:
        if path.suffix.lower() == ".jsonl":
            work.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        elif path.suffix.lower() == ".md":
            work.write_text(_markdown(rows), encoding="utf-8")
        else:
            import pandas as pd

            if path.suffix.lower() == ".csv":
                frame = pd.DataFrame([{name: _defused(value) for name, value in row.items()} for row in rows])
                frame.to_csv(work, index=False, errors="backslashreplace")
            else:
                pd.DataFrame(list(rows)).to_parquet(work, index=False)


def write_corpus(path: Path, captions: Captions, points: NDArray[np.float32], graph: Graph | None) -> None:
    """Write captions, their places on a plane, (N, 2), and their nearest captions as Parquet for embedding-atlas."""
    import pyarrow as pa
    from pyarrow import parquet

    groups = [captions.group(row) for row in range(len(captions))]
    columns: dict[str, Any] = {
        "row": pa.array(range(len(captions)), pa.int64()),
        "caption": pa.array(captions.texts, pa.string()),
        "caption_id": pa.array(captions.ids.tolist()),
        "image_id": pa.array(groups),
        "file_name": pa.array([captions.file_names.get(group) for group in groups], pa.string()),
        "projection_x": pa.array(points[:, 0], pa.float32()),
        "projection_y": pa.array(points[:, 1], pa.float32()),
    }
    if graph is not None:
        counts = (graph.rows >= 0).sum(axis=1)  # (N,)
        offsets = pa.array([0, *counts.cumsum().tolist()], pa.int32())
        known = graph.rows >= 0  # (N, K)
        ids = pa.ListArray.from_arrays(offsets, pa.array(graph.rows[known].astype("int64")))
        distances = pa.ListArray.from_arrays(offsets, pa.array(graph.distances[known]))
        columns["neighbors"] = pa.StructArray.from_arrays([ids, distances], names=["ids", "distances"])
    parquet.write_table(pa.table(columns), path)


def _defused(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _markdown(rows: Sequence[dict[str, Any]]) -> str:
    names = list(rows[0]) if rows else []
    lines = [names, ["---"] * len(names), *([_cell(row[name]) for name in names] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = f"{value:.4f}" if isinstance(value, float) else visible(str(value))
    return text.replace("\\", "\\\\").replace("|", "\\|")
