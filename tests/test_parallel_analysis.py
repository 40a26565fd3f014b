"""Directions that entries share, counted on data whose number of them is known."""

import numpy as np
import pytest
import torch

from tensorly_norank._parallel_analysis import ParallelAnalysis


def _p_values(rows, n_tests, seed=0):
    analysis = ParallelAnalysis(torch.from_numpy(rows), np.random.default_rng(seed))
    return [analysis.next()[1] for _ in range(n_tests)]


@pytest.mark.parametrize("n_entries", [10, 300])
@pytest.mark.parametrize("rank", [0, 1, 3])
def test_as_many_components_are_significant_as_there_are(rank, n_entries):
    rng = np.random.default_rng(rank)
    loud = 4.0 ** np.arange(rank)  # the smallest is not hidden by the largest
    rows = (loud * rng.normal(size=(150, rank))) @ rng.normal(size=(rank, n_entries))
    p_values = _p_values(rows + rng.normal(size=(150, n_entries)), rank + 1)
    assert all(p_value == 0.01 for p_value in p_values[:rank])
    assert p_values[rank] > 0.01


def test_under_the_null_p_values_are_uniform():
    rng = np.random.default_rng(0)
    firsts = [
        _p_values(rng.normal(size=(40, 12)) * rng.gamma(1, size=12), 1, seed)[0]
        for seed in range(60)
    ]
    assert np.mean(firsts) == pytest.approx(0.5, abs=0.13)


def test_the_statistic_is_the_share_of_the_component_in_what_is_left():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 6)) * [9, 3, 1, 1, 1, 1]
    values = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False) ** 2
    analysis = ParallelAnalysis(torch.from_numpy(rows), np.random.default_rng(0))
    for k in range(3):
        assert analysis.next()[0] == pytest.approx(values[k] / values[k:].sum())


def test_where_all_is_taken_no_more_is_found():
    """Of n samples n - 1 components are all there is, and the last of them cannot stand out."""
    rng = np.random.default_rng(0)
    p_values = _p_values(rng.normal(size=(8, 1)) @ rng.normal(size=(1, 30)), 2)
    assert p_values == [0.01, 1.0]
    assert _p_values(rng.normal(size=(8, 30)), 8)[6:] == [1.0, 1.0]


def test_entries_that_hardly_vary_do_no_harm():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(150, 64)) * np.concatenate([np.ones(50), np.logspace(-30, -10, 14)])
    assert all(0 < p_value <= 1 for p_value in _p_values(rows, 20))


def test_a_single_entry_that_varies_is_a_component():
    rows = np.zeros((20, 6))
    rows[:, 2] = np.random.default_rng(0).normal(size=20)
    assert _p_values(rows, 2) == [0.01, 1.0]


def test_where_nothing_varies_there_is_nothing_to_find():
    rows = np.ones((20, 4))
    assert _p_values(rows, 2) == [1.0, 1.0]
    rows[:, 0] = np.arange(20)
    assert _p_values(rows, 2)[1] == 1.0


@pytest.mark.parametrize("shape", [(1000, 20), (100, 1000)], ids=["samples", "entries"])
def test_of_many_samples_and_entries_the_last_have_a_say_too(shape):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=shape)
    n_samples, n_entries = (length // 2 for length in shape)
    rows[-n_samples:, -n_entries:] += 2 * np.outer(
        rng.normal(size=n_samples), rng.normal(size=n_entries)
    )
    for seed in range(3):
        analysis = ParallelAnalysis(torch.from_numpy(rows), np.random.default_rng(seed))
        assert analysis.next()[1] == 0.01
