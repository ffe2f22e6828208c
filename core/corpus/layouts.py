"""Layouts: recognise by its content how a file holds captions, and read it into a table."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.assets import AssetError
from core.corpus.delimited import read_delimited, recognise
from core.corpus.json_files import read_json, read_json_lines
from core.corpus.json_text import looks_like_json, looks_like_lines, parse, parse_sequence
from core.corpus.kinds import kind_of_column
from core.corpus.parquet import column_claims, is_list, readable_columns, table_of
from core.corpus.table import ReadOptions, Table
from core.corpus.text_files import decode, empty, lines_of, read_bytes, refuse_bomb

_PARQUET = b"PAR1"
_OBJECT_BYTES = 64  # of a Python object


def read_table(path: Path, options: ReadOptions) -> Table:
    """Read a file in the layout that the options name, else in the one that its content shows.

    Raises:
        AssetError: The file is missing, empty, damaged, or of no layout that is read.
    """
    if path.is_dir():
        raise AssetError(path, "is a folder", expected="a file of captions", advice="name the file in it")
    if options.layout is None and _is_parquet(path):
        return _read_parquet(path, path)  # in place: its pictures may take gigabytes
    data = read_bytes(path)
    if options.layout == "parquet" or (options.layout is None and data.startswith(_PARQUET)):
        return _read_parquet(io.BytesIO(data), path)
    text = decode(data, path, encoding=options.encoding, page=options.layout == "lines")
    if not text:
        raise empty(path)
    lines = lines_of(text)
    ending = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"][-1:]
    if options.layout == "jsonl":
        return read_json_lines(lines, path)
    is_json = ending in ([".json"], [".jsonl"], [".ndjson"])
    if options.layout == "json" or (options.layout is None and (is_json or looks_like_json(text))):
        return _read_json(text, lines, path, is_document=options.layout == "json", also_texts=is_json)
    separator, tabular = options.separator, ending in ([".csv"], [".tsv"])
    if separator is None and options.layout != "lines":
        asked = options.layout == "table" or options.header is not None or bool(options.text_columns)
        separator = recognise(lines, tabular=tabular or asked, header=options.header)
    if separator is None:
        return _read_lines(lines, path, sure=options.layout == "lines")
    return read_delimited(lines, path, separator=separator, header=options.header)


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_PARQUET)) == _PARQUET
    except OSError:
        return False  # standard input; what cannot be read is an error later


def _read_json(text: str, lines: list[str], path: Path, *, is_document: bool, also_texts: bool) -> Table:
    """Read a JSON document, JSON values that follow each other, or lines of JSON of which some may be broken."""
    try:
        return read_json(parse(text), path)
    except ValueError as error:
        if not is_document and not looks_like_lines(lines[:-1], also_texts=also_texts):
            try:
                return read_json(parse_sequence(text), path)
            except ValueError:
                pass
        if not is_document and looks_like_lines(lines, also_texts=also_texts):
            return read_json_lines(lines, path)
        advice = "copy or download it again; if you wrote it yourself, write it with json.dumps"
        raise AssetError(path, f"not valid JSON, or cut off ({error})", advice=advice) from error


def _read_lines(lines: list[str], path: Path, *, sure: bool) -> Table:
    """Read a caption from each line."""
    kind = kind_of_column(lines)
    what = {"number": "numbers", "code": "numbers or ids", "file": "file names or addresses", "object": "objects"}
    what |= {"list": "lists", "mixed": "partly texts, partly numbers, names or addresses"}
    if kind in what and not sure:
        advice = "name the file that holds the captions; if these are the captions, use --layout lines"
        raise AssetError(path, f"its lines are {what[kind]}, no captions", advice=advice)
    return Table(layout="a caption a line", columns={"1": list(lines)}, texts="1", lines=range(1, len(lines) + 1))


def _read_parquet(source: Path | io.BytesIO, path: Path) -> Table:
    """Read the columns of a Parquet file that may hold captions, ids or images; of a picture, only its path."""
    import pyarrow.parquet as pq

    try:
        names = readable_columns(pq.read_schema(source), path)
        return table_of(_read_columns(source, names, path))
    except AssetError:
        raise
    except Exception as error:  # pandas raises any kind of error at what a file says of its columns
        found = f"cannot be read as parquet ({f'{error}'.partition(chr(10))[0][:100]})"
        raise AssetError.from_reader(path, error, found, advice="copy or download it again") from error


def _read_columns(source: Path | io.BytesIO, names: Sequence[str], path: Path) -> Any:
    """Read columns into an Arrow table.

    Raises:
        AssetError: They take far more memory than their file, as when each row, or a list in one, repeats one text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    claims = column_claims(source, names)
    packed = len(source.getbuffer()) if isinstance(source, io.BytesIO) else source.stat().st_size
    claimed = sum(max(claim.unpacked, _OBJECT_BYTES * claim.values) for claim in claims)  # a row may be vast
    refuse_bomb(path, packed=packed, unpacked=claimed)
    size, batches, leaves = 0, [], sorted({claim.path for claim in claims})
    file = pq.ParquetFile(source, read_dictionary=leaves)  # a text that is repeated stays one
    for batch in file.iter_batches(columns=list(names), use_pandas_metadata=True):
        size += sum(map(_size_of, batch.columns))
        refuse_bomb(path, packed=packed, unpacked=size)
        batches.append(batch)
    return pa.Table.from_batches(batches, None if batches else file.schema_arrow)


def _size_of(values: Any) -> int:
    """Return about how many bytes an Arrow array takes as Python objects."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind, own = values.type, _OBJECT_BYTES * len(values)
    if is_list(kind):
        return own + _size_of(values.flatten())
    if pa.types.is_struct(kind):
        return own + sum(map(_size_of, values.flatten()))
    if pa.types.is_dictionary(kind):
        return own + (pc.sum(pc.binary_length(values.dictionary).take(values.indices)).as_py() or 0)
    return own + int(values.nbytes)
