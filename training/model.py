"""Define the student, which has InferSent's architecture: two LSTMs and a maximum over the tokens without padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.lstm import PooledLSTM

_RMS = 0.5  # root mean square that the word vectors are scaled to
_KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class Student(nn.Module):
    """A BiLSTM over frozen word vectors with max pooling.

    The backward direction reads each sentence from its last token to its first. Its states need not be reversed
    afterwards, because the maximum does not depend on the order of the tokens.

    Args:
        vectors: Word vectors, (V, E), which are not trained.
        hidden: H, hidden units per direction.
        teacher_dim: Dimension of the teacher's embeddings, which only the training's head predicts.
    """

    vectors: Tensor
    gain: Tensor

    def __init__(self, vectors: NDArray[np.float32], *, hidden: int, teacher_dim: int) -> None:
        super().__init__()
        table = torch.from_numpy(vectors)
        self.register_buffer("vectors", table, persistent=False)  # (V, E)
        self.register_buffer("gain", _RMS / table.square().mean().sqrt(), persistent=False)
        bound = hidden**-0.5
        self.weight_ih = nn.Parameter(torch.empty(2, 4 * hidden, table.shape[1]).uniform_(-bound, bound))
        self.weight_hh = nn.Parameter(torch.empty(2, 4 * hidden, hidden).uniform_(-bound, bound))
        bias = torch.zeros(2, 4 * hidden)
        bias[:, hidden : 2 * hidden] = 1.0  # open forget gates at first
        self.bias = nn.Parameter(bias)
        self.dropout = nn.Dropout(0.0)  # `train` sets the share
        self.head = nn.Linear(2 * hidden, teacher_dim)

    def forward(self, sentences: list[NDArray[np.int32]]) -> Tensor:
        """Encode sentences.

        Args:
            sentences: Word-vector rows of each sentence's tokens, including the markers <p> and </p>; longest first.

        Returns:
            Embeddings, (B, 2H), float32, not normalized.
        """
        rows, counts = _pack(sentences)
        inputs = self.dropout(self.vectors[rows] * self.gain)  # (2, S, E)
        weights = (self.weight_ih, self.weight_hh, self.bias)
        maxima = PooledLSTM.apply(inputs, *weights, counts)  # type: ignore[no-untyped-call]  # (2, B, H)
        return torch.cat(tuple(maxima), dim=1)  # (B, 2H)

    def load(self, path: Path) -> None:
        """Load weights that `save` wrote; the head is not among them and stays unchanged."""
        weights = torch.load(path, map_location="cpu", weights_only=True)
        with torch.no_grad():
            for direction, suffix in enumerate(("", "_reverse")):
                tensors = {name: weights[f"enc_lstm.{name}_l0{suffix}"].float() for name in _KINDS}
                self.weight_ih[direction] = tensors["weight_ih"] / self.gain
                self.weight_hh[direction] = tensors["weight_hh"]
                self.bias[direction] = tensors["bias_ih"] + tensors["bias_hh"]

    def save(self, path: Path) -> None:
        """Write the weights in InferSent's format, a plain state dict in torch's legacy (non-zip) file, in float16."""
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
    """Order tokens by time, without padding.

    Args:
        sentences: Word-vector rows of B sentences, the longest first.

    Returns:
        Row numbers, (2, S), for the forward and the backward direction: all first tokens, then all second tokens, and
        so on; and the number of sentences with a token at each time, T numbers.
    """
    lengths = np.array([len(sentence) for sentence in sentences])  # (B,)
    times = np.arange(lengths[0])  # (T,)
    real = times[:, None] < lengths  # (T, B)
    forward = np.zeros((len(lengths), lengths[0]), dtype=np.int64)  # (B, T)
    backward = np.zeros_like(forward)  # (B, T)
    for row, sentence in enumerate(sentences):
        forward[row, : len(sentence)] = sentence
        backward[row, : len(sentence)] = sentence[::-1]
    return torch.from_numpy(np.stack([forward.T[real], backward.T[real]])), real.sum(axis=1).tolist()
