"""Building: the loop that encodes many sentences in fixed chunks, each distinct sentence once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.corpus.sentences import Sentences
from core.encoding.encoder import SentenceEncoder, WordRows
from core.encoding.halving import PartStep
from core.store.progress import Progress, Steps, follow

CHUNK = 4096
"""Number of distinct sentences in a chunk."""


class EncodedChunk(NamedTuple):
    """The embeddings of one chunk of distinct sentences, and the rows that they belong to."""

    number: int
    """The chunk's number, from 0."""
    embeddings: NDArray[np.float32]
    """(B, D), not normalized."""
    rows: NDArray[np.int64]
    """All rows whose sentence is in the chunk, (R,)."""
    source: NDArray[np.int64]
    """Index into `embeddings` for each of these rows, (R,)."""
    batch_size: int
    """Number of sentences that fit on the device together."""
    rows_done: int
    """Number of rows in this chunk and those before it."""


def encode_sentences(
    sentences: Sentences,
    vectors: WordRows,
    encoder: SentenceEncoder,
    keep: Callable[[EncodedChunk], None],
    *,
    stage: str = "encoding captions",
    unit: str = "captions",
    skip: int = 0,
    batch_size: int = CHUNK,
) -> Steps[None]:
    """Encode sentences in chunks, each distinct sentence once.

    The chunks depend only on the sentences, so that resumed work computes the same products as uninterrupted work.

    Args:
        sentences: N sentences.
        vectors: The word vectors that the token ids index.
        encoder: The encoder.
        keep: Called with each chunk before the next one begins.
        stage: The activity to report in `Progress`.
        unit: What is counted in `Progress`.
        skip: Number of chunks that an earlier run finished.
        batch_size: Number of sentences known to fit on the device together.

    Raises:
        AssetError: Not even one sentence fits on the device.
    """
    n, done = len(sentences), 0
    chunks, copies = distinct_chunks(sentences)
    for number, chunk in enumerate(chunks):
        sizes = [len(copies[i]) for i in chunk]
        start, done = done, done + sum(sizes)
        if number < skip:
            continue
        part = [sentences[copies[i][0]] for i in chunk]

        def describe(step: PartStep, start: int = start, rows_each: float = sum(sizes) / len(part)) -> Progress:
            nonlocal batch_size
            batch_size = min(batch_size, step.batch_size)
            return Progress(stage, start + step.done * rows_each, n, unit)

        embeddings = yield from follow(encoder.encode_together(part, vectors, batch_size=batch_size), describe)
        rows, source = np.concatenate([copies[i] for i in chunk]), np.repeat(np.arange(len(part)), sizes)  # (R,), (R,)
        keep(EncodedChunk(number, embeddings, rows, source, batch_size, done))
        yield Progress(stage, done, n, unit)


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
        out[chunk.rows] = chunk.embeddings[chunk.source]  # (R, D)

    yield from encode_sentences(sentences, vectors, encoder, keep, stage=stage, unit=unit)


def distinct_chunks(sentences: Sentences) -> tuple[list[range], list[NDArray[np.int64]]]:
    """Sort the distinct sentences and divide them into chunks.

    Returns:
        The chunks, as ranges over the distinct sentences; and the rows that hold each distinct sentence, ascending.
    """
    keys = [sentences[row].astype(">i4").tobytes() for row in range(len(sentences))]
    rows_of: dict[bytes, list[int]] = {}
    for row, key in enumerate(keys):
        rows_of.setdefault(key, []).append(row)
    copies = [np.array(rows_of[key]) for key in sorted(rows_of)]  # each (number of copies,)
    return [range(start, min(start + CHUNK, len(copies))) for start in range(0, len(copies), CHUNK)], copies
