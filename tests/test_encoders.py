"""What every encoder keeps to, and what each of them computes."""

import json
from functools import partial
from math import prod

import numpy as np
import pytest
import torch
from torch import nn

from tensorly_norank import _layers, encoders
from tensorly_norank.encoders import ConvEncoder, LinearEncoder, MLPEncoder, MultilinearEncoder

KINDS = [LinearEncoder, MultilinearEncoder, MLPEncoder, ConvEncoder]
SHAPES = [(9,), (8, 5), (4, 5, 6), (4, 2, 5, 4)]


def _samples(*shape, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=dtype)


def _built(kind, shape, seed=0, n_samples=30):
    encoder = kind(shape, 3)
    encoder.initialize(_samples(n_samples, *shape), torch.Generator().manual_seed(seed))
    return encoder


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_every_order_become_finite_distinct_points(kind, shape):
    points = _built(kind, shape).eval()(_samples(7, *shape, seed=1))
    assert points.shape == (7, 3)
    assert torch.isfinite(points).all()
    assert torch.pdist(points).min() > 1e-3


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_point_does_not_depend_on_its_company(kind, shape):
    encoder = _built(kind, shape).double().eval()
    samples = _samples(7, *shape, dtype=torch.float64)
    alone = torch.cat([encoder(samples[k : k + 1]) for k in range(7)])
    torch.testing.assert_close(encoder(samples), alone, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_starting_values_come_from_the_generator_alone(kind):
    before = torch.get_rng_state()
    first, again, other = (_built(kind, (8, 5), seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    for one, two in zip(first.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, two)
    samples = _samples(4, 8, 5)
    assert not torch.allclose(first.eval()(samples), other.eval()(samples))


@pytest.mark.parametrize("kind", [MLPEncoder, ConvEncoder])
def test_training_begins_near_a_linear_map(kind):
    encoder = _built(kind, (8, 5)).eval()
    one, other = _samples(7, 8, 5, seed=1), _samples(7, 8, 5, seed=2)
    bent = encoder(one + other) - encoder(one) - encoder(other) + encoder(0 * one)
    assert 0 < bent.norm() < 0.2 * encoder(one + other).norm()


@pytest.mark.parametrize("kind", KINDS)
def test_training_reaches_every_parameter(kind):
    encoder = _built(kind, (8, 5))
    encoder.draw_from(torch.Generator().manual_seed(0))
    encoder(_samples(30, 8, 5)).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


@pytest.mark.parametrize("kind", KINDS)
def test_stored_parameters_make_the_same_encoder_again(kind):
    trained, empty = _built(kind, (8, 5)).eval(), kind((8, 5), 3).eval()
    empty.load_state_dict(trained.state_dict())
    samples = _samples(6, 8, 5)
    assert torch.equal(trained(samples), empty(samples))


@pytest.mark.parametrize("kind", [LinearEncoder, MultilinearEncoder])
def test_linear_encoders_are_linear(kind):
    encoder = _built(kind, (4, 5, 6)).double()
    one, two = _samples(2, 3, 4, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(encoder(2 * one - two), 2 * encoder(one) - encoder(two))


def test_multilinear_encoder_multiplies_each_mode_by_its_matrix():
    encoder = MultilinearEncoder((4, 5, 6), 3, mode_rank=2)
    samples = _samples(30, 4, 5, 6)
    encoder.initialize(samples, torch.Generator().manual_seed(0))
    expected = torch.einsum("nijk,ia,jb,kc->nabc", samples, *encoder.mode_matrices)
    torch.testing.assert_close(encoder._compress(samples), expected)
    for matrix in encoder.mode_matrices:
        torch.testing.assert_close(matrix.T @ matrix, torch.eye(2))


@pytest.mark.parametrize(
    ("shape", "modes"),
    [
        ((3, 9, 4, 7, 5), (1, 3, 4)),
        ((62, 47), (0, 1)),
        ((5, 5, 200), (0, 1)),
        ((200, 5, 5), (1, 2)),
        ((64, 64, 3), (0, 1)),
        ((20, 24, 28), (0, 1, 2)),
        ((8, 500), (1,)),
        ((9,), (0,)),
    ],
    ids=str,
)
def test_modes_of_like_lengths_are_convolved_and_the_others_are_channels(shape, modes):
    encoder = ConvEncoder(shape, 2)
    assert encoder.convolved_modes == encoder.shifted_modes == modes
    channels = prod(n for mode, n in enumerate(shape) if mode not in modes)
    assert encoder.blocks[0].in_channels == channels
    assert MLPEncoder((9, 9), 2).shifted_modes == ()


def test_the_modes_to_convolve_can_be_named():
    encoder = _built(partial(ConvEncoder, convolved_modes=(2, 0)), (5, 6, 20))
    assert encoder.convolved_modes == (0, 2)
    assert "convolved_modes=(0, 2)" in repr(encoder)
    assert encoder.eval()(_samples(3, 5, 6, 20)).shape == (3, 3)


@pytest.mark.parametrize(
    "modes", [(), (0, 0), (0, 4), (-1,), (0, 1, 2, 3), 1, "ab", (0.0,), (True,)]
)
def test_modes_that_cannot_be_convolved_are_refused(modes):
    with pytest.raises((ValueError, TypeError), match="convolved_modes must be"):
        ConvEncoder((5, 6, 20, 7), 2, convolved_modes=modes)


def test_convolution_does_not_mix_up_modes():
    encoder = ConvEncoder((2, 9, 3, 8), 2)
    encoder.initialize(_samples(5, 2, 9, 3, 8), torch.Generator().manual_seed(0))
    seen = []
    encoder.blocks[0].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    samples = _samples(5, 2, 9, 3, 8)
    encoder.eval()(samples)
    assert torch.equal(seen[0], samples.permute(0, 1, 3, 2, 4).reshape(5, 6, 9, 8))


@pytest.mark.parametrize(
    ("shape", "steps"),
    [
        ((8, 8), (1, 1)),
        ((32, 32), (1, 1)),
        ((64, 64), (2, 2)),
        ((62, 47), (2, 2)),
        ((33, 33), (2, 1)),
        ((1025,), (2,)),
        ((40, 50, 60), (4, 5, 6)),
        ((5000,), (5,)),
    ],
    ids=str,
)
def test_the_first_convolution_of_long_modes_takes_longer_steps_and_sees_all_entries(shape, steps):
    encoder = ConvEncoder(shape, 3)
    encoder.initialize(_samples(10, *shape), torch.Generator().manual_seed(0))
    first = encoder.blocks[0]
    assert tuple(first.stride) == steps
    samples = torch.zeros(1, 1, *shape, requires_grad=True)
    places = first(samples)
    assert places[0, 0].numel() <= 1024
    places.sum().backward()
    assert (samples.grad != 0).all()
    assert encoder.eval()(_samples(2, *shape)).shape == (2, 3)


def test_convolution_stands_beside_a_linear_map_of_principal_components():
    encoder = _built(ConvEncoder, (8, 5)).eval()
    samples = _samples(7, 8, 5, seed=1)
    points = encoder(samples)
    linear = encoder.projection(encoder.whitening(samples))
    for parameter in [*encoder.skip.parameters(), *encoder.layers[-1].parameters()]:
        parameter.data.zero_()
    torch.testing.assert_close(encoder(samples), linear)
    assert not torch.allclose(points, linear)


def test_channels_that_cannot_be_normalised_are_refused():
    with pytest.raises(ValueError, match="n_channels must be multiples of 8, got"):
        ConvEncoder((8, 8), 2, n_channels=(30, 64, 128))


_SIZES = [
    *((kind, name) for kind in KINDS for name in ("sample_shape", "n_components")),
    (LinearEncoder, "n_axes"),
    (MultilinearEncoder, "mode_rank"),
    (MLPEncoder, "n_axes"),
    (MLPEncoder, "n_hidden"),
    (ConvEncoder, "n_axes"),
    (ConvEncoder, "n_hidden"),
    (ConvEncoder, "n_channels"),
]


@pytest.mark.parametrize("wrong", [0, -1, 2.5, "4", True, None])
@pytest.mark.parametrize(("kind", "name"), _SIZES)
def test_sizes_that_are_none_are_refused_by_name(kind, name, wrong):
    sizes = {"sample_shape": (8, 8), "n_components": 2}
    several = {"sample_shape": (8, wrong), "n_channels": (8, wrong)}
    with pytest.raises((ValueError, TypeError), match=rf"^{name}(\[1\])? must be "):
        kind(**sizes | {name: several.get(name, wrong)})


@pytest.mark.parametrize("wrong", [(), 8, "88", None, {8, 16}, np.array(8)], ids=repr)
@pytest.mark.parametrize("name", ["sample_shape", "n_channels"])
def test_what_is_no_sequence_of_sizes_is_refused(name, wrong):
    sizes = {"sample_shape": (8, 8), "n_channels": (8,)}
    with pytest.raises(TypeError, match=f"^{name} must be a sequence of one or more integers"):
        ConvEncoder(n_components=2, **sizes | {name: wrong})


def test_sizes_are_kept_as_pythons_own_numbers():
    encoder = ConvEncoder(
        np.array([8, 9]),
        np.int32(2),
        n_channels=np.array([8, 16]),
        n_hidden=np.int64(4),
        n_axes=np.uint8(3),
        convolved_modes=np.array([1, 0]),
    )
    assert encoder.sample_shape == (8, 9) and type(encoder.n_components) is int
    sizes = {"n_channels": [8, 16], "n_hidden": 4, "n_axes": 3, "convolved_modes": [0, 1]}
    assert json.loads(json.dumps(encoder.sizes)) == sizes
    assert type(MLPEncoder(torch.Size([5, 4]), 2, np.int64(8)).sizes["n_axes"]) is int


def test_an_encoder_for_other_samples_is_named():
    with pytest.raises(ValueError, match=r"shape \(6, 5\), got ConvEncoder for \(8, 8\)"):
        encoders.check_encoder(ConvEncoder((8, 8), 2), _samples(4, 6, 5), 2)


@pytest.mark.parametrize("shape", [(3,), (3, 2), (1, 1)])
def test_convolution_of_short_modes_is_refused(shape):
    with pytest.raises(ValueError, match=r"encoder='conv' needs a sample mode of at least 4"):
        ConvEncoder(shape, 2)


def test_a_lent_generator_reaches_every_dropout_and_is_taken_back():
    encoder = ConvEncoder((8, 8), 2)
    dropouts = [layer for layer in encoder.modules() if isinstance(layer, _layers.Dropout)]
    generator = torch.Generator()
    encoder.draw_from(generator)
    assert dropouts and all(layer.generator is generator for layer in dropouts)
    encoder.draw_from(None)
    assert all(layer.generator is None for layer in dropouts)


def test_candidates_suit_the_shape_of_a_sample():
    expected = {
        (7,): ["mlp", "linear"],
        (6, 7): ["mlp", "multilinear", "linear"],
        (100,): ["mlp", "conv", "linear"],
        (2, 9, 3): ["mlp", "conv", "multilinear", "linear"],
    }
    assert {shape: encoders.candidates(shape) for shape in expected} == expected


@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        ("transformer", ValueError, "encoder must be one of 'auto'.*'transformer'"),
        (3, TypeError, "encoder must be a name or a torch.nn.Module, got 3"),
        (nn.Flatten(0), ValueError, r"encoder must return \(batch, D\)"),
        (nn.Identity(), ValueError, r"encoder must return \(batch, D\)"),
        (nn.Linear(77, 2), ValueError, r"encoder must map .* Linear on shape \(4, 6, 5\)"),
    ],
)
def test_unusable_encoders_are_named(module, error, message):
    with pytest.raises(error, match=message):
        encoders.check_encoder(module, _samples(4, 6, 5), 2)


def test_trying_a_module_tells_its_dimension_and_leaves_it_alone():
    module = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(30), nn.Linear(30, 7), nn.Dropout())
    state = {name: value.clone() for name, value in module.state_dict().items()}
    before = torch.get_rng_state()
    assert encoders.check_encoder(module, _samples(4, 6, 5, dtype=torch.float64), 2) == 7
    assert torch.equal(torch.get_rng_state(), before)
    assert module.training
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert prod(module[2].weight.shape) == 210


def test_encoders_are_of_the_sizes_that_were_asked_for():
    def widths(layers, kind=nn.Linear):
        return [
            layer.out_channels if kind is nn.Conv2d else layer.out_features
            for layer in layers
            if isinstance(layer, kind)
        ]

    assert LinearEncoder((6, 5), 2, n_axes=7).whitening.axes.shape == (7, 30)
    mlp = MLPEncoder((6, 5), 2, n_axes=7, n_hidden=11)
    assert mlp.whitening.axes.shape == (7, 30) and widths(mlp.layers) == [11, 11, 2]
    conv = ConvEncoder((6, 5), 2, n_channels=(8, 16), n_hidden=11, n_axes=7)
    assert conv.whitening.axes.shape == (7, 30) and widths(conv.layers) == [11, 2]
    assert widths(conv.blocks, nn.Conv2d) == [8, 16]
    multilinear = MultilinearEncoder((6, 5), 2, mode_rank=3)
    assert [tuple(matrix.shape) for matrix in multilinear.mode_matrices] == [(6, 3), (5, 3)]
    assert LinearEncoder((20, 15), 2).whitening.axes.shape == (128, 300)


def test_noise_grows_with_the_fourth_root_of_the_number_of_entries_but_for_convolutions():
    for kind in (LinearEncoder, MultilinearEncoder, MLPEncoder):
        assert kind((4, 4), 2).noise == pytest.approx(0.2)
        assert kind((9, 3, 3), 2).noise == pytest.approx(0.3)
    assert ConvEncoder((4, 4), 2).noise == ConvEncoder((40, 40), 2).noise == 0.25


def test_the_matrices_of_a_multilinear_encoder_start_at_what_the_samples_consist_of():
    core, patterns = _samples(30, 2, 3, 2), [_samples(9, 2), _samples(8, 3), _samples(7, 2)]
    samples = torch.einsum("nabc,ia,jb,kc->nijk", core, *patterns)
    encoder = MultilinearEncoder((9, 8, 7), 3, mode_rank=3)
    encoder.initialize(samples, torch.Generator().manual_seed(0))
    kept = encoder._compress(samples).flatten(1).norm(dim=1)
    torch.testing.assert_close(kept, samples.flatten(1).norm(dim=1))


class _Returning(nn.Module):
    """What a function makes of a linear map of the samples."""

    def __init__(self, function):
        super().__init__()
        self.linear, self.function = nn.Linear(30, 2), function

    def forward(self, samples):
        return self.function(self.linear(samples.flatten(1)))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda points: points[:, :0], r"one dimension or more, got shape \(4, 0\)"),
        (lambda points: points.long(), r"real numbers .* of torch.int64 from _Returning"),
        (lambda points: points + 0j, r"real numbers .* of torch.complex64 from _Returning"),
        (lambda points: points.detach(), "have no gradient from _Returning"),
        (lambda points: (points, points), r"return \(batch, D\), .* got tuple from _Returning"),
        (lambda points: points[1:], r"for 4 samples, got \(3, 2\) from _Returning"),
    ],
    ids=["no dimension", "integers", "complex", "detached", "two", "fewer"],
)
def test_modules_that_return_what_cannot_be_trained_by_are_named(function, message):
    with pytest.raises(ValueError, match=message):
        encoders.check_encoder(_Returning(function), _samples(4, 6, 5), 2)


@pytest.mark.parametrize("kind", [LinearEncoder, MultilinearEncoder, MLPEncoder, ConvEncoder])
def test_what_starts_at_the_components_keeps_distances_in_units_of_the_mean_square(kind):
    samples = (_samples(30, 3) @ _samples(3, 40)).reshape(30, 8, 5)
    encoder = kind((8, 5), 3)
    encoder.initialize(samples, torch.Generator().manual_seed(0))
    encoder.start_at_components()
    points = encoder.eval()(samples)
    expected = torch.pdist(samples.flatten(1)) / 40**0.5
    torch.testing.assert_close(torch.pdist(points), expected, rtol=0.1, atol=0.02)
