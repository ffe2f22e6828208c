"""Read the training sentences from their files, group them, and remove every held-out sentence."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training import heldout
from training.heldout import fold, open_text

LONGEST = 50
"""Sentences with more blank-separated words than this are left out, because they are slow and rare."""

CAPTIONS = ("Flickr30k", "COCO")
"""The sources whose groups are captions of one image."""

_COMMON_WORDS = 12_000  # most frequent words of GloVe, of which a synset must have one
_QUOTED = re.compile(r'"([^"]+)"')

Group = tuple[str, list[str]]
"""Name of the source, and sentences that belong together: captions of one image, or a premise and its hypotheses."""


@dataclass(frozen=True)
class Sentences:
    """N distinct training sentences."""

    texts: list[str]
    groups: NDArray[np.int32]
    """The group of each sentence, (N,), ascending from 0; sentences of one group are siblings."""
    sources: NDArray[np.str_]
    """The name of the source of each sentence, (N,)."""

    def counts(self) -> dict[str, int]:
        """Count the sentences of each source."""
        names, counts = np.unique(self.sources, return_counts=True)
        return dict(zip(names.tolist(), counts.tolist(), strict=True))


def demo_sentences(data: Path, wordnet: Path | None) -> Sentences:
    """Read the sentences that the bundled encoder is trained on.

    Args:
        data: Folder with `coco`, `flickr`, `nli`, `sts` and `glove`.
        wordnet: Folder with WordNet 3.0's `data.noun` and so on; None to leave WordNet out.

    Returns:
        The sentences; none equals a held-out sentence, ignoring case and punctuation.
    """
    groups = [*_flickr(data), *_coco(data), *_snli(data), *_cad(data), *_pairs(data)]
    if wordnet is not None:
        groups += _wordnet(wordnet, common=_common_words(data))
    held_out = heldout.folded_sentences(data)
    sentences = collect(groups, held_out=held_out)
    assert not held_out.intersection(map(fold, sentences.texts)), "a training sentence is also a held-out sentence"
    return sentences


def own_sentences(path: Path) -> Sentences:
    """Read a user's sentences from a text file, one per line; blank lines separate groups.

    In a file without blank lines each sentence is a group of its own.
    """
    blocks: list[list[str]] = [[]]
    for line in open_text(path):
        if line.strip():
            blocks[-1].append(line.strip())
        elif blocks[-1]:
            blocks.append([])
    if len(blocks) == 1:
        blocks = [[line] for line in blocks[0]]
    return collect([("own", block) for block in blocks], held_out=set())


def collect(groups: list[Group], *, held_out: set[str]) -> Sentences:
    """Collect the distinct sentences of all groups, except held-out, empty and very long ones.

    Args:
        groups: The groups in order; a sentence in several groups belongs to the first of them.
        held_out: Folded sentences to drop.
    """
    texts: dict[str, int] = {}
    sources: list[str] = []
    number = 0
    for source, members in groups:
        before = len(texts)
        for member in members:
            text = " ".join(member.split())
            folded = fold(text)
            if text not in texts and folded and folded not in held_out and text.count(" ") < LONGEST:
                texts[text] = number
                sources.append(source)
        number += len(texts) > before
    return Sentences(list(texts), np.array(list(texts.values()), dtype=np.int32), np.array(sources))


def _flickr(data: Path) -> Iterator[Group]:
    for split in ("train", "val"):
        files = [open_text(data / "flickr" / f"multi30k.task2.{split}.{i}.en.gz") for i in range(1, 6)]
        for captions in zip(*files, strict=True):
            yield "Flickr30k", list(captions)


def _coco(data: Path) -> Iterator[Group]:
    """Yield COCO captions by image, without the images of the held-out subset."""
    images: dict[int, list[str]] = {}
    for row in csv.DictReader(open_text(data / "coco" / "coco_30k.csv.gz")):
        images.setdefault(int(row["image_id"]), []).append(row["prompt"])
    for line in open_text(data / "coco" / "train2014_first2000_lowercase.txt"):
        image, _, caption = line.partition(" ")
        images.setdefault(int(image), []).append(caption)
    held_out = set(heldout.coco_subset(data).images.tolist()) | set(heldout.coco_val2017(data).images.tolist())
    kept = {image: captions for image, captions in images.items() if image not in held_out}
    assert not held_out.intersection(kept), "a held-out image is among the training images"
    for captions in kept.values():
        yield "COCO", captions


def _snli(data: Path) -> Iterator[Group]:
    premises: dict[str, list[str]] = {}
    first, second = (open_text(data / "nli" / f"snli.{name}.dev") for name in ("s1", "s2"))
    for premise, hypothesis in zip(first, second, strict=True):
        premises.setdefault(premise, [premise]).append(hypothesis)
    for members in premises.values():
        yield "SNLI dev", members


def _cad(data: Path) -> Iterator[Group]:
    premises: dict[str, list[str]] = {}
    for name in ("train.tsv.gz", "dev.tsv"):
        for line in list(open_text(data / "nli" / f"cad_nli.all_combined.{name}"))[1:]:
            premise, hypothesis, _ = line.split("\t")
            premises.setdefault(premise, [premise]).append(hypothesis)
    for members in premises.values():
        yield "CAD-NLI", members


def _pairs(data: Path) -> Iterator[Group]:
    for line in list(open_text(data / "nli" / "SICK_train.txt"))[1:]:
        yield "SICK train", line.split("\t")[1:3]
    for line in open_text(data / "sts" / "sts-train.csv.gz"):
        yield "STS-B train", line.split("\t")[5:7]


def _common_words(data: Path) -> set[str]:
    lines = open_text(data / "glove" / "glove.6B.50d.caption-vocab.vec.gz")
    return {line.partition(" ")[0] for _, line in zip(range(_COMMON_WORDS + 1), lines, strict=False)}


def _wordnet(folder: Path, *, common: set[str]) -> Iterator[Group]:
    """Yield definition and examples of every synset with a common word, to add general English to the captions."""
    for kind in ("noun", "verb", "adj", "adv"):
        for line in open_text(folder / f"data.{kind}"):
            if line.startswith("  "):  # licence text
                continue
            fields, _, gloss = line.partition(" | ")
            words = fields.split()
            lemmas = {word.lower() for word in words[4 : 4 + 2 * int(words[3], 16) : 2]}
            if lemmas & common:
                definition = _QUOTED.sub("", gloss).strip(" ;:")
                yield "WordNet", [text for text in (definition, *_QUOTED.findall(gloss)) if text.count(" ") >= 3]
