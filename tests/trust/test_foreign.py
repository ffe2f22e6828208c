"""Queries that have nothing to do with the corpus: how they are cut, and that they are told from the others."""

import numpy as np
import pytest
from measurements import made, measured

from core.corpus.vocabulary import Vocabulary
from core.trust.foreign import cut_foreign, foreign_sentences
from core.trust.probes import LENGTHS
from core.trust.signals import NAMES


def test_there_are_four_hundred_different_foreign_sentences():
    sentences = foreign_sentences()
    assert len(set(sentences)) == len(sentences) == 400
    assert all(len(sentence.split()) >= 4 for sentence in sentences)


def test_foreign_queries_are_runs_of_known_words_not_all_of_them_in_the_captions(demo):
    opened = demo.opened
    vocabulary: Vocabulary = opened.text_encoder.vocabulary
    probes = cut_foreign(opened.matrix.sentences, vocabulary, np.random.default_rng(0))
    in_captions, texts = set(opened.matrix.sentences.ids.tolist()), foreign_sentences()
    assert {each.length for each in probes} == {*LENGTHS, 0}
    for each in probes:
        assert vocabulary.words(each.ids) == list(each.tokens)
        assert set(each.ids) - in_captions
        if each.length:
            assert len(each.ids) == each.length
        else:
            assert list(each.ids) == vocabulary.look_up(texts[each.source]).ids[1:-1].tolist()


def test_a_calibration_tells_foreign_queries_and_says_how_often():
    data = measured(each=240, whole=240)
    calibration = made(data)
    assert calibration.figures.foreign_found == 1
    assert calibration.figures.foreign_reliable == 0
    assert calibration.figures.captions_lost <= 0.05
    far = float(data.foreign.signals[:, NAMES.index("nearest")].mean())
    assert calibration.domain(4).contains([far, 0.0], np.zeros(2)).tolist() == [False, True]


@pytest.mark.parametrize(
    "text",
    [
        "The senator denied all allegations of corruption.",
        "the president signed the new law",
        "I love programming in Python every day",
        "The committee postponed its decision on interest rates until the autumn.",
    ],
)
def test_on_the_demo_a_foreign_sentence_is_unreliable_and_no_chance_contradicts_that(demo, text):
    verdict = demo.ask(text).verdict
    assert verdict.level == "unreliable"
    assert verdict.in_corpus is False
    assert verdict.probability is None
    assert "not in this corpus" in verdict.reasons[0]


@pytest.mark.parametrize("text", ["a dog runs on the beach", "pizza", "somebody is about to get married", "train"])
def test_on_the_demo_a_query_about_what_captions_show_is_in_the_corpus(demo, text):
    assert demo.ask(text).verdict.in_corpus is True


def test_a_caption_is_in_its_corpus_however_far_the_others_are(demo):
    for row in range(0, len(demo.opened.captions), 90):
        answer = demo.complete(demo.neighbours(row))
        assert answer.verdict.in_corpus is True


def test_most_foreign_sentences_are_found_on_the_demo_and_few_captions_are_lost(demo):
    figures = demo.opened.calibration.figures
    assert figures.foreign_found >= 0.8
    assert figures.foreign_reliable <= 0.1
    assert figures.captions_lost <= 0.05
