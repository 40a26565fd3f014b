"""How well held-out samples are in order, beside shares that are counted one by one."""

import numpy as np
import pytest
from gaussian_classes import placed

from tensorly_norank._held_out_order import (
    HeldOutPoints,
    class_shares,
    is_worth_bending,
    means_in_order,
    needed_components,
    triplets_in_order,
)


@pytest.mark.parametrize(("anchors", "needed"), [([0.5, 0.9, 0.9], 2), ([0.9, 0.9, 0.95], 3)])
def test_needed_is_the_smallest_count_that_costs_no_accuracy(anchors, needed):
    common = np.random.default_rng(0).normal(scale=0.3, size=(50, 1))  # of an anchor: it cancels
    assert needed_components(np.array([anchors]) + common, np.full(50, 1 / 50)) == needed


def test_axes_that_bring_next_to_nothing_are_not_needed():
    """All anchors agree on that nothing, so that its standard error is less still."""
    noise = np.random.default_rng(0).normal(scale=1e-5, size=(50, 3))
    accuracy = np.tile([0.9, 0.9896, 0.9897], (50, 1)) + noise
    assert needed_components(accuracy, np.full(50, 1 / 50)) == 2


def test_anchors_weigh_so_that_classes_count_alike():
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2], [60, 20, 10])
    spread = np.array([0.2, 1, 3])[codes][:, None]
    points = rng.normal(size=(90, 2)) * spread + np.eye(3, 2)[codes]
    by_class = []
    for code in range(3):
        shares = []
        for anchor in np.flatnonzero(codes == code):
            distances = np.linalg.norm(points - points[anchor], axis=1)
            alike = (codes == code) & (np.arange(90) != anchor)
            shares.append(np.mean(distances[alike][:, None] < distances[codes != code]))
        by_class.append(np.mean(shares))
    accuracy, weights = triplets_in_order([placed(points, codes)], [1, 2])
    assert (weights @ accuracy)[1] == pytest.approx(np.mean(by_class))


def test_samples_are_set_beside_means_of_fitted_classes_one_by_one():
    """Of two fits; a class of which nothing is held out is left out, and ties count half."""
    rng = np.random.default_rng(0)
    codes = [np.repeat([0, 2, 3, 4], [5, 3, 3, 1]), np.repeat([1, 3], 4)]
    parts, shares = [], []
    for own in codes:
        means = rng.normal(size=(5, 4))
        means[2] = means[3]
        parts.append(placed(rng.normal(size=(len(own), 4)), own, means))
        for point, code in zip(parts[-1].coordinates, own, strict=True):
            distances = np.linalg.norm(point[:3] - means[:, :3], axis=1)
            others = distances[np.setdiff1d(own, code)]
            share = np.mean((others > distances[code]) + 0.5 * (others == distances[code]))
            shares.append(share)
    accuracy, weights = means_in_order(parts, [1, 3])
    np.testing.assert_allclose(accuracy[:, 1], shares)
    codes = np.concatenate(codes)
    by_class = [np.mean(np.array(shares)[codes == code]) for code in np.unique(codes)]
    assert (weights @ accuracy)[1] == pytest.approx(np.mean(by_class))


def test_codes_of_fitted_classes_need_not_be_consecutive():
    fitted = np.array([2, 5, 7]), np.array([[1.0], [0.9], [0.0]])
    part = HeldOutPoints(np.array([[0.0], [1.0]]), np.array([2, 7]), *fitted)
    accuracy, _ = means_in_order([part], [1])
    np.testing.assert_array_equal(accuracy, [[0.0], [0.0]])


def test_of_what_its_class_does_not_move_shares_are_a_half():
    """However noisy the means of some classes are, which are farther from everything."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(6), 20)
    noise = np.array([0.2, 0.2, 1, 1, 3, 3])[:, None]
    part = placed(rng.normal(size=(120, 4)), codes, noise * rng.normal(size=(6, 4)))
    (shares,) = class_shares(part, [4])
    np.testing.assert_allclose(shares.mean(axis=1), 1 / 2)
    assert np.ptp(shares.mean(axis=0)) > 0.5
    accuracy, weights = means_in_order([part], [4])
    assert (weights @ accuracy)[0] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("n_standard_errors", "expected"), [(0.0, 3), (0.5, 2), (1.0, 1)])
def test_the_fewer_standard_errors_are_forgiven_the_more_is_needed(n_standard_errors, expected):
    """Of 100 anchors: the second falls short by 0.4, the first by 0.9 standard errors."""
    noise = np.tile([-1.0, 1.0], 50)
    cost = np.stack([0.09 + noise, 0.04 + noise, np.zeros(100)], axis=1)
    weights = np.full(100, 0.01)
    assert needed_components(1 - cost, weights, n_standard_errors) == expected


def test_what_is_needed_is_asked_of_classes_alike_in_accuracy_and_in_cost():
    """Of 90 and 10 anchors, and of 95 and 5."""
    rare_gains = np.repeat([[0.9, 0.9], [0.5, 0.9]], [90, 10], axis=0)
    assert needed_components(rare_gains, np.repeat([0.5 / 90, 0.05], [90, 10])) == 2
    rare_loses = np.repeat([[0.9, 0.89], [0.5, 0.55]], [95, 5], axis=0)
    assert needed_components(rare_loses, np.repeat([0.5 / 95, 0.1], [95, 5])) == 2


@pytest.mark.parametrize(("spread", "expected"), [(0.01, 3), (0.1, 2)])
def test_what_falls_short_by_a_standard_error_is_not_needed(spread, expected):
    """The third brings 0.005, of which the standard error is a tenth of the spread."""
    accuracy = np.tile([0.7, 0.8, 0.8], (100, 1))
    accuracy[:, 2] += 0.005 + spread * np.tile([-1.0, 1.0], 50)
    assert needed_components(accuracy, np.full(100, 0.01)) == expected


def test_bending_must_pay_by_standard_errors():
    gain, weights = np.tile([0.45, -0.35], 8), np.full(16, 1 / 16)
    assert not is_worth_bending(gain, weights)  # 0.05 in the mean, by half a standard error
    assert is_worth_bending(gain, weights, 0.4)
    assert is_worth_bending(gain / 100 + 0.05, weights)
    assert not is_worth_bending(gain / 100 + 0.01, weights, 0.0)  # sure, and not worth it
