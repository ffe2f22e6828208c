"""Sentences: texts as token ids in one flat array with offsets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.corpus.tokenizer import Tokenizer
from core.corpus.vectors import WordVectors
from core.store.progress import Progress, Steps

_TEXTS_PER_STEP = 2048  # texts tokenized between two progress reports


class Sentences:
    """N texts as token ids.

    Args:
        ids: Word-vector rows of all texts, concatenated, the sentence marks included, (total tokens,).
        starts: Offset of each text in `ids`, (N + 1,).
    """

    def __init__(self, ids: NDArray[np.int32], starts: NDArray[np.int64]) -> None:
        self.ids = ids
        self.starts = starts

    def __len__(self) -> int:
        return len(self.starts) - 1

    def is_sound(self, words: int) -> bool:
        """Tell whether the ids are those of so many words, and the offsets lead through them."""
        ends = (int(self.starts[0]), int(self.starts[-1]))
        are_ids = not len(self.ids) or (self.ids.min() >= 0 and self.ids.max() < words)
        return bool(ends == (0, len(self.ids)) and are_ids and (np.diff(self.starts) >= 0).all())

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        return self.ids[self.starts[row] : self.starts[row + 1]]

    def take(self, rows: NDArray[np.int64]) -> Sentences:
        """Return some sentences, in the order of `rows`, (R,)."""
        lengths = np.diff(self.starts)[rows]  # (R,)
        starts = np.concatenate([[0], np.cumsum(lengths)])  # (R + 1,)
        places = np.arange(starts[-1]) + np.repeat(self.starts[rows] - starts[:-1], lengths)  # (tokens,)
        return Sentences(self.ids[places], starts)

    def part(self, start: int, stop: int) -> Sentences:
        """Return the sentences start..stop-1."""
        first, last = self.starts[start], self.starts[stop]
        return Sentences(self.ids[first:last], self.starts[start : stop + 1] - first)

    def reversed(self) -> Sentences:
        """Return the sentences with the tokens of each in reverse."""
        lengths = np.diff(self.starts)  # (N,)
        ends = np.repeat(self.starts[:-1] + self.starts[1:] - 1, lengths)  # (tokens,), first and last place, added
        return Sentences(self.ids[ends - np.arange(len(self.ids))], self.starts)

    def by_distinct_id(self) -> tuple[NDArray[np.int32], Sentences]:
        """Return the distinct ids, ascending, (U,), and the sentences as places in them."""
        present = np.zeros(self.ids.max(initial=0) + 1, bool)  # (highest id + 1,)
        present[self.ids] = True
        ids = np.flatnonzero(present).astype(np.int32)  # (U,)
        places = np.empty(len(present), np.int32)  # (highest id + 1,)
        places[ids] = np.arange(len(ids))
        return ids, Sentences(places[self.ids], self.starts)

    def wordless(self) -> NDArray[np.int64]:
        """Return the rows without a known word, which contain only the two marks, ascending."""
        return np.flatnonzero(np.diff(self.starts) <= 2)

    def distinct(self) -> NDArray[np.int64]:
        """Return the first row of each text that has a known word, ascending."""
        firsts = np.unique(self.texts, return_index=True)[1]  # (texts,)
        return np.setdiff1d(firsts, self.wordless())

    def count(self, ids: NDArray[np.integer]) -> NDArray[np.int64]:
        """Count how often each id occurs in all sentences; same shape."""
        counts = self._counts
        return np.where(ids < len(counts), counts[np.minimum(ids, len(counts) - 1)], 0)

    @cached_property
    def _counts(self) -> NDArray[np.int64]:
        """Occurrences by id, up to the highest one, (highest + 1,)."""
        return np.bincount(self.ids)

    def find(self, ids: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the rows with exactly these token ids, ascending."""
        rows = np.flatnonzero(np.diff(self.starts) == len(ids))  # (R,)
        for position, word in enumerate(ids):
            rows = rows[self.ids[self.starts[rows] + position] == word]
        return rows

    def count_copies(self) -> NDArray[np.int64]:
        """Count for each row the rows with the same token ids, itself included, (N,)."""
        return np.bincount(self.texts)[self.texts]

    def copies(self, rows: Sequence[int]) -> list[NDArray[np.int64]]:
        """Return for each of some rows all rows with the same token ids, itself included, ascending."""
        order = np.argsort(self.texts, kind="stable")  # (N,)
        ends = np.cumsum(np.bincount(self.texts))  # (texts,)
        return [order[ends[text - 1] if text else 0 : ends[text]] for text in self.texts[list(rows)].tolist()]

    @cached_property
    def texts(self) -> NDArray[np.int64]:
        """The number of each row's text, from 0; rows with the same token ids have the same, (N,)."""
        numbers: dict[bytes, int] = {}
        return np.array([numbers.setdefault(self[row].tobytes(), len(numbers)) for row in range(len(self))])

    @classmethod
    def joined(cls, sequences: Sequence[NDArray[np.int32]]) -> Sentences:
        """Concatenate sequences of token ids."""
        starts = np.concatenate([[0], np.cumsum([len(ids) for ids in sequences])]).astype(np.int64)  # (N + 1,)
        return cls(np.concatenate(sequences), starts)

    @classmethod
    def of(cls, texts: Sequence[str], *, tokenizer: Tokenizer, vectors: WordVectors) -> Steps[Sentences]:
        """Convert texts to token ids between the two sentence marks; unknown tokens are dropped.

        Args:
            texts: N texts.
            tokenizer: Splits the texts and defines the marks.
            vectors: The word vectors that the ids index; they include the marks.
        """
        indices: dict[str, int] = {}  # index of each distinct token
        tokens: list[int] = []
        counts = []
        for i, text in enumerate(texts):
            before = len(tokens)
            tokens += [indices.setdefault(token, len(indices)) for token in tokenizer.tokenize(text)]
            counts.append(len(tokens) - before)
            if i % _TEXTS_PER_STEP == 0:
                yield Progress("tokenizing captions", i, len(texts), "captions")
        known = vectors.find(list(indices), always=tokenizer.marks)  # (distinct tokens,), -1 if unknown
        first, last = vectors.find(tokenizer.marks, always=tokenizer.marks)
        ids = known[np.array(tokens, np.int64)]  # (all tokens,)
        text_of = np.repeat(np.arange(len(texts)), counts)[ids >= 0]  # (known tokens,)
        starts = np.concatenate([[0], np.cumsum(np.bincount(text_of, minlength=len(texts)) + 2)])  # (N + 1,)
        between_marks = np.ones(starts[-1], bool)
        between_marks[starts[:-1]] = between_marks[starts[1:] - 1] = False
        joined = np.full(starts[-1], first, np.int32)
        joined[starts[1:] - 1] = last
        joined[between_marks] = ids[ids >= 0]
        return cls(joined, starts)
