"""Learning: what queries with known success teach about all others.

Queries are cut from captions: runs of tokens and sets of content words, of several lengths, and whole captions. Each is
answered without the caption that it comes from. It succeeds when a sibling caption is among the first ten hits; where a
corpus has no image groups, when at least half of the first ten are also among the first ten of the whole caption. From
the signals of one half of these queries a logistic regression learns to predict success; all figures about it are taken
on the other half, whose images it has not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.ranking.methods import METHODS, Method
from core.store.progress import Progress, Steps
from core.trust.calibration import TAIL, Calibration, Recall
from core.trust.predictor import Predictor, auroc_of
from core.trust.probes import KINDS, LENGTHS
from core.trust.signals import NAMES

DISTRIBUTIONS = ("nearest", "from_marks", "marks")
"""What has its distribution among whole captions kept."""
_MOST_FALSE_ALARMS = 0.02  # of succeeding whole captions, on the half that is learned from; 5 % is promised
_WITHIN = (2, 3, 4, 6)  # lengths at which the predictor is judged among queries of equal length
_BOOTSTRAPS = 1000
_SIBLING = "another caption of the same image among the first ten"
_SAME_HITS = "half of the whole caption's first ten"


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What asking all queries gave; the raw material of a calibration. Q queries."""

    kinds: NDArray[np.str_]
    """One of `KINDS` each, (Q,)."""
    lengths: NDArray[np.int64]
    """The length that was cut, 0 for whole captions, (Q,)."""
    known: NDArray[np.int64]
    """Known tokens, (Q,)."""
    content: NDArray[np.int64]
    """Known content words, (Q,)."""
    extra: NDArray[np.bool_]
    """Whole captions beyond the number that every length has, (Q,): they serve thresholds and false alarms alone."""
    held_out: NDArray[np.bool_]
    """Whether the query is judged, not learned from, (Q,)."""
    signals: NDArray[np.float64]
    """(Q, S)."""
    marks: NDArray[np.float64]
    """Share of the maxima that the two marks won, (Q,); nan where it was not looked at: in all but whole captions."""
    success: Mapping[Method, NDArray[np.bool_]]
    """By method, (Q,)."""
    random_distances: NDArray[np.float32]
    """Distances to R captions drawn at random, (Q, R); nan to the caption that the query comes from."""
    hubs: NDArray[np.int32]
    """The captions that are near everything."""
    captions: int
    """N."""
    chance: float
    """How often ten captions drawn at random would be a success."""
    by_images: bool
    """Whether success is a sibling caption among the first ten."""


def calibrate(measured: Measured, *, seed: int = 0) -> Steps[Calibration]:
    """Learn from one half of the measured queries, and judge on the other.

    Args:
        measured: What asking them gave.
        seed: Of the bootstraps.
    """
    random = np.random.default_rng(seed)
    success = measured.success["infersent"]
    equal = ~measured.extra
    curve = yield from _curve(measured, random)
    least = _least_content(curve, measured.chance)
    learn = ~measured.held_out
    predictor = Predictor.fit(measured.signals[learn & equal], success[learn & equal])
    probability = predictor.probability(measured.signals)
    short = measured.content < (least if least is not None else np.inf)
    whole = measured.kinds == "whole"
    threshold = _threshold(probability, short, learn & whole & success)
    alarm = short | (probability < threshold)
    judged = measured.held_out & equal
    alternatives = {
        "words": np.log(np.maximum(measured.known, 1)),
        "nearest_distance": -measured.signals[:, NAMES.index("nearest")],
    }
    auroc = {"verdict": auroc_of(probability[judged], success[judged])}
    auroc |= {name: auroc_of(values[judged], success[judged]) for name, values in alternatives.items()}
    best = max(alternatives, key=lambda name: auroc[name])
    within = [
        auroc_of(probability[cell], success[cell])
        for length in _WITHIN
        for cell in [judged & (measured.lengths == length)]
    ]
    few = measured.held_out & (measured.known <= 3)
    lead = yield from _lead(probability[judged], alternatives[best][judged], success[judged], random)
    return Calibration(
        captions=measured.captions,
        measure=(_SIBLING if measured.by_images else _SAME_HITS),
        chance=measured.chance,
        curve=curve,
        least_content=least,
        predictor=predictor,
        reliable_from=threshold,
        distributions=_distributions(measured),
        random_distances={
            str(length): tuple(np.nanquantile(measured.random_distances[cell], TAIL).tolist())
            for length in (*LENGTHS, 0)
            for cell in [(measured.lengths == length) & (measured.kinds != "words")]
            if cell.any()
        },
        hubs=measured.hubs,
        auroc=auroc,
        auroc_lead=lead,
        auroc_within_length=float(np.nanmean(within)) if np.isfinite(within).any() else float("nan"),
        false_alarm=_share(alarm, measured.held_out & whole & success),
        caught=_share(alarm, few & ~success),
        reliability=_reliability(probability[judged], success[judged]),
    )


def _curve(measured: Measured, random: np.random.Generator) -> Steps[tuple[Recall, ...]]:
    cells = []
    for kind in KINDS:
        for length in sorted(set(measured.lengths[measured.kinds == kind].tolist())):
            cell = (measured.kinds == kind) & (measured.lengths == length)
            draws = random.integers(0, cell.sum(), size=(_BOOTSTRAPS, cell.sum()))
            by_method: dict[str, tuple[float, float, float]] = {}
            for method in METHODS:
                values = measured.success[method][cell]
                low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
                by_method[method] = (float(values.mean()), float(low), float(high))
            cells.append(Recall(kind, length, int(cell.sum()), by_method))
            yield Progress("calibrating: figures", 0, 0, "")
    return tuple(cells)


def _least_content(curve: Sequence[Recall], chance: float) -> int | None:
    """Find the least number of content words from which on success is at least half of that of whole captions.

    One more than the longest that was measured when even those fail; None when even whole captions do, by chance.
    """
    recalls = {(cell.kind, cell.length): cell.by_method["infersent"] for cell in curve}
    whole = recalls.get(("whole", 0), (0.0, 0.0, 0.0))
    if whole[1] <= min(3 * chance, (1 + chance) / 2):  # as far from chance as from certainty, where chance is high
        return None
    lengths = sorted(length for kind, length in recalls if kind == "words")
    least = lengths[-1] + 1 if lengths else 1
    for length in reversed(lengths):
        if recalls["words", length][0] < whole[0] / 2:
            break
        least = length
    return least


def _threshold(probability: NDArray[np.float64], short: NDArray[np.bool_], good: NDArray[np.bool_]) -> float:
    """Find the probability below which an alarm is raised, so that few good queries get one for it or their length."""
    allowed = int(_MOST_FALSE_ALARMS * good.sum()) - int((good & short).sum())
    ranked = np.sort(probability[good & ~short])
    if len(ranked) < 10:
        return 2.0
    return float(ranked[max(0, allowed)])


def _lead(
    verdict: NDArray[np.float64], other: NDArray[np.float64], success: NDArray[np.bool_], random: np.random.Generator
) -> Steps[tuple[float, float, float]]:
    leads = []
    for number in range(_BOOTSTRAPS):
        if number % 50 == 0:
            yield Progress("calibrating: figures", number, _BOOTSTRAPS, "")
        draw = random.integers(0, len(success), size=len(success))
        leads.append(auroc_of(verdict[draw], success[draw]) - auroc_of(other[draw], success[draw]))
    low, high = np.nanquantile(leads, [0.025, 0.975]) if np.isfinite(leads).any() else (np.nan, np.nan)
    return auroc_of(verdict, success) - auroc_of(other, success), float(low), float(high)


def _distributions(measured: Measured) -> dict[str, tuple[float, ...]]:
    values = {name: measured.signals[:, NAMES.index(name)] for name in DISTRIBUTIONS if name in NAMES}
    values["marks"] = measured.marks
    found: dict[str, tuple[float, ...]] = {}
    for name in DISTRIBUTIONS:
        there = values[name][measured.kinds == "whole"]
        there = there[np.isfinite(there)]
        found[name] = tuple(np.quantile(there, np.linspace(0, 1, 101)).tolist()) if len(there) else ()
    return found


def _share(event: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return float(event[among].mean()) if among.any() else float("nan")


def _reliability(probability: NDArray[np.float64], success: NDArray[np.bool_]) -> tuple[tuple[float, float, int], ...]:
    bins = np.minimum((probability * 10).astype(int), 9)
    return tuple(
        (float(probability[bins == i].mean()), float(success[bins == i].mean()), int((bins == i).sum()))
        for i in range(10)
        if (bins == i).any()
    )
