"""Self check: does a device compute embeddings as the CPU does?"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.encoding.encoder import SentenceEncoder
from core.store.progress import finish


class _RandomWords(NamedTuple):
    rows: NDArray[np.float32]
    """(V, E)."""


def least_cosine(encoder: SentenceEncoder, weights: Path, *, sentences: int = 200) -> float:
    """Encode random sentences with an encoder, and with the same weights in float32 on the CPU.

    Args:
        encoder: The encoder to check.
        weights: The file that it was loaded from.
        sentences: How many sentences, of random vectors: no word vectors are needed.

    Returns:
        The least cosine between the two embeddings of a sentence; near 1 when the device computes as it should.

    Raises:
        AssetError: The weights cannot be used.
    """
    exact = SentenceEncoder.load(weights)
    random = np.random.default_rng(0)
    words = _RandomWords(0.3 * random.normal(size=(500, exact.word_dim)).astype(np.float32))  # as long as real ones
    ids = [random.integers(0, 500, size=length).astype(np.int32) for length in random.integers(3, 25, sentences)]
    ours, theirs = (finish(each.encode_together(ids, words)) for each in (encoder, exact))  # (n, D)
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)  # (n,)
    return float(((ours * theirs).sum(axis=1) / lengths).min())
