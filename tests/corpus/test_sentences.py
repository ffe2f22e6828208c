"""Sentences: texts as token ids, and the rows that equal others."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.corpus.sentences import Sentences


def sentences(rows: list[list[int]]) -> Sentences:
    """Texts of these token ids between the marks 1 and 2."""
    return Sentences.joined([np.array([1, *row, 2], np.int32) for row in rows])


def test_copies_are_all_rows_of_the_same_ids_itself_included():
    texts = sentences([[5, 6], [5], [5, 6], [6, 5], [5, 6], [5, 6, 6]])
    assert [rows.tolist() for rows in texts.copies([2, 1, 3])] == [[0, 2, 4], [1], [3]]


def test_rows_that_begin_alike_or_share_their_bytes_are_no_copies():
    texts = sentences([[5], [5, 5], [5 + 256], [5 * 2**24], []])
    assert [rows.tolist() for rows in texts.copies(range(5))] == [[0], [1], [2], [3], [4]]


def test_rows_without_a_known_word_are_copies_of_each_other():
    assert [rows.tolist() for rows in sentences([[], [5], []]).copies([2])] == [[0, 2]]


def test_the_same_row_may_be_asked_for_twice_and_no_row_has_no_copies():
    texts = sentences([[5], [6], [5]])
    assert [rows.tolist() for rows in texts.copies([0, 2, 0])] == [[0, 2]] * 3
    assert texts.copies([]) == []


@given(st.lists(st.lists(st.integers(3, 5), max_size=3), min_size=1, max_size=30), st.data())
def test_copies_equal_a_search_for_each_row(rows, data):
    texts = sentences(rows)
    asked = data.draw(st.lists(st.integers(0, len(rows) - 1)))
    found = texts.copies(asked)
    assert [each.tolist() for each in found] == [texts.find(texts[row]).tolist() for row in asked]
    for row, copies in zip(asked, found, strict=True):
        assert copies.tolist() == [other for other, ids in enumerate(rows) if ids == rows[row]]
        assert copies.dtype == np.int64


rows_strategy = st.lists(st.lists(st.integers(0, 300), min_size=1, max_size=5), min_size=1, max_size=12)


def spelled(texts: Sentences) -> list[list[int]]:
    return [texts[row].tolist() for row in range(len(texts))]


@given(rows_strategy, st.data())
def test_some_sentences_can_be_taken_in_any_order(rows, data):
    texts = Sentences.joined([np.array(row, np.int32) for row in rows])
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=15))
    assert spelled(texts.take(np.array(chosen, np.int64))) == [rows[i] for i in chosen]
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(rows))] * 2)))
    assert spelled(texts.part(start, stop)) == rows[start:stop]
    assert spelled(texts.part(start, stop).reversed()) == [row[::-1] for row in rows[start:stop]]


@given(rows_strategy)
def test_distinct_ids_stand_for_the_ids_of_the_sentences(rows):
    ids, places = Sentences.joined([np.array(row, np.int32) for row in rows]).by_distinct_id()
    assert ids.tolist() == sorted({word for row in rows for word in row})
    assert [[int(ids[place]) for place in row] for row in spelled(places)] == rows
