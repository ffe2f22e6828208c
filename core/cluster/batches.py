"""Batches: captions and their embeddings as a store has them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.cluster.schema import hash_of
from core.corpus.captions import Captions
from core.corpus.sentences import Sentences

_COMPUTED = 2  # columns, the last ones, that come from the encoder


def describe(
    captions: Captions,
    sentences: Sentences,
    rows: NDArray[np.int64],
    kinds: pa.Schema,
    *,
    sampled: NDArray[np.bool_],
    part: int,
    columns: Mapping[str, pa.Array],
    first: int = 0,
) -> pa.RecordBatch:
    """Return some captions with all columns of a store but those that come from the encoder.

    Args:
        captions: N captions.
        sentences: Their token ids.
        rows: Which of them, (B,).
        kinds: The columns of the store.
        sampled: Whether a caption belongs to the sample of the store, (N,).
        part: The piece of work by which they are written.
        columns: The columns of their file by their names in the store, (N,).
        first: The row of the first one of the N.
    """
    texts = [captions.texts[row] for row in rows.tolist()]
    values = {
        "row": rows + first,
        "caption": texts,
        "caption_id": captions.ids[rows],
        "image_id": list(map(captions.group, rows.tolist())),
        "file_name": list(map(captions.file_name, rows.tolist())),
        "url": list(map(captions.url, rows.tolist())),
        "words": pc.list_value_length(pc.utf8_split_whitespace(pa.array(texts, pa.string()))),
        "sentence": [hash_of(sentences[row]) for row in rows.tolist()],
        "in_sample": sampled[rows],
        "part": np.full(len(rows), part),
        **{name: array.take(pa.array(rows)) for name, array in columns.items()},
    }
    fields = list(kinds)[:-_COMPUTED]
    arrays = [each if isinstance(each := values[field.name], pa.Array) else pa.array(each) for field in fields]
    cast = [array.cast(field.type) for array, field in zip(arrays, fields, strict=True)]
    return pa.record_batch(cast, schema=pa.schema(fields))


def with_embeddings(
    described: pa.RecordBatch, embeddings: NDArray[np.float16], norms: NDArray[np.float32], kinds: pa.Schema
) -> pa.RecordBatch:
    """Add unit embeddings, (B, D), and their lengths before normalizing, (B,), to B captions."""
    flat = pa.array(np.ascontiguousarray(embeddings).ravel(), pa.float16())
    computed = [pa.array(norms, pa.float32()), pa.FixedSizeListArray.from_arrays(flat, embeddings.shape[1])]
    return pa.record_batch([*described.columns, *computed], schema=kinds)
