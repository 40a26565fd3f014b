"""Triplets in order and their hinges, against listing all of them."""

import itertools

import pytest
import torch

from tensorly_norank._triplets import AllTriplets, ListedTriplets, pairwise_distances

LABELS = {
    "balanced": [0, 0, 0, 1, 1, 1, 2, 2, 2],
    "unequal": [0, 0, 0, 0, 0, 1, 1, 2],
    "singletons": [0, 0, 1, 2, 3, 3],
    "all alone": [0, 1, 2, 3],
}
MARGIN = 0.5


def _points(n_samples, seed=0, n_dimensions=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_samples, n_dimensions, generator=generator, dtype=torch.float64)


def _of_classes(labels):
    """All (anchor, positive, negative), listed."""
    return [
        (a, p, n)
        for a, p, n in itertools.permutations(range(len(labels)), 3)
        if labels[a] == labels[p] != labels[n]
    ]


def _of_neighbours(samples, n_neighbors):
    flat = samples.reshape(len(samples), -1)
    rows = []
    for a in range(len(flat)):
        others = [k for k in range(len(flat)) if k != a]
        others.sort(key=lambda k, a=a: float((flat[k] - flat[a]).norm()))
        rows += itertools.product([a], others[:n_neighbors], others[n_neighbors:])
    return rows


def _figures_by_hand(points, rows):
    """Of each anchor: share in order, mean hinge, share that violates the margin, number."""
    figures = torch.full((len(points), 4), torch.nan, dtype=torch.float64)
    for a in {row[0] for row in rows}:
        gaps = torch.stack(
            [
                (points[a] - points[p]).norm() - (points[a] - points[n]).norm()
                for anchor, p, n in rows
                if anchor == a
            ]
        )
        ties = (gaps == 0).double() / 2
        figures[a] = torch.stack(
            [
                ((gaps < 0) + ties).mean(),
                (gaps + MARGIN).clamp(min=0).mean(),
                (gaps + MARGIN > 0).double().mean(),
                torch.tensor(float(len(gaps))),
            ]
        )
    return figures


def _figures(triplets):
    return torch.stack(
        [
            triplets.order_by_anchor(),
            triplets.hinge_by_anchor(MARGIN),
            triplets.violations_by_anchor(MARGIN),
            triplets.n_triplets,
        ],
        dim=1,
    )


def _loss_by_hand(points, rows):
    hinges = torch.stack(
        [
            ((points[a] - points[p]).norm() - (points[a] - points[n]).norm() + MARGIN).clamp(min=0)
            for a, p, n in rows
        ]
    )
    return hinges.sum() / (hinges > 0).sum()


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_figures_of_classes_equal_those_of_all_triplets_listed(labels):
    points = _points(len(labels))
    triplets = AllTriplets.of_classes(pairwise_distances(points), torch.tensor(labels))
    expected = _figures_by_hand(points, _of_classes(labels))
    torch.testing.assert_close(_figures(triplets), expected, equal_nan=True)


@pytest.mark.parametrize("n_neighbors", [1, 3, 7])
def test_figures_and_loss_of_neighbours_equal_those_of_all_triplets_listed(n_neighbors):
    samples, points = _points(9, 1, 6).reshape(9, 2, 3), _points(9, 2).requires_grad_()
    nearest = pairwise_distances(samples.flatten(1)).argsort(dim=1)[:, 1 : n_neighbors + 1]
    triplets = AllTriplets.of_neighbours(pairwise_distances(points), nearest)
    rows = _of_neighbours(samples, n_neighbors)
    expected = _figures_by_hand(points.detach(), rows)
    torch.testing.assert_close(_figures(triplets).detach(), expected)
    loss, by_hand = triplets.loss(MARGIN), _loss_by_hand(points, rows)
    torch.testing.assert_close(loss, by_hand)
    gradients = [torch.autograd.grad(value, points)[0] for value in (loss, by_hand)]
    torch.testing.assert_close(*gradients)


def test_figures_and_loss_of_listed_triplets_equal_those_by_hand():
    points = _points(8).requires_grad_()
    rows = [(0, 1, 2), (0, 2, 3), (0, 1, 2), (3, 4, 5), (6, 0, 7), (5, 1, 0)]
    triplets = ListedTriplets(points, torch.tensor(rows))
    expected = _figures_by_hand(points.detach(), rows)
    torch.testing.assert_close(_figures(triplets).detach(), expected, equal_nan=True)
    in_order = [
        float((points[a] - points[p]).norm() < (points[a] - points[n]).norm()) for a, p, n in rows
    ]
    assert triplets.order().tolist() == in_order
    loss, by_hand = triplets.loss(MARGIN), _loss_by_hand(points, rows)
    torch.testing.assert_close(loss, by_hand)
    gradients = [torch.autograd.grad(value, points)[0] for value in (loss, by_hand)]
    torch.testing.assert_close(*gradients)


def test_listing_the_triplets_of_classes_changes_nothing():
    labels, points = LABELS["unequal"], _points(8)
    listed = ListedTriplets(points, torch.tensor(_of_classes(labels)))
    unlisted = AllTriplets.of_classes(pairwise_distances(points), torch.tensor(labels))
    torch.testing.assert_close(_figures(listed), _figures(unlisted), equal_nan=True)
    torch.testing.assert_close(listed.loss(MARGIN), unlisted.loss(MARGIN))


def test_ties_count_half():
    same = torch.zeros(4, 2)
    unlisted = AllTriplets.of_classes(pairwise_distances(same), torch.tensor([0, 0, 1, 1]))
    listed = ListedTriplets(same, torch.tensor([[0, 1, 2]]))
    assert unlisted.order_by_anchor().tolist() == [0.5] * 4
    assert float(listed.order_by_anchor()[0]) == 0.5


def test_points_that_coincide_have_a_finite_gradient():
    points = torch.zeros(3, 2, dtype=torch.float64, requires_grad=True)
    ListedTriplets(points, torch.tensor([[0, 1, 2]])).loss(MARGIN).backward()
    assert torch.isfinite(points.grad).all()


def test_the_loss_of_listed_triplets_is_zero_where_all_margins_hold():
    points = torch.tensor([[0.0], [0.1], [9.0]], dtype=torch.float64, requires_grad=True)
    loss = ListedTriplets(points, torch.tensor([[0, 1, 2]])).loss(MARGIN)
    loss.backward()
    assert loss.item() == 0 and not points.grad.any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_points_of_half_precision_have_distances_in_single(dtype):
    points = 300 * torch.randn(9, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
    distances = pairwise_distances(points)
    torch.testing.assert_close(distances, pairwise_distances(points.float()))
    assert distances.dtype == torch.float32 and distances.isfinite().all()


def test_distances_between_near_points_far_out_are_accurate_in_single_precision():
    points = (_points(300, n_dimensions=2) * 1e-3 + 100).float()
    exact = pairwise_distances(points.double())
    torch.testing.assert_close(pairwise_distances(points).double(), exact, atol=1e-8, rtol=1e-5)


def test_the_default_dtype_of_torch_changes_no_share_of_triplets():
    triplets = AllTriplets.of_classes(pairwise_distances(_points(900)), torch.arange(900) % 3)
    expected = triplets.order_by_anchor()
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float16)
    try:
        shares = triplets.order_by_anchor()
    finally:
        torch.set_default_dtype(default)
    torch.testing.assert_close(shares, expected, rtol=0, atol=0)
