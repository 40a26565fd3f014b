"""The linear map that comes nearest to an embedding."""

import numpy as np
import torch
from sklearn.linear_model import LinearRegression

from tensorly_norank import _linear_part
from tensorly_norank._linear_part import LinearPart, PrincipalComponents


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
    monkeypatch.setattr(_linear_part, "MOST_SAMPLES", 50)
    samples, codes = _samples(n=300)
    points = samples.flatten(1)[:, :2]
    torch.testing.assert_close(_part(samples, points, codes)(samples), points, atol=1e-2, rtol=1e-2)
