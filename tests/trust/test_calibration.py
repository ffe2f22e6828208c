"""What a calibration says of queries, the levels that follow from it, and that it is kept as JSON."""

import json
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from measurements import RISING, UNMEASURED, learned, made, measured, with_recalls, without_foreign

from core.ranking.methods import METHODS
from core.store.whole import read_json, write_json
from core.trust.calibration import Calibration, Figures, Level, level_of
from core.trust.confirmation import Confirmed
from core.trust.domain import SUMS, Domain
from core.trust.measured import Measured
from core.trust.probes import LENGTHS
from core.trust.signals import NAMES
from tui.report import report

LEVELS = ("reliable", "doubtful", "unreliable")  # best first
NEAREST = NAMES.index("nearest")


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return made(measured())


# Levels


def level(*, attainable: int = 100, hits: int = 0, share: float = 0.2, **changes: object) -> Level:
    """Level of a long query with a good chance, or of one that differs from it."""
    usual = {"short": False, "probability": 0.99, "whole": 0.8, "by_images": True, "domain_known": True}
    return level_of(confirmed=Confirmed(hits, 10, attainable, share), **usual | changes)


def below(value: float) -> float:
    return float(np.nextafter(value, -1))


@pytest.mark.parametrize("whole", [0.4, 0.5, 0.8, 1.0])
def test_a_longer_query_is_reliable_from_seven_tenths_of_the_success_of_whole_captions(whole):
    assert level(whole=whole, probability=0.7 * whole) == "reliable"
    assert level(whole=whole, probability=below(0.7 * whole)) == "doubtful"
    assert level(whole=whole, probability=1.0) == "reliable"


@pytest.mark.parametrize("whole", [0.1, 0.4, 0.8, 1.0])
def test_a_longer_query_is_unreliable_below_a_quarter_of_the_success_of_whole_captions(whole):
    assert level(whole=whole, probability=0.25 * whole) == "doubtful"
    assert level(whole=whole, probability=below(0.25 * whole)) == "unreliable"
    assert level(whole=whole, probability=0.0) == "unreliable"


@pytest.mark.parametrize("attainable", [10, 11, 5000])
@pytest.mark.parametrize("whole", [0.4, 0.8, 1.0])
def test_a_short_query_is_reliable_from_one_half_and_unreliable_below_fifteen_hundredths(whole, attainable):
    assert level(short=True, whole=whole, attainable=attainable, probability=1.0) == "reliable"
    assert level(short=True, whole=whole, attainable=attainable, probability=0.5) == "reliable"
    assert level(short=True, whole=whole, attainable=attainable, probability=below(0.5)) == "doubtful"
    assert level(short=True, whole=whole, attainable=attainable, probability=0.15) == "doubtful"
    assert level(short=True, whole=whole, attainable=attainable, probability=below(0.15)) == "unreliable"
    assert level(short=True, whole=whole, attainable=attainable, probability=0.0) == "unreliable"


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.3, 0.5, 1.0])
def test_a_short_query_that_fewer_than_ten_captions_could_confirm_is_doubtful(probability):
    for attainable in (0, 1, 9):
        assert level(short=True, attainable=attainable, probability=probability) == "doubtful"


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_how_many_captions_could_confirm_a_longer_query_does_not_matter(probability):
    levels = {level(attainable=attainable, probability=probability) for attainable in (0, 9, 10, 1000)}
    assert len(levels) == 1


@pytest.mark.parametrize("short", [True, False])
def test_without_a_probability_a_query_is_doubtful(short):
    for attainable in (0, 10, 1000):
        for whole in (0.0, 0.3, 0.9):
            for by_images in (True, False):
                given = {"short": short, "attainable": attainable, "whole": whole, "by_images": by_images}
                assert level(probability=None, hits=10, share=1.0, **given) == "doubtful"


@pytest.mark.parametrize("whole", [0.4, 0.8, 1.0])
def test_a_longer_query_is_reliable_where_five_hits_are_confirmed_however_low_its_chance(whole):
    for probability in (0.0, 0.25 * whole, below(0.7 * whole)):
        assert level(whole=whole, probability=probability, hits=5) == "reliable"
        assert level(whole=whole, probability=probability, hits=4) != "reliable"
        assert level(whole=whole, probability=probability, hits=5, by_images=False) != "reliable"
    assert level(short=True, probability=0.3, hits=10) == "doubtful"


def test_a_query_whose_hits_have_most_of_its_words_is_never_unreliable():
    assert level(probability=0.0, share=0.5) == "doubtful"
    assert level(probability=0.0, share=below(0.5)) == "unreliable"
    assert level(short=True, probability=0.0, share=below(0.9)) == "unreliable"
    assert level(short=True, probability=0.0, share=0.9) == "doubtful"


def test_where_it_is_not_known_what_is_foreign_a_reliable_query_needs_half_of_its_words():
    for short in (False, True):
        assert level(domain_known=False, short=short, share=0.5) == "reliable"
        assert level(domain_known=False, short=short, share=below(0.5)) == "doubtful"
        assert level(domain_known=False, short=short, share=0.0, probability=0.0) == "unreliable"


def test_without_image_groups_a_reliable_query_needs_hits_with_some_of_its_words():
    assert level(by_images=False, share=0.15) == "reliable"
    assert level(by_images=False, share=below(0.15)) == "doubtful"
    assert level(by_images=False, share=0.49, domain_known=False) == "doubtful"


@pytest.mark.parametrize("short", [True, False])
def test_where_whole_captions_succeed_less_than_four_times_in_ten_nothing_is_reliable(short):
    assert level(short=short, whole=0.4) == "reliable"
    assert level(short=short, whole=below(0.4)) == "doubtful"
    assert level(short=short, whole=below(0.4), probability=0.01) == "unreliable"


def test_without_image_groups_a_short_query_is_at_most_doubtful_and_a_longer_one_judged_as_ever():
    assert level(short=True, by_images=False, probability=1.0) == "doubtful"
    assert level(short=True, by_images=False, probability=0.15) == "doubtful"
    assert level(short=True, by_images=False, probability=below(0.15)) == "unreliable"
    for probability in (0.1, 0.3, 0.6):
        assert level(by_images=False, probability=probability) == level(probability=probability)
    assert level(by_images=False) == "reliable"


SHARES = st.floats(0, 1)
ANY_QUERY = st.fixed_dictionaries(
    {
        "short": st.booleans(),
        "probability": st.none() | SHARES | st.sampled_from([0.15, 0.5, 0.25 * 0.4, 0.7 * 0.4]),
        "confirmed": st.none()
        | st.builds(
            Confirmed, st.integers(0, 10), st.just(10), st.integers(0, 30), SHARES | st.sampled_from([0.5, 0.15])
        ),
        "whole": SHARES | st.just(0.4),
        "by_images": st.booleans(),
        "domain_known": st.booleans(),
    }
)


@given(ANY_QUERY, SHARES, SHARES)
def test_a_higher_probability_never_gives_a_worse_level(query, one, other):
    low, high = (level_of(**query | {"probability": each}) for each in sorted((one, other)))
    assert LEVELS.index(high) <= LEVELS.index(low)


@given(ANY_QUERY, st.floats(0, 0.4, exclude_max=True))
def test_nothing_is_reliable_where_whole_captions_fail(query, whole):
    assert level_of(**query | {"whole": whole}) != "reliable"


# What it says of queries


def test_recall_goes_from_measured_length_to_measured_length(calibration):
    of = {cell.length: cell.by_method["infersent"][0] for cell in calibration.curve if cell.kind == "words"}
    assert calibration.recall(4) == of[4]
    assert calibration.recall(5) == pytest.approx((of[4] + of[6]) / 2)
    assert calibration.recall(40) == of[12]


def test_another_method_is_best_only_when_clearly_ahead():
    data = with_recalls(RISING, 0.8)
    ahead = {n: min(1.0, share + 0.3) for n, share in RISING.items()}
    better = with_recalls(ahead, 0.8).success["infersent"]
    assert learned(data).best_method(2) == "infersent"
    assert learned(replace(data, success=data.success | {"bm25": better})).best_method(2) == "bm25"
    hardly = with_recalls(RISING | {2: 0.22}, 0.8).success["infersent"]
    assert learned(replace(data, success=data.success | {"bm25": hardly})).best_method(2) == "infersent"


def test_closer_than_is_the_share_of_random_captions_that_are_farther():
    data = measured(each=400)
    calibration = learned(data)
    for known, cell in [(2, (data.lengths == 2) & (data.kinds == "span")), (30, data.kinds == "whole")]:
        drawn = data.random_distances[cell].ravel()
        for distance in (0.1, 0.5, 0.9):
            share = calibration.closer_than(np.array([distance]), known)[0]
            assert share == pytest.approx((drawn > distance).mean(), abs=0.01)
    assert calibration.closer_than(np.array([-1.0, 5.0]), 2).tolist() == [1, 0]


def test_the_share_nearer_is_the_share_of_whole_captions_whose_hit_1_is_nearer(calibration):
    data = measured()
    distances = data.signals[data.kinds == "whole"][:, NEAREST]
    assert len(calibration.whole_nearest) == 101
    for distance in np.quantile(distances, [0.1, 0.5, 0.9]):
        assert calibration.share_nearer(distance) == pytest.approx((distances < distance).mean(), abs=0.02)
    assert calibration.share_nearer(distances.min() - 0.1) == 0
    assert calibration.share_nearer(distances.max() + 0.1) == 1


def test_where_random_captions_are_equal_the_nearest_of_them_are_at_distance_0(calibration):
    rounded = dict.fromkeys(calibration.random_distances, (-1e-7,) * 121)
    equal = replace(calibration, random_distances=rounded)
    assert str(equal.relevant_within(3)) == "0.0"


def test_without_whole_captions_the_share_nearer_is_one_half(calibration):
    assert replace(calibration, whole_nearest=()).share_nearer(0.3) == 0.5


def test_the_success_of_whole_captions_is_that_of_the_curve(calibration):
    data = measured()
    assert calibration.whole_recall == pytest.approx(data.success["infersent"][data.kinds == "whole"].mean())
    assert replace(calibration, curve=()).whole_recall == 0


# Keeping it


def reloaded(calibration: Calibration, folder: Path) -> Calibration:
    calibration.save(folder / "calibration.json")
    loaded = Calibration.load(folder / "calibration.json")
    assert loaded is not None
    return loaded


def test_a_saved_calibration_loads_as_it_was(calibration, tmp_path):
    loaded = reloaded(calibration, tmp_path)
    assert loaded.document() == calibration.document()
    np.testing.assert_array_equal(loaded.hubs, calibration.hubs)
    assert loaded.hub_set == {3, 5}
    assert calibration.short_predictor is not None
    for field in fields(Calibration):
        if field.name != "hubs":
            assert getattr(loaded, field.name) == getattr(calibration, field.name)
    signals = np.ones(len(NAMES))
    assert loaded.predictor.probability(signals) == calibration.predictor.probability(signals)
    assert loaded.short_predictor.probability(np.ones(4)) == calibration.short_predictor.probability(np.ones(4))
    assert loaded.closer_than(np.array([0.3]), 2) == calibration.closer_than(np.array([0.3]), 2)
    assert loaded.domain(None).contains([0.3, 0.8], np.zeros(2)).tolist() == [True, False]
    assert report(loaded) == report(calibration)


def test_a_calibration_without_a_short_predictor_loads_as_it_was(tmp_path):
    data = measured()
    calibration = learned(replace(data, attainable=np.zeros_like(data.attainable)))
    assert calibration.short_predictor is None
    loaded = reloaded(calibration, tmp_path)
    assert loaded.short_predictor is None
    assert loaded.document() == calibration.document()


def nothing_to_measure(*, succeeds: bool) -> Measured:
    """Every query succeeds, or every one fails; nothing can be confirmed, and no query is foreign."""
    data = without_foreign(measured())
    success = dict.fromkeys(METHODS, np.full(len(data.kinds), succeeds))
    evidence = np.column_stack([np.zeros(len(data.kinds)), np.ones((len(data.kinds), 2)), data.content])
    return replace(
        data, success=success, evidence=evidence, attainable=np.zeros_like(data.attainable), sums=np.empty(0)
    )


@pytest.mark.parametrize("succeeds", [True, False])
def test_what_cannot_be_measured_is_null_never_nan(tmp_path, succeeds):
    calibration = made(nothing_to_measure(succeeds=succeeds))
    document = json.loads(json.dumps(calibration.document(), allow_nan=False))
    assert document["auroc"] == {"verdict": None, "words": None, "nearest_distance": None}
    assert [document[name] for name in ("auroc_lead", "auroc_within_length", "foreign_reliable")] == [None] * 3
    assert document["false_alarm"] == (0 if succeeds else None)
    assert document["short"] == {"auroc": {}, "condemned_though_right": None, "trusted_though_wrong": None}
    assert document["short_predictor"] is None
    assert document["domains"] == {}
    loaded = reloaded(calibration, tmp_path)
    assert np.isnan([loaded.figures.auroc["verdict"], loaded.figures.auroc_lead, loaded.figures.foreign_found]).all()
    assert loaded.document() == calibration.document()


def changed(text: str, **values: object) -> str:
    return json.dumps(json.loads(text) | values)


def without(text: str, *path: str | int) -> str:
    """The file without one of its parts."""
    plain = json.loads(text)
    part = plain
    for step in path[:-1]:
        part = part[step]
    del part[path[-1]]
    return json.dumps(plain)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "5",
        lambda text: "null",
        lambda text: "\xff",
        lambda text: changed(text, format=0),
        lambda text: changed(text, format=5),
        lambda text: changed(text, signals=["known"]),
        lambda text: changed(text, curve=3),
        lambda text: changed(text, curve=[{"kind": "span"}]),
        lambda text: changed(text, predictor=[]),
        lambda text: changed(text, predictor=None),
        lambda text: changed(text, short_predictor=[0.5]),
        lambda text: changed(text, short_predictor={}),
        lambda text: changed(text, figures=None),
        lambda text: changed(text, figures={}),
        lambda text: changed(text, domains=[]),
        lambda text: changed(text, whole_nearest="near"),
        lambda text: changed(text, hubs="many"),
        lambda text: changed(text, least_content="many"),
        lambda text: changed(text, random_distances={"3": [0.1]}),
        lambda text: changed(text, more=1),
    ],
)
def test_a_damaged_or_older_file_is_a_miss(calibration, tmp_path, damage):
    path = tmp_path / "calibration.json"
    calibration.save(path)
    path.write_bytes(damage(path.read_text()).encode("latin1"))
    assert Calibration.load(path) is None


@pytest.mark.parametrize(
    "part",
    [
        *((field.name,) for field in fields(Calibration)),
        *(("figures", field.name) for field in fields(Figures)),
        *((name, part) for name in ("predictor", "short_predictor") for part in ("means", "weights", "intercept")),
        *(("short_predictor", part, 0) for part in ("means", "scales", "weights")),
        *(("predictor", part, 0) for part in ("means", "scales", "weights")),
        ("curve", 0, "by_method", "bm25"),
        ("curve", 0, "count"),
        *(("domains", SUMS, field.name) for field in fields(Domain)),
        ("domains", SUMS, "predictor", "weights", 0),
        ("figures", "auroc", "words"),
        ("figures", "short", "auroc"),
        ("figures", "short", "condemned_though_right"),
        ("figures", "intervals", "ece", 0),
        ("figures", "reliability", 0, 0),
        ("format",),
        ("made_from",),
    ],
    ids=lambda part: " ".join(map(str, part)),
)
def test_a_file_with_a_part_missing_is_a_miss(calibration, tmp_path, part):
    path = tmp_path / "calibration.json"
    calibration.save(path)
    path.write_text(without(path.read_text(), *part))
    assert Calibration.load(path) is None


def test_a_file_with_a_length_that_is_no_number_is_a_miss(calibration, tmp_path):
    path = tmp_path / "calibration.json"
    calibration.save(path)
    plain = json.loads(path.read_text())
    plain["random_distances"]["many"] = [0.1, 0.2]
    path.write_text(json.dumps(plain))
    assert Calibration.load(path) is None


def test_a_number_that_no_row_can_have_is_a_miss(calibration, tmp_path):
    path = tmp_path / "calibration.json"
    calibration.save(path)
    write_json(path, read_json(path) | {"hubs": [2**40]})
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


# Showing it


def test_the_document_is_valid_json_with_everything_a_reader_wants(calibration):
    document = json.loads(json.dumps(calibration.document(), allow_nan=False))
    figures = calibration.figures
    assert document["auroc"] == figures.auroc
    assert document["auroc"].keys() == {"verdict", "words", "nearest_distance"}
    assert document["short"] == figures.short
    assert document["short"].keys() == {"auroc", "condemned_though_right", "trusted_though_wrong"}
    assert document["short"]["auroc"].keys() == {str(n) for n in range(1, calibration.least_content)}
    for name in ("auroc_within_length", "ece", "foreign_reliable", "false_alarm", "foreign_found", "captions_lost"):
        assert document[name] == getattr(figures, name)
    assert "figures" not in document
    assert len(document["curve"]) == 2 * len(LENGTHS) + 1
    assert document["hubs"] == 2
    assert document["least_content"] == calibration.least_content
    assert document["by_images"] is True


def test_the_report_names_every_length_and_method(calibration):
    text = report(calibration)
    assert "1,000 captions" in text
    for length in LENGTHS:
        plural = "" if length == 1 else "s"
        assert f"a run of {length} token{plural} " in text
        assert f"{length} content word{plural} " in text
    lines = [line for line in text.splitlines() if line.startswith("whole captions")]
    assert len(lines) == 1
    assert f"{calibration.whole_recall:.3f}" in lines[0]
    assert all(method in text for method in METHODS)
    assert f"fewer than {calibration.least_content} content words" in text
    assert "another caption of the same image" in text


def test_the_report_of_a_corpus_without_image_groups_says_what_success_is_there(calibration):
    text = report(replace(calibration, by_images=False))
    assert "success: half of the whole caption's first ten" in text
    assert "same image" not in text


def test_the_report_names_every_figure_with_its_interval():
    """Figures that all differ, so that none stands for another."""
    names = ("verdict", "words", "nearest_distance")
    auroc = dict(zip(names, (0.811, 0.712, 0.613), strict=True))
    short = {"auroc": {"1": 0.914, "2": 0.925}, "condemned_though_right": 0.031, "trusted_though_wrong": 0.042}
    single = {"auroc_lead": 0.099, "auroc_within_length": 0.754, "ece": 0.027}
    shares = {"false_alarm": 0.054, "foreign_found": 0.865, "foreign_reliable": 0.076, "captions_lost": 0.018}
    named = (
        {f"auroc {name}": value for name, value in auroc.items()}
        | {f"short auroc {length}": value for length, value in short["auroc"].items()}
        | {f"short {name}": value for name, value in short.items() if name != "auroc"}
        | single
        | shares
    )
    figures = Figures(
        auroc=auroc,
        short=short,
        **single,
        **shares,
        reliability=((0.125, 0.145, 30), (0.885, 0.915, 30)),
        intervals={name: (value - 0.005, value + 0.006) for name, value in named.items()},
    )
    text = report(replace(learned(measured()), figures=figures))
    percent = {*shares, "short condemned_though_right", "short trusted_though_wrong"}
    for name, value in named.items():
        form = ".1%" if name in percent else ".3f"
        shown = f"{value:{form}} ({value - 0.005:{form}} to {value + 0.006:{form}})"
        assert text.count(shown) == 1, name
    for words in (
        "AUROC of the predicted probability: 0.811",
        "number of content words alone 0.712",
        "hit 1 alone 0.613",
        "better of these by 0.099",
        "of one length: 0.754",
        "calibration error 0.027",
        "without being called reliable: 5.4%",
        "1 word 0.914",
        "2 words 0.925",
        "called unreliable: 3.1%",
        "called reliable: 4.2%",
        "not to be of this corpus: 86.5%",
        "called reliable: 7.6%",
        "taken for foreign 1.8%",
    ):
        assert words in text
    assert f"{0.125:.2f} -> {0.145:.2f}  {0.885:.2f} -> {0.915:.2f}" in text


def test_a_figure_without_an_interval_is_shown_all_the_same(calibration):
    figures = replace(calibration.figures, ece=0.123, intervals={})
    assert "0.123 (0.123 to 0.123)" in report(replace(calibration, figures=figures))


@pytest.mark.parametrize("succeeds", [True, False])
def test_the_report_of_what_cannot_be_measured_has_dashes_and_never_nan(succeeds):
    text = report(made(nothing_to_measure(succeeds=succeeds)))
    assert "nan" not in text.lower()
    assert "AUROC of the predicted probability: –; of the number of content words alone –" in text
    assert "of the distance of hit 1 alone –" in text
    assert "AUROC of their probability for five confirmed hits: –" in text
    assert "called reliable: –" in text
    assert ("any length" in text) == (not succeeds)


def test_the_report_of_a_calibration_without_any_figure_has_dashes_only():
    calibration = replace(learned(measured()), figures=UNMEASURED, hubs=np.empty(0, np.int32))
    text = report(calibration)
    assert "nan" not in text.lower()
    assert "1 word –" in text
    for name in ("auroc", "auroc_lead", "ece", "captions_lost", "short", "reliability"):
        assert name in calibration.document()
    assert "hubs: 0 captions" in text
    assert text.count("–") == 13  # every figure
    assert json.dumps(calibration.document(), allow_nan=False)
