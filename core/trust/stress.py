"""Stress: how far the variations of a text move it, and which of them the encoder does not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.assets import AssetError
from core.corpus.sentences import Sentences
from core.encoding.matrix import EmbeddingMatrix
from core.encoding.text_encoder import TextEncoder
from core.query import Query
from core.ranking.lexical import BM25
from core.ranking.methods import Method
from core.ranking.rankers import Lists, Rankers
from core.ranking.ranking import FIRST, Ranking, Searcher, cosine_distance
from core.store.progress import Progress, Steps, follow
from core.store.whole import read_json, write_json
from core.trust.variations import CONTROL, KINDS, MOST_WORDS, Kind, Variation, vary

_FORMAT = 2  # version of the file, and of how the threshold is measured
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
    """What a variation did to a text."""

    variation: Variation
    distance: float | None
    """Cosine distance from the text; None where the variation has no known word."""
    unseen: bool | None
    """Whether it moved no farther than harmless edits do; None where that cannot be claimed."""
    hits: Ranking
    """Its first ten hits, without copies of the text; none where it has no known word."""
    overlap: int
    """Number of these that are among the first ten hits of the text, too."""


@dataclass(frozen=True, slots=True)
class Stressed:
    """A text with what its variations did to it."""

    text: str
    threshold: Threshold | None
    """How far harmless edits move captions; None where these allow too few edits."""
    hits: Ranking
    """The first ten hits of the text, without its copies."""
    moved: tuple[Moved, ...]


def measure_threshold(
    matrix: EmbeddingMatrix, texts: Sequence[str], text_encoder: TextEncoder
) -> Steps[Threshold | None]:
    """Measure how far harmless edits move the captions of a matrix, or read what an earlier call measured.

    The captions are those of `drawn`: a long one would take as long as hundreds of others.

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
    with suppress(OSError, ValueError, LookupError, TypeError):  # not there, damaged, or of another format
        return _read(path)
    asked = [texts[row] for row in drawn(matrix)]
    pairs = [(i, each) for i, text in enumerate(asked) for each in vary(text) if each.kind in (*_HARMLESS, CONTROL)]
    ids = _look_up(text_encoder, [*asked, *(variation.text for _, variation in pairs)])
    embeddings = yield from _embed(text_encoder, ids, stage="measuring harmless edits of captions")
    distances = [cosine_distance(embeddings[i], embeddings[len(asked) + j]) for j, (i, _) in enumerate(pairs)]
    threshold = _threshold(np.array(distances), np.array([variation.kind for _, variation in pairs]))
    with suppress(AssetError):  # a read-only cache: it is measured again next time
        write_json(path, {"format": _FORMAT, "threshold": None if threshold is None else asdict(threshold)})
    return threshold


def stress(
    text: str,
    *,
    sentences: Sentences,
    searcher: Searcher,
    text_encoder: TextEncoder,
    threshold: Threshold | None,
) -> Steps[Stressed]:
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
    variations = vary(text)
    ids = _look_up(text_encoder, [text, *(variation.text for variation in variations)])
    kept = [  # without omissions of words that are unknown, and left out anyway
        i for i, each in enumerate(variations, 1) if each.kind != "omission" or not np.array_equal(ids[i], ids[0])
    ]
    variations, ids = [variations[i - 1] for i in kept], [ids[0], *(ids[i] for i in kept)]
    embeddings = yield from _embed(text_encoder, ids, stage="encoding variations")
    same = sentences.find(ids[0])  # (n,)

    def first(embedding: NDArray[np.float32]) -> Ranking:
        leading = searcher.nearest(embedding, k=FIRST + len(same)).leading
        return leading.at(np.flatnonzero(~np.isin(leading.rows, same))[:FIRST].astype(np.int32))

    moved, hits = list[Moved](), first(embeddings[0])
    for i, variation in enumerate(variations, 1):
        yield Progress("asking variations", i - 1, len(variations), "variations")
        if len(ids[i]) <= 2:
            moved.append(Moved(variation, None, None, Ranking.empty(), 0))
            continue
        distance, theirs = cosine_distance(embeddings[0], embeddings[i]), first(embeddings[i])
        unseen = distance <= threshold.distance if threshold is not None and threshold.holds else None
        moved.append(Moved(variation, distance, unseen, theirs, len(np.intersect1d(hits.rows, theirs.rows))))
    return Stressed(text, threshold, hits, tuple(moved))


def drawn(matrix: EmbeddingMatrix) -> list[int]:
    """Draw the captions whose variations are asked: always the same, and different texts of at most `MOST_WORDS`.

    They have a known word; words are counted as known tokens.
    """
    rows, lengths = matrix.sentences.distinct(), np.diff(matrix.sentences.starts)  # (texts,), (N,)
    rows = rows[lengths[rows] - 2 <= MOST_WORDS]  # (R,), without the marks
    found: list[int] = np.random.default_rng(0).permutation(rows)[:_CAPTIONS].tolist()
    return found


def _look_up(text_encoder: TextEncoder, texts: Sequence[str]) -> list[NDArray[np.int32]]:
    return [text_encoder.vocabulary.look_up(text).ids for text in texts]


def _embed(text_encoder: TextEncoder, ids: Sequence[NDArray[np.int32]], *, stage: str) -> Steps[NDArray[np.float32]]:
    """Encode token ids together, (N, D), not normalized, in float32 whatever the captions are encoded in."""
    encoded = yield from follow(
        text_encoder.encode_together(ids), lambda step: Progress(stage, step.done, step.total, "texts")
    )
    return np.stack([each.embedding for each in encoded])


def _read(path: Path) -> Threshold | None:
    """Read what was measured before.

    Raises:
        OSError, ValueError, LookupError, TypeError: There is no such file, or it is damaged or of another format.
    """
    document = read_json(path)
    if document["format"] != _FORMAT:
        raise ValueError(f"{path} has another format")
    measured = document["threshold"]
    return None if measured is None else Threshold(float(measured["distance"]), float(measured["control"]))


@dataclass(frozen=True, slots=True)
class Figures:
    """What one method makes of the variations of one kind."""

    unseen: float | None
    """Share that is unseen, 0..1: moved no farther than harmless edits are, by `bm25` not at all. None for `fused`, and
    where it cannot be claimed."""
    median_distance: float | None
    """None for methods with scores."""
    overlap_at_10: float
    """Mean number of the first ten hits that stay."""


@dataclass(frozen=True, slots=True)
class Table:
    """How each kind of variation moves captions, by each method."""

    captions: int
    """Number of captions whose variations were asked."""
    thresholds: Mapping[Method, Threshold | None]
    """How far harmless edits move the captions by each method; None without such edits, and for scores."""
    applies: Mapping[Kind, int]
    """Number of captions that have variations of a kind."""
    figures: Mapping[Kind, Mapping[Method, Figures]]


def stress_corpus(
    matrix: EmbeddingMatrix, texts: Sequence[str], rankers: Rankers, text_encoder: TextEncoder, *, device: str
) -> Steps[Table]:
    """Ask the variations of some captions by every method; copies of a caption are no hits for its variations.

    Raises:
        AssetError: The weights cannot be used, or not even one sentence or query fits on the device.
    """
    rows = drawn(matrix)
    n = len(rows)
    pairs = [(i, each) for i, row in enumerate(rows) for each in vary(texts[row])]
    changed = _look_up(text_encoder, [variation.text for _, variation in pairs])
    known = [j for j, ids in enumerate(changed) if len(ids) > 2]
    of = np.array([pairs[j][0] for j in known], np.int64)  # (M,), each variation's caption
    kinds = np.array([pairs[j][1].kind for j in known])  # (M,)
    asked = [*(texts[row] for row in rows), *(pairs[j][1].text for j in known)]
    ids = [*_look_up(text_encoder, asked[:n]), *(changed[j] for j in known)]
    embeddings = yield from _embed(text_encoder, ids, stage="encoding variations of captions")
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)  # (n + M, D)
    queries = [Query(text=text, literal=text, ids=each) for text, each in zip(asked, ids, strict=True)]
    copies = matrix.sentences.copies(rows)
    leave_out = [*copies, *(copies[i] for i in of.tolist())]
    lists = yield from rankers.find_many(queries, embeddings, leave_out, device=device, doing="asking variations")
    moves = {method: _move(lists, of, method, rankers.lexical.bm25, n) for method in lists.rows}
    thresholds = {method: _threshold(each.distances, kinds) for method, each in moves.items()}
    found = {kind: np.flatnonzero(kinds == kind) for kind in KINDS}
    return Table(
        captions=n,
        thresholds=thresholds,
        applies={kind: len(np.unique(of[places])) for kind, places in found.items()},
        figures={
            kind: {method: _figures(each, places, thresholds[method]) for method, each in moves.items()}
            for kind, places in found.items()
            if len(places)
        },
    )


class _Moves(NamedTuple):
    distances: NDArray[np.float64] | None  # (M,), None for scores
    same: NDArray[np.bool_] | None  # (M,), whether the first hundred hits have equal scores; None but for bm25
    overlaps: NDArray[np.int64]  # (M,)


def _move(lists: Lists, of: NDArray[np.int64], method: Method, bm25: BM25, n: int) -> _Moves:
    """Compare M variations by one method with their captions, which are the first n queries."""
    rows = lists.rows[method]  # (n + M, K)
    first = [set(hits[hits >= 0].tolist()) for hits in rows[:, :FIRST]]
    overlaps = np.array([len(first[n + j] & first[i]) for j, i in enumerate(of.tolist())])  # (M,)
    if method == "bm25":
        same = (rows[n:] == rows[of]).all(axis=1)  # (M,)
        for j in np.flatnonzero(same).tolist():
            stems, others, hits = lists.stems[n + j], lists.stems[of[j]], rows[of[j]]
            if set(stems) != set(others):
                hits = hits[hits >= 0]  # (k,)
                same[j] = (bm25.scores(stems)[hits] == bm25.scores(others)[hits]).all()
        return _Moves(None, same, overlaps)
    vectors = lists.vectors.get(method)
    if vectors is None:
        return _Moves(None, None, overlaps)
    cosines = np.einsum("md,md->m", vectors[n:].astype(np.float64), vectors[of].astype(np.float64))  # (M,)
    return _Moves(np.maximum(0, 1 - cosines), None, overlaps)


def _threshold(distances: NDArray[np.float64] | None, kinds: NDArray[np.str_]) -> Threshold | None:
    if distances is None:
        return None
    known = np.isfinite(distances)  # (M,)
    harmless, others = np.isin(kinds, _HARMLESS) & known, (kinds == CONTROL) & known  # (M,), (M,)
    if not harmless.any() or not others.any():
        return None
    distance = float(np.percentile(distances[harmless], _PERCENTILE))
    return Threshold(distance, float((distances[others] > distance).mean()))


def _figures(moves: _Moves, places: NDArray[np.int64], threshold: Threshold | None) -> Figures:
    overlap = float(moves.overlaps[places].mean())
    if moves.distances is None:
        return Figures(None if moves.same is None else float(moves.same[places].mean()), None, overlap)
    distances = moves.distances[places]  # (m,)
    distances = distances[np.isfinite(distances)]
    if not len(distances):
        return Figures(None, None, overlap)
    holds = threshold is not None and threshold.holds
    unseen = float((distances <= threshold.distance).mean()) if threshold is not None and holds else None
    return Figures(unseen, float(np.median(distances)), overlap)
