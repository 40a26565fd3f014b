"""What is likely where samples are few: no more than they show, and no less than they need."""

from dataclasses import replace

import numpy as np
import pytest
from gaussian_classes import gaussian_classes, placed

from tensorly_norank import _few_samples, _rank_evidence
from tensorly_norank._class_balance import standard_error
from tensorly_norank._held_out_order import (
    is_worth_bending,
    means_in_order,
    needed_components,
    triplets_in_order,
)
from tensorly_norank._rank_evidence import HeldOut, count_components, warn_of_count
from tensorly_norank._rank_search import LabelledPoints

CODES = np.arange(12) % 6


def _noise(codes, seed=0, n_dimensions=8):
    """Samples that their classes do not move, and class means of others."""
    rng = np.random.default_rng(seed)
    means = 0.5 * rng.normal(size=(codes.max() + 1, n_dimensions))
    return placed(rng.normal(size=(len(codes), n_dimensions)), codes, means)


def _few(n_separated, n_classes, n_each=2, seed=0, **options):
    """All samples, none held out."""
    held_out = gaussian_classes(n_separated, n_each * n_classes, n_classes, seed=seed, **options)
    return [[held_out.linear]]


def _count_few(blind, n_dimensions=8, seed=0, **options):
    return count_components([], blind, n_dimensions, np.random.default_rng(seed), **options)


def test_of_few_samples_what_is_likely_is_kept():
    """Directions that two samples a class show and do not prove, and seldom many more."""
    blinds = [_few(3, n_classes=32, strength=14, seed=seed) for seed in range(20)]
    evidence = [_count_few(blind, seed=seed) for seed, blind in enumerate(blinds)]
    proved = np.array([one.significant for one in evidence])
    kept = np.array([one.chosen for one in evidence])
    # One that all that can be tested are rejected of, and 31 likely, has an embedding of eight.
    assert all(one.chosen == min(one.likely, 8) and one.found == one.likely for one in evidence)
    assert np.all(kept >= proved)
    assert np.mean(proved) < 2.5
    assert np.all(kept >= 3) and np.median(kept) <= 4
    assert np.mean(kept > 3) <= 0.5


@pytest.mark.parametrize(
    ("n_classes", "n_each", "strength", "level"),
    [(22, 3, 4, 1 / 2), (8, 4, 2, 1 / 10), (8, 7, 1.5, 1 / 10)],
)
def test_the_fewer_samples_a_class_has_the_more_lenient_is_the_count(
    n_classes, n_each, strength, level
):
    evidence = _count_few(_few(4, n_classes=n_classes, n_each=n_each, strength=strength))
    assert evidence.likely == np.argmax(evidence.p_value > level) > evidence.significant > 0
    assert evidence.chosen == evidence.likely


@pytest.mark.parametrize(("n_classes", "likely"), [(21, 20), (22, 6)])
def test_of_fewer_than_64_samples_none_held_out_nothing_is_cut(n_classes, likely):
    """Though some directions are significant, and a hypothesis behind them holds."""
    sizes = np.array([3] * n_classes + [1] * 50)  # those alone in their class tell nothing
    blind = _few(4, n_classes=n_classes, n_each=3, strength=4)
    evidence = _count_few(blind, n_dimensions=30, sizes=sizes)
    assert 0 < evidence.significant < np.argmax(evidence.p_value > 1 / 2) < 8
    assert evidence.chosen == evidence.likely == likely


@pytest.mark.parametrize(
    ("sizes", "is_few"),
    [
        ([2, 2, 16, 16], False),
        ([2, 2, 15, 16, 16], False),
        ([2, 2, 15, 15, 16], True),
        ([16, 16, 16], False),
        ([1] * 50 + [16, 16], False),  # in no test
    ],
)
def test_most_samples_of_those_that_can_be_tested_decide(sizes, is_few):
    codes = np.repeat(2 * np.arange(len(sizes)), sizes)  # codes that no sample has do not count
    points = np.random.default_rng(0).normal(size=(len(codes), 4))
    assert (_count_few([[LabelledPoints(points, codes)]], 4).likely is not None) is is_few


def _count_some(held_out, n_each, **options):
    """Held-out samples, of classes with so many."""
    sizes = np.full(6, n_each)
    return count_components([held_out], [], 8, np.random.default_rng(0), sizes=sizes, **options)


def test_of_few_samples_what_tells_them_their_classes_is_kept():
    """It takes five directions; so few samples prove one, and triplets among them need three."""
    held_out = gaussian_classes(5, n_samples=18, strength=1.5, seed=14)
    evidence, of_more = _count_some(held_out, 15), _count_some(held_out, 16)
    assert (evidence.significant, evidence.needed) == (1, 3)
    assert evidence.chosen == evidence.likely == 5
    assert (of_more.likely, of_more.chosen) == (None, 1)
    assert str(evidence).startswith("5 chosen: 1 significant, 5 likely, 3 needed")
    # By the number that is kept, the embedding is no better than its linear part, which it is.
    assert evidence.linear


@pytest.mark.parametrize("max_rank", [1, 4, 5])
def test_what_is_likely_knows_no_bound_and_a_warning_says_so(max_rank):
    evidence = _count_some(gaussian_classes(5, n_samples=18, strength=1.5), 7, max_rank=max_rank)
    assert (evidence.likely, evidence.chosen) == (5, max_rank)
    if max_rank < 5:
        with pytest.warns(UserWarning, match=f"max_rank={max_rank} is smaller than the 5 comp"):
            warn_of_count(evidence, max_rank)


def test_of_held_out_samples_the_level_is_a_tenth_however_few_there_are():
    points = gaussian_classes(2, n_samples=12, strength=3).linear
    nothing = placed(points.coordinates, points.codes, np.zeros((6, 8)))  # fits have learned none
    evidence = _count_some(HeldOut(nothing, nothing, 5), 3)
    assert evidence.p_value[0] <= 0.01 and 0.1 < evidence.p_value[1] <= 0.5
    assert evidence.likely == evidence.significant == 1


def test_what_is_likely_is_no_more_than_means_of_the_held_out_classes_can_span():
    """Of six fitted ones: what tells the three of them apart lies on five axes."""
    one = gaussian_classes(5, n_samples=60, strength=3).linear
    some = one.codes < 3
    part = replace(one, coordinates=one.coordinates[some], codes=one.codes[some])
    assert needed_components(*means_in_order([part], range(1, 9)), 0.5) > 2
    assert _count_some(HeldOut(part, part, 5), 10).likely == 2


def test_what_is_proved_is_kept_though_fits_have_learned_nothing():
    held_out = gaussian_classes(4, n_samples=60, strength=5)
    one = placed(held_out.linear.coordinates, held_out.linear.codes)
    evidence = _count_some(HeldOut(one, one, 5), 10)
    assert evidence.likely >= evidence.significant == 4


def test_of_what_orders_best_half_a_standard_error_is_forgiven(monkeypatch):
    """0.6 is too much, 0.3 is not; and where nothing is significant nothing is likely."""
    spread, mean = [0.5, 0.5, 0.5, 0, 0], [0.6, 0.67, 0.685, 0.7, 0.7]
    accuracy = np.tile([-1.0, 1.0], 50)[:, None] * spread + mean
    monkeypatch.setattr(
        _few_samples, "means_in_order", lambda *_: (accuracy, np.full(100, 1 / 100))
    )
    assert _count_some(gaussian_classes(1, n_samples=60), 15).likely == 3
    assert _count_some(HeldOut(_noise(CODES), _noise(CODES, 1), 5), 15).likely == 0


def test_of_noise_little_is_likely_whatever_orders_it_best():
    codes = np.arange(40) % 8
    likely = []
    for seed in range(40):
        one = HeldOut(_noise(codes, seed), _noise(codes, 1000 + seed), 7)
        evidence = count_components([one], [], 8, np.random.default_rng(seed), sizes=np.full(8, 10))
        likely.append(evidence.likely)
    assert np.mean(np.array(likely) == 0) > 0.75
    assert np.mean(np.array(likely) > 1) < 0.1


def test_the_shares_that_decide_are_kept_and_printed():
    held_out = gaussian_classes(5, n_samples=18, strength=1.5, seed=14)
    evidence = _count_some(held_out, 15)
    accuracy, weights = means_in_order([held_out.linear], range(1, 6))
    np.testing.assert_allclose(evidence.class_accuracy[:5], weights @ accuracy)
    np.testing.assert_allclose(evidence.class_accuracy_se[:5], standard_error(accuracy, weights))
    assert np.isnan(evidence.class_accuracy[5:]).all()  # means of six classes span no more
    assert len(evidence.class_accuracy) == len(evidence.candidates) == 8
    lines = str(evidence).splitlines()
    assert lines[1].endswith("triplets in order  classes in order")
    shown = [
        f"{evidence.class_accuracy[r]:.4f} ± {evidence.class_accuracy_se[r]:.4f}" for r in (0, 4)
    ]
    assert lines[2].endswith(shown[0]) and lines[6].endswith(shown[1])
    of_more = _count_some(held_out, 16)
    assert of_more.class_accuracy is None and of_more.class_accuracy_se is None
    assert "classes in order" not in str(of_more)


def test_of_the_embedding_its_own_shares_are_kept():
    whole = gaussian_classes(6, n_samples=14, n_classes=7, strength=1.5, seed=8).embedding
    evidence = count_components(
        [HeldOut(whole, _noise(whole.codes), 6)],
        [],
        8,
        np.random.default_rng(0),
        sizes=np.full(7, 10),
    )
    assert not evidence.linear
    accuracy, weights = means_in_order([whole], range(1, 7))
    np.testing.assert_allclose(evidence.class_accuracy[:6], weights @ accuracy)


def test_where_no_hypothesis_holds_what_could_not_be_tested_is_kept():
    blind = [[points.leading(4) for points in look] for look in _few(4, 12, strength=20)]
    evidence = _count_few(blind)
    assert evidence.significant == 4  # all that there are
    assert (evidence.likely, evidence.chosen) == (11, 8)
    assert _count_few(blind, n_dimensions=20).chosen == 11
    assert _count_few(blind, max_rank=5).chosen == 5


def test_of_few_samples_means_show_that_an_embedding_bends():
    """The triplets among so few do not, by as many standard errors."""
    whole = gaussian_classes(6, n_samples=14, n_classes=7, strength=1.5, seed=8).embedding
    nothing = _noise(whole.codes)
    (linear, weights), (bent, _) = (
        triplets_in_order([one], [rank]) for one, rank in ((nothing, 1), (whole, 8))
    )
    assert not is_worth_bending((bent - linear)[:, 0], weights, 2.0)
    evidence = count_components(
        [HeldOut(whole, nothing, 6)], [], 8, np.random.default_rng(0), sizes=np.full(7, 10)
    )
    assert not evidence.linear


def test_of_few_samples_means_decide_whether_an_embedding_bends_and_not_triplets():
    """Where the linear part shows two of its directions."""
    whole = gaussian_classes(6, n_samples=14, n_classes=7, strength=1.5, seed=3).embedding
    linear = placed(whole.coordinates[:, :2], whole.codes, whole.fitted_means[:, :2])
    gains = [
        (in_order([whole], [8])[0] - in_order([linear], [2])[0])[:, 0]
        for in_order in (means_in_order, triplets_in_order)
    ]
    equal = np.full(14, 1 / 14)
    assert [is_worth_bending(gain, equal, 2.0) for gain in gains] == [True, False]
    assert _rank_evidence._is_beyond_linear([linear], [whole], 2, is_of_few=True)


def test_two_standard_errors_are_enough_for_few(monkeypatch):
    asked = []
    original = _rank_evidence.is_worth_bending
    monkeypatch.setattr(
        _rank_evidence, "is_worth_bending", lambda *args: asked.append(args[2]) or original(*args)
    )
    for n_each in (15, 16):
        _count_some(gaussian_classes(2), n_each)
    assert asked == [2.0, 3.0]


def test_all_parts_say_how_many_it_takes():
    """The first has learned one direction, the second four."""
    first, second = (gaussian_classes(n, n_samples=60, strength=4) for n in (1, 4))
    for parts in ([first, second], [second, first]):
        evidence = count_components(parts, [], 8, np.random.default_rng(0), sizes=np.full(6, 10))
        assert evidence.likely == 4


def test_where_the_linear_part_shows_nothing_the_embedding_is_asked():
    """It is no better by two standard errors, and yet it is more than chance."""
    whole = gaussian_classes(2, n_samples=12, strength=2.5, seed=8).embedding
    nothing = _noise(whole.codes, 5)
    gain = (means_in_order([whole], [8])[0] - means_in_order([nothing], [5])[0])[:, 0]
    assert not is_worth_bending(gain, np.full(12, 1 / 12), 2.0)
    evidence = _count_some(HeldOut(whole, nothing, 5), 10)
    assert not evidence.linear
    assert evidence.likely > 0


@pytest.mark.parametrize(("max_rank", "chosen"), [(None, 5), (3, 3)])
def test_of_few_samples_that_show_nothing_all_is_kept_that_class_means_span(max_rank, chosen):
    """With a warning. Of more samples one component is kept."""
    few, more = (
        _count_some(gaussian_classes(0, n_samples=24), n, max_rank=max_rank) for n in (15, 16)
    )
    assert (few.significant, few.likely, few.found, few.chosen) == (0, 0, 0, chosen)
    assert few.class_accuracy is not None
    assert (more.likely, more.found, more.chosen) == (None, 0, 1)
    assert str(few).startswith(f"{chosen} chosen: 0 significant, 0 likely")
    message = f"is proved to separate .* Few samples prove little: {chosen} are kept all the same"
    with pytest.warns(UserWarning, match=message):
        warn_of_count(few, max_rank)
    with pytest.warns(UserWarning, match="separates the classes .* 1 is kept"):
        warn_of_count(more, max_rank)


def test_of_few_samples_a_component_is_kept_for_each_class_that_is_in_no_test():
    """Of six classes three have samples held out, and two directions tell them apart."""
    one = gaussian_classes(2, n_samples=60, strength=5).linear
    some = one.codes < 3
    part = replace(one, coordinates=one.coordinates[some], codes=one.codes[some])
    few = _count_some(HeldOut(part, part, 5), 10)
    assert (few.significant, few.likely, few.n_untested, few.chosen) == (2, 2, 3, 5)
    with pytest.warns(UserWarning, match="not counted, and 3 more kept for them. Pass a rank"):
        warn_of_count(few, None)
    more = _count_some(HeldOut(part, part, 5), 16)
    assert (more.significant, more.n_untested, more.chosen) == (2, 3, 2)
    with pytest.warns(UserWarning, match="not counted. Pass a rank"):
        warn_of_count(more, None)
    sizes = np.array([10, 10, 10, 10, 1, 1])  # those alone in their class ask for none
    alone = count_components([HeldOut(part, part, 5)], [], 8, np.random.default_rng(0), sizes=sizes)
    assert (alone.n_untested, alone.chosen) == (3, 3)


def test_samples_alone_in_their_class_ask_for_no_component():
    blind = _few(0, n_classes=6)
    sizes = np.array([2] * 6 + [1] * 30)
    assert _count_few(blind, n_dimensions=20, sizes=sizes).chosen == 5


def test_of_few_samples_that_are_all_alike_one_component_is_kept():
    alike = LabelledPoints(np.zeros((12, 4)), CODES)
    evidence = _count_few([[alike]])
    assert (evidence.likely, evidence.chosen) == (0, 1)


def test_where_neither_shows_anything_components_are_directions_of_the_data():
    one = HeldOut(_noise(CODES, 6), _noise(CODES, 7), 5)
    evidence = _count_some(one, 10)
    assert (evidence.likely, evidence.linear) == (0, True)
