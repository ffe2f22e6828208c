"""Queries: a text or a caption as a value that is ready for every method, and what is remembered of it."""

import numpy as np
import pytest
from conftest import embedding_of, typed, write_coco

from core.answers import Stopwatch

# Of a text


def test_a_typed_query_has_the_embedding_of_its_words(files):
    explorer = files.explorer()
    query = typed(explorer, "a dog near the window")
    np.testing.assert_allclose(query.embedding, embedding_of(explorer, "a dog near the window"), atol=1e-6)
    assert (query.text, query.literal, query.row, query.known) == (*["a dog near the window"] * 2, None, 5)


def test_importance_is_shared_by_known_words_and_marks(files):
    query = typed(files.explorer(), "a bicycle by the wall")  # bicycle has no vector
    known = {token.text: token.known for token in query.tokens}
    assert known == {"a": True, "bicycle": False, "by": True, "the": True, "wall": True}
    assert sum(token.importance for token in query.tokens) + query.marks_importance == pytest.approx(1)
    assert next(token for token in query.tokens if token.text == "bicycle").importance == 0


@pytest.mark.parametrize("text", ["xylograph zzz", ""])
def test_a_text_without_known_words_has_no_embedding_but_can_be_searched_by_words(files, text):
    query = typed(files.explorer(), text)
    assert (query.embedding, query.known, query.literal) == (None, 0, text)
    assert [token.text for token in query.tokens] == text.split()


def test_only_the_last_word_of_a_text_that_is_being_typed_is_unfinished(files):
    queries = files.explorer().queries

    def unfinished(text, *, settled=False):
        query = queries.of_text(text, settled=settled)
        return [token.text for token in query.tokens if token.unfinished], query.is_unfinished

    assert unfinished("a dog on the bicyc") == (["bicyc"], False)
    assert unfinished("a dog on the bicyc ") == unfinished("a dog on the bicyc", settled=True) == ([], False)
    assert unfinished("bicyc") == (["bicyc"], True)
    assert unfinished("bicyc ") == unfinished("bicyc", settled=True) == ([], False)
    assert unfinished("dog") == (["dog"], False)


def test_a_text_that_is_a_caption_is_that_captions_row(files):
    explorer = files.explorer()
    query = typed(explorer, explorer.opened.captions.texts[17])
    assert query.row == 17
    np.testing.assert_array_equal(query.embedding, explorer.opened.matrix.rows[17])


def test_a_caption_is_never_read_as_a_sum(files):
    write_coco(files.captions, ["a man - a dog", "a man a dog", "a dog", "a cat"])
    explorer = files.explorer()
    for query in (typed(explorer, "a man - a dog"), explorer.queries.of_row(0), typed(explorer, "a man  -  a dog")):
        assert (query.row, query.terms) == (0, ())


def test_a_sum_whose_operator_has_no_vector_is_not_taken_for_a_caption_without_it(files):
    write_coco(files.captions, ["a man a dog", "a dog", "a cat"])
    explorer = files.explorer()
    assert explorer.opened.text_encoder.vocabulary.vectors.find(["+"]) == [-1]
    assert [term.text for term in typed(explorer, "a man + a dog").terms] == ["a man", "a dog"]


def test_a_quoted_text_is_no_sum(files):
    query = typed(files.explorer(), '"a man - a dog"')
    assert (query.terms, query.text, query.literal) == ((), '"a man - a dog"', "a man - a dog")
    assert [token.text for token in query.tokens] == ["a", "man", "-", "a", "dog"]


def test_a_sum_has_terms_in_place_of_tokens_and_the_sum_of_their_unit_embeddings(files):
    explorer = files.explorer()
    query = typed(explorer, "2 * a dog - 0.5 * a cat near the window")
    total = np.zeros(32)
    for weight, words in ((2, "a dog"), (-0.5, "a cat near the window")):
        embedding = embedding_of(explorer, words)
        total += weight * embedding / np.linalg.norm(embedding)
    np.testing.assert_allclose(query.embedding, total, atol=1e-4)
    assert [(term.weight, term.text) for term in query.terms] == [(2, "a dog"), (-0.5, "a cat near the window")]
    assert [token.text for token in query.terms[0].tokens] == ["a", "dog"]
    assert (query.tokens, query.row, query.literal, query.known) == ((), None, "", 0)


# What it is about


def subject(query) -> list[str]:
    return [token.text for token in query.subject]


def test_a_text_is_about_all_its_tokens(files):
    query = typed(files.explorer(), "a bicycle near the dog")  # bicycle has no vector
    assert query.subject == query.tokens
    assert (query.count_content_words(), query.count_content_words(without_vector=True)) == (1, 2)


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("a dog + a cat", ["a", "dog", "a", "cat"]),
        ("a dog - a cat", ["dog"]),
        ("a dog near the window - a dog + a man", ["near", "the", "window", "man"]),
        ("a man - a dog + a dog", ["man"]),
        ("2 * a dog - 0.5 * the dog", ["a"]),
        ("a Dog - the dOG + a cat", ["a", "a", "cat"]),
        ("a dog + a cat - a dog - a cat", []),
        ("0 * a dog + a cat", ["a", "cat"]),
        ("0 * a cat + a cat near the window - 0 * the window", ["a", "cat", "near", "the", "window"]),
    ],
)
def test_a_sum_is_about_what_is_added_and_not_subtracted(files, text, about):
    query = typed(files.explorer(), text)
    assert query.terms
    assert subject(query) == about


def test_a_sum_counts_the_content_words_of_its_subject(files):
    explorer = files.explorer()
    query = typed(explorer, "a dog near the window - a dog + a man")
    assert query.count_content_words() == 2  # window and man; not near, a function word, or dog
    query = typed(explorer, "a dog on a bicycle - a man")  # bicycle has no vector
    assert (query.count_content_words(), query.count_content_words(without_vector=True)) == (1, 2)
    query = typed(explorer, "a man - a dog with a man")
    assert (query.count_content_words(), query.count_content_words(without_vector=True)) == (0, 0)


def test_a_subtracted_word_without_a_vector_is_no_part_of_the_subject_either(files):
    query = typed(files.explorer(), "a dog on a bicycle - a man on a bicycle")
    assert subject(query) == ["dog"]
    assert query.count_content_words(without_vector=True) == 1


# Of a caption


def test_the_query_of_a_caption_is_complete_once_its_tokens_are_added(files):
    explorer = files.explorer()
    for row in (0, 17):
        bare = explorer.queries.of_row(row)
        assert (bare.row, bare.tokens) == (row, ())
        whole, same = explorer.queries.complete(bare, watch=Stopwatch()), typed(explorer, bare.text)
        np.testing.assert_array_equal(whole.embedding, same.embedding)
        np.testing.assert_array_equal(whole.ids, same.ids)
        assert whole.tokens == same.tokens
        assert whole.marks_importance == same.marks_importance


def test_the_query_of_a_caption_without_known_words_has_only_its_text(files):
    write_coco(files.captions, ["a dog", "xylograph zzz"])
    queries = files.explorer().queries
    query = queries.complete(queries.of_row(1), watch=Stopwatch())
    assert (query.row, query.embedding, query.literal) == (1, None, "xylograph zzz")
    assert [(token.text, token.known) for token in query.tokens] == [("xylograph", False), ("zzz", False)]


# Remembered


def test_a_settled_query_is_remembered_once_its_answer_is_shown_and_a_keystroke_is_not(files, monkeypatch):
    explorer = files.explorer()
    cache, queries = explorer.opened.cache, explorer.queries
    reads, recall = [], cache.recall_answer
    monkeypatch.setattr(cache, "recall_answer", lambda key: reads.append(key) or recall(key))
    queries.of_text("a dog ne", settled=False)
    queries.remember()
    assert (len(reads), len(cache._answers)) == (0, 0)
    first = typed(explorer, "a dog near")
    assert (len(reads), len(cache._answers)) == (1, 0)
    queries.remember()
    assert len(cache._answers) == 1
    queries._recent.clear()
    second = typed(explorer, "a dog near")
    assert len(reads) == 2
    assert not queries._unwritten  # it is there already
    np.testing.assert_array_equal(first.embedding, second.embedding)
    assert first.tokens == second.tokens


def test_a_damaged_remembered_answer_is_a_miss(files):
    explorer = files.explorer()
    first = typed(explorer, "a dog near")
    explorer.queries.remember()
    answers = explorer.opened.cache._answers
    assert len(answers) == 1
    for key in list(answers.iterkeys()):
        answers.set(key, b"\0" * 5)
    explorer.queries._recent.clear()
    np.testing.assert_array_equal(typed(explorer, "a dog near").embedding, first.embedding)


def test_a_remembered_caption_needs_no_encoder(files):
    explorer = files.explorer()
    whole = explorer.queries.complete(explorer.queries.of_row(17), watch=Stopwatch())
    explorer.queries.remember()
    again = files.explorer()
    same = again.queries.complete(again.queries.of_row(17), watch=Stopwatch())
    assert same.tokens == whole.tokens
    assert not again.opened.text_encoder.is_loaded
