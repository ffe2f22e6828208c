"""Processor: whether the CPU multiplies bfloat16 numbers in hardware, according to torch."""

from __future__ import annotations

import torch

# torch's functions for this check are private, and their names differ by version; the newest come first.
_TORCH_CHECKS = (
    *("_is_avx512_bf16_supported", "_is_amx_tile_supported"),
    *("_is_cpu_support_avx512_bf16", "_is_cpu_support_amx_tile"),
)


def multiplies_bfloat16() -> bool:
    """Tell whether the CPU multiplies bfloat16 matrices in hardware (AVX-512 BF16, AMX); False if torch cannot tell."""
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in _TORCH_CHECKS)
