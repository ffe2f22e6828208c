"""Choose the vocabulary and compute its frozen word vectors, by a PCA of the teacher's embeddings of single words."""

from __future__ import annotations

import gzip
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.corpus.tokenizer import Tokenizer
from training.heldout import open_text

VERSION = 2
"""The InferSent version whose tokenization the encoder uses: its sentence markers and its spelling of `n't`."""

_MIN_COUNT = 2  # occurrences that a word needs to get a vector
_UPPER_CASE = 1_500  # most frequent words, which also get a row for `WORD`; all words get one for `Word`


@dataclass(frozen=True)
class Vocabulary:
    """The words of the vector file; the sentence markers <p> and </p> come first."""

    words: list[str]
    """The word of each row; capitalised forms follow the lower-case form whose vector they share."""
    vectors: NDArray[np.float32]
    """The word vectors, (V, E), rounded to three decimals as in the file."""

    def ids(self, tokens: list[list[str]]) -> list[NDArray[np.int32]]:
        """Convert sentences' tokens to row numbers, with the markers around them and without unknown tokens."""
        rows = {word: row for row, word in enumerate(self.words)}
        return [np.array([0, *(rows[word] for word in words if word in rows), 1], dtype=np.int32) for words in tokens]

    def save(self, path: Path) -> None:
        """Write a gzipped `.vec` file; equal vectors give equal bytes."""
        text = io.StringIO()
        text.write(f"{len(self.words)} {self.vectors.shape[1]}\n")
        for word, vector in zip(self.words, self.vectors.tolist(), strict=True):
            numbers = " ".join(f"{value:.3f}" for value in vector)
            text.write(f"{word} {numbers}\n")
        path.write_bytes(gzip.compress(text.getvalue().encode("utf-8"), compresslevel=9, mtime=0))

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read a file that `save` wrote."""
        lines = open_text(path)
        rows, dim = map(int, next(iter(lines)).split())
        words = []
        vectors = np.empty((rows, dim), dtype=np.float32)
        for row, line in enumerate(lines):
            word, _, numbers = line.partition(" ")
            words.append(word)
            vectors[row] = np.array(numbers.split(), dtype=np.float32)
        return cls(words, vectors)


def tokenize(texts: list[str]) -> list[list[str]]:
    """Split every text into tokens as the explorer does, without the sentence markers."""
    tokenizer = Tokenizer(VERSION)
    return [tokenizer.tokenize(text) for text in texts]


def choose(tokens: list[list[str]], *, common: list[str], size: int) -> list[list[str]]:
    """Choose the words that get a vector.

    Args:
        tokens: The training sentences' tokens.
        common: Further lower-case words, the most frequent first.
        size: Largest number of distinct lower-case words.

    Returns:
        One list per vector: the lower-case form, then the other capitalisations that have a row of their own.
    """
    counts = Counter(word for words in tokens for word in words)
    lower_counts: Counter[str] = Counter()
    forms: dict[str, list[str]] = {}
    for word, count in counts.most_common():
        lower_counts[word.lower()] += count
        if count >= _MIN_COUNT and word != word.lower():
            forms.setdefault(word.lower(), []).append(word)
    ranked = [word for word, count in lower_counts.most_common() if count >= _MIN_COUNT]
    chosen = list(dict.fromkeys([*ranked, *filter(_has_letter, common)]))[:size]
    for words, change_case in ((chosen, str.capitalize), (chosen[:_UPPER_CASE], str.upper)):
        for word in filter(str.isalpha, words):
            forms.setdefault(word, []).append(change_case(word))
    return [list(dict.fromkeys([word, *forms.get(word, [])])) for word in chosen]


def vectors(forms: list[list[str]], embeddings: NDArray[np.float16], *, dim: int, seed: int) -> Vocabulary:
    """Make the word vectors: the first principal components of the centred embeddings, rounded.

    Args:
        forms: The written forms of each distinct word.
        embeddings: The teacher's embedding of each distinct word, (W, 384).
        dim: E, the number of components.
        seed: Seed of the sentence markers' vectors, which are random because the teacher has no such words.
    """
    rows = embeddings.astype(np.float64)  # (W, 384)
    rows -= rows.mean(axis=0)
    _, axes = np.linalg.eigh(rows.T @ rows)  # (384, 384), ascending
    axes = axes[:, ::-1][:, :dim]  # (384, E)
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(dim)])  # fixed signs: LAPACK's are arbitrary
    components = rows @ axes  # (W, E)
    marks = np.random.default_rng(seed).normal(scale=components.std(), size=(2, dim))  # (2, E)
    counts = [len(words) for words in forms]
    table = np.concatenate([marks, np.repeat(components, counts, axis=0)]).round(3) + 0.0  # (V, E), no -0.0
    words = [*Tokenizer(VERSION).marks, *(word for group in forms for word in group)]
    return Vocabulary(words, table.astype(np.float32))


def common_words(path: Path) -> list[str]:
    """Read the distinct lower-cased words of a `.vec` file with a header, in file order, without sentence markers."""
    words = [line.partition(" ")[0].lower() for line in open_text(path)][1:]
    return [word for word in dict.fromkeys(words) if word not in Tokenizer(VERSION).marks]


def _has_letter(word: str) -> bool:
    return any(map(str.isalpha, word))
