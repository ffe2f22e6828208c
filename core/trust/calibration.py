"""Calibration: how far answers can be trusted, measured on the encoder and the captions in use.

Queries are cut from captions: runs of tokens and sets of content words, of several lengths, and whole captions. Each is
answered without the caption that it comes from. It succeeds when a sister, another caption of the same image, is among
the first ten hits; where a corpus has no image groups, when at least half of the first ten are also among the first ten
of the whole caption. From the signals of one half of these queries a logistic regression learns to predict success; all
figures about it are taken on the other half, whose images it has not seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.ranking.methods import METHODS, Method
from core.store.progress import Progress, Steps
from core.store.whole import write_json
from core.trust.signals import NAMES

FORMAT = 2
"""Version of the file's layout and of the way in which it is measured."""
LENGTHS = (1, 2, 3, 4, 6, 8, 12)
"""Lengths of the queries that are cut from captions."""
KINDS = ("span", "words", "whole")
"""A run of tokens; content words in their order; the whole caption, whose length is written as 0."""
DISTRIBUTIONS = ("nearest", "from_marks", "marks")
"""What has its distribution among whole captions kept."""
_MOST_FALSE_ALARMS = 0.02  # of succeeding whole captions, on the half that is learned from; 5 % is promised
_WITHIN = (2, 3, 4, 6)  # lengths at which the predictor is judged among queries of equal length
_BOOTSTRAPS = 1000
_TAIL = np.concatenate([[0.0], np.geomspace(1e-4, 0.5, 60), 1 - np.geomspace(0.5, 1e-4, 60)[1:], [1.0]])
_RIDGE = 1.0  # weight of the squared coefficients, as in scikit-learn's default


@dataclass(frozen=True, slots=True)
class Recall:
    """How often queries of one kind and length succeed."""

    kind: str
    """One of `KINDS`."""
    length: int
    """In known tokens (span) or content words (words); 0 for whole captions."""
    count: int
    """How many queries were asked."""
    by_method: dict[str, tuple[float, float, float]]
    """Success, and its 95 % bootstrap interval, 0..1, by method."""


@dataclass(frozen=True, slots=True)
class Predictor:
    """A logistic regression from signals to the probability of success."""

    means: tuple[float, ...]
    """Of each signal, (S,)."""
    scales: tuple[float, ...]
    """Standard deviation of each signal, (S,)."""
    weights: tuple[float, ...]
    """Of each signal once centred and scaled, (S,)."""
    intercept: float
    """Log odds at the means."""

    def contributions(self, signals: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each signal adds to the log odds; the shape of `signals`, (..., S)."""
        parts: NDArray[np.float64] = (signals - np.array(self.means)) / np.array(self.scales) * np.array(self.weights)
        return parts

    def probability(self, signals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of success, (...,), for signals, (..., S)."""
        from scipy.special import expit

        odds = self.contributions(signals).sum(axis=-1) + self.intercept
        probability: NDArray[np.float64] = expit(odds)
        return probability

    @classmethod
    def fit(cls, signals: NDArray[np.float64], success: NDArray[np.bool_]) -> Predictor:
        """Fit by maximum likelihood with a ridge.

        Args:
            signals: (Q, S).
            success: (Q,).
        """
        from scipy.optimize import minimize
        from scipy.special import expit

        means, scales = signals.mean(axis=0), signals.std(axis=0)
        scales[scales < 1e-9] = 1.0
        inputs = np.column_stack([(signals - means) / scales, np.ones(len(signals))])  # (Q, S + 1)
        ridge = np.full(inputs.shape[1], _RIDGE)
        ridge[-1] = 1e-6
        signs = np.where(success, 1.0, -1.0)

        def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            margins = signs * (inputs @ weights)
            slope = -signs * expit(-margins)
            value = np.logaddexp(0, -margins).sum() + 0.5 * (ridge * weights**2).sum()
            return float(value), inputs.T @ slope + ridge * weights

        weights = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B").x
        return cls(tuple(means.tolist()), tuple(scales.tolist()), tuple(weights[:-1].tolist()), float(weights[-1]))


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
    """Whether success is a sister among the first ten."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """What was measured on one encoder and one corpus."""

    captions: int
    """N."""
    measure: str
    """What success is, a phrase."""
    chance: float
    """How often ten captions drawn at random would be a success."""
    curve: tuple[Recall, ...]
    """By kind and length."""
    least_content: int | None
    """Fewer content words than this are too short, since success is below half of that of whole captions; None when
    even whole captions succeed no more often than chance."""
    predictor: Predictor
    """Of success."""
    reliable_from: float
    """From this probability on a query is reliable; more than 1 when none is."""
    distributions: Mapping[str, tuple[float, ...]]
    """101 quantiles among whole captions by `DISTRIBUTIONS`."""
    random_distances: Mapping[str, tuple[float, ...]]
    """Quantiles of the distances between queries and random captions, by length in tokens; 0 for whole captions."""
    hubs: NDArray[np.int32]
    """Captions that are among the first ten of far more captions than others are, ascending."""
    auroc: Mapping[str, float]
    """Of the verdict, of the number of words alone, of the nearest distance alone, on the held-out half."""
    auroc_lead: tuple[float, float, float]
    """The verdict's lead over the better of the two, and its 95 % paired bootstrap interval."""
    auroc_within_length: float
    """The mean over lengths 2, 3, 4 and 6 of the AUROC among queries of that length."""
    false_alarm: float
    """Of held-out whole captions that succeed, the share not called reliable."""
    caught: float
    """Of held-out queries of one to three words that fail, the share not called reliable."""
    reliability: tuple[tuple[float, float, int], ...]
    """Of the held-out queries by tenths of probability: mean probability, share of successes, how many."""

    def recall(self, content: int, method: Method = "infersent") -> float:
        """How often queries of so many content words succeed, between the lengths that were measured."""
        cells = [cell for cell in self.curve if cell.kind == "words"]
        lengths = [cell.length for cell in cells]
        return float(np.interp(content, lengths, [cell.by_method[method][0] for cell in cells])) if cells else 0.0

    @property
    def learned_too_little(self) -> bool:
        """Whether whole captions do succeed, but too few of those that were learned from to find a threshold."""
        return self.reliable_from > 1 and self.least_content is not None

    @property
    def whole_recall(self) -> float:
        """How often whole captions succeed."""
        return next((cell.by_method["infersent"][0] for cell in self.curve if cell.kind == "whole"), 0.0)

    def best_method(self, content: int) -> Method:
        """The method that succeeds most often at a length; `infersent` unless another is clearly ahead.

        Clearly: its success is above the upper end of infersent's interval.
        """
        cells = [cell for cell in self.curve if cell.kind == "words"]
        if not cells:
            return "infersent"
        cell = min(cells, key=lambda cell: abs(cell.length - content))
        best = max(METHODS, key=lambda method: cell.by_method[method][0])
        return best if cell.by_method[best][0] > cell.by_method["infersent"][2] else "infersent"

    def is_too_short(self, content: int) -> bool:
        """Whether a query of so many known content words is too short, whatever it says."""
        return self.least_content is None or content < self.least_content

    def closer_than(self, distances: NDArray[np.floating] | float, known: int) -> NDArray[np.float64]:
        """The share of random captions that are farther from a query than each distance, 0..1; the same shape.

        Args:
            distances: Cosine distances.
            known: The query's known tokens.
        """
        lengths = sorted(int(length) for length in self.random_distances if length != "0")
        if not lengths:
            return np.full(np.shape(distances), np.nan)
        length = min(lengths, key=lambda length: abs(np.log(length / max(1, known))))
        if known > max(lengths):
            length = 0
        nearer: NDArray[np.float64] = np.interp(distances, self.random_distances[str(length)], _TAIL)
        return 1 - nearer

    def share_below(self, signal: str, value: float) -> float:
        """The share of whole captions whose signal is below a value, equal ones half, 0..1; 0.5 if not measured."""
        quantiles = np.array(self.distributions[signal])
        if not len(quantiles):
            return 0.5
        shares = np.linspace(0, 1, len(quantiles))
        at_most, above = np.interp(value, quantiles, shares), np.interp(-value, -quantiles[::-1], shares)
        return float(at_most + 1 - above) / 2

    @cached_property
    def hub_set(self) -> frozenset[int]:
        """The hubs."""
        return frozenset(self.hubs.tolist())

    def save(self, path: Path) -> None:
        """Write a JSON file that appears whole or not at all.

        Args:
            path: Its place, in the folder of the matrix that was measured.

        Raises:
            AssetError: It cannot be written.
        """
        write_json(path, self.document() | {"hubs": self.hubs.tolist(), "made_from": path.parent.name})

    def document(self) -> dict[str, Any]:
        """Everything but the list of hubs, for JSON; None for figures that could not be measured."""
        plain = asdict(replace(self, hubs=np.empty(0, np.int32)))
        plain |= {name: _without_nan(plain[name]) for name in _FIGURES}
        return plain | {"format": FORMAT, "signals": list(NAMES), "hubs": len(self.hubs)}

    @classmethod
    def load(cls, path: Path) -> Calibration | None:
        """Read what `save` wrote; None when there is nothing, or nothing of this format and matrix."""
        try:
            plain = json.loads(path.read_text(encoding="utf-8"))
            if plain.pop("format") != FORMAT or plain.pop("signals") != list(NAMES):
                return None
            if plain.pop("made_from") != path.parent.name:
                return None
            curve = tuple(
                Recall(**cell | {"by_method": {name: tuple(values) for name, values in cell["by_method"].items()}})
                for cell in plain.pop("curve")
            )
            learned = plain.pop("predictor")
            intercept = float(learned.pop("intercept"))
            predictor = Predictor(**{name: tuple(values) for name, values in learned.items()}, intercept=intercept)
            hubs = np.array(plain.pop("hubs"), np.int32)
            plain |= {name: _with_nan(plain[name]) for name in _FIGURES}
            return cls(**_tupled(plain), curve=curve, predictor=predictor, hubs=hubs)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


_FIGURES = ("auroc", "auroc_lead", "auroc_within_length", "false_alarm", "caught")  # which may be nan


def _without_nan(value: Any) -> Any:
    """Write nan, which JSON does not have, as None."""
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return tuple(map(_without_nan, value))
    return None if np.isnan(value) else value


def _with_nan(value: Any) -> Any:
    """Undo `_without_nan`."""
    if isinstance(value, dict):
        return {name: _with_nan(item) for name, item in value.items()}
    if isinstance(value, list):
        return list(map(_with_nan, value))
    return float("nan") if value is None else float(value)


def _tupled(value: Any) -> Any:
    """Read JSON's lists as tuples."""
    if isinstance(value, dict):
        return {name: _tupled(item) for name, item in value.items()}
    return tuple(map(_tupled, value)) if isinstance(value, list) else value


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
        measure="a sister among the first ten" if measured.by_images else "half of the whole caption's first ten",
        chance=measured.chance,
        curve=curve,
        least_content=least,
        predictor=predictor,
        reliable_from=threshold,
        distributions=_distributions(measured),
        random_distances={
            str(length): tuple(np.nanquantile(measured.random_distances[cell], _TAIL).tolist())
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


def auroc_of(scores: NDArray[np.floating], success: NDArray[np.bool_]) -> float:
    """The chance that a success has a higher score than a failure, ties counted half; nan when either is missing."""
    from scipy.stats import rankdata

    good, bad = int(success.sum()), int((~success).sum())
    if not good or not bad:
        return float("nan")
    return float((rankdata(scores)[success].sum() - good * (good + 1) / 2) / (good * bad))


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
