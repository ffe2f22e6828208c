"""Stress: distances and overlaps equal those of the explorer; nothing is claimed where the encoder sees no nouns."""

import json

import pytest
from conftest import Files, write_coco
from scipy.spatial.distance import cosine

from core.store.progress import finish
from core.trust.stress import Moved, Threshold, drawn, measure_threshold, stress, stress_corpus
from core.trust.variations import GROUPS, KINDS, vary

TEXT = "a dog is sitting on a red couch in front of a white house"


@pytest.fixture
def opened(files: Files):
    return files.explorer().opened


def measured(opened) -> Threshold | None:
    return finish(measure_threshold(opened.matrix, opened.captions.texts, opened.text_encoder))


def moves(opened, text: str, threshold: Threshold | None) -> tuple[Moved, ...]:
    stressed = finish(
        stress(
            text,
            sentences=opened.matrix.sentences,
            searcher=opened.searcher,
            text_encoder=opened.text_encoder,
            threshold=threshold,
        )
    )
    assert (stressed.text, stressed.threshold) == (text, threshold)
    return stressed.moved


def test_the_groups_have_every_kind_in_its_order():
    assert tuple(kind for kinds in GROUPS.values() for kind in kinds) == KINDS


def test_distances_and_overlaps_equal_those_of_single_questions(files: Files):
    explorer = files.explorer()
    hits, query = explorer.ask(TEXT, k=10).hits, explorer.queries.of_text(TEXT)
    for moved in moves(explorer.opened, TEXT, Threshold(0.05, 1.0)):
        other = explorer.queries.of_text(f'"{moved.variation.text}"')
        assert moved.distance == pytest.approx(cosine(query.embedding, other.embedding), abs=1e-4)
        assert moved.unseen == (moved.distance <= 0.05)
        theirs = explorer.answer(other, k=10).hits.rows
        assert moved.overlap == pytest.approx(len(set(hits.rows.tolist()) & set(theirs.tolist())), abs=1)
        assert moved.hits.rows.tolist()[:5] == theirs.tolist()[:5]


def test_a_doubled_blank_moves_nothing_and_a_copy_of_the_query_is_no_hit(files: Files):
    opened = files.explorer().opened
    caption = next(text for text in opened.captions.texts if vary(text)[3].kind == "blank")
    (moved,) = [each for each in moves(opened, caption, None) if each.variation.kind == "blank"]
    assert moved.distance == pytest.approx(0, abs=1e-12)
    assert (moved.overlap, moved.unseen) == (10, None)


def test_the_threshold_is_measured_once(opened, monkeypatch):
    threshold = measured(opened)
    assert 0 < threshold.distance < 2
    assert 0 <= threshold.control <= 1
    monkeypatch.setattr("core.trust.stress._embed", None)
    assert measured(opened) == threshold
    path = opened.matrix.folder / "variations.json"
    path.write_text(json.dumps({"format": 0, "distance": 1, "control": 1}))
    with pytest.raises(TypeError):
        measured(opened)


def test_a_few_long_captions_are_left_out_of_the_threshold(opened, files: Files):
    threshold, texts = measured(opened), opened.captions.texts
    write_coco(files.captions, [*texts, *(" ".join([*texts[:n], "a dog"]) for n in (60, 120))])
    longer = files.explorer().opened
    assert len(longer.matrix.sentences[301]) > 1000
    assert 301 not in drawn(longer.matrix)
    assert measured(longer).distance == pytest.approx(threshold.distance, abs=1e-6)


def test_what_is_measured_is_said(opened):
    stages = list[str]()
    steps = measure_threshold(opened.matrix, opened.captions.texts, opened.text_encoder)
    finish(steps, lambda step: stages.append(step.stage))
    assert set(stages) == {"measuring harmless edits of captions"}


def test_nothing_is_claimed_where_other_nouns_are_not_seen(opened):
    assert {moved.unseen for moved in moves(opened, TEXT, Threshold(0.05, 0.89))} == {None}
    assert {moved.unseen for moved in moves(opened, TEXT, None)} == {None}


def test_captions_without_nouns_have_no_threshold(files: Files, monkeypatch):
    files.captions.write_text(json.dumps(["red on the", "of the in", "blue"]))
    opened = files.explorer().opened
    assert measured(opened) is None
    monkeypatch.setattr("core.trust.stress._embed", None)
    assert measured(opened) is None, "which is kept, too"


def test_a_variation_without_a_known_word_has_no_distance(opened):
    moved = moves(opened, "dog qwertz", None)
    assert [each.distance for each in moved if each.variation.text == "qwertz"] == [None]


def test_an_unknown_word_that_is_left_out_is_no_variation(opened):
    texts = [each.variation.text for each in moves(opened, "a dog qwertz on a couch", None)]
    assert "a dog on a couch" not in texts
    assert "a qwertz on a couch" in texts


def test_another_order_moves_nothing_by_bm25_and_by_mean_word_vectors(files: Files):
    explorer = files.explorer(need="methods")
    words = explorer.opened.rankers.lexical.words
    vocabulary = explorer.opened.text_encoder.vocabulary
    for text in ("a dog is sitting on a red couch in front of a white house", "two men near a bus and a big tree"):
        for variation in vary(text):
            if variation.kind in ("swap", "shuffle"):
                one, other = (words.embed(vocabulary.look_up(each).ids) for each in (text, variation.text))
                assert (one == other).all()
                for method in ("bm25", "words"):
                    lists = [explorer.ask(f'"{each}"', method=method, k=10).hits for each in (text, variation.text)]
                    assert lists[0].rows.tolist() == lists[1].rows.tolist()


def test_the_figures_of_a_corpus_are_those_of_its_captions(files: Files):
    opened = files.explorer(need="methods").opened
    table = finish(
        stress_corpus(opened.matrix, opened.captions.texts, opened.rankers, opened.text_encoder, device="cpu")
    )
    texts = list(dict.fromkeys(opened.captions.texts))
    assert table.captions == len(texts) == 300, "all of them"
    threshold = measured(opened)
    assert table.thresholds["infersent"].distance == pytest.approx(threshold.distance, abs=1e-6)
    moved = [each for text in texts for each in moves(opened, text, threshold) if each.variation.kind == "colour"]
    figures = table.figures["colour"]["infersent"]
    assert table.applies["colour"] == len(moved) > 5
    assert figures.median_distance == pytest.approx(sorted(each.distance for each in moved)[len(moved) // 2], rel=0.2)
    assert figures.overlap_at_10 == pytest.approx(sum(each.overlap for each in moved) / len(moved), abs=0.3)
