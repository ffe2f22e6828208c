"""All captions: test queries are asked among them as those of a user are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from core.encoding.matrix import EmbeddingMatrix
from core.ranking.rankers import pairs_of
from core.ranking.search import Nearest, nearest_together
from core.store.progress import Progress, Steps, follow
from core.trust.signals import SignalMeter


class AllCaptions(Protocol):
    """All captions, among which test queries are asked as those of a user are."""

    queries_per_step: int
    """Number of queries whose signals are measured between two progress reports."""

    def nearest(
        self,
        queries: NDArray[np.float32],
        leave_out: Sequence[NDArray[np.int64]],
        *,
        k: int,
        device: torch.device,
        name: str,
    ) -> Steps[Nearest]:
        """Find the k nearest captions of unit queries, (Q, D), without some of those in memory and their copies."""

    def around(self, hits: NDArray[np.integer]) -> tuple[SignalMeter, NDArray[np.integer]]:
        """Return what measures the signals of a query with these hits, (K,), and the rows of the hits for it."""


class InMemory:
    """All captions, where they are in memory: see `AllCaptions`."""

    queries_per_step = 16

    def __init__(self, matrix: EmbeddingMatrix, meter: SignalMeter) -> None:
        self._matrix, self._meter = matrix, meter

    def nearest(
        self,
        queries: NDArray[np.float32],
        leave_out: Sequence[NDArray[np.int64]],
        *,
        k: int,
        device: torch.device,
        name: str,
    ) -> Steps[Nearest]:
        """Find the k nearest captions of unit queries, (Q, D), without some rows."""
        return search_together(queries, self._matrix, leave_out, k=k, device=device, name=name)

    def around(self, hits: NDArray[np.integer]) -> tuple[SignalMeter, NDArray[np.integer]]:
        """Return what measures the signals of a query, and the hits."""
        return self._meter, hits


def search_together(
    queries: NDArray[np.float32],
    matrix: EmbeddingMatrix,
    leave_out: Sequence[NDArray[np.int64]],
    *,
    k: int,
    device: torch.device,
    name: str,
) -> Steps[Nearest]:
    """Find the k nearest captions of unit queries, (Q, D)."""
    excluded = matrix.sentences.wordless()
    pairs = pairs_of(leave_out)  # (P, 2)
    work = nearest_together(queries, matrix.rows, k=k, leave_out=pairs, excluded=excluded, device=device)
    return (yield from follow(work, lambda step: Progress(f"calibrating: {name}", step.done, len(queries), "queries")))
