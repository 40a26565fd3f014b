"""What is planted is there, and nothing else tells the classes apart."""

import numpy as np
import pytest
import tensorly as tl
from scipy import stats

from tensorly_norank.datasets import simulate_planted


def values(planted):
    return tl.to_numpy(planted.tensor).astype(float)


@pytest.mark.parametrize("shape", [(7,), (6, 5), (5, 4, 3)], ids=str)
def test_without_noise_the_tensor_is_that_of_the_factors(shape):
    planted = simulate_planted(50, shape, 2, 4, 3, noise=0, random_state=0)
    assert tuple(tl.shape(planted.tensor)) == (50, *shape)
    dense = tl.to_numpy(tl.cp_to_tensor((None, planted.factors)))
    np.testing.assert_allclose(values(planted), dense, atol=1e-5)
    for factor in planted.factors[1:]:
        np.testing.assert_allclose(np.linalg.norm(tl.to_numpy(factor), axis=0), 1, rtol=1e-6)


@pytest.mark.parametrize("kind", ["general", "simplex"])
def test_class_means_of_the_scores_differ_in_rank_directions(kind):
    planted = simulate_planted(4000, (6, 5), 3, 8, 2, spread=0.1, class_means=kind, random_state=0)
    scores = tl.to_numpy(planted.factors[0])
    means = np.stack([scores[planted.labels == k].mean(axis=0) for k in range(8)])
    np.testing.assert_allclose(means[:, :3], planted.score_means, atol=0.03)
    np.testing.assert_allclose(means[:, 3:], 0, atol=0.5)  # distractors, of standard deviation 2
    np.testing.assert_allclose(planted.score_means.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(planted.score_means.std(axis=0), 1, atol=1e-12)
    assert np.linalg.matrix_rank(planted.score_means) == planted.rank == 3


def test_vertices_of_a_simplex_lie_equally_far_apart():
    planted = simulate_planted(40, rank=4, n_classes=5, class_means="simplex", random_state=0)
    means = planted.score_means
    distances = np.linalg.norm(means[:, None] - means, axis=2)[np.triu_indices(5, 1)]
    np.testing.assert_allclose(distances, distances[0])


def test_distractors_have_their_scale_and_do_not_depend_on_the_class():
    planted = simulate_planted(4000, (6, 5), 1, 4, 2, distractor_scale=5, random_state=0)
    scores = tl.to_numpy(planted.factors[0])[:, 1:]
    np.testing.assert_allclose(scores.std(axis=0), 5, rtol=0.05)
    means = np.stack([scores[planted.labels == k].mean(axis=0) for k in range(4)])
    assert np.abs(means).max() < 4 * 5 / np.sqrt(1000)


@pytest.mark.parametrize("kind", ["gaussian", "heavy_tailed", "unequal"])
def test_noise_has_the_norm_that_was_asked_for(kind):
    planted = simulate_planted(
        4000, (6, 5), 2, n_distractors=0, noise=1.5, noise_kind=kind, random_state=0
    )
    signal = tl.to_numpy(tl.cp_to_tensor((None, planted.factors)))
    ratio = np.linalg.norm(values(planted) - signal) / np.linalg.norm(signal)
    assert ratio == pytest.approx(1.5, rel=0.15)  # patterns are not quite orthogonal


@pytest.mark.parametrize("kind", ["gaussian", "heavy_tailed", "unequal"])
def test_noise_counts_what_varies_within_classes_among_the_informative(kind):
    planted = simulate_planted(
        4000, (6, 5), 2, n_distractors=0, noise=1.5, noise_kind=kind, spread=1.0, random_state=0
    )
    noise = values(planted) - tl.to_numpy(tl.cp_to_tensor((None, planted.factors)))
    # Of an entry: two components, of variance 1 between classes and 1 within, over 30 entries.
    assert noise.std() == pytest.approx(1.5 * np.sqrt(2 * (1 + 1) / 30), rel=0.05)


def test_heavy_tails_are_heavy_and_unequal_classes_unequal():
    heavy = simulate_planted(
        2000, (6, 5), noise_kind="heavy_tailed", n_distractors=0, random_state=0
    )
    noise = values(heavy) - tl.to_numpy(tl.cp_to_tensor((None, heavy.factors)))
    z = (noise / noise.std()).ravel()
    assert np.mean(z**4) > 6  # 3 for a normal distribution
    unequal = simulate_planted(2000, (6, 5), noise_kind="unequal", n_distractors=0, random_state=0)
    noise = values(unequal) - tl.to_numpy(tl.cp_to_tensor((None, unequal.factors)))
    spreads = np.array([noise[unequal.labels == k].std() for k in range(8)])
    np.testing.assert_allclose(spreads / spreads[0], 4 ** (np.arange(8) / 7), rtol=0.05)


@pytest.mark.parametrize("imbalance", [1.0, 4.0])
def test_class_sizes_fall_from_the_largest_to_the_smallest(imbalance):
    sizes = np.bincount(simulate_planted(1000, imbalance=imbalance, random_state=0).labels)
    assert sizes.sum() == 1000
    assert sizes[0] / sizes[-1] == pytest.approx(imbalance, rel=0.1)
    assert np.all(np.diff(sizes) <= 1)


def test_samples_come_in_random_order():
    labels = simulate_planted(1000, random_state=0).labels
    assert np.bincount(labels[:500], minlength=8).min() > 40  # of 125 in each class


def test_no_class_is_smaller_than_two():
    sizes = np.bincount(simulate_planted(40, n_classes=20, rank=1, random_state=0).labels)
    assert sizes.tolist() == [2] * 20
    sizes = np.bincount(
        simulate_planted(60, n_classes=20, rank=1, imbalance=1e6, random_state=0).labels
    )
    assert sizes.min() == 2


def test_correlated_factors_have_the_cosine_that_was_asked_for():
    planted = simulate_planted(8, (4000, 3000), 2, 3, factor_correlation=0.6, random_state=0)
    for factor in planted.factors[1:]:
        cosines = tl.to_numpy(factor).T @ tl.to_numpy(factor)
        np.testing.assert_allclose(cosines[np.triu_indices(6, 1)], 0.6, atol=0.08)


def test_same_seed_same_tensor_and_numpys_state_is_left_alone():
    before = np.random.get_state()[1].copy()
    one, two, other = (simulate_planted(30, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(values(one), values(two))
    assert not np.array_equal(values(one), values(other))
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_the_bunch_is_complete():
    planted = simulate_planted(30, np.array([4, 3]), random_state=0)
    assert tl.is_tensor(planted.tensor)
    assert all(tl.is_tensor(factor) for factor in planted.factors)
    assert [len(ticks) for ticks in planted.ticks] == [30, 4, 3]
    assert len(planted.dims) == 3
    assert len(planted.class_names) == 8
    assert "30 samples of shape (4, 3)" in planted.DESCR


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_samples": 3}, "n_samples must be at least 4"),
        ({"n_samples": 15}, "n_classes must be at most 7, half of n_samples"),
        ({"sample_shape": 5}, "sample_shape must be a sequence of 1 to 16 integers"),
        ({"sample_shape": (5, 0)}, r"sample_shape\[1\] must be at least 1"),
        ({"rank": 8}, "rank must be less than n_classes=8"),
        ({"rank": 5, "sample_shape": (2, 2)}, "rank must be at most 4, the number of entries"),
        ({"sample_shape": (1,) * 17}, "sample_shape must be a sequence of 1 to 16 integers"),
        ({"n_distractors": -1}, "n_distractors must be at least 0"),
        ({"noise": -1}, "noise must be at least 0"),
        ({"noise_kind": "white"}, "noise_kind must be one of"),
        ({"class_means": "line"}, "class_means must be one of"),
        ({"factor_correlation": 1}, "factor_correlation must be at least 0 and less than 1"),
        ({"imbalance": 0.5}, "imbalance must be at least 1"),
        ({"spread": "wide"}, "spread must be a number"),
        ({"random_state": "seed"}, "random_state must be"),
    ],
)
def test_bad_arguments_are_named(change, message):
    with pytest.raises((TypeError, ValueError), match=message):
        simulate_planted(**change)


def test_scores_too_vary_within_classes_in_the_way_that_was_asked_for():
    sizes = {"n_samples": 8000, "sample_shape": (6, 5), "rank": 1, "n_distractors": 1}
    unequal, heavy = (
        simulate_planted(**sizes, noise_kind=kind, random_state=0)
        for kind in ("unequal", "heavy_tailed")
    )
    for score in tl.to_numpy(unequal.factors[0]).T:
        spreads = np.array([score[unequal.labels == k].std() for k in range(8)])
        np.testing.assert_allclose(spreads / spreads[0], 4 ** (np.arange(8) / 7), rtol=0.15)
    for score in tl.to_numpy(heavy.factors[0]).T:
        tails = [stats.kurtosis(score[heavy.labels == k], fisher=False) for k in range(8)]
        assert np.mean(tails) > 6  # 3 for a normal distribution
