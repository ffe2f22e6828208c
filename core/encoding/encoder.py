"""SentenceEncoder: InferSent's BiLSTM with max pooling (Conneau et al. 2017, arXiv 1705.02364)."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from core.assets import ADDRESSES, AssetError
from core.encoding.halving import PartStep, in_parts_that_fit, is_out_of_memory
from core.encoding.prefixes import PrefixPlan, plan
from core.encoding.processor import multiplies_bfloat16
from core.encoding.threads import run_in_parallel
from core.store.progress import Cancelled

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
PLAN = 2
"""Version of the way in which corpora are computed: another one may give other last bits."""
_TOKENS_A_STEP = 64  # of one sentence, between two looks at whether to stop
_PARENTS_A_STEP = 1024  # rows of a matrix product: enough for its full rate, few enough to stop within a second
_TILE_BYTES = 2 << 20  # gates computed at once on a processor: they stay in its cache
_KEYS = [
    f"enc_lstm.{kind}_l0{direction}"
    for direction in ("", "_reverse")
    for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
]


def not_cancelled() -> bool:
    """Answer `cancelled` for work that is not."""
    return False


class WordRows(Protocol):
    """Word vectors, as far as encoding needs them."""

    @property
    def rows(self) -> NDArray[np.float32]:
        """(V, E)."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedSentence:
    """One sentence's embedding, and where it came from."""

    embedding: NDArray[np.float32]
    """(D,), not normalized."""
    winners: NDArray[np.int32]
    """Which of the T tokens each feature's maximum falls on, (D,)."""
    length: int
    """T, the sentence marks included."""

    @property
    def importance(self) -> NDArray[np.float32]:
        """Share of the D maxima that fall on each token, (T,); sums to 1."""
        return (np.bincount(self.winners, minlength=self.length) / len(self.winners)).astype(np.float32)


class _Direction(NamedTuple):
    """The weights of one direction, as torch lays them out: gates i, f, g, o."""

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
        """What words (n, E) add to the gates, whatever stands before them; (n, 4H)."""
        return torch.addmm(self.bias, words, self.inputs.T)


class _States(NamedTuple):
    """Where one direction stood after each word of a sentence."""

    inputs: torch.Tensor
    """The words' vectors, in the order of reading, (T, E)."""
    hidden: torch.Tensor
    """(T, H)."""
    cell: torch.Tensor
    """(T, H)."""

    def shared_with(self, inputs: torch.Tensor) -> int:
        """How many words another sentence (T', E) begins with like this one."""
        n = min(len(inputs), len(self.inputs))
        return int((inputs[:n] == self.inputs[:n]).all(dim=1).cumprod(dim=0).sum())


class SentenceEncoder:
    """A BiLSTM over word vectors whose hidden states are max-pooled over the tokens; nothing else is learned.

    Args:
        weights: State dict with the keys `enc_lstm.{weight,bias}_{ih,hh}_l0[_reverse]`, in torch's LSTM layout.
        device: Where to compute.
        dtype: What corpora are computed in.
    """

    def __init__(self, weights: dict[str, torch.Tensor], *, device: str = "cpu", dtype: str = "float32") -> None:
        hidden, dim = weights[_KEYS[0]].shape[0] // 4, weights[_KEYS[0]].shape[1]
        self.device = torch.device(device)
        self.dtype = dtype
        self.word_dim = dim
        """E, the width of the word vectors."""
        self.dim = 2 * hidden
        """D, the width of an embedding."""
        self._directions = [_Direction.read(weights, suffix, self.device) for suffix in ("", "_reverse")]
        self._step_weights = [self._for_steps(direction.recurrent) for direction in self._directions]  # (4H, H)
        self._before: _States | None = None
        self._on_cpu: SentenceEncoder | None = None

    @classmethod
    def load(cls, path: Path, *, device: str = "cpu", dtype: str = "float32") -> SentenceEncoder:
        """Load an official-format state dict, a legacy or zip pickle of tensors, of any size.

        Raises:
            AssetError: The file is missing, damaged, something else, or holds other keys or shapes.
        """
        return cls(_read_weights(path), device=device, dtype=dtype)

    def encode(
        self, word_vectors: NDArray[np.float32], *, cancelled: Callable[[], bool] = not_cancelled
    ) -> EncodedSentence:
        """Encode one sentence, step by step, both directions at once.

        Each step reads all recurrent weights, which is what it costs. So they are read in half precision on a
        processor (states, gates and sums stay float32; the cosine to float32 throughout is above 0.99999), and the
        forward steps of the words that the sentence before began with are not taken again: who types changes the end.

        Args:
            word_vectors: (T, E), the sentence marks included; T >= 1.
            cancelled: Looked at between the parts of a very long sentence.

        Raises:
            Cancelled: It said so.
        """
        if self._on_cpu is None:
            try:
                return self._encode(word_vectors, cancelled)
            except RuntimeError as error:
                if self.device.type == "cpu" or not is_out_of_memory(error):
                    raise
            self._on_cpu = self._copy_to_cpu()  # outside `except`: there the traceback holds the tensors
        return self._on_cpu.encode(word_vectors, cancelled=cancelled)

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether the memory of the GPU has run out in `encode`, which works on the CPU since then."""
        return self._on_cpu is not None

    def _copy_to_cpu(self) -> SentenceEncoder:
        encoder = copy.copy(self)
        encoder.device = torch.device("cpu")
        encoder._directions = [_Direction(*(tensor.cpu() for tensor in direction)) for direction in self._directions]
        encoder._step_weights = [encoder._for_steps(direction.recurrent) for direction in encoder._directions]
        encoder._before = None
        return encoder

    def _for_steps(self, recurrent: torch.Tensor) -> torch.Tensor:
        """Convert recurrent weights to what `encode` reads at every step."""
        return recurrent.half() if self.device.type == "cpu" else recurrent

    @torch.inference_mode()
    def _encode(self, word_vectors: NDArray[np.float32], cancelled: Callable[[], bool]) -> EncodedSentence:
        inputs = torch.from_numpy(np.ascontiguousarray(word_vectors)).to(self.device)  # (T, E)
        directions: list[Callable[[], _States]] = [
            partial(self._step_through, 0, inputs, self._before, cancelled),
            partial(self._step_through, 1, inputs.flip(0), None, cancelled),
        ]
        # On a GPU both run in this thread: they share one stream, and in a new one torch warns of no CUDA context.
        forward, backward = run_in_parallel(directions) if self.device.type == "cpu" else [run() for run in directions]
        self._before = _States(*(values[:_TOKENS_A_STEP].clone() for values in forward))
        maxima, winners = forward.hidden.max(dim=0)  # (H,), (H,)
        maxima_back, winners_back = backward.hidden.max(dim=0)
        won = torch.cat([winners, len(inputs) - 1 - winners_back]).int()  # (D,)
        return EncodedSentence(torch.cat([maxima, maxima_back]).cpu().numpy(), won.cpu().numpy(), len(inputs))

    def _step_through(
        self, direction: int, inputs: torch.Tensor, before: _States | None, cancelled: Callable[[], bool]
    ) -> _States:
        """Run one direction over word vectors (T, E) in the order of its reading, from where `before` differs."""
        weights, steps = self._directions[direction], self._step_weights[direction]
        done = 0 if before is None else before.shared_with(inputs)
        hidden, cell = (torch.empty((len(inputs), self.dim // 2), device=self.device) for _ in range(2))  # (T, H)
        if before is not None:
            hidden[:done], cell[:done] = before.hidden[:done], before.cell[:done]
        for at in range(done, len(inputs)):
            place = (at - done) % _TOKENS_A_STEP
            if place == 0:
                if at > done and cancelled():
                    raise Cancelled
                projected = weights.project(inputs[at : at + _TOKENS_A_STEP])  # (t, 4H)
            gates = projected[place]  # (4H,)
            if at:
                gates += torch.mv(steps, hidden[at - 1].to(steps.dtype))
            i, f, g, o = gates.chunk(4)
            torch.mul(i.sigmoid_(), g.tanh_(), out=cell[at])
            if at:
                cell[at].addcmul_(f.sigmoid_(), cell[at - 1])
            torch.mul(o.sigmoid_(), cell[at].tanh(), out=hidden[at])
        return _States(inputs, hidden, cell)

    def encode_together(
        self, sentences: Sequence[NDArray[np.int32]], vectors: WordRows, *, batch_size: int | None = None
    ) -> Generator[PartStep, None, NDArray[np.float32]]:
        """Encode distinct sentences, sharing the steps of equal beginnings and endings; exact, without padding.

        When a GPU runs out of memory, the sentences are encoded in halves.

        Args:
            sentences: B distinct sequences of word-vector rows, the marks included.
            vectors: What the sequences index.
            batch_size: How many sentences may share one plan; None for all.

        Yields:
            A step, several times a second. The caller may stop after any of them.

        Returns:
            Embeddings in the order of `sentences`, (B, D), not normalized.

        Raises:
            AssetError: Not even one sentence fits on the device.
        """
        embeddings = np.empty((len(sentences), self.dim), np.float32)  # (B, D)

        def encode(part: slice) -> Iterator[float]:
            for half, direction in enumerate(self._directions):
                steps = plan(sentences[part] if half == 0 else [ids[::-1] for ids in sentences[part]])
                out = embeddings[part, half * self.dim // 2 : (half + 1) * self.dim // 2]  # (b, H)
                for share in self._pool(steps, vectors, direction, out):
                    yield (half + share) / 2

        yield from in_parts_that_fit(len(sentences), encode, device=self.device, batch_size=batch_size)
        return embeddings

    @torch.inference_mode()
    def _pool(
        self, steps: PrefixPlan, vectors: WordRows, direction: _Direction, out: NDArray[np.float32]
    ) -> Generator[float, None, None]:
        """Run one direction along a plan and write each sentence's maxima into `out`, (B, H).

        Yields:
            The share of the nodes that is done.
        """
        dtype, hidden = DTYPES[self.dtype], self.dim // 2
        inputs = torch.from_numpy(np.asarray(vectors.rows[steps.words])).to(self.device)  # (U, E)
        table = direction.project(inputs)  # (U, 4H), in float32
        weight = direction.recurrent.T.to(dtype)  # (H, 4H)
        # The nodes with children of the level above, (k, H) each; above the first level stands the empty prefix.
        state = torch.zeros((1, hidden), dtype=dtype, device=self.device)
        cell = torch.zeros((1, hidden), device=self.device)
        maxima = torch.full((1, hidden), -torch.inf, device=self.device)
        tile = max(1, _TILE_BYTES // (4 * 4 * hidden)) if self.device.type == "cpu" else _PARENTS_A_STEP
        done = 0
        for level in steps.levels:
            n = len(level.words)
            words = torch.from_numpy(level.words).to(self.device)
            parents = torch.from_numpy(level.parents).to(self.device)
            new_state, new_cell, new_maxima = (torch.empty((n, hidden), device=self.device) for _ in range(3))
            blocks = range(0, len(state), _PARENTS_A_STEP)
            starts = np.searchsorted(level.parents, blocks).tolist()  # children stand in the order of their parents
            for first, start, end in zip(blocks, starts, [*starts[1:], n], strict=True):
                projected = torch.mm(state[first : first + _PARENTS_A_STEP], weight)  # (p, 4H), once for all children
                for at in range(start, end, tile):
                    part = slice(at, min(at + tile, end))
                    above = parents[part]
                    gates = table[words[part]]  # (b, 4H)
                    gates += projected[above - first]
                    i, f, g, o = gates.chunk(4, dim=1)
                    torch.mul(i.sigmoid_(), g.tanh_(), out=new_cell[part])
                    new_cell[part].addcmul_(f.sigmoid_(), cell[above])
                    torch.mul(o.sigmoid_(), new_cell[part].tanh(), out=new_state[part])
                    torch.maximum(maxima[above], new_state[part], out=new_maxima[part])
                done += end - start
                yield done / steps.nodes
            if len(level.rows):
                out[level.rows] = new_maxima[torch.from_numpy(level.ending).to(self.device)].cpu().numpy()
            inner = torch.from_numpy(level.inner).to(self.device)
            state, cell, maxima = new_state[inner].to(dtype), new_cell[inner], new_maxima[inner]


def choose_device(name: str) -> str:
    """Resolve `auto` to the best device there is.

    Raises:
        AssetError: The name is not that of a device, or the device is not there.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", name):
        raise AssetError(f"--device {name}", "there is no such device", expected="auto, cpu, cuda or cuda:N")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise AssetError(f"--device {name}", "torch sees no CUDA device here", advice="use --device cpu or auto")
    if name.startswith("cuda:") and int(name[5:]) >= torch.cuda.device_count():
        found = f"torch sees {torch.cuda.device_count()} CUDA devices here, counted from 0"
        raise AssetError(f"--device {name}", found, advice="use --device cuda or auto")
    return name


def choose_dtype(name: str, device: str) -> str:
    """Resolve `auto` to bfloat16 where the processor computes with it in hardware, else float32."""
    if name != "auto":
        return name
    is_cuda = device.startswith("cuda")
    fast = torch.cuda.get_device_capability(device)[0] >= 8 if is_cuda else multiplies_bfloat16()
    return "bfloat16" if fast else "float32"


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    expected = "InferSent's state dict, a pickle of tensors"
    advice = f"download it again: {ADDRESSES['weights']}"
    try:
        with path.open("rb") as file:
            start = file.read(64).lstrip()
    except OSError as error:
        raise AssetError.from_os_error(path, error) from error
    if not start:
        raise AssetError(path, "the file is empty", expected=expected, advice=advice)
    if start[:1] == b"<":
        raise AssetError(path, "an HTML or XML page, not weights: the download failed", advice=advice)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged pickles raise whatever their bytes happen to say
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise AssetError(path, f"damaged, or not a state dict ({reason})", expected=expected, advice=advice) from error
    if not isinstance(loaded, dict):
        raise AssetError(path, f"holds a {type(loaded).__name__}", expected=expected, advice=advice)
    weights = {str(key).removeprefix("encoder."): value for key, value in loaded.items()}
    if missing := [key for key in _KEYS if not isinstance(weights.get(key), torch.Tensor)]:
        raise AssetError(path, f"lacks {', '.join(missing[:3])}", expected=expected, advice=advice)
    hidden, dim = weights[_KEYS[0]].shape[0] // 4, weights[_KEYS[0]].shape[-1]
    shapes = {"weight_ih": (4 * hidden, dim), "weight_hh": (4 * hidden, hidden), "bias_ih": (4 * hidden,)}
    shapes["bias_hh"] = shapes["bias_ih"]
    for key in _KEYS:
        shape = shapes[key.removeprefix("enc_lstm.").split("_l0")[0]]
        if weights[key].shape != shape:
            raise AssetError(
                path, f"{key} is {tuple(weights[key].shape)}", expected=f"{shape}, as its neighbours say", advice=advice
            )
        if not weights[key].isfinite().all():
            raise AssetError(path, f"{key} holds numbers that are not finite", advice=advice)
        if "weight" in key and not weights[key].any():
            raise AssetError(path, f"{key} holds nothing but zeros", advice=advice)
    return weights
