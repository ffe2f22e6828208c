"""Learning: turn test queries with known success into a calibration.

Test queries are cut from captions: runs of tokens, sets of content words, and whole captions. Each is answered without
its source caption. It succeeds when another caption of the same image is among the first ten hits or, in a corpus
without image groups, when half of the first ten hits are also among the first ten of the whole caption. One logistic
regression learns to predict success from the signals. A second one learns for short queries, which cannot mean one
image, whether at least five of the first ten hits are confirmed by other captions. One more for each length tells
queries about the corpus from foreign ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.ranking.ranking import FIRST
from core.store.progress import Progress, Steps
from core.trust.calibration import LEAST_ATTAINABLE, TAIL, Calibration, Figures, Recall
from core.trust.domain import LONG, SUMS, Domain
from core.trust.measured import Asked, Measured
from core.trust.predictor import Predictor
from core.trust.probes import KINDS, LENGTHS
from core.trust.signals import NAMES

_BOOTSTRAPS = 1000
# The count of confirmed hits alone decides whether there are five. Without a strong penalty the regression would look
# at nothing else, although words and distance help to tell right lists from wrong ones.
_SHORT_RIDGE = 0.08  # a query
_LEAST_EACH = 10  # short queries with five confirmed hits, and without, from which to learn


class Learned(NamedTuple):
    """What is learned from some of the test queries."""

    predictor: Predictor
    short_predictor: Predictor | None
    domains: dict[str, Domain]
    whole: float
    """How often whole captions succeed."""


def calibrate(
    measured: Measured, figures: Figures, least_content: int | None, curve: tuple[Recall, ...]
) -> Calibration:
    """Learn from all measured queries; `figures` tell how good that is on held-out ones."""
    every, foreign = np.ones(len(measured.kinds), bool), np.ones(len(measured.foreign.known), bool)  # (Q,), (F,)
    learned = learn(measured, every, foreign, least_content)
    whole = measured.signals[measured.kinds == "whole", NAMES.index("nearest")]  # (whole captions,)
    return Calibration(
        captions=measured.captions,
        by_images=measured.by_images,
        chance=measured.chance,
        curve=curve,
        least_content=least_content,
        predictor=learned.predictor,
        short_predictor=learned.short_predictor,
        whole_nearest=tuple(np.quantile(whole, np.linspace(0, 1, 101)).tolist()) if len(whole) else (),
        random_distances={
            str(length): tuple(np.nanquantile(measured.random_distances[cell], TAIL).tolist())
            for length in (*LENGTHS, 0)
            for cell in [(measured.lengths == length) & (measured.kinds != "words")]
            if cell.any()
        },
        domains=learned.domains,
        hubs=measured.hubs,
        figures=figures,
        second="",
    )


def learn(
    measured: Measured, part: NDArray[np.bool_], foreign: NDArray[np.bool_], least_content: int | None
) -> Learned:
    """Learn from some of the queries, (Q,), and of the foreign ones, (F,)."""
    success = measured.success["infersent"]  # (Q,)
    equal = part & ~measured.extra  # (Q,)
    short = equal & are_short(measured, least_content) & (measured.attainable >= LEAST_ATTAINABLE)  # (Q,)
    five = has_five(measured.evidence)  # (Q,)
    enough = min((short & five).sum(), (short & ~five).sum()) >= _LEAST_EACH
    whole = part & (measured.kinds == "whole")  # (Q,)
    return Learned(
        Predictor.fit(measured.signals[equal], success[equal]),
        Predictor.fit(measured.evidence[short], five[short], ridge=_SHORT_RIDGE * short.sum()) if enough else None,
        _domains(measured, part, foreign),
        float(success[whole].mean()) if whole.any() else 0.0,
    )


def are_short(measured: Measured, least_content: int | None) -> NDArray[np.bool_]:
    """Tell which cut queries have content words, but too few to single out an image, (Q,)."""
    few = measured.content < (np.inf if least_content is None else least_content)  # (Q,)
    return np.asarray(few & (measured.content > 0) & (measured.kinds != "whole"))


def has_five(evidence: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which queries have at least five confirmed hits, (Q,)."""
    return np.asarray(evidence[:, 0] >= FIRST / 2)


def _domains(measured: Measured, part: NDArray[np.bool_], foreign_part: NDArray[np.bool_]) -> dict[str, Domain]:
    """Learn what tells caption cuts from foreign cuts, by length, and sums of the former from sums of the latter."""
    domains = {SUMS: Domain.learn(measured.sums[:, None], measured.foreign_sums[:, None])}
    of_captions, of_foreign = domain_figures(measured), domain_figures(measured.foreign)  # (Q, 2), (F, 2)
    for length in (*LENGTHS, 0):
        width = 2 if length == 0 or length >= LONG else 1
        captions = part & (measured.lengths == length) & (measured.kinds != "words")  # (Q,)
        foreign = foreign_part & (measured.foreign.lengths == length)  # (F,)
        domains[str(length)] = Domain.learn(of_captions[captions, :width], of_foreign[foreign, :width])
    return {key: domain for key, domain in domains.items() if domain is not None}


def domain_figures(asked: Asked) -> NDArray[np.float64]:
    """Return the distance of hit 1 and the commonness of the words of each query, (Q, 2)."""
    return np.column_stack([asked.signals[:, NAMES.index("nearest")], asked.commonness])


def curve_of(measured: Measured, random: np.random.Generator) -> Steps[tuple[Recall, ...]]:
    """Compute the success of every method by kind and length, with bootstrap intervals."""
    cells = []
    for kind in KINDS:
        for length in sorted(set(measured.lengths[measured.kinds == kind].tolist())):
            cell = (measured.kinds == kind) & (measured.lengths == length)  # (Q,)
            draws = random.integers(0, cell.sum(), size=(_BOOTSTRAPS, cell.sum()))  # (_BOOTSTRAPS, cell queries)
            by_method: dict[str, tuple[float, float, float]] = {}
            for method in measured.success:
                values = measured.success[method][cell]  # (cell queries,)
                low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
                by_method[method] = (float(values.mean()), float(low), float(high))
            cells.append(Recall(kind, length, int(cell.sum()), by_method))
            yield Progress("calibrating: figures", 0, 0, "")
    return tuple(cells)


def least_content_of(curve: Sequence[Recall], chance: float) -> int | None:
    """Find the least number of content words from which on success is at least half that of whole captions.

    Between measured lengths success is interpolated. It is one more than the longest measured length when that fails
    too; None when whole captions do not beat chance.
    """
    recalls = {(cell.kind, cell.length): cell.by_method["infersent"] for cell in curve}
    whole = recalls.get(("whole", 0), (0.0, 0.0, 0.0))
    if whole[1] <= min(3 * chance, (1 + chance) / 2):  # where chance is high, halfway to certainty
        return None
    lengths = sorted(length for kind, length in recalls if kind == "words")
    found = [recalls["words", length][0] for length in lengths]
    every = range(1, max(lengths, default=0) + 1)
    return max((length for length in every if np.interp(length, lengths, found) < whole[0] / 2), default=0) + 1
