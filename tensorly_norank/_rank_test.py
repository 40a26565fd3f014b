"""In how many directions do class means differ? A sequential test by the wild bootstrap."""

from __future__ import annotations

import numpy as np

_N_DRAWS = 299  # the smallest p-value is 1/300
_LARGEST_CHUNK = 2**22  # numbers held at once


class MeansRankTest:
    """Tests the hypotheses "class means differ in at most r directions", r = 0, 1, ...

    With λ₁ ≥ λ₂ ≥ ... the eigenvalues of W⁻¹B (scatter within classes and of their means) of n
    samples in D dimensions and K classes, the statistic is what is left of Lawley and Hotelling's
    trace [2]_,

        (n − K) Σ_{j>r} λ_j.

    What it might be if the hypothesis were true is simulated (the wild bootstrap [1]_): the class
    means are cut to their r leading directions (singular vectors in the metric of W), and every
    sample is put at its class's mean plus or minus its own deviation, by lot. Deviations are
    enlarged by √(n_k / (n_k − 1)), for the mean was estimated from them. So classes may differ in
    covariance, size and tails, where χ² and F approximations reject far too often. What is taken
    for granted is that samples are independent, and deviations as likely to one side as to the
    other. W is shrunk towards a multiple of the identity, by D / (D + n − K), so that fewer samples
    than dimensions will do.

    Parameters
    ----------
    points : ndarray of shape (n, D)
        Samples that served no decision about the coordinates they are given in.
    codes : ndarray of shape (n,)
        Their classes. Samples alone in their class are left out.
    rng : numpy Generator
        Draws the signs.

    Attributes
    ----------
    n_tests : int
        How many hypotheses there are: r = 0, ..., n_tests − 1.

    References
    ----------
    .. [1] C. F. J. Wu, "Jackknife, bootstrap and other resampling methods in regression analysis",
       Annals of Statistics 14, 1261-1295 (1986).
    .. [2] T. W. Anderson, "An Introduction to Multivariate Statistical Analysis", 3rd ed. (Wiley,
       2003), chapters 8 and 12.
    """

    def __init__(self, points: np.ndarray, codes: np.ndarray, rng: np.random.Generator) -> None:
        has_partner = np.bincount(codes)[codes] > 1
        points, codes = points[has_partner], codes[has_partner]
        varies = np.ptp(points, axis=0) > 0 if len(points) else np.zeros(points.shape[1], bool)
        _, self._codes, self._sizes = np.unique(codes, return_inverse=True, return_counts=True)
        self._points = points[:, varies] - points[:1, varies]
        self._rng = rng
        self.n_tests = max(min(len(self._sizes) - 1, self._points.shape[1]), 0)
        if self.n_tests:
            self._prepare()

    def _prepare(self) -> None:
        n_samples, n_classes = len(self._codes), len(self._sizes)
        self._n_within = n_samples - n_classes
        self._is_in = np.equal.outer(np.arange(n_classes), self._codes).astype(float)  # (K, n)
        means = self._class_means(self._points)
        deviations = self._points - means[self._codes]
        spread = np.sqrt((deviations**2).sum(axis=0) / self._n_within)
        # Classes that are points have no spread: next to none, in units of the whole.
        spread = np.maximum(spread, 1e-6 * self._points.std(axis=0))
        deviations = deviations / spread
        self._axes, self._singular, self._root = self._decompose(
            means / spread, deviations.T @ deviations
        )
        self._deviations = deviations * np.sqrt(self._sizes / (self._sizes - 1))[self._codes, None]
        self._scatter = self._deviations.T @ self._deviations

    def _class_means(self, points: np.ndarray) -> np.ndarray:
        """Of points (..., n, D), (..., K, D)."""
        return (self._is_in @ points) / self._sizes[:, None]

    def _decompose(
        self, means: np.ndarray, within: np.ndarray
    ) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
        """Singular values of the class means (..., K, D), weighted by size, in the metric of W."""
        n_samples, n_dimensions = self._points.shape
        share = n_dimensions / (n_dimensions + self._n_within)
        size = np.trace(within, axis1=-2, axis2=-1)[..., None, None] / n_dimensions
        floor = 1e-9 * n_samples  # in units of the variance within classes, which may be none
        shrunk = (1 - share) * within + (share * size + floor) * np.eye(n_dimensions)
        root = np.linalg.cholesky(shrunk)
        centred = means - (self._sizes @ means)[..., None, :] / n_samples
        weighted = np.sqrt(self._sizes)[:, None] * centred  # (..., K, D)
        left, singular, right = np.linalg.svd(
            np.linalg.solve(root, weighted.swapaxes(-1, -2)), full_matrices=False
        )
        return (left, right), singular, root

    def statistic(self, r: int) -> float:
        """That of the hypothesis "at most r directions"."""
        return float(self._n_within * (self._singular[r:] ** 2).sum())

    def draws(self, r: int) -> np.ndarray:
        """What the statistic might be if the hypothesis were true, (299,)."""
        left, right = self._axes
        kept = (left[:, :r] * self._singular[:r]) @ right[:r]  # (D, K) in the metric of W
        means = (self._root @ kept).T / np.sqrt(self._sizes)[:, None]
        n_samples, n_dimensions = self._points.shape
        n_numbers = n_samples * n_dimensions + n_dimensions**2 + len(means) * n_dimensions
        n_at_once = max(1, _LARGEST_CHUNK // n_numbers)
        drawn = []
        for start in range(0, _N_DRAWS, n_at_once):
            n_here = min(n_at_once, _N_DRAWS - start)
            signs = 1.0 - 2.0 * self._rng.integers(2, size=(n_here, n_samples, 1))
            shifts = self._class_means(signs * self._deviations)  # (n_here, K, D)
            lost = (shifts * self._sizes[:, None]).swapaxes(-1, -2) @ shifts
            _, singular, _ = self._decompose(means + shifts, self._scatter - lost)
            drawn.append((singular[:, r:] ** 2).sum(axis=-1))
        return self._n_within * np.concatenate(drawn)
