"""In how many directions do class means differ? A sequential test by the wild bootstrap."""

from __future__ import annotations

from functools import cached_property

import numpy as np

N_DRAWS = 599  # the smallest p-value is 1/600: five tests together can still reject at 0.01
_LARGEST_CHUNK = 2**22  # numbers held at once
_PRIOR_SAMPLES = 5  # of the average variance, that a class's own is mixed with
_SMALL_CLASS = 4  # smaller ones are left out if the others hold half of the samples
_PERMUTED = 200  # with fewer samples, "no direction" is tested by permutations too
_ROUNDING = 1e-6  # axes that vary less than that, compared with the widest, carry rounding errors


class _ClassScatter:
    """Class means in the metric of the scatter within classes; of stacks of data sets at once.

    Parameters
    ----------
    points : ndarray of shape (..., n, D)
        Samples, those of a class one after the other.
    starts, sizes : ndarray of shape (K,)
        Where each class begins and how many samples it has.
    """

    def __init__(self, points: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> None:
        self._starts, self._sizes = starts, sizes
        n_samples, n_dimensions = points.shape[-2:]
        self.n_within = n_samples - len(sizes)
        self.share = n_dimensions / (n_dimensions + self.n_within)  # of the identity, in W
        means = self._sums(points) / sizes[:, None]
        deviations = points - np.repeat(means, sizes, axis=-2)
        spread = np.sqrt((deviations**2).sum(axis=-2, keepdims=True) / self.n_within)
        # Classes that are points have no spread: next to none, in units of the whole.
        spread = np.maximum(spread, 1e-6 * points.std(axis=-2, keepdims=True))
        self.means = means / spread  # (..., K, D)
        self.deviations = deviations / spread  # (..., n, D)
        # A class's own variance, in units of the average; of small classes mostly the average.
        own = self._sums((self.deviations**2).mean(axis=-1, keepdims=True))[..., 0]
        self._variances = (own + _PRIOR_SAMPLES) / (sizes - 1 + _PRIOR_SAMPLES)  # (..., K)
        self.weights = sizes / self._variances  # (..., K)
        within = self._within(self.deviations)
        trace = np.trace(within, axis1=-2, axis2=-1)[..., None, None]
        floor = 1e-9 * n_samples  # in units of the variance within classes, which may be none
        self._ridge = self.share * trace / n_dimensions + floor
        self.root = self.root_of(self.deviations)  # (..., D, D)

    def _sums(self, values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, self._starts, axis=-2)

    def _within(self, deviations: np.ndarray) -> np.ndarray:
        weighted = deviations / np.repeat(np.sqrt(self._variances), self._sizes, axis=-1)[..., None]
        return weighted.swapaxes(-1, -2) @ weighted

    def root_of(self, deviations: np.ndarray) -> np.ndarray:
        """Of the scatter matrix of these deviations, shrunk as much as that of the samples."""
        shrunk = (1 - self.share) * self._within(deviations)
        return np.linalg.cholesky(shrunk + self._ridge * np.eye(deviations.shape[-1]))

    def weigh(self, means: np.ndarray) -> np.ndarray:
        """Class means (..., K, D), centred and times the roots of their weights."""
        weights = self.weights[..., None]
        centre = (weights * means).sum(axis=-2, keepdims=True) / weights.sum(axis=-2, keepdims=True)
        return np.sqrt(weights) * (means - centre)

    def whitened_means(self) -> np.ndarray:
        """W^(-1/2) times the weighted class means, (..., D, K)."""
        return np.linalg.solve(self.root, self.weigh(self.means).swapaxes(-1, -2))


def compared_classes(codes: np.ndarray) -> np.ndarray:
    """Which classes are large enough for their means to be compared."""
    sizes = np.bincount(codes)
    smallest = _SMALL_CLASS if 2 * sizes[sizes >= _SMALL_CLASS].sum() >= len(codes) else 2
    return np.flatnonzero(sizes >= smallest)


class MeansRankTest:
    """Tests the hypotheses "class means differ in at most r directions", r = 0, 1, ...

    With n samples in D dimensions, n_k of them in class k of K, and λ₁ ≥ λ₂ ≥ ... the eigenvalues
    of W⁻¹B, the statistic is what is left of Lawley and Hotelling's trace [2]_,

        (n − K) Σ_{j>r} λ_j.

    W and B are the scatter matrices within classes and of their means, in which a sample of class k
    weighs 1 / v_k (as in Welch's test [1]_), v_k being the class's own variance in units of the
    average. Without that, the mean of a small class that varies much lies farther from the others'
    than means that differ, and takes the place of a direction.

    What the statistic might be if the hypothesis were true is simulated (the wild bootstrap [3]_):
    the class means are cut to their r leading directions (singular vectors in the metric of W), and
    every sample is put at its class's mean plus or minus (at random) its deviation. Deviations are
    enlarged by √(n_k / (n_k − 1)), for the mean was estimated from them. So classes may differ in
    covariance, size and tails, where χ² and F approximations reject far too often. What is taken
    for granted is that samples are independent, and deviations as likely to one side as to the
    other. W is shrunk towards a multiple of the identity, by D / (D + n − K), so that fewer samples
    than dimensions will do.

    A bootstrap of few samples is not to be trusted: with fewer than 200, "no direction at all"
    (r = 0) is also tested by permutations of the labels, whose level is exact where labels mean
    nothing, and the larger p-value counts. Classes of two or three samples, whose variance nobody
    knows, are left out if the others hold half of the samples.

    Parameters
    ----------
    points : ndarray of shape (n, D)
        Samples, in coordinates that were chosen without their labels.
    codes : ndarray of shape (n,)
        Their classes. Samples alone in their class are left out.
    rng : numpy Generator
        Draws the signs.
    classes : ndarray of int, optional
        Codes of the classes to be compared, those that have two samples; by default the test finds
        out which are large enough.

    Attributes
    ----------
    classes : ndarray of int
        Codes of the classes whose means are compared.
    sizes : ndarray of int
        How many samples each of these has.
    n_tests : int
        How many hypotheses there are: r = 0, ..., n_tests − 1.

    References
    ----------
    .. [1] B. L. Welch, "On the comparison of several mean values: an alternative approach",
       Biometrika 38, 330-336 (1951).
    .. [2] T. W. Anderson, "An Introduction to Multivariate Statistical Analysis", 3rd ed. (Wiley,
       2003), chapters 8 and 12.
    .. [3] C. F. J. Wu, "Jackknife, bootstrap and other resampling methods in regression analysis",
       Annals of Statistics 14, 1261-1295 (1986).
    """

    def __init__(
        self,
        points: np.ndarray,
        codes: np.ndarray,
        rng: np.random.Generator,
        classes: np.ndarray | None = None,
    ) -> None:
        if classes is None:
            kept = np.flatnonzero(np.isin(codes, compared_classes(codes)))
        else:
            kept = np.flatnonzero((np.bincount(codes)[codes] >= 2) & np.isin(codes, classes))
        kept = kept[np.argsort(codes[kept], kind="stable")]
        points, codes = points[kept], codes[kept]
        width = np.ptp(points, axis=0) if len(points) else np.zeros(points.shape[1])
        varies = width > _ROUNDING * width.max(initial=0)
        self.classes, starts, sizes = np.unique(codes, return_index=True, return_counts=True)
        self._starts, self.sizes = starts, sizes
        self._points = points[:, varies] - points[:1, varies]
        self._rng = rng
        self.n_tests = max(min(len(sizes) - 1, self._points.shape[1]), 0)

    @cached_property
    def _scatter(self) -> _ClassScatter:
        return _ClassScatter(self._points, self._starts, self.sizes)

    @cached_property
    def _decomposed_means(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return np.linalg.svd(self._scatter.whitened_means(), full_matrices=False)

    @cached_property
    def _enlarged(self) -> np.ndarray:
        """Deviations as long as those from the true means, (n, D)."""
        factor = np.sqrt(self.sizes / (self.sizes - 1))
        return self._scatter.deviations * np.repeat(factor, self.sizes)[:, None]

    @cached_property
    def _drawn_root(self) -> np.ndarray:
        """Of the scatter of enlarged deviations: the metric of all that is drawn."""
        return self._scatter.root_of(self._enlarged)

    @cached_property
    def _deviations(self) -> np.ndarray:
        """The enlarged ones, in that metric."""
        return np.linalg.solve(self._drawn_root, self._enlarged.T).T

    def _cut_means(self, r: int) -> np.ndarray:
        """The weighted class means in their r leading directions, in that metric, (K, D)."""
        left, singular, right = self._decomposed_means
        turned = np.linalg.solve(self._drawn_root, self._scatter.root @ left[:, :r])
        return ((turned * singular[:r]) @ right[:r]).T

    def statistic(self, r: int) -> float:
        """That of the hypothesis "at most r directions"."""
        _, singular, _ = self._decomposed_means
        return float(self._scatter.n_within * (singular[r:] ** 2).sum())

    def draws(self, r: int, n_draws: int = N_DRAWS) -> np.ndarray:
        """What the statistic might be if the hypothesis were true, (1 or 2, n_draws).

        A row by the bootstrap, and of few samples, for r = 0, another by permutation.
        """
        if r == 0 and len(self._points) < _PERMUTED:
            return np.stack([self._bootstrap(r, n_draws), self._permutations(n_draws)])
        return self._bootstrap(r, n_draws)[None]

    def _permutations(self, n_draws: int) -> np.ndarray:
        n_at_once = max(1, _LARGEST_CHUNK // self._points.size)
        drawn = []
        for start in range(0, n_draws, n_at_once):
            n_here = min(n_at_once, n_draws - start)
            orders = [self._rng.permutation(len(self._points)) for _ in range(n_here)]
            scatter = _ClassScatter(self._points[np.array(orders)], self._starts, self.sizes)
            drawn.append((scatter.whitened_means() ** 2).sum(axis=(-2, -1)))
        return self._scatter.n_within * np.concatenate(drawn)

    def _bootstrap(self, r: int, n_draws: int) -> np.ndarray:
        root_weights = np.sqrt(self._scatter.weights)[:, None]
        means = self._cut_means(r) / root_weights
        n_samples = len(self._points)
        n_numbers = n_samples + 4 * means.size + 4 * min(means.shape) ** 2
        n_at_once = max(1, _LARGEST_CHUNK // n_numbers)
        drawn = []
        for start in range(0, n_draws, n_at_once):
            n_here = min(n_at_once, n_draws - start)
            shifts = self._shifts(1.0 - 2.0 * self._rng.integers(2, size=(n_here, n_samples)))
            weighted = self._scatter.weigh(means + shifts)
            eigenvalues = self._eigenvalues(weighted, root_weights * shifts)  # ascending
            drawn.append(eigenvalues[:, : eigenvalues.shape[1] - r].sum(axis=-1))
        return self._scatter.n_within * np.concatenate(drawn)

    def _shifts(self, signs: np.ndarray) -> np.ndarray:
        """Class means of the deviations with these signs (m, n), (m, K, D)."""
        shifts = np.empty((len(signs), len(self.sizes), self._points.shape[1]))
        for k, (start, size) in enumerate(zip(self._starts, self.sizes, strict=True)):
            own = slice(start, start + size)
            shifts[:, k] = signs[:, own] @ self._deviations[own] / size
        return shifts

    def _eigenvalues(self, means: np.ndarray, lost: np.ndarray) -> np.ndarray:
        """Of M (I − s Lᵀ L)⁻¹ Mᵀ, s = 1 − share, M and L (..., K, D); without the zeros if K > D.

        L is what the class means that are drawn take from the scatter within classes.
        """
        n_classes, n_dimensions = means.shape[-2:]
        kept, across = 1 - self._scatter.share, means.swapaxes(-1, -2)
        if n_classes > n_dimensions:
            within = np.eye(n_dimensions) - kept * (lost.swapaxes(-1, -2) @ lost)
            whitened = np.linalg.solve(np.linalg.cholesky(within), across)  # (..., D, K)
            return np.linalg.eigvalsh(whitened @ whitened.swapaxes(-1, -2))
        # Woodbury's identity: only matrices of the size of the number of classes.
        mixed = lost @ across  # (..., K, K)
        inner = np.eye(n_classes) / kept - lost @ lost.swapaxes(-1, -2)
        added = mixed.swapaxes(-1, -2) @ np.linalg.solve(inner, mixed)
        return np.linalg.eigvalsh(means @ across + added)
