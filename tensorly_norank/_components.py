"""Canonical axes of an embedding, and how many of them carry structure.

Distances fix an embedding only up to a rotation; here it gets axes that mean something, and the
evidence, from samples that served no earlier decision, for how many of them to keep.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy import linalg, stats
from torch import Tensor

from tensorly_norank._batches import pairs_within_classes
from tensorly_norank.losses import triplet_accuracy_by_anchor

ALPHA = 0.01  # level of each test: one false component in a hundred data sets without structure
_VARIANCE_TESTED = 0.995
_N_RESAMPLES = 50
_RESAMPLED_SHARE = 0.8


@dataclass(frozen=True)
class CanonicalAxes:
    """A centre and orthonormal axes: first those that separate the classes, then by variance."""

    mean: Tensor  # (D,) over all fitted samples
    axes: Tensor  # (D, D) orthonormal columns; zero where the embedding has no variance left

    def project(self, embedding: Tensor, rank: int | None = None) -> Tensor:
        """Coordinates along the leading axes, (n, D) -> (n, rank)."""
        return (embedding - self.mean) @ self.axes[:, :rank]


def canonical_axes(embedding: Tensor, codes: Tensor) -> CanonicalAxes:
    """Find the canonical axes of an embedding (n, D) of samples with class codes (n,).

    First come the eigenvectors of the covariance of the class means, classes weighing equally, by
    eigenvalue: at most n_classes − 1. What is orthogonal to them follows, by variance. Signs are
    such that on each axis the first class (behind those axes: the first sample) that lies at least
    half as far out as the farthest one lies on the positive side.
    """
    points = embedding.double()
    mean = points.mean(dim=0)
    centred = points - mean
    class_means = torch.stack([centred[codes == code].mean(dim=0) for code in torch.unique(codes)])
    n_between = min(len(class_means) - 1, centred.shape[1])
    directions = _eigenvectors(class_means - class_means.mean(dim=0))
    between = directions[:, :n_between]
    rest = directions[:, n_between:]
    rest = rest @ _eigenvectors(centred @ rest)
    axes = torch.cat([_fix_signs(between, class_means), _fix_signs(rest, centred)], dim=1)
    # Along an axis that carries rounding errors alone, coordinates are 0 and not noise of length 1.
    lengths = (centred @ axes).norm(dim=0)
    axes = axes * (lengths > 100 * torch.finfo(embedding.dtype).eps * lengths.max())
    return CanonicalAxes(mean.to(embedding.dtype), axes.to(embedding.dtype))


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


@dataclass(frozen=True, eq=False)
class RankEvidence:
    """What held-out samples say about the number of components.

    Attributes
    ----------
    candidates : ndarray of int, shape (n_candidates,)
        Numbers of components that were looked at: 1, 2, ...
    statistic, p_value : ndarray, shape (n_candidates,)
        Bartlett's statistic for "fewer than this many directions separate the classes", and its
        p-value; where the held-out samples are too few for that, the F statistic of each axis by
        itself. Means and combined p-values where several fits held out samples. NaN from
        `n_classes` on, where there is nothing left to test.
    triplet_accuracy, triplet_accuracy_se : ndarray, shape (n_candidates,)
        Share of held-out triplets in the right order when this many components are kept, and the
        standard error of that share over anchors.
    significant : int
        How many directions separate the classes: candidates in order whose p-value is below 0.01.
    needed : int
        The smallest candidate whose triplet accuracy falls short of the best one's by no more than
        the standard error of their difference.
    chosen : int
        The number of components that the decomposition keeps when `rank` is not given:
        `significant`, but at least 1.
    n_held_out : int
        Number of samples that all this was measured on.
    stability : dict of int to float
        Share of 50 random four fifths of the held-out samples that give each `chosen`.
    """

    candidates: np.ndarray = field(repr=False)
    statistic: np.ndarray = field(repr=False)
    p_value: np.ndarray = field(repr=False)
    triplet_accuracy: np.ndarray = field(repr=False)
    triplet_accuracy_se: np.ndarray = field(repr=False)
    significant: int
    needed: int
    chosen: int
    n_held_out: int
    stability: dict[int, float]


@dataclass(frozen=True)
class HeldOut:
    """Samples that one fit has not seen, on the canonical axes of those that it has."""

    coordinates: np.ndarray  # (n, n_candidates)
    codes: np.ndarray  # (n,) at least two classes, one of them with two samples
    n_spanned: int  # how many of the axes the class means of the fit span

    def __len__(self) -> int:
        return len(self.codes)

    def resample(self, rng: np.random.Generator) -> HeldOut:
        """Four fifths of the samples, drawn in pairs of a class: a class of two stays or goes."""
        pairs = pairs_within_classes(self.codes, rng)
        kept = rng.permutation(pairs.max() + 1)[: int(_RESAMPLED_SHARE * (pairs.max() + 1))]
        indices = np.isin(pairs, kept)
        return HeldOut(self.coordinates[indices], self.codes[indices], self.n_spanned)

    @property
    def suffices_for_bartlett(self) -> bool:
        """Whether the samples are enough to test all directions that class means can span."""
        n_classes = len(np.unique(self.codes))
        return (len(self) - n_classes) // 2 >= self.n_spanned

    def test(self, by_axis: bool) -> tuple[np.ndarray, np.ndarray]:
        """Statistic and p-value of each candidate, NaN behind the axes that class means span."""
        test = axis_tests if by_axis else bartlett_test
        statistic, p_value = test(self.coordinates, self.codes)
        statistic[self.n_spanned :] = p_value[self.n_spanned :] = np.nan
        return statistic, p_value


def count_components(parts: Sequence[HeldOut], rng: np.random.Generator) -> RankEvidence:
    """Find how many leading canonical components carry structure on held-out samples.

    Several parts, disjoint and each held out of a fit of its own, speak together: statistics are
    means over them, p-values are combined by Fisher's method, triplet accuracies are means over all
    anchors, classes weighing the same. (Each part was among the training samples of the other
    parts' fits, so that the p-values are not quite independent: over data without structure, 1 to
    2 % fall below 0.01.)

    Parameters
    ----------
    parts : sequence of HeldOut
        One for each fit.
    rng : numpy Generator
        Draws the resamples of `stability`.

    Returns
    -------
    RankEvidence
    """
    by_axis = not all(part.suffices_for_bartlett for part in parts)
    statistic, p_value = _combine([part.test(by_axis) for part in parts])
    accuracy, weights = _triplet_accuracy_by_rank(parts)
    significant = _leading_rejections(p_value)

    def resampled_count() -> int:
        _, p_value = _combine([part.resample(rng).test(by_axis) for part in parts])
        return max(_leading_rejections(p_value), 1)

    counts = [resampled_count() for _ in range(_N_RESAMPLES)]
    return RankEvidence(
        candidates=np.arange(1, accuracy.shape[1] + 1),
        statistic=statistic,
        p_value=p_value,
        triplet_accuracy=weights @ accuracy,
        triplet_accuracy_se=_standard_error(accuracy, weights),
        significant=significant,
        needed=_needed(accuracy, weights),
        chosen=max(significant, 1),
        n_held_out=sum(map(len, parts)),
        stability={count: counts.count(count) / len(counts) for count in sorted(set(counts))},
    )


def _combine(tests: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean statistic and Fisher's combined p-value, from those parts that could test anything."""
    useful = [test for test in tests if not np.isnan(test[1][0])] or tests[:1]
    if len(useful) == 1:
        return useful[0]
    statistics, p_values = np.stack(useful, axis=1)
    smallest = np.finfo(float).tiny  # of which a logarithm can be taken
    fisher = -2 * np.log(np.clip(p_values, smallest, 1)).sum(axis=0)
    return statistics.mean(axis=0), stats.chi2.sf(fisher, 2 * len(useful))


def bartlett_test(coordinates: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bartlett's sequential test for the number of discriminant dimensions.

    With λ₁ ≥ λ₂ ≥ ... the eigenvalues of W⁻¹B (between- and within-class scatter), n samples, D
    dimensions and K classes, the hypothesis that at most r directions separate the classes is
    judged by (n − 1 − (D + K)/2) Σ_{j>r} log(1 + λ_j). Bartlett compares it with χ² of
    (D − r)(K − r − 1) degrees of freedom, which rejects too often where classes are small; the
    p-value here is that of Rao's F approximation to the same statistic. It assumes near-normal
    classes of equal covariance and more samples than dimensions; so D is cut to the principal axes
    with 99.5 % of the variance, and to half of the within-class degrees of freedom.

    Returns
    -------
    statistic, p_value : ndarray of shape (n_candidates,)
        Entry r is about candidate r + 1: the hypothesis "at most r". NaN where nothing can be
        tested.
    """
    n_candidates = coordinates.shape[1]
    statistic = np.full(n_candidates, np.nan)
    p_value = np.full(n_candidates, np.nan)
    _, codes = np.unique(codes, return_inverse=True)
    n_samples, n_classes = len(codes), int(codes.max()) + 1
    points = _leading_principal(coordinates, (n_samples - n_classes) // 2)
    n_dimensions = points.shape[1]
    if n_classes < 2 or n_dimensions < 1:
        return statistic, p_value
    within, between = _scatters(points, codes)
    eigenvalues = _relative_eigenvalues(between, within)
    informative = np.log1p(np.clip(eigenvalues, 0, None))
    for r in range(min(n_classes - 1, n_dimensions, n_candidates)):
        scale = n_samples - 1 - (n_dimensions + n_classes) / 2
        statistic[r] = scale * informative[r:].sum()
        p_value[r] = _rao_p_value(statistic[r], scale, n_dimensions - r, n_classes - r - 1)
    return statistic, p_value


def _rao_p_value(statistic: float, scale: float, p: int, q: int) -> float:
    """Of −`scale` · log Λ, Wilks' Λ of p dimensions and q degrees of freedom between classes."""
    t = np.sqrt((p**2 * q**2 - 4) / (p**2 + q**2 - 5)) if p**2 + q**2 > 5 else 1.0
    n_within = scale * t - p * q / 2 + 1
    return float(stats.f.sf(np.expm1(statistic / scale / t) * n_within / (p * q), p * q, n_within))


def axis_tests(coordinates: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Test each axis by itself for separating the classes: one-way analysis of variance.

    It needs no more than a few pairs of a class, where Bartlett's test of all axes together needs
    more samples than dimensions. It takes noise along an axis as normal and equal in all classes;
    it does not ask whether an axis tells more than the ones before it do.

    Returns
    -------
    statistic, p_value : ndarray of shape (n_candidates,)
        Entry r is about axis r + 1; NaN where nothing can be tested.
    """
    n_samples, n_candidates = coordinates.shape
    _, codes = np.unique(codes, return_inverse=True)
    n_classes = int(codes.max()) + 1
    n_between, n_within = n_classes - 1, n_samples - n_classes
    statistic = np.full(n_candidates, np.nan)
    if n_between < 1 or n_within < 1:
        return statistic, statistic.copy()
    within, between = _scatters(coordinates, codes)
    varies = between.diagonal() + within.diagonal() > 0
    with np.errstate(divide="ignore"):  # classes that are points: infinite
        ratio = between.diagonal()[varies] / within.diagonal()[varies]
    statistic[varies] = ratio * n_within / n_between
    return statistic, stats.f.sf(statistic, n_between, n_within)


def _scatters(points: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scatter matrices within and between the classes 0, 1, ..."""
    means = np.stack([points[codes == code].mean(axis=0) for code in range(codes.max() + 1)])
    within = points - means[codes]
    between = means[codes] - points.mean(axis=0)
    return within.T @ within, between.T @ between


def _leading_principal(coordinates: np.ndarray, n_most: int) -> np.ndarray:
    """The principal axes that hold 99.5 % of the variance, at most `n_most`, with variance 1."""
    centred = coordinates - coordinates.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    shares = np.cumsum(singular**2) / max(np.sum(singular**2), np.finfo(float).tiny)
    n_kept = int(np.searchsorted(shares, _VARIANCE_TESTED)) + 1
    n_kept = min(n_kept, n_most, int(np.sum(singular > 1e-9 * singular.max(initial=0))))
    return left[:, : max(n_kept, 0)] * np.sqrt(len(coordinates))


def _relative_eigenvalues(between: np.ndarray, within: np.ndarray) -> np.ndarray:
    """Eigenvalues of W⁻¹B, largest first; W is ridged by rounding error, for it may be singular."""
    ridge = 1e-10 * max(np.trace(within + between) / len(within), np.finfo(float).tiny)
    return linalg.eigh(between, within + ridge * np.eye(len(within)), eigvals_only=True)[::-1]


def _leading_rejections(p_value: np.ndarray) -> int:
    rejected = p_value < ALPHA  # False for NaN
    return int(np.argmin(rejected)) if not rejected.all() else len(rejected)


def _triplet_accuracy_by_rank(parts: Sequence[HeldOut]) -> tuple[np.ndarray, np.ndarray]:
    """Each anchor's share of triplets in the right order with 1, 2, ... components kept.

    (n_anchors, n_candidates), and the weight of each anchor: classes weigh the same, 1 in all.
    Samples that are alone in their class are no anchors.
    """
    accuracy = np.concatenate([_by_rank(part) for part in parts])
    codes = np.concatenate([part.codes for part in parts])
    is_anchor = ~np.isnan(accuracy[:, 0])
    _, codes, sizes = np.unique(codes[is_anchor], return_inverse=True, return_counts=True)
    return accuracy[is_anchor], 1 / (len(sizes) * sizes[codes])


def _by_rank(part: HeldOut) -> np.ndarray:
    points, labels = torch.from_numpy(part.coordinates), torch.from_numpy(part.codes)
    by_rank = [
        triplet_accuracy_by_anchor(points[:, :rank], labels).numpy()
        for rank in range(1, points.shape[1] + 1)
    ]
    return np.stack(by_rank, axis=1)


def _standard_error(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Of the weighted mean of each column."""
    return np.sqrt(weights**2 @ (values - weights @ values) ** 2)


def _needed(accuracy: np.ndarray, weights: np.ndarray) -> int:
    best = int((weights @ accuracy).argmax())
    cost = accuracy[:, [best]] - accuracy  # of the same anchors, so differences are paired
    return int(np.argmax(weights @ cost <= _standard_error(cost, weights) + 1e-12)) + 1


def warn_if_nothing_found(evidence: RankEvidence) -> None:
    """Say plainly when the held-out samples show no structure."""
    if evidence.significant > 0:
        return
    if np.isnan(evidence.p_value[0]):
        reason = "(they do not differ at all): the data may be constant"
    else:
        reason = f"(p = {evidence.p_value[0]:.2g}): the labels may not depend on the data"
    warnings.warn(
        f"No component separates the classes on {evidence.n_held_out} held-out samples {reason}. "
        "1 component is kept.",
        UserWarning,
        stacklevel=4,
    )
