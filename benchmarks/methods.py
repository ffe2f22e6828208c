"""Which method finds the right captions at which length: every method of the explorer, beside TF-IDF.

Queries are cut from captions of COCO val2017 and answered without the caption that they come from. Right is what
describes the same image (a sister among the first ten). For queries of one word that asks for more than one word can
say, so they are also judged by the words themselves: a hit is right when another caption of its image has the query's
word; the share of right ones among the first ten is the precision.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmarks.material import DATA, folder
from core.assets import DEMO_DIR, Assets
from core.corpus.images import Images
from core.explorer import Explorer
from core.ranking.lexical import BM25, Lexical
from core.ranking.methods import METHODS
from core.store.cache import Cache
from core.store.progress import finish
from core.trust.calibration import KINDS
from core.trust.probing import answer

_CAPTIONS = DATA / "coco" / "captions_val2017.json.gz"
_PLOT = Path(__file__).parent / "methods.png"
_FIRST = 10


def run(*, quick: bool = False) -> dict[str, Any]:
    """Measure with the demo encoder, and plot."""
    captions = _CAPTIONS if _CAPTIONS.exists() and not quick else DEMO_DIR / "captions.json"
    with folder() as place:
        explorer = Explorer(Assets.find(captions=captions), Cache(Path(place)))
        finish(explorer.prepare())
        finish(explorer.open_methods())
        assert explorer.captions.groups is not None
        images = Images(explorer.captions.groups)
        sentences = explorer.matrix.sentences
        lexical = Lexical(explorer.matrix.folder / "lexical", sentences=sentences, vectors=explorer.vectors)
        marks = explorer.tokenizer.marks
        answers = finish(
            answer(
                matrix=explorer.matrix,
                lexical=lexical,
                vectors=explorer.vectors,
                encoder=explorer.encoder,
                marks=explorer.vectors.find(marks, always=marks),
                images=images,
                random=np.random.default_rng(0),
                most_sources=300 if quick else 2400,
                most=80 if quick else 600,
            )
        )
        found: dict[str, NDArray[np.int64]] = {name: rows[:, :_FIRST] for name, rows in answers.found.items()}
        queries = [" ".join(probe.tokens) for probe in answers.probes]
        found["tf-idf"] = _tf_idf(explorer.captions.texts, queries, answers.sources)
        kinds = np.array([probe.kind for probe in answers.probes])
        lengths = np.array([probe.length for probe in answers.probes])
        recall: dict[str, dict[str, float]] = {}
        for kind in KINDS:
            for length in sorted(set(lengths[kinds == kind].tolist())):
                cell = (kinds == kind) & (lengths == length)
                recall[f"{kind} {length}"] = {"queries": int(cell.sum())} | {
                    name: float(_finds_a_sister(rows[cell], answers.sources[cell], images).mean())
                    for name, rows in found.items()
                }
        one = (kinds == "words") & (lengths == 1)
        stems = [answers.stems[i] for i in np.flatnonzero(one)]
        precision = {name: _precision(rows[one], stems, images, lexical.bm25) for name, rows in found.items()}
    if not quick:
        _plot(recall)
    return {
        "question": "share of queries with a sister caption among the first ten hits, by kind and length of the query",
        "captions": captions.name,
        "encoder": explorer.model_name,
        "recall_at_10": recall,
        "one_word_precision_at_10": precision,
        "plot": _PLOT.name,
    }


def _tf_idf(texts: Any, queries: list[str], sources: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the ten nearest captions by the cosine of TF-IDF vectors, English stop words removed; (Q, 10)."""
    weigh = TfidfVectorizer(stop_words="english", dtype=np.float32)
    captions = weigh.fit_transform(list(texts))  # (N, F)
    asked = weigh.transform(queries)  # (Q, F)
    found = np.empty((len(queries), _FIRST), np.int64)
    for start in range(0, len(queries), 256):
        cosines = (asked[start : start + 256] @ captions.T).toarray()  # (b, N)
        cosines[np.arange(len(cosines)), sources[start : start + 256]] = -1
        best = np.argpartition(-cosines, _FIRST, axis=1)[:, :_FIRST]  # (b, 10)
        there = np.take_along_axis(cosines, best, 1) > 0
        found[start : start + 256] = np.where(there, best, -1)
    return found


def _finds_a_sister(rows: NDArray[np.int64], sources: NDArray[np.int64], images: Images) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = (images.of[rows] == images.of[sources][:, None]) & (rows >= 0)
    return same.any(axis=1)


def _precision(rows: NDArray[np.int64], stems: list[list[str]], images: Images, bm25: BM25) -> float:
    """The mean share of the first ten hits whose image has another caption with the query's word."""
    shares = []
    for hits, words in zip(rows, stems, strict=True):
        has = np.zeros(len(images.of), bool)
        for word in words:
            has[bm25.rows_with(word)] = True
        by_image = np.bincount(images.of[has], minlength=len(images.sizes))
        found = hits[hits >= 0]
        shares.append(float((by_image[images.of[found]] - has[found] > 0).sum()) / _FIRST)
    return float(np.mean(shares))


def _plot(recall: dict[str, dict[str, float]]) -> None:
    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained", sharey=True)
    for axis, kind, label in ((axes[0], "span", "a run of tokens"), (axes[1], "words", "content words")):
        lengths = [name for name in recall if name.startswith(f"{kind} ")] + ["whole 0"]
        places = range(len(lengths))
        for method in (*METHODS, "tf-idf"):
            values = [recall[name][method] for name in lengths]
            axis.plot(places, values, marker="o", label=method, linewidth=2.5 if method == "infersent" else 1.2)
        axis.set(
            title=f"queries of {label}",
            xlabel="length",
            xticks=list(places),
            xticklabels=[name.split()[1] if not name.startswith("whole") else "all" for name in lengths],
            ylim=(0, None),
        )
        axis.grid(alpha=0.3)
    axes[0].set(ylabel="recall@10 of a sister caption")
    axes[1].legend(loc="upper left", fontsize=8)
    figure.savefig(_PLOT, dpi=110)
