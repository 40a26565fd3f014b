"""What a pass shows, and what is held out."""

import numpy as np
import pytest

from tensorly_norank._batches import (
    class_balanced_pass,
    comparisons_pass,
    default_batch_size,
    drawn_evenly,
    random_pass,
    some_samples,
    split_at_random,
    split_samples,
)

LABELS = {
    "balanced": np.repeat(np.arange(10), 9),
    "imbalanced": np.repeat([0, 1, 2], [100, 7, 2]),
    "singletons": np.repeat(np.arange(6), [5, 1, 1, 4, 8, 1]),
    "many classes": np.repeat(np.arange(70), 3),
    "one large among many": np.repeat(np.arange(40), [90] + [2] * 39),
}


@pytest.fixture(params=LABELS.values(), ids=LABELS)
def labels(request):
    return np.random.default_rng(0).permutation(request.param)


def test_classes_that_are_absent_do_not_matter():
    codes = np.repeat([0, 1, 2], [9, 20, 5])
    for given in (codes, np.array([3, 4, 9])[codes]):
        batches = class_balanced_pass(given, 12, np.random.default_rng(0))
        shown = [(batch.indices.tolist(), batch.weights.tolist()) for batch in batches]
        if given is codes:
            expected = shown
    assert shown == expected


def test_a_pass_shows_every_sample(labels):
    batches = class_balanced_pass(labels, 32, np.random.default_rng(0))
    shown = np.concatenate([batch.indices for batch in batches])
    assert set(shown) == set(range(len(labels)))


def test_a_batch_has_no_sample_twice_and_keeps_its_size(labels):
    for batch in class_balanced_pass(labels, 32, np.random.default_rng(0)):
        assert len(set(batch.indices)) == len(batch.indices) <= 32


def test_classes_weigh_the_same_over_a_pass(labels):
    totals = np.zeros(labels.max() + 1)
    for batch in class_balanced_pass(labels, 32, np.random.default_rng(0)):
        np.add.at(totals, labels[batch.indices], batch.weights)
    np.testing.assert_allclose(totals, totals.mean())


def test_every_batch_has_two_classes(labels):
    for batch in class_balanced_pass(labels, 32, np.random.default_rng(0)):
        assert len(np.unique(labels[batch.indices])) >= 2


def test_samples_of_unknown_class_serve_no_split():
    codes = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, -1], [30, 25, 9, 40]))
    known = np.flatnonzero(codes >= 0)
    for split in split_samples(codes, 0.3, np.random.default_rng(0)):
        parts = [part for part in (split.fit, split.stop, split.count) if part is not None]
        assert sorted(np.concatenate(parts).tolist()) == known.tolist()


def test_same_generator_same_batches():
    first, second = (
        class_balanced_pass(LABELS["imbalanced"], 16, np.random.default_rng(3)) for _ in range(2)
    )
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.indices, other.indices)


def test_default_batch_size_grows_with_the_data():
    assert [default_batch_size(n) for n in (10, 1000, 4000, 10**6)] == [64, 64, 256, 512]


def test_parts_are_disjoint_and_cover_everything(labels):
    split = split_samples(labels, 0.3, np.random.default_rng(0))[0]
    parts = [part for part in (split.fit, split.stop, split.count) if part is not None]
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))


def test_every_class_keeps_two_samples_for_the_fit(labels):
    split = split_samples(labels, 0.5, np.random.default_rng(0))[0]
    sizes, kept = np.bincount(labels), np.bincount(labels[split.fit], minlength=labels.max() + 1)
    assert np.all(kept >= np.minimum(sizes, 2))


def test_held_out_samples_come_in_pairs_of_a_class(labels):
    split = split_samples(labels, 0.3, np.random.default_rng(0))[0]
    for part in (split.stop, split.count):
        if part is not None:
            sizes = np.bincount(labels[part])
            assert sizes[sizes > 0].min() >= 2


def test_five_samples_a_class_count_but_do_not_stop():
    split = split_samples(np.repeat(np.arange(40), 5), 0.3, np.random.default_rng(0))[0]
    assert split.stop is None
    assert len(split.count) == 60


def test_nothing_is_held_out_of_classes_of_three():
    split = split_samples(np.repeat(np.arange(4), 3), 0.3, np.random.default_rng(0))[0]
    assert split.count is None
    assert len(split.fit) == 12


@pytest.mark.parametrize("batch_size", [2, 4, 9, 64, 512])
def test_any_batch_size_keeps_its_promises(labels, batch_size):
    batches = class_balanced_pass(labels, batch_size, np.random.default_rng(1))
    assert max(len(batch.indices) for batch in batches) <= max(batch_size, 4)
    assert all(len(set(batch.indices)) == len(batch.indices) for batch in batches)
    assert set(np.concatenate([batch.indices for batch in batches])) == set(range(len(labels)))
    weights = np.concatenate([batch.weights for batch in batches])
    assert np.all(weights > 0) and weights.mean() == pytest.approx(1)


def test_classes_of_one_size_are_shown_once_with_weight_one():
    batches = class_balanced_pass(LABELS["balanced"], 90, np.random.default_rng(0))
    assert sorted(np.concatenate([batch.indices for batch in batches])) == list(range(90))
    assert all(np.all(batch.weights == 1) for batch in batches)


def test_another_pass_draws_other_batches():
    rng = np.random.default_rng(0)
    first, second = (class_balanced_pass(LABELS["imbalanced"], 16, rng) for _ in range(2))
    assert any(
        not np.array_equal(one.indices, other.indices)
        for one, other in zip(first, second, strict=True)
    )


def test_large_classes_give_the_share_asked_for():
    codes = np.repeat([0, 1], [100, 60])
    split = split_samples(codes, 0.25, np.random.default_rng(0))[0]
    held_out = np.concatenate([split.stop, split.count])
    np.testing.assert_array_equal(np.bincount(codes[held_out]), [25, 15])
    np.testing.assert_array_equal(np.bincount(codes[split.stop]), [8, 5])


def test_further_splits_hold_out_other_samples_and_all_of_them_count(labels):
    splits = split_samples(labels, 0.3, np.random.default_rng(0))
    held_out = [np.setdiff1d(np.arange(len(labels)), split.fit) for split in splits]
    assert len(np.unique(np.concatenate(held_out))) == sum(map(len, held_out))
    for split, own in zip(splits[1:], held_out[1:], strict=True):
        assert split.stop is None
        np.testing.assert_array_equal(split.count, own)


@pytest.mark.parametrize(
    ("sizes", "fraction", "n_splits"),
    [
        ([40, 40], 0.3, 3),
        ([40, 40], 0.5, 2),
        ([5] * 9, 0.3, 2),
        ([4, 3, 4], 0.3, 2),
        ([9, 9, 6, 6], 0.5, 3),
        ([90, 2], 0.3, 1),
    ],
    ids=str,
)
def test_there_are_as_many_splits_as_disjoint_parts(sizes, fraction, n_splits):
    codes = np.repeat(np.arange(len(sizes)), sizes)
    assert len(split_samples(codes, fraction, np.random.default_rng(0))) == n_splits


def test_large_data_hold_out_no_more_than_will_do():
    for codes in (np.arange(100_000) % 10, np.arange(100_000) % 20_000):
        splits = split_samples(codes, 0.3, np.random.default_rng(0))
        held_out = [len(codes) - len(split.fit) for split in splits]
        assert 1000 <= min(held_out) <= max(held_out) <= 1400


def test_some_samples_come_in_pairs(labels):
    rng = np.random.default_rng(0)
    chosen = some_samples(labels, 20, rng)
    assert len(chosen) <= 20
    sizes = np.bincount(labels[chosen], minlength=labels.max() + 1)
    whole = np.bincount(labels)
    assert np.all((sizes % 2 == 0) | (whole % 2 == 1))
    np.testing.assert_array_equal(some_samples(labels, 10**6, rng), np.arange(len(labels)))


@pytest.mark.parametrize(
    "sizes",
    [[4000, 5], [4000, 2], [4000, 1], [2, *[1] * 600], [3] * 300, [900, 900, 2, 1]],
    ids=["few", "two", "one", "two among many of one", "three", "all kinds"],
)
def test_among_some_samples_one_has_another_of_its_class_and_one_of_another_class(sizes):
    codes = np.repeat(np.arange(len(sizes)), sizes)
    for seed in range(20):
        chosen = some_samples(codes, 100, np.random.default_rng(seed))
        assert 50 < len(chosen) <= 100  # what is left over of a class takes the turn of a pair
        kept = np.bincount(codes[chosen])
        assert kept.max() >= 2 and np.count_nonzero(kept) >= 2


def test_some_samples_are_taken_evenly_over_classes_and_at_random_within_them():
    codes = np.repeat([0, 1, 2], [600, 300, 12])
    found = [some_samples(codes, 60, np.random.default_rng(seed)) for seed in range(400)]
    kept = np.array([np.bincount(codes[chosen], minlength=3) for chosen in found])
    assert np.all(kept[:, 2] == 12) and np.all(kept[:, :2] == 24)
    times = np.bincount(np.concatenate(found), minlength=len(codes))
    for members, share in ((codes == 0, 24 / 600), (codes == 1, 24 / 300)):
        deviation = np.sqrt(400 * share * (1 - share))
        assert np.abs(times[members] - 400 * share).max() < 5 * deviation


@pytest.mark.parametrize("sizes", [[2, 2], [1, 30], [4, 1], [3, 3, 3]], ids=str)
def test_small_sets_are_fitted_whole(sizes):
    codes = np.repeat(np.arange(len(sizes)), sizes)
    split = split_samples(codes, 0.3, np.random.default_rng(0))[0]
    assert split.stop is None and split.count is None
    np.testing.assert_array_equal(split.fit, np.arange(len(codes)))


def test_a_share_of_zero_holds_nothing_out(labels):
    split = split_samples(labels, 0.0, np.random.default_rng(0))[0]
    assert split.count is None and len(split.fit) == len(labels)


def test_two_of_each_urgent_class_are_drawn_before_all_others_and_then_as_many_of_each():
    codes = np.repeat(np.arange(6), 20)
    for urgent in ([], [4], [1, 4]):
        drawn = drawn_evenly(codes, 10, np.random.default_rng(0), urgent)
        sizes = np.bincount(codes[drawn], minlength=6)
        assert len(set(drawn)) == 10
        assert (sizes[urgent] == 2).all() and np.ptp(np.delete(sizes, urgent)) <= 1


def test_which_classes_meet_in_a_batch_changes():
    codes, rng = np.repeat(np.arange(40), 4), np.random.default_rng(0)
    passes = [class_balanced_pass(codes, 16, rng) for _ in range(5)]
    met = {frozenset(codes[one.indices].tolist()) for batches in passes for one in batches}
    assert len(met) > 40  # of 50 batches


@pytest.mark.parametrize(
    ("n_samples", "n_rows", "size"),
    [(40, 3000, 10), (900, 1000, 64), (60, 90_000, 64)],
    ids=["divided by samples", "divided by comparisons", "too many for a batch"],
)
def test_which_comparisons_meet_in_a_batch_changes(n_samples, n_rows, size):
    rng = np.random.default_rng(0)
    rows = rng.integers(n_samples, size=(n_rows, 3))
    one, other = (
        [tuple(map(tuple, b.indices[b.triplets][:50])) for b in comparisons_pass(rows, size, rng)]
        for _ in range(2)
    )
    assert not set(one) & set(other)
    assert len(set(one)) == len(one)


def test_comparisons_that_no_division_of_the_samples_holds_are_shown_all_the_same():
    rows = np.array([[0, 1, 2]] * 4 + [[3, 4, 5]] * 4)
    for seed in range(20):
        batches = comparisons_pass(rows, 4, np.random.default_rng(seed))
        assert batches
        shown = np.concatenate([one.indices[one.triplets] for one in batches])
        assert {tuple(row) for row in shown} <= {(0, 1, 2), (3, 4, 5)}


def test_which_samples_meet_in_a_random_batch_changes():
    rng = np.random.default_rng(0)
    one, other = (
        {frozenset(batch.indices.tolist()) for batch in random_pass(60, 20, rng)} for _ in range(2)
    )
    assert not one & other


@pytest.mark.parametrize(
    "codes", [np.repeat([0, 1], 40), np.repeat(np.arange(30), 5)], ids=["large", "small"]
)
def test_every_sample_is_held_out_by_some_seed_and_fitted_by_others(codes):
    n_times = np.zeros(len(codes))
    for seed in range(60):
        split = split_samples(codes, 0.3, np.random.default_rng(seed))[0]
        n_times += ~np.isin(np.arange(len(codes)), split.fit)
    assert np.all((n_times > 4) & (n_times < 50))  # 0.3 of 60 on average


def test_which_small_classes_give_a_sample_away_changes():
    codes, giving = np.repeat(np.arange(30), 5), np.zeros(30)
    for seed in range(60):
        split = split_samples(codes, 0.2, np.random.default_rng(seed))[0]
        giving[np.unique(codes[split.count])] += 1
    assert giving.max() < 50
    assert giving.min() > 10


def test_without_classes_other_samples_are_held_out_by_other_seeds():
    one, other = (
        split_at_random(np.arange(60), 0.3, np.random.default_rng(seed))[0].count.tolist()
        for seed in (0, 1)
    )
    assert one != other


def test_which_classes_are_dropped_where_only_some_samples_are_taken_changes():
    singles, fives = np.r_[0, 0, np.arange(1, 601)], np.repeat(np.arange(20), 5)
    kept_singles, kept_fives = np.zeros(len(singles)), np.zeros(20)
    for seed in range(60):
        kept_singles[some_samples(singles, 100, np.random.default_rng(seed))] += 1
        kept_fives[fives[drawn_evenly(fives, 10, np.random.default_rng(seed))]] += 1
    assert kept_singles[2:].max() < 40
    assert kept_fives.max() < 60
