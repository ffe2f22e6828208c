"""Confirmation: whether captions other than the hits say that the hits are about the query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.corpus.images import Images
from core.ranking.lexical import BM25
from core.ranking.ranking import FIRST


class Confirmed(NamedTuple):
    """How many hits are confirmed: the other captions of their image, together, have all of the query's stems."""

    hits: int
    """Confirmed ones among the first ten."""
    of: int
    """How many hits were looked at, at most ten."""
    attainable: int
    """How many captions of the corpus would be confirmed."""


def confirm(
    stems: Sequence[str], hits: NDArray[np.integer], *, bm25: BM25, images: Images | None, leave_out: int = -1
) -> Confirmed | None:
    """Count the confirmed hits of a query.

    Args:
        stems: The query's distinct word stems.
        hits: Its hits, best first, (K,); the first ten are looked at.
        bm25: The captions' words.
        images: The captions' image groups; None where there are none: then a hit is confirmed by its own words.
        leave_out: The caption that the query is; its words confirm nothing. -1 for none.

    Returns:
        None for a query without stems.
    """
    if not stems:
        return None
    lists = [rows[rows != leave_out] for rows in map(bm25.rows_with, stems)]  # of captions, one list a stem
    if images is None:
        confirmed = np.bincount(np.concatenate(lists), minlength=len(bm25)) == len(lists)  # (N,)
    else:
        shared, alone = np.ones(len(images.sizes), bool), []  # (I,) images that have every stem
        for rows in lists:
            of = images.of[rows]
            counts = np.bincount(of, minlength=len(shared))  # (I,) captions with the stem
            shared &= counts > 0
            alone.append(rows[counts[of] == 1])  # no other caption of their image has it
        confirmed = shared[images.of]  # (N,)
        confirmed[np.concatenate(alone)] = False
    if leave_out >= 0:
        confirmed[leave_out] = False
    first = hits[hits != leave_out][:FIRST]  # (10,)
    return Confirmed(int(confirmed[first].sum()), len(first), int(confirmed.sum()))
