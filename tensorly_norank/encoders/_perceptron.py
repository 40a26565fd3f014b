"""An encoder of hidden layers beside a linear map."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from tensorly_norank._layers import Whitening, draw, empty, hidden_layer, start_small
from tensorly_norank._validation import check_size
from tensorly_norank.encoders._base import Encoder


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

    Raises
    ------
    TypeError, ValueError
        If a length or a size is no integer, or less than 1.

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
        n_axes, n_hidden = check_size(n_axes, "n_axes"), check_size(n_hidden, "n_hidden")
        super().__init__(sample_shape, n_components, n_axes=n_axes, n_hidden=n_hidden)
        n_features = prod(self.sample_shape)
        n_axes = min(n_axes, n_features)
        self.whitening = Whitening(n_features, n_axes)
        self.skip = empty(nn.Linear, n_axes, self.n_components, bias=False)
        self.layers = nn.Sequential(
            *hidden_layer(n_axes, n_hidden),
            *hidden_layer(n_hidden, n_hidden),
            empty(nn.Linear, n_hidden, self.n_components),
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
