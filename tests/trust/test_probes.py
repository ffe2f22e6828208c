"""Probes are cut from captions as their kind and length say."""

import numpy as np
import pytest
from conftest import demo_texts, make_files

from core.corpus.images import Images
from core.opening import Opened
from core.trust.probes import LENGTHS, Probe, cut_probes


@pytest.fixture(scope="module")
def opened(tmp_path_factory) -> Opened:
    return make_files(tmp_path_factory.mktemp("probes"), demo_texts(300)).explorer().opened


def cut(opened: Opened, images: Images | None, *, seed: int = 0) -> list[Probe]:
    parts = opened.matrix.sentences, opened.text_encoder.vocabulary, images, np.random.default_rng(seed)
    return cut_probes(*parts, most_sources=120, most=30)


def test_queries_are_cut_from_captions_by_length_and_kind(opened):
    vocabulary = opened.text_encoder.vocabulary
    probes = cut(opened, opened.images)
    for each in probes:
        caption = opened.matrix.sentences[each.source][1:-1].tolist()
        words = vocabulary.words(caption)
        assert vocabulary.words(each.ids) == list(each.tokens)
        if each.kind == "span":
            assert any(tuple(words[i : i + each.length]) == each.tokens for i in range(len(words)))
        elif each.kind == "words":
            assert each.content == len(each.tokens) == each.length
            rest = iter(words)
            assert all(token in rest for token in each.tokens)  # in their order
        else:
            assert list(each.ids) == caption
    cells = {(each.kind, each.length) for each in probes}
    assert {("span", length) for length in LENGTHS} < cells
    assert sum(each.kind == "whole" and not each.extra for each in probes) == 30


def test_the_same_chance_cuts_the_same_queries_and_another_others(opened):
    assert cut(opened, opened.images) == cut(opened, opened.images)
    assert cut(opened, opened.images) != cut(opened, opened.images, seed=1)


def test_where_there_are_images_only_captions_with_siblings_are_cut(opened):
    groups = np.arange(300)
    groups[:40] //= 2  # twenty pairs, all others alone
    sources = {each.source for each in cut(opened, Images(groups))}
    assert sources == set(range(40))
    assert max(each.source for each in cut(opened, None)) >= 40
