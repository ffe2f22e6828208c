"""CudaStepper: computes a level of a prefix plan on a GPU with two kernels, one of them written here.

torch's operators would read and write the states of a level a dozen times. The kernel reads each gate once and writes
each state once. torch compiles it for the GPU with NVRTC when it is first needed; no compiler has to be installed.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import cache
from typing import Any, NamedTuple

import torch

from core.encoding.pooling import Direction, Nodes, root_nodes
from core.encoding.prefixes import Level

_THREADS = 256  # of a block, which computes one node
_LARGEST = 10  # states and weights are scaled to at most 2^10, so that float16 numbers keep their last digits

# `hidden` holds bfloat16 numbers, (k, H), or the two float16 halves of float32 numbers, (k, 3H): high, high, low.
_SOURCE = """
__device__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

__device__ float read(const unsigned short* at) { return __uint_as_float((unsigned)*at << 16); }
__device__ float read(const float* at) { return *at; }

__device__ void keep_bfloat16(unsigned short* hidden, long long row, int size, int feature, float value) {
  unsigned bits = __float_as_uint(value);
  hidden[row * size + feature] = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;  // to the nearest, ties to even
}

__device__ unsigned short to_float16(float value) {
  unsigned short half;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
  return half;
}

__device__ float from_float16(unsigned short half) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
  return value;
}

__device__ void keep_halves(unsigned short* hidden, long long row, int size, int feature, float value) {
  float scaled = value * 1024.0f;  // states lie in -1..1
  unsigned short high = to_float16(scaled);
  unsigned short* at = hidden + row * 3 * size + feature;
  at[0] = at[size] = high;
  at[2 * size] = to_float16(scaled - from_float16(high));
}

#define STEP(NAME, PRODUCT, KEEP) \\
extern "C" __global__ void NAME( \\
    const float* table, const PRODUCT* products, const float* product_scale, const float* cell_above, \\
    const float* maxima_above, const int* winners_above, const int* words, const int* parents, const int* branches, \\
    const int* slots, unsigned short* hidden, float* cell, float* maxima, \\
    int* winners, int size, int depth, int with_winners) { \\
  long long node = blockIdx.x, parent = parents[node], slot = slots[node]; \\
  const float* gates = table + (long long)words[node] * 4 * size; \\
  const PRODUCT* product = products + (long long)branches[node] * 4 * size; \\
  float scale = *product_scale; \\
  for (int k = threadIdx.x; k < size; k += blockDim.x) { \\
    float i = sigmoid(gates[k] + scale * read(product + k)); \\
    float f = sigmoid(gates[size + k] + scale * read(product + size + k)); \\
    float g = tanhf(gates[2 * size + k] + scale * read(product + 2 * size + k)); \\
    float o = sigmoid(gates[3 * size + k] + scale * read(product + 3 * size + k)); \\
    float c = i * g + f * cell_above[parent * size + k]; \\
    float h = o * tanhf(c), before = maxima_above[parent * size + k]; \\
    cell[node * size + k] = c; \\
    maxima[node * size + k] = fmaxf(before, h); \\
    if (with_winners) winners[node * size + k] = h > before ? depth : winners_above[parent * size + k]; \\
    if (slot >= 0) KEEP(hidden, slot, size, k, h); \\
  } \\
}

STEP(step_bfloat16, unsigned short, keep_bfloat16)
STEP(step_float32, float, keep_halves)
"""


class Halves(NamedTuple):
    """Recurrent weights as float16 numbers, so that a GPU's tensor cores give float32 products.

    Each float32 number is divided into two float16 numbers, high + low. The product of two such sums without its least
    part, low times low, is one product of three times the length: (high, high, low) by (high, low, high), summed in
    float32 (Ootomo and Yokota 2022, Recovering single precision accuracy from Tensor Cores, arXiv 2203.03341).
    """

    weight: torch.Tensor
    """(3H, 4H), float16."""
    scale: torch.Tensor
    """What products with `weight` are multiplied by, (1,); a power of two."""

    @classmethod
    def of(cls, recurrent: torch.Tensor) -> Halves:
        """Divide recurrent weights, (4H, H)."""
        exponent = torch.frexp(recurrent.abs().max())[1]  # of the largest weight, which is below 2^exponent
        scaled = torch.ldexp(recurrent.T, _LARGEST - exponent)  # (H, 4H)
        high = scaled.half()
        low = (scaled - high.float()).half()
        scale = torch.ldexp(torch.ones(1, device=recurrent.device), exponent - 2 * _LARGEST)
        return cls(torch.cat([high, low, high]), scale)


class CudaStepper:
    """Computes levels on a GPU; the arguments are those of `OperatorStepper`.

    Products are in bfloat16, or in float32 by `Halves`.
    """

    def __init__(self, direction: Direction, inputs: torch.Tensor, dtype: torch.dtype) -> None:
        self._table = direction.project(inputs)  # (U, 4H), float32
        self._kernel = _compiled(str(inputs.device))[dtype]
        if dtype == torch.float32:
            self._weight, self._scale = Halves.of(direction.recurrent)  # (3H, 4H)
        else:
            self._weight = direction.recurrent.T.to(dtype)  # (H, 4H)
            self._scale = torch.ones(1, device=inputs.device)

    def root(self, *, winners: bool) -> Nodes:
        """Implement `Stepper.root`."""
        return root_nodes(self._table, self._weight.new_zeros((1, len(self._weight))), winners=winners)

    def step(self, level: Level, above: Nodes, depth: int) -> Generator[int, None, Nodes]:
        """Implement `Stepper.step`."""
        n, hidden = len(level.words), above.cell.shape[1]
        if self._weight.dtype == torch.float16:
            products = torch.mm(above.hidden, self._weight, torch.float32)  # (k above, 4H)
        else:
            products = torch.mm(above.hidden, self._weight)  # (k above, 4H)
        state = above.hidden.new_empty((len(level.inner), above.hidden.shape[1]))  # (k, H) or (k, 3H)
        cell, maxima = (above.cell.new_empty((n, hidden)) for _ in range(2))  # (n, H)
        winners = above.winners.new_empty((n if len(above.winners) else 0, hidden))  # (n, H)
        with torch.cuda.device(cell.device):
            self._kernel(
                grid=(n, 1, 1),
                block=(_THREADS, 1, 1),
                args=[
                    *(self._table, products, self._scale, above.cell, above.maxima, above.winners),
                    *(level.words, level.parents, level.branches, level.slots, state, cell, maxima, winners),
                    *(hidden, depth, int(len(winners) > 0)),
                ],
            )
        yield n
        return Nodes(state, cell, maxima, winners)


@cache
def _compiled(device: str) -> dict[torch.dtype, Any]:
    """Compile the kernels for a GPU."""
    with torch.cuda.device(device):
        compile_kernel = torch.cuda._compile_kernel
        names = {torch.bfloat16: "step_bfloat16", torch.float32: "step_float32"}
        return {dtype: compile_kernel(_SOURCE, name) for dtype, name in names.items()}
