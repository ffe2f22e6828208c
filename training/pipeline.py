"""Make the two files of an encoder from sentences: embed with the teacher, choose a vocabulary, train the student."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from training import teacher, words
from training.model import Student
from training.sources import Sentences
from training.train import Plan, TrainingSet, train
from training.variations import variations
from training.words import Vocabulary

ENCODER = "encoder.pkl"
VECTORS = "vectors.vec.gz"


@dataclass(frozen=True)
class Summary:
    """Sizes and duration of a training run."""

    sentences: int
    """Number of training sentences, variations included."""
    rows: int
    """V, the rows of the vector file, including the sentence markers and capitalised forms."""
    distinct: int
    """Number of distinct vectors among them."""
    dim: int
    """E, the dimension of a word vector."""
    seconds: float
    """Duration of the training loops alone."""


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
) -> Summary:
    """Make an encoder: embed with the teacher, choose the vocabulary, train the student, write the two files.

    Args:
        sentences: Training sentences.
        plans: One plan per phase, in order; variations are added in the second phase.
        out: Folder for `encoder.pkl` and `vectors.vec.gz`.
        common: Further words that get a vector although they are not in the sentences, the most frequent first.
        size: Largest number of distinct words.
        dim: E, the dimension of the word vectors.
        held_out: Folded sentences that variations must not equal.
        cache: Folder for the teacher's embeddings and the checkpoints.
        first: Number of the first phase; from 2 on, training continues from the encoder in `out`.
        report: Called with progress messages.
    """
    tokens = words.tokenize(sentences.texts)
    forms = words.choose(tokens, common=common, size=size)
    report(f"vocabulary: {len(forms):,} distinct words")
    word_embeddings = teacher.embed([group[0] for group in forms], cache=cache / "teacher", report=report)  # (W, 384)
    seed = plans[0].seed
    out.mkdir(parents=True, exist_ok=True)
    if first == 1:
        vocabulary = words.vectors(forms, word_embeddings, dim=dim, seed=seed)
        vocabulary.save(out / VECTORS)
    else:
        vocabulary = Vocabulary.load(out / VECTORS)

    torch.manual_seed(seed)
    student = Student(vocabulary.vectors, hidden=plans[0].hidden, teacher_dim=word_embeddings.shape[1])
    if first > 1:
        student.load(out / ENCODER)
    seconds = 0.0
    training_set = _embed(sentences, vocabulary, cache=cache, report=report)
    for phase, plan in enumerate(plans, start=1):
        report(f"phase {phase}: {plan}")
        if phase == 2:
            varied = variations(sentences, forms, word_embeddings, held_out=held_out, seed=seed)
            report(f"{len(varied.texts):,} variations")
            training_set = training_set.join(_embed(varied, vocabulary, cache=cache, report=report))
        if phase < first:
            continue
        seconds += train(student, training_set, plan, checkpoint=cache / f"checkpoint-{phase}.pt", report=report)
    student.save(out / ENCODER)
    return Summary(len(training_set.ids), len(vocabulary.words), len(forms) + 2, dim, seconds)


def _embed(sentences: Sentences, vocabulary: Vocabulary, *, cache: Path, report: Callable[[str], None]) -> TrainingSet:
    targets = teacher.embed(sentences.texts, cache=cache / "teacher", report=report)  # (N, 384)
    ids = vocabulary.ids(words.tokenize(sentences.texts))
    stop = vocabulary.words.index(".") if "." in vocabulary.words else -1
    return TrainingSet(ids, targets, sentences.groups, sentences.sources, sentences.texts, stop)
