"""Opening: files become an opened corpus, in one order; what can be opened later; what is wrong with the files."""

import threading

import numpy as np
import pytest
from conftest import embedding_of, write_coco, write_vectors, write_weights
from reference import rank_slowly

from core.assets import AssetError
from core.corpus.vectors import WordVectors
from core.encoding.matrix import EmbeddingMatrix
from core.opening import locate, open_, open_text_encoder
from core.setup import Setup
from core.store.cache import Cache
from core.store.progress import finish
from core.trust.calibration import Calibration


def test_settings_are_those_of_the_machine_unless_they_are_chosen(files):
    assets = files.setup().assets
    chosen = Setup.choose(assets, device="cpu", dtype="float32", vocab_size=7)
    assert chosen == Setup(assets=assets, device="cpu", dtype="float32", vocab_size=7)
    machines = Setup.choose(assets)
    assert machines.device == "cpu" or machines.device.startswith("cuda")
    assert machines.dtype in ("float32", "bfloat16")
    with pytest.raises(AssetError, match="cuda:99"):
        Setup.choose(assets, device="cuda:99")


def test_the_places_of_what_is_computed_are_told_before_anything_is(files):
    places = finish(locate(files.setup(), Cache(files.cache)))
    assert not places.vectors.exists()
    assert not places.matrix.exists()
    opened = files.explorer().opened
    assert opened.matrix.folder == places.matrix
    assert opened.captions.texts == places.captions.texts
    assert len(WordVectors(places.vectors)) == len(opened.text_encoder.vocabulary.vectors)
    assert len(EmbeddingMatrix(places.matrix)) == 300


def test_a_text_encoder_needs_no_captions(files):
    setup = files.setup(captions=files.folder / "nowhere.json")
    encoder = finish(open_text_encoder(setup, Cache(files.cache)))
    assert encoder.vocabulary.look_up("a dog").ids.shape == (4,)
    with pytest.raises(AssetError, match="nowhere"):
        finish(open_(setup, Cache(files.cache)))


def test_what_is_needed_is_opened_and_no_more(files, few_sources):
    opened = files.explorer().opened
    assert (opened.rankers, opened.calibration, opened.judge) == (None, None, None)
    opened = files.explorer(need="calibration").opened
    assert (opened.rankers, opened.calibration, opened.judge) == (None, None, None)  # nothing was measured yet
    opened = files.explorer(need="methods").opened
    assert opened.rankers is not None
    finish(opened.calibrate())
    assert files.explorer(need="methods").opened.calibration is None
    opened = files.explorer(need="calibration").opened
    assert None not in (opened.rankers, opened.calibration, opened.judge)


def test_only_so_many_words_of_the_vectors_are_known(files):
    setup = Setup(assets=files.setup().assets, vocab_size=5)
    opened = finish(open_(setup, Cache(files.cache)))
    assert len(opened.text_encoder.vocabulary.vectors) == 5
    assert opened.matrix.folder != files.explorer().opened.matrix.folder


# Wrong files


def test_captions_without_a_known_word_are_told(files):
    write_coco(files.captions, ["xylograph", "a dog"])
    assert files.explorer().opened.problems() == [
        "1 caption has no known word: only bm25 and fused can find such captions"
    ]


def test_vectors_that_were_cut_off_are_told(files):
    text = files.vectors.read_text(encoding="utf-8").splitlines()
    files.vectors.write_text("\n".join(text[:-40]) + "\n", encoding="utf-8")
    assert "cut off: 40 words" in files.explorer().opened.problems()[0]


def test_vectors_of_another_width_are_refused(files):
    write_vectors(files.vectors, ["<p>", "</p>", "a"], dim=7)
    with pytest.raises(AssetError, match="7 numbers") as caught:
        files.explorer()
    assert "12" in caught.value.expected


def test_vectors_without_the_sentence_marks_are_the_wrong_file(files):
    write_vectors(files.vectors, ["<s>", "</s>", "a", "dog"])
    with pytest.raises(AssetError, match=r"crawl-300d-2M\.vec"):
        files.explorer()


# Several at once


def test_several_opened_corpora_of_one_cache_answer_independently(files, tmp_path):
    other = write_weights(tmp_path / "other.pkl", seed=5)
    explorers = [files.explorer(need="methods"), files.explorer(need="methods", weights=other)]
    for text in ("a dog on the beach", "a cat near the window", "a dog on the beach"):
        nearest = []
        for explorer in explorers:
            answer = explorer.ask(text)
            rows, distances = rank_slowly(embedding_of(explorer, text), explorer.opened.matrix.rows)
            np.testing.assert_array_equal(answer.hits.rows, rows[:100])
            np.testing.assert_allclose(answer.hits.distances, distances[:100], atol=1e-9)
            explorer.queries.remember()
            explorer.queries._recent.clear()  # the next answer comes of the cache that both have
            nearest.append(answer.hits.distances[:10])
        assert not np.allclose(*nearest)
    by_words = [explorer.ask("a dog", method="bm25").hits.rows.tolist() for explorer in explorers]
    assert by_words[0] == by_words[1]
    assert explorers[0].ask("a dog", method="context").hits.rows.tolist() != (
        explorers[1].ask("a dog", method="context").hits.rows.tolist()
    )


def test_two_threads_that_open_the_methods_at_once_get_the_same(files):
    opened = files.explorer().opened
    both_began, got = threading.Barrier(2, timeout=60), []

    def open_methods():
        steps = opened.open_methods()
        next(steps)  # now it has seen that they are not open
        both_began.wait()
        got.append(finish(steps))

    threads = [threading.Thread(target=open_methods) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 2
    assert got[0] is got[1] is opened.rankers


# Calibration


def test_what_was_measured_is_measured_once(calibrated, opened_files, monkeypatch):
    monkeypatch.setattr("core.opened.probe", lambda *parts, **more: pytest.fail("measured again"))
    again = opened_files.explorer().opened
    finish(again.calibrate())
    assert again.calibration.document() == calibrated.opened.calibration.document()


def test_other_image_groups_are_measured_anew_beside_the_old_ones(calibrated, opened_files):
    write_coco(opened_files.captions, calibrated.opened.captions.texts, per_image=1)
    alone = opened_files.explorer(need="calibration").opened
    assert alone.matrix.folder == calibrated.opened.matrix.folder
    assert alone.calibration is None
    finish(alone.calibrate())
    assert (alone.calibration.by_images, calibrated.opened.calibration.by_images) == (False, True)
    write_coco(opened_files.captions, calibrated.opened.captions.texts)
    back = opened_files.explorer(need="calibration").opened
    assert back.calibration.document() == calibrated.opened.calibration.document()


def test_a_damaged_calibration_is_measured_again(calibrated, opened_files):
    calibrated.opened._calibration_file.write_text("{")
    again = opened_files.explorer(need="calibration").opened
    assert again.calibration is None
    finish(again.calibrate())
    assert again.calibration.document() == calibrated.opened.calibration.document()


def test_a_calibration_that_is_measured_again_takes_the_place_of_the_old_one(calibrated, opened_files):
    opened = opened_files.explorer(need="calibration").opened
    before = opened.calibration, opened.judge
    finish(opened.calibrate(again=True))
    assert opened.calibration is not before[0]
    assert opened.judge is not before[1]
    assert Calibration.load(opened._calibration_file).document() == opened.calibration.document()


def test_a_calibration_that_cannot_be_kept_holds_and_is_told(calibrated, opened_files):
    calibrated.opened._calibration_file.unlink()
    calibrated.opened._calibration_file.mkdir()  # in the way of the file
    opened = opened_files.explorer().opened
    finish(opened.calibrate())
    assert opened.calibration is not None
    assert "could not be saved: Is a directory" in opened.problems()[0]
