"""Searching: the nearest captions in a store, by all embeddings or approximately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from core.cluster.connection import Connection
from core.cluster.schema import EMBEDDING, Approximation
from core.cluster.stored_rows import StoredRows
from core.ranking.ranking import LEADING, Allowed, Found, Ranking, direction

PAGE = 1000
"""Number of hits that are ranked after the leading ones have been shown."""
_MARGIN = 16  # hits beyond those wanted, since the store's distances are rounded


class StoreSearcher:
    """Cosine search in a store; `how` is None for an exact one.

    The leading hits are ranked by float64 distances of their embeddings, the others by the store's float32 ones.
    """

    device = "cpu"
    """The store computes there."""

    def __init__(self, connection: Connection, rows: StoredRows, how: Approximation | None) -> None:
        self._connection, self._rows, self.how = connection, rows, how

    def warm_up(self) -> None:
        """Do nothing: the first search opens what it needs."""

    def nearest(
        self,
        query: NDArray[np.floating],
        *,
        k: int = LEADING,
        own_row: int | None = None,
        allowed: Allowed | None = None,
    ) -> Found:
        """Rank the k nearest captions; `Searcher.nearest` describes the arguments.

        Raises:
            AssetError: The store cannot be read.
        """
        leading = self._leading(query, k=k, own_row=own_row, allowed=allowed)
        page = partial(self._page, query, leading, own_row=own_row, allowed=allowed)
        found = Found(leading, partial(page, PAGE), page)
        if allowed is None:
            return found
        return replace(found, among_all=lambda: self.nearest(query, k=k, own_row=own_row))

    def _leading(self, query: NDArray[np.floating], *, k: int, own_row: int | None, allowed: Allowed | None) -> Ranking:
        with self._connection.errors():
            hits = nearest_of(
                self._rows.table,
                query,
                k=k + _MARGIN,
                how=self.how,
                columns=self._rows.columns,
                predicate="" if allowed is None else allowed.predicate,
            )
        rows, embeddings = self._rows.take(hits)  # (n,), (n, D)
        if own_row is not None and own_row not in rows:
            rows = np.append(rows, own_row)
            embeddings = np.concatenate([embeddings, self._rows.embeddings(np.array([own_row]))])
        if not len(rows):
            return Ranking.empty()
        wide = query.astype(np.float64)[None]  # (1, D)
        distances = np.maximum(cdist(wide, embeddings.astype(np.float64), "cosine")[0], 0)  # (n,)
        if own_row is not None:
            distances[rows == own_row] = -1  # ranks first; becomes 0 below
        best = np.lexsort((rows, distances))[:k]  # (k,)
        return Ranking(rows[best].astype(np.int32), np.maximum(distances[best], 0))

    def _page(
        self, query: NDArray[np.floating], leading: Ranking, count: int, *, own_row: int | None, allowed: Allowed | None
    ) -> Ranking:
        """Return the leading hits and those behind them, so many at most."""
        if len(leading) < LEADING:  # there are no more
            return leading
        with self._connection.errors():
            hits = nearest_of(
                self._rows.table,
                query,
                k=count,
                how=self.how,
                columns=[name for name in self._rows.columns if name != EMBEDDING],
                predicate="" if allowed is None else allowed.predicate,
            )
        rows, distances = self._rows.take(hits)[0], hits["_distance"].to_numpy()
        others = ~np.isin(rows, leading.rows)
        floor = leading.distances[-1]
        return Ranking(
            np.concatenate([leading.rows, rows[others].astype(np.int32)]),
            np.concatenate([leading.distances, np.maximum(distances[others], floor)]).astype(np.float32),
        )


def nearest_of(
    table: Any,
    query: NDArray[np.floating],
    *,
    k: int,
    how: Approximation | None,
    columns: Sequence[str],
    predicate: str = "",
) -> pa.Table:
    """Ask a table for the k nearest captions of an embedding, (D,), with some columns and their `_distance`."""
    return nearest_of_many(table, query[None], k=k, how=how, columns=columns, predicate=predicate)[0]


def nearest_of_many(
    table: Any,
    queries: NDArray[np.floating],
    *,
    k: int,
    how: Approximation | None,
    columns: Sequence[str],
    predicate: str = "",
) -> list[pa.Table]:
    """Ask a table for the k nearest captions of embeddings, (Q, D), which together take less time than one by one."""
    asked, n = [direction(query) for query in queries], table.count_rows()
    k = max(1, min(k, n))  # far more than there are would be more than the library can count
    search = (
        table.search(asked if len(asked) > 1 else asked[0], vector_column_name=EMBEDDING)
        .distance_type("cosine")
        .limit(k)
    )
    if how is None:
        search = search.bypass_vector_index()
    else:
        search = search.minimum_nprobes(how.nprobes).refine_factor(min(how.refine, -(-n // k) + 1))
        # A filter may leave few captions in these partitions: 0 lets the search go on until it has enough.
        search = search.maximum_nprobes(0 if predicate else how.nprobes)
    if predicate:
        search = search.where(predicate, prefilter=True)
    hits: pa.Table = search.select([*columns, "_distance"]).to_arrow()
    if len(asked) == 1:
        return [hits]
    of = hits["query_index"].to_numpy()  # (hits,) from 0
    return [hits.filter(of == number) for number in range(len(asked))]
