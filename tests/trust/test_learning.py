"""What is learned from measured queries: the curve of success, what is short, and the two predictors."""

from dataclasses import replace

import numpy as np
import pytest
from measurements import RISING, learned, measured, with_recalls

from core.trust.calibration import LEAST_ATTAINABLE, Calibration
from core.trust.learning import Learned, are_short, has_five, learn
from core.trust.measured import Asked, Measured
from core.trust.predictor import Predictor
from core.trust.probes import LENGTHS
from core.trust.signals import NAMES

NEAREST = NAMES.index("nearest")


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return learned(measured())


# The curve


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


def test_short_is_what_succeeds_less_than_half_as_often_as_whole_captions():
    calibration = learned(with_recalls(RISING, 0.8))
    assert calibration.least_content == 4
    assert [calibration.is_short(n) for n in (0, 1, 3, 4, 20)] == [True, True, True, False, False]


def test_a_length_that_fails_above_one_that_succeeds_counts_as_short():
    assert learned(with_recalls(RISING | {2: 0.6}, 0.8)).least_content == 4


def test_between_measured_lengths_success_is_interpolated():
    assert learned(with_recalls(RISING | {4: 0.2, 6: 0.8}, 0.8)).least_content == 5  # 0.5 of at least 0.4
    assert learned(with_recalls(RISING | {4: 0.2, 6: 0.5}, 0.8)).least_content == 6  # 0.35


def test_where_all_measured_lengths_fail_only_longer_ones_are_long_enough():
    assert learned(with_recalls(dict.fromkeys(LENGTHS, 0.1), 0.9)).least_content == LENGTHS[-1] + 1


@pytest.mark.parametrize(
    ("whole", "chance", "least"), [(0.05, 0.02, None), (0.3, 0.02, 1), (0.6, 0.5, None), (0.95, 0.5, 1)]
)
def test_whole_captions_that_succeed_by_chance_make_every_length_short(whole, chance, least):
    calibration = learned(with_recalls(dict.fromkeys(LENGTHS, whole), whole, chance=chance))
    assert calibration.least_content == least
    assert calibration.is_short(12) == (least is None)


# Which queries are short, and which have five confirmed hits


def test_short_test_queries_are_cuts_with_content_words_but_too_few_of_them():
    data = measured()
    expected = [
        kind != "whole" and 1 <= content <= 2 for kind, content in zip(data.kinds, data.content.tolist(), strict=True)
    ]
    assert are_short(data, 3).tolist() == expected
    assert 0 < sum(expected) < len(expected)
    cuts = [kind != "whole" and content >= 1 for kind, content in zip(data.kinds, data.content.tolist(), strict=True)]
    assert are_short(data, None).tolist() == cuts
    assert not are_short(data, 1).any()


def test_whole_captions_are_never_short_test_queries_however_few_words_they_have():
    data = measured()
    assert not are_short(replace(data, content=np.ones_like(data.content)), 4)[data.kinds == "whole"].any()


def test_five_confirmed_hits_are_half_of_the_first_ten():
    evidence = np.column_stack([np.arange(11), np.ones((11, 3))])
    assert has_five(evidence).tolist() == [False] * 5 + [True] * 6


# Learning from a part


def halves(data: Measured) -> tuple[np.ndarray, np.ndarray]:
    """Half of the images, and half of the foreign sentences."""
    return data.groups % 2 == 0, data.foreign.groups % 2 == 0


def spoiled(asked: Asked, part: np.ndarray) -> Asked:
    """The same queries with other signals and evidence in a part."""
    signals, evidence, commonness = asked.signals.copy(), asked.evidence.copy(), asked.commonness.copy()
    signals[part] = 5 - 3 * signals[part]
    evidence[part] = 10 - evidence[part]
    commonness[part] = 3 - commonness[part]
    attainable = np.where(part, 1000, asked.attainable)
    return replace(asked, signals=signals, evidence=evidence, commonness=commonness, attainable=attainable)


def changed_fields(one: Learned, other: Learned) -> set[str]:
    return {name for name in Learned._fields if getattr(one, name) != getattr(other, name)}


def test_what_is_outside_the_part_teaches_nothing():
    data = measured()
    part, foreign_part = halves(data)
    flipped = {method: np.where(part, success, ~success) for method, success in data.success.items()}
    other = replace(spoiled(data, ~part), success=flipped, foreign=spoiled(data.foreign, ~foreign_part))
    before, after = (learn(each, part, foreign_part, 4) for each in (data, other))
    assert before.short_predictor is not None
    assert not changed_fields(before, after)


def test_what_is_inside_the_part_changes_everything_learned():
    data = measured()
    part, foreign_part = halves(data)
    flipped = {method: np.where(part, ~success, success) for method, success in data.success.items()}
    other = replace(spoiled(data, part), success=flipped, foreign=spoiled(data.foreign, foreign_part))
    before, after = (learn(each, part, foreign_part, 4) for each in (data, other))
    assert changed_fields(before, after) == set(Learned._fields)


def test_each_thing_is_learned_from_what_belongs_to_it():
    data = measured()
    part, foreign_part = halves(data)
    before = learn(data, part, foreign_part, 4)

    def changed(**changes: object) -> set[str]:
        return changed_fields(before, learn(replace(data, **changes), part, foreign_part, 4))

    fails = {method: ~success for method, success in data.success.items()}
    assert changed(success=fails | {"infersent": data.success["infersent"]}) == set()
    assert changed(success=fails) == {"predictor", "whole"}
    assert changed(evidence=10 - data.evidence) == {"short_predictor"}
    assert changed(foreign=spoiled(data.foreign, foreign_part)) == {"domains"}


def test_extra_whole_captions_teach_only_what_whole_captions_are_like():
    data = measured()
    extra = (data.kinds == "whole") & (np.arange(len(data.kinds)) % 2 == 0)
    data = replace(data, extra=extra)
    part, foreign_part = halves(data)
    fails = {method: success & ~extra for method, success in data.success.items()}
    before, after = (learn(each, part, foreign_part, 4) for each in (data, replace(data, success=fails)))
    assert changed_fields(before, after) == {"whole"}
    other = learn(replace(data, signals=data.signals + extra[:, None]), part, foreign_part, 4)
    assert changed_fields(before, other) == {"domains"}
    assert [key for key, domain in before.domains.items() if other.domains[key] != domain] == ["0"]
    whole = part & (data.kinds == "whole")
    assert before.whole == pytest.approx(data.success["infersent"][whole].mean())
    assert after.whole == pytest.approx((data.success["infersent"] & ~extra)[whole].mean())


def test_without_whole_captions_in_the_part_whole_captions_never_succeed():
    data = measured()
    assert learn(data, data.kinds != "whole", halves(data)[1], 4).whole == 0


def test_a_calibration_is_learned_from_all_queries(calibration):
    data = measured()
    every, every_foreign = np.ones(len(data.kinds), bool), np.ones(len(data.foreign.known), bool)
    expected = learn(data, every, every_foreign, calibration.least_content)
    assert calibration.predictor == expected.predictor == Predictor.fit(data.signals, data.success["infersent"])
    assert calibration.short_predictor == expected.short_predictor
    assert calibration.domains == expected.domains
    assert calibration.whole_recall == pytest.approx(expected.whole)


def test_learning_gives_the_same_every_time(calibration):
    again = learned(measured())
    assert again.document() == calibration.document()


# The short predictor


def with_five(data: Measured, *, right: int, wrong: int) -> Measured:
    """Just so many judged short queries with five confirmed hits, and without; others cannot be judged."""
    evidence, attainable = data.evidence.copy(), data.attainable.copy()
    places = np.flatnonzero(are_short(data, 4))
    attainable[places] = LEAST_ATTAINABLE - 1
    attainable[places[: right + wrong]] = LEAST_ATTAINABLE
    evidence[places[:right], 0] = 5
    evidence[places[right : right + wrong], 0] = 4
    return replace(data, evidence=evidence, attainable=attainable)


def short_predictor(data: Measured, least: int | None = 4) -> Predictor | None:
    every, every_foreign = np.ones(len(data.kinds), bool), np.ones(len(data.foreign.known), bool)
    return learn(data, every, every_foreign, least).short_predictor


@pytest.mark.parametrize(
    ("right", "wrong", "exists"), [(10, 10, True), (9, 50, False), (50, 9, False), (0, 50, False), (50, 0, False)]
)
def test_a_short_predictor_needs_ten_queries_with_five_confirmed_hits_and_ten_without(right, wrong, exists):
    assert (short_predictor(with_five(measured(), right=right, wrong=wrong)) is not None) == exists


def test_too_few_of_the_part_count_although_there_are_enough_outside_it():
    data = with_five(measured(), right=12, wrong=12)
    part = np.ones(len(data.kinds), bool)
    part[np.flatnonzero(are_short(data, 4))[:3]] = False
    assert short_predictor(data) is not None
    assert learn(data, part, halves(data)[1], 4).short_predictor is None


def test_where_no_query_is_short_there_is_no_short_predictor():
    assert short_predictor(measured(), 1) is None


def test_more_confirmed_hits_predict_a_higher_probability():
    predictor = short_predictor(measured())
    evidence = np.tile(predictor.means, (11, 1))
    evidence[:, 0] = np.arange(11)
    probability = predictor.probability(evidence)
    assert (np.diff(probability) > 0).all()
    assert probability[0] < 0.5 < probability[10]


def test_the_count_of_confirmed_hits_does_not_decide_alone():
    predictor = short_predictor(measured())

    def probability(**seen: float) -> float:
        names = ("hits", "share", "distance", "words")
        evidence = dict(zip(names, predictor.means, strict=True)) | seen
        return float(predictor.probability(np.array([evidence[name] for name in names])))

    assert probability(hits=5) - probability(hits=4) < 0.1  # the count alone would tell these for sure
    assert probability(distance=0.5) - probability(distance=1) > 0.1
    assert probability(share=1) - probability(share=0) > 0.1


def test_the_short_predictor_learns_only_from_short_queries_that_can_be_judged():
    data = measured()
    judged = are_short(data, 4) & (data.attainable >= LEAST_ATTAINABLE)
    evidence = np.where(judged[:, None], data.evidence, 10 - data.evidence)
    assert short_predictor(replace(data, evidence=evidence)) == short_predictor(data)
    evidence = np.where(judged[:, None], 10 - data.evidence, data.evidence)
    assert short_predictor(replace(data, evidence=evidence)) != short_predictor(data)


# Random captions


def test_the_caption_that_a_query_comes_from_is_no_random_caption():
    data = measured()
    distances = data.random_distances.copy()
    distances[:, 0] = np.nan
    assert learned(replace(data, random_distances=distances)).closer_than(np.array([0.0]), 2)[0] == 1
