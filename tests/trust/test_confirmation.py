"""Hits are confirmed by the other captions of their image, never by themselves or by the query's own caption."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.corpus.images import Images
from core.ranking.lexical import BM25
from core.trust.confirmation import Confirmed, confirm

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


def test_a_hit_is_confirmed_by_the_other_captions_of_its_image(bm25):
    found = confirm(bm25.stems("a dog"), EVERY, bm25=bm25, images=Images(GROUPS))
    assert found == Confirmed(5, 9, 5)  # 0, 1 and 2 have another; 4 and 5 have 3; 3 has only itself


def test_the_words_may_come_from_several_captions_together(bm25):
    images = Images(GROUPS)
    assert confirm(bm25.stems("a red dog"), np.array([4, 5]), bm25=bm25, images=images) == Confirmed(1, 2, 1)
    assert confirm(bm25.stems("a dog on the beach"), np.array([2]), bm25=bm25, images=images).hits == 1


def test_the_querys_own_caption_confirms_nothing_and_is_no_hit(bm25):
    images = Images(GROUPS)
    found = confirm(bm25.stems("a dog"), EVERY, bm25=bm25, images=images, leave_out=3)
    assert found == Confirmed(3, 8, 3)
    assert confirm(bm25.stems("a kite"), np.array([3, 4]), bm25=bm25, images=images, leave_out=5).hits == 1


def test_without_images_a_hit_is_confirmed_by_its_own_words(bm25):
    assert confirm(bm25.stems("a dog"), EVERY, bm25=bm25, images=None) == Confirmed(3, 9, 3)


def test_only_the_first_ten_hits_are_looked_at(bm25):
    hits = np.array([6, 7, 8, *[3] * 7, 0, 1, 2])
    assert confirm(bm25.stems("a cat"), hits, bm25=bm25, images=Images(GROUPS)) == Confirmed(3, 10, 3)


def test_a_query_of_stop_words_is_not_counted(bm25):
    assert confirm(bm25.stems("the on a"), EVERY, bm25=bm25, images=Images(GROUPS)) is None


@settings(deadline=None, max_examples=60)
@given(st.sets(st.sampled_from(["dog", "kite", "red", "cat", "beach", "sofa", "xylograph"]), min_size=1, max_size=3))
def test_the_count_equals_its_definition(bm25, words):
    stems = [bm25.stem(word) for word in sorted(words)]
    found = confirm(stems, EVERY, bm25=bm25, images=Images(GROUPS))
    has = [set(bm25.stems(text)) for text in TEXTS]
    expected = sum(
        all(
            any(stem in has[other] for other in EVERY if other != row and GROUPS[other] == GROUPS[row])
            for stem in stems
        )
        for row in EVERY
    )
    assert (found.hits, found.attainable) == (expected, expected)
