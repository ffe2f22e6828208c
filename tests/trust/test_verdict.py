"""How far a query's neighbours can be trusted: by rules of thumb, and by what was measured."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.corpus.tokenizer import Tokenizer
from core.query import Query, Token
from core.ranking.methods import METHODS
from core.trust.calibration import Calibration, Recall
from core.trust.learning import DISTRIBUTIONS
from core.trust.predictor import Predictor
from core.trust.signals import NAMES, Signals
from core.trust.verdict import NOTHING_KNOWN, Verdict, describe_method, judge, judge_by_rules

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


# Judged by a calibration


def calibration_of(
    *, least: int | None = 3, threshold: float = 0.4, odds: float = 0.0, **changes: object
) -> Calibration:
    """A calibration whose predictor says the same of every query."""
    share = {1: 0.15, 2: 0.3, 3: 0.5, 4: 0.6, 6: 0.7, 8: 0.7, 12: 0.7}
    zeros = (0.0,) * len(NAMES)
    quantiles = tuple(np.linspace(0, 1, 101).tolist())
    parts: dict[str, object] = {
        "captions": 1234,
        "measure": "another caption of the same image among the first ten",
        "chance": 0.01,
        "curve": tuple(
            Recall(kind, length, 100, dict.fromkeys(METHODS, (value, value - 0.05, value + 0.05)))
            for kind, length, value in [*(("words", n, value) for n, value in share.items()), ("whole", 0, 0.8)]
        ),
        "least_content": least,
        "predictor": Predictor(zeros, (1.0,) * len(NAMES), zeros, odds),
        "reliable_from": threshold,
        "distributions": dict.fromkeys(DISTRIBUTIONS, quantiles),
        "random_distances": {"1": quantiles, "0": quantiles},
        "nearest": {},
        "hubs": np.array([5], np.int32),
        "auroc": {"verdict": 0.9, "words": 0.8, "nearest_distance": 0.7},
        "auroc_lead": (0.1, 0.05, 0.15),
        "auroc_within_length": 0.7,
        "false_alarm": 0.03,
        "caught": 0.9,
        "foreign_found": 0.9,
        "foreign_reliable": 0.05,
        "captions_lost": 0.01,
        "reliability": ((0.5, 0.5, 10),),
    }
    return Calibration(**(parts | changes))


def test_without_a_threshold_the_rules_of_thumb_decide_and_say_what_is_missing():
    for content in (1, 2, 5):
        tokens = [*known("the", *CONTENT[:content])]
        verdict = judge(tokens, PLAIN, calibration_of(threshold=2.0), marks_importance=0.3, hubs=0)
        rules = judge_by_rules(tokens)
        assert (verdict.level, verdict.basis, verdict.probability) == (rules.level, rules.basis, None)
        assert verdict.reasons[:-1] == rules.reasons
        assert "too few captions succeeded" in verdict.reasons[-1]


def test_where_not_even_whole_captions_succeed_every_query_is_unreliable_all_the_same():
    verdict = judged(5, least=None, threshold=2.0)
    assert verdict.level == "unreliable"
    assert "more often than chance" in verdict.reasons[0]


PLAIN = Signals(2, 1, 10, np.log1p(3), 0.5, 0.1, 0.5, 0.5, 3, 0.5, 0.1)
SURE, LIKELY, HOPELESS = 3.0, -1.0, -5.0  # log odds: 95 %, 27 %, 1 %


def judged(content: int, *, signals: Signals = PLAIN, marks: float = 0.3, hubs: int = 0, **changes: object) -> Verdict:
    tokens = [*known("the", *CONTENT[:content])]
    return judge(tokens, signals, calibration_of(**changes), marks_importance=marks, hubs=hubs)


@pytest.mark.parametrize(
    ("content", "odds", "level"),
    [
        (5, SURE, "reliable"),
        (5, LIKELY, "doubtful"),
        (5, HOPELESS, "unreliable"),
        (2, SURE, "doubtful"),  # 30 % of whole captions' 80 %
        (2, LIKELY, "doubtful"),
        (2, HOPELESS, "unreliable"),
        (1, SURE, "unreliable"),  # 15 %
        (0, SURE, "unreliable"),
    ],
)
def test_the_level_is_the_worse_of_what_length_and_signals_say(content, odds, level):
    assert judged(content, odds=odds).level == level


@given(st.integers(0, 10), st.floats(-20, 20), st.integers(1, 9), st.floats(0.01, 1))
def test_a_query_that_is_too_short_is_never_reliable(content, odds, least, threshold):
    verdict = judged(content, odds=odds, least=least, threshold=threshold)
    assert verdict.too_short == (content < least)
    assert not (verdict.too_short and verdict.level == "reliable")
    assert verdict.level != "reliable" or verdict.probability >= threshold


@given(st.integers(0, 10), st.floats(-20, 20))
def test_where_whole_captions_succeed_by_chance_every_query_is_unreliable(content, odds):
    verdict = judged(content, odds=odds, least=None, threshold=2.0)
    assert verdict.level == "unreliable"
    assert "not even whole captions" in verdict.reasons[0]


def test_the_thresholds_are_the_calibrations():
    assert judged(5, odds=0.0, threshold=0.49).level == "reliable"
    assert judged(5, odds=0.0, threshold=0.51).level == "doubtful"
    assert judged(5, odds=-1.0, threshold=0.99).level == "unreliable"
    assert judged(3, odds=SURE, least=3).level == "reliable"
    assert judged(3, odds=SURE, least=4).level == "doubtful"


def test_the_first_reason_gives_the_measured_success_of_the_length_and_of_whole_captions():
    verdict = judged(1)
    assert "1 known content word, too short" in verdict.reasons[0]
    assert "15% of the time, whole captions 80%" in verdict.reasons[0]
    assert "too short" not in judged(5).reasons[0]
    assert "65%" in judged(5).reasons[0]  # between 60 % at 4 and 70 % at 6


def test_the_probability_and_what_it_rests_on_are_told():
    verdict = judged(5, odds=0.0)
    assert verdict.probability == 0.5
    assert verdict.basis == "measured on 1,234 captions"


def test_unknown_words_are_named_unless_still_typed():
    tokens = [*known(*CONTENT[:5]), *unknown("glorp", "…"), Token("umbre", False, 0.0, unfinished=True)]
    reasons = judge(tokens, PLAIN, calibration_of(odds=SURE), marks_importance=0.3, hubs=0).reasons
    assert "unknown and dropped: glorp" in reasons
    many = [*known(*CONTENT[:5]), *unknown(*(f"glorp{i}" for i in range(9)))]
    reasons = judge(many, PLAIN, calibration_of(odds=SURE), marks_importance=0.3, hubs=0).reasons
    assert any(reason.endswith("glorp4 ...") for reason in reasons)


@pytest.mark.parametrize(
    ("signals", "more", "reason"),
    [
        (replace(PLAIN, nearest=0.99), {}, "hit 1 is farther away than for 99% of whole captions"),
        (replace(PLAIN, matches=0.0), {}, "no caption has all of the query's words"),
        (replace(PLAIN, matches=np.log1p(1500)), {}, "too general: 1,500 captions have all of the query's words"),
        (replace(PLAIN, same_image=0), {}, "20 different images"),
        (replace(PLAIN, from_marks=0.01), {}, "nearer to the embedding of an empty text than 99% of whole captions"),
        (PLAIN, {}, "often failed in the calibration"),
        (PLAIN, {"marks": 0.97}, "marks won 97% of the features, more than in 97% of whole captions"),
        (PLAIN, {"hubs": 3}, "3 of the first 10 hits are hubs"),
    ],
)
def test_a_doubt_is_explained(signals, more, reason):
    verdict = judged(5, odds=LIKELY, signals=signals, **more)
    assert any(reason in each for each in verdict.reasons)
    assert reason not in " ".join(judged(5, odds=SURE).reasons)


def test_agreement_on_an_image_speaks_for_a_query():
    assert any("3 of the first 20" in reason for reason in judged(5, odds=SURE).reasons)


def test_a_better_method_is_told_when_the_query_is_not_reliable():
    curve = tuple(
        replace(cell, by_method=cell.by_method | {"bm25": (0.9, 0.85, 0.95)}) for cell in calibration_of().curve
    )
    assert judged(5, odds=LIKELY, curve=curve).better == "bm25"
    assert judged(5, odds=SURE, curve=curve).better is None
    assert judged(5, odds=LIKELY).better is None


# Other methods than infersent


def asked(*tokens: Token) -> Query:
    return Query(text="", ids=np.zeros(2, np.int32), tokens=tokens)


def test_a_list_of_another_method_gets_what_was_measured_of_that_method_at_this_length():
    curve = tuple(
        replace(cell, by_method=cell.by_method | {"words": (cell.length / 20, 0.0, 1.0)})
        for cell in calibration_of().curve
    )
    verdict = describe_method(asked(*known("the", *CONTENT[:4])), "words", calibration_of(curve=curve))
    assert (verdict.level, verdict.probability, verdict.too_short, verdict.better) == (None, None, None, None)
    (sentence,) = verdict.reasons
    assert sentence.startswith("4 content words: with words such queries find another caption of the same image")
    assert sentence.endswith("20% of the time, with infersent 60%")
    assert verdict.basis == "measured on 1,234 captions"


@pytest.mark.parametrize(("method", "count"), [("words", 2), ("context", 2), ("bm25", 3), ("fused", 3)])
def test_a_word_without_a_vector_counts_for_the_methods_that_go_by_words(method, count):
    query = asked(*known("the", "kite", "beach"), *unknown("glorp", "..."))
    assert describe_method(query, method, calibration_of()).reasons[0].startswith(f"{count} content words")


@pytest.mark.parametrize("method", METHODS[1:])
def test_before_a_calibration_another_method_is_said_to_be_unmeasured(method):
    verdict = describe_method(asked(*known(*CONTENT)), method, None)
    assert (verdict.level, verdict.probability, verdict.basis) == (None, None, "no calibration")
    assert verdict.reasons == (f"how far {method} can be trusted is not measured yet",)
