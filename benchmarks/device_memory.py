"""A device's memory: how much some work takes, and making it run out.

The memory of a GPU is really limited. That of a processor cannot be: there a new tensor above the limit is refused, so
that the same checks run.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_SMALLEST_GAP = 1 << 16  # bytes


@dataclass(slots=True)
class Refusals:
    """How often a limit refused memory."""

    count: int = 0
    """Known when the limit has ended."""


def peak_bytes(device: str, work: Callable[[], object]) -> int:
    """Run work and return the most memory that it took beyond what is held; on a processor its largest tensor."""
    if device == "cpu":
        with _LargestTensor() as largest:
            work()
        return largest.bytes
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    held = torch.cuda.memory_allocated(device)
    work()
    return torch.cuda.max_memory_allocated(device) - held


@contextmanager
def limited_to(device: str, most: int) -> Iterator[Refusals]:
    """Leave only so many bytes of a device's memory, beyond what is held now."""
    refusals = Refusals()
    if device == "cpu":
        with _LargestTensor(most) as largest:
            yield refusals
        refusals.count = largest.refused
        return
    number = torch.device(device).index
    number = torch.cuda.current_device() if number is None else number  # the limit wants a number
    torch.cuda.synchronize(number)
    gc.collect()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(number).total_memory
    reserved = torch.cuda.memory_reserved(number)
    try:
        torch.cuda.set_per_process_memory_fraction(reserved / total, number)
        gaps = _fill_gaps(number)
        torch.cuda.set_per_process_memory_fraction((reserved + most) / total, number)
        refused = torch.cuda.memory_stats(number)["num_ooms"]
        yield refusals
        refusals.count = torch.cuda.memory_stats(number)["num_ooms"] - refused
        del gaps
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, number)


def _fill_gaps(number: int) -> list[torch.Tensor]:
    """Take what is free within the memory that torch has reserved already, which its limit does not count."""
    gaps: list[torch.Tensor] = []
    size = torch.cuda.memory_reserved(number) - torch.cuda.memory_allocated(number)
    while size >= _SMALLEST_GAP:
        try:
            gaps.append(torch.empty(size, dtype=torch.uint8, device=f"cuda:{number}"))
        except torch.OutOfMemoryError:
            size //= 2
    return gaps


class _LargestTensor(TorchFunctionMode):
    """Notes the largest new tensor that an operator returns, and refuses those above a limit."""

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        self.most = most
        self.bytes = 0
        self.refused = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if isinstance(result, torch.Tensor) and not _shares_memory(result, [*args, *kwargs.values()]):
            self.bytes = max(self.bytes, result.nbytes)
            if self.most is not None and result.nbytes > self.most:
                self.refused += 1
                raise torch.OutOfMemoryError("more than the limit that this benchmark set")
        return result


def _shares_memory(result: torch.Tensor, arguments: list[Any]) -> bool:
    """Tell whether a result lies in an argument's memory: then it takes none of its own."""
    own = result.untyped_storage().data_ptr()
    return any(each.untyped_storage().data_ptr() == own for each in arguments if isinstance(each, torch.Tensor))
