"""Vocabulary: how a text becomes token ids, by a tokenizer, the word vectors and the two sentence marks."""

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
    """A text's tokens, and which of them have a word vector."""

    words: list[str]
    """The tokens, without the sentence marks."""
    rows: NDArray[np.int32]
    """The row of each among the vectors, -1 where it has none, (words,)."""
    ids: NDArray[np.int32]
    """What is encoded: the known ones, with the marks around them, (T,)."""


class Vocabulary:
    """Turns texts into token ids.

    Args:
        tokenizer: Splits texts, and names the marks.
        vectors: What the ids index.

    Raises:
        ValueError: The vectors lack the marks.
    """

    def __init__(self, tokenizer: Tokenizer, vectors: WordVectors) -> None:
        self.tokenizer = tokenizer
        self.vectors = vectors
        self.marks: NDArray[np.int32] = vectors.find(tokenizer.marks, always=tokenizer.marks)  # (2,)
        if (self.marks < 0).any():
            raise ValueError(f"no vectors for the sentence marks {' '.join(tokenizer.marks)}")

    def look_up(self, text: str) -> LookedUp:
        """Split a text into tokens and look each up."""
        words = self.tokenizer.tokenize(text)
        rows = self.vectors.find(words, always=self.tokenizer.marks)  # (words,)
        return LookedUp(words, rows, np.concatenate([self.marks[:1], rows[rows >= 0], self.marks[1:]]))

    def sentences(self, texts: Sequence[str]) -> Steps[Sentences]:
        """Turn texts into token ids, the marks around each; unknown tokens are dropped."""
        return Sentences.of(texts, tokenizer=self.tokenizer, vectors=self.vectors)

    def words(self, ids: Iterable[int]) -> list[str]:
        """Return the words that some ids stand for."""
        return [self.vectors.word(word) for word in ids]
