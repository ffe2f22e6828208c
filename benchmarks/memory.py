"""Measure the memory that encoding and browsing need at the official size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.material import random_weights, temporary_folder

_ENCODE = """
import json, sys
from benchmarks.material import Corpus, random_encoder
from benchmarks.measure import peak_process_mb
from core.encoding.matrix import EmbeddingMatrix
from core.encoding.recipe import Recipe
from core.store.progress import finish
from pathlib import Path

corpus, encoder = Corpus.read(int(sys.argv[2])), random_encoder("float32")
before = peak_process_mb()
recipe = Recipe("", "", "", 2, "", 0, "float32")
parts = dict(sentences=corpus.sentences, vectors=corpus.vectors, encoder=encoder, about="")
finish(EmbeddingMatrix.build(Path(sys.argv[1]) / "m", recipe, **parts))
print(json.dumps({"before_mb": before, "peak_mb": peak_process_mb()}))
"""

_BROWSE = """
import json, sys
from pathlib import Path
import numpy as np
from core.encoding.encoder import SentenceEncoder
from core.corpus.sentences import Sentences
from core.ranking.search import MatrixSearcher

def anonymous_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("RssAnon"))

folder = Path(sys.argv[1])
encoder = SentenceEncoder.load(folder / "weights.pkl")
loaded = anonymous_mb()
class Matrix:
    rows = np.load(folder / "rows.npy", mmap_mode="c")
    row_norms = np.ones(len(rows), np.float32)
    sentences = Sentences(np.zeros(3 * len(rows), np.int32), np.arange(0, 3 * len(rows) + 1, 3))
searcher = MatrixSearcher(Matrix)
searcher.warm_up()
peak = 0.0
for i in range(20):
    embedding = encoder.encode(np.random.default_rng(i).normal(size=(12, 300)).astype(np.float32)).embedding
    order = searcher.nearest(embedding).order()
    peak = max(peak, anonymous_mb())
print(json.dumps({"imports_and_weights_mb": loaded, "anonymous_mb": peak, "weights_mb": 161.0}))
"""


def run(*, quick: bool = False) -> dict[str, Any]:
    """Measure encoding and browsing, each in a process of its own."""
    captions, rows = (2_000, 10_000) if quick else (69_009, 202_654)
    with temporary_folder() as name:
        folder = Path(name)
        torch.save(random_weights(), folder / "weights.pkl", _use_new_zipfile_serialization=False)
        _write_rows(folder / "rows.npy", rows)
        encoding, browsing = (_run(script, folder, captions) for script in (_ENCODE, _BROWSE))
    return {
        "question": "megabytes of memory at the official size",
        "captions_encoded": captions,
        "encoding": encoding | {"weights_mb": 161.0, "above_weights_mb": encoding["peak_mb"] - 161},
        "rows_browsed": rows,
        "browsing": browsing | {"above_weights_mb": browsing["anonymous_mb"] - 161},
        "notebook_float32_arrays_mb": rows * 4096 * 4 / 1e6,
    }


def _write_rows(path: Path, rows: int) -> None:
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(rows, 4096))  # (N, D)
    rng = np.random.default_rng(0)
    for start in range(0, rows, 4096):
        array[start : start + 4096] = rng.standard_normal((min(4096, rows - start), 4096), dtype=np.float32) / 64
    array.flush()


def _run(script: str, folder: Path, captions: int) -> dict[str, float]:
    command = [sys.executable, "-c", script, str(folder), str(captions)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return figures
