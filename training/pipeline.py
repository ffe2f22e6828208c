"""From sentences to the two files of an encoder: teacher, vocabulary, student."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from training import teacher, words
from training.model import Student
from training.sources import Sentences
from training.train import Material, Plan, train

ENCODER = "encoder.pkl"
VECTORS = "vectors.vec.gz"


@dataclass(frozen=True)
class Made:
    """What a run made."""

    sentences: int
    tokens: int
    """Known tokens of all sentences, marks included."""
    rows: int
    """V, rows of the vector file, marks and capitalised forms included."""
    distinct: int
    """Distinct vectors among them."""
    dim: int
    """E, the width of a word vector."""
    seconds: float
    """Time of the training loop alone."""


def make(
    sentences: Sentences,
    plan: Plan,
    out: Path,
    *,
    common: list[str],
    size: int,
    dim: int,
    cache: Path,
    report: Callable[[str], None],
) -> Made:
    """Make an encoder: embed with the teacher, choose the vocabulary, train the student, write the two files.

    Args:
        sentences: What to train on.
        plan: How to train.
        out: The folder for `encoder.pkl` and `vectors.vec.gz`.
        common: Words that get a vector though the sentences lack them, the most frequent first.
        size: At most how many distinct words get one.
        dim: E, the width of the word vectors.
        cache: Folder for the teacher's embeddings and the checkpoint.
        report: Is told how far it is.
    """
    targets = teacher.embed(sentences.texts, cache=cache / "teacher", report=report)  # (N, 384)
    tokens = words.tokenize(sentences.texts)
    forms = words.choose(tokens, common=common, size=size)
    report(f"vocabulary: {len(forms):,} distinct words")
    singles = teacher.embed([group[0] for group in forms], cache=cache / "teacher", report=report)  # (W, 384)
    vocabulary = words.vectors(forms, singles, dim=dim, seed=plan.seed)
    out.mkdir(parents=True, exist_ok=True)
    vocabulary.save(out / VECTORS)

    ids = vocabulary.ids(tokens)
    stop = vocabulary.words.index(".") if "." in vocabulary.words else -1
    torch.manual_seed(plan.seed)
    student = Student(vocabulary.vectors, hidden=plan.hidden, teacher_dim=targets.shape[1], dropout=plan.dropout)
    material = Material(ids, targets, sentences.groups, sentences.sources, stop)
    seconds = train(student, material, plan, checkpoint=cache / "checkpoint.pt", report=report)
    student.save(out / ENCODER)
    return Made(
        sentences=len(ids),
        tokens=sum(map(len, ids)),
        rows=len(vocabulary.words),
        distinct=len(forms) + 2,
        dim=dim,
        seconds=seconds,
    )
