"""EmbeddingMatrix: one unit row per caption, stored under the hash of its recipe."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from core.assets import AssetError
from core.corpus.sentences import Sentences
from core.corpus.vectors import WordVectors
from core.encoding.building import CHUNK
from core.encoding.device_errors import told_for_people
from core.encoding.encoder import SentenceEncoder
from core.encoding.given import FileRows
from core.encoding.recipe import Recipe
from core.encoding.row_files import ABOUT, BuildReport, RowFiles, write_rows
from core.encoding.unit_rows import UnitRows
from core.store.file_state import FileState
from core.store.locks import only_one
from core.store.progress import Progress, Steps
from core.store.whole import is_whole

_SHORTEST = 1e-30  # length of an embedding that is given; the float32 numbers made of shorter ones have few digits


class Embeddings(Protocol):
    """The embeddings and token ids of N captions, in memory or read when they are asked for."""

    rows: Any
    """Unit rows, float16: (D,) for a row, (n, D) for an array of rows."""
    sentences: Any
    """The token ids of a row, (T,), and `find`: the rows with given token ids, ascending."""
    folder: Path
    """The folder of what is computed from them."""

    @property
    def dim(self) -> int:
        """D, the width of an embedding."""

    def __len__(self) -> int: ...


class EmbeddingMatrix:
    """A finished matrix that `build` made in `folder`, memory-mapped for reading."""

    def __init__(self, folder: Path) -> None:
        self.recipe: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
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
        """Encode all captions into a folder, going on where an interrupted run stopped: see `RowFiles.encode`.

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
        with only_one(folder, doing="encodes these captions") as waiting, told_for_people(encoder.device):
            yield from waiting
            if is_whole(folder, recipe.origin()):
                return BuildReport(len(sentences), len(sentences), True, "")
            return (yield from matrix_files(folder, recipe, sentences, about).encode(sentences, vectors, encoder))

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
            files = matrix_files(folder, recipe, sentences, about)
            files.open()
            files.write_empty(n, given.shape[1])
            for start in range(0, n, CHUNK):
                rows = np.array(given[start : start + CHUNK], np.float64)  # (B, D)
                values = UnitRows.of(torch.from_numpy(rows)).fetch()  # (B, D), (B,), (B,)
                write_rows(folder, slice(start, start + len(rows)), values)
                yield Progress("taking over embeddings", start + len(rows), n, "captions")
            source.check()
            files.finish()
        return BuildReport(n, 0, False, "")


def matrix_files(folder: Path, recipe: Recipe, sentences: Sentences, about: str) -> RowFiles:
    """Return the files of a matrix, whether they are there or not."""
    beside: dict[str, NDArray[Any]] = {"ids": sentences.ids, "starts": sentences.starts}
    return RowFiles(folder, recipe.origin(about), asdict(recipe) | {"about": about}, beside)
