"""Agreement: which tokens two embeddings have in common."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ranking.agreement import Side, agree


def side(embedding, winners, words):
    return Side(np.array(embedding, np.float32), np.array(winners, np.int32), ["<p>", *words, "</p>"])


def test_features_count_for_the_words_that_won_them_on_both_sides():
    query = side([3, 4, 0, 0], [1, 2, 0, 3], ["a", "rainbow"])
    hit = side([3, 4, 0, 0], [2, 1, 1, 0], ["rainbow", "a"])
    found = agree(query, hit)
    assert found.cosine == pytest.approx(1)
    assert [(pair.query, pair.hit, round(pair.share, 6)) for pair in found.pairs] == [
        ("rainbow", "rainbow", 0.64),
        ("a", "a", 0.36),
    ]


def test_a_word_that_stands_twice_is_one():
    query = side([1, 1], [1, 2], ["a", "a"])
    assert [(pair.query, pair.hit) for pair in agree(query, query).pairs] == [("a", "a")]


def test_features_of_the_sentence_marks_are_told_apart_from_words_of_the_same_text():
    query = side([1, 1, 1, 1], [0, 2, 1, 1], ["<p>"])
    found = agree(query, query)
    assert found.marks == pytest.approx(0.5)
    assert [(pair.query, pair.share) for pair in found.pairs] == [("<p>", pytest.approx(0.5))]


@pytest.mark.parametrize("other", [[0, 1], [-1, 0]])
def test_what_is_not_alike_has_no_agreement(other):
    assert agree(side([1, 0], [1, 1], ["a"]), side(other, [1, 1], ["a"])) is None


@given(st.integers(0, 1000), st.integers(1, 5), st.integers(1, 5))
def test_all_shares_add_up_to_one(seed, words_q, words_h):
    rng = np.random.default_rng(seed)
    query, hit = (
        side(rng.random(64) + 0.1, rng.integers(0, words + 2, 64), list("abcab")[:words])
        for words in (words_q, words_h)
    )
    found = agree(query, hit)
    assert sum(pair.share for pair in found.pairs) + found.marks == pytest.approx(1)
