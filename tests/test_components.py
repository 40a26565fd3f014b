"""Axes that mean something, and a count that is right."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.feature_selection import f_classif

from tensorly_norank import _components
from tensorly_norank._components import (
    HeldOut,
    axis_tests,
    bartlett_test,
    canonical_axes,
    count_components,
)


def _embedding(n_dimensions=6, n_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.arange(120) % n_classes
    means = rng.normal(size=(n_classes, n_dimensions)) * np.linspace(3, 0.5, n_dimensions)
    points = means[codes] + rng.normal(size=(120, n_dimensions))
    return torch.from_numpy(points), torch.from_numpy(codes)


def _gaussian(n_separated, n_samples=240, n_classes=6, n_dimensions=8, seed=0, strength=3):
    rng = np.random.default_rng(seed)
    codes = np.arange(n_samples) % n_classes
    means = np.zeros((n_classes, n_dimensions))
    means[:, :n_separated] = (
        strength * np.linalg.qr(rng.normal(size=(n_classes, n_classes)))[0][:, :n_separated]
    )
    points = means[codes] + rng.normal(size=(n_samples, n_dimensions))
    return HeldOut(points, codes, min(n_classes - 1, n_dimensions))


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


@pytest.mark.parametrize("n_separated", [1, 2, 4])
def test_bartlett_finds_the_planted_number_of_directions(n_separated):
    part = _gaussian(n_separated)
    p_value = bartlett_test(part.coordinates, part.codes)[1]
    assert np.all(p_value[:n_separated] < 1e-4)
    assert p_value[n_separated] > 1e-3
    assert np.all(np.isnan(p_value[5:]))


def test_bartlett_holds_its_level_without_structure():
    rejections = 0
    for seed in range(300):
        part = _gaussian(0, n_samples=80, seed=seed)
        rejections += bartlett_test(part.coordinates, part.codes)[1][0] < 0.05
    assert 4 <= rejections <= 30  # 15 expected


def test_count_is_one_and_says_so_without_structure():
    evidence = count_components([_gaussian(0)], np.random.default_rng(0))
    assert (evidence.significant, evidence.chosen) == (0, 1)


def test_evidence_is_complete():
    evidence = count_components([_gaussian(3), _gaussian(3, seed=1)], np.random.default_rng(0))
    assert evidence.chosen == evidence.significant == 3
    assert evidence.n_held_out == 480
    assert sum(evidence.stability.values()) == pytest.approx(1)
    np.testing.assert_array_equal(evidence.candidates, np.arange(1, 9))
    for values in (evidence.statistic, evidence.p_value, evidence.triplet_accuracy_se):
        assert values.shape == (8,)
    assert evidence.triplet_accuracy[2] > evidence.triplet_accuracy[0]


def _pairs(n_separated, seed=0):
    """30 classes of two samples each: too few for Bartlett's test of all 12 axes together."""
    sizes = {"n_samples": 60, "n_classes": 30, "n_dimensions": 20}
    return _gaussian(n_separated, **sizes, seed=seed, strength=15)


def test_pairs_of_many_classes_are_tested_axis_by_axis():
    part = _pairs(12)
    assert not part.suffices_for_bartlett
    evidence = count_components([part], np.random.default_rng(0))
    assert evidence.chosen == evidence.significant == 12
    assert np.array_equal(evidence.p_value, axis_tests(part.coordinates, part.codes)[1])


def test_axis_tests_are_those_of_scikit_learn():
    part = _pairs(5)
    for ours, theirs in zip(
        axis_tests(part.coordinates, 3 * part.codes),
        f_classif(part.coordinates, part.codes),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs)


def test_axis_tests_hold_their_level_without_structure():
    parts = [_pairs(0, seed) for seed in range(50)]
    p_value = np.stack([axis_tests(p.coordinates, p.codes)[1] for p in parts])
    assert 0.03 <= np.mean(p_value < 0.05) <= 0.07


def test_classes_that_are_points_are_told_apart():
    codes = np.repeat(np.arange(20), 3)
    points = np.eye(20)[codes]
    statistic, p_value = axis_tests(points, codes)
    assert np.all(p_value == 0) and np.all(np.isinf(statistic))
    evidence = count_components([HeldOut(points, codes, 19)], np.random.default_rng(0))
    assert evidence.significant == 19


@pytest.mark.parametrize(("n_samples", "n_classes", "n_dimensions"), [(80, 40, 12), (16, 8, 4)])
def test_bartlett_holds_its_level_with_two_samples_a_class(n_samples, n_classes, n_dimensions):
    sizes = {"n_samples": n_samples, "n_classes": n_classes, "n_dimensions": n_dimensions}
    parts = [_gaussian(0, **sizes, seed=seed) for seed in range(400)]
    rejections = sum(bartlett_test(part.coordinates, part.codes)[1][0] < 0.05 for part in parts)
    assert 8 <= rejections <= 34  # 20 expected


def test_axis_tests_test_nothing_where_nothing_can_be_tested():
    rng = np.random.default_rng(0)
    for points, codes in [
        (rng.normal(size=(10, 3)), np.zeros(10, int)),
        (rng.normal(size=(4, 3)), np.arange(4)),
        (np.zeros((20, 3)), np.arange(20) % 2),
    ]:
        statistic, p_value = axis_tests(points, codes)
        assert np.isnan(statistic).all() and np.isnan(p_value).all()


def test_only_axes_that_class_means_span_are_tested():
    part = _pairs(12)
    capped = HeldOut(part.coordinates, part.codes, 4)
    assert count_components([capped], np.random.default_rng(0)).significant == 4


def test_resamples_keep_pairs_together():
    part = _pairs(3).resample(np.random.default_rng(0))
    assert np.array_equal(np.unique(np.bincount(part.codes)), [0, 2])
    assert len(part) == 48


def test_first_statistic_is_that_of_wilks_lambda():
    part = _gaussian(2, n_samples=100, n_classes=4, n_dimensions=5)
    points, codes = part.coordinates, part.codes
    within = sum(np.cov(points[codes == k].T, bias=True) * np.sum(codes == k) for k in range(4))
    wilks = np.linalg.det(within) / np.linalg.det(np.cov(points.T, bias=True) * 100)
    expected = -(100 - 1 - (5 + 4) / 2) * np.log(wilks)
    assert bartlett_test(points, codes)[0][0] == pytest.approx(expected, rel=1e-6)


def test_bartlett_is_blind_to_rotation_scale_and_class_names():
    part = _gaussian(2, n_dimensions=5)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    mapped = 3 * part.coordinates @ rotation + 7
    expected = bartlett_test(part.coordinates, part.codes)
    for ours, theirs in zip(bartlett_test(mapped, 50 - 3 * part.codes), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_bartlett_tests_nothing_where_nothing_can_be_tested():
    rng = np.random.default_rng(0)
    for points, codes in [
        (rng.normal(size=(10, 3)), np.zeros(10, int)),
        (rng.normal(size=(4, 3)), np.array([0, 0, 1, 2])),
        (np.ones((20, 3)), np.arange(20) % 2),
    ]:
        statistic, p_value = bartlett_test(points, codes)
        assert np.isnan(statistic).all() and np.isnan(p_value).all()


def test_empty_dimensions_do_not_change_the_test():
    part = _gaussian(2, n_dimensions=5)
    padded = np.hstack([part.coordinates, np.zeros((240, 3)), part.coordinates[:, :1]])
    ours, expected = (bartlett_test(x, part.codes)[1] for x in (padded[:, :8], part.coordinates))
    np.testing.assert_allclose(ours[:5], expected, rtol=1e-6)


def test_at_most_one_direction_fewer_than_classes_is_significant():
    evidence = count_components([_gaussian(2, n_classes=3)], np.random.default_rng(0))
    assert evidence.significant == 2
    assert np.isnan(evidence.p_value[2:]).all()


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


@pytest.mark.parametrize(("anchors", "needed"), [([0.5, 0.9, 0.9], 2), ([0.9, 0.9, 0.95], 3)])
def test_needed_is_the_smallest_count_that_costs_no_accuracy(anchors, needed):
    common = np.random.default_rng(0).normal(scale=0.3, size=(50, 1))  # of an anchor: it cancels
    assert _components._needed(np.array([anchors]) + common, np.full(50, 1 / 50)) == needed


def test_several_parts_are_combined_by_fishers_method():
    tests = [(np.array([k, np.nan]), np.array([p, np.nan])) for k, p in enumerate((0.04, 0.2, 0.9))]
    statistic, p_value = _components._combine(tests)
    expected = stats.chi2.sf(-2 * np.log(0.04 * 0.2 * 0.9), 6)
    np.testing.assert_allclose(statistic, [1, np.nan])
    np.testing.assert_allclose(p_value, [expected, np.nan])


def test_parts_that_test_nothing_are_left_out():
    nothing = (np.full(2, np.nan), np.full(2, np.nan))
    something = (np.ones(2), np.array([0.0, 0.5]))
    assert _components._combine([nothing, something]) is something
    assert _components._combine([nothing, nothing]) is nothing
    assert _components._combine([something, something])[1][0] < 1e-300


def test_only_data_without_structure_are_warned_about(recwarn):
    for n_separated in (3, 0):
        evidence = count_components([_gaussian(n_separated)], np.random.default_rng(0))
        _components.warn_if_nothing_found(evidence)
    assert [str(warning.message)[:40] for warning in recwarn] == [
        "No component separates the classes on 24"
    ]
