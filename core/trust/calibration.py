"""Calibration: how far answers can be trusted, as measured on one encoder and corpus, and its JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.ranking.methods import METHODS, Method
from core.ranking.ranking import FIRST
from core.store.whole import read_json, write_json
from core.trust.confirmation import EVIDENCE, Confirmed
from core.trust.domain import Domain, domain_key
from core.trust.predictor import Predictor
from core.trust.probes import length_key
from core.trust.signals import NAMES

FORMAT = 8
"""Version of the file layout and of the measurement."""
TAIL = np.concatenate([[0.0], np.geomspace(1e-4, 0.5, 60), 1 - np.geomspace(0.5, 1e-4, 60)[1:], [1.0]])
"""Probabilities of the stored quantiles of random distances, dense near 0 and 1; (121,)."""

Level = Literal["reliable", "doubtful", "unreliable"]
LEAST_ATTAINABLE = 10
"""A short query is judged by its confirmed hits only if at least this many captions could be confirmed."""
LEAST_WHOLE = 0.4
"""Nothing is reliable where whole captions succeed less often."""
ABOUT_IT = 0.5
"""A query is about its hits where their images have this share of its words; those of foreign sentences have less."""
NEARLY_ALL = 0.9
"""A short query is not unreliable where the images of its hits have this share of its words."""
SELDOM = 0.15
"""A longer query is reliable only if its hits themselves have this share of its words, where nothing better is known:
without image groups, and before a calibration."""
LONG_RELIABLE, _LONG_UNRELIABLE = 0.7, 0.25  # of the success of whole captions
SHORT_RELIABLE, _SHORT_UNRELIABLE = 0.5, 0.15  # probabilities
RANDOM = 0.01
"""Share of random captions that lie within the distance up to which hits count as relevant."""


def level_of(
    *,
    short: bool,
    probability: float | None,
    confirmed: Confirmed | None,
    whole: float,
    by_images: bool,
    domain_known: bool,
) -> Level:
    """Return the level of a query that may be about the corpus.

    Args:
        short: Whether it is too short to single out an image, or a sum.
        probability: If short, that at least five of the first ten hits are confirmed; else that it succeeds.
        confirmed: How many hits are confirmed.
        whole: How often whole captions succeed.
        by_images: Whether hits are confirmed by other captions than themselves.
        domain_known: Whether it is known that the query is about the corpus.
    """
    if probability is None or (short and (confirmed is None or confirmed.attainable < LEAST_ATTAINABLE)):
        return "doubtful"
    hits, share = (0, 0.0) if confirmed is None else (confirmed.hits, confirmed.share)
    best, worst = (SHORT_RELIABLE, _SHORT_UNRELIABLE) if short else (LONG_RELIABLE * whole, _LONG_UNRELIABLE * whole)
    good = probability >= best or (by_images and not short and hits >= FIRST / 2)
    if probability < worst and not good:
        return "unreliable" if share < (NEARLY_ALL if short else ABOUT_IT) else "doubtful"
    least = ABOUT_IT if not domain_known else 0.0 if by_images else SELDOM
    return "reliable" if good and share >= least and whole >= LEAST_WHOLE and (by_images or not short) else "doubtful"


@dataclass(frozen=True, slots=True)
class Recall:
    """How often queries of one kind and length succeed."""

    kind: str
    """One of `KINDS`."""
    length: int
    """Known tokens (span) or content words (words); 0 for whole captions."""
    count: int
    """Number of test queries."""
    by_method: dict[str, tuple[float, float, float]]
    """Rate of success, 0..1, and its 95 % bootstrap interval, by method."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How good the verdict is on held-out queries: means over several splits of the images."""

    auroc: Mapping[str, float]
    """AUROC for success of the predicted probability (`verdict`), of the number of content words (`words`) and of the
    distance of hit 1 (`nearest_distance`)."""
    auroc_lead: float
    """AUROC of the probability minus the better of the other two."""
    auroc_within_length: float
    """Mean AUROC of the probability among queries of equal length, over lengths 2, 3, 4 and 6."""
    ece: float
    """Expected calibration error of the probability, over ten bins of equally many queries."""
    false_alarm: float
    """Share of the succeeding whole captions that are not called reliable."""
    foreign_found: float
    """Share of the foreign sentences that are found not to be of this corpus."""
    foreign_reliable: float
    """Share of the foreign sentences that are called reliable."""
    captions_lost: float
    """Share of the whole captions that are taken for foreign."""
    short: Mapping[str, Any]
    """Of short queries: `auroc` of their probability for "at least five confirmed" by number of content words; the
    shares that are `condemned_though_right` and `trusted_though_wrong`."""
    reliability: tuple[tuple[float, float, int], ...]
    """Mean probability, rate of success and number of queries in each of the ten bins."""
    intervals: Mapping[str, tuple[float, float]]
    """95 % interval, from samples of half of the images, of each figure that has one."""

    def try_out(self) -> None:
        """Read every figure once; a damaged file makes one of them raise."""
        named = [self.auroc[name] for name in ("verdict", "words", "nearest_distance")]
        named += [self.short[name] for name in ("condemned_though_right", "trusted_though_wrong")]
        alone = [getattr(self, name) for name in (*_SHARES, "auroc_lead", "auroc_within_length", "ece")]
        np.array([*named, *alone, *self.short["auroc"].values()], np.float64)
        np.array([*self.intervals.values()], np.float64).reshape(len(self.intervals), 2)
        np.array(self.reliability, np.float64).reshape(len(self.reliability), 3)


_SHARES = ("false_alarm", "foreign_found", "foreign_reliable", "captions_lost")


@dataclass(frozen=True, eq=False)
class Calibration:
    """All that was measured on one encoder and one corpus."""

    captions: int
    """Number of captions among which success was measured: all, or a sample of whole images."""
    by_images: bool
    """Whether success means another caption of the same image among the first ten hits, and not half of the whole
    caption's first ten."""
    chance: float
    """Probability that ten random captions are a success."""
    curve: tuple[Recall, ...]
    """Success by kind and length."""
    least_content: int | None
    """Least number of content words that is not short: queries with fewer succeed less than half as often as whole
    captions. None when even whole captions succeed no more often than chance."""
    predictor: Predictor
    """Predicts success from signals."""
    short_predictor: Predictor | None
    """Predicts from `evidence` whether at least five hits are confirmed; None when too little was measured."""
    whole_nearest: tuple[float, ...]
    """101 quantiles of the distance of hit 1 over whole captions."""
    random_distances: Mapping[str, tuple[float, ...]]
    """Quantiles at `TAIL` of the distances between queries and random captions, by length in tokens; 0 for whole
    captions."""
    domains: Mapping[str, Domain]
    """What tells queries about the corpus from foreign ones, by `domain_key`, where enough were measured."""
    hubs: NDArray[np.int32]
    """Captions that far more captions than usual have among their first ten hits, ascending."""
    figures: Figures
    """How good the verdict is."""
    second: str
    """Name of the matrix of the second encoder whose success is measured, too; empty for none."""

    def recall(self, content: int, method: Method = "infersent") -> float:
        """Return the rate of success at a number of content words, interpolated between the measured lengths."""
        cells = [cell for cell in self.curve if cell.kind == "words" and method in cell.by_method]
        lengths = [cell.length for cell in cells]
        return float(np.interp(content, lengths, [cell.by_method[method][0] for cell in cells])) if cells else 0.0

    def measures(self, method: Method) -> bool:
        """Tell whether the success of a method is measured."""
        return all(method in cell.by_method for cell in self.curve)

    def without(self, method: Method) -> Calibration:
        """Return the calibration without the success of a method."""
        curve = tuple(
            replace(cell, by_method={name: rate for name, rate in cell.by_method.items() if name != method})
            for cell in self.curve
        )
        return replace(self, curve=curve, second="")

    @property
    def whole_recall(self) -> float:
        """Rate of success of whole captions."""
        return next((cell.by_method["infersent"][0] for cell in self.curve if cell.kind == "whole"), 0.0)

    def best_method(self, content: int) -> Method:
        """Return the method with the highest rate of success at a length, if it exceeds the interval of `infersent`."""
        cells = [cell for cell in self.curve if cell.kind == "words"]
        if not cells:
            return "infersent"
        cell = min(cells, key=lambda cell: abs(cell.length - content))
        best = max(METHODS, key=lambda method: cell.by_method[method][0])
        return best if cell.by_method[best][0] > cell.by_method["infersent"][2] else "infersent"

    def is_short(self, content: int) -> bool:
        """Tell whether a query has too few known content words to single out an image."""
        return self.least_content is None or content < self.least_content

    def closer_than(self, distances: NDArray[np.floating] | float, known: int) -> NDArray[np.float64]:
        """Return the share of random captions that are farther from a query than each distance, 0..1; same shape.

        `known` is the query's number of known tokens; the result is nan where nothing was measured.
        """
        quantiles = self._random_quantiles(known)
        if quantiles is None:
            return np.full(np.shape(distances), np.nan)
        return np.asarray(1 - np.interp(distances, quantiles, TAIL))

    def relevant_within(self, known: int) -> float | None:
        """Return the distance from a query of `known` tokens within which 1 of 100 random captions is, if measured."""
        quantiles = self._random_quantiles(known)
        return None if quantiles is None else max(0.0, float(np.interp(RANDOM, TAIL, quantiles)))

    def _random_quantiles(self, known: int) -> tuple[float, ...] | None:
        """Return the quantiles at `TAIL` of the distances of random captions from queries of about that length."""
        lengths = [int(length) for length in self.random_distances if length != "0"]
        return self.random_distances[length_key(known, lengths)] if lengths else None

    def domain(self, known: int | None) -> Domain | None:
        """Return what tells whether a query of `known` tokens, or a sum, None, is about the corpus, if measured."""
        return self.domains.get(domain_key(known))

    def share_nearer(self, distance: float) -> float:
        """Return the share of whole captions whose hit 1 is nearer, 0..1; 0.5 if not measured."""
        quantiles = self.whole_nearest
        return float(np.interp(distance, quantiles, np.linspace(0, 1, len(quantiles)))) if quantiles else 0.5

    @cached_property
    def hub_set(self) -> frozenset[int]:
        """The hubs as a set."""
        return frozenset(self.hubs.tolist())

    def save(self, path: Path) -> None:
        """Write a JSON file to the folder of the matrix; it appears whole or not at all.

        Raises:
            AssetError: The file cannot be written.
        """
        write_json(path, self._plain() | {"hubs": self.hubs.tolist(), "made_from": path.parent.name})

    def document(self) -> dict[str, Any]:
        """Return everything but the list of hubs as JSON values; None for figures that could not be measured."""
        plain = self._plain()
        document: dict[str, Any] = _without_nan(plain.pop("figures") | plain)
        return document

    def _plain(self) -> dict[str, Any]:
        plain = asdict(replace(self, hubs=np.empty(0, np.int32)))
        return plain | {"format": FORMAT, "signals": list(NAMES), "hubs": len(self.hubs)}

    @classmethod
    def load(cls, path: Path) -> Calibration | None:
        """Read the file of `save`; return None when it is missing, damaged, or of another format or matrix."""
        try:
            plain = read_json(path)
            if plain.pop("format") != FORMAT or plain.pop("signals") != list(NAMES):
                return None
            if plain.pop("made_from") != path.parent.name:
                return None
            curve = tuple(
                Recall(**cell | {"by_method": {name: tuple(values) for name, values in cell["by_method"].items()}})
                for cell in plain.pop("curve")
            )
            rows = np.array(plain.pop("hubs"), np.int64)
            hubs = rows.astype(np.int32)
            if (hubs != rows).any():  # which numpy before 2.0 does not refuse itself
                return None
            domains = {
                key: Domain(**cell | {"predictor": Predictor(**_tupled(cell["predictor"]))})
                for key, cell in plain.pop("domains").items()
            }
            predictor, short = Predictor(**_tupled(plain.pop("predictor"))), plain.pop("short_predictor")
            loaded = cls(
                **_tupled(plain)
                | {"curve": curve, "hubs": hubs, "domains": domains, "predictor": predictor}
                | {"short_predictor": short and Predictor(**_tupled(short))}
                | {"figures": Figures(**_tupled(plain.pop("figures")))}
            )
            loaded._try_out()
        except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
            return None
        return loaded

    def _try_out(self) -> None:
        """Use every part once; a damaged file makes one of them raise."""
        for cell in self.curve:
            _ = [cell.by_method[method][0] for method in METHODS]
        self.predictor.probability(np.zeros(len(NAMES)))
        if self.short_predictor is not None:
            self.short_predictor.probability(np.zeros(EVIDENCE))
        self.is_short(1)
        for length in self.random_distances:
            self.closer_than(0.5, int(length))
        for domain in self.domains.values():
            domain.contains(0.5 * domain.farthest, 0.0)
        self.share_nearer(0.5)
        self.figures.try_out()


def _without_nan(value: Any) -> Any:
    """Replace nan, which JSON lacks, by None."""
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def _tupled(value: Any) -> Any:
    """Replace lists by tuples."""
    if isinstance(value, dict):
        return {name: _tupled(item) for name, item in value.items()}
    return tuple(map(_tupled, value)) if isinstance(value, list) else value
