"""Judging: the verdict on what is found in a store, by its sample and what lies around the hits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from core.cluster.beside import Surroundings
from core.cluster.connection import Connection
from core.cluster.recall import exact_hits
from core.cluster.schema import Approximation, hash_of
from core.cluster.searching import nearest_of_many
from core.cluster.stored import StoredMatrix
from core.query import Query
from core.ranking.methods import Method
from core.ranking.ranking import Found, Ranking
from core.ranking.search import Nearest
from core.store.progress import Progress, Steps
from core.trust.all_captions import TOGETHER
from core.trust.calibration import Calibration
from core.trust.signals import HITS, NOTHING, SignalMeter
from core.trust.verdict import Judge, Verdict

_NEVER = (0.0, 0.0, 0.0)  # rate of success and its interval
_COPIES = 16  # of a test query's source, which are left out of its hits


class StoredJudge(Judge):
    """Judges what is found in a store, by a calibration whose hubs are captions of the sample."""

    def __init__(
        self, calibration: Calibration, around: Surroundings, matrix: StoredMatrix, name_of: Callable[[Method], str]
    ) -> None:
        self.calibration = replace(calibration, hubs=around.sampled[calibration.hubs].astype(np.int32))
        self._of_sample, self._around, self._matrix, self._name = _alone(calibration), around, matrix, name_of

    def judge(self, query: Query, found: Found, method: Method) -> Verdict:
        """Judge a complete query: see `Judge`.

        Raises:
            AssetError: The store cannot be read.
        """
        copies = NOTHING  # (C,)
        if query.row is not None:
            copies = self._matrix.sentences.find(query.ids) if query.known else np.array([query.row])
        ranking = found.page(0, HITS + len(copies))
        own = NOTHING if query.row is None else np.array([query.row])
        beside = self._around.of(np.concatenate([ranking.rows, copies, own]))
        judge = Judge(self._of_sample, beside.meter, beside.sentences(beside.numbers(copies)), self._name)
        hits = Found(Ranking(beside.numbers(ranking.rows), ranking.distances), None)
        row = None if query.row is None else int(beside.numbers(own)[0])
        return judge.judge(replace(query, row=row), hits, method)


def _alone(calibration: Calibration) -> Calibration:
    """Return a calibration by which no other method is ever better than the encoder, since none ranks a store."""
    curve = tuple(
        replace(
            cell, by_method={name: cell.by_method[name] if name == "infersent" else _NEVER for name in cell.by_method}
        )
        for cell in calibration.curve
    )
    return replace(calibration, curve=curve)


class WholeStore:
    """Asks test queries against all captions of a store: see `AllCaptions`."""

    def __init__(self, connection: Connection, around: Surroundings, how: Approximation | None) -> None:
        self._connection, self._around, self._how = connection, around, how

    def nearest(
        self,
        queries: NDArray[np.float32],
        leave_out: Sequence[NDArray[np.int64]],
        *,
        k: int,
        device: torch.device,
        name: str,
    ) -> Steps[Nearest]:
        """Find the k nearest rows of the store for unit queries, (Q, D), without the texts of some sampled captions."""
        stored, sentences = self._around.rows, self._around.sample.matrix.sentences
        hits: Iterable[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]]
        if self._how is None:
            parts = (self._connection, stored.table, stored.about, queries)
            hits = zip(*(yield from exact_hits(*parts, k=k + _COPIES, doing=f"calibrating: {name}")), strict=True)
        else:
            asked = []
            for start in range(0, len(queries), TOGETHER):
                asked += self._approximately(queries[start : start + TOGETHER], k + _COPIES)
                yield Progress(f"calibrating: {name}", len(asked), len(queries), "queries")
            hits = asked
        rows, cosines = np.zeros((len(queries), k), np.int64), np.full((len(queries), k), -np.inf, np.float32)
        for i, (found, near, of) in enumerate(hits):
            own = [hash_of(sentences[row]) for row in leave_out[i].tolist()]
            kept = np.flatnonzero(~np.isin(of, own) & np.isfinite(near))[:k]
            rows[i, : len(kept)], cosines[i, : len(kept)] = found[kept], near[kept]
        return Nearest(rows, cosines)

    def _approximately(
        self, queries: NDArray[np.float32], k: int
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]]:
        """Return the k nearest rows of queries, (Q, D), their cosines, and the hashes of their token ids."""
        columns = ["row", "sentence"]
        with self._connection.errors():
            found = nearest_of_many(self._around.rows.table, queries, k=k, how=self._how, columns=columns)
        return [
            (hits["row"].to_numpy(), 1 - hits["_distance"].to_numpy(), hits["sentence"].to_numpy()) for hits in found
        ]

    def read_ahead(self, hits: NDArray[np.integer]) -> None:
        """Read what `around` needs of the hits of some queries, (n,), at once."""
        self._around.read_ahead(hits)

    def around(self, hits: NDArray[np.integer]) -> tuple[SignalMeter, NDArray[np.int32]]:
        """Return what measures the signals of a query with these hits, rows of the store, and their numbers for it."""
        beside = self._around.of(hits)
        return beside.meter, beside.numbers(hits)
