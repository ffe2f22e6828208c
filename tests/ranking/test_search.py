"""Search equals scipy's cdist and a stable sort in float64, row by row."""

import gzip
import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from conftest import needs_real_captions, real_captions
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference import rank_slowly

from core.corpus.sentences import Sentences
from core.encoding.codes import RowCodes
from core.encoding.matrix import _unit_rows
from core.ranking.search import Searcher


@dataclass
class Matrix:
    """What a searcher needs of an embedding matrix."""

    rows: NDArray[np.float16]
    row_norms: NDArray[np.float32]
    sentences: Sentences
    codes: RowCodes | None


def matrix(embeddings: NDArray[np.float32], wordless: tuple[int, ...] = (), *, coded: bool = True) -> Matrix:
    unit = _unit_rows(embeddings)
    lengths = np.full(len(embeddings), 3)
    lengths[list(wordless)] = 2
    sentences = Sentences(np.zeros(lengths.sum(), np.int32), np.concatenate([[0], np.cumsum(lengths)]))
    return Matrix(unit.rows, unit.row_norms, sentences, RowCodes.of(unit.rows) if coded else None)


def rows_that_share_a_mean(n: int, dim: int, seed: int = 0, share: float = 0.8) -> NDArray[np.float32]:
    """Rows whose cosines lie around `share`, one in a hundred a copy of another."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=dim)
    rows = mean / np.linalg.norm(mean) * np.sqrt(share) + rng.normal(size=(n, dim)) * np.sqrt((1 - share) / dim)
    copies = rng.choice(n, n // 100, replace=False)
    rows[copies] = rows[rng.choice(n, len(copies))]
    return rows.astype(np.float32)


def test_a_search_goes_on_on_the_processor_when_the_memory_of_the_gpu_runs_out(monkeypatch):
    m = matrix(rows_that_share_a_mean(600, 64))
    searcher, whole = Searcher(m), Searcher._multiply
    searcher._rows = torch.empty(m.rows.shape, dtype=torch.float16, device="meta")  # a device that is not the processor
    searcher._codes = None

    def full(self, unit, which):
        if self.device != "cpu":
            raise torch.OutOfMemoryError("no room")
        return whole(self, unit, which)

    monkeypatch.setattr(Searcher, "_multiply", full)
    query = m.rows[5].astype(np.float32)
    found, expected = searcher.nearest(query, own_row=5), Searcher(m).nearest(query, own_row=5)
    assert searcher.device == "cpu"
    np.testing.assert_array_equal(found.leading.rows, expected.leading.rows)
    np.testing.assert_array_equal(found.order().rows, expected.order().rows)
    assert searcher._codes is m.codes or not RowCodes.supported()


@pytest.mark.parametrize("coded", [True, False], ids=["codes", "no codes"])
@pytest.mark.parametrize("share", [0.7, 0.8, 0.95])
def test_the_first_hundred_equal_the_full_float64_ranking_on_rows_that_share_a_mean(share, coded):
    m = matrix(rows_that_share_a_mean(6000, 512, share=share), coded=coded)
    searcher = Searcher(m)
    rng = np.random.default_rng(1)
    for i in range(12):
        query = m.rows[i * 17].astype(np.float32) + rng.normal(size=512).astype(np.float32) * 0.01
        found = searcher.nearest(query)
        rows, distances = rank_slowly(query, m.rows)
        np.testing.assert_array_equal(found.leading.rows, rows[:100])
        np.testing.assert_array_equal(found.leading.distances, distances[:100])
        assert found.median_distance == pytest.approx(np.median(distances), abs=0.02)


def whole_numbers(rng, n, dim):
    return rng.integers(1, 4, size=(n, dim))  # many equal rows, and many equal distances


def nearly_equal(rng, n, dim):
    return rng.normal(size=dim) + 1e-3 * rng.normal(size=(n, dim))


def opposites(rng, n, dim):
    return rng.choice([-1, 1], size=(n, 1)) * (rng.normal(size=dim) + 0.01 * rng.normal(size=(n, dim)))


def few_distinct(rng, n, dim):
    return rng.normal(size=(3, dim))[rng.integers(0, 3, size=n)]


@given(
    st.sampled_from([whole_numbers, nearly_equal, opposites, few_distinct]),
    *(st.integers(1, 60), st.integers(1, 12), st.integers(1, 50), st.integers(0, 3), st.integers(0, 2**32 - 1)),
    *(st.booleans(), st.booleans()),
)
@settings(deadline=None, max_examples=250)
def test_the_leading_hits_equal_a_full_sort_whatever_the_rows(kind, n, dim, k, n_wordless, seed, is_row, coded):
    rng = np.random.default_rng(seed)
    wordless = tuple(rng.choice(n, min(n_wordless, n - 1), replace=False).tolist())
    m = matrix(kind(rng, n, dim).astype(np.float32), wordless, coded=coded)
    ranked = np.setdiff1d(np.arange(n), wordless)
    own_row = int(rng.choice(ranked)) if is_row else None
    query = m.rows[own_row].astype(np.float64) if is_row else rng.normal(size=dim)
    rows, distances = rank_slowly(query, m.rows[ranked])
    rows = ranked[rows]
    if is_row:
        at = rows.tolist().index(own_row)
        rows = np.concatenate([[own_row], np.delete(rows, at)])
        distances = np.concatenate([[0], np.delete(distances, at)])
    found = Searcher(m).nearest(query, k=k, own_row=own_row)
    np.testing.assert_array_equal(found.leading.rows, rows[:k])
    np.testing.assert_array_equal(found.leading.distances, distances[:k])
    assert sorted(found.order().rows.tolist()) == ranked.tolist()


def test_a_search_split_over_cores_gives_the_same():
    m = matrix(rows_that_share_a_mean(3000, 64))
    query = m.rows[7].astype(np.float32) + 0.01
    alone = Searcher(m).nearest(query)
    torch.set_num_threads(2)
    try:
        split = Searcher(m).nearest(query)
        split_order = split.order()
    finally:
        torch.set_num_threads(1)
    np.testing.assert_array_equal(alone.leading.distances, split.leading.distances)
    np.testing.assert_array_equal(alone.order().rows, split_order.rows)


def test_the_codes_leave_few_rows_to_read_whole(monkeypatch):
    read = []
    whole = Searcher._similarities

    def count(self, unit, which=None):
        read.append(len(self._rows) if which is None else len(which))
        return whole(self, unit, which)

    monkeypatch.setattr(Searcher, "_similarities", count)
    m = matrix(rows_that_share_a_mean(6000, 512))
    Searcher(m).nearest(m.rows[5].astype(np.float32))
    assert sum(read) < 2000 if RowCodes.supported() else sum(read) == 6000


def test_the_whole_order_holds_every_row_once_and_starts_with_the_leading_hits():
    m = matrix(rows_that_share_a_mean(3000, 64))
    found = Searcher(m).nearest(m.rows[5].astype(np.float32) + 0.01)
    order = found.order()
    assert sorted(order.rows.tolist()) == list(range(3000))
    np.testing.assert_array_equal(order.rows[:100], found.leading.rows)
    assert (np.diff(order.distances) >= 0).all()
    rows, distances = rank_slowly(m.rows[5].astype(np.float32) + 0.01, m.rows)
    np.testing.assert_allclose(order.distances, distances, atol=1e-5)
    exact = dict(zip(rows.tolist(), distances.tolist(), strict=True))
    np.testing.assert_allclose([exact[row] for row in order.rows.tolist()], order.distances, atol=1e-5)


def test_a_caption_is_its_own_first_hit_at_zero_and_its_copies_follow_by_row():
    embeddings = rows_that_share_a_mean(500, 32)
    embeddings[[7, 99, 300]] = embeddings[42]
    m = matrix(embeddings)
    found = Searcher(m).nearest(m.rows[99], own_row=99)
    assert found.leading.rows[:4].tolist() == [99, 7, 42, 300]
    assert found.leading.distances[0] == 0
    assert (found.leading.distances >= 0).all()
    assert found.leading.distances[3] == pytest.approx(0, abs=1e-12)
    assert found.order().rows[:4].tolist() == [99, 7, 42, 300]


def test_its_own_row_leads_even_among_more_copies_than_hits():
    m = matrix(np.ones((300, 16), np.float32))
    assert Searcher(m).nearest(m.rows[250], own_row=250, k=10).leading.rows.tolist() == [250, *range(9)]


def test_captions_without_a_known_word_are_never_ranked():
    m = matrix(rows_that_share_a_mean(200, 16), wordless=(3, 4, 150))
    found = Searcher(m).nearest(m.rows[3].astype(np.float32), k=200)
    assert len(found.leading) == 197
    assert not {3, 4, 150} & set(found.order().rows.tolist())
    assert len(found.order()) == 197


def test_captions_without_a_known_word_do_not_count_for_the_median_distance():
    m = matrix(rows_that_share_a_mean(300, 16), wordless=tuple(range(200)))
    assert 0 < Searcher(m).nearest(m.rows[250].astype(np.float32)).median_distance < 1


def test_a_corpus_of_captions_without_known_words_has_no_hits():
    m = matrix(np.ones((4, 8), np.float32), wordless=(0, 1, 2, 3))
    found = Searcher(m).nearest(np.ones(8, np.float32))
    assert len(found.leading) == 0
    assert len(found.order()) == 0


def test_the_length_of_a_query_does_not_matter():
    m = matrix(rows_that_share_a_mean(300, 16))
    query = np.random.default_rng(0).normal(size=16)
    near, far = Searcher(m).nearest(query * 1e-3), Searcher(m).nearest(query * 1e3)
    np.testing.assert_array_equal(near.leading.rows, far.leading.rows)
    np.testing.assert_allclose(near.leading.distances, far.leading.distances, atol=1e-12)


@needs_real_captions
def test_on_real_captions_the_first_hundred_equal_the_full_float64_ranking(files):
    subset = files.folder / "real.txt"
    texts = [
        a["caption"].strip().replace("\n", " ")
        for a in json.loads(gzip.decompress(real_captions.read_bytes()))["annotations"]
    ]
    subset.write_text("\n".join(texts[:8000]), encoding="utf-8")
    explorer = files.explorer(captions=subset)
    for query in ("a man on a horse", "a cat is in the room .", "a red bus", "people at a table with food and a dog"):
        answer = explorer.ask(query)
        assert answer.row is None
        ids = explorer.vectors.find(["<p>", *query.split(), "</p>"])
        embedding = explorer.encoder.encode(np.array(explorer.vectors.rows[ids[ids >= 0]])).embedding
        ranked = np.setdiff1d(np.arange(8000), explorer.matrix.sentences.wordless())
        rows, distances = rank_slowly(embedding, explorer.matrix.rows[ranked])
        np.testing.assert_array_equal(answer.hits.rows, ranked[rows[:100]])
        np.testing.assert_allclose(answer.hits.distances, distances[:100], atol=1e-9)
