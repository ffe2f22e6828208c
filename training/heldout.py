"""Read the held-out sets, which encoders are measured on and must therefore never be trained on."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_NOT_WORD = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Pairs:
    """P sentence pairs that people rated for similarity."""

    first: list[str]
    second: list[str]
    ratings: NDArray[np.float64]
    """Mean rating of each pair, (P,); only their order is used."""


@dataclass(frozen=True)
class Images:
    """The captions of a COCO file, N of them."""

    texts: list[str]
    images: NDArray[np.int64]
    """The image id of each caption, (N,)."""
    ids: NDArray[np.int64]
    """The annotation id of each caption, (N,)."""


def fold(text: str) -> str:
    """Lower-case a text and reduce punctuation to blanks, so that texts that differ in nothing else compare equal."""
    return _NOT_WORD.sub(" ", text.lower()).strip()


def open_text(path: Path) -> Iterator[str]:
    """Yield the lines of a text file, plain or gzipped, without their line ends."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for line in lines:
            yield line.rstrip("\r\n")


def coco(path: Path) -> Images:
    """Read the captions of a gzipped COCO captions file, in the order of the file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = json.load(file)["annotations"]
    return Images(
        texts=[row["caption"] for row in rows],
        images=np.array([row["image_id"] for row in rows], dtype=np.int64),
        ids=np.array([row["id"] for row in rows], dtype=np.int64),
    )


def coco_subset(data: Path) -> Images:
    """Read the 69,009 captions of the val2014 subset."""
    return coco(data / "coco" / "captions_val2014_subset.json.gz")


def coco_val2017(data: Path) -> Images:
    """Read the 25,014 captions of val2017."""
    return coco(data / "coco" / "captions_val2017.json.gz")


def sts_dev(data: Path) -> Pairs:
    """Read the development part of the STS Benchmark, 1,500 pairs."""
    rows = [line.split("\t") for line in open_text(data / "sts" / "sts-dev.csv")]
    return Pairs([row[5] for row in rows], [row[6] for row in rows], np.array([float(row[4]) for row in rows]))


def sick_trial(data: Path) -> Pairs:
    """Read the trial part of SICK, 500 pairs."""
    rows = [line.split("\t") for line in open_text(data / "nli" / "SICK_trial.txt")][1:]
    return Pairs([row[1] for row in rows], [row[2] for row in rows], np.array([float(row[3]) for row in rows]))


def cxc_val(data: Path) -> Pairs:
    """Read the validation part of Crisscrossed Captions' sentence similarity, 44,009 pairs."""
    captions = coco_subset(data)
    texts: dict[int, str] = dict(zip(captions.ids.tolist(), captions.texts, strict=True))
    rows = list(csv.DictReader(open_text(data / "cxc" / "sts_val.csv.gz")))

    def caption(name: str) -> str:
        return texts[int(name.rpartition(":")[2])]

    return Pairs(
        [caption(row["caption1"]) for row in rows],
        [caption(row["caption2"]) for row in rows],
        np.array([float(row["agg_score"]) for row in rows]),
    )


def folded_sentences(data: Path) -> set[str]:
    """Collect the folded sentences of all held-out sets; no training sentence may be among them."""
    texts = [*coco_subset(data).texts, *coco_val2017(data).texts]
    for split in ("val", "test"):
        with gzip.open(data / "coco" / f"karpathy_{split}_captions.json.gz", "rt", encoding="utf-8") as file:
            texts.extend(text for captions in json.load(file).values() for text in captions)
    for pairs in (sts_dev(data), sick_trial(data)):
        texts.extend([*pairs.first, *pairs.second])
    return {fold(text) for text in texts}
