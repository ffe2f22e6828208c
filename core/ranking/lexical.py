"""Lexical: the two older ways to find captions by the words of a query, BM25 and mean word vectors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.corpus.sentences import Sentences
from core.corpus.vectors import WordVectors
from core.encoding.codes import RowCodes
from core.store.progress import Progress, Steps
from core.store.whole import Origin, make_folder

_FORMAT = 1  # version of the files, and of how they are computed
_CHUNK = 4096  # captions between two looks at whether to stop


class Lexical:
    """Both methods over one corpus, in a folder that `build` makes once; opened memory-mapped.

    Args:
        folder: Where `build` put it.
        sentences: The captions' token ids, N of them.
        vectors: What the ids index.
    """

    def __init__(self, folder: Path, *, sentences: Sentences, vectors: WordVectors) -> None:
        self.bm25 = BM25(folder / "bm25")
        self.words = MeanWordVectors(folder, sentences=sentences, vectors=vectors)

    @staticmethod
    def build(folder: Path, texts: Sequence[str], *, sentences: Sentences, vectors: WordVectors) -> Steps[None]:
        """Index the captions, unless that was done; the folder appears whole or not at all.

        Args:
            folder: Where to put it, in the folder of the captions' matrix.
            texts: The captions, N.
            sentences: Their token ids.
            vectors: What the ids index.

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
    """BM25 over word stems, English stop words left out (bm25s's default, Lucene's variant; k1 = 1.5, b = 0.75).

    Args:
        folder: An index that `build` made.
    """

    def __init__(self, folder: Path) -> None:
        import bm25s

        self._count, stems = np.load(folder / "counts.npy").tolist()
        self._index = bm25s.BM25.load(folder, mmap=True) if stems else None

    @staticmethod
    def build(folder: Path, texts: Sequence[str]) -> None:
        """Index texts."""
        import bm25s

        index = bm25s.BM25()
        tokens = bm25s.tokenize(list(texts), stopwords="en", stemmer=_stemmer(), show_progress=False)
        folder.mkdir(mode=0o700)
        np.save(folder / "counts.npy", [len(texts), len(tokens.vocab)])
        if tokens.vocab:  # bm25s takes no corpus without any
            index.index(tokens, show_progress=False)
            index.save(folder, show_progress=False)

    def __len__(self) -> int:
        count: int = self._count
        return count

    def stems(self, text: str) -> list[str]:
        """The distinct stems of a text's words, in order, stop words left out."""
        import bm25s

        tokens = bm25s.tokenize([text], stopwords="en", stemmer=self._stemmer, return_ids=False, show_progress=False)
        return list(dict.fromkeys(tokens[0]))

    def stem(self, word: str) -> str:
        """The stem of a single word."""
        stem: str = self._stemmer.stemWord(word.lower())
        return stem

    def scores(self, stems: Sequence[str]) -> NDArray[np.float32]:
        """Score every caption for a query's stems; 0 for those that have none of them; (N,)."""
        ids = self._index.get_tokens_ids(list(stems)) if self._index is not None else []
        if not ids:
            return np.zeros(self._count, np.float32)
        assert self._index is not None
        scores: NDArray[np.float32] = self._index.get_scores_from_ids(ids)
        return scores

    def rows_with(self, stem: str) -> NDArray[np.int32]:
        """The captions that have a stem, ascending, as bm25s keeps them; (n,)."""
        word = self._index.vocab_dict.get(stem) if self._index is not None else None
        if word is None:
            return np.empty(0, np.int32)
        assert self._index is not None
        starts, rows = self._index.scores["indptr"], self._index.scores["indices"]
        return np.asarray(rows[starts[word] : starts[word + 1]], np.int32)

    @cached_property
    def _stemmer(self) -> Any:
        return _stemmer()


class MeanWordVectors:
    """Each text as the mean of its word vectors, weighted by idf = log(1 + N / captions that have the word).

    It can be searched like a matrix.

    Args:
        folder: Where `build` put it.
        sentences: The captions' token ids, N of them.
        vectors: What the ids index, E numbers each.
    """

    def __init__(self, folder: Path, *, sentences: Sentences, vectors: WordVectors) -> None:
        self.rows: NDArray[np.float16] = np.load(folder / "means.npy", mmap_mode="c")  # (N, E)
        self.row_norms: NDArray[np.float32] = np.load(folder / "mean_norms.npy")  # (N,), near 1
        self.sentences = sentences
        self.codes: RowCodes | None = None
        self._vectors = vectors
        # (U + 1,) ids that captions have, ascending, and (U + 1,) their idf; the last stands for every other id, and
        # counts as if one caption had it.
        self._words = np.append(np.load(folder / "words.npy"), np.int32(np.iinfo(np.int32).max))
        self._idf = np.append(np.load(folder / "idf.npy"), np.log1p(np.float32(len(self.rows))))

    @staticmethod
    def build(folder: Path, *, sentences: Sentences, vectors: WordVectors) -> Steps[None]:
        """Compute the captions' means, unit rows in float16."""
        from scipy.sparse import csr_array

        n = len(sentences)
        lengths = np.diff(sentences.starts)  # (N,)
        inside = np.ones(len(sentences.ids), bool)  # (tokens,) the marks left out
        inside[sentences.starts[:-1]] = inside[sentences.starts[1:] - 1] = False
        ids = sentences.ids[inside].astype(np.int64)
        starts = np.concatenate([[0], np.cumsum(lengths - 2)])  # (N + 1,) of each caption in `ids`
        yield Progress("counting words", 0, 0, "")
        words, places = np.unique(ids, return_inverse=True)  # (U,), (tokens,)
        yield Progress("counting words", 0, 0, "")
        pairs = np.unique(places * n + np.repeat(np.arange(n), lengths - 2))  # each word once a caption
        captions = np.bincount(pairs // max(1, n), minlength=len(words))  # (U,) that have it
        idf = np.log1p(n / captions).astype(np.float32)
        np.save(folder / "words.npy", words.astype(np.int32))
        np.save(folder / "idf.npy", idf)
        table = np.asarray(vectors.rows[words], np.float32) * idf[:, None]  # (U, E)
        means = np.lib.format.open_memmap(folder / "means.npy", mode="w+", dtype="<f2", shape=(n, vectors.dim))
        norms = np.empty(n, np.float32)
        for start in range(0, n, _CHUNK):
            end = min(start + _CHUNK, n)
            part = slice(starts[start], starts[end])
            counts = csr_array(
                (np.ones(part.stop - part.start, np.float32), places[part], starts[start : end + 1] - starts[start]),
                shape=(end - start, len(words)),
            )
            sums = counts @ table  # (b, E)
            lengths_of = np.linalg.norm(sums, axis=1, keepdims=True)
            means[start:end] = sums / np.maximum(lengths_of, np.finfo(np.float32).tiny)
            norms[start:end] = np.linalg.norm(means[start:end].astype(np.float64), axis=1)
            yield Progress("averaging word vectors", end, n, "captions")
        means.flush()
        # A caption whose word vectors cancel is at distance 1 from everything.
        np.save(folder / "mean_norms.npy", np.where(norms > 0, norms, 1).astype(np.float32))

    def embed(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """The weighted sum of a query's word vectors.

        Args:
            ids: Token ids, the marks around them.

        Returns:
            (E,), not normalized; zeros when no word is known.
        """
        ids = ids[1:-1]
        places = np.searchsorted(self._words, ids)  # (T,)
        places[self._words[places] != ids] = len(self._words) - 1
        weighted = np.asarray(self._vectors.rows[ids]) * self._idf[places, None]  # (T, E)
        vector: NDArray[np.float32] = weighted.sum(axis=0, dtype=np.float32)
        return vector


def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")
