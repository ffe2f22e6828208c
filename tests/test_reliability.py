"""The rules of thumb that say how far a query's neighbours can be trusted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.reliability import NOTHING_KNOWN, Token, judge_by_rules
from core.tokens import Tokenizer

CONTENT = ["green", "kite", "beach", "dog", "umbrella", "train", "bridge", "snow", "boat", "kitchen"]
LEVELS = ["unreliable", "doubtful", "reliable"]


def known(*words: str) -> list[Token]:
    return [Token(word, True, 0.1) for word in words]


def unknown(*words: str) -> list[Token]:
    return [Token(word, False, 0.0) for word in words]


@pytest.mark.parametrize(
    ("count", "level"),
    [(0, "unreliable"), (1, "unreliable"), (2, "doubtful"), (3, "doubtful"), (4, "reliable"), (10, "reliable")],
)
def test_the_level_follows_the_number_of_known_content_words(count, level):
    assert judge_by_rules(known("the", *CONTENT[:count])).level == level


def test_punctuation_and_function_words_do_not_count():
    padded = known("the", "kite", "is", "on", "and", "over", "its", "own", ".", ",", "--", "!", "The", "ON")
    assert judge_by_rules(padded).level == "unreliable"


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("text", ["I don't, won't, can't and shan't", "it's you're we've he'll I'd I'm they’re"])
def test_contracted_function_words_do_not_count(version, text):
    tokens = known(*Tokenizer(version).tokenize(text))
    assert [token.text for token in tokens if token.is_content] == []


def test_a_number_and_a_hyphened_word_count():
    assert all(token.is_content for token in known("747", "well-lit", "3d", "über", "猫"))


def test_a_third_of_the_words_unknown_is_doubtful():
    assert judge_by_rules([*known(*CONTENT[:4]), *unknown("glorp", "vlim")]).level == "doubtful"
    assert judge_by_rules([*known(*CONTENT[:6]), *unknown("glorp", "vlim", "snerk")]).level == "doubtful"


def test_fewer_than_a_third_of_the_words_unknown_stays_reliable():
    assert judge_by_rules([*known(*CONTENT[:5]), *unknown("glorp", "vlim")]).level == "reliable"


def test_unknown_punctuation_is_not_held_against_a_query():
    verdict = judge_by_rules([*known(*CONTENT[:4]), *unknown("…", "~", "«", "»")])
    assert verdict.level == "reliable"
    assert len(verdict.reasons) == 1


def test_unknown_words_are_never_content_that_counts():
    assert judge_by_rules([*known("kite"), *unknown(*CONTENT[3:])]).level == "unreliable"


def test_an_unfinished_last_word_is_neutral_while_it_is_unknown():
    words = [*known(*CONTENT[:4]), *unknown("glorp")]
    typing = [*words, Token("umbre", False, 0.0, unfinished=True)]
    assert judge_by_rules(typing) == judge_by_rules(words)
    settled = [*words, Token("umbre", False, 0.0)]
    assert (judge_by_rules(typing).level, judge_by_rules(settled).level) == ("reliable", "doubtful")


def test_an_unfinished_last_word_counts_once_it_is_known():
    words = known(*CONTENT[:3])
    assert judge_by_rules([*words, Token("umbrella", True, 0.1, unfinished=True)]).level == "reliable"


def test_the_reasons_name_the_unknown_words_and_cut_a_long_list():
    verdict = judge_by_rules([*known(*CONTENT[:4]), *unknown("glorp")])
    assert verdict.reasons[1] == "1 of 5 words unknown and dropped: glorp"
    many = judge_by_rules(unknown(*(f"glorp{i}" for i in range(9))))
    assert "glorp4 ..." in many.reasons[1]
    assert "glorp5" not in many.reasons[1]


def test_a_verdict_says_that_it_rests_on_a_rule():
    assert "rule" in judge_by_rules(known(*CONTENT)).basis
    assert judge_by_rules(known(*CONTENT)).reasons


def test_no_known_word_is_unreliable():
    assert NOTHING_KNOWN.level == "unreliable"


tokens = st.builds(
    Token,
    st.sampled_from([*CONTENT, "the", "on", "n't", ".", "glorp", "--", "’"]),
    st.booleans(),
    st.just(0.0),
    st.booleans(),
)


@settings(deadline=None)
@given(st.lists(tokens, max_size=12), st.randoms(use_true_random=False))
def test_the_level_does_not_depend_on_the_order_of_the_tokens(query, random):
    mixed = random.sample(query, len(query))
    assert judge_by_rules(mixed).level == judge_by_rules(query).level


@settings(deadline=None)
@given(st.lists(tokens, max_size=12), st.sampled_from(CONTENT))
def test_one_more_known_content_word_never_lowers_the_level(query, word):
    before, after = judge_by_rules(query), judge_by_rules([*query, *known(word)])
    assert LEVELS.index(after.level) >= LEVELS.index(before.level)
