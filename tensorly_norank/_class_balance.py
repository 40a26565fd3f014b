"""Means over samples in which all classes weigh the same."""

from __future__ import annotations

import numpy as np


def class_weights(codes: np.ndarray) -> np.ndarray:
    """Weights of the samples, (n,), 1 in all: classes weigh the same, and so do a class's own."""
    _, codes, sizes = np.unique(codes, return_inverse=True, return_counts=True)
    return 1 / (len(sizes) * sizes[codes])


def standard_error(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Of the weighted mean of each column, (n, ...) -> (...)."""
    return np.sqrt(weights**2 @ (values - weights @ values) ** 2)
