"""What surrounds an encoder: standardised samples in, points on the unit sphere out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tensorly_norank._imputation import Imputer
from tensorly_norank.encoders import Encoder

_ROWS_AT_ONCE = 256  # samples embedded together: memory stays bounded, and rows do not depend on it


class Embedder(nn.Module):
    """Fill in what is missing (NaN), standardise, encode, place on the unit sphere.

    Samples are centred by the mean sample and divided by one number, the root mean square of what
    is left: the contrast between entries, which an image or a panel of assays owes its meaning to,
    stays. An embedding of one dimension has no sphere to lie on; there x becomes x / √(1 + x²).

    Parameters
    ----------
    encoder : Module
        Maps (batch, *sample_shape) to (batch, D).
    samples : Tensor of shape (n, *sample_shape)
        What mean and scale are taken from.
    keeps_distances : bool
        Whether points stay where the encoder puts them, off the sphere, because their distances
        shall be like those of the samples. Training then varies samples by differences between
        them alone.
    imputer : Imputer, optional
        What fills in missing entries; needed where `samples` have any.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        samples: Tensor,
        *,
        keeps_distances: bool = False,
        imputer: Imputer | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder.to(samples)
        self.keeps_distances = keeps_distances
        self.imputer = imputer
        samples = self.fill(samples)
        # In units of the largest magnitude, whose square neither overflows nor vanishes.
        largest = samples.abs().amax()
        unit = torch.where(largest > 0, largest, torch.ones_like(largest))
        mean = (samples / unit).mean(dim=0) * unit
        scale = ((samples - mean) / unit).square().mean().sqrt() * unit
        self.register_buffer("mean", mean)
        self.register_buffer("scale", torch.where(scale > 0, scale, torch.ones_like(scale)))

    @property
    def augmentation(self) -> Augmentation:
        """How training varies samples: as our encoders ask for; not at all for a module."""
        if not isinstance(self.encoder, Encoder):
            return Augmentation(noise=0.0, transfer=0.0)
        if self.keeps_distances:
            return Augmentation(noise=0.0)
        return Augmentation(self.encoder.noise, shifted_modes=self.encoder.shifted_modes)

    def fill(self, samples: Tensor) -> Tensor:
        """Samples without holes; with the mean sample in them, where none had any in the fit."""
        if self.imputer is not None:
            return self.imputer(samples)
        missing = samples.isnan()
        return torch.where(missing, self.mean, samples) if bool(missing.any()) else samples

    def scaled(self, samples: Tensor) -> Tensor:
        """Samples without holes in units of their overall deviation from the mean sample."""
        return (samples - self.mean) / self.scale

    def standardise(self, samples: Tensor) -> Tensor:
        """Samples filled in, and scaled."""
        return self.scaled(self.fill(samples))

    def encode(self, standardised: Tensor) -> Tensor:
        """Points, on the unit sphere unless distances are kept; differentiable."""
        points = self.encoder(standardised)
        if self.keeps_distances:
            return points
        if points.shape[1] == 1:
            return points / (1 + points**2).sqrt()
        return nn.functional.normalize(points)

    def forward(self, samples: Tensor) -> Tensor:
        """Both steps: (batch, *sample_shape) -> (batch, D)."""
        return self.encode(self.standardise(samples))

    def snapshot(self) -> Embedder:
        """A copy as it is now, which borrows no generator."""
        twin = copy.deepcopy(self)
        if isinstance(twin.encoder, Encoder):
            twin.encoder.draw_from(None)
        return twin

    def embed(self, samples: Tensor) -> Tensor:
        """As `forward`, for many samples, in evaluation mode and without gradient."""
        self.eval()
        with torch.no_grad():
            return torch.cat([self(rows) for rows in samples.split(_ROWS_AT_ONCE)])


@dataclass(frozen=True)
class Augmentation:
    """How training samples are varied, so that what does not make a class is not learned.

    noise : standard deviation of white noise, in units of the standardised samples.
    transfer : how much of the difference between two samples that are alike is added to any other:
        variation within classes is shared between them. Uniform from 0 to this.
    shift : samples are moved along each of `shifted_modes` by at most this share of its length.
    """

    noise: float
    transfer: float = 0.5
    shift: float = 0.06
    shifted_modes: Sequence[int] = ()

    def __call__(self, samples: Tensor, differences: Tensor, generator: torch.Generator) -> Tensor:
        """Vary a standardised batch, with a difference for each sample; a copy."""
        share = self.transfer * torch.rand(
            len(samples), dtype=samples.dtype, device=samples.device, generator=generator
        )
        varied = samples + share.view(-1, *[1] * (samples.ndim - 1)) * differences
        for mode in self.shifted_modes:
            varied = self._shift(varied, mode + 1, generator)
        noise = torch.empty_like(samples).normal_(generator=generator)
        return varied + self.noise * noise

    def _shift(self, samples: Tensor, dim: int, generator: torch.Generator) -> Tensor:
        """Move each sample along one dimension, repeating its edge."""
        length = samples.shape[dim]
        most = int(self.shift * length)
        if most == 0:
            return samples
        steps = torch.randint(
            -most, most + 1, (len(samples), 1), generator=generator, device=samples.device
        )
        places = (torch.arange(length, device=samples.device) + steps).clamp(0, length - 1)
        shape = [len(samples), *[1] * (samples.ndim - 1)]
        shape[dim] = length
        return samples.gather(dim, places.view(shape).expand_as(samples))
