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

import torch
from torch import Tensor, nn

__all__ = [
    "ConvEncoder",
    "Encoder",
    "LinearEncoder",
    "MLPEncoder",
    "MultilinearEncoder",
]

_PCA_SAMPLES = 4096  # principal axes of so many samples are those of all of them, for our purpose
_LONG = 8  # a mode of this length makes convolutions worth a trial
# A mode shorter than this is a set of channels, not a place to slide a kernel along.
_SHORTEST_CONVOLVED = 4
_SMALL = 0.1  # times torch's own starting values
_MOST_PLACES = 1024  # along the convolved modes together: a finer grid costs much and gains nothing


def _empty(layer: type[nn.Module], *args: int, **kwargs: object) -> nn.Module:
    """A layer without its starting values, which torch would draw from the global generator."""
    return nn.utils.skip_init(layer, *args, **kwargs)


def _draw(module: nn.Module, generator: torch.Generator | None) -> None:
    """Start every layer below `module`: weights as torch would, biases at zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_uniform_(layer.weight, a=5**0.5, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.GroupNorm | nn.LayerNorm):
            layer.reset_parameters()


def _start_small(*layers: nn.Module) -> None:
    """Let training begin near the linear map of the principal components beside these layers."""
    for layer in layers:
        layer.get_parameter("weight").data.mul_(_SMALL)


def _random_rows(samples: Tensor, n_rows: int, generator: torch.Generator | None) -> Tensor:
    if len(samples) <= n_rows:
        return samples
    return samples[
        torch.randperm(len(samples), generator=generator, device=samples.device)[:n_rows]
    ]


def _principal_axes(matrix: Tensor, n_axes: int) -> tuple[Tensor, Tensor]:
    """Leading right singular vectors (n_axes, n_features) and variances (n_axes,), uncentred."""
    n_samples, n_features = matrix.shape
    if n_features <= n_samples:
        variances, vectors = torch.linalg.eigh(matrix.T @ matrix / n_samples)
        axes = vectors.T
    else:
        variances, vectors = torch.linalg.eigh(matrix @ matrix.T / n_samples)
        rounding = n_samples * torch.finfo(matrix.dtype).eps * variances[-1]
        # Directions without variance have no axis: it stays zero.
        norms = torch.where(variances > rounding, n_samples * variances, torch.inf).sqrt()
        axes = (matrix.T @ vectors / norms).T
    return axes.flip(0)[:n_axes], variances.flip(0)[:n_axes].clamp(min=0)


class _Dropout(nn.Module):
    """Dropout that draws from a generator of ours while one is lent to it."""

    generator: torch.Generator | None = None

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        if not self.training:
            return values
        kept = torch.empty_like(values).bernoulli_(1 - self.share, generator=self.generator)
        return values * kept / (1 - self.share)


def _hidden_layer(n_inputs: int, n_outputs: int) -> list[nn.Module]:
    """Half of its units are dropped at random in each training step."""
    linear = _empty(nn.Linear, n_inputs, n_outputs)
    return [linear, nn.LayerNorm(n_outputs), nn.ReLU(), _Dropout(0.5)]


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
        _draw(self, generator)

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
            if isinstance(layer, _Dropout):
                layer.generator = generator

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return f"sample_shape={self.sample_shape}, n_components={self.n_components}"


class _Whitening(nn.Module):
    """Principal components over damped standard deviations: (batch, ...) -> (batch, n_axes)."""

    damping = 1.0  # times the mean variance, added first: noise is not blown up to signal

    axes: Tensor
    scales: Tensor

    def __init__(self, n_features: int, n_axes: int) -> None:
        super().__init__()
        self.register_buffer("axes", torch.zeros(n_axes, n_features))
        self.register_buffer("scales", torch.ones(n_axes))

    def initialize(self, samples: Tensor, generator: torch.Generator | None) -> None:
        rows = _random_rows(samples, _PCA_SAMPLES, generator).flatten(1)
        axes, variances = _principal_axes(rows, len(self.scales))
        damped = variances + self.damping * variances.mean()
        # With fewer samples than axes the last ones stay zero.
        self.axes[: len(axes)] = axes
        self.scales[: len(axes)] = damped.clamp(min=torch.finfo(damped.dtype).tiny).rsqrt()

    def forward(self, samples: Tensor) -> Tensor:
        return (samples.flatten(1) @ self.axes.T) * self.scales


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
        self.whitening = _Whitening(n_features, min(n_axes, n_features))
        self.projection = _empty(nn.Linear, min(n_axes, n_features), n_components, bias=False)

    def _initialize(self, samples: Tensor, generator: torch.Generator | None) -> None:
        """Find the principal axes and draw the map."""
        self.whitening.initialize(samples, generator)
        _draw(self.projection, generator)

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
        self.whitening = _Whitening(prod(ranks), min(128, prod(ranks)))
        self.projection = _empty(nn.Linear, len(self.whitening.scales), n_components, bias=False)

    def _initialize(self, samples: Tensor, generator: torch.Generator | None) -> None:
        """Start each mode's matrix at its leading singular vectors (HOSVD), and draw the map."""
        rows = _random_rows(samples, _PCA_SAMPLES, generator)
        with torch.no_grad():
            for k, matrix in enumerate(self.mode_matrices):
                unfolding = rows.movedim(k + 1, -1).reshape(-1, rows.shape[k + 1])
                axes, _ = _principal_axes(unfolding, matrix.shape[1])
                matrix[:, : len(axes)] = axes.T
            self.whitening.initialize(self._compress(rows), generator)
        _draw(self.projection, generator)

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
        self.whitening = _Whitening(n_features, n_axes)
        self.skip = _empty(nn.Linear, n_axes, n_components, bias=False)
        self.layers = nn.Sequential(
            *_hidden_layer(n_axes, n_hidden),
            *_hidden_layer(n_hidden, n_hidden),
            _empty(nn.Linear, n_hidden, n_components),
        )

    def _initialize(self, samples: Tensor, generator: torch.Generator | None) -> None:
        """Find the principal axes and draw the layers."""
        self.whitening.initialize(samples, generator)
        _draw(self, generator)
        _start_small(self.layers[-1])

    def forward(self, samples: Tensor) -> Tensor:
        """Embed samples: ``(batch, *sample_shape)`` to (batch, n_components)."""
        compressed = self.whitening(samples)
        return self.skip(compressed) + self.layers(compressed)


class ConvEncoder(Encoder):
    """Three convolutional blocks and a hidden layer, beside linear maps.

    For samples whose modes have neighbourhoods: images, spectra, volumes. Up to three modes are
    convolved: those of at least 4 entries, the longest first. The other modes are channels. If the
    convolved modes have more than 1,024 places together, neighbouring entries are averaged first.
    Each block is a convolution of width 3, max pooling along modes that are still at least 4 long,
    a normalisation within the sample and a rectifier. What comes out is mapped by a hidden layer
    and linearly, and so are the sample's whitened principal components: what is linear in the
    samples need not be learned by convolving, and serves classes that were never shown.

    Parameters
    ----------
    sample_shape : sequence of int
        Shape of one sample; at least one mode must have 4 entries.
    n_components : int
        Dimension of the embedding.
    n_channels : sequence of int, default (32, 64, 128)
        Channels of each block, multiples of 8.
    n_hidden : int, default 256
        Width of the hidden layer, of which one half is dropped at random in each training step.
    n_axes : int, default 128
        How many principal components of the samples are used, at most one a feature.

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
    ) -> None:
        super().__init__(sample_shape, n_components)
        long_modes = [k for k, n in enumerate(self.sample_shape) if n >= _SHORTEST_CONVOLVED]
        if not long_modes:
            raise ValueError(
                f"encoder='conv' needs a sample mode of at least {_SHORTEST_CONVOLVED} entries to "
                f"convolve, got samples of shape {self.sample_shape}; use 'mlp' or 'linear'."
            )
        longest = sorted(long_modes, key=lambda k: -self.sample_shape[k])[:3]
        self.convolved_modes = tuple(sorted(longest))
        self.blocks, n_features = self._make_blocks(n_channels)
        n_entries = prod(self.sample_shape)
        self.whitening = _Whitening(n_entries, min(n_axes, n_entries))
        self.projection = _empty(nn.Linear, min(n_axes, n_entries), n_components, bias=False)
        self.skip = _empty(nn.Linear, n_features, n_components, bias=False)
        self.layers = nn.Sequential(
            *_hidden_layer(n_features, n_hidden), _empty(nn.Linear, n_hidden, n_components)
        )

    def _make_blocks(self, n_channels: Sequence[int]) -> tuple[nn.Sequential, int]:
        lengths = [self.sample_shape[k] for k in self.convolved_modes]
        order = len(lengths)
        convolution = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[order]
        pool: Callable[..., nn.Module]
        pool = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}[order]
        average: Callable[..., nn.Module]
        average = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}[order]
        channels = prod(self.sample_shape) // prod(lengths)
        steps = _steps_between_places(lengths)
        layers: list[nn.Module] = []
        if max(steps) > 1:
            layers.append(average(steps, ceil_mode=True))
            lengths = _coarser(lengths, steps)
        for width in n_channels:
            layers.append(_empty(convolution, channels, width, kernel_size=3, padding=1))
            steps = tuple(2 if length >= _SHORTEST_CONVOLVED else 1 for length in lengths)
            if max(steps) > 1:
                # Before the normalisation, which is then cheaper: together with the memory format
                # below this makes a step three times as fast.
                layers.append(pool(steps))
            layers += [nn.GroupNorm(8, width), nn.ReLU()]
            lengths = [length // step for length, step in zip(lengths, steps, strict=True)]
            channels = width
        blocks = nn.Sequential(*layers)
        if order == 2:
            blocks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return blocks, channels * prod(lengths)

    def _initialize(self, samples: Tensor, generator: torch.Generator | None) -> None:
        """Find the principal axes and draw the layers."""
        self.whitening.initialize(samples, generator)
        _draw(self, generator)
        _start_small(self.skip, self.layers[-1])

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


def _steps_between_places(lengths: Sequence[int]) -> tuple[int, ...]:
    """How many neighbours to average along each mode, the longest first, for few enough places."""
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

    They are in the order in which they are taken if nothing tells them apart: what assumes least
    about the data first.
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
