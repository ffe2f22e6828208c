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

TOGETHER = 16
"""Number of test queries that are looked at together: few, so that a user's question need not wait long for them."""


class AllCaptions(Protocol):
    """All captions, among which test queries are asked as those of a user are."""

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

    def read_ahead(self, hits: NDArray[np.integer]) -> None:
        """Read what `around` needs of the hits of some queries, (n,), if that is faster than query by query."""

    def around(self, hits: NDArray[np.integer]) -> tuple[SignalMeter, NDArray[np.integer]]:
        """Return what measures the signals of a query with these hits, (K,), and the rows of the hits for it."""


class InMemory:
    """All captions, where they are in memory: see `AllCaptions`."""

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

    def read_ahead(self, hits: NDArray[np.integer]) -> None:
        """Do nothing: everything is in memory."""

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
