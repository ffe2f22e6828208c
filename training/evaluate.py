"""The figures: how well embeddings agree with people, and find captions of the same image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from core.corpus.tokenizer import Tokenizer
from core.corpus.vectors import WordVectors
from core.encoding.encoder import SentenceEncoder
from core.store.progress import finish
from training import heldout
from training.heldout import Images, Pairs
from training.words import VERSION

QUERY = "a rainbow is in the sky over an empty stretch of road"
SOUGHT = "There is a green street light hanging over this empty intersection."

_AT_ONCE = 4096
_DEEPEST = 10

Encode: TypeAlias = Callable[[list[str]], NDArray[np.float32]]
"""Texts to unit rows, (N, D)."""

Figures: TypeAlias = dict[str, float]
"""Name of a figure to its value."""

SETS: dict[str, Callable[[Path], Pairs]] = {
    "STS-B dev": heldout.sts_dev,
    "SICK trial": heldout.sick_trial,
    "CxC STS val": heldout.cxc_val,
}
RECALL = "sister recall@10"
RANK = "rank of the green light"


@dataclass(frozen=True)
class Files:
    """A pair of files, read by the explorer's own code, as two ways to encode."""

    encoder: SentenceEncoder
    vectors: WordVectors
    tokenizer: Tokenizer

    @classmethod
    def load(cls, model: Path, vectors: Path, *, store: Path) -> Files:
        """Open weights and word vectors.

        Args:
            model: An `encoder.pkl`.
            vectors: A `.vec` file.
            store: A folder for the converted word vectors; made anew each time.
        """
        finish(WordVectors.convert(vectors, store))
        return cls(SentenceEncoder.load(model), WordVectors(store), Tokenizer(VERSION))

    def sentences(self, texts: list[str]) -> NDArray[np.float32]:
        """Encode texts with the sentence encoder, float32."""
        distinct: dict[tuple[int, ...], int] = {}
        places = [distinct.setdefault(tuple(self._rows(text, marks=True)), len(distinct)) for text in texts]
        sequences = [np.array(ids, dtype=np.int32) for ids in distinct]
        parts = []
        for start in range(0, len(sequences), _AT_ONCE):
            work = self.encoder.encode_together(sequences[start : start + _AT_ONCE], self.vectors)
            while True:
                try:
                    next(work)
                except StopIteration as stop:
                    parts.append(stop.value)
                    break
        return _unit(np.concatenate(parts))[places]  # (N, D)

    def words(self, texts: list[str]) -> NDArray[np.float32]:
        """Encode texts as the mean of their word vectors; a text without a known word is zero."""
        means = np.zeros((len(texts), self.vectors.dim), dtype=np.float32)
        for row, text in enumerate(texts):
            if ids := self._rows(text, marks=False):
                means[row] = self.vectors.rows[ids].mean(axis=0)
        return _unit(means)  # (N, E)

    def _rows(self, text: str, *, marks: bool) -> list[int]:
        tokens = self.tokenizer.tokenize(text)
        first, last = self.tokenizer.marks
        found = self.vectors.find([first, *tokens, last] if marks else tokens)
        return [row for row in found.tolist() if row >= 0]


def agreement(encode: Encode, data: Path) -> Figures:
    """Measure Spearman's correlation between raw cosines and people's ratings, on every set of pairs."""
    figures = {}
    for name, read in SETS.items():
        pairs = read(data)
        texts = list(dict.fromkeys([*pairs.first, *pairs.second]))
        rows = dict(zip(texts, encode(texts), strict=True))
        cosines = [float(rows[a] @ rows[b]) for a, b in zip(pairs.first, pairs.second, strict=True)]
        figures[name] = float(spearmanr(cosines, pairs.ratings).statistic)
    return figures


def retrieval(encode: Encode, data: Path) -> Figures:
    """Measure how often a caption finds a sister, and where the rainbow over a road finds the green light."""
    captions = heldout.coco_val2017(data)
    everything = heldout.coco_subset(data)
    cosines = encode(everything.texts) @ encode([QUERY])[0]  # (N,)
    return {
        RECALL: sister_recall(captions, nearest(encode(captions.texts))),
        RANK: int(1 + (cosines > cosines[everything.texts.index(SOUGHT)]).sum()),
    }


def nearest(rows: NDArray[np.float32]) -> NDArray[np.int64]:
    """Find the ten nearest other rows of each row.

    Args:
        rows: Unit rows, (N, D).

    Returns:
        Row numbers, (N, 10), in no order.
    """
    found = np.empty((len(rows), _DEEPEST), dtype=np.int64)
    for start in range(0, len(rows), 1024):
        cosines = rows[start : start + 1024] @ rows.T  # (B, N)
        cosines[np.arange(len(cosines)), start + np.arange(len(cosines))] = -np.inf
        found[start : start + 1024] = np.argpartition(-cosines, _DEEPEST, axis=1)[:, :_DEEPEST]
    return found


def bm25_nearest(texts: list[str]) -> NDArray[np.int64]:
    """Find the ten best other texts of each text by BM25, English stop words removed, stems compared.

    Returns:
        Row numbers, (N, 10), best first.
    """
    import bm25s  # type: ignore[import-untyped]
    import Stemmer  # type: ignore[import-not-found]

    tokens = bm25s.tokenize(texts, stopwords="en", stemmer=Stemmer.Stemmer("english"), show_progress=False)
    index = bm25s.BM25()
    index.index(tokens, show_progress=False)
    found, _ = index.retrieve(tokens, k=_DEEPEST + 1, show_progress=False)  # (N, 11)
    others = [[other for other in row if other != number][:_DEEPEST] for number, row in enumerate(found.tolist())]
    return np.array(others, dtype=np.int64)


def sister_recall(captions: Images, found: NDArray[np.int64]) -> float:
    """Compute the share of captions that have at least one of their image's other captions among those found.

    Args:
        captions: The captions, N of them.
        found: Row numbers found for each caption, (N, K), itself not among them.
    """
    return float((captions.images[found] == captions.images[:, None]).any(axis=1).mean())


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float32] = rows / np.maximum(lengths, np.finfo(np.float32).tiny)
    return unit
