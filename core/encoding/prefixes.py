"""Prefix plans: the LSTM steps that a set of sentences needs when shared beginnings are computed once.

The state of a left-to-right LSTM after a prefix depends only on that prefix. The sentences form a prefix tree (trie) of
token ids. Each node is one step of the LSTM; the nodes are computed level by level.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from core.corpus.sentences import Sentences


class Level(NamedTuple):
    """The distinct prefixes of one length: the nodes at one depth of the tree, n of them."""

    words: torch.Tensor
    """Each node's last token, (n,)."""
    parents: torch.Tensor
    """Index of each node's parent in the previous level, (n,), ascending; all 0 (the root) in the first level."""
    branches: torch.Tensor
    """Index of each node's parent in the previous level's `inner`, (n,), ascending; all 0 in the first level."""
    inner: torch.Tensor
    """Nodes that have children, (k,), ascending."""
    slots: torch.Tensor
    """Index of each node in `inner`, (n,); -1 for nodes without children."""
    ending: torch.Tensor
    """Nodes at which a sentence ends, (e,)."""
    rows: torch.Tensor
    """Index of the sentence that ends at each node of `ending`, (e,), in the order passed to `plan`."""


@dataclass(frozen=True, slots=True)
class PrefixPlan:
    """All steps of one direction over a set of distinct sentences."""

    nodes: int
    """Number of LSTM steps; without sharing it would be the number of tokens."""
    columns: Level
    """The levels, one after the other, in one array each."""
    sizes: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    """Number of nodes, of inner nodes and of endings of each level, (T,) each."""

    def levels(self, device: torch.device) -> Iterator[Level]:
        """Return one level per prefix length, shortest first, on a device."""
        nodes, inner, ends = (sizes.tolist() for sizes in self.sizes)
        parts = [
            torch.split(column.to(device, non_blocking=True), sizes)
            for column, sizes in zip(self.columns, (nodes, nodes, nodes, inner, nodes, ends, ends), strict=True)
        ]
        return map(Level._make, zip(*parts, strict=True))


def plan(sentences: Sentences, *, backward: bool = False) -> PrefixPlan:
    """Plan the steps of an LSTM that reads each sentence from its first token to its last, or `backward`.

    Args:
        sentences: B distinct, non-empty sentences in any order.
        backward: Whether the sentences are read from their last token to their first.
    """
    if backward:
        sentences = sentences.reversed()
    order = lexicographic_order(sentences)  # (B,)
    sentences = sentences.take(order)
    ids, lengths, starts = sentences.ids, np.diff(sentences.starts), sentences.starts[:-1]
    row = np.repeat(np.arange(len(lengths)), lengths)  # (M,), the sentence of each of the M tokens
    depth = np.arange(len(ids)) - starts[row]  # (M,)
    is_node = depth >= longest_shared_prefix(sentences)[row]  # (M,), the others share the node of a sentence before
    if depth.max() < 1 << 16:
        depth = depth.astype(np.uint16)  # which numpy sorts faster
    by_depth = np.argsort(depth, kind="stable")  # (M,), tokens by level, then by sentence
    begins = is_node[by_depth]  # (M,)
    node = np.empty(len(ids), np.int64)  # (M,), the number of each token's node, counted through all levels
    node[by_depth] = np.cumsum(begins) - 1
    nodes = by_depth[begins]  # (n of all levels,), the first token at each node
    level = depth[nodes].astype(np.int64)  # (n of all levels,), ascending
    in_level = np.bincount(level)  # (T,)
    below = slice(in_level[0], None)  # the nodes that have a parent other than the root
    above = node[nodes[below] - 1]  # parents, counted through all levels
    has_children = np.zeros(len(nodes), bool)  # (n of all levels,)
    has_children[above] = True
    inner_in_level = np.bincount(level[has_children], minlength=len(in_level))  # (T,)
    offsets = _before(in_level)  # (T,)
    slots = np.cumsum(has_children) - 1 - _before(inner_in_level)[level]  # (n of all levels,)
    parents, branches = np.zeros((2, len(nodes)), np.int64)  # (n of all levels,) each
    parents[below], branches[below] = above - offsets[level[below] - 1], slots[above]
    inner = np.flatnonzero(has_children)
    by_length = np.argsort(lengths, kind="stable")  # (B,)
    last = starts[by_length] + lengths[by_length] - 1  # (B,), each sentence's last token
    columns = (
        *(ids[nodes], parents, branches, inner - offsets[level[inner]], np.where(has_children, slots, -1)),
        *(node[last] - offsets[lengths[by_length] - 1], order[by_length]),
    )
    sizes = (in_level, inner_in_level, np.bincount(lengths - 1))
    return PrefixPlan(len(nodes), Level(*(torch.from_numpy(each.astype(np.int64)) for each in columns)), sizes)


def _before(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum the sizes of all earlier levels, (T,)."""
    return np.cumsum(sizes) - sizes


def lexicographic_order(sentences: Sentences) -> NDArray[np.int64]:
    """Sort sentences by their first token, then by their second and so on, (B,); equal ones stay in their order."""
    return np.array(_sorted(sentences)[0], np.int64)


def distinct(sentences: Sentences) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort sentences and find equal ones.

    Returns:
        All rows, sorted by sentence, equal sentences by row, (N,); and where in them each distinct sentence begins,
        (distinct sentences,).
    """
    order, keys = _sorted(sentences)
    keys = [keys[row] for row in order]
    begins = [True, *(one != other for one, other in pairwise(keys))] if keys else []
    return np.array(order, np.int64), np.flatnonzero(begins)


def _sorted(sentences: Sentences) -> tuple[list[int], list[bytes]]:
    """Return the rows in lexicographic order, and a key for each row by which they are sorted."""
    data = sentences.ids.astype(">i4").tobytes()  # the big-endian bytes of non-negative ids sort like the ids
    starts = (4 * sentences.starts).tolist()
    keys = [data[start:end] for start, end in pairwise(starts)]
    return sorted(range(len(keys)), key=keys.__getitem__), keys


def longest_shared_prefix(sentences: Sentences) -> NDArray[np.int64]:
    """Count how many leading tokens each sentence shares with the one before it, (B,); the first is 0.

    Args:
        sentences: B non-empty sentences in lexicographic order.
    """
    lengths, starts = np.diff(sentences.starts), sentences.starts[:-1]
    row = np.repeat(np.arange(1, len(lengths)), lengths[1:])  # (m,), the tokens of all sentences but the first
    token = np.arange(lengths[0], len(sentences.ids))  # (m,)
    depth = token - starts[row]  # (m,)
    inside = depth < lengths[row - 1]  # (m,), where the sentence before is long enough
    before = np.where(inside, starts[row - 1] + depth, 0)  # (m,)
    same = inside & (sentences.ids[token] == sentences.ids[before])  # (m,)
    shared = np.zeros(len(lengths), np.int64)  # (B,)
    if len(row):
        shared[1:] = np.minimum.reduceat(np.where(same, lengths[row], depth), starts[1:] - lengths[0])
    return shared
