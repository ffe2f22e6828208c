"""Halving: work on many items in parts that fit the device's memory; a part that does not fit is done in halves."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple

import torch

from core.assets import AssetError


class PartStep(NamedTuple):
    """How far work on many items has come."""

    done: float
    """Finished items, counting the finished share of the current part."""
    batch_size: int
    """How many items are worked on together; smaller after the device ran out of memory."""


def in_parts_that_fit(
    count: int, work: Callable[[slice], Iterator[float]], *, device: torch.device, batch_size: int | None = None
) -> Generator[PartStep]:
    """Work on items 0..count part by part; when the device runs out of memory, repeat the part in halves.

    Args:
        count: How many items there are.
        work: Works on one part, and yields the share of it that is done, 0..1. After a part did not fit, it is called
            again for the first half of that part.
        device: Where it works, for the message.
        batch_size: How many items to start with; None for all.

    Yields:
        A step for each share that `work` yields. The caller may stop after any of them.

    Raises:
        AssetError: Not even one item fits.
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
            if not is_out_of_memory(error):
                raise
            if size == 1:
                advice = "use --device cpu, or free memory on the device"
                raise AssetError(f"--device {device}", "out of memory", advice=advice) from error
            batch_size = (size + 1) // 2
        else:
            done = part.stop
            continue
        torch.cuda.empty_cache()  # outside `except`: there the traceback still holds the tensors


def is_out_of_memory(error: RuntimeError) -> bool:
    """Tell whether a device had too little memory, for torch itself or for a library that torch calls."""
    return isinstance(error, torch.OutOfMemoryError) or "STATUS_ALLOC_FAILED" in str(error)
