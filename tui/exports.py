"""Exports: rows of hits, visits or comparisons as CSV, JSON lines, Parquet or Markdown; the corpus as Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from core.assets import AssetError
from tui.text import visible

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.corpus.captions import Captions
    from core.ranking.graph import Graph
    from core.ranking.regions import Regions

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet takes a cell that begins so for a formula


def check_output(path: Path, *, endings: Collection[str] = (), used: Iterable[Path] = ()) -> Path:
    """Return a path to which a file can be written, with `~` and links resolved.

    Args:
        path: What the person named.
        endings: The endings that it may have; none for any.
        used: Files that are read, which it must not replace.

    Raises:
        AssetError: It has another ending, is in no folder, is a file that is read, or no file at all, as a pipe is.
    """
    path = resolved(path)
    _check_ending(path, endings)
    try:
        fits = str(path) != "-" and (path.is_file() or not path.exists()) and path.parent.is_dir()
        is_used = fits and path.exists() and any(each.exists() and path.samefile(each) for each in used)
    except OSError as error:
        raise AssetError.from_os_error(path, error) from error
    if not fits:
        raise AssetError(path, "cannot be written", expected="a file in a folder that exists", advice="name another")
    if is_used:
        raise AssetError(path, "is a file that is read", advice="name another file to write")
    if path.is_symlink():
        path = path.resolve()
        _check_ending(path, endings)
    return path


def _check_ending(path: Path, endings: Collection[str]) -> None:
    if endings and path.suffix.lower() not in endings:
        found = f"has the ending {path.suffix!r}" if path.suffix else "has no ending"
        advice = f"name {path.stem or 'output'}{next(iter(endings))}, say"
        raise AssetError(path, found, expected=f"one of {', '.join(endings)}", advice=advice)


def resolved(path: Path) -> Path:
    """Return a path with `~` resolved.

    Raises:
        AssetError: It names a person who is not known here.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise AssetError(path, str(error), advice="write the whole path") from error


@contextmanager
def open_rows(path: Path, columns: Sequence[str]) -> Iterator[Write]:
    """Open a file for rows; it appears whole or not at all.

    Call the result with one part of the rows after the other; they need not fit into memory together. In CSV, a text
    that a spreadsheet would take for a formula begins with an apostrophe.

    Args:
        path: The file, with one of `ENDINGS`, which names the format.
        columns: The keys of each row.

    Raises:
        AssetError: The file cannot be written.
    """
    from core.store.whole import whole_file  # not loaded for `--help`

    advice = "check the path and the disk, or name another file"
    with whole_file(path, advice=advice) as work, _WRITERS[path.suffix.lower()](work, columns) as write:
        yield write


Write: TypeAlias = Callable[[Sequence[dict[str, Any]]], object]


@contextmanager
def _csv(path: Path, columns: Sequence[str]) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        yield lambda rows: writer.writerows({name: _defused(row[name]) for name in columns} for row in rows)


@contextmanager
def _jsonl(path: Path, columns: Sequence[str]) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as file:
        yield lambda rows: file.writelines(json.dumps(row) + "\n" for row in rows)


@contextmanager
def _markdown(path: Path, columns: Sequence[str]) -> Iterator[Write]:
    def lines_of(rows: Iterable[Iterable[str]]) -> Iterator[str]:
        return (f"| {' | '.join(cells)} |\n" for cells in rows)

    with path.open("w", encoding="utf-8") as file:
        file.writelines(lines_of([columns, ["---"] * len(columns)]))
        yield lambda rows: file.writelines(lines_of([_cell(row[name]) for name in columns] for row in rows))


@contextmanager
def _parquet(path: Path, columns: Sequence[str]) -> Iterator[Write]:
    import pyarrow as pa
    from pyarrow import parquet

    def schema_of(rows: Sequence[dict[str, Any]]) -> pa.Schema:
        """Return the types of rows; a column without a value may get numbers or texts in a later part."""
        types = pa.Table.from_pylist([_encodable(row) for row in rows] or [dict.fromkeys(columns)]).schema
        for name in columns:
            if pa.types.is_null(types.field(name).type):
                kind = pa.int64() if name in _WHOLE else pa.float64() if name in _NUMBERS else pa.string()
                types = types.set(types.get_field_index(name), pa.field(name, kind))
        return types

    with ExitStack() as opened:
        writer: parquet.ParquetWriter | None = None

        def write(rows: Sequence[dict[str, Any]]) -> None:
            nonlocal writer
            if writer is None:
                writer = opened.enter_context(parquet.ParquetWriter(path, schema_of(rows)))
            writer.write_table(pa.Table.from_pylist([_encodable(row) for row in rows], schema=writer.schema))

        yield lambda rows: write(rows) if rows else None
        if writer is None:
            write([])


_WRITERS: dict[str, Callable[[Path, Sequence[str]], AbstractContextManager[Write]]] = {
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
    ".md": _markdown,
}
ENDINGS = tuple(_WRITERS)
"""The endings of the files that `open_rows` writes."""
_WHOLE = ("rank", "row", "query_number", "visit", "from")
_NUMBERS = ("distance", "score", "closer_than", "step", "from_start")


def write_corpus(
    path: Path, captions: Captions, points: NDArray[np.float32], regions: Regions, graph: Graph | None
) -> None:
    """Write captions as Parquet for embedding-atlas: with places on a plane, (N, 2), regions and nearest captions."""
    import pyarrow as pa
    from pyarrow import parquet

    groups = [captions.group(row) for row in range(len(captions))]
    columns: dict[str, Any] = {
        "row": pa.array(range(len(captions)), pa.int64()),
        "caption": pa.array(captions.texts, pa.string()),
        "caption_id": pa.array(captions.ids.tolist()),
        "image_id": pa.array(groups),
        "file_name": pa.array([captions.file_names.get(group) for group in groups], pa.string()),
        "projection_x": pa.array(points[:, 0], pa.float32(), mask=regions.of == 0),
        "projection_y": pa.array(points[:, 1], pa.float32(), mask=regions.of == 0),
        "region": pa.array(regions.of, pa.int16(), mask=regions.of == 0),
        "region_name": pa.array([None, *(each.name for each in regions.regions)], pa.string()).take(
            pa.array(regions.of)
        ),
    }
    if graph is not None:
        counts = (graph.rows >= 0).sum(axis=1)  # (N,)
        offsets = pa.array([0, *counts.cumsum().tolist()], pa.int32())
        known = graph.rows >= 0  # (N, K)
        ids = pa.ListArray.from_arrays(offsets, pa.array(graph.rows[known].astype("int64")))
        distances = pa.ListArray.from_arrays(offsets, pa.array(graph.distances[known]))
        columns["neighbors"] = pa.StructArray.from_arrays([ids, distances], names=["ids", "distances"])
    parquet.write_table(pa.table(columns), path)


def _encodable(row: dict[str, Any]) -> dict[str, Any]:
    """Replace what cannot be encoded, such as an argument that was no UTF-8."""
    return {
        name: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for name, value in row.items()
    }


def _defused(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = f"{value:.4f}" if isinstance(value, float) else visible(str(value))
    return text.replace("\\", "\\\\").replace("|", "\\|")
