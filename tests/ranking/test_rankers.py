"""Every method ranks as its definition says, and equals it done slowly."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import ask_caption, demo_texts, embedding_of, typed, write_coco
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from benchmarks.device_memory import limited_to
from core.assets import AssetError
from core.corpus.sentences import Sentences
from core.ranking import search
from core.ranking.methods import METHODS
from core.ranking.rankers import CONTEXT, Rankers, fuse, mix, pairs_of
from core.ranking.ranking import LEADING, Found
from core.ranking.search import MatrixSearcher, nearest_together
from core.store.progress import finish

# Scores

scores_of = hnp.arrays(np.float32, st.integers(1, 40), elements=st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.25]))


def order_slowly(scores, own_row) -> list[int]:
    ranked = [row for row in range(len(scores)) if scores[row] > 0 or row == own_row]
    return sorted(ranked, key=lambda row: (row != own_row, -scores[row], row))


@given(scores_of, st.integers(1, 50), st.booleans(), st.randoms(use_true_random=False))
def test_scores_rank_rows_equal_ones_by_row_number_and_the_own_row_first(scores, k, owned, random):
    own_row = random.randrange(len(scores)) if owned else None
    before = scores.copy()
    found = Found.by_score(scores, k=k, own_row=own_row)
    expected = order_slowly(scores, own_row)
    whole = found.order()
    assert whole.rows.tolist() == expected
    assert found.leading.rows.tolist() == expected[:k]
    np.testing.assert_array_equal(whole.scores, scores[whole.rows])
    np.testing.assert_array_equal(found.leading.scores, scores[found.leading.rows])
    assert len(whole.distances) == len(found.leading.distances) == 0
    np.testing.assert_array_equal(scores, before)


def test_rows_without_a_score_are_not_ranked_but_the_own_row_is():
    nothing = np.zeros(5, np.float32)
    assert len(Found.by_score(nothing, k=3, own_row=None).order()) == 0
    assert Found.by_score(nothing, k=3, own_row=2).order().rows.tolist() == [2]


@given(st.lists(st.permutations(range(12)).flatmap(lambda p: st.integers(0, 12).map(lambda k: p[:k])), max_size=4))
def test_fused_scores_are_reciprocal_rank_fusion(lists):
    expected = [sum(1 / (60 + found.index(row) + 1) for found in lists if row in found) for row in range(12)]
    found = fuse([np.array(rows, np.int32) for rows in lists], 12)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_mixing_adds_the_mean_of_the_captions_to_twice_the_unit_query():
    captions = np.eye(3, dtype=np.float16)[1:]
    np.testing.assert_allclose(mix(np.array([5.0, 0, 0]), captions), [2, 0.5, 0.5])
    np.testing.assert_allclose(mix(np.array([5.0, 0, 0]), captions[:0]), [2, 0, 0])


# Many queries at once


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_many_queries_find_what_a_full_sort_finds_whatever_the_block(data):
    n, q = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 6))
    k, block = data.draw(st.integers(1, 50)), data.draw(st.integers(1, 50))
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    rows = random.normal(size=(n, 8))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    queries = random.normal(size=(q, 8))
    queries = (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)
    pairs = np.argwhere(random.random((q, n)) < data.draw(st.sampled_from([0, 0.1, 0.6])))
    pairs = random.permutation(np.concatenate([pairs, pairs[:2]]))  # in any order, some of them twice
    never = np.flatnonzero(random.random(n) < 0.2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_ROWS_PER_STEP", block)
        last = finish(nearest_together(queries, rows, k=k, leave_out=pairs, excluded=never, device=torch.device("cpu")))
    cosines = queries.astype(np.float64) @ rows.astype(np.float64).T  # (Q, N)
    for i in range(q):
        gone = {*never.tolist(), *pairs[pairs[:, 0] == i, 1].tolist()}
        expected = sorted((row for row in range(n) if row not in gone), key=lambda row: -cosines[i, row])[:k]
        there = np.isfinite(last.cosines[i])
        assert set(last.rows[i][there].tolist()).isdisjoint(gone)
        np.testing.assert_allclose(last.cosines[i][there], cosines[i, expected], atol=1e-6)  # ties aside
        np.testing.assert_allclose(cosines[i, last.rows[i][there]], cosines[i, expected], atol=1e-6)
        assert last.rows.shape == last.cosines.shape == (q, min(k, n))


NO_PAIRS = np.empty((0, 2), np.int64)


def few_queries():
    random = np.random.default_rng(0)
    rows = random.normal(size=(35, 8)).astype(np.float16)
    queries = random.normal(size=(30, 8)).astype(np.float32)
    asked = {"k": 5, "leave_out": NO_PAIRS, "excluded": np.empty(0, np.int64), "device": torch.device("cpu")}
    return queries, rows, asked


def test_queries_that_do_not_fit_the_device_together_are_answered_in_halves(monkeypatch):
    monkeypatch.setattr(search, "_ROWS_PER_STEP", 10)
    queries, rows, asked = few_queries()
    roomy = finish(nearest_together(queries, rows, **asked))
    with limited_to("cpu", 10 * 8 * 4) as refusals:  # ten queries, or a block
        tight = finish(nearest_together(queries, rows, **asked))
    assert refusals.count
    assert tight.rows.tolist() == roomy.rows.tolist()
    np.testing.assert_allclose(tight.cosines, roomy.cosines, atol=1e-6)


def test_rows_are_left_out_of_the_right_queries_when_these_are_answered_in_halves(monkeypatch):
    monkeypatch.setattr(search, "_ROWS_PER_STEP", 10)
    queries, rows, asked = few_queries()
    every = finish(nearest_together(queries, rows, **asked | {"k": 8})).rows  # (30, 8)
    first = [np.sort(every[i, : i % 4]) for i in range(30)]  # the best hits, none to three of them
    with limited_to("cpu", 10 * 8 * 4) as refusals:
        tight = finish(nearest_together(queries, rows, **asked | {"leave_out": pairs_of(first)}))
    assert refusals.count
    for i in range(30):
        assert tight.rows[i].tolist() == every[i, i % 4 : i % 4 + 5].tolist()


def test_pairs_name_each_row_of_each_query():
    pairs = pairs_of([np.array([4, 7]), np.empty(0, np.int64), np.array([4])])
    assert pairs.tolist() == [[0, 4], [0, 7], [2, 4]]
    assert pairs_of([np.empty(0, np.int64)] * 3).shape == (0, 2)


def test_a_single_query_that_does_not_fit_the_device_is_an_error():
    queries, rows, asked = few_queries()
    with limited_to("cpu", 8), pytest.raises(AssetError, match="--device cpu"):
        finish(nearest_together(queries, rows, **asked))


def test_searching_many_queries_can_be_left_between_any_two_steps(monkeypatch):
    monkeypatch.setattr(search, "_ROWS_PER_STEP", 10)
    queries, rows, asked = few_queries()
    steps = nearest_together(queries, rows, **asked)
    seen = [next(steps).done for _ in range(3)]
    steps.close()
    assert seen == pytest.approx([30 * 10 / 35, 30 * 20 / 35, 30 * 30 / 35])


# Methods


@pytest.fixture
def explorer(files):
    return files.explorer(need="methods")


def rows_slowly(explorer, text: str, method: str) -> list[int]:
    return explorer.ask(text, method=method).hits.rows.tolist()


def test_context_moves_the_query_towards_the_first_captions_that_have_its_words(explorer):
    text = "a dog near the window"
    near = rows_slowly(explorer, text, "bm25")[:CONTEXT]
    query, rows = embedding_of(explorer, text), explorer.opened.matrix.rows.astype(np.float64)
    moved = 2 * query / np.linalg.norm(query) + rows[near].mean(axis=0)
    expected = np.argsort(-(rows @ moved) / np.linalg.norm(rows, axis=1), kind="stable")[:100]
    assert rows_slowly(explorer, text, "context") == expected.tolist()


def test_context_of_a_caption_leaves_that_caption_out(explorer):
    row = 17
    near = [hit for hit in ask_caption(explorer, row, method="bm25").hits.rows.tolist() if hit != row][:CONTEXT]
    rows = explorer.opened.matrix.rows.astype(np.float64)
    moved = 2 * rows[row] / np.linalg.norm(rows[row]) + rows[near].mean(axis=0)
    cosines = rows @ moved / np.linalg.norm(rows, axis=1)
    expected = [hit for hit in np.argsort(-cosines, kind="stable").tolist() if hit != row]
    assert ask_caption(explorer, row, method="context").hits.rows.tolist()[:20] == [row, *expected[:19]]


def test_context_takes_mean_word_vectors_when_no_caption_has_any_of_the_words(explorer):
    text = "the on a"  # stop words only
    assert rows_slowly(explorer, text, "bm25") == []
    near = rows_slowly(explorer, text, "words")[:CONTEXT]
    query, rows = embedding_of(explorer, text), explorer.opened.matrix.rows.astype(np.float64)
    moved = 2 * query / np.linalg.norm(query) + rows[near].mean(axis=0)
    expected = np.argsort(-(rows @ moved) / np.linalg.norm(rows, axis=1), kind="stable")[:50]
    assert rows_slowly(explorer, text, "context")[:50] == expected.tolist()


@pytest.mark.parametrize("row", [None, 17])
def test_fused_is_the_fusion_of_the_three_lists_without_the_caption_asked(explorer, row):
    query = typed(explorer, "a dog near the window") if row is None else explorer.queries.of_row(row)
    lists = []
    for method in ("infersent", "words", "bm25"):
        found = explorer.opened.rankers.find(method, query, k=101).leading.rows
        lists.append(found[found != row][:100])
    scores = fuse(lists, len(explorer.opened.matrix))
    expected = np.argsort(-scores, kind="stable")[: np.count_nonzero(scores)].tolist()
    expected = expected if row is None else [row, *(hit for hit in expected if hit != row)]
    fused = explorer.opened.rankers.find("fused", query).leading
    assert fused.rows.tolist() == expected[:100]
    assert (np.diff(fused.scores) <= 0).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "text",
    ["a dog near the window", "dog", "a dog near the win", "a bicycle near a dog", "caption"],
)
def test_every_method_gives_a_well_formed_answer(explorer, method, text):
    if text == "caption":
        answer = ask_caption(explorer, 17, method=method)
        same = explorer.ask(explorer.opened.captions.texts[17], method=method)
        assert answer.query.row == same.query.row == answer.hits.rows[0] == 17
        assert answer.hits.rows.tolist() == same.hits.rows.tolist()
    else:
        answer = explorer.ask(text, method=method, settled=False)
    hits = answer.hits
    assert answer.method == method
    assert answer.verdict is not None
    assert answer.query.tokens
    assert len(set(hits.rows.tolist())) == len(hits)
    whole = answer.found.order()
    assert whole.rows[: len(hits)].tolist() == hits.rows.tolist()
    if method in ("bm25", "fused"):
        assert len(hits.distances) == 0
        assert hits.scores.shape == hits.rows.shape
        assert (np.diff(hits.scores[1:]) <= 0).all()
    else:
        assert hits.scores is None
        assert hits.distances.shape == hits.rows.shape
        assert (np.diff(hits.distances) >= 0).all()
        assert ((hits.distances >= 0) & (hits.distances <= 2)).all()


def test_bm25_and_fused_find_captions_by_words_that_have_no_vector(files):
    write_coco(
        files.captions, ["a dog", "a bicycle by the wall", "a dog near a window", "a man on his bicycle", "a man"]
    )
    explorer = files.explorer(need="methods")
    for text in ("bicycle", "bicycles zzz"):  # no word of either has a vector
        for method in ("bm25", "fused"):
            answer = explorer.ask(text, method=method)
            assert sorted(answer.hits.rows.tolist()) == [1, 3]
            assert answer.verdict.level is None
        for method in ("infersent", "words", "context"):
            answer = explorer.ask(text, method=method)
            assert answer.found is None
            assert "no word of the query is known" in answer.verdict.reasons[0]
    assert set(explorer.ask("a dog and a bicycle", method="bm25").hits.rows.tolist()) == {0, 1, 2, 3}
    lists = explorer.compare(typed(explorer, "bicycle")).lists
    assert {method: len(hits) for method, hits in lists.items() if hits} == {"bm25": 2, "fused": 2}


def test_a_caption_without_known_words_leads_the_captions_that_share_its_words(files):
    write_coco(files.captions, ["a dog", "xylograph zzz", "a cat", "zzz", "the dog and a xylograph"])
    explorer = files.explorer(need="methods")
    assert explorer.opened.matrix.sentences.wordless().tolist() == [1, 3]
    for method in ("bm25", "fused"):
        answer = ask_caption(explorer, 1, method=method)
        assert answer.hits.rows.tolist() == [1, 3, 4]
        assert [token.text for token in answer.query.tokens] == ["xylograph", "zzz"]
        assert answer.verdict.level is None
    answer = ask_caption(explorer, 1)
    assert answer.found is None
    assert "no word of the query is known" in answer.verdict.reasons[0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("text", ["xylograph qqq", "", " ", "qq"])
def test_no_method_finds_anything_for_unknown_words_or_nothing(explorer, method, text):
    answer = explorer.ask(text, method=method)
    assert len(answer.hits) == 0
    assert answer.found is None
    assert answer.method == method
    if text.strip():
        by_words = method in ("bm25", "fused")
        assert answer.verdict.level == ("unreliable" if method == "infersent" else None)
        nothing = "has anything in common" if by_words else "no word of the query is known"
        assert nothing in answer.verdict.reasons[0]
    else:
        assert answer.verdict is None


def test_bm25_says_that_no_caption_has_a_word_of_a_query_whose_words_have_vectors(explorer):
    answer = explorer.ask("the on a", method="bm25")  # stop words
    assert answer.found is None
    assert "no caption has anything in common" in answer.verdict.reasons[0]


def prepared(explorer, texts: list[str]):
    """Queries of texts, none taken for a caption, and their unit embeddings."""
    queries = [replace(typed(explorer, text), row=None) for text in texts]
    embeddings = np.stack([query.embedding / np.linalg.norm(query.embedding) for query in queries]).astype(np.float32)
    return queries, embeddings


@pytest.mark.parametrize("method", METHODS)
def test_many_queries_find_what_each_finds_when_it_is_asked_alone(explorer, method):
    rankers, caption = explorer.opened.rankers, explorer.opened.captions.texts[17]
    texts = ["a dog near the window", "dog", "two men on a beach", "the on a", caption]
    queries, embeddings = prepared(explorer, texts)
    sources = np.array([*(explorer.ask(text).hits.rows[0] for text in texts[:4]), 17])  # else they would be found
    leave_out = list(sources[:, None])
    together = finish(rankers.find_many(queries, embeddings, leave_out, device="cpu")).rows[method]
    for query, source, rows in zip(queries, sources.tolist(), together.tolist(), strict=True):
        found = rankers.find(method, replace(query, row=source))  # leaves its own caption out in all that it looks at
        whole = found.order()
        values = whole.distances if whole.scores is None else whole.scores
        alone = dict(list(zip(whole.rows.tolist(), values.tolist(), strict=True))[1:])
        there = [row for row in rows if row >= 0]
        assert len(there) == min(len(alone), LEADING)
        assert source not in there
        rounding = 3e-4  # of stored lengths near 1, which `find_many` takes for 1: it may swap neighbours
        np.testing.assert_allclose([alone[row] for row in there], list(alone.values())[:LEADING], atol=rounding)


# Many queries, among some of the captions


NOBODY = np.empty(0, np.int64)
ASKED = ["a dog near the window", "dog", "two men on a beach", "the on a", "a cat on a train"]


class Part:
    """Some rows of a matrix or of mean word vectors, and of the BM25 scores, as a corpus of their own."""

    def __init__(self, whole, rows: np.ndarray) -> None:
        self._whole, self._of = whole, rows

    def __len__(self) -> int:
        return len(self._of)

    def __getattr__(self, name: str):
        value = getattr(self._whole, name)
        if name in ("rows", "row_norms"):
            return value[self._of]
        return Sentences.joined([value[row] for row in self._of]) if name == "sentences" else value

    def scores(self, stems: list[str]) -> np.ndarray:
        return self._whole.scores(stems)[self._of]


def alone(explorer, rows: np.ndarray) -> Rankers:
    """Rankers over a corpus of some rows, with the word statistics of all."""
    opened, lexical = explorer.opened, explorer.opened.rankers.lexical
    matrix = Part(opened.matrix, rows)
    words = SimpleNamespace(words=Part(lexical.words, rows), bm25=Part(lexical.bm25, rows))
    return Rankers(matrix, MatrixSearcher(matrix), words)


@pytest.fixture
def sparse(files):
    """An explorer over 200 captions, some without a known word, some of them copies of others."""
    texts = demo_texts(200)
    for row in (3, 50, 51, 120):
        texts[row] = "xylograph zzz"
    for row in (60, 61, 150):
        texts[row] = ASKED[0]
    write_coco(files.captions, texts)
    return files.explorer(need="methods")


def best_of(lists, row: int) -> np.ndarray:
    """The first two hits of every method for a query, which would be found if they were not left out."""
    return np.unique([rows[row, :2] for rows in lists.rows.values() if rows[row, 1] >= 0])


@pytest.mark.parametrize("count", [150, 40])  # more and fewer than hits
def test_many_queries_among_some_captions_find_what_they_find_in_a_corpus_of_these(sparse, count):
    queries, embeddings = prepared(sparse, ASKED)
    rankers = sparse.opened.rankers
    among = np.sort(np.random.default_rng(count).permutation(200)[:count])
    before = finish(rankers.find_many(queries, embeddings, [NOBODY] * 5, device="cpu", among=among))
    outside = np.setdiff1d(np.arange(200), among)[:3]
    leave_out = [np.sort(np.append(best_of(before, i), outside)) for i in range(4)] + [NOBODY]
    found = finish(rankers.find_many(queries, embeddings, leave_out, device="cpu", among=among))
    places = [np.searchsorted(among, rows[np.isin(rows, among)]) for rows in leave_out]
    expected = finish(alone(sparse, among).find_many(queries, embeddings, places, device="cpu"))
    allowed = {-1, *among.tolist()} - set(sparse.opened.matrix.sentences.wordless().tolist())
    assert found.stems == expected.stems
    np.testing.assert_allclose(found.cosines, expected.cosines, atol=1e-6)
    for method in METHODS:
        rows, of = found.rows[method], expected.rows[method]
        assert rows.shape == (5, LEADING)
        assert set(rows.ravel().tolist()) <= allowed
        assert rows.tolist() == np.where(of >= 0, among[of], -1).tolist()
        for i in range(5):
            assert not np.isin(rows[i], leave_out[i]).any()


@pytest.mark.parametrize("count", [150, 40])
def test_among_some_captions_the_nearest_equal_a_full_sort_of_these(sparse, count):
    queries, embeddings = prepared(sparse, ASKED)
    opened = sparse.opened
    among = np.sort(np.random.default_rng(count).permutation(200)[:count])
    leave_out = [among[i : i + i] for i in range(5)]
    found = finish(opened.rankers.find_many(queries, embeddings, leave_out, device="cpu", among=among))
    means = np.stack([opened.rankers.lexical.words.embed(query.ids) for query in queries])
    for method, asked, rows in (
        ("infersent", embeddings, opened.matrix.rows),
        ("words", means, opened.rankers.lexical.words.rows),
    ):
        cosines = asked.astype(np.float64) @ rows.astype(np.float64).T  # (5, 200)
        cosines /= np.linalg.norm(asked, axis=1, keepdims=True)
        for i in range(5):
            allowed = np.setdiff1d(among, [*leave_out[i], *opened.matrix.sentences.wordless()])
            there = found.rows[method][i][found.rows[method][i] >= 0]
            best = np.sort(cosines[i, allowed])[::-1][:LEADING]
            assert len(set(there.tolist())) == len(there) == len(best)
            assert set(there.tolist()) <= set(allowed.tolist())
            np.testing.assert_allclose(cosines[i, there], best, atol=1e-5)


def test_among_all_captions_is_as_without_a_choice(sparse):
    queries, embeddings = prepared(sparse, ASKED)
    leave_out = [np.array([i, 60, 61]) for i in range(5)]
    search = partial(sparse.opened.rankers.find_many, queries, embeddings, leave_out, device="cpu")
    every, chosen = finish(search()), finish(search(among=np.arange(200)))
    for method in METHODS:
        assert every.rows[method].tolist() == chosen.rows[method].tolist()


def test_captions_left_out_count_for_no_method_as_if_they_were_not_there(sparse):
    queries, embeddings = prepared(sparse, ASKED)
    search = partial(sparse.opened.rankers.find_many, queries, embeddings, device="cpu")
    gone = np.unique(np.concatenate([best_of(finish(search([NOBODY] * 5)), i) for i in range(5)]))
    left, there = finish(search([gone] * 5)), np.setdiff1d(np.arange(200), gone)
    others = finish(search([NOBODY] * 5, among=there))
    for method in METHODS:
        assert not np.isin(left.rows[method], gone).any()
        same = (left.rows[method] == others.rows[method]).mean()
        assert same > 0.98, method  # products of other shapes are rounded otherwise: rows that nearly tie change places


def test_another_method_than_infersent_wants_its_index_first(files):
    with pytest.raises(RuntimeError, match="open_methods"):
        files.explorer().ask("a dog", method="bm25")
