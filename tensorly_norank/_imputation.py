"""What encoders see where nothing was observed: what the rest of the sample makes likely."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_NUMBERS_OF_AXES = (0, 4, 8, 16, 32)  # tried in turn, until one more helps no more
_MOST_PRODUCTS = 2**25  # of loadings of an entry, all entries: with many, fewer axes do
_MOST_SAMPLES = 2048  # that are learned from
_SHARE_JUDGED = 10  # one of so many observed entries tells how many axes help
_N_ITERATIONS = 20
_TOL = 1e-3
_PRIOR_SAMPLES = 5  # that say that an entry has no loading
_ROWS_AT_ONCE = 256


class Imputer(nn.Module):
    """The conditional mean of missing entries, given those of the same sample that were observed.

    Samples are taken for Gaussian: some hidden scores of variance 1, times loadings, and noise of
    the same variance on all entries (probabilistic principal components [1]_). Mean, loadings and
    noise are found by expectation maximisation on observed entries alone [2]_; five samples' worth
    of evidence that there are no loadings keep those of entries that were seldom observed small.
    There are as many axes (0, 4, 8, 16 or 32) as predict best one in ten of the observed entries,
    which are hidden for that.

    A sample is filled in by itself: others beside it make no difference. Missing entries are NaN.

    Parameters
    ----------
    samples : Tensor of shape (n, *sample_shape)
        What is learned from: at most 2,048, evenly spaced among them.

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

    def __init__(self, samples: Tensor) -> None:
        super().__init__()
        rows = samples.flatten(1)
        rows = rows[:: -(-len(rows) // _MOST_SAMPLES)].double()
        self.register_buffer("mean", mean_of_observed(rows))
        self.register_buffer("loadings", rows.new_zeros(rows.shape[1], 0))
        self.register_buffer("noise", rows.new_ones(()))
        with torch.no_grad():
            self._learn(rows, self._best_number_of_axes(rows))

    def forward(self, samples: Tensor) -> Tensor:
        """Samples (n, *sample_shape) with NaN where nothing was observed; filled in, a copy."""
        parts = [self._fill_rows(some.flatten(1).double()) for some in samples.split(_ROWS_AT_ONCE)]
        return torch.cat(parts).reshape(samples.shape).to(samples.dtype)

    def _fill_rows(self, rows: Tensor) -> Tensor:
        seen = ~rows.isnan()
        scores, _ = self._scores(seen, torch.where(seen, rows - self.mean, 0))
        return torch.where(seen, rows, self.mean + scores @ self.loadings.T)

    def _best_number_of_axes(self, rows: Tensor) -> int:
        """By the observed entries that are hidden for it, the same in every run."""
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randint(_SHARE_JUDGED, rows.shape, generator=generator).to(rows.device)
        is_judged = (drawn == 0) & ~rows.isnan()
        left = rows.masked_fill(is_judged, torch.nan)
        most = min(len(rows) // 4, rows.shape[1] // 2, int((_MOST_PRODUCTS / rows.shape[1]) ** 0.5))
        best, least = 0, torch.inf
        for n_axes in _NUMBERS_OF_AXES:
            if n_axes > most:
                break
            self._learn(left, n_axes)
            error = float((self._fill_rows(left) - rows)[is_judged].square().sum())
            if not error < least:
                break
            best, least = n_axes, error
        return best

    def _learn(self, rows: Tensor, n_axes: int) -> None:
        """Mean, loadings and noise from rows (n, p) with NaN where nothing was observed."""
        seen = ~rows.isnan()
        self.mean = mean_of_observed(rows)
        self._start(torch.where(seen, rows - self.mean, 0), n_axes)
        n_observed = seen.sum(dim=0).clamp(min=1)
        unit = torch.eye(n_axes).to(rows)
        for _ in range(_N_ITERATIONS if n_axes else 0):
            known = torch.where(seen, rows - self.mean, 0)
            scores, covariances = self._scores(seen, known)
            self.mean = self.mean + (seen * (known - scores @ self.loadings.T)).sum(0) / n_observed
            known = torch.where(seen, rows - self.mean, 0)
            moments = covariances + scores[:, :, None] * scores[:, None, :]  # (n, q, q)
            of_entries = (seen.double().T @ moments.flatten(1)).view(-1, n_axes, n_axes)
            cross = known.T @ scores  # (p, q)
            self.loadings = torch.linalg.solve(of_entries + _PRIOR_SAMPLES * unit, cross)
            # What is left of observed entries, on average over what the scores may be.
            fitted = (of_entries.flatten(1) * _products(self.loadings)).sum()
            left = known.square().sum() - 2 * (self.loadings * cross).sum() + fitted
            before, self.noise = self.noise, self._at_least(left / seen.sum(), known)
            if abs(float(self.noise / before) - 1) < _TOL:
                break

    def _start(self, known: Tensor, n_axes: int) -> None:
        """Principal components of what was observed, missing entries being at the mean."""
        _, singular, axes = torch.linalg.svd(known, full_matrices=False)
        variances = singular**2 / len(known)
        others = variances[n_axes:].sum() / max(known.shape[1] - n_axes, 1)
        self.noise = self._at_least(others, known)
        scales = (variances[:n_axes] - self.noise).clamp(min=0).sqrt()
        self.loadings = axes[:n_axes].T * scales

    @staticmethod
    def _at_least(noise: Tensor, known: Tensor) -> Tensor:
        """More than rounding: systems of equations are solved with it."""
        floor = 1e-9 * known.square().mean()
        return torch.maximum(noise, torch.where(floor > 0, floor, torch.ones_like(floor)))

    def _scores(self, seen: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (n, q) and covariance (n, q, q) of the scores of centred rows, holes being 0."""
        n_axes = self.loadings.shape[1]
        grams = (seen.double() @ _products(self.loadings)).view(len(seen), n_axes, n_axes)
        precisions = grams / self.noise + torch.eye(n_axes).to(grams)
        covariances = torch.linalg.inv(precisions)
        projected = known @ self.loadings / self.noise
        return (covariances @ projected[:, :, None])[:, :, 0], covariances


def _products(loadings: Tensor) -> Tensor:
    """(p, q) -> (p, q·q): of each entry all products of two of its loadings."""
    return (loadings[:, :, None] * loadings[:, None, :]).flatten(1)


def mean_of_observed(samples: Tensor) -> Tensor:
    """Over the samples; the mean of all entries where no sample has this one."""
    mean = samples.nanmean(dim=0)
    return torch.where(mean.isnan(), samples.nanmean(), mean)


def imputer_of(samples: Tensor) -> Imputer | None:
    """One that has learned from these samples, if any entry is missing."""
    return Imputer(samples) if bool(samples.isnan().any()) else None


def filled(samples: Tensor) -> Tensor:
    """Samples filled in by what they say themselves; as they are where nothing is missing."""
    imputer = imputer_of(samples)
    return samples if imputer is None else imputer(samples)
