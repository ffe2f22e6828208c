"""Prefix plans: which LSTM steps a set of sentences really needs, when shared beginnings are computed once.

The state of a left-to-right LSTM after a prefix depends on that prefix alone. Sentences sorted by their token ids form
a tree of prefixes (a trie); each node of it is one step of the LSTM, computed once, level by level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

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


@dataclass(frozen=True)
class PrefixPlan:
    """All steps of one direction over a set of distinct sentences."""

    words: NDArray[np.int32]
    """The distinct token ids, ascending, (U,)."""
    levels: list[Level]
    """One for each length of prefix, shortest first."""

    @cached_property
    def nodes(self) -> int:
        """How many LSTM steps the plan takes; without sharing it would be one a token."""
        return sum(len(level.words) for level in self.levels)


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
    levels: list[Level] = []
    rows = np.array(order)
    nodes = np.zeros(len(order), np.int64)  # (B,) each row's node at the level above
    for depth in range(ids.shape[1]):
        starts = (lengths > depth) & (shared <= depth)  # (B,) rows that begin a node
        inner, parents = np.unique(nodes[starts], return_inverse=True)
        if depth:  # now it is known which nodes of the level above have children
            levels[-1] = replace(levels[-1], inner=inner)
        nodes = np.cumsum(starts) - 1  # (B,)
        ends = lengths == depth + 1
        leaves = np.empty(0, np.int64)
        levels.append(Level(columns[starts, depth], parents.astype(np.int64), leaves, nodes[ends], rows[ends]))
    return PrefixPlan(words, levels)


def longest_shared_prefix(ids: NDArray[np.int32]) -> NDArray[np.int64]:
    """Count how many leading tokens each row shares with the row above it.

    Args:
        ids: Token ids, (B, T), rows in lexicographic order, padded with -1.

    Returns:
        Shared lengths, (B,); the first is 0. Padding never counts as shared.
    """
    same = (ids[1:] == ids[:-1]) & (ids[1:] >= 0)  # (B-1, T)
    return np.concatenate([[0], np.logical_and.accumulate(same, axis=1).sum(axis=1)])  # (B,)
