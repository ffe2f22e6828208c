"""Confirmation: whether captions other than the hits say that the hits are about the query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.corpus.images import Images
from core.query import Token
from core.ranking.lexical import BM25
from core.ranking.ranking import FIRST
from core.trust.signals import NOTHING, without

EVIDENCE = 4
"""Number of figures that a short query is judged by, see `evidence`."""


class Confirmed(NamedTuple):
    """How many hits are confirmed: the other captions of their image, together, have all of the query's stems."""

    hits: int
    """Confirmed ones among the first ten."""
    of: int
    """How many hits were looked at, at most ten."""
    attainable: int
    """How many captions of the corpus would be confirmed."""
    share: float
    """Share of the stems that the captions of a hit's image have, 0..1, mean over these hits."""


def confirm(
    stems: Sequence[str],
    hits: NDArray[np.integer],
    *,
    bm25: BM25,
    images: Images | None,
    leave_out: NDArray[np.int64] = NOTHING,
) -> Confirmed | None:
    """Count the confirmed hits of a query.

    Args:
        stems: The query's distinct word stems.
        hits: Its hits, best first, (K,), without those left out; the first ten are looked at.
        bm25: The captions' words.
        images: The captions' image groups; None where there are none: then a hit is confirmed by its own words.
        leave_out: Captions that the query equals or was cut from; their words confirm nothing.

    Returns:
        None for a query without stems.
    """
    if not stems:
        return None
    first = hits[:FIRST]  # (10,)
    lists = [without(bm25.rows_with(stem), leave_out) for stem in stems]  # of captions, one list a stem
    if images is None:
        having = np.bincount(np.concatenate(lists), minlength=len(bm25))  # (N,) number of the stems
        confirmed, shares = having[first] == len(lists), having[first] / len(lists)  # (10,), (10,)
        attainable = int((having == len(lists)).sum())
    else:
        shared, alone = np.ones(len(images.sizes), bool), []  # (I,) images that have every stem
        shares = np.zeros(len(first))  # (10,)
        for rows in (each[~images.repeated[each]] for each in lists):
            of = images.of[rows]
            counts = np.bincount(of, minlength=len(shared))  # (I,) captions with the stem
            shared &= counts > 0
            shares += (counts[images.of[first]] > 0) / len(lists)
            alone.append(rows[counts[of] == 1])  # no other caption of their image has it
        never = np.zeros(len(images.of), bool)  # (N,)
        never[np.concatenate([*alone, leave_out])] = True
        confirmed = shared[images.of[first]] & ~never[first] & images.counted[first]  # (10,)
        attainable = int(images.sizes[shared].sum()) - int(shared[images.of[never & images.counted]].sum())
    share = float(shares.mean()) if len(first) else 0.0
    return Confirmed(int(confirmed.sum()), len(first), attainable, share)


def content_stems(stems: Sequence[str], tokens: Sequence[Token], bm25: BM25) -> list[str]:
    """Return those of a query's stems that do not come from its function words."""
    function = {bm25.stem(token.text) for token in tokens if not token.is_content}
    content = {bm25.stem(token.text) for token in tokens if token.is_content}
    return [stem for stem in stems if stem not in function - content]


def evidence(confirmed: Confirmed, mean_distance: float, words: int) -> NDArray[np.float64]:
    """Return what a short query is judged by, (`EVIDENCE`,).

    These are the number of confirmed hits, the share of the words that their images have, the mean distance of the
    first ten hits, and the number of content words.
    """
    return np.array([confirmed.hits, confirmed.share, mean_distance, words], float)
