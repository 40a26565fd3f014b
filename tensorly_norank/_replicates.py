"""Several fits of the same data: which is returned, and how far the others agree with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment
from tensorly.cp_tensor import CPTensor

from tensorly_norank._backend import to_numpy
from tensorly_norank.norank_tensor import NoRankTensor


def best_of(results: Sequence[NoRankTensor]) -> NoRankTensor:
    """The result that orders most triplets correctly, held-out ones where there are any.

    If there are several it learns from the others: its `rank_evidence` gets the counts of all, its
    `diagnostics` the mean factor match score of all pairs.
    """
    best = max(results, key=_quality)
    if len(results) > 1:
        scores = [
            factor_match_score(one, other) for k, one in enumerate(results) for other in results[:k]
        ]
        best.diagnostics["factor_match_score"] = float(np.mean(scores))
        if best.rank_evidence is not None:
            counts = [one.rank_evidence.chosen for one in results if one.rank_evidence is not None]
            best.rank_evidence = replace(best.rank_evidence, refits=tuple(counts))
    return best


def _quality(result: NoRankTensor) -> float:
    figures = result.diagnostics
    return figures.get("held_out_triplet_accuracy", figures["triplet_accuracy"])


def factor_match_score(one: CPTensor, other: CPTensor) -> float:
    """How alike the components of two CP tensors are, from 0 to 1, in the best order of them.

    The mean over components of the product over modes of the cosines, in magnitude; a component
    that has none to be matched with counts 0.
    """
    cosines = np.ones((1, 1))
    for factor, its in zip(one.factors, other.factors, strict=True):
        left, right = (_unit_columns(to_numpy(matrix).astype(float)) for matrix in (factor, its))
        cosines = cosines * np.abs(left.T @ right)  # (R, R')
    rows, columns = linear_sum_assignment(cosines, maximize=True)
    return float(cosines[rows, columns].sum() / max(cosines.shape))


def _unit_columns(matrix: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(matrix, axis=0)
    return matrix / np.where(norms > 0, norms, 1)
