"""SentenceEncoder: InferSent's BiLSTM with max pooling (Conneau et al. 2017, arXiv 1705.02364)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from core.encoding.halving import PartStep, in_parts_that_fit, is_out_of_memory
from core.encoding.prefixes import PrefixPlan, plan
from core.encoding.threads import run_in_parallel
from core.encoding.weights import KEYS, read_weights, untrained
from core.store.progress import Cancelled

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
PLAN = 2
"""Version of the algorithm that encodes corpora; another version may round differently."""
_TOKENS_PER_STEP = 64  # tokens of one sentence between two checks of `cancelled`
_PARENTS_PER_STEP = 1024  # rows of a matrix product: enough for full speed, few enough to stop within a second
_TILE_BYTES = 2 << 20  # gates computed together on a CPU: they fit its cache


def not_cancelled() -> bool:
    """Return False: the default of the `cancelled` callbacks."""
    return False


class WordRows(Protocol):
    """The part of `WordVectors` that encoding uses."""

    @property
    def rows(self) -> NDArray[np.float32]:
        """Word vectors, (V, E)."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedSentence:
    """One sentence's embedding and the tokens that its maxima come from."""

    embedding: NDArray[np.float32]
    """(D,), not normalized."""
    winners: NDArray[np.int32]
    """Index of the token at which each feature has its maximum, (D,), 0..T-1."""
    length: int
    """T, the number of tokens, the sentence marks included."""

    @property
    def importance(self) -> NDArray[np.float32]:
        """Share of the D maxima at each token, (T,); sums to 1."""
        return (np.bincount(self.winners, minlength=self.length) / len(self.winners)).astype(np.float32)


class _Direction(NamedTuple):
    """The weights of one direction in torch's layout, with gates in the order i, f, g, o."""

    inputs: torch.Tensor
    """(4H, E)."""
    recurrent: torch.Tensor
    """(4H, H)."""
    bias: torch.Tensor
    """(4H,)."""

    @classmethod
    def read(cls, weights: dict[str, torch.Tensor], suffix: str, device: torch.device) -> _Direction:
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        inputs, recurrent, *biases = (weights[f"enc_lstm.{kind}_l0{suffix}"].to(device).float() for kind in kinds)
        return cls(inputs, recurrent, biases[0] + biases[1])

    def project(self, words: torch.Tensor) -> torch.Tensor:
        """Compute the gates' input part, (n, 4H), from word vectors (n, E)."""
        return torch.addmm(self.bias, words, self.inputs.T)


class _States(NamedTuple):
    """The LSTM states of one direction after each word of a sentence."""

    inputs: torch.Tensor
    """Word vectors in reading order, (T, E)."""
    hidden: torch.Tensor
    """(T, H)."""
    cell: torch.Tensor
    """(T, H)."""

    def shared_with(self, inputs: torch.Tensor) -> int:
        """Count the leading words that another sentence (T', E) shares with this one."""
        n = min(len(inputs), len(self.inputs))
        return int((inputs[:n] == self.inputs[:n]).all(dim=1).cumprod(dim=0).sum())


class SentenceEncoder:
    """A BiLSTM over word vectors with max pooling of the hidden states over the tokens; it has no other layers.

    Args:
        weights: State dict with the keys `enc_lstm.{weight,bias}_{ih,hh}_l0[_reverse]`, in torch's LSTM layout.
        device: Where to compute.
        dtype: Precision for encoding corpora, `float32` or `bfloat16`.
    """

    def __init__(self, weights: dict[str, torch.Tensor], *, device: str = "cpu", dtype: str = "float32") -> None:
        hidden, dim = weights[KEYS[0]].shape[0] // 4, weights[KEYS[0]].shape[1]
        self.device = torch.device(device)
        self.dtype = dtype
        self.word_dim = dim
        """E, the width of the word vectors."""
        self.dim = 2 * hidden
        """D, the width of an embedding."""
        self.passed_over: tuple[str, ...] = ()
        """What the file of the weights holds beside the encoder, by name."""
        self._directions = [_Direction.read(weights, suffix, self.device) for suffix in ("", "_reverse")]
        self._step_weights = [self._for_steps(direction.recurrent) for direction in self._directions]  # (4H, H)
        self._previous: _States | None = None
        self._cpu_encoder: SentenceEncoder | None = None

    @classmethod
    def load(
        cls, path: Path, *, device: str = "cpu", dtype: str = "float32", is_trained: bool = True
    ) -> SentenceEncoder:
        """Load a state dict with any H and E, from a pickle of tensors or a safetensors file.

        If `is_trained` is False, only the shapes are taken from it, and the weights are those of `untrained`.

        Raises:
            AssetError: The file is missing, damaged, no state dict, or of another encoder.
        """
        weights = read_weights(path)
        if not is_trained:
            weights = untrained(weights)
        encoder = cls(weights.tensors, device=device, dtype=dtype)
        encoder.passed_over = weights.passed_over
        return encoder

    def encode(
        self, word_vectors: NDArray[np.float32], *, cancelled: Callable[[], bool] = not_cancelled
    ) -> EncodedSentence:
        """Encode one sentence, step by step, both directions in parallel.

        Reading the recurrent weights takes most of a step's time. On a CPU they are therefore stored in half precision;
        states, gates and sums stay float32, and the cosine to an all-float32 embedding is above 0.99999. The forward
        states of leading words shared with the previous sentence are reused, because typing mostly changes the end.

        Args:
            word_vectors: (T, E), the sentence marks included; T >= 1.
            cancelled: Called between the parts of a very long sentence; True stops the work.

        Raises:
            Cancelled: `cancelled` returned True.
        """
        if self._cpu_encoder is None:
            try:
                return self._encode(word_vectors, cancelled)
            except RuntimeError as error:
                if self.device.type == "cpu" or not is_out_of_memory(error):
                    raise
            self._cpu_encoder = self._copy_to_cpu()  # outside `except`, whose traceback keeps the tensors alive
        return self._cpu_encoder.encode(word_vectors, cancelled=cancelled)

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether the GPU ran out of memory in `encode`, which has used the CPU since."""
        return self._cpu_encoder is not None

    def _copy_to_cpu(self) -> SentenceEncoder:
        encoder = copy.copy(self)
        encoder.device = torch.device("cpu")
        encoder._directions = [_Direction(*(tensor.cpu() for tensor in direction)) for direction in self._directions]
        encoder._step_weights = [encoder._for_steps(direction.recurrent) for direction in encoder._directions]
        encoder._previous = None
        return encoder

    def _for_steps(self, recurrent: torch.Tensor) -> torch.Tensor:
        """Convert recurrent weights to the precision that `encode` reads."""
        return recurrent.half() if self.device.type == "cpu" else recurrent

    @torch.inference_mode()
    def _encode(self, word_vectors: NDArray[np.float32], cancelled: Callable[[], bool]) -> EncodedSentence:
        inputs = torch.from_numpy(np.ascontiguousarray(word_vectors)).to(self.device)  # (T, E)
        directions: list[Callable[[], _States]] = [
            partial(self._step_through, 0, inputs, self._previous, cancelled),
            partial(self._step_through, 1, inputs.flip(0), None, cancelled),
        ]
        # On a GPU both run in this thread: they share one stream, and in a new thread torch warns of a missing context.
        forward, backward = run_in_parallel(directions) if self.device.type == "cpu" else [run() for run in directions]
        self._previous = _States(*(values[:_TOKENS_PER_STEP].clone() for values in forward))
        maxima, winners = forward.hidden.max(dim=0)  # (H,), (H,)
        maxima_back, winners_back = backward.hidden.max(dim=0)  # (H,), (H,)
        winners = torch.cat([winners, len(inputs) - 1 - winners_back]).int()  # (D,)
        embedding = torch.cat([maxima, maxima_back])  # (D,)
        return EncodedSentence(embedding.cpu().numpy(), winners.cpu().numpy(), len(inputs))

    def _step_through(
        self, direction: int, inputs: torch.Tensor, previous: _States | None, cancelled: Callable[[], bool]
    ) -> _States:
        """Run one direction over word vectors (T, E) in reading order, reusing the states shared with `previous`."""
        weights, steps = self._directions[direction], self._step_weights[direction]
        done = 0 if previous is None else previous.shared_with(inputs)
        hidden, cell = (torch.empty((len(inputs), self.dim // 2), device=self.device) for _ in range(2))  # (T, H)
        if previous is not None:
            hidden[:done], cell[:done] = previous.hidden[:done], previous.cell[:done]
        for at in range(done, len(inputs)):
            offset = (at - done) % _TOKENS_PER_STEP
            if offset == 0:
                if at > done and cancelled():
                    raise Cancelled
                projected = weights.project(inputs[at : at + _TOKENS_PER_STEP])  # (t, 4H)
            gates = projected[offset]  # (4H,)
            if at:
                gates += torch.mv(steps, hidden[at - 1].to(steps.dtype))
            i, f, g, o = gates.chunk(4)  # (H,) each
            torch.mul(i.sigmoid_(), g.tanh_(), out=cell[at])
            if at:
                cell[at].addcmul_(f.sigmoid_(), cell[at - 1])
            torch.mul(o.sigmoid_(), cell[at].tanh(), out=hidden[at])
        return _States(inputs, hidden, cell)

    def encode_together(
        self,
        sentences: Sequence[NDArray[np.int32]],
        vectors: WordRows,
        *,
        batch_size: int | None = None,
        dtype: str | None = None,
        winners: NDArray[np.int32] | None = None,
    ) -> Generator[PartStep, None, NDArray[np.float32]]:
        """Encode distinct sentences without padding, computing shared beginnings and endings once.

        Args:
            sentences: B distinct sequences of word-vector rows, the sentence marks included.
            vectors: The word vectors that the sequences index.
            batch_size: Number of sentences in one plan, halved when a GPU runs out of memory; None for all.
            dtype: Precision; None for the encoder's.
            winners: Where to write the index of the token at which each feature has its maximum, (B, D); None to save
                the work.

        Yields:
            A step, several times a second. The caller may stop after any step.

        Returns:
            Embeddings in the order of `sentences`, (B, D), not normalized.

        Raises:
            AssetError: Not even one sentence fits on the device.
        """
        embeddings = np.empty((len(sentences), self.dim), np.float32)  # (B, D)

        def encode(part: slice) -> Iterator[float]:
            for half, direction in enumerate(self._directions):
                steps = plan(sentences[part] if half == 0 else [ids[::-1] for ids in sentences[part]])
                features = slice(half * self.dim // 2, (half + 1) * self.dim // 2)
                won = None if winners is None else winners[part, features]  # (b, H)
                out = embeddings[part, features]  # (b, H)
                for share in self._pool(steps, vectors, direction, _DTYPES[dtype or self.dtype], out, won):
                    yield (half + share) / 2
                if won is not None and half:  # counted from the end
                    won[:] = np.array([[len(ids) - 1] for ids in sentences[part]]) - won

        yield from in_parts_that_fit(len(sentences), encode, device=self.device, batch_size=batch_size)
        return embeddings

    @torch.inference_mode()
    def _pool(
        self,
        steps: PrefixPlan,
        vectors: WordRows,
        direction: _Direction,
        dtype: torch.dtype,
        out: NDArray[np.float32],
        won: NDArray[np.int32] | None,
    ) -> Generator[float, None, None]:
        """Run one direction along a plan, and yield the finished share, 0..1.

        The maxima (B, H) are written into `out`, and the index of the token that each comes from into `won`.
        """
        hidden = self.dim // 2
        inputs = torch.from_numpy(np.asarray(vectors.rows[steps.words])).to(self.device)  # (U, E)
        table = direction.project(inputs)  # (U, 4H), float32
        weight = direction.recurrent.T.to(dtype)  # (H, 4H)
        # The previous level's nodes with children; the parent of the first level is the empty prefix.
        state = torch.zeros((1, hidden), dtype=dtype, device=self.device)  # (k, H)
        cell = torch.zeros((1, hidden), device=self.device)  # (k, H)
        maxima = torch.full((1, hidden), -torch.inf, device=self.device)  # (k, H)
        winners = torch.zeros((1, hidden), dtype=torch.int32, device=self.device)  # (k, H)
        tile = max(1, _TILE_BYTES // (4 * 4 * hidden)) if self.device.type == "cpu" else _PARENTS_PER_STEP
        done = 0
        for depth, level in enumerate(steps.levels):
            n = len(level.words)
            words = torch.from_numpy(level.words).to(self.device)  # (n,)
            parents = torch.from_numpy(level.parents).to(self.device)  # (n,)
            new_state, new_cell, new_maxima = (torch.empty((n, hidden), device=self.device) for _ in range(3))  # (n, H)
            new_winners = winners.new_empty((0 if won is None else n, hidden))  # (n, H)
            blocks = range(0, len(state), _PARENTS_PER_STEP)
            starts = np.searchsorted(level.parents, blocks).tolist()  # children are sorted by parent
            for first, start, end in zip(blocks, starts, [*starts[1:], n], strict=True):
                projected = torch.mm(state[first : first + _PARENTS_PER_STEP], weight)  # (p, 4H), once for all children
                for at in range(start, end, tile):
                    part = slice(at, min(at + tile, end))
                    above = parents[part]  # (b,)
                    gates = table[words[part]]  # (b, 4H)
                    gates += projected[above - first]  # (b, 4H)
                    i, f, g, o = gates.chunk(4, dim=1)  # (b, H) each
                    torch.mul(i.sigmoid_(), g.tanh_(), out=new_cell[part])
                    new_cell[part].addcmul_(f.sigmoid_(), cell[above])
                    torch.mul(o.sigmoid_(), new_cell[part].tanh(), out=new_state[part])
                    if won is not None:
                        new_winners[part] = winners[above].masked_fill_(new_state[part] > maxima[above], depth)
                    torch.maximum(maxima[above], new_state[part], out=new_maxima[part])
                done += end - start
                yield done / steps.nodes
            if len(level.rows):
                ending = torch.from_numpy(level.ending).to(self.device)  # (e,)
                out[level.rows] = new_maxima[ending].cpu().numpy()
                if won is not None:
                    won[level.rows] = new_winners[ending].cpu().numpy()
            inner = torch.from_numpy(level.inner).to(self.device)  # (k,)
            state, cell, maxima = new_state[inner].to(dtype), new_cell[inner], new_maxima[inner]  # (k, H)
            if won is not None:
                winners = new_winners[inner]  # (k, H)
