"""What a part of the samples says about which are alike."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tensorly_norank import _parts
from tensorly_norank._batches import Batch
from tensorly_norank._objective import Objective
from tensorly_norank._parts import ComparedPart, NeighbouringPart, Part

ROWS = np.array([[0, 1, 2], [0, 2, 4], [3, 4, 0], [5, 6, 1], [2, 1, 5], [6, 0, 3]])


def _samples(n_samples=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_samples, 2, 3, generator=generator, dtype=torch.float64)


def _compared():
    return ComparedPart(_samples(), np.array([0] * 7 + [-1]), np.arange(8), ROWS)


def _batch(part):
    return part.place(Batch(np.arange(len(part)), np.ones(len(part))))


def _as_given(part):
    """Comparisons as numbers of the whole."""
    return {tuple(row) for row in part.places[part.comparisons].tolist()}


def test_differences_of_classes_are_within_classes():
    samples = torch.zeros(100, 2, dtype=torch.float64)
    samples[:50, 0] = torch.arange(50)  # class 0 varies along the first entry, class 1 not at all
    samples[50:, 1] = 1000.0
    part = Part(samples, np.repeat([0, 1], 50))
    differences = part.differences(samples, _batch(part), torch.Generator())
    assert differences[:, 1].abs().max() == 0  # between classes there is never one
    assert (differences[50:, 0] != 0).any()  # those of class 0 reach class 1
    assert differences[:, 0].abs().max() <= 49


def test_differences_of_comparisons_are_of_what_was_found_alike():
    part = _compared()
    batch = Batch(np.arange(8), np.ones(8), ROWS)
    differences = part.differences(part.samples, part.place(batch), torch.Generator())
    alike = part.samples[ROWS[:, 0]] - part.samples[ROWS[:, 1]]
    for one in differences:
        assert (alike == one).flatten(1).all(dim=1).any()


def test_differences_without_labels_are_of_any_two_samples():
    part = NeighbouringPart(_samples(50), np.zeros(50, int))
    differences = part.differences(part.samples, _batch(part), torch.Generator())
    assert (differences.flatten(1).norm(dim=1) > 0).sum() > 40
    torch.testing.assert_close(differences.sum(dim=0), torch.zeros_like(differences[0]))


@pytest.mark.parametrize("codes", [[0, 1, 1, 2, 2, 2], [3, 3, 3, 3, 0, 1], [1, 0, 2, 5, 4, 3]])
def test_a_placed_batch_gives_the_triplets_that_its_labels_alone_give(codes):
    codes = np.array(codes)
    part = Part(_samples(6), codes)
    batch = _batch(part)
    assert batch.largest == np.bincount(codes).max()
    points = _samples(6, seed=1).flatten(1)
    placed, plain = part.batch_triplets(points, batch, part.samples), part.triplets(points)
    torch.testing.assert_close(placed.violations(0.5), plain.violations(0.5))
    torch.testing.assert_close(placed.n_triplets, plain.n_triplets, equal_nan=True)


@pytest.mark.parametrize(
    "part", [Part, _compared, NeighbouringPart], ids=["classes", "rows", "none"]
)
def test_no_step_asks_a_gpu_for_numbers(part):
    """Operations that a GPU would have to be waited for; `tests/test_cuda.py` asks a real one."""
    if part is _compared:
        part, batch = _compared(), Batch(np.arange(8), np.ones(8), ROWS)
    else:
        options = {"nested": True} if part is NeighbouringPart else {}
        part = part(_samples(40), np.arange(40) % (1 if options else 4), **options)
        batch = part.batches(40, np.random.default_rng(0))[0]
    placed = part.place(batch)
    objective = Objective(0.5, 1.0, 0.1, 0.5)
    with _NoQuestions():
        samples = part.samples[placed.indices]
        points = samples.flatten(1).clone().requires_grad_()
        part.differences(samples, placed, torch.Generator())
        objective.total(objective.terms(part, points, placed, samples, samples)).backward()


class _NoQuestions(TorchDispatchMode):
    """Fails where a number would have to come to the host."""

    asking = ("nonzero", "unique", "bincount", "_local_scalar_dense", "equal.default")

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert not any(name in str(function) for name in self.asking), function
        if "aten.index" in str(function):
            assert not any(getattr(one, "dtype", None) == torch.bool for one in args[1])
        return function(*args, **(kwargs or {}))


def test_taken_samples_keep_the_comparisons_among_them():
    part = _compared().take(np.array([5, 2, 1, 6]))
    assert _as_given(part) == {(5, 6, 1), (2, 1, 5)}
    torch.testing.assert_close(part.samples[0], _compared().samples[5])


def test_the_anchor_of_a_held_out_comparison_is_held_out_and_the_others_are_fitted():
    part = _compared().held_out(np.array([3, 0]), np.array([1, 2, 4]))
    assert part.places[:2].tolist() == [3, 0]  # first what is held out
    assert _as_given(part) == {(0, 1, 2), (0, 2, 4)}  # of (3, 4, 0) two are held out
    assert sorted(part.places[2:].tolist()) == [1, 2, 4]


def test_of_many_held_out_comparisons_some_of_every_anchor_are_looked_at(monkeypatch):
    monkeypatch.setattr(_parts, "_MOST_HELD_OUT", 20)
    rows = np.array([[a, p, 7 - p] for a in range(3) for p in (3, 4) for _ in range(20)])
    part = ComparedPart(_samples(), np.zeros(8, dtype=int), np.arange(8), rows)
    held_out = part.held_out(np.arange(3), np.arange(3, 8))
    assert len(held_out.comparisons) == 20
    assert set(held_out.places[held_out.comparisons[:, 0]].tolist()) == {0, 1, 2}


def test_some_comparisons_bring_their_samples_and_no_others():
    part = _compared().some(2, np.random.default_rng(0))
    assert len(part.comparisons) == 2
    assert set(part.comparisons.ravel().tolist()) == set(range(len(part)))
    assert _as_given(part) <= {tuple(row) for row in ROWS.tolist()}


def test_shares_of_comparisons_weigh_comparisons_and_not_anchors():
    part = _compared()
    by_anchor = torch.full((8,), torch.nan, dtype=torch.float64)
    by_anchor[[0, 2, 3, 5, 6]] = torch.tensor([1.0, 0, 0, 0, 0], dtype=torch.float64)
    assert part.mean(by_anchor) == pytest.approx(2 / 6)  # anchor 0 stands in two


@pytest.mark.parametrize("of_all", [Part.some, Part.drawn])
def test_of_many_classes_of_two_samples_come_with_the_other_of_their_class(of_all):
    codes = np.r_[np.repeat(np.arange(3000), 2), -1]
    part = Part(torch.arange(6001.0)[:, None], codes, np.arange(6001))
    known = part if of_all is Part.drawn else part.take(part.known)
    some = of_all(known, 1000, np.random.default_rng(0))
    assert len(some) == 1000 and np.bincount(some.codes).max() == 2
    assert np.count_nonzero(np.bincount(some.codes)) == 500
    assert np.array_equal(some.samples[:, 0].numpy(), some.places)


def test_a_batch_has_the_comparisons_among_its_samples():
    rng = np.random.default_rng(0)
    rows = np.array([rng.permutation(40)[:3] for _ in range(3000)])
    part = ComparedPart(_samples(40), np.zeros(40, int), None, rows)
    batches = part.batches(10, rng)
    assert len(batches) == 16
    for batch in batches:
        assert len(set(batch.indices.tolist())) == len(batch.indices) <= 10
        expected = rows[np.isin(rows, batch.indices).all(axis=1)]
        np.testing.assert_array_equal(batch.indices[batch.triplets], expected)
    shown = np.concatenate([batch.indices for batch in batches[:4]])
    assert sorted(shown.tolist()) == list(range(40))  # the first four are a partition


@pytest.mark.parametrize(
    ("n_samples", "n_rows", "n_each"),
    [
        (200, 100, 66),
        (200, 8192, 1024),
        (3000, 20_000, 512),
        (20_000, 20_000, 512),
        (60, 90_000, 4096),
    ],
)
def test_batches_hold_as_many_comparisons_as_their_samples_pay_for(n_samples, n_rows, n_each):
    rng = np.random.default_rng(0)
    rows = rng.integers(n_samples, size=(n_rows, 3))
    part = ComparedPart(torch.zeros(n_samples, 1), np.zeros(n_samples, int), None, rows)
    size = part.default_batch_size
    batches = part.batches(size, rng)
    assert max(len(batch.indices) for batch in batches) <= size
    assert np.mean([len(batch.triplets) for batch in batches]) == pytest.approx(n_each, rel=0.6)


def test_of_many_samples_a_pass_shows_every_comparison_once():
    rng = np.random.default_rng(0)
    rows = np.stack([rng.permutation(900)[:3] for _ in range(1000)])
    part = ComparedPart(torch.zeros(900, 1), np.zeros(900, int), None, rows)
    batches = part.batches(64, rng)
    shown = np.concatenate([batch.indices[batch.triplets] for batch in batches])
    assert sorted(map(tuple, shown.tolist())) == sorted(map(tuple, rows.tolist()))


@pytest.mark.parametrize("n_anchors", [1, 2, 5, 60])
def test_where_few_samples_are_anchors_a_split_has_what_it_needs_or_there_is_none(n_anchors):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        rows = np.stack([rng.permutation(60)[:3] for _ in range(100)])
        rows[:, 0] = rng.integers(60, 60 + n_anchors, 100)
        part = ComparedPart(
            _samples(120), np.where(np.arange(120) < 60 + n_anchors, 0, -1), None, rows
        )
        for split in part.split(0.3, rng):
            assert part.take(split.fit).can_teach
            for held_out in (split.count, split.stop):
                assert held_out is None or part.held_out(held_out, split.fit).can_teach


def test_a_pass_without_labels_shows_every_sample_once():
    part = NeighbouringPart(_samples(21), np.zeros(21, int))
    batches = part.batches(8, np.random.default_rng(0))
    assert sorted(np.concatenate([batch.indices for batch in batches])) == list(range(21))
    assert max(len(batch.indices) for batch in batches) <= 8


def test_neighbours_of_a_batch_are_those_of_the_varied_samples():
    part = NeighbouringPart(_samples(30), np.zeros(30, int))
    varied = _samples(30, seed=1)
    near, far = varied.flatten(1), -_samples(30, seed=2).flatten(1)
    shares = [
        part.batch_triplets(points, _batch(part), varied).order_by_anchor().mean()
        for points in (near, far)
    ]
    assert float(shares[0]) == 1 and float(shares[1]) < 0.7


@pytest.mark.parametrize(("n_samples", "n_near"), [(2, 0), (3, 1), (40, 2), (120, 5), (600, 10)])
def test_as_many_neighbours_are_near_as_samples_allow(n_samples, n_near):
    part = NeighbouringPart(_samples(n_samples), np.zeros(n_samples, int))
    triplets = part.triplets(part.samples.flatten(1))
    expected = n_near * (n_samples - 1 - n_near) or np.nan
    np.testing.assert_array_equal(triplets.n_triplets, np.full(n_samples, float(expected)))
    assert triplets.order_by_anchor().nan_to_num(1).eq(1).all()  # the nearest are the nearest


def test_nested_coordinates_are_of_use_without_those_behind_them():
    """The loss of a batch knows a random number of leading coordinates, from 1 to all of them."""
    part = NeighbouringPart(_samples(30), np.zeros(30, int), nested=True)
    rng = np.random.default_rng(0)
    last = []
    for _ in range(60):
        points = part.samples.flatten(1).clone().requires_grad_()
        (batch,) = part.batches(30, rng)
        triplets = part.batch_triplets(points, part.place(batch), _samples(30, seed=1))
        triplets.loss(0.5).backward()
        used = (points.grad != 0).any(dim=0)
        last.append(int(used.sum()))
        assert used[: last[-1]].all()
    assert set(last) == {1, 2, 3, 4, 5, 6}


def test_figures_of_nested_coordinates_are_means_over_numbers_of_them():
    part = NeighbouringPart(_samples(30), np.zeros(30, int))
    nested = NeighbouringPart(_samples(30), np.zeros(30, int), nested=True)
    points = _samples(30, seed=3).flatten(1)
    expected = torch.stack([part.figures(points[:, :n], 0.1) for n in (1, 2, 4)]).mean(dim=0)
    torch.testing.assert_close(nested.figures(points, 0.1), expected)
    assert nested.hinge(points, 0.1) == pytest.approx(float(expected[1].mean()))


@pytest.mark.parametrize("kind", [ComparedPart, NeighbouringPart])
def test_what_is_held_out_at_random_serves_one_purpose(kind):
    rng = np.random.default_rng(0)
    rows = [np.stack([rng.permutation(120)[:3] for _ in range(900)])]
    part = kind(_samples(120), np.zeros(120, int), None, *(rows if kind is ComparedPart else ()))
    splits = part.split(0.3, np.random.default_rng(0))
    assert len(splits) == 3
    counted = np.concatenate([split.count for split in splits])
    assert len(set(counted.tolist())) == len(counted) == 24 + 36 + 36
    assert [split.stop is None for split in splits] == [False, True, True]
    for split in splits:
        served = [split.fit, split.count] + ([] if split.stop is None else [split.stop])
        assert sorted(np.concatenate(served).tolist()) == list(range(120))


@pytest.mark.parametrize("n_samples", [4, 18])
def test_of_few_samples_none_is_held_out(n_samples):
    part = NeighbouringPart(_samples(n_samples), np.zeros(n_samples, int))
    (split,) = part.split(0.3, np.random.default_rng(0))
    assert split.stop is None and split.count is None
    assert len(split.fit) == n_samples


def test_a_mean_over_anchors_weighs_classes_alike_and_leaves_out_what_is_not_known():
    part = Part(torch.zeros(6, 1), np.array([0, 0, 0, 0, 1, 1]))
    assert part.mean(torch.tensor([1.0, 1, 1, torch.nan, 0, 0])) == 0.5


def test_differences_within_a_class_are_of_many_pairs():
    samples = torch.arange(40.0)[:, None]
    part = Part(samples, np.zeros(40, int))
    batch = part.place(Batch(np.arange(40), np.ones(40)))
    differences = part.differences(samples, batch, torch.Generator().manual_seed(0))
    assert len(differences.unique()) > 10


@pytest.mark.parametrize(("n_samples", "size"), [(100, 256), (10**4, 512), (10**6, 512)])
def test_batches_of_neighbours_are_large(n_samples, size):
    part = NeighbouringPart(torch.zeros(n_samples, 1), np.zeros(n_samples, int))
    assert part.default_batch_size == size
