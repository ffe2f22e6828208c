"""Rankers: every way to rank captions for a query, by its sentence embedding, by its words, or by both."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from core.encoding.halving import PartStep, in_parts_that_fit
from core.encoding.matrix import EmbeddingMatrix
from core.query import Query
from core.ranking.lexical import Lexical
from core.ranking.methods import Method
from core.ranking.ranking import LEADING, Found
from core.ranking.search import Searcher

CONTEXT = 20
"""How many captions with the query's words `context` takes the mean of."""
_QUERY_WEIGHT = 2.0  # of the query beside that mean; 1 and templates such as "a photo of ..." found fewer sisters
_FUSION = 60  # added to every rank: Cormack, Clarke and Buettcher 2009, Reciprocal Rank Fusion
_BLOCK = 768  # rows compared with many queries at once: soon done, so that a question need not wait for long


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
        self._word_searcher = Searcher(lexical.words)
        self.lexical = lexical

    def find(self, method: Method, query: Query, *, k: int = LEADING) -> Found:
        """Rank the captions for a query.

        Args:
            method: Which way.
            query: At least one of its words is known.
            k: How many leading hits.
        """
        if method == "infersent":
            return self._searcher.nearest(query.embedding, k=k, own_row=query.row)
        if method == "words":
            vector = self.lexical.words.embed(query.ids)
            if not vector.any():
                return Found.by_score(np.zeros(len(self._matrix), np.float32), k=k, own_row=query.row)
            return self._word_searcher.nearest(vector, k=k, own_row=query.row)
        if method == "context":
            return self._searcher.nearest(self.context(query), k=k, own_row=query.row)
        scores = self._bm25_scores(query) if method == "bm25" else self._fused_scores(query)
        return Found.by_score(scores, k=k, own_row=query.row)

    def context(self, query: Query) -> NDArray[np.float32]:
        """Move a query's embedding towards the captions that have its words, the query itself left out.

        They are the first by BM25, or by mean word vectors when no caption has any of its words.

        Returns:
            (D,), twice the query's unit embedding plus the mean of those captions' unit embeddings.
        """
        found = self.find("bm25", query, k=CONTEXT + 1).leading.rows
        if not len(found[found != query.row]):
            found = self.find("words", query, k=CONTEXT + 1).leading.rows
        return mix(query.embedding, self._matrix.rows[found[found != query.row][:CONTEXT]])

    def _bm25_scores(self, query: Query) -> NDArray[np.float32]:
        return self.lexical.bm25.scores(self.lexical.bm25.stems(query.text))

    def _fused_scores(self, query: Query) -> NDArray[np.float32]:
        lists = [self.find(method, query, k=LEADING + 1).leading.rows for method in ("infersent", "words", "bm25")]
        scores = fuse([rows[rows != query.row][:LEADING] for rows in lists], len(self._matrix))
        if query.row is not None:
            scores[query.row] = len(lists) / (_FUSION + 1)  # as first of them all
        return scores


def mix(query: NDArray[np.floating], captions: NDArray[np.float16]) -> NDArray[np.float32]:
    """Mix a query's embedding (D,) with those of captions (C, D), which may be none; (D,)."""
    mixed = _QUERY_WEIGHT * query.astype(np.float32) / np.linalg.norm(query.astype(np.float64))
    if len(captions):
        mixed = mixed + captions.astype(np.float32).mean(axis=0)
    return mixed.astype(np.float32)


def fuse(lists: list[NDArray[np.int32]], n: int) -> NDArray[np.float32]:
    """Fuse rankings: each row gets the sum of 1 / (60 + its rank) over the lists that have it; (n,)."""
    scores = np.zeros(n, np.float32)
    for rows in lists:
        scores[rows] += 1 / (_FUSION + np.arange(1, len(rows) + 1, dtype=np.float32))
    return scores


class Nearest(NamedTuple):
    """The nearest rows of many queries."""

    rows: NDArray[np.int64]
    """(Q, K), nearest first."""
    cosines: NDArray[np.float32]
    """(Q, K)."""


def nearest_together(
    queries: NDArray[np.float32],
    rows: NDArray[np.float16],
    *,
    k: int,
    leave_out: NDArray[np.int64],
    never: NDArray[np.int64],
    device: torch.device,
) -> Generator[PartStep, None, Nearest]:
    """Find the nearest rows of many queries by float32 cosines, in one pass where the queries fit on the device.

    Args:
        queries: Unit rows, (Q, D).
        rows: Unit rows, (N, D).
        k: How many, fewer where there are fewer rows.
        leave_out: A row for each query that is not found, (Q,); -1 for none. It gets the cosine -inf.
        never: Rows that no query finds.
        device: Where to compute.

    Yields:
        A step for each block of rows. The caller may stop after any of them.

    Raises:
        AssetError: Not even one query fits on the device.
    """
    k = min(k, len(rows))
    found = Nearest(np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32))

    def search(part: slice) -> Iterator[float]:
        wanted = torch.from_numpy(queries[part]).to(device)  # (q, D)
        out = torch.from_numpy(leave_out[part]).to(device)  # (q,)
        best = torch.empty((len(wanted), 0), device=device)  # (q, up to K)
        which = torch.empty((len(wanted), 0), dtype=torch.int64, device=device)
        for start in range(0, len(rows), _BLOCK):
            block = torch.from_numpy(rows[start : start + _BLOCK].astype(np.float32)).to(device)  # (b, D)
            excluded = torch.from_numpy(never[(never >= start) & (never < start + len(block))] - start).to(device)
            with torch.inference_mode():
                cosines = wanted @ block.T  # (q, b)
                inside = (out >= start) & (out < start + len(block))  # (q,)
                cosines[inside, out[inside] - start] = -torch.inf
                cosines[:, excluded] = -torch.inf
                values, places = cosines.topk(min(k, len(block)), dim=1)
                best, order = torch.cat([best, values], dim=1).sort(dim=1, descending=True, stable=True)
                which = torch.cat([which, places + start], dim=1).gather(1, order)[:, :k]
                best = best[:, :k]
            yield (start + len(block)) / len(rows)
        found.rows[part], found.cosines[part] = which.cpu().numpy(), best.cpu().numpy()

    yield from in_parts_that_fit(len(queries), search, device=device)
    return found
