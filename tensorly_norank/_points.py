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

_LARGEST = 1e300
_HOLDERS = "a NoRankTensor, a fitted NoRankDecomposition or points"


def decomposition_in(result: Any) -> Any:
    """The decomposition of a fitted estimator; anything else as it is."""
    if not isinstance(result, NoRankDecomposition):
        return result
    check_is_fitted(result, "decomposition_")
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
    return as_doubles(array, name)


def as_doubles(array: np.ndarray, name: str) -> np.ndarray:
    """Finite numbers in float64, so large at most that differences do not overflow; a copy."""
    check_real(array, name)
    doubles = array.astype(np.float64)
    largest = np.abs(doubles).max()
    if largest > _LARGEST:
        raise ValueError(
            f"{name} must hold no number beyond {_LARGEST:g}, whose differences would overflow, "
            f"got {largest:g}: divide it by a constant."
        )
    return doubles


def as_array(values: Any, name: str, wanted: str = "an array of numbers") -> np.ndarray:
    """An array on the host; raises an error if they are none, or sparse, or masked."""
    check_dense(values, name)
    try:
        if not isinstance(values, CPTensor):
            return to_numpy(values)
    except (TypeError, ValueError):
        pass
    raise TypeError(f"{name} must be {wanted}, got {reprlib.repr(values)}.")
