"""Probing: ask the corpus queries whose answers are known, cut from its own captions, for a calibration."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from core.corpus.images import Images
from core.corpus.sentences import Sentences
from core.encoding.building import embed_sentences
from core.encoding.matrix import EmbeddingMatrix
from core.encoding.text_encoder import TextEncoder
from core.query import Query
from core.ranking.methods import METHODS, Method
from core.ranking.rankers import Lists, Rankers
from core.ranking.ranking import FIRST
from core.ranking.search import nearest_together
from core.store.progress import Progress, Steps, follow
from core.trust.learning import Measured
from core.trust.probes import Probe, cut_probes
from core.trust.signals import HITS, NAMES, SignalMeter

LEAST_CAPTIONS = 50
"""Captions with known words that it takes to measure anything."""
_SOURCES = 1200  # source captions, each also asked whole: enough to estimate a false-alarm rate of 2 %
_EACH = 320  # queries of a kind and length
_LOOKED_AT = 48  # whole captions whose maxima are looked at, one by one
_SAMPLED = 1000  # captions whose first ten hits are counted, to find the hubs
_RANDOM = 512  # captions drawn at random, to which the distance of every query is measured
_HUB_DEVIATIONS = 3.0  # standard deviations above the mean number of first tens that a caption is in
_HUB_LEAST = 5  # first tens that a hub is in at least: in a large corpus two happen by chance
_QUERIES_PER_STEP = 16  # between two reports of progress


class AnsweredProbes(NamedTuple):
    """Q test queries, and what every method found for them without their own captions."""

    probes: list[Probe]
    """The queries as they were cut."""
    queries: list[Query]
    """The same, ready for every method."""
    sources: NDArray[np.int64]
    """The caption that each is cut from, (Q,)."""
    embeddings: NDArray[np.float32]
    """Unit rows, (Q, D)."""
    lists: Lists
    """What was found."""


def answer_probes(
    matrix: EmbeddingMatrix,
    rankers: Rankers,
    text_encoder: TextEncoder,
    *,
    images: Images | None,
    random: np.random.Generator,
    most_sources: int,
    most: int,
) -> Steps[AnsweredProbes]:
    """Cut queries from captions and answer them by every method without their caption.

    Args:
        matrix: The captions' embeddings, (N, D).
        rankers: The methods.
        text_encoder: Encodes the queries.
        images: The captions' image groups; None where there are none, or too few (`Images.suffice`).
        random: Makes every choice.
        most_sources: At most how many captions queries are cut from.
        most: At most how many queries of a kind and length.

    Raises:
        AssetError: The device has too little memory for even one query.
    """
    vocabulary, encoder = text_encoder.vocabulary, text_encoder.sentence_encoder
    probes = cut_probes(matrix.sentences, vocabulary, images, random, most_sources=most_sources, most=most)
    sources = np.array([each.source for each in probes])  # (Q,)
    first, last = vocabulary.marks.tolist()
    sentences = Sentences.joined([np.array([first, *each.ids, last], np.int32) for each in probes])
    embeddings = np.empty((len(probes), encoder.dim), np.float32)  # (Q, D)
    yield from embed_sentences(
        *(sentences, vocabulary.vectors, encoder, embeddings), stage="calibrating: encoding queries", unit="queries"
    )
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    queries = [
        Query(text=text, literal=text, ids=sentences[i], embedding=embeddings[i])
        for i, text in enumerate(" ".join(each.tokens) for each in probes)
    ]
    lists = yield from rankers.find_many(queries, embeddings, sources, device=str(encoder.device))
    return AnsweredProbes(probes, queries, sources, embeddings, lists)


def probe(
    matrix: EmbeddingMatrix,
    rankers: Rankers,
    text_encoder: TextEncoder,
    *,
    meter: SignalMeter,
    images: Images | None,
    seed: int = 0,
) -> Steps[Measured]:
    """Ask queries whose answers are known, and note whether the answers are right.

    Args:
        matrix: The captions' embeddings, (N, D).
        rankers: The methods.
        text_encoder: Encodes the queries.
        meter: Measures their signals.
        images: The captions' image groups; None where there are none, or too few (`Images.suffice`).
        seed: Decides every choice.

    Raises:
        AssetError: The device has too little memory for even one query.
    """
    random = np.random.default_rng(seed)
    answered = yield from answer_probes(
        *(matrix, rankers, text_encoder), images=images, random=random, most_sources=_SOURCES, most=_EACH
    )
    probes, queries, sources, embeddings, lists = answered
    signals = np.empty((len(probes), len(NAMES)))  # (Q, S)
    for i, each in enumerate(probes):
        hits = lists.rows["infersent"][i, :HITS]  # (20,)
        there = hits >= 0
        signals[i] = meter.measure(
            embeddings[i],
            known=queries[i].known,
            stems=lists.stems[i],
            hits=hits[there],
            cosines=lists.cosines[i, :HITS][there],
            leave_out=each.source,
        ).array()
        if i % _QUERIES_PER_STEP == 0:
            yield Progress("calibrating: signals", i, len(probes), "queries")
    success = yield from _success(lists.rows, sources, probes, images)
    device = text_encoder.sentence_encoder.device
    hubs = yield from _hubs(matrix, random, device)
    shares = yield from _marks_shares(probes, queries, text_encoder)
    drawn = _draw(matrix, _RANDOM, random)
    distances = 1 - embeddings @ matrix.rows[drawn].astype(np.float32).T  # (Q, R)
    distances[sources[:, None] == drawn] = np.nan
    yield Progress("calibrating: random pairs", len(probes), len(probes), "queries")
    _, groups = np.unique(images.of[sources] if images is not None else sources, return_inverse=True)  # (Q,)
    half = random.permutation(int(groups.max()) + 1) % 2  # whole images are held out, a half of them
    return Measured(
        kinds=np.array([each.kind for each in probes]),
        lengths=np.array([each.length for each in probes]),
        known=np.array([query.known for query in queries]),
        content=np.array([each.content for each in probes]),
        extra=np.array([each.extra for each in probes]),
        held_out=half[groups] == 1,
        signals=signals,
        marks=shares,
        success=success,
        random_distances=distances,
        hubs=hubs,
        captions=len(matrix),
        chance=_chance(len(matrix), images, sources),
        by_images=images is not None,
    )


def _success(
    lists: dict[Method, NDArray[np.int64]], sources: NDArray[np.int64], probes: list[Probe], images: Images | None
) -> Steps[dict[Method, NDArray[np.bool_]]]:
    """Tell which queries succeeded, by method; (Q,)."""
    success = {}
    whole = {each.source: i for i, each in enumerate(probes) if each.kind == "whole"}
    for method in METHODS:
        first = lists[method][:, :FIRST]  # (Q, 10)
        if images is not None:
            success[method] = ((images.of[first] == images.of[sources][:, None]) & (first >= 0)).any(axis=1)
        else:
            other = first[[whole[source] for source in sources.tolist()]]  # (Q, 10)
            shared = ((first[:, :, None] == other[:, None, :]) & (first >= 0)[:, :, None]).any(axis=2).sum(axis=1)
            success[method] = shared >= FIRST / 2
        yield Progress("calibrating: success", len(success), len(METHODS), "methods")
    return success


def _hubs(matrix: EmbeddingMatrix, random: np.random.Generator, device: torch.device) -> Steps[NDArray[np.int32]]:
    """Find the captions that are among the first ten of far more captions than others are (Radovanovic et al. 2010)."""
    sample = _draw(matrix, _SAMPLED, random)  # (S,)
    queries = matrix.rows[sample].astype(np.float32)  # (S, D)
    excluded = matrix.sentences.wordless()
    nearest = yield from follow(
        nearest_together(queries, matrix.rows, k=FIRST, leave_out=sample, excluded=excluded, device=device),
        lambda step: Progress("calibrating: hubs", step.done, len(queries), "queries"),
    )
    counts = np.bincount(nearest.rows.ravel(), minlength=len(matrix))  # (N,)
    usual = counts.mean() + _HUB_DEVIATIONS * counts.std()
    return np.flatnonzero(counts >= max(usual, _HUB_LEAST)).astype(np.int32)


def _draw(matrix: EmbeddingMatrix, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Draw captions with known words, ascending; (count,), or all there are."""
    known = np.setdiff1d(np.arange(len(matrix)), matrix.sentences.wordless())
    return np.sort(random.permutation(known)[:count])


def _marks_shares(probes: list[Probe], queries: list[Query], text_encoder: TextEncoder) -> Steps[NDArray[np.float64]]:
    """Measure the marks' share of the maxima for some whole captions; nan for all other queries; (Q,)."""
    shares = np.full(len(probes), np.nan)
    looked_at = [i for i, each in enumerate(probes) if each.kind == "whole"][:_LOOKED_AT]
    for done, i in enumerate(looked_at):
        importance = text_encoder.encode(queries[i].ids).importance  # (T,)
        shares[i] = importance[0] + importance[-1]
        yield Progress("calibrating: sentence marks", done, len(looked_at), "queries")
    return shares


def _chance(n: int, images: Images | None, sources: NDArray[np.int64]) -> float:
    """Compute how often ten captions drawn at random would be a success."""
    if images is None:
        return 0.0
    siblings = images.sizes[images.of[sources]] - 1  # (Q,)
    return float((1 - (1 - siblings / max(1, n - 1)) ** FIRST).mean())
