"""Pooling: run one direction of the LSTM along a prefix plan, and take the maxima of its hidden states."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import pairwise
from typing import NamedTuple, Protocol

import torch

from core.encoding.prefixes import Level, PrefixPlan

_PARENTS_PER_STEP = 1024  # rows of a matrix product: enough for full speed, few enough to stop within a second
_TILE_BYTES = 2 << 20  # gates computed together on a CPU: they fit its cache


class Direction(NamedTuple):
    """The weights of one direction in torch's layout, with gates in the order i, f, g, o."""

    inputs: torch.Tensor
    """(4H, E)."""
    recurrent: torch.Tensor
    """(4H, H)."""
    bias: torch.Tensor
    """(4H,)."""

    @classmethod
    def read(cls, weights: dict[str, torch.Tensor], suffix: str, device: torch.device) -> Direction:
        """Read a direction from a state dict; `suffix` ends its keys."""
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        inputs, recurrent, *biases = (weights[f"enc_lstm.{kind}_l0{suffix}"].to(device).float() for kind in kinds)
        return cls(inputs, recurrent, biases[0] + biases[1])

    def project(self, words: torch.Tensor) -> torch.Tensor:
        """Compute the gates' input part, (n, 4H), from word vectors (n, E)."""
        return torch.addmm(self.bias, words, self.inputs.T)


class Nodes(NamedTuple):
    """The states of one level's n nodes."""

    hidden: torch.Tensor
    """Hidden states of the k nodes with children, as the recurrent product reads them, (k, H) or wider."""
    cell: torch.Tensor
    """(n, H)."""
    maxima: torch.Tensor
    """Largest hidden state from the first token to this one, (n, H)."""
    winners: torch.Tensor
    """Index of the token of each maximum, (n, H); empty unless wanted."""


class Stepper(Protocol):
    """Computes a level of a plan from the level above it."""

    def root(self, *, winners: bool) -> Nodes:
        """Return the empty prefix, the only parent of the first level."""

    def step(self, level: Level, above: Nodes, depth: int) -> Generator[int, None, Nodes]:
        """Compute the nodes of a level; yields how many are finished. `depth` counts the levels from 0."""


def pool(
    plan: PrefixPlan, stepper: Stepper, *, device: torch.device, out: torch.Tensor, winners: torch.Tensor | None
) -> Generator[float, None, None]:
    """Run one direction along a plan.

    Args:
        plan: The plan of B sentences.
        stepper: Computes the levels.
        device: The stepper's device.
        out: Where to write the maxima, (B, H).
        winners: Where to write the index of the token that each maximum comes from, (B, H); None to save the work.

    Yields:
        The finished share, 0..1.
    """
    done = 0
    above = stepper.root(winners=winners is not None)
    for depth, level in enumerate(plan.levels(device)):
        steps = stepper.step(level, above, depth)
        while True:
            try:
                yield (done + next(steps)) / plan.nodes
            except StopIteration as end:
                above = end.value
                break
        done += len(level.words)
        if len(level.rows):
            rows = level.rows.to(out.device)  # (e,)
            out[rows] = above.maxima[level.ending].to(out.device)
            if winners is not None:
                winners[rows] = above.winners[level.ending].to(out.device)


class OperatorStepper:
    """Computes levels with torch's operators, on any device.

    Args:
        direction: The weights.
        inputs: The vectors of the plan's words, (U, E).
        dtype: Precision of the recurrent products.
    """

    def __init__(self, direction: Direction, inputs: torch.Tensor, dtype: torch.dtype) -> None:
        self._table = direction.project(inputs)  # (U, 4H), float32
        self._weight = direction.recurrent.T.to(dtype)  # (H, 4H)

    def root(self, *, winners: bool) -> Nodes:
        """Implement `Stepper.root`."""
        return root_nodes(self._table, self._weight.new_zeros((1, len(self._weight))), winners=winners)

    def step(self, level: Level, above: Nodes, depth: int) -> Generator[int, None, Nodes]:
        """Implement `Stepper.step`. The product with a parent is computed once for all its children."""
        n, hidden = len(level.words), above.cell.shape[1]
        state, cell, maxima = (above.cell.new_empty((n, hidden)) for _ in range(3))  # (n, H)
        winners = above.winners.new_empty((n if len(above.winners) else 0, hidden))  # (n, H)
        tile = max(1, _TILE_BYTES // (4 * 4 * hidden)) if cell.device.type == "cpu" else _PARENTS_PER_STEP
        for branches, start, end in blocks_of_parents(level, len(above.hidden)):
            projected = torch.mm(above.hidden[branches], self._weight)  # (p, 4H)
            for at in range(start, end, tile):
                part = slice(at, min(at + tile, end))
                parents = level.parents[part]  # (b,)
                gates = self._table[level.words[part]]  # (b, 4H)
                gates += projected[level.branches[part] - branches.start]  # (b, 4H)
                i, f, g, o = gates.chunk(4, dim=1)  # (b, H) each
                torch.mul(i.sigmoid_(), g.tanh_(), out=cell[part])
                cell[part].addcmul_(f.sigmoid_(), above.cell[parents])
                torch.mul(o.sigmoid_(), cell[part].tanh(), out=state[part])
                before = above.maxima[parents]  # (b, H)
                if len(winners):
                    winners[part] = above.winners[parents].masked_fill_(state[part] > before, depth)
                torch.maximum(before, state[part], out=maxima[part])
            yield end
        return Nodes(state[level.inner].to(above.hidden.dtype), cell, maxima, winners)


def blocks_of_parents(level: Level, parents: int) -> Iterator[tuple[slice, int, int]]:
    """Divide a level into blocks that one matrix product serves.

    Args:
        level: The level.
        parents: Number of nodes with children in the level above.

    Yields:
        Some of these parents, the first of their children and the node after the last one.
    """
    firsts = torch.arange(0, parents, _PARENTS_PER_STEP).to(level.branches)
    bounds = [*torch.searchsorted(level.branches, firsts).tolist(), len(level.words)]  # children are sorted by parent
    for first, (start, end) in zip(firsts.tolist(), pairwise(bounds), strict=True):
        yield slice(first, first + _PARENTS_PER_STEP), start, end


def root_nodes(table: torch.Tensor, state: torch.Tensor, *, winners: bool) -> Nodes:
    """Make the states of the empty prefix, given its hidden state.

    Args:
        table: Gates' input part of any words, (U, 4H).
        state: The hidden state, (1, H) or wider.
        winners: Whether winners are wanted.
    """
    hidden = table.shape[1] // 4
    cell = table.new_zeros((1, hidden))  # (1, H)
    none = torch.zeros((int(winners), hidden), dtype=torch.int32, device=table.device)  # (1, H)
    return Nodes(state, cell, torch.full_like(cell, -torch.inf), none)
