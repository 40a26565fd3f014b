"""The four terms of the objective, as pure functions of an embedding.

Each function takes a torch tensor of shape (n_samples, n_components) and returns a scalar that
autograd can differentiate, in float32 for half precision. None of them knows where labels come
from, how batches are made or which backend the caller uses.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from tensorly_norank._triplets import AllTriplets, pairwise_distances, widened

__all__ = [
    "diversity_loss",
    "locality_loss",
    "triplet_loss",
    "uniformity_loss",
]


def triplet_loss(
    embedding: Tensor, labels: Tensor, margin: float, weights: Tensor | None = None
) -> Tensor:
    r"""Mean hinge over all violating triplets of a batch, exactly, without listing the triplets.

    A triplet (a, p, n) has an anchor, another sample of its class and a sample of another class. It
    violates the margin when :math:`h = d(a, p) - d(a, n) + \text{margin} > 0`. The loss is
    :math:`\sum w_a h / \sum w_a` over the violating triplets.

    Parameters
    ----------
    embedding : Tensor of shape (n_samples, n_components)
        Points whose Euclidean distances are compared.
    labels : Tensor of shape (n_samples,)
        Integer class of each sample. A class with one member serves as a negative only.
    margin : float
        By how much a negative must be farther from the anchor than a positive, in units of
        distance.
    weights : Tensor of shape (n_samples,), optional
        Weight of each sample as an anchor, 0 or more. By default every violating triplet counts
        the same.

    Returns
    -------
    Tensor
        Scalar, 0 (with zero gradient) when no triplet violates the margin.

    Raises
    ------
    TypeError, ValueError
        If `embedding` is no tensor of floats of that shape, or `labels` or `weights` have
        another length.

    Notes
    -----
    The hinge is piecewise linear in the distances. With :math:`c_{aj}` the signed number of
    violating triplets in which the pair (a, j) stands, the sum of all hinges is :math:`\sum_{aj}
    c_{aj} d(a, j)` plus the margin times their number. The counts come from one sort and binary
    searches, in O(B² log B) time and O(B²) memory, and are constant under differentiation.

    Examples
    --------
    >>> import torch
    >>> from tensorly_norank.losses import triplet_loss
    >>> embedding = torch.tensor([[0.0], [1.0], [1.5]])
    >>> labels = torch.tensor([0, 0, 1])
    >>> float(triplet_loss(embedding, labels, margin=0.2))  # only anchor 1 violates: 1 - 0.5 + 0.2
    0.699999988079071
    """
    _check_points(embedding)
    _check_tensor(labels, "labels", len(embedding))
    if weights is not None:
        _check_tensor(weights, "weights", len(embedding))
    triplets = AllTriplets.of_classes(pairwise_distances(embedding), labels)
    return triplets.loss(margin, weights)


def diversity_loss(embedding: Tensor) -> Tensor:
    r"""One over the participation ratio of the embedding's covariance.

    With :math:`C` the covariance, :math:`\|C\|_F^2 / (\operatorname{tr} C)^2`.

    Parameters
    ----------
    embedding : Tensor of shape (n_samples, n_components)
        At least two samples.

    Returns
    -------
    Tensor
        Scalar between 1 / n_components (the variance is the same in every direction) and 1 (all of
        it lies on one axis); 1 also for points that all coincide. Neither a rotation nor a change
        of scale alters it.

    Raises
    ------
    TypeError, ValueError
        If `embedding` is no tensor of floats of that shape.

    Examples
    --------
    >>> import torch
    >>> from tensorly_norank.losses import diversity_loss
    >>> square = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> float(diversity_loss(square))
    0.5
    """
    points = _check_points(embedding)
    centred = points - points.mean(dim=0)
    # The Gram matrix of the smaller side has the same non-zero eigenvalues as the covariance, times
    # the number of samples.
    wide = centred.shape[0] < centred.shape[1]
    gram = centred @ centred.T if wide else centred.T @ centred
    trace = gram.diagonal().sum()
    # Not by `if`: to look at a number on a GPU means to wait for it.
    is_point = trace <= torch.finfo(points.dtype).tiny ** 0.5
    return ((gram / torch.where(is_point, 1, trace)) ** 2).sum() + is_point.to(trace.dtype)


def uniformity_loss(embedding: Tensor, scale: float = 2.0) -> Tensor:
    r"""Logarithm of the mean Gaussian potential between samples [1]_.

    :math:`\log \operatorname{mean}_{i \ne j} e^{-t d_{ij}^2}` over all pairs.

    Parameters
    ----------
    embedding : Tensor of shape (n_samples, n_components)
        At least two samples.
    scale : float, default 2
        The :math:`t` of the potential, in units of one over squared distance; 2 is the value of
        [1]_ for the unit sphere.

    Returns
    -------
    Tensor
        Scalar, at most 0; the lower, the more evenly the samples are spread.

    Raises
    ------
    TypeError, ValueError
        If `embedding` is no tensor of floats of that shape.

    References
    ----------
    .. [1] T. Wang and P. Isola, "Understanding contrastive representation learning through
       alignment and uniformity on the hypersphere", ICML 2020.

    Examples
    --------
    >>> import torch
    >>> from tensorly_norank.losses import uniformity_loss
    >>> float(uniformity_loss(torch.tensor([[0.0], [1.0]])))
    -2.0
    """
    squared = torch.nn.functional.pdist(_check_points(embedding)) ** 2
    return torch.logsumexp(-scale * squared, dim=0) - math.log(max(len(squared), 1))


def locality_loss(
    embedding: Tensor,
    labels: Tensor,
    input_distances: Tensor,
    n_neighbors: int = 5,
    margin: float = 0.2,
) -> Tensor:
    """Keeps near neighbours in the data near in the embedding, within each class.

    For every anchor, its nearest and its farthest samples *of its own class* are looked up in the
    data. The loss is the mean hinge d(anchor, near) - d(anchor, far) + margin over all such pairs.
    Other classes never enter, so classes are not pulled together.

    Parameters
    ----------
    embedding : Tensor of shape (n_samples, n_components)
        The points to arrange.
    labels : Tensor of shape (n_samples,)
        Integer class of each sample.
    input_distances : Tensor of shape (n_samples, n_samples)
        Distances between the samples in the data, never in the embedding itself.
    n_neighbors : int, default 5
        How many nearest and how many farthest samples count; in a class with fewer than 2
        n_neighbors others, half of them.
    margin : float, default 0.2
        By how much the far ones shall be farther than the near ones, in units of distance in the
        embedding.

    Returns
    -------
    Tensor
        Scalar, 0 where no class has three members.

    Raises
    ------
    TypeError, ValueError
        If `embedding` is no tensor of floats of that shape, or `labels` or
        `input_distances` do not have the length of `embedding`.

    Examples
    --------
    >>> import torch
    >>> from tensorly_norank.losses import locality_loss
    >>> line = torch.tensor([[0.0], [1.0], [3.0]])
    >>> labels = torch.tensor([0, 0, 0])
    >>> float(locality_loss(line, labels, torch.cdist(line, line)))
    0.0
    """
    points = _check_points(embedding)
    n_samples = len(points)
    _check_tensor(labels, "labels", n_samples)
    _check_tensor(input_distances, "input_distances", n_samples, n_samples)
    same_class = labels[:, None] == labels
    same_class.fill_diagonal_(False)
    n_others = same_class.sum(dim=1)
    n_each = torch.clamp(n_others // 2, max=n_neighbors)  # (B,)
    width = min(n_neighbors, (n_samples - 1) // 2)  # the most that any class may have
    if width <= 0:
        return 0 * points.sum()
    order = torch.where(same_class, input_distances, torch.inf).argsort(dim=1)
    slots = torch.arange(width, device=labels.device)
    used = slots < n_each[:, None]  # (B, width)
    near = order[:, :width]
    far = order.gather(1, (n_others[:, None] - 1 - slots).clamp(min=0))
    distances = pairwise_distances(embedding)
    # (B, width, width): every near sample against every far one
    hinges = distances.gather(1, near)[:, :, None] - distances.gather(1, far)[:, None, :] + margin
    both = used[:, :, None] & used[:, None, :]
    return (torch.relu(hinges) * both).sum() / both.sum().clamp(min=1)


def _check_points(embedding: Any) -> Tensor:
    """Points (n, D), those of half precision in float32."""
    _check_tensor(embedding, "embedding", None, None)
    if not embedding.is_floating_point():
        raise TypeError(f"embedding must be of a float dtype, got {embedding.dtype}.")
    return widened(embedding)


def _check_tensor(tensor: Any, name: str, *lengths: int | None) -> None:
    """Raise an error unless it is a tensor of these lengths, None being any.

    Nobody looks at its numbers: on a GPU that would mean to wait for them.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got a {type(tensor).__name__}.")
    shape = tuple(tensor.shape)
    if len(shape) != len(lengths) or any(
        length not in (None, own) for length, own in zip(lengths, shape, strict=True)
    ):
        wanted = "(n_samples, n_components)" if None in lengths else lengths
        raise ValueError(f"{name} must have shape {wanted}, got {shape}.")
