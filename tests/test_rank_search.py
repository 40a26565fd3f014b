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
    sets = [gaussian(1, 60, seed=seed, strength=0.6) for seed in range(3)]
    each = [search([points], seed=seed) for seed, points in enumerate(sets)]
    together = search(sets)
    assert together.statistic[0] == pytest.approx(np.mean([one.statistic[0] for one in each]))
    expected = stats.chi2.sf(-2 * np.log([one.p_value[0] for one in each]).sum(), 6)
    assert together.p_value[0] == pytest.approx(expected, rel=0.5, abs=0.005)  # other draws


def test_looks_are_combined_by_bonferronis_method(monkeypatch):
    """Also with looks that were had before, and not with those that have no such hypothesis."""
    p_values = iter([0.2, 0.004, 0.1])
    looks = [[gaussian(1, 60).leading(1)]] * 3
    monkeypatch.setattr(_rank_search, "_fisher", lambda *_: next(p_values))
    assert search(*looks, n_before=2).p_value[0] == pytest.approx(5 * 0.004)
    p_values = iter([0.004])
    assert search([USELESS], looks[0]).p_value[0] == 0.004


def test_looks_behind_one_that_rejects_are_not_had(monkeypatch):
    had = []
    p_values = iter([0.004, 0.0003, 1.0])
    monkeypatch.setattr(_rank_search, "_fisher", lambda *_: had.append(1) or next(p_values))
    looks = [[gaussian(1, 60).leading(1)]] * 3
    assert search(*looks).p_value == {0: pytest.approx(3 * 0.0003)}
    assert len(had) == 2


def test_the_best_of_three_looks_can_reject_alone():
    strong, nothing = gaussian(2), gaussian(0, seed=1)
    assert search([nothing], [strong], [nothing]).count == 2


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


def test_resamples_count_by_the_same_draws():
    rng = np.random.default_rng(1)
    sure, weak = search([gaussian(2)]), search([gaussian(1, 60, strength=1.4)])
    assert [sure.count_in_resample(rng) for _ in range(10)].count(2) >= 9
    assert len({weak.count_in_resample(rng) for _ in range(20)}) > 1


def test_a_resample_that_loses_a_class_to_smallness_is_counted_all_the_same():
    """Four of five samples are three: too few beside large classes, so there is a test less."""
    points = gaussian(2, 60)
    codes = np.where(np.arange(60) < 4, 6, points.codes)
    tests = search([LabelledPoints(points.coordinates, codes)])
    assert 0 <= tests.count_in_resample(np.random.default_rng(0)) <= 3
