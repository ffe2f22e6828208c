"""Lexical: the two older methods, BM25 and mean word vectors, which compare the words of query and captions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.corpus.sentences import Sentences
from core.corpus.vectors import WordVectors
from core.store.progress import Progress, Steps
from core.store.whole import Origin, make_folder, new_array

WORD = re.compile(r"\b\w\w+\b")
"""What counts as a word: the pattern that bm25s uses."""

_FORMAT = 1  # version of the files, and of how they are computed
_CHUNK = 4096  # captions per step; a cancelled build stops after a step


class Lexical:
    """Both methods over one corpus, opened memory-mapped from the folder that `build` wrote."""

    def __init__(self, folder: Path, *, sentences: Sentences, vectors: WordVectors) -> None:
        self.bm25 = BM25(folder / "bm25")
        self.words = MeanWordVectors(folder, sentences=sentences, vectors=vectors)

    @staticmethod
    def build(folder: Path, texts: Sequence[str], *, sentences: Sentences, vectors: WordVectors) -> Steps[None]:
        """Index N captions, given as texts and as token ids of `vectors`, unless that was done before.

        The folder belongs in that of the captions' matrix; it appears whole or not at all.

        Raises:
            AssetError: The cache cannot be written.
        """

        def write(work: Path) -> Steps[None]:
            yield Progress("indexing words", 0, 0, "")
            BM25.build(work / "bm25", texts)
            yield from MeanWordVectors.build(work, sentences=sentences, vectors=vectors)

        origin = Origin(folder.parent.name, _FORMAT, "words")
        yield from make_folder(folder, origin, write, doing="indexes these captions", lock=folder.parent)


class BM25:
    """BM25 over word stems without English stop words (bm25s's default, Lucene's variant; k1 = 1.5, b = 0.75)."""

    def __init__(self, folder: Path) -> None:
        import bm25s

        self._count, stems = np.load(folder / "counts.npy").tolist()
        self._index = bm25s.BM25.load(folder, mmap=True) if stems else None

    @staticmethod
    def build(folder: Path, texts: Sequence[str]) -> None:
        """Index texts into `folder`."""
        import bm25s

        index = bm25s.BM25()
        tokens = bm25s.tokenize(list(texts), stopwords="en", stemmer=_stemmer(), show_progress=False)
        folder.mkdir(mode=0o700)
        np.save(folder / "counts.npy", [len(texts), len(tokens.vocab)])
        if tokens.vocab:  # bm25s raises on an empty vocabulary
            index.index(tokens, show_progress=False)
            index.save(folder, show_progress=False)

    def __len__(self) -> int:
        count: int = self._count
        return count

    def stems(self, text: str) -> list[str]:
        """Return the distinct stems of a text in order, without stop words."""
        return self.stems_of([text])[0]

    def stems_of(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the `stems` of some texts."""
        import bm25s

        tokens = bm25s.tokenize(
            list(texts), stopwords="en", stemmer=self._stemmer, return_ids=False, show_progress=False
        )
        return [list(dict.fromkeys(each)) for each in tokens]

    def stem(self, word: str) -> str:
        """Return the stem of a word."""
        stem: str = self._stemmer.stemWord(word.lower().encode("utf-8", "replace").decode())  # lone surrogates raise
        return stem

    def scores(self, stems: Sequence[str]) -> NDArray[np.float32]:
        """Score every caption for the stems of a query; (N,), at least 0, and 0 for captions without any of them."""
        ids = self._index.get_tokens_ids(list(stems)) if self._index is not None else []
        if not ids:
            return np.zeros(self._count, np.float32)
        assert self._index is not None
        scores: NDArray[np.float32] = self._index.get_scores_from_ids(ids)
        return scores

    def rows_with(self, stem: str) -> NDArray[np.int32]:
        """Return the captions that contain a stem, ascending, (n,)."""
        word = self._index.vocab_dict.get(stem) if self._index is not None else None
        if word is None:
            return np.empty(0, np.int32)
        assert self._index is not None
        starts, rows = self._index.scores["indptr"], self._index.scores["indices"]
        return np.asarray(rows[starts[word] : starts[word + 1]], np.int32)

    def count_in(self, groups: NDArray[np.integer], count: int) -> tuple[list[str], NDArray[np.int64]]:
        """Count the captions of each group that contain a stem.

        Args:
            groups: The group of each caption, from 0, (N,).
            count: Number of groups, G.

        Returns:
            The V stems, and the counts, (G, V).
        """
        if self._index is None:
            return [], np.zeros((count, 0), np.int64)
        stems = sorted(self._index.vocab_dict, key=self._index.vocab_dict.__getitem__)  # (V,)
        starts, rows = self._index.scores["indptr"], self._index.scores["indices"]  # (V + 1,), (pairs,)
        places = np.repeat(np.arange(len(starts) - 1), np.diff(starts))  # (pairs,)
        keys = np.asarray(groups, np.int64)[rows] * (len(starts) - 1) + places  # (pairs,)
        counts = np.bincount(keys, minlength=count * (len(starts) - 1)).reshape(count, -1)  # (G, V)
        return stems, counts

    @cached_property
    def _stemmer(self) -> Any:
        return _stemmer()


class MeanWordVectors:
    """Each caption as the mean of its word vectors, weighted by idf = log(1 + N / number of captions with the word).

    `MatrixSearcher` can search it, as it can a matrix.
    """

    def __init__(self, folder: Path, *, sentences: Sentences, vectors: WordVectors) -> None:
        self.rows: NDArray[np.float16] = np.load(folder / "means.npy", mmap_mode="c")  # (N, E)
        self.row_norms: NDArray[np.float32] = np.load(folder / "mean_norms.npy")  # (N,), near 1
        self.sentences = sentences
        self._vectors = vectors
        # Ids that occur in captions, ascending, and their idf. The last entry serves all other ids, as if each occurred
        # in one caption.
        self._words = np.append(np.load(folder / "words.npy"), np.int32(np.iinfo(np.int32).max))  # (U + 1,)
        self._idf = np.append(np.load(folder / "idf.npy"), np.log1p(np.float32(len(self.rows))))  # (U + 1,)

    @staticmethod
    def build(folder: Path, *, sentences: Sentences, vectors: WordVectors) -> Steps[None]:
        """Compute the means of the captions, unit rows in float16."""
        from scipy.sparse import csr_array

        n = len(sentences)
        lengths = np.diff(sentences.starts)  # (N,)
        inside = np.ones(len(sentences.ids), bool)  # (tokens,); False at the marks
        inside[sentences.starts[:-1]] = inside[sentences.starts[1:] - 1] = False
        ids = sentences.ids[inside].astype(np.int64)  # (words,)
        starts = np.concatenate([[0], np.cumsum(lengths - 2)])  # (N + 1,); offsets into `ids`
        yield Progress("counting words", 0, 0, "")
        words, places = np.unique(ids, return_inverse=True)  # (U,), (words,)
        yield Progress("counting words", 0, 0, "")
        pairs = np.unique(places * n + np.repeat(np.arange(n), lengths - 2))  # (P,); a word counts once per caption
        captions = np.bincount(pairs // max(1, n), minlength=len(words))  # (U,)
        idf = np.log1p(n / captions).astype(np.float32)  # (U,)
        np.save(folder / "words.npy", words.astype(np.int32))
        np.save(folder / "idf.npy", idf)
        table = np.asarray(vectors.rows[words], np.float32) * idf[:, None]  # (U, E)
        means = new_array(folder / "means.npy", (n, vectors.dim), "<f2")
        norms = np.empty(n, np.float32)  # (N,)
        for start in range(0, n, _CHUNK):
            end = min(start + _CHUNK, n)
            part = slice(starts[start], starts[end])
            counts = csr_array(
                (np.ones(part.stop - part.start, np.float32), places[part], starts[start : end + 1] - starts[start]),
                shape=(end - start, len(words)),
            )
            sums = counts @ table  # (b, E)
            lengths_of = np.linalg.norm(sums, axis=1, keepdims=True)  # (b, 1)
            means[start:end] = sums / np.maximum(lengths_of, np.finfo(np.float32).tiny)  # (b, E)
            norms[start:end] = np.linalg.norm(means[start:end].astype(np.float64), axis=1)  # (b,)
            yield Progress("averaging word vectors", end, n, "captions")
        means.flush()
        # A caption whose word vectors cancel out gets norm 1, and with it distance 1 from every query.
        np.save(folder / "mean_norms.npy", np.where(norms > 0, norms, 1).astype(np.float32))

    def embed(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Sum the idf-weighted word vectors of token ids between the sentence marks, (T,).

        Returns:
            (E,), not normalized; zeros when no word is known.
        """
        ids = np.sort(ids[1:-1])  # (T - 2,), so that another order of the words gives the same sum
        places = np.searchsorted(self._words, ids)  # (T - 2,)
        places[self._words[places] != ids] = len(self._words) - 1
        weighted = np.asarray(self._vectors.rows[ids]) * self._idf[places, None]  # (T - 2, E)
        vector: NDArray[np.float32] = weighted.sum(axis=0, dtype=np.float32)  # (E,)
        return vector


def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")
