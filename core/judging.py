"""Judging: the verdict on an answer, by the calibration or, before there is one, by rules of thumb."""

from __future__ import annotations

from core.opened import Opened
from core.query import Query
from core.ranking.methods import Method
from core.ranking.ranking import FIRST, Found
from core.trust.verdict import (
    Verdict,
    describe_feature,
    describe_no_sum,
    describe_nothing,
    describe_unmeasured,
    first_hits,
    judge_by_rules,
)


def judge(opened: Opened, query: Query, found: Found | None, method: Method) -> Verdict | None:
    """Judge what a method found among all captions; None for a query that is still being typed."""
    if query.feature is not None:
        return describe_feature(query, opened.matrix.dim)
    if query.is_unfinished:
        return None
    if found is None:
        return describe_no_sum(query) if query.terms else describe_nothing(query, method, opened.lacks(method))
    if opened.judge is not None:
        return opened.judge.judge(query, found, method)
    return _judge_unmeasured(opened, query, found, method)


def _judge_unmeasured(opened: Opened, query: Query, found: Found, method: Method) -> Verdict | None:
    """Judge by rules of thumb, but not while a saved calibration is being loaded."""
    if opened.saved_calibration is not None:
        return None
    if method != "infersent":
        return describe_unmeasured(opened.name_of(method), why=opened.why_unmeasured)
    sentences, vocabulary = opened.matrix.sentences, opened.text_encoder.vocabulary
    hits, _ = first_hits(query, found, sentences)
    words = [frozenset(map(str.lower, vocabulary.words(sentences[row]))) for row in hits.rows[:FIRST]]
    return judge_by_rules(query, words, why=opened.why_unmeasured)
