"""The principal plane equals that of a full singular value decomposition; the graph that of a slow ranking."""

import numpy as np
import pytest
from reference import rank_slowly
from test_search import Matrix, matrix, rows_that_share_a_mean

from core.ranking.graph import nearest_of_all
from core.ranking.projection import principal_plane, project
from core.store.progress import finish


def stretched(n: int = 4000, dim: int = 96) -> Matrix:
    """Rows around a common mean, with two directions of more variance than the others."""
    rng = np.random.default_rng(3)
    scales = np.concatenate([[0.6, 0.35], np.full(dim - 2, 0.08)])
    axes = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    return matrix((rng.normal(size=(n, dim)) * scales @ axes + rng.normal(size=dim)).astype(np.float32))


def test_the_plane_holds_the_most_variance():
    rows = stretched().rows
    plane = finish(principal_plane(rows, leave_out=np.empty(0, int)))
    centred = rows.astype(np.float64) - rows.astype(np.float64).mean(axis=0)
    _, lengths, right = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs((plane.axes @ right[:2].T).diagonal()), 1, atol=1e-3)
    np.testing.assert_allclose(plane.shares, (lengths**2 / (lengths**2).sum())[:2], rtol=1e-3)
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-4)
    points = finish(project(rows, plane.mean, plane.axes, doing=""), lambda step: None)
    np.testing.assert_allclose(points, centred @ plane.axes.T.astype(np.float64), atol=1e-4)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-3)


def test_the_plane_is_the_same_again_and_its_signs_are_fixed(monkeypatch):
    monkeypatch.setattr("core.ranking.projection._SAMPLE", 1000)
    rows = stretched().rows
    one, other = (finish(principal_plane(rows, leave_out=np.empty(0, int))) for _ in range(2))
    np.testing.assert_array_equal(one.axes, other.axes)
    assert (one.axes[np.arange(2), np.abs(one.axes).argmax(axis=1)] > 0).all()
    whole = finish(principal_plane(rows, leave_out=np.empty(0, int), seed=5))
    assert ((one.axes * whole.axes).sum(axis=1) > 0.95).all(), "another sample finds nearly the same plane"


def test_captions_without_a_known_word_do_not_turn_the_plane():
    rows = stretched().rows.copy()
    plane = finish(principal_plane(rows[100:], leave_out=np.empty(0, int)))
    rows[:100] = -rows[:100]
    np.testing.assert_allclose(finish(principal_plane(rows, leave_out=np.arange(100))).axes, plane.axes, atol=1e-4)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_or_equal_captions_have_a_plane(n):
    rows = matrix(np.ones((n, 8), np.float32)).rows
    plane = finish(principal_plane(rows, leave_out=np.empty(0, int)))
    points = finish(project(rows, plane.mean, plane.axes, doing=""), lambda step: None)
    assert np.isfinite(points).all()
    np.testing.assert_allclose(points, 0, atol=1e-3)
    assert sum(plane.shares) <= 1.001


def test_the_graph_has_the_nearest_others_of_each_caption(monkeypatch):
    monkeypatch.setattr("core.ranking.graph._QUERIES_PER_STEP", 70)
    m = matrix(rows_that_share_a_mean(300, 32), wordless=(5, 9))
    seen = []
    graph = finish(nearest_of_all(m, k=7, device="cpu"), seen.append)
    assert graph.rows.shape == (300, 7)
    for row in range(300):
        if row in (5, 9):
            assert (graph.rows[row] == -1).all()
            assert np.isnan(graph.distances[row]).all()
            continue
        rows, distances = rank_slowly(m.rows[row].astype(np.float64), m.rows)
        kept = ~np.isin(rows, [row, 5, 9])
        np.testing.assert_allclose(graph.distances[row], distances[kept][:7], atol=2e-6)
        assert row not in graph.rows[row]
    assert seen[-1].done == pytest.approx(298)
    assert seen[-1].total == 298


def test_a_graph_of_one_caption_or_of_no_neighbours_is_empty():
    assert finish(nearest_of_all(matrix(np.ones((1, 8), np.float32)), k=5, device="cpu"), print).rows.shape == (1, 0)
    m = matrix(rows_that_share_a_mean(200, 8))
    assert finish(nearest_of_all(m, k=0, device="cpu"), print).rows.shape == (200, 0)
