"""Opening: a store and an encoder become an opened corpus, which is asked as one in memory is."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from core.assets import AssetError
from core.cluster.beside import Surroundings
from core.cluster.connection import Connection
from core.cluster.judging import StoredJudge, WholeStore
from core.cluster.predicates import predicate_of, rows_in
from core.cluster.sample import open_sample
from core.cluster.schema import CAPTIONS, About, Approximation
from core.cluster.searching import StoreSearcher
from core.cluster.stored import StoredCaptions, StoredFolds, StoredMatrix
from core.cluster.stored_rows import StoredRows
from core.corpus.tokenizer import Tokenizer
from core.encoding.recipe import Recipe
from core.encoding.row_files import BuildReport
from core.encoding.text_encoder import TextEncoder
from core.opened import Opened, Sample
from core.opening import Need, locate_encoder, open_needed, open_vocabulary
from core.query import Query
from core.ranking.filters import Filter, FilterError
from core.ranking.lexical import Lexical
from core.ranking.masks import Masks
from core.ranking.methods import Choice, Method
from core.ranking.rankers import Rankers
from core.ranking.ranking import Allowed, Found
from core.setup import Setup
from core.store.cache import Cache
from core.store.progress import Progress, Steps
from core.trust.all_captions import AllCaptions
from core.trust.calibration import Calibration
from core.trust.verdict import Judge

_TRIES = 8  # to draw another caption than the one before


def open_store(
    setup: Setup, cache: Cache, address: str, *, how: Approximation, is_exact: bool = False, need: Need = "matrix"
) -> Steps[Opened]:
    """Open a store with the encoder that made it.

    Args:
        setup: The encoder's files; its captions are not read.
        cache: Keeps what is computed.
        address: The store's.
        how: How to search approximately, where the store has an index for that.
        is_exact: Whether to search exactly all the same.
        need: What is opened beside the embeddings.

    Raises:
        AssetError: The store cannot be read, or is of another encoder, or a file cannot be used.
    """
    yield Progress(f"opening {address}", 0, 0, "")
    connection = Connection(address)
    about = connection.finished()
    recipe, vec_file, folder = yield from locate_encoder(setup, cache)
    _check_encoder(setup, recipe, about, address)
    vocabulary = yield from open_vocabulary(setup, vec_file, folder)
    sample = yield from open_sample(connection, about, vocabulary, cache.folder("matrix", about.sample_key))
    rows = StoredRows(connection, about)
    text_encoder = TextEncoder(vocabulary, lambda: setup.load_encoder(vocabulary.vectors.dim))
    matrix = StoredMatrix(rows, vocabulary, sample.matrix.folder)
    searcher = StoreSearcher(connection, rows, how if about.recall and not is_exact else None)
    opened = StoredOpened(setup, cache, rows, text_encoder, matrix, sample, searcher, connection)
    yield from open_needed(opened, need)
    return opened


def _check_encoder(setup: Setup, recipe: Recipe, about: About, address: str) -> None:
    """Check that an encoder is the one that made a store."""
    names = ("weights", "vectors", "version", "vocab_size")
    if differing := [name for name in names if getattr(recipe, name) != getattr(about.recipe, name)]:
        found = f"was made by another encoder than {setup.model_name}: its {' and '.join(differing)} differ"
        advice = f"name the files of {about.model}, with which it was made: --model, --vectors"
        if differing == ["vocab_size"]:
            advice = f"say --vocab-size {about.recipe.vocab_size or 'all'}, with which it was made"
        raise AssetError(address, found, advice=advice)


def examine_store(setup: Setup, cache: Cache, address: str) -> Steps[dict[str, Any]]:
    """Look whether a store is finished and whole, and made by the encoder in use; return values for JSON.

    Raises:
        AssetError: It is not, or cannot be read.
    """
    yield Progress(f"reading {address}", 0, 0, "")
    connection = Connection(address)
    about = connection.finished()
    recipe, _, _ = yield from locate_encoder(setup, cache)
    _check_encoder(setup, recipe, about, address)
    with connection.errors():
        table = connection.open(CAPTIONS)
        count, indices = table.count_rows(), sorted(column for each in table.list_indices() for column in each.columns)
    if count != about.captions:
        found = f"holds {count:,} captions, and {about.captions:,} were written"
        raise AssetError(address, found, advice="delete it, and make it again")
    return {
        "address": address,
        "captions": about.captions,
        "dim": about.dim,
        "corpus": about.name,
        "layout": about.layout,
        "notes": list(about.notes),
        "model": about.model,
        "dtype": about.recipe.dtype,
        "tokenizer": about.recipe.tokenizer,
        "indexed": indices,
        "search": "approximate, or exact with --exact" if about.recall else "exact",
        "recall_at_10": dict(about.recall),
    }


def describe_search(about: About, how: Approximation | None) -> str:
    """Say how a store is searched, and how many of the nearest captions that finds."""
    if how is None:
        return "exact"
    recall = about.recall.get(str(how))
    return "approximate" + ("" if recall is None else f", recall@10 {recall:.3f}")


class _StoreRankers(Rankers):
    """Ranks a store by the encoder alone, and the captions of its sample by every method."""

    def find(self, method: Method, query: Query, **how: Any) -> Found | None:
        """Rank the store; None for other methods than that of the encoder."""
        return super().find(method, query, **how) if method == "infersent" else None


class StoredOpened(Opened):
    """An opened store. What needs all captions at once rests on its sample."""

    def __init__(
        self,
        setup: Setup,
        cache: Cache,
        rows: StoredRows,
        text_encoder: TextEncoder,
        matrix: StoredMatrix,
        sample: Sample,
        searcher: StoreSearcher,
        connection: Connection,
    ) -> None:
        captions = StoredCaptions.open(rows, sample.captions.first)
        super().__init__(
            setup,
            cache,
            captions=captions,
            text_encoder=text_encoder,
            matrix=matrix,
            sample=sample,
            searcher=searcher,
            folds=StoredFolds(captions),
            report=BuildReport(len(captions), len(captions), True, ""),
        )
        self._connection, self._rows, self._about = connection, rows, rows.about
        self._matrix, self._how = matrix, searcher.how
        self._latest: tuple[Filter, Allowed] | None = None

    is_sampled = True

    @property
    def place(self) -> str:
        """The store's address."""
        return self._connection.address

    @property
    def captions_name(self) -> str:
        """Display name of the corpus behind how it is searched, which is cut last where there is no room."""
        return f"{describe_search(self._about, self._how)} · {self._about.name}"

    @property
    def methods(self) -> tuple[Method, ...]:
        """The encoder alone can rank a store."""
        return ("infersent",)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What a user may choose to rank a store by."""
        return self.methods

    def check(self, among: Filter, masks: Masks) -> None:
        """Check that a filter asks for what the store has.

        Raises:
            FilterError: It does not.
            AssetError: The store cannot be read.
        """
        if among.conditions:
            self._count(f"row < 0 AND {predicate_of(among, self._about, self._rows.table.schema)}")
        super().check(among, masks)

    def allow(self, among: Filter, masks: Masks) -> Allowed:
        """Allow the captions that meet a filter; `masks` finds those of the sample.

        Raises:
            FilterError: The filter asks for what the store does not have.
            AssetError: The store cannot be read.
        """
        if self._latest is not None and self._latest[0] == among:  # each answer asks several times
            return self._latest[1]
        predicate = predicate_of(among, self._about, self._rows.table.schema)
        count = self._count(predicate)
        assert self.sample.rows is not None
        marked = np.flatnonzero(np.isin(self.sample.rows, list(among.bookmarked)))
        mask = masks.mask(replace(among, bookmarked=frozenset(marked.tolist())))
        allowed = Allowed(mask, count, self._about.captions, predicate)
        self._latest = among, allowed
        return allowed

    def _count(self, predicate: str) -> int:
        try:
            return self._rows.count(predicate)
        except AssetError as error:
            if "regex" in error.found:
                why = error.found.rpartition("error: ")[2].rstrip(") ")
                raise FilterError(f"a store reads regular expressions as Rust's regex does: {why}") from error
            raise

    def draw(self, rng: random.Random, allowed: Allowed | None, *, other_than: int | None) -> int | None:
        """Draw a random caption that is allowed; `other_than` only if it is the only candidate.

        Raises:
            AssetError: The store cannot be read.
        """
        count = self._about.captions if allowed is None else allowed.count
        for _ in range(_TRIES if count > 1 else count):
            row = self._rows.at(rng.randrange(count), "" if allowed is None else allowed.predicate)
            if row != other_than or count == 1:
                return row
        return None if not count else other_than

    def lacks(self, method: Method) -> str:
        """Say why a method finds nothing; empty for that of the encoder."""
        return "" if method == "infersent" else f"a store is searched by the encoder alone, not by {method}"

    def prepare(self, rows: Sequence[int]) -> None:
        """Read captions with their embeddings together; those that are not there any more are left out."""
        if rows:
            with suppress(AssetError):
                self._rows.take(self._rows.where(rows_in(rows), most=len(rows)))

    def _rankers_of(self, lexical: Lexical) -> Rankers:
        """Return what ranks the store."""
        return _StoreRankers(self.sample.matrix, self.searcher, lexical)

    def _everything(self, rankers: Rankers) -> AllCaptions:
        """Return all captions of the store, to be asked by test queries, whose hits are remembered apart."""
        rows = StoredRows(self._connection, self._about)
        return WholeStore(self._connection, self._around(rankers, rows), self._how)

    def _judge_by(self, calibration: Calibration, rankers: Rankers) -> Judge:
        """Return what judges by a calibration."""
        return StoredJudge(calibration, self._around(rankers, self._rows), self._matrix, self.name_of)

    def _around(self, rankers: Rankers, rows: StoredRows) -> Surroundings:
        return Surroundings(rows, self.sample, rankers.lexical.bm25, self.images)

    def problems(self) -> list[str]:
        """List what the user should know about the store, one sentence each."""
        problems, about = super().problems(), self._about
        tokenizer = Tokenizer(self.setup.assets.version).name
        if tokenizer != about.recipe.tokenizer:
            problems.append(f"its captions were tokenized by {about.recipe.tokenizer}, queries are by {tokenizer}")
        return problems
