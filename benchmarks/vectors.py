"""Measure how fast a `.vec` file is converted, opened and searched for words, compared with the usual readers."""

from __future__ import annotations

import csv
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.material import temporary_folder
from benchmarks.measure import interleave
from core.corpus.vec_file import VecFile
from core.corpus.vectors import WordVectors
from core.store.progress import finish

_DIM = 300

_CONVERT = """
import sys
from pathlib import Path
from core.store.progress import finish
from core.corpus.vec_file import VecFile
from core.corpus.vectors import WordVectors
finish(WordVectors.convert(VecFile(Path(sys.argv[1])), Path(sys.argv[2])))
lines = Path("/proc/self/status").read_text().splitlines()
print(next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM")))
"""


def run(*, quick: bool = False) -> dict[str, Any]:
    """Measure reading 200,000 words, and opening and searching as many words as the official file has."""
    words, many = (5_000, 20_000) if quick else (200_000, 2_000_000)
    with temporary_folder() as name:
        folder = Path(name)
        path = _write(folder / "vectors.vec", words)
        stores = (folder / f"store{number}" for number in range(100))
        timings = interleave(
            {
                "ours: convert": lambda: finish(WordVectors.convert(VecFile(path), next(stores))),
                "np.fromstring, line by line": lambda: _line_loop(path),
                "gensim's way: split and float": lambda: _split_and_float(path),
                "pandas.read_csv": lambda: _pandas(path),
            },
            rounds=1 if quick else 3,
            warm_up=False,
        )
        ran = [sys.executable, "-c", _CONVERT, str(path), str(folder / "alone")]
        peak = float(subprocess.run(ran, check=True, capture_output=True, text=True).stdout)
        path.unlink()
        large = folder / "large"
        _write_store(large, many)
        known = [f"word{i}" for i in range(0, many, many // 1000)]
        opening = interleave({"open": lambda: WordVectors(large)}, rounds=9)["open"]
        opened = WordVectors(large)
        finding = interleave({"find": lambda: opened.find(known)}, rounds=9)["find"]
        missing = int((opened.find(known) < 0).sum())
    return {
        "question": "seconds to read a file of word vectors, 300 numbers each",
        "words": words,
        "seconds": timings,
        "speedup_over_line_loop": timings["np.fromstring, line by line"].median / timings["ours: convert"].median,
        "peak_memory_mb": peak,
        "words_opened": many,
        "open_ms": 1000 * opening.median,
        "look_up_of_1000_ms": 1000 * finding.median,
        "not_found": missing,
    }


def _write(path: Path, words: int) -> Path:
    """Write random vectors with four decimals, as in fastText's files; vectors repeat every 1,000 words."""
    values = np.random.default_rng(0).normal(size=(1000, _DIM)) * 0.1  # (1000, E)
    lines = [" ".join(f"{value:.4f}" for value in row) for row in values]
    with path.open("w", encoding="utf-8") as file:
        file.write(f"{words} {_DIM}\n")
        for i in range(words):
            file.write(f"word{i} {lines[i % 1000]}\n")
    return path


def _write_store(store: Path, words: int) -> None:
    """Convert a file of many words with two numbers each; opening and look-up do not depend on the width."""
    path = store.with_suffix(".vec")
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"word{i} 0.25 0.5\n" for i in range(words))
    finish(WordVectors.convert(VecFile(path), store))
    path.unlink()


def _line_loop(path: Path) -> dict[str, Any]:
    vectors = {}
    with warnings.catch_warnings(), path.open(encoding="utf-8") as file:
        warnings.simplefilter("ignore", DeprecationWarning)
        next(file)
        for line in file:
            word, values = line.split(" ", 1)
            vectors[word] = np.fromstring(values, sep=" ")
    return vectors


def _split_and_float(path: Path) -> dict[str, Any]:
    vectors = {}
    with path.open(encoding="utf-8") as file:
        next(file)
        for line in file:
            word, *values = line.rstrip().split(" ")
            vectors[word] = np.array([np.float32(value) for value in values], np.float32)
    return vectors


def _pandas(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep=" ", skiprows=1, header=None, index_col=0, quoting=csv.QUOTE_NONE, dtype={0: str})
