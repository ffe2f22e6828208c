"""The explorer's answers: what a person gets for a query."""

import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import ask_caption, write_coco, write_vectors, write_weights
from reference import rank_slowly

from core.assets import AssetError
from core.encoding.encoder import SentenceEncoder
from core.ranking.methods import METHODS
from core.store.progress import finish


def test_a_typed_query_is_ranked_like_its_embedding(files):
    explorer = files.explorer()
    answer = explorer.ask("a dog near the window")
    ids = explorer.vectors.find(["<p>", "a", "dog", "near", "the", "window", "</p>"])
    embedding = explorer.encoder.encode(np.array(explorer.vectors.rows[ids])).embedding
    rows, distances = rank_slowly(embedding, explorer.matrix.rows)
    np.testing.assert_array_equal(answer.hits.rows, rows[:100])
    np.testing.assert_array_equal(answer.hits.distances, distances[:100])
    assert answer.row is None


def test_a_query_that_is_a_caption_uses_that_captions_row(files):
    explorer = files.explorer()
    followed = ask_caption(explorer, 17)
    typed = explorer.ask(explorer.captions.texts[17])
    assert followed.row == typed.row == 17
    assert followed.hits.rows[0] == 17
    assert followed.hits.distances[0] == 0
    np.testing.assert_array_equal(followed.hits.rows, typed.hits.rows)
    assert [token.text for token in followed.tokens] == [token.text for token in typed.tokens]


def test_the_neighbours_of_a_caption_need_neither_encoder_nor_nltk_nor_pandas(files):
    program = """
import sys
from pathlib import Path
from core.assets import Assets
from core.store.cache import Cache
from core.explorer import Explorer
from core.store.progress import finish

weights, vectors, captions, cache = map(Path, sys.argv[1:])
explorer = Explorer(Assets(weights, vectors, captions, 2), Cache(cache), device="cpu", dtype="float32")
finish(explorer.prepare())
answer = explorer.neighbours(17)
assert len(answer.hits) == 100 and answer.verdict is None and not answer.tokens
assert not explorer.is_encoder_loaded
assert not {"nltk", "pandas", "pyarrow"} & sys.modules.keys(), "loaded"
whole = explorer.complete(answer)
assert whole.hits is answer.hits and whole.tokens and whole.verdict is not None
"""
    files.explorer()
    arguments = [files.weights, files.vectors, files.captions, files.cache]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_typed_caption_that_stands_twice_is_its_first_row_and_a_followed_one_itself(files):
    write_coco(files.captions, ["a cat", "a dog on the beach", "a man", "a dog on the beach"])
    explorer = files.explorer()
    assert explorer.ask("a dog on the beach").hits.rows[:2].tolist() == [1, 3]
    assert ask_caption(explorer, 3).hits.rows[:2].tolist() == [3, 1]


def test_importance_is_shared_by_known_words_and_marks(files):
    answer = files.explorer().ask("a bicycle by the wall")  # bicycle has no vector
    known = {token.text: token.known for token in answer.tokens}
    assert known == {"a": True, "bicycle": False, "by": True, "the": True, "wall": True}
    assert sum(token.importance for token in answer.tokens) + answer.marks_importance == pytest.approx(1)
    assert next(token for token in answer.tokens if token.text == "bicycle").importance == 0


def test_a_query_of_unknown_words_has_no_hits_and_says_why(files):
    answer = files.explorer().ask("xylograph zzz")
    assert len(answer.hits) == 0
    assert answer.verdict.level == "unreliable"
    assert "no word of the query is known" in answer.verdict.reasons[0]


@pytest.mark.parametrize("text", ["", "   ", "\t"])
def test_an_empty_query_is_calm(files, text):
    answer = files.explorer().ask(text)
    assert answer.verdict is None
    assert len(answer.hits) == 0


def test_an_unfinished_unknown_word_is_not_held_against_the_query_until_a_blank_follows(files):
    explorer = files.explorer()
    typing = explorer.ask("a dog on the bicyc", settled=False)
    assert not any("unknown" in reason for reason in typing.verdict.reasons)
    for settled in (explorer.ask("a dog on the bicyc"), explorer.ask("a dog on the bicyc ", settled=False)):
        assert any("bicyc" in reason for reason in settled.verdict.reasons)


def test_a_query_of_ten_thousand_words_is_answered(files):
    answer = files.explorer().ask("a dog on the beach " * 2000)
    assert len(answer.hits) == 100
    assert len(answer.tokens) == 10_000


def test_hostile_texts_are_data(files):
    texts = [
        "\x1b[31mred\x1b[0m dog",
        "[bold]a dog[/bold]",
        "a \u202edog",
        "a dog \U0001f600",
        "\x00",
        "a\tdog",
        "\ud83d dog",
    ]
    write_coco(files.captions, texts)
    explorer = files.explorer()
    for text in texts:
        explorer.ask(text)
    assert len(explorer.ask("a dog").hits) >= 1
    assert explorer.captions.texts[0] == texts[0]
    assert explorer.captions.texts[6] == "? dog"  # half of a character


def test_a_settled_query_is_remembered_once_its_answer_is_shown_and_a_keystroke_is_not(files, monkeypatch):
    explorer = files.explorer()
    reads, recall = [], explorer.cache.recall_answer
    monkeypatch.setattr(explorer.cache, "recall_answer", lambda key: reads.append(key) or recall(key))
    explorer.ask("a dog ne", settled=False)
    explorer.remember()
    assert (len(reads), len(explorer.cache._answers)) == (0, 0)
    first = explorer.ask("a dog near")
    assert (len(reads), len(explorer.cache._answers)) == (1, 0)
    explorer.remember()
    assert len(explorer.cache._answers) == 1
    explorer._recent.clear()
    second = explorer.ask("a dog near")
    assert len(reads) == 2
    assert not explorer._unwritten  # it is there already
    np.testing.assert_array_equal(first.hits.distances, second.hits.distances)
    assert [t.importance for t in first.tokens] == [t.importance for t in second.tokens]


def test_a_damaged_remembered_answer_is_a_miss(files):
    explorer = files.explorer()
    first = explorer.ask("a dog near")
    explorer.remember()
    assert len(explorer.cache._answers) == 1
    for key in list(explorer.cache._answers.iterkeys()):
        explorer.cache._answers.set(key, b"\0" * 5)
    explorer._recent.clear()
    np.testing.assert_array_equal(explorer.ask("a dog near").hits.distances, first.hits.distances)


def test_a_random_caption_always_has_a_known_word(files):
    write_coco(files.captions, ["xylograph"] * 30 + ["a dog"])
    explorer = files.explorer()
    assert {explorer.random_row(random.Random(seed)) for seed in range(20)} == {30}


def test_captions_without_any_known_word_at_all_are_an_error_to_draw_from(files):
    write_coco(files.captions, ["xylograph", "zzz"])
    with pytest.raises(AssetError, match="same language"):
        files.explorer().random_row()


def test_captions_without_a_known_word_are_told(files):
    write_coco(files.captions, ["xylograph", "a dog"])
    assert files.explorer().problems() == ["1 captions have no known word: they are never ranked"]


def test_vectors_that_were_cut_off_are_told(files):
    text = files.vectors.read_text(encoding="utf-8").splitlines()
    files.vectors.write_text("\n".join(text[:-40]) + "\n", encoding="utf-8")
    assert "cut off: 40 words" in files.explorer().problems()[0]


def test_vectors_of_another_width_are_refused(files):
    write_vectors(files.vectors, ["<p>", "</p>", "a"], dim=7)
    with pytest.raises(AssetError, match="7 numbers") as caught:
        files.explorer()
    assert "12" in caught.value.expected


def test_vectors_without_the_sentence_marks_are_the_wrong_file(files):
    write_vectors(files.vectors, ["<s>", "</s>", "a", "dog"])
    with pytest.raises(AssetError, match=r"crawl-300d-2M\.vec"):
        files.explorer()


def test_other_weights_answer_otherwise(files):
    before = files.explorer().ask("a dog on the beach").hits.distances[:10].copy()
    write_weights(files.weights, seed=5)
    assert not np.allclose(before, files.explorer().ask("a dog on the beach").hits.distances[:10])


def test_a_sum_is_ranked_by_its_weighted_unit_embeddings(files):
    explorer = files.explorer()
    answer = explorer.ask("2 * a dog - 0.5 * a cat near the window")
    total = np.zeros(32)
    for weight, words in ((2, ["a", "dog"]), (-0.5, ["a", "cat", "near", "the", "window"])):
        ids = explorer.vectors.find(["<p>", *words, "</p>"])
        embedding = explorer.encoder.encode(np.array(explorer.vectors.rows[ids])).embedding.astype(np.float64)
        total += weight * embedding / np.linalg.norm(embedding)
    rows, distances = rank_slowly(total, explorer.matrix.rows)
    np.testing.assert_array_equal(answer.hits.rows, rows[:100])
    np.testing.assert_allclose(answer.hits.distances, distances[:100], atol=1e-12)
    assert [(term.weight, term.text) for term in answer.terms] == [(2, "a dog"), (-0.5, "a cat near the window")]
    assert [token.text for token in answer.terms[0].tokens] == ["a", "dog"]
    assert (answer.tokens, answer.row) == ((), None)


def test_the_weakest_term_gives_the_verdict_on_a_sum(files):
    answer = files.explorer().ask("a dog near the window of a red bus - dog")
    assert answer.verdict.level == "unreliable"
    assert "“dog”" in answer.verdict.reasons[0]


def test_a_caption_is_never_read_as_a_sum(files):
    write_coco(files.captions, ["a man - a dog", "a man a dog", "a dog", "a cat"])
    explorer = files.explorer()
    for answer in (explorer.ask("a man - a dog"), ask_caption(explorer, 0), explorer.ask("a man  -  a dog")):
        assert (answer.row, answer.terms) == (0, ())


def test_a_sum_whose_operator_has_no_vector_is_not_taken_for_a_caption_without_it(files):
    write_coco(files.captions, ["a man a dog", "a dog", "a cat"])
    explorer = files.explorer()
    assert explorer.vectors.find(["+"]) == [-1]
    assert [term.text for term in explorer.ask("a man + a dog").terms] == ["a man", "a dog"]


def test_a_quoted_text_is_no_sum(files):
    answer = files.explorer().ask('"a man - a dog"')
    assert answer.terms == ()
    assert [token.text for token in answer.tokens] == ["a", "man", "-", "a", "dog"]


@pytest.mark.parametrize(
    ("text", "says"),
    [("a dog - xylograph", "“xylograph”"), ("a dog - a dog", "cancel"), ("0 * a dog + 0 * a cat", "cancel")],
)
def test_a_sum_without_a_direction_has_no_hits_and_says_why(files, text, says):
    answer = files.explorer().ask(text)
    assert len(answer.hits) == 0
    assert says in answer.verdict.reasons[0]


def test_a_term_that_is_being_typed_is_waited_for(files):
    explorer = files.explorer()
    np.testing.assert_array_equal(
        explorer.ask("a dog + a man - xyl", settled=False).hits.rows, explorer.ask("a dog + a man").hits.rows
    )
    assert len(explorer.ask("a dog + a man - xyl").hits) == 0


def test_shares_of_an_explanation_are_those_of_single_features(files):
    explorer = files.explorer()
    answer = explorer.ask("a dog near the window")
    row = int(answer.hits.rows[3])
    agreement = explorer.explain(answer, row).agreement
    encode = explorer.encoder.encode
    ids = explorer.vectors.find(["<p>", "a", "dog", "near", "the", "window", "</p>"])
    query, hit = (encode(np.array(explorer.vectors.rows[each])) for each in (ids, explorer.matrix.sentences[row]))
    expected: dict[tuple[str, str], float] = {}
    for feature in range(32):
        pair = tuple(
            explorer.vectors.word(of[side.winners[feature]])
            for side, of in ((query, ids), (hit, explorer.matrix.sentences[row]))
        )
        value = query.embedding[feature] * hit.embedding[feature]
        expected[pair] = expected.get(pair, 0) + value
    total = sum(expected.values())
    marks = sum(value for pair, value in expected.items() if {"<p>", "</p>"} & set(pair))
    assert agreement.cosine == pytest.approx(1 - answer.hits.distances[3], abs=1e-3)
    assert agreement.marks == pytest.approx(marks / total, abs=1e-2)
    for pair in agreement.pairs:
        assert pair.share == pytest.approx(expected[pair.query, pair.hit] / total, abs=1e-2)
    assert [pair.share for pair in agreement.pairs] == sorted((pair.share for pair in agreement.pairs), reverse=True)


def test_an_explanation_shares_the_hits_importance_among_its_words_and_drops_unknown_ones(files):
    write_coco(files.captions, ["a dog near a bicycle", "a cat"])
    explorer = files.explorer()
    explained = explorer.explain(explorer.ask("a dog"), 0)
    assert sum(token.importance for token in explained.tokens) + explained.marks_importance == pytest.approx(1)
    assert not next(token for token in explained.tokens if token.text == "bicycle").known


def test_a_hit_of_a_sum_has_importance_but_no_agreement(files):
    explorer = files.explorer()
    explained = explorer.explain(explorer.ask("a dog + a cat"), 3)
    assert explained.agreement is None
    assert explained.tokens


def test_what_is_remembered_explains_like_what_is_encoded(files):
    explorer = files.explorer()
    first = explorer.explain(explorer.ask("a dog near"), 5)
    explorer.remember()
    explorer._recent.clear()
    assert explorer.explain(explorer.ask("a dog near"), 5) == first


# Calibrated


@pytest.fixture
def calibrated(files, monkeypatch):
    """An explorer that has measured, with fewer queries than usual."""
    monkeypatch.setattr("core.trust.probing._SOURCES", 120)
    monkeypatch.setattr("core.trust.probing._EACH", 30)
    monkeypatch.setattr("core.trust.probing._LOOKED_AT", 2)
    explorer = files.explorer()
    finish(explorer.calibrate())
    return explorer


def test_what_was_measured_is_measured_once(calibrated, files, monkeypatch):
    monkeypatch.setattr("core.explorer.probe", lambda **parts: pytest.fail("measured again"))
    again = files.explorer()
    finish(again.calibrate())
    assert again.calibration.document() == calibrated.calibration.document()


def test_other_image_groups_are_measured_anew_beside_the_old_ones(calibrated, files):
    write_coco(files.captions, calibrated.captions.texts, per_image=1)
    alone = files.explorer()
    assert alone.matrix.folder == calibrated.matrix.folder
    finish(alone.open_calibration())
    assert alone.calibration is None
    finish(alone.calibrate())
    assert alone.calibration.measure != calibrated.calibration.measure
    write_coco(files.captions, calibrated.captions.texts)
    back = files.explorer()
    finish(back.open_calibration())
    assert back.calibration.document() == calibrated.calibration.document()


def test_a_damaged_calibration_is_measured_again(calibrated, files):
    calibrated._calibration_file.write_text("{")
    again = files.explorer()
    finish(again.open_calibration())
    assert again.calibration is None
    finish(again.calibrate())
    assert again.calibration.document() == calibrated.calibration.document()


def test_a_calibration_that_cannot_be_kept_holds_and_is_told(calibrated, files):
    calibrated._calibration_file.unlink()
    calibrated._calibration_file.mkdir()  # in the way of the file
    explorer = files.explorer()
    finish(explorer.calibrate())
    assert explorer.calibration is not None
    assert "could not be kept: Is a directory" in explorer.problems()[0]


@pytest.mark.parametrize("method", METHODS)
def test_the_verdict_is_on_the_query_whatever_method_and_however_many_hits(calibrated, method):
    text = "a dog near the window"
    verdict = calibrated.ask(text).verdict
    assert verdict.probability is not None
    assert calibrated.ask(text, method=method, k=3).verdict == verdict
    row = ask_caption(calibrated, 17).verdict
    assert calibrated.ask(calibrated.captions.texts[17], method=method).verdict == row


def test_how_many_captions_are_farther_is_told_for_the_encoders_distances_alone(calibrated):
    for method in METHODS:
        answer = calibrated.ask("a dog near the window", method=method)
        if method in ("infersent", "context"):
            assert answer.closer_than.shape == answer.hits.rows.shape
            assert (np.diff(answer.closer_than) <= 0).all()
        else:
            assert answer.closer_than is None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("text", ["xylograph zzz", "", "a dog near the win", "on the", "bicycle dog"])
def test_any_text_is_answered_after_a_calibration(calibrated, method, text):
    answer = calibrated.ask(text, method=method, settled=False)
    assert answer.text == text
    assert (answer.verdict is None) == (text == "")
    if text == "bicycle dog":
        assert "unknown and dropped: bicycle" in answer.verdict.reasons


def test_a_calibrated_caption_asked_again_needs_no_encoder(calibrated, files):
    ask_caption(calibrated, 17)
    calibrated.remember()
    again = files.explorer()
    finish(again.open_calibration())
    assert ask_caption(again, 17).verdict.probability is not None
    assert not again.is_encoder_loaded


def test_auto_is_the_method_that_was_measured_to_be_best_at_the_querys_length(calibrated):
    best = {1: "bm25", 3: "infersent"}
    calibrated.calibration = replace(
        calibrated.calibration,
        curve=tuple(
            replace(cell, by_method={name: (float(name == best.get(cell.length)),) * 3 for name in METHODS})
            for cell in calibrated.calibration.curve
        ),
    )
    assert calibrated.ask("a dog", method="auto").method == "bm25"
    assert calibrated.ask("a dog near a window in the snow", method="auto").method == "infersent"
    assert calibrated.ask("a dog", method="words").method == "words"


def test_before_anything_is_measured_auto_is_the_encoder(files):
    explorer = files.explorer()
    assert explorer.ask("a dog", method="auto").method == "infersent"
    assert ask_caption(explorer, 17, method="auto").method == "infersent"


def test_the_self_check_is_near_1_in_either_dtype_and_tells_an_encoder_that_computes_otherwise(files, tmp_path):
    explorer = files.explorer()
    assert explorer.self_check(explorer.encoder) > 0.999999
    coarse = SentenceEncoder.load(files.weights, dtype="bfloat16")
    assert 0.999 < explorer.self_check(coarse, sentences=50) < 0.9999999
    other = SentenceEncoder.load(write_weights(tmp_path / "other.pkl", seed=7))
    assert explorer.self_check(other) < 0.9
