"""Predictor: a probability, such as that a query succeeds, learned from signals of queries whose outcome is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Predictor:
    """Logistic regression from signals to the probability of success."""

    means: tuple[float, ...]
    """Mean of each signal, (S,)."""
    scales: tuple[float, ...]
    """Standard deviation of each signal, (S,)."""
    weights: tuple[float, ...]
    """Weight of each standardized signal, (S,)."""
    intercept: float
    """Log odds at the mean signals."""

    def probability(self, signals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of success, (...,), for signals, (..., S).

        Raises:
            ValueError: There are not as many weights as signals.
        """
        from scipy.special import expit

        if not signals.shape[-1] == len(self.means) == len(self.scales) == len(self.weights):
            raise ValueError("a predictor needs a weight for each signal")
        standardized = (signals - np.array(self.means)) / np.array(self.scales)  # (..., S)
        return np.asarray(expit(standardized @ np.array(self.weights) + self.intercept))  # (...,)

    @classmethod
    def fit(cls, signals: NDArray[np.float64], success: NDArray[np.bool_], *, ridge: float = 1.0) -> Predictor:
        """Fit to signals (Q, S) and success (Q,) by maximum likelihood.

        `ridge` is the weight of the squared coefficients (of standardized signals); 1 is also scikit-learn's default.
        """
        from scipy.optimize import minimize
        from scipy.special import expit

        means, scales = signals.mean(axis=0), signals.std(axis=0)  # (S,), (S,)
        scales[scales < 1e-9] = 1.0
        inputs = np.column_stack([(signals - means) / scales, np.ones(len(signals))])  # (Q, S + 1)
        penalty = np.full(inputs.shape[1], ridge)  # (S + 1,)
        penalty[-1] = 1e-6
        signs = np.where(success, 1.0, -1.0)  # (Q,)

        def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            margins = signs * (inputs @ weights)  # (Q,)
            slope = -signs * expit(-margins)  # (Q,)
            value = np.logaddexp(0, -margins).sum() + 0.5 * (penalty * weights**2).sum()
            return float(value), inputs.T @ slope + penalty * weights

        weights = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B").x  # (S + 1,)
        return cls(tuple(means.tolist()), tuple(scales.tolist()), tuple(weights[:-1].tolist()), float(weights[-1]))


def auroc_of(scores: NDArray[np.floating], success: NDArray[np.bool_]) -> float:
    """Return the probability that a success scores higher than a failure, ties counted half; nan without both."""
    from scipy.stats import rankdata

    good, bad = int(success.sum()), int((~success).sum())
    if not good or not bad:
        return float("nan")
    return float((rankdata(scores)[success].sum() - good * (good + 1) / 2) / (good * bad))
