"""The explorer's answers: what a person gets for a query."""

import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import ask_caption, embedding_of, make_files, write_coco, write_weights
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reference import rank_slowly

from core.assets import AssetError
from core.ranking.methods import METHODS
from core.ranking.search import MatrixSearcher
from core.store.progress import finish
from core.trust.verdict import Verdict


def test_a_typed_query_is_ranked_like_its_embedding(files):
    explorer = files.explorer()
    answer = explorer.ask("a dog near the window")
    rows, distances = rank_slowly(embedding_of(explorer, "a dog near the window"), explorer.opened.matrix.rows)
    np.testing.assert_array_equal(answer.hits.rows, rows[:100])
    np.testing.assert_array_equal(answer.hits.distances, distances[:100])


def test_as_many_hits_lead_as_are_asked_for_and_all_captions_follow(files):
    explorer = files.explorer()
    whole = explorer.ask("a dog near the window")
    for k in (1, 10, 20, 100, 250):
        found = explorer.ask("a dog near the window", k=k).found
        assert len(found.leading) == k
        assert len(found.order()) == 300
        assert found.leading.rows.tolist() == whole.found.page(0, k).rows.tolist()


def test_a_query_that_is_a_caption_uses_that_captions_row(files):
    explorer = files.explorer()
    followed = ask_caption(explorer, 17)
    typed = explorer.ask(explorer.opened.captions.texts[17])
    assert followed.query.row == typed.query.row == 17
    assert followed.hits.rows[0] == 17
    assert followed.hits.distances[0] == 0
    np.testing.assert_array_equal(followed.hits.rows, typed.hits.rows)
    assert [token.text for token in followed.query.tokens] == [token.text for token in typed.query.tokens]


def test_the_neighbours_of_a_caption_need_neither_encoder_nor_nltk_nor_pandas(files):
    program = """
import sys
from pathlib import Path
from core.assets import Assets
from core.explorer import Explorer
from core.opening import open_
from core.setup import Setup
from core.store.cache import Cache
from core.store.progress import finish

weights, vectors, captions, cache = map(Path, sys.argv[1:])
explorer = Explorer(finish(open_(Setup(assets=Assets(weights, vectors, captions, 2)), Cache(cache))))
answer = explorer.neighbours(17)
assert len(answer.hits) == 100 and answer.verdict is None and not answer.query.tokens
assert not explorer.opened.text_encoder.is_loaded
assert not {"nltk", "pandas", "pyarrow"} & sys.modules.keys(), "loaded"
whole = explorer.complete(answer)
assert whole.hits is answer.hits and whole.query.tokens and whole.verdict is not None
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
    assert len(answer.query.tokens) == 10_000


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
    assert explorer.opened.captions.texts[0] == texts[0]
    assert explorer.opened.captions.texts[6] == "\ufffd dog"  # half of a character


_PIECES = st.sampled_from(
    [
        *"a dog on the beach , . + - * 2 0.5 #3 # \" ' ... U.S. 漢字 İ ß 1e999".split(" "),
        *(
            "\x1b[31m",
            "\u202e",
            "\u0301",
            "\ud800\udfff",
            "\ud83d",
            "\x00",
            "👩\u200d👩",
            "do n't",
            "\ufeff",
            "\n",
            "x" * 300,
        ),
    ]
)


@settings(max_examples=40, deadline=None)
@given(pieces=st.lists(_PIECES | st.text(max_size=5), max_size=12), method=st.sampled_from([*METHODS, "auto"]))
@example(pieces=["\ud800\udfff", "dog"], method="auto")
def test_any_text_is_answered_judged_explained_and_varied(demo, pieces, method):
    text = " ".join(pieces)
    if not text.strip():
        return
    answer = demo.ask(text, method=method)
    assert answer.verdict is not None or answer.query.row is not None
    demo.compare(answer.query)
    if answer.found is not None:
        demo.explainer.explain(answer, int(answer.hits.rows[0]))
    if answer.query.embedding is not None:
        finish(demo.stress(text, method=method))


def test_a_random_caption_always_has_a_known_word(files):
    write_coco(files.captions, ["xylograph"] * 30 + ["a dog"])
    explorer = files.explorer()
    assert {explorer.random_row(random.Random(seed)) for seed in range(20)} == {30}


def test_captions_without_any_known_word_at_all_are_an_error_to_draw_from(files):
    write_coco(files.captions, ["xylograph", "zzz"])
    with pytest.raises(AssetError, match="same language"):
        files.explorer().random_row()


def test_other_weights_answer_otherwise(files):
    before = files.explorer().ask("a dog on the beach").hits.distances[:10].copy()
    write_weights(files.weights, seed=5)
    assert not np.allclose(before, files.explorer().ask("a dog on the beach").hits.distances[:10])


def test_a_sum_is_ranked_by_its_weighted_unit_embeddings_whatever_the_method(files):
    explorer = files.explorer()
    total = np.zeros(32)
    for weight, words in ((2, "a dog"), (-0.5, "a cat near the window")):
        embedding = embedding_of(explorer, words)
        total += weight * embedding / np.linalg.norm(embedding)
    rows, distances = rank_slowly(total, explorer.opened.matrix.rows)
    for method in ("infersent", "bm25", "auto"):
        answer = explorer.ask("2 * a dog - 0.5 * a cat near the window", method=method)
        assert answer.method == "infersent"
        np.testing.assert_array_equal(answer.hits.rows, rows[:100])
        np.testing.assert_allclose(answer.hits.distances, distances[:100], atol=1e-6)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("a dog near the window of a red bus - dog", "unreliable"),  # window, red and bus, which no hit has
        ("a dog near the window - cat", "doubtful"),
        ("a dog near the window - window", "unreliable"),
        ("a dog + a man - a man", "unreliable"),
    ],
)
def test_before_anything_is_measured_a_sum_is_judged_by_the_words_that_it_leaves(files, text, level):
    verdict = files.explorer().ask(text).verdict
    assert (verdict.level, verdict.probability) == (level, None)
    assert verdict.reasons[0] == "· not measured: by a rule of thumb"


def test_before_anything_is_measured_a_caption_does_not_speak_for_itself(files):
    explorer, lowered = files.explorer(), 0
    texts = explorer.opened.captions.texts
    for row in range(100):
        answer = ask_caption(explorer, row)
        words = {token.text.lower() for token in answer.query.tokens if token.counts}
        if len(words) < 4:
            continue
        hits = [set(re.findall(r"\w+", texts[hit].lower())) for hit in answer.hits.rows]
        others = [hit for hit in hits if hit != set(re.findall(r"\w+", texts[row].lower()))][:10]
        share, with_itself = (np.mean([len(words & hit) / len(words) for hit in ten]) for ten in (others, hits[:10]))
        expected = "reliable" if share >= 0.15 else "doubtful" if share >= 0.05 else "unreliable"
        assert answer.verdict.level == expected
        lowered += share < 0.15 <= with_itself
    assert lowered


def test_before_anything_is_measured_more_copies_than_lead_the_list_do_not_hide_the_hits(tmp_path):
    text = "a dog runs on a beach"
    explorer = make_files(tmp_path, [*[text] * 130, *[f"{text} with a kite"] * 20]).explorer()
    assert explorer.ask(text).verdict.reasons[1] == "− only 3 known content words"
    assert explorer.ask(text).verdict.reasons[2] == "+ the hits have 100% of its words"


def test_a_sum_is_judged_by_what_was_measured(calibrated):
    verdict = calibrated.ask("a dog on the street - a dog + a man").verdict
    bm25 = calibrated.opened.rankers.lexical.bm25
    hits = calibrated.ask("a dog on the street - a dog + a man").hits.rows[:10].tolist()
    texts, stems = calibrated.opened.captions.texts, [bm25.stem("street"), bm25.stem("man")]
    others = {row: {r for r in range(row // 5 * 5, row // 5 * 5 + 5) if r != row} for row in range(300)}
    said = {row: {stem for r in others[row] for stem in bm25.stems(texts[r])} for row in others}
    confirmed = {row for row, found in said.items() if found.issuperset(stems)}
    assert (verdict.attainable, verdict.confirmed) == (len(confirmed), len(confirmed.intersection(hits)))
    assert verdict.attainable > 0
    assert verdict.whole == calibrated.opened.calibration.whole_recall


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
    encoder, vectors = explorer.opened.text_encoder, explorer.opened.text_encoder.vocabulary.vectors
    answer = explorer.ask("a dog near the window")
    row = int(answer.hits.rows[3])
    agreement = explorer.explainer.explain(answer, row).agreement
    ids, others = (
        vectors.find(["<p>", "a", "dog", "near", "the", "window", "</p>"]),
        explorer.opened.matrix.sentences[row],
    )
    query, hit = encoder.encode(ids), encoder.encode(others)
    expected: dict[tuple[str, str], float] = {}
    for feature in range(32):
        pair = vectors.word(ids[query.winners[feature]]), vectors.word(others[hit.winners[feature]])
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
    explained = explorer.explainer.explain(explorer.ask("a dog"), 0)
    assert sum(token.importance for token in explained.tokens) + explained.marks_importance == pytest.approx(1)
    assert not next(token for token in explained.tokens if token.text == "bicycle").known


@pytest.mark.parametrize("text", ["a dog + a cat", "bicycle"])
def test_a_hit_of_a_query_without_an_embedding_of_its_own_has_importance_but_no_agreement(files, text):
    write_coco(files.captions, ["a dog", "a cat", "a man on a bicycle"])
    explorer = files.explorer(need="methods")
    answer = explorer.ask(text, method="bm25")
    assert 2 in answer.hits.rows
    explained = explorer.explainer.explain(answer, 2)
    assert explained.agreement is None
    assert sum(token.importance for token in explained.tokens) > 0


def test_a_hit_without_known_words_is_explained_by_the_marks_alone(files):
    write_coco(files.captions, ["a dog", "a bicycle", "bicycle"])
    explorer = files.explorer(need="methods")
    explained = explorer.explainer.explain(explorer.ask("a dog on a bicycle", method="bm25"), 2)
    assert explained.marks_importance == 1
    assert [(token.text, token.known, token.importance) for token in explained.tokens] == [("bicycle", False, 0)]


def test_what_is_remembered_explains_like_what_is_encoded(files):
    explorer = files.explorer()
    first = explorer.explainer.explain(explorer.ask("a dog near"), 5)
    explorer.queries.remember()
    explorer.queries._recent.clear()
    assert explorer.explainer.explain(explorer.ask("a dog near"), 5) == first


# Before and after a calibration


def test_before_anything_is_measured_auto_is_the_encoder(files):
    explorer = files.explorer()
    assert explorer.ask("a dog", method="auto").method == "infersent"
    assert ask_caption(explorer, 17, method="auto").method == "infersent"


@pytest.mark.parametrize("method", METHODS[1:])
def test_before_anything_is_measured_other_methods_are_said_to_be_unmeasured(files, method):
    explorer = files.explorer(need="methods")
    for answer in (explorer.ask("a dog near the window", method=method), ask_caption(explorer, 17, method=method)):
        assert answer.verdict == Verdict(None, (f"· how far {method} can be trusted is not measured yet",))
    verdict = explorer.ask("a dog near the window").verdict
    assert verdict.level == "doubtful"
    assert verdict.reasons[0] == "· not measured: by a rule of thumb"


def test_until_a_saved_calibration_is_loaded_there_is_no_verdict_that_it_would_change(calibrated, opened_files):
    explorer = opened_files.explorer(need="methods")
    assert explorer.ask("a dog near the window").verdict is None
    assert explorer.ask("a dog near the window", method="bm25").verdict is None
    assert ask_caption(explorer, 17).verdict is None
    assert explorer.ask("glorp").verdict == calibrated.ask("glorp").verdict
    finish(explorer.opened.open_calibration())
    assert explorer.ask("a dog near the window").verdict == calibrated.ask("a dog near the window").verdict


def test_the_verdict_is_on_the_query_however_many_hits_are_asked_for(calibrated):
    calibrated.opened.judge.calibration = replace(calibrated.opened.calibration, least_content=1)
    text = "a dog near the window"
    verdict = calibrated.ask(text).verdict
    assert verdict.probability is not None
    for k in (1, 3, 50):
        assert calibrated.ask(text, k=k).verdict == verdict
    caption = calibrated.opened.captions.texts[17]
    assert calibrated.ask(caption, k=3).verdict == ask_caption(calibrated, 17).verdict != verdict


@pytest.mark.parametrize("method", METHODS[1:])
def test_the_verdict_on_another_method_is_what_was_measured_of_it_at_the_querys_length(calibrated, method):
    calibration = calibrated.opened.calibration
    for text, length in (("dog", 1), ("a dog near the window", 2)):
        verdict = calibrated.ask(text, method=method, k=3).verdict
        assert (verdict.level, verdict.probability) == (None, None)
        seen, measured = verdict.reasons
        looked_at = min(10, len(calibrated.ask(text, method=method).hits))
        told = f" {verdict.confirmed} of {looked_at} confirmed" if verdict.attainable else "no hit could be confirmed"
        assert told in seen
        shares = [f"{100 * calibration.recall(length, each):.0f}" for each in (method, "infersent")]
        assert measured.startswith(f"· {length} content word")
        assert f"by {method} {shares[0]} of 100 such queries find their image, by infersent {shares[1]}" in measured
    caption = calibrated.opened.captions.texts[17]
    assert calibrated.ask(caption, method=method).verdict == ask_caption(calibrated, 17, method=method).verdict


def test_no_answer_searches_all_embeddings_twice(calibrated, monkeypatch):
    searched, nearest = [], MatrixSearcher.nearest
    monkeypatch.setattr(
        MatrixSearcher, "nearest", lambda self, *query, **how: searched.append(self) or nearest(self, *query, **how)
    )
    by_encoder = {}
    for method in METHODS:
        searched.clear()
        assert calibrated.ask("a dog near the window", method=method, k=10).verdict is not None
        by_encoder[method] = searched.count(calibrated.opened.searcher)
    assert by_encoder == {"infersent": 1, "words": 0, "bm25": 0, "context": 1, "fused": 1}


def test_how_many_captions_are_farther_is_told_for_infersent_alone(calibrated):
    for method in METHODS:
        answer = calibrated.ask("a dog near the window", method=method, k=30)
        if method == "infersent":
            assert answer.closer_than.shape == answer.hits.rows.shape == (30,)
            assert (np.diff(answer.closer_than) <= 0).all()
        else:
            assert answer.closer_than is None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("text", ["xylograph zzz", "", "a dog near the win", "on the", "bicycle dog"])
def test_any_text_is_answered_after_a_calibration(calibrated, method, text):
    answer = calibrated.ask(text, method=method, settled=False)
    assert answer.query.text == text
    assert (answer.verdict is None) == (text == "")
    if text == "bicycle dog" and method == "infersent":
        assert "− unknown and left out: bicycle" in answer.verdict.reasons


def test_auto_is_the_method_that_was_measured_to_be_best_at_the_querys_length(calibrated):
    best = {1: "bm25", 3: "infersent"}
    calibration = calibrated.opened.calibration
    curve = tuple(
        replace(cell, by_method={name: (float(name == best.get(cell.length)),) * 3 for name in METHODS})
        for cell in calibration.curve
    )
    calibrated.opened.judge.calibration = replace(calibration, curve=curve)
    assert calibrated.ask("a dog", method="auto").method == "bm25"
    assert calibrated.ask("a dog near a window in the snow", method="auto").method == "infersent"
    assert calibrated.ask("a dog", method="words").method == "words"


def test_a_feature_is_asked_by_its_number(files):
    explorer = files.explorer(need="methods")
    values = explorer.opened.matrix.rows[:, 7].astype(float)
    for text in ("#7", " #7 "):
        answer = explorer.ask(text)
        assert (answer.query.feature, answer.query.is_text, answer.closer_than) == (7, False, None)
        assert answer.hits.rows[:5].tolist() == np.argsort(-values, kind="stable")[:5].tolist()
        assert answer.verdict.level is None
        assert explorer.compare(answer.query).lists == {}
    assert explorer.ask("#7", method="bm25").method == "infersent"
    dim = explorer.opened.matrix.dim
    none = explorer.ask(f"#{dim}")
    assert (none.found, none.verdict.reasons) == (None, (f"− there is no #{dim}: features go from #0 to #{dim - 1}",))
    for text in ('"#7"', "#7 dogs", "#", "# 7"):
        assert explorer.ask(text).query.feature is None, text


def test_a_caption_that_reads_like_a_feature_is_a_caption(files):
    files.vectors.write_text(files.vectors.read_text() + f"#7 {' '.join(['0.5'] * 12)}\n7 {' '.join(['0.2'] * 12)}\n")
    write_coco(files.captions, ["#7", "a red dog"])
    query = files.explorer().queries.of_text("#7")
    assert (query.row, query.feature) == (0, None)


def test_what_a_feature_responds_to_are_the_words_that_win_it_where_it_is_greatest(files):
    explorer = files.explorer()
    winners = finish(explorer.explainer.feature(3))
    matrix, vocabulary = explorer.opened.matrix, explorer.opened.text_encoder.vocabulary
    assert winners.hits.rows.tolist() == explorer.ask("#3").hits.rows.tolist()
    for row, word in list(zip(winners.hits.rows.tolist(), winners.words, strict=True))[::9]:
        ids = matrix.sentences[row]
        encoded = explorer.opened.text_encoder.encode(ids)
        at = int(encoded.winners[3])
        assert word == ("" if at in (0, len(ids) - 1) else vocabulary.words(ids)[at])
        assert explorer.explainer.explain(explorer.ask("#3"), row).falls_on == word


def test_features_in_common_are_those_that_contribute_most(files):
    explorer = files.explorer()
    answer = explorer.ask("a dog is sitting on a red couch")
    row = int(answer.hits.rows[0])
    features = explorer.explainer.explain(answer, row).agreement.features
    query = answer.query.embedding.astype(float)
    products = query / np.linalg.norm(query) * explorer.opened.matrix.rows[row].astype(float)
    for feature in features:
        assert feature.share == pytest.approx(products[feature.number] / products.sum(), abs=1e-3)
    assert [each.share for each in features] == sorted((each.share for each in features), reverse=True)
    assert all(each.share > 0 for each in features)
