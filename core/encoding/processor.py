"""Processor: which number formats the CPU multiplies in hardware, according to torch."""

from __future__ import annotations

import torch

# torch's functions for these checks are private, and their names differ by version; the newest come first.
_TORCH_CHECKS = {
    "bfloat16": (
        *("_is_avx512_bf16_supported", "_is_amx_tile_supported"),
        *("_is_cpu_support_avx512_bf16", "_is_cpu_support_amx_tile"),
    ),
    "int8": ("_is_vnni_supported", "_is_avx512_vnni_supported", "_is_cpu_support_avx512_vnni"),
}


def multiplies_bfloat16() -> bool:
    """Tell whether the CPU multiplies bfloat16 matrices in hardware (AVX-512 BF16, AMX); False if torch cannot tell."""
    return _any_check_passes("bfloat16")


def multiplies_int8() -> bool:
    """Tell whether products of 8-bit integers are exact and fast (VNNI); False if torch cannot tell."""
    return _any_check_passes("int8")


def _any_check_passes(number_format: str) -> bool:
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in _TORCH_CHECKS[number_format])
