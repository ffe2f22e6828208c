"""Measure a store beside the matrix in memory: time of an answer, memory, size, and recall by how it is searched."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

from benchmarks.material import COCO, Corpus, temporary_folder
from benchmarks.million import compose

_FILL = """
import json, sys, time
from pathlib import Path
from core.cluster.connection import Connection
from core.cluster.sources import open_source
from core.cluster.writing import write_store
from core.opening import locate
from core.store.progress import finish
from tui.options import Options

options = Options(demo=True, captions=Path(sys.argv[1]), cache_dir=Path(sys.argv[2]))
began = time.monotonic()
setup, cache = options.setup(), options.open_cache()
source = finish(open_source(setup, cache, finish(locate(setup, cache))))
encoded = time.monotonic()
finish(write_store(source, Connection(sys.argv[3], must_exist=False)))
size = lambda folder, kind: sum(each.stat().st_size for each in Path(folder).rglob(kind)) / 1e6
print(json.dumps({
    "captions": len(source.rows),
    "encode_s": encoded - began,
    "write_and_index_s": time.monotonic() - encoded,
    "matrix_mb": size(sys.argv[2] + "/matrix", "embeddings.npy"),
    "store_mb": size(sys.argv[3], "*"),
    "indices_mb": size(sys.argv[3] + "/captions.lance/_indices", "*"),
}))
"""

_ASK = """
import json, statistics, sys, time
from pathlib import Path
from benchmarks.measure import peak_process_mb
from core.explorer import Explorer
from core.store.progress import finish
from tui.options import Options

options = Options(demo=True, cache_dir=Path(sys.argv[1]), **json.loads(sys.argv[2]))
if options.store is None:
    options = Options(**{**json.loads(sys.argv[2]), "captions": Path(sys.argv[3])}, cache_dir=Path(sys.argv[1]))
began = time.monotonic()
explorer = Explorer(finish(options.open_corpus()))
opened, hits, times = time.monotonic() - began, [], []
queries = [line.rstrip() for line in sys.stdin]
for number, query in enumerate(queries):
    answer = explorer.ask(query)
    hits.append(answer.hits.rows[:10].tolist())
    if number >= 5:  # the first ones load what all need
        times.append(answer.timings_ms["search"])
anonymous = next(int(line.split()[1]) / 1000 for line in open("/proc/self/status") if line.startswith("RssAnon"))
cuts = statistics.quantiles(times, n=20)
print(json.dumps({
    "open_s": opened, "search_p50_ms": cuts[9], "search_p95_ms": cuts[18],
    "peak_mb": peak_process_mb(), "own_mb": anonymous, "hits": hits,
}))
"""

_WAYS: dict[str, dict[str, Any]] = {
    "matrix": {},
    "exact": {"exact": True},
    "approximate": {},  # as by default
    "approximate, nprobes 5, refine 2": {"nprobes": "5", "refine": "2"},
    "approximate, nprobes 20, refine 2": {"nprobes": "20", "refine": "2"},
    "approximate, nprobes 20, refine 10": {"nprobes": "20", "refine": "10"},
    "approximate, nprobes 100, refine 10": {"nprobes": "100", "refine": "10"},
}


def run(*, quick: bool = False, sizes: tuple[int, ...] = (0, 1_000_000)) -> dict[str, Any]:
    """Measure COCO's captions, size 0, and composed ones, each way of asking in a new process."""
    figures = {}
    for size in (1_000,) if quick else sizes:
        with temporary_folder() as name:
            captions, cache, store = Path(name) / "captions.txt", Path(name) / "cache", Path(name) / "store"
            texts = compose(size) if size else Corpus.read().texts
            captions.write_text("\n".join(texts) + "\n", encoding="utf-8")
            figures[f"{size:,} composed captions" if size else COCO.name] = _measure(captions, cache, store, texts)
    return {"question": "a store beside the matrix in memory, demo encoder"} | figures


def _measure(captions: Path, cache: Path, store: Path, texts: list[str]) -> dict[str, Any]:
    figures = _run(_FILL, captions, cache, store)
    rng = random.Random(1)
    cut = [" ".join(text.split()[: rng.randint(2, 12)]) for text in rng.choices(texts, k=65)]
    exact: list[list[int]] = []
    for way, options in _WAYS.items():
        chosen = options if way == "matrix" else options | {"store": str(store)}
        found = _run(_ASK, cache, json.dumps(chosen), captions, asked=cut)
        hits = found.pop("hits")
        exact = exact or hits
        recall = mean(len({*one} & {*other}) / len(one) for one, other in zip(exact, hits, strict=True))
        figures[way] = found | {"recall_at_10": recall}
    largest = max((cache / "matrix").glob("*/embeddings.npy"), key=lambda path: path.stat().st_size)  # no sample
    return figures | {"recall_at_10": _recall_of_components(largest)}


def _recall_of_components(
    matrix: Path, *, kept: tuple[int, ...] = (512, 256, 128), queries: int = 200
) -> dict[str, float]:
    """Measure recall@10 of cosines of the first principal components, without the query itself."""
    rows = torch.from_numpy(np.load(matrix).astype(np.float32))  # (N, D)
    _, axes = torch.linalg.eigh(rows.T @ rows)  # (D, D), ascending; about 0, as cosines are
    asked = torch.from_numpy(np.random.default_rng(1).choice(len(rows), queries, replace=False))  # (Q,)

    def nearest(part: torch.Tensor) -> list[set[int]]:
        unit = part / part.norm(dim=1, keepdim=True)
        cosines = unit[asked] @ unit.T  # (Q, N)
        cosines[torch.arange(len(asked)), asked] = -torch.inf
        return [set(row) for row in cosines.topk(10).indices.tolist()]

    exact = nearest(rows)
    return {
        f"PCA to {count}": mean(
            len(one & other) / 10 for one, other in zip(exact, nearest(rows @ axes[:, -count:]), strict=True)
        )
        for count in kept
    }


def _run(script: str, *arguments: str | Path, asked: Sequence[str] = ()) -> dict[str, Any]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    ran = subprocess.run(command, input="\n".join(asked), check=True, stdout=subprocess.PIPE, text=True)
    document: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return document
