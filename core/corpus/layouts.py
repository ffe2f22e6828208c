"""Layouts: recognise by its content how a file holds captions, and read it into a table."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from core.assets import AssetError
from core.corpus.delimited import read_delimited, recognise
from core.corpus.json_files import looks_like_lines, parse, read_json, read_json_lines
from core.corpus.kinds import REFERENCES, kind_of_column
from core.corpus.table import ReadOptions, Table
from core.corpus.text_files import decode, empty, lines_of, read_bytes

_PARQUET = b"PAR1"


def read_table(path: Path, options: ReadOptions) -> Table:
    """Read a file in the layout that the options name, else in the one that its content shows.

    Raises:
        AssetError: The file is missing, empty, damaged, or of no layout that is read.
    """
    if path.is_dir():
        raise AssetError(path, "is a folder", expected="a file of captions", advice="name the file in it")
    data = read_bytes(path)
    if options.layout == "parquet" or (options.layout is None and data.startswith(_PARQUET)):
        return _read_parquet(data, path)
    text = decode(data, path, encoding=options.encoding)
    if not text:
        raise empty(path)
    lines = lines_of(text)
    ending = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"][-1:]
    is_json = ending in ([".json"], [".jsonl"], [".ndjson"])
    if options.layout == "jsonl":
        return read_json_lines(lines, path)
    if options.layout == "json" or (options.layout is None and (is_json or text.lstrip()[:1] in ("{", "["))):
        table = _read_json(text, lines, path, sure=options.layout == "json", announced=is_json)
        if table is not None:
            return table
    separator, tabular = options.separator, ending in ([".csv"], [".tsv"])
    if separator is None and options.layout != "lines":
        asked = options.layout == "table" or options.header is not None or bool(options.text_columns)
        separator = recognise(lines, tabular=tabular or asked)
    if separator is None:
        return _read_lines(lines, path, sure=options.layout == "lines")
    return read_delimited(lines, path, separator=separator, header=options.header)


def _read_json(text: str, lines: list[str], path: Path, *, sure: bool, announced: bool) -> Table | None:
    """Read a JSON document, or lines of JSON; None for text that only begins like them.

    Args:
        text: The whole text.
        lines: Its lines.
        path: Where it was read.
        sure: Whether the user says that it is one document.
        announced: Whether the file's name says that it is JSON.
    """
    try:
        document = parse(text)
    except ValueError as error:
        if not sure and looks_like_lines(lines, also_texts=announced):
            return read_json_lines(lines, path)
        if not sure and not announced:
            return None
        raise AssetError(path, f"not valid JSON, or cut off ({error})", advice="copy or download it again") from error
    if len(lines) == 1 and isinstance(document, dict) and path.suffix.lower() in (".jsonl", ".ndjson"):
        return read_json_lines(lines, path)
    return read_json(document, path)


def _read_lines(lines: list[str], path: Path, *, sure: bool) -> Table:
    """Read a caption from each line."""
    kind = kind_of_column(lines)
    if kind in REFERENCES and not sure:
        what = {"number": "numbers", "code": "numbers or ids", "file": "file names or addresses"}[kind]
        advice = "name the file that holds the captions; if these are the captions, use --layout lines"
        raise AssetError(path, f"its lines are {what}, no captions", advice=advice)
    return Table(layout="a caption a line", columns={"1": list(lines)}, texts="1", lines=range(1, len(lines) + 1))


def _read_parquet(data: bytes, path: Path) -> Table:
    """Read the columns of a Parquet file that may hold captions, ids or images; of a picture, only its path."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(io.BytesIO(data))
        names = [field.name for field in schema if _is_readable(field.type)]
        paths = [f"{field.name}.path" for field in schema if field.name not in names and _has_path(field.type)]
        frame = pd.read_parquet(io.BytesIO(data), columns=names + paths[:1], dtype_backend="pyarrow")
    except (ValueError, KeyError, OSError, pa.ArrowException) as error:
        found = f"cannot be read as parquet ({error})"
        raise AssetError(path, found, advice="copy or download it again") from error
    if frame.index.name is not None and frame.index.name not in frame.columns:
        frame = frame.reset_index()
    columns = {str(name): [None if value is pd.NA else value for value in frame[name]] for name in frame.columns}
    return Table(layout="Parquet", columns=columns)


def _is_readable(kind: Any) -> bool:
    """Tell whether a column of this Arrow type may hold captions, ids or names; an embedding or a picture does not."""
    import pyarrow as pa

    types = pa.types
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _is_readable(kind.value_type) and not types.is_floating(kind.value_type)
    if types.is_struct(kind):
        return all(_is_readable(field.type) for field in kind)
    return not (types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind))


def _has_path(kind: Any) -> bool:
    """Tell whether a column holds pictures with their paths, as the datasets library writes them."""
    import pyarrow as pa

    return bool(pa.types.is_struct(kind)) and "path" in [field.name for field in kind]
