"""What encoders have in common."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from tensorly_norank._layers import Dropout, Whitening, draw, start_small
from tensorly_norank._validation import check_size, check_sizes


class Encoder(nn.Module):
    """What the built-in encoders share.

    Parameters
    ----------
    sample_shape : sequence of int
        Shape of one sample.
    n_components : int
        Dimension of the embedding.
    **sizes
        The other arguments of the encoder, with which it can be built again.

    Raises
    ------
    TypeError, ValueError
        If a length or the dimension is no integer, or less than 1.
    """

    def __init__(self, sample_shape: Sequence[int], n_components: int, **sizes: Any) -> None:
        super().__init__()
        self.sample_shape = check_sizes(sample_shape, "sample_shape")
        self.n_components = check_size(n_components, "n_components")
        self.sizes = sizes
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

    @property
    def channel_modes(self) -> tuple[int, ...]:
        """Sample modes of different quantities, each of which is standardised by itself."""
        return ()

    def draw_from(self, generator: torch.Generator | None) -> None:
        """Lend a generator to all layers that draw random numbers, or take it back."""
        for layer in self.modules():
            if isinstance(layer, Dropout):
                layer.generator = generator

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return f"sample_shape={self.sample_shape}, n_components={self.n_components}"
