"""Measure which changes of meaning each method does not see: made by rules, and made by people to flip a label.

The rules change 300 captions of COCO val2017, or of the demo. People changed sentences of SNLI by as little as makes
its label another one (Kaushik, Hovy and Lipton 2020, counterfactually augmented data); each pair is asked as it stands.
The second encoder has untrained weights.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.material import DATA, temporary_folder
from core.assets import DEMO_DIR, RANDOM, Assets
from core.encoding.text_encoder import TextEncoder
from core.opened import Opened
from core.opening import open_
from core.ranking.methods import AGAINST, Method
from core.setup import Setup
from core.store.cache import Cache
from core.store.progress import finish
from core.trust.stress import Table, drawn, stress_corpus
from core.trust.variations import KINDS, vary

_CAPTIONS = DATA / "coco" / "captions_val2017.json.gz"
_PEOPLE = DATA / "nli" / "cad_nli.all_combined.dev.tsv"
_GROUP = 5  # rows of a pair of sentences, in any order: as it was, and four with one of them changed


def run(*, quick: bool = False) -> dict[str, Any]:
    """Measure with the demo encoder."""
    named = {"demo": DEMO_DIR / "captions.json", "val2017": _CAPTIONS}
    if quick or not _CAPTIONS.exists():
        del named["val2017"]
    with temporary_folder() as name:
        return {corpus: _measure(path, Cache(Path(name))) for corpus, path in named.items()}


def _measure(captions: Path, cache: Cache) -> dict[str, Any]:
    setup = Setup.choose(Assets.find(captions=captions)).with_second(Path(RANDOM), None)
    opened = finish(open_(setup, cache, need="methods"))
    assert opened.rankers is not None
    steps = stress_corpus(opened.matrix, opened.captions.texts, opened.rankers, opened.text_encoder, device="cpu")
    table = finish(steps)
    nearer = {method: _nearer_than_siblings(opened.encoder_of(method)) for method in ("infersent", AGAINST)}
    document: dict[str, Any] = {
        "nearer_than_siblings": nearer,
        "captions": table.captions,
        "thresholds": {method: each and asdict(each) for method, each in table.thresholds.items()},
        "kinds": {
            kind: {"applies": table.applies[kind]} | {method: asdict(each) for method, each in figures.items()}
            for kind, figures in table.figures.items()
        },
    }
    if _PEOPLE.exists():
        document["by people"] = _by_people(opened, table)
    return document


def _nearer_than_siblings(opened: Opened) -> dict[str, float]:
    """Compute how often a variation is nearer to its caption than every other caption of the image, by kind.

    Captions without others of their image are left out.
    """
    groups, texts, matrix = opened.captions.groups, opened.captions.texts, opened.matrix
    assert groups is not None
    siblings = {row: np.flatnonzero((groups == groups[row]) & (np.arange(len(groups)) != row)) for row in drawn(matrix)}
    pairs = [(row, each) for row, others in siblings.items() if len(others) for each in vary(texts[row])]
    embeddings = _embed(opened.text_encoder, [each.text for _, each in pairs]).astype(np.float64)  # (P, D)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    counts: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    for (row, each), embedding in zip(pairs, embeddings, strict=True):
        own = matrix.rows[row].astype(np.float64)  # (D,)
        nearest = (matrix.rows[siblings[row]].astype(np.float64) @ own).max()
        counts[each.kind].append(bool(own @ embedding > nearest))
    return {kind: float(np.mean(each)) for kind, each in counts.items() if each}


def _by_people(opened: Opened, table: Table) -> dict[str, Any]:
    """Measure the edits of people, and beside them harmless edits of the same sentences."""
    pairs = _read_pairs()
    harmless = [
        (text, each.text)
        for text in dict.fromkeys(one for one, _ in pairs)
        for each in vary(text)
        if each.kind in ("article", "contraction")
    ]
    return {
        name: {"pairs": len(edited), "median_words_changed": float(np.median([_changed(*each) for each in edited]))}
        | {
            method: _figures(_distances(opened, method, edited), table, method)
            for method in ("infersent", "words", AGAINST)
        }
        | {"bm25": {"unseen": float(np.mean([_equal_stems(opened, *each) for each in edited]))}}
        for name, edited in {"label flipped": pairs, "harmless": harmless}.items()
    }


def _read_pairs() -> list[tuple[str, str]]:
    """Read each sentence with what people made of it."""
    with _PEOPLE.open(encoding="utf-8", newline="") as file:
        rows = [(row["sentence1"].strip(), row["sentence2"].strip()) for row in csv.DictReader(file, delimiter="\t")]
    pairs = []
    for start in range(0, len(rows) - _GROUP + 1, _GROUP):
        group = rows[start : start + _GROUP]
        for original in group:
            edits = [(one, new) for row in group for one, new in zip(original, row, strict=True) if one != new]
            if len(edits) == _GROUP - 1:  # all others differ from it in one sentence
                pairs += edits
                break
    return pairs


def _changed(one: str, other: str) -> int:
    """Count the words that are not in both texts."""
    return len(set(one.lower().split()) ^ set(other.lower().split()))


def _equal_stems(opened: Opened, one: str, other: str) -> bool:
    assert opened.rankers is not None
    bm25 = opened.rankers.lexical.bm25
    return sorted(bm25.stems(one)) == sorted(bm25.stems(other))


def _distances(opened: Opened, method: Method, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
    """Compute the cosine distance of each pair, (P,)."""
    sides = [[text for text, _ in pairs], [text for _, text in pairs]]
    if method == "words":
        assert opened.rankers is not None
        words, vocabulary = opened.rankers.lexical.words, opened.text_encoder.vocabulary
        one, other = (np.stack([words.embed(vocabulary.look_up(text).ids) for text in side]) for side in sides)
    else:
        one, other = (_embed(opened.encoder_of(method).text_encoder, side) for side in sides)
    one, other = one.astype(np.float64), other.astype(np.float64)  # (P, D) each
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)  # (P,)
    return np.asarray(1 - np.einsum("pd,pd->p", one, other) / np.maximum(lengths, 1e-30))


def _embed(text_encoder: TextEncoder, texts: Sequence[str]) -> NDArray[np.float32]:
    encoded = finish(text_encoder.encode_together([text_encoder.vocabulary.look_up(text).ids for text in texts]))
    return np.stack([each.embedding for each in encoded])


def _figures(distances: NDArray[np.float64], table: Table, method: Method) -> dict[str, float]:
    threshold = table.thresholds[method]
    assert threshold is not None
    return {
        "unseen": float((distances <= threshold.distance).mean()),
        "within_twice": float((distances <= 2 * threshold.distance).mean()),
        "median_distance": float(np.median(distances)),
    }
