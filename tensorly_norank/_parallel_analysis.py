"""How many directions do the entries of samples vary in together? Parallel analysis."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from tensorly_norank._parts import take_rows

_N_DRAWS = 99
_MOST_SAMPLES = 256
_MOST_ENTRIES = 256  # of a sample: what many entries share, some of them share
_NOTHING = 1e-20  # share of the sum of squares: rounding
_TIE = 1 - 1e-9


class ParallelAnalysis:
    """Tests "what r principal components leave has entries that vary independently", in turn.

    The statistic is the share of the largest principal component in what is left. Its null
    distribution comes from 99 permutations of each entry over the samples, of what is left after r
    components [1]_, so that one large component does not hide a small one. What was permuted loses
    r directions, of entries and of samples, for what is left has none in these either. 256 samples
    and 256 of their entries are looked at, drawn at random where there are more.

    Parameters
    ----------
    samples : Tensor of shape (n, ...)
    rng : numpy Generator
        Draws samples, entries and permutations.

    References
    ----------
    .. [1] E. Dobriban and A. B. Owen, "Deterministic parallel analysis: an improved method for
       selecting factors and principal components", J. R. Stat. Soc. B 81 (2019).
    """

    def __init__(self, samples: Tensor, rng: np.random.Generator) -> None:
        self._rng = np.random.default_rng(rng.integers(2**63))
        chosen = np.sort(rng.permutation(len(samples))[:_MOST_SAMPLES])
        rows = take_rows(samples, chosen).flatten(1)
        entries = np.sort(rng.permutation(rows.shape[1])[:_MOST_ENTRIES])
        self._left = rows.cpu().numpy().astype(np.float64)[:, entries]
        self._left -= self._left.mean(axis=0)
        self._left /= max(np.abs(self._left).max(), np.finfo(float).tiny)
        self._all = (self._left**2).sum()
        self._directions = np.empty((self._left.shape[1], 0))  # of entries, taken out, as columns
        self._scores = np.empty((len(self._left), 0))  # of samples

    def next(self) -> tuple[float, float]:
        """Statistic and p-value of the next component, which is then taken out.

        NaN and 1 where nothing is left. A single entry that varies is a component.
        """
        left = self._left
        if (left**2).sum() <= _NOTHING * self._all or not self._all:
            return np.nan, 1.0
        share, scores, direction = _largest_component(left)
        is_alone = np.count_nonzero((left**2).sum(axis=0) > _NOTHING * self._all) == 1
        drawn = [] if is_alone else [self._largest_by_chance() for _ in range(_N_DRAWS)]
        p_value = (1 + sum(value >= _TIE * share for value in drawn)) / (1 + _N_DRAWS)
        self._directions = np.column_stack([self._directions, direction])
        self._scores = np.column_stack([self._scores, scores])
        self._left = left - np.outer(left @ direction, direction)
        return share, p_value

    def _largest_by_chance(self) -> float:
        """Share of the largest component where entries vary independently."""
        permuted = self._rng.permuted(self._left, axis=0)
        permuted -= (permuted @ self._directions) @ self._directions.T
        permuted -= self._scores @ (self._scores.T @ permuted)
        variances = np.linalg.eigvalsh(_gram(permuted))
        return float(variances[-1] / variances.sum())


def _largest_component(matrix: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Share in the sum of squares, scores of norm 1 (n,) and direction (p,)."""
    # Not by a singular value decomposition: LAPACK's fails where columns are zero up to rounding.
    variances, vectors = np.linalg.eigh(_gram(matrix))
    is_tall = matrix.shape[0] >= matrix.shape[1]
    direction = vectors[:, -1] if is_tall else matrix.T @ vectors[:, -1]
    direction /= np.linalg.norm(direction)
    scores = matrix @ direction
    return float(variances[-1] / variances.sum()), scores / np.linalg.norm(scores), direction


def _gram(matrix: np.ndarray) -> np.ndarray:
    """Inner products along the shorter side."""
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    return tall.T @ tall
