"""The training loop: a student learns which sentences its teacher finds alike."""

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

_EVERY = 100  # steps between two checkpoints


@dataclass(frozen=True)
class Plan:
    """The sizes of a training run."""

    steps: int
    """Batches in all."""
    cycle: int
    """Steps of the learning rate's one cycle; more than `steps` when the cycle is left early."""
    descent: int = 0
    """Steps at the end in which the rate goes straight from where it is to zero."""
    batch: int = 384
    """B, sentences a step; half of them come in groups of sisters."""
    hidden: int = 512
    """H, the width of one direction."""
    rate: float = 2e-3
    """The highest learning rate of the one cycle."""
    temperature: float = 0.05
    """Divides the cosines before the softmax of the in-batch distributions."""
    squares: float = 20.0
    """Weight of the mean squared error of the cosines."""
    direct: float = 1.0
    """Weight of the distance between the teacher's embedding and the head's guess of it."""
    dropout: float = 0.0
    """Share of the word vectors' features that is dropped while training."""
    evenness: float = 0.5
    """How far small sources are drawn as often as big ones: 0 by size, 1 all alike."""
    sisters: float = 0.0
    """Weight of the mean over all captions of an image in each one's target, from 0 to 1."""
    spelling: float = 0.0
    """How much the cosine of the spellings counts in the target, beside the teacher's, which counts 1."""
    seed: int = 20170505


@dataclass(frozen=True)
class Material:
    """What a student is trained on, row by row."""

    ids: list[NDArray[np.int32]]
    """Row numbers of each sentence's tokens, N arrays."""
    targets: NDArray[np.float16]
    """The teacher's unit embeddings, (N, 384)."""
    groups: NDArray[np.int32]
    """The group of each sentence, (N,), ascending."""
    sources: NDArray[np.str_]
    """The source of each sentence, (N,)."""
    texts: list[str]
    """The sentences themselves, N of them: their spellings are compared, too."""
    stop: int
    """Row number of the full stop; -1 when there is none."""

    def join(self, other: Material) -> Material:
        """Add sentences that belong to groups of these."""
        groups = np.concatenate([self.groups, other.groups])
        order = np.argsort(groups, kind="stable")
        ids, texts = [*self.ids, *other.ids], [*self.texts, *other.texts]
        return Material(
            [ids[row] for row in order],
            np.concatenate([self.targets, other.targets])[order],
            groups[order],
            np.concatenate([self.sources, other.sources])[order],
            [texts[row] for row in order],
            self.stop,
        )


class Batch(NamedTuple):
    """What one step learns from."""

    sentences: list[NDArray[np.int32]]
    """B sentences, the longest first."""
    targets: Tensor
    """The teacher's unit embeddings, (B, 384)."""
    cosines: Tensor
    """How alike the sentences should be, (B, B)."""


class Batches:
    """Batches by number: each depends on the seed and its own number alone, so that a run can go on anywhere.

    Small sources are drawn more often than their size says. Half a batch are whole groups of sisters, the other half
    single sentences. A full stop at the end of a sentence is dropped a quarter of the time: people who type a query
    leave it out.
    """

    def __init__(self, material: Material, plan: Plan) -> None:
        self._material = material
        self._plan = plan
        self._starts = np.searchsorted(material.groups, np.arange(material.groups[-1] + 2))  # (G+1,)
        _, source, sizes = np.unique(material.sources, return_inverse=True, return_counts=True)
        weights = sizes[source] ** -plan.evenness  # (N,)
        sisters = np.diff(self._starts)[material.groups] > 1  # (N,)
        self._targets = _with_sisters(material, plan.sisters)  # (N, 384)
        self._spellings = spell(material.texts) if plan.spelling else None  # (N, F)
        self._any = np.cumsum(weights)  # (N,)
        self._with_sisters = np.cumsum(weights * sisters)  # (N,)

    def __call__(self, number: int) -> Batch:
        """Draw one batch, the longest sentence first."""
        random = np.random.default_rng([self._plan.seed, number])
        size = min(self._plan.batch, len(self._material.ids))
        drawn: dict[int, None] = {}
        while self._with_sisters[-1] and len(drawn) < size // 2:
            group = self._material.groups[_draw(random, self._with_sisters)]
            drawn.update(dict.fromkeys(range(self._starts[group], self._starts[group + 1])))
        while len(drawn) < size:
            drawn[_draw(random, self._any)] = None
        chosen = list(drawn)[:size]
        bare = random.random(size) < 0.25  # (B,)
        sentences = [self._sentence(row, bare=bool(drop)) for row, drop in zip(chosen, bare, strict=True)]
        order = np.argsort([-len(sentence) for sentence in sentences], kind="stable")
        rows = np.array(chosen)[order]
        targets = torch.from_numpy(self._targets[rows].astype(np.float32))  # (B, 384)
        cosines = targets @ targets.T  # (B, B)
        if self._spellings is not None:
            spellings = self._spellings[rows]  # (B, F)
            alike = torch.from_numpy((spellings @ spellings.T).toarray())  # (B, B)
            cosines = (cosines + self._plan.spelling * alike) / (1 + self._plan.spelling)
        return Batch([sentences[place] for place in order], targets, cosines)

    def _sentence(self, row: int, *, bare: bool) -> NDArray[np.int32]:
        ids = self._material.ids[row]
        if bare and len(ids) > 3 and ids[-2] == self._material.stop:
            return np.delete(ids, -2)
        return ids


def _with_sisters(material: Material, weight: float) -> NDArray[np.float16]:
    """Mix into each caption's target what all captions of its image say: a caption names a part of the scene only.

    Returns:
        Unit rows, (N, 384); those of other sources as they are.
    """
    if not weight:
        return material.targets
    own = material.targets.astype(np.float32)
    sums = np.zeros((material.groups[-1] + 1, own.shape[1]), dtype=np.float32)  # (G, 384)
    np.add.at(sums, material.groups, own)
    means = sums / np.bincount(material.groups)[:, None]
    captions = np.isin(material.sources, CAPTIONS)
    own[captions] = (1 - weight) * own[captions] + weight * means[material.groups[captions]]
    mixed: NDArray[np.float16] = (own / np.linalg.norm(own, axis=1, keepdims=True)).astype(np.float16)
    return mixed


def spell(texts: list[str]) -> csr_matrix:
    """Weigh the runs of three and four characters within the words of each text by TF-IDF.

    Returns:
        Unit rows, (N, F), float32.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    weigh = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True, dtype=np.float32)
    return csr_matrix(weigh.fit_transform(texts))


def _draw(random: np.random.Generator, sums: NDArray[np.float64]) -> int:
    """Draw a row by the running sums of the rows' weights, (N,)."""
    return int(np.searchsorted(sums, random.random() * sums[-1], side="right"))


def loss(embeddings: Tensor, guesses: Tensor, batch: Batch, *, plan: Plan) -> Tensor:
    """Compare a student with its teacher over one batch.

    Args:
        embeddings: The student's, (B, D).
        guesses: The head's guesses of the teacher's, (B, 384).
        batch: What they should be.
        plan: Temperature and weights.

    Returns:
        The Kullback-Leibler divergence between the two in-batch cosine distributions, each sentence against all
        others, plus the weighted squared error of the cosines, plus the weighted direct distance.
    """
    student = functional.normalize(embeddings, dim=1)
    mine = student @ student.T  # (B, B)
    others = ~torch.eye(len(mine), dtype=torch.bool)
    mine, theirs = mine[others].view(len(mine), -1), batch.cosines[others].view(len(mine), -1)  # (B, B-1)
    divergence = functional.kl_div(
        functional.log_softmax(mine / plan.temperature, dim=1),
        functional.log_softmax(theirs / plan.temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    direct = 1.0 - functional.cosine_similarity(guesses, batch.targets, dim=1).mean()
    return divergence + plan.squares * functional.mse_loss(mine, theirs) + plan.direct * direct


def train(
    student: Student, material: Material, plan: Plan, *, checkpoint: Path, report: Callable[[str], None]
) -> float:
    """Train a student, going on from the checkpoint where there is one.

    Args:
        student: Is changed in place.
        material: What to train on.
        plan: How.
        checkpoint: Where the state is kept; a killed run loses at most the last hundred steps.
        report: Is told the loss and the time from time to time.

    Returns:
        Seconds of training, those of former runs included.
    """
    parameters = [parameter for parameter in student.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=plan.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=plan.rate, total_steps=plan.cycle, pct_start=0.1)
    first, spent = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        if state["plan"] != repr(plan):
            raise SystemExit(f"{checkpoint} belongs to another plan ({state['plan']}): remove it to start afresh")
        student.load_state_dict(state["student"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first, spent = state["step"], state["seconds"]
        report(f"goes on from step {first:,}")
    batches = Batches(material, plan)
    student.train()
    student.dropout.p = plan.dropout
    began = time.monotonic() - spent
    total = 0.0
    for step in range(first, plan.steps):
        torch.manual_seed(plan.seed + step)  # of the dropout
        batch = batches(step)
        embeddings = student(batch.sentences)  # (B, D)
        value = loss(embeddings, student.head(embeddings), batch, plan=plan)
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        left = plan.steps - step  # this step included
        if left > plan.descent:
            schedule.step()
        else:
            for group in optimizer.param_groups:
                group["lr"] *= (left - 1) / left
        total += float(value.detach())
        if (step + 1) % _EVERY == 0 or step + 1 == plan.steps:
            spent = time.monotonic() - began
            report(f"step {step + 1:,} of {plan.steps:,}, loss {total / (step % _EVERY + 1):.4f}, {spent:,.0f} s")
            total = 0.0
            _save(
                checkpoint,
                plan=repr(plan),
                student=student.state_dict(),
                optimizer=optimizer.state_dict(),
                schedule=schedule.state_dict(),
                step=step + 1,
                seconds=spent,
            )
    return spent


def _save(path: Path, **state: object) -> None:
    """Replace a checkpoint at once: a killed run leaves the former one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    torch.save(state, unfinished)
    unfinished.replace(path)
