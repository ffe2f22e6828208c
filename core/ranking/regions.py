"""Regions: the captions divided by k-means into parts that lie together, each named by its most telling words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from core.ranking.lexical import BM25, WORD
from core.ranking.projection import Sample, components, project, sample_rows
from core.store.progress import Progress, Steps

REGIONS = 12
"""How many there are, where there are captions enough."""
SEED = 0
"""Determines the sample, the components and where k-means begins."""

_LEAST_CAPTIONS = 5  # of a region, on average
_DIMENSIONS = 64  # principal components in which distances are measured
_ROUNDS = 40  # of k-means
_WORDS = 3  # of a name
_LOOKED_THROUGH = 300  # captions in which the words of a stem are counted


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the captions."""

    number: int
    """From 1, the largest first."""
    words: tuple[str, ...]
    """Its most telling words, at most three; none where no stem is its own."""
    captions: int
    """How many belong to it."""
    central: int
    """The caption nearest to the mean of its embeddings, of those on which the regions were fitted."""

    @property
    def name(self) -> str:
        """Its words, for people."""
        return " · ".join(self.words) or "without words of its own"


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """The regions of N captions."""

    of: NDArray[np.int16]
    """Number of the region of each caption, (N,); 0 for those without a known word."""
    regions: tuple[Region, ...]
    """By number."""
    held: float = 0.0
    """Share of the variance that lies between them, 0..1, of the captions on which they were fitted."""


@torch.inference_mode()
def find_regions(
    rows: NDArray[np.float16],
    texts: Sequence[str],
    bm25: BM25,
    *,
    leave_out: NDArray[np.integer],
    most: int = REGIONS,
    seed: int = SEED,
) -> Steps[Regions]:
    """Divide captions by k-means on their first 64 principal components, fitted on at most 20,000 of them.

    A name is made of the stems of greatest c-TF-IDF (Grootendorst 2022, BERTopic, arXiv 2203.05794): the share of the
    stem in the region, times log(1 + A / f), where A is the average number of stems of a region and f how often the
    stem occurs in all. A stem counts once for each caption, and is shown as the word that most often stands for it.

    Args:
        rows: Unit rows, (N, D).
        texts: The captions, N.
        bm25: The index of their stems.
        leave_out: Rows that belong to no region, such as captions without a known word, (X,).
        most: Number of regions; fewer where a region would have less than five captions on average.
        seed: As `SEED`.
    """
    from scipy.cluster.vq import vq

    sample = yield from sample_rows(rows, leave_out, seed)
    axes, _ = yield from components(sample.centred, _DIMENSIONS, seed)  # (at most 64, D)
    known = np.setdiff1d(np.arange(len(rows)), leave_out)  # (M,)
    places = yield from project(rows, sample.mean.numpy(), axes.numpy(), doing="looking for regions")  # (N, 64)
    fitted = (sample.centred @ axes.T).numpy()  # (S, 64)
    k = min(most, max(1, len(known) // _LEAST_CAPTIONS), len(np.unique(fitted, axis=0)))
    of = np.zeros(len(rows), np.int16)  # (N,)
    if not k:
        return Regions(of, ())
    centres = yield from _centres(fitted, k, seed)  # (k, 64)
    labels, _ = vq(places[known], centres)  # (M,)
    counts = np.bincount(labels, minlength=k)  # (k,)
    by_size = [label for label in np.argsort(-counts, kind="stable").tolist() if counts[label]]
    numbers = np.zeros(k, np.int16)  # (k,)
    numbers[by_size] = np.arange(1, len(by_size) + 1)
    of[known] = numbers[labels]
    yield Progress("naming regions", 0, 0, "")
    names = _names(of, len(by_size), texts, bm25)
    regions = [
        Region(number, words, int(counts[label]), _central(sample, of, number))
        for number, (label, words) in enumerate(zip(by_size, names, strict=True), 1)
    ]
    return Regions(of, tuple(regions), _held(sample, of))


def _held(sample: Sample, of: NDArray[np.int16]) -> float:
    """Return the share of the variance of a sample that lies between regions, to which captions belong as `of` says."""
    numbers = torch.from_numpy(of[sample.which].astype(np.int64))  # (S,)
    sums = torch.zeros(int(of.max()) + 1, sample.centred.shape[1]).index_add_(0, numbers, sample.centred)  # (k + 1, D)
    between = (sums.square().sum(dim=1) / torch.bincount(numbers, minlength=len(sums)).clamp(min=1)).sum()
    return min(1.0, float(between) / sample.total) if sample.total else 0.0


def _centres(fitted: NDArray[np.float32], k: int, seed: int) -> Steps[NDArray[np.float32]]:
    """Return what k-means finds in points, (S, q), of which at least k differ; (k, q)."""
    from scipy.cluster.vq import ClusterError, kmeans2

    centres: NDArray[np.float32] = kmeans2(fitted, k, iter=1, minit="++", seed=seed)[0]  # (k, q)
    for done in range(1, _ROUNDS):
        yield Progress("looking for regions", done, _ROUNDS, "rounds")
        before = centres
        try:
            centres = kmeans2(fitted, before, iter=1, minit="matrix", missing="raise")[0]  # (k, q)
        except ClusterError:  # one would have no point any more
            break
        if np.array_equal(before, centres):
            break
    return centres


def _central(sample: Sample, of: NDArray[np.int16], number: int) -> int:
    """Return the caption of a sample that is nearest, by cosine, to the mean of those in a region.

    A region that has none in the sample is represented by its first caption.
    """
    own = np.flatnonzero(of[sample.which] == number)  # (captions of it in the sample,)
    if not len(own):
        return int(np.flatnonzero(of == number)[0])
    rows = sample.centred[torch.from_numpy(own)] + sample.mean  # (captions of it in the sample, D), unit rows
    return int(sample.which[own[int((rows @ rows.mean(dim=0)).argmax())]])


def _names(of: NDArray[np.int16], k: int, texts: Sequence[str], bm25: BM25) -> list[tuple[str, ...]]:
    """Return the most telling words of each of k regions, to which captions belong as `of`, (N,), says."""
    stems, counts = bm25.count_in(of, k + 1)  # (V,), (k + 1, V)
    counts = counts[1:]
    every = counts.sum(axis=0)  # (V,)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # (k, V)
    weights = share * np.log1p(counts.sum() / k / np.maximum(every, 1))  # (k, V)
    names = []
    for number, row in enumerate(weights, 1):
        telling = (place for place in np.argsort(-row, kind="stable").tolist() if not stems[place].isdecimal())
        best = [place for place in islice(telling, _WORDS) if row[place] > 0]
        names.append(tuple(_word_for(stems[place], of == number, texts, bm25) for place in best))
    return names


def _word_for(stem: str, inside: NDArray[np.bool_], texts: Sequence[str], bm25: BM25) -> str:
    """Return the word that most often stands for a stem in the captions of a region, (N,)."""
    rows = bm25.rows_with(stem)
    words = Counter(
        word
        for row in rows[inside[rows]][:_LOOKED_THROUGH].tolist()
        for word in WORD.findall(texts[row].lower())
        if bm25.stem(word) == stem
    )
    return min(words, key=lambda word: (-words[word], len(word), word), default=stem)
