"""Measure and limit the memory that work takes on a device.

On a GPU, torch limits the memory of the process. On a CPU it cannot, so there each new tensor larger than the limit is
refused instead; the same checks can run on both.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_SMALLEST_BLOCK = 1 << 16  # bytes


@dataclass(slots=True)
class Refusals:
    """How many allocations a limit refused."""

    count: int = 0
    """Set when the limit ends; 0 until then."""


def peak_bytes(device: str, work: Callable[[], object]) -> int:
    """Run work and return its peak memory in bytes beyond what is allocated now; on a CPU, its largest tensor."""
    if device == "cpu":
        with _LargestTensor() as largest:
            work()
        return largest.bytes
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    allocated = torch.cuda.memory_allocated(device)
    work()
    return torch.cuda.max_memory_allocated(device) - allocated


@contextmanager
def limited_to(device: str, limit: int) -> Iterator[Refusals]:
    """Limit the bytes that can be allocated on a device beyond those of now; on a CPU, the bytes of each tensor."""
    refusals = Refusals()
    if device == "cpu":
        with _LargestTensor(limit) as largest:
            yield refusals
        refusals.count = largest.refused
        return
    index = torch.device(device).index
    index = torch.cuda.current_device() if index is None else index  # torch's limit needs an index
    torch.cuda.synchronize(index)
    gc.collect()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(index).total_memory
    reserved = torch.cuda.memory_reserved(index)
    try:
        torch.cuda.set_per_process_memory_fraction(reserved / total, index)
        blocks = _occupy_reserved_memory(index)
        torch.cuda.set_per_process_memory_fraction((reserved + limit) / total, index)
        refused_before = torch.cuda.memory_stats(index)["num_ooms"]
        yield refusals
        refusals.count = torch.cuda.memory_stats(index)["num_ooms"] - refused_before
        del blocks
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, index)


def _occupy_reserved_memory(index: int) -> list[torch.Tensor]:
    """Allocate the free part of the memory that torch has reserved already, which its limit does not count."""
    blocks: list[torch.Tensor] = []
    size = torch.cuda.memory_reserved(index) - torch.cuda.memory_allocated(index)
    while size >= _SMALLEST_BLOCK:
        try:
            blocks.append(torch.empty(size, dtype=torch.uint8, device=f"cuda:{index}"))
        except torch.OutOfMemoryError:
            size //= 2
    return blocks


class _LargestTensor(TorchFunctionMode):
    """Record the largest new tensor that a torch function returns, and refuse those above a limit in bytes."""

    def __init__(self, limit: int | None = None) -> None:
        super().__init__()
        self.limit = limit
        self.bytes = 0
        self.refused = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func is torch.from_numpy:
            return result  # an array in CPU memory
        if isinstance(result, torch.Tensor) and not _shares_memory(result, [*args, *kwargs.values()]):
            self.bytes = max(self.bytes, result.nbytes)
            if self.limit is not None and result.nbytes > self.limit:
                self.refused += 1
                raise torch.OutOfMemoryError("the tensor is larger than the limit that was set for this test")
        return result


def _shares_memory(result: torch.Tensor, arguments: list[Any]) -> bool:
    """Tell whether a result is a view of an argument, which takes no memory of its own."""
    own = result.untyped_storage().data_ptr()
    return any(each.untyped_storage().data_ptr() == own for each in arguments if isinstance(each, torch.Tensor))
