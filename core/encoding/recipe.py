"""Recipe: everything that determines the values of a matrix of embeddings; its hash is the matrix's name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from core.store.whole import Origin

_FORMAT = 2


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
