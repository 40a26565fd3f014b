"""How many directions are likely, where classes have too few samples to prove it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tensorly_norank._class_balance import standard_error
from tensorly_norank._held_out_order import (
    HeldOutPoints,
    means_in_order,
    needed_components,
)
from tensorly_norank._rank_search import SequentialTest

_FEW = 15  # samples of a class: of so many the tests still miss most of what serves
_LEVEL_OF_FEW = 1 / 10
_VERY_FEW = 3  # samples: of a class with more, some can be held out
_LEVEL_OF_VERY_FEW = 1 / 2
_FEWEST_TO_CUT_BY = 64  # samples, where none are held out
_SHORT_OF_BEST = 0.5  # standard errors: to keep too few costs more than to keep too many
BEYOND_LINEAR_OF_FEW = 2.0  # standard errors: of so few samples more are seldom seen


@dataclass(frozen=True)
class Likely:
    """How many directions there may be, and what held-out samples say about each number."""

    count: int
    shares: np.ndarray | None = None  # (2, n_ranks): of means in order, and their standard errors


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
) -> Likely | None:
    """How many directions there may be; None where samples suffice to prove them.

    0 where nothing is significant.

    Parameters
    ----------
    tests : SequentialTest
        Of the hypotheses about the number of directions.
    held_out : sequence of HeldOutPoints
        The samples that each fit has not seen, if any could be held out.
    sizes : ndarray of int
        How many labelled samples each class has.
    """
    comparable = sizes[sizes > 1]
    is_very_few = not held_out and np.mean(comparable <= _VERY_FEW) > 1 / 2
    if not is_very_few and not are_few(sizes):
        return None
    count, shares = 0, None
    if tests.count:  # of no structure any number may order samples best
        count = tests.count_at(_LEVEL_OF_VERY_FEW if is_very_few else _LEVEL_OF_FEW)
        # Then nothing says where they end.
        if is_very_few and (count == tests.n_tests or comparable.sum() < _FEWEST_TO_CUT_BY):
            count = len(tests.classes) - 1
    if held_out:
        n_classes = len(np.unique(np.concatenate([part.codes for part in held_out])))
        most = min(n_classes - 1, held_out[0].coordinates.shape[1])
        accuracy, weights = means_in_order(held_out, range(1, most + 1))
        shares = np.stack([weights @ accuracy, standard_error(accuracy, weights)])
        if tests.count:
            count = max(count, needed_components(accuracy, weights, _SHORT_OF_BEST))
    return Likely(count, shares)
