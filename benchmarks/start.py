"""Measure the seconds to `--help`, to the first frame and to the first answer, compared with importing torch alone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.material import COCO, temporary_folder
from benchmarks.measure import Timing
from core.assets import DEMO_DIR

_SCRIPT = """
import asyncio, json, sys, time
from pathlib import Path
from tui.app import ExplorerApp
from tui.options import Options

async def main():
    app = ExplorerApp(Options(captions=Path(sys.argv[1]), cache_dir=Path(sys.argv[2])).open_corpus)
    times = {}
    async with app.run_test(size=(120, 40)):
        times["first frame"] = time.time()
        while app.explore.view.answer is None:
            await asyncio.sleep(0.005)
        times["first answer"] = time.time()
    print(json.dumps(times))

asyncio.run(main())
"""


def run(*, quick: bool = False) -> dict[str, Any]:
    """Measure new processes; the matrix is cached before."""
    captions = COCO if COCO.exists() and not quick else DEMO_DIR / "captions.json"
    rounds = 2 if quick else 7
    seconds: dict[str, list[float]] = {}
    with temporary_folder() as name:
        app = [sys.executable, "-c", _SCRIPT, str(captions), str(Path(name) / "cache")]
        _times(app)  # fills the cache
        for _ in range(rounds):
            start = time.time()
            for what, moment in _times(app).items():
                seconds.setdefault(what, []).append(moment - start)
            for what, arguments in {
                "--help": ["-m", "tui", "--help"],
                "import torch": ["-c", "import torch"],
                "bare python": ["-c", "pass"],
            }.items():
                start = time.time()
                subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
                seconds.setdefault(what, []).append(time.time() - start)
    timings = {what: Timing.of(values) for what, values in seconds.items()}
    return {
        "question": "seconds from the start of the process",
        "captions": captions.name,
        "seconds": timings,
        "first_answer_after_import_torch": timings["first answer"].median - timings["import torch"].median,
    }


def _times(command: list[str]) -> dict[str, float]:
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    times: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return times
