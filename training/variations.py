"""Augment the training sentences with variations, copies with some words replaced or removed.

The target of a variation is the teacher's embedding of it, so that a student learns how single words change an
embedding (after the data augmentation of Jiao et al. 2020, TinyBERT, arXiv 1909.10351).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.heldout import fold
from training.sources import Sentences

SOURCE = "STS-B train"
_PER_SENTENCE = 4
_EDITED_SHARE = 0.25  # of the words with more than three letters
_NEIGHBOURS = 12
_REPLACEMENTS = 20_000  # most frequent words, which can replace others


def variations(
    sentences: Sentences, forms: list[list[str]], word_embeddings: NDArray[np.float16], *, held_out: set[str], seed: int
) -> Sentences:
    """Make four variations of each sentence of the STS Benchmark, as its siblings.

    Args:
        sentences: The sentences, N of them.
        forms: The word forms of each vector, the most frequent word first.
        word_embeddings: The teacher's embedding of each word, (W, 384), in which neighbours are found.
        held_out: Folded sentences that variations must not equal.
        seed: Seed of the random choices.

    Returns:
        Only the variations, each in the group of its original.
    """
    random = np.random.default_rng(seed)
    neighbours = _Neighbours([group[0] for group in forms[:_REPLACEMENTS]], word_embeddings[:_REPLACEMENTS])
    texts = dict(zip(sentences.texts, sentences.groups.tolist(), strict=True))
    added: dict[str, int] = {}
    for row in np.flatnonzero(sentences.sources == SOURCE).tolist():
        for _ in range(_PER_SENTENCE):
            text = _vary(sentences.texts[row].split(), neighbours, random)
            if text not in texts and fold(text) and fold(text) not in held_out:
                added.setdefault(text, int(sentences.groups[row]))
    assert not held_out.intersection(map(fold, added)), "a variation equals a held-out sentence"
    return Sentences(list(added), np.array(list(added.values()), dtype=np.int32), np.full(len(added), SOURCE))


class _Neighbours:
    """Finds the words whose teacher embeddings are nearest to that of a word."""

    def __init__(self, words: list[str], embeddings: NDArray[np.float16]) -> None:
        self._words = words
        self._rows = {word: row for row, word in enumerate(words)}
        self._embeddings = embeddings.astype(np.float32)  # (W, 384)
        self._found: dict[str, list[str]] = {}

    def __call__(self, word: str) -> list[str]:
        """Find the neighbours of a word, without the word itself; none for an unknown word."""
        if word not in self._rows:
            return []
        if word not in self._found:
            cosines = self._embeddings @ self._embeddings[self._rows[word]]  # (W,)
            best = np.argpartition(-cosines, _NEIGHBOURS)[: _NEIGHBOURS + 1]
            self._found[word] = [self._words[row] for row in sorted(best.tolist()) if self._words[row] != word]
        return self._found[word]

    def random_word(self, random: np.random.Generator) -> str:
        """Draw any word with equal probability."""
        return self._words[int(random.integers(len(self._words)))]


def _vary(words: list[str], neighbours: _Neighbours, random: np.random.Generator) -> str:
    """Edit at least one word: replace it by a neighbour (50 %), by any word (20 %), or remove it (30 %)."""
    candidates = [i for i, word in enumerate(words) if len(word) > 3 and word.isalpha()]
    edited = [i for i in candidates if random.random() < _EDITED_SHARE]
    if candidates and not edited:
        edited = [int(random.choice(candidates))]
    varied = list(words)
    for i in edited:
        draw = random.random()
        found = neighbours(words[i].lower())
        if draw < 0.5 and found:
            varied[i] = found[int(random.integers(len(found)))]
        elif draw < 0.7:
            varied[i] = neighbours.random_word(random)
        else:
            varied[i] = ""
    return " ".join(filter(None, varied))
