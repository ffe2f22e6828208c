"""EmbeddingMatrix: one unit row per caption, stored under the hash of its recipe; an interrupted build resumes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.assets import AssetError
from core.corpus.sentences import Sentences
from core.corpus.vectors import WordVectors
from core.encoding.building import CHUNK, EncodedChunk, chunk_size, encode_sentences, is_large
from core.encoding.device_errors import told_for_people
from core.encoding.encoder import PLAN, SentenceEncoder
from core.encoding.given import FileRows
from core.encoding.unit_rows import UnitRows
from core.shortage import shortage
from core.store.disk import ensure_folder
from core.store.file_state import FileState
from core.store.locks import only_one
from core.store.progress import Progress, Steps
from core.store.whole import Origin, delete, is_whole, new_array, read_json, seal, unseal, write_json

_FORMAT = 2
_SHORTEST = 1e-30  # length of an embedding that is given; the float32 numbers made of shorter ones have few digits
_PROGRESS = "progress.json"  # exists while a matrix is unfinished
_ARRAYS = ("embeddings", "norms", "row_norms")
_FILES = [*(f"{name}.npy" for name in (*_ARRAYS, "ids", "starts")), "recipe.json"]
_READ_ERRORS = (OSError, EOFError, ValueError, KeyError, TypeError)  # raised when damaged files are opened


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that determines the values of a matrix."""

    weights: str
    """SHA-256 of the weights file, or of the embeddings that are given in its place."""
    vectors: str
    """SHA-256 of the vector file, or of what the words of the captions are made from."""
    texts: str
    """SHA-256 of the captions' texts."""
    version: int
    """InferSent version."""
    tokenizer: str
    """`Tokenizer.name`: the sentence splitter and the version of NLTK."""
    vocab_size: int
    """Largest number of words used from the vector file; 0 for all."""
    dtype: str
    """The encoder's precision; `given` for embeddings."""
    format: int = _FORMAT
    """Version of the folder's layout."""

    @property
    def key(self) -> str:
        """The recipe's SHA-256, which is the name of the matrix's folder."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def origin(self, about: str = "") -> Origin:
        """Return the origin of a matrix with this recipe."""
        return Origin(self.key, self.format, about)

    @staticmethod
    def hash_texts(texts: Sequence[str]) -> str:
        """Return the SHA-256 of texts that contain no line breaks."""
        return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What building a matrix did."""

    rows: int
    """N, the number of captions."""
    resumed_rows: int
    """Number of rows that an earlier, interrupted run had finished."""
    reused: bool
    """True when the matrix was finished already."""
    started_over: str
    """Why an unfinished matrix was discarded; empty when none was."""
    seconds: float = 0.0
    """From loading the weights to the matrix, without reading captions and vectors; 0 when not measured."""


class EmbeddingMatrix:
    """A finished matrix that `build` made in `folder`, memory-mapped for reading."""

    def __init__(self, folder: Path) -> None:
        self.recipe: dict[str, Any] = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
        self.folder = folder
        # Copy-on-write, though never written, because torch does not support read-only arrays.
        self.rows: NDArray[np.float16] = np.load(folder / "embeddings.npy", mmap_mode="c")  # (N, D)
        self.norms: NDArray[np.float32] = np.load(folder / "norms.npy")  # (N,), lengths before normalizing
        self.row_norms: NDArray[np.float32] = np.load(folder / "row_norms.npy")  # (N,), lengths as stored, near 1
        self.sentences = Sentences(
            np.load(folder / "ids.npy", mmap_mode="r"), np.load(folder / "starts.npy", mmap_mode="r")
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dim(self) -> int:
        """D, the width of an embedding."""
        return int(self.rows.shape[1])

    @classmethod
    def build(
        cls,
        folder: Path,
        recipe: Recipe,
        *,
        sentences: Sentences,
        vectors: WordVectors,
        encoder: SentenceEncoder,
        about: str,
    ) -> Steps[BuildReport]:
        """Encode all captions into a folder, resuming where an interrupted run stopped.

        The work is divided into fixed chunks of distinct sentences; a chunk is done when its rows are on disk.
        `progress.json` records the software and hardware that may change the last bits. If they have changed, the work
        starts over, so that a resumed matrix is identical to an uninterrupted one.

        Args:
            folder: The matrix's folder; `EmbeddingMatrix(folder)` opens it afterwards.
            recipe: Everything that determines its values.
            sentences: The token ids of N captions.
            vectors: The word vectors that the ids index.
            encoder: The encoder.
            about: Description for display: which model, which captions.

        Raises:
            AssetError: The cache folder cannot be written, the disk is full, or the device fails.
        """
        n, dim = len(sentences), encoder.dim
        with only_one(folder, doing="encodes these captions") as waiting, told_for_people(encoder.device):
            yield from waiting
            if is_whole(folder, recipe.origin()):
                return BuildReport(n, n, True, "")
            _open_folder(folder)
            progress, started_over = _read_progress(folder, _environment(encoder, sentences), n, dim)
            if not progress["chunks"]:
                _write_empty(folder, recipe, sentences, dim, about, progress)
            resumed = progress["rows"]
            with _ChunkWriter(folder, progress) as writer:
                yield from encode_sentences(
                    *(sentences, vectors, encoder, writer.write),
                    skip=progress["chunks"],
                    batch_size=progress["batch_size"],
                )
            seal(folder, recipe.origin(about), files=_FILES)
            (folder / _PROGRESS).unlink()
        return BuildReport(n, resumed, False, started_over)

    @classmethod
    def take(
        cls,
        folder: Path,
        recipe: Recipe,
        given: NDArray[Any] | FileRows,
        source: FileState,
        *,
        sentences: Sentences,
        about: str,
    ) -> Steps[BuildReport]:
        """Take over embeddings that the user gives, (N, D), as unit rows; (N,) token ids are in `sentences`.

        Raises:
            AssetError: A row has no direction, or their file, `source`, has changed since it was hashed. Or the cache
                folder cannot be written.
        """
        n = len(given)
        with only_one(folder, doing="takes over these embeddings") as waiting:
            yield from waiting
            if is_whole(folder, recipe.origin()):
                return BuildReport(n, n, True, "")
            for start in range(0, n, CHUNK):  # before anything is written
                lengths = np.linalg.norm(np.asarray(given[start : start + CHUNK], np.float64), axis=1)  # (B,)
                bad = start + np.flatnonzero(~((lengths > _SHORTEST) & (lengths < 1 / _SHORTEST)))  # (b,)
                if len(bad):
                    found = f"row {bad[0]}, counted from 0, has no direction: it is all zeros, or not finite"
                    advice = "embed that caption again; an empty caption needs an embedding too"
                    raise AssetError(
                        source.path, found, expected="numbers that are not all 0 in each row", advice=advice
                    )
                yield Progress("checking embeddings", start + len(lengths), n, "captions")
            _open_folder(folder)
            _write_empty(folder, recipe, sentences, given.shape[1], about, {"rows": 0})
            for start in range(0, n, CHUNK):
                rows = np.array(given[start : start + CHUNK], np.float64)  # (B, D)
                values = UnitRows.of(torch.from_numpy(rows)).fetch()  # (B, D), (B,), (B,)
                _write_rows(folder, slice(start, start + len(rows)), values)
                yield Progress("taking over embeddings", start + len(rows), n, "captions")
            source.check()
            seal(folder, recipe.origin(about), files=_FILES)
            (folder / _PROGRESS).unlink()
        return BuildReport(n, 0, False, "")


def _environment(encoder: SentenceEncoder, sentences: Sentences) -> dict[str, Any]:
    """Describe what may change the last bits without changing the recipe."""
    how: dict[str, Any] = {"plan": PLAN, "chunk": chunk_size(encoder.device), "torch": torch.__version__}
    if encoder.device.type == "cuda":
        name = torch.cuda.get_device_name(encoder.device)
        return how | {"processor": name, "compiled steps": encoder.has_compiled_steps}
    how["processor"] = f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
    is_compiled = is_large(sentences, encoder) and encoder.has_compiled_steps
    return how | {"numba": version("numba") if is_compiled else "not used"}


def _open_folder(folder: Path) -> None:
    """Make a folder, or mark it as unfinished. Links in it are deleted: what they name is not of this cache."""
    if folder.is_symlink():
        delete(folder)
    ensure_folder(folder)
    for path in folder.iterdir():
        if path.is_symlink() or (path.is_file() and path.stat().st_nlink > 1):
            delete(path)
    unseal(folder)


def _read_progress(folder: Path, current: dict[str, Any], n: int, dim: int) -> tuple[dict[str, Any], str]:
    """Read the progress of an unfinished matrix.

    Returns:
        The progress, which is that of an empty matrix if none can be resumed; and why an existing one cannot be.
    """
    empty = {"how": current, "chunks": 0, "batch_size": current["chunk"], "rows": 0}
    if not (folder / "recipe.json").exists():
        return empty, ""
    try:
        progress = read_json(folder / _PROGRESS)
        before, _ = dict(progress["how"]), (progress["chunks"], progress["batch_size"], progress["rows"])
        if [array.shape for array in _arrays(folder)] != [(n, dim), (n,), (n,)]:
            raise ValueError
    except _READ_ERRORS as error:
        if shortage(error):  # else it would be made anew
            raise
        return empty, "its files are damaged"
    changed = [f"{name} was {before.get(name)}, is {now}" for name, now in current.items() if before.get(name) != now]
    return (empty, "; ".join(changed)) if changed else (progress, "")


def _write_empty(
    folder: Path, recipe: Recipe, sentences: Sentences, dim: int, about: str, progress: dict[str, Any]
) -> None:
    """Write the files of an empty matrix, its recipe last."""
    (folder / "recipe.json").unlink(missing_ok=True)
    for name in _ARRAYS:  # another process may have mapped it
        (folder / f"{name}.npy").unlink(missing_ok=True)
    for derived in folder.glob("*/"):  # made from earlier rows
        shutil.rmtree(derived, ignore_errors=True)
    write_json(folder / _PROGRESS, progress)
    n = len(sentences)
    for name, shape, dtype in (("embeddings", (n, dim), "<f2"), ("norms", (n,), "<f4"), ("row_norms", (n,), "<f4")):
        new_array(folder / f"{name}.npy", shape, dtype)
    for name, array in (("ids", sentences.ids), ("starts", sentences.starts)):
        with (folder / f"{name}.npy").open("wb") as file:
            np.save(file, array)
            file.flush()
            os.fsync(file.fileno())
    write_json(folder / "recipe.json", asdict(recipe) | {"about": about})


def _arrays(folder: Path) -> list[np.memmap[Any, Any]]:
    return [np.load(folder / f"{name}.npy", mmap_mode="r+") for name in _ARRAYS]


class _ChunkWriter:
    """Writes encoded chunks in a thread, one at a time, while the next one is encoded.

    Use it in a `with` block, whose end waits until the last chunk is on disk.
    """

    def __init__(self, folder: Path, progress: dict[str, Any]) -> None:
        self._folder, self._progress = folder, progress
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
        _write_rows(self._folder, chunk.rows, values)
        done = {"chunks": chunk.number + 1, "batch_size": chunk.batch_size, "rows": chunk.rows_done}
        self._progress.update(done)
        write_json(self._folder / _PROGRESS, self._progress)


def _write_rows(folder: Path, rows: NDArray[np.int64] | slice, values: Sequence[NDArray[Any]]) -> None:
    """Write some rows of each array, (R, D) or (R,), and wait until they are on disk."""
    for array, part in zip(_arrays(folder), values, strict=True):  # opened anew: closing it frees the pages in memory
        array[rows] = part
        array.flush()


def unfinished_rows(folder: Path) -> int | None:
    """Return the number of finished rows; None without an unfinished matrix, 0 if its progress is unreadable."""
    try:
        return int(read_json(folder / _PROGRESS)["rows"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return 0
