"""Axes that mean something, and a count that is right."""

import numpy as np
import pytest
import torch

from tensorly_norank._components import HeldOut, bartlett_test, canonical_axes, count_components


def _embedding(n_dimensions=6, n_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.arange(120) % n_classes
    means = rng.normal(size=(n_classes, n_dimensions)) * np.linspace(3, 0.5, n_dimensions)
    points = means[codes] + rng.normal(size=(120, n_dimensions))
    return torch.from_numpy(points), torch.from_numpy(codes)


def _gaussian(n_separated, n_samples=240, n_classes=6, n_dimensions=8, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.arange(n_samples) % n_classes
    means = np.zeros((n_classes, n_dimensions))
    means[:, :n_separated] = 3 * np.linalg.qr(rng.normal(size=(n_classes, n_classes)))[0][
        :, :n_separated
    ]
    return HeldOut(means[codes] + rng.normal(size=(n_samples, n_dimensions)), codes)


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


def test_triplets_decide_where_samples_are_too_few_for_the_test():
    part = _gaussian(5, n_samples=12, n_dimensions=5)
    assert not part.tests_all
    evidence = count_components([part], np.random.default_rng(0))
    if evidence.significant:
        assert evidence.chosen == max(evidence.significant, evidence.needed)
