"""Labels lent to unlabelled samples by their neighbours, as far as the labelled ones vouch."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from torch import Tensor

from tensorly_norank._batches import shuffle_within_classes
from tensorly_norank._linear_part import PrincipalComponents

_N_NEIGHBORS = 5
_KEPT = 0.9  # of what a sample knows, that comes from its neighbours at every step
_N_STEPS = 50
_N_FOLDS = 5
_RIGHT = 0.85  # share of lent labels that must be right for sure (one standard error)
_LARGEST_CHUNK = 2**24  # numbers held at once


class LabelSpreader:
    """Spreads labels over the graph of nearest neighbours of samples [1]_.

    Two samples are joined if one is among the 5 nearest neighbours of the other, in the principal
    components of the samples (128 at most), with a weight that falls off with their distance in
    units of that of the fifth neighbour. Every class starts with the same amount of label, evenly
    on its labelled samples, and each step lets nine tenths of it flow on.

    A sample gets the class of which it has most. Its confidence is the share of that class. How far
    confidence can be trusted the labelled samples say: a fifth of each class at a time is treated
    as unlabelled. Labels are lent from the confidence on from which, of those, 85 % or more are
    right, at the lower end of Wilson's interval of one standard error: with few labelled samples,
    or neighbours that say little about classes, that may be nowhere.

    Parameters
    ----------
    samples : Tensor of shape (n, ...)
        All samples, labelled or not.
    rng : numpy Generator
        Seeds the principal components.

    References
    ----------
    .. [1] D. Zhou, O. Bousquet, T. Lal, J. Weston and B. Schölkopf, "Learning with local and global
       consistency", NIPS 16 (2004).
    """

    def __init__(self, samples: Tensor, rng: np.random.Generator) -> None:
        self._graph = _neighbour_graph(PrincipalComponents(samples, rng)(samples))

    def __call__(self, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Class codes (n,), −1 where unknown; with the labels that are lent filled in."""
        known = np.flatnonzero(codes >= 0)
        lent, confidence = self._spread(codes)
        guessed, its_confidence = self._guess_the_known(codes, known, rng)
        needed = _needed_confidence(guessed == codes[known], its_confidence)
        return np.where((codes < 0) & (confidence >= needed), lent, codes)

    def _guess_the_known(
        self, codes: np.ndarray, known: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """What each labelled sample would get, and how confidently, without its own label."""
        order, place = shuffle_within_classes(codes[known], rng)
        guessed, confidence = np.empty(len(known), dtype=int), np.empty(len(known))
        for fold in range(_N_FOLDS):
            own = order[place % _N_FOLDS == fold]
            if len(own):
                hidden = codes.copy()
                hidden[known[own]] = -1
                of_all, confidences = self._spread(hidden)
                guessed[own], confidence[own] = of_all[known[own]], confidences[known[own]]
        return guessed, confidence

    def _spread(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The class of which each sample has most, (n,), and the share of it, (n,)."""
        n_samples, classes = len(codes), np.unique(codes[codes >= 0])
        best, most, total = np.zeros(n_samples, int), np.zeros(n_samples), np.zeros(n_samples)
        n_at_once = max(1, _LARGEST_CHUNK // n_samples)
        for start in range(0, len(classes), n_at_once):
            some = classes[start : start + n_at_once]
            own = (codes[:, None] == some).astype(float)
            own /= own.sum(axis=0)
            amounts = own
            for _ in range(_N_STEPS):
                amounts = _KEPT * (self._graph @ amounts) + (1 - _KEPT) * own
            largest = amounts.max(axis=1)
            best = np.where(largest > most, some[amounts.argmax(axis=1)], best)
            most, total = np.maximum(most, largest), total + amounts.sum(axis=1)
        return best, np.divide(most, total, out=np.zeros(n_samples), where=total > 0)


def _neighbour_graph(points: np.ndarray) -> sparse.csr_matrix:
    """Weights between neighbours, divided by the roots of what both have in all, (n, n)."""
    from sklearn.neighbors import kneighbors_graph

    n_neighbors = min(_N_NEIGHBORS, len(points) - 1)
    distances = kneighbors_graph(points, n_neighbors, mode="distance")
    of_each = distances.data.reshape(len(points), n_neighbors)
    unit = np.maximum(of_each.max(axis=1, keepdims=True), np.finfo(float).tiny)
    distances.data = np.exp(-((of_each / unit) ** 2)).reshape(-1)
    weights = distances.maximum(distances.T)
    scale = sparse.diags(1 / np.sqrt(np.asarray(weights.sum(axis=1)).reshape(-1)))
    return (scale @ weights @ scale).tocsr()


def _needed_confidence(is_right: np.ndarray, confidence: np.ndarray) -> float:
    """The least one from which on enough are right; infinite if there is none."""
    order = np.argsort(-confidence, kind="stable")
    n_so_far = np.arange(1, len(order) + 1)
    share = np.cumsum(is_right[order]) / n_so_far
    spread = np.sqrt(share * (1 - share) / n_so_far + 1 / (4 * n_so_far**2))
    least = (share + 1 / (2 * n_so_far) - spread) / (1 + 1 / n_so_far)  # Wilson's, at one sigma
    enough = np.flatnonzero(least >= _RIGHT)
    return float(confidence[order[enough[-1]]]) if len(enough) else np.inf
