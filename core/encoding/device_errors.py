"""Device errors: recognises what torch raises when a GPU is busy, full, broken or gone, and says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from core.assets import AssetError

_OUT_OF_MEMORY = re.compile("STATUS_ALLOC_FAILED|CUDA error: out of memory")
_DEVICE = re.compile(r"CUDA|cuda[A-Z]\w+\(|CUBLAS_STATUS|CUDNN_STATUS|NVIDIA driver")
_ACCELERATOR_ERROR: type[Exception] = getattr(torch, "AcceleratorError", torch.OutOfMemoryError)  # not in old versions
_ADVICE = (
    (r"busy|unavailable", "wait until other programs leave it, or use another one (--device cuda:N) or --device cpu"),
    (r"no kernel image", "install a torch that is built for this GPU, or use --device cpu"),
    (r"initializ|driver|No CUDA|no CUDA", "see whether nvidia-smi finds it, or use --device cpu"),
    (r"", "start again, which goes on from what is finished; if it fails again, use --device cpu"),
)


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether an error means that the device ran out of memory, in torch or in a library that torch calls."""
    return isinstance(error, torch.OutOfMemoryError) or bool(_OUT_OF_MEMORY.search(str(error)))


def is_device_error(error: Exception) -> bool:
    """Tell whether an error comes from a GPU or its driver, and not from a mistake of this program."""
    return (
        is_out_of_memory(error)
        or isinstance(error, _ACCELERATOR_ERROR)
        or (isinstance(error, RuntimeError) and bool(_DEVICE.search(str(error))))
    )


def device_error(device: torch.device | str, error: Exception) -> AssetError:
    """Describe an error of a GPU in one line, and what to do."""
    if is_out_of_memory(error):
        return AssetError(
            f"--device {device}", "out of memory", advice="use --device cpu, or free memory on the device"
        )
    found = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    advice = next(text for pattern, text in _ADVICE if re.search(pattern, found))
    return AssetError(f"--device {device}", f"the GPU cannot be used: {found}", advice=advice)


@contextmanager
def told_for_people(device: torch.device | str) -> Iterator[None]:
    """Raise an `AssetError` in place of an error of a GPU, within the block.

    Raises:
        AssetError: The GPU is busy, full, broken or gone.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_device_error(error):
            raise
        raise device_error(device, error) from error
