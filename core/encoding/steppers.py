"""Steppers: chooses how levels are computed, by code compiled for the processor at hand or by torch's operators."""

from __future__ import annotations

import logging
from functools import cache

import numpy as np
import torch

from core.corpus.sentences import Sentences
from core.encoding.cuda_stepper import CudaStepper
from core.encoding.device_errors import is_device_error, is_out_of_memory
from core.encoding.pooling import Direction, OperatorStepper, Stepper, pool
from core.encoding.prefixes import plan
from core.shortage import shortage
from core.store.progress import finish

_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2}


def stepper_for(direction: Direction, inputs: torch.Tensor, dtype: torch.dtype, *, is_large: bool) -> Stepper:
    """Choose a stepper; the arguments are those of `OperatorStepper`.

    If `is_large` is False, the work is too small to wait until code is compiled for a CPU. On a GPU that takes no time.
    """
    device = inputs.device
    if (is_large or device.type == "cuda") and compiled_steps_work(str(device), dtype):
        return _compiled_stepper(device)(direction, inputs, dtype)
    return OperatorStepper(direction, inputs, dtype)


def _compiled_stepper(device: torch.device) -> type[OperatorStepper | CudaStepper]:
    if device.type == "cuda":
        return CudaStepper
    from core.encoding.cpu_stepper import CpuStepper  # takes a third of a second

    return CpuStepper


@cache
def compiled_steps_work(device: str, dtype: torch.dtype) -> bool:
    """Tell whether compiled steps work on a device: whether they compute the same as torch's operators there.

    For a GPU, torch compiles them, by a function that later versions may change; for a CPU Numba, which must be
    installed and fit the versions of Python and numpy.
    """
    draw = np.random.default_rng(0)
    sentences = Sentences.joined([draw.integers(0, 9, size=length).astype(np.int32) for length in range(1, 30)])
    hidden, dim = 48, 8  # a GPU's fast products want multiples of 8
    shapes = ((4 * hidden, dim), (4 * hidden, hidden), (4 * hidden,), (9, dim))
    *weights, inputs = (torch.from_numpy(draw.normal(0, 0.3, shape)).float().to(device) for shape in shapes)
    try:
        maxima = torch.empty((2, len(sentences), hidden), device=device)
        winners = torch.empty((2, len(sentences), hidden), dtype=torch.int32, device=device)
        for row, stepper in enumerate((OperatorStepper, _compiled_stepper(inputs.device))):
            steps = stepper(Direction(*weights), inputs, dtype)
            finish(pool(plan(sentences), steps, device=inputs.device, out=maxima[row], winners=winners[row]))
        near = (maxima[0] - maxima[1]).abs() < _TOLERANCE[dtype]  # (29, H)
        alike = (winners[0] == winners[1]).float().mean()  # maxima may nearly tie, and the later one win
        return bool(near.all() and alike > 0.95)
    except Exception as error:  # the compiler may be missing, or fail in any way: torch's operators compute
        if is_out_of_memory(error) or shortage(error):
            raise
        if is_device_error(error):
            torch.zeros(1, device=device).item()  # raises if it is the device that fails, and not the compiler
        logging.getLogger(__name__).info("the LSTM's steps cannot be compiled", exc_info=True)
    return False
