"""The linear map that comes nearest to an embedding."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression

from tensorly_norank import _linear_part
from tensorly_norank._linear_part import LinearPart, PrincipalComponents, principal_scores
from tensorly_norank._rank_search import LabelledPoints, SequentialTest


def _samples(n=200, shape=(4, 3), seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(n, *shape))), np.arange(n) % 5


def _part(samples, points, codes):
    return LinearPart(samples, points, codes, np.random.default_rng(0))


def test_of_a_linear_embedding_it_is_the_embedding():
    samples, codes = _samples()
    points = samples.flatten(1) @ torch.randn(12, 6, dtype=torch.float64) + 3
    new, _ = _samples(seed=1)
    expected = new.flatten(1) @ torch.linalg.lstsq(samples.flatten(1), points - 3).solution + 3
    torch.testing.assert_close(_part(samples, points, codes)(new), expected, atol=1e-3, rtol=1e-3)


def test_of_any_embedding_it_is_close_to_the_regression():
    samples, codes = _samples(n=2000)
    points = torch.tanh(samples.flatten(1) @ torch.randn(12, 6, dtype=torch.float64))
    rows = samples.flatten(1).numpy()
    expected = LinearRegression().fit(rows, points.numpy()).predict(rows)
    ours = _part(samples, points, codes)(samples).numpy()
    assert np.abs(ours - expected).max() < 0.05 * np.abs(expected).max()


def test_it_is_affine():
    samples, codes = _samples()
    part = _part(samples, samples.flatten(1).square()[:, :3], codes)
    one, two = samples[:5], samples[5:10]
    torch.testing.assert_close(part((one + two) / 2), (part(one) + part(two)) / 2)


def test_what_does_not_depend_on_the_samples_is_shrunk():
    samples, codes = _samples(n=40, shape=(8, 8))
    points = torch.randn(40, 4, dtype=torch.float64)
    new, _ = _samples(n=500, shape=(8, 8), seed=1)
    assert _part(samples, points, codes)(new).var() < 0.3 * points.var()


def test_constant_samples_have_a_linear_part_and_principal_components_of_zeros():
    samples = torch.ones(10, 3)
    part = _part(samples, torch.randn(10, 4), np.arange(10) % 2)
    torch.testing.assert_close(part(torch.ones(7, 3)), torch.zeros(7, 4, dtype=torch.float64))
    scores = PrincipalComponents(samples, np.random.default_rng(0))(samples)
    np.testing.assert_array_equal(scores, np.zeros((10, 3)))


def test_principal_components_are_those_of_the_samples_centred():
    samples, _ = _samples(n=60)
    components = PrincipalComponents(samples, np.random.default_rng(0))
    rows = samples.flatten(1).numpy()
    expected = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
    scores = components(samples)
    assert scores.shape == (60, components.n_axes) == (60, 12)
    np.testing.assert_allclose(np.linalg.norm(scores, axis=0), expected, rtol=1e-6)
    np.testing.assert_allclose(components(samples.mean(dim=0, keepdim=True)), 0, atol=1e-12)


def test_there_are_at_most_half_as_many_principal_components_as_samples():
    samples, _ = _samples(n=9, shape=(8, 8))
    assert PrincipalComponents(samples, np.random.default_rng(0)).n_axes == 4


def test_one_dimension_stays_a_column():
    samples, codes = _samples()
    assert _part(samples, samples.flatten(1)[:, :1], codes)(samples).shape == (200, 1)


def test_many_samples_are_drawn_from(monkeypatch):
    monkeypatch.setattr(_linear_part, "_MOST_SAMPLES", 50)
    samples, codes = _samples(n=300)
    points = samples.flatten(1)[:, :2]
    torch.testing.assert_close(_part(samples, points, codes)(samples), points, atol=1e-2, rtol=1e-2)


def _scores(samples, codes, shares=(4, 8)):
    return principal_scores(samples, codes, shares, np.random.default_rng(0))


def test_a_quarter_and_an_eighth_as_many_axes_as_samples():
    def n_axes(n_samples, n_entries):
        looks = _scores(*_samples(n_samples, (n_entries,)))
        return [[scores.shape[1] for scores, _ in halves] for halves in looks]

    assert n_axes(100, 50) == [[12, 12], [25, 25]]
    assert n_axes(100, 15) == [[12, 12], [15, 15]]
    assert n_axes(100, 4) == [[4, 4]]
    assert n_axes(20, 3) == [[2, 2], [3, 3]]
    assert n_axes(7, 3) == [[1]]  # two classes of two, tested whole


def test_each_half_is_scored_on_the_components_of_the_other():
    samples, codes = _samples(60)
    samples = torch.cat([samples.flatten(1), torch.arange(60.0)[:, None].double() * 1e-9], dim=1)
    ((one, _), (two, _)), *_ = _scores(samples, codes, [1])
    rows = samples.numpy() - samples.numpy().mean(axis=0)

    def rows_of(scores):
        """All axes are kept: lengths tell which sample is which."""
        lengths = np.linalg.norm(rows, axis=1)
        return [np.abs(lengths - length).argmin() for length in np.linalg.norm(scores, axis=1)]

    first, second = rows_of(one), rows_of(two)
    assert sorted(first + second) == list(range(60))
    for half, other, scores in ((first, second, one), (second, first, two)):
        axes = np.linalg.svd(rows[other] - rows[other].mean(axis=0), full_matrices=False)[2]
        np.testing.assert_allclose(np.abs(scores), np.abs(rows[half] @ axes.T), atol=1e-6)


def test_halves_keep_small_classes_and_share_larger_ones():
    codes = np.repeat(np.arange(12), [2] * 5 + [7] * 5 + [8, 9])
    samples, _ = _samples(len(codes))
    both = np.zeros(12, dtype=int)
    for _, half in _scores(samples, codes)[0]:
        sizes = np.bincount(half, minlength=12)
        assert set(sizes[:10]) == {0, 2, 7}
        assert 2 <= np.count_nonzero(sizes[:5]) <= 3
        assert sizes[10] == 4
        assert sizes[11] in (4, 5)
        both += sizes
    assert both.tolist() == np.bincount(codes).tolist()


def test_small_classes_of_alternating_names_are_told_apart_as_well_as_others():
    """As where each subject's "post" and "pre" is a class, and names begin with the subject."""
    is_post = np.arange(10) % 2
    samples = np.random.default_rng(0).normal(size=(10, 5, 60))
    samples[..., 0] += 8 * is_post[:, None]
    samples = torch.from_numpy(samples.reshape(50, 60) - samples.mean(axis=(0, 1)))

    def p_value(codes):
        rng = np.random.default_rng(0)
        looks = [
            [LabelledPoints(*half) for half in halves]
            for halves in principal_scores(samples, codes, (4, 8, 16), rng)
        ]
        return SequentialTest(looks, rng).p_value[0]

    in_turn = np.repeat(np.arange(10), 5)
    in_blocks = np.repeat(np.argsort(np.argsort(is_post, kind="stable")), 5)
    assert p_value(in_blocks) < 0.01
    assert p_value(in_turn) < 0.01


@pytest.mark.parametrize(
    "sizes", [(6, 6), (7, 7), (7, 7, 1), (7, 7, 3), (7, 7, 3, 3), (7, 7, 7)], ids=str
)
@pytest.mark.parametrize("noise", [1, 3])  # of the second class
def test_few_small_classes_are_told_apart_where_they_differ_and_only_there(sizes, noise):
    codes = np.repeat(np.arange(len(sizes)), sizes)
    found = {0.0: [], 4.0: []}
    for distance, counts in found.items():
        for seed in range(12):
            rng = np.random.default_rng(seed)
            samples = rng.normal(size=(len(codes), 40)) * np.where(codes == 1, noise, 1)[:, None]
            samples[codes == 1, :8] += distance * noise
            samples = torch.from_numpy(samples - samples.mean(axis=0))
            looks = principal_scores(samples, codes, (4, 8, 16), rng)
            looks = [[LabelledPoints(*part) for part in parts] for parts in looks]
            counts.append(SequentialTest(looks, rng).count)
    assert sum(found[0.0]) <= 1
    assert sum(found[4.0]) >= 11


def test_samples_of_no_class_have_no_part_in_the_linear_part():
    samples, codes = _samples(200)
    points = samples.flatten(1)[:, :2].clone()
    known = codes.copy()
    known[::3] = -1
    other = points.clone()
    other[::3] = 99.0
    first, second = (_part(samples, one, known)(samples) for one in (points, other))
    torch.testing.assert_close(first, second)


def test_of_more_entries_than_samples_distances_are_kept():
    samples, _ = _samples(20, (30,))
    points = _linear_part._without_empty_dimensions(samples.flatten(1).numpy())
    assert points.shape == (20, 20)
    centred = samples.numpy() - samples.numpy().mean(axis=0)
    np.testing.assert_allclose(points @ points.T, centred @ centred.T, atol=1e-10)


def test_of_many_samples_some_are_scored(monkeypatch):
    monkeypatch.setattr(_linear_part, "_MOST_SCORED", 50)
    assert sum(len(half) for _, half in _scores(*_samples(300))[0]) == 50


def test_beside_many_unlabelled_samples_the_labelled_ones_are_scored_on_components_of_those():
    samples, codes = _samples(100, (6,))
    codes[40:] = -1
    ((scores, own),) = _scores(samples, codes, [4])[0]
    rows = samples.flatten(1).numpy()
    others = rows[40:] - rows[40:].mean(axis=0)
    axes = np.linalg.svd(others, full_matrices=False)[2][: scores.shape[1]]
    expected = (rows[:40] - rows[40:].mean(axis=0)) @ axes.T
    order = np.lexsort(np.abs(scores).T.round(6)), np.lexsort(np.abs(expected).T.round(6))
    np.testing.assert_allclose(np.abs(scores[order[0]]), np.abs(expected[order[1]]), atol=1e-6)
    assert sorted(own) == sorted(codes[:40])
    assert scores.shape == (40, 6)


def test_few_unlabelled_samples_are_left_out():
    samples, codes = _samples(100, (6,))
    codes[60:] = -1
    halves = _scores(samples, codes, [4])[0]
    assert len(halves) == 2
    assert sorted(np.concatenate([own for _, own in halves])) == sorted(codes[:60])


@pytest.mark.parametrize("unit", [1e-3, 1e3])
def test_the_unit_of_the_samples_does_not_change_how_much_is_shrunk(unit):
    samples, codes = _samples(n=40, shape=(8, 8))
    points = torch.from_numpy(np.random.default_rng(1).normal(size=(40, 4)))
    new, _ = _samples(shape=(8, 8), seed=2)
    expected = _part(samples, points, codes)(new)
    torch.testing.assert_close(_part(unit * samples, points, codes)(unit * new), expected)


def test_of_small_classes_of_like_sizes_each_half_gets_as_many_whatever_the_seed():
    codes = np.repeat(np.arange(18), [2] * 8 + [7] * 8 + [20, 20])
    for seed in range(10):
        is_first = _linear_part._first_half(codes, np.random.default_rng(seed))
        sizes = np.bincount(codes[is_first], minlength=18)
        assert np.count_nonzero(sizes[:8]) == np.count_nonzero(sizes[8:16]) == 4
        assert set(sizes[:8]) == {0, 2} and set(sizes[8:16]) == {0, 7}
        assert sizes[16:].tolist() == [10, 10]
