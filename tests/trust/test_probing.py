"""Probing asks fairly: no query ever meets the caption that it was cut from, in no list and no signal."""

import copy
import json
import warnings

import numpy as np
import pytest
from conftest import ask_caption, demo_texts, make_files

from core.assets import Assets
from core.encoding.matrix import EmbeddingMatrix
from core.explorer import Explorer
from core.opening import Opened, Setup, open_
from core.ranking.lexical import Lexical
from core.ranking.methods import METHODS
from core.ranking.rankers import Rankers
from core.ranking.search import MatrixSearcher
from core.store.cache import Cache
from core.store.progress import finish
from core.trust import probing
from core.trust.calibration import Calibration
from core.trust.learning import Measured, calibrate
from core.trust.signals import NAMES, SignalMeter
from core.trust.verdict import Judge


@pytest.fixture(scope="module")
def opened(tmp_path_factory) -> Opened:
    return make_files(tmp_path_factory.mktemp("probing"), demo_texts(300)).explorer(need="methods").opened


def meter_of(opened: Opened, matrix: EmbeddingMatrix, lexical: Lexical, *, by_images: bool = True) -> SignalMeter:
    marks = opened.text_encoder.encode(opened.text_encoder.vocabulary.marks).embedding
    images = opened.images if by_images else None
    return SignalMeter(matrix.rows, marks=marks / np.linalg.norm(marks), bm25=lexical.bm25, images=images)


def probe(
    opened: Opened, *, matrix: EmbeddingMatrix | None = None, lexical: Lexical | None = None, by_images: bool = True
) -> Measured:
    """What asking all queries gives, without a warning."""
    matrix, lexical = matrix or opened.matrix, lexical or opened.rankers.lexical
    rankers = Rankers(matrix, MatrixSearcher(matrix), lexical)
    meter = meter_of(opened, matrix, lexical, by_images=by_images)
    images = opened.images if by_images else None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return finish(probing.probe(matrix, rankers, opened.text_encoder, meter=meter, images=images))


def caught_lists(monkeypatch) -> list[dict]:
    """The lists that later probes answer with, and the sources they leave out."""
    lists = []
    real = probing._success

    def spy(found, sources, *rest):
        lists.append({method: rows.copy() for method, rows in found.items()} | {"sources": sources})
        return real(found, sources, *rest)

    monkeypatch.setattr(probing, "_success", spy)
    return lists


def test_no_list_of_any_method_holds_the_source(opened):
    parts = {"images": opened.images, "random": np.random.default_rng(0), "most_sources": 120, "most": 30}
    answered = finish(probing.answer_probes(opened.matrix, opened.rankers, opened.text_encoder, **parts))
    assert len(answered.probes) == len(answered.queries) == len(answered.embeddings)
    assert [each.source for each in answered.probes] == answered.sources.tolist()
    for method in METHODS:
        found = answered.lists.rows[method]
        assert (found >= 0).any(axis=1).mean() > 0.9
        assert not (found == answered.sources[:, None]).any()
        for rows in found[::40].tolist():
            there = [row for row in rows if row >= 0]
            assert len(set(there)) == len(there)


class Corrupted:
    """BM25 whose source caption has every word, with the highest of scores."""

    def __init__(self, bm25, source: int) -> None:
        self._bm25, self._source = bm25, source

    def __len__(self) -> int:
        return len(self._bm25)

    def stems(self, text):
        return self._bm25.stems(text)

    def scores(self, stems):
        scores = self._bm25.scores(stems)
        scores[self._source] = 1e3
        return scores

    def rows_with(self, stem):
        return np.union1d(self._bm25.rows_with(stem), [self._source]).astype(np.int32)


@pytest.mark.parametrize("by_images", [True, False])
def test_whatever_the_source_holds_changes_no_list_and_no_signal(opened, monkeypatch, by_images):
    monkeypatch.setattr(probing, "_SOURCES", 1)
    lists = caught_lists(monkeypatch)
    before = probe(opened, by_images=by_images)
    source = int(lists[0]["sources"][0])
    assert set(lists[0]["sources"].tolist()) == {source}

    def corrupted(rows):
        changed = np.array(rows)
        mean = np.delete(changed, source, axis=0).astype(np.float64).mean(axis=0)
        changed[source] = mean / np.linalg.norm(mean)  # near everything
        return changed

    matrix, lexical = copy.copy(opened.matrix), copy.copy(opened.rankers.lexical)
    matrix.rows = corrupted(matrix.rows)
    lexical.words = copy.copy(lexical.words)
    lexical.words.rows = corrupted(lexical.words.rows)
    lexical.bm25 = Corrupted(lexical.bm25, source)
    after = probe(opened, by_images=by_images, matrix=matrix, lexical=lexical)
    for method in METHODS:
        np.testing.assert_array_equal(lists[0][method], lists[1][method], err_msg=method)
        np.testing.assert_array_equal(before.success[method], after.success[method], err_msg=method)
    for i, name in enumerate(NAMES):
        np.testing.assert_allclose(before.signals[:, i], after.signals[:, i], atol=1e-6, err_msg=name)
    np.testing.assert_allclose(before.random_distances, after.random_distances, atol=1e-6)


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


def test_images_are_held_out_as_a_whole_and_are_half_of_all(opened, few_sources, monkeypatch):
    lists = caught_lists(monkeypatch)
    measured = probe(opened)
    images = lists[0]["sources"] // 5
    held, learned = set(images[measured.held_out].tolist()), set(images[~measured.held_out].tolist())
    assert held.isdisjoint(learned)
    assert abs(len(held) - len(learned)) <= 1


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
        (["a dog on the beach"] * 60, 1),
        ([word for text in demo_texts(20) for word in text.rstrip(".").split()][:120], 5),
        ([word for text in demo_texts(20) for word in text.rstrip(".").split()][:120], 1),
        (["the", "on a", "and"] * 40, 4),
        (["the", "on a", "and"] * 40, 1),
    ],
    ids=["few", "one image", "lone", "alike", "alike, lone", "words", "words, lone", "stop words", "stop words, lone"],
)
def test_any_corpus_can_be_calibrated_without_a_warning(tmp_path, few_sources, texts, per_image):
    files = make_files(tmp_path, texts, per_image=per_image)
    explorer = files.explorer()
    calibration = calibrated(explorer.opened)
    json.dumps(calibration.document(), allow_nan=False)
    again = files.explorer(need="calibration")
    assert again.opened.calibration.document() == calibration.document()
    for text in (texts[0], texts[0].split()[-1], " ".join(texts[:3]), "the the"):
        for method in METHODS:
            verdict = explorer.ask(text, method=method).verdict
            assert verdict is None or verdict.reasons


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


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Explorer:
    opened = finish(open_(Setup(assets=Assets.find()), Cache(tmp_path_factory.mktemp("demo"))))
    finish(opened.calibrate())
    return Explorer(opened)


def test_on_the_demo_short_queries_are_never_reliable_and_most_captions_are(demo):
    assert demo.opened.calibration.least_content is not None
    for word in ("dog", "doctor", "spring"):
        verdict = demo.ask(word).verdict
        assert verdict.too_short
        assert verdict.level != "reliable"
    levels = [ask_caption(demo, row).verdict.level for row in range(0, len(demo.opened.captions), 60)]
    assert levels.count("reliable") > len(levels) / 2


def test_on_the_demo_the_verdict_beats_counting_words_and_the_nearest_distance(demo):
    assert demo.opened.calibration.auroc_lead[1] > 0
    assert demo.opened.calibration.false_alarm <= 0.05


def test_with_embeddings_of_other_captions_no_length_and_no_query_is_reliable(demo, few_sources):
    matrix, lexical = copy.copy(demo.opened.matrix), demo.opened.rankers.lexical
    matrix.rows = matrix.rows[np.random.default_rng(0).permutation(len(matrix))]
    calibration = finish(calibrate(probe(demo.opened, matrix=matrix)))
    assert calibration.least_content is None
    assert all(calibration.is_too_short(n) for n in range(20))
    shuffled = Explorer(copy.copy(demo.opened))
    shuffled.opened.judge = Judge(calibration, meter_of(demo.opened, demo.opened.matrix, lexical))
    for text in ("dog", "a rainbow is in the sky over an empty stretch of road", demo.opened.captions.texts[7]):
        verdict = shuffled.ask(text).verdict
        assert verdict.level == "unreliable"
        assert "not even whole captions" in verdict.reasons[0]
