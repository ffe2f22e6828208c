"""Processor: what the CPU computes in hardware, as far as the installed torch can tell."""

from __future__ import annotations

import torch

# torch's names for these questions are private, and differ by version; the newest first.
_ASK = {
    "bfloat16": (
        *("_is_avx512_bf16_supported", "_is_amx_tile_supported"),
        *("_is_cpu_support_avx512_bf16", "_is_cpu_support_amx_tile"),
    ),
    "int8": ("_is_vnni_supported", "_is_avx512_vnni_supported", "_is_cpu_support_avx512_vnni"),
}


def multiplies_bfloat16() -> bool:
    """Tell whether bfloat16 matrix products are done in hardware (AVX-512 BF16, AMX); False when torch cannot tell."""
    return _is_any("bfloat16")


def multiplies_int8() -> bool:
    """Tell whether products of 8-bit numbers are exact and quick (VNNI); False when torch cannot tell."""
    return _is_any("int8")


def _is_any(what: str) -> bool:
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in _ASK[what])
