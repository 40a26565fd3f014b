"""A count that is right, and says where nothing is."""

import numpy as np
import pytest
from scipy import stats

from tensorly_norank import _rank_evidence
from tensorly_norank._rank_evidence import HeldOut, Part, count_components, warn_of_count


def _gaussian(n_separated, n_samples=240, n_classes=6, n_dimensions=8, seed=0, strength=3):
    rng = np.random.default_rng(seed)
    codes = np.arange(n_samples) % n_classes
    means = np.zeros((n_classes, n_dimensions))
    means[:, :n_separated] = (
        strength * np.linalg.qr(rng.normal(size=(n_classes, n_classes)))[0][:, :n_separated]
    )
    points = means[codes] + rng.normal(size=(n_samples, n_dimensions))
    return HeldOut(points, points, codes, min(n_classes - 1, n_dimensions))


def _count(*held_out, seed=0):
    return count_components(held_out, np.random.default_rng(seed))


@pytest.mark.parametrize("n_separated", [1, 2, 4])
def test_the_planted_number_of_directions_is_counted(n_separated):
    evidence = _count(_gaussian(n_separated))
    assert evidence.chosen == evidence.significant == n_separated
    assert np.all(evidence.p_value[:n_separated] <= 0.01)
    assert evidence.p_value[n_separated] > 0.01
    assert np.isnan(evidence.p_value[5:]).all()


def test_count_is_one_and_says_so_without_structure():
    evidence = _count(_gaussian(0))
    assert (evidence.significant, evidence.chosen) == (0, 1)


def test_evidence_is_complete():
    evidence = _count(_gaussian(3), _gaussian(3, seed=1))
    assert evidence.chosen == evidence.significant == 3
    assert evidence.n_held_out == 480
    assert sum(evidence.stability.values()) == pytest.approx(1)
    assert evidence.stability[3] > 0.9
    np.testing.assert_array_equal(evidence.candidates, np.arange(1, 9))
    for values in (evidence.statistic, evidence.p_value, evidence.triplet_accuracy_se):
        assert values.shape == (8,)
    assert evidence.triplet_accuracy[2] > evidence.triplet_accuracy[0]


def test_same_generator_same_evidence():
    one, two = _count(_gaussian(3, strength=1)), _count(_gaussian(3, strength=1))
    np.testing.assert_array_equal(one.p_value, two.p_value)
    assert one.stability == two.stability


def _bent(n_samples=240, seed=0):
    """Classes along a line, and the line bent to an arc of three dimensions."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n_samples) % 6
    along = codes - 2.5 + 0.3 * rng.normal(size=n_samples)
    arc = np.stack([along, along**2 / 3, along**3 / 9], axis=1)
    linear = np.c_[along, 0.1 * rng.normal(size=(n_samples, 2))]
    return HeldOut(arc + 0.01 * rng.normal(size=arc.shape), linear, codes, 3)


def test_a_bent_line_is_one_component():
    evidence = _count(_bent())
    assert evidence.linear
    assert evidence.chosen == 1
    bends = _bent()
    whole = _count(HeldOut(bends.embedding, bends.embedding, bends.codes, 3))
    assert whole.chosen == 3  # what the arc alone would be taken for


def test_structure_that_is_not_linear_is_counted_where_it_is():
    """Rings about one centre: their radius is in the embedding, and in no linear map."""
    held_out = _gaussian(2)
    nothing = np.random.default_rng(1).normal(size=held_out.linear.shape)
    evidence = _count(HeldOut(held_out.embedding, nothing, held_out.codes, held_out.n_spanned))
    assert not evidence.linear
    assert evidence.chosen == 2


def test_an_embedding_that_only_takes_noise_out_of_its_linear_part_counts_as_linear():
    """It orders nearly all triplets rightly, its linear part 99 in 100: sure, and not worth it."""
    held_out = _gaussian(5, n_samples=240, strength=5.5)
    collapsed = np.eye(6, 8)[held_out.codes]
    one = HeldOut(collapsed, held_out.linear, held_out.codes, held_out.n_spanned)
    parts = [Part(one.linear, one.codes, 5)], [Part(one.embedding, one.codes, 5)]
    (linear, weights), (whole, _) = (
        _rank_evidence._triplet_accuracy_by_rank(part, [rank])
        for part, rank in zip(parts, [5, 8], strict=True)
    )
    gain = weights @ (whole - linear)
    assert 2 * _rank_evidence._standard_error(whole - linear, weights) < gain < 0.01
    assert _count(one).linear


def _pairs(n_separated, seed=0):
    return _gaussian(n_separated, 60, 30, 20, seed, strength=15)


def test_pairs_of_many_classes_suffice():
    assert 10 <= _count(_pairs(12)).chosen <= 12


def test_only_axes_that_class_means_span_are_tested():
    part = _pairs(12)
    capped = HeldOut(part.embedding, part.linear, part.codes, 4)
    evidence = _count(capped)
    assert evidence.significant == 4
    assert np.isnan(evidence.p_value[4:]).all()


@pytest.mark.parametrize("n_separated", [3, 20, 25])
def test_many_hypotheses_are_searched_by_bisection(n_separated):
    """The same count as in turn, from fewer tests."""
    part = _gaussian(n_separated, 600, 30, 29, strength=12)
    in_turn, searched = {}, {}
    for tested_in_turn, into in ((100, in_turn), (4, searched)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_rank_evidence, "_TESTED_IN_TURN", tested_in_turn)
            into["evidence"] = _count(part)
    assert searched["evidence"].significant == in_turn["evidence"].significant == n_separated
    n_tests = [np.isfinite(one["evidence"].p_value).sum() for one in (searched, in_turn)]
    assert n_tests[0] <= 10


def test_resamples_are_four_fifths_of_each_class_and_two_at_least():
    codes = np.repeat([0, 1, 2, 3], [20, 10, 2, 1])
    part = Part(np.arange(33.0)[:, None], codes, 1)
    one, two = (part.resample(np.random.default_rng(seed)) for seed in (0, 1))
    for resampled in (one, two):
        np.testing.assert_array_equal(np.bincount(resampled.codes), [16, 8, 2, 1])
        np.testing.assert_array_equal(
            codes[resampled.coordinates[:, 0].astype(int)], resampled.codes
        )
    assert set(one.coordinates[:, 0]) != set(two.coordinates[:, 0])


@pytest.mark.parametrize(("anchors", "needed"), [([0.5, 0.9, 0.9], 2), ([0.9, 0.9, 0.95], 3)])
def test_needed_is_the_smallest_count_that_costs_no_accuracy(anchors, needed):
    common = np.random.default_rng(0).normal(scale=0.3, size=(50, 1))  # of an anchor: it cancels
    assert _rank_evidence._needed(np.array([anchors]) + common, np.full(50, 1 / 50)) == needed


def test_several_parts_are_combined_by_fishers_method():
    held_out = [_gaussian(1, strength=0.6, n_samples=60, seed=seed) for seed in range(3)]
    parts = [Part(one.linear, one.codes, one.n_spanned) for one in held_out]
    each = [
        _rank_evidence._SequentialTest([part], np.random.default_rng(seed))
        for seed, part in enumerate(parts)
    ]
    together = _rank_evidence._SequentialTest(parts, np.random.default_rng(0))
    assert together.statistic[0] == pytest.approx(np.mean([one.statistic[0] for one in each]))
    expected = stats.chi2.sf(-2 * np.log([one.p_value[0] for one in each]).sum(), 6)
    assert together.p_value[0] == pytest.approx(expected, rel=0.5, abs=0.005)  # other draws


def test_parts_that_test_nothing_are_left_out():
    held_out = _gaussian(2)
    useful = Part(held_out.linear, held_out.codes, 5)
    useless = Part(held_out.linear[:4], np.array([0, 0, 1, 2]), 5)
    rng = np.random.default_rng
    alone = _rank_evidence._SequentialTest([useful], rng(0))
    beside = _rank_evidence._SequentialTest([useless, useful], rng(0))
    assert beside.statistic == alone.statistic
    assert beside.count == alone.count == 2
    assert _rank_evidence._SequentialTest([useless], rng(0)).count == 0


def test_more_components_than_max_rank_are_counted_and_told():
    evidence = count_components([_gaussian(4)], np.random.default_rng(0), max_rank=2)
    assert (evidence.significant, evidence.chosen, len(evidence.candidates)) == (4, 2, 2)
    assert evidence.needed <= 2
    with pytest.warns(UserWarning, match=r"max_rank=2 is smaller than the 4 .* 2 are kept"):
        warn_of_count(evidence)


def test_only_data_without_structure_are_warned_about(recwarn):
    for n_separated in (3, 0):
        warn_of_count(_count(_gaussian(n_separated)))
    assert [str(warning.message)[:40] for warning in recwarn] == [
        "No component separates the classes on 24"
    ]
