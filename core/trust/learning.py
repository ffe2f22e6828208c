"""Learning: turn test queries with known success into a calibration.

Test queries are cut from captions: runs of tokens, sets of content words, and whole captions. Each is answered without
its source caption. It succeeds when a sibling caption is among the first ten hits or, in a corpus without image groups,
when half of the first ten hits are also among the first ten of the whole caption. A logistic regression learns to
predict success from the signals of one half of the queries; all figures are measured on the other half, whose images it
has not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.ranking.methods import METHODS, Method
from core.store.progress import Progress, Steps
from core.trust.calibration import DISTRIBUTIONS, TAIL, Calibration, Nearest, Recall, is_in_corpus
from core.trust.predictor import Predictor, auroc_of
from core.trust.probes import KINDS, LENGTHS
from core.trust.signals import NAMES

_MAX_FALSE_ALARM = 0.02  # on the learning half, so that the held-out rate stays below 5 %
_WITHIN_LENGTHS = (2, 3, 4, 6)  # for the AUROC among queries of equal length
_BOOTSTRAPS = 1000
_SIBLING = "another caption of the same image among the first ten"
_SAME_HITS = "half of the whole caption's first ten"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Asked:
    """Signals of Q test queries."""

    lengths: NDArray[np.int64]
    """Length that was cut, 0 for whole captions or sentences, (Q,)."""
    known: NDArray[np.int64]
    """Number of known tokens, (Q,)."""
    content: NDArray[np.int64]
    """Number of known content words, (Q,)."""
    held_out: NDArray[np.bool_]
    """Whether the query is used to measure, not to learn, (Q,)."""
    signals: NDArray[np.float64]
    """Signals, (Q, S)."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Measured(Asked):
    """Signals and success of Q test queries cut from captions, from which a calibration is learned."""

    kinds: NDArray[np.str_]
    """Kind of each query, one of `KINDS`, (Q,)."""
    extra: NDArray[np.bool_]
    """Whole captions beyond the number per length, (Q,); they serve only thresholds and false alarms."""
    marks: NDArray[np.float64]
    """Share of the maxima on the two sentence marks, (Q,); nan for all but some whole captions."""
    success: Mapping[Method, NDArray[np.bool_]]
    """Success by method, (Q,)."""
    random_distances: NDArray[np.float32]
    """Distances to R random captions, (Q, R); nan for the source caption."""
    hubs: NDArray[np.int32]
    """Captions that are near many unrelated captions, ascending."""
    captions: int
    """Number of captions, N."""
    chance: float
    """Probability that ten random captions are a success."""
    by_images: bool
    """Whether success means a sibling caption among the first ten hits."""
    foreign: Asked
    """Queries that have nothing to do with the corpus."""


def calibrate(measured: Measured, *, seed: int = 0) -> Steps[Calibration]:
    """Learn from one half of the measured queries and measure on the other; `seed` determines the bootstraps."""
    random = np.random.default_rng(seed)
    success = measured.success["infersent"]  # (Q,)
    equal = ~measured.extra  # (Q,)
    curve = yield from _curve(measured, random)
    least = _least_content(curve, measured.chance)
    learn = ~measured.held_out  # (Q,)
    predictor = Predictor.fit(measured.signals[learn & equal], success[learn & equal])
    probability = predictor.probability(measured.signals)  # (Q,)
    short = measured.content < (least if least is not None else np.inf)  # (Q,)
    whole = measured.kinds == "whole"  # (Q,)
    threshold = _threshold(probability, short, learn & whole & success)
    alarm = short | (probability < threshold)  # (Q,)
    judged = measured.held_out & equal  # (Q,)
    alternatives = {
        "words": np.log(np.maximum(measured.known, 1)),
        "nearest_distance": -measured.signals[:, NAMES.index("nearest")],
    }
    auroc = {"verdict": auroc_of(probability[judged], success[judged])}
    auroc |= {name: auroc_of(values[judged], success[judged]) for name, values in alternatives.items()}
    best = max(alternatives, key=lambda name: auroc[name])
    within = [
        auroc_of(probability[cell], success[cell])
        for length in _WITHIN_LENGTHS
        for cell in [judged & (measured.lengths == length)]
    ]
    few = measured.held_out & (measured.known <= 3)  # (Q,)
    lead = yield from _lead(probability[judged], alternatives[best][judged], success[judged], random)
    nearest, foreign = _nearest(measured), measured.foreign
    whole_foreign = foreign.held_out & (foreign.lengths == 0)  # (F,)
    found = _are_foreign(nearest, foreign)  # (F,)
    called = ~found & (foreign.content >= (least if least is not None else np.inf))  # (F,) reliable
    called &= predictor.probability(foreign.signals) >= threshold
    lost = _are_foreign(nearest, measured)  # (Q,)
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
        nearest=nearest,
        hubs=measured.hubs,
        auroc=auroc,
        auroc_lead=lead,
        auroc_within_length=float(np.nanmean(within)) if np.isfinite(within).any() else float("nan"),
        false_alarm=_share(alarm, measured.held_out & whole & success),
        caught=_share(alarm, few & ~success),
        foreign_found=_share(found, whole_foreign),
        foreign_reliable=_share(called, whole_foreign),
        captions_lost=_share(lost, measured.held_out & whole),
        reliability=_reliability(probability[judged], success[judged]),
    )


def _nearest(measured: Measured) -> dict[str, Nearest]:
    """Summarize the distances of hit 1 by length, of the caption cuts and foreign cuts that are not held out."""
    at, foreign = NAMES.index("nearest"), measured.foreign
    found = {}
    for length in (*LENGTHS, 0):
        cuts = (measured.lengths == length) & (measured.kinds != "words") & ~measured.held_out  # (Q,)
        distances = measured.signals[cuts, at]
        others = foreign.signals[(foreign.lengths == length) & ~foreign.held_out, at]
        if len(distances):
            farthest = float(np.quantile(distances, 0.99))
            found[str(length)] = Nearest(_normal(distances), _normal(others), farthest)
    return found


def _normal(values: NDArray[np.float64]) -> tuple[int, float, float]:
    """Return number, mean and standard deviation; zeros for the last two without values."""
    return len(values), *((float(values.mean()), float(values.std())) if len(values) else (0.0, 0.0))


def _are_foreign(nearest: Mapping[str, Nearest], asked: Asked) -> NDArray[np.bool_]:
    """Tell which queries are not about the corpus, (Q,)."""
    distances = asked.signals[:, NAMES.index("nearest")].tolist()
    pairs = zip(distances, asked.known.tolist(), strict=True)
    return np.array([is_in_corpus(nearest, distance, known) is False for distance, known in pairs], bool)


def _curve(measured: Measured, random: np.random.Generator) -> Steps[tuple[Recall, ...]]:
    cells = []
    for kind in KINDS:
        for length in sorted(set(measured.lengths[measured.kinds == kind].tolist())):
            cell = (measured.kinds == kind) & (measured.lengths == length)  # (Q,)
            draws = random.integers(0, cell.sum(), size=(_BOOTSTRAPS, cell.sum()))  # (_BOOTSTRAPS, cell queries)
            by_method: dict[str, tuple[float, float, float]] = {}
            for method in METHODS:
                values = measured.success[method][cell]  # (cell queries,)
                low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
                by_method[method] = (float(values.mean()), float(low), float(high))
            cells.append(Recall(kind, length, int(cell.sum()), by_method))
            yield Progress("calibrating: figures", 0, 0, "")
    return tuple(cells)


def _least_content(curve: Sequence[Recall], chance: float) -> int | None:
    """Find the least number of content words from which on success is at least half that of whole captions.

    It is one more than the longest measured length when that fails too; None when whole captions do not beat chance.
    """
    recalls = {(cell.kind, cell.length): cell.by_method["infersent"] for cell in curve}
    whole = recalls.get(("whole", 0), (0.0, 0.0, 0.0))
    if whole[1] <= min(3 * chance, (1 + chance) / 2):  # where chance is high, halfway to certainty
        return None
    lengths = sorted(length for kind, length in recalls if kind == "words")
    least = lengths[-1] + 1 if lengths else 1
    for length in reversed(lengths):
        if recalls["words", length][0] < whole[0] / 2:
            break
        least = length
    return least


def _threshold(probability: NDArray[np.float64], short: NDArray[np.bool_], good: NDArray[np.bool_]) -> float:
    """Find the least probability of a reliable query, so that few good queries are below it or short; 2 for none."""
    allowed = int(_MAX_FALSE_ALARM * good.sum()) - int((good & short).sum())
    ranked = np.sort(probability[good & ~short])  # (good and not short,)
    return float(ranked[max(0, allowed)]) if len(ranked) >= 10 else 2.0


def _lead(
    verdict: NDArray[np.float64], other: NDArray[np.float64], success: NDArray[np.bool_], random: np.random.Generator
) -> Steps[tuple[float, float, float]]:
    leads = []
    for number in range(_BOOTSTRAPS):
        if number % 50 == 0:
            yield Progress("calibrating: figures", number, _BOOTSTRAPS, "")
        draw = random.integers(0, len(success), size=len(success))  # (judged,)
        leads.append(auroc_of(verdict[draw], success[draw]) - auroc_of(other[draw], success[draw]))
    low, high = np.nanquantile(leads, [0.025, 0.975]) if np.isfinite(leads).any() else (np.nan, np.nan)
    return auroc_of(verdict, success) - auroc_of(other, success), float(low), float(high)


def _distributions(measured: Measured) -> dict[str, tuple[float, ...]]:
    values = {name: measured.signals[:, NAMES.index(name)] for name in DISTRIBUTIONS if name in NAMES}
    values["marks"] = measured.marks
    quantiles: dict[str, tuple[float, ...]] = {}
    for name in DISTRIBUTIONS:
        whole = values[name][measured.kinds == "whole"]  # (whole captions,)
        finite = whole[np.isfinite(whole)]  # (measured,)
        quantiles[name] = tuple(np.quantile(finite, np.linspace(0, 1, 101)).tolist()) if len(finite) else ()
    return quantiles


def _share(event: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return float(event[among].mean()) if among.any() else float("nan")


def _reliability(probability: NDArray[np.float64], success: NDArray[np.bool_]) -> tuple[tuple[float, float, int], ...]:
    bins = np.minimum((probability * 10).astype(int), 9)  # (judged,)
    return tuple(
        (float(probability[bins == i].mean()), float(success[bins == i].mean()), int((bins == i).sum()))
        for i in range(10)
        if (bins == i).any()
    )
