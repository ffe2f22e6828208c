"""Sources: the captions and embeddings that a store is written from: a matrix, or shards that nobody joined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from core.corpus.captions import Captions
from core.corpus.sentences import Sentences
from core.encoding.recipe import Recipe
from core.opened import Opened, captions_name_of
from core.opening import Places, locate, open_located, open_vocabulary, shards_of
from core.setup import Setup
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
    read: Callable[[int, int], tuple[NDArray[np.float16], NDArray[np.float32]]]
    """Returns the unit rows, (b, D), and their lengths before normalizing, (b,), of a part of `rows`, start to stop."""


def open_source(setup: Setup, cache: Cache) -> Steps[Source]:
    """Open the matrix of the captions or, where it is missing, all its shards; else encode the captions.

    Raises:
        AssetError: A file cannot be used, a shard is damaged, or the cache cannot be written.
    """
    setup.encoder_files()  # an error where embeddings are given
    places = yield from locate(setup, cache)
    if count := shards_of(setup, places, cache).complete:
        return (yield from _of_shards(setup, places, cache, count))
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
        read=lambda start, stop: (matrix.rows[rows[start:stop]], matrix.norms[rows[start:stop]]),
    )


def _of_shards(setup: Setup, places: Places, cache: Cache, count: int) -> Steps[Source]:
    assert places.vec_file is not None
    vocabulary = yield from open_vocabulary(setup, places.vec_file, places.vectors)
    sentences = yield from vocabulary.sentences(places.captions.texts)
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
        read=read,
    )
