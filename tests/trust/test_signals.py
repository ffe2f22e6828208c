"""Signals equal their definitions, worked out by hand or slowly, and never look at the captions left out."""

from collections.abc import Sequence

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
STEMS = ["dog", "beach", "red", "kite", "snow", "zzz"]


@pytest.fixture(scope="module")
def bm25(tmp_path_factory) -> BM25:
    return indexed(tmp_path_factory.mktemp("signals") / "bm25", TEXTS)


def indexed(folder, texts: Sequence[str]) -> BM25:
    BM25.build(folder, texts)
    return BM25(folder)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


ROWS = unit(np.random.default_rng(0).normal(size=(8, DIM)) + 1).astype(np.float16)
QUERY = unit(np.arange(1, DIM + 1)).astype(np.float32)

left_out = st.sets(st.integers(0, 7), max_size=6).map(lambda rows: tuple(sorted(rows)))
queries = st.integers(0, 50).map(lambda seed: unit(np.random.default_rng(seed).normal(size=DIM)).astype(np.float32))
some_stems = st.lists(st.sampled_from(STEMS), unique=True)


def meter_of(bm25: BM25, *, images: bool = True, rows: np.ndarray = ROWS, groups: np.ndarray = GROUPS) -> SignalMeter:
    return SignalMeter(rows, bm25=bm25, images=Images(groups) if images else None)


def ask(
    meter: SignalMeter,
    stems: list[str],
    *,
    leave_out: Sequence[int] = (),
    query=QUERY,
    rows=ROWS,
    k: int = 5,
    attainable=0,
):
    """Measure the query's signals; return its first k hits, the cosines of all rows, and the signals."""
    cosines = rows.astype(np.float64) @ query
    hits = np.array([row for row in np.argsort(-cosines, kind="stable") if row not in leave_out])[:k]
    signals = meter.measure(
        query,
        known=len(stems),
        stems=stems,
        hits=hits,
        cosines=cosines[hits],
        attainable=attainable,
        leave_out=np.array(leave_out, np.int64),
    )
    return hits, cosines, signals


def measure(bm25: BM25, stems: list[str], *, leave_out: Sequence[int] = (), images: bool = True):
    return ask(meter_of(bm25, images=images), stems, leave_out=leave_out)


def test_lengths_are_logarithms(bm25):
    _, _, signals = measure(bm25, ["dog", "beach"])
    assert signals.known == pytest.approx(np.log(2))
    assert signals.content == pytest.approx(np.log(3))


def test_what_could_be_confirmed_is_a_logarithm(bm25):
    assert ask(meter_of(bm25), ["dog"], attainable=31)[2].confirmable == pytest.approx(np.log(32))
    assert ask(meter_of(bm25), [], attainable=0)[2].confirmable == 0


def test_rarity_adds_up_over_the_stems(bm25):
    _, _, signals = measure(bm25, ["dog", "beach", "xylograph"])  # in 4, 3 and 0 of 8 captions
    assert signals.rarity == pytest.approx(np.log(8 / 4) + np.log(8 / 3) + np.log(8))


def test_matches_are_the_captions_that_have_all_stems(bm25):
    assert measure(bm25, ["dog"])[2].matches == pytest.approx(np.log(1 + 4))
    assert measure(bm25, ["dog", "beach"])[2].matches == pytest.approx(np.log(1 + 1))
    assert measure(bm25, ["dog", "beach", "snow"])[2].matches == 0
    assert measure(bm25, ["dog", "xylograph"])[2].matches == 0


@pytest.mark.parametrize("images", [True, False])
def test_without_stems_every_caption_matches_and_no_image_has_words(bm25, images):
    signals = measure(bm25, [], images=images)[2]
    assert (signals.content, signals.rarity, signals.image_words) == (0, 0, 0)
    assert signals.matches == pytest.approx(np.log(1 + 8))


def test_captions_left_out_neither_match_nor_make_a_word_common(bm25):
    signals = measure(bm25, ["dog", "beach"], leave_out=[1])[2]
    assert signals.matches == 0
    assert signals.rarity == pytest.approx(np.log(8 / 3) + np.log(8 / 2))
    assert measure(bm25, ["snow"], leave_out=[5])[2].rarity == pytest.approx(np.log(8))
    signals = measure(bm25, ["dog"], leave_out=[0, 2, 6])[2]
    assert signals.matches == pytest.approx(np.log(1 + 1))
    assert signals.rarity == pytest.approx(np.log(8))


@settings(deadline=None)
@given(some_stems, left_out)
def test_words_equal_a_slow_count(bm25, stems, leave_out):
    having = [[stem in text.split() for stem in stems] for row, text in enumerate(TEXTS) if row not in leave_out]
    counts = np.maximum(1, np.array(having).sum(axis=0)) if stems else np.ones(0)
    signals = measure(bm25, stems, leave_out=leave_out)[2]
    assert signals.rarity == pytest.approx(np.log(8 / counts).sum())
    assert np.expm1(signals.matches) == pytest.approx(sum(map(all, having)) if stems else 8)


@settings(deadline=None)
@given(queries, left_out, st.integers(2, 8))
def test_distances_equal_their_definitions(bm25, query, leave_out, k):
    hits, cosines, signals = ask(meter_of(bm25), ["dog"], query=query, leave_out=leave_out, k=k)
    rows = ROWS[hits].astype(np.float64)
    others = [1 - rows[i] @ rows[j] for i in range(len(hits)) for j in range(len(hits)) if i != j]
    distances = [1 - cosines[hit] for hit in hits]
    logs = [np.log(distances[-1] / distance) for distance in distances[:-1]]
    assert signals.nearest == pytest.approx(distances[0])
    assert signals.gap == pytest.approx(distances[-1] - distances[0])
    assert signals.spread == pytest.approx(np.mean(others), abs=2e-3)
    assert signals.dimension == pytest.approx(min(100, 1 / np.mean(logs)))


def of_cosines(bm25: BM25, cosines: list[float]) -> Signals:
    hits = np.arange(len(cosines))
    return meter_of(bm25).measure(QUERY, known=1, stems=["dog"], hits=hits, cosines=np.array(cosines), attainable=0)


def test_the_dimension_is_that_of_levina_and_bickel(bm25):
    assert of_cosines(bm25, [0.9, 0.8, 0.6]).dimension == pytest.approx(2 / np.log(4 * 2))
    radii = (np.arange(1, 9) / 8) ** (1 / 3) / 2  # in a ball of three dimensions, points even in volume
    expected = 3 * 7 / sum(np.log(8 / place) for place in range(1, 8))
    assert of_cosines(bm25, (1 - radii).tolist()).dimension == pytest.approx(expected)


def test_hits_that_are_equally_far_or_at_distance_zero_have_a_finite_dimension(bm25):
    assert of_cosines(bm25, [0.5, 0.5, 0.5]).dimension == pytest.approx(100)
    assert of_cosines(bm25, [1.0, 1.0, 1.0]).dimension == pytest.approx(100)
    assert of_cosines(bm25, [1.0, 0.9]).dimension == pytest.approx(1 / np.log(0.1 / 1e-6))
    rounded = of_cosines(bm25, [1 + 1e-7, 0.9]).dimension  # a cosine of float32 may exceed 1
    assert rounded == pytest.approx(1 / np.log(0.1 / 1e-6))


def test_gap_spread_and_fit_look_at_ten_hits_and_the_dimension_at_twenty(tmp_path):
    random = np.random.default_rng(1)
    rows = unit(random.normal(size=(20, DIM)) + 1).astype(np.float16)
    meter = meter_of(indexed(tmp_path / "bm25", ["a dog"] * 20), images=False, rows=rows)
    hits, cosines, signals = ask(meter, ["dog"], rows=rows, k=20)
    distances = 1 - cosines[hits]
    ten = rows[hits[:10]].astype(np.float64)
    between = (ten @ ten.T)[~np.eye(10, dtype=bool)]
    assert signals.gap == pytest.approx(distances[9] - distances[0])
    assert signals.spread == pytest.approx(1 - between.mean(), abs=1e-3)
    assert signals.image_fit == pytest.approx(1 - distances[:10].mean())
    assert signals.dimension == pytest.approx(19 / np.log(distances[19] / distances[:19]).sum())


def images_slowly(query, stems, hits, leave_out) -> dict[str, float]:
    """The signals of images, from the definitions, in float64."""
    rows, query = ROWS.astype(np.float64), query.astype(np.float64)
    captions = {
        image: [row for row in range(8) if GROUPS[row] == image and row not in leave_out]
        for image in sorted({int(GROUPS[hit]) for hit in hits})
    }
    fits = {image: np.mean([rows[row] @ query for row in captions[image]]) for image in captions}
    gains = []
    for image, own in captions.items():
        pairs = [rows[i] @ rows[j] for i in own for j in own if i != j]
        gains.append(fits[image] - (np.mean(pairs) if pairs else 1))
    best = max(fits, key=fits.get)
    rarity = {}
    for stem in stems:
        count = sum(stem in text.split() for row, text in enumerate(TEXTS) if row not in leave_out)
        rarity[stem] = np.log(8 / max(1, count))
    has = [stem for stem in stems if any(stem in TEXTS[row].split() for row in captions[best])]
    return {
        "same_image": len(hits) - len(captions),
        "image_fit": fits[best],
        "image_lead": fits[best] - np.mean(list(fits.values())),
        "image_gain": max(gains),
        "image_hits": sum(GROUPS[hit] == best for hit in hits),
        "image_words": sum(rarity[stem] for stem in has) / sum(rarity.values()) if stems else 0,
    }


@settings(deadline=None, max_examples=300)
@given(queries, some_stems, left_out, st.integers(1, 8))
def test_images_equal_their_slow_definitions(bm25, query, stems, leave_out, k):
    hits, _, signals = ask(meter_of(bm25), stems, query=query, leave_out=leave_out, k=k)
    for name, expected in images_slowly(query, stems, hits, leave_out).items():
        rounding = 1e-3 if name == "image_gain" else 1e-5  # lengths of float16 rows are near 1
        assert getattr(signals, name) == pytest.approx(expected, abs=rounding), name


def by_hand(bm25: BM25, *, hits: list[int], leave_out: Sequence[int] = (), stems: Sequence[str] = ()) -> Signals:
    """Two-dimensional rows: image 7 spreads widely (row 0 is the query), 3 fits best, and 5 is far away."""
    rows = np.array([[1, 0], [0, 1], [-0.8, 0.6], [0.8, 0.6], [0.8, -0.6], [0.6, 0.8], [0, -1], [-1, 0]], np.float16)
    meter = SignalMeter(rows, bm25=bm25, images=Images(GROUPS))
    return meter.measure(
        np.array([1, 0], np.float32),
        known=1,
        stems=list(stems),
        hits=np.array(hits),
        cosines=rows[hits, 0].astype(np.float64),
        attainable=0,
        leave_out=np.array(leave_out, np.int64),
    )


def test_images_by_hand(bm25):
    signals = by_hand(bm25, hits=[0, 3, 4, 5, 1])
    assert signals.image_hits == 3  # rows 3, 4 and 5; the image of hit 1 fits worse
    assert signals.same_image == 3
    assert signals.image_fit == pytest.approx((0.8 + 0.8 + 0.6) / 3, abs=1e-3)
    assert signals.image_lead == pytest.approx((2.2 / 3 - 0.2 / 3) / 2, abs=1e-3)
    # Between the captions of image 3: .28, .96 and 0; of image 7: 0, -.8 and .6.
    assert signals.image_gain == pytest.approx(max(2.2 / 3 - 1.24 / 3, 0.2 / 3 + 0.2 / 3), abs=1e-3)


def test_the_gain_may_be_that_of_another_image_than_the_best(bm25):
    signals = by_hand(bm25, hits=[0, 3, 5], leave_out=[2, 4])
    assert signals.image_fit == pytest.approx(0.7, abs=1e-3)
    assert signals.image_hits == 2
    assert signals.image_gain == pytest.approx(0.5, abs=1e-3)  # of rows 0 and 1, orthogonal; 0.7 - 0.96 for 3 and 5


def test_the_captions_of_an_image_with_one_left_have_cosine_one_between_them(bm25):
    assert by_hand(bm25, hits=[3], leave_out=[4, 5]).image_gain == pytest.approx(0.8 - 1, abs=1e-3)


def test_image_words_are_weighted_by_rarity_and_may_stand_in_captions_that_are_no_hits(bm25):
    stems = ["kite", "snow", "dog", "zzz"]  # image 3 has kite and snow, in 3 and 1 of 8 captions, dog is in 4
    total = np.log(8 / 3) + np.log(8) + np.log(8 / 4) + np.log(8)
    signals = by_hand(bm25, hits=[0, 3], stems=stems)
    assert signals.image_words == pytest.approx((np.log(8 / 3) + np.log(8)) / total)
    assert by_hand(bm25, hits=[3], stems=["snow", "kite"]).image_words == pytest.approx(1)
    signals = by_hand(bm25, hits=[3], stems=["snow", "kite"], leave_out=[5])  # nothing has snow any more
    assert signals.image_words == pytest.approx(np.log(8 / 3) / (np.log(8 / 3) + np.log(8)))


def test_words_that_every_caption_has_weigh_nothing(tmp_path):
    signals = by_hand(indexed(tmp_path / "bm25", ["dog"] * 8), hits=[3], stems=["dog"])
    assert (signals.rarity, signals.image_words) == (0, 0)


@settings(deadline=None)
@given(queries, some_stems, left_out, st.integers(1, 8))
def test_without_image_groups_the_hits_and_the_words_of_hit_1_stand_for_images(bm25, query, stems, leave_out, k):
    hits, cosines, signals = ask(meter_of(bm25, images=False), stems, query=query, leave_out=leave_out, k=k)
    assert (signals.same_image, signals.image_lead, signals.image_gain, signals.image_hits) == (0, 0, 0, 0)
    assert signals.image_fit == pytest.approx(cosines[hits].mean())
    kept = [text.split() for row, text in enumerate(TEXTS) if row not in leave_out]
    rarity = {stem: np.log(8 / max(1, sum(stem in words for words in kept))) for stem in stems}
    has = sum(value for stem, value in rarity.items() if stem in TEXTS[hits[0]].split())
    assert signals.image_words == pytest.approx(has / sum(rarity.values()) if stems else 0)


# Rows left out


@pytest.mark.parametrize("images", [True, False])
@pytest.mark.parametrize("leave_out", [[1], [1, 3], [0, 1, 6], [3, 4, 5, 6]])
def test_nothing_of_the_captions_left_out_changes_a_signal(bm25, tmp_path, leave_out, images):
    stems = ["dog", "beach", "kite"]
    before = ask(meter_of(bm25, images=images), stems, leave_out=leave_out, k=8)
    rows, groups, texts = ROWS.copy(), GROUPS.copy(), list(TEXTS)
    for row in leave_out:
        texts[row] = "a dog on a beach with a kite and snow"
    other_words = indexed(tmp_path / "bm25", texts)
    for embedding, group in ((QUERY, 7), (-QUERY, 5), (QUERY, 3), (-QUERY, 9)):
        rows[leave_out], groups[leave_out] = embedding, group
        changed = meter_of(other_words, images=images, rows=rows, groups=groups)
        after = ask(changed, stems, leave_out=leave_out, rows=rows, k=8)
        np.testing.assert_array_equal(before[0], after[0])
        np.testing.assert_array_equal(before[2].array(), after[2].array())


@settings(deadline=None)
@given(st.lists(st.tuples(queries, some_stems, left_out, st.integers(1, 8)), min_size=2, max_size=5))
def test_signals_do_not_depend_on_what_was_measured_before(bm25, asked):
    meter = meter_of(bm25)
    for query, stems, leave_out, k in asked:
        again = ask(meter, stems, query=query, leave_out=leave_out, k=k)[2]
        fresh = ask(meter_of(bm25), stems, query=query, leave_out=leave_out, k=k)[2]
        np.testing.assert_array_equal(again.array(), fresh.array())


@pytest.mark.parametrize("order", [[(3, 4), ()], [(), (3, 4)], [(3,), (4,), (3, 4), ()]])
def test_an_image_measured_with_captions_left_out_is_measured_anew_without_and_the_other_way_round(bm25, order):
    meter, fresh = meter_of(bm25), {leave_out: meter_of(bm25) for leave_out in order}
    gains = {}
    for leave_out in order:
        signals = ask(meter, ["dog"], leave_out=leave_out, query=ROWS[5].astype(np.float32), k=1)[2]
        alone = ask(fresh[leave_out], ["dog"], leave_out=leave_out, query=ROWS[5].astype(np.float32), k=1)[2]
        assert signals == alone
        gains[leave_out] = signals.image_gain
    assert len(set(gains.values())) == len(order), "the captions left out matter"


# One hit, and the order of the names


def test_one_hit_is_enough(bm25):
    signals = meter_of(bm25).measure(
        QUERY, known=1, stems=["dog"], hits=np.array([2]), cosines=np.array([0.5]), attainable=0
    )
    assert (signals.nearest, signals.gap, signals.spread, signals.same_image) == (0.5, 0, 0, 0)
    assert (signals.dimension, signals.image_hits, signals.image_words) == (0, 1, 1)


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
