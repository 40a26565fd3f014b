"""How many directions do the entries of samples vary in together? Parallel analysis."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_N_DRAWS = 99
_MOST_SAMPLES = 256
_MOST_ENTRIES = 256  # of a sample: what many entries share, some of them share


class ParallelAnalysis:
    """Tests "what r principal components leave has entries that vary independently", in turn.

    The statistic is the share of the largest principal component in what is left. Its null
    distribution comes from 99 permutations of each entry over the samples, of what is left after r
    components [1]_, so that one large component does not hide a small one. What was permuted loses
    the same r directions, for what is left has none in them either. 256 samples and 256 of their
    entries are looked at, drawn at random where there are more.

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
        rows = samples[torch.from_numpy(chosen).to(samples.device)].flatten(1)
        entries = np.sort(rng.permutation(rows.shape[1])[:_MOST_ENTRIES])
        self._left = rows.cpu().numpy().astype(np.float64)[:, entries]
        self._left -= self._left.mean(axis=0)
        self._all = (self._left**2).sum()
        self._taken = np.empty((self._left.shape[1], 0))  # directions, as columns

    def next(self) -> tuple[float, float]:
        """Statistic and p-value of the next component, which is then taken out."""
        left = self._left
        total = (left**2).sum()
        if total <= np.finfo(float).eps * self._all * left.size or not total:
            return np.nan, 1.0
        _, values, directions = np.linalg.svd(left, full_matrices=False)
        drawn = [self._largest_by_chance() for _ in range(_N_DRAWS)]
        share = float(values[0] ** 2 / total)
        p_value = (1 + sum(value >= share for value in drawn)) / (1 + _N_DRAWS)
        self._taken = np.column_stack([self._taken, directions[0]])
        self._left = left - np.outer(left @ directions[0], directions[0])
        return share, p_value

    def _largest_by_chance(self) -> float:
        """Share of the largest component where entries vary independently."""
        permuted = self._rng.permuted(self._left, axis=0)
        permuted -= (permuted @ self._taken) @ self._taken.T
        tall = permuted if permuted.shape[0] >= permuted.shape[1] else permuted.T
        variances = np.linalg.eigvalsh(tall.T @ tall)
        return float(variances[-1] / variances.sum())
