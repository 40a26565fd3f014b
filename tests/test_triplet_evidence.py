"""The count where nobody has named classes, on orders of triplets that are known."""

import numpy as np
import pytest
import torch

from tensorly_norank._parts import ComparedPart, NeighbouringPart
from tensorly_norank._rank_evidence import warn_of_count
from tensorly_norank._triplet_evidence import (
    BothParts,
    Compared,
    Ordered,
    count_by_comparisons,
    count_by_neighbourhoods,
    order_comparisons,
    order_neighbours,
)
from tensorly_norank._triplets import ListedTriplets


def _ordered(means, n_rows=80, spread=0.1, seed=0):
    """Samples whose shares differ, by as much at every number of components, and by little more."""
    rng = np.random.default_rng(seed)
    own = spread * rng.normal(size=(n_rows, 1))
    return Ordered(np.array(means) + own + 0.002 * rng.normal(size=(n_rows, len(means))), 90)


def _compared(gaps, accuracy=None, n_rows=80, seed=0):
    """Held-out samples whose gaps on each axis are about these."""
    noise = np.random.default_rng(seed).normal(size=(n_rows, len(gaps)))
    accuracy = np.full(len(gaps), 0.8) if accuracy is None else np.array(accuracy)
    return Compared(accuracy + 0.02 * noise, 90, np.array(gaps) + 0.5 * noise)


def _by_comparisons(gaps, max_rank=None, **options):
    same = _compared(gaps, **options)
    parts = [BothParts(same, same)]
    return count_by_comparisons(parts, len(gaps), np.random.default_rng(0), max_rank)


def _rows(rank, n_samples=200, noise=0.3, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n_samples, rank)) @ rng.normal(size=(rank, 30))
    return torch.from_numpy(rows + noise * rng.normal(size=(n_samples, 30)))


def _by_neighbourhoods(means, samples, max_rank=None):
    rng = np.random.default_rng(0)
    return count_by_neighbourhoods([_ordered(means)], samples, len(means), rng, max_rank)


def test_components_count_as_long_as_any_axis_further_on_has_a_share_of_the_gap():
    accuracy = [0.7, 0.8, 0.8, 0.9, 0.9, 0.9]
    evidence = _by_comparisons([4.0, 2.0, 0.0, 1.0, 0.0, 0.0], accuracy=accuracy)
    assert evidence.significant == evidence.chosen == 4  # the third alone has nothing
    assert (evidence.p_value[:4] <= 0.01).all() and evidence.p_value[4] > 0.01
    assert evidence.about == "comparisons" and evidence.linear
    assert evidence.n_held_out == 90
    assert max(evidence.stability, key=evidence.stability.get) == 4
    np.testing.assert_allclose(evidence.triplet_accuracy, accuracy, atol=0.02)


@pytest.mark.parametrize(("accuracy", "is_linear"), [([0.7, 0.9], False), ([0.9, 0.9], True)])
def test_the_embedding_must_order_more_than_the_linear_axes_that_count(accuracy, is_linear):
    linear = _compared([4.0, 0.0], accuracy)  # the first alone is significant
    whole = _compared([4.0, 0.0], [0.6, 0.85])
    parts = [BothParts(whole, linear)]
    evidence = count_by_comparisons(parts, 2, np.random.default_rng(0), None)
    assert evidence.linear is is_linear


def test_an_axis_with_less_than_a_hundredth_of_the_gap_is_not_counted():
    precise = np.tile([60.0, 39.0, 0.5], (80, 1)) + np.random.default_rng(0).normal(
        scale=0.01, size=(80, 3)
    )
    part = Compared(np.full((80, 3), 0.8), 90, precise)
    evidence = count_by_comparisons([BothParts(part, part)], 3, np.random.default_rng(0), None)
    assert evidence.significant == 2


def test_where_the_gap_is_negative_quiet_axes_do_not_count():
    noise = np.random.default_rng(0).normal(size=(80, 4))
    gaps = np.array([-3.0, 0, 0, 0]) + noise * [1, 0.005, 0.005, 0.005]
    part = Compared(np.full((80, 4), 0.3), 90, gaps)
    evidence = count_by_comparisons([BothParts(part, part)], 4, np.random.default_rng(0), None)
    assert evidence.significant == 0


@pytest.mark.parametrize(("gain", "linear", "count"), [(0.01, True, 1), (0.1, False, 3)])
def test_what_is_not_linear_counts_where_it_orders_more_comparisons(gain, linear, count):
    straight = _compared([3.0, 0.0, 0.0], accuracy=[0.8] * 3)
    bent = _compared([3.0, 2.0, 1.0], accuracy=[0.8 + gain] * 3)
    parts = [BothParts(bent, straight)]
    evidence = count_by_comparisons(parts, 3, np.random.default_rng(0), None)
    assert (evidence.linear, evidence.significant) == (linear, count)


def test_comparisons_in_random_order_speak_for_nothing():
    counts = [_by_comparisons([0.0, 0.0, 0.0], seed=seed).significant for seed in range(100)]
    assert np.mean(np.array(counts) > 0) <= 0.04
    evidence = _by_comparisons([0.0, 0.0, 0.0])
    assert evidence.chosen == 1
    with pytest.warns(UserWarning, match="No component orders comparisons"):
        warn_of_count(evidence, None)


def test_without_comparisons_nothing_is_tested():
    rng = np.random.default_rng(0)
    evidence = count_by_comparisons([], 3, rng, None)
    assert (evidence.chosen, evidence.significant, evidence.n_held_out) == (1, 0, 0)
    assert np.isnan(evidence.triplet_accuracy).all()
    assert str(evidence).startswith("1 chosen: 0 significant (none held out; about comparisons;")


def test_no_more_are_kept_than_may_be():
    evidence = _by_comparisons([4.0, 3.0, 2.0, 1.0], max_rank=2)
    assert (evidence.significant, evidence.chosen) == (4, 2)
    assert len(evidence.candidates) == len(evidence.p_value) == 4
    with pytest.warns(UserWarning, match="max_rank=2 is smaller than the 4 components"):
        warn_of_count(evidence, 2)


def test_neighbourhoods_need_components_that_bring_a_thousandth_each():
    means = [0.7, 0.8, 0.9, 0.91, 0.9101, 0.9102]
    evidence = _by_neighbourhoods(means, _rows(8))
    assert evidence.needed == evidence.chosen == 4
    assert evidence.significant == 6  # tested to the second behind
    assert evidence.about == "neighbourhoods"


def test_noise_shapes_neighbourhoods_and_is_not_counted():
    evidence = _by_neighbourhoods([0.6, 0.7, 0.75, 0.8, 0.85, 0.9], _rows(2))
    assert evidence.needed == 6
    assert evidence.significant == evidence.chosen == evidence.found == 2


@pytest.mark.parametrize(("spread", "needed"), [(0.01, 3), (0.1, 2)])
def test_a_component_is_needed_where_it_brings_more_than_chance_may(spread, needed):
    """The third brings 0.005, by a standard error of a tenth of spread."""
    signs = np.tile([-1.0, 1.0], 50)
    accuracy = np.tile([0.7, 0.8, 0.8], (100, 1))
    accuracy[:, 2] += 0.005 + spread * signs
    held_out = [Ordered(accuracy, 100)]
    evidence = count_by_neighbourhoods(held_out, _rows(5), 3, np.random.default_rng(0), None)
    assert evidence.needed == evidence.chosen == needed


@pytest.mark.parametrize(("each", "needed"), [(0.0008, 2), (0.0012, 5)])
def test_components_that_bring_too_little_each_are_not_needed_together(each, needed):
    accuracy = np.tile([0.7, *(0.8 + each * np.arange(4))], (20, 1))
    held_out = [Ordered(accuracy, 20)]
    evidence = count_by_neighbourhoods(held_out, _rows(8), 5, np.random.default_rng(0), None)
    assert evidence.needed == needed


def test_resamples_give_no_more_than_is_significant():
    evidence = _by_neighbourhoods([0.6, 0.7, 0.8, 0.9], _rows(2))
    assert (evidence.significant, evidence.needed) == (2, 4)
    assert evidence.stability == {2: 1.0}


def test_where_entries_vary_independently_a_warning_says_so():
    evidence = _by_neighbourhoods([0.6, 0.7, 0.75], torch.from_numpy(np.eye(3).repeat(9, 0)) * 0)
    assert (evidence.significant, evidence.chosen) == (0, 1)
    with pytest.warns(UserWarning, match="No component is shared by the entries"):
        warn_of_count(evidence, None)


def test_without_held_out_samples_components_of_the_samples_are_counted():
    rng = np.random.default_rng(0)
    evidence = count_by_neighbourhoods([], _rows(3), 10, rng, None)
    assert evidence.chosen == evidence.significant == 3
    assert (evidence.needed, evidence.n_held_out) == (0, 0)


def test_neighbours_are_ordered_by_leading_coordinates():
    points = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 4)))
    part = NeighbouringPart(points, np.zeros(20, int))
    ordered = order_neighbours(part, points)
    for rank in (1, 3):
        expected = part.triplets(points[:, :rank]).order_by_anchor()
        np.testing.assert_allclose(ordered.accuracy[:, rank - 1], expected)
    assert (ordered.accuracy[:, 3] == 1).all()
    assert len(ordered) == 20


def test_gaps_and_orders_are_means_over_the_comparisons_of_an_anchor():
    points = torch.from_numpy(np.random.default_rng(0).normal(size=(9, 3)))
    rows = np.array([[0, 4, 5], [2, 6, 4], [0, 7, 8], [2, 8, 5], [1, 5, 6]])
    part = ComparedPart(points, np.zeros(9, int), None, rows)
    compared = order_comparisons(part, points, 4)  # 3 has none
    assert len(compared) == 3 and compared.gaps.shape == compared.accuracy.shape == (3, 3)
    middle = points[:3].mean(dim=0)
    for anchor in range(3):
        own = rows[rows[:, 0] == anchor]
        gaps = []
        for a, p, n in own:
            of_anchor, of_middle = (
                (point - points[n]) ** 2 - (point - points[p]) ** 2 for point in (points[a], middle)
            )
            gaps.append(of_anchor - of_middle)
        np.testing.assert_allclose(compared.gaps[anchor], torch.stack(gaps).mean(dim=0))
        for rank in (1, 2, 3):
            by_hand = ListedTriplets(points[:, :rank], torch.from_numpy(own)).order().mean()
            assert compared.accuracy[anchor, rank - 1] == pytest.approx(float(by_hand))


@pytest.mark.parametrize("popular", [False, True])
def test_what_is_known_by_heart_of_fitted_samples_is_no_evidence(popular):
    """Held-out anchors at random places, and fitted samples where their comparisons put them."""
    found = []
    for seed in range(80):
        rng = np.random.default_rng(seed)
        classes = rng.integers(0, 3, 60)
        points = rng.normal(size=(60, 2))
        points[20:] = np.array([[2, 0], [-1, 2], [-1, -2]])[classes[20:]]
        rows = []
        for anchor in range(20):
            alike = 20 + np.flatnonzero(classes[20:] == (0 if popular else classes[anchor]))
            others = np.setdiff1d(np.arange(20, 60), alike)
            rows += [(anchor, rng.choice(alike), rng.choice(others)) for _ in range(30)]
        points = torch.from_numpy(points)
        part = ComparedPart(points, np.zeros(60, int), None, np.array(rows))
        both = BothParts(*[order_comparisons(part, points, 20)] * 2)
        found.append(count_by_comparisons([both], 2, rng, None).significant > 0)
    assert np.mean(found) <= 0.06


def test_errors_without_labels_are_those_of_a_mean():
    accuracy = np.random.default_rng(0).random((50, 3))
    samples = torch.from_numpy(np.random.default_rng(1).normal(size=(50, 6)))
    rng = np.random.default_rng(0)
    evidence = count_by_neighbourhoods([Ordered(accuracy, 50)], samples, 3, rng, None)
    error = accuracy.std(axis=0) / np.sqrt(50)
    np.testing.assert_allclose(evidence.triplet_accuracy_se, error)
