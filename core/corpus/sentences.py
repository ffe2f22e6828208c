"""Sentences: texts as token ids, flat, with offsets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.corpus.tokenizer import Tokenizer
from core.corpus.vectors import WordVectors
from core.store.progress import Progress, Steps

_BETWEEN_STEPS = 2048  # texts


class Sentences:
    """N texts as token ids.

    Args:
        ids: Rows of the word vectors, all texts on end, the marks included.
        starts: Where each text begins in `ids`, (N + 1,).
    """

    def __init__(self, ids: NDArray[np.int32], starts: NDArray[np.int64]) -> None:
        self.ids = ids
        self.starts = starts

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        return self.ids[self.starts[row] : self.starts[row + 1]]

    def wordless(self) -> NDArray[np.int64]:
        """Rows without any known word: they consist of the two marks."""
        return np.flatnonzero(np.diff(self.starts) <= 2)

    def find(self, ids: NDArray[np.int32]) -> NDArray[np.int64]:
        """The rows that hold exactly these token ids, ascending."""
        rows = np.flatnonzero(np.diff(self.starts) == len(ids))
        for place, word in enumerate(ids):
            rows = rows[self.ids[self.starts[rows] + place] == word]
        return rows

    @classmethod
    def joined(cls, sequences: Sequence[NDArray[np.int32]]) -> Sentences:
        """Put sequences of token ids on end."""
        starts = np.concatenate([[0], np.cumsum([len(ids) for ids in sequences])]).astype(np.int64)
        return cls(np.concatenate(sequences), starts)

    @classmethod
    def of(cls, texts: Sequence[str], *, tokenizer: Tokenizer, vectors: WordVectors) -> Steps[Sentences]:
        """Turn texts into token ids, the sentence marks around each; unknown tokens are dropped.

        Args:
            texts: N texts.
            tokenizer: Splits them, and says what the marks are.
            vectors: What the ids index; it has the marks.
        """
        numbers: dict[str, int] = {}  # of the distinct tokens
        token_lists = []
        for i, text in enumerate(texts):
            token_lists.append([numbers.setdefault(token, len(numbers)) for token in tokenizer.tokenize(text)])
            if i % _BETWEEN_STEPS == 0:
                yield Progress("tokenizing captions", i, len(texts), "captions")
        known = vectors.find(list(numbers), always=tokenizer.marks)  # (distinct tokens,)
        first, last = vectors.find(tokenizer.marks, always=tokenizer.marks)
        sequences = []
        for tokens in token_lists:
            ids = known[tokens] if tokens else known[:0]
            sequences.append(np.concatenate([[first], ids[ids >= 0], [last]]).astype(np.int32))
        return cls.joined(sequences)
