"""Points (n, R), from whatever holds some: a decomposition, a fitted estimator, an array."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted
from tensorly.cp_tensor import CPTensor

from tensorly_norank._backend import check_dense, to_numpy
from tensorly_norank._validation import check_real
from tensorly_norank.estimator import NoRankDecomposition
from tensorly_norank.norank_tensor import NoRankTensor

_HOLDERS = "a NoRankTensor, a fitted NoRankDecomposition or points"


def decomposition_in(result: Any) -> Any:
    """The decomposition of a fitted estimator; anything else as it is."""
    if not isinstance(result, NoRankDecomposition):
        return result
    check_is_fitted(result)
    return result.decomposition_


def check_points(points: Any, name: str = "embedding") -> np.ndarray:
    """Finite points (n, R) in float64; of a decomposition those of its samples."""
    points = decomposition_in(points)
    if isinstance(points, NoRankTensor):
        points = points.embedding
    elif isinstance(points, CPTensor):
        raise TypeError(f"{name} must be {_HOLDERS}, got a CPTensor: pass one of its factors.")
    array = as_array(points, name, _HOLDERS)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"{name} must be {_HOLDERS} of shape (n_samples, R), got shape {array.shape}."
        )
    check_real(array, name)
    return array.astype(np.float64)


def as_array(values: Any, name: str, wanted: str = "an array of numbers") -> np.ndarray:
    """An array on the host; raises an error if they are none, or sparse, or masked."""
    check_dense(values, name)
    try:
        if not isinstance(values, CPTensor):
            return to_numpy(values)
    except (TypeError, ValueError):
        pass
    raise TypeError(f"{name} must be {wanted}, got {reprlib.repr(values)}.")
