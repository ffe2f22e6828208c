"""Work that does not fit a device is done in halves, every item exactly once in the result."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.assets import AssetError
from core.encoding.halving import in_parts_that_fit
from core.store.progress import finish

CPU = torch.device("cpu")


@given(st.integers(0, 40), st.integers(1, 40), st.one_of(st.none(), st.integers(1, 50)))
def test_every_item_is_done_in_a_part_that_fits(count, fits, batch_size):
    done = np.zeros(count, int)
    shares = []

    def work(part: slice):
        yield 0.5
        if part.stop - part.start > fits:
            raise torch.OutOfMemoryError("no room")
        done[part] += 1
        yield 1.0

    for step in in_parts_that_fit(count, work, device=CPU, batch_size=batch_size):
        shares.append(step.done)
        assert 0 <= step.done <= count
    assert (done == 1).all()
    assert shares[-1:] == ([count] if count else [])


def test_what_does_not_fit_alone_is_an_error_that_says_what_to_do():
    def work(part: slice):
        yield 0.0
        raise torch.OutOfMemoryError("no room")

    with pytest.raises(AssetError, match="use --device cpu"):
        finish(in_parts_that_fit(4, work, device=CPU))


def test_another_error_is_raised_as_it_is():
    def work(part: slice):
        yield 0.0
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        finish(in_parts_that_fit(4, work, device=CPU))
