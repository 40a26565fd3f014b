"""Labels lent to unlabelled samples by their neighbours, as far as the labelled ones vouch."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from torch import Tensor

from tensorly_norank._batches import shuffle_within_classes
from tensorly_norank._embedder import centred_and_scaled
from tensorly_norank._imputation import filled
from tensorly_norank._linear_part import PrincipalComponents
from tensorly_norank._parts import take_rows

_N_NEIGHBORS = 5
_KEPT = 0.9  # of what a sample knows, that comes from its neighbours at every step
_N_STEPS = 50
_N_FOLDS = 5
_RIGHT = 0.85  # share of lent labels that must be right for sure (one standard error)
_RIGHT_BY_ITSELF = 0.5  # the same of the least confident ones
_MOST_FOR_AXES = 4096  # samples
_LARGEST_CHUNK = 2**24  # numbers held at once


class LabelSpreader:
    """Spreads labels over the graph of nearest neighbours of samples [1]_.

    Two samples are joined if one is among the 5 nearest neighbours of the other, in the principal
    components of the samples (128 at most), with a weight that falls off with their distance in
    units of that of the fifth neighbour. Every labelled sample starts with as much of its label,
    and each step lets nine tenths of it flow on.

    A sample gets the class of which it has most. Its confidence is the share of that class. How far
    confidence can be trusted the labelled samples say: a fifth of each class at a time is treated
    as unlabelled. Labels are lent from the confidence on from which, of those, 85 % or more are
    right, at the lower end of Wilson's interval of one standard error, and of the least confident
    at least half (by isotonic regression): with few labelled samples, or neighbours that say little
    about classes, that may be nowhere. Of these, a class lends its label if it is right for more
    than half of the samples that would get it: rare classes among large ones often are not.

    It is taken for granted that labels are missing at random, so that unlabelled samples are of the
    labelled classes, in the same shares. Nothing can be seen of a class that nobody has labelled.

    Parameters
    ----------
    samples : Tensor of shape (n, ...)
        All samples, labelled or not.
    rng : numpy Generator
        Seeds the principal components, and what is treated as unlabelled together.

    References
    ----------
    .. [1] D. Zhou, O. Bousquet, T. Lal, J. Weston and B. Schölkopf, "Learning with local and global
       consistency", NIPS 16 (2004).
    """

    def __init__(self, samples: Tensor, rng: np.random.Generator) -> None:
        samples = centred_and_scaled(filled(samples))
        drawn = rng.permutation(len(samples))[:_MOST_FOR_AXES]
        components = PrincipalComponents(take_rows(samples, drawn), rng)
        self._graph = _neighbour_graph(components(samples).cpu().numpy())
        self._seed = int(rng.integers(2**63))
        self._filled: dict[bytes, np.ndarray] = {}  # by the codes that were given

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """Class codes (n,), −1 where unknown; with the labels that are lent filled in.

        The same codes get the same labels whenever they are asked for, and are worked out once.
        """
        key = codes.tobytes()
        if key not in self._filled:
            self._filled[key] = self._fill(codes)
        return self._filled[key].copy()

    def _fill(self, codes: np.ndarray) -> np.ndarray:
        known = np.flatnonzero(codes >= 0)
        lent, confidence = self._spread(codes)
        guessed, its_confidence = self._guess_the_known(codes, known)
        is_right = guessed == codes[known]
        needed = _needed_confidence(is_right, its_confidence)
        is_sure = its_confidence >= needed
        lenders = _classes_mostly_right(guessed[is_sure], is_right[is_sure])
        is_lent = (codes < 0) & (confidence >= needed) & np.isin(lent, lenders)
        return np.where(is_lent, lent, codes)

    def _guess_the_known(
        self, codes: np.ndarray, known: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What each labelled sample would get, and how confidently, without its own label."""
        order, place = shuffle_within_classes(codes[known], np.random.default_rng(self._seed))
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
        """The class of which each sample has most, (n,), −1 where none, and its share, (n,)."""
        n_samples, classes = len(codes), np.unique(codes[codes >= 0])
        best, most, total = np.full(n_samples, -1), np.zeros(n_samples), np.zeros(n_samples)
        n_at_once = max(1, _LARGEST_CHUNK // n_samples)
        for start in range(0, len(classes), n_at_once):
            some = classes[start : start + n_at_once]
            own = (codes[:, None] == some).astype(float)
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


def _classes_mostly_right(guessed: np.ndarray, is_right: np.ndarray) -> np.ndarray:
    """Those that more than half of the samples for which they were guessed belong to."""
    classes, of_class = np.unique(guessed, return_inverse=True)
    return classes[np.bincount(of_class, weights=is_right - 0.5, minlength=len(classes)) > 0]


def _needed_confidence(is_right: np.ndarray, confidence: np.ndarray) -> float:
    """The least one from which on enough are right; infinite if there is none."""
    from sklearn.isotonic import IsotonicRegression

    order = np.argsort(-confidence)
    confidence, is_right = confidence[order], is_right[order].astype(float)
    n_so_far = np.arange(1, len(order) + 1)
    share = np.cumsum(is_right) / n_so_far
    spread = np.sqrt(share * (1 - share) / n_so_far + 1 / (4 * n_so_far**2))
    least = (share + 1 / (2 * n_so_far) - spread) / (1 + 1 / n_so_far)  # Wilson's, at one sigma
    by_itself = IsotonicRegression().fit_transform(confidence, is_right)
    # Of samples that are equally confident all are lent a label, or none.
    is_last = np.append(confidence[1:] < confidence[:-1], True)
    enough = np.flatnonzero((least >= _RIGHT) & (by_itself >= _RIGHT_BY_ITSELF) & is_last)
    return float(confidence[enough[-1]]) if len(enough) else np.inf
