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
from core.query import Query, Token
from core.ranking.arithmetic import weighted_sum
from core.ranking.lexical import BM25
from core.ranking.methods import Method
from core.ranking.rankers import Lists, Rankers
from core.ranking.ranking import FIRST
from core.ranking.search import Nearest
from core.store.progress import Progress, Steps
from core.trust.all_captions import TOGETHER, AllCaptions, InMemory, search_together
from core.trust.confirmation import EVIDENCE, confirm, content_stems, evidence
from core.trust.domain import commonness_of
from core.trust.foreign import cut_foreign
from core.trust.measured import Asked, Measured
from core.trust.probes import Probe, cut_probes, cut_sums, groups_of
from core.trust.signals import HITS, NAMES, NOTHING

MIN_CAPTIONS = 50
"""Least number of captions with known words for a calibration."""
MOST_CAPTIONS = 25_000
"""Success is measured among about this many captions at most, so that it does not sink as corpora grow."""
_SLIGHTLY_MORE = 1.1  # times that many are measured among all: a sample of nearly all would only cost time
_SOURCES = 1200  # source captions, each also asked whole: enough to estimate a false-alarm rate of 2 %
_PER_LENGTH = 320  # queries per kind and length
_SUMS = 200
_HUB_SAMPLE = 1000  # captions whose first ten hits are counted to find the hubs
_RANDOM_CAPTIONS = 512  # random captions to which the distance of every query is measured
_HUB_DEVIATIONS = 3.0  # a hub's count of first tens is this many standard deviations above the mean
_HUB_LEAST = 5  # and at least this: in a large corpus a count of two happens by chance


class AnsweredProbes(NamedTuple):
    """Q test queries, and the hits of every method without the source captions and their copies."""

    probes: list[Probe]
    """The queries as cut."""
    queries: list[Query]
    """The same queries, ready for every method."""
    sources: NDArray[np.int64]
    """Source caption of each query, (Q,)."""
    leave_out: list[NDArray[np.int64]]
    """Source caption and its copies of each query, which are not searched."""
    embeddings: NDArray[np.float32]
    """Unit embeddings, (Q, D)."""
    lists: Lists
    """Hits by method."""
    among: NDArray[np.int64] | None
    """The captions that were searched, ascending; None for all."""


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
    """Cut test queries from at most `most_sources` captions and answer each by every method.

    In a corpus of more than `MOST_CAPTIONS` captions, a sample of whole images is searched. `most` limits the queries
    per kind and length; `images` is None where there are too few (`Images.suffice`).

    Raises:
        AssetError: The device has too little memory for even one query.
    """
    among = _sample(len(matrix), images, random)
    parts = (matrix.sentences, text_encoder.vocabulary, images, random)
    probes = cut_probes(*parts, among=among, most_sources=most_sources, most=most)
    sources = np.array([each.source for each in probes])  # (Q,)
    leave_out = matrix.sentences.copies(sources.tolist())
    sentences, embeddings = yield from _encode(probes, text_encoder)  # (Q, D)
    queries = [
        Query(text=text, literal=text, ids=sentences[i], embedding=embeddings[i])
        for i, text in enumerate(" ".join(each.tokens) for each in probes)
    ]
    device = str(text_encoder.sentence_encoder.device)
    lists = yield from rankers.find_many(queries, embeddings, leave_out, device=device, among=among)
    return AnsweredProbes(probes, queries, sources, leave_out, embeddings, lists, among)


def probe(
    matrix: EmbeddingMatrix,
    rankers: Rankers,
    text_encoder: TextEncoder,
    *,
    everything: AllCaptions,
    images: Images | None,
    seed: int = 0,
) -> Steps[Measured]:
    """Ask test queries and measure their signals and success; `seed` determines every choice.

    Success is measured in `matrix`, or in a part of it; signals are those of hits among `everything`, of which it may
    be a part. `images` is None where the captions have no image groups, or too few (`Images.suffice`).

    Raises:
        AssetError: The device has too little memory for even one query.
    """
    random = np.random.default_rng(seed)
    answered = yield from answer_probes(
        *(matrix, rankers, text_encoder), images=images, random=random, most_sources=_SOURCES, most=_PER_LENGTH
    )
    probes, sources, embeddings, lists = answered.probes, answered.sources, answered.embeddings, answered.lists
    device = text_encoder.sentence_encoder.device
    lists.vectors.clear()  # they are large
    nearest = Nearest(lists.rows["infersent"], lists.cosines)
    if answered.among is not None or not isinstance(everything, InMemory):  # as the user sees them
        left_out = answered.leave_out
        nearest = yield from everything.nearest(embeddings, left_out, k=HITS, device=device, name="all captions")
    groups = groups_of(sources, matrix.sentences, images)  # (Q,)
    stems = lists.stems.__getitem__
    seen = (groups, embeddings, nearest, stems)
    asked = yield from _look(probes, matrix.sentences, *seen, everything=everything, leave_out=answered.leave_out)
    parts = (matrix.sentences, text_encoder, everything, rankers.lexical.bm25)
    foreign, foreign_probes = yield from _foreign(*parts, random=np.random.default_rng(seed))
    success = yield from _success(lists.rows, sources, probes, images)
    hubs = yield from _hubs(matrix, random, device)
    drawn = _draw(matrix, _RANDOM_CAPTIONS, random)  # (R,)
    distances = np.maximum(1 - embeddings @ matrix.rows[drawn].astype(np.float32).T, 0)  # (Q, R)
    distances[sources[:, None] == drawn] = np.nan  # (Q, R)
    yield Progress("calibrating: pairs", len(probes), len(probes), "queries")
    parts_of_sums = (matrix.sentences, text_encoder, everything)
    sums = yield from _sums(probes, *parts_of_sums, random=np.random.default_rng(seed), of_captions=True)
    foreign_sums = yield from _sums(
        foreign_probes, *parts_of_sums, random=np.random.default_rng(seed), of_captions=False
    )
    captions = len(matrix) if answered.among is None else len(answered.among)
    return Measured(
        **{name: getattr(asked, name) for name in Asked.__slots__},
        kinds=np.array([each.kind for each in probes]),
        extra=np.array([each.extra for each in probes]),
        success=success,
        random_distances=distances,
        hubs=hubs,
        captions=captions,
        chance=_chance(captions, images, sources),
        by_images=images is not None,
        foreign=foreign,
        sums=sums,
        foreign_sums=foreign_sums,
    )


def _sample(n: int, images: Images | None, random: np.random.Generator) -> NDArray[np.int64] | None:
    """Draw whole images, or captions where there are none, up to `MOST_CAPTIONS`; None where all fit."""
    if n <= _SLIGHTLY_MORE * MOST_CAPTIONS:
        return None
    if images is None:
        return np.sort(random.permutation(n)[:MOST_CAPTIONS])
    order = random.permutation(len(images.sizes))  # (I,)
    order = order[np.argsort(images.sizes[order] < 2, kind="stable")]  # those that can be found by others first
    sizes, chosen, left = np.bincount(images.of), np.zeros(len(order), bool), MOST_CAPTIONS  # (I,), (I,)
    for image in order.tolist():
        if sizes[image] <= left:
            chosen[image] = True
            left -= int(sizes[image])
    return np.flatnonzero(chosen[images.of])


def _look(
    probes: Sequence[Probe],
    sentences: Sentences,
    groups: NDArray[np.integer],
    embeddings: NDArray[np.float32],
    nearest: Nearest,
    stems: Callable[[int], list[str]],
    *,
    everything: AllCaptions,
    leave_out: Sequence[NDArray[np.int64]],
) -> Steps[Asked]:
    """Measure the signals of Q test queries by their nearest captions, and count confirmed ones.

    `stems` returns the stems of a query by its number. A query without hits, where all captions are copies, gets zeros.
    """
    signals, seen = np.zeros((len(probes), len(NAMES))), np.zeros((len(probes), EVIDENCE))  # (Q, S), (Q, 4)
    attainable, commonness = np.zeros(len(probes), np.int64), np.zeros(len(probes))  # (Q,), (Q,)
    is_hit = np.isfinite(nearest.cosines[:, :HITS])  # (Q, HITS)
    rows = nearest.rows[:, : is_hit.shape[1]]  # (Q, HITS)
    for i, each in enumerate(probes):
        if i % TOGETHER == 0:
            yield Progress("calibrating: signals", i, len(probes), "queries")
            some = slice(i, i + TOGETHER)
            everything.read_ahead(rows[some][is_hit[some]])
        commonness[i] = commonness_of(np.array(each.ids), sentences, leave_out[i])
        hits, cosines = rows[i][is_hit[i]], nearest.cosines[i, :HITS][is_hit[i]]  # (K,), (K,)
        if len(hits):
            words, own = stems(i), leave_out[i]
            meter, numbers = everything.around(hits)
            needed = content_stems(words, [Token(text, True, 0.0) for text in each.tokens], meter.bm25)
            confirmed = confirm(needed, numbers, bm25=meter.bm25, images=meter.images, leave_out=own)
            if confirmed is not None:
                seen[i] = evidence(confirmed, float(1 - cosines[:FIRST].mean()), each.content)
                attainable[i] = confirmed.attainable
            signals[i] = meter.measure(
                embeddings[i],
                known=len(each.ids),
                stems=words,
                hits=numbers,
                cosines=cosines,
                attainable=int(attainable[i]),
                leave_out=own,
            ).array()
    return Asked(
        lengths=np.array([each.length for each in probes], np.int64),
        known=np.array([len(each.ids) for each in probes], np.int64),
        content=np.array([each.content for each in probes], np.int64),
        groups=np.asarray(groups, np.int64),
        commonness=commonness,
        signals=signals,
        evidence=seen,
        attainable=attainable,
    )


def _foreign(
    sentences: Sentences,
    text_encoder: TextEncoder,
    everything: AllCaptions,
    bm25: BM25,
    *,
    random: np.random.Generator,
) -> Steps[tuple[Asked, list[Probe]]]:
    """Ask queries that have nothing to do with the corpus, and look at their hits; return the queries too."""
    probes = cut_foreign(sentences, text_encoder.vocabulary, random)
    nobody = [NOTHING] * len(probes)
    embeddings = np.empty((0, text_encoder.sentence_encoder.dim), np.float32)  # (F, D)
    nearest = Nearest(np.empty((0, HITS), np.int64), np.empty((0, HITS), np.float32))  # (F, HITS) each
    if probes:
        _, embeddings = yield from _encode(probes, text_encoder)  # (F, D)
        device = text_encoder.sentence_encoder.device
        nearest = yield from everything.nearest(embeddings, nobody, k=HITS, device=device, name="foreign sentences")

    def stems(i: int) -> list[str]:
        return bm25.stems(" ".join(probes[i].tokens))

    groups = np.array([each.source for each in probes], np.int64)  # (F,)
    seen = (groups, embeddings, nearest, stems)
    asked = yield from _look(probes, sentences, *seen, everything=everything, leave_out=nobody)
    return asked, probes


def _sums(
    probes: Sequence[Probe],
    sentences: Sentences,
    text_encoder: TextEncoder,
    everything: AllCaptions,
    *,
    random: np.random.Generator,
    of_captions: bool,
) -> Steps[NDArray[np.float64]]:
    """Measure the distance of hit 1 for sums of test queries, (U,), without the captions that these were cut from."""
    sums = cut_sums(probes, random, most=_SUMS)
    if not sums:
        return np.empty(0)
    _, embeddings = yield from _encode([term for terms in sums for term in terms], text_encoder)  # (3 U, D)
    mixed = [weighted_sum([1, -1, 1], list(terms)) for terms in embeddings.reshape(len(sums), 3, -1)]  # (D,) each
    clear = [each is not None for each in mixed]  # (U,) terms do not cancel out
    queries = np.array([each / np.linalg.norm(each) for each in mixed if each is not None], np.float32)  # (u, D)
    leave_out = [NOTHING] * len(queries)
    if of_captions:
        runs, others = (sentences.copies([terms[i].source for terms in sums]) for i in (0, 2))
        leave_out = [np.union1d(*rows) for *rows, kept in zip(runs, others, clear, strict=True) if kept]
    if not len(queries):
        return np.empty(0)
    device = text_encoder.sentence_encoder.device
    nearest = yield from everything.nearest(queries, leave_out, k=1, device=device, name="sums")
    distances = 1 - nearest.cosines[:, 0].astype(float)  # (u,)
    return np.asarray(distances[np.isfinite(distances)])


def _encode(probes: Sequence[Probe], text_encoder: TextEncoder) -> Steps[tuple[Sentences, NDArray[np.float32]]]:
    """Encode Q test queries; return their token ids, and their unit embeddings, (Q, D)."""
    vocabulary, encoder = text_encoder.vocabulary, text_encoder.sentence_encoder
    first, last = vocabulary.marks.tolist()
    sentences = Sentences.joined([np.array([first, *each.ids, last], np.int32) for each in probes])
    embeddings = np.empty((len(probes), encoder.dim), np.float32)  # (Q, D)
    yield from embed_sentences(
        *(sentences, vocabulary.vectors, encoder, embeddings), stage="calibrating: encoding", unit="queries"
    )
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)  # (Q, D)
    return sentences, embeddings


def _success(
    lists: dict[Method, NDArray[np.int64]], sources: NDArray[np.int64], probes: list[Probe], images: Images | None
) -> Steps[dict[Method, NDArray[np.bool_]]]:
    """Determine by method which queries succeeded, (Q,)."""
    success = {}
    whole = {each.source: i for i, each in enumerate(probes) if each.kind == "whole"}
    for method in lists:
        first = lists[method][:, :FIRST]  # (Q, 10)
        if images is not None:
            success[method] = ((images.of[first] == images.of[sources][:, None]) & (first >= 0)).any(axis=1)
        else:
            other = first[[whole[source] for source in sources.tolist()]]  # (Q, 10)
            shared = ((first[:, :, None] == other[:, None, :]) & (first >= 0)[:, :, None]).any(axis=2).sum(axis=1)
            success[method] = shared >= FIRST / 2
        yield Progress("calibrating: success", len(success), len(lists), "methods")
    return success


def _hubs(matrix: EmbeddingMatrix, random: np.random.Generator, device: torch.device) -> Steps[NDArray[np.int32]]:
    """Find the captions that far more captions than usual have among their first ten hits (Radovanovic et al. 2010)."""
    sample = _draw(matrix, _HUB_SAMPLE, random)  # (n,)
    queries = matrix.rows[sample].astype(np.float32)  # (n, D)
    nearest = yield from search_together(queries, matrix, list(sample[:, None]), k=FIRST, device=device, name="hubs")
    counts = np.bincount(nearest.rows.ravel(), minlength=len(matrix))  # (N,)
    usual = counts.mean() + _HUB_DEVIATIONS * counts.std()
    return np.flatnonzero(counts >= max(usual, _HUB_LEAST)).astype(np.int32)  # (hubs,)


def _draw(matrix: EmbeddingMatrix, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Draw `count` random captions with known words, or all if there are fewer; ascending."""
    known = np.setdiff1d(np.arange(len(matrix)), matrix.sentences.wordless())  # (captions with known words,)
    return np.sort(random.permutation(known)[:count])


def _chance(n: int, images: Images | None, sources: NDArray[np.int64]) -> float:
    """Compute the probability that ten random captions are a success."""
    if images is None:
        return 0.0
    siblings = images.sizes[images.of[sources]] - 1  # (Q,)
    return float((1 - (1 - siblings / max(1, n - 1)) ** FIRST).mean())
