"""What is learned from measured queries: from one half of them, judged on the other."""

from dataclasses import replace

import numpy as np
import pytest
from measurements import RISING, made, measured, with_recalls
from sklearn.metrics import roc_auc_score

from core.trust.calibration import Calibration
from core.trust.probes import LENGTHS
from core.trust.signals import NAMES


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return made(measured())


def test_the_curve_is_the_share_that_succeeds_within_its_interval(calibration):
    data = measured()
    for cell in calibration.curve:
        there = (data.kinds == cell.kind) & (data.lengths == cell.length)
        share, low, high = cell.by_method["infersent"]
        assert share == pytest.approx(data.success["infersent"][there].mean())
        assert 0 <= low <= share <= high <= 1
        assert cell.count == there.sum()
    assert [(cell.kind, cell.length) for cell in calibration.curve] == [
        *(("span", length) for length in LENGTHS),
        *(("words", length) for length in LENGTHS),
        ("whole", 0),
    ]


def test_too_short_is_what_succeeds_less_than_half_as_often_as_whole_captions():
    calibration = made(with_recalls(RISING, 0.8))
    assert calibration.least_content == 4
    assert [calibration.is_too_short(n) for n in (0, 1, 3, 4, 20)] == [True, True, True, False, False]


def test_a_length_that_fails_above_one_that_succeeds_counts_as_too_short():
    assert made(with_recalls(RISING | {2: 0.6}, 0.8)).least_content == 4


def test_where_all_measured_lengths_fail_only_longer_ones_are_long_enough():
    assert made(with_recalls(dict.fromkeys(LENGTHS, 0.1), 0.9)).least_content == LENGTHS[-1] + 1


@pytest.mark.parametrize(
    ("whole", "chance", "least"), [(0.05, 0.02, None), (0.3, 0.02, 1), (0.6, 0.5, None), (0.95, 0.5, 1)]
)
def test_whole_captions_that_succeed_by_chance_make_every_length_too_short(whole, chance, least):
    calibration = made(with_recalls(dict.fromkeys(LENGTHS, whole), whole, chance=chance))
    assert calibration.least_content == least
    assert calibration.is_too_short(12) == (least is None)
    assert (calibration.reliable_from > 1) == (least is None)


def test_few_whole_captions_that_succeed_are_below_the_threshold():
    data = with_recalls(RISING, 0.8)
    calibration = made(data)
    probability = calibration.predictor.probability(data.signals)
    learned = ~data.held_out & (data.kinds == "whole") & data.success["infersent"]
    below = probability[learned] < calibration.reliable_from
    assert 0 < below.mean() <= 0.03
    held = data.held_out & (data.kinds == "whole") & data.success["infersent"]
    assert calibration.false_alarm == pytest.approx((probability[held] < calibration.reliable_from).mean())


def test_caught_counts_queries_of_one_to_three_words_that_fail(calibration):
    data = measured()
    probability = calibration.predictor.probability(data.signals)
    alarm = np.array([calibration.is_too_short(n) for n in data.content]) | (probability < calibration.reliable_from)
    few = data.held_out & (data.known <= 3) & ~data.success["infersent"]
    assert calibration.caught == pytest.approx(alarm[few].mean())


def test_everything_is_judged_on_the_held_out_half_alone(calibration):
    data = measured()
    held, success = data.held_out, data.success["infersent"]
    probability = calibration.predictor.probability(data.signals)
    assert calibration.auroc["verdict"] == pytest.approx(roc_auc_score(success[held], probability[held]))
    assert calibration.auroc["words"] == pytest.approx(roc_auc_score(success[held], data.known[held]))
    nearest = data.signals[held, NAMES.index("nearest")]
    assert calibration.auroc["nearest_distance"] == pytest.approx(roc_auc_score(success[held], -nearest))
    within = [held & (data.lengths == length) for length in (2, 3, 4, 6)]
    expected = np.mean([roc_auc_score(success[cell], probability[cell]) for cell in within])
    assert calibration.auroc_within_length == pytest.approx(expected)
    assert sum(count for *_, count in calibration.reliability) == held.sum()
    lead, low, high = calibration.auroc_lead
    assert low < lead < high
    best = max(calibration.auroc["words"], calibration.auroc["nearest_distance"])
    assert lead == pytest.approx(calibration.auroc["verdict"] - best)


def test_what_is_held_out_teaches_nothing(calibration):
    data = measured()
    flipped = {method: np.where(data.held_out, ~success, success) for method, success in data.success.items()}
    assert made(replace(data, success=flipped)).predictor == calibration.predictor


def test_the_caption_that_a_query_comes_from_is_no_random_caption():
    data = measured()
    distances = data.random_distances.copy()
    distances[:, 0] = np.nan
    assert made(replace(data, random_distances=distances)).closer_than(np.array([0.0]), 2)[0] == 1


def test_learning_gives_the_same_every_time(calibration):
    assert made(measured()).document() == calibration.document()
