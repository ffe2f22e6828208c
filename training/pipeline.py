"""From sentences to the two files of an encoder: teacher, vocabulary, student."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from training import teacher, words
from training.model import Student
from training.sources import Sentences
from training.train import Material, Plan, train
from training.variations import variations
from training.words import Vocabulary

ENCODER = "encoder.pkl"
VECTORS = "vectors.vec.gz"


@dataclass(frozen=True)
class Made:
    """What a run made."""

    sentences: int
    """Training sentences, variations included."""
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
    plans: Sequence[Plan],
    out: Path,
    *,
    common: list[str],
    size: int,
    dim: int,
    held_out: set[str],
    cache: Path,
    first: int = 1,
    report: Callable[[str], None],
) -> Made:
    """Make an encoder: embed with the teacher, choose the vocabulary, train the student, write the two files.

    Args:
        sentences: What to train on.
        plans: How to train, one phase after the other; variations join in the second.
        out: The folder for `encoder.pkl` and `vectors.vec.gz`.
        common: Words that get a vector though the sentences lack them, the most frequent first.
        size: At most how many distinct words get one.
        dim: E, the width of the word vectors.
        held_out: Folded sentences that no variation may equal.
        cache: Folder for the teacher's embeddings and the checkpoint.
        first: The phase to begin with; from the second on, the encoder in `out` is taken for what came before.
        report: Is told how far it is.
    """
    tokens = words.tokenize(sentences.texts)
    forms = words.choose(tokens, common=common, size=size)
    report(f"vocabulary: {len(forms):,} distinct words")
    singles = teacher.embed([group[0] for group in forms], cache=cache / "teacher", report=report)  # (W, 384)
    seed = plans[0].seed
    out.mkdir(parents=True, exist_ok=True)
    if first == 1:
        vocabulary = words.vectors(forms, singles, dim=dim, seed=seed)
        vocabulary.save(out / VECTORS)
    else:
        vocabulary = Vocabulary.load(out / VECTORS)

    torch.manual_seed(seed)
    student = Student(vocabulary.vectors, hidden=plans[0].hidden, teacher_dim=singles.shape[1])
    if first > 1:
        student.load(out / ENCODER)
    seconds = 0.0
    material = _material(sentences, vocabulary, cache=cache, report=report)
    for phase, plan in enumerate(plans, start=1):
        report(f"phase {phase}: {plan}")
        if phase == 2:
            varied = variations(sentences, forms, singles, held_out=held_out, seed=seed)
            report(f"{len(varied.texts):,} variations")
            material = material.join(_material(varied, vocabulary, cache=cache, report=report))
        if phase < first:
            continue
        seconds += train(student, material, plan, checkpoint=cache / f"checkpoint-{phase}.pt", report=report)
    student.save(out / ENCODER)
    return Made(len(material.ids), len(vocabulary.words), len(forms) + 2, dim, seconds)


def _material(sentences: Sentences, vocabulary: Vocabulary, *, cache: Path, report: Callable[[str], None]) -> Material:
    targets = teacher.embed(sentences.texts, cache=cache / "teacher", report=report)  # (N, 384)
    ids = vocabulary.ids(words.tokenize(sentences.texts))
    stop = vocabulary.words.index(".") if "." in vocabulary.words else -1
    return Material(ids, targets, sentences.groups, sentences.sources, sentences.texts, stop)
