"""Made-up measurements that calibrations are learned from."""

import warnings
from dataclasses import replace

import numpy as np

from core.ranking.methods import METHODS
from core.store.progress import finish
from core.trust.calibration import Calibration
from core.trust.learning import Asked, Measured, calibrate
from core.trust.probes import KINDS, LENGTHS
from core.trust.signals import NAMES

RISING = {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.45, 6: 0.6, 8: 0.7, 12: 0.7}
"""How often queries of so many content words succeed, for `with_recalls`."""


def measured(*, each: int = 40, whole: int = 120, seed: int = 0, chance: float = 0.02) -> Measured:
    """Made-up measurements: success grows with the length and with the first signal."""
    random = np.random.default_rng(seed)
    cells = [(kind, length) for kind in KINDS[:2] for length in LENGTHS] + [("whole", 0)]
    sizes = [whole if kind == "whole" else each for kind, _ in cells]
    kinds = np.repeat([kind for kind, _ in cells], sizes)
    lengths = np.repeat([length for _, length in cells], sizes)
    known = np.where(lengths == 0, 10, lengths)
    signals = random.normal(size=(len(kinds), len(NAMES)))
    odds = np.log(known) * 2 - 2.5 + 1.5 * signals[:, 3]
    success = random.random(len(kinds)) < 1 / (1 + np.exp(-odds))
    return Measured(
        kinds=kinds,
        lengths=lengths,
        known=known,
        content=np.where(kinds == "span", known // 2, known),
        extra=np.zeros(len(kinds), bool),
        held_out=random.random(len(kinds)) < 0.5,
        signals=signals,
        marks=np.where(random.random(len(kinds)) < 0.5, random.random(len(kinds)), np.nan),
        success=dict.fromkeys(METHODS, success),
        random_distances=random.random((len(kinds), 32)).astype(np.float32),
        hubs=np.array([3, 5], np.int32),
        captions=1000,
        chance=chance,
        by_images=True,
        foreign=foreign(random),
    )


def foreign(random: np.random.Generator, *, each: int = 120) -> Asked:
    """Made-up foreign queries, half of each length held out; the nearest hit is far from that of any caption cut."""
    lengths = np.repeat([*LENGTHS, 0], each)
    signals = random.normal(size=(len(lengths), len(NAMES)))
    signals[:, NAMES.index("nearest")] += 20
    known = np.where(lengths == 0, 10, lengths)
    return Asked(
        lengths=lengths, known=known, content=known, held_out=np.arange(len(lengths)) % 2 == 1, signals=signals
    )


def made(data: Measured) -> Calibration:
    """A calibration, made without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return finish(calibrate(data))


def with_recalls(recalls: dict[int, float], whole: float, **changes: object) -> Measured:
    """Measurements whose content words succeed just so often by length."""
    data = measured(each=100, whole=200)
    success = np.ones(len(data.kinds), bool)
    for kind, length, share in [("whole", 0, whole), *(("words", n, share) for n, share in recalls.items())]:
        places = np.flatnonzero((data.kinds == kind) & (data.lengths == length))
        success[places] = np.arange(len(places)) < round(share * len(places))
    return replace(data, success=dict.fromkeys(METHODS, success), **changes)
