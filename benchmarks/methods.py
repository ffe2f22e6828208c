"""Measure how well every method of the explorer, TF-IDF and `unhubbed` find captions by queries of different lengths.

Queries are cut from captions of COCO val2017; the caption that a query comes from is not among its hits. A query
succeeds when a sibling caption (another caption of the same image) is among the first ten hits. One word rarely
identifies an image, so one-word queries are also measured by precision: the share of the first ten hits whose image has
another caption with the query's word.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmarks.material import DATA, temporary_folder
from core.assets import DEMO_DIR, Assets
from core.corpus.images import Images
from core.opening import open_
from core.ranking.lexical import BM25
from core.ranking.methods import METHODS
from core.setup import Setup
from core.store.cache import Cache
from core.store.progress import finish
from core.trust.probes import KINDS
from core.trust.probing import AnsweredProbes, answer_probes

_CAPTIONS = DATA / "coco" / "captions_val2017.json.gz"
_PLOT = Path(__file__).parent / "methods.png"
_HITS = 10
_BANK, _SHARPNESS = 1000, 10.0  # of `unhubbed`; 7 to 20, and 500 to 3,000 captions, find no more


def run(*, quick: bool = False) -> dict[str, Any]:
    """Measure with the demo encoder, and draw the plot unless `quick`."""
    captions = _CAPTIONS if _CAPTIONS.exists() and not quick else DEMO_DIR / "captions.json"
    with temporary_folder() as name:
        setup = Setup.choose(Assets.find(captions=captions))
        opened = finish(open_(setup, Cache(Path(name)), need="methods"))
        assert opened.rankers is not None
        assert opened.captions.groups is not None
        images = Images(opened.captions.groups)
        bm25 = opened.rankers.lexical.bm25
        answered = finish(
            answer_probes(
                *(opened.matrix, opened.rankers, opened.text_encoder),
                images=images,
                random=np.random.default_rng(0),
                most_sources=300 if quick else 2400,
                most=80 if quick else 600,
            )
        )
        found: dict[str, NDArray[np.int64]] = {name: rows[:, :_HITS] for name, rows in answered.lists.rows.items()}
        queries = [query.literal for query in answered.queries]
        found["unhubbed"] = _unhubbed(opened.matrix.rows, answered, images)
        found["tf-idf"] = _tf_idf(opened.captions.texts, queries, answered.leave_out, answered.among)
        kinds = np.array([probe.kind for probe in answered.probes])
        lengths = np.array([probe.length for probe in answered.probes])
        recall: dict[str, dict[str, float]] = {}
        for kind in KINDS:
            for length in sorted(set(lengths[kinds == kind].tolist())):
                cell = (kinds == kind) & (lengths == length)
                recall[f"{kind} {length}"] = {"queries": int(cell.sum())} | {
                    name: float(_has_sibling(rows[cell], answered.sources[cell], images).mean())
                    for name, rows in found.items()
                }
        one_word = (kinds == "words") & (lengths == 1)  # (Q,)
        stems = [bm25.stems(queries[i]) for i in np.flatnonzero(one_word)]
        precision = {name: _precision(rows[one_word], stems, images, bm25) for name, rows in found.items()}
    if not quick:
        _plot(recall)
    return {
        "question": "share of queries with another caption of the same image among their ten first hits",
        "captions": captions.name,
        "encoder": setup.model_name,
        "recall_at_10": recall,
        "one_word_precision_at_10": precision,
        "plot": _PLOT.name,
    }


def _unhubbed(rows: NDArray[np.float16], answered: AnsweredProbes, images: Images) -> NDArray[np.int64]:
    """Find the ten captions that queries are near to beyond what other captions are to them; (Q, 10), unordered.

    An inverted softmax (QB-Norm, Bogolin et al. 2022) lowers each row by its mean nearness to a bank of captions. The
    bank has no caption of an image that is asked for, since what is near to that would be lowered most, and a row is
    not compared with those of its own image.
    """
    asked = np.isin(images.of, images.of[answered.sources])  # (N,)
    bank = np.random.default_rng(0).permutation(np.flatnonzero(~asked))[:_BANK]  # (B,)
    wide = rows.astype(np.float32)  # (N, D)
    nearness = np.exp(_SHARPNESS * (wide[bank] @ wide.T))  # (B, N)
    other = images.of[bank][:, None] != images.of  # (B, N)
    offsets = np.log((nearness * other).sum(axis=0) / other.sum(axis=0)) / _SHARPNESS  # (N,)
    if answered.among is not None:
        offsets[~np.isin(np.arange(len(rows)), answered.among)] = np.inf
    found = np.empty((len(answered.embeddings), _HITS), np.int64)
    for start in range(0, len(found), 256):
        values = answered.embeddings[start : start + 256] @ wide.T - offsets  # (b, N)
        for row, own in zip(values, answered.leave_out[start : start + 256], strict=True):
            row[own] = -np.inf
        found[start : start + 256] = np.argpartition(-values, _HITS, axis=1)[:, :_HITS]
    return found


def _tf_idf(
    texts: Any, queries: list[str], leave_out: list[NDArray[np.int64]], among: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """Find the ten nearest captions by TF-IDF cosine without stop words; (Q, 10), unordered, -1 where none matches."""
    vectorizer = TfidfVectorizer(stop_words="english", dtype=np.float32)
    captions = vectorizer.fit_transform(list(texts))  # (N, F)
    query_rows = vectorizer.transform(queries)  # (Q, F)
    found = np.empty((len(queries), _HITS), np.int64)
    hidden = np.zeros(len(texts), bool)  # (N,)
    if among is not None:
        hidden = ~np.isin(np.arange(len(texts)), among)  # (N,)
    for start in range(0, len(queries), 256):
        cosines = (query_rows[start : start + 256] @ captions.T).toarray()  # (b, N)
        cosines[:, hidden] = -1
        for row, own in zip(cosines, leave_out[start : start + 256], strict=True):
            row[own] = -1  # not the query's own caption
        best = np.argpartition(-cosines, _HITS, axis=1)[:, :_HITS]  # (b, 10)
        matches = np.take_along_axis(cosines, best, 1) > 0  # (b, 10)
        found[start : start + 256] = np.where(matches, best, -1)
    return found


def _has_sibling(rows: NDArray[np.int64], sources: NDArray[np.int64], images: Images) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = (images.of[rows] == images.of[sources][:, None]) & (rows >= 0)  # (Q, 10)
    return same.any(axis=1)


def _precision(rows: NDArray[np.int64], stems: list[list[str]], images: Images, bm25: BM25) -> float:
    """Compute the mean share of the first ten hits whose image has another caption with the query's word."""
    shares = []
    for hits, words in zip(rows, stems, strict=True):
        has_word = np.zeros(len(images.of), bool)  # (N,)
        for word in words:
            has_word[bm25.rows_with(word)] = True
        by_image = np.bincount(images.of[has_word], minlength=len(images.sizes))  # captions with the word
        found = hits[hits >= 0]
        shares.append(float((by_image[images.of[found]] - has_word[found] > 0).sum()) / _HITS)
    return float(np.mean(shares))


def _plot(recall: dict[str, dict[str, float]]) -> None:
    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained", sharey=True)
    for axis, kind, label in ((axes[0], "span", "consecutive tokens"), (axes[1], "words", "content words")):
        lengths = [name for name in recall if name.startswith(f"{kind} ")] + ["whole 0"]
        positions = range(len(lengths))
        for method in (*METHODS, "unhubbed", "tf-idf"):
            values = [recall[name][method] for name in lengths]
            axis.plot(positions, values, marker="o", label=method, linewidth=2.5 if method == "infersent" else 1.2)
        axis.set(
            title=f"queries of {label}",
            xlabel="length",
            xticks=list(positions),
            xticklabels=[name.split()[1] if not name.startswith("whole") else "all" for name in lengths],
            ylim=(0, None),
        )
        axis.grid(alpha=0.3)
    axes[0].set(ylabel="recall@10 of another\ncaption of the same image")
    axes[1].legend(loc="upper left", fontsize=8)
    figure.savefig(_PLOT, dpi=110)
