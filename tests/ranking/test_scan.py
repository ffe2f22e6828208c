"""A scan gives the products of all rows within its bound, whatever numkong does on a processor."""

import numkong
import numpy as np
import pytest

from core.ranking import scan as scanning
from core.ranking.scan import scan, scan_error


@pytest.fixture(autouse=True)
def forget_the_check():
    check = scanning._sums_in_float32
    check.cache_clear()
    yield
    check.cache_clear()


def unit_vectors(draw, n, dim):
    rows = draw(size=(n, dim))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("with_numkong", [True, False])
@pytest.mark.parametrize("dim", [1, 3, 300, 4096])
@pytest.mark.parametrize("kind", ["normal", "positive", "few large"])
def test_products_err_by_less_than_the_bound(monkeypatch, with_numkong, dim, kind):
    monkeypatch.setattr(scanning, "_sums_in_float32", lambda: with_numkong)
    rng = np.random.default_rng(dim)
    draw = {"normal": rng.normal, "positive": rng.random, "few large": lambda size: rng.normal(size=size) ** 15}[kind]
    rows, queries = unit_vectors(draw, 500, dim).astype(np.float16), unit_vectors(draw, 5, dim)
    for query in queries:
        errors = np.abs(scan(rows, query) - rows.astype(np.float64) @ query)
        assert errors.max() < scan_error(dim)


def test_this_processor_sums_in_float32():
    assert scanning._sums_in_float32()


def test_a_numkong_that_sums_in_float16_is_not_used(monkeypatch):
    whole = numkong.dots_packed

    def coarse(rows, packed):
        return np.asarray(whole(rows, packed)).astype(np.float16).astype(np.float32)

    monkeypatch.setattr(numkong, "dots_packed", coarse)
    assert not scanning._sums_in_float32()
    rng = np.random.default_rng(0)
    rows, query = unit_vectors(rng.normal, 50, 64).astype(np.float16), unit_vectors(rng.normal, 1, 64)[0]
    assert np.abs(scan(rows, query) - rows.astype(np.float64) @ query).max() < scan_error(64)
