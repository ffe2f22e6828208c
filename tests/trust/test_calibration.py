"""What a calibration says of queries, and that it is kept as JSON."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from measurements import RISING, made, measured, with_recalls

from core.ranking.methods import METHODS
from core.trust.calibration import Calibration
from core.trust.learning import DISTRIBUTIONS, Measured
from core.trust.signals import NAMES
from tui.report import report


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return made(measured())


def test_recall_goes_from_measured_length_to_measured_length(calibration):
    of = {cell.length: cell.by_method["infersent"][0] for cell in calibration.curve if cell.kind == "words"}
    assert calibration.recall(4) == of[4]
    assert calibration.recall(5) == pytest.approx((of[4] + of[6]) / 2)
    assert calibration.recall(40) == of[12]


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


@pytest.mark.parametrize("damage", ["weights", "method", "distribution", "length"])
def test_a_file_with_a_part_missing_is_no_calibration(calibration, tmp_path, damage):
    path = tmp_path / "calibration.json"
    calibration.save(path)
    plain = json.loads(path.read_text())
    if damage == "weights":
        plain["predictor"]["weights"] = plain["predictor"]["weights"][1:]
    elif damage == "method":
        del plain["curve"][0]["by_method"]["bm25"]
    elif damage == "distribution":
        del plain["distributions"]["nearest"]
    else:
        plain["random_distances"]["many"] = [0.1, 0.2]
    path.write_text(json.dumps(plain))
    assert Calibration.load(path) is None
