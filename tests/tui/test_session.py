"""The session: questions, methods and the trail, without a screen."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from core.ranking.filters import EVERY
from core.ranking.methods import CHOICES
from tui.session import Session, Visit


def shown(session: Session, question, *, tokens=("dog",)):
    """Return a shown answer, and store its question in the session."""
    session.shown = question
    return SimpleNamespace(query=SimpleNamespace(text=question.text, tokens=tokens, terms=()))


def test_only_the_latest_question_is_current():
    session = Session()
    first, second = session.type("a d", cursor=0), session.type("a do", cursor=0)
    assert not session.is_current(first)
    assert session.is_current(second)
    assert not second.settled
    assert session.settle(first) is None
    assert session.settle(second).settled


def test_the_cursor_is_kept_also_while_the_same_query_is_asked_again():
    session = Session()
    answer = shown(session, session.go(Visit("a caption", 7), cursor=0))
    session.again(answer, "")  # not answered yet
    session.go(Visit("a hit", 9), cursor=5)
    session.back(cursor=0)
    assert session.cursor_wanted == 5
    session.back(cursor=3)  # the list shown is still that of the caption, asked for the second time
    assert session.visits[1].cursor is None, "the hit's own list was never shown"


def test_keystrokes_are_not_in_the_trail_and_back_returns_to_the_query_before_them():
    session = Session()
    shown(session, session.go(Visit("a caption", 7), cursor=0))
    session.type("d", cursor=4)
    session.type("do", cursor=0)
    assert [visit.text for visit in session.path] == ["a caption"]
    question = session.back(cursor=0)
    assert (question.text, question.row) == ("a caption", 7)
    assert session.cursor_wanted == 4
    assert not session.is_typing


def test_the_cursor_is_kept_in_the_list_of_a_caption_whose_text_was_typed_again():
    session = Session()
    shown(session, session.go(Visit("a dog", 7), cursor=0))
    question = session.type("a dog", cursor=0)
    session.is_typing = False  # `enter` on the text that is there already
    shown(session, question)
    session.go(Visit("a hit", 9), cursor=5)
    session.back(cursor=0)
    assert session.cursor_wanted == 5


def test_back_returns_to_each_query_with_its_cursor_and_ends_at_the_first():
    session = Session()
    shown(session, session.go(Visit("one", 1), cursor=0))
    shown(session, session.go(Visit("two", 2), cursor=11))
    session.go(Visit("three", 3), cursor=22)
    assert (session.back(cursor=0).text, session.cursor_wanted) == ("two", 22)
    assert (session.back(cursor=0).text, session.cursor_wanted) == ("one", 11)
    assert session.back(cursor=0) is None


def test_the_cursor_of_a_list_is_not_kept_for_a_query_whose_answer_was_never_shown():
    session = Session()
    shown(session, session.go(Visit("one", 1), cursor=0))
    session.go(Visit("two", 2), cursor=5)
    session.go(Visit("three", 3), cursor=5)
    assert (session.back(cursor=0).text, session.cursor_wanted) == ("two", None)
    assert (session.back(cursor=0).text, session.cursor_wanted) == ("one", 5)


def test_a_wanted_place_among_the_leading_hits_is_reached_with_them():
    session = Session()
    shown(session, session.go(Visit("one", 1), cursor=0))
    shown(session, session.go(Visit("two", 2), cursor=50))
    session.back(cursor=0)
    assert session.place_for_answer(100) == 50
    session.note_cursor(50)
    assert session.place_for_ranking(50) is None


def test_a_wanted_place_beyond_the_leading_hits_is_reached_with_the_ranking_unless_the_cursor_was_moved():
    for moved_to, expected in ((99, 150), (98, None)):
        session = Session()
        shown(session, session.go(Visit("one", 1), cursor=0))
        shown(session, session.go(Visit("two", 2), cursor=150))
        session.back(cursor=0)
        assert session.place_for_answer(100) == 150
        session.note_cursor(99)
        assert session.place_for_ranking(moved_to) == expected
        assert session.cursor_wanted is None


def test_another_question_forgets_the_wanted_place():
    session = Session()
    shown(session, session.go(Visit("one", 1), cursor=0))
    shown(session, session.go(Visit("two", 2), cursor=150))
    session.back(cursor=0)
    session.type("x", cursor=0)
    assert session.place_for_answer(100) is None


def test_the_methods_are_switched_in_both_directions():
    session = Session()
    seen = []
    for _ in CHOICES:
        seen.append(session.method)
        session.switch_method(1, CHOICES)
    assert tuple(seen) == CHOICES
    session.switch_method(-1, CHOICES)
    assert session.method == CHOICES[-1]


def test_asking_again_uses_the_shown_query_and_the_current_method():
    session = Session()
    question = session.go(Visit("a dog", None), cursor=0)
    answer = shown(session, question)
    session.switch_method(2, CHOICES)
    again = session.again(answer, "")
    assert (again.text, again.method, again.query) == ("a dog", CHOICES[2], answer.query)
    assert again.serial > question.serial


def test_asking_again_while_typing_asks_the_text_in_the_box():
    session = Session()
    question = session.type("a do", cursor=0)
    again = session.again(shown(session, question), "a dog")
    assert (again.text, again.query, again.settled) == ("a dog", None, True)


def test_an_answer_without_its_tokens_is_asked_again_by_its_caption():
    session = Session()
    question = session.go(Visit("a dog", 3), cursor=0)
    again = session.again(shown(session, question, tokens=()), "")
    assert (again.row, again.query) == (3, None)


def test_nothing_is_asked_again_before_anything_was_asked():
    assert Session().again(None, "") is None


def test_forward_goes_where_one_went_last():
    session = Session()
    shown(session, session.go(Visit("one", 1), cursor=0))
    session.go(Visit("two", 2), cursor=0)
    session.back(cursor=0)
    session.go(Visit("three", 3), cursor=0)
    session.back(cursor=0)
    assert session.forward(cursor=0).text == "three"
    assert session.forward(cursor=0) is None
    assert [visit.text for visit in session.visits] == ["one", "two", "three"], "nothing visited is forgotten"
    assert [visit.text for visit in session.path] == ["one", "three"]


def test_a_walk_begins_at_the_last_query_that_was_not_followed():
    session = Session()
    for text, how in (("one", "random"), ("two", "followed"), ("three", "typed"), ("four", "followed")):
        session.go(Visit(text, None, how), cursor=0)
    assert [visit.text for visit in session.walk] == ["three", "four"]


def test_drift_is_the_cosine_distance_from_the_first_query_of_the_walk():
    session = Session()
    vectors = np.random.default_rng(0).normal(size=(3, 8))
    nothing = SimpleNamespace(rows=np.empty(0, int), distances=np.empty(0), scores=None)
    for text, vector in zip("abc", vectors, strict=True):
        question = session.go(Visit(text, None, "typed" if text == "a" else "followed"), cursor=0)
        assert session.here.drift is None, "not known before the answer"
        query = SimpleNamespace(embedding=vector)
        session.note_answer(
            question, SimpleNamespace(query=query, verdict=None, hits=nothing, method="infersent", among=EVERY)
        )
    distances = cdist(vectors, vectors, "cosine")
    assert session.here.drift == pytest.approx(distances[0, 2], abs=1e-12)
    assert session.here.step == pytest.approx(distances[1, 2], abs=1e-12)
