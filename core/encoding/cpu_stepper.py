"""CpuStepper: computes a level of a prefix plan on a CPU with torch's matrix product and one loop over everything else.

torch's operators would read and write the states of a level a dozen times. The loop reads each gate once and writes
each state once. Numba compiles it for the processor when it is first needed, within seconds, and keeps the result on
disk; no compiler has to be installed.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray

from core.encoding.compiling import compiled, inlined
from core.encoding.pooling import Nodes, OperatorStepper, blocks_of_parents
from core.encoding.prefixes import Level
from core.encoding.threads import in_slices

# A polynomial for 2^x, -0.5 <= x <= 0.5, with a relative error of 1e-7. So sigmoid and tanh err by at most 2e-7, as
# much as their results near 1 are rounded.
_EXP2 = tuple(Chebyshev.interpolate(np.exp2, 5, domain=[-0.5, 0.5]).convert(kind=Polynomial).coef.astype(np.float32))
_PER_BIT = np.float32(1 / np.log(2))  # e^x = 2^(x * _PER_BIT)
_ONE = np.float32(1)
_TWO = np.float32(2)


@inlined
def _exp2(x: np.float32) -> np.float32:
    """Compute 2^x; x beyond -126..126 counts as that."""
    x = max(min(x, np.float32(126)), np.float32(-126))
    whole = np.floor(x + np.float32(0.5))
    rest = x - whole
    power = ((((_EXP2[5] * rest + _EXP2[4]) * rest + _EXP2[3]) * rest + _EXP2[2]) * rest + _EXP2[1]) * rest + _EXP2[0]
    exponent = np.int32(np.int32(whole) << np.int32(23))  # added to the bits of a float32 number, it multiplies
    return np.int32(np.float32(power).view(np.int32) + exponent).view(np.float32)


@inlined
def _sigmoid(x: np.float32) -> np.float32:
    return _ONE / (_ONE + _exp2(-_PER_BIT * x))


@inlined
def _tanh(x: np.float32) -> np.float32:
    return _TWO / (_ONE + _exp2(-_TWO * _PER_BIT * x)) - _ONE


@inlined
def _read(bits: np.unsignedinteger[Any], shift: np.uint32) -> np.float32:
    """Read the bits of a float32 number, or of a bfloat16 number, which are its upper 16."""
    return np.uint32(np.uint32(bits) << shift).view(np.float32)


@inlined
def _write(value: np.float32, shift: np.uint32) -> np.uint32:
    """Return the bits of the nearest float32 or bfloat16 number, of two equally near ones the even one."""
    bits = np.float32(value).view(np.uint32)
    to_nearest = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return np.uint32(bits + (shift >> np.uint32(4)) * to_nearest) >> shift


@compiled()
def _step(
    start: int,
    end: int,
    table: NDArray[np.float32],
    products: NDArray[np.unsignedinteger[Any]],
    shift: np.uint32,
    cells_above: NDArray[np.float32],
    maxima_above: NDArray[np.float32],
    winners_above: NDArray[np.int32],
    words: NDArray[np.int32],
    parents: NDArray[np.int32],
    branches: NDArray[np.int32],
    slots: NDArray[np.int32],
    hidden: NDArray[np.unsignedinteger[Any]],
    cells: NDArray[np.float32],
    maxima: NDArray[np.float32],
    winners: NDArray[np.int32],
    depth: int,
    first: int,
) -> None:
    """Compute the nodes `start` to `end` of a level.

    Args:
        start: The first node.
        end: The node after the last one.
        table: Gates' input part of any words, (U, 4H).
        products: The gates' recurrent part for some parents with children, (p, 4H), as bits of `shift`'s type.
        shift: 16 for bfloat16 numbers in `products` and `hidden`, 0 for float32.
        cells_above: `Nodes.cell` of the level above.
        maxima_above: `Nodes.maxima` of the level above.
        winners_above: `Nodes.winners` of the level above.
        words: `Level.words`.
        parents: `Level.parents`.
        branches: `Level.branches`.
        slots: `Level.slots`.
        hidden: Where to write `Nodes.hidden`, (k, H), as bits of `shift`'s type.
        cells: Where to write `Nodes.cell`.
        maxima: Where to write `Nodes.maxima`.
        winners: Where to write `Nodes.winners`.
        depth: The level's number, from 0.
        first: The parent that the first row of `products` belongs to, as an index like `branches`.
    """
    size = cells.shape[1]
    unread = np.empty(size, hidden.dtype)  # for the states of nodes without children
    for node in range(start, end):
        gates, product = table[words[node]], products[branches[node] - first]
        cell_above, maximum_above = cells_above[parents[node]], maxima_above[parents[node]]
        cell, maximum = cells[node], maxima[node]
        state = hidden[slots[node]] if slots[node] >= 0 else unread
        for k in range(size):
            i = _sigmoid(gates[k] + _read(product[k], shift))
            f = _sigmoid(gates[size + k] + _read(product[size + k], shift))
            g = _tanh(gates[2 * size + k] + _read(product[2 * size + k], shift))
            o = _sigmoid(gates[3 * size + k] + _read(product[3 * size + k], shift))
            c = i * g + f * cell_above[k]
            h = o * _tanh(c)
            cell[k] = c
            state[k] = _write(h, shift)
            maximum[k] = maximum_above[k] if maximum_above[k] > h else h
        if len(winners):
            for k in range(size):
                is_new = maximum[k] > maximum_above[k]
                winners[node, k] = depth if is_new else winners_above[parents[node], k]


class CpuStepper(OperatorStepper):
    """Computes levels on a CPU; the arguments are those of `OperatorStepper`."""

    def step(self, level: Level, above: Nodes, depth: int) -> Generator[int, None, Nodes]:
        """Implement `Stepper.step`."""
        n, hidden = len(level.words), above.cell.shape[1]
        state = above.hidden.new_empty((len(level.inner), hidden))  # (k, H)
        cell, maxima = (above.cell.new_empty((n, hidden)) for _ in range(2))  # (n, H)
        winners = above.winners.new_empty((n if len(above.winners) else 0, hidden))  # (n, H)
        shift = np.uint32(16 if self._weight.dtype == torch.bfloat16 else 0)
        of_nodes = (level.words, level.parents, level.branches, level.slots)
        read = [each.numpy() for each in (above.cell, above.maxima, above.winners, *of_nodes)]
        written = [_bits(state), *(each.numpy() for each in (cell, maxima, winners))]
        for branches, start, end in blocks_of_parents(level, len(above.hidden)):
            products = torch.mm(above.hidden[branches], self._weight)  # (p, 4H)
            given = (self._table.numpy(), _bits(products), shift, *read, *written, depth, branches.start)

            def compute(low: int, high: int, given: tuple[Any, ...] = given, start: int = start) -> None:
                _step(start + low, start + high, *given)

            in_slices(compute, end - start)
            yield end
        return Nodes(state, cell, maxima, winners)


def _bits(numbers: torch.Tensor) -> NDArray[np.unsignedinteger[Any]]:
    """View float32 or bfloat16 numbers as unsigned integers, because numpy has no bfloat16."""
    bits = numbers.view(torch.uint16 if numbers.dtype == torch.bfloat16 else torch.uint32)
    return bits.numpy()
