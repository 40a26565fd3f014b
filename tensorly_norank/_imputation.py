"""What encoders see where nothing was observed: what the rest of the sample makes likely."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_NUMBERS_OF_AXES = (0, 1, 2, 4, 8, 16, 32)  # tried in turn, until two have not helped
_MOST_PRODUCTS = 2**25  # of loadings of an entry, all entries: with many, fewer axes do
_MOST_SAMPLES = 2048  # that are learned from
_MOST_ENTRIES = 1024  # of a sample, that tell how many axes help
_SHARE_JUDGED = 10  # one of so many observed entries tells how many axes help
_N_ITERATIONS = 20
_TOL = 1e-3
_ROUNDING = 1e-9
_PRIOR_SAMPLES = 5  # that say that an entry has no loading
_ROWS_AT_ONCE = 256


class Imputer(nn.Module):
    """The conditional mean of missing entries, given those of the same sample that were observed.

    Samples are taken for Gaussian: some hidden scores of variance 1, times loadings, and noise of
    the same variance on all entries (probabilistic principal components [1]_). Mean, loadings and
    noise are the most likely ones given the entries that were observed, by at most 20 steps of
    expectation maximisation [2]_, but for loadings, to which each step adds five samples that have
    none: those of entries that were seldom observed stay small. Of 0, 1, 2, 4, ... 32 axes (fewer
    than entries, and at most a quarter as many as samples) it takes more, until two numbers have
    not helped, where they predict better one in ten of the observed entries, which are hidden for
    that: by one standard error, and by two than none do, for an axis of chance would be in all that
    it fills in.

    A sample is filled in by itself: others beside it make no difference. Missing entries are NaN.
    What was never observed in `samples` counts as missing in others too: nobody knows what it
    means.

    Parameters
    ----------
    samples : Tensor of shape (n, *sample_shape)
        What is learned from: 2,048 of them drawn at random, the same in every run, if there are
        more.

    References
    ----------
    .. [1] M. E. Tipping and C. M. Bishop, "Probabilistic principal component analysis", J. R. Stat.
       Soc. B 61, 611-622 (1999).
    .. [2] A. Ilin and T. Raiko, "Practical approaches to principal component analysis in the
       presence of missing values", J. Mach. Learn. Res. 11, 1957-2000 (2010).
    """

    mean: Tensor  # (p,)
    loadings: Tensor  # (p, n_axes)
    noise: Tensor  # variance
    is_known: Tensor  # (*sample_shape) of bool: observed in any sample

    def __init__(self, samples: Tensor) -> None:
        super().__init__()
        self.register_buffer("is_known", ~samples.isnan().all(dim=0))
        # On the host, whatever torch's default device: the same numbers for all devices.
        generator = torch.Generator("cpu").manual_seed(0)
        order = torch.randperm(len(samples), generator=generator, device="cpu")
        drawn = order[:_MOST_SAMPLES].sort().values
        rows = samples[drawn.to(samples.device)].flatten(1).double()
        self.register_buffer("mean", mean_of_observed(rows))
        self.register_buffer("loadings", rows.new_zeros(rows.shape[1], 0))
        self.register_buffer("noise", rows.new_ones(()))
        with torch.no_grad():
            self._learn(rows, self._best_number_of_axes(rows))
        self.loadings = self.loadings.contiguous()  # as it comes out of a file

    def forward(self, samples: Tensor) -> Tensor:
        """Samples (n, *sample_shape) with NaN where nothing was observed; filled in, a copy."""
        known = samples.masked_fill(~self.is_known, torch.nan)
        parts = [self._fill_rows(some.flatten(1).double()) for some in known.split(_ROWS_AT_ONCE)]
        return torch.cat(parts).reshape(samples.shape).to(samples.dtype)

    def _fill_rows(self, rows: Tensor) -> Tensor:
        seen = ~rows.isnan()
        scores, _ = self._scores(seen, torch.where(seen, rows - self.mean, 0))
        return torch.where(seen, rows, self.mean + scores @ self.loadings.T)

    def _best_number_of_axes(self, rows: Tensor) -> int:
        """By the observed entries that are hidden for it, the same in every run."""
        generator = torch.Generator("cpu").manual_seed(0)
        most = int((_MOST_PRODUCTS / rows.shape[1]) ** 0.5)  # of all entries: these are learned
        some = torch.randperm(rows.shape[1], generator=generator, device="cpu")[:_MOST_ENTRIES]
        rows = rows[:, some.to(rows.device)]
        drawn = torch.randint(_SHARE_JUDGED, rows.shape, generator=generator, device="cpu")
        is_judged = (drawn == 0).to(rows.device) & ~rows.isnan()
        left = rows.masked_fill(is_judged, torch.nan)
        most = min(len(rows) // 4, rows.shape[1] - 1, most)
        best, errors, n_in_vain = 0, rows.new_empty(0), 0
        for n_axes in _NUMBERS_OF_AXES:
            if n_axes > most or n_in_vain == 2:
                break
            self._learn(left, n_axes)
            found = (self._fill_rows(left) - rows)[is_judged].square()
            n_in_vain += 1
            if n_axes == 0 or _is_clear(errors - found, 1 if best else 2):
                best, errors, n_in_vain = n_axes, found, 0
        return best

    def _learn(self, rows: Tensor, n_axes: int) -> None:
        """Mean, loadings and noise from rows (n, p) with NaN where nothing was observed."""
        seen = ~rows.isnan()
        origin = mean_of_observed(rows)
        known = torch.where(seen, rows - origin, 0)
        self.mean = origin
        self._start(known, n_axes)
        prior = rows.new_full((n_axes + 1,), _PRIOR_SAMPLES)
        prior[-1] = _ROUNDING  # of the mean, where an entry was never observed
        for _ in range(_N_ITERATIONS if n_axes else 0):
            scores, covariances = self._scores(seen, torch.where(seen, rows - self.mean, 0))
            scores = torch.cat([scores, scores.new_ones(len(scores), 1)], dim=1)  # the mean's
            moments = scores[:, :, None] * scores[:, None, :]  # (n, q + 1, q + 1)
            moments[:, :-1, :-1] += covariances
            of_entries = _unpack(seen.double().T @ _pack(moments), n_axes + 1)  # (p, ...)
            cross = known.T @ scores  # (p, q + 1)
            solved = torch.linalg.solve(of_entries + torch.diag(prior), cross)
            self.loadings, self.mean = solved[:, :-1], origin + solved[:, -1]
            # What is left of observed entries, on average over what the scores may be.
            fitted = torch.einsum("pq,pqr,pr->", solved, of_entries, solved)
            left = known.square().sum() - 2 * (solved * cross).sum() + fitted
            before, self.noise = self.noise, self._at_least(left / seen.sum(), known)
            if abs(float(self.noise / before) - 1) < _TOL:
                break

    def _start(self, known: Tensor, n_axes: int) -> None:
        """Principal components of what was observed, missing entries being at the mean."""
        if not n_axes:
            self.noise = self._at_least(known.square().mean(), known)
            self.loadings = known.new_zeros(known.shape[1], 0)
            return
        _, singular, axes = torch.linalg.svd(known, full_matrices=False)
        variances = singular**2 / len(known)
        others = variances[n_axes:].sum() / max(known.shape[1] - n_axes, 1)
        self.noise = self._at_least(others, known)
        scales = (variances[:n_axes] - self.noise).clamp(min=0).sqrt()
        self.loadings = axes[:n_axes].T * scales

    @staticmethod
    def _at_least(noise: Tensor, known: Tensor) -> Tensor:
        """More than rounding: systems of equations are solved with it."""
        floor = _ROUNDING * known.square().mean()
        return torch.maximum(noise, torch.where(floor > 0, floor, torch.ones_like(floor)))

    def _scores(self, seen: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (n, q) and covariance (n, q, q) of the scores of centred rows, holes being 0."""
        n_axes = self.loadings.shape[1]
        products = _pack(self.loadings[:, :, None] * self.loadings[:, None, :])  # (p, q(q+1)/2)
        grams = _unpack(seen.double() @ products, n_axes)  # (n, q, q)
        precisions = grams / self.noise + torch.eye(n_axes, dtype=grams.dtype, device=grams.device)
        covariances = torch.linalg.inv(precisions)
        projected = known @ self.loadings / self.noise
        return (covariances @ projected[:, :, None])[:, :, 0], covariances


def _pack(matrices: Tensor) -> Tensor:
    """Of symmetric matrices (n, q, q) one half, (n, q(q+1)/2): sums over n cost half as much."""
    rows, columns = torch.triu_indices(*matrices.shape[1:], device=matrices.device)
    return matrices[:, rows, columns]


def _unpack(halves: Tensor, n_axes: int) -> Tensor:
    """The symmetric matrices (n, q, q) of which these are one half."""
    rows, columns = torch.triu_indices(n_axes, n_axes, device=halves.device)
    matrices = halves.new_zeros(len(halves), n_axes, n_axes)
    matrices[:, rows, columns] = halves
    matrices[:, columns, rows] = halves
    return matrices


def _is_clear(gains: Tensor, n_errors: float) -> bool:
    """Whether their sum is above zero by so many standard errors."""
    return bool(gains.sum() > n_errors * gains.square().sum().sqrt())


def mean_of_observed(samples: Tensor) -> Tensor:
    """Over the samples; the mean of all entries where no sample has this one."""
    mean = samples.nanmean(dim=0, dtype=torch.float64)  # sums of large numbers would overflow
    return torch.where(mean.isnan(), mean.nanmean(), mean).to(samples.dtype)


def imputer_of(samples: Tensor) -> Imputer | None:
    """One that has learned from these samples, if any entry is missing."""
    return Imputer(samples) if bool(samples.isnan().any()) else None


def filled(samples: Tensor) -> Tensor:
    """Samples filled in by what they say themselves; as they are where nothing is missing."""
    imputer = imputer_of(samples)
    return samples if imputer is None else imputer(samples)
