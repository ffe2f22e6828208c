"""Calibration: how far answers can be trusted, as measured on one encoder and corpus, and its JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.ranking.methods import METHODS, Method
from core.store.whole import write_json
from core.trust.predictor import Predictor
from core.trust.signals import NAMES

FORMAT = 4
"""Version of the file layout and of the measurement."""
DISTRIBUTIONS = ("nearest", "from_marks", "marks")
"""The signals, and the share of the marks, whose distribution among whole captions is kept."""
TAIL = np.concatenate([[0.0], np.geomspace(1e-4, 0.5, 60), 1 - np.geomspace(0.5, 1e-4, 60)[1:], [1.0]])
"""Probabilities of the stored quantiles of random distances, dense near 0 and 1; (121,)."""
_MIN_CUTS = 50  # of either kind, to tell them apart by distance


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
class Nearest:
    """Distances of hit 1 for queries of one length: some cut from captions, some from foreign sentences."""

    captions: tuple[int, float, float]
    """Of caption cuts: their number, mean and standard deviation."""
    foreign: tuple[int, float, float]
    """Of foreign cuts, likewise."""
    farthest: float
    """99 % of the caption cuts are nearer."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """All figures measured on one encoder and one corpus."""

    captions: int
    """Number of captions, N."""
    measure: str
    """Definition of success, a phrase."""
    chance: float
    """Probability that ten random captions are a success."""
    curve: tuple[Recall, ...]
    """Success by kind and length."""
    least_content: int | None
    """Least number of content words that is not too short: queries with fewer succeed less than half as often as whole
    captions. None when even whole captions succeed no more often than chance."""
    predictor: Predictor
    reliable_from: float
    """Least probability of success of a reliable query; above 1 when there is no threshold."""
    distributions: Mapping[str, tuple[float, ...]]
    """101 quantiles over whole captions of each signal in `DISTRIBUTIONS`; empty where not measured."""
    random_distances: Mapping[str, tuple[float, ...]]
    """Quantiles at `TAIL` of the distances between queries and random captions, by length in tokens; 0 for whole
    captions."""
    nearest: Mapping[str, Nearest]
    """Distances of hit 1 by length in tokens; 0 for whole captions and sentences."""
    hubs: NDArray[np.int32]
    """Captions that far more captions than usual have among their first ten hits, ascending."""
    auroc: Mapping[str, float]
    """Held-out AUROC of the verdict, of the number of words alone, and of the nearest distance alone."""
    auroc_lead: tuple[float, float, float]
    """AUROC of the verdict minus the better of the other two, and its 95 % paired bootstrap interval."""
    auroc_within_length: float
    """Mean AUROC among held-out queries of equal length, over lengths 2, 3, 4 and 6."""
    false_alarm: float
    """Share of the succeeding held-out whole captions that are not called reliable."""
    caught: float
    """Share of the failing held-out queries of one to three words that are not called reliable."""
    foreign_found: float
    """Share of the held-out foreign sentences that are found not to be of this corpus."""
    foreign_reliable: float
    """Share of the held-out foreign sentences that are called reliable all the same."""
    captions_lost: float
    """Share of the held-out whole captions that are taken for foreign."""
    reliability: tuple[tuple[float, float, int], ...]
    """Held-out queries by tenths of probability: mean probability, rate of success, number of queries."""

    def recall(self, content: int, method: Method = "infersent") -> float:
        """Return the rate of success at a number of content words, interpolated between the measured lengths."""
        cells = [cell for cell in self.curve if cell.kind == "words"]
        lengths = [cell.length for cell in cells]
        return float(np.interp(content, lengths, [cell.by_method[method][0] for cell in cells])) if cells else 0.0

    @property
    def learned_too_little(self) -> bool:
        """Whether whole captions succeed more often than chance, but too few of them succeeded to find a threshold."""
        return self.reliable_from > 1 and self.least_content is not None

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

    def is_too_short(self, content: int) -> bool:
        """Tell whether a query has too few known content words to be reliable."""
        return self.least_content is None or content < self.least_content

    def closer_than(self, distances: NDArray[np.floating] | float, known: int) -> NDArray[np.float64]:
        """Return the share of random captions that are farther from a query than each distance, 0..1; same shape.

        `known` is the query's number of known tokens; the result is nan where nothing was measured.
        """
        length = _measured_length(self.random_distances, known)
        if length is None:
            return np.full(np.shape(distances), np.nan)
        return np.asarray(1 - np.interp(distances, self.random_distances[length], TAIL))

    def in_corpus(self, nearest: float, known: int) -> bool | None:
        """Tell whether a query of `known` tokens is about what the corpus is about, by the distance of its hit 1."""
        return is_in_corpus(self.nearest, nearest, known)

    def share_below(self, signal: str, value: float) -> float:
        """Return the share of whole captions with a lower signal, ties counted half, 0..1; 0.5 if not measured."""
        quantiles = np.array(self.distributions[signal])  # (101,)
        if not len(quantiles):
            return 0.5
        shares = np.linspace(0, 1, len(quantiles))  # (101,)
        at_most, above = np.interp(value, quantiles, shares), np.interp(-value, -quantiles[::-1], shares)
        return float(at_most + 1 - above) / 2

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
        document: dict[str, Any] = _without_nan(self._plain())
        return document

    def _plain(self) -> dict[str, Any]:
        plain = asdict(replace(self, hubs=np.empty(0, np.int32)))
        return plain | {"format": FORMAT, "signals": list(NAMES), "hubs": len(self.hubs)}

    @classmethod
    def load(cls, path: Path) -> Calibration | None:
        """Read the file of `save`; return None when it is missing, damaged, or of another format or matrix."""
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
            nearest = {length: Nearest(**_tupled(cell)) for length, cell in plain.pop("nearest").items()}
            loaded = cls(**_tupled(plain), curve=curve, predictor=predictor, hubs=hubs, nearest=nearest)
            loaded._try_out()
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None
        return loaded

    def _try_out(self) -> None:
        """Use every part once; a damaged file makes one of them raise."""
        for cell in self.curve:
            _ = [cell.by_method[method][0] for method in METHODS]
        self.predictor.probability(np.zeros(len(NAMES)))
        self.closer_than(0.5, 1)
        self.in_corpus(0.5, 1)
        for signal in DISTRIBUTIONS:
            self.share_below(signal, 0.5)


def is_in_corpus(by_length: Mapping[str, Nearest], nearest: float, known: int) -> bool | None:
    """Tell whether a query is about what the corpus is about.

    It is not when hit 1 is farther than for 99 % of the caption cuts of its length, and that distance is likelier among
    foreign cuts, by normal densities.

    Args:
        by_length: What was measured.
        nearest: Distance of the query's hit 1.
        known: Its number of known tokens.

    Returns:
        None when too few cuts of either kind were measured.
    """
    length = _measured_length(by_length, known)
    cell = None if length is None else by_length[length]
    if cell is None or min(cell.captions[0], cell.foreign[0]) < _MIN_CUTS:
        return None
    return nearest <= cell.farthest or _log_density(nearest, cell.captions) >= _log_density(nearest, cell.foreign)


def _measured_length(by_length: Mapping[str, Any], known: int) -> str | None:
    """Return the key of the measured length next to a number of tokens, 0 beyond the longest; None without any."""
    lengths = [int(length) for length in by_length if length != "0"]
    if not lengths:
        return None
    return "0" if known > max(lengths) else str(min(lengths, key=lambda length: abs(np.log(length / max(1, known)))))


def _log_density(value: float, normal: tuple[int, float, float]) -> float:
    """Return the logarithm of a normal density, given as number, mean and standard deviation; up to a constant."""
    _, mean, deviation = normal
    return -(((value - mean) / max(deviation, 1e-3)) ** 2) / 2 - float(np.log(max(deviation, 1e-3)))


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
