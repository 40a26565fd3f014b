"""Layers that the encoders are built from.

Sizes alone build them; `draw` and `initialize` give them their starting values.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

PCA_SAMPLES = 4096  # principal axes of so many samples are those of all of them, for our purpose
_SMALL = 0.1  # times torch's own starting values


def empty(layer: type[nn.Module], *args: object, **kwargs: object) -> nn.Module:
    """A layer without its starting values, which torch would draw from the global generator."""
    # On "meta" while a context says so, where nothing but shapes is wanted.
    return nn.utils.skip_init(layer, *args, device=torch.get_default_device(), **kwargs)


def draw(module: nn.Module, generator: torch.Generator | None) -> None:
    """Start every layer below `module`: weights as torch would, biases at zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_uniform_(layer.weight, a=5**0.5, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.GroupNorm | nn.LayerNorm):
            layer.reset_parameters()


def start_small(*layers: nn.Module) -> None:
    """Let training begin near the linear map of the principal components beside these layers."""
    for layer in layers:
        layer.get_parameter("weight").data.mul_(_SMALL)


def random_rows(samples: Tensor, n_rows: int, generator: torch.Generator | None) -> Tensor:
    """So many different samples, or all of them where they are no more."""
    if len(samples) <= n_rows:
        return samples
    return samples[
        torch.randperm(len(samples), generator=generator, device=samples.device)[:n_rows]
    ]


def principal_axes(matrix: Tensor, n_axes: int) -> tuple[Tensor, Tensor]:
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


class Dropout(nn.Module):
    """Dropout that draws from a generator of ours while one is lent to it."""

    generator: torch.Generator | None = None

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """In training some values are 0, and the others larger by as much."""
        if not self.training:
            return values
        kept = torch.empty_like(values).bernoulli_(1 - self.share, generator=self.generator)
        return values * kept / (1 - self.share)


def hidden_layer(n_inputs: int, n_outputs: int) -> list[nn.Module]:
    """Half of its units are dropped at random in each training step."""
    linear = empty(nn.Linear, n_inputs, n_outputs)
    return [linear, nn.LayerNorm(n_outputs), nn.ReLU(), Dropout(0.5)]


class Whitening(nn.Module):
    """Principal components over damped standard deviations: (batch, ...) -> (batch, n_axes)."""

    damping = 1.0  # times the mean variance, added first: noise is not blown up to signal

    axes: Tensor
    scales: Tensor

    def __init__(self, n_features: int, n_axes: int) -> None:
        super().__init__()
        self.register_buffer("axes", torch.zeros(n_axes, n_features))
        self.register_buffer("scales", torch.ones(n_axes))

    def initialize(self, samples: Tensor, generator: torch.Generator | None) -> None:
        """Find the axes of standardised samples (n, ...), of some if they are many."""
        rows = random_rows(samples, PCA_SAMPLES, generator).flatten(1)
        axes, variances = principal_axes(rows, len(self.scales))
        damped = variances + self.damping * variances.mean()
        # With fewer samples than axes the last ones stay zero.
        self.axes[: len(axes)] = axes
        self.scales[: len(axes)] = damped.clamp(min=torch.finfo(damped.dtype).tiny).rsqrt()

    def forward(self, samples: Tensor) -> Tensor:
        """Damped scores of samples (batch, ...), (batch, n_axes)."""
        return (samples.flatten(1) @ self.axes.T) * self.scales
