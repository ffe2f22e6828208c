"""Halving: processes many items in parts that fit the device's memory, and halves a part that does not fit."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple

import torch

from core.encoding.device_errors import device_error, is_device_error, is_out_of_memory


class PartStep(NamedTuple):
    """Progress of the work on many items."""

    done: float
    """Number of finished items, including the finished share of the current part."""
    batch_size: int
    """Number of items processed together; smaller after the device ran out of memory."""


def in_parts_that_fit(
    count: int, work: Callable[[slice], Iterator[float]], *, device: torch.device, batch_size: int | None = None
) -> Generator[PartStep]:
    """Process items 0..count part by part; when the device runs out of memory, halve the part and retry.

    Args:
        count: Number of items.
        work: Processes one part and yields the finished share of it, 0..1. If a part does not fit, it is called again
            with the first half of that part.
        device: The device named in the error message.
        batch_size: Number of items in the first part; None for all.

    Yields:
        A step for each share that `work` yields. The caller may stop after any step.

    Raises:
        AssetError: Not even one item fits, or the device fails.
    """
    batch_size = batch_size or count
    done = 0
    while done < count:
        part = slice(done, min(done + batch_size, count))
        size = part.stop - part.start
        try:
            for share in work(part):
                yield PartStep(done + share * size, batch_size)
        except RuntimeError as error:
            if not is_device_error(error):
                raise
            if size == 1 or not is_out_of_memory(error):
                raise device_error(device, error) from error
            batch_size = (size + 1) // 2
        else:
            done = part.stop
            continue
        torch.cuda.empty_cache()  # outside `except`, whose traceback keeps the tensors alive
