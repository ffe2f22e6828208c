"""A torch that has none of the names asked for is taken for a processor without the capability."""

import pytest
import torch

from core.encoding import processor
from core.encoding.weights import choose_dtype

NAMES = processor._TORCH_CHECKS


@pytest.fixture
def older_torch(monkeypatch):
    for name in NAMES:
        monkeypatch.delattr(torch.cpu, name, raising=False)


def test_this_torch_can_tell():
    assert [name for name in NAMES if hasattr(torch.cpu, name)]


def test_without_torchs_names_everything_is_computed_the_plain_way(older_torch):
    assert choose_dtype("auto", "cpu") == "float32"


@pytest.mark.parametrize("name", NAMES)
def test_any_of_the_names_suffices(older_torch, monkeypatch, name):
    monkeypatch.setattr(torch.cpu, name, lambda: True, raising=False)
    assert processor.multiplies_bfloat16()
