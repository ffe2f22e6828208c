"""Written: which parts of an unfinished store are there, each once; those that are not sound are deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_ROWS = 1 << 16  # read together


class Written(NamedTuple):
    """The parts of a store."""

    counts: NDArray[np.int64]
    """Number of captions of each part that is there, (P,)."""
    deleted: list[int]
    """The parts that were not sound, and are not there any more."""


def look_at_parts(
    table: Any,
    part_of: Callable[[NDArray[np.int64]], NDArray[np.integer]],
    *,
    rows: int,
    parts: int,
    sizes: NDArray[np.int64] | None = None,
) -> Written:
    """Look which parts a table has, and delete those that two processes have written, or one in another order.

    Args:
        table: The table of the captions.
        part_of: Returns the parts to which rows of the file belong, (n,).
        rows: N, captions of the file.
        parts: P.
        sizes: Number of captions of each part, (P,), where that is known; parts of other sizes are deleted, too.
    """
    counts, unsound = np.zeros(parts, np.int64), np.zeros(parts, bool)  # (P,) each
    seen = np.zeros(rows, bool)  # (N,)
    for batch in table.search().select(["row", "part"]).limit(table.count_rows() or 1).to_batches(_ROWS):
        own, of = batch["row"].to_numpy(), batch["part"].to_numpy()  # (B,) each
        is_new = np.zeros(len(own), bool)  # (B,)
        is_new[np.unique(own, return_index=True)[1]] = True
        unsound[of[seen[own] | ~is_new | (part_of(own) != of)]] = True
        seen[own] = True
        counts += np.bincount(of, minlength=parts)
    if sizes is not None:
        unsound |= (counts > 0) & (counts != sizes)
    deleted: list[int] = np.flatnonzero(unsound).tolist()
    if deleted:
        table.delete(f"part IN ({', '.join(map(str, deleted))})")
        counts[unsound] = 0
    return Written(counts, deleted)
