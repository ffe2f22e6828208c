"""Hits are confirmed by the other captions of their image, never by themselves or by the query's own caption."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.corpus.images import Images
from core.ranking.lexical import BM25
from core.trust.confirmation import Confirmed, confirm, evidence

TEXTS = [
    *("a dog on a beach", "a dog runs", "sand and sea"),  # image 0
    *("a dog", "a kite", "a red kite"),  # image 1
    *("a cat", "a cat sleeps", "a cat on a sofa"),  # image 2
]
GROUPS = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
EVERY = np.arange(9)


@pytest.fixture(scope="module")
def bm25(tmp_path_factory) -> BM25:
    folder = tmp_path_factory.mktemp("confirmation") / "bm25"
    BM25.build(folder, TEXTS)
    return BM25(folder)


def look(bm25, text: str, hits, *, images: bool = True, leave_out=(), wordless=()) -> Confirmed | None:
    """Confirm the hits of a text, without the rows left out and those without a known word."""
    gone = np.array(leave_out, np.int64)
    found = np.setdiff1d(hits, gone)
    groups = Images(GROUPS, leave_out=np.array(wordless, np.int64)) if images else None
    return confirm(bm25.stems(text), found, bm25=bm25, images=groups, leave_out=gone)


def test_a_hit_is_confirmed_by_the_other_captions_of_its_image(bm25):
    # 0, 1 and 2 have another; 4 and 5 have 3; 3 has only itself. Of nine hits, the images of six have the word.
    assert look(bm25, "a dog", EVERY) == Confirmed(5, 9, 5, pytest.approx(6 / 9))


def test_the_words_may_come_from_several_captions_together(bm25):
    assert look(bm25, "a red dog", [4, 5]) == Confirmed(1, 2, 1, 1.0)
    assert look(bm25, "a dog on the beach", [2]).hits == 1


def test_the_querys_own_caption_confirms_nothing(bm25):
    assert look(bm25, "a dog", EVERY, leave_out=[3]) == Confirmed(3, 8, 3, pytest.approx(3 / 8))
    assert look(bm25, "a kite", [3, 4], leave_out=[5]).hits == 1


def test_copies_of_the_querys_caption_confirm_nothing_either(bm25):
    assert look(bm25, "a dog", EVERY, leave_out=[0, 3]) == Confirmed(1, 7, 1, pytest.approx(2 / 7))
    assert look(bm25, "a dog", EVERY, leave_out=[0, 1, 3]) == Confirmed(0, 6, 0, 0.0)
    assert look(bm25, "a kite", EVERY, leave_out=[4, 5]) == Confirmed(0, 7, 0, 0.0)


def test_a_copy_of_a_hit_in_the_same_image_does_not_confirm_it(tmp_path):
    texts = ["a red kite", "a red kite", "a blue boat", "a red kite", "a red kite flies", "a red kite"]
    BM25.build(tmp_path / "bm25", texts)
    numbers = np.array([0, 0, 1, 0, 2, 0])
    images = Images(np.array([0, 0, 0, 1, 1, 2]), texts=numbers)
    bm25, hits = BM25(tmp_path / "bm25"), np.arange(6)
    # 3 and 4 confirm each other, and 0 confirms 2; 0 and 1 are one text, and 5 is alone
    assert confirm(bm25.stems("a red kite"), hits, bm25=bm25, images=images) == Confirmed(3, 6, 3, pytest.approx(1.0))


def test_the_share_counts_the_words_of_each_hits_image_its_own_caption_included(bm25):
    # "dog" is in images 0 and 1, "sofa" in image 2, "cat" in image 2, "xylograph" in none.
    assert look(bm25, "a dog on a sofa", [0, 3, 6]) == Confirmed(0, 3, 0, pytest.approx(1 / 2))
    assert look(bm25, "the cat of a dog on a sofa", [0, 3, 6]).share == pytest.approx((1 + 1 + 2) / 9)
    assert look(bm25, "a red dog", [3, 6]).share == pytest.approx(1 / 2)
    assert look(bm25, "a xylograph", EVERY) == Confirmed(0, 9, 0, 0.0)
    assert look(bm25, "a dog", [3]) == Confirmed(0, 1, 5, 1.0)  # itself does not confirm it, but counts here


def test_without_images_a_hit_is_confirmed_by_its_own_words(bm25):
    assert look(bm25, "a dog", EVERY, images=False) == Confirmed(3, 9, 3, pytest.approx(3 / 9))
    assert look(bm25, "a red kite", [3, 4, 5], images=False) == Confirmed(1, 3, 1, pytest.approx((0 + 1 + 2) / 6))


def test_without_images_captions_left_out_are_not_attainable(bm25):
    assert look(bm25, "a dog", EVERY, images=False, leave_out=[0, 3]) == Confirmed(1, 7, 1, pytest.approx(1 / 7))


@pytest.mark.parametrize("images", [Images(GROUPS), None], ids=["images", "no images"])
def test_only_the_first_ten_hits_are_looked_at(bm25, images):
    hits = np.array([6, 7, 8, *[3] * 7, 0, 1, 2])
    assert confirm(bm25.stems("a cat"), hits, bm25=bm25, images=images) == Confirmed(3, 10, 3, pytest.approx(3 / 10))


@pytest.mark.parametrize("images", [True, False])
def test_without_hits_nothing_is_confirmed_and_the_share_is_zero(bm25, images):
    found = look(bm25, "a dog", np.empty(0, np.int64), images=images)
    assert found == Confirmed(0, 0, 5 if images else 3, 0.0)


def test_a_query_of_stop_words_is_not_counted(bm25):
    assert look(bm25, "the on a", EVERY) is None


words_of = st.sets(st.sampled_from(["dog", "kite", "red", "cat", "beach", "sofa", "xylograph"]), min_size=1, max_size=3)
rows_of = st.sets(st.integers(0, 8), max_size=8).map(sorted)


@settings(deadline=None, max_examples=150)
@given(words_of, rows_of, rows_of, rows_of, st.booleans())
def test_count_and_share_equal_their_definitions(bm25, words, hits, leave_out, wordless, images):
    """`wordless` captions are never hits; the words that they have in common with a query confirm others."""
    wordless = wordless if images else []
    hits = [row for row in hits if row not in wordless]
    text = " ".join(sorted(words))
    stems = bm25.stems(text)
    kept = [row for row in EVERY.tolist() if row not in leave_out]
    has = {row: set(bm25.stems(TEXTS[row])) for row in kept}

    def having(rows) -> set[str]:
        return {stem for stem in stems if any(stem in has[row] for row in rows)}

    def of_image(row: int) -> list[int]:
        return [other for other in kept if GROUPS[other] == GROUPS[row]] if images else [row]

    def is_confirmed(row: int) -> bool:
        others = [other for other in of_image(row) if other != row] if images else [row]
        return len(having(others)) == len(stems)

    looked_at = [row for row in hits if row in kept]
    shares = [len(having(of_image(row))) / len(stems) for row in looked_at]
    found = look(bm25, text, np.array(hits, np.int64), images=images, leave_out=leave_out, wordless=wordless)
    assert found.hits == sum(is_confirmed(row) for row in looked_at)
    assert found.hits <= found.attainable
    assert found.of == len(looked_at)
    assert found.attainable == sum(is_confirmed(row) for row in kept if row not in wordless)
    assert found.share == pytest.approx(np.mean(shares) if shares else 0)


def test_short_queries_are_judged_by_confirmed_hits_share_mean_distance_and_words():
    seen = evidence(Confirmed(hits=4, of=10, attainable=31, share=0.75), 0.4, 2)
    assert seen.tolist() == [4, 0.75, 0.4, 2]
    assert seen.dtype == np.float64
