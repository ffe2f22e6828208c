"""Rankers: rank captions by any method, for one query or for many calibration queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from core.encoding.building import embed_sentences
from core.encoding.encoder import not_cancelled
from core.encoding.matrix import EmbeddingMatrix
from core.encoding.text_encoder import TextEncoder
from core.query import Query
from core.ranking.lexical import Lexical, MeanWordVectors
from core.ranking.methods import AGAINST, BY_WORDS, METHODS, Method
from core.ranking.ranking import LEADING, Allowed, Found, Searcher
from core.ranking.search import MatrixSearcher, Nearest, nearest_together
from core.store.progress import Progress, Steps, follow

CONTEXT = 20
"""Number of captions whose mean `context` uses."""
_QUERY_WEIGHT = 2.0  # relative to that mean; 1, and templates like "a photo of ...", found fewer sibling captions
_FUSION = 60  # constant added to every rank, from Cormack, Clarke and Buettcher 2009, Reciprocal Rank Fusion
_FUSED: tuple[Method, ...] = ("infersent", "words", "bm25")
_QUERIES_PER_STEP = 16  # few, so that a user's question can run soon


class Lists(NamedTuple):
    """The hits of every method for Q queries."""

    rows: dict[Method, NDArray[np.int64]]
    """Rows by method, (Q, LEADING), best first, padded with -1."""
    cosines: NDArray[np.float32]
    """Cosines of the `infersent` hits, (Q, up to LEADING)."""
    vectors: dict[Method, NDArray[np.float32]]
    """What the methods with distances compare with the captions: unit rows by method, (Q, D) or (Q, E); nan for texts
    of which the second encoder knows no word."""
    stems: list[list[str]]
    """Word stems of each query."""


class SecondEncoder(NamedTuple):
    """A second encoder with its embeddings of the same captions."""

    matrix: EmbeddingMatrix
    searcher: Searcher
    text_encoder: TextEncoder


class Rankers:
    """Ranks the captions by any method. `searcher` searches the embeddings in `matrix`."""

    def __init__(self, matrix: EmbeddingMatrix, searcher: Searcher, lexical: Lexical) -> None:
        self._matrix, self._searcher, self.lexical = matrix, searcher, lexical
        self._word_searcher = MatrixSearcher(lexical.words)
        self.second: SecondEncoder | None = None
        """The encoder of the method `against`; None where there is none."""

    def find(
        self,
        method: Method,
        query: Query,
        *,
        k: int = LEADING,
        allowed: Allowed | None = None,
        cancelled: Callable[[], bool] = not_cancelled,
    ) -> Found | None:
        """Rank the captions for a query that is a text.

        Args:
            method: The method.
            query: The query.
            k: Number of leading hits.
            allowed: Which captions may be found beside the query's own; None for all. What `context` adds to a
                query is of all captions.
            cancelled: Polled while `against` encodes a very long query.

        Returns:
            None where the method cannot compare the query with any caption: `infersent`, `words` and `context` need a
            word with a vector, `against` one that its own encoder knows; `bm25` needs a word that occurs in a caption;
            `fused` needs a word of either kind.

        Raises:
            AssetError: The weights of the second encoder cannot be used.
            Cancelled: `cancelled` returned True.
        """
        if method == AGAINST:
            return self._find_by_second(query, k=k, allowed=allowed, cancelled=cancelled)
        if method in BY_WORDS:
            return self._find_by_score(method, query, k=k, allowed=allowed)
        if method == "words":
            vector = self.lexical.words.embed(query.ids)  # (E,)
            nearest = partial(self._word_searcher.nearest, k=k, own_row=query.row, allowed=allowed)
            return nearest(vector) if vector.any() else None
        if query.embedding is None:
            return None
        if method == "infersent":
            return self._searcher.nearest(query.embedding, k=k, own_row=query.row, allowed=allowed)
        by_bm25 = self._rows("bm25", query, CONTEXT)
        mixed = self._context(query.embedding, by_bm25, lambda: self._rows("words", query, CONTEXT))  # (D,)
        return self._searcher.nearest(mixed, k=k, own_row=query.row, allowed=allowed)

    def find_many(
        self,
        queries: Sequence[Query],
        embeddings: NDArray[np.float32],
        leave_out: Sequence[NDArray[np.int64]],
        *,
        device: str,
        among: NDArray[np.int64] | None = None,
        doing: str = "calibrating",
    ) -> Steps[Lists]:
        """Answer many queries by every method.

        Args:
            queries: Q queries.
            embeddings: Their unit embeddings, (Q, D).
            leave_out: Rows that are excluded from the hits of each query: the caption that it was cut from, and copies.
            device: Where to compare them with the rows.
            among: The rows that may be found, ascending; None for all.
            doing: What to report in `Progress`.

        Raises:
            AssetError: Not even one query fits on the device.
        """
        rows: dict[Method, NDArray[np.int64]] = {}
        asked = (leave_out, device, among)
        rows["infersent"], cosines = yield from self._nearest(f"{doing}: infersent", embeddings, self._matrix, *asked)
        vectors: dict[Method, NDArray[np.float32]] = {"infersent": embeddings}
        if self.second is not None:
            vectors[AGAINST], known = yield from _embed_by_second(queries, self.second, doing)  # (Q, D'), (Q,)
            rows[AGAINST], _ = yield from self._nearest(
                f"{doing}: against", vectors[AGAINST], self.second.matrix, *asked
            )
            rows[AGAINST][~known] = -1
            vectors[AGAINST][~known] = np.nan
        means = np.stack([self.lexical.words.embed(query.ids) for query in queries])  # (Q, E)
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-30)  # (Q, E)
        rows["words"], _ = yield from self._nearest(f"{doing}: words", means, self.lexical.words, *asked)
        scored: dict[Method, list[NDArray[np.int32]]] = {"bm25": [], "fused": []}
        mixed = np.empty_like(embeddings)  # (Q, D)
        bm25, stems = self.lexical.bm25, list[list[str]]()
        hidden = np.zeros(len(self._matrix), bool)  # (N,)
        if among is not None:
            hidden = ~np.isin(np.arange(len(self._matrix)), among)  # (N,)
        for i, query in enumerate(queries):
            lists = [_without_padding(rows[method][i]) for method in ("infersent", "words")]
            stems.append(bm25.stems(query.literal))
            scores = bm25.scores(stems[i])  # (N,)
            scores[hidden] = scores[leave_out[i]] = 0
            by_bm25 = _best(scores)  # (K,)
            scored["bm25"].append(by_bm25)
            scored["fused"].append(_best(fuse([*lists, by_bm25], len(self._matrix))))
            mixed[i] = self._context(embeddings[i], by_bm25, partial(_without_padding, rows["words"][i]))
            if i % _QUERIES_PER_STEP == 0:
                yield Progress(f"{doing}: bm25", i, len(queries), "queries")
        for method, found in scored.items():
            rows[method] = np.full((len(queries), LEADING), -1, np.int64)  # (Q, LEADING)
            for i, best in enumerate(found):
                rows[method][i, : len(best)] = best
        mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)  # (Q, D)
        rows["context"], _ = yield from self._nearest(f"{doing}: context", mixed, self._matrix, *asked)
        rows = {method: rows[method] for method in (*METHODS, AGAINST) if method in rows}
        return Lists(rows, cosines, vectors | {"words": means, "context": mixed}, stems)

    def _find_by_score(self, method: Method, query: Query, *, k: int, allowed: Allowed | None) -> Found | None:
        """Rank the captions by BM25, or by their ranks in several lists."""
        scores = self._bm25(query) if method == "bm25" else self._fused(query, allowed)  # (N,)
        if query.row is None and not scores.any():
            is_of_filter = method != "bm25" and allowed is not None and self._fused(query, None).any()
            return Found.by_score(scores, k=k, own_row=None) if is_of_filter else None
        if allowed is not None:
            hidden = ~allowed.mask  # (N,)
            if query.row is not None:
                hidden[query.row] = False
            scores[hidden] = 0
        return Found.by_score(scores, k=k, own_row=query.row)

    def _find_by_second(
        self, query: Query, *, k: int, allowed: Allowed | None, cancelled: Callable[[], bool]
    ) -> Found | None:
        """Rank the captions by the second encoder."""
        if self.second is None:
            raise RuntimeError("there is no second encoder")
        matrix, searcher, text_encoder = self.second
        ids = text_encoder.vocabulary.look_up(query.literal).ids
        same = matrix.sentences.find(ids).tolist() if len(ids) > 2 else []  # its vocabulary may know other words
        if same:
            row = query.row if query.row in same else same[0]
            return searcher.nearest(matrix.rows[row], k=k, own_row=row, allowed=allowed)
        if len(ids) <= 2:
            return None
        return searcher.nearest(text_encoder.encode(ids, cancelled=cancelled).embedding, k=k, allowed=allowed)

    def _rows(self, method: Method, query: Query, k: int, allowed: Allowed | None = None) -> NDArray[np.int32]:
        """Return the first rows that a method finds, without the query's own row; at most k."""
        found = self.find(method, query, k=k + 1, allowed=allowed)
        rows: NDArray[np.int32] = np.empty(0, np.int32) if found is None else found.leading.rows
        others: NDArray[np.int32] = rows[rows != query.row][:k]
        return others

    def _context(
        self,
        embedding: NDArray[np.floating],
        by_bm25: NDArray[np.integer],
        by_words: Callable[[], NDArray[np.integer]],
    ) -> NDArray[np.float32]:
        """Mix an embedding (D,) with the first captions by BM25, or by word vectors when BM25 finds none; (D,)."""
        rows = by_bm25 if len(by_bm25) else by_words()
        return mix(embedding, self._matrix.rows[rows[:CONTEXT]])

    def _bm25(self, query: Query) -> NDArray[np.float32]:
        """Score every caption by BM25; (N,)."""
        return self.lexical.bm25.scores(self.lexical.bm25.stems(query.literal))

    def _fused(self, query: Query, allowed: Allowed | None) -> NDArray[np.float32]:
        """Score every caption by its ranks in the fused lists, (N,); the query's own row gets the highest score."""
        scores = fuse([self._rows(method, query, LEADING, allowed) for method in _FUSED], len(self._matrix))
        if query.row is not None:
            scores[query.row] = len(_FUSED) / (_FUSION + 1)
        return scores

    def _nearest(
        self,
        name: str,
        queries: NDArray[np.float32],
        matrix: EmbeddingMatrix | MeanWordVectors,
        leave_out: Sequence[NDArray[np.int64]],
        device: str,
        among: NDArray[np.int64] | None,
    ) -> Steps[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Find the leading rows of unit queries (Q, D); return (Q, LEADING), padded with -1, and their cosines."""
        sentences = matrix.sentences if isinstance(matrix, EmbeddingMatrix) else self._matrix.sentences
        every = np.arange(len(matrix.rows)) if among is None else among  # (M,)
        pairs = pairs_of(leave_out)  # (P, 2)
        pairs = pairs[np.isin(pairs[:, 1], every)]  # (p, 2)
        nearest: Nearest = yield from follow(
            nearest_together(
                queries,
                matrix.rows if among is None else matrix.rows[among],
                k=LEADING,
                leave_out=np.column_stack([pairs[:, 0], np.searchsorted(every, pairs[:, 1])]),
                excluded=np.flatnonzero(np.isin(every, sentences.wordless())),
                device=torch.device(device),
            ),
            lambda step: Progress(name, step.done, len(queries), "queries"),
        )
        found = np.full((len(queries), LEADING), -1, np.int64)  # (Q, LEADING)
        found[:, : nearest.rows.shape[1]] = np.where(np.isfinite(nearest.cosines), every[nearest.rows], -1)
        return found, nearest.cosines


def _embed_by_second(
    queries: Sequence[Query], second: SecondEncoder, doing: str
) -> Steps[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """Encode Q queries by a second encoder; return unit embeddings, (Q, D), and which queries it has words of, (Q,)."""
    vocabulary, encoder = second.text_encoder.vocabulary, second.text_encoder.sentence_encoder
    sentences = yield from vocabulary.sentences([query.literal for query in queries])
    embeddings = np.empty((len(queries), encoder.dim), np.float32)  # (Q, D)
    yield from embed_sentences(
        *(sentences, vocabulary.vectors, encoder, embeddings), stage=f"{doing}: encoding by the second", unit="queries"
    )
    known = np.ones(len(queries), bool)  # (Q,)
    known[sentences.wordless()] = False
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), known


def pairs_of(rows: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Pair the number of each query with each of its rows, (P, 2)."""
    queries = np.repeat(np.arange(len(rows)), [len(each) for each in rows])  # (P,)
    return np.column_stack([queries, np.concatenate([np.empty(0, np.int64), *rows])])


def mix(embedding: NDArray[np.floating], captions: NDArray[np.float16]) -> NDArray[np.float32]:
    """Add captions' mean, (C, D) where C may be 0, to twice a query's unit embedding; (D,), not normalized."""
    mixed = _QUERY_WEIGHT * embedding.astype(np.float32) / np.linalg.norm(embedding.astype(np.float64))  # (D,)
    if len(captions):
        mixed = mixed + captions.astype(np.float32).mean(axis=0)  # (D,)
    return mixed.astype(np.float32)


def fuse(lists: Sequence[NDArray[np.integer]], n: int) -> NDArray[np.float32]:
    """Fuse rankings of n rows: a row gets the sum of 1 / (60 + rank) over the lists that contain it; (n,)."""
    scores = np.zeros(n, np.float32)  # (n,)
    for rows in lists:
        scores[rows] += 1 / (_FUSION + np.arange(1, len(rows) + 1, dtype=np.float32))
    return scores


def _best(scores: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the rows with the leading scores, highest first."""
    return Found.by_score(scores, k=LEADING, own_row=None).leading.rows


def _without_padding(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Drop the padding of a list."""
    return rows[rows >= 0]
