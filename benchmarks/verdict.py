"""Measure how well the verdict tells right lists from wrong ones, also on sentences that it was not learned from.

`labelled.tsv` holds short queries, each labelled before any verdict was looked at: `right` where at least half of the
first ten captions that the demo encoder finds in COCO val2017 are about the query.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks.material import COCO, DATA, temporary_folder
from core.assets import Assets
from core.explorer import Explorer
from core.opened import Opened
from core.opening import open_
from core.setup import Setup
from core.store.cache import Cache
from core.store.progress import finish
from core.trust.calibration import LEAST_ATTAINABLE
from core.trust.confirmation import confirm
from core.trust.predictor import auroc_of
from core.trust.verdict import Verdict

_VAL2017 = DATA / "coco" / "captions_val2017.json.gz"
_LABELLED = Path(__file__).parent / "labelled.tsv"
_PLOT = Path(__file__).parent / "reliability.png"
_MOST = 200  # sentences of each foreign set


def run(*, quick: bool = False) -> dict[str, Any]:
    """Measure on the bundled captions and on COCO's where present; draw the plot unless `quick`."""
    corpora = [None] if quick else [None, *(path for path in (_VAL2017, COCO) if path.exists())]
    results, reliability = {}, {}
    for captions in corpora:
        with temporary_folder() as name:
            start = time.perf_counter()
            opened = finish(open_(Setup.choose(Assets.find(captions=captions)), Cache(Path(name)), need="methods"))
            encoding, start = time.perf_counter() - start, time.perf_counter()
            finish(opened.calibrate())
            seconds = time.perf_counter() - start
            assert opened.calibration is not None
            document = opened.calibration.document()
            reliability[opened.captions_name] = document.pop("reliability")
            kept = ("auroc", "auroc_lead", "auroc_within_length", "ece", "false_alarm", "foreign_found", "short")
            result = {name: document[name] for name in (*kept, "foreign_reliable", "captions_lost", "intervals")}
            result |= {"captions": len(opened.captions), "opening_s": encoding, "calibrating_s": seconds}
            explorer = Explorer(opened)
            result |= {name: _levels(explorer, texts) for name, texts in _sentences().items()}
            result["confirming_ms"] = _confirming_ms(opened)
            if captions == _VAL2017:
                result["labelled"] = _labelled(explorer)
        results[opened.captions_name] = result
    if not quick:
        _plot(reliability)
    return {"question": "how well the verdict tells right lists from wrong ones", **results, "plot": _PLOT.name}


def _sentences() -> dict[str, list[str]]:
    """Read sentences of news and forums, and captions of another collection, where they are present."""
    sets: dict[str, list[str]] = {}
    sts, flickr = DATA / "sts" / "sts-dev.csv", DATA / "flickr" / "multi30k.task2.val.1.en.gz"
    if sts.exists():
        rows = [line.split("\t") for line in sts.read_text(encoding="utf-8").splitlines()]
        for genre in ("main-news", "main-forums"):
            sets[f"sts {genre}"] = [row[5] for row in rows if row[0] == genre][:_MOST]
    if flickr.exists():
        sets["flickr30k captions"] = gzip.decompress(flickr.read_bytes()).decode().splitlines()[:_MOST]
    return sets


def _verdicts(explorer: Explorer, texts: Sequence[str]) -> list[Verdict]:
    answers = [explorer.ask(text) for text in texts]
    return [answer.verdict for answer in answers if answer.verdict is not None]


def _levels(explorer: Explorer, texts: Sequence[str]) -> dict[str, float]:
    verdicts = _verdicts(explorer, texts)
    return {
        "sentences": len(verdicts),
        "reliable": float(np.mean([each.level == "reliable" for each in verdicts])),
        "not in corpus": float(np.mean([each.in_corpus is False for each in verdicts])),
    }


def _labelled(explorer: Explorer) -> dict[str, Any]:
    """Compare verdicts on short queries with labels."""
    lines = [line.split("\t") for line in _LABELLED.read_text(encoding="utf-8").splitlines()]
    verdicts = _verdicts(explorer, [text for _, text in lines])
    short = np.array([each.long_enough is False for each in verdicts])  # (n,)
    right = np.array([label == "right" for label, _ in lines])[short]  # (short,)
    chosen = [each for each, is_short in zip(verdicts, short.tolist(), strict=True) if is_short]
    probability = np.array([each.probability or 0.0 for each in chosen])  # (short,)
    attainable = np.array([(each.attainable or 0) >= LEAST_ATTAINABLE for each in chosen])  # (short,)
    level = np.array([each.level for each in chosen])  # (short,)
    return {
        "queries": len(right),
        "not short, left out": int((~short).sum()),
        "right": int(right.sum()),
        "auroc of the probability": auroc_of(probability, right),
        "auroc where ten can be confirmed": auroc_of(probability[attainable], right[attainable]),
        "auroc of the confirmed count": auroc_of(np.array([float(each.confirmed or 0) for each in chosen]), right),
        "reliable and wrong": float(((level == "reliable") & ~right).mean()),
        "unreliable and right": float(((level == "unreliable") & right).mean()),
        "reliable and right, or unreliable and wrong": float(
            (((level == "reliable") & right) | ((level == "unreliable") & ~right)).mean()
        ),
    }


def _confirming_ms(opened: Opened) -> dict[str, float]:
    """Time the count of confirmed hits, for queries of few and of many words."""
    assert opened.rankers is not None
    bm25, times = opened.rankers.lexical.bm25, {}
    for text in ("a dog", "a man in a red shirt is riding a brown horse along the beach near some tall trees"):
        stems, laps = bm25.stems(text), list[float]()
        for _ in range(50):
            start = time.perf_counter()
            confirm(stems, np.arange(10), bm25=bm25, images=opened.images)
            laps.append(1000 * (time.perf_counter() - start))
        times[f"{len(stems)} stems"] = median(laps)
    return times


def _plot(reliability: dict[str, list[tuple[float, float, int]]]) -> None:
    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
    axis.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    for name, bins in reliability.items():
        axis.plot([each[0] for each in bins], [each[1] for each in bins], marker="o", label=name)
    axis.set(xlabel="predicted probability", ylabel="share that succeeded", xlim=(0, 1), ylim=(0, 1))
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(_PLOT, dpi=120)
    plt.close(figure)
