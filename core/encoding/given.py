"""Given: embeddings of the captions that the user computed elsewhere, with an encoder that is not at hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.assets import AssetError, first_names
from core.corpus.parquet import column_claims
from core.store.file_state import FileState

if TYPE_CHECKING:
    import pyarrow as pa

_EXPECTED = "an array of numbers, a row for each caption: .npy, or .parquet with a column of lists of numbers"

_MOST_DIM = 1 << 16  # numbers of an embedding
_BATCH = 1 << 22  # numbers read together


class FileRows:
    """The rows of an array in a .npy file, read when asked for.

    A memory-mapped file would end the process if another program cut it off.
    """

    def __init__(self, mapped: np.memmap[Any, Any], path: Path) -> None:
        self.dtype, self.shape = mapped.dtype, (int(mapped.shape[0]), int(mapped.shape[1]))
        self._offset, self._state = mapped.offset, FileState.of(path)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Read some rows, (n, D).

        Raises:
            AssetError: The file cannot be read, or is shorter than it was.
        """
        start, stop, _ = rows.indices(len(self))
        width = self.shape[1]
        offset = self._offset + start * width * self.dtype.itemsize
        try:
            values = np.fromfile(self._state.path, self.dtype, (stop - start) * width, offset=offset)
        except OSError as error:
            raise AssetError.from_os_error(self._state.path, error) from error
        if len(values) < (stop - start) * width:
            raise self._state.error()
        return values.reshape(-1, width)  # (stop - start, D)


def read_embeddings(path: Path, n: int) -> NDArray[Any] | FileRows:
    """Read the embeddings of n captions, (n, D), of any width and kind of number; those of a .npy file later.

    Raises:
        AssetError: The file cannot be read, holds no such array, or not one row for each caption.
    """
    rows = _read_parquet(path, n) if _begins_with(path, b"PAR1") else _read_npy(path)
    if len(rows.shape) != 2 or rows.dtype.kind not in "fiu" or rows.shape[1] < 2:
        found = f"holds an array of shape {rows.shape} and type {rows.dtype}"
        raise AssetError(
            path,
            found,
            expected=_EXPECTED,
            advice="save an array of N rows and two columns or more",
        )
    _check_count(path, len(rows), n)
    return rows


def _check_count(path: Path, count: int, n: int) -> None:
    if count != n:
        found = f"holds {count:,} embeddings, and there are {n:,} captions"
        advice = "embed exactly these captions, empty ones too, in the order of their file"
        raise AssetError(path, found, expected="one for each caption", advice=advice)


def _begins_with(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError as error:
        raise AssetError.from_os_error(path, error) from error


def _read_npy(path: Path) -> NDArray[Any] | FileRows:
    if _begins_with(path, b"PK"):
        found, advice = "is an archive of several arrays (.npz)", "save the one array of embeddings with numpy.save"
        raise AssetError(path, found, expected=_EXPECTED, advice=advice)
    if not _begins_with(path, b"\x93NUMPY"):
        found = "is neither a .npy nor a Parquet file" if path.stat().st_size else "is empty"
        raise AssetError(path, found, expected=_EXPECTED, advice="write it with numpy.save, or as Parquet")
    try:
        loaded: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        is_plain = loaded.ndim == 2 and loaded.flags.c_contiguous
        rows: NDArray[Any] = loaded if is_plain else np.load(path, allow_pickle=False)
    except Exception as error:  # a damaged header can raise any exception
        found = f"cannot be read as a .npy file ({f'{error}'.partition(chr(10))[0][:100]})"
        raise AssetError.from_reader(path, error, found, expected=_EXPECTED, advice="copy or save it again") from error
    if is_plain:
        assert isinstance(rows, np.memmap)
        return FileRows(rows, path)
    return rows


def _read_parquet(path: Path, n: int) -> NDArray[Any]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        schema = parquet.read_schema(path)
        names = [field.name for field in schema if _is_embedding(field.type)]
        if len(names) != 1:
            found = f"has {len(names)} columns of lists of numbers" + (f": {first_names(names)}" if names else "")
            raise AssetError(path, found, expected="one such column", advice="write a file with that column alone")
        file, rows, done = parquet.ParquetFile(path), None, 0
        _check_count(path, file.metadata.num_rows, n)
        numbers = sum(claim.values for claim in column_claims(path, names))
        if numbers > _MOST_DIM * n:
            found = f"its {n:,} lists claim {numbers:,} numbers"
            raise AssetError(
                path, found, expected=f"at most {_MOST_DIM:,} in each", advice="check which file you meant"
            )
        for batch in file.iter_batches(batch_size=max(1, _BATCH * n // max(1, numbers)), columns=names):
            lists = batch.column(0)
            lengths = set(lists.value_lengths().to_pylist())
            part = lists.flatten()
            width = len(part) // max(1, len(lists)) if rows is None else rows.shape[1]
            if lengths != {width} or not width or part.null_count:
                found = f"the lists of its column {names[0]} have different lengths, or gaps"
                advice = "embed all captions alike"
                raise AssetError(path, found, expected="lists of one length without gaps", advice=advice)
            values: NDArray[Any] = part.to_numpy(zero_copy_only=False)
            if rows is None:
                rows = np.empty((n, width), values.dtype)  # (N, D)
            rows[done : done + len(lists)] = values.reshape(len(lists), width)
            done += len(lists)
        _check_count(path, done, n)
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        found = f"cannot be read as parquet ({f'{error}'.partition(chr(10))[0][:100]})"
        raise AssetError.from_reader(path, error, found, expected=_EXPECTED, advice="write it again") from error
    return np.empty((0, 1), np.float32) if rows is None else rows


def _is_embedding(kind: pa.DataType) -> bool:
    import pyarrow as pa

    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(is_list and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)))
