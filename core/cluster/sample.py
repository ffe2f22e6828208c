"""Sample: some captions of a store, whole images where there are any, kept in the cache as a corpus in memory."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import feather

from core.assets import AssetError
from core.cluster.connection import Connection
from core.cluster.schema import CAPTIONS, EMBEDDING, About, embeddings_of
from core.corpus.captions import Captions
from core.corpus.vocabulary import Vocabulary
from core.encoding.matrix import EmbeddingMatrix
from core.encoding.row_files import ABOUT
from core.opened import Sample
from core.store.progress import Progress, Steps
from core.store.whole import Origin, make_folder

_TABLE = "captions.arrow"
_BATCH = 4096  # captions read together


def open_sample(connection: Connection, about: About, vocabulary: Vocabulary, folder: Path) -> Steps[Sample]:
    """Open the sample of a store, which is read from there unless `folder` has it.

    Raises:
        AssetError: The store cannot be read, or the cache cannot be written.
    """

    def write(work: Path) -> Steps[None]:
        table = yield from _read(connection, about)
        embeddings = embeddings_of(table[EMBEDDING])  # (S, D)
        sentences = yield from vocabulary.sentences(table["caption"].to_pylist())
        arrays: dict[str, NDArray[Any]] = {
            "embeddings": embeddings,
            "norms": table["norm"].to_numpy(),
            "row_norms": np.linalg.norm(embeddings.astype(np.float64), axis=1).astype(np.float32),
            "ids": sentences.ids,
            "starts": sentences.starts,
        }
        for name, array in arrays.items():
            np.save(work / f"{name}.npy", array)
        feather.write_feather(table.drop_columns([EMBEDDING]), str(work / _TABLE), compression="uncompressed")
        (work / ABOUT).write_text(json.dumps(asdict(about.recipe)), encoding="utf-8")

    origin = Origin(about.sample_key, about.format, f"sample of {about.name} · {about.model}")
    yield from make_folder(folder, origin, write, doing="reads the sample of this store")
    table = feather.read_table(str(folder / _TABLE))
    return Sample(_captions(table, about), EmbeddingMatrix(folder), table["row"].to_numpy())


def _read(connection: Connection, about: About) -> Steps[pa.Table]:
    """Read the captions of the sample, in the order of their rows."""
    batches, done = [], 0
    with connection.errors():
        search = connection.open(CAPTIONS).search().where("in_sample = true").limit(about.captions)
        for batch in search.to_batches(_BATCH):
            batches.append(batch)
            done += len(batch)
            yield Progress("reading the sample of the store", done, 0, "captions")
    if not batches:
        raise AssetError(connection.address, "has no sample", advice="make it again by `infersent-tui index`")
    table = pa.Table.from_batches(batches)
    return table.take(pc.sort_indices(table["row"]))


def _captions(table: pa.Table, about: About) -> Captions:
    """Return the captions of the sample."""
    groups = None if about.images is None else _labels(table["image_id"])
    images = [] if groups is None else groups.tolist()
    names = {
        name: {image: value for image, value in zip(images, table[name].to_pylist(), strict=True) if value}
        for name in ("file_name", "url")
        if groups is not None
    }
    return Captions(
        name=about.name,
        texts=table["caption"].to_pylist(),
        ids=_labels(table["caption_id"]),
        groups=groups,
        file_names=names.get("file_name", {}),
        urls=names.get("url", {}),
        layout=about.layout,
        columns={name: table[f"column_{i}"].combine_chunks() for i, name in enumerate(about.columns)},
    )


def _labels(values: pa.ChunkedArray) -> NDArray[Any]:
    """Return ids as an array, int64 or str with "" for none, (S,)."""
    if pa.types.is_integer(values.type) and not values.null_count:
        whole: NDArray[np.int64] = values.to_numpy()
        return whole
    return np.array(["" if value is None else str(value) for value in values.to_pylist()], str)
