"""Prefix plans: the LSTM steps that a set of sentences needs when shared beginnings are computed once.

The state of a left-to-right LSTM after a prefix depends only on that prefix. The sentences form a prefix tree (trie) of
token ids. Each node is one step of the LSTM; the nodes are computed level by level.
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
    """Index of each node's last token in the plan's `words`, (n,)."""
    parents: NDArray[np.int64]
    """Index of each node's parent in the previous level's `inner`, (n,), ascending; all 0 (the root) in the first."""
    inner: NDArray[np.int64]
    """Nodes that have children, (k,), ascending."""
    ending: NDArray[np.int64]
    """Nodes at which a sentence ends, (e,)."""
    rows: NDArray[np.int64]
    """Index of the sentence that ends at each node of `ending`, (e,), in the order passed to `plan`."""


@dataclass(frozen=True, slots=True)
class PrefixPlan:
    """All steps of one direction over a set of distinct sentences."""

    words: NDArray[np.int32]
    """The distinct token ids, ascending, (U,)."""
    nodes: int
    """Number of LSTM steps; without sharing it would be the number of tokens."""
    levels: Iterator[Level]
    """One level per prefix length, shortest first; computed on demand, so they can be read only once."""


def plan(sentences: Sequence[NDArray[np.int32]]) -> PrefixPlan:
    """Plan the steps of an LSTM that reads each sentence from its first token to its last.

    Args:
        sentences: B distinct, non-empty id sequences in any order. Pass them reversed for the backward direction.
    """
    # Big-endian bytes of non-negative ids sort like the ids themselves.
    order = sorted(range(len(sentences)), key=lambda row: sentences[row].astype(">i4").tobytes())
    lengths = np.array([len(sentences[row]) for row in order])  # (B,)
    ids = np.full((len(order), lengths.max()), -1, np.int32)  # (B, T)
    for i, row in enumerate(order):
        ids[i, : lengths[i]] = sentences[row]
    words, index = np.unique(ids[ids >= 0], return_inverse=True)  # (U,), (number of tokens,)
    columns = np.full(ids.shape, -1, np.int64)  # (B, T), ids as indices into words
    columns[ids >= 0] = index
    shared = longest_shared_prefix(ids)  # (B,)
    return PrefixPlan(words, int((lengths - shared).sum()), _levels(columns, lengths, shared, np.array(order)))


def _levels(
    columns: NDArray[np.int64], lengths: NDArray[np.int64], shared: NDArray[np.int64], rows: NDArray[np.int64]
) -> Iterator[Level]:
    """Generate the levels. The nodes of a level that have children are known from the level below."""
    parents = np.zeros(int((shared == 0).sum()), np.int64)  # (n,)
    for depth in range(columns.shape[1]):
        starts = (lengths > depth) & (shared <= depth)  # (B,), rows that begin a node
        nodes = np.cumsum(starts) - 1  # (B,), each row's node
        ends = lengths == depth + 1  # (B,)
        below = (lengths > depth + 1) & (shared <= depth + 1)  # (B,), rows that begin a node of the level below
        inner, parents_below = np.unique(nodes[below], return_inverse=True)  # (k,), (nodes below,)
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
