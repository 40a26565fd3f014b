"""What surrounds an encoder: the mean over moved copies."""

import dataclasses

import numpy as np
import pytest
import tensorly as tl
import torch

from tensorly_norank import no_rank_decomposition
from tensorly_norank._embedder import Augmentation, Embedder, centred_and_scaled
from tensorly_norank.encoders import make_encoder


def _embedder(shape=(20, 34), name="conv", **options):
    samples = torch.randn(12, *shape, generator=torch.Generator().manual_seed(0)).double()
    encoder = make_encoder(name, shape, 5)
    embedder = Embedder(encoder, samples, **options)
    encoder.initialize(embedder.standardise(samples), torch.Generator().manual_seed(1))
    return embedder, samples


def _moved(samples, steps):
    """Copies of (n, rows, columns), moved by so many rows and columns, their edges repeated."""
    (up, left), (n_rows, n_columns) = steps, samples.shape[1:]
    wide = np.pad(samples, ((0, 0), (9, 9), (9, 9)), mode="edge")
    return wide[:, 9 + up : 9 + up + n_rows, 9 + left : 9 + left + n_columns]


def test_a_sample_is_embedded_as_the_mean_over_its_moved_copies():
    embedder, samples = _embedder()
    (first, rows), (second, columns) = embedder.moves
    assert (first, second) == (0, 1) and rows > 0 and columns > 0
    steps = [(0, 0), (-rows, 0), (rows, 0), (0, -columns), (0, columns)]
    copies = [torch.from_numpy(_moved(samples.numpy(), step)) for step in steps]
    points = [embedder.embed(copy, moved=False) for copy in copies]
    torch.testing.assert_close(embedder.embed(samples), torch.stack(points).mean(dim=0))
    torch.testing.assert_close(points[0], embedder.eval().encode(embedder.standardise(samples)))
    assert (embedder.embed(samples).norm(dim=1) < 1).all()


def test_samples_are_moved_in_training_by_their_own_steps_with_their_edges_repeated():
    samples = torch.arange(4 * 20 * 34).reshape(4, 20, 34).double()
    mean = samples.mean(dim=0)
    vary = Augmentation(noise=0, transfer=0, shift=0.1, shifted_modes=(0, 1), mean=mean)
    standardised, generator = samples - mean, torch.Generator().manual_seed(0)
    varied = (vary(standardised, torch.zeros_like(samples), generator) + mean).numpy()
    found = []
    for sample, one in zip(samples.numpy()[:, None], varied, strict=True):
        every = [(up, left) for up in range(-2, 3) for left in range(-3, 4)]
        found += [step for step in every if (_moved(sample, step)[0] == one).all()]
    assert len(found) == 4 and len(set(found)) > 1


def test_the_mean_sample_moves_with_those_that_are_fitted():
    embedder, samples = _embedder()
    vary = dataclasses.replace(embedder.augmentation, noise=0.0, transfer=0.0)
    standardised = embedder.scaled(samples)
    generator = torch.Generator().manual_seed(0)
    varied = vary(standardised, torch.zeros_like(samples), generator)
    raw = (varied * embedder.scale + embedder.mean).numpy()
    every = [(up, left) for up in range(-1, 2) for left in range(-2, 3)]
    for sample, one in zip(samples.numpy()[:, None], raw, strict=True):
        assert any(np.allclose(_moved(sample, step)[0], one) for step in every)


def test_a_snapshot_stays_as_it_is_and_borrows_no_generator():
    embedder, samples = _embedder(name="mlp")
    embedder.encoder.draw_from(torch.Generator())
    twin, points = embedder.snapshot(), embedder.embed(samples)
    assert not any(isinstance(getattr(m, "generator", 0), torch.Generator) for m in twin.modules())
    with torch.no_grad():
        for parameter in embedder.parameters():
            parameter.mul_(2)
    torch.testing.assert_close(twin.embed(samples), points)


def test_training_does_not_vary_the_samples_of_a_module_of_ones_own():
    samples = torch.randn(12, 20, 34, generator=torch.Generator().manual_seed(0))
    embedder = Embedder(torch.nn.Flatten(), samples)
    varied = embedder.augmentation(samples, samples.flip(0), torch.Generator().manual_seed(0))
    torch.testing.assert_close(varied, samples)


@pytest.mark.parametrize("shape", [(64,), (64, 64), (62, 47), (40, 50, 60), (16, 16, 16)])
def test_copies_spread_as_far_as_the_moves_of_training(shape):
    augmentation = Augmentation(noise=0, shift=0.06, shifted_modes=tuple(range(len(shape))))
    moves = augmentation.moves(shape)
    assert [mode for mode, _ in moves] == list(range(len(shape)))
    for mode, step in moves:
        most = max(1, int(0.06 * shape[mode]))
        in_training = np.mean(np.arange(-most, most + 1) ** 2)
        of_copies = [2 * s**2 / (1 + 2 * len(shape)) for s in (step - 0.5, step + 0.5)]
        assert of_copies[0] <= in_training
        assert in_training <= of_copies[1] or step == most  # no farther than in training
        assert step <= most


@pytest.mark.parametrize(
    "embedder",
    [
        _embedder(name="mlp")[0],
        _embedder(keeps_distances=True)[0],
        Embedder(torch.nn.Flatten(), torch.randn(3, 20, 34)),
    ],
    ids=["no convolution", "distances", "a module"],
)
def test_nothing_else_is_moved(embedder):
    samples = torch.randn(3, *embedder.mean.shape).to(embedder.mean)
    assert embedder.moves == ()
    torch.testing.assert_close(
        embedder.embed(samples), embedder.eval().encode(embedder.standardise(samples))
    )


def test_short_modes_are_moved_by_one_place_and_by_none_where_nothing_is_moved():
    assert _embedder((16, 8))[0].moves == ((0, 1), (1, 1))
    assert _embedder((16, 8), fewest_places=0)[0].moves == ()
    assert _embedder((16, 34), fewest_places=0)[0].moves == ((1, 2),)
    assert Augmentation(noise=0, shift=0, shifted_modes=(0, 1)).moves((16, 64)) == ()


def _of_bands(n_samples=30, units=(1.0, 1000.0, 1e-3)):
    """Samples (n, 3, 8, 8) whose bands come in units of their own."""
    bands = torch.randn(n_samples, 3, 8, 8, generator=torch.Generator().manual_seed(2)).double()
    return (bands + 5) * torch.tensor(units).double().view(3, 1, 1)


def test_each_channel_is_standardised_by_itself():
    samples = _of_bands()
    scaled = Embedder(make_encoder("conv", (3, 8, 8), 4), samples).scaled(samples).numpy()
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose((scaled**2).mean(axis=(0, 2, 3)), 1)


@pytest.mark.parametrize(
    ("name", "options"), [("mlp", {}), ("linear", {}), ("conv", {"keeps_distances": True})]
)
def test_contrasts_stay_where_there_are_no_channels_or_distances_are_kept(name, options):
    samples = _of_bands()
    embedder = Embedder(make_encoder(name, (3, 8, 8), 4), samples, **options)
    assert embedder.scale.shape == ()
    own = samples - samples.mean(dim=0)
    torch.testing.assert_close(embedder.scaled(samples), own / own.square().mean().sqrt())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_that_are_all_alike_are_zero_and_not_noise(dtype):
    """Their mean is no more than nearly each of them."""
    one = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 6, 5))).to(dtype)
    alike = one.repeat(30, 1, 1)
    assert (alike - alike.mean(dim=0)).abs().max() > 0
    assert torch.equal(centred_and_scaled(alike), torch.zeros_like(alike))
    nearly = alike.clone()
    nearly[0, 0, 0] += 1e-4
    assert centred_and_scaled(nearly).square().mean() == pytest.approx(1, rel=1e-3)


def test_a_large_entry_that_is_the_same_everywhere_hides_nothing():
    samples = torch.from_numpy(np.random.default_rng(0).normal(size=(30, 6, 5)))
    samples[:, 0, 0] = 1e20
    assert centred_and_scaled(samples).square().mean() == pytest.approx(1)


@pytest.mark.parametrize("constant", [0.0, 7.0, 0.1])
def test_a_channel_that_does_not_vary_is_not_blown_up(constant):
    samples = _of_bands().float()
    samples[:, 1] = constant
    embedder = Embedder(make_encoder("conv", (3, 8, 8), 4), samples)
    of_all = (samples - samples.mean(dim=0)).square().mean().sqrt()
    torch.testing.assert_close(embedder.scale[1], of_all.expand(1, 1))
    assert embedder.scaled(samples)[:, 1].abs().max() < 1e-5
    assert embedder.scaled(samples)[:, 0].square().mean().sqrt() == pytest.approx(1, rel=1e-4)


@pytest.mark.filterwarnings("ignore:The error still fell")
def test_units_of_channels_do_not_matter_to_convolutions():
    labels = np.arange(30) % 3
    options = dict(encoder="conv", rank=2, validation_fraction=0, n_iter_max=2, random_state=0)
    embeddings = [
        no_rank_decomposition(tl.tensor(_of_bands(units=units).numpy()), labels, **options)
        for units in [(1.0, 1.0, 1.0), (1.0, 1024.0, 2.0**-10)]  # powers of two round nothing
    ]
    first, second = (tl.to_numpy(result.embedding) for result in embeddings)
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_rows_do_not_depend_on_their_company():
    embedder, samples = _embedder()
    torch.testing.assert_close(
        embedder.embed(samples)[3:5], embedder.embed(samples[3:5]), rtol=0, atol=1e-12
    )


def test_the_embedding_is_the_mean_and_transform_gives_it_again():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 10)
    values = rng.normal(size=(3, 20, 20))[labels] + rng.normal(size=(30, 20, 20))
    result = no_rank_decomposition(
        tl.tensor(values), labels, encoder="conv", n_iter_max=2, tol=0, rank=2, random_state=0
    )
    assert result._embedder.moves == ((0, 1), (1, 1))
    again = result.transform(tl.tensor(values))
    np.testing.assert_allclose(tl.to_numpy(again), tl.to_numpy(result.embedding), atol=1e-12)
    points = result._embedder.embed(torch.from_numpy(values))
    np.testing.assert_allclose(
        result._axes.project(points, 2).numpy(), tl.to_numpy(result.embedding), atol=1e-12
    )


def test_a_single_output_is_bent_into_the_unit_interval():
    samples = torch.randn(30, 7, generator=torch.Generator().manual_seed(0)).double()
    torch.manual_seed(0)
    embedder = Embedder(torch.nn.Linear(7, 1).double(), samples)
    given = embedder.standardise(samples)
    points = embedder.encoder(given)
    torch.testing.assert_close(embedder.encode(given), points / (1 + points**2).sqrt())
    assert embedder.encode(100 * given).abs().max() < 1


@pytest.mark.parametrize("name", ["linear", "multilinear", "mlp", "conv"])
def test_samples_of_built_in_encoders_are_varied_by_their_noise_and_half_a_difference(name):
    samples = torch.randn(30, 20, 34, generator=torch.Generator().manual_seed(0)).double()
    encoder = make_encoder(name, (20, 34), 4)
    own = Embedder(encoder, samples).augmentation
    assert own.noise == encoder.noise > 0
    assert own.transfer == 0.5
    assert Embedder(encoder, samples, keeps_distances=True).augmentation.noise == 0
