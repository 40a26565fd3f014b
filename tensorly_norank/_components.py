"""Canonical axes of an embedding: distances fix it only up to a rotation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class CanonicalAxes:
    """A centre and orthonormal axes: first those that separate the classes, then by variance."""

    mean: Tensor  # (D,) over all samples
    axes: Tensor  # (D, D) orthonormal columns; zero where the embedding has no variance left

    def to(self, device: torch.device) -> CanonicalAxes:
        """The same on another device."""
        return CanonicalAxes(self.mean.to(device), self.axes.to(device))

    def project(self, embedding: Tensor, rank: int | None = None) -> Tensor:
        """Coordinates along the leading axes, (n, D) -> (n, rank)."""
        return (embedding - self.mean) @ self.axes[:, :rank]


def canonical_axes(embedding: Tensor, codes: Tensor, first: Tensor | None = None) -> CanonicalAxes:
    """Find the canonical axes of an embedding (n, D) of samples with class codes (n,).

    First come the eigenvectors of the covariance of the class means, classes weighing equally, by
    eigenvalue: at most n_classes − 1. What is orthogonal to them follows, by variance. Signs are
    such that on each axis the first class (behind those axes: the first sample) that lies at least
    half as far out as the farthest one lies on the positive side. Samples of unknown class (code
    −1) count for the mean and for the variance.

    Axes that are given as `first`, orthonormal columns or zeros (D, r), come before all these.
    """
    points = embedding.double()
    centre = points.mean(dim=0)
    centred = points - centre
    n_dimensions = centred.shape[1]
    means = class_means(centred[codes >= 0], codes[codes >= 0])
    leading = centred.new_zeros(n_dimensions, 0) if first is None else first.to(centred)
    leading = leading[:, leading.norm(dim=0) > 0]
    others = _complement(leading)
    n_between = min(len(means) - 1, others.shape[1])
    directions = others @ _eigenvectors((means - means.mean(dim=0)) @ others)
    between = directions[:, :n_between]
    rest = directions[:, n_between:]
    rest = rest @ _eigenvectors(centred @ rest)
    separating = torch.cat([leading, between], dim=1)
    axes = torch.cat([_fix_signs(separating, means), _fix_signs(rest, centred)], dim=1)
    # Along an axis that carries rounding errors alone, coordinates are 0 and not noise of length 1.
    lengths = (centred @ axes).norm(dim=0)
    axes = axes * (lengths > 1000 * torch.finfo(embedding.dtype).eps * lengths.max())
    return CanonicalAxes(centre.to(embedding.dtype), axes.to(embedding.dtype).contiguous())


def class_means(points: Tensor, codes: Tensor) -> Tensor:
    """Of points (n, D), by code (K, D); on the host, where sums of many classes have one order."""
    _, sizes = np.unique(codes.cpu().numpy(), return_counts=True)
    in_order = points[torch.argsort(codes, stable=True)].cpu().numpy()
    sums = np.add.reduceat(in_order, np.cumsum(sizes) - sizes, axis=0)
    return torch.from_numpy(sums / sizes[:, None]).to(points)


def leading_axes(embedding: Tensor, n_leading: int) -> CanonicalAxes:
    """The coordinates of an embedding (n, D) in their order, the first so many turned by variance.

    For an embedding whose coordinates were made to be of use without those behind them.
    """
    points = embedding.double()
    n_leading = min(n_leading, points.shape[1])
    axes = torch.eye(points.shape[1]).to(points)
    if n_leading:
        one_class = torch.zeros(len(points), dtype=torch.int, device=points.device)
        axes[:n_leading, :n_leading] = canonical_axes(points[:, :n_leading], one_class).axes
    return CanonicalAxes(
        points.mean(dim=0).to(embedding.dtype), axes.to(embedding.dtype).contiguous()
    )


def _complement(axes: Tensor) -> Tensor:
    """Orthonormal columns that span what is orthogonal to those of `axes` (D, r), (D, D − r)."""
    n_dimensions, n_axes = axes.shape
    if n_axes == 0:
        return torch.eye(n_dimensions).to(axes)
    return torch.linalg.svd(axes, full_matrices=True)[0][:, n_axes:]


def _eigenvectors(points: Tensor) -> Tensor:
    """Of pointsᵀ·points, largest eigenvalue first, as columns."""
    return torch.linalg.eigh(points.T @ points)[1].flip(1)


def _fix_signs(axes: Tensor, points: Tensor) -> Tensor:
    if axes.shape[1] == 0:
        return axes
    coordinates = points @ axes
    far = coordinates.abs() >= 0.5 * coordinates.abs().amax(dim=0)
    first = far.int().argmax(dim=0)
    signs = coordinates.gather(0, first[None])[0].sign()
    return axes * torch.where(signs == 0, torch.ones_like(signs), signs)
