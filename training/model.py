"""The student: InferSent's architecture, two LSTMs and a maximum over the real tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.lstm import PooledLSTM

_RMS = 0.5
_KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class Student(nn.Module):
    """A BiLSTM over frozen word vectors with max pooling.

    The backward direction reads each sentence from its last token to its first; the maximum over tokens does not
    depend on their order, so nothing needs to be turned back.

    Args:
        vectors: Word vectors, (V, E); not trained.
        hidden: H, the width of one direction.
        teacher_dim: Width of the teacher's embeddings, for the head that only training uses.
    """

    vectors: Tensor
    gain: Tensor

    def __init__(self, vectors: NDArray[np.float32], *, hidden: int, teacher_dim: int) -> None:
        super().__init__()
        table = torch.from_numpy(vectors)
        self.register_buffer("vectors", table, persistent=False)  # (V, E)
        self.register_buffer("gain", _RMS / table.square().mean().sqrt(), persistent=False)
        width = hidden**-0.5
        self.weight_ih = nn.Parameter(torch.empty(2, 4 * hidden, table.shape[1]).uniform_(-width, width))
        self.weight_hh = nn.Parameter(torch.empty(2, 4 * hidden, hidden).uniform_(-width, width))
        bias = torch.zeros(2, 4 * hidden)
        bias[:, hidden : 2 * hidden] = 1.0  # remember, to begin with
        self.bias = nn.Parameter(bias)
        self.dropout = nn.Dropout(0.0)  # training sets how much
        self.head = nn.Linear(2 * hidden, teacher_dim)

    def forward(self, sentences: list[NDArray[np.int32]]) -> Tensor:
        """Encode sentences.

        Args:
            sentences: Row numbers of each sentence's tokens, marks included; the longest sentence first.

        Returns:
            Embeddings, (B, 2H), float32, not normalized.
        """
        rows, counts = _pack(sentences)
        inputs = self.dropout(self.vectors[rows] * self.gain)  # (2, S, E)
        weights = (self.weight_ih, self.weight_hh, self.bias)
        maxima = PooledLSTM.apply(inputs, *weights, counts)  # type: ignore[no-untyped-call]  # (2, B, H)
        return torch.cat(tuple(maxima), dim=1)  # (B, 2H)

    def load(self, path: Path) -> None:
        """Take up weights that `save` wrote; the head, which is not among them, stays as it is."""
        weights = torch.load(path, map_location="cpu", weights_only=True)
        with torch.no_grad():
            for direction, suffix in enumerate(("", "_reverse")):
                kept = {name: weights[f"enc_lstm.{name}_l0{suffix}"].float() for name in _KINDS}
                self.weight_ih[direction] = kept["weight_ih"] / self.gain
                self.weight_hh[direction] = kept["weight_hh"]
                self.bias[direction] = kept["bias_ih"] + kept["bias_hh"]

    def save(self, path: Path) -> None:
        """Write the weights as InferSent's are kept: a plain state dict in an old-style file, here in float16."""
        weights: dict[str, Tensor] = {}
        for direction, suffix in enumerate(("", "_reverse")):
            tensors = {
                "weight_ih": self.weight_ih[direction] * self.gain,
                "weight_hh": self.weight_hh[direction],
                "bias_ih": self.bias[direction],
                "bias_hh": torch.zeros_like(self.bias[direction]),
            }
            for name, tensor in tensors.items():
                weights[f"enc_lstm.{name}_l0{suffix}"] = tensor.detach().to(torch.float16).contiguous()
        torch.save(weights, path, _use_new_zipfile_serialization=False)


def _pack(sentences: list[NDArray[np.int32]]) -> tuple[Tensor, list[int]]:
    """Lay tokens out by time, without padding.

    Args:
        sentences: The longest first.

    Returns:
        Row numbers, (2, S), read forward and backward: all first tokens, then all second tokens, and so on; and how
        many sentences have a token at each time, (T,).
    """
    lengths = np.array([len(sentence) for sentence in sentences])  # (B,)
    places = np.arange(lengths[0])  # (T,)
    real = places[:, None] < lengths  # (T, B)
    ahead = np.zeros((len(lengths), lengths[0]), dtype=np.int64)  # (B, T)
    back = np.zeros_like(ahead)
    for row, sentence in enumerate(sentences):
        ahead[row, : len(sentence)] = sentence
        back[row, : len(sentence)] = sentence[::-1]
    return torch.from_numpy(np.stack([ahead.T[real], back.T[real]])), real.sum(axis=1).tolist()
