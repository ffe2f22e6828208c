"""Calibration: how far answers can be trusted, measured on the encoder and the captions in use; and its file."""

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

FORMAT = 3
"""Version of the file's layout and of the way in which it is measured."""
TAIL = np.concatenate([[0.0], np.geomspace(1e-4, 0.5, 60), 1 - np.geomspace(0.5, 1e-4, 60)[1:], [1.0]])
"""The shares at which quantiles of random distances are kept, close together near 0 and 1."""


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
        nearer: NDArray[np.float64] = np.interp(distances, self.random_distances[str(length)], TAIL)
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
        write_json(path, self._plain() | {"hubs": self.hubs.tolist(), "made_from": path.parent.name})

    def document(self) -> dict[str, Any]:
        """Return everything but the list of hubs, for JSON; None for figures that could not be measured."""
        document: dict[str, Any] = _without_nan(self._plain())
        return document

    def _plain(self) -> dict[str, Any]:
        plain = asdict(replace(self, hubs=np.empty(0, np.int32)))
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
            return cls(**_tupled(plain), curve=curve, predictor=predictor, hubs=hubs)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def _without_nan(value: Any) -> Any:
    """Write nan, which JSON does not have, as None."""
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def _tupled(value: Any) -> Any:
    """Read JSON's lists as tuples."""
    if isinstance(value, dict):
        return {name: _tupled(item) for name, item in value.items()}
    return tuple(map(_tupled, value)) if isinstance(value, list) else value
