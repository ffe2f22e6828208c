"""Parts: the rows of many Parquet files, in a folder or a bucket, as pieces of work."""

from __future__ import annotations

import fnmatch
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import fs, parquet

from core.assets import AssetError
from core.corpus.parquet import readable_columns

_MOST_ROWS, _LEAST_ROWS = 1 << 16, 1 << 12  # rows of a part
_PARTS = 16  # that a small corpus is divided into
_AT_A_TIME = 1 << 13  # rows
_AT_ONCE = 16  # files whose ends are read together
_SECONDS = {"connect_timeout": 5.0, "request_timeout": 30.0}
_MARK = 8  # bytes behind the description of a file: its length, and `PAR1`
_WILD = "*?["
_OF_MACHINE = ("AWS Error", "curlCode", "HTTP status")  # in errors that say nothing of the file itself


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive rows of one file."""

    number: int
    """From 0, in the order of the files' names."""
    path: str
    """The file's path or address."""
    start: int
    """Its first row in the file."""
    rows: int
    first: int
    """Its first row among those of all files."""

    def __str__(self) -> str:
        return f"rows {self.start:,} to {self.start + self.rows - 1:,} of {self.path}"

    def read(self, columns: list[str]) -> pa.Table:
        """Read some columns of the rows.

        Raises:
            AssetError: The machine that has the file cannot be reached or used.
            OSError, ValueError, pa.ArrowException: The file is damaged.
        """
        with _reached(self.path), _opened(self.path) as file:
            groups, begin, skipped, stop = [], 0, 0, self.start + self.rows
            for group in range(file.metadata.num_row_groups):
                end = begin + file.metadata.row_group(group).num_rows
                if begin < stop and end > self.start:
                    groups.append(group)
                elif end <= self.start:
                    skipped = end
                begin = end
            batches, at = [], skipped
            for batch in file.iter_batches(_AT_A_TIME, row_groups=groups, columns=columns):
                begin, at = at, at + len(batch)
                if at > self.start:
                    first = max(0, self.start - begin)
                    batches.append(batch.slice(first, min(at, stop) - begin - first))
                if at >= stop:  # the rest of a row group is not read
                    break
            return pa.Table.from_batches(batches)


class Parts(NamedTuple):
    """All parts of a corpus."""

    parts: list[Part]
    schema: pa.Schema
    """The columns of the files."""
    digest: str
    """SHA-256 of what the files say of themselves at their ends, such as the statistics of their columns.

    Where a file lacks those, the time of its last change stands for them.
    """
    nullable: frozenset[str]
    """The columns in which values are missing, or may be."""
    files: int

    @property
    def rows(self) -> int:
        """N."""
        return self.parts[-1].first + self.parts[-1].rows


def find_parts(pattern: str) -> Parts:
    """Divide Parquet files into parts: those of a folder, or that a pattern such as `s3://bucket/captions/*` names.

    How they are divided depends on the files alone, so that an interrupted work finds its parts again.

    Raises:
        AssetError: There are none, one cannot be read, or they have different columns.
    """
    paths = _paths(pattern)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        read = list(pool.map(_read_end, paths))
    ends, hashes = [each.metadata for each in read], [each.digest for each in read]
    digest, schema = hashlib.sha256(), ends[0].schema.to_arrow_schema()
    for path, end, own in zip(paths, ends, hashes, strict=True):
        if difference := _difference(end.schema.to_arrow_schema(), schema):
            found = f"has other columns than {paths[0]}: {difference}"
            raise AssetError(path, found, advice="name files of one kind: --captions 'FOLDER/NAME*.parquet'")
        digest.update(repr((path.rpartition("/")[2], own)).encode())
    n = sum(end.num_rows for end in ends)
    if not n:
        raise AssetError(
            pattern, "holds no rows", expected="at least one caption", advice="check which files you meant"
        )
    size = min(_MOST_ROWS, max(_LEAST_ROWS, -(-n // _PARTS)))
    parts: list[Part] = []
    first = 0
    for path, end in zip(paths, ends, strict=True):
        for start in range(0, end.num_rows, size):
            rows = min(size, end.num_rows - start)
            parts.append(Part(len(parts), path, start, rows, first))
            first += rows
    readable_columns(schema, paths[0])  # an error if there are none
    nullable = frozenset(name for each in read for name in each.nullable)
    return Parts(parts, schema, digest.hexdigest(), nullable, len(paths))


def name_of(pattern: str) -> str:
    """Return the name of a corpus on screen: that of its folder, or of its only file."""
    path = pattern if "://" in pattern else str(Path(pattern).resolve())  # `.` has a name, too
    folder, _, name = path.rstrip("/").rpartition("/")
    is_pattern = any(sign in name for sign in _WILD)
    return (folder.rpartition("/")[2] if is_pattern else name.removesuffix(".parquet")) or pattern


def _paths(pattern: str) -> list[str]:
    """Return the addresses of the files that a pattern names, sorted."""
    system, path = _system_of(pattern)
    try:
        kind = system.get_file_info(path.rstrip("/")).type
    except (OSError, ValueError) as error:
        raise _unreachable(pattern, error) from error
    folder, _, name = path.rpartition("/")
    scheme = pattern.partition("://")[0] + "://" if "://" in pattern else ""
    if kind == fs.FileType.File:
        return [scheme + path]
    if kind == fs.FileType.Directory:  # also one that is named as a file, as Spark does
        folder, name = path.rstrip("/"), "*.parquet"
    elif any(sign in folder for sign in _WILD):
        advice = "use * in the names of files alone: --captions 'FOLDER/*.parquet'"
        raise AssetError(pattern, "has a pattern in the name of a folder", advice=advice)
    try:
        found = system.get_file_info(fs.FileSelector(folder))
    except (OSError, ValueError) as error:
        raise _unreachable(pattern, error) from error
    paths = sorted(
        scheme + each.path
        for each in found
        if each.type == fs.FileType.File and fnmatch.fnmatchcase(each.base_name, name)
    )
    if not paths:
        advice = "check it; a folder is searched for *.parquet, without the folders in it"
        raise AssetError(pattern, "names no file", expected="Parquet files of captions", advice=advice)
    return paths


def _system_of(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and the path in it."""
    if "://" not in address:
        return fs.LocalFileSystem(), str(Path(address).absolute())
    try:
        if address.startswith("s3://"):
            endpoint, region = os.environ.get("AWS_ENDPOINT_URL"), os.environ.get("AWS_REGION")
            return fs.S3FileSystem(endpoint_override=endpoint, region=region, **_SECONDS), address.removeprefix("s3://")
        system, path = fs.FileSystem.from_uri(address)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _unreachable(address, error) from error
    return system, path


def _opened(path: str) -> parquet.ParquetFile:
    system, inside = _system_of(path)
    return parquet.ParquetFile(system.open_input_file(inside))


@contextmanager
def _reached(path: str) -> Iterator[None]:
    """Raise `AssetError` for errors that are of the machine that has a file, and not of the file."""
    try:
        yield
    except OSError as error:
        if error.errno or any(sign in str(error) for sign in _OF_MACHINE):
            raise _unreachable(path, error) from error
        raise


class _End(NamedTuple):
    """What stands at the end of a file."""

    metadata: parquet.FileMetaData
    digest: str
    nullable: frozenset[str]


def _read_end(path: str) -> _End:
    system, inside = _system_of(path)
    try:
        with _reached(path), system.open_input_file(inside) as source:
            metadata = parquet.ParquetFile(source).metadata
            source.seek(source.size() - _MARK - metadata.serialized_size)
            raw = source.read()
    except (OSError, ValueError, pa.ArrowException) as error:
        found = f"cannot be read as parquet ({_first_line(error)})"
        advice = "copy it again, or take it out of the folder"
        if "magic bytes" in str(error):
            advice += "; other files than Parquet are encoded by one machine: infersent-tui encode FILE"
        raise AssetError(path, found, advice=advice) from error
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    columns = [group.column(column) for group in groups for column in range(group.num_columns)]
    lacking = {each.path_in_schema for each in columns if _may_lack_values(each)}
    nullable = lacking | {name.partition(".")[0] for name in lacking}  # of what is within a column, too
    told = "" if all(each.is_stats_set for each in columns) else str(system.get_file_info(inside).mtime_ns)
    return _End(metadata, hashlib.sha256(raw + told.encode()).hexdigest(), frozenset(nullable))


def _may_lack_values(column: parquet.ColumnChunkMetaData) -> bool:
    statistics = column.statistics if column.is_stats_set else None
    return statistics is None or not statistics.has_null_count or statistics.null_count > 0


def _difference(own: pa.Schema, others: pa.Schema) -> str:
    """Say in which columns two schemas differ; empty where they do not."""
    kinds, other_kinds = ({field.name: str(field.type) for field in each} for each in (own, others))
    names = dict.fromkeys([*kinds, *other_kinds])
    both = {name: [each.get(name, "none") for each in (kinds, other_kinds)] for name in names}
    return "; ".join(f"{name} is {one}, there {other}" for name, (one, other) in both.items() if one != other)


def _unreachable(address: str, error: Exception) -> AssetError:
    if isinstance(error, OSError) and error.errno:
        return AssetError.from_os_error(address, error)
    advice = "check the address and your rights there: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION"
    return AssetError(address, f"cannot be read ({_first_line(error)})", advice=advice)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
