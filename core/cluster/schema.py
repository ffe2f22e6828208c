"""Schema: what a store holds of each caption, and what it says of itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.encoding.recipe import Recipe

FORMAT = 2
"""Version of the columns and of `About`."""
CAPTIONS, ABOUT = "captions", "about"
"""The tables of a store; the second has a single value, `About`."""
EMBEDDING = "embedding"
UNCOUNTED = -1
SAMPLE = 25_000
"""Number of captions, about, that are mapped and counted in place of all."""

LEAST_SAMPLE = 100
"""Number of captions of the sample where chance chooses none."""
MOST_OF_IMAGE = 100
"""Captions that an image may have; larger groups are topics or collections."""


@dataclass(frozen=True, slots=True)
class Approximation:
    """How an approximate search goes about it."""

    nprobes: int = 50
    """Number of partitions that are searched."""
    refine: int = 4
    """Number of candidates by their codes, for each hit, that are compared by their embeddings."""

    def __str__(self) -> str:
        return f"nprobes {self.nprobes}, refine {self.refine}"


@dataclass(frozen=True, slots=True)
class About:
    """What a store says of itself."""

    recipe: Recipe
    """What its embeddings are made from; `texts` is empty where nobody read all texts."""
    name: str
    """Name of the corpus on screen."""
    model: str
    """Name of the encoder on screen."""
    captions: int
    """N, captions without a known word left out."""
    dim: int
    """D, the width of an embedding."""
    images: int | None
    """Number of images; None where the captions have none, `UNCOUNTED` where nobody counted."""
    layout: str
    """What the captions file was recognised as, in words."""
    notes: tuple[str, ...]
    """What was empty, broken or left out, a phrase each."""
    columns: tuple[str, ...]
    """Names of the file's columns, which are `column_0` and so on here."""
    details: str
    """Hash of what the file says of each caption: ids, images, file names, addresses and columns."""
    order: str
    """Hash of the rows in the order in which they are written, which an interrupted run has to keep to."""
    recall: Mapping[str, float] = field(default_factory=dict)
    """Share of the ten nearest captions that an approximate search finds, 0..1, by `str` of an `Approximation`; empty
    where there is only exact search."""
    failed: tuple[str, ...] = ()
    """The captions that could not be encoded, a phrase each."""
    unread: tuple[int, ...] = ()
    """Numbers of the parts that could not be read so far."""
    is_finished: bool = False
    format: int = FORMAT

    @property
    def key(self) -> str:
        """Hash of what the store is made from: the captions, what their file says of them, and the encoder."""
        return hashlib.sha256(repr((self.recipe.key, self.details, *self.columns)).encode()).hexdigest()

    @property
    def sample_key(self) -> str:
        """Hash of all that the store says, which names its sample: others are left out where it is made again."""
        return hashlib.sha256(json.dumps(self.plain(), sort_keys=True).encode()).hexdigest()

    def plain(self) -> dict[str, Any]:
        """Return values for JSON."""
        return asdict(self)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> About:
        """Take the values of `plain`.

        Raises:
            ValueError, KeyError, TypeError: They are others.
        """
        if plain["format"] != FORMAT:
            raise ValueError(f"it is of format {plain['format']}, and this version reads format {FORMAT}")
        if strays := {each.name for each in fields(cls)} ^ plain.keys():
            raise ValueError(f"missing or not known: {', '.join(sorted(strays))}")
        lists = {name: tuple(value) for name, value in plain.items() if isinstance(value, list)}
        return cls(**{**plain, **lists, "recipe": Recipe(**plain["recipe"])})


def schema(dim: int, ids: pa.DataType, groups: pa.DataType, columns: Mapping[str, pa.DataType]) -> pa.Schema:
    """Return the columns of a store.

    Args:
        dim: D, the width of an embedding.
        ids: Type of the caption ids.
        groups: Type of the image ids.
        columns: The types of the file's columns by their names in the store.
    """
    return pa.schema(
        [
            pa.field("row", pa.int64(), nullable=False),  # in the captions file, from 0
            pa.field("caption", pa.string(), nullable=False),
            pa.field("caption_id", ids, nullable=False),
            pa.field("image_id", groups),
            pa.field("file_name", pa.string()),
            pa.field("url", pa.string()),
            pa.field("words", pa.int32(), nullable=False),  # what `length` in a filter counts
            pa.field("sentence", pa.int64(), nullable=False),  # `hash_of` its token ids
            pa.field("in_sample", pa.bool_(), nullable=False),
            pa.field("part", pa.int32(), nullable=False),  # the piece of work by which it was written
            *(pa.field(name, kind) for name, kind in columns.items()),
            pa.field("norm", pa.float32(), nullable=False),  # length of the embedding before normalizing
            pa.field(EMBEDDING, pa.list_(pa.float16(), dim), nullable=False),
        ]
    )


def embeddings_of(lists: pa.Array | pa.ChunkedArray) -> NDArray[np.float16]:
    """Return the embeddings in a column of a store, (n, D); (0, 0) where it is empty."""
    array = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    flat: NDArray[np.float16] = array.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(array), -1) if len(array) else np.empty((0, 0), np.float16)


def hash_of(ids: NDArray[np.int32]) -> int:
    """Return the hash of token ids, by which captions with the same tokens are found; 64 bits with a sign."""
    digest = hashlib.blake2b(np.ascontiguousarray(ids, "<i4").tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def is_sampled(group: object, captions: int) -> bool:
    """Tell whether an image, or a caption that has none, belongs to the sample of N captions.

    It depends on its name alone, so that the images are whole.
    """
    digest = hashlib.blake2b(str(group).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") < SAMPLE / max(1, captions) * 2**64
