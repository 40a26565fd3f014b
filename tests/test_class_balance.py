"""Means in which classes weigh the same."""

import numpy as np
import pytest

from tensorly_norank._class_balance import class_weights, standard_error


def test_weights_are_equal_within_a_class_and_between_the_sums_of_classes():
    codes = np.array([7, 2, 2, 7, 2, 9])
    assert class_weights(codes) == pytest.approx([1 / 6, 1 / 9, 1 / 9, 1 / 6, 1 / 9, 1 / 3])


def test_the_standard_error_is_that_of_a_weighted_mean():
    weights = np.array([0.5, 0.3, 0.2])
    values = np.array([[1.0, 2.0], [2.0, 2.0], [4.0, 2.0]])  # means 1.9 and 2
    by_hand = np.sqrt((0.5 * 0.9) ** 2 + (0.3 * 0.1) ** 2 + (0.2 * 2.1) ** 2)
    assert standard_error(values, weights) == pytest.approx([by_hand, 0])


def test_the_standard_error_tells_how_means_of_new_samples_scatter():
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2], [20, 60, 120])
    weights = class_weights(codes)
    draws = rng.normal(size=(200, 2000)) * np.array([1.0, 2.0, 3.0])[codes][:, None]
    scatter = (weights @ draws).std()
    assert standard_error(draws, weights).mean() == pytest.approx(scatter, rel=0.06)
