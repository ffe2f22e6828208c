"""The predictor and its measure equal scikit-learn's."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measurements import measured
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from core.trust.predictor import Predictor, auroc_of
from core.trust.signals import NAMES


@pytest.mark.parametrize("ridge", [None, 0.01, 100.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_predictor_equals_scikit_learns_logistic_regression(seed, ridge):
    data = measured(seed=seed)
    success = data.success["infersent"]
    inputs = data.signals * np.linspace(0.01, 30, len(NAMES)) + 5
    ours = Predictor.fit(inputs, success) if ridge is None else Predictor.fit(inputs, success, ridge=ridge)
    theirs = LogisticRegression(C=1 / (ridge or 1), tol=1e-10, max_iter=10_000)
    theirs.fit(StandardScaler().fit_transform(inputs), success)
    np.testing.assert_allclose(ours.weights, theirs.coef_[0], atol=1e-3)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=1e-3)
    probability = theirs.predict_proba(StandardScaler().fit_transform(inputs))[:, 1]
    np.testing.assert_allclose(ours.probability(inputs), probability, atol=1e-3)


def test_a_stronger_ridge_shrinks_the_weights_but_not_the_mean_probability():
    data = measured()
    success = data.success["infersent"]
    fitted = [Predictor.fit(data.signals, success, ridge=ridge) for ridge in (0.1, 10.0, 1000.0, 1e6)]
    sizes = [np.linalg.norm(each.weights) for each in fitted]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[2] < sizes[0] / 2
    assert sizes[3] < 0.01
    for each in fitted:  # the intercept is not shrunk
        assert each.probability(data.signals).mean() == pytest.approx(success.mean(), abs=1e-3)


def test_a_strong_ridge_lets_other_signals_speak_beside_one_that_decides_alone():
    random = np.random.default_rng(0)
    decides = random.normal(size=400)
    other = decides + random.normal(size=400)
    signals, success = np.column_stack([decides, other]), decides > 0
    weak, strong = (np.abs(Predictor.fit(signals, success, ridge=ridge).weights) for ridge in (1.0, 100.0))
    assert strong[1] / strong[0] > 3 * weak[1] / weak[0]


def test_the_probability_is_that_of_the_weighted_standardized_signals():
    data = measured()
    predictor = Predictor.fit(data.signals, data.success["infersent"])
    standardized = (data.signals - predictor.means) / np.array(predictor.scales)
    odds = (standardized * predictor.weights).sum(axis=1) + predictor.intercept
    np.testing.assert_allclose(predictor.probability(data.signals), 1 / (1 + np.exp(-odds)))


def test_the_predictor_bears_signals_that_never_vary_and_far_outliers():
    signals = np.zeros((20, len(NAMES)))
    signals[:, 0] = np.arange(20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predictor = Predictor.fit(signals, np.arange(20) >= 10)
        far = predictor.probability(np.full((2, len(NAMES)), 1e9) * [[-1], [1]])
    np.testing.assert_allclose(far, [0, 1], atol=1e-9)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_auroc_equals_scikit_learns_ties_included(pairs):
    scores, success = np.array([score for score, _ in pairs], float), np.array([good for _, good in pairs])
    if success.all() or not success.any():
        assert np.isnan(auroc_of(scores, success))
    else:
        assert auroc_of(scores, success) == pytest.approx(roc_auc_score(success, scores))


def test_auroc_has_a_direction():
    assert auroc_of(np.array([1.0, 2, 3, 4]), np.array([False, False, True, True])) == 1
    assert auroc_of(np.array([4.0, 3, 2, 1]), np.array([False, False, True, True])) == 0
    assert auroc_of(np.ones(4), np.array([False, False, True, True])) == 0.5
