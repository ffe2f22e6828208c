"""How far the hits of a query can be trusted: by rules of thumb, and by what was measured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.corpus.images import Images
from core.corpus.sentences import Sentences
from core.corpus.tokenizer import Tokenizer
from core.query import Query, Term, Token
from core.ranking.lexical import BM25
from core.ranking.methods import METHODS
from core.ranking.ranking import Found, Ranking
from core.trust.calibration import Calibration, Figures, Recall
from core.trust.domain import SUMS, Domain, commonness_of
from core.trust.predictor import Predictor
from core.trust.probes import LENGTHS
from core.trust.signals import NAMES, SignalMeter
from core.trust.verdict import (
    NOTHING_KNOWN,
    Judge,
    Verdict,
    describe_no_sum,
    describe_nothing,
    describe_unmeasured,
    judge_by_rules,
)

LEVELS = ("reliable", "doubtful", "unreliable")  # best first
CONTENT = ["green", "kite", "beach", "dog", "umbrella", "train", "bridge", "snow", "boat", "kitchen"]
SIGNS = ("+ ", "− ", "· ")


def known(*words: str) -> list[Token]:
    return [Token(word, True, 0.1) for word in words]


def unknown(*words: str) -> list[Token]:
    return [Token(word, False, 0.0) for word in words]


def query_of(*tokens: Token, embedding: bool = True, **parts: object) -> Query:
    """A query that is no sum; its ids are those of `World.sentences`."""
    text = " ".join(token.text for token in tokens)
    ids = ids_of(token.text for token in tokens if token.known)
    vector = np.arange(1, 9, dtype=np.float32) if embedding and len(ids) > 2 else None
    return Query(**{"text": text, "literal": text, "ids": ids, "tokens": tokens, "embedding": vector} | parts)


def sum_of(*terms: tuple[float, str]) -> Query:
    """A sum of known words."""
    parts = tuple(Term(weight, text, tuple(known(*text.split())), 0.1) for weight, text in terms)
    vector = np.arange(1, 9, dtype=np.float32)
    return Query(text="", ids=ids_of([]), embedding=vector, terms=parts)


# By rules of thumb


def by_rules(*tokens: Token, hits: Sequence[frozenset[str]] = (frozenset(CONTENT),)) -> Verdict:
    return judge_by_rules(query_of(*tokens), hits)


@pytest.mark.parametrize(
    ("count", "level"),
    [(0, "unreliable"), (1, "doubtful"), (2, "doubtful"), (3, "doubtful"), (4, "reliable"), (10, "reliable")],
)
def test_the_level_follows_the_number_of_known_content_words(count, level):
    assert by_rules(*known("the", *CONTENT[:count])).level == level


def test_one_word_that_few_hits_have_and_more_of_which_they_have_none_are_unreliable():
    kite, other = frozenset({"the", "kite"}), frozenset({"the", "senator"})
    assert by_rules(*known("kite"), hits=[kite, other]).level == "doubtful"
    rare = by_rules(*known("kite"), hits=[kite, other, other])
    assert (rare.level, rare.reasons[1]) == ("unreliable", "− the hits have 33% of its words")
    for count in (2, 3, 4, 10):
        assert by_rules(*known(*CONTENT[:count]), hits=[other] * 10).level == "unreliable"
        assert by_rules(*known(*CONTENT[:count]), hits=[frozenset(CONTENT), *[other] * 9]).level == "doubtful"


def test_punctuation_and_function_words_do_not_count():
    padded = known("the", "kite", "is", "on", "and", "over", "its", "own", ".", ",", "--", "!", "The", "ON")
    verdict = by_rules(*padded)
    assert (verdict.level, verdict.reasons[1]) == ("doubtful", "− only 1 known content word")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("text", ["I don't, won't, can't and shan't", "it's you're we've he'll I'd I'm they’re"])
def test_contracted_function_words_do_not_count(version, text):
    tokens = known(*Tokenizer(version).tokenize(text))
    assert [token.text for token in tokens if token.is_content] == []


def test_a_query_of_function_words_alone_is_said_to_have_no_content_word():
    verdict = by_rules(*known("and", "the"))
    assert verdict.reasons[1] == "− no known content word: function words fit any caption"


def test_a_number_and_a_hyphened_word_count():
    assert all(token.is_content for token in known("747", "well-lit", "3d", "über", "猫"))


def test_a_third_of_the_words_unknown_is_doubtful():
    assert by_rules(*known(*CONTENT[:4]), *unknown("glorp", "vlim")).level == "doubtful"
    assert by_rules(*known(*CONTENT[:6]), *unknown("glorp", "vlim", "snerk")).level == "doubtful"


def test_fewer_than_a_third_of_the_words_unknown_stays_reliable():
    assert by_rules(*known(*CONTENT[:5]), *unknown("glorp", "vlim")).level == "reliable"


def test_unknown_function_words_are_not_held_against_a_query():
    query = [*known(*CONTENT[:4]), *unknown("a", "the", "on", "with", "A")]
    assert by_rules(*query).level == "reliable"


def test_a_word_that_is_repeated_counts_once():
    assert by_rules(*known("kite", "Kite", "kite", "kite")).reasons[1] == "− only 1 known content word"


def test_unknown_punctuation_is_not_held_against_a_query():
    verdict = by_rules(*known(*CONTENT[:4]), *unknown("…", "~", "«", "»"))
    assert verdict.level == "reliable"
    assert not any("unknown" in reason for reason in verdict.reasons)


def test_unknown_words_are_never_content_that_counts():
    assert by_rules(*known("kite"), *unknown(*CONTENT[3:])).level == "unreliable"


def test_an_unfinished_last_word_is_neutral_while_it_is_unknown():
    words = [*known(*CONTENT[:4]), *unknown("glorp")]
    typing = [*words, Token("umbre", False, 0.0, unfinished=True)]
    assert by_rules(*typing) == by_rules(*words)
    settled = [*words, Token("umbre", False, 0.0)]
    assert (by_rules(*typing).level, by_rules(*settled).level) == ("reliable", "doubtful")


def test_an_unfinished_last_word_counts_once_it_is_known():
    words = known(*CONTENT[:3])
    assert by_rules(*words, Token("umbrella", True, 0.1, unfinished=True)).level == "reliable"


def test_the_reasons_name_the_unknown_words_and_cut_a_long_list():
    assert by_rules(*known(*CONTENT[:4]), *unknown("glorp")).reasons[2] == "− unknown and left out: glorp"
    many = by_rules(*unknown(*(f"glorp{i}" for i in range(9))))
    assert many.reasons[0] == "− most of its words are unknown"
    assert many.reasons[3].endswith("glorp3, glorp4 ...")


def test_a_rule_of_thumb_is_named_as_one_and_tells_nothing_that_was_measured():
    verdict = by_rules(*known(*CONTENT))
    assert verdict.reasons[0] == "· not measured: by a rule of thumb"
    assert (verdict.probability, verdict.whole, verdict.in_corpus, verdict.advice) == (None,) * 4
    assert (verdict.confirmed, verdict.attainable, verdict.long_enough) == (None,) * 3
    small = judge_by_rules(query_of(*known(*CONTENT)), [frozenset(CONTENT)], why="on so few captions")
    assert small.reasons == ("· cannot be measured on so few captions: by a rule of thumb", *verdict.reasons[1:])


def test_copies_of_the_query_alone_neither_confirm_nor_refute_it():
    verdict = judge_by_rules(query_of(*known(*CONTENT)), [])
    assert verdict.level == "doubtful"
    assert verdict.reasons[1] == "− no hit has another text than the query"


def test_a_sum_is_judged_by_the_words_of_its_positive_terms_that_no_negative_term_has():
    terms = [(1.0, "a green kite on a beach"), (-1.0, "the Kite"), (0.5, "a dog umbrella")]
    left, hits = known("a", "green", "on", "a", "beach", "a", "dog", "umbrella"), [frozenset(CONTENT)]
    assert judge_by_rules(sum_of(*terms), hits) == by_rules(*left)
    assert judge_by_rules(sum_of((1.0, "a dog near a train"), (-2.0, "dog train")), hits).level == "unreliable"


def test_a_long_query_whose_hits_seldom_have_its_words_is_doubtful():
    words, nothing = known("the", *CONTENT[:4], "Kite"), frozenset({"the", "senator"})  # four: green kite beach dog
    seldom = by_rules(*words, hits=[frozenset({"kite"}), nothing, nothing, nothing])
    assert (seldom.level, seldom.reasons[1]) == ("doubtful", "− the hits have 6% of its words")
    assert by_rules(*words, hits=[frozenset({"kite", "train"}), nothing]).level == "doubtful"
    often = by_rules(*words, hits=[frozenset({"kite", "green"}), nothing, nothing])
    assert (often.level, often.reasons[1]) == ("reliable", "+ the hits have 17% of its words")


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
    assert by_rules(*mixed).level == by_rules(*query).level


@settings(deadline=None)
@given(st.lists(tokens, max_size=12), st.sampled_from(CONTENT))
def test_one_more_known_content_word_never_lowers_the_level(query, word):
    before, after = by_rules(*query), by_rules(*query, *known(word))
    assert LEVELS.index(after.level) <= LEVELS.index(before.level)


# Where nothing is found


def test_without_a_known_word_a_query_is_unreliable_and_other_methods_get_no_level():
    query = query_of(*unknown("glorp"))
    assert describe_nothing(query, "infersent") == NOTHING_KNOWN
    assert NOTHING_KNOWN.level == "unreliable"
    for method in ("words", "context"):
        assert describe_nothing(query, method) == replace(NOTHING_KNOWN, level=None)
    for method in ("bm25", "fused"):
        verdict = describe_nothing(query, method)
        assert verdict.level is None
        assert verdict.reasons == (f"− by {method}, no caption has anything in common with the query",)


def test_a_sum_without_an_embedding_is_unreliable_and_says_why():
    terms = (Term(1, "a dog", tuple(known("a", "dog")), 0.1), Term(-1, "glorp", tuple(unknown("glorp")), 0.1))
    verdict = describe_no_sum(Query(text="", ids=ids_of([]), terms=terms))
    assert verdict == Verdict("unreliable", ("− no word of “glorp” is known, so there is nothing to add",))
    cancelled = describe_no_sum(Query(text="", ids=ids_of([]), terms=(terms[0], replace(terms[0], weight=-1))))
    assert cancelled.level == "unreliable"
    assert "cancel out" in cancelled.reasons[0]


# By a calibration


@dataclass(frozen=True, repr=False)
class World:
    """A corpus, and how to judge over it.

    Its captions, by row: 0..119 say "dog", "beach" and "sand", three an image; 120..129 "boat", two an image; 130..138
    "train", three an image; 139..178 "cat", two an image; 179 "lamp", alone. Each also has a word of its own.
    """

    texts: tuple[str, ...]
    groups: np.ndarray
    meter: SignalMeter
    sentences: Sentences

    def judge(self, query: Query, found: Found, method: str = "infersent", **changes: object) -> Verdict:
        changes.setdefault("by_images", self.meter.images is not None)
        return Judge(calibration_of(**changes), self.meter, self.sentences).judge(query, found, method)

    def caption(self, row: int) -> Query:
        """The query of a caption."""
        return query_of(*known(*self.texts[row].split()), row=row)


DOGS, CATS = range(0, 120, 3), range(139, 179, 2)  # one caption of each image
KINDS_OF_IMAGE = [("dog on beach sand", 40, 3), ("boat", 5, 2), ("train", 3, 3), ("cat", 20, 2), ("lamp", 1, 1)]
IMAGES = [(words, size) for words, count, size in KINDS_OF_IMAGE for _ in range(count)]
TEXTS = tuple(f"a {words} own{i}of{j}" for i, (words, size) in enumerate(IMAGES) for j in range(size))
GROUPS = np.repeat(np.arange(len(IMAGES)), [size for _, size in IMAGES])
NUMBERS: dict[str, int] = {}


def ids_of(words) -> np.ndarray:
    """Token ids between the sentence marks, 0 and 1."""
    return np.array([0, *(NUMBERS.setdefault(word, len(NUMBERS) + 2) for word in words), 1], np.int32)


def world_of(folder: Path, texts: tuple[str, ...], groups: np.ndarray, *, by_images: bool = True) -> World:
    BM25.build(folder / "bm25", texts)
    rows = np.random.default_rng(0).normal(size=(len(texts), 8))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    images = Images(groups) if by_images else None
    meter = SignalMeter(rows.astype(np.float16), bm25=BM25(folder / "bm25"), images=images)
    return World(texts, groups, meter, Sentences.joined([ids_of(text.split()) for text in texts]))


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    return world_of(tmp_path_factory.mktemp("world"), TEXTS, GROUPS)


@pytest.fixture(scope="module")
def ungrouped(tmp_path_factory) -> World:
    """The same captions without images."""
    return world_of(tmp_path_factory.mktemp("ungrouped"), TEXTS, GROUPS, by_images=False)


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> World:
    """The same captions, and thirty copies of row 0: the first in its image, the others alone in theirs."""
    groups = np.concatenate([GROUPS, [0], GROUPS.max() + 1 + np.arange(29)])
    return world_of(tmp_path_factory.mktemp("copied"), (*TEXTS, *[TEXTS[0]] * 30), groups)


def found_of(rows, *, nearest: float = 0.3, own: int | None = None) -> Found:
    """Hits at rising distances, of which only the first 21 are leading; before them an own row at distance 0."""
    rows = [*([] if own is None else [own]), *rows]
    distances = np.linspace(nearest, nearest + 0.2, len(rows))
    if own is not None:
        distances = np.concatenate([[0.0], distances[:-1]])
    every = Ranking(np.array(rows, np.int32), distances)
    return Found(every.at(np.arange(min(21, len(rows)), dtype=np.int32)), lambda: every)


def hits_with(dogs: int, **how: object) -> Found:
    """Twenty hits, the first ten of which have so many dogs."""
    return found_of([*DOGS[:dogs], *CATS[: 20 - dogs]], **how)


def domain_of(farthest: float) -> Domain:
    """A domain that ends at this distance of hit 1, whatever the words."""
    return Domain(100, 100, Predictor((farthest,), (0.001,), (-1.0,), 0.0), 0.5, farthest)


DOMAINS = dict.fromkeys([*map(str, LENGTHS), "0"], domain_of(0.5)) | {SUMS: domain_of(0.8)}
SHARE = {1: 0.15, 2: 0.3, 3: 0.5, 4: 0.6, 6: 0.7, 8: 0.7, 12: 0.7}
BY_COUNT = Predictor((0.0,) * 4, (1.0,) * 4, (1.0, 0.0, 0.0, 0.0), -5.0)
"""Predicts 50 % from five confirmed hits, 27 % from four and 12 % from three."""
SURE, LIKELY, HOPELESS = 3.0, -0.5, -3.0  # log odds: 95 %, 38 %, 5 %


def predictor_of(odds: float, **weights: float) -> Predictor:
    """Predicts from some signals, or without any the same of every query."""
    zeros, ones = (0.0,) * len(NAMES), (1.0,) * len(NAMES)
    return Predictor(zeros, ones, tuple(weights.get(name, 0.0) for name in NAMES), odds)


def curve_of(whole: float = 0.8, **better: float) -> tuple[Recall, ...]:
    """Success by length, and what other methods than infersent have more of it."""
    cells = [*(("words", length, share) for length, share in SHARE.items()), ("whole", 0, whole)]
    shares = [{method: share + better.get(method, 0.0) for method in METHODS} for *_, share in cells]
    return tuple(
        Recall(kind, length, 100, {method: (share, share - 0.05, share + 0.05) for method, share in by_method.items()})
        for (kind, length, _), by_method in zip(cells, shares, strict=True)
    )


def calibration_of(
    *, least: int | None = 3, whole: float = 0.8, odds: float = 0.0, by_images: bool = True, **changes: object
) -> Calibration:
    """A calibration that knows three content words to be long enough."""
    parts: dict[str, object] = {
        "captions": 1234,
        "by_images": by_images,
        "chance": 0.01,
        "curve": curve_of(whole),
        "least_content": least,
        "predictor": predictor_of(odds),
        "short_predictor": BY_COUNT,
        "whole_nearest": tuple(np.linspace(0, 1, 101).tolist()),
        "random_distances": {},
        "domains": DOMAINS,
        "hubs": np.empty(0, np.int32),
        "figures": Figures({}, 0.1, 0.7, 0.01, 0.03, 0.9, 0.05, 0.01, {}, (), {}),
        "second": "",
    }
    return Calibration(**parts | changes)


LONG = query_of(*known("a", "dog", "on", "beach", "sand"))
SHORT = query_of(*known("a", "dog"))


def probability(odds: float) -> float:
    return float(1 / (1 + np.exp(-odds)))


# The first rule that fits: not in this corpus, only function words


@pytest.mark.parametrize("words", ["a dog", "a dog on beach sand", "the on of"])
def test_what_is_far_from_every_caption_is_unreliable_whatever_else_is_seen(world, words):
    query = query_of(*known(*words.split()))
    verdict = world.judge(query, hits_with(10, nearest=0.87), odds=SURE)
    assert (verdict.level, verdict.in_corpus, verdict.probability, verdict.advice) == ("unreliable", False, None, None)
    assert verdict.reasons[0].startswith("− not in this corpus: hit 1 at 0.87; 99% of captions have a nearer one")
    assert world.judge(query, hits_with(10, nearest=0.5), odds=SURE).in_corpus is True


def test_a_foreign_sentence_with_hits_no_farther_than_usual_is_told_by_its_words(world):
    rare = Domain(100, 100, Predictor((0.5, -5.0), (1.0, 0.001), (0.0, 1.0), 0.0), 0.5, 0.5)
    verdict = world.judge(LONG, hits_with(10, nearest=0.4), domains=DOMAINS | {"4": rare, "6": rare})
    assert verdict.in_corpus is True  # its words are common in these captions
    seldom = Domain(100, 100, Predictor((0.5, 5.0), (1.0, 0.001), (0.0, 1.0), 0.0), 0.5, 0.5)
    verdict = world.judge(LONG, hits_with(10, nearest=0.4), domains=DOMAINS | {"4": seldom, "6": seldom})
    assert (verdict.level, verdict.in_corpus) == ("unreliable", False)
    assert verdict.reasons == ("− not in this corpus: hit 1 at 0.40, and captions seldom use such words",)
    rarer = commonness_of(LONG.ids[1:-1], world.sentences) + 0.01  # than its words, without the sentence marks
    barely = Domain(100, 100, Predictor((0.5, rarer), (1.0, 0.001), (0.0, 1.0), 0.0), 0.5, 0.5)
    verdict = world.judge(LONG, hits_with(10, nearest=0.4), domains=DOMAINS | {"4": barely, "6": barely})
    assert verdict.in_corpus is False


def test_where_it_is_not_known_whether_a_query_is_in_the_corpus_the_next_rule_decides(world):
    others = {key: domain for key, domain in DOMAINS.items() if key != "2"}
    for domains in ({}, others):
        verdict = world.judge(SHORT, hits_with(10, nearest=0.87), domains=domains)
        assert (verdict.level, verdict.in_corpus) == ("reliable", None)


def test_a_caption_is_in_its_corpus_however_far_the_others_are(world):
    verdict = world.judge(world.caption(0), found_of(CATS, nearest=1.3, own=0), odds=LIKELY)
    assert (verdict.in_corpus, verdict.level) == (True, "doubtful")


def test_only_function_words_are_unreliable_and_advised_to_name_something(world):
    query = query_of(*known("the", "on", "a"), *unknown("glorp"))
    verdict = world.judge(query, hits_with(10), odds=SURE, least=0)
    assert (verdict.level, verdict.probability) == ("unreliable", None)
    assert verdict.reasons == (
        "− no known content word: function words fit any caption",
        "− unknown and left out: glorp",
    )
    assert verdict.advice == "name what should be in the image"


# Short queries


@pytest.mark.parametrize(
    ("dogs", "level"),
    [(10, "reliable"), (5, "reliable"), (4, "doubtful"), (3, "unreliable"), (0, "unreliable")],
)
def test_a_short_query_is_judged_by_how_many_of_its_hits_are_confirmed(world, dogs, level):
    for odds in (SURE, HOPELESS):
        verdict = world.judge(SHORT, hits_with(dogs), odds=odds)
        assert (verdict.level, verdict.long_enough) == (level, False)
        assert (verdict.confirmed, verdict.attainable) == (dogs, 120)
        assert verdict.probability == pytest.approx(probability(dogs - 5))
        sign = "+" if dogs >= 5 else "−"
        says = "; the images of the hits have 40% of the words" if dogs == 4 else " by other captions of their image"
        assert verdict.reasons[0] == f"{sign} {dogs} of 10 confirmed{says}"


def test_a_short_query_is_judged_by_its_words_and_the_mean_distance_of_ten_hits_too(world):
    weights = (0.0, 2.0, 3.0, 5.0)  # count, share of the words, distance, number of words
    predictor = Predictor((0.0,) * 4, (1.0,) * 4, weights, -7.0)
    found = hits_with(6)
    mean = found.leading.distances[:10].mean()
    verdict = world.judge(SHORT, found, short_predictor=predictor)
    assert verdict.probability == pytest.approx(probability(2 * 0.6 + 3 * mean + 5 - 7))


@pytest.mark.parametrize(("word", "rows", "attainable"), [("boat", range(120, 130), 10), ("train", range(130, 139), 9)])
@pytest.mark.parametrize("right", [True, False])
def test_with_fewer_than_ten_attainable_a_short_query_is_doubtful(world, word, rows, attainable, right):
    found = found_of([*rows, *CATS] if right else CATS)
    verdict = world.judge(query_of(*known(word)), found)
    assert verdict.attainable == attainable
    enough = "reliable" if right else "unreliable"
    assert verdict.level == (enough if attainable == 10 else "doubtful")
    assert verdict.reasons[0].endswith("of their image" if attainable == 10 else "confirmed, only 9 captions could be")
    assert verdict.reasons[0][0] == ("+" if right else "−")


def test_with_few_attainable_half_of_them_speak_for_the_hits(world):
    train = query_of(*known("train"))  # nine captions of three images
    for trains, sign in ((5, "+"), (4, "−")):
        found = found_of([*range(130, 130 + trains), *CATS])
        assert world.judge(train, found).reasons[0].startswith(f"{sign} {trains} of 10 confirmed, only 9 captions")


def test_where_no_caption_has_the_words_a_short_query_is_doubtful_and_says_so(world):
    verdict = world.judge(query_of(*known("dog", "train")), hits_with(10))
    assert (verdict.level, verdict.attainable) == ("doubtful", 0)
    assert verdict.reasons[0] == "· no hit could be confirmed"


def test_where_too_little_was_measured_a_short_query_is_doubtful(world):
    for dogs in (0, 10):
        verdict = world.judge(SHORT, hits_with(dogs), short_predictor=None)
        assert (verdict.level, verdict.probability, verdict.confirmed) == ("doubtful", None, dogs)


def test_without_images_a_short_query_is_at_most_doubtful(ungrouped):
    levels = {dogs: ungrouped.judge(SHORT, hits_with(dogs)).level for dogs in (0, 10)}
    assert levels == {0: "unreliable", 10: "doubtful"}
    verdict = ungrouped.judge(SHORT, hits_with(10))
    assert verdict.reasons[0] == "+ 10 of 10 have all of the words"
    assert verdict.reasons[1] == "· without image groups a short query is at most doubtful"
    assert "find half of their whole caption's first ten" in verdict.reasons[2]
    nothing = ungrouped.judge(query_of(*known("dog", "train")), hits_with(10))
    assert nothing.reasons[0] == "· no hit could be confirmed"
    assert nothing.advice is None  # no number of words could find what is not there


def test_a_short_query_is_told_how_often_its_length_succeeds_and_what_more_words_would_bring(world):
    verdict = world.judge(SHORT, hits_with(0))
    assert verdict.reasons[1] == "− too short for one scene: 15 of 100 find it, whole captions 80"
    assert verdict.advice == "with 3 content words 50 of 100 do"
    assert world.judge(SHORT, hits_with(0), least=5).advice == "with 6 content words 70 of 100 do"


def test_more_words_are_not_advised_where_they_bring_nothing(world):
    assert world.judge(SHORT, hits_with(10)).advice is None  # reliable
    assert world.judge(SHORT, hits_with(0), least=None).advice is None
    falling = tuple(
        replace(cell, by_method=dict.fromkeys(METHODS, (0.1, 0.0, 0.2))) if cell.length > 1 else cell
        for cell in curve_of()
    )
    assert world.judge(SHORT, hits_with(0), curve=falling).advice is None


def test_where_even_whole_captions_succeed_by_chance_every_length_is_short(world):
    verdict = world.judge(LONG, hits_with(10), odds=HOPELESS, least=None)
    assert (verdict.level, verdict.long_enough) == ("doubtful", False)
    assert any("not even whole captions find their image more often than chance" in each for each in verdict.reasons)
    assert not any("too short" in reason for reason in verdict.reasons)


# Queries that are long enough


@pytest.mark.parametrize(
    ("whole", "chance", "level"),
    [
        (0.8, 0.57, "reliable"),
        (0.8, 0.55, "doubtful"),
        (0.8, 0.21, "doubtful"),
        (0.8, 0.19, "unreliable"),
        (0.5, 0.36, "reliable"),
        (0.5, 0.34, "doubtful"),
        (0.5, 0.13, "doubtful"),
        (0.5, 0.12, "unreliable"),
    ],
)
def test_a_longer_query_is_judged_by_its_chance_relative_to_whole_captions(world, whole, chance, level):
    verdict = world.judge(LONG, hits_with(0), odds=float(np.log(chance / (1 - chance))), whole=whole)
    assert (verdict.level, verdict.long_enough, verdict.whole) == (level, True, whole)
    assert verdict.probability == pytest.approx(chance)
    sign = "+" if level == "reliable" else "−"
    found = f"{chance * 100:.0f} of 100 queries with such hits find their image, whole captions {whole * 100:.0f}"
    assert verdict.reasons[0] == f"{sign} {found}"


def test_the_chance_rests_on_the_signals_of_the_query(world):
    found = hits_with(3, nearest=0.42)
    verdict = world.judge(LONG, found, predictor=predictor_of(-1.0, nearest=2.0, same_image=0.1, known=1.0))
    assert verdict.probability == pytest.approx(probability(-1 + 2 * 0.42 + np.log(5)))
    verdict = world.judge(LONG, found, predictor=predictor_of(-5.0, confirmable=1.0))
    assert verdict.probability == pytest.approx(probability(-5 + np.log1p(120)))


@pytest.mark.parametrize("odds", [HOPELESS, LIKELY])
@pytest.mark.parametrize(("dogs", "level"), [(10, "reliable"), (5, "reliable"), (4, "unreliable"), (0, "unreliable")])
def test_a_longer_query_with_five_confirmed_hits_is_reliable_however_low_its_chance(world, dogs, level, odds):
    verdict = world.judge(LONG, hits_with(dogs), odds=odds)
    level = "doubtful" if level == "unreliable" and odds == LIKELY else level
    assert (verdict.level, verdict.confirmed) == (level, dogs)
    assert verdict.probability == pytest.approx(probability(odds))
    if dogs >= 5:
        chance = f"{100 * probability(odds):.0f} of 100 find it, whole captions 80"
        confirmed = f"+ {dogs} of 10 confirmed by other captions of their image"
        assert verdict.reasons == (confirmed, f"− too general for one scene: {chance}")
    else:
        assert not any("confirmed" in reason or "one scene" in reason for reason in verdict.reasons)


@pytest.mark.parametrize(("dogs", "share", "level"), [(10, 75, "doubtful"), (6, 55, "doubtful"), (4, 45, "unreliable")])
def test_so_is_one_whose_hits_have_half_of_its_words(world, dogs, share, level):
    query = replace(LONG, tokens=(*LONG.tokens, *known("cat")))  # of which the dogs' images lack the last
    verdict = world.judge(query, hits_with(dogs), odds=HOPELESS)
    assert (verdict.level, verdict.confirmed) == (level, 0)
    told = f"+ the images of the hits have {share}% of the words"
    assert (told in verdict.reasons) == (level == "doubtful")
    assert told not in world.judge(query, hits_with(dogs), odds=SURE).reasons


def test_without_images_the_hits_have_the_words_themselves(ungrouped):
    query = replace(LONG, tokens=(*LONG.tokens, *known("cat")))
    verdict = ungrouped.judge(query, hits_with(10), odds=HOPELESS, by_images=False)
    assert (verdict.level, "+ the hits have 75% of the words" in verdict.reasons) == ("doubtful", True)


def test_without_images_confirmed_hits_do_not_make_a_longer_query_reliable(ungrouped):
    assert ungrouped.judge(LONG, hits_with(10), odds=LIKELY).level == "doubtful"


@pytest.mark.parametrize(("dogs", "level"), [(2, "reliable"), (1, "doubtful")])
def test_without_images_a_longer_query_is_reliable_only_if_its_hits_have_some_of_its_words(ungrouped, dogs, level):
    verdict = ungrouped.judge(LONG, hits_with(dogs), odds=SURE)
    assert verdict.level == level
    assert ("− the hits have 10% of the words" in verdict.reasons) == (dogs == 1)


def test_the_words_that_no_hit_says_are_named_also_where_the_query_is_reliable(world, ungrouped):
    query = query_of(*known("a", "Dog", "dog", "on", "beach", "lamp", "xylograph", "train"))
    few = "− not in the first ten hits: lamp, xylograph, train"
    assert few in world.judge(query, hits_with(3), odds=SURE).reasons
    assert few in ungrouped.judge(query, hits_with(6), odds=SURE).reasons
    many = query_of(*known("dog", "lamp", "xylograph", "train", "boat", "cat"))
    assert (
        "− not in the first ten hits: dog, lamp, xylograph ..."
        in world.judge(many, found_of(CATS), odds=LIKELY).reasons
    )
    assert not any(
        "not in the first ten hits" in reason for reason in world.judge(LONG, hits_with(1), odds=SURE).reasons
    )


def test_a_hit_that_is_nearer_than_usual_is_told_where_the_query_is_not_reliable(world):
    changes = {"whole_nearest": tuple(np.linspace(0.28, 1, 101))}
    near = "+ hit 1 is near: 0.30, for whole captions usually 0.64"
    assert near in world.judge(LONG, hits_with(0), odds=LIKELY, **changes).reasons
    assert near not in world.judge(LONG, hits_with(0), odds=SURE, **changes).reasons
    assert near not in world.judge(LONG, hits_with(0, nearest=0.4), odds=LIKELY, **changes).reasons


DOUBTS = [
    (
        {"whole_nearest": tuple(np.linspace(0, 0.31, 101))},
        "− hit 1 is far: 0.30, for whole captions usually 0.15",
    ),
    ({"hubs": np.array(CATS[:3], np.int32)}, "− 3 of the first ten hits are hubs, which many unrelated queries find"),
]
NO_OTHER_DOUBT = query_of(*known("a", "cat", "dog", "boat", "train", "lamp"))
"""No caption has all of its words, so it is not too general; each hit has one of them."""
EACH_ONCE = [0, 120, 130, 179]
"""A caption each with the words but "cat"."""


@pytest.mark.parametrize(("changes", "reason"), DOUBTS)
def test_a_doubt_is_explained_unless_the_query_is_reliable(world, changes, reason):
    found = found_of([*range(139, 145), *EACH_ONCE, *range(145, 155)])  # some of them of one image
    assert reason in world.judge(NO_OTHER_DOUBT, found, odds=LIKELY, **changes).reasons
    assert reason not in world.judge(NO_OTHER_DOUBT, found, odds=LIKELY).reasons
    assert reason not in world.judge(NO_OTHER_DOUBT, found, odds=SURE, **changes).reasons


def test_hits_of_twenty_images_and_words_that_many_captions_have_are_doubts(world):
    images, general = (
        "− the first 20 hits are of 20 different images",
        "− too general: 120 captions have all of its words",
    )
    assert general in world.judge(LONG, hits_with(1), odds=LIKELY).reasons
    assert images in world.judge(NO_OTHER_DOUBT, found_of([*EACH_ONCE, *CATS[:16]]), odds=LIKELY).reasons
    of_one = found_of([*EACH_ONCE, *CATS[:15], CATS[0] + 1])
    assert images not in world.judge(NO_OTHER_DOUBT, of_one, odds=LIKELY).reasons
    assert general not in world.judge(world.caption(0), found_of([3, *CATS[:19]], own=0), odds=LIKELY).reasons


def test_of_many_doubts_the_first_is_told_and_none_where_the_hits_have_the_words(world):
    changes = {key: value for changes, _ in DOUBTS for key, value in changes.items()}
    verdict = world.judge(LONG, hits_with(1), odds=LIKELY, **changes)
    assert len(verdict.reasons) == 2  # chance, a doubt
    assert verdict.reasons[1].startswith("− hit 1 is far: 0.30,")
    query = replace(LONG, tokens=(*LONG.tokens, *known("cat")))
    verdict = world.judge(query, found_of(DOGS[:20]), odds=LIKELY, **changes)
    assert verdict.reasons[1:] == ("+ the images of the hits have 75% of the words",)


def test_a_method_is_advised_that_finds_more_at_this_length_unless_the_query_is_reliable(world):
    better = curve_of(bm25=0.2)
    verdict = world.judge(LONG, hits_with(0), odds=LIKELY, curve=better)
    assert verdict.advice == "bm25 finds more at this length: 70 of 100, infersent 50"
    assert world.judge(LONG, hits_with(0), odds=SURE, curve=better).advice is None
    assert world.judge(LONG, hits_with(0), odds=LIKELY, curve=curve_of(bm25=0.04)).advice is None  # may be chance
    assert world.judge(LONG, hits_with(0), odds=LIKELY, curve=curve_of(bm25=-0.2)).advice is None


shares = st.dictionaries(st.sampled_from(METHODS), st.floats(0, 1), min_size=len(METHODS))


@settings(deadline=None)
@given(st.lists(shares, min_size=len(SHARE), max_size=len(SHARE)), st.integers(3, 14))
def test_no_method_is_advised_that_measures_worse(world, by_length, content):
    cells = [Recall("whole", 0, 100, dict.fromkeys(METHODS, (0.8, 0.7, 0.9)))]
    for length, by_method in zip(SHARE, by_length, strict=True):
        intervals = {method: (share, max(0.0, share - 0.02), share + 0.02) for method, share in by_method.items()}
        cells.append(Recall("words", length, 100, intervals))
    query = query_of(*known(*(f"word{i}" for i in range(content))))
    verdict = world.judge(query, hits_with(0), odds=LIKELY, curve=tuple(cells))
    if verdict.advice is not None:
        calibration = calibration_of(curve=tuple(cells))
        assert calibration.recall(content, verdict.advice.split()[0]) > calibration.recall(content)


def test_a_sum_of_many_words_is_judged_as_the_longest_short_query(world):
    fewer = Predictor((0.0,) * 4, (1.0,) * 4, (1.0, 0.0, 0.0, -2.0), 0.0)  # the more words, the less
    for words in (2, 3, 8):
        text = " ".join(["dog", "beach", "sand", "train", "boat", "cat", "lamp", "kite"][:words])
        verdict = world.judge(sum_of((1.0, text), (1.0, "dog")), hits_with(0), short_predictor=fewer)
        assert verdict.probability == pytest.approx(probability(-2 * 2))


# Where whole captions seldom succeed


@pytest.mark.parametrize("query", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("whole", [0.39, 0.41])
def test_where_whole_captions_seldom_succeed_nothing_is_reliable_and_one_line_says_why(world, query, whole):
    verdict = world.judge(query, hits_with(10), odds=SURE, whole=whole)
    assert verdict.level == ("doubtful" if whole < 0.4 else "reliable")
    why = [reason for reason in verdict.reasons if "nothing is reliable" in reason]
    assert why == ["− nothing is reliable here: even of whole captions 39 of 100 find their image"][: whole < 0.4]


# Captions


@pytest.mark.parametrize(
    ("odds", "levels"),
    [(SURE, ["doubtful", "reliable"]), (LIKELY, ["doubtful"] * 2), (HOPELESS, ["unreliable", "doubtful"])],
)
def test_a_caption_that_finds_none_of_its_image_is_never_reliable_and_one_that_does_never_unreliable(
    world, odds, levels
):
    query = world.caption(0)  # rows 1 and 2 are of its image
    for hits, found, level in [
        (CATS, 0, levels[0]),
        ([*CATS[:10], 1, 2, *CATS[10:]], 0, levels[0]),  # beyond the first ten
        ([*CATS[:9], 2, 1, *CATS[9:]], 1, levels[1]),
        ([1, 2, *CATS], 2, levels[1]),
    ]:
        verdict = world.judge(query, found_of(hits, own=0), odds=odds)
        assert verdict.level == level
        sign = "+" if found else "−"
        assert verdict.reasons[0] == f"{sign} {found} of its image's 2 other captions in the first ten"


def test_a_caption_whose_hits_are_about_it_if_not_of_its_image_is_doubtful_and_says_so(world):
    query = replace(world.caption(0), tokens=tuple(known("a", "dog", "on", "beach", "sand", "cat")))
    verdict = world.judge(query, found_of(DOGS[1:21], own=0), odds=HOPELESS)
    assert verdict.level == "doubtful"
    assert verdict.reasons == (
        "− 0 of its image's 2 other captions in the first ten",
        "· 5 of 100 queries with such hits find their image, whole captions 80",
        "+ the images of the hits have 75% of the words",
    )


def test_a_short_caption_is_judged_by_its_image_too(world):
    tokens = tuple(known("a", "dog", "on", "beach", "sand"))  # its own word would leave nothing attainable
    query = replace(world.caption(0), tokens=tokens)
    for hits, level in [
        (CATS, "unreliable"),
        ([1, *CATS], "doubtful"),
        (DOGS[1:21], "doubtful"),
        ([1, *DOGS[1:21]], "reliable"),
    ]:
        assert world.judge(query, found_of(hits, own=0), least=13).level == level


def test_of_the_image_nothing_is_told_where_there_is_no_other_caption_and_for_other_queries(world, ungrouped):
    lone, plain = world.caption(179), replace(world.caption(0), row=None)
    verdicts = [
        world.judge(lone, found_of(CATS, own=179), odds=SURE, least=1),
        world.judge(plain, found_of(DOGS), odds=SURE),
        ungrouped.judge(ungrouped.caption(0), found_of(DOGS[1:21], own=0), odds=SURE),
    ]
    for verdict in verdicts:
        assert verdict.level == "reliable"
        assert not any("first ten" in reason and "its image's" in reason for reason in verdict.reasons)


# Copies of the query's own caption


def slowly_confirmed(world: World, query: Query, copies: list[int]) -> set[int]:
    """The captions that are confirmed, by definition."""
    stems = world.meter.bm25.stems(query.literal)
    has = [set() if row in copies else set(world.meter.bm25.stems(text)) for row, text in enumerate(world.texts)]
    others = [
        set().union(*(has[other] for other in np.flatnonzero(world.groups == group) if other != row))
        for row, group in enumerate(world.groups)
    ]
    return {row for row in range(len(has)) if row not in copies and others[row].issuperset(stems)}


@pytest.mark.parametrize("hits", [[*DOGS[1:21]], [1, 2, *DOGS[1:11], *CATS]])
def test_thirty_copies_of_a_caption_count_nowhere(copied, hits):
    copies = [0, *range(180, 210)]
    tokens = tuple(known("a", "dog", "on", "beach", "sand"))  # its own word would confirm nothing
    query = replace(copied.caption(0), tokens=tokens, literal="a dog on beach sand")
    with_copies = found_of([*copies[1:], *hits], own=0)
    after = {
        row: float(value) for row, value in zip(with_copies.order().rows, with_copies.order().distances, strict=True)
    }
    without = Found(Ranking(np.array(hits, np.int32), np.array([after[row] for row in hits])), None)
    weights = {"nearest": 2.0, "same_image": 0.1, "matches": 0.1, "image_fit": 1.0, "rarity": 0.1}
    for method in ("infersent", "words"):
        verdict = copied.judge(query, with_copies, method, predictor=predictor_of(-1.0, **weights))
        assert verdict == copied.judge(query, without, method, predictor=predictor_of(-1.0, **weights))
        confirmed = slowly_confirmed(copied, query, copies)
        assert verdict.attainable == len(confirmed)
        assert verdict.confirmed == len(confirmed & set(hits[:10]))
        siblings = len({1, 2} & set(hits))
        assert verdict.reasons[0].endswith(f" {siblings} of its image's 2 other captions in the first ten")
    nearest = copied.judge(query, with_copies, predictor=predictor_of(0.0, nearest=1.0)).probability
    assert nearest == pytest.approx(probability(after[hits[0]]))
    own = copied.caption(0)  # has a word that is in copies alone
    matches = copied.judge(own, with_copies, predictor=predictor_of(1.0, matches=5.0)).probability
    assert matches == pytest.approx(probability(1.0))


def test_the_words_of_copies_confirm_no_other_caption(copied):
    query = copied.caption(0)  # has a word that only its copies have
    verdict = copied.judge(query, found_of([1, 2, *DOGS[1:]], own=0))
    assert (verdict.confirmed, verdict.attainable) == (0, 0)
    typed = copied.judge(replace(query, row=None), found_of([0, 1, 2, *DOGS[1:]]))
    assert (typed.confirmed, typed.attainable) == (4 - 1, 4)  # rows 0, 1, 2 and the copy in their image


# Captions without image groups


def test_without_image_groups_nothing_is_compared_to_whole_captions_which_all_succeed(ungrouped):
    for query, least in ((SHORT, 3), (LONG, 3), (LONG, 9)):
        verdict = ungrouped.judge(query, hits_with(10), whole=1.0, least=least, by_images=False)
        assert any("find half of their whole caption's first ten" in reason for reason in verdict.reasons)
        assert not any("whole captions" in reason for reason in verdict.reasons)


# Sums


def test_a_sum_is_judged_by_its_hits_whatever_its_length(world):
    for terms in ([(1, "a dog")], [(1, "a dog on beach sand")]):
        for dogs, level in [(10, "reliable"), (4, "doubtful"), (3, "unreliable")]:
            for odds in (SURE, HOPELESS):
                verdict = world.judge(sum_of(*terms, (-1, "the cat")), hits_with(dogs), odds=odds)
                assert verdict.level == level
                assert verdict.probability == pytest.approx(probability(dogs - 5))
                assert (verdict.confirmed, verdict.attainable) == (dogs, 120)
                assert verdict.reasons[0].startswith(f"{'+' if dogs >= 5 else '−'} {dogs} of 10 confirmed")
                assert verdict.long_enough == (len(terms[0][1].split()) > 2)
                assert verdict.advice is None
                assert not any("too short" in reason for reason in verdict.reasons)


def test_the_words_of_negative_terms_confirm_no_hit_of_a_sum(world):
    found = found_of([*range(130, 139), *CATS])
    verdict = world.judge(sum_of((1, "a dog on beach"), (-1, "Dog beach"), (0.5, "train")), found)
    assert (verdict.confirmed, verdict.attainable) == (9, 9)
    nothing_left = world.judge(sum_of((1, "a dog"), (-1, "dog")), found)
    assert (nothing_left.level, nothing_left.confirmed) == ("unreliable", None)
    assert nothing_left.reasons == ("− its negative terms take away all that its positive terms name",)
    nothing_named = world.judge(sum_of((1, "the on"), (-1, "dog")), found)
    assert nothing_named.reasons == ("− no known content word: function words fit any caption",)


def test_whether_a_sum_is_in_the_corpus_is_told_by_measured_sums(world):
    query = sum_of((1, "a dog on beach sand"), (-1, "the cat"))
    near, far = hits_with(10, nearest=0.75), hits_with(10, nearest=1.15)
    assert world.judge(query, near).in_corpus is True
    assert world.judge(LONG, near).in_corpus is False  # other queries are nearer
    verdict = world.judge(query, far)
    assert (verdict.level, verdict.in_corpus, verdict.probability) == ("unreliable", False, None)
    assert "hit 1 at 1.15; 99% of such sums have a nearer one" in verdict.reasons[0]
    unmeasured = {key: domain for key, domain in DOMAINS.items() if key != SUMS}
    verdict = world.judge(query, far, domains=unmeasured)
    assert (verdict.level, verdict.in_corpus) == ("reliable", None)


# Unknown words, and where it is not known whether a query is about the corpus


def test_a_third_of_the_words_unknown_is_never_reliable_and_most_of_them_are_unreliable(world):
    content = known("a", "dog", "on", "beach", "sand")  # three content words
    for strange, level in ((1, "reliable"), (2, "doubtful"), (3, "doubtful"), (4, "unreliable")):
        words = [f"glorp{i}" for i in range(strange)]
        verdict = world.judge(query_of(*content, *unknown(*words)), hits_with(10), odds=SURE)
        assert verdict.level == level
        assert f"− unknown and left out: {', '.join(words)}" in verdict.reasons
        assert (verdict.reasons[0] == "− most of its words are unknown") == (level == "unreliable")
    typing = replace(unknown("glorp")[0], unfinished=True)
    assert world.judge(query_of(*known("a", "dog"), typing), hits_with(10)).level == "reliable"


def test_unknown_words_do_not_change_the_chance(world):
    for weights in ({"confirmable": 1.0}, {"matches": 1.0}, {"content": 1.0}):
        predictor = predictor_of(-4.0, **weights)
        alone = world.judge(LONG, hits_with(10), predictor=predictor)
        strange = replace(LONG, tokens=(*LONG.tokens, *unknown("glorp")))
        assert world.judge(strange, hits_with(10), predictor=predictor).probability == alone.probability


@pytest.mark.parametrize(("dogs", "level"), [(10, "reliable"), (5, "reliable"), (4, "doubtful"), (0, "doubtful")])
def test_what_may_be_foreign_is_reliable_only_if_the_hits_have_half_of_its_words(world, dogs, level):
    verdict = world.judge(LONG, hits_with(dogs, nearest=0.9), odds=SURE, domains={})
    assert (verdict.level, verdict.in_corpus) == (level, None)
    told = "· not measured whether it is about these captions"
    assert (verdict.reasons[0] == told) == (level == "doubtful")


def test_confirmed_hits_are_said_to_be_far_only_if_that_keeps_them_from_being_reliable(world, ungrouped):
    far_counts = Predictor((0.0,) * 4, (1.0,) * 4, (0.0, 0.0, -20.0, 0.0), 8.0)  # 50 % at a mean distance of 0.4
    near, far = hits_with(10, nearest=0.1), hits_with(10, nearest=0.4)
    assert world.judge(SHORT, near, short_predictor=far_counts).level == "reliable"
    verdict = world.judge(SHORT, far, short_predictor=far_counts)
    assert (verdict.level, verdict.reasons[0]) == ("doubtful", "· 10 of 10 confirmed, but far: 0.45 on average")
    for changes in ({"whole": 0.39}, {"short_predictor": None}, {"least": None}):
        assert world.judge(SHORT, near, **changes).reasons[0] == "+ 10 of 10 confirmed by other captions of their image"


# Other methods than infersent


def test_another_method_gets_what_was_measured_of_it_at_this_length_and_no_level(world):
    query = query_of(*known("the", "dog", "on", "beach"))
    for method in METHODS[1:]:
        for nearest in (0.3, 1.5):
            verdict = world.judge(
                query, hits_with(4, nearest=nearest), method, odds=SURE, curve=curve_of(**{method: 0.1})
            )
            assert verdict.reasons == (
                "− 4 of 10 confirmed by other captions of their image",
                f"· 2 content words: by {method} 40 of 100 such queries find their image, by infersent 30",
            )
            assert verdict == Verdict(None, verdict.reasons, confirmed=4, attainable=120)


def test_another_method_gets_no_level_by_the_image_of_a_caption(world):
    for hits, found in [(CATS, 0), ([1, *CATS], 1)]:
        verdict = world.judge(world.caption(0), found_of(hits, own=0), "bm25", odds=SURE)
        assert (verdict.level, len(verdict.reasons)) == (None, 2)  # nothing of confirmed hits besides
        assert f"{found} of its image's 2 other captions in the first ten" in verdict.reasons[0]


@pytest.mark.parametrize(("method", "count"), [("words", 2), ("context", 2), ("bm25", 3), ("fused", 3)])
def test_a_word_without_a_vector_counts_for_the_methods_that_go_by_words(world, method, count):
    query = query_of(*known("the", "kite", "beach"), *unknown("glorp", "..."))
    *_, reason = world.judge(query, hits_with(0), method).reasons
    assert reason.startswith(f"· {count} content words: by {method} ")


@pytest.mark.parametrize("method", METHODS[1:])
def test_before_a_calibration_another_method_is_said_to_be_unmeasured(method):
    few = describe_unmeasured(method, why="on so few captions")
    assert few.reasons == (f"· how far {method} can be trusted cannot be measured on so few captions",)
    verdict = describe_unmeasured(method)
    assert verdict == Verdict(None, (f"· how far {method} can be trusted is not measured yet",))


# Of every verdict

WORDS = ["a", "the", "on", "dog", "beach", "sand", "boat", "train", "cat", "lamp", "word", ".", "glorp"]


@st.composite
def questions(draw: Callable) -> tuple[Query, Found]:
    """A text, a sum or a caption of `World`, and hits."""
    texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9)
    hits = draw(st.lists(st.integers(0, len(TEXTS) - 1), min_size=1, max_size=25, unique=True))
    nearest = draw(st.floats(0.05, 1.5))
    kind = draw(st.sampled_from(["text", "sum", "caption"]))
    if kind == "sum":
        terms = draw(st.lists(st.tuples(st.sampled_from([1.0, -1.0, 0.5]), texts), min_size=2, max_size=3))
        return sum_of(*((weight, " ".join(words)) for weight, words in terms)), found_of(hits, nearest=nearest)
    if kind == "caption":
        row = draw(st.integers(0, len(TEXTS) - 1))
        query = query_of(*known(*TEXTS[row].split()), row=row)
        return query, found_of([hit for hit in hits if hit != row], nearest=nearest, own=row)
    words = draw(texts)
    return query_of(*(Token(word, word != "glorp", 0.1) for word in words)), found_of(hits, nearest=nearest)


@settings(deadline=None, max_examples=300)
@given(
    question=questions(),
    method=st.sampled_from(["infersent", "infersent", "infersent", *METHODS]),
    least=st.sampled_from([None, 1, 3, 5, 13]),
    whole=st.floats(0, 1),
    odds=st.floats(-6, 6),
    by_images=st.booleans(),
    measured=st.booleans(),
)
def test_whatever_is_asked_a_verdict_keeps_its_promises(
    world, ungrouped, question, method, least, whole, odds, by_images, measured
):
    query, found = question
    used = world if by_images else ungrouped
    method = "infersent" if query.terms else method
    hubs, short = np.arange(0, 180, 2, dtype=np.int32), BY_COUNT if measured else None
    verdict = used.judge(*(query, found, method), least=least, whole=whole, odds=odds, hubs=hubs, short_predictor=short)
    assert verdict.reasons
    for reason in verdict.reasons:
        assert reason.startswith(SIGNS)
    assert len(set(verdict.reasons)) == len(verdict.reasons)
    assert sum("nothing is reliable" in reason for reason in verdict.reasons) <= 1
    assert verdict.confirmed is None or 0 <= verdict.confirmed <= min(10, verdict.attainable)
    assert (verdict.level is None) == (method != "infersent")
    if method != "infersent":
        assert (verdict.probability, verdict.whole, verdict.in_corpus, verdict.long_enough) == (None,) * 4
        return
    if verdict.level == "reliable":
        assert verdict.advice is None
    if len(found.leading) == (query.row is not None) or query.embedding is None:
        return  # nothing but the caption itself, or no known word
    if verdict.whole < 0.4:
        assert verdict.level != "reliable"
    if verdict.in_corpus is False:
        assert (verdict.level, verdict.probability) == ("unreliable", None)
    if not verdict.long_enough and verdict.level == "reliable":
        assert by_images
        assert verdict.attainable >= 10
    if verdict.long_enough and not query.terms and verdict.in_corpus is not False and query.count_content_words():
        assert verdict.probability == pytest.approx(probability(odds))
