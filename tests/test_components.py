"""Axes that mean something."""

import numpy as np
import torch

from tensorly_norank._components import canonical_axes, class_means, leading_axes


def _embedding(n_dimensions=6, n_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.arange(120) % n_classes
    means = rng.normal(size=(n_classes, n_dimensions)) * np.linspace(3, 0.5, n_dimensions)
    points = means[codes] + rng.normal(size=(120, n_dimensions))
    return torch.from_numpy(points), torch.from_numpy(codes)


def test_axes_are_orthonormal_and_coordinates_centred():
    points, codes = _embedding()
    axes = canonical_axes(points, codes)
    torch.testing.assert_close(axes.axes.T @ axes.axes, torch.eye(6, dtype=torch.float64))
    assert axes.project(points).mean(0).abs().max() < 1e-12


def test_class_means_lie_on_the_first_axes_in_decreasing_order():
    points, codes = _embedding()
    coordinates = canonical_axes(points, codes).project(points)
    means = torch.stack([coordinates[codes == k].mean(0) for k in range(4)])
    assert means[:, 3:].abs().max() < 1e-10
    spread = means.square().sum(0)[:3]
    assert torch.all(spread[:-1] >= spread[1:])


def test_axes_behind_the_class_means_are_ordered_by_variance():
    points, codes = _embedding()
    variance = canonical_axes(points, codes).project(points).var(0)[3:]
    assert torch.all(variance[:-1] >= variance[1:])


def test_coordinates_do_not_depend_on_the_rotation_of_the_embedding():
    points, codes = _embedding()
    rotation = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64))[0]
    turned = points @ rotation + 3
    torch.testing.assert_close(
        canonical_axes(turned, codes).project(turned), canonical_axes(points, codes).project(points)
    )


def test_more_classes_than_dimensions_leave_no_axis_over():
    points, codes = _embedding(n_dimensions=3, n_classes=6)
    axes = canonical_axes(points, codes)
    torch.testing.assert_close(axes.axes.T @ axes.axes, torch.eye(3, dtype=torch.float64))
    assert axes.project(points, 2).shape == (120, 2)


def test_classes_weigh_the_same_in_the_first_axis():
    points = torch.tensor([[2.0, 0], [-2, 0], [0, 1], [0, -1]], dtype=torch.float64)
    codes = torch.tensor([0] * 50 + [1] * 2 + [2] * 2 + [3] * 2)
    first = canonical_axes(points[codes], codes).axes[:, 0]
    class_means = points - points[codes].mean(0)
    expected = torch.linalg.svd(class_means)[2][0]
    torch.testing.assert_close((first @ expected).abs(), torch.ones((), dtype=torch.float64))


def test_class_names_decide_signs_and_nothing_else_of_the_axes():
    points, codes = _embedding()
    one, two = canonical_axes(points, codes), canonical_axes(points, 10 - 2 * codes)
    torch.testing.assert_close(one.axes.abs(), two.axes.abs())


def test_axes_that_are_given_come_first_and_the_others_are_canonical_in_what_is_left():
    points, codes = _embedding()
    first = torch.linalg.qr(torch.randn(6, 2, dtype=torch.float64))[0]
    axes = canonical_axes(points, codes, first)
    torch.testing.assert_close(axes.axes.T @ axes.axes, torch.eye(6, dtype=torch.float64))
    torch.testing.assert_close((axes.axes[:, :2].T @ first).abs(), torch.eye(2).double())
    left = torch.linalg.svd(first)[0][:, 2:]
    expected = canonical_axes(points @ left, codes).project(points @ left)
    torch.testing.assert_close(axes.project(points)[:, 2:], expected)


def test_columns_of_zeros_among_the_axes_that_are_given_are_none():
    points, codes = _embedding()
    first = torch.linalg.qr(torch.randn(6, 2, dtype=torch.float64))[0]
    padded = torch.cat([first, torch.zeros(6, 1).double()], dim=1)
    torch.testing.assert_close(
        canonical_axes(points, codes, padded).axes, canonical_axes(points, codes, first).axes
    )


def test_the_first_class_that_is_half_as_far_out_as_any_lies_on_the_positive_side():
    for places, sign in [((-1, 4, -10, 7), -1), ((-1, 4, 7, -10), 1), ((7, -10, -1, 4), 1)]:
        points = torch.zeros(4, 2).double()
        points[:, 0] = torch.tensor(places)
        coordinates = canonical_axes(points, torch.arange(4)).project(points)
        torch.testing.assert_close(coordinates[:, 0], sign * points[:, 0])


def test_axes_that_carry_rounding_errors_alone_are_zero_in_single_precision():
    points, codes = _embedding(n_dimensions=2)
    rotation = torch.linalg.qr(torch.randn(6, 6))[0]
    turned = torch.cat([points.float(), torch.zeros(120, 4)], dim=1) @ rotation
    coordinates = canonical_axes(turned, codes).project(turned)
    assert coordinates[:, :2].std(dim=0).min() > 0.1
    assert not coordinates[:, 2:].any()


def test_class_means_are_those_of_each_class():
    rng = np.random.default_rng(0)
    codes = torch.from_numpy(rng.integers(7, size=90) * 3)  # of which some are absent
    points = torch.from_numpy(rng.normal(size=(90, 4)))
    expected = torch.stack([points[codes == code].mean(dim=0) for code in codes.unique()])
    torch.testing.assert_close(class_means(points, codes), expected)


def test_without_classes_leading_coordinates_are_turned_among_themselves_by_variance():
    rng = np.random.default_rng(0)
    points = torch.from_numpy(rng.normal(size=(200, 4)) * [1.0, 3, 2, 9]) + 5
    coordinates = leading_axes(points, 3).project(points)
    covariance = np.cov(coordinates.T.numpy())[:3, :3]
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-9)
    assert np.all(np.diff(np.diag(covariance)) < 0)
    torch.testing.assert_close(coordinates[:, 3], points[:, 3] - points[:, 3].mean())
