"""Encoders that are linear maps of the samples."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from tensorly_norank._layers import (
    PCA_SAMPLES,
    Whitening,
    draw,
    empty,
    principal_axes,
    random_rows,
)
from tensorly_norank._validation import check_size
from tensorly_norank.encoders._base import Encoder


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

    Raises
    ------
    TypeError, ValueError
        If a length or a size is no integer, or less than 1.

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
        n_axes = check_size(n_axes, "n_axes")
        super().__init__(sample_shape, n_components, n_axes=n_axes)
        n_features = prod(self.sample_shape)
        n_axes = min(n_axes, n_features)
        self.whitening = Whitening(n_features, n_axes)
        self.projection = empty(nn.Linear, n_axes, self.n_components, bias=False)

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

    Raises
    ------
    TypeError, ValueError
        If a length or a size is no integer, or less than 1.

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
        mode_rank = check_size(mode_rank, "mode_rank")
        super().__init__(sample_shape, n_components, mode_rank=mode_rank)
        ranks = [min(mode_rank, length) for length in self.sample_shape]
        self.mode_matrices = nn.ParameterList(
            nn.Parameter(torch.zeros(length, rank))
            for length, rank in zip(self.sample_shape, ranks, strict=True)
        )
        self.whitening = Whitening(prod(ranks), min(128, prod(ranks)))
        self.projection = empty(
            nn.Linear, len(self.whitening.scales), self.n_components, bias=False
        )

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
