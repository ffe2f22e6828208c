"""Probes are cut from captions as their kind and length say."""

import numpy as np
import pytest
from conftest import demo_texts, make_files

from core.corpus.images import Images
from core.opened import Opened
from core.trust.probes import LENGTHS, Probe, cut_probes, cut_sums


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


def test_captions_with_siblings_are_cut_also_where_all_of_them_have_many_copies(tmp_path):
    opened = make_files(tmp_path, [*("a dog on the beach", "a red kite") * 30, *demo_texts(40)]).explorer().opened
    groups = np.concatenate([np.arange(60) // 2, 100 + np.arange(40)])  # thirty pairs, all others alone
    assert {each.source for each in cut(opened, Images(groups))} == set(range(60))


def test_words_that_are_repeated_count_once():
    assert Probe("span", 5, 0, ("a", "Dog", "and", "a", "dog"), (1, 2, 3, 1, 2)).content == 1


def test_only_captions_of_a_sample_are_cut(opened):
    among = np.arange(100, 200)
    parts = opened.matrix.sentences, opened.text_encoder.vocabulary, opened.images, np.random.default_rng(0)
    sources = {each.source for each in cut_probes(*parts, among=among, most_sources=300, most=30)}
    assert sources == set(among.tolist())


# Sums


def sums_of(probes: list[Probe], *, seed: int = 0, most: int = 200) -> list[tuple[Probe, Probe, Probe]]:
    return cut_sums(probes, np.random.default_rng(seed), most=most)


def test_a_sum_has_a_run_a_part_of_it_and_a_shorter_run_of_another_caption(opened):
    probes = cut(opened, opened.images)
    sums = sums_of(probes)
    for run, taken, other in sums:
        assert {run, other} <= set(probes)
        assert run.kind == taken.kind == other.kind == "span"
        assert (run.length in (4, 6, 8), taken.length in (1, 2), other.length in (1, 2)) == (True, True, True)
        assert (len(taken.ids), len(taken.tokens), taken.source) == (taken.length, taken.length, run.source)
        places = range(run.length - taken.length + 1)
        assert any(
            (run.ids[i : i + taken.length], run.tokens[i : i + taken.length]) == (taken.ids, taken.tokens)
            for i in places
        )
    assert {(run.length, taken.length) for run, taken, _ in sums} == {(4, 1), (4, 2), (6, 1), (6, 2), (8, 1), (8, 2)}
    assert {other.length for *_, other in sums} == {1, 2}
    assert len({run for run, *_ in sums}) == len(sums) == 90


def test_the_last_term_of_a_sum_is_always_of_another_caption(opened):
    probes = cut(opened, opened.images)
    few = [each for each in probes if each.source in sorted({each.source for each in probes})[:40]]
    for seed in range(10):
        for run, _, other in sums_of(few, seed=seed):
            assert run.source != other.source


def test_there_are_at_most_so_many_sums_and_chance_determines_them(opened):
    probes = cut(opened, opened.images)
    assert len(sums_of(probes, most=7)) == 7
    assert sums_of(probes) == sums_of(probes) != sums_of(probes, seed=1)


def test_without_runs_of_both_lengths_there_is_no_sum(opened):
    probes = cut(opened, opened.images)
    assert sums_of([]) == []
    for lengths in ((1, 2, 3), (3, 4, 6, 8, 12), (0,)):
        assert sums_of([each for each in probes if each.length in lengths]) == []
    assert sums_of([each for each in probes if each.kind != "span"]) == []
