"""Steps compiled for this processor: their numbers, also at the ends of their range, and what is done without them."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from core.corpus.sentences import Sentences
from core.encoding.cpu_stepper import CpuStepper, _write
from core.encoding.pooling import Direction, OperatorStepper, pool
from core.encoding.prefixes import plan
from core.encoding.steppers import compiled_steps_work, stepper_for
from core.store.progress import finish

HIDDEN = 43  # no multiple of the numbers that a processor computes together
CPU = torch.device("cpu")


def maxima_of(stepper_of, *, scale, dtype=torch.float32):
    """Pool some sentences of words whose gates are drawn with a standard deviation of `scale`."""
    draw = np.random.default_rng(0)
    shapes = ((4 * HIDDEN, 8), (4 * HIDDEN, HIDDEN), (4 * HIDDEN,), (9, 8))
    *weights, inputs = (torch.from_numpy(draw.normal(0, 1, shape)).float() for shape in shapes)
    weights[0] *= scale
    weights[1] *= 0.1
    weights[2] *= min(scale, 1)
    sentences = Sentences.joined([draw.integers(0, 9, size=length).astype(np.int32) for length in range(1, 30)])
    out = torch.empty(len(sentences), HIDDEN)
    stepper = stepper_of(Direction(*weights), inputs, dtype)
    finish(pool(plan(sentences), stepper, device=CPU, out=out, winners=None))
    return out


def compiled(*given):
    stepper = stepper_for(*given, is_large=True)
    assert type(stepper) is CpuStepper
    return stepper


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_steps_can_be_compiled_for_this_processor(dtype):
    assert compiled_steps_work("cpu", dtype)


@pytest.mark.parametrize("scale", [1e-6, 1, 100, 1e6, 1e30])
def test_compiled_steps_equal_torchs_operators_however_large_the_gates(scale):
    expected = maxima_of(OperatorStepper, scale=scale)
    assert expected.isfinite().all()
    torch.testing.assert_close(maxima_of(compiled, scale=scale), expected, atol=2e-6, rtol=0)


def test_bfloat16_numbers_are_rounded_to_the_nearest_and_ties_to_even():
    ties = np.arange(0x3F800000, 0x3F900000, 0x8000, dtype=np.uint32)
    bits = np.concatenate([ties, ties + 1, ties - 1, np.random.default_rng(0).integers(0, 0x7F000000, 1000, np.uint32)])
    values = bits.view(np.float32)
    found = [int(_write(value, np.uint32(16))) for value in np.concatenate([values, -values])]
    expected = torch.from_numpy(np.concatenate([values, -values])).bfloat16().view(torch.uint16)
    assert found == expected.tolist()


def test_gates_that_are_no_numbers_are_not_hidden():
    assert maxima_of(OperatorStepper, scale=torch.nan).isnan().all()
    assert maxima_of(compiled, scale=torch.nan).isnan().all()


def test_several_threads_compute_what_one_does():
    alone = maxima_of(compiled, scale=1)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert torch.equal(maxima_of(compiled, scale=1), alone)
    finally:
        torch.set_num_threads(threads)


def test_small_work_does_not_wait_for_a_compiler():
    code = """
import sys
import numpy as np
from core.corpus.sentences import Sentences
from core.encoding.encoder import SentenceEncoder
import torch
lstm = torch.nn.LSTM(8, 16, bidirectional=True)
weights = {f"enc_lstm.{name}": value for name, value in lstm.state_dict().items()}
class Vectors: rows = np.ones((3, 8), np.float32)
list(SentenceEncoder(weights).encode_together(Sentences.joined([np.array([0, 1], np.int32)]), Vectors))
print("numba" in sys.modules)
"""
    assert run(code) == "False"


def test_where_nothing_can_be_compiled_torchs_operators_are_used():
    code = """
import sys
sys.modules["numba"] = None
import torch
from core.encoding.pooling import Direction
from core.encoding.steppers import stepper_for
weights = Direction(torch.ones(16, 3), torch.ones(16, 4), torch.ones(16))
print(type(stepper_for(weights, torch.ones(2, 3), torch.float32, is_large=True)).__name__)
"""
    assert run(code) == "OperatorStepper"


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()
