"""What is measured on: real captions where they are present, and weights of the official size."""

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
from core.captions import Captions
from core.encoder import SentenceEncoder
from core.matrix import Sentences
from core.tokens import Tokenizer

DATA = Path(os.environ.get("INFERSENT_TUI_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
SUBSET = DATA / "coco" / "captions_val2014_subset.json.gz"
WORD_DIM, HIDDEN = 300, 2048


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
        """The COCO captions, in a shuffled order (the file has images' captions together), or else the bundled ones."""
        path = SUBSET if SUBSET.exists() else DEMO_DIR / "captions.json"
        texts = list(Captions.read(path).texts)
        order = np.random.default_rng(0).permutation(len(texts))[:count]
        return cls(path.name.split(".")[0], [texts[i] for i in order])

    @cached_property
    def _tokens(self) -> list[list[str]]:
        tokenizer = Tokenizer(2)
        return [["<p>", *tokenizer.tokenize(text), "</p>"] for text in self.texts]

    @cached_property
    def words(self) -> list[str]:
        """The distinct words, in the order of their first use."""
        return list(dict.fromkeys(word for tokens in self._tokens for word in tokens))

    @cached_property
    def sentences(self) -> Sentences:
        """The captions as rows of `vectors`."""
        rows = {word: row for row, word in enumerate(self.words)}
        ids = [[rows[word] for word in tokens] for tokens in self._tokens]
        starts = np.concatenate([[0], np.cumsum([len(sentence) for sentence in ids])])
        return Sentences(np.concatenate(ids).astype(np.int32), starts.astype(np.int64))

    @cached_property
    def vectors(self) -> Vectors:
        """Random word vectors, (V, E)."""
        return Vectors(np.random.default_rng(1).normal(size=(len(self.words), WORD_DIM)).astype(np.float32) * 0.3)


def random_weights(word_dim: int = WORD_DIM, hidden: int = HIDDEN) -> dict[str, torch.Tensor]:
    """A state dict of the official size and layout."""
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(word_dim, hidden, bidirectional=True)
    return {f"enc_lstm.{name}": value.detach().clone() for name, value in lstm.state_dict().items()}


def random_encoder(dtype: str) -> SentenceEncoder:
    """An encoder of the official size."""
    return SentenceEncoder(random_weights(), dtype=dtype)


def folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for what a benchmark writes."""
    return tempfile.TemporaryDirectory(prefix="infersent-tui-benchmark-")
