"""Stress: how far the variations of a text move it, and which of them the encoder does not see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.assets import AssetError
from core.corpus.sentences import Sentences
from core.encoding.matrix import EmbeddingMatrix
from core.encoding.text_encoder import TextEncoder
from core.ranking.ranking import FIRST, Searcher, cosine_distance
from core.store.progress import Steps
from core.store.whole import write_json
from core.trust.variations import CONTROL, Variation, vary

_FORMAT = 1  # version of the file, and of how the threshold is measured
_CAPTIONS = 300  # asked for the threshold; it then varies by a few percent with the seed
_HARMLESS = ("article", "contraction")  # capital and stop are felt by cased vectors
_PERCENTILE = 95
_LEAST_CONTROL = 0.9


@dataclass(frozen=True, slots=True)
class Threshold:
    """How far harmless edits move the captions of a corpus."""

    distance: float
    """95th percentile of the cosine distances by which another article or a contraction moves a caption."""
    control: float
    """Share of the captions that another noun moves farther, 0..1."""

    @property
    def holds(self) -> bool:
        """Whether it can be claimed that a change is not seen: nearly all other nouns are."""
        return self.control >= _LEAST_CONTROL


@dataclass(frozen=True, slots=True)
class Moved:
    """What a variation did to a query."""

    variation: Variation
    distance: float | None
    """Cosine distance from the query; None where the variation has no known word."""
    unseen: bool | None
    """Whether it moved no farther than harmless edits do; None where that cannot be claimed."""
    overlap: int
    """Number of the query's first ten hits that are among those of the variation, the query itself left out."""


def measure_threshold(
    matrix: EmbeddingMatrix, texts: Sequence[str], text_encoder: TextEncoder
) -> Steps[Threshold | None]:
    """Measure how far harmless edits move the captions of a matrix, or read what an earlier call measured.

    Args:
        matrix: The matrix of N captions; its folder keeps the result.
        texts: The captions, (N,).
        text_encoder: What encoded them.

    Returns:
        None where the captions allow too few edits, or hold no noun that is known here.

    Raises:
        AssetError: The weights cannot be used, or not even one sentence fits on the device.
    """
    path = matrix.folder / "variations.json"
    if (known := _read(path)) is not None:
        return known
    wordless = set(matrix.sentences.wordless().tolist())
    rows = [row for row in np.random.default_rng(0).permutation(len(matrix)).tolist() if row not in wordless]
    asked = [texts[row] for row in rows[:_CAPTIONS]]
    pairs = [(i, each) for i, text in enumerate(asked) for each in vary(text) if each.kind in (*_HARMLESS, CONTROL)]
    embeddings = yield from _embed(text_encoder, [*asked, *(variation.text for _, variation in pairs)])
    moved = {
        is_control: [
            cosine_distance(embeddings[i], embeddings[len(asked) + j])
            for j, (i, variation) in enumerate(pairs)
            if (variation.kind == CONTROL) == is_control
        ]
        for is_control in (False, True)
    }
    if not moved[False] or not moved[True]:
        return None
    distance = float(np.percentile(moved[False], _PERCENTILE))
    threshold = Threshold(distance, float(np.mean(np.array(moved[True]) > distance)))
    with suppress(AssetError):  # a read-only cache: it is measured again next time
        write_json(path, {"format": _FORMAT} | asdict(threshold))
    return threshold


def stress(
    text: str,
    *,
    sentences: Sentences,
    searcher: Searcher,
    text_encoder: TextEncoder,
    threshold: Threshold | None,
) -> Steps[list[Moved]]:
    """Ask the variations of a text, by the encoder.

    Args:
        text: The text, which has a known word and is read literally.
        sentences: The token ids of the captions.
        searcher: Finds the nearest captions.
        text_encoder: What encoded them.
        threshold: What `measure_threshold` returned.

    Raises:
        AssetError: The weights cannot be used, or not even one sentence fits on the device.
    """
    variations, vocabulary = vary(text), text_encoder.vocabulary
    embeddings = yield from _embed(text_encoder, [text, *(variation.text for variation in variations)])
    same = set(sentences.find(vocabulary.look_up(text).ids).tolist())

    def first(embedding: NDArray[np.float32]) -> set[int]:
        rows = searcher.nearest(embedding, k=FIRST + len(same)).leading.rows.tolist()
        return set([row for row in rows if row not in same][:FIRST])

    moved, hits = list[Moved](), first(embeddings[0])
    for variation, embedding in zip(variations, embeddings[1:], strict=True):
        if len(vocabulary.look_up(variation.text).ids) <= 2:
            moved.append(Moved(variation, None, None, 0))
            continue
        distance = cosine_distance(embeddings[0], embedding)
        unseen = distance <= threshold.distance if threshold is not None and threshold.holds else None
        moved.append(Moved(variation, distance, unseen, len(hits & first(embedding))))
    return moved


def _embed(text_encoder: TextEncoder, texts: Sequence[str]) -> Steps[NDArray[np.float32]]:
    """Encode texts together, (N, D), not normalized, in float32 whatever the captions are encoded in."""
    ids = [text_encoder.vocabulary.look_up(text).ids for text in texts]
    distinct = {each.tobytes(): each for each in ids}
    encoded = yield from text_encoder.encode_together(list(distinct.values()))
    embeddings = dict(zip(distinct, (each.embedding for each in encoded), strict=True))
    return np.stack([embeddings[each.tobytes()] for each in ids])


def _read(path: Path) -> Threshold | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] == _FORMAT:
            return Threshold(float(document["distance"]), float(document["control"]))
    except (OSError, ValueError, LookupError, TypeError):
        pass
    return None
