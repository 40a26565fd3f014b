"""Layers that keep noise small and leave global states alone."""

import pytest
import torch

from tensorly_norank._layers import Dropout, Whitening, principal_axes, random_rows


def _samples(*shape, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=dtype)


def test_whitening_makes_strong_axes_one_long_and_keeps_noise_small():
    samples = _samples(500, 6, dtype=torch.float64) * torch.tensor([30.0, 20, 10, 1e-3, 1e-3, 1e-3])
    whitening = Whitening(6, 6).double()
    whitening.initialize(samples, None)
    spread = whitening(samples).square().mean(0).sqrt()
    assert spread[:2].min() > 0.7
    assert spread[3:].max() < 1e-3
    products = whitening(samples).T @ whitening(samples)
    assert (products - products.diag().diag()).abs().max() < 1e-8


@pytest.mark.parametrize("seed", range(8))
def test_whitening_of_fewer_samples_than_axes_stays_within_bounds(seed):
    samples = _samples(12, 40, seed=seed)
    samples = samples - samples.mean(0)  # so that one direction among the samples is empty
    whitening = Whitening(40, 20)
    whitening.initialize(samples, None)
    assert not whitening.axes[12:].any()
    assert whitening.axes.norm(dim=1).max() < 1.01
    assert whitening(_samples(5, 40, seed=99)).abs().max() < 100


def test_whitening_of_constant_data_is_finite():
    whitening = Whitening(5, 5)
    whitening.initialize(torch.zeros(10, 5), None)
    assert torch.isfinite(whitening(torch.zeros(3, 5))).all()


def test_dropout_draws_from_its_generator_and_not_from_the_global_one():
    layer = Dropout(0.5).train()
    ones = torch.ones(4, 1000)
    before = torch.get_rng_state()
    layer.generator = torch.Generator().manual_seed(1)
    first, second = layer(ones), layer(ones)
    layer.generator = torch.Generator().manual_seed(1)
    assert torch.equal(layer(ones), first)
    assert not torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)
    assert set(first.unique().tolist()) == {0.0, 2.0}
    assert first.mean().item() == pytest.approx(1, abs=0.1)
    assert torch.equal(layer.eval()(ones), ones)


def test_random_rows_are_distinct_and_all_where_they_are_few():
    rows = torch.arange(50.0)[:, None]
    chosen = random_rows(rows, 20, torch.Generator().manual_seed(0))
    assert len(chosen.unique()) == len(chosen) == 20
    assert random_rows(rows, 50, None) is rows


@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_principal_axes_equal_a_singular_value_decomposition(shape):
    matrix = _samples(*shape, dtype=torch.float64)
    axes, variances = principal_axes(matrix, 3)
    _, singular, right = torch.linalg.svd(matrix)
    torch.testing.assert_close(variances, singular[:3] ** 2 / shape[0])
    torch.testing.assert_close((axes @ right[:3].T).abs(), torch.eye(3, dtype=torch.float64))
