"""The codes of rows: no true cosine lies outside their bound, and they come whole or not at all."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.encoding.codes import RowCodes
from core.store.progress import finish


def cosines(query, rows):
    wide = rows.astype(np.float64)
    return wide @ query / np.linalg.norm(wide, axis=1)


def unit(values):
    return values / np.linalg.norm(values)


@given(st.integers(1, 60), st.integers(1, 70), st.floats(0, 30), st.integers(0, 2), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=120)
def test_no_true_cosine_lies_outside_the_bound(n, dim, mean, spikes, seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, dim)) + mean * rng.normal(size=dim)
    rows *= 1 + 50 * (rng.random((n, dim)) < 0.02 * spikes)  # a few features far larger than the others
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    codes = RowCodes.of(rows)
    for query in map(unit, (rng.normal(size=dim), rows[0].astype(np.float64), codes.direction + 1e-9)):
        similarities, errors = codes.scan(query)
        assert (np.abs(similarities - cosines(query, rows)) <= errors).all()


def test_rows_that_share_no_direction_are_bounded_too():
    rows = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], np.float16)
    similarities, errors = RowCodes.of(rows).scan(np.array([0.6, 0.8]))
    assert (np.abs(similarities - [0.6, -0.6, 0.8, -0.8]) <= errors).all()


def test_the_bound_is_tight_for_rows_that_share_a_mean():
    rng = np.random.default_rng(0)
    rows = 0.9 * unit(rng.normal(size=1024)) + 0.43 * rng.normal(size=(500, 1024)) / 32
    _, errors = RowCodes.of(rows.astype(np.float16)).scan(unit(rows[0]))
    assert errors.max() < 0.01


def test_made_codes_are_the_ones_opened(tmp_path):
    rows = np.random.default_rng(0).normal(size=(300, 40)).astype(np.float16)
    finish(RowCodes.make(tmp_path / "codes", rows))
    opened = RowCodes.open(tmp_path / "codes")
    for array, expected in zip(opened, RowCodes.of(rows), strict=True):
        np.testing.assert_array_equal(array, expected)


def test_codes_given_up_halfway_are_not_there_and_can_be_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr("core.encoding.codes._ROWS_PER_STEP", 10)
    rows = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float16)
    steps = RowCodes.make(tmp_path / "codes", rows)
    next(steps)
    steps.close()
    assert not (tmp_path / "codes").exists()
    finish(RowCodes.make(tmp_path / "codes", rows))
    assert RowCodes.open(tmp_path / "codes").codes.shape == (50, 8)


@pytest.mark.parametrize("name", ["codes", "direction", "along", "scales", "sizes", "lost"])
def test_damaged_codes_are_made_again(tmp_path, name):
    rows = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float16)
    finish(RowCodes.make(tmp_path / "codes", rows))
    (tmp_path / "codes" / f"{name}.npy").write_bytes(b"noise")
    with pytest.raises((OSError, EOFError, ValueError)):
        RowCodes.open(tmp_path / "codes")
    finish(RowCodes.make(tmp_path / "codes", rows))
    assert RowCodes.open(tmp_path / "codes").codes.shape == (50, 8)


def test_whole_codes_are_left_as_they_are(tmp_path):
    rows = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float16)
    finish(RowCodes.make(tmp_path / "codes", rows))
    stamp = (tmp_path / "codes" / "codes.npy").stat().st_mtime_ns
    finish(RowCodes.make(tmp_path / "codes", rows))
    assert (tmp_path / "codes" / "codes.npy").stat().st_mtime_ns == stamp


def test_codes_that_the_disk_has_no_room_for_are_an_error_and_not_the_end_of_the_process(small_disk):
    program = """
import sys
import numpy as np
from pathlib import Path
from core.assets import AssetError
from core.encoding.codes import RowCodes
from core.store.progress import finish

rows = np.random.default_rng(0).normal(size=(3000, 1024)).astype(np.float16)
try:
    finish(RowCodes.make(Path(sys.argv[1]) / "matrix" / "codes", rows))
except AssetError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, small_disk],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in done.stdout
    assert not list(small_disk.rglob("*.part"))
