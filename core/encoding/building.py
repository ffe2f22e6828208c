"""Building: the loop that encodes many sentences in fixed chunks, each distinct sentence once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from core.corpus.sentences import Sentences
from core.encoding.device_errors import told_for_people
from core.encoding.encoder import SentenceEncoder, WordRows
from core.encoding.halving import PartStep
from core.encoding.prefixes import PlannedBatch, distinct
from core.encoding.threads import computed_ahead
from core.store.progress import Progress, Steps, follow

CHUNK = 4096
"""Number of distinct sentences in a chunk; the unit in which interrupted work is resumed."""
CUDA_CHUNK = 16_384
"""The same on a GPU, which is fastest with many sentences together."""
_COMPILED_FROM = 100_000_000  # tokens times features, for which steps that wait for a compiler win a second
_LONG = 20_000  # tokens, whose steps one after the other take minutes on a CPU
_PLANNED_AHEAD = 2  # chunks whose plans are made while another one is encoded


class EncodedChunk(NamedTuple):
    """The embeddings of one chunk of distinct sentences, and the rows that they belong to."""

    number: int
    """The chunk's number, from 0."""
    embeddings: torch.Tensor
    """(B, D), not normalized, usually on the encoder's device, which may still be computing them."""
    rows: NDArray[np.int64]
    """All rows whose sentence is in the chunk, (R,)."""
    source: NDArray[np.int64]
    """Index into `embeddings` for each of these rows, (R,), ascending."""
    batch_size: int
    """Number of sentences that fit on the device together."""
    rows_done: int
    """Number of rows in this chunk and those before it that are encoded with it."""


def chunk_size(device: torch.device) -> int:
    """Return the number of distinct sentences in a chunk on a device."""
    return CUDA_CHUNK if device.type == "cuda" else CHUNK


def is_large(sentences: Sentences, encoder: SentenceEncoder) -> bool:
    """Tell whether it pays to compile code for a CPU before these sentences are encoded."""
    return len(sentences.ids) * encoder.dim >= _COMPILED_FROM


def encode_sentences(
    sentences: Sentences,
    vectors: WordRows,
    encoder: SentenceEncoder,
    keep: Callable[[EncodedChunk], None],
    *,
    stage: str = "encoding captions",
    unit: str = "captions",
    chunks: Sequence[DistinctChunk] | None = None,
    skip: int = 0,
    batch_size: int | None = None,
) -> Steps[None]:
    """Encode sentences in chunks, each distinct sentence once.

    The chunks depend only on the sentences, so that resumed work computes the same products as uninterrupted work.

    Args:
        sentences: N sentences.
        vectors: The word vectors that the token ids index.
        encoder: The encoder.
        keep: Called with each chunk before the next one begins.
        stage: The activity to report in `Progress`, which also names a sentence that is so long that it takes minutes.
        unit: What is counted in `Progress`.
        chunks: The chunks to encode, of `distinct_chunks`; None for all.
        skip: Number of them that an earlier run finished.
        batch_size: Number of sentences known to fit on the device together; None for a whole chunk.

    Raises:
        AssetError: Not even one sentence fits on the device.
    """
    size = chunk_size(encoder.device)
    stage += _name_longest(sentences)
    fits = batch_size or size
    large = is_large(sentences, encoder)
    if chunks is None:
        chunks = list(distinct_chunks(sentences, size))
    n, done = (sum(len(chunk.rows) for chunk in each) for each in (chunks, chunks[:skip]))

    def prepare(chunk: DistinctChunk) -> tuple[Sentences, PlannedBatch]:
        part = sentences.take(chunk.rows[chunk.begins])
        return part, PlannedBatch.of(part)

    with closing(computed_ahead(prepare, chunks[skip:], ahead=_PLANNED_AHEAD)) as prepared:
        for (number, rows, begins), (part, planned) in prepared:
            start, done = done, done + len(rows)

            def describe(step: PartStep, start: int = start, rows_each: float = len(rows) / len(part)) -> Progress:
                nonlocal fits
                fits = min(fits, step.batch_size)
                return Progress(stage, start + step.done * rows_each, n, unit)

            steps = encoder.encode_together(part, vectors, planned=planned, batch_size=fits, is_large=large)
            pooled = yield from follow(steps, describe)
            source = np.repeat(np.arange(len(part)), np.diff(begins, append=len(rows)))  # (R,)
            keep(EncodedChunk(number, pooled.embeddings, rows, source, fits, done))
            del pooled  # while the next chunk is encoded, its memory may be needed
            yield Progress(stage, done, n, unit)


def _name_longest(sentences: Sentences) -> str:
    """Name the longest sentence if it is what the time is needed for: nothing can be computed beside its steps."""
    lengths = np.diff(sentences.starts)  # (N,)
    longest = int(lengths.argmax()) if len(lengths) else 0
    return f" (no. {longest + 1:,} has {lengths[longest] - 2:,} known words)" if lengths.max(initial=0) > _LONG else ""


def embed_sentences(
    sentences: Sentences,
    vectors: WordRows,
    encoder: SentenceEncoder,
    out: NDArray[np.float32],
    *,
    stage: str = "encoding captions",
    unit: str = "captions",
) -> Steps[None]:
    """Encode N sentences into `out`, (N, D), not normalized; the other arguments are those of `encode_sentences`.

    Raises:
        AssetError: Not even one sentence fits on the device.
    """

    def keep(chunk: EncodedChunk) -> None:
        out[chunk.rows] = chunk.embeddings.cpu().numpy()[chunk.source]  # (R, D)

    with told_for_people(encoder.device):
        yield from encode_sentences(sentences, vectors, encoder, keep, stage=stage, unit=unit)


class DistinctChunk(NamedTuple):
    """A chunk of distinct sentences."""

    number: int
    """The chunk's number, from 0."""
    rows: NDArray[np.int64]
    """All rows whose sentence is in the chunk, copies of a sentence one after the other, (R,)."""
    begins: NDArray[np.int64]
    """Where in `rows` each sentence begins, (B,)."""


def distinct_chunks(sentences: Sentences, size: int = CHUNK) -> Iterator[DistinctChunk]:
    """Sort the distinct sentences and divide them into chunks of some size."""
    rows, begins = distinct(sentences)  # (N,), (distinct sentences,)
    for number, first in enumerate(range(0, len(begins), size)):
        part = begins[first : first + size]  # (B,)
        end = begins[first + size] if first + size < len(begins) else len(rows)
        yield DistinctChunk(number, rows[part[0] : end], part - part[0])
