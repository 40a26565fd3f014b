"""What figures are drawn of: decompositions, fitted estimators, or plain points."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted
from tensorly.cp_tensor import CPTensor

from tensorly_norank._backend import check_dense, to_numpy
from tensorly_norank.estimator import NoRankDecomposition
from tensorly_norank.norank_tensor import NoRankTensor


def decomposition_in(result: Any) -> Any:
    """The decomposition of a fitted estimator; anything else as it is."""
    if not isinstance(result, NoRankDecomposition):
        return result
    check_is_fitted(result)
    return result.decomposition_


def check_decomposition(result: Any, name: str = "result") -> NoRankTensor:
    """Raise an error unless it is one, or a fitted estimator."""
    result = decomposition_in(result)
    if not isinstance(result, NoRankTensor):
        raise TypeError(
            f"{name} must be a NoRankTensor or a fitted NoRankDecomposition, got a "
            f"{type(result).__name__}."
        )
    return result


def check_points(points: Any, name: str = "embedding") -> np.ndarray:
    """Points (n, R), from an array, a tensor, or a decomposition's samples."""
    points = decomposition_in(points)
    if isinstance(points, NoRankTensor):
        points = points.embedding
    elif isinstance(points, CPTensor):
        raise TypeError(
            f"{name} must be points or a NoRankTensor, got a CPTensor: pass one of its factors."
        )
    check_dense(points, name)
    try:
        points = to_numpy(points).astype(float)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} must be a NoRankTensor, a fitted NoRankDecomposition or points, got "
            f"{reprlib.repr(points)}."
        ) from None
    if points.ndim != 2 or 0 in points.shape:
        raise ValueError(f"{name} must be of shape (n_samples, R), got shape {points.shape}.")
    if not np.isfinite(points).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity.")
    return points


def factors_of(result: Any, mode: Any) -> tuple[list[np.ndarray], np.ndarray, int]:
    """Factors, weights and the samples mode of any CP tensor."""
    result = decomposition_in(result)
    try:
        weights, factors = result
    except (TypeError, ValueError):
        raise TypeError(
            f"result must be a NoRankTensor or another CP tensor, got a {type(result).__name__}."
        ) from None
    own = getattr(result, "mode", None)
    mode = own if mode is None and own is not None else mode or 0
    arrays = [to_numpy(factor).astype(float) for factor in factors]
    n_components = arrays[0].shape[1]
    scale = np.ones(n_components) if weights is None else to_numpy(weights).astype(float)
    return arrays, scale, int(mode)
