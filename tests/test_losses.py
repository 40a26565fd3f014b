"""Each term against its definition, by brute force and finite differences."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorly_norank import losses
from tensorly_norank._triplets import AllTriplets, pairwise_distances

CASES = {
    "balanced": [0, 0, 0, 1, 1, 1, 2, 2, 2],
    "unequal": [0, 0, 0, 0, 0, 1, 1, 2],
    "singletons": [0, 0, 1, 2, 3, 3],
    "unordered": [5, 1, 5, 1, 9, 9, 5],
}


def _points(n_samples, seed=0, n_dimensions=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_samples, n_dimensions, generator=generator, dtype=torch.float64)


def _triplets(labels):
    n = len(labels)
    for a, p, k in itertools.product(range(n), repeat=3):
        if a != p and labels[a] == labels[p] and labels[a] != labels[k]:
            yield a, p, k


def _enumerated_loss(points, labels, margin, weights=None):
    total, share = torch.zeros((), dtype=points.dtype), 0.0
    for a, p, k in _triplets(labels):
        hinge = (points[a] - points[p]).norm() - (points[a] - points[k]).norm() + margin
        if hinge > 0:
            weight = 1.0 if weights is None else weights[a]
            total, share = total + weight * hinge, share + weight
    return total / share if share else total


@pytest.mark.parametrize("labels", CASES.values(), ids=CASES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("margin", [0.0, 0.5, 10.0])
def test_triplet_loss_and_gradient_equal_enumeration(labels, weighted, margin):
    labels = torch.tensor(labels)
    weights = torch.linspace(0.5, 2, len(labels), dtype=torch.float64) if weighted else None
    fast, slow = (_points(len(labels)).requires_grad_() for _ in range(2))
    ours = losses.triplet_loss(fast, labels, margin, weights)
    expected = _enumerated_loss(slow, labels, margin, weights)
    torch.testing.assert_close(ours, expected, atol=1e-10, rtol=1e-10)
    ours.backward()
    expected.backward()
    torch.testing.assert_close(fast.grad, slow.grad, atol=1e-10, rtol=1e-10)


def test_triplet_loss_counts_ties_like_enumeration():
    grid = torch.tensor([[0.0], [1.0], [2.0], [1.0], [3.0], [0.0]], dtype=torch.float64)
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    for margin in (0.0, 1.0):
        ours = losses.triplet_loss(grid, labels, margin)
        torch.testing.assert_close(ours, _enumerated_loss(grid, labels, margin))


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float32], ids=str)
def test_labels_of_any_dtype_are_classes(dtype):
    points, labels = _points(6), torch.tensor([0, 1, 1, 0, 1, 0])
    expected = losses.triplet_loss(points, labels, 0.5)
    assert losses.triplet_loss(points, labels.to(dtype), 0.5) == expected


def test_triplet_loss_is_zero_with_zero_gradient_when_all_margins_hold():
    points = torch.tensor([[0.0], [0.1], [9.0], [9.1]], dtype=torch.float64, requires_grad=True)
    loss = losses.triplet_loss(points, torch.tensor([0, 0, 1, 1]), 1.0)
    loss.backward()
    assert loss.item() == 0
    assert not points.grad.any()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), labels=st.lists(st.integers(0, 3), min_size=3, max_size=14))
def test_triplet_loss_is_blind_to_order_names_and_rotation(seed, labels):
    labels = torch.tensor(labels)
    points = _points(len(labels), seed)
    expected = losses.triplet_loss(points, labels, 0.7)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    rotation = torch.linalg.qr(_points(3, seed + 1))[0]
    changed = losses.triplet_loss(points[order] @ rotation, 7 - labels[order], 0.7)
    torch.testing.assert_close(changed, expected)


@pytest.mark.parametrize(
    "loss",
    [
        losses.diversity_loss,
        losses.uniformity_loss,
        lambda z: losses.locality_loss(
            z, torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]), torch.cdist(_points(8, 5), _points(8, 5))
        ),
    ],
    ids=["diversity", "uniformity", "locality"],
)
def test_gradients_equal_finite_differences(loss):
    assert torch.autograd.gradcheck(loss, _points(8).requires_grad_())


def test_diversity_is_one_on_a_line_and_one_over_dimension_on_a_cross():
    line = torch.linspace(0, 1, 9, dtype=torch.float64)[:, None] * torch.tensor([[1.0, 2.0, 3.0]])
    cross = torch.cat([torch.eye(4), -torch.eye(4)]).double()
    assert losses.diversity_loss(line).item() == pytest.approx(1)
    assert losses.diversity_loss(cross).item() == pytest.approx(1 / 4)
    assert losses.diversity_loss(torch.ones(5, 3)).item() == 1


def test_diversity_is_not_fooled_by_rotation_or_scale():
    points = _points(20) * torch.tensor([3.0, 1.0, 0.1], dtype=torch.float64)
    turned = 7 * points @ torch.linalg.qr(_points(3, 1))[0] + 5
    torch.testing.assert_close(losses.diversity_loss(turned), losses.diversity_loss(points))


def test_diversity_of_the_smallest_points_is_that_of_large_ones():
    points = _points(20) * torch.tensor([3.0, 1.0, 0.1], dtype=torch.float64)
    expected = losses.diversity_loss(points)
    torch.testing.assert_close(losses.diversity_loss(1e-20 * points), expected)


def test_diversity_agrees_between_wide_and_tall_embeddings():
    points = _points(6, n_dimensions=6)
    padded = torch.cat([points, torch.zeros(6, 5, dtype=torch.float64)], dim=1)
    torch.testing.assert_close(losses.diversity_loss(padded), losses.diversity_loss(points))


def test_uniformity_equals_its_definition():
    points = _points(7)
    pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
    potential = sum(torch.exp(-2 * (points[i] - points[j]).square().sum()) for i, j in pairs)
    torch.testing.assert_close(losses.uniformity_loss(points), (potential / len(pairs)).log())


_EACH = {
    "triplet": lambda z: losses.triplet_loss(z, torch.arange(len(z)) % 3, 0.5),
    "diversity": losses.diversity_loss,
    "uniformity": losses.uniformity_loss,
    "locality": lambda z: losses.locality_loss(
        z, torch.arange(len(z)) % 3, torch.ones(len(z), len(z))
    ),
}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("loss", _EACH.values(), ids=_EACH)
def test_points_of_half_precision_have_a_loss_and_a_gradient(loss, dtype):
    points = (300 * _points(12)).to(dtype).requires_grad_()  # whose squares half cannot hold
    value = loss(points)
    torch.testing.assert_close(value, loss(points.float()))
    value.backward()
    assert points.grad.dtype == dtype and points.grad.isfinite().all()


@pytest.mark.parametrize("loss", _EACH.values(), ids=_EACH)
def test_points_that_are_none_are_refused(loss):
    for shape in [(6,), (6, 2, 2)]:
        message = rf"embedding must have shape \(n_samples, n_components\), got \({shape[0]},"
        with pytest.raises(ValueError, match=message):
            loss(torch.zeros(shape))
    with pytest.raises(TypeError, match=r"embedding must be a torch\.Tensor, got a list"):
        loss([[0.0], [1.0]])
    with pytest.raises(TypeError, match=r"embedding must be of a float dtype, got torch\.int64"):
        loss(torch.zeros(6, 2, dtype=torch.int64))


def test_what_does_not_go_with_the_points_is_refused_by_name():
    points, labels, distances = _points(6), torch.tensor([0, 0, 0, 1, 1, 1]), torch.ones(6, 6)
    with pytest.raises(ValueError, match=r"labels must have shape \(6,\), got \(5,\)"):
        losses.triplet_loss(points, labels[:5], 0.5)
    with pytest.raises(ValueError, match=r"weights must have shape \(6,\), got \(6, 1\)"):
        losses.triplet_loss(points, labels, 0.5, torch.ones(6, 1))
    with pytest.raises(TypeError, match=r"labels must be a torch\.Tensor, got a list"):
        losses.locality_loss(points, labels.tolist(), distances)
    with pytest.raises(ValueError, match=r"input_distances must have shape \(6, 6\), got \(5, 6\)"):
        losses.locality_loss(points, labels, distances[:5])


def test_locality_takes_distances_that_are_whole_numbers():
    points, labels = _points(6), torch.tensor([0] * 6)
    steps = (torch.arange(6)[:, None] - torch.arange(6)).abs()
    torch.testing.assert_close(
        losses.locality_loss(points, labels, steps),
        losses.locality_loss(points, labels, steps.double()),
    )


def test_locality_of_two_samples_in_half_precision_is_a_float32_zero():
    points = _points(2).half()
    value = losses.locality_loss(points, torch.zeros(2), torch.ones(2, 2))
    assert (value.dtype, float(value)) == (torch.float32, 0.0)


def test_locality_of_points_far_out_is_accurate_in_single_precision():
    points, data, labels = (_points(60) + 1000).float(), _points(60, 3), torch.zeros(60)
    ours = losses.locality_loss(points, labels, torch.cdist(data, data))
    exact = losses.locality_loss(points.double(), labels, torch.cdist(data, data))
    assert ours.item() == pytest.approx(exact.item(), rel=1e-5)


def test_locality_does_not_pull_classes_together():
    labels = torch.tensor([0] * 5 + [1] * 5)
    points, data = _points(10), _points(10, 3)
    near = losses.locality_loss(points, labels, torch.cdist(data, data))
    apart = points + 100.0 * labels[:, None]
    torch.testing.assert_close(losses.locality_loss(apart, labels, torch.cdist(data, data)), near)


def test_locality_equals_enumeration():
    labels, points, data = torch.tensor([0] * 5 + [1] * 3), _points(8), _points(8, 3)
    hinges = []
    for a in range(8):
        others = [i for i in range(8) if i != a and labels[i] == labels[a]]
        others.sort(key=lambda i, a=a: float((data[i] - data[a]).norm()))
        n_each = len(others) // 2
        for i, j in itertools.product(others[:n_each], others[len(others) - n_each :]):
            gap = (points[a] - points[i]).norm() - (points[a] - points[j]).norm()
            hinges.append(torch.relu(gap + 0.2))
    ours = losses.locality_loss(points, labels, torch.cdist(data, data))
    torch.testing.assert_close(ours, torch.stack(hinges).mean())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n_samples=st.integers(2, 12), n_dimensions=st.integers(1, 8))
def test_diversity_lies_between_one_over_dimension_and_one(seed, n_samples, n_dimensions):
    value = losses.diversity_loss(_points(n_samples, seed, n_dimensions)).item()
    assert 1 / min(n_dimensions, n_samples - 1) - 1e-12 <= value <= 1 + 1e-12


@settings(max_examples=25, deadline=None)
@given(
    grid=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=3, max_size=10),
    margin=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
)
def test_ties_on_a_grid_count_like_enumeration_with_weights_too(grid, margin):
    points = torch.tensor([[float(place)] for place, _ in grid], dtype=torch.float64)
    labels = torch.tensor([label for _, label in grid])
    weights = torch.arange(1, len(grid) + 1, dtype=torch.float64)
    ours = losses.triplet_loss(points, labels, margin, weights)
    expected = _enumerated_loss(points, labels, margin, weights)
    torch.testing.assert_close(ours, expected, atol=1e-10, rtol=1e-10)
    gaps = [
        float((points[p] - points[a]).abs() - (points[k] - points[a]).abs())
        for a, p, k in _triplets(labels)
    ]
    triplets = AllTriplets.of_classes(pairwise_distances(points), labels)
    n_violating = triplets.violations(margin).clamp(min=0).sum()
    assert int(n_violating) == sum(gap + margin > 0 for gap in gaps)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]], ids=["one class", "all alone"])
def test_without_triplets_the_loss_is_zero(labels):
    points, labels = _points(3).requires_grad_(), torch.tensor(labels)
    loss = losses.triplet_loss(points, labels, 1.0)
    loss.backward()
    assert loss.item() == 0 and not points.grad.any()


def test_coinciding_points_have_a_finite_gradient():
    points = torch.zeros(6, 2, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    total = losses.triplet_loss(points, labels, 0.5) + losses.uniformity_loss(points)
    (total + losses.diversity_loss(points)).backward()
    assert torch.isfinite(points.grad).all()


def test_single_precision_equals_double_on_a_large_batch():
    points, labels = _points(1024, n_dimensions=8), torch.arange(1024) % 10
    exact = losses.triplet_loss(points, labels, 0.5).item()
    assert losses.triplet_loss(points.float(), labels, 0.5).item() == pytest.approx(exact, rel=1e-4)


def test_locality_is_zero_where_no_class_has_three_members():
    points = _points(6).requires_grad_()
    loss = losses.locality_loss(points, torch.tensor([0, 0, 1, 1, 2, 3]), torch.ones(6, 6))
    loss.backward()
    assert loss.item() == 0 and not points.grad.any()


def test_uniformity_measures_distances_in_units_of_its_scale():
    points = _points(7)
    scaled = losses.uniformity_loss(points, 0.5)
    torch.testing.assert_close(scaled, losses.uniformity_loss(points / 2))


@pytest.mark.parametrize("given", [{}, {"n_neighbors": 2}, {"margin": 0.7}], ids=str)
def test_locality_looks_at_so_many_neighbours_by_such_a_margin(given):
    """Classes of 14 and 4: the larger has more than the five of the default on either side."""
    labels, points, data = torch.tensor([0] * 14 + [1] * 4), _points(18), _points(18, 3)
    n_neighbors, margin = given.get("n_neighbors", 5), given.get("margin", 0.2)
    hinges = []
    for a in range(18):
        others = [i for i in range(18) if i != a and labels[i] == labels[a]]
        others.sort(key=lambda i, a=a: float((data[i] - data[a]).norm()))
        n_each = min(len(others) // 2, n_neighbors)
        for i, j in itertools.product(others[:n_each], others[len(others) - n_each :]):
            gap = (points[a] - points[i]).norm() - (points[a] - points[j]).norm()
            hinges.append(torch.relu(gap + margin))
    ours = losses.locality_loss(points, labels, torch.cdist(data, data), **given)
    torch.testing.assert_close(ours, torch.stack(hinges).mean())


def test_the_unit_of_weights_does_not_matter():
    points, labels = _points(8), torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])
    weights = torch.linspace(0.5, 2, 8, dtype=torch.float64)
    expected = losses.triplet_loss(points, labels, 0.5, weights)
    torch.testing.assert_close(losses.triplet_loss(points, labels, 0.5, 1e-3 * weights), expected)
