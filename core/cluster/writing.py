"""Writing: a store is written from the rows of a corpus, block by block, then indexed; an interrupted run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.assets import AssetError
from core.cluster.connection import OPTION, Connection
from core.cluster.recall import measure_recall
from core.cluster.schema import CAPTIONS, EMBEDDING, About, Approximation, hash_of, is_sampled, schema
from core.cluster.sources import Source
from core.corpus.captions import Captions
from core.store.progress import Progress, Steps

_BLOCK = 1 << 18  # captions in a commit, which an interrupted run need not write again
_BATCH = 1 << 12  # captions in memory at once
APPROXIMATE_FROM = 20_000
"""Fewer captions are searched exactly as fast."""


def write_store(source: Source, connection: Connection) -> Steps[About]:
    """Write captions with their embeddings to a store and index it; if it is finished, do nothing.

    Raises:
        AssetError: The address holds another store, or cannot be written.
    """
    about, n = about_source(source), len(source.rows)
    known = connection.about()
    if known is not None and known.key != about.key:
        found = f"holds a store of {known.name} ({known.captions:,} captions) by {known.model}"
        raise AssetError(connection.address, found, advice=f"name another address with {OPTION}, or delete that one")
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
    with connection.errors():
        if known is None:
            connection.create(CAPTIONS, kinds)
            connection.write_about(about)
        table = connection.open(CAPTIONS)
        done = table.count_rows()
    while done < n:
        stop = min(done + _BLOCK, n)
        with connection.errors():
            table.add(pa.RecordBatchReader.from_batches(kinds, _batches(source, done, stop, columns, kinds)))
        done = stop
        yield Progress("writing the store", done, n, "captions")
    yield from index_store(connection, table, about)
    return connection.finished()


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
    )


def index_store(connection: Connection, table: Any, about: About) -> Steps[None]:
    """Index the captions by row, image, sentence and embedding, measure the recall, and finish the store."""
    from lancedb.index import Bitmap, BTree, IvfRq

    with connection.errors():
        there = {column for each in table.list_indices() for column in each.columns}
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
        texts = [captions.texts[row] for row in rows.tolist()]
        flat = pa.array(np.ascontiguousarray(embeddings).ravel(), pa.float16())
        values = {
            "row": rows,
            "caption": texts,
            "caption_id": captions.ids[rows],
            "image_id": list(map(captions.group, rows.tolist())),
            "file_name": list(map(captions.file_name, rows.tolist())),
            "url": list(map(captions.url, rows.tolist())),
            "words": pc.list_value_length(pc.utf8_split_whitespace(pa.array(texts, pa.string()))),
            "sentence": [hash_of(source.sentences[row]) for row in rows.tolist()],
            "in_sample": sampled(captions, rows, len(source.rows)),
            **{name: array.take(pa.array(rows)) for name, array in columns.items()},
            "norm": norms,
            EMBEDDING: pa.FixedSizeListArray.from_arrays(flat, source.dim),
        }
        arrays = [
            values[field.name] if isinstance(values[field.name], pa.Array) else pa.array(values[field.name], field.type)
            for field in kinds
        ]
        yield pa.record_batch(arrays, schema=kinds)


def sampled(captions: Captions, rows: NDArray[np.int64], count: int) -> list[bool]:
    """Tell which captions belong to the sample of a store of `count` captions: whole images, where there are any."""
    groups = ((row, captions.group(row)) for row in rows.tolist())
    return [is_sampled(f"row {row}" if group is None else group, count) for row, group in groups]


def _arrow(values: Any) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(values)
