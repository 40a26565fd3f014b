"""Triplets (anchor, positive, negative) of points: how many are in order, by how much others fail.

All of a batch, never listed; or those that somebody listed.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor


def pairwise_distances(embedding: Tensor) -> Tensor:
    """Euclidean distances between all rows, (n, D) -> (n, n), accurate for near neighbours too.

    The matrix-product shortcut that `torch.cdist` prefers loses half of the digits between close
    points, so it is switched off. Those of points in half precision are in float32.
    """
    points = widened(embedding)
    return torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")


def widened(points: Tensor) -> Tensor:
    """Half precision as float32: sums of squares would lose its few digits, or overflow."""
    return points.float() if points.dtype in (torch.float16, torch.bfloat16) else points


class AllTriplets:
    """Every anchor with each of its positives and each of its negatives.

    Parameters
    ----------
    distances : Tensor of shape (n, n)
        Of the points.
    positives : Tensor of shape (n, S)
        Which points are an anchor's positives.
    is_positive : Tensor of bool, shape (n, S)
        False where a place of `positives` is not used.
    is_negative : Tensor of bool, shape (n, n)
        Which points are an anchor's negatives.
    """

    def __init__(
        self, distances: Tensor, positives: Tensor, is_positive: Tensor, is_negative: Tensor
    ) -> None:
        self._distances = distances
        self._positives, self._is_positive = positives, is_positive
        self._is_negative = is_negative

    @classmethod
    def of_classes(
        cls, distances: Tensor, labels: Tensor, largest: int | None = None
    ) -> AllTriplets:
        """Positives are of the anchor's class (n,), negatives of others.

        Who knows the size of the `largest` class says so: to ask a GPU would mean to wait for it.
        """
        n_samples = len(labels)
        if labels.dtype not in (torch.int32, torch.int64):  # others cannot all be searched in
            _, labels = torch.unique(labels, return_inverse=True)
        labels = labels.contiguous()
        in_order, by_class = torch.sort(labels, stable=True)
        first = torch.searchsorted(in_order, labels)  # of each sample's class, (n,)
        sizes = torch.searchsorted(in_order, labels, right=True) - first
        slots = torch.arange(largest or int(sizes.max()), device=labels.device)
        positives = by_class[(first[:, None] + slots).clamp(max=n_samples - 1)]
        anchors = torch.arange(n_samples, device=labels.device)[:, None]
        is_positive = (slots < sizes[:, None]) & (positives != anchors)
        return cls(distances, positives, is_positive, labels[:, None] != labels)

    @classmethod
    def of_neighbours(cls, distances: Tensor, nearest: Tensor) -> AllTriplets:
        """Positives are the nearest samples (n, k), negatives all others."""
        is_negative = torch.ones_like(distances, dtype=torch.bool).fill_diagonal_(False)
        is_negative.scatter_(1, nearest, False)
        return cls(distances, nearest, torch.ones_like(nearest, dtype=torch.bool), is_negative)

    @cached_property
    def n_triplets(self) -> Tensor:
        """Of each anchor, (n,), float64; NaN where there are none: so is a share of them."""
        count = self._is_positive.sum(1).double() * self._is_negative.sum(1)
        return count.masked_fill(count == 0, torch.nan)

    @cached_property
    def _positive_distances(self) -> Tensor:
        return self._distances.gather(1, self._positives)  # (n, S)

    @cached_property
    def _sorted_negatives(self) -> tuple[Tensor, Tensor]:
        """Distances of each anchor's negatives, then infinities; and which points they are."""
        return torch.sort(self._distances.masked_fill(~self._is_negative, torch.inf), dim=1)

    def violations(self, margin: float) -> Tensor:
        """In how many violating triplets each pair of points stands, with a sign, (n, n).

        Entry (a, j) is the number of negatives n with d(a, n) < d(a, j) + margin when j is a
        positive of anchor a, and minus the number of positives p with d(a, j) < d(a, p) + margin
        when j is a negative. Counting takes one sort of the matrix and one binary search a
        positive: O(n² log n), where listing the triplets takes O(n³).
        """
        negative_distances, negatives = self._sorted_negatives
        n_violating = torch.searchsorted(
            negative_distances, self._positive_distances + margin
        ).masked_fill_(~self._is_positive, 0)  # (n, S)
        # The negative at sorted place k is violated by every positive that counted more than k
        # negatives.
        n_samples = len(negatives)
        histogram = n_violating.new_zeros(n_samples, n_samples + 1)
        histogram.scatter_add_(1, n_violating, self._is_positive.to(n_violating.dtype))
        n_positives = self._is_positive.sum(dim=1, keepdim=True)
        violated_by = n_positives - histogram.cumsum(dim=1)[:, :-1]
        violated_by.masked_fill_(torch.isinf(negative_distances), 0)
        pairs = n_violating.new_zeros(n_samples, n_samples)
        pairs.scatter_(1, negatives, -violated_by)
        return pairs.scatter_add_(1, self._positives, n_violating)

    def loss(self, margin: float, weights: Tensor | None = None) -> Tensor:
        r"""Mean hinge over the violating triplets, differentiable; 0 where there are none.

        With weights (n,) of anchors :math:`\sum w_a h / \sum w_a`.
        """
        distances = self._distances
        with torch.no_grad():
            coefficients = self.violations(margin).to(distances.dtype)
            if weights is not None:
                coefficients *= weights.to(distances.dtype)[:, None]
            n_violating = coefficients.clamp(min=0).sum()
            # Not by `if`: to look at a number on a GPU means to wait for it.
            coefficients /= torch.where(n_violating > 0, n_violating, 1)
        return (coefficients * distances).sum() + margin * n_violating.sign()

    def hinge_by_anchor(self, margin: float) -> Tensor:
        """Mean hinge over all triplets of each anchor, violating or not, (n,)."""
        pairs = self.violations(margin)
        hinges = (pairs * self._distances).sum(1) + margin * pairs.clamp(min=0).sum(1)
        return hinges / self.n_triplets

    def violations_by_anchor(self, margin: float) -> Tensor:
        """Share of each anchor's triplets that violate the margin, (n,)."""
        return self.violations(margin).clamp(min=0).sum(1) / self.n_triplets

    def order_by_anchor(self) -> Tensor:
        """Share of each anchor's triplets with d(a, p) < d(a, n), (n,); ties count half."""
        negative_distances, _ = self._sorted_negatives
        closer = sum(
            torch.searchsorted(negative_distances, self._positive_distances, right=right)
            for right in (False, True)
        )
        # Twice the number, a whole one: a half would make it a float of torch's default dtype.
        wrong = (closer * self._is_positive).sum(dim=1)
        return 1 - wrong.to(self._distances.dtype) / (2 * self.n_triplets)


class ListedTriplets:
    """Triplets that were given, as places of the points that stand in them.

    Parameters
    ----------
    points : Tensor of shape (n, D)
    triplets : Tensor of int, shape (T, 3)
        Anchor, positive and negative.
    """

    def __init__(self, points: Tensor, triplets: Tensor) -> None:
        self._n_points = len(points)
        self._anchors, positives, negatives = triplets.T
        anchors = points[self._anchors]
        # By how much the negative is nearer: (T,).
        self._excess = _lengths(anchors - points[positives]) - _lengths(anchors - points[negatives])

    @cached_property
    def n_triplets(self) -> Tensor:
        """Of each anchor, (n,), float64; NaN where there are none: so is a share of them."""
        count = torch.bincount(self._anchors, minlength=self._n_points).double()
        return count.masked_fill(count == 0, torch.nan)

    def loss(self, margin: float, weights: Tensor | None = None) -> Tensor:
        """Mean hinge over the violating triplets, differentiable; `weights` are not looked at."""
        hinges = torch.relu(self._excess + margin)
        return hinges.sum() / (hinges > 0).sum().clamp(min=1)

    def hinge_by_anchor(self, margin: float) -> Tensor:
        """Mean hinge over all triplets of each anchor, violating or not, (n,)."""
        return self._mean_by_anchor(torch.relu(self._excess + margin))

    def violations_by_anchor(self, margin: float) -> Tensor:
        """Share of each anchor's triplets that violate the margin, (n,)."""
        return self._mean_by_anchor(self._excess + margin > 0)

    def order_by_anchor(self) -> Tensor:
        """Share of each anchor's triplets with d(a, p) < d(a, n), (n,); ties count half."""
        return self._mean_by_anchor(self.order())

    def order(self) -> Tensor:
        """Of each triplet, (T,): 1 where d(a, p) < d(a, n), 0 where it is larger, 1/2 for ties."""
        return 0.5 - 0.5 * self._excess.sign()

    def _mean_by_anchor(self, values: Tensor) -> Tensor:
        # On the host: a GPU adds in an order that is another one each time.
        anchors, of_each = self._anchors.cpu().numpy(), values.detach().double().cpu().numpy()
        sums = np.bincount(anchors, weights=of_each, minlength=self._n_points)
        return torch.from_numpy(sums).to(values.device) / self.n_triplets


def _lengths(differences: Tensor) -> Tensor:
    """Norms of rows; with gradient 0, not NaN, where a row is 0."""
    squares = differences.square().sum(dim=1)
    is_zero = squares == 0
    return squares.masked_fill(is_zero, 1).sqrt().masked_fill(is_zero, 0)
