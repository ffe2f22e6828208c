"""Embeddings are divided by their lengths."""

import numpy as np
import pytest
import torch

from core.encoding import unit_rows
from core.encoding.unit_rows import UnitRows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_have_length_one_and_keep_their_lengths(monkeypatch, dtype):
    monkeypatch.setattr(unit_rows, "_ROWS_PER_STEP", 3)  # the last step has one row
    embeddings = np.random.default_rng(0).normal(size=(10, 40)).astype(dtype)
    rows, norms, row_norms = UnitRows.of(torch.from_numpy(embeddings)).fetch()
    lengths = np.linalg.norm(embeddings.astype(np.float64), axis=1)
    np.testing.assert_allclose(rows, embeddings / lengths[:, None], atol=2**-11)
    np.testing.assert_allclose(norms, lengths, rtol=1e-6)
    np.testing.assert_allclose(row_norms, np.linalg.norm(rows.astype(np.float64), axis=1), rtol=1e-6)
    assert rows.dtype == np.float16


def test_an_embedding_of_zeros_stays_one():
    rows, norms, row_norms = UnitRows.of(torch.zeros(2, 4)).fetch()
    assert not rows.any()
    assert not norms.any()
    assert row_norms.tolist() == [1, 1]
