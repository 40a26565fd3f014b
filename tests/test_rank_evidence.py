"""A count that is right, and says where nothing is."""

from dataclasses import replace

import numpy as np
import pytest
from gaussian_classes import both_placed, gaussian_classes, placed

from tensorly_norank import _held_out_order, _rank_evidence, _rank_search
from tensorly_norank._class_balance import standard_error
from tensorly_norank._held_out_order import triplets_in_order
from tensorly_norank._rank_evidence import HeldOut, count_components, warn_of_count
from tensorly_norank._rank_search import LabelledPoints


def _count(*held_out, seed=0):
    n_dimensions = held_out[0].embedding.coordinates.shape[1]
    return count_components(held_out, [], n_dimensions, np.random.default_rng(seed))


@pytest.mark.parametrize("n_separated", [1, 2, 4])
def test_the_planted_number_of_directions_is_counted(n_separated):
    evidence = _count(gaussian_classes(n_separated))
    assert evidence.chosen == evidence.significant == n_separated
    assert np.all(evidence.p_value[:n_separated] <= 0.01)
    assert evidence.p_value[n_separated] > 0.01
    assert np.isnan(evidence.p_value[5:]).all()


def test_count_is_one_and_says_so_without_structure():
    evidence = _count(gaussian_classes(0))
    assert (evidence.significant, evidence.chosen) == (0, 1)


def test_evidence_is_complete():
    evidence = _count(gaussian_classes(3), gaussian_classes(3, seed=1))
    assert evidence.chosen == evidence.significant == 3
    assert evidence.n_held_out == 480
    assert sum(evidence.stability.values()) == pytest.approx(1)
    assert evidence.stability[3] > 0.9
    np.testing.assert_array_equal(evidence.candidates, np.arange(1, 9))
    for values in (evidence.statistic, evidence.p_value, evidence.triplet_accuracy_se):
        assert values.shape == (8,)
    assert evidence.triplet_accuracy[2] > evidence.triplet_accuracy[0]


def test_same_generator_same_evidence():
    one, two = _count(gaussian_classes(3, strength=1)), _count(gaussian_classes(3, strength=1))
    np.testing.assert_array_equal(one.p_value, two.p_value)
    assert one.stability == two.stability


def _bent(n_samples=240, seed=0):
    """Classes along a line, and the line bent to an arc of three dimensions."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n_samples) % 6
    along = codes - 2.5 + 0.3 * rng.normal(size=n_samples)
    arc = np.stack([along, along**2 / 3, along**3 / 9], axis=1)
    linear = np.c_[along, 0.1 * rng.normal(size=(n_samples, 2))]
    return both_placed(arc + 0.01 * rng.normal(size=arc.shape), linear, codes, 3)


def test_a_bent_line_is_one_component():
    evidence = _count(_bent())
    assert evidence.linear
    assert evidence.chosen == 1
    bends = _bent()
    whole = _count(HeldOut(bends.embedding, bends.embedding, 3))
    assert whole.chosen == 3  # what the arc alone would be taken for


def test_structure_that_is_not_linear_is_counted_where_it_is():
    """Rings about one centre: their radius is in the embedding, and in no linear map."""
    held_out = gaussian_classes(2)
    nothing = np.random.default_rng(1).normal(size=(240, 8))
    evidence = _count(replace(held_out, linear=placed(nothing, held_out.linear.codes)))
    assert not evidence.linear
    assert evidence.chosen == 2


def test_small_classes_are_not_left_out_for_an_embedding_that_bends():
    """Its held-out samples compare two of six classes; on all samples six are compared."""
    codes = np.repeat(np.arange(6), [40, 40, 2, 2, 2, 2])
    rng = np.random.default_rng(0)
    whole = 5 * np.eye(6)[codes] + rng.normal(size=(88, 6))
    nothing = rng.normal(size=(88, 6))
    held_out = both_placed(whole, nothing, codes, 5)
    alone = _count(held_out)
    assert not alone.linear and alone.n_untested == 4
    blind = [[gaussian_classes(3).linear]]
    rng = np.random.default_rng(0)
    evidence = count_components([held_out], blind, 6, rng, sizes=np.bincount(codes))
    assert evidence.linear and evidence.n_untested == 0
    assert evidence.significant == 3


def test_bent_embeddings_pay_for_the_looks_before(monkeypatch):
    paid = []
    search = _rank_evidence.SequentialTest
    monkeypatch.setattr(
        _rank_evidence,
        "SequentialTest",
        lambda looks, rng, n_before=0: paid.append(n_before) or search(looks, rng, n_before),
    )
    held_out = gaussian_classes(2)
    nothing = placed(np.random.default_rng(1).normal(size=(240, 8)), held_out.linear.codes)
    blind = [[gaussian_classes(0).linear], [gaussian_classes(0, seed=1).linear]]
    one = replace(held_out, linear=nothing)
    count_components([one], blind, 8, np.random.default_rng(0))
    assert paid == [0, 3]


def test_an_embedding_that_only_takes_noise_out_of_its_linear_part_counts_as_linear():
    """It orders nearly all triplets rightly, its linear part 99 in 100: sure, and not worth it."""
    held_out = gaussian_classes(5, n_samples=240, strength=5.5)
    collapsed = placed(np.eye(6, 8)[held_out.linear.codes], held_out.linear.codes)
    one = replace(held_out, embedding=collapsed)
    (linear, weights), (whole, _) = (
        triplets_in_order([points], [rank])
        for points, rank in ((one.linear, 5), (one.embedding, 8))
    )
    gain = weights @ (whole - linear)
    assert 2 * standard_error(whole - linear, weights) < gain < 0.01
    assert _count(one).linear


def _pairs(n_separated, seed=0):
    return gaussian_classes(n_separated, 60, 30, 20, seed, strength=15)


def test_pairs_of_many_classes_suffice():
    assert 10 <= _count(_pairs(12)).chosen <= 12


def test_only_axes_that_class_means_span_are_tested():
    evidence = _count(replace(_pairs(12), n_spanned=4))
    assert evidence.significant == 4
    assert np.isnan(evidence.p_value[4:]).all()


@pytest.mark.parametrize("n_separated", [3, 20, 25])
def test_many_hypotheses_are_searched_by_bisection(n_separated):
    """The same count as in turn, from fewer tests."""
    part = gaussian_classes(n_separated, 600, 30, 29, strength=12)
    in_turn, searched = {}, {}
    for tested_in_turn, into in ((100, in_turn), (4, searched)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_rank_search, "_TESTED_IN_TURN", tested_in_turn)
            into["evidence"] = _count(part)
    assert searched["evidence"].significant == in_turn["evidence"].significant == n_separated
    n_tests = [np.isfinite(one["evidence"].p_value).sum() for one in (searched, in_turn)]
    assert n_tests[0] <= 10


def test_more_directions_than_the_embedding_has_are_counted_and_told():
    plane = gaussian_classes(2).linear.leading(2)
    evidence = count_components(
        [HeldOut(plane, plane, 2)],
        [[gaussian_classes(4).linear]],
        2,
        np.random.default_rng(0),
    )
    assert (evidence.significant, evidence.chosen, len(evidence.candidates)) == (4, 2, 2)
    with pytest.warns(UserWarning, match="the embedding's dimension=2 is smaller than the 4 comp"):
        warn_of_count(evidence, None)


def test_all_samples_show_what_few_held_out_ones_do_not():
    few, all_samples = (
        gaussian_classes(3, 12, strength=2),
        gaussian_classes(3, 200, strength=2).linear,
    )
    rng = np.random.default_rng
    assert count_components([few], [], 8, rng(0)).significant < 3
    evidence = count_components([few], [[all_samples]], 8, rng(0))
    assert (evidence.significant, evidence.n_held_out) == (3, 12)


def test_the_evidence_prints_as_a_table():
    lines = str(_count(gaussian_classes(2))).splitlines()
    assert lines[0].startswith("2 chosen: 2 significant, 2 needed (240 samples held out; linear")
    assert len(lines) == 2 + 5 + 1  # two behind the first that holds, and the resamples
    assert lines[-1].startswith("resamples give 2: 9") or lines[-1] == "resamples give 2: 100%"
    without = count_components([], [[gaussian_classes(0).linear]], 8, np.random.default_rng(0))
    assert str(without).startswith("1 chosen: 0 significant (none held out; linear in the data)")


def test_triplets_are_taken_from_some_hundreds_of_samples(monkeypatch):
    seen = []
    original = _held_out_order._order_triplets

    def spy(points, ranks):
        if len(ranks) > 1:
            seen.append(len(points))
        return original(points, ranks)

    monkeypatch.setattr(_held_out_order, "_order_triplets", spy)
    _count(gaussian_classes(2, 900), gaussian_classes(2, 100, seed=1))
    assert seen == [300, 100]


@pytest.mark.parametrize("seed", range(4))
def test_triplets_of_a_class_of_two_among_many_held_out_samples_are_read(seed):
    codes = np.r_[np.zeros(1198, int), 1, 1]
    points = np.random.default_rng(seed).normal(size=(1200, 2)) + 9 * codes[:, None]
    evidence = _count(both_placed(points, points, codes, 1), seed=seed)
    assert np.all(evidence.triplet_accuracy > 0.9)
    assert evidence.needed in (1, 2)


def test_without_held_out_samples_directions_are_counted_and_triplets_are_not():
    blind = [[gaussian_classes(3).linear]]
    evidence = count_components([], blind, 8, np.random.default_rng(0), max_rank=5)
    assert (evidence.significant, evidence.chosen, evidence.linear) == (3, 3, True)
    assert (evidence.needed, evidence.n_held_out) == (0, 0)
    assert np.isnan(evidence.triplet_accuracy).all()
    assert np.isnan(evidence.triplet_accuracy_se).all()
    assert len(evidence.triplet_accuracy) == len(evidence.candidates) == 5
    assert evidence.stability[3] > 0.8


def test_more_components_than_max_rank_are_counted_and_told():
    evidence = count_components([gaussian_classes(4)], [], 8, np.random.default_rng(0), max_rank=2)
    assert (evidence.significant, evidence.chosen, evidence.needed) == (4, 2, 4)
    # The evidence goes on behind what may be kept, as far as it was tested.
    assert len(evidence.candidates) == len(evidence.triplet_accuracy) == 6
    assert (evidence.p_value[:4] <= 0.01).all() and evidence.p_value[4] > 0.01
    with pytest.warns(UserWarning, match=r"max_rank=2 is smaller than the 4 .* 2 are kept"):
        warn_of_count(evidence, max_rank=2)


def test_counts_of_refits_are_printed():
    evidence = _count(gaussian_classes(2))
    assert "refits" not in str(evidence)
    assert "\nrefits give 2, 3\n" in str(replace(evidence, refits=(2, 3)))


@pytest.mark.parametrize(("n_each", "says_something"), [(3, False), (4, True)])
def test_classes_of_three_are_not_resampled(n_each, says_something):
    """Two of three samples show structure where there is none, by draws that are of three."""
    points = np.random.default_rng(0).normal(size=(5 * n_each, 4))
    blind = [[LabelledPoints(points, np.repeat(range(5), n_each))]]
    evidence = count_components([], blind, 4, np.random.default_rng(0))
    assert evidence.significant == 0
    assert bool(evidence.stability) is says_something


def test_where_nothing_was_tested_there_is_no_stability():
    nothing = LabelledPoints(np.zeros((4, 2)), np.array([0, 0, 1, 1]))
    evidence = count_components([], [[nothing]], 2, np.random.default_rng(0))
    assert (evidence.significant, evidence.likely, evidence.stability) == (0, 0, {})
    assert str(evidence).endswith("nothing was tested")


@pytest.mark.parametrize(("max_rank", "limit"), [(3, "max_rank=3"), (5, "the embedding's dim")])
def test_the_warning_names_what_limits_the_count(max_rank, limit):
    evidence = replace(_count(gaussian_classes(4)), chosen=3)
    with pytest.warns(UserWarning, match=f"^{limit}"):
        warn_of_count(evidence, max_rank)


def test_only_data_without_structure_are_warned_about(recwarn):
    for n_separated in (3, 0):
        warn_of_count(_count(gaussian_classes(n_separated)), None)
    assert [str(warning.message)[:42] for warning in recwarn] == [
        "No component separates the classes (p = 0."
    ]


def test_no_more_directions_of_the_embedding_are_tested_than_class_means_span():
    one = gaussian_classes(3)
    nothing = placed(np.random.default_rng(1).normal(size=(240, 8)), one.linear.codes)
    evidence = _count(replace(one, linear=nothing, n_spanned=2))
    assert not evidence.linear
    assert evidence.significant == 2
    assert np.isnan(evidence.p_value[2:]).all()


def test_a_bent_embedding_counts_where_it_shows_more_though_small_classes_are_left_out():
    codes = np.repeat(np.arange(6), [40, 40, 2, 2, 2, 2])
    rng = np.random.default_rng(0)
    embedded = 5 * np.eye(6)[codes] + rng.normal(size=(88, 6))
    held_out = both_placed(embedded, rng.normal(size=(88, 6)), codes, 5)
    blind = [[gaussian_classes(1).linear]]
    sizes = np.bincount(codes)
    evidence = count_components([held_out], blind, 6, np.random.default_rng(0), sizes=sizes)
    assert (evidence.linear, evidence.significant) == (False, 1)
