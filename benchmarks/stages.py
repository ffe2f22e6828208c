"""Measure the time of each stage of making a matrix, by sampling the stack for the innermost function of a stage."""

from __future__ import annotations

import inspect
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from core.corpus.captions import Captions
from core.corpus.sentences import Sentences
from core.encoding import building, matrix, pooling, row_files, threads
from core.encoding.encoder import SentenceEncoder

_INTERVAL = 0.002  # seconds between two samples


class _WaitForCopies(TorchFunctionMode):
    """Wait for the device before and after each copy, so that samples distinguish computing from copying."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in (torch.Tensor.cpu, torch.Tensor.to):
            return func(*args, **(kwargs or {}))
        _wait(self.device)
        return _copy(self.device, func, args, kwargs or {})


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)


def _copy(device: str, func: Any, args: Any, kwargs: Any) -> Any:
    result = func(*args, **kwargs)
    if device != "cpu":
        torch.cuda.synchronize(device)  # not `_wait`, whose time counts as computing
    return result


def _code(function: Callable[..., Any]) -> CodeType:
    unwrapped: Any = inspect.unwrap(getattr(function, "__func__", function))
    code: CodeType = unwrapped.__code__
    return code


STAGES: dict[CodeType, str] = {
    _code(function): stage
    for stage, functions in {
        "reading": (Captions.read,),
        "tokenizing": (Sentences.of,),
        "sorting": (building.distinct_chunks,),
        "waiting for plans": (threads.computed_ahead,),
        "computing": (SentenceEncoder.encode_together, pooling.pool, _wait),
        "copying": (_copy,),
        "waiting for the disk": (row_files._ChunkWriter._wait,),
        "other": (matrix.EmbeddingMatrix.build, building.encode_sentences),
    }.items()
    for function in functions
}
"""The stage of each function. Threads that plan and write are not watched, only the time spent waiting for them."""


@contextmanager
def sampled(device: str) -> Iterator[dict[str, float]]:
    """Sample this thread's stack; yields the seconds by stage, which are complete when the `with` block has ended."""
    seconds = dict.fromkeys(STAGES.values(), 0.0)
    watched, ended = threading.get_ident(), threading.Event()

    def sample() -> None:
        before = time.perf_counter()
        while not ended.wait(_INTERVAL):
            frame = sys._current_frames().get(watched)
            while frame is not None and frame.f_code not in STAGES:
                frame = frame.f_back
            now = time.perf_counter()
            seconds["other" if frame is None else STAGES[frame.f_code]] += now - before
            before = now

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        with _WaitForCopies(device):
            yield seconds
    finally:
        ended.set()
        sampler.join()
