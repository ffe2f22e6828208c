"""Vocabulary: turn texts into token ids, with a tokenizer, the word vectors and the two sentence marks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.corpus.sentences import Sentences
from core.corpus.tokenizer import Tokenizer
from core.corpus.vectors import WordVectors
from core.store.progress import Steps


class LookedUp(NamedTuple):
    """The tokens of a text, and which of them have a word vector."""

    words: list[str]
    """Tokens without the sentence marks."""
    rows: NDArray[np.int32]
    """Row of each token in the word vectors, -1 where it has none, (words,)."""
    ids: NDArray[np.int32]
    """The rows to encode: those of the known tokens between the sentence marks, (T,)."""


class Vocabulary:
    """Turns texts into token ids, which are rows of `vectors`.

    Raises:
        ValueError: The vectors lack the sentence marks.
    """

    def __init__(self, tokenizer: Tokenizer, vectors: WordVectors) -> None:
        self.tokenizer, self.vectors = tokenizer, vectors
        self.marks: NDArray[np.int32] = vectors.find(tokenizer.marks, always=tokenizer.marks)  # (2,)
        if (self.marks < 0).any():
            raise ValueError(f"no vectors for the sentence marks {' '.join(tokenizer.marks)}")

    def look_up(self, text: str) -> LookedUp:
        """Split a text into tokens and look up the row of each."""
        words = self.tokenizer.tokenize(text)
        rows = self.vectors.find(words, always=self.tokenizer.marks)  # (words,)
        return LookedUp(words, rows, np.concatenate([self.marks[:1], rows[rows >= 0], self.marks[1:]]))

    def sentences(self, texts: Sequence[str]) -> Steps[Sentences]:
        """Turn texts into token ids between sentence marks; unknown tokens are dropped."""
        return Sentences.of(texts, tokenizer=self.tokenizer, vectors=self.vectors)

    def words(self, ids: Iterable[int]) -> list[str]:
        """Return the words of some token ids."""
        return [self.vectors.word(word) for word in ids]
