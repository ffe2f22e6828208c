"""Variations: training sentences with some words replaced or left out, for kinds of text that there is little of.

Their targets are the teacher's own embeddings of them, so that a student learns what a word changes (after the data
augmentation of Jiao et al. 2020, TinyBERT, arXiv 1909.10351).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.heldout import fold
from training.sources import Sentences

SOURCE = "STS-B train"
_EACH = 4
_TOUCHED = 0.25  # share of the longer words that change
_NEIGHBOURS = 12
_KNOWN = 20_000  # words that may be put in


def variations(
    sentences: Sentences, forms: list[list[str]], singles: NDArray[np.float16], *, held_out: set[str], seed: int
) -> Sentences:
    """Make four variations of each sentence of the STS Benchmark, its sisters to be.

    Args:
        sentences: The sentences, N of them.
        forms: The vocabulary, a list of word forms a vector, the most frequent first.
        singles: The teacher's embedding of each vector's word, (W, 384): a word is replaced by one of its neighbours.
        held_out: Folded sentences that must not come out.
        seed: Of the choices.

    Returns:
        The variations alone, each with the group of its original.
    """
    random = np.random.default_rng(seed)
    near = _Neighbours([group[0] for group in forms[:_KNOWN]], singles[:_KNOWN])
    texts = dict(zip(sentences.texts, sentences.groups.tolist(), strict=True))
    added: dict[str, int] = {}
    for row in np.flatnonzero(sentences.sources == SOURCE).tolist():
        for _ in range(_EACH):
            text = _vary(sentences.texts[row].split(), near, random)
            if text not in texts and fold(text) and fold(text) not in held_out:
                added.setdefault(text, int(sentences.groups[row]))
    assert not held_out.intersection(map(fold, added)), "a variation is held out"
    return Sentences(list(added), np.array(list(added.values()), dtype=np.int32), np.full(len(added), SOURCE))


class _Neighbours:
    """The words that the teacher puts nearest to a word."""

    def __init__(self, words: list[str], embeddings: NDArray[np.float16]) -> None:
        self._words = words
        self._rows = {word: row for row, word in enumerate(words)}
        self._embeddings = embeddings.astype(np.float32)  # (W, 384)
        self._found: dict[str, list[str]] = {}

    def __call__(self, word: str) -> list[str]:
        """Give the neighbours of a word, itself not among them; none when the word is unknown."""
        if word not in self._rows:
            return []
        if word not in self._found:
            cosines = self._embeddings @ self._embeddings[self._rows[word]]  # (W,)
            best = np.argpartition(-cosines, _NEIGHBOURS)[: _NEIGHBOURS + 1]
            self._found[word] = [self._words[row] for row in sorted(best.tolist()) if self._words[row] != word]
        return self._found[word]

    def any(self, random: np.random.Generator) -> str:
        """Draw a word."""
        return self._words[int(random.integers(len(self._words)))]


def _vary(words: list[str], near: _Neighbours, random: np.random.Generator) -> str:
    """Replace a word by a neighbour half of the time, by any other word a fifth, else leave it out; once at least."""
    long = [place for place, word in enumerate(words) if len(word) > 3 and word.isalpha()]
    touched = [place for place in long if random.random() < _TOUCHED]
    if long and not touched:
        touched = [int(random.choice(long))]
    varied = list(words)
    for place in touched:
        fate = random.random()
        neighbours = near(words[place].lower())
        if fate < 0.5 and neighbours:
            varied[place] = neighbours[int(random.integers(len(neighbours)))]
        elif fate < 0.7:
            varied[place] = near.any(random)
        else:
            varied[place] = ""
    return " ".join(filter(None, varied))
