"""Predictor: the probability that a query succeeds, learned from the signals of queries whose success is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_RIDGE = 1.0  # weight of the squared coefficients, as in scikit-learn's default


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


def auroc_of(scores: NDArray[np.floating], success: NDArray[np.bool_]) -> float:
    """The chance that a success has a higher score than a failure, ties counted half; nan when either is missing."""
    from scipy.stats import rankdata

    good, bad = int(success.sum()), int((~success).sum())
    if not good or not bad:
        return float("nan")
    return float((rankdata(scores)[success].sum() - good * (good + 1) / 2) / (good * bad))
