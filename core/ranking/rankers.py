"""Rankers: one implementation of each method, for a query that a person asks and for many that are measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from core.encoding.matrix import EmbeddingMatrix
from core.query import Query
from core.ranking.lexical import Lexical, MeanWordVectors
from core.ranking.methods import Method
from core.ranking.ranking import LEADING, Found, Searcher
from core.ranking.search import MatrixSearcher, Nearest, nearest_together
from core.store.progress import Progress, Steps, follow

CONTEXT = 20
"""How many captions with the query's words `context` takes the mean of."""
_QUERY_WEIGHT = 2.0  # beside that mean; weight 1, and templates such as "a photo of ...", found fewer siblings
_FUSION = 60  # added to every rank: Cormack, Clarke and Buettcher 2009, Reciprocal Rank Fusion
_FUSED: tuple[Method, ...] = ("infersent", "words", "bm25")
_QUERIES_PER_STEP = 16  # between two reports of progress: soon done, so that a question need not wait for long


class Lists(NamedTuple):
    """What every method finds for Q queries."""

    rows: dict[Method, NDArray[np.int64]]
    """By method, (Q, LEADING), best first, -1 where there are fewer."""
    cosines: NDArray[np.float32]
    """Of what `infersent` finds, (Q, up to LEADING)."""
    stems: list[list[str]]
    """The word stems of each query."""


class Rankers:
    """Ranks the captions by any method.

    Args:
        matrix: The captions' embeddings.
        searcher: Over that matrix.
        lexical: The captions' words.
    """

    def __init__(self, matrix: EmbeddingMatrix, searcher: Searcher, lexical: Lexical) -> None:
        self._matrix = matrix
        self._searcher = searcher
        self._word_searcher = MatrixSearcher(lexical.words)
        self.lexical = lexical

    def find(self, method: Method, query: Query, *, k: int = LEADING) -> Found | None:
        """Rank the captions for a query.

        Args:
            method: How to compare the captions.
            query: Not a sum.
            k: How many leading hits.

        Returns:
            None where the method cannot compare the query with any caption: `infersent`, `words` and `context` need a
            word that has a vector, `bm25` and `fused` one that a caption has, too.
        """
        if method in ("bm25", "fused"):
            scores = self._bm25(query) if method == "bm25" else self._fused(query)  # (N,)
            return Found.by_score(scores, k=k, own_row=query.row) if scores.any() or query.row is not None else None
        if query.embedding is None:
            return None
        if method == "infersent":
            return self._searcher.nearest(query.embedding, k=k, own_row=query.row)
        if method == "words":
            vector = self.lexical.words.embed(query.ids)  # (E,)
            return self._word_searcher.nearest(vector, k=k, own_row=query.row) if vector.any() else None
        rows = self._rows("bm25", query, CONTEXT)
        if not len(rows):
            rows = self._rows("words", query, CONTEXT)
        mixed = mix(query.embedding, self._matrix.rows[rows])  # (D,)
        return self._searcher.nearest(mixed, k=k, own_row=query.row)

    def find_many(
        self, queries: Sequence[Query], embeddings: NDArray[np.float32], sources: NDArray[np.int64], *, device: str
    ) -> Steps[Lists]:
        """Answer many queries by every method, each without one caption.

        Args:
            queries: Q queries.
            embeddings: Theirs, unit rows, (Q, D).
            sources: The caption that each query is cut from, which is not found, (Q,).
            device: Where to compare them with all rows.

        Raises:
            AssetError: Not even one query fits on the device.
        """
        rows: dict[Method, NDArray[np.int64]] = {}
        rows["infersent"], cosines = yield from self._nearest(embeddings, self._matrix, sources, device, "infersent")
        means = np.stack([self.lexical.words.embed(query.ids) for query in queries])  # (Q, E)
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-30)
        rows["words"], _ = yield from self._nearest(means, self.lexical.words, sources, device, "words")
        scored: dict[Method, list[NDArray[np.int32]]] = {"bm25": [], "fused": []}
        mixed = np.empty_like(embeddings)  # (Q, D)
        bm25, stems = self.lexical.bm25, list[list[str]]()
        for i, query in enumerate(queries):
            lists = [_there(rows[method][i]) for method in ("infersent", "words")]
            stems.append(bm25.stems(query.literal))
            scores = bm25.scores(stems[i])  # (N,)
            scores[sources[i]] = 0
            by_bm25 = _best(scores)
            scored["bm25"].append(by_bm25)
            scored["fused"].append(_best(fuse([*lists, by_bm25], len(self._matrix))))
            near = (by_bm25 if len(by_bm25) else lists[1])[:CONTEXT]  # (C,)
            mixed[i] = mix(embeddings[i], self._matrix.rows[near])
            if i % _QUERIES_PER_STEP == 0:
                yield Progress("calibrating: bm25", i, len(queries), "queries")
        for method, found in scored.items():
            rows[method] = np.full((len(queries), LEADING), -1, np.int64)
            for i, best in enumerate(found):
                rows[method][i, : len(best)] = best
        mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
        rows["context"], _ = yield from self._nearest(mixed, self._matrix, sources, device, "context")
        return Lists(rows, cosines, stems)

    def _rows(self, method: Method, query: Query, k: int) -> NDArray[np.int32]:
        """Return the rows that a method finds first, the query's own row left out; (k,) or fewer."""
        found = self.find(method, query, k=k + 1)
        rows: NDArray[np.int32] = np.empty(0, np.int32) if found is None else found.leading.rows
        others: NDArray[np.int32] = rows[rows != query.row][:k]
        return others

    def _bm25(self, query: Query) -> NDArray[np.float32]:
        """Score every caption by BM25; (N,)."""
        return self.lexical.bm25.scores(self.lexical.bm25.stems(query.literal))

    def _fused(self, query: Query) -> NDArray[np.float32]:
        """Score every caption by its ranks in three lists; the query's own row as if it were first in all; (N,)."""
        scores = fuse([self._rows(method, query, LEADING) for method in _FUSED], len(self._matrix))
        if query.row is not None:
            scores[query.row] = len(_FUSED) / (_FUSION + 1)
        return scores

    def _nearest(
        self,
        queries: NDArray[np.float32],
        matrix: EmbeddingMatrix | MeanWordVectors,
        sources: NDArray[np.int64],
        device: str,
        name: str,
    ) -> Steps[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Find the leading rows of unit queries (Q, D); (Q, LEADING), -1 where there are fewer, and their cosines."""
        nearest: Nearest = yield from follow(
            nearest_together(
                queries,
                matrix.rows,
                k=LEADING,
                leave_out=sources,
                excluded=self._matrix.sentences.wordless(),
                device=torch.device(device),
            ),
            lambda step: Progress(f"calibrating: {name}", step.done, len(queries), "queries"),
        )
        found = np.full((len(queries), LEADING), -1, np.int64)
        found[:, : nearest.rows.shape[1]] = np.where(np.isfinite(nearest.cosines), nearest.rows, -1)
        return found, nearest.cosines


def mix(embedding: NDArray[np.floating], captions: NDArray[np.float16]) -> NDArray[np.float32]:
    """Move a query's embedding (D,) towards captions (C, D), which may be none: twice its unit vector plus their mean.

    Returns:
        (D,), not normalized.
    """
    mixed = _QUERY_WEIGHT * embedding.astype(np.float32) / np.linalg.norm(embedding.astype(np.float64))  # (D,)
    if len(captions):
        mixed = mixed + captions.astype(np.float32).mean(axis=0)
    return mixed.astype(np.float32)


def fuse(lists: Sequence[NDArray[np.integer]], n: int) -> NDArray[np.float32]:
    """Fuse rankings: each row gets the sum of 1 / (60 + its rank) over the lists that have it; (n,)."""
    scores = np.zeros(n, np.float32)
    for rows in lists:
        scores[rows] += 1 / (_FUSION + np.arange(1, len(rows) + 1, dtype=np.float32))
    return scores


def _best(scores: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the rows of the leading scores, the highest first."""
    return Found.by_score(scores, k=LEADING, own_row=None).leading.rows


def _there(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows of a list that may end with -1."""
    return rows[rows >= 0]
