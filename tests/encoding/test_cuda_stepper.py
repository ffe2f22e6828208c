"""What can be tested of the way on a GPU without one: the halves of weights."""

import numpy as np
import pytest
import torch

from core.encoding.cuda_stepper import Halves


@pytest.mark.parametrize("size", [1e-4, 0.02, 1.0, 30.0])
def test_products_of_halves_are_those_of_float32_weights(size):
    draw = np.random.default_rng(0)
    recurrent = torch.from_numpy(draw.normal(0, size, (64, 512))).float()  # (4H, H)
    states = torch.from_numpy(draw.uniform(-1, 1, (20, 512))).float()  # (n, H)
    weight, scale = Halves.of(recurrent)
    scaled = states * 1024
    high = scaled.half()
    low = (scaled - high.float()).half()
    products = torch.cat([high, high, low], dim=1).double() @ weight.double() * scale.double()  # (n, 4H)
    exact = states.double() @ recurrent.T.double()
    lengths = states.double().norm(dim=1)[:, None] * recurrent.double().norm(dim=1)  # (n, 4H)
    assert ((products - exact).abs() / lengths).max() < 2**-21


def test_weights_of_zeros_give_products_of_zeros():
    weight, scale = Halves.of(torch.zeros(8, 2))
    assert not weight.any()
    assert scale.isfinite()
