"""How fast a corpus is encoded at the official size (300 -> 2x2048), beside the usual ways of doing it.

The usual way sorts the captions by length, pads each batch, packs it and runs `torch.nn.LSTM` in float32. It costs the
same per caption whatever the corpus, so it is timed on a sample drawn evenly over the lengths; ours shares prefixes,
so it is timed on the whole corpus, with the normalizing that ends in the matrix.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.material import Corpus, folder, random_encoder, random_weights, torch_lstm
from benchmarks.measure import Timing, interleave, product_rate
from core.assets import Assets
from core.corpus.sentences import Sentences
from core.corpus.vectors import WordVectors
from core.encoding.building import distinct_chunks, embed_sentences
from core.encoding.encoder import SentenceEncoder
from core.encoding.prefixes import plan
from core.store.progress import finish

_SAMPLE = 1024  # captions for the usual way, so that one round of it takes as long as one of ours
_ALONE = 24  # captions one by one


def run(*, quick: bool = False) -> dict[str, Any]:
    """Measure, and give ratios over the best usual way."""
    sizes = (1000,) if quick else (5000, 20000)
    rounds = 1 if quick else 3
    whole = Corpus.read(max(sizes))
    encoders = {dtype: random_encoder(dtype) for dtype in ("float32", "bfloat16")}
    lstm = torch_lstm(random_weights())
    rates: dict[str, Any] = {}
    for size in sizes:
        corpus = Corpus(whole.name, whole.texts[:size])
        tasks: dict[str, Any] = {
            f"ours {dtype}": lambda corpus=corpus, encoder=encoder: encode(corpus.sentences, corpus.vectors, encoder)
            for dtype, encoder in encoders.items()
        }
        sample = even_sample(corpus.sentences, _SAMPLE // (4 if quick else 1))
        tasks |= {
            f"usual, batches of {batch}": partial(usual_way, corpus.sentences, corpus.vectors, lstm, sample, batch)
            for batch in (64, 1024)
        }
        tasks |= {
            "one by one": lambda corpus=corpus, sample=sample: _one_by_one(corpus, lstm, sample[:_ALONE]),
        }
        timings = interleave(tasks, rounds=rounds, warm_up=False)
        work = {name: size if name.startswith("ours") else len(sample) for name in tasks} | {"one by one": _ALONE}
        rates[str(size)] = _summary(timings, work, corpus)
    last = rates[str(sizes[-1])]
    ceilings = {dtype: product_rate(getattr(torch, dtype)) for dtype in encoders}
    flops = 2 * 2048 * 8192 * products(whole.sentences)
    return {
        "question": "captions encoded per second, 300 -> 2x2048, random weights",
        "captions": whole.name,
        "rounds": rounds,
        "sizes": rates,
        "speedup_float32": last["rates"]["ours float32"]["per_second"] / last["best_usual"],
        "speedup_bfloat16": last["rates"]["ours bfloat16"]["per_second"] / last["best_usual"],
        "product_gflops": {dtype: rate / 1e9 for dtype, rate in ceilings.items()},
        "share_of_product_rate": {
            dtype: flops * last["rates"][f"ours {dtype}"]["per_second"] / sizes[-1] / ceilings[dtype]
            for dtype in encoders
        },
        "demo_bfloat16": demo_fidelity(500 if quick else 25_000),
    }


def encode(sentences: Sentences, vectors: Any, encoder: SentenceEncoder) -> NDArray[np.float32]:
    """Encode a corpus in the chunks that a matrix is made in; (N, D)."""
    out = np.empty((len(sentences), encoder.dim), np.float32)
    finish(embed_sentences(sentences, vectors, encoder, out))
    return out


def demo_fidelity(count: int) -> dict[str, Any]:
    """How near the demo encoder's bfloat16 embeddings are to its float32 ones, and whether the first ten hits agree."""
    corpus = Corpus.read(count)
    assets = Assets.find()
    with folder() as place:
        finish(WordVectors.convert(assets.vectors, Path(place) / "vectors"))
        vectors = WordVectors(Path(place) / "vectors")
        found = vectors.find(corpus.words)
        starts, ids = corpus.sentences.starts, found[corpus.sentences.ids]
        kept = np.concatenate([[0], np.cumsum(ids >= 0)])[starts]
        sentences = Sentences(ids[ids >= 0], kept)
        exact, coarse = (
            encode(sentences, vectors, SentenceEncoder.load(assets.weights, dtype=dtype)).astype(np.float64)
            for dtype in ("float32", "bfloat16")
        )
    exact, coarse = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (exact, coarse))
    cosines = (exact * coarse).sum(axis=1)  # (N,)
    stored = coarse.astype(np.float16).astype(np.float64)
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


def _summary(timings: dict[str, Timing], work: dict[str, int], corpus: Corpus) -> dict[str, Any]:
    rates = {name: {"per_second": timing.rate(work[name]), "seconds": timing} for name, timing in timings.items()}
    chunks, copies = distinct_chunks(corpus.sentences)
    nodes = sum(plan([corpus.sentences[copies[i][0]] for i in chunk]).nodes for chunk in chunks)
    return {
        "rates": rates,
        "best_usual": max(rate["per_second"] for name, rate in rates.items() if not name.startswith("ours")),
        "nodes_per_token": nodes / len(corpus.sentences.ids),
    }


def products(sentences: Sentences) -> int:
    """How many rows of the recurrent matrix product both directions need."""
    chunks, copies = distinct_chunks(sentences)
    rows = 0
    for chunk in chunks:
        part = [sentences[copies[i][0]] for i in chunk]
        for direction in (part, [ids[::-1] for ids in part]):
            rows += sum(len(level.inner) for level in plan(direction).levels)
    return rows


def even_sample(sentences: Sentences, count: int) -> list[int]:
    """Draw rows evenly over the lengths, the longest first."""
    lengths = np.diff(sentences.starts)
    order = np.argsort(-lengths, kind="stable")
    return order[np.linspace(0, len(order) - 1, count).astype(int)].tolist()


@torch.inference_mode()
def usual_way(sentences: Sentences, vectors: Any, lstm: torch.nn.LSTM, rows: list[int], batch: int) -> None:
    """Encode some sentences, the longest first, in padded and packed batches, where the LSTM is and in its dtype."""
    for at in range(0, len(rows), batch):
        part = [torch.from_numpy(vectors.rows[sentences[row]]) for row in rows[at : at + batch]]
        lengths = torch.tensor([len(words) for words in part])
        padded = torch.nn.utils.rnn.pad_sequence(part).to(lstm.weight_ih_l0)  # (T, B, E)
        packed = torch.nn.utils.rnn.pack_padded_sequence(padded, lengths)
        states, _ = torch.nn.utils.rnn.pad_packed_sequence(lstm(packed)[0], padding_value=-9.0)
        states.max(dim=0).values.float().cpu().numpy()


@torch.inference_mode()
def _one_by_one(corpus: Corpus, lstm: torch.nn.LSTM, rows: list[int]) -> None:
    for row in rows:
        words = torch.from_numpy(corpus.vectors.rows[corpus.sentences[row]])
        lstm(words[:, None])[0][:, 0].max(dim=0).values.numpy()
