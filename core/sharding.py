"""Sharding: several jobs encode the captions of one corpus, each a shard; they share nothing but the cache folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from core.assets import AssetError
from core.corpus.captions import Captions
from core.corpus.sentences import Sentences
from core.corpus.vocabulary import Vocabulary
from core.encoding.row_files import BuildReport
from core.encoding.shards import Shard, Shards
from core.opening import Places, locate, open_vocabulary, shards_of
from core.setup import Setup
from core.store.cache import Cache
from core.store.progress import Progress, Steps


@dataclass(frozen=True, slots=True)
class Sharded:
    """What one job did for the matrix of one encoder."""

    model_name: str
    captions: Captions
    report: BuildReport
    """Of its rows."""
    folder: Path
    """Of the shard, or of the matrix once it is joined."""
    missing: list[int]
    """Numbers of the shards that are not finished yet."""
    is_joined: bool = True
    """Whether the matrix is there, so that no shard is needed."""


def encode_shard(setup: Setup, cache: Cache, shard: Shard) -> Steps[list[Sharded]]:
    """Encode one shard of the captions, also by a second encoder if there is one.

    Raises:
        AssetError: A file cannot be used, two files do not match, or the cache cannot be written.
    """

    def work(setup: Setup, places: Places, shards: Shards) -> Steps[Sharded]:
        if (rows := shards.rows_of(shard)) is not None or shards.is_joined:
            rows = len(places.captions) if rows is None else rows
            return _did(setup, places, shards, shard, BuildReport(rows, rows, True, ""))
        vocabulary, sentences = yield from tokenized(setup, places)
        yield Progress("loading the encoder", 0, 0, "")
        start = time.perf_counter()
        encoder = setup.load_encoder(vocabulary.vectors.dim)
        places.source.check()
        report = yield from shards.encode(shard, sentences=sentences, vectors=vocabulary.vectors, encoder=encoder)
        report = replace(report, seconds=time.perf_counter() - start)
        return _did(setup, places, shards, shard, report)

    return (yield from _for_each_encoder(setup, cache, work))


def _did(setup: Setup, places: Places, shards: Shards, shard: Shard, report: BuildReport) -> Sharded:
    is_joined = shards.is_joined
    missing, folder = ([], places.matrix) if is_joined else (shards.missing(shard.count), shards.path(shard))
    return Sharded(setup.model_name, places.captions, report, folder, missing, is_joined)


def join_shards(setup: Setup, cache: Cache) -> Steps[list[Sharded]]:
    """Join the finished shards of the captions to their matrix, also those by a second encoder if there is one.

    Raises:
        AssetError: A shard is missing or damaged, or the cache cannot be written.
    """

    def work(setup: Setup, places: Places, shards: Shards) -> Steps[Sharded]:
        count, start = shards.count(), time.perf_counter()
        if shards.is_joined and not shards.begun():  # none is left to be deleted
            rows = len(places.captions)
            return Sharded(setup.model_name, places.captions, BuildReport(rows, rows, True, ""), places.matrix, [])
        _, sentences = yield from tokenized(setup, places)
        report = yield from shards.join(count, sentences=sentences)
        report = replace(report, seconds=time.perf_counter() - start)
        return Sharded(setup.model_name, places.captions, report, places.matrix, [])

    return (yield from _for_each_encoder(setup, cache, work))


def _for_each_encoder(
    setup: Setup, cache: Cache, work: Callable[[Setup, Places, Shards], Steps[Sharded]]
) -> Steps[list[Sharded]]:
    setup.encoder_files()  # an error where embeddings are given, which need no encoding
    places = yield from locate(setup, cache)
    done = [(yield from work(setup, places, shards_of(setup, places, cache)))]
    if setup.second is not None and places.second is not None:
        second, its_places = setup.second, places.second
        try:
            done.append((yield from work(second, its_places, shards_of(second, its_places, cache))))
        except AssetError as error:
            raise error.about_second() from error
    return done


def tokenized(setup: Setup, places: Places) -> Steps[tuple[Vocabulary, Sentences]]:
    """Open the word vectors, and look up the words of all captions.

    Raises:
        AssetError: The vectors cannot be used, or the cache cannot be written.
    """
    assert places.vec_file is not None
    vocabulary = yield from open_vocabulary(setup, places.vec_file, places.vectors)
    return vocabulary, (yield from vocabulary.sentences(places.captions.texts))
