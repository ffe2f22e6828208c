"""Sources: the captions and embeddings that a store is written from: a matrix, or shards that nobody joined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from core.cluster.schema import LEAST_SAMPLE, MOST_OF_IMAGE, is_sampled
from core.corpus.captions import Captions
from core.corpus.sentences import Sentences
from core.encoding.recipe import Recipe
from core.opened import Opened, captions_name_of
from core.opening import Places, open_located, shards_of
from core.setup import Setup
from core.sharding import tokenized
from core.store.cache import Cache
from core.store.progress import Steps


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What a store is written from. Captions without a known word, which no encoder finds, are left out."""

    captions: Captions
    sentences: Sentences
    recipe: Recipe
    name: str
    """Name of the corpus on screen."""
    model: str
    """Name of the encoder on screen."""
    dim: int
    """D, the width of an embedding."""
    rows: NDArray[np.int64]
    """The rows of the captions in the order in which they are written, (n,)."""
    sampled: NDArray[np.bool_]
    """Whether a caption belongs to the sample of the store, by its row, (N,)."""
    read: Callable[[int, int], tuple[NDArray[np.float16], NDArray[np.float32]]]
    """Returns the unit rows, (b, D), and their lengths before normalizing, (b,), of a part of `rows`, start to stop."""


def open_source(setup: Setup, cache: Cache, places: Places) -> Steps[Source]:
    """Open the shards of the captions if there are any, else their matrix; encode the captions if it is missing.

    Raises:
        AssetError: A file cannot be used, a shard is missing or damaged, or the cache cannot be written.
    """
    shards = shards_of(setup, places, cache)
    if not shards.is_joined and shards.begun():
        return (yield from _of_shards(setup, places, cache, shards.count()))
    return of_matrix((yield from open_located(setup, cache, places)))


def of_matrix(opened: Opened) -> Source:
    """Return the source of an opened corpus."""
    matrix = opened.sample.matrix
    rows = np.setdiff1d(np.arange(len(matrix)), matrix.sentences.wordless())  # (n,)
    return Source(
        captions=opened.captions,
        sentences=matrix.sentences,
        recipe=Recipe(**{each.name: matrix.recipe[each.name] for each in fields(Recipe)}),
        name=opened.captions_name,
        model=opened.setup.model_name,
        dim=matrix.dim,
        rows=rows,
        sampled=choose_sample(opened.captions, rows),
        read=lambda start, stop: (matrix.rows[rows[start:stop]], matrix.norms[rows[start:stop]]),
    )


def choose_sample(captions: Captions, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Choose the sample of a store of some rows, (n,): whole images, and of larger groups single captions; (N,)."""
    n, groups = len(rows), captions.groups
    sampled = np.zeros(len(captions), bool)  # (N,)
    sizes = {} if groups is None else dict(zip(*np.unique(groups, return_counts=True), strict=True))
    for row in rows.tolist():
        group = None if groups is None else groups[row]
        is_image = group is not None and group != "" and sizes[group] <= MOST_OF_IMAGE
        sampled[row] = is_sampled(group if is_image else f"row {row}", n)
    if not sampled.any():
        sampled[rows[: min(n, LEAST_SAMPLE)]] = True
    return sampled


def _of_shards(setup: Setup, places: Places, cache: Cache, count: int) -> Steps[Source]:
    _, sentences = yield from tokenized(setup, places)
    shards = yield from shards_of(setup, places, cache).open(count, sentences=sentences)
    kept = np.flatnonzero(np.diff(sentences.starts)[shards.rows] > 2)  # (n,), places of captions with a known word

    def read(start: int, stop: int) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
        wanted = kept[start:stop]  # (b,), ascending
        embeddings, norms = shards.read(int(wanted[0]), int(wanted[-1]) + 1)
        return embeddings[wanted - wanted[0]], norms[wanted - wanted[0]]

    return Source(
        captions=places.captions,
        sentences=sentences,
        recipe=places.recipe,
        name=captions_name_of(setup, places.captions),
        model=setup.model_name,
        dim=shards.dim,
        rows=shards.rows[kept],
        sampled=choose_sample(places.captions, shards.rows[kept]),
        read=read,
    )
