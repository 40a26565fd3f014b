"""How many components carry structure, by samples that served no earlier decision."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy import stats

from tensorly_norank._batches import shuffle_within_classes
from tensorly_norank._rank_test import MeansRankTest
from tensorly_norank.losses import triplet_accuracy_by_anchor

ALPHA = 0.01  # level of each test: one false component in a hundred data sets without structure
_BEYOND_LINEAR = 2.0  # standard errors by which an embedding must beat its linear part
_WORTH_BENDING = 0.01  # share of triplets: less is what taking noise out of a linear map buys
_TESTED_IN_TURN = 16  # of more hypotheses than that, those behind are searched by bisection
_TESTED_BEHIND = 2  # hypotheses behind the first one that holds, to be looked at
_N_RESAMPLES = 50
_RESAMPLED_SHARE = 0.8


@dataclass(frozen=True, eq=False)
class RankEvidence:
    """What held-out samples say about the number of components.

    Attributes
    ----------
    candidates : ndarray of int, shape (n_candidates,)
        Numbers of components that were looked at: 1, 2, ...
    statistic, p_value : ndarray, shape (n_candidates,)
        Of the hypothesis "the class means differ in fewer than this many directions"; means and
        combined p-values where several fits held out samples. The hypotheses are tested in turn, to
        the second behind the first one that holds; of more than 16, those behind are searched by
        bisection. NaN where nothing was tested, and from `n_classes` on.
    triplet_accuracy, triplet_accuracy_se : ndarray, shape (n_candidates,)
        Share of held-out triplets in the right order when this many components are kept, and the
        standard error of that share over anchors.
    significant : int
        How many directions separate the classes: candidates in order whose p-value is 0.01 or less.
        More than the last candidate if `max_rank` is too small.
    needed : int
        The smallest candidate whose triplet accuracy falls short of the best one's by no more than
        the standard error of their difference.
    chosen : int
        The number of components that the decomposition keeps when `rank` is not given:
        `significant`, but at least 1 and at most `max_rank`.
    n_held_out : int
        Number of samples that all this was measured on.
    stability : dict of int to float
        Share of 50 resamples that give each count: four fifths of each class's held-out samples,
        but at least 2.
    linear : bool
        Whether all this is about the part of the embedding that is linear in the data, because the
        embedding as a whole orders held-out triplets no better (by 0.01, and 2 standard errors).
        Components are then directions of the data. If False, what separates the classes is not
        linear in the data, and the directions are those of the embedding.
    refits : tuple of int
        `chosen` of each of the `n_init` fits; empty with a single one.
    """

    candidates: np.ndarray = field(repr=False)
    statistic: np.ndarray = field(repr=False)
    p_value: np.ndarray = field(repr=False)
    triplet_accuracy: np.ndarray = field(repr=False)
    triplet_accuracy_se: np.ndarray = field(repr=False)
    significant: int
    needed: int
    chosen: int
    n_held_out: int
    stability: dict[int, float]
    linear: bool
    refits: tuple[int, ...] = ()


@dataclass(frozen=True)
class HeldOut:
    """Samples that one fit has not seen, on the canonical axes of those that it has."""

    embedding: np.ndarray  # (n, n_candidates)
    linear: np.ndarray  # (n, n_candidates): of the linear part, on axes of its own
    codes: np.ndarray  # (n,) at least two classes, one of them with two samples
    n_spanned: int  # how many of the axes the class means of the fit span

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True)
class Part:
    """Held-out samples of one fit on the axes on which components are counted."""

    coordinates: np.ndarray  # (n, n_candidates)
    codes: np.ndarray  # (n,)
    n_spanned: int

    def test(self, rng: np.random.Generator) -> MeansRankTest:
        """Tests of the axes that class means span."""
        return MeansRankTest(self.coordinates[:, : self.n_spanned], self.codes, rng)

    def resample(self, rng: np.random.Generator) -> Part:
        """Four fifths of the samples of each class, but at least 2."""
        order, place = shuffle_within_classes(self.codes, rng)
        sizes = np.bincount(self.codes)[self.codes[order]]
        kept = order[place < np.maximum(2, _RESAMPLED_SHARE * sizes)]
        return Part(self.coordinates[kept], self.codes[kept], self.n_spanned)


def count_components(
    held_out: Sequence[HeldOut], rng: np.random.Generator, max_rank: int | None = None
) -> RankEvidence:
    """Find how many leading canonical components carry structure on held-out samples.

    Several sets of held-out samples, disjoint and each of a fit of its own, speak together:
    statistics are means over them, p-values are combined by Fisher's method, triplet accuracies are
    means over all anchors, classes weighing the same. (Each set was among the training samples of
    the other fits, so that the p-values are not quite independent.)

    Parameters
    ----------
    held_out : sequence of HeldOut
        One for each fit.
    rng : numpy Generator
        Draws the null distributions, and the resamples of `stability`.
    max_rank : int, optional
        The largest candidate; tests go on behind it.

    Returns
    -------
    RankEvidence
    """
    parts = [Part(one.linear, one.codes, one.n_spanned) for one in held_out]
    tests = _SequentialTest(parts, rng)
    whole = [Part(one.embedding, one.codes, one.n_spanned) for one in held_out]
    bends = _is_beyond_linear(parts, whole, max(tests.count, 1))
    if bends:
        parts, tests = whole, _SequentialTest(whole, rng)
    n_candidates = parts[0].coordinates.shape[1]
    n_candidates = min(n_candidates, max_rank or n_candidates)
    accuracy, weights = _triplet_accuracy_by_rank(parts, range(1, n_candidates + 1))
    counts = [tests.count_in([part.resample(rng) for part in parts]) for _ in range(_N_RESAMPLES)]
    return RankEvidence(
        candidates=np.arange(1, n_candidates + 1),
        statistic=tests.by_candidate(tests.statistic, n_candidates),
        p_value=tests.by_candidate(tests.p_value, n_candidates),
        triplet_accuracy=weights @ accuracy,
        triplet_accuracy_se=_standard_error(accuracy, weights),
        significant=tests.count,
        needed=_needed(accuracy, weights),
        chosen=min(max(tests.count, 1), n_candidates),
        n_held_out=sum(len(one) for one in held_out),
        stability={count: counts.count(count) / len(counts) for count in sorted(set(counts))},
        linear=not bends,
    )


class _SequentialTest:
    """The hypotheses "at most r directions" in turn, until one of them holds."""

    def __init__(self, parts: Sequence[Part], rng: np.random.Generator) -> None:
        self._tests = [part.test(rng) for part in parts]
        self._draws: dict[int, list[np.ndarray]] = {}
        self.statistic: dict[int, float] = {}
        self.p_value: dict[int, float] = {}
        self.count = self._search(max(test.n_tests for test in self._tests))

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
        self._draws[r] = [test.draws(r) if r < test.n_tests else _NOTHING for test in self._tests]
        statistics = _statistics(self._tests, r)
        self.statistic[r] = float(np.nanmean(statistics))
        self.p_value[r] = self._combine(statistics, r)
        return self.p_value[r] <= ALPHA

    def _combine(self, statistics: np.ndarray, r: int) -> float:
        """Fisher's combined p-value, from those parts that have such a hypothesis."""
        p_values = np.array(
            [
                (1 + np.sum(draws >= statistic)) / (1 + len(draws))
                for draws, statistic in zip(self._draws[r], statistics, strict=True)
                if not np.isnan(statistic) and len(draws)
            ]
        )
        if len(p_values) < 2:
            return float(p_values[0]) if len(p_values) else 1.0
        return float(stats.chi2.sf(-2 * np.log(p_values).sum(), 2 * len(p_values)))

    def count_in(self, parts: Sequence[Part]) -> int:
        """The count, at least 1, that fewer samples of the parts give by the same null draws."""
        tests = [part.test(np.random.default_rng(0)) for part in parts]
        tested = sorted(self._draws)
        for r in tested:
            if self._combine(_statistics(tests, r), r) > ALPHA:
                return max(r, 1)
        return tested[-1] + 1 if tested else 1

    def by_candidate(self, values: dict[int, float], n_candidates: int) -> np.ndarray:
        """Entry r is about r + 1 components; NaN where nothing was tested."""
        return np.array([values.get(r, np.nan) for r in range(n_candidates)])


_NOTHING = np.empty(0)


def _statistics(tests: Sequence[MeansRankTest], r: int) -> np.ndarray:
    """Of each part; NaN where it has no such hypothesis."""
    return np.array([test.statistic(r) if r < test.n_tests else np.nan for test in tests])


def _is_beyond_linear(linear: Sequence[Part], whole: Sequence[Part], count: int) -> bool:
    """Whether embeddings order held-out triplets better than `count` axes of their linear parts."""
    of_linear, weights = _triplet_accuracy_by_rank(linear, [count])
    of_whole, _ = _triplet_accuracy_by_rank(whole, [whole[0].coordinates.shape[1]])
    gain = of_whole - of_linear
    least = max(_WORTH_BENDING, float(_BEYOND_LINEAR * _standard_error(gain, weights)[0]))
    return float((weights @ gain)[0]) > least


def _triplet_accuracy_by_rank(
    parts: Sequence[Part], ranks: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Each anchor's share of triplets in the right order with so many components kept.

    (n_anchors, n_ranks), and the weight of each anchor: classes weigh the same, 1 in all. Samples
    that are alone in their class are no anchors.
    """
    accuracy = np.concatenate([_by_rank(part, ranks) for part in parts])
    codes = np.concatenate([part.codes for part in parts])
    is_anchor = ~np.isnan(accuracy[:, 0])
    _, codes, sizes = np.unique(codes[is_anchor], return_inverse=True, return_counts=True)
    return accuracy[is_anchor], 1 / (len(sizes) * sizes[codes])


def _by_rank(part: Part, ranks: Sequence[int]) -> np.ndarray:
    points, labels = torch.from_numpy(part.coordinates), torch.from_numpy(part.codes)
    by_rank = [triplet_accuracy_by_anchor(points[:, :rank], labels).numpy() for rank in ranks]
    return np.stack(by_rank, axis=1)


def _standard_error(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Of the weighted mean of each column."""
    return np.sqrt(weights**2 @ (values - weights @ values) ** 2)


def _needed(accuracy: np.ndarray, weights: np.ndarray) -> int:
    best = int((weights @ accuracy).argmax())
    cost = accuracy[:, [best]] - accuracy  # of the same anchors, so differences are paired
    return int(np.argmax(weights @ cost <= _standard_error(cost, weights) + 1e-12)) + 1


def warn_of_count(evidence: RankEvidence) -> None:
    """Say plainly when the held-out samples show no structure, or more than may be kept."""
    if evidence.significant > len(evidence.candidates):
        warnings.warn(
            f"max_rank={len(evidence.candidates)} is smaller than the {evidence.significant} "
            f"components that were found: {evidence.chosen} are kept.",
            UserWarning,
            stacklevel=4,
        )
    if evidence.significant > 0:
        return
    if np.isnan(evidence.p_value[0]):
        reason = "(they do not differ at all): the data may be constant"
    else:
        reason = f"(p = {evidence.p_value[0]:.2g}): the labels may not depend on the data"
    warnings.warn(
        f"No component separates the classes on {evidence.n_held_out} held-out samples {reason}. "
        "1 component is kept.",
        UserWarning,
        stacklevel=4,
    )
