"""A scan gives the products of all rows within its bound, compiled or not."""

import subprocess
import sys

import numpy as np
import pytest

from core.ranking import scan as scanning
from core.ranking.scan import load_compiled_scan, scan, scan_error


def unit_vectors(draw, n, dim):
    rows = draw(size=(n, dim))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def compiled(monkeypatch):
    assert load_compiled_scan()
    monkeypatch.setattr(scanning, "COMPILED_FROM", 0)
    monkeypatch.setattr(scanning, "_multiply_with_torch", None)
    yield
    scanning._is_loaded.clear()


@pytest.fixture
def not_compiled():
    scanning._is_loaded.clear()


@pytest.mark.parametrize("how", ["compiled", "not_compiled"])
@pytest.mark.parametrize("dim", [1, 3, 300, 4096])
@pytest.mark.parametrize("kind", ["normal", "positive", "few large"])
def test_products_err_by_less_than_the_bound(request, how, dim, kind):
    request.getfixturevalue(how)
    rng = np.random.default_rng(dim)
    draw = {"normal": rng.normal, "positive": rng.random, "few large": lambda size: rng.normal(size=size) ** 15}[kind]
    rows, queries = unit_vectors(draw, 500, dim).astype(np.float16), unit_vectors(draw, 5, dim)
    for query in queries:
        errors = np.abs(scan(rows, query) - rows.astype(np.float64) @ query)
        assert errors.max() < scan_error(dim)


def test_every_float16_number_is_read_exactly(compiled):
    numbers = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    rows = numbers[np.isfinite(numbers)][:, None]  # (63488, 1)
    assert np.array_equal(scan(rows, np.ones(1)), rows[:, 0].astype(np.float32))


@pytest.mark.parametrize(
    "fault",
    [
        "import sys; sys.modules['numba'] = None",
        "import os; os.environ['NUMBA_DISABLE_JIT'] = '1'",
        "import os; os.environ['NUMBA_CPU_NAME'] = 'generic'",
    ],
)
def test_where_nothing_can_be_compiled_torch_multiplies(fault):
    code = """
import numpy as np
from core.ranking import scan as scanning
scanning.COMPILED_FROM = 0
print(scanning.load_compiled_scan())
print(scanning.scan(np.eye(3, dtype=np.float16), np.array([0.0, 1.0, 0.0])).tolist())
"""
    done = subprocess.run([sys.executable, "-c", f"{fault}\n{code}"], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["False", "[0.0, 1.0, 0.0]"]
