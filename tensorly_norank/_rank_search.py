"""How many directions? Hypotheses in turn, each tested in several looks at the samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from tensorly_norank._batches import shuffle_within_classes, some_samples
from tensorly_norank._rank_test import N_DRAWS, MeansRankTest

ALPHA = 0.01  # level of each test: one false component in a hundred data sets without structure
_TESTED_IN_TURN = 16  # of more hypotheses than that, those behind are searched by bisection
_N_MORE = 9_999 - N_DRAWS
TESTED_BEHIND = 2  # hypotheses behind the first one that holds, to be looked at
_TIE = 1 - 1e-9  # a permutation that changes nothing may differ by rounding
RESAMPLED_SHARE = 0.8
_RESAMPLED_CLASS = 4  # samples: of smaller classes too few are left


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
        kept = order[place < np.maximum(2, np.floor(RESAMPLED_SHARE * sizes))]
        return LabelledPoints(self.coordinates[kept], self.codes[kept])


# What hypotheses are tested on together: disjoint sets of samples, held out of fits of their own or
# in coordinates of their own.
Look = Sequence[LabelledPoints]


class SequentialTest:
    """The hypotheses "at most r directions" in turn, until one of them holds in all looks.

    The sets of a look speak together by Fisher's method, looks by Bonferroni's. Where a look
    rejects a hypothesis, later looks are skipped: they could not change the decision.

    Parameters
    ----------
    looks : sequence of looks
    rng : numpy Generator
        Draws the null distributions.
    n_before : int
        Looks before these, which take their share of the level.

    Attributes
    ----------
    count : int
        Number of leading hypotheses that are rejected.
    statistic, p_value : dict of int to float
        Of the hypotheses that were tested: the mean over the sets of the first look, and the
        p-value of all looks, or an upper bound of it where later ones were skipped.
    classes : set of int
        Those that were tested in any set.
    can_resample : bool
        Whether in any set most of the classes have four samples or more.
    n_tests : int
        Number of hypotheses that there are samples to test.
    """

    def __init__(self, looks: Sequence[Look], rng: np.random.Generator, n_before: int = 0) -> None:
        # What is drawn, and when, must not change what else the caller's generator gives.
        self._rng = np.random.default_rng(rng.integers(2**63))
        self._observed = [_Tests(look, self._rng) for look in looks]
        self._draws: dict[tuple[int, int], list[np.ndarray]] = {}  # by look and hypothesis
        self._n_before = n_before
        by_set = [own for tests in self._observed for own in tests.classes_by_set]
        self.classes = set(np.concatenate(by_set).tolist())
        self.can_resample = any(any(tests.may_be_resampled) for tests in self._observed)
        self.n_tests = max(tests.n_tests for tests in self._observed)
        self.statistic: dict[int, float] = {}
        self.p_value: dict[int, float] = {}
        self.count = self.count_at(ALPHA)
        if self.count < min(self.n_tests, _TESTED_IN_TURN):
            for behind in range(self.count + 1, min(self.count + 1 + TESTED_BEHIND, self.n_tests)):
                self._rejects(behind, ALPHA)

    def count_at(self, level: float) -> int:
        """The number of leading hypotheses that are rejected at a level, ALPHA or more lenient."""
        for r in range(min(self.n_tests, _TESTED_IN_TURN)):
            if not self._rejects(r, level):
                return r
        low, high = min(self.n_tests, _TESTED_IN_TURN) - 1, self.n_tests  # rejected; there is none
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._rejects(middle, level) else (low, middle)
        return high

    def _rejects(self, r: int, level: float) -> bool:
        """Whether the p-value is no larger, which is found out once."""
        if r not in self.p_value:
            first = [value for value in self._observed[0].statistics(r) if not np.isnan(value)]
            self.statistic[r] = float(np.mean(first)) if first else np.nan
            self.p_value[r] = self._p_value(self._observed, r)
        return self.p_value[r] <= level

    def _p_value(self, tests: Sequence[_Tests], r: int) -> float:
        able = [k for k, observed in enumerate(self._observed) if r < observed.n_tests]
        n_looks = self._n_before + len(able)
        smallest = 1.0
        for k in able:
            p_value = self._p_value_of_look(tests[k], k, r, ALPHA / n_looks)
            smallest = min(smallest, n_looks * p_value)
            if smallest <= ALPHA:
                break
        return smallest

    def _p_value_of_look(self, tests: _Tests, k: int, r: int, level: float) -> float:
        """By the null draws of the k-th; of sets that are beyond all of the first, by more.

        Else one set that sees a direction plainly is outvoted by another that sees nothing: no
        p-value is smaller than the number of draws allows.
        """
        if (k, r) not in self._draws:
            self._draws[k, r] = self._observed[k].draws(r)
        drawn, statistics = self._draws[k, r], tests.statistics(r)
        p_value = _fisher(statistics, drawn)
        if len(drawn) == 1 or p_value <= level:
            return p_value
        beyond = [
            one.shape[1] == N_DRAWS and bool(one.max() < _TIE * statistic)
            for one, statistic in zip(drawn, statistics, strict=True)
        ]
        if not any(beyond):
            return p_value
        self._draws[k, r] = self._observed[k].draw_more(r, drawn, beyond)
        return _fisher(statistics, self._draws[k, r])

    def count_in_resample(self, rng: np.random.Generator) -> int:
        """The count that four fifths of the samples give, by the same null draws.

        Among the hypotheses that were tested: behind the sixteenth, of which bisection has skipped
        some, it is rounded up to the next of them.
        Sets whose classes are too small for that are taken whole.
        """
        resampled = [observed.resample(rng) for observed in self._observed]
        for r in sorted(self.p_value):
            if self._p_value(resampled, r) > ALPHA:
                return r
        return max(self.p_value, default=-1) + 1


class _Tests:
    """A test of each set of a look, made when they are needed; of the classes given, if any."""

    def __init__(
        self,
        look: Look,
        rng: np.random.Generator,
        classes_by_set: Sequence[np.ndarray] | None = None,
    ) -> None:
        self._look, self._rng = look, rng
        self._classes: list[np.ndarray | None] = [None] * len(look)
        if classes_by_set is not None:
            self._classes = [*classes_by_set]

    @cached_property
    def _tests(self) -> list[MeansRankTest]:
        return [
            MeansRankTest(points.coordinates, points.codes, self._rng, classes)
            for points, classes in zip(self._look, self._classes, strict=True)
        ]

    @property
    def n_tests(self) -> int:
        """How many hypotheses any of the sets has."""
        return max(test.n_tests for test in self._tests)

    @property
    def classes_by_set(self) -> list[np.ndarray]:
        """Codes of the classes that each set compares."""
        return [test.classes for test in self._tests]

    @property
    def may_be_resampled(self) -> list[bool]:
        """Of each set, whether most of these classes are large enough."""
        return [
            bool(len(test.sizes)) and bool(np.mean(test.sizes >= _RESAMPLED_CLASS) > 1 / 2)
            for test in self._tests
        ]

    def resample(self, rng: np.random.Generator) -> _Tests:
        """Of a part of the samples of those sets, and of the same classes."""
        look = [
            points.resample(rng) if may else points
            for points, may in zip(self._look, self.may_be_resampled, strict=True)
        ]
        return _Tests(look, self._rng, self.classes_by_set)

    def statistics(self, r: int) -> list[float]:
        """Of each set; NaN where there is no such hypothesis."""
        return [test.statistic(r) if r < test.n_tests else np.nan for test in self._tests]

    def draws(self, r: int) -> list[np.ndarray]:
        """Of each set, from one null distribution or from two, (1 or 2, n_draws)."""
        return [test.draws(r) if r < test.n_tests else np.empty((1, 0)) for test in self._tests]

    def draw_more(
        self, r: int, drawn: Sequence[np.ndarray], wanted: Sequence[bool]
    ) -> list[np.ndarray]:
        """The same, and more of the sets that are wanted."""
        return [
            np.hstack([before, test.draws(r, _N_MORE)]) if more else before
            for test, before, more in zip(self._tests, drawn, wanted, strict=True)
        ]


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
