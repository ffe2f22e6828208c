"""Measure the time from a keystroke to its painted answer in the real app, run headless, and the event loop's delay.

It is measured three times: while the first calibration runs in the background, after it, and with a filter.

All captions are encoded before anything is measured. With an encoder of the official size that takes minutes; if
INFERSENT_TUI_BENCHMARK_CACHE names a folder, the embeddings are kept there for the next run.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from textual import on
from textual.events import Key

import tui.app
from benchmarks.material import COCO, full_size_files, temporary_folder
from core.assets import DEMO_DIR
from core.ranking.filters import Filter
from core.store.progress import finish
from tui.app import ExplorerApp
from tui.messages import Answered, Measured
from tui.options import Options

_TEXTS = [
    "a rainbow is in the sky over an empty stretch of road",
    "two dogs play with a ball on the beach",
    "doctor",
    "a man in a suit waits for the train with a red suitcase",
]
_FILTER = "/\\w/ -zebra length>7"  # which many captions meet
_SECONDS_BETWEEN_KEYS = 0.12
_SECONDS_BETWEEN_KEYS_WHILE_LOADING = 0.04
_LAG_SECONDS = 0.005  # requested sleep; the excess is the event loop's delay


def run(*, quick: bool = False) -> dict[str, Any]:
    """Measure with the demo encoder and with full-size random weights."""
    texts = _TEXTS[:1] if quick else _TEXTS
    captions = COCO if COCO.exists() and not quick else DEMO_DIR / "captions.json"
    result: dict[str, Any] = {
        "question": "milliseconds from a keystroke to its painted answer, and the delay of the event loop",
        "captions": captions.name,
        "texts": len(texts),
        "seconds_between_keys": _SECONDS_BETWEEN_KEYS,
        "alternative": "encode the whole text with torch.nn.LSTM at every keystroke, without searching or painting",
    }
    with temporary_folder() as name:
        folder = Path(os.environ.get("INFERSENT_TUI_BENCHMARK_CACHE") or name)
        folder.mkdir(parents=True, exist_ok=True)
        weights, vectors = full_size_files(folder)
        for what, options in {
            "demo": Options(captions=captions, cache_dir=folder / "cache"),
            "full_size": Options(model=weights, vectors=vectors, captions=captions, cache_dir=folder / "cache"),
        }.items():
            opened = finish(options.open_corpus())
            shape = {"captions": len(opened.captions), "dim": opened.matrix.dim, "dtype": opened.setup.dtype}
            word_dim = opened.text_encoder.vocabulary.vectors.dim
            for file in opened.matrix.folder.glob("calibration-*.json"):
                file.unlink()  # so that the app calibrates
            opened.cache.close()
            del opened
            measured = asyncio.run(_type_texts(options, texts))
            scratch = _from_scratch(texts, word_dim, shape["dim"] // 2)
            ratio = {"from_scratch_p50_over_ours": scratch["p50_ms"] / measured["p50_ms"]}
            result[what] = shape | measured | {"from_scratch": scratch} | ratio
    return result


class _Timed(ExplorerApp):
    """The app, recording the time until the answer to each typed text, or to a later one, is painted."""

    CSS_PATH = Path(tui.app.__file__).with_name("app.tcss")

    def __init__(self, options: Options) -> None:
        super().__init__(options.open_corpus)
        self.pressed: dict[str, float] = {}  # time of the last keystroke of each typed text
        self.taken: list[float] = []  # seconds
        self.is_calibrating = False

    @on(Answered)
    def record_answer(self, message: Answered) -> None:
        """Record the time when the answer has been painted."""
        self.call_after_refresh(self._record, message.answer.query.text)

    @on(Measured)
    def record_calibration(self, message: Measured) -> None:
        """Record whether the calibration runs."""
        self.is_calibrating = message.progress is not None

    def _record(self, query: str) -> None:
        now = time.perf_counter()
        for text in [text for text in self.pressed if query.startswith(text)]:
            self.taken.append(now - self.pressed.pop(text))


async def _type(app: _Timed, texts: list[str]) -> None:
    """Type every text key by key."""
    for text in texts:
        app.post_message(Key("escape", None))
        await asyncio.sleep(0.5)
        app.post_message(Key("slash", "/"))
        for end in range(1, len(text) + 1):
            char = text[end - 1]
            app.pressed[text[:end]] = time.perf_counter()
            app.post_message(Key("space" if char == " " else char, char))
            await asyncio.sleep(_SECONDS_BETWEEN_KEYS)
        await asyncio.sleep(1)


def _figures(app: _Timed, lags: list[float]) -> dict[str, Any]:
    return {
        "answered": len(app.taken),
        "p50_ms": 1000 * float(np.percentile(app.taken, 50)),
        "p95_ms": 1000 * float(np.percentile(app.taken, 95)),
        "lag_p99_ms": 1000 * float(np.percentile(lags, 99)),
        "lag_largest_ms": 1000 * max(lags),
    }


async def _type_texts(options: Options, texts: list[str]) -> dict[str, Any]:
    """Type the first text key by key while the app loads, then every text when it is ready."""
    app = _Timed(options)
    lags: list[float] = []

    async def watch_lag() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(_LAG_SECONDS)
            lags.append(time.perf_counter() - before - _LAG_SECONDS)

    async with app.run_test(size=(120, 40)):
        watching = asyncio.create_task(watch_lag())
        app.post_message(Key("slash", "/"))
        first_text = texts[0]
        for char in first_text:
            app.post_message(Key("space" if char == " " else char, char))
            await asyncio.sleep(_SECONDS_BETWEEN_KEYS_WHILE_LOADING)
        search_box = app.explore.search_box
        while (answer := app.explore.view.answer) is None or answer.query.text != search_box.value:
            await asyncio.sleep(0.05)
        lost = len(first_text) - (len(typed) if first_text.startswith(typed := search_box.value) else 0)
        lags_while_loading = lags.copy()
        app.post_message(Key("escape", None))
        while not app.is_calibrating:
            await asyncio.sleep(0.05)
        lags.clear()
        await _type(app, texts)
        while_calibrating = _figures(app, lags) | {"calibration_ended_meanwhile": not app.is_calibrating}
        while app.is_calibrating:
            await asyncio.sleep(0.2)
        await asyncio.sleep(2)
        lags.clear()
        app.taken.clear()
        await _type(app, texts)
        figures = _figures(app, lags)
        lags.clear()
        app.taken.clear()
        app.explore.session.among = Filter.parse(_FILTER)
        await _type(app, texts)
        answer = app.explore.view.answer
        filtered = _figures(app, lags) | {"filter": _FILTER, "captions": None if answer is None else answer.searched}
        watching.cancel()
    return {
        "keys": sum(map(len, texts)),
        **figures,
        "with_filter": filtered | {"p50_over_without": filtered["p50_ms"] / figures["p50_ms"]},
        "while_calibrating": while_calibrating,
        "keys_during_loading": len(first_text),
        "keys_lost_during_loading": lost,
        "lag_largest_during_loading_ms": 1000 * max(lags_while_loading),
    }


def _from_scratch(texts: list[str], word_dim: int, hidden: int) -> dict[str, Any]:
    """Measure the milliseconds to encode every prefix of the texts, one per keystroke, with `torch.nn.LSTM`."""
    lstm = torch.nn.LSTM(word_dim, hidden, bidirectional=True).eval()
    taken = []
    with torch.inference_mode():
        for text in texts:
            for end in range(1, len(text) + 1):
                words = torch.randn(len(text[:end].split()) + 2, 1, word_dim)  # (T, 1, E), with <p> and </p>
                start = time.perf_counter()
                lstm(words)[0].max(dim=0)
                taken.append(time.perf_counter() - start)
    return {
        "keys": len(taken),
        "p50_ms": 1000 * float(np.percentile(taken, 50)),
        "p95_ms": 1000 * float(np.percentile(taken, 95)),
    }
