"""How fast the explorer is on a device, each part beside the usual way of doing it there, and what memory it takes."""

from __future__ import annotations

import gc
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.encode import encode, even_sample, products, usual_way
from benchmarks.gpu_setting import Setting
from benchmarks.material import WORD_DIM, rows_that_share_a_mean
from benchmarks.measure import copy_rate, interleave, product_rate
from benchmarks.stages import sampled
from core.encoder import SentenceEncoder
from core.explorer import Explorer
from core.progress import finish
from core.search import LEADING, Searcher

_TEXTS = ("a man in a suit waits for the train with a red suitcase", "two dogs play with a ball on the beach")
_SECONDS = 15  # after which no further round begins


def run(setting: Setting, *, tell: Callable[[str], None]) -> dict[str, Any]:
    """Take every figure; what one raises stands in its place.

    Args:
        setting: Where.
        tell: Called with the name of each figure before it begins.
    """
    figures: dict[str, Callable[[Setting], dict[str, Any]]] = {
        "device": _device,
        "matrix": _matrix,
        "encoding": _encoding,
        "typed_query": _typed_query,
        "search": _search,
        "calibration": _calibration,
    }
    results = {}
    for name, figure in figures.items():
        tell(name)
        try:
            results[name] = figure(setting)
        except Exception as error:  # the other figures are worth having
            traceback.print_exc(file=sys.stderr)
            results[name] = {"error": f"{type(error).__name__}: {error}"}
        gc.collect()  # a traceback or a cycle may hold memory of the device
        if setting.device != "cpu":
            torch.cuda.empty_cache()
    return results


def _device(setting: Setting) -> dict[str, Any]:
    """The ceilings: matrix products and copies."""
    device, hidden = setting.device, 64 if setting.quick else 2048
    precision = {"float32_products_in": torch.get_float32_matmul_precision()}  # "highest": TF32 is off
    return (
        precision
        | {
            f"product_tflops_{name}": product_rate(dtype, rows=1024, hidden=hidden, device=device) / 1e12
            for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16))
        }
        | {f"{name}_gb_per_second": rate / 1e9 for name, rate in copy_rate(device, quick=setting.quick).items()}
    )


def _matrix(setting: Setting) -> dict[str, Any]:
    """From captions to a finished matrix, the vectors converted before; and where that time goes."""
    seconds = []
    result: dict[str, Any] = {}
    for number in range(2):  # the second is for the stages: waiting for each copy makes it slower
        explorer = _whole(setting, cache=f"figures-{number}")
        finish(explorer.open_encoder())
        explorer.tokenizer.warm_up()
        _forget_peak(setting.device)
        start = time.perf_counter()
        if number == 0:
            _encode_captions(explorer)
            result["peak_device_mb"] = _peak_mb(setting.device)
        else:
            with sampled() as stages:
                _encode_captions(explorer)
        seconds.append(time.perf_counter() - start)
    whole = sum(stages.values())
    n = len(explorer.matrix)
    return {
        "captions": n,
        "file": explorer.captions.name,
        "dim": explorer.matrix.dim,
        "dtype": explorer.dtype,
        "seconds": seconds[0],
        "captions_per_second": n / seconds[0],
        "seconds_when_sampled": seconds[1],
        "share": {stage: taken / whole for stage, taken in stages.items()},
    } | result


def _encoding(setting: Setting) -> dict[str, Any]:
    """Encoding alone, from token ids to embeddings on the CPU, beside sorted, padded and packed batches."""
    explorer = _opened(setting)
    sentences, vectors = explorer.matrix.sentences, explorer.vectors
    names = ("float32", "bfloat16")
    encoders = {name: SentenceEncoder.load(setting.weights, device=setting.device, dtype=name) for name in names}
    sample = even_sample(sentences, 256 if setting.quick else 1024 if setting.device == "cpu" else 16_384)
    tasks: dict[str, Callable[[], object]] = {
        f"ours {dtype}": partial(encode, sentences, vectors, encoder) for dtype, encoder in encoders.items()
    }
    lstms = {name: _lstm(setting, getattr(torch, name)) for name in names}
    torch.backends.cudnn.allow_tf32 = False  # float32 for both
    for dtype, batch in (("float32", 64), ("float32", 1024), ("bfloat16", 1024)):
        tasks[f"usual {dtype}, batches of {batch}"] = partial(
            usual_way, sentences, vectors, lstms[dtype], sample, batch
        )
    timings = interleave(
        tasks, rounds=3, warm_up=setting.device != "cpu", seconds=_SECONDS if setting.device != "cpu" else 0
    )
    rates = {
        name: timing.rate(len(sentences) if name.startswith("ours") else len(sample))
        for name, timing in timings.items()
    }
    shares = {}
    for dtype, encoder in encoders.items():
        with sampled() as stages:
            encode(sentences, vectors, encoder)
        shares[dtype] = {stage: taken / sum(stages.values()) for stage, taken in stages.items() if taken}
    flops = 2 * (explorer.matrix.dim // 2) ** 2 * 4 * products(sentences)
    usual = {dtype: max(rate for name, rate in rates.items() if name.startswith(f"usual {dtype}")) for dtype in names}
    return {
        "captions": len(sentences),
        "captions_of_the_usual_way": len(sample),
        "rounds": timings["ours float32"].rounds,
        "captions_per_second": rates,
        "speedup": {dtype: rates[f"ours {dtype}"] / usual[dtype] for dtype in names},
        "share_of_product_rate": {
            dtype: flops * rates[f"ours {dtype}"] / len(sentences) / _rate_of_products(setting, dtype)
            for dtype in names
        },
        "share": shares,
    }


def _typed_query(setting: Setting) -> dict[str, Any]:
    """A query as it is typed, letter by letter: from text to ranked captions; beside torch's LSTM from scratch."""
    explorer = _opened(setting)
    explorer.warm_up()
    texts = _TEXTS[:1] if setting.quick else _TEXTS
    prefixes = [text[:end] for text in texts for end in range(1, len(text) + 1)]
    start = time.perf_counter()
    explorer.ask("the first query of all")
    first = time.perf_counter() - start
    answers = [explorer.ask(prefix, settled=False) for prefix in prefixes]
    taken = {
        step: [answer.timings_ms[step] for answer in answers if step in answer.timings_ms]
        for step in ("tokenize", "encode", "search", "total")
    }
    lstm = _lstm(setting, torch.float32)
    scratch = []
    with torch.inference_mode():
        for prefix in prefixes:
            words = torch.randn(len(prefix.split()) + 2, 1, WORD_DIM)
            start = time.perf_counter()
            lstm(words.to(setting.device))[0].max(dim=0).values.cpu()
            scratch.append(1000 * (time.perf_counter() - start))
    return {
        "captions": len(explorer.matrix),
        "keys": len(prefixes),
        "first_ms": 1000 * first,
        "p50_ms": {step: float(np.median(values)) for step, values in taken.items()},
        "p95_ms": {step: float(np.percentile(values, 95)) for step, values in taken.items()},
        "lstm_alone_p50_ms": float(np.median(scratch)),
    }


def _search(setting: Setting) -> dict[str, Any]:
    """Search in a matrix of the official size, beside a float32 product and sort of everything on the device."""
    n, dim = (20_000, 256) if setting.quick else (202_654, 4096)
    matrix = rows_that_share_a_mean(n, dim, device=setting.device)
    query = matrix.rows[n // 2] + np.random.default_rng(5).normal(size=dim).astype(np.float32) * 0.003
    _forget_peak(setting.device)
    searcher = Searcher(matrix, device=setting.device)
    searcher.nearest(query)
    peak = _peak_mb(setting.device)
    single = torch.empty((n, dim), device=setting.device)
    for at in range(0, n, 4096):
        single[at : at + 4096] = torch.from_numpy(matrix.rows[at : at + 4096])

    def product_and_sort() -> NDArray[np.int64]:
        cosines = single @ torch.from_numpy(query).to(setting.device)
        found: NDArray[np.int64] = cosines.sort(descending=True).indices[:LEADING].cpu().numpy()
        return found

    tasks = {
        "ours, first hundred": lambda: searcher.nearest(query),
        "ours, whole order": lambda: searcher.nearest(query).order(),
        "float32 product and sort": product_and_sort,
    }
    timings = interleave(tasks, rounds=5 if setting.device == "cpu" else 25, seconds=_SECONDS)
    return {
        "rows": n,
        "dim": dim,
        "read_on": searcher.device,
        "rounds": timings["ours, first hundred"].rounds,
        "ms": {name: 1000 * timing.median for name, timing in timings.items()},
        "device_mb": peak,
        "device_mb_of_float32_rows": single.nbytes / 1e6,
    }


def _calibration(setting: Setting) -> dict[str, Any]:
    """Measuring how far answers can be trusted, as the first start does in the background."""
    explorer = _opened(setting)
    explorer.warm_up()
    finish(explorer.open_methods())
    _forget_peak(setting.device)
    start = time.perf_counter()
    finish(explorer.calibrate(again=True))
    seconds = time.perf_counter() - start
    return {"captions": len(explorer.matrix), "seconds": seconds, "peak_device_mb": _peak_mb(setting.device)}


def _whole(setting: Setting, *, cache: str) -> Explorer:
    captions = setting.first(2_000) if setting.quick else setting.captions
    return setting.explorer(captions, cache=cache, dtype="auto")


def _opened(setting: Setting) -> Explorer:
    """The explorer whose matrix `_matrix` has made."""
    explorer = _whole(setting, cache="figures-0")
    finish(explorer.prepare())
    return explorer


def _encode_captions(explorer: Explorer) -> None:
    finish(explorer.open_captions())
    finish(explorer.open_matrix())


def _lstm(setting: Setting, dtype: torch.dtype) -> torch.nn.LSTM:
    """The encoder's weights in torch's own LSTM."""
    weights = torch.load(setting.weights, weights_only=True)
    lstm = torch.nn.LSTM(WORD_DIM, weights["enc_lstm.weight_hh_l0"].shape[1], bidirectional=True)
    lstm.load_state_dict({name.removeprefix("enc_lstm."): value for name, value in weights.items()})
    return lstm.eval().to(setting.device, dtype)


def _rate_of_products(setting: Setting, dtype: str) -> float:
    hidden = 64 if setting.quick else 2048
    return product_rate(getattr(torch, dtype), rows=1024, hidden=hidden, device=setting.device)


def _forget_peak(device: str) -> None:
    if device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _peak_mb(device: str) -> float | None:
    """The most memory of the device that was held since `_forget_peak`; None on a processor."""
    return None if device == "cpu" else torch.cuda.max_memory_allocated(device) / 1e6


def process_mb() -> float:
    """The most memory that this process has had on the CPU."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))
