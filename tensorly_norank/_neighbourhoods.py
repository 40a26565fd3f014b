"""Whether neighbours in one space are neighbours in another."""

from __future__ import annotations

import math

import numpy as np

_N_NEIGHBORS = 10


def neighbourhood_agreement(data: np.ndarray, embedding: np.ndarray) -> float:
    """scikit-learn's trustworthiness of 10 neighbours, of fewer below 21 samples; NaN below 3."""
    from sklearn.manifold import trustworthiness  # slow to import

    n_neighbors = min(_N_NEIGHBORS, (len(data) - 1) // 2)
    if n_neighbors < 1:
        return math.nan
    return float(trustworthiness(data, embedding, n_neighbors=n_neighbors))
