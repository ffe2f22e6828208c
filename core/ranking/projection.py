"""Projection: a plane through the embeddings, that of most variance or one of chosen axes, and the captions on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from core.store.progress import Progress, Steps

_SAMPLE = 20_000  # rows; more change the axes by less than a degree
_ROWS_PER_STEP = 8192
_OVERSAMPLING = 10  # more dimensions than wanted, as Halko et al. 2011 advise
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
        return ((rows.astype(np.float32) - self.mean) @ self.axes.T).astype(np.float32, copy=False)


@torch.inference_mode()
def principal_plane(rows: NDArray[np.float16], *, leave_out: NDArray[np.integer], seed: int = 0) -> Plane:
    """Fit the plane of principal components 1 and 2 on a random sample of at most 20,000 rows.

    Args:
        rows: Unit rows, (N, D).
        leave_out: Rows that take no part, such as captions without a known word, (X,).
        seed: Determines the sample and the randomized decomposition.

    Returns:
        The plane. Its axes are orthogonal, and the largest entry of each is positive; they are arbitrary, and its
        shares 0, where all embeddings are equal.
    """
    mean, centred, total = _centred(rows, leave_out, seed)
    dim = rows.shape[1]
    axes, lengths = torch.eye(2, dim), torch.zeros(2)  # (2, D), (2,)
    wanted = min(2, len(centred), dim)
    if total > 0:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            q = min(wanted + _OVERSAMPLING, len(centred), dim)
            _, singular, right = torch.pca_lowrank(centred, q=q, center=False, niter=4)
        axes[:wanted], lengths[:wanted] = right[:, :wanted].T, singular[:wanted]
    largest = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True))  # (2, 1)
    axes = axes * torch.where(largest < 0, -1.0, 1.0)
    shares = lengths.square() / total if total else lengths  # (2,)
    return Plane(mean.numpy(), axes.numpy(), (float(shares[0]), float(shares[1])), min(1.0, float(shares.sum())))


@torch.inference_mode()
def plane_between(
    rows: NDArray[np.float16], ends: NDArray[np.float32], *, leave_out: NDArray[np.integer], seed: int = 0
) -> Plane:
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
    mean, centred, total = _centred(rows, leave_out, seed)
    across = axes[1] - (axes[1] @ axes[0]) * axes[0]  # (D,)
    along = [float((centred @ axis).square().sum()) / (total or 1.0) for axis in (*axes, across / across.norm())]
    return Plane(mean.numpy(), axes.numpy(), (along[0], along[1]), along[0] + along[2])


def _centred(
    rows: NDArray[np.float16], leave_out: NDArray[np.integer], seed: int
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return mean, (D,), and centred rows, (S, D), of a random sample, and the sum of their squares."""
    candidates = np.setdiff1d(np.arange(len(rows)), leave_out)  # (M,)
    if len(candidates) > _SAMPLE:
        candidates = np.sort(np.random.default_rng(seed).choice(candidates, _SAMPLE, replace=False))  # (S,)
    sample = torch.from_numpy(rows[candidates].astype(np.float32))  # (S, D)
    mean = sample.mean(dim=0) if len(sample) else torch.zeros(rows.shape[1])  # (D,)
    sample -= mean
    return mean, sample, float(sample.square().sum())


def project(rows: NDArray[np.float16], plane: Plane) -> Steps[NDArray[np.float32]]:
    """Return the coordinates of unit rows, (N, D), on a plane; (N, 2)."""
    points = np.empty((len(rows), 2), np.float32)  # (N, 2)
    for start in range(0, len(rows), _ROWS_PER_STEP):
        block = rows[start : start + _ROWS_PER_STEP]  # (b, D)
        points[start : start + len(block)] = plane.place(block)
        yield Progress("placing captions", start + len(block), len(rows), "captions")
    return points
