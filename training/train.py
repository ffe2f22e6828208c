"""Train a student by distillation: it learns to reproduce the sentence similarities of its teacher."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor
from torch.nn import functional

from training.model import Student
from training.sources import CAPTIONS

_CHECKPOINT_STEPS = 100  # steps between two checkpoints


@dataclass(frozen=True)
class Plan:
    """Hyperparameters of one training phase."""

    steps: int
    """Number of batches."""
    cycle: int
    """Steps of the one-cycle learning-rate schedule; if more than `steps`, the schedule is not completed."""
    decay_steps: int = 0
    """Last steps, in which the learning rate leaves the cycle and falls linearly to 0."""
    batch: int = 384
    """B, sentences per step; half of them are drawn as groups of siblings."""
    hidden: int = 512
    """H, hidden units per direction."""
    rate: float = 2e-3
    """Largest learning rate of the cycle."""
    temperature: float = 0.05
    """Divisor of the cosines before the softmax of the in-batch distributions."""
    mse_weight: float = 20.0
    """Weight of the mean squared error of the cosines."""
    head_weight: float = 1.0
    """Weight of the cosine distance between the teacher's embedding and the head's prediction of it."""
    dropout: float = 0.0
    """Share of the word vectors' features that are set to 0 in training."""
    evenness: float = 0.5
    """Exponent of the sampling of sources, 0 to 1: 0 draws them in proportion to size, 1 equally often."""
    sibling_weight: float = 0.0
    """Weight, 0 to 1, of the mean embedding of an image's captions in the target of each of them."""
    spelling_weight: float = 0.0
    """Weight of the cosine of the spellings in the target cosines; the teacher's cosine has weight 1."""
    seed: int = 20170505


@dataclass(frozen=True)
class TrainingSet:
    """N training sentences with their targets."""

    ids: list[NDArray[np.int32]]
    """Word-vector rows of each sentence's tokens, N arrays."""
    targets: NDArray[np.float16]
    """The teacher's unit embeddings, (N, 384)."""
    groups: NDArray[np.int32]
    """The group of each sentence, (N,), ascending."""
    sources: NDArray[np.str_]
    """The source of each sentence, (N,)."""
    texts: list[str]
    """The N sentences as text, for comparing their spellings."""
    stop: int
    """Word-vector row of the full stop; -1 when it has none."""

    def join(self, other: TrainingSet) -> TrainingSet:
        """Add sentences to the existing groups."""
        groups = np.concatenate([self.groups, other.groups])
        order = np.argsort(groups, kind="stable")
        ids, texts = [*self.ids, *other.ids], [*self.texts, *other.texts]
        return TrainingSet(
            [ids[row] for row in order],
            np.concatenate([self.targets, other.targets])[order],
            groups[order],
            np.concatenate([self.sources, other.sources])[order],
            [texts[row] for row in order],
            self.stop,
        )


class Batch(NamedTuple):
    """Input and targets of one step."""

    sentences: list[NDArray[np.int32]]
    """B sentences, the longest first."""
    targets: Tensor
    """The teacher's unit embeddings, (B, 384)."""
    cosines: Tensor
    """Target cosines between the sentences, (B, B)."""


class Batches:
    """Draw batches by number; each depends only on the seed and its number, so that a run can resume at any step.

    Small sources are drawn more often than in proportion to their size (`Plan.evenness`). Half of a batch are whole
    groups of siblings, the other half single sentences. A quarter of the final full stops are removed, because people
    usually type queries without one.
    """

    def __init__(self, training_set: TrainingSet, plan: Plan) -> None:
        self._set = training_set
        self._plan = plan
        self._starts = np.searchsorted(training_set.groups, np.arange(training_set.groups[-1] + 2))  # (G+1,)
        _, source, sizes = np.unique(training_set.sources, return_inverse=True, return_counts=True)
        weights = sizes[source] ** -plan.evenness  # (N,)
        has_siblings = np.diff(self._starts)[training_set.groups] > 1  # (N,)
        self._targets = _mix_siblings(training_set, plan.sibling_weight)  # (N, 384)
        self._spellings = spell(training_set.texts) if plan.spelling_weight else None  # (N, F)
        self._any_sums = np.cumsum(weights)  # (N,)
        self._sibling_sums = np.cumsum(weights * has_siblings)  # (N,)

    def __call__(self, number: int) -> Batch:
        """Draw the batch of a number, the longest sentence first."""
        random = np.random.default_rng([self._plan.seed, number])
        size = min(self._plan.batch, len(self._set.ids))
        drawn: dict[int, None] = {}
        while self._sibling_sums[-1] and len(drawn) < size // 2:
            group = self._set.groups[_draw(random, self._sibling_sums)]
            drawn.update(dict.fromkeys(range(self._starts[group], self._starts[group + 1])))
        while len(drawn) < size:
            drawn[_draw(random, self._any_sums)] = None
        chosen = list(drawn)[:size]
        drop_stop = random.random(size) < 0.25  # (B,)
        sentences = [self._sentence(row, drop_stop=bool(drop)) for row, drop in zip(chosen, drop_stop, strict=True)]
        order = np.argsort([-len(sentence) for sentence in sentences], kind="stable")  # (B,)
        rows = np.array(chosen)[order]
        targets = torch.from_numpy(self._targets[rows].astype(np.float32))  # (B, 384)
        cosines = targets @ targets.T  # (B, B)
        if self._spellings is not None:
            spellings = self._spellings[rows]  # (B, F)
            spelling_cosines = torch.from_numpy((spellings @ spellings.T).toarray())  # (B, B)
            cosines = (cosines + self._plan.spelling_weight * spelling_cosines) / (1 + self._plan.spelling_weight)
        return Batch([sentences[i] for i in order], targets, cosines)

    def _sentence(self, row: int, *, drop_stop: bool) -> NDArray[np.int32]:
        ids = self._set.ids[row]
        if drop_stop and len(ids) > 3 and ids[-2] == self._set.stop:
            return np.delete(ids, -2)
        return ids


def _mix_siblings(training_set: TrainingSet, weight: float) -> NDArray[np.float16]:
    """Mix the mean of an image's captions into the target of each; one caption describes only part of a scene.

    Returns:
        Unit rows, (N, 384); those of sources other than `CAPTIONS` are unchanged.
    """
    if not weight:
        return training_set.targets
    targets = training_set.targets.astype(np.float32)  # (N, 384)
    sums = np.zeros((training_set.groups[-1] + 1, targets.shape[1]), dtype=np.float32)  # (G, 384)
    np.add.at(sums, training_set.groups, targets)
    means = sums / np.bincount(training_set.groups)[:, None]  # (G, 384)
    captions = np.isin(training_set.sources, CAPTIONS)  # (N,)
    targets[captions] = (1 - weight) * targets[captions] + weight * means[training_set.groups[captions]]
    mixed: NDArray[np.float16] = (targets / np.linalg.norm(targets, axis=1, keepdims=True)).astype(np.float16)
    return mixed


def spell(texts: list[str]) -> csr_matrix:
    """Compute TF-IDF vectors of the character 3-grams and 4-grams within the words of each text.

    Returns:
        Unit rows, (N, F), float32.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True, dtype=np.float32)
    return csr_matrix(vectorizer.fit_transform(texts))


def _draw(random: np.random.Generator, sums: NDArray[np.float64]) -> int:
    """Draw a row with a probability proportional to its weight, given the cumulative weights, (N,)."""
    return int(np.searchsorted(sums, random.random() * sums[-1], side="right"))


def loss(embeddings: Tensor, predictions: Tensor, batch: Batch, *, plan: Plan) -> Tensor:
    """Compute the distillation loss of one batch.

    Args:
        embeddings: The student's embeddings, (B, D).
        predictions: The head's predictions of the teacher's embeddings, (B, 384).
        batch: The targets.
        plan: Temperature and weights.

    Returns:
        The Kullback-Leibler divergence between the two in-batch cosine distributions, each sentence against all
        others, plus the weighted squared error of the cosines, plus the weighted cosine distance of the predictions.
    """
    student = functional.normalize(embeddings, dim=1)
    ours = student @ student.T  # (B, B)
    others = ~torch.eye(len(ours), dtype=torch.bool)  # (B, B)
    ours, targets = ours[others].view(len(ours), -1), batch.cosines[others].view(len(ours), -1)  # (B, B-1)
    divergence = functional.kl_div(
        functional.log_softmax(ours / plan.temperature, dim=1),
        functional.log_softmax(targets / plan.temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    distance = 1.0 - functional.cosine_similarity(predictions, batch.targets, dim=1).mean()
    return divergence + plan.mse_weight * functional.mse_loss(ours, targets) + plan.head_weight * distance


def train(
    student: Student, training_set: TrainingSet, plan: Plan, *, checkpoint: Path, report: Callable[[str], None]
) -> float:
    """Train a student, resuming from the checkpoint if there is one.

    Args:
        student: Trained in place.
        training_set: Sentences and targets.
        plan: Hyperparameters.
        checkpoint: File for the state; an interrupted run loses at most the last hundred steps.
        report: Called with the loss and the elapsed time at every checkpoint.

    Returns:
        Seconds of training, including those of the interrupted runs.
    """
    parameters = [parameter for parameter in student.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=plan.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=plan.rate, total_steps=plan.cycle, pct_start=0.1)
    first, seconds = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        if state["plan"] != repr(plan):
            raise SystemExit(f"{checkpoint} belongs to another plan ({state['plan']}); delete it to start again")
        student.load_state_dict(state["student"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first, seconds = state["step"], state["seconds"]
        report(f"resuming from step {first:,}")
    batches = Batches(training_set, plan)
    student.train()
    student.dropout.p = plan.dropout
    began = time.monotonic() - seconds
    total = 0.0
    for step in range(first, plan.steps):
        torch.manual_seed(plan.seed + step)  # for the dropout
        batch = batches(step)
        embeddings = student(batch.sentences)  # (B, D)
        value = loss(embeddings, student.head(embeddings), batch, plan=plan)
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        remaining = plan.steps - step  # including this one
        if remaining > plan.decay_steps:
            schedule.step()
        else:
            for group in optimizer.param_groups:
                group["lr"] *= (remaining - 1) / remaining
        total += float(value.detach())
        if (step + 1) % _CHECKPOINT_STEPS == 0 or step + 1 == plan.steps:
            seconds, counted = time.monotonic() - began, step % _CHECKPOINT_STEPS + 1
            report(f"step {step + 1:,} of {plan.steps:,}, loss {total / counted:.4f}, {seconds:,.0f} s")
            total = 0.0
            _save(
                checkpoint,
                plan=repr(plan),
                student=student.state_dict(),
                optimizer=optimizer.state_dict(),
                schedule=schedule.state_dict(),
                step=step + 1,
                seconds=seconds,
            )
    return seconds


def _save(path: Path, **state: object) -> None:
    """Replace a checkpoint atomically, so that an interrupted run leaves the previous one intact."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    torch.save(state, unfinished)
    unfinished.replace(path)
