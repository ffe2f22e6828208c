"""Signals equal their definitions, worked out by hand or slowly, and never look at the caption left out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.corpus.images import Images
from core.ranking.lexical import BM25
from core.trust.signals import NAMES, SignalMeter, Signals

TEXTS = ["a dog", "a dog on a beach", "a red dog", "a beach", "a kite", "snow", "a dog and a kite", "a beach kite"]
GROUPS = np.array([7, 7, 7, 3, 3, 3, 5, 5])
DIM = 6


@pytest.fixture(scope="module")
def bm25(tmp_path_factory) -> BM25:
    folder = tmp_path_factory.mktemp("signals") / "bm25"
    BM25.build(folder, TEXTS)
    return BM25(folder)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


ROWS = unit(np.random.default_rng(0).normal(size=(8, DIM)) + 1).astype(np.float16)
MARKS = unit(np.ones(DIM)).astype(np.float32)
QUERY = unit(np.arange(1, DIM + 1)).astype(np.float32)


def measure(bm25: BM25, stems: list[str], *, leave_out: int = -1, images: bool = True, rows: np.ndarray = ROWS):
    meter = SignalMeter(rows, marks=MARKS, bm25=bm25, images=Images(GROUPS) if images else None)
    cosines = rows.astype(np.float64) @ QUERY
    hits = np.array([row for row in np.argsort(-cosines, kind="stable") if row != leave_out])[:5]
    return (
        hits,
        cosines,
        meter.measure(QUERY, known=len(stems), stems=stems, hits=hits, cosines=cosines[hits], leave_out=leave_out),
    )


def test_lengths_are_logarithms(bm25):
    _, _, signals = measure(bm25, ["dog", "beach"])
    assert signals.known == pytest.approx(np.log(2))
    assert signals.content == pytest.approx(np.log(3))


def test_rarity_adds_up_over_the_stems(bm25):
    _, _, signals = measure(bm25, ["dog", "beach", "xylograph"])  # in 4, 3 and 0 of 8 captions
    assert signals.rarity == pytest.approx(np.log(8 / 4) + np.log(8 / 3) + np.log(8))


def test_matches_are_the_captions_that_have_all_stems(bm25):
    assert measure(bm25, ["dog"])[2].matches == pytest.approx(np.log(1 + 4))
    assert measure(bm25, ["dog", "beach"])[2].matches == pytest.approx(np.log(1 + 1))
    assert measure(bm25, ["dog", "beach", "snow"])[2].matches == 0
    assert measure(bm25, ["dog", "xylograph"])[2].matches == 0


def test_without_stems_every_caption_matches(bm25):
    signals = measure(bm25, [])[2]
    assert (signals.content, signals.rarity) == (0, 0)
    assert signals.matches == pytest.approx(np.log(1 + 8))


def test_the_caption_left_out_neither_matches_nor_makes_a_word_common(bm25):
    signals = measure(bm25, ["dog", "beach"], leave_out=1)[2]
    assert signals.matches == 0
    assert signals.rarity == pytest.approx(np.log(8 / 3) + np.log(8 / 2))
    assert measure(bm25, ["snow"], leave_out=5)[2].rarity == pytest.approx(np.log(8))


@settings(deadline=None)
@given(st.lists(st.sampled_from(["dog", "beach", "red", "kite", "snow", "zzz"]), unique=True), st.integers(-1, 7))
def test_words_equal_a_slow_count(bm25, stems, leave_out):
    having = [[stem in text.split() for stem in stems] for row, text in enumerate(TEXTS) if row != leave_out]
    counts = np.maximum(1, np.array(having).sum(axis=0)) if stems else np.ones(0)
    signals = measure(bm25, stems, leave_out=leave_out)[2]
    assert signals.rarity == pytest.approx(np.log(8 / counts).sum())
    assert np.expm1(signals.matches) == pytest.approx(sum(map(all, having)) if stems else 8)


def test_distances_equal_their_definitions(bm25):
    hits, cosines, signals = measure(bm25, ["dog"])
    rows = ROWS[hits].astype(np.float64)
    others = [1 - rows[i] @ rows[j] for i in range(5) for j in range(5) if i != j]
    assert signals.nearest == pytest.approx(1 - cosines[hits[0]])
    assert signals.gap == pytest.approx(cosines[hits[0]] - cosines[hits[4]])
    assert signals.spread == pytest.approx(np.mean(others), abs=1e-3)
    assert signals.from_marks == pytest.approx(1 - QUERY @ MARKS)


@pytest.mark.parametrize("leave_out", [-1, 1, 3])
def test_images_equal_their_definitions(bm25, leave_out):
    hits, cosines, signals = measure(bm25, ["dog"], leave_out=leave_out)
    of_hits = {GROUPS[row] for row in hits}
    fits = [np.mean([cosines[row] for row in range(8) if GROUPS[row] == g and row != leave_out]) for g in of_hits]
    assert signals.same_image == 5 - len(of_hits)
    assert signals.image_fit == pytest.approx(max(fits), abs=1e-5)
    assert signals.image_lead == pytest.approx(max(fits) - np.mean(fits), abs=1e-5)


def test_without_image_groups_the_fit_is_the_mean_cosine_of_the_hits(bm25):
    hits, cosines, signals = measure(bm25, ["dog"], images=False)
    assert (signals.same_image, signals.image_lead) == (0, 0)
    assert signals.image_fit == pytest.approx(cosines[hits].mean())


@pytest.mark.parametrize("images", [True, False])
def test_the_embedding_of_the_caption_left_out_changes_nothing(bm25, images):
    before = measure(bm25, ["dog", "beach"], leave_out=1, images=images)
    changed = ROWS.copy()
    changed[1] = -QUERY
    after = measure(bm25, ["dog", "beach"], leave_out=1, images=images, rows=changed)
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[2].array(), after[2].array())


def test_one_hit_is_enough(bm25):
    meter = SignalMeter(ROWS, marks=MARKS, bm25=bm25, images=Images(GROUPS))
    signals = meter.measure(QUERY, known=1, stems=["dog"], hits=np.array([2]), cosines=np.array([0.5]))
    assert (signals.nearest, signals.gap, signals.spread, signals.same_image) == (0.5, 0, 0, 0)


def test_signals_stand_in_the_order_of_their_names():
    values = [float(i) for i in range(len(NAMES))]
    signals = Signals(*values)
    assert signals.array().tolist() == values
    assert [getattr(signals, name) for name in NAMES] == values


# Images


def test_images_know_their_captions_without_those_left_out():
    images = Images(np.array(["b", "a", "b", "a", "c", "b"]), leave_out=np.array([2, 3]))
    assert [images.captions(images.of[row]).tolist() for row in (0, 1, 4)] == [[0, 5], [1], [4]]
    assert images.have_siblings().tolist() == [True, False, True, False, False, True]
    assert images.sizes.tolist() == [1, 2, 1]


def test_ten_images_with_several_captions_suffice():
    assert Images(np.arange(10).repeat(2)).suffice
    assert not Images(np.arange(9).repeat(5)).suffice
    assert not Images(np.arange(100)).suffice
    assert not Images(np.arange(10).repeat(2), leave_out=np.array([4])).suffice
