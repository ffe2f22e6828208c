"""Parquet: what the columns of a file claim to hold, before any of it is unpacked."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

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
