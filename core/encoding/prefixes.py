"""Prefix plans: the LSTM steps that a set of sentences needs when shared beginnings are computed once.

The state of a left-to-right LSTM after a prefix depends only on that prefix. The sentences form a prefix tree (trie) of
token ids. Each node is one step of the LSTM; the nodes are computed level by level.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from core.corpus.sentences import Sentences

_KEY_TOKENS = 16  # leading tokens by which numpy sorts; most captions have fewer


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


class Counts(NamedTuple):
    """Number of nodes, of inner nodes and of endings in each of T levels, (T,) each."""

    nodes: NDArray[np.int64]
    """Nodes."""
    inner: NDArray[np.int64]
    """Nodes that have children."""
    endings: NDArray[np.int64]
    """Sentences that end."""


@dataclass(frozen=True, slots=True)
class PrefixPlan:
    """All steps of one direction over a set of distinct sentences."""

    nodes: int
    """Number of LSTM steps; without sharing it would be the number of tokens."""
    columns: Level
    """The fields of all levels, those of one level after those of the level before."""
    counts: Counts
    """How many entries of the columns belong to each level."""

    def levels(self, device: torch.device) -> Iterator[Level]:
        """Yield one level per prefix length, shortest first, on a device."""
        columns = [column.to(device) for column in self.columns]
        nodes, inner, ends = (np.concatenate([[0], np.cumsum(count)]).tolist() for count in self.counts)  # (T + 1,)
        bounds = (nodes, nodes, nodes, inner, nodes, ends, ends)
        for depth in range(len(self.counts.nodes)):
            parts = (slice(each[depth], each[depth + 1]) for each in bounds)
            yield Level(*(column[part] for column, part in zip(columns, parts, strict=True)))


class PlannedBatch(NamedTuple):
    """What has to be known of B distinct sentences before they are encoded together."""

    words: NDArray[np.int32]
    """Their distinct token ids, ascending, (U,); the plans count in these."""
    lengths: NDArray[np.int64]
    """Number of tokens of each sentence, (B,)."""
    directions: tuple[PrefixPlan, PrefixPlan]
    """The plans for reading forward and backward."""

    @classmethod
    def of(cls, sentences: Sentences) -> PlannedBatch:
        """Plan both directions of distinct, non-empty sentences."""
        words, local = sentences.by_distinct_id()
        return cls(words, np.diff(local.starts), (plan(local), plan(local, backward=True)))


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
    ids, starts = sentences.ids, sentences.starts[:-1].astype(np.int32)
    lengths = np.diff(sentences.starts).astype(np.int32)  # (B,)
    shared = longest_shared_prefix(sentences)  # (B,)
    depth = np.arange(len(ids), dtype=np.int32) - np.repeat(starts, lengths)  # (M,), of each of the M tokens
    is_node = depth >= np.repeat(shared, lengths)  # (M,), the others share the node of a sentence before
    deepest = int(depth.max())
    # Tokens by level, then by sentence; numpy sorts numbers of 16 bits fastest.
    by_depth = np.argsort(depth.astype(np.uint16) if deepest < 1 << 16 else depth, kind="stable")  # (M,)
    begins = is_node[by_depth]  # (M,)
    node = np.empty(len(ids), np.int32)  # (M,), the number of each token's node, counted through all levels
    node[by_depth] = np.cumsum(begins, dtype=np.int32) - 1
    nodes = by_depth[begins]  # (n of all levels,), the first token at each node
    in_level = np.bincount(depth[is_node], minlength=deepest + 1)  # (T,)
    below = slice(in_level[0], None)  # the nodes that have a parent other than the root
    above = node[nodes[below] - 1]  # parents, counted through all levels
    has_children = np.zeros(len(nodes), bool)  # (n of all levels,)
    has_children[above] = True
    offsets = np.cumsum(in_level) - in_level  # (T,)
    inner_in_level = np.add.reduceat(has_children, offsets, dtype=np.int64)  # (T,)
    inner_offsets = np.cumsum(inner_in_level) - inner_in_level  # (T,)
    slots = np.cumsum(has_children, dtype=np.int32) - np.repeat(inner_offsets + 1, in_level).astype(np.int32)
    parents, branches = np.zeros((2, len(nodes)), np.int32)  # (n of all levels,) each
    parents[below] = above - np.repeat(offsets[:-1], in_level[1:]).astype(np.int32)
    branches[below] = slots[above]
    inner = np.flatnonzero(has_children) - np.repeat(offsets, inner_in_level)
    by_length = np.argsort(lengths, kind="stable")  # (B,)
    ending = node[starts[by_length] + lengths[by_length] - 1] - offsets[lengths[by_length] - 1]  # (B,)
    columns = (ids[nodes], parents, branches, inner, np.where(has_children, slots, -1), ending, order[by_length])
    counts = Counts(in_level, inner_in_level, np.bincount(lengths - 1))
    return PrefixPlan(len(nodes), Level(*(torch.from_numpy(each.astype(np.int32)) for each in columns)), counts)


def lexicographic_order(sentences: Sentences) -> NDArray[np.int64]:
    """Sort sentences by their first token, then by their second and so on, (B,); equal ones stay in their order."""
    return _sorted(sentences)[0]


def distinct(sentences: Sentences) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort sentences and find equal ones.

    Returns:
        All rows, sorted by sentence, equal sentences by row, (N,); and where in them each distinct sentence begins,
        (distinct sentences,).
    """
    order, begins_alike = _sorted(sentences)
    is_copy = begins_alike.copy()  # (N,)
    for at in np.flatnonzero(begins_alike):
        is_copy[at] = np.array_equal(sentences[order[at]], sentences[order[at - 1]])
    return order, np.flatnonzero(~is_copy)


def _sorted(sentences: Sentences) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Sort sentences.

    Returns:
        The rows in lexicographic order, (N,); and which of them begin like the one before, with as many equal tokens
        as a key has, (N,).
    """
    lengths = np.diff(sentences.starts)  # (N,)
    depth = np.arange(len(sentences.ids)) - np.repeat(sentences.starts[:-1], lengths)  # (tokens,)
    first = depth < _KEY_TOKENS  # (tokens,)
    keys = np.zeros((len(lengths), _KEY_TOKENS), ">u4")  # 0 where a sentence has ended
    keys[np.repeat(np.arange(len(lengths)), np.minimum(lengths, _KEY_TOKENS)), depth[first]] = sentences.ids[first] + 1
    packed = keys.view(f"S{keys.itemsize * _KEY_TOKENS}")[:, 0]  # (N,), big-endian bytes sort like the numbers
    order = np.argsort(packed, kind="stable")  # (N,)
    alike = np.zeros(len(order), bool)  # (N,)
    alike[1:] = packed[order[1:]] == packed[order[:-1]]
    bounds = np.append(np.flatnonzero(~alike), len(order))  # (groups of alike ones + 1,)
    longest = np.maximum.reduceat(lengths[order], bounds[:-1]) if len(order) else lengths  # (groups,)
    for group in np.flatnonzero((longest > _KEY_TOKENS) & (np.diff(bounds) > 1)):
        part = slice(bounds[group], bounds[group + 1])
        order[part] = sorted(order[part].tolist(), key=lambda row: sentences[row].tolist())
    return order, alike


def longest_shared_prefix(sentences: Sentences) -> NDArray[np.int32]:
    """Count how many leading tokens each sentence shares with the one before it, (B,); the first is 0.

    Args:
        sentences: B non-empty sentences in lexicographic order.
    """
    lengths, starts = np.diff(sentences.starts), sentences.starts[:-1]
    shared = np.zeros(len(lengths), np.int32)  # (B,)
    if len(lengths) == 1:
        return shared
    token = np.arange(lengths[0], len(sentences.ids), dtype=np.int32)  # (m,), those of all sentences but the first
    depth = token - np.repeat(starts[1:].astype(np.int32), lengths[1:])  # (m,)
    inside = depth < np.repeat(lengths[:-1].astype(np.int32), lengths[1:])  # (m,), the sentence before is long enough
    before = token - np.repeat(lengths[:-1].astype(np.int32), lengths[1:])  # (m,), the token at that depth in it
    differs = ~inside | (sentences.ids[token] != sentences.ids[before])  # (m,)
    ends = np.where(differs, depth, np.iinfo(np.int32).max)  # (m,)
    shared[1:] = np.minimum(np.minimum.reduceat(ends, starts[1:] - lengths[0]), lengths[1:])
    return shared
