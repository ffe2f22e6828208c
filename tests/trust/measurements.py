"""Made-up measurements that calibrations are learned from."""

import warnings
from dataclasses import replace

import numpy as np

from core.ranking.methods import METHODS
from core.store.progress import finish
from core.trust.calibration import Calibration, Figures
from core.trust.figures import calibrate_and_measure
from core.trust.learning import calibrate, curve_of, least_content_of
from core.trust.measured import Asked, Measured
from core.trust.probes import KINDS, LENGTHS
from core.trust.signals import NAMES

RISING = {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.45, 6: 0.6, 8: 0.7, 12: 0.7}
"""How often queries of so many content words succeed, for `with_recalls`."""
UNMEASURED = Figures(
    auroc=dict.fromkeys(("verdict", "words", "nearest_distance"), np.nan),
    **dict.fromkeys(("auroc_lead", "auroc_within_length", "ece", "false_alarm"), np.nan),
    **dict.fromkeys(("foreign_found", "foreign_reliable", "captions_lost"), np.nan),
    short={"auroc": {"1": np.nan}, "condemned_though_right": np.nan, "trusted_though_wrong": np.nan},
    reliability=(),
    intervals={},
)
"""Figures of which none could be measured."""


def measured(*, each: int = 130, whole: int = 120, seed: int = 0, chance: float = 0.02) -> Measured:
    """Made-up measurements: success grows with the length and with the fourth signal."""
    random = np.random.default_rng(seed)
    cells = [(kind, length) for kind in KINDS[:2] for length in LENGTHS] + [("whole", 0)]
    sizes = [whole if kind == "whole" else each for kind, _ in cells]
    kinds = np.repeat([kind for kind, _ in cells], sizes)
    lengths = np.repeat([length for _, length in cells], sizes)
    known = np.where(lengths == 0, 10, lengths)
    content = np.where(kinds == "span", known // 2, known)
    signals = random.normal(size=(len(kinds), len(NAMES)))
    odds = np.log(known) * 2 - 2.5 + 1.5 * signals[:, 3]
    success = random.random(len(kinds)) < 1 / (1 + np.exp(-odds))
    evidence, attainable = confirmations(content, random)
    return Measured(
        kinds=kinds,
        lengths=lengths,
        known=known,
        content=content,
        groups=random.integers(len(kinds) // 4, size=len(kinds)),
        extra=np.zeros(len(kinds), bool),
        commonness=np.random.default_rng(seed).normal(-4, 1, len(kinds)),
        signals=signals,
        evidence=evidence,
        attainable=attainable,
        success=dict.fromkeys(METHODS, success),
        random_distances=random.random((len(kinds), 32)).astype(np.float32),
        hubs=np.array([3, 5], np.int32),
        captions=1000,
        chance=chance,
        by_images=True,
        foreign=foreign(random),
        sums=random.normal(0.3, 0.05, size=100),
        foreign_sums=random.normal(0.8, 0.05, size=100),
    )


def confirmations(content: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Made-up evidence, (Q, 4), and attainable captions, (Q,): better lists have more confirmed hits and are nearer."""
    quality = random.random(len(content))  # (Q,)
    hits = random.binomial(10, quality)  # (Q,)
    distance = 1 - quality / 2 + random.normal(0, 0.1, len(content))  # (Q,)
    return np.column_stack([hits, np.sqrt(quality), distance, content]), random.integers(0, 60, len(content))


def foreign(random: np.random.Generator, *, each: int = 120) -> Asked:
    """Made-up foreign queries; the nearest hit is far from that of any caption cut, and no hit is confirmed."""
    lengths = np.repeat([*LENGTHS, 0], each)
    signals = random.normal(size=(len(lengths), len(NAMES)))
    signals[:, NAMES.index("nearest")] += 20
    known = np.where(lengths == 0, 10, lengths)
    return Asked(
        lengths=lengths,
        known=known,
        content=known,
        groups=np.arange(len(lengths)) % each,
        commonness=np.random.default_rng(1).normal(-4, 1, len(lengths)),
        signals=signals,
        evidence=np.column_stack([np.zeros((len(lengths), 2)), np.ones(len(lengths)), known]),
        attainable=np.zeros(len(lengths), np.int64),
    )


def without_foreign(data: Measured) -> Measured:
    """The same measurements without any foreign query."""
    return replace(data, foreign=foreign(np.random.default_rng(0), each=0), foreign_sums=np.empty(0))


def made(data: Measured, *, seed: int = 0) -> Calibration:
    """A calibration, made without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return finish(calibrate_and_measure(data, seed=seed))


def learned(data: Measured) -> Calibration:
    """The same calibration without its figures, which take seconds to measure."""
    curve = finish(curve_of(data, np.random.default_rng(0)))
    return calibrate(data, UNMEASURED, least_content_of(curve, data.chance), curve)


def with_recalls(recalls: dict[int, float], whole: float, **changes: object) -> Measured:
    """Measurements whose content words succeed just so often by length."""
    data = measured(each=100, whole=200)
    success = np.ones(len(data.kinds), bool)
    for kind, length, share in [("whole", 0, whole), *(("words", n, share) for n, share in recalls.items())]:
        places = np.flatnonzero((data.kinds == kind) & (data.lengths == length))
        success[places] = np.arange(len(places)) < round(share * len(places))
    return replace(data, success=dict.fromkeys(METHODS, success), **changes)
