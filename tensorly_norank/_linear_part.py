"""What of an embedding is linear in the samples."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tensorly_norank._batches import some_samples

_N_AXES = 128  # principal components that are looked at, at most half as many as samples
_MOST_SAMPLES = 4096  # that the map is fitted to
_ROWS_AT_ONCE = 256
_PENALTIES = np.logspace(-4, 2, 13)  # in units of the mean sum of squares of a principal component


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
        from sklearn.decomposition import PCA
        from sklearn.linear_model import RidgeCV

        chosen = some_samples(codes, _MOST_SAMPLES, rng)
        rows = samples[torch.from_numpy(chosen).to(samples.device)].flatten(1).cpu().numpy()
        self._n_dimensions = points.shape[1]
        self._is_constant = not np.ptp(rows, axis=0).any()
        if self._is_constant:
            return
        n_axes = min(_N_AXES, max(len(rows) // 2, 1), rows.shape[1])
        self._components = PCA(n_axes, random_state=int(rng.integers(2**31 - 1))).fit(rows)
        scores = self._components.transform(rows).astype(np.float64)
        unit = max((scores**2).sum() / n_axes, np.finfo(float).tiny)
        self._regression = RidgeCV(unit * _PENALTIES).fit(
            scores, points[torch.from_numpy(chosen).to(points.device)].double().cpu().numpy()
        )

    def __call__(self, samples: Tensor) -> Tensor:
        """The linear part of the embedding of samples (n, ...), (n, D) in float64 on the host."""
        if self._is_constant:
            return torch.zeros(len(samples), self._n_dimensions, dtype=torch.float64)
        parts = [
            self._regression.predict(
                self._components.transform(rows.flatten(1).cpu().numpy()).astype(np.float64)
            ).reshape(len(rows), -1)
            for rows in samples.split(_ROWS_AT_ONCE)
        ]
        return torch.from_numpy(np.concatenate(parts))
