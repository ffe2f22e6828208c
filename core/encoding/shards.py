"""Shards: parts of a matrix that several jobs encode, and that are joined to the matrix of one machine, bit by bit.

The chunks of the matrix are divided among the shards. A shard holds the rows of its chunks in the order of the plan.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.assets import AssetError, first_names
from core.corpus.sentences import Sentences
from core.corpus.vectors import WordVectors
from core.encoding.building import DistinctChunk, distinct_chunks
from core.encoding.device_errors import told_for_people
from core.encoding.encoder import SentenceEncoder
from core.encoding.given import read_embeddings
from core.encoding.matrix import matrix_files
from core.encoding.recipe import Recipe
from core.encoding.row_files import (
    ABOUT,
    BuildReport,
    RowFiles,
    differences,
    environment,
    unfinished_rows,
    write_rows,
)
from core.store.locks import only_one, unless_locked
from core.store.progress import Progress, Steps, follow
from core.store.whole import Origin, damaged, delete, is_whole, unseal


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several parts of the chunks of a matrix."""

    number: int
    """From 0."""
    count: int
    """Number of shards, at least 1."""

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def part_of(self, chunks: Sequence[DistinctChunk]) -> Sequence[DistinctChunk]:
        """Return the shard's part of all chunks; nothing for some shards where there are more of them than chunks."""
        first, stop = (len(chunks) * number // self.count for number in (self.number, self.number + 1))
        return chunks[first:stop]


class Shards:
    """The shards of one matrix.

    Args:
        folder: The folder of the shards of all matrices.
        matrix: The folder of the matrix.
        recipe: Everything that determines its values.
        about: Description for display: which model, which captions.
    """

    def __init__(self, folder: Path, matrix: Path, recipe: Recipe, about: str = "") -> None:
        self.folder, self.matrix = folder, matrix
        self._recipe, self._about = recipe, about

    def path(self, shard: Shard) -> Path:
        """Return the folder of a shard, whether it is there or not."""
        return self.folder / f"{self._recipe.key}-{shard.number}-of-{shard.count}"

    @property
    def is_joined(self) -> bool:
        """Whether the whole matrix is there, so that no shard is needed."""
        return is_whole(self.matrix, self._recipe.origin())

    def needed(self) -> list[Path]:
        """Return the folders of the shards, none of which is needed once they are joined."""
        return [] if self.is_joined else self._folders()

    def begun(self) -> dict[int, dict[int, int | None]]:
        """Return for each count of shards the numbers of those that are begun.

        Each has the number of its rows that are there, or None if it is finished.
        """
        begun: dict[int, dict[int, int | None]] = {}
        for folder in self._folders():
            number, _, count = folder.name.removeprefix(f"{self._recipe.key}-").partition("-of-")
            if number.isdecimal() and count.isdecimal() and int(number) < int(count):
                shard = Shard(int(number), int(count))
                rows = None if is_whole(folder, self._origin(shard)) else unfinished_rows(folder) or 0
                begun.setdefault(shard.count, {})[shard.number] = rows
        return begun

    def missing(self, count: int) -> list[int]:
        """Return which of so many shards are not finished."""
        begun = self.begun().get(count, {})
        return [number for number in range(count) if begun.get(number, 0) is not None]

    @property
    def complete(self) -> int:
        """A number of shards into which the captions were divided, all of which are finished; 0 where there is none."""
        for count, numbers in self.begun().items():
            if len(numbers) == count and all(rows is None for rows in numbers.values()):
                return count
        return 0

    def count(self) -> int:
        """Return the number of shards into which the captions were divided, if all of them are finished.

        Raises:
            AssetError: Some are missing, or there are none.
        """
        if count := self.complete:
            return count
        begun = self.begun()
        if self.is_joined:  # another process may have joined and deleted them meanwhile
            return max(begun, default=1)
        if not begun:
            found = "holds no shard of these captions by this encoder"
            advice = "encode them, such as one of three with --shard 0/3, 1/3 and 2/3; with the same --cache-dir"
            for dtype in {"float32", "bfloat16"} - {self._recipe.dtype}:
                if Shards(self.folder, self.matrix, replace(self._recipe, dtype=dtype)).begun():
                    found += f" in {self._recipe.dtype}, which this machine chooses, but there are some in {dtype}"
                    advice = f"say --dtype {dtype}"
            raise AssetError(self.folder, found, advice=advice)
        fullest = max(begun, key=lambda count: 1 - len(self.missing(count)) / count)
        raise self._missing_error(fullest, self.missing(fullest))

    def encode(
        self, shard: Shard, *, sentences: Sentences, vectors: WordVectors, encoder: SentenceEncoder
    ) -> Steps[BuildReport]:
        """Encode one shard, going on where an interrupted run stopped; if it is finished, do nothing.

        Args:
            shard: The shard.
            sentences: The token ids of all captions.
            vectors: The word vectors that the ids index.
            encoder: The encoder.

        Raises:
            AssetError: The cache folder cannot be written, the disk is full, or the device fails.
        """
        folder, origin, how = self.path(shard), self._origin(shard), environment(encoder, sentences)
        chunks = shard.part_of(list(distinct_chunks(sentences, how["chunk"])))
        n = sum(len(chunk.rows) for chunk in chunks)
        with only_one(folder, doing=f"encodes shard {shard}") as waiting, told_for_people(encoder.device):
            yield from waiting
            if self.is_joined or is_whole(folder, origin):
                return BuildReport(n, n, True, "")
            files = RowFiles(folder, origin, asdict(self._recipe) | {"about": origin.about, "how": how}, {})
            return (yield from files.encode(sentences, vectors, encoder, chunks=chunks))

    def join(self, count: int, *, sentences: Sentences) -> Steps[BuildReport]:
        """Join finished shards to the matrix, after their bytes have been compared with their checksums.

        An interrupted run is gone on with. When the matrix is finished, the shards are deleted.

        Args:
            count: The number of shards.
            sentences: The token ids of all captions.

        Raises:
            AssetError: A shard is missing or damaged, or they were encoded with different software or hardware, so that
                the matrix would be that of no machine. Or the cache cannot be written.
        """
        n, report = len(sentences), BuildReport(len(sentences), len(sentences), True, "")
        with only_one(self.matrix, doing="joins these shards") as waiting:
            yield from waiting
            if not self.is_joined:
                how = self._common_environment(count)
                yield from self._check(count)
                chunks = list(distinct_chunks(sentences, how["chunk"]))
                files = matrix_files(self.matrix, self._recipe, sentences, self._about)
                progress, started_over = files.begin(how, n, self._dim(count))
                report = BuildReport(n, progress["rows"], False, started_over)
                for shard in _all(count):
                    yield from _copy(self.path(shard), shard.part_of(chunks), files, progress, n)
                files.finish()
        self._delete_all()
        return report

    def open(self, count: int, *, sentences: Sentences) -> Steps[ShardRows]:
        """Open the rows of finished shards without joining them, after a comparison with their checksums.

        Raises:
            AssetError: As `join` does.
        """
        how = self._common_environment(count)
        yield from self._check(count)
        chunks = list(distinct_chunks(sentences, how["chunk"]))
        parts = [shard.part_of(chunks) for shard in _all(count)]
        rows = [np.concatenate([np.empty(0, np.int64), *(chunk.rows for chunk in part)]) for part in parts]
        paths = [self.path(shard) for shard, own in zip(_all(count), rows, strict=True) if len(own)]
        return ShardRows(paths, [own for own in rows if len(own)], self._dim(count))

    def _check(self, count: int) -> Steps[None]:
        """Compare finished shards with their checksums; damaged ones count as unfinished from now on.

        Raises:
            AssetError: Some are damaged.
        """
        bad = []
        for shard in _all(count):
            yield Progress("checking shards", shard.number, count, "shards")
            folder = self.path(shard)
            with only_one(folder, doing=f"encodes shard {shard}") as waiting:
                yield from waiting
                if (yield from follow(damaged(folder), partial(_checking, shard))):
                    unseal(folder)
                    bad.append(str(shard))
        if bad:
            advice = f"encode them again, beginning with --shard {bad[0]}, then join them"
            found = f"damaged shards, which count as unfinished now: {first_names(bad, most=8)}"
            raise AssetError(self.folder, found, advice=advice)

    def _delete_all(self) -> None:
        """Delete the shards, also of other counts, except those that another process is encoding."""
        for folder in self._folders():
            with unless_locked(folder) as is_free:
                if is_free:
                    unseal(folder)
                    delete(folder)
                    folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)

    def _folders(self) -> list[Path]:
        """Return the folders of all shards that are there."""
        return sorted(self.folder.glob(f"{self._recipe.key}-*-of-*/"))

    def _origin(self, shard: Shard) -> Origin:
        return Origin(f"{self._recipe.key} {shard}", self._recipe.format, f"shard {shard} · {self._about}")

    def rows_of(self, shard: Shard) -> int | None:
        """Return the number of rows of a finished shard; None if it is not finished."""
        if not is_whole(self.path(shard), self._origin(shard)):
            return None
        return len(np.load(self.path(shard) / "norms.npy", mmap_mode="r"))

    def _common_environment(self, count: int) -> Mapping[str, Any]:
        """Return what may change the last bits, which is the same for all shards.

        Raises:
            AssetError: A shard is missing, or they differ.
        """
        if missing := self.missing(count):
            raise self._missing_error(count, missing)
        hows = [_read_how(self.path(shard)) for shard in _all(count)]
        usual = max(hows, key=hows.count)
        if odd := [number for number, how in enumerate(hows) if differences(usual, how)]:
            names = first_names([f"{number}/{count}" for number in odd], most=8)
            found = f"encoded otherwise than the other shards: {names} ({differences(usual, hows[odd[0]])})"
            folders = first_names([str(self.path(Shard(number, count))) for number in odd], most=8)
            advice = f"delete {folders}, then encode them again on a machine like the others', by --shard"
            raise AssetError(self.folder, found, expected="shards of like machines", advice=advice)
        return usual

    def _missing_error(self, count: int, missing: Sequence[int]) -> AssetError:
        """Describe that some of so many shards are missing."""
        names = first_names([f"{number}/{count}" for number in missing], most=8)
        advice = f"encode them, beginning with --shard {missing[0]}/{count}, then join them; or, without --shard, all"
        found = f"{len(missing):,} of {count:,} shards of these captions are not finished: {names}"
        return AssetError(self.folder, found, advice=advice)

    def _dim(self, count: int) -> int:
        """Return the width of the rows, D."""
        header = np.load(self.path(Shard(0, count)) / "embeddings.npy", mmap_mode="r")
        return int(header.shape[1])


class ShardRows:
    """The rows of all shards one after the other, in the order of the plan; `rows` are those of the captions, (N,)."""

    def __init__(self, paths: Sequence[Path], rows: Sequence[NDArray[np.int64]], dim: int) -> None:
        self.rows, self.dim = np.concatenate(rows), dim
        self._embeddings = [
            read_embeddings(path / "embeddings.npy", len(own)) for path, own in zip(paths, rows, strict=True)
        ]
        self._norms = np.concatenate([np.load(path / "norms.npy") for path in paths])  # (N,)
        self._starts = np.cumsum([0, *map(len, rows)])  # (shards + 1,)

    def read(self, start: int, stop: int) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
        """Read the unit rows at places start..stop-1, (n, D), and the lengths before normalizing, (n,)."""
        parts = []
        for embeddings, first in zip(self._embeddings, self._starts.tolist(), strict=False):
            part = slice(max(0, start - first), max(0, min(stop - first, len(embeddings))))
            if part.start < part.stop:
                parts.append(embeddings[part])
        return np.concatenate(parts), self._norms[start:stop]


def _all(count: int) -> Iterator[Shard]:
    return (Shard(number, count) for number in range(count))


def _checking(shard: Shard, _: Progress) -> Progress:
    return Progress("checking shards", shard.number, shard.count, "shards")


def _read_how(folder: Path) -> Mapping[str, Any]:
    """Read the environment in which a finished shard was encoded."""
    how = json.loads((folder / ABOUT).read_text(encoding="utf-8")).get("how")
    return how if isinstance(how, dict) else {}


def _copy(
    folder: Path, chunks: Sequence[DistinctChunk], files: RowFiles, progress: dict[str, Any], n: int
) -> Steps[None]:
    """Copy the rows of a shard's chunks into a matrix, except those that an earlier run copied."""
    rows_here = sum(len(chunk.rows) for chunk in chunks)
    if not chunks or chunks[-1].number < progress["chunks"]:
        return
    embeddings = read_embeddings(folder / "embeddings.npy", rows_here)
    norms, row_norms = (np.load(folder / f"{name}.npy") for name in ("norms", "row_norms"))  # (rows here,) each
    start = 0
    for chunk in chunks:
        part = slice(start, start + len(chunk.rows))
        start = part.stop
        if chunk.number == progress["chunks"]:
            write_rows(files.folder, chunk.rows, (embeddings[part], norms[part], row_norms[part]))
            files.note(progress, rows=progress["rows"] + len(chunk.rows), batch_size=progress["batch_size"])
            yield Progress("joining shards", progress["rows"], n, "captions")
