"""Query arithmetic: which texts are sums, of which terms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ranking.arithmetic import Summand, parse, unquoted, weighted_sum

WORDS = st.text(st.characters(exclude_characters='"', exclude_categories=["Z", "C"]), min_size=1).filter(
    lambda word: word not in ("+", "-", "*")
)
TEXTS = st.lists(WORDS, min_size=1, max_size=5).map(" ".join)
WEIGHTS = st.integers(0, 99_999_999).map(lambda number: number / 1000)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("a dog on a beach - a dog + a horse", [(1, "a dog on a beach"), (-1, "a dog"), (1, "a horse")]),
        ("2 * a dog - 0.5 * a cat", [(2, "a dog"), (-0.5, "a cat")]),
        ("- a dog + .5 * a cat", [(-1, "a dog"), (0.5, "a cat")]),
        ("a dog - - a cat", [(1, "a dog"), (1, "a cat")]),
        ("a dog - a cat +", [(1, "a dog"), (-1, "a cat")]),
        ("a dog - a cat - 2 *", [(1, "a dog"), (-1, "a cat")]),
        ('"a man - a woman" - a dog', [(1, "a man - a woman"), (-1, "a dog")]),
        ('a "stop - now" sign + a dog', [(1, 'a "stop - now" sign'), (1, "a dog")]),
        ("2 dogs + 2 cats", [(1, "2 dogs"), (1, "2 cats")]),
        ("2* a dog + a cat", [(1, "2* a dog"), (1, "a cat")]),
        ("1e9 * a dog + 9999999 * a cat", [(1, "1e9 * a dog"), (1, "9999999 * a cat")]),
        ("  a\tdog \n+  a cat ", [(1, "a dog"), (1, "a cat")]),
    ],
)
def test_these_are_sums(text, terms):
    assert parse(text) == tuple(Summand(*term) for term in terms)


@pytest.mark.parametrize(
    "text",
    [
        *("", "-", "+ -", "a dog", "a black-and-white dog", "a dog -", "- a dog", "2 * a dog", "a dog -a cat", "a+b"),
        *('"a man - a woman"', ' "a man - a woman" ', "a dog – a cat", '"a dog" - ""'),
    ],
)
def test_these_are_plain(text):
    assert parse(text) is None


@pytest.mark.parametrize("text", ['"a man - a woman"', ' "a man - a woman" '])
def test_quotes_that_protect_an_operator_are_no_part_of_the_text(text):
    assert unquoted(text) == "a man - a woman"


@pytest.mark.parametrize("text", ['"a dog"', 'a "stop - now" sign', '"', '""', "a dog - a cat", '"a - b" "c - d"', ""])
def test_other_quotes_are_part_of_the_text(text):
    assert unquoted(text) == text


@given(st.lists(st.tuples(WEIGHTS, st.sampled_from("+-"), TEXTS), min_size=2, max_size=5))
def test_a_written_sum_is_read_back(parts):
    text = " ".join(f"{sign} {weight:.3f} * {words}" for weight, sign, words in parts)
    terms = tuple(Summand(weight if sign == "+" else -weight, words) for weight, sign, words in parts)
    assert parse(text) == terms


@given(TEXTS)
def test_words_without_an_operator_between_blanks_are_plain(text):
    assert parse(text) is None


@given(st.text())
def test_any_text_is_read_without_failing_and_terms_have_texts(text):
    terms = parse(text)
    assert terms is None or (len(terms) > 1 and all(term.text.strip() for term in terms))
    assert unquoted(text) in (text, text.strip()[1:-1])


def test_each_embedding_counts_as_a_unit_vector():
    total = weighted_sum([2, -0.5], [np.array([3, 0], np.float32), np.array([0, 10], np.float32)])
    np.testing.assert_allclose(total, [2, -0.5])


@pytest.mark.parametrize("weights", [(1, -1), (0, 0), (0.5, -0.5)])
def test_a_sum_that_cancels_is_none(weights):
    embedding = np.array([0.1, 0.7, -0.2], np.float32)
    assert weighted_sum(weights, [embedding, embedding * np.float32(1.0000001)]) is None
