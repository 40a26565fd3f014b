"""Encoders: torch modules that map samples (batch, *sample_shape) to points (batch, n_components).

An encoder is built from sizes alone, so that it can be built again and given stored parameters;
`initialize` then fits to the data what does not need labels (principal axes, starting values).
Random numbers come from the generator that is handed in, never from torch's global one, and nothing
in an encoder ties a sample to the others of its batch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from tensorly_norank._layers import (
    PCA_SAMPLES,
    Dropout,
    Whitening,
    draw,
    empty,
    hidden_layer,
    principal_axes,
    random_rows,
    start_small,
)
from tensorly_norank._validation import check_number

__all__ = [
    "ConvEncoder",
    "Encoder",
    "LinearEncoder",
    "MLPEncoder",
    "MultilinearEncoder",
]

_LONG = 8  # a mode of this length makes convolutions worth a trial
# A mode shorter than this is a set of channels, not a place to slide a kernel along.
_SHORTEST_CONVOLVED = 4
_ALIKE = 4  # times as long is another kind of mode: bands, or time, beside the places of an image
_GROUPS = 8  # of channels, normalised together
_MOST_PLACES = 1024  # along the convolved modes together, for speed


class Encoder(nn.Module):
    """What the built-in encoders share.

    Parameters
    ----------
    sample_shape : sequence of int
        Shape of one sample.
    n_components : int
        Dimension of the embedding.
    """

    def __init__(self, sample_shape: Sequence[int], n_components: int) -> None:
        super().__init__()
        check_number(n_components, "n_components", integer=True, low=1)
        self.sample_shape = tuple(int(length) for length in sample_shape)
        self.n_components = int(n_components)
        self.initialized = False

    def initialize(self, samples: Tensor, generator: torch.Generator | None = None) -> None:
        """Fit what needs no labels to standardised samples, and draw the starting values.

        `no_rank_decomposition` does it with an encoder that has not been initialised; one that has
        is trained on from where it is.

        Parameters
        ----------
        samples : Tensor of shape (n, ...)
            Standardised samples.
        generator : torch.Generator, optional
            What starting values are drawn from; torch's global one by default.
        """
        self._initialize(samples, generator)
        self.initialized = True

    def _initialize(self, samples: Tensor, generator: torch.Generator | None) -> None:
        draw(self, generator)

    def start_at_components(self) -> None:
        """Begin as the leading principal components, of which the whitening knows, as they are.

        In units in which samples have a mean square of at most 1: distances between embedded
        samples are then those between the samples, as far as these components hold them.
        """
        found = self._around_components()
        if found is None:
            return
        whitening, linear, others = found
        start_small(*others)
        weight = linear.get_parameter("weight").data
        n_leading = min(weight.shape)
        unit = prod(self.sample_shape) ** 0.5
        weight.zero_().diagonal()[:] = 1 / (unit * whitening.scales[:n_leading])

    def _around_components(self) -> tuple[Whitening, nn.Module, Sequence[nn.Module]] | None:
        """The whitening, the linear map behind it, and the last layers beside that map, if any."""
        return None

    @property
    def noise(self) -> float:
        """White noise that training adds to samples: more where many entries average it."""
        return 0.1 * prod(self.sample_shape) ** 0.25

    @property
    def shifted_modes(self) -> tuple[int, ...]:
        """Sample modes along which training may shift samples a little."""
        return ()

    def draw_from(self, generator: torch.Generator | None) -> None:
        """Lend a generator to all layers that draw random numbers, or take it back."""
        for layer in self.modules():
            if isinstance(layer, Dropout):
                layer.generator = generator

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return f"sample_shape={self.sample_shape}, n_components={self.n_components}"


class LinearEncoder(Encoder):
    """One linear map of the whitened leading principal components.

    Parameters
    ----------
    sample_shape : sequence of int
        Shape of one sample; it is flattened.
    n_components : int
        Dimension of the embedding.
    n_axes : int, default 128
        How many principal components of the samples are used, at most one a feature.

    Examples
    --------
    >>> import torch
    >>> from tensorly_norank.encoders import LinearEncoder
    >>> encoder = LinearEncoder((6, 11), n_components=4)
    >>> encoder.initialize(torch.randn(20, 6, 11))
    >>> encoder(torch.randn(5, 6, 11)).shape
    torch.Size([5, 4])
    """

    def __init__(self, sample_shape: Sequence[int], n_components: int, n_axes: int = 128) -> None:
        super().__init__(sample_shape, n_components)
        n_features = prod(self.sample_shape)
        self.whitening = Whitening(n_features, min(n_axes, n_features))
        self.projection = empty(nn.Linear, min(n_axes, n_features), n_components, bias=False)

    def _initialize(self, samples: Tensor, generator: torch.Generator | None) -> None:
        """Find the principal axes and draw the map."""
        self.whitening.initialize(samples, generator)
        draw(self.projection, generator)

    def _around_components(self) -> tuple[Whitening, nn.Module, Sequence[nn.Module]]:
        return self.whitening, self.projection, ()

    def forward(self, samples: Tensor) -> Tensor:
        """Embed samples: ``(batch, *sample_shape)`` to (batch, n_components)."""
        return self.projection(self.whitening(samples))


class MultilinearEncoder(Encoder):
    """A Tucker-structured linear map: one small matrix a mode, then a map of what is left.

    It has far fewer parameters than a linear map of the flattened sample, and its mode matrices say
    which combinations of rows, columns, ... it looks at.

    Parameters
    ----------
    sample_shape : sequence of int
        Shape of one sample.
    n_components : int
        Dimension of the embedding.
    mode_rank : int, default 12
        Number of combinations kept of each mode, at most its length.

    Examples
    --------
    >>> import torch
    >>> from tensorly_norank.encoders import MultilinearEncoder
    >>> encoder = MultilinearEncoder((20, 15), n_components=4)
    >>> encoder.initialize(torch.randn(30, 20, 15))
    >>> encoder(torch.randn(5, 20, 15)).shape
    torch.Size([5, 4])
    """

    def __init__(self, sample_shape: Sequence[int], n_components: int, mode_rank: int = 12) -> None:
        super().__init__(sample_shape, n_components)
        ranks = [min(mode_rank, length) for length in self.sample_shape]
        self.mode_matrices = nn.ParameterList(
            nn.Parameter(torch.zeros(length, rank))
            for length, rank in zip(self.sample_shape, ranks, strict=True)
        )
        self.whitening = Whitening(prod(ranks), min(128, prod(ranks)))
        self.projection = empty(nn.Linear, len(self.whitening.scales), n_components, bias=False)

    def _initialize(self, samples: Tensor, generator: torch.Generator | None) -> None:
        """Start each mode's matrix at its leading singular vectors (HOSVD), and draw the map."""
        rows = random_rows(samples, PCA_SAMPLES, generator)
        with torch.no_grad():
            for k, matrix in enumerate(self.mode_matrices):
                unfolding = rows.movedim(k + 1, -1).reshape(-1, rows.shape[k + 1])
                axes, _ = principal_axes(unfolding, matrix.shape[1])
                matrix[:, : len(axes)] = axes.T
            self.whitening.initialize(self._compress(rows), generator)
        draw(self.projection, generator)

    def _around_components(self) -> tuple[Whitening, nn.Module, Sequence[nn.Module]]:
        return self.whitening, self.projection, ()

    def _compress(self, samples: Tensor) -> Tensor:
        for matrix in self.mode_matrices:
            # Contracting mode 1 appends the compressed mode at the end: after all modes the order
            # is as before.
            samples = torch.tensordot(samples, matrix, dims=([1], [0]))
        return samples

    def forward(self, samples: Tensor) -> Tensor:
        """Embed samples: ``(batch, *sample_shape)`` to (batch, n_components)."""
        return self.projection(self.whitening(self._compress(samples)))


class MLPEncoder(Encoder):
    """Two hidden layers beside a linear map, on whitened principal components.

    One half of the hidden units is dropped at random in each training step. It costs a little
    compactness of the classes fitted, and buys much on classes that were not.

    Parameters
    ----------
    sample_shape : sequence of int
        Shape of one sample; it is flattened.
    n_components : int
        Dimension of the embedding.
    n_axes : int, default 128
        How many principal components of the samples are used, at most one a feature.
    n_hidden : int, default 256
        Width of the hidden layers.

    Examples
    --------
    >>> import torch
    >>> from tensorly_norank.encoders import MLPEncoder
    >>> encoder = MLPEncoder((8, 8), n_components=4)
    >>> encoder.initialize(torch.randn(50, 8, 8))
    >>> encoder(torch.randn(5, 8, 8)).shape
    torch.Size([5, 4])
    """

    def __init__(
        self,
        sample_shape: Sequence[int],
        n_components: int,
        n_axes: int = 128,
        n_hidden: int = 256,
    ) -> None:
        super().__init__(sample_shape, n_components)
        n_features = prod(self.sample_shape)
        n_axes = min(n_axes, n_features)
        self.whitening = Whitening(n_features, n_axes)
        self.skip = empty(nn.Linear, n_axes, n_components, bias=False)
        self.layers = nn.Sequential(
            *hidden_layer(n_axes, n_hidden),
            *hidden_layer(n_hidden, n_hidden),
            empty(nn.Linear, n_hidden, n_components),
        )

    def _initialize(self, samples: Tensor, generator: torch.Generator | None) -> None:
        """Find the principal axes and draw the layers."""
        self.whitening.initialize(samples, generator)
        draw(self, generator)
        start_small(self.layers[-1])

    def _around_components(self) -> tuple[Whitening, nn.Module, Sequence[nn.Module]]:
        return self.whitening, self.skip, (self.layers[-1],)

    def forward(self, samples: Tensor) -> Tensor:
        """Embed samples: ``(batch, *sample_shape)`` to (batch, n_components)."""
        compressed = self.whitening(samples)
        return self.skip(compressed) + self.layers(compressed)


class ConvEncoder(Encoder):
    """Three convolutional blocks and a hidden layer, beside linear maps.

    For samples whose modes have neighbourhoods: images, spectra, volumes. By default up to three
    modes are convolved, of at least 4 entries and of like lengths (the longest at most four times
    the shortest): of an image of many bands the two of the image. Where several such sets of modes
    exist it is that of most modes, then that of the longest; the other modes are channels.

    Each block is a convolution of width 3, max pooling along modes that are still at least 4 long,
    a normalisation within the sample and a rectifier. If the convolved modes have more than 1,024
    places together, the first convolution is wider and takes longer steps. What comes out is mapped
    by a hidden layer and linearly, and so are the sample's whitened principal components: what is
    linear in the samples need not be learned by convolving, and serves classes that were never
    shown.

    Parameters
    ----------
    sample_shape : sequence of int
        Shape of one sample; at least one mode must have 4 entries, unless modes are named.
    n_components : int
        Dimension of the embedding.
    n_channels : sequence of int, default (32, 64, 128)
        Channels of each block, multiples of 8.
    n_hidden : int, default 256
        Width of the hidden layer, of which one half is dropped at random in each training step.
    n_axes : int, default 128
        How many principal components of the samples are used, at most one a feature.
    convolved_modes : sequence of int, optional
        One to three modes of a sample (0 is its first) to be convolved instead, however long.

    Attributes
    ----------
    convolved_modes : tuple of int
        The modes that are convolved.

    Examples
    --------
    >>> import torch
    >>> from tensorly_norank.encoders import ConvEncoder
    >>> encoder = ConvEncoder((8, 8), n_components=4)
    >>> encoder.initialize(torch.randn(50, 8, 8))
    >>> encoder(torch.randn(5, 8, 8)).shape
    torch.Size([5, 4])
    """

    noise = 0.25

    def __init__(
        self,
        sample_shape: Sequence[int],
        n_components: int,
        n_channels: Sequence[int] = (32, 64, 128),
        n_hidden: int = 256,
        n_axes: int = 128,
        convolved_modes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(sample_shape, n_components)
        self.convolved_modes = _modes_to_convolve(self.sample_shape, convolved_modes)
        if not n_channels or any(width < 1 or width % _GROUPS for width in n_channels):
            raise ValueError(f"n_channels must be multiples of {_GROUPS}, got {n_channels!r}.")
        self.blocks, n_features = self._make_blocks(n_channels)
        n_entries = prod(self.sample_shape)
        self.whitening = Whitening(n_entries, min(n_axes, n_entries))
        self.projection = empty(nn.Linear, min(n_axes, n_entries), n_components, bias=False)
        self.skip = empty(nn.Linear, n_features, n_components, bias=False)
        self.layers = nn.Sequential(
            *hidden_layer(n_features, n_hidden), empty(nn.Linear, n_hidden, n_components)
        )

    def _make_blocks(self, n_channels: Sequence[int]) -> tuple[nn.Sequential, int]:
        lengths = [self.sample_shape[k] for k in self.convolved_modes]
        order = len(lengths)
        convolution = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[order]
        pool: Callable[..., nn.Module]
        pool = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}[order]
        channels = prod(self.sample_shape) // prod(lengths)
        stride = _steps_between_places(lengths)
        lengths = _coarser(lengths, stride)
        layers: list[nn.Module] = []
        for width in n_channels:
            kernel = tuple(2 * step + 1 for step in stride)
            layers.append(
                empty(convolution, channels, width, kernel, stride=stride, padding=stride)
            )
            stride = (1,) * order
            steps = tuple(2 if length >= _SHORTEST_CONVOLVED else 1 for length in lengths)
            if max(steps) > 1:
                # Before the normalisation, which is then cheaper: together with the memory format
                # below this makes a step three times as fast.
                layers.append(pool(steps))
            layers += [nn.GroupNorm(_GROUPS, width), nn.ReLU()]
            lengths = [length // step for length, step in zip(lengths, steps, strict=True)]
            channels = width
        blocks = nn.Sequential(*layers)
        if order == 2:
            blocks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return blocks, channels * prod(lengths)

    def _initialize(self, samples: Tensor, generator: torch.Generator | None) -> None:
        """Find the principal axes and draw the layers."""
        self.whitening.initialize(samples, generator)
        draw(self, generator)
        start_small(self.skip, self.layers[-1])

    def _around_components(self) -> tuple[Whitening, nn.Module, Sequence[nn.Module]]:
        return self.whitening, self.projection, (self.skip, self.layers[-1])

    def extra_repr(self) -> str:
        """Sizes and the convolved modes, for printing."""
        return f"{super().extra_repr()}, convolved_modes={self.convolved_modes}"

    @property
    def shifted_modes(self) -> tuple[int, ...]:
        """The convolved modes: what a kernel slides along has no fixed place."""
        return self.convolved_modes

    def forward(self, samples: Tensor) -> Tensor:
        """Embed samples: ``(batch, *sample_shape)`` to (batch, n_components)."""
        convolved = tuple(k + 1 for k in self.convolved_modes)
        maps = samples.movedim(convolved, tuple(range(-len(convolved), 0)))
        maps = maps.reshape(len(samples), -1, *maps.shape[maps.ndim - len(convolved) :])
        if maps.ndim == 4:
            maps = maps.contiguous(memory_format=torch.channels_last)
        features = self.blocks(maps).flatten(1)
        return (
            self.projection(self.whitening(samples)) + self.skip(features) + self.layers(features)
        )


def _check_modes(modes: Sequence[int], order: int) -> tuple[int, ...]:
    """One to three different modes of a sample, in their order."""
    if isinstance(modes, str) or not isinstance(modes, Sequence | np.ndarray):
        raise TypeError(f"convolved_modes must be a sequence of modes, got {modes!r}.")
    for mode in modes:
        check_number(mode, "convolved_modes", integer=True, high=order)
    distinct = tuple(sorted({int(mode) for mode in modes}))
    if not 1 <= len(distinct) == len(modes) <= 3:
        raise ValueError(f"convolved_modes must be one to three different modes, got {modes!r}.")
    return distinct


def _modes_to_convolve(
    sample_shape: Sequence[int], asked_for: Sequence[int] | None
) -> tuple[int, ...]:
    """The modes that were asked for, or the largest set of long modes of like lengths."""
    if asked_for is not None:
        return _check_modes(asked_for, len(sample_shape))
    long_modes = [k for k, n in enumerate(sample_shape) if n >= _SHORTEST_CONVOLVED]
    if not long_modes:
        raise ValueError(
            f"encoder='conv' needs a sample mode of at least {_SHORTEST_CONVOLVED} entries to "
            f"convolve, got samples of shape {tuple(sample_shape)}; use 'mlp' or 'linear'."
        )
    long_modes.sort(key=lambda k: -sample_shape[k])
    alike = [
        [k for k in long_modes[first:] if sample_shape[k] * _ALIKE >= sample_shape[longest]][:3]
        for first, longest in enumerate(long_modes)
    ]
    most: list[int] = max(alike, key=len)  # of sets of as many modes the longest, which come first
    return tuple(sorted(most))


def _steps_between_places(lengths: Sequence[int]) -> tuple[int, ...]:
    """Strides along each mode, the longest first, for few enough places."""
    steps = [1] * len(lengths)
    while prod(coarse := _coarser(lengths, steps)) > _MOST_PLACES:
        steps[coarse.index(max(coarse))] += 1
    return tuple(steps)


def _coarser(lengths: Sequence[int], steps: Sequence[int]) -> list[int]:
    return [-(-length // step) for length, step in zip(lengths, steps, strict=True)]


_ENCODERS: dict[str, type[Encoder]] = {
    "multilinear": MultilinearEncoder,
    "linear": LinearEncoder,
    "mlp": MLPEncoder,
    "conv": ConvEncoder,
}


def make_encoder(name: str, sample_shape: Sequence[int], n_components: int) -> Encoder:
    """Build an encoder by name."""
    return _ENCODERS[name](sample_shape, n_components)


def candidates(sample_shape: Sequence[int]) -> list[str]:
    """Names of the encoders that make sense for samples of this shape.

    The first, which assumes least about the data, is taken where nothing can be compared.
    """
    names = ["mlp"]
    if max(sample_shape) >= _LONG:
        names.append("conv")
    if sum(length > 1 for length in sample_shape) > 1:
        names.append("multilinear")
    return [*names, "linear"]


def check_encoder(encoder: str | nn.Module, samples: Tensor, n_components: int) -> int:
    """Try an encoder on a few samples, without touching it; the dimension of its embedding."""
    if isinstance(encoder, str):
        if encoder != "auto" and encoder not in _ENCODERS:
            names = ", ".join(repr(name) for name in ["auto", *_ENCODERS])
            raise ValueError(
                f"encoder must be one of {names}, or a torch.nn.Module, got {encoder!r}."
            )
        if encoder != "auto":
            make_encoder(encoder, samples.shape[1:], n_components)  # which may refuse the shape
        return n_components
    if not isinstance(encoder, nn.Module):
        raise TypeError(
            f"encoder must be a name or a torch.nn.Module, got {encoder!r} of type "
            f"{type(encoder).__name__}."
        )
    if isinstance(encoder, Encoder) and encoder.sample_shape != tuple(samples.shape[1:]):
        raise ValueError(
            f"encoder must be built for samples of shape {tuple(samples.shape[1:])}, got "
            f"{type(encoder).__name__} for {encoder.sample_shape}."
        )
    module = copy.deepcopy(encoder).to(samples).eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            points = module(torch.zeros_like(samples))
        except Exception as error:
            raise ValueError(
                "encoder must map (batch, *sample_shape) to (batch, D), got an error "
                f"from {type(encoder).__name__} on shape {tuple(samples.shape)}: {error}"
            ) from error
    shape = tuple(points.shape) if isinstance(points, Tensor) else type(points).__name__
    if not isinstance(points, Tensor) or points.ndim != 2 or len(points) != len(samples):
        raise ValueError(
            f"encoder must return (batch, D), ({len(samples)}, D) for {len(samples)} samples, "
            f"got {shape} from {type(encoder).__name__}."
        )
    if points.shape[1] < 1 or not points.is_floating_point():
        raise ValueError(
            "encoder must return real numbers of one dimension or more, got shape "
            f"{tuple(points.shape)} of {points.dtype} from {type(encoder).__name__}."
        )
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise ValueError(
            f"encoder must have parameters to train, got {type(encoder).__name__} without any that "
            "requires a gradient."
        )
    return points.shape[1]
