"""Probing: asks the corpus queries whose answers are known, cut from its own captions, for a calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from core.corpus.images import Images
from core.corpus.sentences import Sentences
from core.corpus.vectors import WordVectors
from core.encoding.building import embed_sentences
from core.encoding.encoder import SentenceEncoder
from core.encoding.matrix import EmbeddingMatrix
from core.query import Token
from core.ranking.lexical import Lexical, MeanWordVectors
from core.ranking.methods import METHODS, Method
from core.ranking.rankers import CONTEXT, Nearest, fuse, mix, nearest_together
from core.ranking.ranking import FIRST, LEADING, Found
from core.store.progress import Progress, Steps, follow
from core.trust.calibration import LENGTHS, Measured
from core.trust.signals import HITS, NAMES, SignalMeter

LEAST_CAPTIONS = 50
"""Captions with known words that it takes to measure anything."""
_SOURCES = 1200  # captions that queries are cut from, each also asked whole: enough to know what few of them do
_EACH = 320  # queries of a kind and length
_LOOKED_AT = 48  # whole captions whose maxima are looked at, one by one
_SAMPLED = 1000  # captions whose first ten tell the hubs
_RANDOM = 512  # captions drawn at random, whose distances from every query are taken
_HUB_DEVIATIONS = 3.0  # above the mean number of first tens that a caption is in
_HUB_LEAST = 5  # of them at least: in a large corpus two happen by chance
_OFTEN = 16  # queries between two looks at whether to stop

Kind = Literal["span", "words", "whole"]


@dataclass(frozen=True, slots=True)
class Probe:
    """A query that was cut from a caption."""

    kind: Kind
    """How it was cut."""
    length: int
    """In tokens (span) or content words (words); 0 for a whole caption."""
    source: int
    """The caption that it is cut from."""
    tokens: tuple[str, ...]
    """Its tokens, all of them known."""
    ids: tuple[int, ...]
    """Of the tokens, without marks."""
    extra: bool = False
    """Whether it is beyond the number that every length has."""

    @property
    def content(self) -> int:
        """How many of its tokens are content words."""
        return sum(Token(token, True, 0.0).is_content for token in self.tokens)


class Answers(NamedTuple):
    """Queries, and what every method found for them without their own captions."""

    probes: list[Probe]
    """Q queries."""
    sources: NDArray[np.int64]
    """The caption that each is cut from, (Q,)."""
    sentences: list[NDArray[np.int32]]
    """Token ids of each, the marks around them."""
    embeddings: NDArray[np.float32]
    """Unit rows, (Q, D)."""
    stems: list[list[str]]
    """Word stems of each."""
    found: dict[Method, NDArray[np.int64]]
    """Rows by method, (Q, LEADING), nearest first, -1 where there are fewer."""
    cosines: NDArray[np.float32]
    """Of what `infersent` found, (Q, LEADING)."""


def answer(
    *,
    matrix: EmbeddingMatrix,
    lexical: Lexical,
    vectors: WordVectors,
    encoder: SentenceEncoder,
    marks: NDArray[np.int32],
    images: Images | None,
    random: np.random.Generator,
    most_sources: int | None = None,
    most: int | None = None,
) -> Steps[Answers]:
    """Cut queries from captions and answer them by every method without their caption.

    Args:
        matrix: The captions' embeddings, (N, D).
        lexical: The captions' words.
        vectors: What token ids index.
        encoder: For the queries.
        marks: Token ids of the two sentence marks.
        images: The captions' image groups; None where there are none, or too few (`Images.suffice`).
        random: Of every choice.
        most_sources: At most how many captions queries are cut from; None for what a calibration takes.
        most: At most how many queries of a kind and length; None likewise.
    """
    probes = _cut(matrix, vectors, images, random, most_sources=most_sources or _SOURCES, most=most or _EACH)
    sources = np.array([each.source for each in probes])  # (Q,)
    sentences = [np.array([marks[0], *each.ids, marks[1]], np.int32) for each in probes]
    embeddings = yield from _encode(sentences, vectors, encoder)  # (Q, D)
    stems = []
    for i, each in enumerate(probes):
        stems.append(lexical.bm25.stems(" ".join(each.tokens)))
        if i % _OFTEN == 0:
            yield Progress("calibrating: words", i, len(probes), "queries")
    found, cosines = yield from _lists(embeddings, sentences, stems, sources, matrix, lexical, encoder.device)
    return Answers(probes, sources, sentences, embeddings, stems, found, cosines)


def probe(
    *,
    matrix: EmbeddingMatrix,
    lexical: Lexical,
    vectors: WordVectors,
    encoder: SentenceEncoder,
    marks: NDArray[np.int32],
    images: Images | None,
    seed: int = 0,
) -> Steps[Measured]:
    """Ask queries whose answers are known, and note what came of it.

    Args:
        matrix: The captions' embeddings, (N, D).
        lexical: The captions' words.
        vectors: What token ids index.
        encoder: For the queries.
        marks: Token ids of the two sentence marks.
        images: The captions' image groups; None where there are none, or too few (`Images.suffice`).
        seed: Of every choice.
    """
    random = np.random.default_rng(seed)
    answers = yield from answer(
        matrix=matrix,
        lexical=lexical,
        vectors=vectors,
        encoder=encoder,
        marks=marks,
        images=images,
        random=random,
    )
    probes, sources, embeddings = answers.probes, answers.sources, answers.embeddings
    alone = encoder.encode(np.asarray(vectors.rows[marks])).embedding
    meter = SignalMeter(matrix.rows, marks=alone / np.linalg.norm(alone), bm25=lexical.bm25, images=images)
    signals = np.empty((len(probes), len(NAMES)))
    for i, each in enumerate(probes):
        hits = answers.found["infersent"][i, :HITS]
        there = hits >= 0
        signals[i] = meter.measure(
            embeddings[i],
            known=len(each.ids),
            stems=answers.stems[i],
            hits=hits[there],
            cosines=answers.cosines[i, :HITS][there],
            leave_out=each.source,
        ).array()
        if i % _OFTEN == 0:
            yield Progress("calibrating: signals", i, len(probes), "queries")
    success = yield from _success(answers.found, sources, probes, matrix, images)
    hubs = yield from _hubs(matrix, random, encoder.device)
    shares = yield from _marks_shares(probes, answers.sentences, vectors, encoder)
    drawn = _draw(matrix, _RANDOM, random)
    distances = 1 - embeddings @ matrix.rows[drawn].astype(np.float32).T  # (Q, R)
    distances[sources[:, None] == drawn] = np.nan
    yield Progress("calibrating: random pairs", len(probes), len(probes), "queries")
    _, groups = np.unique(images.of[sources] if images is not None else sources, return_inverse=True)
    apart = random.permutation(int(groups.max()) + 1) % 2  # whole images are held out, a half of them
    return Measured(
        kinds=np.array([each.kind for each in probes]),
        lengths=np.array([each.length for each in probes]),
        known=np.array([len(each.ids) for each in probes]),
        content=np.array([each.content for each in probes]),
        extra=np.array([each.extra for each in probes]),
        held_out=apart[groups] == 1,
        signals=signals,
        marks=shares,
        success=success,
        random_distances=distances,
        hubs=hubs,
        captions=len(matrix),
        chance=_chance(len(matrix), images, sources),
        by_images=images is not None,
    )


def _cut(
    matrix: EmbeddingMatrix,
    vectors: WordVectors,
    images: Images | None,
    random: np.random.Generator,
    *,
    most_sources: int,
    most: int,
) -> list[Probe]:
    """Cut queries: equally many of each kind and length, as far as there are captions long enough."""
    usable = np.diff(matrix.sentences.starts) > 2  # (N,) at least one known word
    if images is not None:
        usable &= images.have_siblings()
    rows = np.flatnonzero(usable)
    sources = random.permutation(rows)[:most_sources].tolist()
    ids = {row: matrix.sentences[row][1:-1].tolist() for row in sources}
    words = {row: [vectors.word(word) for word in ids[row]] for row in sources}
    content = {
        row: [place for place, word in enumerate(words[row]) if Token(word, True, 0.0).is_content] for row in sources
    }

    def cut(kind: Kind, length: int, row: int, places: Sequence[int], *, extra: bool = False) -> Probe:
        return Probe(
            *(kind, length, row, tuple(words[row][i] for i in places), tuple(ids[row][i] for i in places)), extra=extra
        )

    probes = []
    for length in LENGTHS:
        for row in random.permutation([row for row in sources if len(ids[row]) >= length])[:most].tolist():
            start = int(random.integers(len(ids[row]) - length + 1))
            probes.append(cut("span", length, row, range(start, start + length)))
    for length in LENGTHS:
        long = [row for row in sources if len(content[row]) >= length]
        if len(long) < min(most, len(sources)) // 2:
            break  # too few captions are as long
        for row in random.permutation(long)[:most].tolist():
            chosen = np.sort(random.choice(len(content[row]), length, replace=False))
            probes.append(cut("words", length, row, [content[row][i] for i in chosen]))
    for number, row in enumerate(sources):
        probes.append(cut("whole", 0, row, range(len(ids[row])), extra=number >= most))
    return probes


def _encode(
    sentences: list[NDArray[np.int32]], vectors: WordVectors, encoder: SentenceEncoder
) -> Steps[NDArray[np.float32]]:
    """Encode sequences of token ids; unit rows, (Q, D)."""
    embeddings = np.empty((len(sentences), encoder.dim), np.float32)  # (Q, D)
    stage, joined = "calibrating: encoding queries", Sentences.joined(sentences)
    yield from embed_sentences(joined, vectors, encoder, embeddings, stage=stage, unit="queries")
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings


def _lists(
    embeddings: NDArray[np.float32],
    sentences: list[NDArray[np.int32]],
    stems: list[list[str]],
    sources: NDArray[np.int64],
    matrix: EmbeddingMatrix,
    lexical: Lexical,
    device: torch.device,
) -> Steps[tuple[dict[Method, NDArray[np.int64]], NDArray[np.float32]]]:
    """Answer every query by every method, without its source.

    Returns:
        Rows by method, (Q, LEADING), nearest first, -1 where there are fewer; and infersent's cosines.
    """
    lists: dict[Method, NDArray[np.int64]] = {}
    lists["infersent"], cosines = yield from _nearest(embeddings, matrix, sources, device, "infersent")
    means = np.stack([lexical.words.embed(ids) for ids in sentences])  # (Q, E)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-30)
    lists["words"], _ = yield from _nearest(means, lexical.words, sources, device, "words")
    scored: dict[Method, list[NDArray[np.int32]]] = {"bm25": [], "fused": []}
    for i, source in enumerate(sources.tolist()):
        scores = lexical.bm25.scores(stems[i])
        scores[source] = 0
        rows = Found.by_score(scores, k=LEADING, own_row=None).leading.rows
        scored["bm25"].append(rows)
        fused = fuse([lists[name][i][lists[name][i] >= 0] for name in ("infersent", "words")] + [rows], len(matrix))
        scored["fused"].append(Found.by_score(fused, k=LEADING, own_row=None).leading.rows)
        if i % _OFTEN == 0:
            yield Progress("calibrating: bm25", i, len(sources), "queries")
    for method, found in scored.items():
        lists[method] = np.full((len(sources), LEADING), -1, np.int64)
        for i, rows in enumerate(found):
            lists[method][i, : len(rows)] = rows
    mixed = np.empty_like(embeddings)
    for i in range(len(sources)):
        near = lists["bm25"][i][lists["bm25"][i] >= 0][:CONTEXT]
        if not len(near):
            near = lists["words"][i][lists["words"][i] >= 0][:CONTEXT]
        mixed[i] = mix(embeddings[i], matrix.rows[near])
        if i % _OFTEN == 0:
            yield Progress("calibrating: context", i, len(sources), "queries")
    mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    lists["context"], _ = yield from _nearest(mixed, matrix, sources, device, "context")
    return lists, cosines


def _nearest(
    queries: NDArray[np.float32],
    matrix: EmbeddingMatrix | MeanWordVectors,
    leave_out: NDArray[np.int64],
    device: torch.device,
    name: str,
) -> Steps[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Find the leading rows of many queries; (Q, LEADING), -1 where there are fewer, and their cosines."""
    nearest = yield from _search(queries, matrix, k=LEADING, leave_out=leave_out, device=device, name=name)
    found = np.full((len(queries), LEADING), -1, np.int64)
    found[:, : nearest.rows.shape[1]] = np.where(np.isfinite(nearest.cosines), nearest.rows, -1)
    return found, nearest.cosines


def _search(
    queries: NDArray[np.float32],
    matrix: EmbeddingMatrix | MeanWordVectors,
    *,
    k: int,
    leave_out: NDArray[np.int64],
    device: torch.device,
    name: str,
) -> Steps[Nearest]:
    work = nearest_together(
        queries, matrix.rows, k=k, leave_out=leave_out, never=matrix.sentences.wordless(), device=device
    )
    nearest = yield from follow(work, lambda step: Progress(f"calibrating: {name}", step.done, len(queries), "queries"))
    return nearest


def _success(
    lists: dict[Method, NDArray[np.int64]],
    sources: NDArray[np.int64],
    probes: list[Probe],
    matrix: EmbeddingMatrix,
    images: Images | None,
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
    sample = _draw(matrix, _SAMPLED, random)
    queries = matrix.rows[sample].astype(np.float32)  # (S, D)
    nearest = yield from _search(queries, matrix, k=FIRST, leave_out=sample, device=device, name="hubs")
    counts = np.bincount(nearest.rows.ravel(), minlength=len(matrix))
    usual = counts.mean() + _HUB_DEVIATIONS * counts.std()
    return np.flatnonzero(counts >= max(usual, _HUB_LEAST)).astype(np.int32)


def _draw(matrix: EmbeddingMatrix, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Draw captions with known words, ascending; (count,), or all there are."""
    known = np.setdiff1d(np.arange(len(matrix)), matrix.sentences.wordless())
    return np.sort(random.permutation(known)[:count])


def _marks_shares(
    probes: list[Probe], sentences: list[NDArray[np.int32]], vectors: WordVectors, encoder: SentenceEncoder
) -> Steps[NDArray[np.float64]]:
    """Measure the marks' share of the maxima for some whole captions; nan for all other queries; (Q,)."""
    shares = np.full(len(probes), np.nan)
    looked_at = [i for i, each in enumerate(probes) if each.kind == "whole"][:_LOOKED_AT]
    for done, i in enumerate(looked_at):
        importance = encoder.encode(np.asarray(vectors.rows[sentences[i]])).importance
        shares[i] = importance[0] + importance[-1]
        yield Progress("calibrating: sentence marks", done, len(looked_at), "queries")
    return shares


def _chance(n: int, images: Images | None, sources: NDArray[np.int64]) -> float:
    """How often ten captions drawn at random would be a success."""
    if images is None:
        return 0.0
    sisters = images.sizes[images.of[sources]] - 1
    return float((1 - (1 - sisters / max(1, n - 1)) ** FIRST).mean())
