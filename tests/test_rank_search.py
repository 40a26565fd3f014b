"""Hypotheses in turn, on sets of samples that speak together."""

import numpy as np
import pytest
from scipy import stats

from tensorly_norank import _rank_search
from tensorly_norank._rank_search import LabelledPoints, SequentialTest


def gaussian(n_separated, n_samples=240, n_dimensions=5, seed=0, strength=3.0):
    """Six classes whose means differ in so many directions."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n_samples) % 6
    means = np.zeros((6, n_dimensions))
    means[:, :n_separated] = strength * np.linalg.qr(rng.normal(size=(6, 6)))[0][:, :n_separated]
    return LabelledPoints(means[codes] + rng.normal(size=(n_samples, n_dimensions)), codes)


USELESS = LabelledPoints(np.zeros((4, 1)), np.array([0, 0, 1, 2]))


def search(*looks, seed=0, **options):
    return SequentialTest(looks, np.random.default_rng(seed), **options)


def test_resamples_are_four_fifths_of_each_class_and_two_at_least():
    codes = np.repeat(np.arange(6), [20, 10, 2, 1, 3, 4])
    part = LabelledPoints(np.arange(40.0)[:, None], codes)
    one, two = (part.resample(np.random.default_rng(seed)) for seed in (0, 1))
    for resampled in (one, two):
        np.testing.assert_array_equal(np.bincount(resampled.codes), [16, 8, 2, 1, 2, 3])
        np.testing.assert_array_equal(
            codes[resampled.coordinates[:, 0].astype(int)], resampled.codes
        )
    assert set(one.coordinates[:, 0]) != set(two.coordinates[:, 0])


def test_sets_are_combined_by_fishers_method():
    """The larger of two null distributions counts; sets without the hypothesis do not."""
    draws = [np.arange(99.0)[None], np.stack([np.arange(99.0), np.zeros(99)]), np.empty((1, 0))]
    p_value = _rank_search._fisher([89.5, 49.5, np.nan], draws)
    assert p_value == pytest.approx(stats.combine_pvalues([0.1, 0.5]).pvalue)
    assert _rank_search._fisher([89.5], draws[:1]) == pytest.approx(0.1)
    assert _rank_search._fisher([np.nan], draws[2:]) == 1


def test_the_statistic_is_the_mean_over_the_sets_of_the_first_look():
    sets = [gaussian(1, 60, seed=seed) for seed in range(3)]
    each = [search([points]).statistic[0] for points in sets]
    assert search(sets, [gaussian(2)]).statistic[0] == pytest.approx(np.mean(each))


def test_looks_are_combined_by_bonferronis_method(monkeypatch):
    """Also with looks that were had before, and not with those that have no such hypothesis."""
    p_values = iter([0.2, 0.004, 0.1])
    looks = [[gaussian(1, 60).leading(1)]] * 3
    monkeypatch.setattr(_rank_search, "_fisher", lambda *_: next(p_values))
    assert search(*looks, n_before=2).p_value[0] == pytest.approx(5 * 0.004)
    p_values = iter([0.004])
    assert search([USELESS], looks[0]).p_value[0] == 0.004


def test_looks_behind_one_that_rejects_are_skipped(monkeypatch):
    had = []
    p_values = iter([0.004, 0.0003, 1.0])
    monkeypatch.setattr(_rank_search, "_fisher", lambda *_: had.append(1) or next(p_values))
    looks = [[gaussian(1, 60).leading(1)]] * 3
    assert search(*looks).p_value == {0: pytest.approx(3 * 0.0003)}
    assert len(had) == 2


def test_the_best_of_three_looks_can_reject_alone():
    strong, nothing = gaussian(2), gaussian(0, seed=1)
    assert search([nothing], [strong], [nothing]).count == 2


@pytest.mark.parametrize("seed", range(5))
def test_a_set_that_sees_plainly_is_not_outvoted_by_one_that_sees_nothing(seed):
    """Of 599 draws, its p-value could be no smaller than 1/600, whatever it sees."""
    strong, nothing = gaussian(2, seed=seed), gaussian(0, seed=seed + 10)
    assert search([strong, nothing], n_before=4).count == 2


class BeyondTheFirstDraws:
    """A set without structure whose statistic happens to be beyond the first null draws."""

    n_tests = 1

    def __init__(self, rng):
        *self.first, self.value = np.sort(rng.exponential(size=_rank_search.N_DRAWS + 1))
        self.rng = rng

    def statistic(self, r):
        return self.value

    def draws(self, r, n_draws=None):
        return self.rng.exponential(size=(1, n_draws)) if n_draws else np.array([self.first])


def test_draws_that_are_added_do_not_change_the_level():
    """Of a set beyond all of 599, so many of the others are beyond it as are by chance."""
    rng = np.random.default_rng(0)
    p_values = []
    for _ in range(400):
        tests = object.__new__(_rank_search._Tests)
        tests._tests = [BeyondTheFirstDraws(rng)]
        drawn = tests.draw_more(0, tests.draws(0), [True])
        p_values.append(_rank_search._fisher(tests.statistics(0), drawn))
    assert np.mean(p_values) == pytest.approx((1 + 9400 / 601) / 10000, rel=0.2)


def test_resamples_too_are_told_by_more_draws():
    strong, nothing = gaussian(2), gaussian(0, seed=11)
    tests = search([strong, nothing], n_before=4)
    rng = np.random.default_rng(0)
    assert [tests.count_in_resample(rng) for _ in range(10)].count(2) >= 8
    sizes = {r: [drawn.shape[1] for drawn in tests._draws[0, r]] for r in (0, 1)}
    assert sizes == {0: [9999, 599], 1: [9999, 599]}


def test_draws_are_added_only_where_they_may_decide():
    strong, nothing = gaussian(2), gaussian(0, seed=1)
    sizes = {
        name: [drawn.shape[1] for drawn in search(look, n_before=4)._draws[0, 0]]
        for name, look in {
            "both": [strong, nothing],
            "strong": [strong] * 2,
            "one": [strong],
        }.items()
    }
    assert sizes == {"both": [9999, 599], "strong": [599, 599], "one": [599]}


def test_sets_that_test_nothing_are_left_out():
    useful = gaussian(2)
    alone = search([useful])
    for looks in ([[USELESS, useful]], [[USELESS], [useful]]):
        beside = search(*looks)
        assert beside.p_value == alone.p_value
        assert beside.count == alone.count == 2
    assert search([USELESS]).count == 0


def test_classes_are_those_that_any_set_tests():
    assert search([USELESS], [gaussian(2, 30)]).classes == set(range(6))
    assert search([USELESS]).classes == {0}


def test_resamples_count_by_the_same_draws(monkeypatch):
    made = []
    draws = _rank_search._Tests.draws
    monkeypatch.setattr(
        _rank_search._Tests, "draws", lambda tests, r: made.append(r) or draws(tests, r)
    )
    rng = np.random.default_rng(1)
    sure, weak = search([gaussian(2)]), search([gaussian(1, 60, strength=1.4)])
    assert [sure.count_in_resample(rng) for _ in range(10)].count(2) >= 9
    assert len({weak.count_in_resample(rng) for _ in range(20)}) > 1
    assert made == [*sure.p_value, *weak.p_value]  # each hypothesis once


@pytest.mark.parametrize("seed", range(3))
def test_resamples_compare_the_classes_that_were_tested(seed):
    """Of classes of four samples three are left, which would be too few; pairs stay left out."""
    codes = np.r_[np.repeat(np.arange(10), 4), np.repeat(np.arange(10, 25), 2)]
    points = np.random.default_rng(seed).normal(size=(70, 6))
    tests = search([LabelledPoints(points, codes)], seed=seed)
    assert (tests.count, tests.classes) == (0, set(range(10)))
    rng = np.random.default_rng(0)
    assert [tests.count_in_resample(rng) for _ in range(20)].count(0) >= 18
