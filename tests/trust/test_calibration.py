"""What is learned from measured queries: equal to other implementations, calm at the edges, kept as JSON."""

import json
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from core.ranking.methods import METHODS
from core.store.progress import finish
from core.trust.calibration import DISTRIBUTIONS, KINDS, LENGTHS, Calibration, Measured, Predictor, auroc_of, calibrate
from core.trust.signals import NAMES
from tui.report import report


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
    )


def made(data: Measured) -> Calibration:
    """A calibration, made without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return finish(calibrate(data))


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return made(measured())


# Against other implementations


@pytest.mark.parametrize("seed", range(3))
def test_the_predictor_equals_scikit_learns_logistic_regression(seed):
    data = measured(seed=seed)
    success = data.success["infersent"]
    inputs = data.signals * np.linspace(0.01, 30, len(NAMES)) + 5
    ours = Predictor.fit(inputs, success)
    theirs = LogisticRegression(C=1, tol=1e-10, max_iter=10_000).fit(StandardScaler().fit_transform(inputs), success)
    np.testing.assert_allclose(ours.weights, theirs.coef_[0], atol=1e-3)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=1e-3)
    probability = theirs.predict_proba(StandardScaler().fit_transform(inputs))[:, 1]
    np.testing.assert_allclose(ours.probability(inputs), probability, atol=1e-3)


def test_what_signals_contribute_adds_up_to_the_log_odds(calibration):
    signals = np.random.default_rng(0).normal(size=(4, len(NAMES)))
    odds = calibration.predictor.contributions(signals).sum(axis=1) + calibration.predictor.intercept
    np.testing.assert_allclose(calibration.predictor.probability(signals), 1 / (1 + np.exp(-odds)))


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


# What it says


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


def test_recall_goes_from_measured_length_to_measured_length(calibration):
    of = {cell.length: cell.by_method["infersent"][0] for cell in calibration.curve if cell.kind == "words"}
    assert calibration.recall(4) == of[4]
    assert calibration.recall(5) == pytest.approx((of[4] + of[6]) / 2)
    assert calibration.recall(40) == of[12]


def with_recalls(recalls: dict[int, float], whole: float, **changes: object) -> Measured:
    """Measurements whose content words succeed just so often by length."""
    data = measured(each=100, whole=200)
    success = np.ones(len(data.kinds), bool)
    for kind, length, share in [("whole", 0, whole), *(("words", n, share) for n, share in recalls.items())]:
        places = np.flatnonzero((data.kinds == kind) & (data.lengths == length))
        success[places] = np.arange(len(places)) < round(share * len(places))
    return replace(data, success=dict.fromkeys(METHODS, success), **changes)


RISING = {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.45, 6: 0.6, 8: 0.7, 12: 0.7}


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


def test_another_method_is_best_only_when_clearly_ahead():
    data = with_recalls(RISING, 0.8)
    ahead = {n: min(1.0, share + 0.3) for n, share in RISING.items()}
    better = with_recalls(ahead, 0.8).success["infersent"]
    assert made(data).best_method(2) == "infersent"
    assert made(replace(data, success=data.success | {"bm25": better})).best_method(2) == "bm25"
    hardly = with_recalls(RISING | {2: 0.22}, 0.8).success["infersent"]
    assert made(replace(data, success=data.success | {"bm25": hardly})).best_method(2) == "infersent"


def test_closer_than_is_the_share_of_random_captions_that_are_farther():
    data = measured(each=400)
    calibration = made(data)
    for known, cell in [(2, (data.lengths == 2) & (data.kinds == "span")), (30, data.kinds == "whole")]:
        drawn = data.random_distances[cell].ravel()
        for distance in (0.1, 0.5, 0.9):
            share = calibration.closer_than(np.array([distance]), known)[0]
            assert share == pytest.approx((drawn > distance).mean(), abs=0.01)
    assert calibration.closer_than(np.array([-1.0, 5.0]), 2).tolist() == [1, 0]


def test_the_caption_that_a_query_comes_from_is_no_random_caption():
    data = measured()
    distances = data.random_distances.copy()
    distances[:, 0] = np.nan
    assert made(replace(data, random_distances=distances)).closer_than(np.array([0.0]), 2)[0] == 1


def test_the_share_below_counts_equal_ones_half(calibration):
    data = measured()
    values = data.signals[data.kinds == "whole"][:, NAMES.index("nearest")]
    for value in np.quantile(values, [0.1, 0.5, 0.9]):
        assert calibration.share_below("nearest", value) == pytest.approx((values < value).mean(), abs=0.02)
    alike = replace(data, signals=np.zeros_like(data.signals))
    assert made(alike).share_below("nearest", 0.0) == 0.5
    assert made(alike).share_below("nearest", 0.1) == 1
    assert made(alike).share_below("nearest", -0.1) == 0
    nothing = replace(calibration, distributions=dict.fromkeys(DISTRIBUTIONS, ()))
    assert nothing.share_below("nearest", 0.3) == 0.5


# Keeping it


def test_it_is_the_same_every_time(calibration):
    assert made(measured()).document() == calibration.document()


def test_a_saved_calibration_loads_as_it_was(calibration, tmp_path):
    calibration.save(tmp_path / "calibration.json")
    loaded = Calibration.load(tmp_path / "calibration.json")
    assert loaded.document() == calibration.document()
    np.testing.assert_array_equal(loaded.hubs, calibration.hubs)
    assert loaded.hub_set == {3, 5}
    signals = np.ones(len(NAMES))
    assert loaded.predictor.probability(signals) == calibration.predictor.probability(signals)
    assert loaded.closer_than(np.array([0.3]), 2) == calibration.closer_than(np.array([0.3]), 2)


def without_failures() -> Measured:
    data = measured()
    return replace(data, success={method: np.ones(len(data.kinds), bool) for method in METHODS})


def test_what_cannot_be_measured_is_null_never_nan(tmp_path):
    calibration = made(without_failures())
    text = json.dumps(calibration.document(), allow_nan=False)
    assert json.loads(text)["auroc"] == {"verdict": None, "words": None, "nearest_distance": None}
    assert json.loads(text)["caught"] is None
    calibration.save(tmp_path / "calibration.json")
    assert "NaN" not in (tmp_path / "calibration.json").read_text()
    loaded = Calibration.load(tmp_path / "calibration.json")
    assert np.isnan([loaded.caught, loaded.auroc["verdict"], *loaded.auroc_lead]).all()
    assert loaded.document() == calibration.document()
    assert "nan" not in report(loaded)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "5",
        lambda text: "null",
        lambda text: "\xff",
        lambda text: json.dumps(json.loads(text) | {"format": 0}),
        lambda text: json.dumps(json.loads(text) | {"signals": ["known"]}),
        lambda text: json.dumps(json.loads(text) | {"curve": 3}),
        lambda text: json.dumps(json.loads(text) | {"curve": [{"kind": "span"}]}),
        lambda text: json.dumps(json.loads(text) | {"predictor": []}),
        lambda text: json.dumps(json.loads(text) | {"hubs": "many"}),
        lambda text: json.dumps(json.loads(text) | {"more": 1}),
        lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "caught"}),
    ],
)
def test_a_damaged_or_older_file_is_a_miss(calibration, tmp_path, damage):
    path = tmp_path / "calibration.json"
    calibration.save(path)
    path.write_bytes(damage(path.read_text()).encode("latin1"))
    assert Calibration.load(path) is None


def test_a_missing_file_is_a_miss(tmp_path):
    assert Calibration.load(tmp_path / "calibration.json") is None


def test_a_calibration_of_another_matrix_is_not_read(tmp_path, calibration):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    calibration.save(tmp_path / "one" / "calibration.json")
    shutil.copy(tmp_path / "one" / "calibration.json", tmp_path / "other")
    assert Calibration.load(tmp_path / "one" / "calibration.json") is not None
    assert Calibration.load(tmp_path / "other" / "calibration.json") is None


def test_the_document_is_valid_json_with_everything_a_reader_wants(calibration):
    document = json.loads(json.dumps(calibration.document(), allow_nan=False))
    wanted = {"auroc", "auroc_within_length", "false_alarm", "caught", "curve", "least_content", "reliable_from"}
    assert wanted <= document.keys()
    assert document["hubs"] == 2
    assert set(document["distributions"]) == set(DISTRIBUTIONS)


def test_the_report_names_every_length_and_figure(calibration):
    text = report(calibration)
    assert "1,000 captions" in text
    assert "a run of 3 tokens" in text
    assert "12 content words" in text
    assert "whole captions" in text
    assert f"{calibration.auroc['verdict']:.3f}" in text
    assert all(method in text for method in METHODS)
