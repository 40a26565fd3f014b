"""How many components, where nobody has named classes: by comparisons, or by neighbourhoods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from torch import Tensor

from tensorly_norank._class_balance import standard_error
from tensorly_norank._held_out_order import WORTH_AN_AXIS, is_worth_bending, needed_components
from tensorly_norank._parallel_analysis import ParallelAnalysis
from tensorly_norank._parts import ComparedPart, Part
from tensorly_norank._rank_evidence import (
    N_RESAMPLES,
    RankEvidence,
    found_components,
    n_kept_and_shown,
)
from tensorly_norank._rank_search import ALPHA, RESAMPLED_SHARE, TESTED_BEHIND

_N_FLIPS = 999
_WORTH_OF_GAP = 0.01
_TESTED_WITHOUT_TRIPLETS = 32  # components


@dataclass(frozen=True)
class Ordered:
    """Triplets of samples that one fit has not seen, by the number of components kept."""

    accuracy: np.ndarray  # (n_rows, n_dimensions) share of each sample's triplets in order
    n_samples: int  # that were held out

    def __len__(self) -> int:
        return self.n_samples


@dataclass(frozen=True)
class Compared(Ordered):
    """Comparisons of held-out anchors with fitted samples, on axes in their order.

    A comparison's gap is by how much the squared distance of the negative exceeds that of the
    positive, less what it would be for an anchor in the middle of those that were held out. On an
    axis it is twice the product of the anchor's coordinate, from there, and the difference of the
    others'.
    """

    gaps: np.ndarray  # (n_rows, n_dimensions) mean over each anchor's comparisons, on each axis


@dataclass(frozen=True)
class BothParts:
    """The same comparisons by the embedding and by what of it is linear in the data."""

    whole: Compared
    linear: Compared

    def __len__(self) -> int:
        return len(self.whole)


def order_neighbours(part: Part, points: Tensor) -> Ordered:
    """By anchor, of samples embedded as `points` (n, D), on axes in their order."""
    by_rank = [
        part.triplets(points[:, :rank]).order_by_anchor().double().cpu().numpy()
        for rank in range(1, points.shape[1] + 1)
    ]
    return Ordered(np.stack(by_rank, axis=1), len(part))


def order_comparisons(part: ComparedPart, points: Tensor, n_held_out: int) -> Compared:
    """By anchor, which is one of the held-out samples, that come first."""
    anchors, positives, negatives = part.comparisons.T
    counts = np.bincount(anchors, minlength=n_held_out)[:, None]
    known = counts[:, 0] > 0
    coordinates = points.double().cpu().numpy()
    differences = coordinates[positives] - coordinates[negatives]  # (T, D)
    middles = (coordinates[positives] + coordinates[negatives]) / 2
    by_axis = (coordinates[anchors] - middles) * differences  # half of the whole gap
    in_order = 0.5 + 0.5 * np.sign(by_axis.cumsum(axis=1))
    accuracy, differences = (
        np.stack([np.bincount(anchors, column, n_held_out) for column in values.T], axis=1)[known]
        / counts[known]
        for values in (in_order, differences)
    )
    held_out = coordinates[:n_held_out][known]
    gaps = 2 * (held_out - held_out.mean(axis=0)) * differences
    return Compared(accuracy, int(known.sum()), gaps)


def count_by_comparisons(
    held_out: Sequence[BothParts], n_dimensions: int, rng: np.random.Generator, max_rank: int | None
) -> RankEvidence:
    """Count the leading components that comparisons with held-out samples speak for.

    The hypotheses are "no axis behind the first r has a hundredth or more of the gap", the part of
    it that knows the anchor. What an axis has beyond a hundredth is as likely negative as positive
    then, or rather negative: the p-value is the share of random signs of anchors under which the
    largest mean, in units of its standard error, is at least as large as it is.

    As with classes, axes are those of the part of the embedding that is linear in the data, unless
    the embedding as a whole orders more of these comparisons than so many of them do.
    """
    rng = np.random.default_rng(rng.integers(2**63))
    parts: list[Compared] = [one.linear for one in held_out]
    whole = _together([one.whole for one in held_out], n_dimensions)
    is_linear = True
    for is_linear in (True, False):
        gaps = np.concatenate([np.empty((0, n_dimensions)), *(one.gaps for one in parts)])
        n_tests = n_dimensions if len(gaps) > 1 else 0
        statistics, p_values = _test_in_turn(partial(_by_signs, gaps, rng=rng), n_tests)
        significant = _leading(p_values)
        kept = _together(parts, n_dimensions)
        if not is_linear or not _orders_more(whole[:, -1], kept[:, max(significant, 1) - 1]):
            break
        parts = [one.whole for one in held_out]
    counts = []
    for _ in range(N_RESAMPLES if n_tests else 0):
        test = partial(_by_signs, _some(gaps, rng), rng=rng)
        counts.append(_leading(_test_in_turn(test, n_dimensions, n_behind=0)[1]))
    return _evidence(
        "comparisons",
        parts,
        kept,
        statistics,
        p_values,
        significant,
        needed_components(kept, _equal(kept)) if len(kept) else 0,
        counts,
        n_dimensions,
        max_rank,
        linear=is_linear,
    )


def _orders_more(whole: np.ndarray, linear: np.ndarray) -> bool:
    """Whether the embedding orders triplets of samples (n,) better than its linear part."""
    return len(whole) > 0 and is_worth_bending(whole - linear, _equal(whole))


def count_by_neighbourhoods(
    held_out: Sequence[Ordered],
    samples: Tensor,
    n_dimensions: int,
    rng: np.random.Generator,
    max_rank: int | None,
) -> RankEvidence:
    """Count the leading components that neighbourhoods of held-out samples speak for.

    `needed` is the smallest number behind which no further components bring more than 0.001 of the
    triplets each (and one standard error): every direction in which the samples vary, be it noise,
    has something to say about who is near to whom. `significant` is a parallel analysis of the
    samples, which noise does not pass; it goes on to the second behind `needed`. The smaller of the
    two is chosen.
    """
    accuracy = _together(held_out, n_dimensions)
    needed = _needed_by_neighbourhoods(accuracy) if len(accuracy) else 0
    analysis = ParallelAnalysis(samples, rng)
    most = needed + TESTED_BEHIND if needed else _TESTED_WITHOUT_TRIPLETS
    statistics, p_values = _test_in_turn(lambda r: analysis.next(), min(most, n_dimensions))
    significant = _leading(p_values)
    counts = [
        min(significant, _needed_by_neighbourhoods(_some(accuracy, rng)))
        for _ in range(N_RESAMPLES if len(accuracy) else 0)
    ]
    return _evidence(
        "neighbourhoods",
        held_out,
        accuracy,
        statistics,
        p_values,
        significant,
        needed,
        counts,
        n_dimensions,
        max_rank,
    )


def _evidence(
    about: str,
    held_out: Sequence[Ordered],
    accuracy: np.ndarray,
    statistics: Sequence[float],
    p_values: Sequence[float],
    significant: int,
    needed: int,
    counts: Sequence[int],
    n_dimensions: int,
    max_rank: int | None,
    linear: bool = False,
) -> RankEvidence:
    found = found_components(about, significant, needed)
    most, n_candidates = n_kept_and_shown(found, n_dimensions, max_rank)
    reading = np.full((2, n_candidates), np.nan)  # of triplets: their share, and its error
    if len(accuracy):
        reading[0] = accuracy.mean(axis=0)[:n_candidates]
        reading[1] = standard_error(accuracy, _equal(accuracy))[:n_candidates]
    return RankEvidence(
        candidates=np.arange(1, n_candidates + 1),
        statistic=_padded(statistics, n_candidates),
        p_value=_padded(p_values, n_candidates),
        triplet_accuracy=reading[0],
        triplet_accuracy_se=reading[1],
        significant=significant,
        needed=needed,
        chosen=min(max(found, 1), most),
        n_held_out=sum(len(one) for one in held_out),
        stability={count: counts.count(count) / len(counts) for count in sorted(set(counts))},
        linear=linear,
        about=about,
    )


def _padded(values: Sequence[float], length: int) -> np.ndarray:
    """NaN where nothing was tested."""
    return np.array([*values, *[np.nan] * length])[:length]


def _together(held_out: Sequence[Ordered], n_dimensions: int) -> np.ndarray:
    return np.concatenate([np.empty((0, n_dimensions)), *(one.accuracy for one in held_out)])


def _equal(accuracy: np.ndarray) -> np.ndarray:
    return np.full(len(accuracy), 1 / len(accuracy))


def _some(accuracy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Four fifths of the rows."""
    return accuracy[rng.permutation(len(accuracy))[: int(RESAMPLED_SHARE * len(accuracy)) or 1]]


def _test_in_turn(
    test: Callable[[int], tuple[float, float]], n_tests: int, n_behind: int = TESTED_BEHIND
) -> tuple[list[float], list[float]]:
    """Statistics and p-values, to the second behind the first hypothesis that holds."""
    statistics, p_values = [], []
    n_left = n_behind + 1
    for r in range(n_tests):
        statistic, p_value = test(r)
        statistics.append(statistic)
        p_values.append(p_value)
        if p_value > ALPHA or n_left <= n_behind:
            n_left -= 1
        if n_left == 0:
            break
    return statistics, p_values


def _leading(p_values: Sequence[float]) -> int:
    """How many come before the first that does not reject."""
    holds = [p_value > ALPHA for p_value in p_values]
    return holds.index(True) if True in holds else len(holds)


def _by_signs(gaps: np.ndarray, n_kept: int, rng: np.random.Generator) -> tuple[float, float]:
    """Of axes behind the first so many: largest mean gap beyond a hundredth, and its p-value.

    In units of its standard error, of samples (n, D).
    """
    all_axes = gaps.sum(axis=1, keepdims=True)
    # Where there is no gap altogether a hundredth of it is no bar.
    beyond = gaps[:, n_kept:] - _WORTH_OF_GAP * all_axes * (all_axes.mean() > 0)
    # The root of the sum of squares does not change with signs: one unit for all draws.
    beyond = beyond / np.maximum(np.sqrt((beyond**2).sum(axis=0)), np.finfo(float).tiny)
    observed = beyond.sum(axis=0).max()
    signs = rng.choice([-1.0, 1.0], size=(_N_FLIPS, len(beyond)))
    drawn = (signs @ beyond).max(axis=1)
    return float(observed), (1 + np.sum(drawn >= observed)) / (1 + _N_FLIPS)


def _needed_by_neighbourhoods(accuracy: np.ndarray) -> int:
    n_rows, n_dimensions = accuracy.shape
    for kept in range(1, n_dimensions):
        gains = accuracy[:, kept:] - accuracy[:, [kept - 1]]
        least = WORTH_AN_AXIS * np.arange(1, n_dimensions - kept + 1)
        errors = gains.std(axis=0) / np.sqrt(n_rows)
        if np.all(gains.mean(axis=0) - errors <= least):
            return kept
    return n_dimensions
