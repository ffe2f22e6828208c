"""EmbeddingMatrix: one unit row a caption, on disk under the hash of its recipe; its making survives interruption."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.assets import AssetError
from core.cache import write_json
from core.encoder import EncodingStep, SentenceEncoder
from core.locks import only_one
from core.progress import Progress, Steps
from core.vectors import WordVectors

_CHUNK = 4096  # distinct sentences between two flushes
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the values of a matrix."""

    weights: str
    """SHA-256 of the weights file."""
    vectors: str
    """SHA-256 of the vector file."""
    texts: str
    """SHA-256 of the captions' texts."""
    version: int
    """InferSent version."""
    tokenizer: str
    """`Tokenizer.name`: which sentence splitter, which NLTK."""
    vocab_size: int
    """How many words of the vector file are known."""
    dtype: str
    """What the encoder computes in."""
    format: int = _FORMAT
    """Version of the folder's layout."""

    @property
    def key(self) -> str:
        """The recipe's SHA-256: the name of the matrix's folder."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @staticmethod
    def hash_texts(texts: Sequence[str]) -> str:
        """SHA-256 of texts that hold no line breaks."""
        return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


class Sentences:
    """The captions as token ids: flat, with offsets.

    Args:
        ids: Rows of the word vectors, all captions on end, the marks included.
        starts: Where each caption begins in `ids`, (N + 1,).
    """

    def __init__(self, ids: NDArray[np.int32], starts: NDArray[np.int64]) -> None:
        self.ids = ids
        self.starts = starts

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        return self.ids[self.starts[row] : self.starts[row + 1]]

    def wordless(self) -> NDArray[np.int64]:
        """Rows without any known word: they consist of the two marks."""
        return np.flatnonzero(np.diff(self.starts) <= 2)

    def find(self, ids: NDArray[np.int32]) -> NDArray[np.int64]:
        """The rows that hold exactly these token ids, ascending."""
        rows = np.flatnonzero(np.diff(self.starts) == len(ids))
        for place, word in enumerate(ids):
            rows = rows[self.ids[self.starts[rows] + place] == word]
        return rows


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What making a matrix took."""

    rows: int
    """N."""
    resumed_rows: int
    """Rows that an earlier, interrupted run had finished."""
    reused: bool
    """True when the matrix was whole already."""
    started_over: str
    """Why an unfinished matrix was thrown away; empty when none was."""


class EmbeddingMatrix:
    """A whole matrix, memory-mapped for reading.

    Args:
        folder: Where `build` has made it.

    Raises:
        FileNotFoundError: There is no whole matrix in the folder.
    """

    def __init__(self, folder: Path) -> None:
        if (folder / "progress.json").exists():
            raise FileNotFoundError(folder / "recipe.json")
        self.recipe: dict[str, Any] = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
        self.folder = folder
        # Copy-on-write, never written: torch takes no read-only arrays.
        self.rows: NDArray[np.float16] = np.load(folder / "embeddings.npy", mmap_mode="c")  # (N, D)
        self.norms: NDArray[np.float32] = np.load(folder / "norms.npy")  # (N,) lengths before normalizing
        self.row_norms: NDArray[np.float32] = np.load(folder / "row_norms.npy")  # (N,) lengths as stored, near 1
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
        sentences: Sentences,
        vectors: WordVectors,
        encoder: SentenceEncoder,
        *,
        about: str,
    ) -> Steps[BuildReport]:
        """Encode all captions into a folder; goes on where an interrupted run stopped.

        Equal sentences are encoded once. The work is cut into fixed chunks of distinct sentences; a chunk counts when
        its rows are flushed. Whatever could change the bits is noted beside it, and when that differs the work starts
        over: an interrupted matrix equals an uninterrupted one.

        Args:
            folder: The matrix's place; `EmbeddingMatrix(folder)` opens it afterwards.
            recipe: What it is made from.
            sentences: The captions' token ids, N of them.
            vectors: What the ids index.
            encoder: The encoder.
            about: A phrase for people: which model, which captions.

        Raises:
            AssetError: The cache folder cannot be written, or the disk is full.
        """
        n, dim = len(sentences), encoder.dim
        with only_one(folder) as waiting:
            for _ in waiting:
                yield Progress("waiting for another process that encodes these captions", 0, 0, "")
            try:
                if (folder / "recipe.json").exists() and not (folder / "progress.json").exists():
                    return BuildReport(n, n, True, "")
                how = _how(encoder)
                progress, started_over = _start(folder, recipe, how, sentences, dim, about)
                arrays = [
                    np.load(folder / f"{name}.npy", mmap_mode="r+") for name in ("embeddings", "norms", "row_norms")
                ]
                chunks, copies = distinct_chunks(sentences)
                resumed = sum(len(copies[i]) for chunk in range(progress["chunks"]) for i in chunks[chunk])
                rows_done = resumed
                for chunk in range(progress["chunks"], len(chunks)):
                    part = [sentences[copies[i][0]] for i in chunks[chunk]]
                    sizes = [len(copies[i]) for i in chunks[chunk]]
                    steps = encoder.encode_together(part, vectors, at_once=progress["at_once"])
                    rows_in_chunk = sum(sizes)
                    embeddings, at_once = yield from watch(steps, rows_done, rows_in_chunk / len(part), n)
                    rows = np.concatenate([copies[i] for i in chunks[chunk]])
                    unit: list[NDArray[Any]] = [*_unit_rows(embeddings)]
                    source = np.repeat(np.arange(len(part)), sizes)  # which sentence each row copies
                    for array, values in zip(arrays, unit, strict=True):
                        array[rows] = values[source]
                        array.flush()
                    rows_done += rows_in_chunk
                    progress |= {"chunks": chunk + 1, "at_once": min(at_once, progress["at_once"]), "rows": rows_done}
                    write_json(folder / "progress.json", progress)
                    yield Progress("encoding captions", rows_done, n, "captions")
                (folder / "progress.json").unlink()
            except OSError as error:
                advice = "free some space, or name another folder with --cache-dir; finished work is kept"
                raise AssetError(error.filename or folder, error.strerror or str(error), advice=advice) from error
        return BuildReport(n, resumed, False, started_over)


def _how(encoder: SentenceEncoder) -> dict[str, Any]:
    """What may change bits without changing the recipe."""
    import torch

    return {
        "chunk": _CHUNK,
        "device": str(encoder.device),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def _start(
    folder: Path, recipe: Recipe, how: dict[str, Any], sentences: Sentences, dim: int, about: str
) -> tuple[dict[str, Any], str]:
    """Take up an unfinished matrix, or lay out an empty one; also say why an unfinished one could not be taken up."""
    started_over = ""
    try:
        progress: dict[str, Any] = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
        if not (folder / "recipe.json").exists():
            raise ValueError
        if progress["how"] == how:
            return progress, ""
        changed = [f"{name} was {old}, is {how.get(name)}" for name, old in progress["how"].items() if old != how[name]]
        started_over = "; ".join(changed)
    except (OSError, ValueError, KeyError):
        pass
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "recipe.json").unlink(missing_ok=True)
    progress = {"how": how, "chunks": 0, "at_once": _CHUNK, "rows": 0}
    write_json(folder / "progress.json", progress)
    n = len(sentences)
    for name, shape, dtype in (("embeddings", (n, dim), "<f2"), ("norms", (n,), "<f4"), ("row_norms", (n,), "<f4")):
        np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=shape).flush()
        with (folder / f"{name}.npy").open("r+b") as file:  # take the space now: later a full disk would be a crash
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    np.save(folder / "ids.npy", sentences.ids)
    np.save(folder / "starts.npy", sentences.starts)
    write_json(folder / "recipe.json", asdict(recipe) | {"about": about})
    return progress, started_over


def distinct_chunks(sentences: Sentences) -> tuple[list[range], list[NDArray[np.int64]]]:
    """Sort the distinct sentences and cut them into the chunks in which they are encoded.

    Returns:
        Ranges over the distinct sentences, and for each of those the caption rows that hold it, ascending.
    """
    keys = [sentences[row].astype(">i4").tobytes() for row in range(len(sentences))]
    rows_of: dict[bytes, list[int]] = {}
    for row, key in enumerate(keys):
        rows_of.setdefault(key, []).append(row)
    copies = [np.array(rows_of[key]) for key in sorted(rows_of)]
    return [range(at, min(at + _CHUNK, len(copies))) for at in range(0, len(copies), _CHUNK)], copies


def watch(
    steps: Generator[EncodingStep, None, NDArray[np.float32]], rows_done: int, rows_a_sentence: float, n: int
) -> Generator[Progress, None, tuple[NDArray[np.float32], int]]:
    """Turn a chunk's steps into progress; return its embeddings and how many sentences fitted at once."""
    at_once = _CHUNK
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            return stop.value, at_once
        at_once = step.at_once
        yield Progress("encoding captions", rows_done + step.done * rows_a_sentence, n, "captions")


class _UnitRows(NamedTuple):
    rows: NDArray[np.float16]
    """(B, D), as stored."""
    norms: NDArray[np.float32]
    """(B,), lengths before normalizing."""
    row_norms: NDArray[np.float32]
    """(B,), lengths of `rows`, near 1."""


def _unit_rows(embeddings: NDArray[np.float32]) -> _UnitRows:
    wide = embeddings.astype(np.float64)  # (B, D)
    norms = np.linalg.norm(wide, axis=1)  # (B,)
    rows = (wide / np.maximum(norms, np.finfo(np.float32).tiny)[:, None]).astype(np.float16)  # (B, D)
    row_norms = np.linalg.norm(rows.astype(np.float64), axis=1)  # (B,)
    return _UnitRows(rows, norms.astype(np.float32), row_norms.astype(np.float32))


def unfinished_rows(folder: Path) -> int | None:
    """How many rows of an unfinished matrix are done; None when nothing is missing or nothing is there."""
    try:
        return int(json.loads((folder / "progress.json").read_text(encoding="utf-8"))["rows"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError):
        return 0
