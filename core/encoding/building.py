"""Building: the one loop that encodes many sentences, each distinct one once, in fixed chunks."""

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
"""How many distinct sentences are encoded together."""


class EncodedChunk(NamedTuple):
    """The embeddings of one chunk of distinct sentences, and whose they are."""

    number: int
    """From 0, in the order of the chunks."""
    embeddings: NDArray[np.float32]
    """(B, D), not normalized."""
    rows: NDArray[np.int64]
    """The rows of all sentences that equal one of the chunk, (R,)."""
    source: NDArray[np.int64]
    """Which embedding each of these rows has, (R,)."""
    batch_size: int
    """How many sentences fit on the device together."""
    rows_done: int
    """Rows of this chunk and of those before it."""


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
    """Encode sentences, each distinct one once.

    The chunks depend on the sentences alone, so that work that is left and begun again computes the same products.

    Args:
        sentences: N sentences.
        vectors: What their ids index.
        encoder: The encoder.
        keep: Takes each chunk before the next begins.
        stage: What is being done, for `Progress`.
        unit: What is counted, likewise.
        skip: How many chunks were done before.
        batch_size: How many sentences are known to fit on the device together.

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
        rows, source = np.concatenate([copies[i] for i in chunk]), np.repeat(np.arange(len(part)), sizes)
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
    """Encode sentences into an array, each distinct one once.

    Args:
        sentences: N sentences.
        vectors: What their ids index.
        encoder: The encoder.
        out: Where the embeddings go, (N, D), not normalized.
        stage: What is being done, for `Progress`.
        unit: What is counted, likewise.

    Raises:
        AssetError: Not even one sentence fits on the device.
    """

    def keep(chunk: EncodedChunk) -> None:
        out[chunk.rows] = chunk.embeddings[chunk.source]

    yield from encode_sentences(sentences, vectors, encoder, keep, stage=stage, unit=unit)


def distinct_chunks(sentences: Sentences) -> tuple[list[range], list[NDArray[np.int64]]]:
    """Sort the distinct sentences and cut them into the chunks in which they are encoded.

    Returns:
        Ranges over the distinct sentences, and for each of those the rows that hold it, ascending.
    """
    keys = [sentences[row].astype(">i4").tobytes() for row in range(len(sentences))]
    rows_of: dict[bytes, list[int]] = {}
    for row, key in enumerate(keys):
        rows_of.setdefault(key, []).append(row)
    copies = [np.array(rows_of[key]) for key in sorted(rows_of)]
    return [range(at, min(at + CHUNK, len(copies))) for at in range(0, len(copies), CHUNK)], copies
