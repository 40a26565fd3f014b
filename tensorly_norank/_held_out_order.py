"""How well held-out samples are in order, by the number of axes kept, and what that decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.distance import cdist
from scipy.stats import rankdata

from tensorly_norank._class_balance import class_weights, standard_error
from tensorly_norank._rank_search import LabelledPoints
from tensorly_norank._triplets import AllTriplets, pairwise_distances

WORTH_AN_AXIS = 0.001  # share of triplets: axes that bring less are not needed
BEYOND_LINEAR = 3.0  # standard errors by which an embedding must beat its linear part
_WORTH_BENDING = 0.02  # share of triplets: less is what taking noise out of a linear map buys


@dataclass(frozen=True)
class HeldOutPoints(LabelledPoints):
    """Samples that a fit has not seen, and the class means of those that it has."""

    fitted_classes: np.ndarray  # (K,) their codes, ascending
    fitted_means: np.ndarray  # (K, D) on the same axes

    @property
    def places(self) -> np.ndarray:
        """Of each sample's class among those of which samples are held out, (n,)."""
        return np.unique(self.codes, return_inverse=True)[1]


# Each anchor's share in the right order, ties by half, (n_anchors, n_ranks), and the weights of
# anchors: classes weigh the same, 1 in all.
Order = tuple[np.ndarray, np.ndarray]


def triplets_in_order(parts: Sequence[LabelledPoints], ranks: Sequence[int]) -> Order:
    """Of triplets of held-out samples; those that are alone in their class are no anchors."""
    accuracy = np.concatenate([_order_triplets(part, ranks) for part in parts])
    codes = np.concatenate([part.codes for part in parts])
    is_anchor = ~np.isnan(accuracy[:, 0])
    return accuracy[is_anchor], class_weights(codes[is_anchor])


def _order_triplets(part: LabelledPoints, ranks: Sequence[int]) -> np.ndarray:
    points, labels = torch.from_numpy(part.coordinates), torch.from_numpy(part.codes)
    by_rank = [
        AllTriplets.of_classes(pairwise_distances(points[:, :rank]), labels).order_by_anchor()
        for rank in ranks
    ]
    return torch.stack(by_rank, dim=1).numpy()


def means_in_order(parts: Sequence[HeldOutPoints], ranks: Sequence[int]) -> Order:
    """Of a held-out sample, the mean of its class and that of another, of fitted samples.

    Each sample has such a triplet for every other class of which samples are held out, and means
    have less noise than samples: of few samples this shows more than the triplets among them.
    """
    by_part = [
        np.stack(
            [shares[np.arange(len(part)), part.places] for shares in class_shares(part, ranks)],
            axis=1,
        )
        for part in parts
    ]
    return np.concatenate(by_part), class_weights(np.concatenate([part.codes for part in parts]))


def class_shares(part: HeldOutPoints, ranks: Sequence[int]) -> Iterator[np.ndarray]:
    """For each number of axes, ascending, what share of classes is farther than each, (n, C).

    Farther from each of the n samples, of the C − 1 others of which samples are held out. (The
    means of classes that have given away none are of more samples, or of few: what is nearer to
    everything, or farther, would not be so for the class's sake.) The mean over classes is 1/2.
    """
    classes = np.unique(part.codes)
    assert len(classes) > 1 and np.isin(classes, part.fitted_classes).all()
    means = part.fitted_means[np.searchsorted(part.fitted_classes, classes)]
    distances, start = np.zeros((len(part), len(classes))), 0
    for rank in ranks:
        added = slice(start, rank)
        distances += cdist(part.coordinates[:, added], means[:, added], "sqeuclidean")
        yield (len(classes) - rankdata(distances, axis=1)) / (len(classes) - 1)
        start = rank


def needed_components(
    accuracy: np.ndarray, weights: np.ndarray, n_standard_errors: float = 1.0
) -> int:
    """The fewest that fall short of the best by no more than so many standard errors, or 0.001.

    Of anchors (n_anchors, n_ranks) and their weights.
    """
    best = int((weights @ accuracy).argmax())
    cost = accuracy[:, [best]] - accuracy  # of the same anchors, so differences are paired
    forgiven = n_standard_errors * standard_error(cost, weights)
    is_enough = weights @ cost <= np.maximum(forgiven, WORTH_AN_AXIS)
    return int(np.argmax(is_enough)) + 1


def is_worth_bending(
    gain: np.ndarray, weights: np.ndarray, n_standard_errors: float = BEYOND_LINEAR
) -> bool:
    """Whether the share of triplets in order that a bent embedding gains (n,) is clear."""
    least = max(_WORTH_BENDING, float(n_standard_errors * standard_error(gain, weights)))
    return float(weights @ gain) > least
