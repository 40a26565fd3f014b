"""How many directions are likely, where classes have too few samples to prove it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tensorly_norank._class_balance import class_weights, standard_error
from tensorly_norank._held_out_order import (
    HeldOutPoints,
    class_shares,
    means_in_order,
    needed_components,
)
from tensorly_norank._rank_search import SequentialTest
from tensorly_norank._rank_test import N_DRAWS

_FEW = 15  # samples of a class: of so many the tests still miss most of what serves
_LEVEL_OF_FEW = 1 / 10
_VERY_FEW = 3  # samples: of a class with more, some can be held out
_LEVEL_OF_VERY_FEW = 1 / 2
_SHORT_OF_BEST = 0.5  # standard errors: to keep too few costs more than to keep too many
_LEVEL_OF_ORDER = 1 / 20
BEYOND_LINEAR_OF_FEW = 2.0  # standard errors: of so few samples more are seldom seen


@dataclass(frozen=True)
class Likely:
    """How many directions there may be, and what held-out samples say about each number."""

    count: int
    shares: np.ndarray | None = None  # (2, n_ranks): of means in order, and their standard errors
    p_value: float | None = None  # of those samples knowing no classes, where that was asked


def are_few(sizes: np.ndarray) -> bool:
    """Whether most samples are of small classes; of the number of samples of each, (K,).

    Samples alone in their class enter nothing.
    """
    sizes = sizes[sizes > 1]
    return bool(sizes[sizes <= _FEW].sum() > sizes.sum() / 2)


def likely_components(
    tests: SequentialTest,
    held_out: Sequence[HeldOutPoints],
    sizes: np.ndarray,
    rng: np.random.Generator,
) -> Likely | None:
    """How many directions there may be; None where samples suffice to prove them.

    Parameters
    ----------
    tests : SequentialTest
        Of the hypotheses about the number of directions.
    held_out : sequence of HeldOutPoints
        The samples that each fit has not seen, if any could be held out.
    sizes : ndarray of int
        How many labelled samples each class has.
    rng : numpy Generator
        Draws permutations.
    """
    if not held_out and np.mean(sizes[sizes > 1] <= _VERY_FEW) > 1 / 2:
        count = tests.count_at(_LEVEL_OF_VERY_FEW)
        # If all that can be tested are rejected, nothing says where they end.
        has_end = count < tests.n_tests or count == 0
        return Likely(count if has_end else len(tests.classes) - 1)
    if not are_few(sizes):
        return None
    count = tests.count_at(_LEVEL_OF_FEW)
    if not held_out:
        return Likely(count)
    n_classes = len(np.unique(np.concatenate([part.codes for part in held_out])))
    most = min(n_classes - 1, held_out[0].coordinates.shape[1])
    accuracy, weights = means_in_order(held_out, range(1, most + 1))
    p_value = None if tests.count else _p_value_of_order(held_out, most, rng)
    # Of no structure any number may order samples best.
    if p_value is None or p_value <= _LEVEL_OF_ORDER:
        count = max(count, needed_components(accuracy, weights, _SHORT_OF_BEST))
    shares = np.stack([weights @ accuracy, standard_error(accuracy, weights)])
    return Likely(count, shares, p_value)


def _p_value_of_order(
    held_out: Sequence[HeldOutPoints], n_axes: int, rng: np.random.Generator
) -> float:
    """Of held-out samples being as near to fitted means of any classes as to those of their own.

    By permutations of the held-out samples of each part among their classes.
    """
    weights = class_weights(np.concatenate([part.codes for part in held_out]))
    ends = np.cumsum([len(part) for part in held_out])[:-1]
    by_part = [
        (next(class_shares(part, [n_axes])), part.places, own)
        for part, own in zip(held_out, np.split(weights, ends), strict=True)
    ]
    drawn = np.zeros(1 + N_DRAWS)
    for shares, places, own in by_part:
        rows = np.arange(len(places))
        for k in range(len(drawn)):
            order = rng.permutation(rows) if k else rows  # the first is what is observed
            drawn[k] += own[order] @ shares[rows, places[order]]
    return float(np.mean(drawn >= drawn[0] - 1e-9))
