"""Probing asks fairly: no query meets the caption that it was cut from, or a copy, in any list or signal."""

import copy
import json
import warnings
from collections.abc import Iterator
from textwrap import wrap

import numpy as np
import pytest
from conftest import ask_caption, demo_texts, make_files, write_vectors

from core.corpus.images import Images
from core.corpus.sentences import Sentences
from core.encoding.matrix import EmbeddingMatrix
from core.explorer import Explorer
from core.opened import Opened
from core.query import Token
from core.ranking.arithmetic import weighted_sum
from core.ranking.lexical import BM25, Lexical
from core.ranking.methods import METHODS
from core.ranking.rankers import Rankers
from core.ranking.search import MatrixSearcher
from core.store.progress import finish
from core.trust import probing
from core.trust.all_captions import InMemory
from core.trust.calibration import Calibration
from core.trust.figures import calibrate_and_measure
from core.trust.foreign import cut_foreign, foreign_sentences
from core.trust.measured import Measured
from core.trust.probes import Probe, cut_sums, groups_of
from core.trust.signals import HITS, NAMES, SignalMeter
from core.trust.verdict import Judge


@pytest.fixture(scope="module")
def opened(tmp_path_factory) -> Opened:
    return make_files(tmp_path_factory.mktemp("probing"), demo_texts(300)).explorer(need="methods").opened


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Opened:
    """150 captions, each of them in two images: rows i and i + 150 are copies."""
    return make_files(tmp_path_factory.mktemp("copied"), demo_texts(150) * 2).explorer(need="methods").opened


def meter_of(opened: Opened, matrix: EmbeddingMatrix, lexical: Lexical, *, by_images: bool = True) -> SignalMeter:
    return SignalMeter(matrix.rows, bm25=lexical.bm25, images=opened.images if by_images else None)


def probe(
    opened: Opened,
    *,
    matrix: EmbeddingMatrix | None = None,
    lexical: Lexical | None = None,
    by_images: bool = True,
    seed: int = 0,
) -> Measured:
    """What asking all queries gives, without a warning."""
    matrix, lexical = matrix or opened.matrix, lexical or opened.rankers.lexical
    rankers = Rankers(matrix, MatrixSearcher(matrix), lexical)
    meter = meter_of(opened, matrix, lexical, by_images=by_images)
    images = opened.images if by_images else None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts, everything = (matrix, rankers, opened.text_encoder), InMemory(matrix, meter)
        return finish(probing.probe(*parts, everything=everything, images=images, seed=seed))


def caught_lists(monkeypatch) -> list[dict]:
    """The lists that later probes answer with, and the sources they leave out."""
    lists = []
    real = probing._success

    def spy(found, sources, *rest):
        lists.append({method: rows.copy() for method, rows in found.items()} | {"sources": sources})
        return real(found, sources, *rest)

    monkeypatch.setattr(probing, "_success", spy)
    return lists


def answered_by(opened: Opened, *, by_images: bool = True, seed: int = 0) -> probing.AnsweredProbes:
    """The queries that `probe` asks with `few_sources`, and their lists."""
    parts = {"images": opened.images if by_images else None, "random": np.random.default_rng(seed)}
    return finish(
        probing.answer_probes(*(opened.matrix, opened.rankers, opened.text_encoder), **parts, most_sources=120, most=30)
    )


def test_no_list_of_any_method_holds_the_source_or_a_copy_of_it(copied):
    answered = answered_by(copied)
    assert len(answered.probes) == len(answered.queries) == len(answered.embeddings)
    assert [each.source for each in answered.probes] == answered.sources.tolist()
    assert {len(rows) for rows in answered.leave_out} == {2}
    for method in METHODS:
        found = answered.lists.rows[method]
        assert (found >= 0).any(axis=1).mean() > 0.8
        assert not ((found % 150 == answered.sources[:, None] % 150) & (found >= 0)).any()
        for rows in found[::40].tolist():
            there = [row for row in rows if row >= 0]
            assert len(set(there)) == len(there)


class Corrupted:
    """BM25 in which some captions have every word, with the highest of scores."""

    def __init__(self, bm25: BM25, rows: list[int]) -> None:
        self._bm25, self._changed = bm25, rows

    def __len__(self) -> int:
        return len(self._bm25)

    def stems(self, text):
        return self._bm25.stems(text)

    def stem(self, word):
        return self._bm25.stem(word)

    def scores(self, stems):
        scores = self._bm25.scores(stems)
        scores[self._changed] = 1e3
        return scores

    def rows_with(self, stem):
        return np.union1d(self._bm25.rows_with(stem), self._changed).astype(np.int32)


@pytest.mark.parametrize("by_images", [True, False])
def test_whatever_the_source_and_its_copies_hold_changes_no_list_and_no_signal(copied, monkeypatch, by_images):
    monkeypatch.setattr(probing, "_SOURCES", 1)
    lists = caught_lists(monkeypatch)
    before = probe(copied, by_images=by_images)
    source = int(lists[0]["sources"][0])
    assert set(lists[0]["sources"].tolist()) == {source}
    rows = sorted([source, (source + 150) % 300])

    def corrupted(embeddings):
        changed = np.array(embeddings)
        mean = np.delete(changed, rows, axis=0).astype(np.float64).mean(axis=0)
        changed[rows] = mean / np.linalg.norm(mean)  # near everything
        return changed

    matrix, lexical = copy.copy(copied.matrix), copy.copy(copied.rankers.lexical)
    matrix.rows = corrupted(matrix.rows)
    lexical.words = copy.copy(lexical.words)
    lexical.words.rows = corrupted(lexical.words.rows)
    lexical.bm25 = Corrupted(lexical.bm25, rows)
    after = probe(copied, by_images=by_images, matrix=matrix, lexical=lexical)
    for method in METHODS:
        np.testing.assert_array_equal(lists[0][method], lists[1][method], err_msg=method)
        np.testing.assert_array_equal(before.success[method], after.success[method], err_msg=method)
    for i, name in enumerate(NAMES):
        np.testing.assert_allclose(before.signals[:, i], after.signals[:, i], atol=1e-6, err_msg=name)
    np.testing.assert_allclose(before.evidence, after.evidence, atol=1e-6)
    np.testing.assert_array_equal(before.attainable, after.attainable)
    others = [np.delete(each.random_distances, rows, axis=1) for each in (before, after)]
    np.testing.assert_allclose(*others, atol=1e-6)
    assert np.isnan(before.random_distances[:, source]).all()


def test_of_every_query_its_confirmed_hits_and_what_is_attainable_are_counted(copied, few_sources):
    answered, measured = answered_by(copied), probe(copied)
    bm25, captions = copied.rankers.lexical.bm25, copied.captions.texts
    for i in range(0, len(answered.probes), 17):
        source = answered.probes[i].source
        has = [set() if row % 150 == source % 150 else set(bm25.stems(text)) for row, text in enumerate(captions)]
        content = [text for text in answered.probes[i].tokens if Token(text, True, 0.0).is_content]
        stems = bm25.stems(" ".join(content))
        confirmed = [
            row
            for row in range(300)
            if row % 150 != source % 150
            and set(stems) <= set().union(*(has[r] for r in range(row // 5 * 5, row // 5 * 5 + 5) if r != row))
        ]
        first = answered.lists.rows["infersent"][i, :10]
        expected = (np.isin(first, confirmed).sum(), len(confirmed)) if stems else (0, 0)
        assert (measured.evidence[i, 0], measured.attainable[i]) == expected
        if stems:
            assert measured.evidence[i, 2] == pytest.approx(1 - answered.lists.cosines[i, :10].mean())
            assert measured.evidence[i, 3] == measured.content[i]


def test_a_query_succeeds_when_a_sibling_is_among_its_first_ten(opened, few_sources, monkeypatch):
    lists = caught_lists(monkeypatch)
    measured = probe(opened)
    for method in METHODS:
        for rows, source, success in zip(
            lists[0][method][:, :10].tolist(), lists[0]["sources"].tolist(), measured.success[method], strict=True
        ):
            siblings = {row for row in range(300) if row // 5 == source // 5} - {source}
            assert success == bool(siblings & set(rows))
    assert measured.chance == pytest.approx(1 - (1 - 4 / 299) ** 10)


def test_without_images_a_query_succeeds_when_it_finds_half_of_what_its_caption_finds(opened, few_sources, monkeypatch):
    lists = caught_lists(monkeypatch)
    measured = probe(opened, by_images=False)
    sources = lists[0]["sources"].tolist()
    for method in ("infersent", "bm25"):
        found = [{row for row in rows if row >= 0} for rows in lists[0][method][:, :10].tolist()]
        whole = {source: found[i] for i, source in enumerate(sources) if measured.kinds[i] == "whole"}
        expected = [len(rows & whole[source]) >= 5 for rows, source in zip(found, sources, strict=True)]
        assert measured.success[method].tolist() == expected
    assert not measured.by_images
    assert not measured.signals[:, NAMES.index("same_image")].any()


def test_the_queries_of_an_image_are_a_group(opened, few_sources, monkeypatch):
    lists = caught_lists(monkeypatch)
    measured = probe(opened)
    np.testing.assert_array_equal(measured.groups, lists[0]["sources"] // 5)
    lone = probe(opened, by_images=False)
    np.testing.assert_array_equal(lone.groups, lists[1]["sources"])


# In a sample of a large corpus


@pytest.mark.parametrize(("by_images", "count"), [(True, 100), (False, 103)])
def test_in_a_larger_corpus_success_is_measured_in_a_sample_of_whole_images(
    opened, few_sources, monkeypatch, by_images, count
):
    monkeypatch.setattr(probing, "MOST_CAPTIONS", 103)
    answered = answered_by(opened, by_images=by_images)
    assert len(answered.among) == count
    assert (np.diff(answered.among) > 0).all()
    if by_images:
        assert set(np.bincount(answered.among // 5, minlength=60).tolist()) == {0, 5}
    assert np.isin(answered.sources, answered.among).all()
    for method in METHODS:
        found = answered.lists.rows[method]
        assert np.isin(found[found >= 0], answered.among).all()
        assert not (found == answered.sources[:, None]).any()
    lists = caught_lists(monkeypatch)
    measured = probe(opened, by_images=by_images)
    for method in METHODS:
        np.testing.assert_array_equal(lists[0][method], answered.lists.rows[method])
    assert measured.captions == count
    assert measured.chance == pytest.approx(1 - (1 - 4 / 99) ** 10 if by_images else 0)
    if by_images:
        siblings = answered.lists.rows["infersent"][:, :10] // 5 == answered.sources[:, None] // 5
        np.testing.assert_array_equal(measured.success["infersent"], siblings.any(axis=1))


def test_a_list_in_a_sample_is_the_list_of_all_captions_without_the_others(opened, monkeypatch):
    monkeypatch.setattr(probing, "MOST_CAPTIONS", 100)
    answered = answered_by(opened)
    hidden = np.setdiff1d(np.arange(300), answered.among)
    nearest = slow_order(opened, answered.embeddings, [[*hidden, source] for source in answered.sources])
    found = answered.lists.rows["infersent"]
    assert (found[:, :10] == nearest[:, :10]).mean() > 0.99  # others are equally near
    bm25, scores = opened.rankers.lexical.bm25, []
    for i in range(0, len(answered.probes), 20):
        scores = bm25.scores(answered.lists.stems[i])
        scores[[*hidden, answered.sources[i]]] = 0
        there = answered.lists.rows["bm25"][i]
        np.testing.assert_array_equal(scores[there[there >= 0]], np.sort(scores[scores > 0])[::-1][:100])


def test_the_signals_in_a_larger_corpus_are_those_of_all_its_captions(opened, few_sources, monkeypatch):
    monkeypatch.setattr(probing, "MOST_CAPTIONS", 100)
    answered, measured = answered_by(opened), probe(opened)
    nearest = slow_order(opened, answered.embeddings, answered.sources[:, None])[:, :HITS]
    assert not np.isin(nearest[:, 0], answered.among).all()
    for i in range(0, len(answered.probes), 10):
        cosines = opened.matrix.rows[nearest[i]].astype(np.float32) @ answered.embeddings[i]
        at = {name: measured.signals[i, place] for place, name in enumerate(NAMES)}
        assert at["nearest"] == pytest.approx(1 - cosines[0], abs=1e-5)
        assert at["gap"] == pytest.approx(cosines[0] - cosines[9], abs=1e-5)
        rows = opened.rankers.lexical.bm25.rows_with
        common = [set(rows(stem).tolist()) - {answered.sources[i]} for stem in answered.lists.stems[i]]
        if common:
            assert at["matches"] == pytest.approx(np.log1p(len(set.intersection(*common))))


def test_the_seed_determines_the_sample(opened, few_sources, monkeypatch):
    monkeypatch.setattr(probing, "MOST_CAPTIONS", 100)
    first, second, other = (answered_by(opened, seed=seed).among.tolist() for seed in (0, 0, 1))
    assert first == second != other
    lists = caught_lists(monkeypatch)
    for seed in (3, 3, 4):
        probe(opened, seed=seed)
    same, different = (lists[i]["infersent"].tobytes() == lists[0]["infersent"].tobytes() for i in (1, 2))
    assert same
    assert not different


def test_a_corpus_that_is_just_small_enough_is_searched_whole(opened, few_sources, monkeypatch):
    monkeypatch.setattr(probing, "MOST_CAPTIONS", 300)
    assert answered_by(opened).among is None
    assert probe(opened).captions == 300


@pytest.mark.parametrize("seed", range(12))
def test_one_image_of_very_many_captions_leaves_a_sample_of_the_others(monkeypatch, seed):
    monkeypatch.setattr(probing, "MOST_CAPTIONS", 50)
    images = Images(np.concatenate([np.zeros(200, int), 1 + np.arange(100) // 5]))
    assert len(probing._sample(300, images, np.random.default_rng(seed))) == 50


def test_images_that_share_a_text_are_held_out_together():
    texts = [[0], [1], [2], [0], [3], [4], [2], [5], [6]]
    sentences = Sentences.joined([np.array([0, *ids, 1], np.int32) for ids in texts])
    images = Images(np.array([0, 0, 1, 1, 2, 2, 3, 3, 4]))
    assert len(set(groups_of(np.arange(9), sentences, images).tolist())) == 3
    groups = groups_of(np.array([1, 0, 3, 2, 6, 4, 5, 8]), sentences, images)
    assert len(set(groups[:5].tolist())) == 1  # images 0, 1 and 3
    assert len(set(groups.tolist())) == 3
    apart = groups_of(np.array([1, 2, 4, 8]), sentences, images)  # asked without the texts that they share
    assert len(set(apart.tolist())) == 4
    assert groups_of(np.arange(9), sentences, None).tolist() == sentences.texts.tolist()


def test_how_many_captions_could_be_confirmed_is_a_signal(opened, few_sources):
    measured = probe(opened)
    assert len(set(measured.attainable.tolist())) > 5
    expected = np.log1p(measured.attainable)
    np.testing.assert_allclose(measured.signals[:, NAMES.index("confirmable")], expected)


def test_how_common_the_words_are_is_told_by_the_other_captions(copied, few_sources):
    measured, answered = probe(copied), answered_by(copied)
    captions = [copied.matrix.sentences[row][1:-1].tolist() for row in range(len(copied.matrix))]
    for i, each in enumerate(answered.probes):
        others = [ids for row, ids in enumerate(captions) if row not in answered.leave_out[i]]
        counts = [sum(ids.count(word) for ids in others) for word in each.ids]
        expected = np.log((np.array(counts) + 0.5) / len(captions)).mean()
        assert measured.commonness[i] == pytest.approx(expected)


# Sums


def slow_order(opened: Opened, queries: np.ndarray, leave_out) -> np.ndarray:
    """All rows of each query, nearest first, those left out last."""
    cosines = queries @ opened.matrix.rows.astype(np.float32).T
    for i, rows in enumerate(leave_out):
        cosines[i, rows] = -np.inf
    return np.argsort(-cosines, axis=1, kind="stable")


def slow_sums(opened: Opened, probes: list[Probe], *, of_captions: bool) -> Iterator[float]:
    """The distance of hit 1 of each sum of some queries; a source beyond the last row is a twin of an earlier one."""
    rows = opened.matrix.rows.astype(np.float64)
    first, last = opened.text_encoder.vocabulary.marks.tolist()
    for terms in cut_sums(probes, np.random.default_rng(0), most=200):
        encoded = [opened.text_encoder.encode(np.array([first, *term.ids, last], np.int32)) for term in terms]
        total = weighted_sum([1, -1, 1], [each.embedding for each in encoded])
        if total is not None:
            distances = 1 - rows @ (total / np.linalg.norm(total)) / np.linalg.norm(rows, axis=1)
            if of_captions:
                distances[[terms[0].source % len(rows), terms[2].source % len(rows)]] = np.inf
            yield float(distances.min())


def test_for_sums_the_distance_of_hit_1_is_measured_without_the_captions_they_were_cut_from(opened, few_sources):
    measured, probes = probe(opened), answered_by(opened).probes
    expected = list(slow_sums(opened, probes, of_captions=True))
    np.testing.assert_allclose(measured.sums, expected, atol=2e-3)
    with_sources = list(slow_sums(opened, probes, of_captions=False))
    assert (np.array(expected) - with_sources > 0.01).any()  # nearer to one of their own captions


def test_a_sum_meets_no_copy_of_the_captions_it_was_cut_from(copied, few_sources):
    """The twins of 150 captions make no sum nearer than it is in a corpus of these captions alone."""
    measured, probes = probe(copied), answered_by(copied).probes
    alone = copy.copy(copied)
    alone.matrix = copy.copy(copied.matrix)
    alone.matrix.rows = copied.matrix.rows[:150]
    np.testing.assert_allclose(measured.sums, list(slow_sums(alone, probes, of_captions=True)), atol=2e-3)


def test_foreign_sentences_are_groups_and_their_sums_meet_every_caption(tmp_path, few_sources):
    texts = demo_texts(60)
    files = make_files(tmp_path, texts)
    words = {word for text in (*texts, *foreign_sentences()) for word in text.rstrip(".").split()}
    write_vectors(files.vectors, ["<p>", "</p>", ".", *sorted(words)])
    opened = files.explorer(need="methods").opened
    measured = probe(opened)
    foreign = cut_foreign(opened.matrix.sentences, opened.text_encoder.vocabulary, np.random.default_rng(0))
    assert measured.foreign.groups.tolist() == [each.source for each in foreign]
    expected = list(slow_sums(opened, foreign, of_captions=False))
    assert len(expected) == 200
    np.testing.assert_allclose(measured.foreign_sums, expected, atol=2e-3)


# Any corpus


def test_captions_without_a_known_word_are_never_drawn_or_found(tmp_path, few_sources, monkeypatch):
    texts = ["xylograph" if i % 7 == 0 else text for i, text in enumerate(demo_texts(140))]
    files = make_files(tmp_path, texts)
    lines = [line for line in files.vectors.read_text(encoding="utf-8").splitlines() if not line.startswith("xylog")]
    files.vectors.write_text("\n".join([f"{len(lines) - 1} 12", *lines[1:]]) + "\n", encoding="utf-8")
    opened = files.explorer(need="methods").opened
    lists = caught_lists(monkeypatch)
    measured = probe(opened)
    wordless = opened.matrix.sentences.wordless()
    assert len(wordless) == 20
    for method in METHODS:
        assert not np.isin(lists[0][method], wordless).any()
    assert not np.isin(measured.hubs, wordless).any()
    assert not np.isin(lists[0]["sources"], wordless).any()
    assert measured.random_distances.shape[1] == 120


def calibrated(opened: Opened) -> Calibration:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        finish(opened.calibrate(again=True))
    assert opened.calibration is not None
    return opened.calibration


@pytest.mark.parametrize(
    ("texts", "per_image"),
    [
        (demo_texts(50), 5),
        (demo_texts(50), 50),
        (demo_texts(60), 1),
        (["a dog on the beach"] * 60, 5),
        ([*["a dog on the beach"] * 40, *demo_texts(40)], 5),
        (["a dog on the beach"] * 60, 1),
        ([word for text in demo_texts(20) for word in text.rstrip(".").split()][:120], 5),
        ([word for text in demo_texts(20) for word in text.rstrip(".").split()][:120], 1),
        (["the", "on a", "and"] * 40, 4),
        (["the", "on a", "and"] * 40, 1),
    ],
    ids=[
        *("few", "one image", "lone", "alike", "half alike", "alike, lone", "words", "words, lone"),
        *("stop words", "stop words, lone"),
    ],
)
def test_any_corpus_can_be_calibrated_without_a_warning(tmp_path, few_sources, texts, per_image):
    files = make_files(tmp_path, texts, per_image=per_image)
    explorer = files.explorer()
    calibration = calibrated(explorer.opened)
    json.dumps(calibration.document(), allow_nan=False)
    again = files.explorer(need="calibration")
    assert again.opened.calibration.document() == calibration.document()
    word, last = texts[-1].split()[0], texts[-1].split()[-1].rstrip(".")
    sums = [f"{texts[0]} - {word}", f"{last} + {texts[0]} - {texts[0]}", f"{word} + the", f"{last} - {last}"]
    for text in (texts[0], texts[0].split()[-1], " ".join(texts[:3]), "the the", *sums):
        for method in METHODS:
            verdict = explorer.ask(text, method=method).verdict
            assert verdict.reasons
            assert all(reason.startswith(("+ ", "− ", "· ")) for reason in verdict.reasons)
    for method in METHODS:
        assert ask_caption(explorer, len(texts) - 1, method=method).verdict.reasons


def test_calibrating_twice_gives_the_same_document(opened, few_sources):
    assert calibrated(opened).document() == calibrated(opened).document()


def test_fewer_than_fifty_captions_are_not_measured(tmp_path):
    opened = make_files(tmp_path, demo_texts(49)).explorer().opened
    finish(opened.calibrate(again=True))
    assert opened.calibration is None


def test_measuring_can_be_stopped_at_any_step_and_leaves_nothing(tmp_path, few_sources):
    opened = make_files(tmp_path, demo_texts(60)).explorer().opened
    steps = opened.calibrate()
    for _ in range(30):
        next(steps)
    steps.close()
    assert (opened.calibration, opened.judge) == (None, None)
    assert not list(opened.matrix.folder.glob("calibration*"))


# With the bundled encoder


@pytest.mark.parametrize(
    ("word", "level"),
    [("dog", "reliable"), ("kite", "reliable"), ("red", "doubtful"), ("winter", "unreliable"), ("doctor", "doubtful")],
)
def test_on_the_demo_one_word_is_judged_by_its_hits(demo, word, level):
    verdict = demo.ask(word).verdict
    assert (verdict.level, verdict.long_enough) == (level, False)


def test_on_the_demo_most_captions_are_reliable(demo):
    levels = [ask_caption(demo, row).verdict.level for row in range(0, len(demo.opened.captions), 60)]
    assert levels.count("reliable") > len(levels) / 2


def test_on_the_demo_level_curve_reasons_and_advice_take_at_most_eight_lines_of_a_pane(demo):
    texts = ["dog", "doctor", "somebody getting married", "a zyzzyva on a leaf", "love", "a street at night"]
    texts += ["The senator denied all allegations of corruption.", "a man with a beard feeds the birds in the park"]
    answers = [demo.ask(text) for text in texts]
    answers += [ask_caption(demo, row) for row in range(0, len(demo.opened.captions), 60)]
    for verdict in (answer.verdict for answer in answers):
        lines = [wrap(line, 35) for line in (*verdict.reasons, f"→ {verdict.advice or 'c compares the methods'}")]
        assert 3 + sum(map(len, lines)) <= 8 + (verdict.level == "reliable"), verdict  # which gives no advice


def test_on_the_demo_a_sum_is_judged_by_what_it_leaves(demo):
    verdict = demo.ask("a dog on a beach - a dog + a horse").verdict
    bm25 = demo.opened.rankers.lexical.bm25
    assert verdict.in_corpus is True
    assert 0 < verdict.attainable <= min(5 * len(bm25.rows_with(bm25.stem(word))) for word in ("beach", "horse"))
    assert demo.ask("the senator + the congress").verdict.level != "reliable"


def test_on_the_demo_the_verdict_beats_counting_words_and_the_nearest_distance(demo):
    figures = demo.opened.calibration.figures
    assert figures.intervals["auroc_lead"][0] > 0
    assert figures.false_alarm <= 0.2


def test_with_embeddings_of_other_captions_no_length_and_no_query_is_reliable(demo, few_sources):
    matrix = copy.copy(demo.opened.matrix)
    matrix.rows = matrix.rows[np.random.default_rng(0).permutation(len(matrix))]
    calibration = finish(calibrate_and_measure(probe(demo.opened, matrix=matrix)))
    assert calibration.least_content is None
    assert all(calibration.is_short(content) for content in range(20))
    shuffled = Explorer(copy.copy(demo.opened))
    meter = meter_of(demo.opened, demo.opened.matrix, demo.opened.rankers.lexical)
    shuffled.opened.judge = Judge(calibration, meter, demo.opened.matrix.sentences)
    long = "a rainbow is in the sky over an empty stretch of road"
    answers = [shuffled.ask(text) for text in ("dog", "kite", long, "a dog on a beach - a dog + a horse")]
    for verdict in [answer.verdict for answer in (*answers, ask_caption(shuffled, 7))]:
        assert verdict.level != "reliable"
        assert sum("nothing is reliable here" in reason for reason in verdict.reasons) == 1
