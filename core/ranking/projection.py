"""Projection: the plane that holds most of the variance of the embeddings, and the captions on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from core.store.progress import Progress, Steps

_SAMPLE = 20_000  # rows; more change the axes by less than a degree
_ROWS_PER_STEP = 8192
_OVERSAMPLING = 10  # more dimensions than wanted, as Halko et al. 2011 advise


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """Two orthogonal axes through the mean of the embeddings (principal components 1 and 2)."""

    mean: NDArray[np.float32]
    """Mean embedding, (D,)."""
    axes: NDArray[np.float32]
    """Unit axes, (2, D); the largest entry of each is positive."""
    shares: tuple[float, float]
    """Shares of the variance along each axis, 0..1."""


@torch.inference_mode()
def principal_plane(rows: NDArray[np.float16], *, leave_out: NDArray[np.integer], seed: int = 0) -> Plane:
    """Fit the principal plane on a random sample of at most 20,000 rows.

    Args:
        rows: Unit rows, (N, D).
        leave_out: Rows that take no part, such as captions without a known word, (X,).
        seed: Determines the sample and the randomized decomposition.

    Returns:
        The plane. Its axes are arbitrary, and its shares 0, where all embeddings are equal.
    """
    candidates = np.setdiff1d(np.arange(len(rows)), leave_out)  # (M,)
    if len(candidates) > _SAMPLE:
        candidates = np.sort(np.random.default_rng(seed).choice(candidates, _SAMPLE, replace=False))  # (S,)
    sample = torch.from_numpy(rows[candidates].astype(np.float32))  # (S, D)
    dim = rows.shape[1]
    mean = sample.mean(dim=0) if len(sample) else torch.zeros(dim)  # (D,)
    centred = sample - mean  # (S, D)
    total = float(centred.square().sum())
    axes, lengths = torch.eye(2, dim), torch.zeros(2)  # (2, D), (2,)
    wanted = min(2, len(sample), dim)
    if total > 0:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            q = min(wanted + _OVERSAMPLING, len(sample), dim)
            _, singular, right = torch.pca_lowrank(centred, q=q, center=False, niter=4)
        axes[:wanted], lengths[:wanted] = right[:, :wanted].T, singular[:wanted]
    largest = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True))  # (2, 1)
    axes = axes * torch.where(largest < 0, -1.0, 1.0)
    shares = lengths.square() / total if total else lengths  # (2,)
    return Plane(mean.numpy(), axes.numpy(), (float(shares[0]), float(shares[1])))


def project(rows: NDArray[np.float16], plane: Plane) -> Steps[NDArray[np.float32]]:
    """Return the coordinates of unit rows, (N, D), on a plane; (N, 2)."""
    points = np.empty((len(rows), 2), np.float32)  # (N, 2)
    for start in range(0, len(rows), _ROWS_PER_STEP):
        block = rows[start : start + _ROWS_PER_STEP].astype(np.float32) - plane.mean  # (b, D)
        points[start : start + len(block)] = block @ plane.axes.T
        yield Progress("projecting captions", start + len(block), len(rows), "captions")
    return points
