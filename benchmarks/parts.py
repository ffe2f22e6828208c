"""Measure what encoding in parts, as on a cluster, loses of shared beginnings, and the time of Ray on one machine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.material import COCO, Corpus, temporary_folder
from benchmarks.million import compose
from core.corpus.sentences import Sentences
from core.encoding.building import CHUNK, CUDA_CHUNK, distinct_chunks
from core.encoding.prefixes import PlannedBatch

_PARTS = (1 << 12, 1 << 14, 1 << 16)  # captions

_ALONE = """
import json, sys, time
from pathlib import Path
from core.store.progress import finish
from tui.options import Options

options = Options(demo=True, captions=Path(sys.argv[1]), cache_dir=Path(sys.argv[2]), dtype="float32")
began = time.monotonic()
opened = finish(options.open_corpus())
print(json.dumps({"seconds": time.monotonic() - began, "encoding_s": opened.report.seconds}))
"""

_ON_RAY = """
import json, sys, time
from pathlib import Path
from core.cluster.connection import Connection
from core.cluster.on_ray import encode_on_ray
from core.store.progress import finish
from tui.options import Options

options = Options(demo=True, cache_dir=Path(sys.argv[2]), device="cpu", dtype="float32")
stages = {}

def note(progress):
    name = progress.stage.partition(" on ")[0]
    first, _ = stages.get(name, (time.monotonic(), 0))
    stages[name] = first, time.monotonic()

steps = encode_on_ray(
    *(options.setup(), options.open_cache(), sys.argv[1], Connection(sys.argv[3], must_exist=False), "local"),
    device="cpu", dtype="float32",
)
began = time.monotonic()
finish(steps, note)
first, last = stages["encoding captions"]
print(json.dumps({"seconds": time.monotonic() - began, "encoding_s": last - first}))
"""


def run(*, quick: bool = False) -> dict[str, Any]:
    """Count the steps of COCO's captions and of a million composed ones, and time the former on Ray."""
    import pyarrow as pa
    from pyarrow import parquet

    figures: dict[str, Any] = {"question": "a corpus encoded in parts, beside one encoded as a whole"}
    corpus = Corpus.read(2_000 if quick else None)
    figures[f"steps, {COCO.name}"] = _steps(corpus.sentences)
    if not quick:
        figures["steps, 1,000,000 composed captions"] = _steps(Corpus("composed", compose(1_000_000)).sentences)
    with temporary_folder() as name:
        folder, cache = Path(name), Path(name) / "cache"
        texts = folder / "captions.txt"
        texts.write_text("\n".join(corpus.texts) + "\n", encoding="utf-8")
        parquet.write_table(pa.table({"caption": corpus.texts}), folder / "captions.parquet")
        figures["one machine, converting the vectors first"] = _run(_ALONE, texts, cache)
        for matrix in (cache / "matrix").iterdir():
            shutil.rmtree(matrix, ignore_errors=True)
        figures["one machine"] = _run(_ALONE, texts, cache)
        figures["Ray on this machine alone"] = _run(_ON_RAY, folder / "captions.parquet", cache, folder / "store")
    return figures


def _steps(sentences: Sentences) -> dict[str, Any]:
    """Count the steps of both directions, as a share of the tokens."""
    tokens, n = 2 * len(sentences.ids), len(sentences)

    def count(part: Sentences, size: int) -> int:
        chunks = (part.take(chunk.rows[chunk.begins]) for chunk in distinct_chunks(part, size))
        return sum(direction.nodes for chunk in chunks for direction in PlannedBatch.of(chunk).directions)

    figures: dict[str, Any] = {}
    for device, size in (("CPU", CHUNK), ("GPU", CUDA_CHUNK)):
        figures[f"as a whole, {device}"] = count(sentences, size) / tokens
        for rows in _PARTS:
            parts = (sentences.part(first, min(first + rows, n)) for first in range(0, n, rows))
            figures[f"in parts of {rows:,}, {device}"] = sum(count(part, size) for part in parts) / tokens
    return figures


def _run(script: str, *arguments: Path) -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True
    )
    document: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return document
