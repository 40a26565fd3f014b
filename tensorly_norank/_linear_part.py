"""What of the samples, and of their embedding, is linear in the samples."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tensorly_norank._batches import some_samples

_N_AXES = 128
MOST_SAMPLES = 4096  # that axes and map are fitted to
_ROWS_AT_ONCE = 256
_PENALTIES = np.logspace(-4, 2, 13)  # in units of the mean sum of squares of a principal component


class PrincipalComponents:
    """Leading principal components of samples, at most half as many as samples, 128 at most.

    Parameters
    ----------
    samples : Tensor of shape (n, ...)
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
            self._components = PCA(self.n_axes, random_state=seed).fit(rows)

    def __call__(self, samples: Tensor) -> np.ndarray:
        """Scores of samples (n, ...), (n, n_axes) in float64; zeros if the fitted ones are one."""
        if self.is_constant:
            return np.zeros((len(samples), self.n_axes))
        parts = [self._components.transform(_rows(some)) for some in samples.split(_ROWS_AT_ONCE)]
        return np.concatenate(parts).astype(np.float64)


def _rows(samples: Tensor) -> np.ndarray:
    return samples.flatten(1).cpu().numpy()


class LinearPart:
    """The linear map of samples that comes nearest to their embedding.

    Ridge regression of the embedding on the leading principal components of the samples, the
    penalty chosen by generalised cross-validation. Where class means of the samples differ in r
    directions, those of any linear map of them differ in no more, however the embedding bends
    what it was given: components are counted here.

    Parameters
    ----------
    samples : Tensor of shape (n, ...)
        Fitted samples.
    points : Tensor of shape (n, D)
        Their embedding.
    codes : ndarray of shape (n,)
        Their classes.
    rng : numpy Generator
        Draws 4,096 of the samples if there are more, and seeds the principal components.
    """

    def __init__(
        self, samples: Tensor, points: Tensor, codes: np.ndarray, rng: np.random.Generator
    ) -> None:
        from sklearn.linear_model import RidgeCV

        chosen = torch.from_numpy(some_samples(codes, MOST_SAMPLES, rng))
        samples = samples[chosen.to(samples.device)]
        self._components = PrincipalComponents(samples, rng)
        self._n_dimensions = points.shape[1]
        if self._components.is_constant:
            return
        scores = self._components(samples)  # (n, n_axes)
        unit = max((scores**2).sum() / scores.shape[1], np.finfo(float).tiny)
        self._regression = RidgeCV(unit * _PENALTIES).fit(
            scores, points[chosen.to(points.device)].double().cpu().numpy()
        )

    def __call__(self, samples: Tensor) -> Tensor:
        """The linear part of the embedding of samples (n, ...), (n, D) in float64 on the host."""
        if self._components.is_constant:
            return torch.zeros(len(samples), self._n_dimensions, dtype=torch.float64)
        predicted = self._regression.predict(self._components(samples))
        return torch.from_numpy(predicted.reshape(len(samples), -1))
