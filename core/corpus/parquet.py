"""Parquet: which columns of a file may hold captions, and what they claim to hold before any of it is unpacked."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from core.assets import AssetError
from core.corpus.table import Table

_READ_CLAIMS = """
import signal
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which pyarrow's code would only note
signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the thread that starts this may have them blocked
import io, json, resource, sys
import pyarrow.parquet as pq
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
data = pq.ParquetFile(sys.argv[1] if sys.argv[1:] else io.BytesIO(sys.stdin.buffer.read())).metadata
parts = (data.row_group(i).column(j) for i in range(data.num_row_groups) for j in range(data.num_columns))
print(json.dumps([(part.path_in_schema, part.num_values, part.total_uncompressed_size) for part in parts]))
"""
_MOST_SECONDS = 60  # of which Python and pyarrow take one to start


class Claim(NamedTuple):
    """What a column claims to hold in one row group."""

    path: str
    """The column, then what is in it: `embedding.list.element`."""
    values: int
    """Number of values, those of lists too."""
    unpacked: int
    """Bytes."""


def column_claims(source: Path | io.BytesIO, names: Sequence[str]) -> list[Claim]:
    """Return the claims of some columns of a Parquet file, a row group after the other.

    Some damaged claims end the process in which pyarrow reads them, so another one does.

    Raises:
        OSError: They cannot be read, or not within a minute.
    """
    data, arguments = (b"", [str(source)]) if isinstance(source, Path) else (source.getvalue(), [])
    command = [sys.executable, "-P", "-c", _READ_CLAIMS, *arguments]  # -P: no modules of the current folder
    try:
        done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=_MOST_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise OSError(f"reading its metadata took more than {_MOST_SECONDS} seconds") from error
    if done.returncode:
        told = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        raise OSError(told[-1].strip() if told else "its metadata are damaged")
    claims = [Claim(*claim) for claim in json.loads(done.stdout)]
    return [claim for claim in claims if any(f"{claim.path}.".startswith(f"{name}.") for name in names)]


def readable_columns(schema: Any, path: str | Path) -> list[str]:
    """Return the columns that may hold captions, ids or images; of the first one of pictures, its path.

    Raises:
        AssetError: There are none, or two have one name.
    """
    names = [field.name for field in schema if _is_readable(field.type)]
    paths = [f"{field.name}.path" for field in schema if field.name not in names and _has_path(field.type)]
    if not names:
        found = f"no column of it holds texts: {', '.join(f'{field.name} ({field.type})' for field in schema)}"
        raise AssetError(path, found, advice="save the captions as a column of strings")
    if repeated := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        found = f"several columns have the name {repeated[0]}"
        raise AssetError(path, found, advice="give each column a name of its own")
    return names + paths[:1]


def table_of(columns: Any) -> Table:
    """Make a table of an Arrow table."""
    import pandas as pd

    frame = columns.to_pandas(types_mapper=pd.ArrowDtype)
    is_told = frame.index.names != [None] or not isinstance(frame.index, pd.RangeIndex)
    if is_told and not set(frame.index.names).intersection(frame.columns):
        frame = frame.reset_index()
    values = {str(name): [None if value is pd.NA else value for value in frame[name]] for name in frame.columns}
    return Table(layout="Parquet", columns=values)


def _is_readable(kind: Any) -> bool:
    """Tell whether a column of this Arrow type may hold captions, ids or names; an embedding or a picture does not."""
    import pyarrow as pa

    types = pa.types
    if types.is_map(kind):
        return False
    if is_list(kind):
        return _is_readable(kind.value_type) and not types.is_floating(kind.value_type)
    if types.is_struct(kind):
        return all(_is_readable(field.type) for field in kind)
    return not is_binary(kind)


def is_list(kind: Any) -> bool:
    """Tell whether the values of a column of this Arrow type are lists."""
    from pyarrow import types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def is_binary(kind: Any) -> bool:
    """Tell whether the values of a column of this Arrow type are bytes."""
    from pyarrow import types

    is_long = types.is_large_binary(kind) or types.is_binary_view(kind)
    return bool(types.is_binary(kind) or is_long or types.is_fixed_size_binary(kind))


def _has_path(kind: Any) -> bool:
    """Tell whether a column holds pictures with their paths, as the datasets library writes them."""
    import pyarrow as pa

    return bool(pa.types.is_struct(kind)) and "path" in [field.name for field in kind]
