"""Measure how fast a corpus is encoded at the official size (300 -> 2x2048), compared with the usual method.

The usual method sorts the captions by length, pads and packs each batch and runs `torch.nn.LSTM` in float32. Its cost
per caption does not depend on the corpus, so it is timed on a sample drawn evenly over the lengths. This project's
encoder computes shared prefixes once, so it is timed on the whole corpus.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.material import Corpus, random_encoder, random_weights, temporary_folder, torch_lstm
from benchmarks.measure import Timing, interleave, product_rate
from core.assets import Assets
from core.corpus.sentences import Sentences
from core.corpus.vec_file import VecFile
from core.corpus.vectors import WordVectors
from core.encoding.building import CHUNK, distinct_chunks, embed_sentences
from core.encoding.encoder import SentenceEncoder
from core.encoding.prefixes import PrefixPlan, plan
from core.encoding.processor import multiplies_bfloat16
from core.store.progress import finish

_SAMPLE = 1024  # captions for the usual method, so that its rounds take about as long as ours
_UNBATCHED = 24  # captions encoded one by one


def run(*, quick: bool = False) -> dict[str, Any]:
    """Measure captions per second, and the speedup over the fastest float32 variant of the usual method.

    bfloat16 is measured where the processor multiplies it; elsewhere it takes several times as long as float32.
    """
    sizes = (1000,) if quick else (5000, 20000)
    rounds = 1 if quick else 3
    whole = Corpus.read(max(sizes))
    sizes = sorted({min(size, len(whole.texts)) for size in sizes})  # there may be fewer captions
    dtypes = {"float32": torch.float32} | ({"bfloat16": torch.bfloat16} if multiplies_bfloat16() else {})
    encoders = {name: random_encoder(name) for name in dtypes}
    lstms = {name: torch_lstm(random_weights(), dtype=dtype) for name, dtype in dtypes.items()}
    rates: dict[str, Any] = {}
    for size in sizes:
        corpus = Corpus(whole.name, whole.texts[:size])
        tasks: dict[str, Any] = {
            f"ours {dtype}": lambda corpus=corpus, encoder=encoder: encode(corpus.sentences, corpus.vectors, encoder)
            for dtype, encoder in encoders.items()
        }
        sample = even_sample(corpus.sentences, _SAMPLE // (4 if quick else 1))
        tasks |= {
            f"usual {dtype}, batches of {batch}": partial(
                encode_padded, corpus.sentences, corpus.vectors, lstm, sample, batch
            )
            for dtype, lstm in lstms.items()
            for batch in (64, 1024)
        }
        tasks["one by one"] = partial(_one_by_one, corpus, lstms["float32"], sample[:_UNBATCHED])
        timings = interleave(tasks, rounds=rounds, warm_up=False)
        work = {name: size if name.startswith("ours") else len(sample) for name in tasks} | {"one by one": _UNBATCHED}
        rates[str(size)] = _summary(timings, work, corpus, dtypes)
    largest = rates[str(sizes[-1])]
    limits = {name: product_rate(dtype) for name, dtype in dtypes.items()}
    flops = 2 * 2048 * 8192 * product_rows(whole.sentences)
    ours = {name: largest["rates"][f"ours {name}"]["per_second"] for name in dtypes}
    return {
        "question": "captions encoded per second, 300 -> 2x2048, random weights",
        "captions": whole.name,
        "rounds": rounds,
        "sizes": rates,
        "speedup": {name: rate / largest["best_usual"]["float32"] for name, rate in ours.items()},
        "speedup_over_same_dtype": {name: rate / largest["best_usual"][name] for name, rate in ours.items()},
        "product_gflops": {name: rate / 1e9 for name, rate in limits.items()},
        "share_of_product_rate": {name: flops * rate / sizes[-1] / limits[name] for name, rate in ours.items()},
        "demo_bfloat16": demo_fidelity(500 if quick else 25_000),
    }


def encode(sentences: Sentences, vectors: Any, encoder: SentenceEncoder) -> NDArray[np.float32]:
    """Encode a corpus in the same chunks as when its matrix is made; (N, D), not normalized."""
    out = np.empty((len(sentences), encoder.dim), np.float32)
    finish(embed_sentences(sentences, vectors, encoder, out))
    return out


def demo_fidelity(count: int) -> dict[str, Any]:
    """Compare the demo encoder's bfloat16 embeddings and first ten hits with its float32 ones."""
    corpus = Corpus.read(count)
    assets = Assets.find()
    with temporary_folder() as name:
        finish(WordVectors.convert(VecFile(assets.vectors), Path(name) / "vectors"))
        vectors = WordVectors(Path(name) / "vectors")
        vector_rows = vectors.find(corpus.words)  # (words,), -1 for unknown ones
        ids = vector_rows[corpus.sentences.ids]  # (tokens,)
        starts = np.concatenate([[0], np.cumsum(ids >= 0)])[corpus.sentences.starts]  # (N+1,), without unknown words
        sentences = Sentences(ids[ids >= 0], starts)
        exact, rounded = (
            encode(sentences, vectors, SentenceEncoder.load(assets.weights, dtype=dtype)).astype(np.float64)
            for dtype in ("float32", "bfloat16")
        )
    exact, rounded = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (exact, rounded))
    cosines = (exact * rounded).sum(axis=1)  # (N,)
    stored = rounded.astype(np.float16).astype(np.float64)  # a matrix stores float16
    queries = np.arange(0, len(exact), max(1, len(exact) // 500))
    same = 0
    for query in queries:
        best, other = (np.argpartition(-(rows @ rows[query]), 10)[:10] for rows in (exact, stored))
        same += set(best.tolist()) == set(other.tolist())
    return {
        "captions": len(exact),
        "queries": len(queries),
        "least_cosine": float(cosines.min()),
        "same_top_ten": same / len(queries),
    }


def _summary(timings: dict[str, Timing], work: dict[str, int], corpus: Corpus, dtypes: Iterable[str]) -> dict[str, Any]:
    rates = {name: {"per_second": timing.rate(work[name]), "seconds": timing} for name, timing in timings.items()}
    usual = {
        dtype: max(rate["per_second"] for name, rate in rates.items() if name.startswith(f"usual {dtype}"))
        for dtype in dtypes
    }
    return {"rates": rates, "best_usual": usual, "nodes_per_token": nodes_per_token(corpus.sentences)}


def plans(sentences: Sentences, size: int = CHUNK) -> list[PrefixPlan]:
    """Plan the chunks of a corpus, both directions of each."""
    parts = [sentences.take(chunk.rows[chunk.begins]) for chunk in distinct_chunks(sentences, size)]
    return [plan(part, backward=backward) for part in parts for backward in (False, True)]


def nodes_per_token(sentences: Sentences) -> float:
    """Divide the LSTM steps of the forward direction by the number of tokens."""
    return sum(each.nodes for each in plans(sentences)[::2]) / len(sentences.ids)


def product_rows(sentences: Sentences, size: int = CHUNK) -> int:
    """Count the rows of the recurrent matrix products of both directions."""
    return sum(len(each.columns.inner) for each in plans(sentences, size))


def even_sample(sentences: Sentences, count: int) -> list[int]:
    """Draw caption rows evenly over the lengths, the longest first."""
    lengths = np.diff(sentences.starts)  # (N,)
    order = np.argsort(-lengths, kind="stable")
    return order[np.linspace(0, len(order) - 1, count).astype(int)].tolist()


@torch.inference_mode()
def encode_padded(sentences: Sentences, vectors: Any, lstm: torch.nn.LSTM, rows: list[int], batch: int) -> None:
    """Encode some sentences, the longest first, in padded and packed batches, on the LSTM's device and in its dtype."""
    for start in range(0, len(rows), batch):
        part = [torch.from_numpy(vectors.rows[sentences[row]]) for row in rows[start : start + batch]]  # each (T, E)
        lengths = torch.tensor([len(words) for words in part])
        padded = torch.nn.utils.rnn.pad_sequence(part).to(lstm.weight_ih_l0)  # (T, B, E)
        packed = torch.nn.utils.rnn.pack_padded_sequence(padded, lengths)
        states, _ = torch.nn.utils.rnn.pad_packed_sequence(lstm(packed)[0], padding_value=-9.0)  # (T, B, 2H)
        states.max(dim=0).values.float().cpu().numpy()  # (B, 2H)


@torch.inference_mode()
def _one_by_one(corpus: Corpus, lstm: torch.nn.LSTM, rows: list[int]) -> None:
    for row in rows:
        words = torch.from_numpy(corpus.vectors.rows[corpus.sentences[row]])  # (T, E)
        lstm(words[:, None])[0][:, 0].max(dim=0).values.numpy()  # (2H,)
