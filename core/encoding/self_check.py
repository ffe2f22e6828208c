"""Self check: compare the embeddings of an encoder with those of an exact float32 encoder on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.corpus.sentences import Sentences
from core.encoding.encoder import SentenceEncoder
from core.store.progress import finish


class _RandomWords(NamedTuple):
    rows: NDArray[np.float32]
    """(V, E)."""


def least_cosine(encoder: SentenceEncoder, weights: Path, *, sentences: int = 200) -> float:
    """Encode random sentences with an encoder and with its weights file in float32 on the CPU.

    Random word vectors are used, so that no vector file is needed.

    Returns:
        The least cosine between the two embeddings of a sentence; near 1 when the device computes correctly.

    Raises:
        AssetError: The weights cannot be used.
    """
    exact = SentenceEncoder.load(weights)
    random = np.random.default_rng(0)
    words = _RandomWords(
        0.3 * random.normal(size=(500, exact.word_dim)).astype(np.float32)
    )  # scale of real word vectors
    ids = [random.integers(0, 500, size=length).astype(np.int32) for length in random.integers(3, 25, sentences)]
    distinct = Sentences.joined(list({each.tobytes(): each for each in ids}.values()))
    embeddings = [finish(each.encode_together(distinct, words)).embeddings for each in (encoder, exact)]
    tested, expected = (each.cpu().numpy() for each in embeddings)  # (n, D) each
    norms = np.linalg.norm(tested, axis=1) * np.linalg.norm(expected, axis=1)  # (n,)
    return float(((tested * expected).sum(axis=1) / norms).min())
