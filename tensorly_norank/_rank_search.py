"""How many directions? Hypotheses in turn, each tested in several looks at the samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from tensorly_norank._batches import shuffle_within_classes, some_samples
from tensorly_norank._rank_test import MeansRankTest

ALPHA = 0.01  # level of each test: one false component in a hundred data sets without structure
_TESTED_IN_TURN = 16  # of more hypotheses than that, those behind are searched by bisection
_TESTED_BEHIND = 2  # hypotheses behind the first one that holds, to be looked at
_TIE = 1 - 1e-9  # a permutation that changes nothing may differ by rounding
_RESAMPLED_SHARE = 0.8


@dataclass(frozen=True)
class LabelledPoints:
    """Samples in coordinates that were chosen without their labels."""

    coordinates: np.ndarray  # (n, D)
    codes: np.ndarray  # (n,)

    def __len__(self) -> int:
        return len(self.codes)

    def leading(self, n_axes: int) -> LabelledPoints:
        """The first coordinates alone."""
        return LabelledPoints(self.coordinates[:, :n_axes], self.codes)

    def some(self, n_most: int, rng: np.random.Generator) -> LabelledPoints:
        """At most about so many of the samples."""
        chosen = some_samples(self.codes, n_most, rng)
        return LabelledPoints(self.coordinates[chosen], self.codes[chosen])

    def resample(self, rng: np.random.Generator) -> LabelledPoints:
        """Four fifths of the samples of each class, but at least 2."""
        order, place = shuffle_within_classes(self.codes, rng)
        sizes = np.bincount(self.codes)[self.codes[order]]
        kept = order[place < np.maximum(2, np.floor(_RESAMPLED_SHARE * sizes))]
        return LabelledPoints(self.coordinates[kept], self.codes[kept])


# What hypotheses are tested on together: disjoint sets of samples, held out of fits of their own or
# in coordinates of their own.
Look = Sequence[LabelledPoints]


class SequentialTest:
    """The hypotheses "at most r directions" in turn, until one of them holds in all looks.

    The sets of a look speak together by Fisher's method, looks by Bonferroni's. Where a look
    rejects a hypothesis, those behind it are not had.

    Parameters
    ----------
    looks : sequence of looks
    rng : numpy Generator
        Draws the null distributions.
    n_before : int
        Looks that were had before these, and take their share of the level.

    Attributes
    ----------
    count : int
        Number of leading hypotheses that are rejected.
    statistic, p_value : dict of int to float
        Of the hypotheses that were tested: the mean over the sets of the first look, and the
        p-value of all looks that were had.
    classes : set of int
        Those that were tested in any set.
    """

    def __init__(self, looks: Sequence[Look], rng: np.random.Generator, n_before: int = 0) -> None:
        self._looks = looks
        self._observed = [_Tests(look, rng) for look in looks]
        self._draws: dict[tuple[int, int], list[np.ndarray]] = {}  # by look and hypothesis
        self._n_before = n_before
        self.classes = {code for tests in self._observed for code in tests.classes}
        self.statistic: dict[int, float] = {}
        self.p_value: dict[int, float] = {}
        self.count = self._search(max(tests.n_tests for tests in self._observed))

    def _search(self, n_tests: int) -> int:
        """The number of leading rejections."""
        for r in range(min(n_tests, _TESTED_IN_TURN)):
            if not self._rejects(r):
                for behind in range(r + 1, min(r + 1 + _TESTED_BEHIND, n_tests)):
                    self._rejects(behind)
                return r
        low, high = min(n_tests, _TESTED_IN_TURN) - 1, n_tests  # rejected; there is none
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._rejects(middle) else (low, middle)
        return high

    def _rejects(self, r: int) -> bool:
        first = np.array(self._observed[0].statistics(r))
        self.statistic[r] = float(first[~np.isnan(first)].mean()) if np.any(first >= 0) else np.nan
        self.p_value[r] = self._p_value(self._observed, r)
        return self.p_value[r] <= ALPHA

    def _p_value(self, tests: Sequence[_Tests], r: int) -> float:
        able = [k for k, observed in enumerate(self._observed) if r < observed.n_tests]
        smallest = 1.0
        for k in able:
            if (k, r) not in self._draws:
                self._draws[k, r] = self._observed[k].draws(r)
            p_value = _fisher(tests[k].statistics(r), self._draws[k, r])
            smallest = min(smallest, (self._n_before + len(able)) * p_value)
            if smallest <= ALPHA:
                break
        return smallest

    def count_in_resample(self, rng: np.random.Generator) -> int:
        """The count that four fifths of the samples give, by the same null draws."""
        resampled = [_Tests([points.resample(rng) for points in look], rng) for look in self._looks]
        for r in sorted(self.p_value):
            if self._p_value(resampled, r) > ALPHA:
                return r
        return max(self.p_value, default=-1) + 1

    def by_candidate(self, values: dict[int, float], n_candidates: int) -> np.ndarray:
        """Entry r is about r + 1 components; NaN where nothing was tested."""
        return np.array([values.get(r, np.nan) for r in range(n_candidates)])


class _Tests:
    """A test of each set of a look, made when they are needed."""

    def __init__(self, look: Look, rng: np.random.Generator) -> None:
        self._look, self._rng = look, rng

    @cached_property
    def _tests(self) -> list[MeansRankTest]:
        return [MeansRankTest(points.coordinates, points.codes, self._rng) for points in self._look]

    @property
    def n_tests(self) -> int:
        return max(test.n_tests for test in self._tests)

    @property
    def classes(self) -> set[int]:
        return {code for test in self._tests for code in test.classes.tolist()}

    def statistics(self, r: int) -> list[float]:
        """Of each set; NaN where there is no such hypothesis."""
        return [test.statistic(r) if r < test.n_tests else np.nan for test in self._tests]

    def draws(self, r: int) -> list[np.ndarray]:
        """Of each set, from one null distribution or from two, (1 or 2, n_draws)."""
        return [test.draws(r) if r < test.n_tests else np.empty((1, 0)) for test in self._tests]


def _fisher(statistics: Sequence[float], draws: Sequence[np.ndarray]) -> float:
    """Fisher's combined p-value, from those sets of samples that have such a hypothesis."""
    p_values = [
        (1 + np.sum(drawn >= _TIE * statistic, axis=1).max()) / (1 + drawn.shape[1])
        for drawn, statistic in zip(draws, statistics, strict=True)
        if not np.isnan(statistic) and drawn.size
    ]
    if len(p_values) < 2:
        return float(p_values[0]) if p_values else 1.0
    return float(stats.chi2.sf(-2 * np.log(p_values).sum(), 2 * len(p_values)))
