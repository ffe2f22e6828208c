"""Queries about the corpus are told from foreign ones by the distance of hit 1 and, if long, by their words."""

from dataclasses import replace

import numpy as np
import pytest
from measurements import learned, measured, without_foreign

from core.corpus.sentences import Sentences
from core.trust.domain import LONG, SUMS, Domain, commonness_of, domain_key
from core.trust.learning import domain_figures, learn
from core.trust.probes import LENGTHS

NEAR, FAR = np.linspace(0.2, 0.4, 100)[:, None], np.linspace(0.8, 1.0, 100)[:, None]


def learned_from(captions: np.ndarray, foreign: np.ndarray) -> Domain:
    domain = Domain.learn(captions, foreign)
    assert domain is not None
    return domain


def test_a_query_as_near_as_captions_are_is_in_the_corpus_and_one_as_far_as_foreign_ones_is_not():
    domain = learned_from(NEAR, FAR)
    assert domain.contains([0.0, 0.3, 0.4, 0.85, 2.0], np.zeros(5)).tolist() == [True, True, True, False, False]
    assert (domain.captions, domain.foreign) == (100, 100)
    assert domain.farthest == pytest.approx(0.398)


@pytest.mark.parametrize("times", [1, 12])
def test_it_does_not_count_how_many_of_either_kind_were_asked(times):
    random = np.random.default_rng(0)
    domain = learned_from(random.normal(0.4, 0.1, (500, 1)), random.normal(0.6, 0.1, (500 * times, 1)))
    assert domain.predictor.probability(np.array([[0.5]])) == pytest.approx([0.5], abs=0.05)


def test_what_is_likelier_a_caption_is_in_the_corpus_however_unusual():
    """99 % of these captions are nearer than 0.4, and foreign sentences are at 1.0."""
    domain = learned_from(NEAR, FAR + 0.2)
    assert domain.farthest < 0.5
    assert domain.contains(0.5, 0.0)


def test_where_both_kinds_look_alike_one_caption_in_a_hundred_is_lost():
    random = np.random.default_rng(0)
    captions, foreign = random.normal(0.5, 0.1, (2, 5000, 1))
    domain = learned_from(captions, foreign)
    assert domain.contains(captions[:, 0], np.zeros(5000)).mean() == pytest.approx(0.99, abs=0.001)


def test_the_words_tell_what_the_distance_does_not():
    random = np.random.default_rng(0)
    distances = random.normal(0.5, 0.1, (2, 500))
    common, rare = random.normal(-3, 0.5, 500), random.normal(-7, 0.5, 500)
    captions, foreign = np.column_stack([distances[0], common]), np.column_stack([distances[1], rare])
    domain = learned_from(captions, foreign)
    assert domain.contains(*captions.T).mean() > 0.99
    assert domain.contains(*foreign.T).mean() < 0.01
    alone = learned_from(captions[:, :1], foreign[:, :1])
    assert alone.contains(*foreign.T).mean() > 0.9


@pytest.mark.parametrize(("captions", "foreign"), [(49, 100), (100, 49), (0, 100), (100, 0)])
def test_with_too_few_cuts_of_either_kind_nothing_is_learned(captions, foreign):
    assert Domain.learn(NEAR[:captions], FAR[:foreign]) is None


def test_a_query_is_judged_by_the_measured_length_next_to_its_own():
    lengths = [(0, "1"), (1, "1"), (5, "6"), (7, "8"), (10, "12"), (12, "12"), (13, "0"), (10_000, "0"), (None, SUMS)]
    assert {known: domain_key(known) for known, _ in lengths} == dict(lengths)


@pytest.mark.parametrize("farther", [FAR, NEAR - 0.15])
def test_by_the_distance_alone_what_is_nearer_than_captions_are_is_always_in_the_corpus(farther):
    domain = learned_from(NEAR, farther)
    distances = np.linspace(0, domain.farthest, 200)
    assert domain.contains(distances, np.zeros(200)).all()


# Words


def sentences_of(*words: list[int]) -> Sentences:
    """Sentences of these ids between the marks 0 and 1."""
    return Sentences.joined([np.array([0, *ids, 1], np.int32) for ids in words])


def test_words_are_counted_over_all_captions():
    sentences = sentences_of([5, 5, 6], [5, 7])
    assert sentences.count(np.array([5, 6, 7, 8, 4, 10**7])).tolist() == [3, 1, 1, 0, 0, 0]
    expected = np.log((np.array([3, 1, 0]) + 0.5) / 2).mean()
    assert commonness_of(np.array([5, 6, 9]), sentences) == pytest.approx(expected)


def test_the_captions_own_words_and_those_of_its_copies_do_not_count():
    sentences = sentences_of([5, 5, 6], [5, 7], [5, 5, 6])
    left_out = np.array([0, 2])
    expected = np.log((np.array([1, 0]) + 0.5) / 3).mean()
    assert commonness_of(np.array([5, 6]), sentences, left_out) == pytest.approx(expected)


def test_without_words_it_is_zero():
    assert commonness_of(np.empty(0, np.int32), sentences_of([5])) == 0


# Learned from measurements


def halves(data) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(len(data.kinds)) % 2 == 0, np.arange(len(data.foreign.known)) % 2 == 0


def test_a_domain_is_learned_for_each_length_without_sets_of_content_words():
    data = measured(each=240, whole=240)
    part, foreign_part = halves(data)
    domains = learn(data, part, foreign_part, 4).domains
    assert set(domains) == {*map(str, LENGTHS), "0", SUMS}
    for length in (*LENGTHS, 0):
        kind, width = "span" if length else "whole", 2 if length == 0 or length >= LONG else 1
        captions = part & (data.kinds == kind) & (data.lengths == length)
        foreign = foreign_part & (data.foreign.lengths == length)
        expected = Domain.learn(domain_figures(data)[captions, :width], domain_figures(data.foreign)[foreign, :width])
        assert domains[str(length)] == expected
    by_words = {key for key, domain in domains.items() if domain.by_words}
    assert by_words == {"8", "12", "0"}


def test_sums_are_learned_from_whatever_the_part():
    data = measured()
    for share in (1, 2):
        part, foreign_part = (np.arange(n) % share == 0 for n in (len(data.kinds), len(data.foreign.known)))
        domains = learn(data, part, foreign_part, 4).domains
        assert domains[SUMS] == Domain.learn(data.sums[:, None], data.foreign_sums[:, None])


def test_a_sum_is_told_from_foreign_sums_by_its_own_distances():
    data = measured(each=120)
    calibration = learned(replace(data, sums=np.linspace(2.0, 2.2, 50), foreign_sums=np.linspace(2.8, 3.0, 50)))
    assert calibration.domain(None).contains([2.1, 2.2, 2.9], np.zeros(3)).tolist() == [True, True, False]
    assert calibration.domain(4).contains([20.0, 2.1], np.zeros(2)).tolist() == [False, True]


@pytest.mark.parametrize(("sums", "foreign_sums"), [(49, 100), (100, 49), (0, 100), (100, 0), (0, 0)])
def test_with_too_few_sums_of_either_kind_nothing_is_known_of_a_sum(sums, foreign_sums):
    data = measured(each=120)
    data = replace(data, sums=data.sums[:sums], foreign_sums=data.foreign_sums[:foreign_sums])
    calibration = learned(data)
    assert calibration.domain(None) is None
    assert calibration.domain(4) is not None


def test_no_other_length_stands_in_for_one_that_was_not_measured():
    calibration = learned(replace(measured(each=10, whole=10), sums=np.zeros(1000), foreign_sums=np.ones(1000)))
    assert [calibration.domain(known) for known in (0, 1, 12, 13, 1000)] == [None] * 5
    assert calibration.domain(None) is not None


def test_without_foreign_queries_nothing_is_known_of_any_query():
    calibration = learned(without_foreign(measured(each=120)))
    assert calibration.domains == {}
