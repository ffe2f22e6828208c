"""Projection: a plane through the embeddings, that of most variance or one of chosen axes, and the captions on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from core.store.progress import Progress, Steps

_SAMPLE = 20_000  # rows; more change the axes by less than a degree
_ROWS_PER_STEP = 4096
_OVERSAMPLING = 10  # more dimensions than wanted, as Halko et al. 2011 advise
_ITERATIONS = 4
_LEAST_LENGTH = 1e-3  # of an axis; float16 rows are no more exact
_SAME_DIRECTION = 0.999  # cosine of two axes


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """Two axes through the mean of the embeddings."""

    mean: NDArray[np.float32]
    """Mean embedding, (D,)."""
    axes: NDArray[np.float32]
    """Unit axes, (2, D)."""
    shares: tuple[float, float]
    """Shares of the variance along each axis, 0..1."""
    held: float
    """Share of the variance that the plane holds, 0..1."""

    def place(self, rows: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the coordinates of embeddings, (n, D); (n, 2)."""
        return coordinates(rows, self.mean, self.axes)


@torch.inference_mode()
def principal_plane(rows: NDArray[np.float16], *, leave_out: NDArray[np.integer], seed: int = 0) -> Steps[Plane]:
    """Fit the plane of principal components 1 and 2 on a random sample of at most 20,000 rows.

    Args:
        rows: Unit rows, (N, D).
        leave_out: Rows that take no part, such as captions without a known word, (X,).
        seed: Determines the sample and the randomized decomposition.

    Returns:
        The plane. Its axes are orthogonal, and the largest entry of each is positive; they are arbitrary, and its
        shares 0, where all embeddings are equal.
    """
    sample = yield from sample_rows(rows, leave_out, seed)
    axes, lengths = torch.eye(2, rows.shape[1]), torch.zeros(2)  # (2, D), (2,)
    if sample.total > 0:
        found, singular = yield from components(sample.centred, 2, seed)
        axes[: len(found)], lengths[: len(found)] = found, singular
    largest = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True))  # (2, 1)
    axes = axes * torch.where(largest < 0, -1.0, 1.0)
    shares = lengths.square() / (sample.total or 1.0)  # (2,)
    return Plane(sample.mean.numpy(), axes.numpy(), (float(shares[0]), float(shares[1])), min(1.0, float(shares.sum())))


@torch.inference_mode()
def plane_between(
    rows: NDArray[np.float16], ends: NDArray[np.float32], *, leave_out: NDArray[np.integer], seed: int = 0
) -> Steps[Plane]:
    """Return the plane whose axes lead from one embedding to another, and measure it on a random sample.

    Args:
        rows: Unit rows, (N, D).
        ends: Where the axes x and y begin and end, (2, 2, D).
        leave_out: Rows that take no part, such as captions without a known word, (X,).
        seed: Determines the sample.

    Raises:
        ValueError: An axis begins where it ends, or both have the same direction.
    """
    axes = torch.from_numpy(ends[:, 1] - ends[:, 0])  # (2, D)
    lengths = axes.norm(dim=1)  # (2,)
    if bool((lengths < _LEAST_LENGTH).any()):
        raise ValueError(f"the {'xy'[int(lengths.argmin())]} axis begins where it ends")
    axes = axes / lengths[:, None]
    if abs(float(axes[0] @ axes[1])) > _SAME_DIRECTION:
        raise ValueError("both axes have the same direction")
    sample = yield from sample_rows(rows, leave_out, seed)
    across = axes[1] - (axes[1] @ axes[0]) * axes[0]  # (D,)
    along = [
        float((sample.centred @ axis).square().sum()) / (sample.total or 1.0)
        for axis in (*axes, across / across.norm())
    ]
    return Plane(sample.mean.numpy(), axes.numpy(), (along[0], along[1]), along[0] + along[2])


class Sample(NamedTuple):
    """A random sample of S rows."""

    which: NDArray[np.int64]
    """The rows, ascending, (S,)."""
    mean: torch.Tensor
    """Their mean, (D,)."""
    centred: torch.Tensor
    """The rows less their mean, float32, (S, D)."""
    total: float
    """Sum of the squares of these."""


def sample_rows(rows: NDArray[np.float16], leave_out: NDArray[np.integer], seed: int) -> Steps[Sample]:
    """Draw at most 20,000 of the rows, (N, D), that are not left out, (X,)."""
    which = np.setdiff1d(np.arange(len(rows)), leave_out)  # (M,)
    if len(which) > _SAMPLE:
        which = np.sort(np.random.default_rng(seed).choice(which, _SAMPLE, replace=False))  # (S,)
    centred = torch.empty(len(which), rows.shape[1])  # (S, D)
    for start in range(0, len(which), _ROWS_PER_STEP):
        part = slice(start, start + _ROWS_PER_STEP)
        centred[part] = torch.from_numpy(rows[which[part]])
        yield Progress("drawing captions", min(part.stop, len(which)), len(which), "captions")
    mean = centred.mean(dim=0) if len(centred) else torch.zeros(rows.shape[1])  # (D,)
    centred -= mean
    return Sample(which, mean, centred, float(centred.square().sum()))


def components(centred: torch.Tensor, wanted: int, seed: int) -> Steps[tuple[torch.Tensor, torch.Tensor]]:
    """Return the first principal components of centred rows, (S, D), and their singular values.

    They are found by randomized subspace iteration (Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.1), as
    `torch.pca_lowrank` does, but step by step.

    Returns:
        (q, D) and (q,), q at most `wanted`, and fewer where there are not so many rows or columns.
    """
    wanted = min(wanted, *centred.shape)
    q = min(wanted + _OVERSAMPLING, *centred.shape)
    draw = torch.randn(centred.shape[1], q, generator=torch.Generator().manual_seed(seed))  # (D, q)
    basis = centred @ draw  # (S, q)
    for done in range(_ITERATIONS):
        yield Progress("looking for components", done, _ITERATIONS, "rounds")
        back = torch.linalg.qr(centred.T @ torch.linalg.qr(basis).Q).Q  # (D, q)
        yield Progress("looking for components", done + 0.5, _ITERATIONS, "rounds")
        basis = centred @ back  # (S, q)
    yield Progress("looking for components", _ITERATIONS, _ITERATIONS, "rounds")
    _, singular, right = torch.linalg.svd(torch.linalg.qr(basis).Q.T @ centred, full_matrices=False)
    return right[:wanted], singular[:wanted]


def project(
    rows: NDArray[np.float16], mean: NDArray[np.float32], axes: NDArray[np.float32], *, doing: str
) -> Steps[NDArray[np.float32]]:
    """Return the coordinates of unit rows, (N, D), along q axes, (q, D), through a mean, (D,); (N, q).

    `doing` is the activity to report in `Progress`.
    """
    points = np.empty((len(rows), len(axes)), np.float32)  # (N, q)
    for start in range(0, len(rows), _ROWS_PER_STEP):
        block = rows[start : start + _ROWS_PER_STEP]  # (b, D)
        points[start : start + len(block)] = coordinates(block, mean, axes)
        yield Progress(doing, start + len(block), len(rows), "captions")
    return points


def coordinates(
    rows: NDArray[np.floating], mean: NDArray[np.float32], axes: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the coordinates of embeddings, (n, D), along q axes, (q, D), through a mean, (D,); (n, q)."""
    return ((rows.astype(np.float32) - mean) @ axes.T).astype(np.float32, copy=False)
