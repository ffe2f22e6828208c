"""Row files: unit rows on disk in three arrays, written chunk by chunk; an interrupted run is gone on with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.corpus.sentences import Sentences
from core.encoding.building import DistinctChunk, EncodedChunk, chunk_size, distinct_chunks, encode_sentences, is_large
from core.encoding.encoder import PLAN, SentenceEncoder, WordRows
from core.encoding.unit_rows import UnitRows
from core.shortage import shortage
from core.store.disk import ensure_folder
from core.store.progress import Steps
from core.store.whole import Origin, delete, new_array, read_json, seal, unseal, write_json

ABOUT = "recipe.json"
"""What the rows are made from; it is written once the arrays are there, still empty."""
_PROGRESS = "progress.json"  # exists while rows are missing
_ARRAYS = ("embeddings", "norms", "row_norms")
_READ_ERRORS = (OSError, EOFError, ValueError, KeyError, TypeError)  # raised when damaged files are opened


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What building a matrix, or a part of one, did."""

    rows: int
    """Number of rows."""
    resumed_rows: int
    """Number of rows that an earlier, interrupted run had finished."""
    reused: bool
    """True when all were finished already."""
    started_over: str
    """Why earlier rows were discarded; empty when none were."""
    seconds: float = 0.0
    """From loading the weights to the last row, without reading captions and vectors; 0 when not measured."""


@dataclass(frozen=True, slots=True)
class RowFiles:
    """The files of N unit rows in a folder, whose lock the caller holds while writing them."""

    folder: Path
    origin: Origin
    """What they are made from."""
    about: Mapping[str, Any]
    """The same as values for `ABOUT`."""
    beside: Mapping[str, NDArray[Any]]
    """Other arrays that belong to them, by name."""

    def open(self) -> None:
        """Make the folder, or mark it as unfinished. Links in it are deleted: what they name is not of this cache."""
        if self.folder.is_symlink():
            delete(self.folder)
        ensure_folder(self.folder)
        for path in self.folder.iterdir():
            if path.is_symlink() or (path.is_file() and path.stat().st_nlink > 1):
                delete(path)
        unseal(self.folder)

    def write_empty(self, n: int, dim: int, progress: Mapping[str, Any] | None = None) -> None:
        """Write the files of N rows of width D that are still missing, `ABOUT` last."""
        (self.folder / ABOUT).unlink(missing_ok=True)
        for name in _ARRAYS:  # another process may have mapped it
            (self.folder / f"{name}.npy").unlink(missing_ok=True)
        for derived in self.folder.glob("*/"):  # made from earlier rows
            shutil.rmtree(derived, ignore_errors=True)
        write_json(self.folder / _PROGRESS, {"rows": 0, **(progress or {})})
        for name, shape, dtype in zip(_ARRAYS, ((n, dim), (n,), (n,)), ("<f2", "<f4", "<f4"), strict=True):
            new_array(self.folder / f"{name}.npy", shape, dtype)
        for name, array in self.beside.items():
            with (self.folder / f"{name}.npy").open("wb") as file:
                np.save(file, array)
                file.flush()
                os.fsync(file.fileno())
        write_json(self.folder / ABOUT, dict(self.about))

    def finish(self) -> None:
        """Mark the rows as finished."""
        seal(self.folder, self.origin, files=[*(f"{name}.npy" for name in (*_ARRAYS, *self.beside)), ABOUT])
        (self.folder / _PROGRESS).unlink()

    def encode(
        self,
        sentences: Sentences,
        vectors: WordRows,
        encoder: SentenceEncoder,
        *,
        chunks: Sequence[DistinctChunk] | None = None,
    ) -> Steps[BuildReport]:
        """Encode sentences into the folder, going on where an interrupted run stopped.

        The work is divided into fixed chunks of distinct sentences; a chunk is done when its rows are on disk.
        `progress.json` records the software and hardware that may change the last bits. If they have changed, the work
        starts over, so that resumed rows are identical to uninterrupted ones.

        Args:
            sentences: The token ids of all captions.
            vectors: The word vectors that the ids index.
            encoder: The encoder.
            chunks: The chunks to encode, whose rows the files hold in this order; None for all chunks, whose rows they
                hold in the order of the captions.

        Raises:
            AssetError: The cache folder cannot be written, the disk is full, or the device fails.
        """
        is_part = chunks is not None
        if chunks is None:
            chunks = list(distinct_chunks(sentences, chunk_size(encoder.device)))
        n = sum(len(chunk.rows) for chunk in chunks)
        progress, started_over = self.begin(environment(encoder, sentences), n, encoder.dim)
        resumed = progress["rows"]
        with _ChunkWriter(self, progress, is_part=is_part) as writer:
            yield from encode_sentences(
                *(sentences, vectors, encoder, writer.write),
                chunks=chunks,
                skip=progress["chunks"],
                batch_size=progress["batch_size"],
            )
        self.finish()
        return BuildReport(n, resumed, False, started_over)

    def begin(self, how: Mapping[str, Any], n: int, dim: int) -> tuple[dict[str, Any], str]:
        """Open the folder, and write the files of N rows of width D unless there is something to go on with.

        Args:
            how: What may change the last bits: see `environment`.
            n: N.
            dim: D.

        Returns:
            The progress, with the numbers of finished `chunks` and `rows`; and why earlier rows were discarded, empty
            when none were.
        """
        self.open()
        progress, started_over = self._read_progress(dict(how), n, dim)
        if not progress["chunks"]:
            self.write_empty(n, dim, progress)
        return progress, started_over

    def note(self, progress: dict[str, Any], *, rows: int, batch_size: int) -> None:
        """Note that one more chunk is on disk.

        Args:
            progress: That of `begin`, which changes.
            rows: Number of rows in all finished chunks.
            batch_size: Number of sentences that fit on the device together.
        """
        progress.update({"chunks": progress["chunks"] + 1, "batch_size": batch_size, "rows": rows})
        write_json(self.folder / _PROGRESS, progress)

    def _read_progress(self, current: dict[str, Any], n: int, dim: int) -> tuple[dict[str, Any], str]:
        """Read the progress of an unfinished run.

        Returns:
            The progress, which is that of no rows if none can be resumed; and why existing ones cannot be.
        """
        empty = {"how": current, "chunks": 0, "batch_size": current["chunk"], "rows": 0}
        if not (self.folder / ABOUT).exists():
            return empty, ""
        try:
            progress = read_json(self.folder / _PROGRESS)
            before, _ = dict(progress["how"]), (progress["chunks"], progress["batch_size"], progress["rows"])
            if [array.shape for array in _arrays(self.folder)] != [(n, dim), (n,), (n,)]:
                raise ValueError
        except _READ_ERRORS as error:
            if shortage(error):  # else it would be made anew
                raise
            return empty, "its files are damaged"
        changed = differences(before, current)
        return (empty, changed) if changed else (progress, "")


def environment(encoder: SentenceEncoder, sentences: Sentences) -> dict[str, Any]:
    """Describe what may change the last bits of encoded sentences without changing their recipe."""
    how: dict[str, Any] = {"plan": PLAN, "chunk": chunk_size(encoder.device), "torch": torch.__version__}
    if encoder.device.type == "cuda":
        name = torch.cuda.get_device_name(encoder.device)
        return how | {"processor": name, "compiled steps": encoder.has_compiled_steps}
    how["processor"] = f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
    is_compiled = is_large(sentences, encoder) and encoder.has_compiled_steps
    return how | {"numba": version("numba") if is_compiled else "not used"}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say in what an `environment` differs from an earlier one; empty where it does not."""
    changed = [f"{name} was {before.get(name)}, is {value}" for name, value in now.items() if before.get(name) != value]
    return "; ".join(changed)


def _arrays(folder: Path) -> list[np.memmap[Any, Any]]:
    return [np.load(folder / f"{name}.npy", mmap_mode="r+") for name in _ARRAYS]


class _ChunkWriter:
    """Writes encoded chunks in a thread, one at a time, while the next one is encoded.

    Use it in a `with` block, whose end waits until the last chunk is on disk.
    """

    def __init__(self, files: RowFiles, progress: dict[str, Any], *, is_part: bool) -> None:
        self._files, self._progress, self._is_part = files, progress, is_part
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._last: Future[None] | None = None

    def __enter__(self) -> _ChunkWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._thread.shutdown()
        if kind is None:  # else that exception goes on; what is not on disk will be encoded again
            self._wait()

    def write(self, chunk: EncodedChunk) -> None:
        """Start to write a chunk, after the one before it.

        Raises:
            OSError: The chunk before it could not be written.
        """
        unit = UnitRows.of(chunk.embeddings).start_fetching()
        self._wait()
        self._last = self._thread.submit(self._write, chunk._replace(embeddings=torch.empty(0)), unit)

    def _wait(self) -> None:
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def _write(self, chunk: EncodedChunk, unit: Callable[[], list[NDArray[Any]]]) -> None:
        has_copies = len(chunk.source) > chunk.source[-1] + 1
        values = [each[chunk.source] if has_copies else each for each in unit()]  # (R, D), (R,), (R,)
        in_order = slice(chunk.rows_done - len(chunk.rows), chunk.rows_done)
        write_rows(self._files.folder, in_order if self._is_part else chunk.rows, values)
        self._files.note(self._progress, rows=chunk.rows_done, batch_size=chunk.batch_size)


def write_rows(folder: Path, rows: NDArray[np.int64] | slice, values: Sequence[NDArray[Any]]) -> None:
    """Write some rows of each array, (R, D) or (R,), and wait until they are on disk."""
    for array, part in zip(_arrays(folder), values, strict=True):  # opened anew: closing it frees the pages in memory
        array[rows] = part
        array.flush()


def unfinished_rows(folder: Path) -> int | None:
    """Return the number of finished rows; None without unfinished ones, 0 if their progress is unreadable."""
    try:
        return int(read_json(folder / _PROGRESS)["rows"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return 0
