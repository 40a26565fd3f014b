"""An encoder of convolutions beside linear maps, and which modes they slide along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from tensorly_norank._layers import Whitening, draw, empty, hidden_layer, start_small
from tensorly_norank._validation import check_number, check_size, check_sizes
from tensorly_norank.encoders._base import Encoder

# A mode shorter than this is a set of channels, not a place to slide a kernel along.
_SHORTEST_CONVOLVED = 4
_ALIKE = 4  # times as long is another kind of mode: bands, or time, beside the places of an image
_GROUPS = 8  # of channels, normalised together
_MOST_PLACES = 1024  # along the convolved modes together, for speed


class ConvEncoder(Encoder):
    """Three convolutional blocks and a hidden layer, beside linear maps.

    For samples whose modes have neighbourhoods: images, spectra, volumes. By default up to three
    modes are convolved, of at least 4 entries and of like lengths (the longest at most four times
    the shortest): of an image of many bands the two of the image. Where several such sets of modes
    exist it is that of most modes, then that of the longest; the other modes are channels.
    Each channel is standardised by itself, but where distances are to be kept (without labels).

    Each block is a convolution of width 3, max pooling along modes that are still at least 4 long,
    a normalisation within the sample and a rectifier. If the convolved modes have more than 1,024
    places together, the first convolution is wider and takes longer steps. What comes out is mapped
    by a hidden layer and linearly, and so are the sample's whitened principal components: what is
    linear in the samples need not be learned by convolving, and serves classes that were never
    shown. A fit moves samples along the convolved modes, and embeds them as the mean over moved
    copies; along modes of 16 entries or fewer only where that costs no triplets. See the method's
    page.

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

    Raises
    ------
    TypeError, ValueError
        If a length or a size is no integer, or less than 1; if channels are no multiples of 8,
        or modes cannot be convolved.

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
        n_channels = check_sizes(n_channels, "n_channels")
        n_hidden, n_axes = check_size(n_hidden, "n_hidden"), check_size(n_axes, "n_axes")
        super().__init__(
            sample_shape, n_components, n_channels=n_channels, n_hidden=n_hidden, n_axes=n_axes
        )
        self.convolved_modes = modes_to_convolve(self.sample_shape, convolved_modes)
        self.sizes["convolved_modes"] = self.convolved_modes
        if any(width % _GROUPS for width in n_channels):
            raise ValueError(f"n_channels must be multiples of {_GROUPS}, got {n_channels!r}.")
        self.blocks, n_features = self._make_blocks(n_channels)
        n_entries = prod(self.sample_shape)
        n_axes = min(n_axes, n_entries)
        self.whitening = Whitening(n_entries, n_axes)
        self.projection = empty(nn.Linear, n_axes, self.n_components, bias=False)
        self.skip = empty(nn.Linear, n_features, self.n_components, bias=False)
        self.layers = nn.Sequential(
            *hidden_layer(n_features, n_hidden), empty(nn.Linear, n_hidden, self.n_components)
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

    @property
    def channel_modes(self) -> tuple[int, ...]:
        """The other modes: bands of light, sensors."""
        order = range(len(self.sample_shape))
        return tuple(mode for mode in order if mode not in self.convolved_modes)

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


def modes_to_convolve(
    sample_shape: Sequence[int], asked_for: Sequence[int] | None = None
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
