"""Writing: a store is written from the rows of a corpus, block by block, then indexed; an interrupted run goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from core.assets import AssetError
from core.cluster.batches import describe, with_embeddings
from core.cluster.connection import OPTION, Connection
from core.cluster.recall import measure_recall
from core.cluster.schema import EMBEDDING, About, Approximation, schema
from core.cluster.sources import Source
from core.cluster.written import look_at_parts
from core.corpus.captions import Captions
from core.encoding.recipe import Recipe
from core.store.locks import only_one
from core.store.progress import Progress, Steps, nothing_to_do

_BLOCK = 1 << 18  # captions in a commit, which an interrupted run need not write again
_BATCH = 1 << 12  # captions in memory at once
_CALLED = {
    "texts": "captions",
    "weights": "weights",
    "vectors": "word vectors",
    "version": "settings (--model-version)",
    "vocab_size": "settings (--vocab-size)",
    "tokenizer": "tokens",
    "dtype": "numbers",
}
"""What in a recipe may differ, for people."""
APPROXIMATE_FROM = 20_000
"""Fewer captions are searched exactly as fast."""


def write_store(source: Source, connection: Connection) -> Steps[About]:
    """Write captions with their embeddings to a store and index it; if it is finished, do nothing.

    Raises:
        AssetError: The address holds another store, or cannot be written.
    """
    with alone(connection.address) as waiting:
        yield from waiting
        about, n = about_source(source), len(source.rows)
        if not n:
            raise no_known_word(connection.address)
        known = connection.about()
        check_address(known, about, connection.address)
        if known is not None and known.is_finished:
            return known
        captions = source.captions
        columns = {f"column_{i}": _arrow(captions.columns[name]) for i, name in enumerate(about.columns)}
        kinds = schema(
            about.dim,
            _arrow(captions.ids).type,
            pa.string() if captions.groups is None else _arrow(captions.groups).type,
            {name: values.type for name, values in columns.items()},
        )
        table = connection.begin(about, kinds, again=known is None or known.order != about.order)
        missing = _missing(connection, table, source)
        for part in missing:
            start, stop = part * _BLOCK, min((part + 1) * _BLOCK, n)
            with connection.errors():
                table.add(pa.RecordBatchReader.from_batches(kinds, _batches(source, start, stop, columns, kinds)))
            yield Progress("writing the store", stop, n, "captions")
        if missing and _missing(connection, table, source):
            raise _written_twice(connection.address)
        yield from index_store(connection, table, about)
        return connection.finished()


def _missing(connection: Connection, table: Any, source: Source) -> list[int]:
    """Return the parts that are not there: `_BLOCK` rows of a source each, the last one what is left."""
    n, count = len(source.rows), -(-len(source.rows) // _BLOCK)
    of = np.full(len(source.captions), -1)  # (N,)
    of[source.rows] = np.arange(n) // _BLOCK
    sizes = np.bincount(of[source.rows], minlength=count)  # (P,)
    with connection.errors():
        written = look_at_parts(table, of.__getitem__, rows=len(of), parts=count, sizes=sizes)
    return np.flatnonzero(written.counts == 0).tolist()


def no_known_word(address: str) -> AssetError:
    """Describe that nothing can be written to a store."""
    advice = "check which column holds the captions (--text-column), and which vectors these are (--vectors)"
    return AssetError(address, "no caption has a known word", advice=advice)


def _written_twice(address: str) -> AssetError:
    advice = "end the other one, then repeat the command, which does again what both have written"
    return AssetError(address, "another program writes to it, too", advice=advice)


@contextmanager
def alone(address: str) -> Iterator[Steps[None]]:
    """Hold the lock of a folder; in a bucket there is none, and a second writer is noticed at the end."""
    if "://" in address:
        yield nothing_to_do()
        return
    with only_one(Path(address), doing="writes this store", option=OPTION) as waiting:
        yield waiting


def check_address(known: About | None, about: About, address: str) -> None:
    """Raise `AssetError` if what is at an address is another store than the one that is to be written."""
    if known is not None and known.key != about.key:
        raise _another(known, about.recipe, address)


def check_recipe(known: About | None, recipe: Recipe, address: str) -> None:
    """Raise `AssetError` if what is at an address was not made of the same files, before that is all that is known."""
    if known is not None and known.recipe != recipe:
        raise _another(known, recipe, address)


def is_finished(known: About, captions: Captions) -> bool:
    """Tell whether a store of the same recipe needs no more work: it is finished, and of what the file says now."""
    details, columns = _hash_details(captions), tuple(captions.columns)
    return known.is_finished and replace(known, details=details, columns=columns).key == known.key


def _another(known: About, recipe: Recipe, address: str) -> AssetError:
    """Describe that an address holds another store, and in what that differs from the one of a recipe."""
    differing = [name for name in _CALLED if getattr(known.recipe, name) != getattr(recipe, name)]
    made = f"made of other {' and '.join(_CALLED[name] for name in differing) or 'ids, images or columns'}"
    advice = f"name another address with {OPTION}, or delete that one"
    if differing == ["dtype"]:
        made = f"in {known.recipe.dtype}, not in {recipe.dtype}"
        advice += f"; or say --dtype {known.recipe.dtype}"
    found = f"holds a store of {known.name} ({known.captions:,} captions) by {known.model}, {made}"
    return AssetError(address, found, advice=advice)


def about_source(source: Source) -> About:
    """Say what the store of a source will be."""
    captions, notes = source.captions, list(source.captions.not_understood())
    if left_out := len(captions) - len(source.rows):
        notes.append(f"{left_out:,} without a known word left out")
    return About(
        recipe=source.recipe,
        name=source.name,
        model=source.model,
        captions=len(source.rows),
        dim=source.dim,
        images=captions.images,
        layout=captions.layout,
        notes=tuple(notes),
        columns=tuple(captions.columns),
        details=_hash_details(captions),
        order=hashlib.sha256(source.rows.tobytes()).hexdigest(),
    )


def _hash_details(captions: Captions) -> str:
    """Hash what the file says of each caption beside its text."""
    digest = hashlib.sha256(
        repr((captions.ids.tolist(), captions.file_names, captions.urls)).encode("utf-8", "replace")
    )
    if captions.groups is not None:
        digest.update(repr(captions.groups.tolist()).encode("utf-8", "replace"))
    for name, values in captions.columns.items():
        digest.update(repr((name, _arrow(values).to_pylist())).encode("utf-8", "replace"))
    return digest.hexdigest()


def index_store(connection: Connection, table: Any, about: About) -> Steps[None]:
    """Index the captions by row, image, sentence and embedding, measure the recall, and finish the store."""
    from lancedb.index import Bitmap, BTree, IvfRq

    with connection.errors():
        there = {column for each in table.list_indices() for column in each.columns}
        if there:
            table.optimize()  # captions may have been written since
        for column, kind in (("row", BTree), ("image_id", BTree), ("sentence", BTree), ("in_sample", Bitmap)):
            if column not in there:
                yield Progress("indexing captions", 0, 0, "")
                table.create_index(column, config=kind())
        if about.captions >= APPROXIMATE_FROM:
            if EMBEDDING not in there:
                yield Progress("indexing embeddings", 0, 0, "")
                table.create_index(EMBEDDING, config=IvfRq(distance_type="cosine"))
            how = Approximation()
            about = replace(about, recall={str(how): (yield from measure_recall(connection, table, about, how))})
        if table.count_rows() != about.captions:
            raise _written_twice(connection.address)
    connection.write_about(replace(about, is_finished=True))


def _batches(
    source: Source, first: int, last: int, columns: dict[str, pa.Array], kinds: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield the captions at places first..last-1 of the source with all their columns."""
    captions = source.captions
    for start in range(first, last, _BATCH):
        stop = min(start + _BATCH, last)
        rows = source.rows[start:stop]  # (B,)
        embeddings, norms = source.read(start, stop)  # (B, D), (B,)
        described = describe(
            captions, source.sentences, rows, kinds, sampled=source.sampled, part=first // _BLOCK, columns=columns
        )
        yield with_embeddings(described, embeddings, norms, kinds)


def _arrow(values: Any) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(values)
