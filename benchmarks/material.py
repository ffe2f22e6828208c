"""Provide the benchmarks' data: COCO captions where present, random weights and vectors of the official size."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.assets import DEMO_DIR
from core.corpus.captions import Captions
from core.corpus.sentences import Sentences
from core.corpus.tokenizer import MARKS, Tokenizer
from core.encoding.encoder import SentenceEncoder

DATA = Path(os.environ.get("INFERSENT_TUI_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
_OFFICIAL = Path(os.environ.get("INFERSENT_TUI_DATA_DIR", DATA / "coco"), "captions_val2014.json")
COCO = _OFFICIAL if _OFFICIAL.exists() else DATA / "coco" / "captions_val2014_subset.json.gz"
"""COCO's captions: the official file where it is present, else a part of it."""

WORD_DIM, HIDDEN = 300, 2048
_BLOCK = 4096  # rows


class Vectors:
    """Word vectors held in memory.

    Args:
        rows: (V, E).
    """

    def __init__(self, rows: NDArray[np.float32]) -> None:
        self.rows = rows


@dataclass(frozen=True)
class Corpus:
    """Tokenized captions with random word vectors for all their words."""

    name: str
    texts: list[str]

    @classmethod
    def read(cls, count: int | None = None) -> Corpus:
        """Read COCO's captions or else the bundled ones, shuffled because the file groups them by image."""
        path = COCO if COCO.exists() else DEMO_DIR / "captions.json"
        texts = list(Captions.read(path).texts)
        order = np.random.default_rng(0).permutation(len(texts))[:count]
        return cls(path.name.split(".")[0], [texts[i] for i in order])

    @cached_property
    def _tokens(self) -> list[list[str]]:
        tokenizer = Tokenizer(2)
        return [["<p>", *tokenizer.tokenize(text), "</p>"] for text in self.texts]

    @cached_property
    def words(self) -> list[str]:
        """The V distinct tokens, in the order of their first use."""
        return list(dict.fromkeys(word for tokens in self._tokens for word in tokens))

    @cached_property
    def sentences(self) -> Sentences:
        """The captions, their ids being rows of `vectors`."""
        rows = {word: row for row, word in enumerate(self.words)}
        ids = [[rows[word] for word in tokens] for tokens in self._tokens]
        starts = np.concatenate([[0], np.cumsum([len(sentence) for sentence in ids])])
        return Sentences(np.concatenate(ids).astype(np.int32), starts.astype(np.int64))

    @cached_property
    def vectors(self) -> Vectors:
        """Random word vectors, (V, E)."""
        return Vectors(np.random.default_rng(1).normal(size=(len(self.words), WORD_DIM)).astype(np.float32) * 0.3)


def random_weights(word_dim: int = WORD_DIM, hidden: int = HIDDEN) -> dict[str, torch.Tensor]:
    """Make a state dict of random float32 weights in InferSent's layout, by default of the official size."""
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(word_dim, hidden, bidirectional=True)
    return {f"enc_lstm.{name}": value.detach().clone() for name, value in lstm.state_dict().items()}


def torch_lstm(
    weights: dict[str, torch.Tensor], *, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> torch.nn.LSTM:
    """Load an encoder's weights into torch's own LSTM."""
    recurrent = weights["enc_lstm.weight_hh_l0"]  # (4H, H)
    lstm = torch.nn.LSTM(weights["enc_lstm.weight_ih_l0"].shape[1], recurrent.shape[1], bidirectional=True)
    lstm.load_state_dict({name.removeprefix("enc_lstm."): value for name, value in weights.items()})
    return lstm.eval().to(device, dtype)


def random_encoder(dtype: str) -> SentenceEncoder:
    """Make an encoder of the official size with random weights."""
    return SentenceEncoder(random_weights(), dtype=dtype)


def full_size_files(folder: Path, *, hidden: int = HIDDEN) -> tuple[Path, Path]:
    """Write random weights 300 -> 2 x `hidden` and random vectors for the corpus's words, unless the files exist.

    Returns:
        The file of weights and the file of vectors, which has the sentence markers of both versions of InferSent.
    """
    weights, vectors = folder / f"weights-{hidden}.pkl", folder / "vectors.vec"
    if not weights.exists():
        torch.save(random_weights(hidden=hidden), weights, _use_new_zipfile_serialization=False)
    if not vectors.exists():
        corpus = Corpus.read()
        words = [*corpus.words, *MARKS[1]]  # the corpus's tokens include those of version 2
        rows = np.random.default_rng(1).normal(size=(len(words), WORD_DIM)) * 0.3  # (V, E)
        with vectors.open("w", encoding="utf-8") as file:
            for word, row in zip(words, rows.tolist(), strict=True):
                file.write(f"{word} {' '.join(f'{value:.4f}' for value in row)}\n")
    return weights, vectors


@dataclass(frozen=True)
class Matrix:
    """The parts of an embedding matrix that a `MatrixSearcher` reads."""

    rows: NDArray[np.float16]  # (N, D)
    row_norms: NDArray[np.float32]  # (N,)
    sentences: Sentences


def rows_that_share_a_mean(n: int, dim: int, *, device: str = "cpu") -> Matrix:
    """Make random unit rows in float16 whose cosine to a common mean is 0.6 to 0.95; 1 % are copies of other rows.

    Args:
        n: N.
        dim: D.
        device: Where the random numbers are drawn; the rows are in CPU memory.
    """
    random = torch.Generator(device).manual_seed(0)
    mean = torch.nn.functional.normalize(torch.randn(dim, generator=random, device=device), dim=0)  # (D,)
    rows = np.empty((n, dim), np.float16)
    for start in range(0, n, _BLOCK):
        part = rows[start : start + _BLOCK]  # (b, D)
        share = torch.empty(len(part), 1, device=device).uniform_(0.6, 0.95, generator=random)  # (b, 1)
        noise = torch.randn(len(part), dim, generator=random, device=device) / dim**0.5  # (b, D)
        unit = torch.nn.functional.normalize(share * mean + (1 - share**2).sqrt() * noise, dim=1)  # (b, D)
        part[:] = unit.half().cpu().numpy()
    rng = np.random.default_rng(0)
    copies = rng.choice(n, n // 100, replace=False)
    rows[copies] = rows[rng.choice(n, len(copies))]
    norms = [torch.from_numpy(rows[i : i + _BLOCK]).double().norm(dim=1).float() for i in range(0, n, _BLOCK)]  # (b,)
    sentences = Sentences(np.zeros(3 * n, np.int32), np.arange(0, 3 * n + 1, 3, dtype=np.int64))
    return Matrix(rows, torch.cat(norms).numpy(), sentences)


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Make a folder for the files of a benchmark, which is deleted when its `with` block ends."""
    return tempfile.TemporaryDirectory(prefix="infersent-tui-benchmark-")
