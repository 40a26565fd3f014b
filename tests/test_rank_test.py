"""A test that keeps its level where the usual ones do not, and finds what is there."""

import numpy as np
import pytest
from scipy import linalg

from tensorly_norank._rank_search import _fisher
from tensorly_norank._rank_test import N_DRAWS, MeansRankTest, _ClassScatter


def sample(sizes, n_dimensions=4, n_directions=0, strength=4.0, scales=None, tails=None, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(sizes)), sizes)
    means = np.zeros((len(sizes), n_dimensions))
    means[:, :n_directions] = strength * rng.normal(size=(len(sizes), n_directions))
    shape = (len(codes), n_dimensions)
    deviations = rng.standard_t(tails, shape) if tails else rng.normal(size=shape)
    if scales is not None:
        deviations *= np.asarray(scales)[codes, None]
    mixing = rng.normal(size=(n_dimensions, n_dimensions))
    return (means[codes] + deviations) @ mixing, codes


def p_value(points, codes, r=0, seed=0, n_draws=N_DRAWS):
    test = MeansRankTest(points, codes, np.random.default_rng(seed))
    return _fisher([test.statistic(r)], [test.draws(r, n_draws)])


def test_first_statistic_is_the_trace_of_lawley_and_hotelling_where_classes_are_alike():
    points, codes = sample([400] * 4, 3, 2, strength=0.3)
    within = sum(np.cov(points[codes == k].T, bias=True) * 400 for k in range(4))
    total = np.cov(points.T, bias=True) * 1600
    expected = 1596 * np.trace(np.linalg.solve(within, total - within))
    test = MeansRankTest(points, codes, np.random.default_rng(0))
    assert test.statistic(0) == pytest.approx(expected, rel=0.04)  # weights and shrinkage


def test_statistics_do_not_depend_on_shift_scale_of_an_axis_or_names_of_classes():
    points, codes = sample([12] * 5, 4, 2)
    moved = points * np.array([1, 100, 1e-3, 7]) + 5
    ours, others = (
        MeansRankTest(x, y, np.random.default_rng(0))
        for x, y in [(points, codes), (moved, 50 - 3 * codes)]
    )
    for r in range(4):
        assert others.statistic(r) == pytest.approx(ours.statistic(r), rel=1e-6)


@pytest.mark.parametrize("n_directions", [0, 1, 2, 3])
def test_planted_directions_are_found_and_no_more(n_directions):
    points, codes = sample([15] * 6, 5, n_directions)
    for r in range(n_directions):
        assert p_value(points, codes, r) <= 0.01
    assert p_value(points, codes, n_directions) > 0.01


CASES = {
    "equal": {"sizes": [10] * 5},
    "heavy tails": {"sizes": [10] * 5, "tails": 3},
    "unequal covariances": {"sizes": [10] * 5, "scales": [1, 1, 2, 3, 4]},
    "small classes vary most": {"sizes": [24, 12, 8, 5, 4], "scales": [1, 1, 2, 3, 4]},
    "large classes vary most": {"sizes": [24, 12, 8, 5, 4], "scales": [4, 3, 2, 1, 1]},
    "pairs": {"sizes": [2] * 12},
    "many axes": {
        "sizes": [113, 84, 63, 46, 35, 26, 19, 14],
        "scales": np.geomspace(1, 4, 8),
        "n_dimensions": 60,
        "strength": 1.5,
    },
}


@pytest.mark.parametrize("n_directions", [0, 1])
@pytest.mark.parametrize("case", CASES)
def test_the_level_is_kept_whatever_the_classes_look_like(case, n_directions):
    """Of 100 data sets, 5 are expected below 0.05; F would reject most where small classes vary.

    There, with four and five samples in the classes that vary most, it is 12 (of 400 data sets).
    """
    p_values = [
        p_value(*sample(**CASES[case], n_directions=n_directions, seed=seed), n_directions, 0, 99)
        for seed in range(100)
    ]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.15


def test_the_means_that_are_drawn_have_the_spread_that_means_of_samples_have():
    """Deviations from an estimated mean are too short, by half for pairs: they are enlarged."""
    rng = np.random.default_rng(0)
    sizes = np.array([1000] + [2] * 600)
    points, codes = rng.normal(size=(2200, 1)), np.repeat(np.arange(601), sizes)
    test = MeansRankTest(points, codes, rng)
    squares = np.mean(test._shifts(rng.choice([-1.0, 1.0], (600, 2200))) ** 2, axis=0)[:, 0]
    assert np.mean(2 * squares[1:]) == pytest.approx(1000 * squares[0], rel=0.15)


@pytest.mark.parametrize("r", [0, 1, 2])
@pytest.mark.parametrize("sizes", [[10] * 4, [4] * 9, [30, 12, 5, 4, 4, 4]])
def test_the_statistic_of_a_draw_is_that_of_its_samples(sizes, r):
    """The draws take short cuts: here is one made sample by sample, weights and ridge as given."""
    points, codes = sample(sizes, 5, 3, strength=1)
    test = MeansRankTest(points, codes, np.random.default_rng(3))
    drawn = test._bootstrap(r, 599)[0]
    signs = 1.0 - 2.0 * np.random.default_rng(3).integers(2, size=(599, len(codes)))[0]
    n_within, weights = len(codes) - len(sizes), test._scatter.weights

    def means_of(values):
        return np.stack([values[codes == k].mean(axis=0) for k in range(len(sizes))])

    def eigenvalues(means, deviations):
        """And the class means cut to r directions, in the metric of W."""
        inner = deviations * np.sqrt(weights / test.sizes)[codes, None]
        within = (1 - test._scatter.share) * inner.T @ inner
        root = linalg.sqrtm(within + test._scatter._ridge * np.eye(5)).real
        centred = means - np.average(means, axis=0, weights=weights)
        weighted = np.sqrt(weights)[:, None] * centred @ np.linalg.inv(root)
        left, singular, right = np.linalg.svd(weighted, full_matrices=False)
        cut = (left[:, :r] * singular[:r]) @ right[:r] @ root
        return singular**2, cut / np.sqrt(weights)[:, None]

    means = means_of(points)
    deviations = points - means[codes]
    spread = np.sqrt((deviations**2).sum(axis=0) / n_within)
    observed, cut = eigenvalues(means / spread, deviations / spread)
    assert test.statistic(r) == pytest.approx(n_within * observed[r:].sum())
    factor = np.sqrt(test.sizes / (test.sizes - 1))[codes]
    put = (cut[codes] if r else 0) + (signs * factor)[:, None] * deviations / spread
    expected, _ = eigenvalues(means_of(put), put - means_of(put)[codes])
    assert drawn == pytest.approx(n_within * expected[r:].sum())


@pytest.mark.parametrize("sizes", [[2, 2], [3, 3], [4, 4], [2] * 4])
def test_few_samples_of_noise_prove_nothing(sizes):
    p_values = [p_value(*sample(sizes, 2, seed=seed), seed=seed) for seed in range(25)]
    assert np.sum(np.array(p_values) <= 0.01) <= 2
    if len(sizes) == 2 and sum(sizes) < 8:
        assert min(p_values) > 0.05  # there are not as many ways to deal out the labels


def test_a_pair_that_varies_much_is_left_out_where_large_classes_are():
    points, codes = sample([40, 40, 40, 2], 3, scales=[1, 1, 1, 9])
    with_pair = MeansRankTest(points, codes, np.random.default_rng(0))
    without = MeansRankTest(points[:120], codes[:120], np.random.default_rng(0))
    assert with_pair.statistic(0) == without.statistic(0)
    assert MeansRankTest(*sample([4, 2, 2, 2]), np.random.default_rng(0)).n_tests == 3


def test_axes_of_rounding_errors_are_left_out():
    points, codes = sample([10] * 5, 4, 2)
    rounding = 1e-7 * np.random.default_rng(0).normal(size=(50, 3)) * np.ptp(points)
    test = MeansRankTest(np.c_[points, rounding], codes, np.random.default_rng(0))
    alone = MeansRankTest(points, codes, np.random.default_rng(0))
    assert test.statistic(0) == alone.statistic(0)


def test_classes_weigh_by_their_size_over_their_variance():
    points, codes = sample([400, 400, 40], 6, scales=[1, 3, 3])
    test = MeansRankTest(points, codes, np.random.default_rng(0))
    weights = test._scatter.weights
    assert weights[0] / weights[1] == pytest.approx(9, rel=0.15)
    assert weights[1] / weights[2] == pytest.approx(10, rel=0.2)


def test_the_statistics_of_permutations_are_those_of_samples_put_in_another_order():
    points, codes = sample([5, 9, 12], 7, 2, strength=1)
    test = MeansRankTest(points, codes, np.random.default_rng(3))
    drawn = test._permutations(599)
    rng = np.random.default_rng(3)
    for statistic in drawn[:5]:
        shuffled = MeansRankTest(points[rng.permutation(len(points))], codes, rng)
        assert shuffled.statistic(0) == pytest.approx(statistic)


def test_pairs_of_classes_in_as_many_dimensions_as_their_means_span_suffice():
    points, codes = sample([2] * 20, 19, 19, strength=8)
    assert all(p_value(points, codes, r) <= 0.01 for r in range(8))


def test_more_dimensions_than_samples_give_numbers():
    points, codes = sample([2] * 5, 30)
    assert 0 < p_value(points, codes, 0) <= 1


def test_classes_that_are_points_are_told_apart():
    codes = np.repeat(np.arange(6), 3)
    points = np.eye(6)[codes]
    assert all(p_value(points, codes, r) <= 0.01 for r in range(5))


@pytest.mark.parametrize(
    ("points", "codes"),
    [
        (np.arange(10.0)[:, None], np.zeros(10, int)),
        (np.arange(4.0)[:, None], np.arange(4)),
        (np.ones((20, 3)), np.arange(20) % 2),
        (np.arange(4.0)[:, None], np.array([0, 0, 1, 2])),
    ],
)
def test_nothing_is_tested_where_nothing_can_be(points, codes):
    assert MeansRankTest(points, codes, np.random.default_rng(0)).n_tests == 0


def test_draws_in_pieces_are_the_draws_at_once(monkeypatch):
    points, codes = sample([10] * 4, 3, 1)
    at_once = MeansRankTest(points, codes, np.random.default_rng(0)).draws(1)[0]
    monkeypatch.setattr("tensorly_norank._rank_test._LARGEST_CHUNK", 1000)
    pieces = MeansRankTest(points, codes, np.random.default_rng(0)).draws(1)[0]
    np.testing.assert_allclose(pieces, at_once)
    assert len(pieces) == 599


def test_shrinkage_and_the_variances_of_classes_are_those_computed_by_hand():
    rng = np.random.default_rng(0)
    sizes = np.array([4, 6, 10])
    codes = np.repeat(np.arange(3), sizes)
    points = rng.normal(size=(20, 5)) * np.array([1.0, 2, 3])[codes][:, None]
    scatter = _ClassScatter(points, np.array([0, 4, 10]), sizes)
    assert scatter.share == 5 / (5 + 20 - 3)
    means = np.stack([points[codes == code].mean(axis=0) for code in range(3)])
    deviations = points - means[codes]
    deviations /= np.sqrt((deviations**2).sum(axis=0) / 17)
    own = np.array([(deviations[codes == code] ** 2).mean(axis=1).sum() for code in range(3)])
    variances = (own + 5) / (sizes - 1 + 5)
    np.testing.assert_allclose(scatter.weights, sizes / variances)
    parts = [deviations[codes == code] for code in range(3)]
    within = sum(part.T @ part / v for part, v in zip(parts, variances, strict=True))
    shrunk = (1 - scatter.share) * within + scatter.share * np.trace(within) / 5 * np.eye(5)
    np.testing.assert_allclose(scatter.root @ scatter.root.T, shrunk, rtol=1e-6)


def test_small_classes_are_left_out_if_the_others_hold_just_half_of_the_samples():
    codes = np.repeat([0, 1, 2], [4, 2, 2])
    points = np.random.default_rng(0).normal(size=(8, 3))
    assert MeansRankTest(points, codes, np.random.default_rng(0)).classes.tolist() == [0]
