"""What figures are drawn of: decompositions, fitted estimators, or any CP tensor."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np
from tensorly.cp_tensor import CPTensor

from tensorly_norank._backend import to_numpy
from tensorly_norank._points import decomposition_in
from tensorly_norank._validation import check_number
from tensorly_norank.norank_tensor import NoRankTensor


def check_decomposition(result: Any, name: str = "result") -> NoRankTensor:
    """Raise an error unless it is one, or a fitted estimator."""
    result = decomposition_in(result)
    if not isinstance(result, NoRankTensor):
        raise TypeError(
            f"{name} must be a NoRankTensor or a fitted NoRankDecomposition, got a "
            f"{type(result).__name__}."
        )
    return result


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
