"""Run the steps of a notebook with InferSent beside those of the explorer: seconds of each, and equal rankings.

The notebook reads the first 100,000 words of the vector file, encodes COCO's captions in padded batches, and ranks all
captions for one of them and for the single word `doctor` with scipy's `cdist` and numpy's `argsort`. The official files
are used where the folder that INFERSENT_TUI_DATA_DIR names holds them, else random weights and made vectors.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from nltk.tokenize import NLTKWordTokenizer, PunktSentenceTokenizer
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from benchmarks.gpu_setting import Setting
from benchmarks.material import WORD_DIM, temporary_folder, torch_lstm
from core.answers import Answer
from core.assets import Assets
from core.explorer import Explorer
from core.opening import open_, open_text_encoder
from core.ranking.ranking import Ranking
from core.setup import Setup
from core.store.cache import Cache
from core.store.progress import finish

T = TypeVar("T")
_WORDS = 100_000  # of the vector file
_BATCH = 64
_CPU_CAPTIONS = 3_000  # the notebook encodes about a hundred a second
_QUERY = "doctor"
_TOLERANCE = 5e-4  # of distances: the explorer stores rows in float16, and reads a query's weights in it on a CPU


def run(*, quick: bool = False) -> dict[str, Any]:
    """Time both sides, and compare their rankings.

    Raises:
        RuntimeError: The rankings differ by more than rounding.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with temporary_folder() as name:
        assets, captions = _files(Path(name), device, quick=quick)
        theirs = _Notebook(assets, captions, device)
        ours = _Explorer(assets, captions, device, Path(name) / "cache")
        ours_again = _Explorer(assets, captions, device, Path(name) / "cache")
    row = len(theirs.captions) // 3
    rankings = {
        "a caption": _compare(theirs.neighbours(row), ours.neighbours(row)),
        _QUERY: _compare(theirs.ask(_QUERY), ours.ask(_QUERY)),
    }
    return {
        "question": "seconds of each step of the notebook",
        "files": [path.name for path in assets.files],
        "captions": len(theirs.captions),
        "words": len(theirs.vectors),
        "device": device,
        "notebook": theirs.seconds,
        "explorer": ours.seconds,
        "explorer, second start": ours_again.seconds,
        "rankings": rankings,
    }


def _files(folder: Path, device: str, *, quick: bool) -> tuple[Assets, Path]:
    """Return the files, and those captions that are encoded."""
    official = os.environ.get("INFERSENT_TUI_DATA_DIR")
    setting = Setting.write(device, quick=quick, folder=folder)
    if official:
        assets = Assets.find(data_dir=Path(official), version=2)
    else:
        _append_words(setting.vectors, 1_000 if quick else 120_000)
        assets = Assets(setting.weights, setting.vectors, setting.captions, 2)
    count = 300 if quick else _CPU_CAPTIONS if device == "cpu" else 202_654
    return assets, setting.first(count, of=assets.captions)


def _append_words(vectors: Path, count: int) -> None:
    """Append the queried word if it is missing, and words that no caption has, since not the whole file is read."""
    rows = np.random.default_rng(2).normal(size=(1000, WORD_DIM)) * 0.3  # (1000, E), again and again
    texts = [" ".join(f"{value:.4f}" for value in row) for row in rows.tolist()]
    is_known = f"\n{_QUERY} " in vectors.read_text(encoding="utf-8")
    with vectors.open("a", encoding="utf-8") as file:
        file.write("" if is_known else f"{_QUERY} {texts[0]}\n")
        file.writelines(f"filler{number} {texts[number % 1000]}\n" for number in range(count))


class _Timed:
    """Keeps the seconds of each step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, step: str, work: Callable[[], T]) -> T:
        start = time.perf_counter()
        result = work()
        self.seconds[step] = time.perf_counter() - start
        return result


class _Notebook(_Timed):
    """The notebook's steps, one after the other."""

    def __init__(self, assets: Assets, captions: Path, device: str) -> None:
        super().__init__()
        assert assets.weights is not None
        assert assets.vectors is not None
        weights, vectors = assets.weights, assets.vectors
        self._device = device
        self._lstm = self.timed("load the weights", lambda: torch_lstm(_load(weights), device=device))
        self.vectors = self.timed("read the vectors", lambda: _read_vectors(vectors, _WORDS))
        self.captions = self.timed("read the captions", lambda: _read_captions(captions))
        self._embeddings = self.timed("encode the captions", lambda: self._encode(self.captions))  # (N, D)

    def neighbours(self, row: int) -> NDArray[np.float64]:
        """Compute the distances of all captions from one of them, (N,)."""
        return self.timed("rank for a caption", lambda: self._rank(self._embeddings[row]))

    def ask(self, text: str) -> NDArray[np.float64]:
        """Compute the distances of all captions from a text, (N,)."""
        return self.timed(f"rank for {text}", lambda: self._rank(self._encode([text])[0]))

    def _rank(self, query: NDArray[np.float32]) -> NDArray[np.float64]:
        distances: NDArray[np.float64] = cdist(query[None], self._embeddings, "cosine")[0]  # (N,)
        np.argsort(distances)
        return distances

    @torch.inference_mode()
    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        splitter, tokenizer = PunktSentenceTokenizer(), NLTKWordTokenizer()
        sentences = []
        for text in texts:
            tokens = [word for sentence in splitter.tokenize(text) for word in tokenizer.tokenize(sentence)]
            tokens = " ".join(tokens).replace(" n't ", "n 't ").split()
            sentences.append(["<p>", *(token for token in tokens if token in self.vectors), "</p>"])
        order = sorted(range(len(sentences)), key=lambda i: -len(sentences[i]))
        embeddings = np.empty((len(sentences), 2 * self._lstm.hidden_size), np.float32)  # (N, D)
        for start in range(0, len(order), _BATCH):
            part = order[start : start + _BATCH]
            words = [torch.from_numpy(np.stack([self.vectors[token] for token in sentences[i]])) for i in part]
            padded = torch.nn.utils.rnn.pad_sequence(words).to(self._device)  # (T, B, E)
            packed = torch.nn.utils.rnn.pack_padded_sequence(padded, torch.tensor([len(each) for each in words]))
            states, _ = torch.nn.utils.rnn.pad_packed_sequence(self._lstm(packed)[0], padding_value=-1e9)
            embeddings[part] = states.max(dim=0).values.cpu().numpy()
        return embeddings


class _Explorer(_Timed):
    """The explorer's counterparts of these steps."""

    def __init__(self, assets: Assets, captions: Path, device: str, cache: Path) -> None:
        super().__init__()
        used = Assets(assets.weights, assets.vectors, captions, 2)
        setup = Setup.choose(used, device=device, dtype="float32", vocab_size=_WORDS)
        store = Cache(cache)
        encoder = self.timed("read the vectors", lambda: finish(open_text_encoder(setup, store)))
        self.timed("load the weights", encoder.warm_up)
        opened = self.timed("read and encode the captions", lambda: finish(open_(setup, store)))
        opened.text_encoder.warm_up()
        self._explorer = Explorer(opened)

    def neighbours(self, row: int) -> Ranking:
        """Rank all captions for one of them."""
        return self.timed("rank for a caption", lambda: _whole_order(self._explorer.neighbours(row)))

    def ask(self, text: str) -> Ranking:
        """Rank all captions for a text."""
        return self.timed(f"rank for {text}", lambda: _whole_order(self._explorer.ask(text)))


def _whole_order(answer: Answer) -> Ranking:
    assert answer.found is not None
    assert answer.found.order is not None
    return answer.found.order()


def _load(path: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return weights


def _read_vectors(path: Path, count: int) -> dict[str, NDArray[np.float32]]:
    vectors: dict[str, NDArray[np.float32]] = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            word, numbers = line.split(" ", 1)
            if len(numbers) > 20:  # not the header
                vectors[word] = np.array(numbers.split(), np.float32)
            if len(vectors) == count:
                break
    return vectors


def _read_captions(path: Path) -> list[str]:
    document = json.loads(path.read_text(encoding="utf-8"))
    return pd.DataFrame(document["annotations"]).set_index("image_id")["caption"].tolist()


def _compare(distances: NDArray[np.float64], ranking: Ranking) -> dict[str, Any]:
    """Compare the notebook's distances of all captions, (N,), with the explorer's ranking."""
    rows = ranking.rows
    in_our_order = distances[rows]  # (ranked captions,)
    theirs = np.argsort(distances, kind="stable")[:10].tolist()
    result = {
        "ranked": len(rows),
        "largest_difference_of_distances": float(np.abs(in_our_order - ranking.distances).max()),
        "largest_step_back": float(np.maximum(np.maximum.accumulate(in_our_order) - in_our_order, 0).max()),
        "same_first_ten": rows[:10].tolist() == theirs,
    }
    if result["largest_difference_of_distances"] > _TOLERANCE or result["largest_step_back"] > _TOLERANCE:
        raise RuntimeError(f"the explorer ranks other captions than the notebook: {result}")
    return result
