"""How long a keystroke takes to its painted answer, through the real app, headless, and how free the screen stays."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from textual import on

import tui.app
from benchmarks.material import SUBSET, Corpus, folder, random_weights
from benchmarks.measure import interleave
from core.assets import DEMO_DIR
from tui.app import ExplorerApp
from tui.options import Options

_TEXTS = [
    "a rainbow is in the sky over an empty stretch of road",
    "two dogs play with a ball on the beach",
    "doctor",
    "a man in a suit waits for the train with a red suitcase",
]
_SECONDS_BETWEEN_KEYS = 0.12
_LAG_SECONDS = 0.005


def run(*, quick: bool = False) -> dict[str, Any]:
    """Measure with the demo encoder and with full-size random weights."""
    texts = _TEXTS[:1] if quick else _TEXTS
    captions = SUBSET if SUBSET.exists() and not quick else DEMO_DIR / "captions.json"
    result: dict[str, Any] = {"question": "milliseconds from a keystroke to its painted answer", "texts": len(texts)}
    with folder() as name:
        place = Path(name)
        result["demo"] = asyncio.run(_type(Options(captions=captions, cache_dir=place / "cache"), texts))
        weights, vectors = _full_size(place, captions)
        options = Options(model=weights, vectors=vectors, captions=captions, cache_dir=place / "cache")
        result["full_size"] = asyncio.run(_type(options, texts))
    result["captions"] = captions.name
    result["encoding_from_scratch_ms"] = _from_scratch(texts[0])
    return result


class _Timed(ExplorerApp):
    """The app, which notes when each typed text's answer, or a later one, has been painted."""

    CSS_PATH = Path(tui.app.__file__).with_name("app.tcss")

    def __init__(self, options: Options) -> None:
        super().__init__(options.open_explorer)
        self.pressed: dict[str, float] = {}
        self.taken: list[float] = []

    @on(ExplorerApp.Answered)
    def note_answer(self, message: ExplorerApp.Answered) -> None:
        """Wait for the painting."""
        self.call_after_refresh(self._note, message.answer.query)

    def _note(self, query: str) -> None:
        now = time.perf_counter()
        for text in [text for text in self.pressed if query.startswith(text)]:
            self.taken.append(now - self.pressed.pop(text))


async def _type(options: Options, texts: list[str]) -> dict[str, Any]:
    """Type texts into the app, key by key."""
    app = _Timed(options)
    lags: list[float] = []

    async def watch_lag() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(_LAG_SECONDS)
            lags.append(time.perf_counter() - before - _LAG_SECONDS)

    async with app.run_test(size=(120, 40)) as pilot:
        while app._answer is None:
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        watching = asyncio.create_task(watch_lag())
        for text in texts:
            await pilot.press("slash")
            for end in range(1, len(text) + 1):
                app.pressed[text[:end]] = time.perf_counter()
                app.search_box.value = text[:end]
                await asyncio.sleep(_SECONDS_BETWEEN_KEYS)
            await asyncio.sleep(1)
        watching.cancel()
    return {
        "keys": sum(map(len, texts)),
        "answered": len(app.taken),
        "p50_ms": 1000 * float(np.percentile(app.taken, 50)),
        "p95_ms": 1000 * float(np.percentile(app.taken, 95)),
        "lag_p99_ms": 1000 * float(np.percentile(lags, 99)),
        "lag_largest_ms": 1000 * max(lags),
    }


def _full_size(place: Path, captions: Path) -> tuple[Path, Path]:
    """Write random weights of the official size and random vectors for the captions' words."""
    torch.save(random_weights(), place / "weights.pkl", _use_new_zipfile_serialization=False)
    corpus = Corpus.read()
    with (place / "vectors.vec").open("w", encoding="utf-8") as file:
        for word, row in zip(corpus.words, corpus.vectors.rows, strict=True):
            file.write(f"{word} {' '.join(f'{value:.4f}' for value in row)}\n")
    return place / "weights.pkl", place / "vectors.vec"


def _from_scratch(text: str) -> float:
    """Milliseconds to encode a text of the official size through `torch.nn.LSTM`, as every keystroke would cost."""
    lstm = torch.nn.LSTM(300, 2048, bidirectional=True).eval()
    words = torch.randn(len(text.split()) + 2, 1, 300)
    with torch.inference_mode():
        return 1000 * interleave({"lstm": lambda: lstm(words)}, rounds=5)["lstm"].median
