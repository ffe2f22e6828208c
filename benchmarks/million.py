"""Measure opening, encoding, searching, calibrating and scrolling with the demo encoder, up to a million captions."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.material import Corpus, temporary_folder

_PLOT = Path(__file__).parent / "million.png"

_FILL = """
import json, sys, time
from pathlib import Path
from benchmarks.measure import peak_process_mb
from core.explorer import Explorer
from core.store.progress import finish
from tui.options import Options

options = Options(captions=Path(sys.argv[1]), cache_dir=Path(sys.argv[2]))
began = time.monotonic()
opened = finish(options.open_corpus())
encoded = time.monotonic()
finish(opened.open_methods())
indexed = time.monotonic()
finish(opened.calibrate())
figures = {"encode_s": encoded - began, "index_s": indexed - encoded, "calibrate_s": time.monotonic() - indexed}
print(json.dumps(figures | {"fill_mb": peak_process_mb()}))
"""

_BROWSE = """
import asyncio, json, statistics, sys, time
from pathlib import Path
from textual.events import Key
from benchmarks.measure import peak_process_mb
from tui.app import ExplorerApp
from tui.options import Options

async def seconds(app, key, done):
    began = time.monotonic()
    app.post_message(Key(key, key if len(key) == 1 else None))
    await asyncio.sleep(0)
    while not done():
        await asyncio.sleep(0.001)
    return time.monotonic() - began

async def main():
    app = ExplorerApp(Options(captions=Path(sys.argv[1]), cache_dir=Path(sys.argv[2])).open_corpus)
    began = time.monotonic()
    async with app.run_test(size=(120, 40)):
        explore = app.explore
        while explore.view.answer is None:
            await asyncio.sleep(0.005)
        figures = {"open_s": time.monotonic() - began}
        while explore.explorer.opened.rankers is None or explore.explorer.opened.calibration is None:
            await asyncio.sleep(0.05)
        await asyncio.sleep(3)

        def is_whole():
            ranking = explore.hit_list.ranking
            return explore.session.is_shown and len(ranking) == len(explore.explorer.opened.captions)

        serial = lambda: explore.session.serial
        searches, pages = [], []
        for _ in range(9):
            before = serial()
            searches.append(await seconds(app, "r", lambda: serial() > before and is_whole()))
            await asyncio.sleep(0.5)
        for key in 3 * ["G", "g"] + 9 * ["pagedown"]:
            place = explore.hit_list.place
            pages.append(await seconds(app, key, lambda: explore.hit_list.place != place))
            await asyncio.sleep(0.2)
        figures |= {"search_ms": 1000 * statistics.median(searches), "scroll_ms": 1000 * statistics.median(pages)}
    print(json.dumps(figures | {"browse_mb": peak_process_mb()}))

asyncio.run(main())
"""


def run(
    *, quick: bool = False, sizes: tuple[int, ...] = (10_000, 30_000, 100_000, 300_000, 1_000_000)
) -> dict[str, Any]:
    """Measure each size in new processes, the second of which finds everything computed; draw the plot."""
    sizes = (1_000, 2_000) if quick else sizes
    figures: dict[str, list[float]] = {}
    for size in sizes:
        with temporary_folder() as name:
            captions = Path(name) / "captions.txt"
            captions.write_text("\n".join(compose(size)) + "\n", encoding="utf-8")
            for script in (_FILL, _BROWSE):
                command = [sys.executable, "-c", script, str(captions), str(Path(name) / "cache")]
                ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                for what, value in json.loads(ran.stdout.splitlines()[-1]).items():
                    figures.setdefault(what, []).append(value)
    if not quick:
        _plot(sizes, figures)
    return {
        "question": "cost of each kind of work by number of captions, demo encoder",
        "captions": list(sizes),
    } | figures


def compose(count: int) -> list[str]:
    """Compose short captions, each from the beginning of one caption and the end of another."""
    rng, texts = random.Random(0), [text.split() for text in Corpus.read().texts]
    composed = []
    for _ in range(count):
        one, other = rng.choices(texts, k=2)
        composed.append(" ".join([*one[: rng.randint(2, 6)], *other[-rng.randint(2, 6) :]]))
    return composed


def _plot(sizes: tuple[int, ...], figures: dict[str, list[float]]) -> None:
    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 4, figsize=(13, 5.5), layout="constrained")
    for axis, (what, values) in zip(axes.flat, figures.items(), strict=True):
        axis.plot(sizes, values, "o-")
        axis.set(xscale="log", yscale="log", xlabel="captions", title=what.replace("_", ", "))
    figure.savefig(_PLOT, dpi=80)
