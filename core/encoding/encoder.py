"""SentenceEncoder: InferSent's BiLSTM with max pooling (Conneau et al. 2017, arXiv 1705.02364)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from core.corpus.sentences import Sentences
from core.encoding.device_errors import is_out_of_memory, told_for_people
from core.encoding.halving import PartStep, in_parts_that_fit
from core.encoding.pooling import Direction, pool
from core.encoding.prefixes import PlannedBatch
from core.encoding.steppers import compiled_steps_work, stepper_for
from core.encoding.threads import run_in_parallel
from core.encoding.weights import KEYS, read_weights, untrained
from core.store.progress import Cancelled

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
PLAN = 4
"""Version of the algorithm that encodes corpora; another version may round differently."""
_TOKENS_PER_STEP = 64  # tokens of one sentence between two checks of `cancelled`


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


class _States(NamedTuple):
    """The forward LSTM states after each of the first t words of a sentence."""

    inputs: torch.Tensor
    """Word vectors, (t, E)."""
    hidden: torch.Tensor
    """(t, H)."""
    cell: torch.Tensor
    """(t, H)."""

    def shared_with(self, inputs: torch.Tensor) -> int:
        """Count the leading words that another sentence (T', E) shares with this one."""
        n = min(len(inputs), len(self.inputs))
        return int((inputs[:n] == self.inputs[:n]).all(dim=1).cumprod(dim=0).sum())


class _Passed(NamedTuple):
    """What one direction leaves of a sentence, in the order in which it reads; the other states are not kept."""

    maxima: torch.Tensor
    """Largest hidden states, (H,)."""
    winners: torch.Tensor
    """Index of the token of each maximum, (H,)."""
    hidden: torch.Tensor
    """After each of the first t words, (t, H); t is at least 64, or T."""
    cell: torch.Tensor
    """The same, (t, H)."""


class Pooled(NamedTuple):
    """The embeddings of many sentences, usually on the encoder's device."""

    embeddings: torch.Tensor
    """(B, D), not normalized."""
    winners: torch.Tensor
    """Index of the token at which each feature has its maximum, (B, D); empty unless wanted."""


class SentenceEncoder:
    """A BiLSTM over word vectors with max pooling of the hidden states over the tokens; it has no other layers.

    Args:
        weights: State dict with the keys `enc_lstm.{weight,bias}_{ih,hh}_l0[_reverse]`, in torch's LSTM layout.
        device: Where to compute.
        dtype: Precision for encoding corpora, `float32` or `bfloat16`.

    Raises:
        AssetError: The device cannot take the weights.
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
        with told_for_people(self.device):
            self._directions = [Direction.read(weights, suffix, self.device) for suffix in ("", "_reverse")]
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
            AssetError: The GPU fails in another way than by too little memory.
            Cancelled: `cancelled` returned True.
        """
        if self._cpu_encoder is None:
            with told_for_people(self.device):
                try:
                    return self._encode(word_vectors, cancelled)
                except RuntimeError as error:
                    if self.device.type == "cpu" or not is_out_of_memory(error):
                        raise
                self._cpu_encoder = self._copy_to_cpu()  # outside `except`, whose traceback keeps the tensors alive
        return self._cpu_encoder.encode(word_vectors, cancelled=cancelled)

    @property
    def has_compiled_steps(self) -> bool:
        """Whether large corpora are encoded by code compiled for the device; torch's operators are slower."""
        return compiled_steps_work(str(self.device), _DTYPES[self.dtype])

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether the GPU ran out of memory in `encode`, which has used the CPU since."""
        return self._cpu_encoder is not None

    def _copy_to_cpu(self) -> SentenceEncoder:
        encoder = copy.copy(self)
        encoder.device = torch.device("cpu")
        encoder._directions = [Direction(*(tensor.cpu() for tensor in direction)) for direction in self._directions]
        encoder._step_weights = [encoder._for_steps(direction.recurrent) for direction in encoder._directions]
        encoder._previous = None
        return encoder

    def _for_steps(self, recurrent: torch.Tensor) -> torch.Tensor:
        """Convert recurrent weights to the precision that `encode` reads."""
        return recurrent.half() if self.device.type == "cpu" else recurrent

    @torch.inference_mode()
    def _encode(self, word_vectors: NDArray[np.float32], cancelled: Callable[[], bool]) -> EncodedSentence:
        inputs = torch.from_numpy(np.ascontiguousarray(word_vectors)).to(self.device)  # (T, E)
        directions: list[Callable[[], _Passed]] = [
            partial(self._step_through, 0, inputs, self._previous, cancelled),
            partial(self._step_through, 1, inputs, None, cancelled),
        ]
        # On a GPU both run in this thread: they share one stream, and in a new thread torch warns of a missing context.
        forward, backward = run_in_parallel(directions) if self.device.type == "cpu" else [run() for run in directions]
        first = (each[:_TOKENS_PER_STEP].clone() for each in (inputs, forward.hidden, forward.cell))
        self._previous = _States(*first)
        winners = torch.cat([forward.winners, len(inputs) - 1 - backward.winners]).int()  # (D,)
        embedding = torch.cat([forward.maxima, backward.maxima])  # (D,)
        return EncodedSentence(embedding.cpu().numpy(), winners.cpu().numpy(), len(inputs))

    def _step_through(
        self, direction: int, inputs: torch.Tensor, previous: _States | None, cancelled: Callable[[], bool]
    ) -> _Passed:
        """Run one direction over word vectors (T, E), reusing the states shared with `previous`.

        It goes block by block, so that a text of a megabyte does not take gigabytes: the first block is the reused
        states and up to 64 more, each later one has up to 64.
        """
        weights, steps, total = self._directions[direction], self._step_weights[direction], len(inputs)
        start, done = 0, 0 if previous is None else previous.shared_with(inputs)
        passed: _Passed | None = None
        hidden = cell = inputs.new_zeros((1, self.dim // 2))  # (1, H)
        for end in (*range(done + _TOKENS_PER_STEP, total, _TOKENS_PER_STEP), total):
            if passed is not None and cancelled():
                raise Cancelled
            before = hidden[-1], cell[-1]  # (H,) each
            hidden, cell = (inputs.new_empty((1 + end - start, self.dim // 2)) for _ in range(2))  # (1 + t, H) each
            hidden[0], cell[0] = before
            if passed is None and previous is not None:
                hidden[1 : 1 + done], cell[1 : 1 + done] = previous.hidden[:done], previous.cell[:done]
            words = inputs[done:end] if direction == 0 else inputs[total - end : total - done].flip(0)  # (n, E)
            projected = weights.project(words) if done < end else words  # (n, 4H)
            for at, gates in enumerate(projected, done):  # (4H,) each
                row = at - start
                if at:
                    gates.add_(torch.mv(steps, hidden[row].to(steps.dtype)))
                i, f, g, o = gates.chunk(4)  # (H,) each
                torch.mul(i.sigmoid_(), g.tanh_(), out=cell[row + 1])
                if at:
                    cell[row + 1].addcmul_(f.sigmoid_(), cell[row])
                torch.mul(o.sigmoid_(), cell[row + 1].tanh(), out=hidden[row + 1])
            maxima, winners = hidden[1:].max(dim=0)  # (H,), (H,)
            if passed is None:
                passed = _Passed(maxima, winners, hidden[1:], cell[1:])
            else:
                maxima, later = torch.stack([passed.maxima, maxima]).max(dim=0)
                winners = torch.where(later == 0, passed.winners, start + winners)
                passed = passed._replace(maxima=maxima, winners=winners)
            start = done = end
        assert passed is not None
        return passed

    def encode_together(
        self,
        sentences: Sentences,
        vectors: WordRows,
        *,
        planned: PlannedBatch | None = None,
        batch_size: int | None = None,
        dtype: str | None = None,
        winners: bool = False,
        is_large: bool = False,
    ) -> Generator[PartStep, None, Pooled]:
        """Encode distinct sentences without padding, computing shared beginnings and endings once.

        On a GPU the work may still run when this returns; whoever reads the embeddings waits for it.

        Args:
            sentences: B distinct sentences, as rows of the word vectors, the sentence marks included.
            vectors: The word vectors that the sentences index.
            planned: The plans of all these sentences together; None to make them when needed.
            batch_size: Number of sentences in one plan, halved when a GPU runs out of memory; None for all.
            dtype: Precision; None for the encoder's.
            winners: Whether the tokens that the maxima come from are wanted.
            is_large: Whether these sentences belong to a corpus for which it pays to compile code for a CPU first.

        Yields:
            A step, several times a second. The caller may stop after any step.

        Raises:
            AssetError: Not even one sentence fits on the device.
        """
        b = len(sentences)
        embeddings = self._new(b, np.float32)  # (B, D)
        won = self._new(b if winners else 0, np.int32)  # (B, D)

        @torch.inference_mode()
        def encode(part: slice) -> Iterator[float]:
            batch = planned if part == slice(0, b) else None
            if batch is None:
                batch = PlannedBatch.of(sentences.part(part.start, part.stop))
            inputs = torch.from_numpy(np.asarray(vectors.rows[batch.words])).to(self.device)  # (U, E)
            for half, (direction, steps) in enumerate(zip(self._directions, batch.directions, strict=True)):
                features = slice(half * self.dim // 2, (half + 1) * self.dim // 2)
                stepper = stepper_for(direction, inputs, _DTYPES[dtype or self.dtype], is_large=is_large)
                into = (embeddings[part, features], won[part, features] if winners else None)  # (b, H) each
                for share in pool(steps, stepper, device=self.device, out=into[0], winners=into[1]):
                    yield (half + share) / 2
            if winners:  # those of the second direction are counted from the end
                last = torch.from_numpy(batch.lengths - 1).to(won)[:, None]  # (b, 1)
                won[part, self.dim // 2 :] = last - won[part, self.dim // 2 :]

        yield from in_parts_that_fit(b, encode, device=self.device, batch_size=batch_size)
        return Pooled(embeddings, won)

    def _new(self, rows: int, dtype: type[np.generic]) -> torch.Tensor:
        """Make an uninitialized tensor, (rows, D), on the device, or in CPU memory if it does not fit there."""
        in_cpu_memory = torch.from_numpy(np.empty((rows, self.dim), dtype))  # takes none before it is written
        if self.device.type == "cuda":
            with suppress(torch.OutOfMemoryError):
                return torch.empty_like(in_cpu_memory, device=self.device)
        return in_cpu_memory
