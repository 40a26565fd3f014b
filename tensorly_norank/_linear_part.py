"""What of the samples, and of their embedding, is linear in the samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tensorly_norank._batches import shuffle_within_classes, some_samples
from tensorly_norank._parts import take_rows
from tensorly_norank._rank_test import compared_classes

_N_AXES = 128
_MOST_SAMPLES = 4096  # that axes and map are fitted to
_MOST_SCORED = 1000  # samples
_HALVED = 8  # samples of a class; of half of fewer, nobody would know the variance
_ROWS_AT_ONCE = 256
_PENALTIES = np.logspace(-4, 2, 13)  # in units of the mean sum of squares of a principal component


class PrincipalComponents:
    """Leading principal components of samples, at most half as many as samples, 128 at most.

    Parameters
    ----------
    samples : Tensor of shape (n, ...)
        Centred, and of about unit size: scikit-learn's solver subtracts the mean from squares,
        which costs single precision its digits where the mean is large.
    rng : numpy Generator
        Seeds the randomised solver.
    """

    def __init__(self, samples: Tensor, rng: np.random.Generator) -> None:
        from sklearn.decomposition import PCA

        rows = _rows(samples)
        self.n_axes = min(_N_AXES, max(len(rows) // 2, 1), rows.shape[1])
        self.is_constant = not np.ptp(rows, axis=0).any()
        if not self.is_constant:
            seed = int(rng.integers(2**31 - 1))
            found = PCA(self.n_axes, random_state=seed).fit(rows)
            self._mean, self._axes = (
                torch.from_numpy(own).to(samples.device).double()
                for own in (found.mean_, found.components_)
            )

    def __call__(self, samples: Tensor) -> Tensor:
        """Scores of samples (n, ...), (n, n_axes) in float64; zeros if the fitted ones are one.

        They are computed where the samples are, which so need not leave a GPU.
        """
        if self.is_constant:
            return samples.new_zeros((len(samples), self.n_axes), dtype=torch.float64)
        parts = [
            (some.flatten(1).double() - self._mean) @ self._axes.T
            for some in samples.split(_ROWS_AT_ONCE)
        ]
        return torch.cat(parts)


def principal_scores(
    samples: Tensor, codes: np.ndarray, shares: Sequence[int], rng: np.random.Generator
) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    """Scores on n // share principal components for each share, of n samples (n, ...); and codes.

    The samples are halved, and each half is scored on the components of the other: a list of two
    for each share. A component turns towards the noise of every sample that it is fitted to, by how
    noisy that one is. Where there are more entries than samples, a class that is noisier than the
    others would so get a mean of its own.

    Of more than 1,000 samples, so many are drawn. Classes of seven or fewer stay together, in a
    random half; if two or three of those are all that can be compared, one would be alone in its
    half, and samples are scored on their own components, one in the list. Shares that come to as
    many axes are one. Where at least as many samples are unlabelled (code −1), the components are
    theirs: then nothing need be halved, and there is one in the list.
    """
    unlabelled, labelled = np.flatnonzero(codes < 0), np.flatnonzero(codes >= 0)
    chosen = labelled[some_samples(codes[labelled], _MOST_SCORED, rng)]
    if len(unlabelled) >= len(labelled):
        drawn = rng.permutation(unlabelled)[:_MOST_SAMPLES]
        components = PrincipalComponents(take_rows(samples, drawn), rng)
        scores = components(take_rows(samples, chosen)).cpu().numpy()
        n_most, parts = components.n_axes, [(scores, codes[chosen])]
    else:
        points = _without_empty_dimensions(_rows(take_rows(samples, chosen)))
        n_most, own = min(_N_AXES, points.shape[1]), codes[chosen]
        sizes = np.bincount(own)[compared_classes(own)]
        if 2 <= len(sizes) <= 3 and sizes.max() < _HALVED:
            parts = [(points @ _leading_axes(points, _N_AXES), own)]
        else:
            parts = _halves(points, own, rng)
    n_axes = sorted({min(max(len(chosen) // share, 1), n_most) for share in shares})
    return [[(scores[:, :n], own) for scores, own in parts] for n in n_axes]


def _halves(
    points: np.ndarray, codes: np.ndarray, rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each half of the points on the principal axes of the other, and its codes."""
    is_first = _first_half(codes, rng)
    return [
        (points[half] @ _leading_axes(points[~half], _N_AXES), codes[half])
        for half in (is_first, ~is_first)
    ]


def _first_half(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half of each class, (n,) of bool; all or nothing of small ones."""
    order, place = shuffle_within_classes(codes, rng)
    sizes = np.bincount(codes)
    # By lot: in the order of names what is to be told apart may alternate. Of like sizes each half
    # gets as many, and so of those that are compared.
    small = rng.permutation(np.flatnonzero((sizes > 0) & (sizes < _HALVED)))
    small = small[np.lexsort((sizes[small], ~np.isin(small, compared_classes(codes))))]
    number = np.zeros(len(sizes), dtype=int)
    number[small] = np.arange(len(small))
    is_small = (sizes < _HALVED)[codes[order]]
    is_first = np.empty(len(codes), dtype=bool)
    is_first[order] = np.where(is_small, number[codes[order]], place) % 2 == 0
    return is_first


def _without_empty_dimensions(rows: np.ndarray) -> np.ndarray:
    """Centred rows (n, p) in at most n dimensions, distances as they are, (n, min(n, p))."""
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    if centred.shape[1] <= len(centred):
        return centred
    variances, vectors = np.linalg.eigh(centred @ centred.T)
    return vectors * np.sqrt(np.clip(variances, 0, None))


def _leading_axes(points: np.ndarray, n_axes: int) -> np.ndarray:
    """Principal axes, largest first, as columns (D, n_axes)."""
    centred = points - points.mean(axis=0)
    return np.linalg.eigh(centred.T @ centred)[1][:, : -n_axes - 1 : -1]


def _rows(samples: Tensor) -> np.ndarray:
    return samples.flatten(1).cpu().numpy()


class LinearPart:
    """The linear map of samples that comes nearest to their embedding.

    Ridge regression of the embedding on the leading principal components of the samples, the
    penalty chosen by leave-one-out cross-validation. Where class means of the samples differ in r
    directions, those of any linear map of them differ in no more, however the embedding bends
    what it was given: components are counted here.

    Parameters
    ----------
    samples : Tensor of shape (n, ...)
        Fitted samples.
    points : Tensor of shape (n, D)
        Their embedding.
    codes : ndarray of shape (n,)
        Their classes; those of none (−1) were not fitted, and take no part.
    rng : numpy Generator
        Draws 4,096 of the samples if there are more, and seeds the principal components.
    """

    def __init__(
        self, samples: Tensor, points: Tensor, codes: np.ndarray, rng: np.random.Generator
    ) -> None:
        from sklearn.linear_model import RidgeCV

        known = np.flatnonzero(codes >= 0)
        chosen = known[some_samples(codes[known], _MOST_SAMPLES, rng)]
        samples = take_rows(samples, chosen)
        self._components = PrincipalComponents(samples, rng)
        self._n_dimensions = points.shape[1]
        if self._components.is_constant:
            return
        scores = self._components(samples).cpu().numpy()  # (n, n_axes)
        unit = max((scores**2).sum() / scores.shape[1], np.finfo(float).tiny)
        regression = RidgeCV(unit * _PENALTIES).fit(
            scores, take_rows(points, chosen).double().cpu().numpy()
        )
        matrix = regression.coef_.reshape(self._n_dimensions, -1)  # (D, n_axes)
        intercept = np.broadcast_to(regression.intercept_, self._n_dimensions).copy()
        self._matrix, self._intercept = (
            torch.from_numpy(own).to(samples.device) for own in (matrix, intercept)
        )

    def __call__(self, samples: Tensor) -> Tensor:
        """The linear part of the embedding of samples (n, ...), (n, D) in float64, beside them."""
        if self._components.is_constant:
            return samples.new_zeros((len(samples), self._n_dimensions), dtype=torch.float64)
        return self._components(samples) @ self._matrix.T + self._intercept
