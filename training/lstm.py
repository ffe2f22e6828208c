"""Compute two LSTMs with max pooling over packed sentences, and their gradients, faster than `torch.nn.LSTM` on a CPU.

Nothing is computed for padding, the word vectors get no gradient, and both directions share each operation. This is
Hochreiter and Schmidhuber's LSTM in torch's gate order (i, f, g, o), with bfloat16 products and float32 cell states.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class PooledLSTM(torch.autograd.Function):
    """Maximum over time of the hidden states of two LSTMs, one per direction.

    `apply(inputs, weight_ih, weight_hh, bias, counts)`:
        inputs: Packed tokens, (2, S, E): the first tokens of all sentences, then the second tokens, and so on; the
            sentences are in descending order of length. They get no gradient.
        weight_ih, weight_hh, bias: (2, 4H, E), (2, 4H, H), (2, 4H).
        counts: Number of sentences with a token at each time, T numbers in descending order; their sum is S.
    It returns the maxima, (2, B, H), float32.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, counts: list[int]
    ) -> Tensor:
        """Run forward; keep the activated gates, the cell states and the time of each maximum for `backward`."""
        directions, total, _ = inputs.shape
        hidden = weight_hh.shape[2]
        inputs = inputs.bfloat16()
        recurrent = weight_hh.bfloat16()
        gates = torch.baddbmm(bias.bfloat16()[:, None], inputs, weight_ih.bfloat16().mT)  # (2, S, 4H)
        previous = torch.zeros(directions, total, hidden, dtype=torch.bfloat16)  # (2, S, H), states one step before
        cells = torch.empty(directions, total, hidden)  # (2, S, H)
        maxima = torch.full((directions, counts[0], hidden), -2.0)  # (2, B, H); states are above -1
        times = torch.zeros(maxima.shape, dtype=torch.int16)  # (2, B, H)
        start = 0
        cell = torch.zeros(())  # of the previous step
        for time, count in enumerate(counts):
            step = slice(start, start + count)
            gate = gates[:, step]  # (2, b, 4H)
            if time:
                for direction in range(directions):
                    gate[direction].addmm_(previous[direction, step], recurrent[direction].T)
            i, f, g, o = gate.chunk(4, dim=2)
            gate[:, :, : 2 * hidden].sigmoid_()
            g.tanh_()
            o.sigmoid_()
            cell = torch.addcmul(f * cell[:, :count], i, g) if time else (i * g).float()  # (2, b, H)
            cells[:, step] = cell
            state = cell.tanh().mul_(o)  # (2, b, H)
            maximum = maxima[:, :count]  # (2, b, H), a view
            times[:, :count].masked_fill_(state > maximum, time)
            torch.maximum(maximum, state, out=maximum)
            start += count
            if time + 1 < len(counts):
                previous[:, start : start + counts[time + 1]] = state[:, : counts[time + 1]]
        ctx.counts = counts
        ctx.save_for_backward(inputs, recurrent, gates, previous, cells, times)
        return maxima

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Backpropagate through time; the weights' gradients are one product over all steps."""
        (grad,) = grads
        inputs, recurrent, gates, previous, cells, times = ctx.saved_tensors
        hidden = recurrent.shape[2]
        gate_grads = torch.empty_like(gates)  # (2, S, 4H), before the activation functions
        end = gates.shape[1]
        state_grad = cell_grad = torch.zeros(len(grad), 0, hidden)
        for time in reversed(range(len(ctx.counts))):
            count = ctx.counts[time]
            step = slice(end - count, end)
            i, f, g, o = (gate.float() for gate in gates[:, step].chunk(4, dim=2))  # each (2, b, H)
            to_state = grad[:, :count] * (times[:, :count] == time)  # (2, b, H), gradient of this step's states
            to_state[:, : state_grad.shape[1]] += state_grad
            tanh_cell = cells[:, step].tanh()  # (2, b, H)
            to_cell = to_state * o * (1 - tanh_cell * tanh_cell)
            to_cell[:, : cell_grad.shape[1]] += cell_grad
            to_gates = gate_grads[:, step]  # (2, b, 4H), a view
            to_gates[:, :, :hidden] = to_cell * g * i * (1 - i)
            if time:  # this step's sentences come first in the previous step
                before = end - count - ctx.counts[time - 1]
                to_gates[:, :, hidden : 2 * hidden] = to_cell * cells[:, before : before + count] * f * (1 - f)
            else:
                to_gates[:, :, hidden : 2 * hidden] = 0
            to_gates[:, :, 2 * hidden : 3 * hidden] = to_cell * i * (1 - g * g)
            to_gates[:, :, 3 * hidden :] = to_state * tanh_cell * o * (1 - o)
            cell_grad = to_cell * f
            if time:
                state_grad = torch.stack([a @ b for a, b in zip(to_gates, recurrent, strict=True)]).float()
            end -= count
        return (
            None,
            torch.bmm(gate_grads.mT, inputs).float(),  # (2, 4H, E)
            torch.bmm(gate_grads.mT, previous).float(),  # (2, 4H, H)
            gate_grads.float().sum(dim=1),  # (2, 4H)
            None,
        )
