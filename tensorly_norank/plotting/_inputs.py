"""What figures are drawn of: decompositions, fitted estimators, or plain points."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted
from tensorly.cp_tensor import CPTensor

from tensorly_norank._backend import check_dense, to_numpy
from tensorly_norank._validation import check_number, check_real
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
    check_real(points, name)
    return points


def check_components(components: Any, n_components: int, most: int) -> list[int]:
    """So many different components at most, counted from 0."""
    if isinstance(components, str) or not hasattr(components, "__len__"):
        raise TypeError(f"components must be a sequence of integers, got {components!r}.")
    for one in components:
        check_number(one, "components", integer=True, high=n_components)
    chosen = [int(one) for one in components]
    if not 1 <= len(set(chosen)) == len(chosen) <= most:
        raise ValueError(f"components must be one to {most} different ones, got {components!r}.")
    return chosen


def factors_of(result: Any) -> tuple[list[np.ndarray], int]:
    """The factors of any CP tensor, and the mode of its samples: 0, where it has none."""
    result = decomposition_in(result)
    try:
        _, factors = CPTensor(result)
        arrays = [to_numpy(factor).astype(float) for factor in factors]
    except Exception as error:  # of whatever was unpacked
        raise TypeError(
            "result must be a NoRankTensor or another CP tensor, weights and factors, got "
            f"{reprlib.repr(result)}."
        ) from error
    if any(one.ndim != 2 or not np.isfinite(one).all() for one in arrays):
        raise ValueError("result must have finite factors of shape (I_k, R).")
    return arrays, getattr(result, "mode", 0)
