"""Two LSTMs with max pooling over packed sentences, with their gradients: faster on CPU than `torch.nn.LSTM`.

No step is spent on padding, the word vectors need no gradient, and the two directions run side by side. Hochreiter and
Schmidhuber's LSTM with torch's gate order (i, f, g, o); products in bfloat16, cell states in float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class PooledLSTM(torch.autograd.Function):
    """The maximum over time of the hidden states of LSTMs, one a direction.

    `apply(inputs, weight_ih, weight_hh, bias, counts)`:
        inputs: Packed time steps, (2, S, E): all sentences' first tokens, then all second tokens, and so on; sentences
            in descending order of length. Gets no gradient.
        weight_ih, weight_hh, bias: (2, 4H, E), (2, 4H, H), (2, 4H).
        counts: Sentences that have a token at each time, T numbers that never rise; their sum is S.
    Returns the maxima, (2, B, H), float32.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, counts: list[int]
    ) -> Tensor:
        """Run forward, keeping the activated gates, the cells and the time of each maximum."""
        directions, total, _ = inputs.shape
        hidden = weight_hh.shape[2]
        inputs = inputs.bfloat16()
        recurrent = weight_hh.bfloat16()
        gates = torch.baddbmm(bias.bfloat16()[:, None], inputs, weight_ih.bfloat16().mT)  # (2, S, 4H)
        former = torch.zeros(directions, total, hidden, dtype=torch.bfloat16)  # each step's state one step before
        cells = torch.empty(directions, total, hidden)  # (2, S, H)
        maxima = torch.full((directions, counts[0], hidden), -2.0)
        times = torch.zeros(maxima.shape, dtype=torch.int16)
        start = 0
        cell = torch.zeros(())  # of the step before
        for time, count in enumerate(counts):
            now = slice(start, start + count)
            gate = gates[:, now]  # (2, b, 4H)
            if time:
                for direction in range(directions):
                    gate[direction].addmm_(former[direction, now], recurrent[direction].T)
            i, f, g, o = gate.chunk(4, dim=2)
            gate[:, :, : 2 * hidden].sigmoid_()
            g.tanh_()
            o.sigmoid_()
            cell = torch.addcmul(f * cell[:, :count], i, g) if time else (i * g).float()  # (2, b, H)
            cells[:, now] = cell
            state = cell.tanh().mul_(o)  # (2, b, H)
            best = maxima[:, :count]
            times[:, :count].masked_fill_(state > best, time)
            torch.maximum(best, state, out=best)
            start += count
            if time + 1 < len(counts):
                former[:, start : start + counts[time + 1]] = state[:, : counts[time + 1]]
        ctx.counts = counts
        ctx.save_for_backward(inputs, recurrent, gates, former, cells, times)
        return maxima

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Run back through time; the weights' gradients are one product over all steps."""
        (grad,) = grads
        inputs, recurrent, gates, former, cells, times = ctx.saved_tensors
        hidden = recurrent.shape[2]
        change = torch.empty_like(gates)  # (2, S, 4H), gradients before the gates' functions
        end = gates.shape[1]
        state_grad = cell_grad = torch.zeros(len(grad), 0, hidden)
        for time in reversed(range(len(ctx.counts))):
            count = ctx.counts[time]
            now = slice(end - count, end)
            i, f, g, o = (gate.float() for gate in gates[:, now].chunk(4, dim=2))
            into = grad[:, :count] * (times[:, :count] == time)  # (2, b, H)
            into[:, : state_grad.shape[1]] += state_grad
            bent = cells[:, now].tanh()
            into_cell = into * o * (1 - bent * bent)
            into_cell[:, : cell_grad.shape[1]] += cell_grad
            step = change[:, now]
            step[:, :, :hidden] = into_cell * g * i * (1 - i)
            if time:  # the sentences of this step come first among those of the step before
                before = end - count - ctx.counts[time - 1]
                step[:, :, hidden : 2 * hidden] = into_cell * cells[:, before : before + count] * f * (1 - f)
            else:
                step[:, :, hidden : 2 * hidden] = 0
            step[:, :, 2 * hidden : 3 * hidden] = into_cell * i * (1 - g * g)
            step[:, :, 3 * hidden :] = into * bent * o * (1 - o)
            cell_grad = into_cell * f
            if time:
                state_grad = torch.stack([a @ b for a, b in zip(step, recurrent, strict=True)]).float()
            end -= count
        return (
            None,
            torch.bmm(change.mT, inputs).float(),
            torch.bmm(change.mT, former).float(),
            change.float().sum(dim=1),
            None,
        )
