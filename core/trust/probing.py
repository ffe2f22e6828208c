"""Probing: ask the corpus test queries with known answers, as the data for a calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from core.ranking.search import Nearest, nearest_together
from core.store.progress import Progress, Steps, follow
from core.trust.foreign import cut_foreign
from core.trust.learning import Asked, Measured
from core.trust.probes import Probe, cut_probes
from core.trust.signals import HITS, NAMES, SignalMeter

MIN_CAPTIONS = 50
"""Least number of captions with known words for a calibration."""
_SOURCES = 1200  # source captions, each also asked whole: enough to estimate a false-alarm rate of 2 %
_PER_LENGTH = 320  # queries per kind and length
_MARKS_SAMPLE = 48  # whole captions whose maxima are measured, one encoding each
_HUB_SAMPLE = 1000  # captions whose first ten hits are counted to find the hubs
_RANDOM_CAPTIONS = 512  # random captions to which the distance of every query is measured
_HUB_DEVIATIONS = 3.0  # a hub's count of first tens is this many standard deviations above the mean
_HUB_LEAST = 5  # and at least this: in a large corpus a count of two happens by chance
_QUERIES_PER_STEP = 16  # between two progress reports


class AnsweredProbes(NamedTuple):
    """Q test queries, and the hits of every method without the source captions."""

    probes: list[Probe]
    """The queries as cut."""
    queries: list[Query]
    """The same queries, ready for every method."""
    sources: NDArray[np.int64]
    """Source caption of each query, (Q,)."""
    embeddings: NDArray[np.float32]
    """Unit embeddings, (Q, D)."""
    lists: Lists
    """Hits by method."""


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
    """Cut test queries from at most `most_sources` captions and answer each by every method without its source caption.

    `most` limits the queries per kind and length; `images` is None where there are too few (`Images.suffice`).

    Raises:
        AssetError: The device has too little memory for even one query.
    """
    vocabulary = text_encoder.vocabulary
    probes = cut_probes(matrix.sentences, vocabulary, images, random, most_sources=most_sources, most=most)
    sources = np.array([each.source for each in probes])  # (Q,)
    sentences, embeddings = yield from _encode(probes, text_encoder)  # (Q, D)
    queries = [
        Query(text=text, literal=text, ids=sentences[i], embedding=embeddings[i])
        for i, text in enumerate(" ".join(each.tokens) for each in probes)
    ]
    device = str(text_encoder.sentence_encoder.device)
    lists = yield from rankers.find_many(queries, embeddings, sources, device=device)
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
    """Ask test queries and measure their signals and success; `seed` determines every choice.

    `images` is None where the captions have no image groups, or too few (`Images.suffice`).

    Raises:
        AssetError: The device has too little memory for even one query.
    """
    random = np.random.default_rng(seed)
    answered = yield from answer_probes(
        *(matrix, rankers, text_encoder), images=images, random=random, most_sources=_SOURCES, most=_PER_LENGTH
    )
    probes, queries, sources, embeddings, lists = answered
    nearest = Nearest(lists.rows["infersent"], lists.cosines)
    signals = yield from _signals(probes, embeddings, nearest, lists.stems.__getitem__, meter=meter, leave_out=sources)
    foreign = yield from _foreign(matrix, text_encoder, meter=meter, random=np.random.default_rng(seed))
    success = yield from _success(lists.rows, sources, probes, images)
    device = text_encoder.sentence_encoder.device
    hubs = yield from _hubs(matrix, random, device)
    shares = yield from _marks_shares(probes, queries, text_encoder)
    drawn = _draw(matrix, _RANDOM_CAPTIONS, random)  # (R,)
    distances = 1 - embeddings @ matrix.rows[drawn].astype(np.float32).T  # (Q, R)
    distances[sources[:, None] == drawn] = np.nan  # (Q, R)
    yield Progress("calibrating: random pairs", len(probes), len(probes), "queries")
    _, groups = np.unique(images.of[sources] if images is not None else sources, return_inverse=True)  # (Q,)
    half = random.permutation(int(groups.max()) + 1) % 2  # (images,); an image is held out as a whole
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
        foreign=foreign,
    )


def _signals(
    probes: Sequence[Probe],
    embeddings: NDArray[np.float32],
    nearest: Nearest,
    stems: Callable[[int], list[str]],
    *,
    meter: SignalMeter,
    leave_out: NDArray[np.int64],
) -> Steps[NDArray[np.float64]]:
    """Measure the signals of Q test queries by their nearest captions; (Q, S). `leave_out` has -1 for none, (Q,).

    `stems` returns the stems of a query by its number.
    """
    signals = np.empty((len(probes), len(NAMES)))  # (Q, S)
    for i, each in enumerate(probes):
        cosines = nearest.cosines[i, :HITS]  # (HITS,)
        found = np.isfinite(cosines)  # (HITS,)
        signals[i] = meter.measure(
            embeddings[i],
            known=len(each.ids),
            stems=stems(i),
            hits=nearest.rows[i, : len(cosines)][found],
            cosines=cosines[found],
            leave_out=int(leave_out[i]),
        ).array()
        if i % _QUERIES_PER_STEP == 0:
            yield Progress("calibrating: signals", i, len(probes), "queries")
    return signals


def _search(
    queries: NDArray[np.float32],
    matrix: EmbeddingMatrix,
    *,
    k: int,
    leave_out: NDArray[np.int64],
    device: torch.device,
    name: str,
) -> Steps[Nearest]:
    """Find the k nearest captions of unit queries, (Q, D)."""
    work = nearest_together(
        queries, matrix.rows, k=k, leave_out=leave_out, excluded=matrix.sentences.wordless(), device=device
    )
    return (yield from follow(work, lambda step: Progress(f"calibrating: {name}", step.done, len(queries), "queries")))


def _foreign(
    matrix: EmbeddingMatrix, text_encoder: TextEncoder, *, meter: SignalMeter, random: np.random.Generator
) -> Steps[Asked]:
    """Ask queries that have nothing to do with the corpus, and measure their signals."""
    probes = cut_foreign(matrix.sentences, text_encoder.vocabulary, random)
    signals = np.empty((0, len(NAMES)))  # (F, S)
    if probes:
        nobody = np.full(len(probes), -1)  # (F,)
        _, embeddings = yield from _encode(probes, text_encoder)  # (F, D)
        device = text_encoder.sentence_encoder.device
        nearest = yield from _search(
            embeddings, matrix, k=HITS, leave_out=nobody, device=device, name="foreign sentences"
        )

        def stems(i: int) -> list[str]:
            return meter.bm25.stems(" ".join(probes[i].tokens))

        signals = yield from _signals(probes, embeddings, nearest, stems, meter=meter, leave_out=nobody)
    return Asked(
        lengths=np.array([each.length for each in probes], np.int64),
        known=np.array([len(each.ids) for each in probes], np.int64),
        content=np.array([each.content for each in probes], np.int64),
        held_out=np.array([each.source % 2 == 1 for each in probes], bool),
        signals=signals,
    )


def _encode(probes: Sequence[Probe], text_encoder: TextEncoder) -> Steps[tuple[Sentences, NDArray[np.float32]]]:
    """Encode Q test queries; return their token ids, and their unit embeddings, (Q, D)."""
    vocabulary, encoder = text_encoder.vocabulary, text_encoder.sentence_encoder
    first, last = vocabulary.marks.tolist()
    sentences = Sentences.joined([np.array([first, *each.ids, last], np.int32) for each in probes])
    embeddings = np.empty((len(probes), encoder.dim), np.float32)  # (Q, D)
    yield from embed_sentences(
        *(sentences, vocabulary.vectors, encoder, embeddings), stage="calibrating: encoding queries", unit="queries"
    )
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)  # (Q, D)
    return sentences, embeddings


def _success(
    lists: dict[Method, NDArray[np.int64]], sources: NDArray[np.int64], probes: list[Probe], images: Images | None
) -> Steps[dict[Method, NDArray[np.bool_]]]:
    """Determine by method which queries succeeded, (Q,)."""
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
    """Find the captions that far more captions than usual have among their first ten hits (Radovanovic et al. 2010)."""
    sample = _draw(matrix, _HUB_SAMPLE, random)  # (n,)
    queries = matrix.rows[sample].astype(np.float32)  # (n, D)
    nearest = yield from _search(queries, matrix, k=FIRST, leave_out=sample, device=device, name="hubs")
    counts = np.bincount(nearest.rows.ravel(), minlength=len(matrix))  # (N,)
    usual = counts.mean() + _HUB_DEVIATIONS * counts.std()
    return np.flatnonzero(counts >= max(usual, _HUB_LEAST)).astype(np.int32)  # (hubs,)


def _draw(matrix: EmbeddingMatrix, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Draw `count` random captions with known words, or all if there are fewer; ascending."""
    known = np.setdiff1d(np.arange(len(matrix)), matrix.sentences.wordless())  # (captions with known words,)
    return np.sort(random.permutation(known)[:count])


def _marks_shares(probes: list[Probe], queries: list[Query], text_encoder: TextEncoder) -> Steps[NDArray[np.float64]]:
    """Measure the sentence marks' share of the maxima for some whole captions; nan for other queries; (Q,)."""
    shares = np.full(len(probes), np.nan)  # (Q,)
    sample = [i for i, each in enumerate(probes) if each.kind == "whole"][:_MARKS_SAMPLE]
    for done, i in enumerate(sample):
        importance = text_encoder.encode(queries[i].ids).importance  # (T,)
        shares[i] = importance[0] + importance[-1]
        yield Progress("calibrating: sentence marks", done, len(sample), "queries")
    return shares


def _chance(n: int, images: Images | None, sources: NDArray[np.int64]) -> float:
    """Compute the probability that ten random captions are a success."""
    if images is None:
        return 0.0
    siblings = images.sizes[images.of[sources]] - 1  # (Q,)
    return float((1 - (1 - siblings / max(1, n - 1)) ** FIRST).mean())
