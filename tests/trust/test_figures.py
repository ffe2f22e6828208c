"""How good the verdict is on held-out queries: against slow definitions, and where the answer is known."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from measurements import foreign, made, measured, without_foreign
from sklearn.metrics import roc_auc_score

from core.ranking.methods import METHODS
from core.trust import figures as figures_module
from core.trust.calibration import LEAST_ATTAINABLE, Calibration, level_of
from core.trust.confirmation import Confirmed
from core.trust.domain import domain_key
from core.trust.learning import Learned
from core.trust.measured import Asked, Measured
from core.trust.signals import NAMES

NEAREST = NAMES.index("nearest")
ONE_NUMBER = (
    *("auroc_lead", "auroc_within_length", "ece", "false_alarm"),
    *("foreign_found", "foreign_reliable", "captions_lost"),
)


class Split(NamedTuple):
    """One split, as the code drew it, and what it learned."""

    held: np.ndarray
    foreign_held: np.ndarray
    least: int | None
    learned: Learned


def varied() -> Measured:
    """Measurements of which no figure is 0 or 1."""
    data = measured(whole=160)
    sentences = data.foreign
    signals = sentences.signals.copy()
    signals[sentences.groups % 2 == 0, NEAREST] -= 20
    extra = (data.kinds == "whole") & (np.arange(len(data.kinds)) % 5 == 0)
    return replace(data, extra=extra, foreign=replace(sentences, signals=signals))


def with_splits(data: Measured, *, seed: int = 0) -> tuple[Calibration, list[Split]]:
    """Make a calibration and note its splits."""
    splits = []

    def learn(of: Measured, part: np.ndarray, foreign_part: np.ndarray, least: int | None) -> Learned:
        learned = original(of, part, foreign_part, least)
        splits.append(Split(~part, ~foreign_part, least, learned))
        return learned

    original = figures_module.learn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures_module, "learn", learn)
        return made(data, seed=seed), splits


@pytest.fixture(scope="module")
def data() -> Measured:
    return varied()


@pytest.fixture(scope="module")
def noted(data) -> tuple[Calibration, list[Split]]:
    return with_splits(data)


@pytest.fixture(scope="module")
def calibration(noted) -> Calibration:
    return noted[0]


@pytest.fixture(scope="module")
def splits(noted) -> list[Split]:
    return noted[1]


def mean(data: Measured, splits: list[Split], figure: Callable[[Measured, Split], float]) -> float:
    return float(np.mean([figure(data, split) for split in splits]))


# The splits


def test_ten_splits_hold_out_half_of_the_images_and_half_of_the_foreign_sentences(data, calibration, splits):
    assert len(splits) == 10
    for split in splits:
        for held, groups in [(split.held, data.groups), (split.foreign_held, data.foreign.groups)]:
            here, there = set(groups[held].tolist()), set(groups[~held].tolist())
            assert not here & there
            assert abs(len(here) - len(there)) <= 1
        assert split.least == calibration.least_content
    assert len({split.held.tobytes() for split in splits}) == 10
    assert len({split.foreign_held.tobytes() for split in splits}) == 10


def test_an_image_that_was_learned_from_is_not_measured_on():
    """Each image succeeds at random and shows by its signals which it is: learning it by heart must not help."""
    random = np.random.default_rng(0)
    images = len(NAMES)
    base = measured(each=60, whole=60)
    groups = np.arange(len(base.kinds)) % images
    success = random.permutation(np.arange(images) % 2 == 0)[groups]
    signals = random.normal(size=(images, len(NAMES)))[groups]
    data = replace(base, groups=groups, signals=signals, success=dict.fromkeys(METHODS, success))
    calibration = made(data)
    assert roc_auc_score(success, calibration.predictor.probability(signals)) > 0.99
    assert calibration.figures.auroc["verdict"] < 0.9


# Figures against slow definitions


def test_auroc_is_the_mean_over_the_splits_of_scikit_learns(data, calibration, splits):
    success = data.success["infersent"]

    def auroc(score: Callable[[Split], np.ndarray]) -> float:
        def of(_: Measured, split: Split) -> float:
            judged = split.held & ~data.extra
            return float(roc_auc_score(success[judged], score(split)[judged]))

        return mean(data, splits, of)

    verdict = auroc(lambda split: split.learned.predictor.probability(data.signals))
    words, nearest = auroc(lambda _: data.content), auroc(lambda _: -data.signals[:, NEAREST])
    assert calibration.figures.auroc == pytest.approx({"verdict": verdict, "words": words, "nearest_distance": nearest})
    assert calibration.figures.auroc_lead == pytest.approx(verdict - max(words, nearest))
    assert len({round(each, 3) for each in (verdict, words, nearest)}) == 3


def test_auroc_within_a_length_is_the_mean_over_four_lengths(data, calibration, splits):
    def within(data: Measured, split: Split) -> float:
        probability = split.learned.predictor.probability(data.signals)
        cells = [split.held & (data.lengths == length) for length in (2, 3, 4, 6)]
        return float(np.mean([roc_auc_score(data.success["infersent"][cell], probability[cell]) for cell in cells]))

    assert calibration.figures.auroc_within_length == pytest.approx(mean(data, splits, within))


def judged(data: Measured, split: Split) -> list[tuple[float, bool]]:
    """Probability and success of the held-out queries, by probability."""
    probability = split.learned.predictor.probability(data.signals)
    places = np.flatnonzero(split.held & ~data.extra)
    return sorted((float(probability[i]), bool(data.success["infersent"][i])) for i in places)


def binned(pairs: list[tuple[float, bool]]) -> list[tuple[float, float, int]]:
    """Ten bins of equally many queries; the first ones have one more where that does not come out even."""
    size, rest = divmod(len(pairs), 10)
    bins = []
    for number in range(10):
        inside, pairs = pairs[: size + (number < rest)], pairs[size + (number < rest) :]
        predicted, succeeded = zip(*inside, strict=True)
        bins.append((sum(predicted) / len(inside), sum(succeeded) / len(inside), len(inside)))
    return bins


def test_calibration_error_is_the_mean_gap_in_ten_bins_of_equally_many_queries(data, calibration, splits):
    def ece(data: Measured, split: Split) -> float:
        bins = binned(judged(data, split))
        total = sum(count for *_, count in bins)
        return sum(count / total * abs(predicted - succeeded) for predicted, succeeded, count in bins)

    assert calibration.figures.ece == pytest.approx(mean(data, splits, ece))


def test_reliability_pools_the_held_out_queries_of_all_splits_in_ten_bins(data, calibration, splits):
    pairs = sorted(pair for split in splits for pair in judged(data, split))
    assert np.array(calibration.figures.reliability) == pytest.approx(np.array(binned(pairs)))
    predicted = [each for each, _, _ in calibration.figures.reliability]
    assert predicted == sorted(predicted)


def level(asked: Asked, split: Split, i: int, *, by_images: bool = True) -> str:
    """Level of one query, by what one split learned."""
    short = split.least is None or asked.content[i] < split.least
    predictor, seen = split.learned.predictor, asked.signals[i]
    if short:
        predictor, seen = split.learned.short_predictor, asked.evidence[i]
    return level_of(
        short=bool(short),
        probability=float(predictor.probability(seen)),
        confirmed=Confirmed(int(asked.evidence[i, 0]), 10, int(asked.attainable[i]), float(asked.evidence[i, 1])),
        whole=split.learned.whole,
        by_images=by_images,
        domain_known=domain_key(int(asked.known[i])) in split.learned.domains,
    )


def is_foreign(asked: Asked, split: Split, i: int) -> bool:
    domain = split.learned.domains.get(domain_key(int(asked.known[i])))
    return domain is not None and not domain.contains(asked.signals[i, NEAREST], asked.commonness[i])


def test_false_alarms_are_succeeding_whole_captions_not_called_reliable(data, calibration, splits):
    def share(data: Measured, split: Split) -> float:
        among = np.flatnonzero(split.held & (data.kinds == "whole") & data.success["infersent"])
        return float(np.mean([level(data, split, i) != "reliable" or is_foreign(data, split, i) for i in among]))

    assert calibration.figures.false_alarm == pytest.approx(mean(data, splits, share))
    assert 0 < calibration.figures.false_alarm < 1


def test_lost_captions_are_whole_captions_taken_for_foreign(data, calibration, splits):
    def share(data: Measured, split: Split) -> float:
        among = np.flatnonzero(split.held & (data.kinds == "whole"))
        return float(np.mean([is_foreign(data, split, i) for i in among]))

    assert calibration.figures.captions_lost == pytest.approx(mean(data, splits, share))
    assert 0 < calibration.figures.captions_lost < 0.1


def test_foreign_sentences_are_found_or_called_reliable(data, calibration, splits):
    sentences = data.foreign

    def found(_: Measured, split: Split) -> float:
        among = np.flatnonzero(split.foreign_held & (sentences.lengths == 0))
        return float(np.mean([is_foreign(sentences, split, i) for i in among]))

    def reliable(_: Measured, split: Split) -> float:
        among = np.flatnonzero(split.foreign_held & (sentences.lengths == 0))
        called = [not is_foreign(sentences, split, i) and level(sentences, split, i) == "reliable" for i in among]
        return float(np.mean(called))

    assert calibration.figures.foreign_found == pytest.approx(mean(data, splits, found))
    assert calibration.figures.foreign_reliable == pytest.approx(mean(data, splits, reliable))
    assert 0.3 < calibration.figures.foreign_found < 0.7
    assert 0 < calibration.figures.foreign_reliable < 0.7


def short_queries(data: Measured, split: Split) -> list[int]:
    """Held-out short queries that are judged by their confirmed hits."""
    return [
        i
        for i in np.flatnonzero(split.held & (data.kinds != "whole") & (data.attainable >= LEAST_ATTAINABLE)).tolist()
        if 0 < data.content[i] < split.least
    ]


def test_auroc_of_short_queries_is_measured_by_number_of_content_words(data, calibration, splits):
    def auroc(length: int) -> float:
        def of(data: Measured, split: Split) -> float:
            cell = [i for i in short_queries(data, split) if data.content[i] == length]
            probability = split.learned.short_predictor.probability(data.evidence[cell])
            return float(roc_auc_score(data.evidence[cell, 0] >= 5, probability))

        return mean(data, splits, of)

    expected = {str(length): auroc(length) for length in range(1, calibration.least_content)}
    assert len(expected) >= 2
    assert calibration.figures.short["auroc"] == pytest.approx(expected)


def test_short_queries_are_condemned_though_right_or_trusted_though_wrong(data, calibration, splits):
    def share(wanted: str, five: bool) -> float:
        def of(data: Measured, split: Split) -> float:
            among = [i for i in short_queries(data, split) if (data.evidence[i, 0] >= 5) == five]
            foreign = [is_foreign(data, split, i) for i in among]
            levels = ["unreliable" if lost else level(data, split, i) for i, lost in zip(among, foreign, strict=True)]
            return float(np.mean([each == wanted for each in levels]))

        return mean(data, splits, of)

    short = calibration.figures.short
    assert short["condemned_though_right"] == pytest.approx(share("unreliable", True))
    assert short["trusted_though_wrong"] == pytest.approx(share("reliable", False))
    assert 0 < short["trusted_though_wrong"] < 1


# Figures that are known beforehand


def with_signal(data: Measured, values: np.ndarray) -> Measured:
    """The same measurements with one signal that varies."""
    signals = np.zeros_like(data.signals)
    signals[:, 3] = values
    return replace(data, signals=signals)


def test_perfect_signals_give_perfect_figures():
    data = measured()
    calibration = made(with_signal(data, data.success["infersent"] * 2.0 - 1))
    figures = calibration.figures
    assert figures.auroc["verdict"] == figures.auroc_within_length == 1
    assert figures.auroc["nearest_distance"] == 0.5
    assert figures.auroc_lead == pytest.approx(1 - figures.auroc["words"])
    assert figures.false_alarm == 0
    assert figures.ece < 0.05
    assert figures.reliability[0][1] == 0
    assert figures.reliability[-1][1] == 1


def test_signals_that_say_nothing_give_half_an_auroc():
    data = measured(each=100)
    random = np.random.default_rng(1)
    success = random.random(len(data.kinds)) < 0.6
    figures = made(replace(data, success=dict.fromkeys(METHODS, success))).figures
    for value in (*figures.auroc.values(), figures.auroc_within_length):
        assert value == pytest.approx(0.5, abs=0.05)
    assert figures.auroc_lead == pytest.approx(0, abs=0.05)


def test_a_chance_that_is_always_the_rate_of_success_has_little_calibration_error():
    random = np.random.default_rng(2)
    data = measured(each=300, whole=300)
    odds = random.normal(0, 2, len(data.kinds))
    success = random.random(len(odds)) < 1 / (1 + np.exp(-odds))
    figures = made(with_signal(replace(data, success=dict.fromkeys(METHODS, success)), odds)).figures
    assert figures.ece < 0.03
    assert figures.auroc["verdict"] > 0.8


@pytest.mark.parametrize(("share", "alarm"), [(0.5, 0), (0.3, 1)])
def test_every_whole_caption_is_a_false_alarm_where_whole_captions_seldom_succeed(share, alarm):
    data = measured(whole=400)
    success = data.success["infersent"].copy()
    whole = np.flatnonzero(data.kinds == "whole")
    groups = data.groups.copy()
    groups[whole] = 10_000 + np.arange(len(whole))
    success[whole] = np.arange(len(whole)) % 50 < round(50 * share)
    data = replace(data, groups=groups, success=dict.fromkeys(METHODS, success))
    figures = made(with_signal(data, success * 2.0 - 1)).figures
    assert figures.false_alarm == alarm


def test_far_foreign_sentences_are_found_and_never_called_reliable():
    data = measured(each=200)
    success = data.success["infersent"]
    sentences = foreign(np.random.default_rng(0))
    data = replace(data, commonness=np.zeros(len(data.kinds)))
    sentences = replace(sentences, commonness=np.zeros(len(sentences.known)))
    looks_good = np.zeros_like(sentences.signals)
    looks_good[:, 3] = 1
    near = with_signal(replace(data, foreign=replace(sentences, signals=looks_good)), success * 2.0 - 1)
    figures = made(near).figures
    assert (figures.foreign_found, figures.foreign_reliable, figures.captions_lost) == (0, 1, 0)
    far = looks_good.copy()
    far[:, NEAREST] = 20
    figures = made(replace(near, foreign=replace(sentences, signals=far))).figures
    assert (figures.foreign_found, figures.foreign_reliable, figures.captions_lost) == (1, 0, 0)


def test_whole_captions_taken_for_foreign_are_false_alarms_however_good_their_signals():
    data = measured(each=200, whole=400)
    success = np.ones(len(data.kinds), bool)
    success[data.kinds != "whole"] = data.success["infersent"][data.kinds != "whole"]
    data = with_signal(replace(data, success=dict.fromkeys(METHODS, success)), success * 2.0 - 1)
    signals, known = data.signals.copy(), np.where(data.kinds == "whole", 12, data.known)
    far = (data.kinds == "whole") & (np.arange(len(known)) % 4 == 0)
    signals[far, NEAREST] = 20  # as foreign runs of twelve tokens are, and no caption's run
    figures = made(replace(data, signals=signals, known=known)).figures
    assert figures.captions_lost == pytest.approx(0.25, abs=0.03)
    assert figures.false_alarm == pytest.approx(figures.captions_lost)


@pytest.mark.parametrize(("attainable", "reliable"), [(LEAST_ATTAINABLE - 1, 0), (LEAST_ATTAINABLE, 1)])
def test_a_sentence_of_few_words_is_called_reliable_only_if_enough_captions_could_confirm_it(attainable, reliable):
    data = measured()
    few = np.ones_like(data.foreign.content)
    sentences = replace(
        data.foreign,
        content=few,
        signals=np.zeros_like(data.foreign.signals),
        evidence=np.column_stack([10 * few, few, 0.5 * few, few]),
        attainable=attainable * few,
    )
    figures = made(replace(data, foreign=sentences)).figures
    assert figures.foreign_reliable == pytest.approx(reliable * (1 - figures.foreign_found))
    assert figures.foreign_found < 0.1


def test_confirmed_hits_that_decide_all_give_short_queries_perfect_figures():
    data = measured()
    right = data.evidence[:, 0] >= 5
    evidence = np.column_stack([np.where(right, 10, 0), right, 1 - right, data.content]).astype(float)
    short = made(replace(data, evidence=evidence)).figures.short
    assert short == {"auroc": {"1": 1, "2": 1}, "condemned_though_right": 0, "trusted_though_wrong": 0}


def test_short_queries_that_are_right_but_look_worse_than_wrong_ones_are_condemned_though_right():
    data = measured(each=120)
    right = data.evidence[:, 0] >= 5
    odd = right & (np.arange(len(right)) % 40 == 0)  # too few to learn from
    good = right & ~odd
    shares, distances = np.select([good, odd], [1, -1], 0), np.select([good, odd], [0, 2], 1)
    evidence = np.column_stack([np.select([good, odd], [10, 5], 0), shares, distances, data.content]).astype(float)
    figures = made(replace(data, evidence=evidence, attainable=np.full(len(right), LEAST_ATTAINABLE))).figures
    assert figures.short["condemned_though_right"] == pytest.approx(odd.sum() / right.sum(), abs=0.015)
    assert figures.short["condemned_though_right"] > 0.01
    assert figures.short["trusted_though_wrong"] == 0


def test_a_short_query_is_never_trusted_without_image_groups(data):
    assert made(replace(data, by_images=False)).figures.short["trusted_though_wrong"] == 0


def test_extra_whole_captions_count_only_as_whole_captions(data, calibration):
    signals = data.signals.copy()
    signals[data.extra] = -5
    signals[data.extra, NEAREST] = data.signals[data.extra, NEAREST]
    figures = made(replace(data, signals=signals)).figures
    for name in ("auroc", "auroc_lead", "auroc_within_length", "ece", "reliability", "short", "foreign_reliable"):
        assert getattr(figures, name) == getattr(calibration.figures, name)
    assert figures.false_alarm > calibration.figures.false_alarm


# What cannot be measured


def test_with_too_few_cuts_in_a_half_it_is_not_known_how_many_foreign_sentences_are_found():
    figures = made(measured(each=40)).figures
    assert np.isnan([figures.foreign_found, figures.captions_lost]).all()
    assert figures.foreign_reliable == 0  # since no hit has their words


def test_without_foreign_sentences_nothing_is_known_of_them():
    figures = made(without_foreign(measured())).figures
    assert np.isnan([figures.foreign_found, figures.foreign_reliable, figures.captions_lost]).all()
    assert not {"foreign_found", "foreign_reliable"} & figures.intervals.keys()


@pytest.mark.parametrize("succeeds", [True, False])
def test_without_a_failure_or_a_success_there_is_no_auroc(succeeds):
    data = measured()
    success = np.full(len(data.kinds), succeeds)
    figures = made(replace(data, success=dict.fromkeys(METHODS, success))).figures
    assert np.isnan([*figures.auroc.values(), figures.auroc_lead, figures.auroc_within_length]).all()
    assert not any(name.startswith("auroc") for name in figures.intervals)
    assert figures.ece < 0.02
    assert figures.false_alarm == 0 if succeeds else np.isnan(figures.false_alarm)


def test_a_length_without_a_failure_is_left_out_of_the_mean_within_lengths(data):
    success = data.success["infersent"] | (data.lengths == 6)
    changed, splits = with_splits(replace(data, success=dict.fromkeys(METHODS, success)))

    def within(data: Measured, split: Split) -> float:
        probability = split.learned.predictor.probability(data.signals)
        cells = [split.held & (data.lengths == length) for length in (2, 3, 4)]
        return float(np.mean([roc_auc_score(success[cell], probability[cell]) for cell in cells]))

    assert changed.figures.auroc_within_length == pytest.approx(mean(data, splits, within))


def test_where_no_query_is_short_there_are_no_figures_of_short_ones():
    data = measured()
    short = made(replace(data, success=dict.fromkeys(METHODS, np.ones(len(data.kinds), bool)))).figures.short
    assert short["auroc"] == {}
    assert np.isnan([short["condemned_though_right"], short["trusted_though_wrong"]]).all()


def test_where_nothing_was_learned_of_short_queries_their_figures_are_not_measured():
    data = measured()
    evidence = data.evidence.copy()
    evidence[:, 0] = 0  # no hit is confirmed
    calibration = made(replace(data, evidence=evidence))
    assert calibration.short_predictor is None
    assert calibration.figures.short["auroc"]
    assert np.isnan([*calibration.figures.short["auroc"].values()]).all()
    assert np.isnan(calibration.figures.short["condemned_though_right"])
    assert np.isnan(calibration.figures.short["trusted_though_wrong"])


def test_a_corpus_of_one_image_has_nothing_to_measure_on():
    data = measured()
    one = np.zeros_like(data.groups)
    sentences = replace(data.foreign, groups=np.zeros_like(data.foreign.groups))
    figures = made(replace(data, groups=one, foreign=sentences)).figures
    assert np.isnan([getattr(figures, name) for name in ONE_NUMBER]).all()
    assert np.isnan([*figures.auroc.values(), *figures.short["auroc"].values()]).all()
    assert figures.reliability == ()
    assert figures.intervals == {}


# Intervals, and the seed


def all_figures(calibration: Calibration) -> dict[str, float]:
    """Every figure by the name that its interval has."""
    figures = calibration.figures
    short = {f"short {name}": value for name, value in figures.short.items() if name != "auroc"}
    return (
        {name: getattr(figures, name) for name in ONE_NUMBER}
        | {f"auroc {name}": value for name, value in figures.auroc.items()}
        | {f"short auroc {length}": value for length, value in figures.short["auroc"].items()}
        | short
    )


def test_every_figure_has_an_interval_that_contains_it(calibration):
    values = all_figures(calibration)
    assert calibration.figures.intervals.keys() == values.keys()
    for name, (low, high) in calibration.figures.intervals.items():
        assert low <= values[name] <= high
        assert (-1 if name == "auroc_lead" else 0) <= low <= high <= 1


def test_an_interval_is_about_as_wide_as_that_of_a_bootstrap(data, calibration, splits):
    random = np.random.default_rng(0)
    success, split = data.success["infersent"], splits[0]
    probability = split.learned.predictor.probability(data.signals)
    places = np.flatnonzero(split.held & ~data.extra)
    draws = [random.choice(places, len(places)) for _ in range(500)]
    low, high = np.quantile([roc_auc_score(success[draw], probability[draw]) for draw in draws], [0.025, 0.975])
    ours = np.subtract(*reversed(calibration.figures.intervals["auroc verdict"]))
    assert 0.7 <= ours / (high - low) <= 1.6


def test_the_seed_determines_every_figure_and_nothing_that_is_learned(data, calibration):
    again, other = made(data), made(data, seed=1)
    assert again.document() == calibration.document()
    assert all_figures(other) != pytest.approx(all_figures(calibration), rel=1e-6)
    assert all_figures(other) == pytest.approx(all_figures(calibration), abs=0.05)
    assert other.predictor == calibration.predictor
    assert other.short_predictor == calibration.short_predictor
    assert other.domains == calibration.domains
