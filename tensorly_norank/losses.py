"""The four terms of the objective, as pure functions of an embedding.

Each function takes a torch tensor of shape (n_samples, n_components) and returns a scalar that
autograd can differentiate. None of them knows where labels come from, how batches are made or which
backend the caller uses.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "diversity_loss",
    "locality_loss",
    "triplet_loss",
    "uniformity_loss",
]


def pairwise_distances(embedding: Tensor) -> Tensor:
    """Euclidean distances between all rows, (n, D) -> (n, n), accurate for near neighbours too.

    The matrix-product shortcut that `torch.cdist` prefers loses half of the digits between close
    points, so it is switched off.
    """
    return torch.cdist(embedding, embedding, compute_mode="donot_use_mm_for_euclid_dist")


class _Triplets(NamedTuple):
    """All triplets of a batch, laid out by anchor."""

    positives: Tensor  # (B, S) column of each positive, S the size of the largest class
    is_positive: Tensor  # (B, S) False where a row of `positives` is padding or the anchor itself
    positive_distances: Tensor  # (B, S)
    negatives: Tensor  # (B, B) columns ordered by distance, the negatives first
    negative_distances: Tensor  # (B, B) sorted, infinite behind the last negative


def _triplets_by_anchor(distances: Tensor, labels: Tensor) -> _Triplets:
    n_samples = len(labels)
    _, codes, sizes = torch.unique(labels, return_inverse=True, return_counts=True)
    by_class = torch.argsort(codes, stable=True)
    first = torch.cumsum(sizes, 0) - sizes
    slots = torch.arange(int(sizes.max()), device=labels.device)
    positives = by_class[(first[codes][:, None] + slots).clamp(max=n_samples - 1)]
    anchors = torch.arange(n_samples, device=labels.device)[:, None]
    is_positive = (slots < sizes[codes][:, None]) & (positives != anchors)
    same_class = codes[:, None] == codes
    negative_distances, negatives = distances.masked_fill(same_class, torch.inf).sort(dim=1)
    return _Triplets(
        positives, is_positive, distances.gather(1, positives), negatives, negative_distances
    )


def _violations(distances: Tensor, labels: Tensor, margin: float) -> Tensor:
    """In how many violating triplets each pair of samples stands, with a sign.

    Entry (a, j) is the number of negatives n with d(a, n) < d(a, j) + margin when j is a positive
    of anchor a, and minus the number of positives p with d(a, j) < d(a, p) + margin when j is a
    negative. Counting takes one sort of the (B, B) matrix and one binary search a positive: O(B²
    log B), where listing the triplets takes O(B³).
    """
    triplets = _triplets_by_anchor(distances, labels)
    n_violating = torch.searchsorted(
        triplets.negative_distances, triplets.positive_distances + margin
    ).masked_fill_(~triplets.is_positive, 0)  # (B, S)
    # The negative at sorted place k is violated by every positive that counted more than k
    # negatives.
    n_samples = len(labels)
    histogram = n_violating.new_zeros(n_samples, n_samples + 1)
    histogram.scatter_add_(1, n_violating, triplets.is_positive.to(n_violating.dtype))
    n_positives = triplets.is_positive.sum(dim=1, keepdim=True)
    violated_by = n_positives - histogram.cumsum(dim=1)[:, :-1]
    violated_by.masked_fill_(torch.isinf(triplets.negative_distances), 0)
    pairs = n_violating.new_zeros(n_samples, n_samples)
    pairs.scatter_(1, triplets.negatives, -violated_by)
    return pairs.scatter_add_(1, triplets.positives, n_violating)


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
        Weight of each sample as an anchor. By default every violating triplet counts the same.

    Returns
    -------
    Tensor
        Scalar, 0 (with zero gradient) when no triplet violates the margin.

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
    distances = pairwise_distances(embedding)
    with torch.no_grad():
        coefficients = _violations(distances, labels, margin).to(distances.dtype)
        if weights is not None:
            coefficients *= weights.to(distances.dtype)[:, None]
        n_violating = coefficients.clamp(min=0).sum()
        if n_violating > 0:
            coefficients /= n_violating
    # margin times 0 or 1: `sign` keeps the number of violations on its device.
    return (coefficients * distances).sum() + margin * n_violating.sign()


def mean_hinge(embedding: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Mean hinge over all triplets, violating or not; classes count equally.

    What the loop monitors: the mean over violating triplets alone is no measure of progress,
    because its denominator shrinks too.
    """
    return _mean_over_classes(hinge_by_anchor(embedding, labels, margin), labels)


def hinge_by_anchor(embedding: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Mean hinge over all triplets of each anchor, (n,); NaN for an anchor without triplets."""
    distances = pairwise_distances(embedding)
    pairs = _violations(distances, labels, margin)
    hinges = (pairs * distances).sum(1) + margin * pairs.clamp(min=0).sum(1)
    return hinges / count_triplets(labels)


def margin_violations(embedding: Tensor, labels: Tensor, margin: float) -> float:
    """Share of all triplets that violate the margin; classes count equally."""
    pairs = _violations(pairwise_distances(embedding), labels, margin)
    shares = pairs.clamp(min=0).sum(1) / count_triplets(labels)
    return float(_mean_over_classes(shares, labels))


def triplet_accuracy_by_anchor(embedding: Tensor, labels: Tensor) -> Tensor:
    """Share of each anchor's triplets with d(a, p) < d(a, n), (n,); ties count half.

    NaN for an anchor without triplets.
    """
    return triplet_order_by_anchor(pairwise_distances(embedding), labels)


def triplet_order_by_anchor(distances: Tensor, labels: Tensor) -> Tensor:
    """As `triplet_accuracy_by_anchor`, from the distances of all samples, (n, n) -> (n,)."""
    triplets = _triplets_by_anchor(distances, labels)
    closer = sum(
        torch.searchsorted(triplets.negative_distances, triplets.positive_distances, right=right)
        for right in (False, True)
    )
    wrong = 0.5 * (closer * triplets.is_positive).sum(dim=1)
    return 1 - wrong.to(distances.dtype) / count_triplets(labels)


def triplet_accuracy(embedding: Tensor, labels: Tensor) -> float:
    """Share of triplets in the right order; anchors of a class count equally, and so do classes."""
    return float(_mean_over_classes(triplet_accuracy_by_anchor(embedding, labels), labels))


def count_triplets(labels: Tensor) -> Tensor:
    """Number of triplets of each anchor, (n,); NaN where there are none: so is a share of them."""
    _, codes, sizes = torch.unique(labels, return_inverse=True, return_counts=True)
    size = sizes[codes].double()
    count = (size - 1) * (len(labels) - size)
    return count.masked_fill(count == 0, torch.nan)


def _mean_over_classes(values: Tensor, labels: Tensor) -> Tensor:
    """Mean over samples within each class, then over classes, skipping NaN."""
    means = torch.stack([values[labels == label].nanmean() for label in torch.unique(labels)])
    return means.nanmean()


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

    Examples
    --------
    >>> import torch
    >>> from tensorly_norank.losses import diversity_loss
    >>> square = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> float(diversity_loss(square))
    0.5
    """
    centred = embedding - embedding.mean(dim=0)
    # The Gram matrix of the smaller side has the same non-zero eigenvalues as the covariance, times
    # the number of samples.
    wide = centred.shape[0] < centred.shape[1]
    gram = centred @ centred.T if wide else centred.T @ centred
    trace = gram.diagonal().sum()
    if trace <= torch.finfo(embedding.dtype).tiny ** 0.5:
        return 1 + 0 * trace
    return ((gram / trace) ** 2).sum()


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
    squared = torch.nn.functional.pdist(embedding) ** 2
    n_pairs = torch.tensor(float(len(squared)), dtype=embedding.dtype, device=embedding.device)
    return torch.logsumexp(-scale * squared, dim=0) - n_pairs.log()


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

    Examples
    --------
    >>> import torch
    >>> from tensorly_norank.losses import locality_loss
    >>> line = torch.tensor([[0.0], [1.0], [3.0]])
    >>> labels = torch.tensor([0, 0, 0])
    >>> float(locality_loss(line, labels, torch.cdist(line, line)))
    0.0
    """
    n_samples = len(labels)
    same_class = labels[:, None] == labels
    same_class.fill_diagonal_(False)
    n_others = same_class.sum(dim=1)
    n_each = torch.clamp(n_others // 2, max=n_neighbors)  # (B,)
    width = int(n_each.max()) if n_samples else 0
    if width == 0:
        return 0 * embedding.sum()
    order = input_distances.masked_fill(~same_class, torch.inf).argsort(dim=1)
    slots = torch.arange(width, device=labels.device)
    used = slots < n_each[:, None]  # (B, width)
    near = order[:, :width]
    far = order.gather(1, (n_others[:, None] - 1 - slots).clamp(min=0))
    distances = pairwise_distances(embedding)
    # (B, width, width): every near sample against every far one
    hinges = distances.gather(1, near)[:, :, None] - distances.gather(1, far)[:, None, :] + margin
    both = used[:, :, None] & used[:, None, :]
    return torch.relu(hinges)[both].mean()
