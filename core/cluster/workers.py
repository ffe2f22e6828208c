"""Workers: what the processes of a Ray cluster do with a part: read and tokenize it, then encode and write it."""

from __future__ import annotations

import functools
import json
import os
import platform
import sys
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from core.assets import AssetError
from core.cluster.batches import describe, with_embeddings
from core.cluster.columns import Columns
from core.cluster.connection import Connection
from core.cluster.parts import Part
from core.cluster.salvaging import FailingError, salvaged
from core.cluster.schema import CAPTIONS, is_sampled
from core.corpus.sentences import Sentences
from core.corpus.vectors import WordVectors
from core.corpus.vocabulary import Vocabulary
from core.encoding.building import EncodedChunk, encode_sentences
from core.encoding.encoder import SentenceEncoder
from core.encoding.recipe import Recipe
from core.encoding.unit_rows import UnitRows
from core.opening import locate_encoder, open_vocabulary
from core.setup import Setup
from core.shortage import shortage
from core.store.cache import Cache
from core.store.progress import finish

_TOKENS = "tokens"  # the column of token ids, which is not stored


@dataclass(frozen=True, slots=True)
class Job:
    """What all workers have in common."""

    setup: Setup
    cache: Path
    """The cache folder, on each machine its own."""
    store: str
    """The store's address."""
    recipe: Recipe
    versions: str
    """Those of this program and of torch."""
    columns: Columns
    captions: int
    """N, by which the sample is chosen."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was done with a part."""

    part: int
    written: int = 0
    """Number of its captions in the store; the others have no known word, or failed."""
    failed: tuple[str, ...] = ()
    """The captions that could not be read or encoded, a phrase each."""
    unread: str = ""
    """Why the part could not be read."""
    error: tuple[str, str, str, str] | None = None
    """An `AssetError` that ends the work: path, what was found, what was expected, what to do."""
    process: str = ""
    """The process that encoded it."""
    is_second: bool = False
    """Whether that stands in for one that was lost."""

    @classmethod
    def of_json(cls, text: str) -> Report:
        """Take what a worker returned."""
        values = json.loads(text)
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**{**values, **lists})

    @classmethod
    def of_error(cls, part: int, error: AssetError) -> Report:
        """Report an error that ends the work."""
        where = f"{error.path} (on {platform.node()})"
        return cls(part, error=(where, error.found, error.expected, error.advice))


def versions() -> str:
    """Return the versions that all machines must have."""
    return f"infersent-tui {version('infersent-tui')}, torch {torch.__version__}"


def read(row: dict[str, Any], job: Job) -> dict[str, Any]:
    """Read and tokenize a part; `row` and the result are rows of a Ray dataset."""
    part = Part(**json.loads(row["part"]))
    batch: pa.RecordBatch | None = None
    report = Report(part.number)
    try:
        batch, failed = _read(part, job)
        report = Report(part.number, failed=failed)
    except AssetError as error:
        report = Report.of_error(part.number, error)
    except Exception as error:
        if shortage(error):
            raise
        report = Report(part.number, unread=_told(error))
    packed = b"" if batch is None else _packed(batch)
    return {"part": row["part"], "batch": packed, "report": json.dumps(asdict(report))}


class Encode:
    """Encodes parts and writes them to the store; it is called with what `read` returns."""

    def __init__(self, job: Job) -> None:
        self._job = job

    @functools.cached_property
    def _opened(self) -> tuple[SentenceEncoder, WordVectors]:
        vectors = _vocabulary(self._job).vectors
        return self._job.setup.load_encoder(vectors.dim), vectors

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Encode and write a part, unless the store has it; return its report."""
        report, part = Report.of_json(row["report"]), Part(**json.loads(row["part"]))
        if row["batch"]:
            try:
                written, failed = self._encode(part, _unpacked(row["batch"]))
                report = replace(report, written=written, failed=(*report.failed, *failed))
            except AssetError as error:
                report = Report.of_error(part.number, error)
            except FailingError as error:  # the process in its place may get a sound device
                sys.stderr.write(f"{error}\n")
                sys.stderr.flush()
                os._exit(1)
        process = f"process {os.getpid()} on {platform.node()}"
        return {"report": json.dumps(asdict(replace(report, process=process, is_second=_is_second())))}

    def _encode(self, part: Part, batch: pa.RecordBatch) -> tuple[int, list[str]]:
        """Encode and write a part; return the number of its captions in the store, and those that failed."""
        if not len(batch):
            return 0, []
        store = self._job.store
        if "://" not in store and not Path(store).is_dir():
            advice = "name a store on a file system that all machines see, or in a bucket: --store s3://BUCKET/PREFIX"
            raise AssetError(store, "no such folder", advice=advice)
        connection = Connection(store)
        with connection.errors():
            table = connection.open(CAPTIONS)  # anew: another process may have written the part since
            if count := table.count_rows(f"part = {part.number}"):
                return count, []
        tokens = batch[_TOKENS]
        sentences = Sentences(tokens.values.to_numpy(), tokens.offsets.to_numpy().astype(np.int64))
        pieces, failed, embed = [], [], functools.partial(_embed, sentences, *self._opened)
        for start, stop, result in salvaged(embed, len(batch)):
            if isinstance(result, Exception):
                row = batch["row"][start].as_py() - part.first + part.start
                failed.append(f"row {row:,} of {part.path}: {_told(result)}")
            else:
                described = batch.slice(start, stop - start).drop_columns([_TOKENS])
                pieces.append(with_embeddings(described, *result, self._job.columns.kinds))
        if pieces:
            with connection.errors():
                table.add(pa.Table.from_batches(pieces))
        return sum(map(len, pieces)), failed


def _read(part: Part, job: Job) -> tuple[pa.RecordBatch, tuple[str, ...]]:
    """Read and tokenize a part; return its captions that have a known word, and those that failed."""
    vocabulary = _vocabulary(job)
    table = part.read(list(job.columns.names))
    pieces, failed = [], []
    prepare = functools.partial(_prepare, table, part, vocabulary, job)
    for start, _, result in salvaged(prepare, len(table)):
        if isinstance(result, Exception):
            failed.append(f"row {part.start + start:,} of {part.path}: {_told(result)}")
        elif len(result):
            pieces.append(result)
    if not pieces:
        return pa.RecordBatch.from_pylist([]), tuple(failed)
    return pa.Table.from_batches(pieces).combine_chunks().to_batches()[0], tuple(failed)


def _prepare(table: pa.Table, part: Part, vocabulary: Vocabulary, job: Job, start: int, stop: int) -> pa.RecordBatch:
    """Describe and tokenize rows start..stop-1 of a part, without captions that have no known word."""
    first = part.first + start
    captions, columns = job.columns.take(table.slice(start, stop - start), first)
    sentences = finish(vocabulary.sentences(captions.texts))
    rows = np.setdiff1d(np.arange(len(captions)), sentences.wordless())  # (n,)
    groups = [captions.group(row) for row in rows.tolist()]
    sampled = np.zeros(len(captions), bool)  # (stop - start,)
    sampled[rows] = [
        is_sampled(f"row {first + row}" if group is None else group, job.captions)
        for row, group in zip(rows.tolist(), groups, strict=True)
    ]
    kinds, number = job.columns.kinds, part.number
    for array in columns.values():
        array.validate(full=True)  # else a text that is no UTF-8 would be found when it is read in the store
    described = describe(captions, sentences, rows, kinds, sampled=sampled, part=number, columns=columns, first=first)
    kept = sentences.take(rows)
    tokens = pa.ListArray.from_arrays(pa.array(kept.starts, pa.int32()), pa.array(kept.ids))
    return described.append_column(_TOKENS, tokens)


def _embed(
    sentences: Sentences, encoder: SentenceEncoder, vectors: WordVectors, start: int, stop: int
) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Return the unit embeddings of sentences start..stop-1, (n, D), and their lengths before normalizing, (n,)."""
    embeddings, norms = np.empty((stop - start, encoder.dim), np.float16), np.empty(stop - start, np.float32)

    def keep(chunk: EncodedChunk) -> None:
        unit, lengths, _ = UnitRows.of(chunk.embeddings).fetch()
        embeddings[chunk.rows], norms[chunk.rows] = unit[chunk.source], lengths[chunk.source]

    finish(encode_sentences(sentences.part(start, stop), vectors, encoder, keep))
    return embeddings, norms


def _vocabulary(job: Job) -> Vocabulary:
    """Open the vocabulary of this machine, once it is seen that its files are those of the job.

    Raises:
        AssetError: They are not, or are not there; or torch is another one.
    """
    return _opened(job.setup, job.cache, job.recipe, job.versions)


@functools.lru_cache(maxsize=1)
def _opened(setup: Setup, cache: Path, recipe: Recipe, wanted: str) -> Vocabulary:
    weights, vectors = setup.encoder_files()
    for path in (weights, vectors):
        if not path.is_file():
            advice = "put it at the same path on each machine, or on a file system that all of them see"
            raise AssetError(path, "no such file", advice=advice)
    own, vec_file, folder = finish(locate_encoder(setup, Cache(cache)))
    for name, path in (("weights", weights), ("vectors", vectors)):
        if getattr(own, name) != getattr(recipe, name):
            advice = "copy it from there, then do it again; what is finished is kept"
            raise AssetError(path, "is another file than on the machine that began this", advice=advice)
    there, here = f"{recipe.tokenizer}, {wanted}", f"{own.tokenizer}, {versions()}"
    if there != here:
        advice = "install the same versions on all machines: pip install -c constraints.txt"
        raise AssetError(sys.executable, f"has {here}", expected=f"{there}, as where this began", advice=advice)
    return finish(open_vocabulary(setup, vec_file, folder))


def _is_second() -> bool:
    import ray

    return bool(ray.is_initialized() and ray.get_runtime_context().was_current_actor_reconstructed)


def _packed(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def _unpacked(packed: bytes) -> pa.RecordBatch:
    batch = pa.ipc.open_stream(packed).read_next_batch()
    return batch.take(pa.array(range(len(batch))))  # copied to where wide numbers are aligned, which Lance expects


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:200]
