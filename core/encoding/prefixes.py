"""Prefix plans: which LSTM steps a set of sentences really needs, when shared beginnings are computed once.

The state of a left-to-right LSTM after a prefix depends on that prefix alone. Sentences sorted by their token ids form
a tree of prefixes (a trie); each node of it is one step of the LSTM, computed once, level by level.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Level:
    """The distinct prefixes of one length: the nodes at one depth of the tree."""

    words: NDArray[np.int64]
    """Index of each node's last token into the plan's `words`, (n,)."""
    parents: NDArray[np.int64]
    """Index of each node's parent among `inner` of the level above, (n,), ascending; 0, the empty prefix, at first."""
    inner: NDArray[np.int64]
    """The nodes that have children, ascending, (k,)."""
    ending: NDArray[np.int64]
    """The nodes at which a sentence ends, (e,)."""
    rows: NDArray[np.int64]
    """The sentences that end at `ending`, (e,), as numbered by the caller."""


@dataclass(frozen=True, slots=True)
class PrefixPlan:
    """All steps of one direction over a set of distinct sentences."""

    words: NDArray[np.int32]
    """The distinct token ids, ascending, (U,)."""
    nodes: int
    """How many LSTM steps the plan takes; without sharing it would be one a token."""
    levels: Iterator[Level]
    """One for each length of prefix, shortest first; laid out as they are read, once."""


def plan(sentences: Sequence[NDArray[np.int32]]) -> PrefixPlan:
    """Lay out the steps of an LSTM that reads each sentence from its first token to its last.

    Args:
        sentences: B distinct, non-empty id sequences, in any order. For the other direction pass them reversed.
    """
    # Big-endian bytes of non-negative ids sort as the ids do.
    order = sorted(range(len(sentences)), key=lambda row: sentences[row].astype(">i4").tobytes())
    lengths = np.array([len(sentences[row]) for row in order])  # (B,)
    ids = np.full((len(order), lengths.max()), -1, np.int32)  # (B, T)
    for at, row in enumerate(order):
        ids[at, : lengths[at]] = sentences[row]
    words, index = np.unique(ids[ids >= 0], return_inverse=True)
    columns = np.full(ids.shape, -1, np.int64)  # (B, T) ids as indices into words
    columns[ids >= 0] = index
    shared = longest_shared_prefix(ids)  # (B,)
    return PrefixPlan(words, int((lengths - shared).sum()), _levels(columns, lengths, shared, np.array(order)))


def _levels(
    columns: NDArray[np.int64], lengths: NDArray[np.int64], shared: NDArray[np.int64], rows: NDArray[np.int64]
) -> Iterator[Level]:
    """Lay out level after level; which nodes of one have children is known from the next."""
    parents = np.zeros(int((shared == 0).sum()), np.int64)
    for depth in range(columns.shape[1]):
        starts = (lengths > depth) & (shared <= depth)  # (B,) rows that begin a node
        nodes = np.cumsum(starts) - 1  # (B,) each row's node
        ends = lengths == depth + 1
        below = (lengths > depth + 1) & (shared <= depth + 1)  # (B,) rows that begin a node of the next level
        inner, parents_below = np.unique(nodes[below], return_inverse=True)
        yield Level(columns[starts, depth], parents, inner, nodes[ends], rows[ends])
        parents = parents_below.astype(np.int64)


def longest_shared_prefix(ids: NDArray[np.int32]) -> NDArray[np.int64]:
    """Count how many leading tokens each row shares with the row above it.

    Args:
        ids: Token ids, (B, T), rows in lexicographic order, padded with -1.

    Returns:
        Shared lengths, (B,); the first is 0. Padding never counts as shared.
    """
    same = (ids[1:] == ids[:-1]) & (ids[1:] >= 0)  # (B-1, T)
    return np.concatenate([[0], np.logical_and.accumulate(same, axis=1).sum(axis=1)])  # (B,)
