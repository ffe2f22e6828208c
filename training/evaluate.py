"""Measure how well embeddings agree with human ratings, and how well they find captions of the same image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from core.corpus.sentences import Sentences
from core.corpus.tokenizer import Tokenizer
from core.corpus.vec_file import VecFile
from core.corpus.vectors import WordVectors
from core.encoding.encoder import SentenceEncoder
from core.store.progress import finish
from training import heldout
from training.heldout import Images, Pairs
from training.words import VERSION

QUERY = "a rainbow is in the sky over an empty stretch of road"
SOUGHT = "There is a green street light hanging over this empty intersection."

_BATCH = 4096
_HITS = 10

Encode: TypeAlias = Callable[[list[str]], NDArray[np.float32]]
"""Function from N texts to unit rows, (N, D)."""

Figures: TypeAlias = dict[str, float]
"""Values by the name of the figure."""

SETS: dict[str, Callable[[Path], Pairs]] = {
    "STS-B dev": heldout.sts_dev,
    "SICK trial": heldout.sick_trial,
    "CxC STS val": heldout.cxc_val,
}
RECALL = "recall@10 of another caption of the same image"
RANK = "rank of the caption about a green light"


@dataclass(frozen=True)
class Files:
    """Two encoding methods from one pair of files, read by the explorer's own code: sentence encoder and mean words."""

    encoder: SentenceEncoder
    vectors: WordVectors
    tokenizer: Tokenizer

    @classmethod
    def load(cls, model: Path, vectors: Path, *, store: Path) -> Files:
        """Open weights and word vectors.

        Args:
            model: An `encoder.pkl`.
            vectors: A `.vec` file.
            store: Folder for the converted word vectors; it is written anew each time.
        """
        finish(WordVectors.convert(VecFile(vectors), store))
        return cls(SentenceEncoder.load(model), WordVectors(store), Tokenizer(VERSION))

    def sentences(self, texts: list[str]) -> NDArray[np.float32]:
        """Encode N texts with the sentence encoder; unit rows, (N, D)."""
        distinct: dict[tuple[int, ...], int] = {}
        index = [distinct.setdefault(tuple(self._rows(text, marks=True)), len(distinct)) for text in texts]  # N numbers
        sentences = Sentences.joined([np.array(ids, dtype=np.int32) for ids in distinct])
        steps = self.encoder.encode_together(sentences, self.vectors, batch_size=_BATCH)
        return _unit(finish(steps).embeddings.cpu().numpy())[index]  # (N, D)

    def words(self, texts: list[str]) -> NDArray[np.float32]:
        """Encode N texts as the mean of their word vectors; unit rows, (N, E), zero for a text without a known word."""
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
    """Compute Spearman's correlation between cosines and human ratings for every set of pairs."""
    figures = {}
    for name, read in SETS.items():
        pairs = read(data)
        texts = list(dict.fromkeys([*pairs.first, *pairs.second]))
        rows = dict(zip(texts, encode(texts), strict=True))
        cosines = [float(rows[a] @ rows[b]) for a, b in zip(pairs.first, pairs.second, strict=True)]
        figures[name] = float(spearmanr(cosines, pairs.ratings).statistic)
    return figures


def retrieval(encode: Encode, data: Path) -> Figures:
    """Compute how often a caption finds a sibling caption (`RECALL`), and the rank of `SOUGHT` for `QUERY` (`RANK`)."""
    captions = heldout.coco_val2017(data)
    searched = heldout.coco_subset(data)
    cosines = encode(searched.texts) @ encode([QUERY])[0]  # (N,)
    return {
        RECALL: sibling_recall(captions, nearest(encode(captions.texts))),
        RANK: int(1 + (cosines > cosines[searched.texts.index(SOUGHT)]).sum()),
    }


def nearest(rows: NDArray[np.float32]) -> NDArray[np.int64]:
    """Find the ten nearest other rows of each row.

    Args:
        rows: Unit rows, (N, D).

    Returns:
        Row numbers, (N, 10), unordered.
    """
    found = np.empty((len(rows), _HITS), dtype=np.int64)
    for start in range(0, len(rows), 1024):
        cosines = rows[start : start + 1024] @ rows.T  # (B, N)
        cosines[np.arange(len(cosines)), start + np.arange(len(cosines))] = -np.inf
        found[start : start + 1024] = np.argpartition(-cosines, _HITS, axis=1)[:, :_HITS]
    return found


def bm25_nearest(texts: list[str]) -> NDArray[np.int64]:
    """Find the ten best other texts for each text by BM25 over stems, without English stop words.

    Returns:
        Row numbers, (N, 10), best first.
    """
    import bm25s  # type: ignore[import-untyped]
    import Stemmer  # type: ignore[import-not-found]

    tokens = bm25s.tokenize(texts, stopwords="en", stemmer=Stemmer.Stemmer("english"), show_progress=False)
    index = bm25s.BM25()
    index.index(tokens, show_progress=False)
    found, _ = index.retrieve(tokens, k=_HITS + 1, show_progress=False)  # (N, 11)
    others = [[other for other in row if other != number][:_HITS] for number, row in enumerate(found.tolist())]
    return np.array(others, dtype=np.int64)


def sibling_recall(captions: Images, found: NDArray[np.int64]) -> float:
    """Compute the share of captions for which at least one sibling caption was found.

    Args:
        captions: The captions, N of them.
        found: Row numbers found for each caption, (N, K), without the caption itself.
    """
    return float((captions.images[found] == captions.images[:, None]).any(axis=1).mean())


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float32] = rows / np.maximum(lengths, np.finfo(np.float32).tiny)
    return unit
