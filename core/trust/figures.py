"""Figures: how good the verdict is, measured on queries that it has not learned from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.ranking.ranking import FIRST
from core.store.progress import Progress, Steps
from core.trust.calibration import LEAST_ATTAINABLE, Calibration, Figures, level_of
from core.trust.confirmation import Confirmed
from core.trust.domain import Domain, domain_key
from core.trust.learning import (
    Learned,
    are_short,
    calibrate,
    curve_of,
    domain_figures,
    has_five,
    learn,
    least_content_of,
)
from core.trust.measured import Asked, Measured
from core.trust.predictor import auroc_of
from core.trust.signals import NAMES

_SPLITS = 10  # of the images into a half to learn from and a half to measure on
_SAMPLES = 20  # of the held-out half of each split, for the intervals
_WITHIN_LENGTHS = (2, 3, 4, 6)  # for the AUROC among queries of equal length
_BINS = 10  # of equally many queries, for the calibration error


def calibrate_and_measure(measured: Measured, *, seed: int = 0) -> Steps[Calibration]:
    """Learn from all measured queries, and measure how good the same is on held-out ones; `seed` determines it all."""
    random = np.random.default_rng(seed)
    curve = yield from curve_of(measured, random)
    least = least_content_of(curve, measured.chance)
    splits, probabilities, outcomes = [], [], []
    samples: list[dict[str, float]] = []
    for number in range(_SPLITS):
        yield Progress("calibrating: figures", number, _SPLITS, "splits")
        held, foreign = _half(measured, random), _half(measured.foreign, random)  # (Q,), (F,)
        split = _Split(measured, learn(measured, ~held, ~foreign, least), held, foreign, least)
        splits.append(split.figures(held, foreign))
        probabilities.append(split.judged.probability[held & ~measured.extra])
        outcomes.append(split.success[held & ~measured.extra])
        for _ in range(_SAMPLES):
            samples.append(split.sampled(random))
            yield Progress("calibrating: figures", number, _SPLITS, "splits")
    bins = _bins(np.concatenate(probabilities), np.concatenate(outcomes))
    return calibrate(measured, _summarize(splits, samples, bins), least, curve)


class _Split:
    """Judges all queries by what was learned from one half of them."""

    def __init__(
        self,
        measured: Measured,
        learned: Learned,
        held: NDArray[np.bool_],
        foreign_held: NDArray[np.bool_],
        least: int | None,
    ) -> None:
        self._measured, self._least = measured, least
        self.held, self._foreign_held = held, foreign_held
        self.success = measured.success["infersent"]  # (Q,)
        self.judged = _judge(measured, learned, least, by_images=measured.by_images)
        self._foreign_judged = _judge(measured.foreign, learned, least, by_images=measured.by_images)

    def figures(self, among: NDArray[np.bool_], foreign: NDArray[np.bool_]) -> dict[str, float]:
        """Measure on some held-out queries, (Q,), and foreign ones, (F,); nan where nothing can be measured."""
        measured, success = self._measured, self.success
        judged, whole = among & ~measured.extra, among & (measured.kinds == "whole")  # (Q,), (Q,)
        nearest = -measured.signals[:, NAMES.index("nearest")]  # (Q,)
        figures = {
            "auroc verdict": auroc_of(self.judged.probability[judged], success[judged]),
            "auroc words": auroc_of(measured.content[judged].astype(float), success[judged]),
            "auroc nearest_distance": auroc_of(nearest[judged], success[judged]),
        }
        best = max(figures["auroc words"], figures["auroc nearest_distance"])
        within = [
            auroc_of(self.judged.probability[cell], success[cell])
            for length in _WITHIN_LENGTHS
            for cell in [judged & (measured.lengths == length)]
        ]
        bins = _bins(self.judged.probability[judged], success[judged])
        counts = np.array([count for *_, count in bins])  # (bins,)
        gaps = np.array([abs(predicted - found) for predicted, found, _ in bins])  # (bins,)
        figures |= {
            "auroc_lead": figures["auroc verdict"] - best,
            "auroc_within_length": float(np.nanmean(within)) if np.isfinite(within).any() else float("nan"),
            "ece": float(counts @ gaps / counts.sum()) if len(counts) else float("nan"),
            "false_alarm": _share((self.judged.levels != "reliable") | self.judged.is_foreign, whole & success),
            "captions_lost": _share(self.judged.is_foreign, whole & self.judged.domain_known),
        }
        return figures | self._short(among) | self._foreign(foreign)

    def sampled(self, random: np.random.Generator) -> dict[str, float]:
        """Measure on half of the held-out images, drawn anew: the spread of that is near that of a bootstrap."""
        foreign = self._foreign_held & _half(self._measured.foreign, random)  # (F,)
        return self.figures(self.held & _half(self._measured, random), foreign)

    def _short(self, among: NDArray[np.bool_]) -> dict[str, float]:
        measured, five = self._measured, has_five(self._measured.evidence)  # (Q,)
        short = are_short(measured, self._least) & (measured.attainable >= LEAST_ATTAINABLE) & among  # (Q,)
        judged = np.zeros_like(short) if self.judged.short_probability is None else short  # (Q,)
        levels, foreign = self.judged.levels, self.judged.is_foreign  # (Q,), (Q,)
        figures = {
            "short condemned_though_right": _share((levels == "unreliable") | foreign, judged & five),
            "short trusted_though_wrong": _share((levels == "reliable") & ~foreign, judged & ~five),
        }
        for length in range(1, int(measured.content[short].max(initial=0)) + 1):
            cell = short & (measured.content == length)  # (Q,)
            known = self.judged.short_probability
            figures[f"short auroc {length}"] = float("nan") if known is None else auroc_of(known[cell], five[cell])
        return figures

    def _foreign(self, among: NDArray[np.bool_]) -> dict[str, float]:
        whole, judged = among & (self._measured.foreign.lengths == 0), self._foreign_judged  # (F,)
        return {
            "foreign_found": _share(judged.is_foreign, whole & judged.domain_known),
            "foreign_reliable": _share(~judged.is_foreign & (judged.levels == "reliable"), whole),
        }


class _Judged(NamedTuple):
    """What a split says of its queries."""

    probability: NDArray[np.float64]
    """Of success, (Q,)."""
    short_probability: NDArray[np.float64] | None
    """Of five confirmed hits, (Q,); None where nothing was learned of that."""
    levels: NDArray[np.str_]
    """Levels, were the queries about the corpus, (Q,)."""
    is_foreign: NDArray[np.bool_]
    """Whether they are found not to be about the corpus, (Q,)."""
    domain_known: NDArray[np.bool_]
    """Whether that could be found out, (Q,)."""


def _judge(asked: Asked, learned: Learned, least: int | None, *, by_images: bool) -> _Judged:
    long = learned.predictor.probability(asked.signals)  # (Q,)
    few = learned.short_predictor.probability(asked.evidence) if learned.short_predictor else None  # (Q,)
    short = asked.content < (np.inf if least is None else least)  # (Q,)
    keys = np.array([domain_key(known) for known in asked.known.tolist()], np.str_)  # (Q,)
    known = np.isin(keys, list(learned.domains))  # (Q,)
    levels = [
        level_of(
            short=bool(short[i]),
            probability=(None if few is None else few[i]) if short[i] else long[i],
            confirmed=Confirmed(int(hits), FIRST, int(asked.attainable[i]), share),
            whole=learned.whole if least is not None else 0.0,
            by_images=by_images,
            domain_known=bool(known[i]),
        )
        for i, (hits, share, *_) in enumerate(asked.evidence.tolist())
    ]
    return _Judged(long, few, np.array(levels, np.str_), _are_foreign(learned.domains, asked, keys), known)


def _half(asked: Asked, random: np.random.Generator) -> NDArray[np.bool_]:
    """Draw half of the groups, and return their queries, (Q,)."""
    _, groups = np.unique(asked.groups, return_inverse=True)  # (Q,)
    half = random.permutation(int(groups.max(initial=-1)) + 1) % 2 == 1  # (groups,)
    return np.asarray(half[groups], bool)


def _are_foreign(domains: Mapping[str, Domain], asked: Asked, keys: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Tell which queries are not about the corpus, (Q,), by the keys of their domains, (Q,)."""
    figures, foreign = domain_figures(asked), np.zeros(len(keys), bool)  # (Q, 2), (Q,)
    for key, domain in domains.items():
        foreign[keys == key] = ~domain.contains(*figures[keys == key].T)
    return foreign


def _share(event: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return float(event[among].mean()) if among.any() else float("nan")


def _bins(probability: NDArray[np.float64], success: NDArray[np.bool_]) -> tuple[tuple[float, float, int], ...]:
    """Return mean probability, rate of success and number in bins of equally many queries, by probability."""
    order = np.argsort(probability, kind="stable")  # (n,)
    return tuple(
        (float(probability[part].mean()), float(success[part].mean()), len(part))
        for part in np.array_split(order, _BINS)
        if len(part)
    )


def _summarize(
    splits: list[dict[str, float]],
    samples: list[dict[str, float]],
    bins: tuple[tuple[float, float, int], ...],
) -> Figures:
    """Average the figures over the splits, and take their intervals from the samples."""
    names = list(dict.fromkeys(name for split in splits for name in split))
    means = {name: _mean([split.get(name, np.nan) for split in splits]) for name in names}
    intervals = {name: _interval([sample.get(name, np.nan) for sample in samples], means[name]) for name in names}
    short = {name.removeprefix("short "): value for name, value in means.items() if name.startswith("short ")}
    by_length = {name.removeprefix("auroc "): short.pop(name) for name in list(short) if name.startswith("auroc ")}
    return Figures(
        auroc={name.removeprefix("auroc "): value for name, value in means.items() if name.startswith("auroc ")},
        **{name: value for name, value in means.items() if " " not in name},
        short={"auroc": by_length} | short,
        reliability=bins,
        intervals={name: interval for name, interval in intervals.items() if np.isfinite(interval).all()},
    )


def _mean(values: list[float]) -> float:
    """Average the values that could be measured."""
    finite = np.array(values)[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def _interval(values: list[float], mean: float) -> tuple[float, float]:
    """Return the 95 % interval of half samples, which spread about as much as a bootstrap; it includes the mean."""
    finite = np.array(values)[np.isfinite(values)]
    if not len(finite) or np.isnan(mean):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [0.025, 0.975])
    return min(float(low), mean), max(float(high), mean)
