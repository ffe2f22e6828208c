"""Search equals scipy's cdist and a stable sort in float64, row by row."""

import gzip
import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from conftest import embedding_of, needs_real_captions, real_captions
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference import rank_slowly

from core.corpus.sentences import Sentences
from core.encoding.unit_rows import UnitRows
from core.ranking.device_rows import DeviceRows
from core.ranking.ranking import Allowed, Found
from core.ranking.scan import scan
from core.ranking.search import MatrixSearcher


@dataclass
class Matrix:
    """What a searcher needs of an embedding matrix."""

    rows: NDArray[np.float16]
    row_norms: NDArray[np.float32]
    sentences: Sentences


def matrix(embeddings: NDArray[np.float32], wordless: tuple[int, ...] = ()) -> Matrix:
    unit = UnitRows.of(torch.from_numpy(embeddings))
    rows, _, row_norms = unit.fetch()
    lengths = np.full(len(embeddings), 3)
    lengths[list(wordless)] = 2
    sentences = Sentences(np.zeros(lengths.sum(), np.int32), np.concatenate([[0], np.cumsum(lengths)]))
    return Matrix(rows, row_norms, sentences)


def rows_that_share_a_mean(n: int, dim: int, seed: int = 0, share: float = 0.8) -> NDArray[np.float32]:
    """Rows whose cosines lie around `share`, one in a hundred a copy of another."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=dim)
    rows = mean / np.linalg.norm(mean) * np.sqrt(share) + rng.normal(size=(n, dim)) * np.sqrt((1 - share) / dim)
    copies = rng.choice(n, n // 100, replace=False)
    rows[copies] = rows[rng.choice(n, len(copies))]
    return rows.astype(np.float32)


def as_on_a_gpu(m):
    """A searcher that does what it does on a GPU, on the processor."""
    searcher = MatrixSearcher(m)
    searcher._on_gpu = DeviceRows.copy(m.rows, m.row_norms, "cpu")
    return searcher


@pytest.mark.parametrize(
    "step",
    [
        "core.ranking.device_rows.DeviceRows.cosines",
        "core.ranking.device_rows.DeviceRows.narrowed",
        "core.ranking.device_rows.DeviceRows.candidates",
        "core.ranking.search.in_order_on_device",
    ],
)
@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("no room"), RuntimeError("CUDA error: unspecified launch failure")],
    ids=["full", "lost"],
)
def test_a_search_goes_on_on_the_processor_when_the_gpu_is_full_or_lost(monkeypatch, step, error):
    def full(*args):
        raise error

    def fail():
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(torch.cuda, "empty_cache", fail)

    m = matrix(rows_that_share_a_mean(600, 64))
    searcher = as_on_a_gpu(m)
    monkeypatch.setattr(step, full)
    query = m.rows[5].astype(np.float32)
    allowed = np.arange(600) % 3 > 0 if "narrowed" in step else None
    found, expected = (
        each.nearest(query, own_row=5, allowed=None if allowed is None else Allowed.by(allowed))
        for each in (searcher, MatrixSearcher(m))
    )
    np.testing.assert_array_equal(found.leading.rows, expected.leading.rows)
    np.testing.assert_array_equal(found.order().rows, expected.order().rows)
    if allowed is not None:
        np.testing.assert_array_equal(found.among_all().order().rows, expected.among_all().order().rows)
    assert searcher._on_gpu is None


def test_rows_stay_on_the_processor_when_the_gpu_fails_as_they_are_copied(monkeypatch):
    def fail(*args, **how):
        raise RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable")

    m = matrix(rows_that_share_a_mean(60, 8))
    for name in ("cuda.mem_get_info", "empty"):
        with monkeypatch.context() as patched:
            patched.setattr(f"torch.{name}", fail)
            assert DeviceRows.copy(m.rows, m.row_norms, "cuda" if "cuda" in name else "cpu") is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_rows_on_a_device_are_ranked_like_those_on_the_processor(monkeypatch, dtype):
    monkeypatch.setattr("core.ranking.device_rows._ROWS_PER_STEP", 1000)
    m = matrix(rows_that_share_a_mean(6000, 512), wordless=(3, 77))
    searcher = as_on_a_gpu(m)
    searcher._on_gpu = searcher._on_gpu._replace(rows=searcher._on_gpu.rows.to(dtype))
    for query, own_row in ((m.rows[5] + np.float32(0.01), None), (m.rows[9], 9), (-m.rows[1], None)):
        found, expected = (each.nearest(query, own_row=own_row) for each in (searcher, MatrixSearcher(m)))
        np.testing.assert_array_equal(found.leading.rows, expected.leading.rows)
        np.testing.assert_array_equal(found.leading.distances, expected.leading.distances)
        np.testing.assert_allclose(found.order().distances, expected.order().distances, atol=1e-6)
        assert sorted(found.order().rows.tolist()) == sorted(expected.order().rows.tolist())


@pytest.mark.parametrize("share", [0.7, 0.8, 0.95])
def test_the_first_hundred_equal_the_full_float64_ranking_on_rows_that_share_a_mean(share):
    m = matrix(rows_that_share_a_mean(6000, 512, share=share))
    searcher = MatrixSearcher(m)
    rng = np.random.default_rng(1)
    for i in range(12):
        query = m.rows[i * 17].astype(np.float32) + rng.normal(size=512).astype(np.float32) * 0.01
        found = searcher.nearest(query)
        rows, distances = rank_slowly(query, m.rows)
        np.testing.assert_array_equal(found.leading.rows, rows[:100])
        np.testing.assert_array_equal(found.leading.distances, distances[:100])


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
    *(st.booleans(), st.sampled_from([MatrixSearcher, as_on_a_gpu]), st.sampled_from([None, 0.1, 0.5, 1.0])),
)
@settings(deadline=None, max_examples=400)
def test_the_leading_hits_equal_a_full_sort_of_the_rows_that_may_be_found(
    kind, n, dim, k, n_wordless, seed, is_row, make_searcher, share
):
    rng = np.random.default_rng(seed)
    wordless = tuple(rng.choice(n, min(n_wordless, n - 1), replace=False).tolist())
    m = matrix(kind(rng, n, dim).astype(np.float32), wordless)
    ranked = np.setdiff1d(np.arange(n), wordless)
    allowed = None
    if share is not None:
        allowed = rng.random(n) < share  # wordless ones, too
        allowed[rng.choice(ranked)] = True
        ranked = ranked[allowed[ranked]]
    own_row = int(rng.choice(ranked)) if is_row else None
    query = m.rows[own_row].astype(np.float64) if is_row else rng.normal(size=dim)
    rows, distances = rank_slowly(query, m.rows[ranked])
    rows = ranked[rows]
    if is_row:
        at = rows.tolist().index(own_row)
        rows = np.concatenate([[own_row], np.delete(rows, at)])
        distances = np.concatenate([[0], np.delete(distances, at)])
    found = make_searcher(m).nearest(
        query, k=k, own_row=own_row, allowed=None if allowed is None else Allowed.by(allowed)
    )
    np.testing.assert_array_equal(found.leading.rows, rows[:k])
    np.testing.assert_array_equal(found.leading.distances, distances[:k])
    assert sorted(found.order().rows.tolist()) == ranked.tolist()
    if allowed is not None:
        among_all, all_found = found.among_all(), MatrixSearcher(m).nearest(query, k=k, own_row=own_row)
        np.testing.assert_array_equal(among_all.leading.rows, all_found.leading.rows)
        np.testing.assert_array_equal(among_all.leading.distances, all_found.leading.distances)
        np.testing.assert_array_equal(np.sort(among_all.order().rows), np.sort(all_found.order().rows))


def test_a_search_split_over_cores_gives_the_same():
    m = matrix(rows_that_share_a_mean(3000, 64))
    query = m.rows[7].astype(np.float32) + 0.01
    alone = MatrixSearcher(m).nearest(query)
    torch.set_num_threads(2)
    try:
        split = MatrixSearcher(m).nearest(query)
        split_order = split.order()
    finally:
        torch.set_num_threads(1)
    np.testing.assert_array_equal(alone.leading.distances, split.leading.distances)
    np.testing.assert_array_equal(alone.order().rows, split_order.rows)


def test_the_whole_order_holds_every_row_once_and_starts_with_the_leading_hits():
    m = matrix(rows_that_share_a_mean(3000, 64))
    found = MatrixSearcher(m).nearest(m.rows[5].astype(np.float32) + 0.01)
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
    found = MatrixSearcher(m).nearest(m.rows[99], own_row=99)
    assert found.leading.rows[:4].tolist() == [99, 7, 42, 300]
    assert found.leading.distances[0] == 0
    assert (found.leading.distances >= 0).all()
    assert found.leading.distances[3] == pytest.approx(0, abs=1e-12)
    assert found.order().rows[:4].tolist() == [99, 7, 42, 300]


def test_its_own_row_leads_even_among_more_copies_than_hits():
    m = matrix(np.ones((300, 16), np.float32))
    assert MatrixSearcher(m).nearest(m.rows[250], own_row=250, k=10).leading.rows.tolist() == [250, *range(9)]


def test_captions_without_a_known_word_are_never_ranked():
    m = matrix(rows_that_share_a_mean(200, 16), wordless=(3, 4, 150))
    found = MatrixSearcher(m).nearest(m.rows[3].astype(np.float32), k=200)
    assert len(found.leading) == 197
    assert not {3, 4, 150} & set(found.order().rows.tolist())
    assert len(found.order()) == 197


def test_a_corpus_of_captions_without_known_words_has_no_hits():
    m = matrix(np.ones((4, 8), np.float32), wordless=(0, 1, 2, 3))
    found = MatrixSearcher(m).nearest(np.ones(8, np.float32))
    assert len(found.leading) == 0
    assert len(found.order()) == 0


def test_allowed_rows_are_ranked_as_if_there_were_no_others():
    embeddings = rows_that_share_a_mean(3000, 64)
    query = embeddings[5] + np.float32(0.01)
    products = embeddings @ query
    allowed = (products > np.median(products)) & (np.random.default_rng(2).random(3000) < 0.5)  # most of them near
    rows = np.flatnonzero(allowed)
    searcher = MatrixSearcher(matrix(embeddings))
    some, alone = (
        searcher.nearest(query, allowed=None if allowed is None else Allowed.by(allowed)),
        MatrixSearcher(matrix(embeddings[rows])).nearest(query),
    )
    np.testing.assert_array_equal(some.leading.rows, rows[alone.leading.rows])
    np.testing.assert_array_equal(some.leading.distances, alone.leading.distances)
    assert sorted(some.order().rows.tolist()) == rows.tolist()
    assert len(searcher.nearest(query).order()) == 3000, "a search that allows all does so after one that did not"


def test_what_is_not_allowed_is_ranked_by_the_same_scan(monkeypatch):
    scans = []
    monkeypatch.setattr("core.ranking.search.scan", lambda *given: scans.append(1) or scan(*given))
    m = matrix(rows_that_share_a_mean(300, 16))
    found = MatrixSearcher(m).nearest(m.rows[5], own_row=5, allowed=Allowed.by(np.arange(300) % 7 == 0))
    assert found.leading.rows[0] == found.among_all().leading.rows[0] == 5
    assert len(found.among_all().order()) == 300
    assert len(scans) == 1


def test_where_no_row_is_allowed_there_are_no_hits():
    m = matrix(rows_that_share_a_mean(50, 16), wordless=(3,))
    for allowed in (np.zeros(50, bool), np.arange(50) == 3):
        found = MatrixSearcher(m).nearest(
            m.rows[5].astype(np.float32), allowed=None if allowed is None else Allowed.by(allowed)
        )
        assert len(found.leading) == len(found.order()) == 0


def test_the_length_of_a_query_does_not_matter():
    m = matrix(rows_that_share_a_mean(300, 16))
    query = np.random.default_rng(0).normal(size=16)
    near, far = MatrixSearcher(m).nearest(query * 1e-3), MatrixSearcher(m).nearest(query * 1e3)
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
        assert answer.query.row is None
        matrix = explorer.opened.matrix
        ranked = np.setdiff1d(np.arange(8000), matrix.sentences.wordless())
        rows, distances = rank_slowly(embedding_of(explorer, query), matrix.rows[ranked])
        np.testing.assert_array_equal(answer.hits.rows, ranked[rows[:100]])
        np.testing.assert_allclose(answer.hits.distances, distances[:100], atol=1e-9)


# A page of what was found


def test_a_page_is_that_part_of_the_whole_order():
    m = matrix(rows_that_share_a_mean(300, 16))
    found = MatrixSearcher(m).nearest(m.rows[5].astype(np.float32), own_row=5)
    order = found.order()
    for start, stop in [(0, 10), (90, 100), (95, 130), (100, 300), (290, 500), (300, 310), (7, 7)]:
        page = found.page(start, stop)
        np.testing.assert_array_equal(page.rows, order.rows[start:stop])
        np.testing.assert_allclose(page.distances, order.distances[start:stop], atol=1e-6)
        assert page.scores is None


def test_a_page_of_leading_hits_has_their_exact_distances_and_ranks_nothing_else():
    m = matrix(rows_that_share_a_mean(300, 16))
    found = MatrixSearcher(m).nearest(m.rows[5].astype(np.float32))
    alone = replace(found, order=lambda: pytest.fail("ranked everything"))
    np.testing.assert_array_equal(alone.page(20, 100).distances, found.leading.distances[20:])


def test_a_page_of_scored_hits_has_scores():
    scores = np.array([0, 3, 1, 0, 2], np.float32)
    found = Found.by_score(scores, k=2, own_row=None)
    assert found.page(1, 5).rows.tolist() == [4, 2]
    assert found.page(1, 5).scores.tolist() == [2, 1]


def test_without_an_order_pages_end_with_the_leading_hits():
    found = replace(Found.by_score(np.arange(5, dtype=np.float32), k=2, own_row=None), order=None)
    assert found.page(0, 9).rows.tolist() == [4, 3]
    assert len(found.page(2, 9)) == 0
