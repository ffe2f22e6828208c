"""Measure the explorer's speed and memory on a device, part by part, compared with the usual method on that device."""

from __future__ import annotations

import shutil
import sys
import time
import traceback
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import torch

from benchmarks.device_memory import peak_bytes
from benchmarks.encode import encode_padded, even_sample, product_rows
from benchmarks.gpu_setting import Setting
from benchmarks.material import rows_that_share_a_mean, torch_lstm
from benchmarks.measure import copy_rate, interleave, product_rate
from benchmarks.stages import sampled
from core.corpus.sentences import Sentences
from core.encoding.building import EncodedChunk, chunk_size, encode_sentences
from core.encoding.encoder import SentenceEncoder, WordRows
from core.explorer import Explorer
from core.opened import Opened
from core.opening import locate, open_, open_text_encoder
from core.ranking.ranking import LEADING
from core.ranking.search import MatrixSearcher
from core.setup import Setup
from core.store.progress import finish

_TEXTS = ("a man in a suit waits for the train with a red suitcase", "two dogs play with a ball on the beach")
_CPU_CAPTIONS = 8_000
_DTYPES = ("float32", "bfloat16")
_SECONDS = 15  # no further round begins after this time


def run(setting: Setting, *, report: Callable[[str, dict[str, Any] | None], None]) -> None:
    """Take every figure; if one raises, its error is reported in its place.

    Args:
        setting: Device and files.
        report: Called twice per figure with its name: with None when it begins, then with its values.
    """
    figures: dict[str, Callable[[Setting], dict[str, Any]]] = {
        "device": _device,
        "matrix": _matrix,
        "large_matrix": _large_matrix,
        "encoding": _encoding,
        "typed_query": _typed_query,
        "search": _search,
        "calibration": _calibration,
    }
    for name, figure in figures.items():
        report(name, None)
        try:
            result = figure(setting)
        except Exception as error:  # the other figures must still be taken
            traceback.print_exc(file=sys.stderr)
            result = {"error": f"{type(error).__name__}: {error}"}
        report(name, result)


def _device(setting: Setting) -> dict[str, Any]:
    """Measure the device's limits: matrix products (FLOP/s) and copies (bytes/s)."""
    values: dict[str, Any] = {"float32_products_in": torch.get_float32_matmul_precision()}  # "highest": without TF32
    for dtype in _DTYPES:
        values[f"product_tflops_{dtype}"] = _product_rate(setting, dtype) / 1e12
    for name, rate in copy_rate(setting.device, quick=setting.quick).items():
        values[f"{name}_gb_per_second"] = rate / 1e9
    return values


def _matrix(setting: Setting) -> dict[str, Any]:
    """Measure the time from captions to a finished matrix and its share per stage.

    Vectors are converted and files are hashed before. Time and memory include loading the weights.
    """
    setup = _setup(setting)
    caches = [setting.cache(name) for name in ("figures", "figures-sampled")]
    for each in caches:
        finish(open_text_encoder(setup, each)).warm_up()
        finish(locate(setup, each))
    matrices: list[Opened] = []
    peak = _peak_mb(setting.device, lambda: matrices.append(finish(open_(setup, caches[0]))))
    opened = matrices[0]
    with sampled(setting.device) as stages:
        finish(open_(setup, caches[1]))
    return {
        "captions": len(opened.matrix),
        "file": opened.captions.name,
        "dim": opened.matrix.dim,
        "dtype": setup.dtype,
        "seconds": opened.report.seconds,
        "captions_per_second": len(opened.matrix) / opened.report.seconds,
        "peak_device_mb": peak,
        "seconds_when_sampled": sum(stages.values()),  # longer, because each copy waits for the device
        "share_when_sampled": _shares(stages),
    }


def _large_matrix(setting: Setting) -> dict[str, Any]:
    """Measure the time from as many captions as COCO's validation file has to a finished matrix."""
    setup = setting.setup(setting.first(3_000 if setting.quick else 202_654), dtype="auto")
    cache = setting.cache("large")
    finish(locate(setup, cache))
    finish(open_text_encoder(setup, cache)).warm_up()
    start = time.perf_counter()
    opened = finish(open_(setup, cache))
    seconds = time.perf_counter() - start
    value = {"captions": len(opened.matrix), "seconds": seconds, "seconds_of_encoding": opened.report.seconds}
    shutil.rmtree(setting.folder / "large")
    return value


def _encoding(setting: Setting) -> dict[str, Any]:
    """Measure encoding alone, from token ids to embeddings in CPU memory; compare with padded and packed batches."""
    opened = _opened(setting)
    sentences, vectors = opened.matrix.sentences, opened.text_encoder.vocabulary.vectors
    if setting.device == "cpu":  # all captions would take a quarter of an hour
        count = min(_CPU_CAPTIONS, len(sentences))
        sentences = Sentences(sentences.ids[: sentences.starts[count]], sentences.starts[: count + 1])
    encoders = {dtype: SentenceEncoder.load(setting.weights, device=setting.device, dtype=dtype) for dtype in _DTYPES}
    sample = even_sample(sentences, 256 if setting.quick else 1024 if setting.device == "cpu" else 16_384)
    tasks: dict[str, Callable[[], object]] = {
        f"ours {dtype}": partial(_encode, sentences, vectors, encoder) for dtype, encoder in encoders.items()
    }

    def usual(dtype: str, batch: int, tf32: bool) -> Callable[[], None]:
        lstm = _lstm(setting, dtype)

        def work() -> None:
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=tf32):
                encode_padded(sentences, vectors, lstm, sample, batch)

        return work

    for dtype, batch, tf32 in (("float32", 64, False), ("float32", 1024, False), ("bfloat16", 1024, False)):
        tasks[f"usual {dtype}, batches of {batch}"] = usual(dtype, batch, tf32)
    if setting.device != "cpu":
        tasks["usual TF32 (cuDNN's default), batches of 1024"] = usual("float32", 1024, True)
    timings = interleave(tasks, rounds=3, warm_up=setting.device != "cpu", seconds=_SECONDS)
    rates = {
        name: timing.rate(len(sentences) if name.startswith("ours") else len(sample))
        for name, timing in timings.items()
    }
    shares = {}
    for dtype, encoder in encoders.items():
        with sampled(setting.device) as stages:
            _encode(sentences, vectors, encoder)
        shares[dtype] = _shares(stages)
    rows = product_rows(sentences, chunk_size(torch.device(setting.device)))
    flops = 2 * (opened.matrix.dim // 2) ** 2 * 4 * rows / len(sentences)  # per caption
    best = {dtype: max(rate for name, rate in rates.items() if name.startswith(f"usual {dtype}")) for dtype in _DTYPES}
    plain = rates["usual float32, batches of 64"]
    return {
        "captions": len(sentences),
        "captions_of_the_usual_way": len(sample),
        "rounds": timings["ours float32"].rounds,
        "captions_per_second": rates,
        "speedup": {dtype: rates[f"ours {dtype}"] / best[dtype] for dtype in _DTYPES},
        "speedup_over_float32_batches_of_64": {dtype: rates[f"ours {dtype}"] / plain for dtype in _DTYPES},
        "share_of_product_rate": {
            dtype: flops * rates[f"ours {dtype}"] / _product_rate(setting, dtype) for dtype in _DTYPES
        },
        "share_when_sampled": shares,
    }


def _encode(sentences: Sentences, vectors: WordRows, encoder: SentenceEncoder) -> None:
    """Encode a corpus in the chunks of a matrix; the embeddings arrive in CPU memory, and are not kept there."""

    def keep(chunk: EncodedChunk) -> None:
        chunk.embeddings.to("cpu", non_blocking=True)

    finish(encode_sentences(sentences, vectors, encoder, keep))
    if encoder.device.type == "cuda":
        torch.cuda.synchronize(encoder.device)


def _typed_query(setting: Setting) -> dict[str, Any]:
    """Measure the answer to each prefix of two typed sentences that needs encoding; compare with torch's LSTM alone."""
    opened = _opened(setting)
    text_encoder, explorer = opened.text_encoder, Explorer(opened)
    text_encoder.warm_up()
    texts = _TEXTS[:1] if setting.quick else _TEXTS
    typed = [text[:end] for text in texts for end in range(1, len(text) + 1)]
    sentences = finish(text_encoder.vocabulary.sentences(typed))
    distinct = {sentences[i].tobytes(): i for i in reversed(range(len(typed)))}  # the first prefix with these ids
    asked = [i for i in sorted(distinct.values()) if len(sentences[i]) > 2]
    start = time.perf_counter()
    explorer.ask("the first query of all", settled=False)
    first = time.perf_counter() - start
    answers = [explorer.ask(typed[i], settled=False) for i in asked]
    milliseconds = {
        step: [answer.timings_ms[step] for answer in answers if step in answer.timings_ms]
        for step in ("tokenize", "encode", "search", "total")
    }
    lstm = _lstm(setting, "float32")
    lstm_milliseconds = []
    with torch.inference_mode():
        for i in asked:
            start = time.perf_counter()
            words = torch.from_numpy(text_encoder.vocabulary.vectors.rows[sentences[i]])  # (T, E)
            lstm(words[:, None].to(setting.device))[0].max(dim=0).values.cpu()
            lstm_milliseconds.append(1000 * (time.perf_counter() - start))
    return {
        "captions": len(opened.matrix),
        "texts": len(asked),
        "first_ms": 1000 * first,
        "p50_ms": {step: float(np.median(values)) for step, values in milliseconds.items()},
        "p95_ms": {step: float(np.percentile(values, 95)) for step, values in milliseconds.items()},
        "encoding_through_lstm_p50_ms": float(np.median(lstm_milliseconds)),
    }


def _search(setting: Setting) -> dict[str, Any]:
    """Measure search in a matrix of the official size; compare with a float32 product with all rows on the device."""
    n, dim = (20_000, 256) if setting.quick else (202_654, 4096)
    matrix = rows_that_share_a_mean(n, dim, device=setting.device)
    query = matrix.rows[n // 2] + np.random.default_rng(5).normal(size=dim).astype(np.float32) * 0.003  # (D,)
    searchers: list[MatrixSearcher] = []

    def open_and_search() -> None:
        searchers.append(MatrixSearcher(matrix, device=setting.device))
        searchers[0].nearest(query)

    peak = _peak_mb(setting.device, open_and_search)
    searcher = searchers[0]
    rows_f32 = torch.empty((n, dim), device=setting.device)  # (N, D)
    for start in range(0, n, 4096):
        rows_f32[start : start + 4096] = torch.from_numpy(matrix.rows[start : start + 4096])

    def product() -> torch.Tensor:
        return rows_f32 @ torch.from_numpy(query).to(setting.device)  # (N,)

    def product_and_topk() -> list[torch.Tensor]:
        return [each.cpu() for each in product().topk(LEADING)]

    def product_and_sort() -> list[torch.Tensor]:
        return [each.cpu() for each in product().sort(descending=True, stable=True)]

    tasks: dict[str, Callable[[], object]] = {
        "ours, first hundred": lambda: searcher.nearest(query),
        "float32 product and topk, first hundred": product_and_topk,
        "ours, first hundred and whole order": lambda: searcher.nearest(query).order(),
        "float32 product and sort, whole order": product_and_sort,
    }
    timings = interleave(tasks, rounds=5 if setting.device == "cpu" else 25, seconds=_SECONDS)
    return {
        "rows": n,
        "dim": dim,
        "read_on": searcher.device,
        "rounds": timings["ours, first hundred"].rounds,
        "ms": {name: 1000 * timing.median for name, timing in timings.items()},
        "peak_device_mb": peak,
        "mb_of_float32_rows": rows_f32.nbytes / 1e6,
    }


def _calibration(setting: Setting) -> dict[str, Any]:
    """Measure the calibration that the first start runs in the background."""
    opened = _opened(setting)
    opened.text_encoder.warm_up()
    finish(opened.open_methods())
    start = time.perf_counter()
    peak = _peak_mb(setting.device, lambda: finish(opened.calibrate(again=True)))
    return {"captions": len(opened.matrix), "seconds": time.perf_counter() - start, "peak_device_mb": peak}


def _setup(setting: Setting) -> Setup:
    return setting.setup(setting.first(2_000) if setting.quick else setting.captions, dtype="auto")


def _opened(setting: Setting) -> Opened:
    """Open the matrix that `_matrix` made and cached."""
    return finish(open_(_setup(setting), setting.cache("figures")))


def _lstm(setting: Setting, dtype: str) -> torch.nn.LSTM:
    weights = torch.load(setting.weights, weights_only=True)
    return torch_lstm(weights, device=setting.device, dtype=getattr(torch, dtype))


@cache
def _product_rate(setting: Setting, dtype: str) -> float:
    hidden = 64 if setting.quick else 2048
    return product_rate(getattr(torch, dtype), rows=1024, hidden=hidden, device=setting.device)


def _shares(stages: dict[str, float]) -> dict[str, float]:
    return {stage: seconds / sum(stages.values()) for stage, seconds in stages.items() if seconds}


def _peak_mb(device: str, work: Callable[[], object]) -> float | None:
    """Run work and return its peak GPU memory in MB beyond what is allocated now; None on a CPU."""
    if device == "cpu":
        work()
        return None
    return peak_bytes(device, work) / 1e6
