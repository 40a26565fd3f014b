"""What surrounds an encoder: standardised samples in, points on the unit sphere out."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tensorly_norank._imputation import Imputer
from tensorly_norank.encoders import Encoder

Moves = tuple[tuple[int, int], ...]

_ROUNDING = 8.0  # units in the last place of a channel's largest entry
_AT_ONCE = 256  # samples embedded together: memory stays bounded, and rows do not depend on it


class Embedder(nn.Module):
    """Fill in what is missing (NaN), standardise, encode, place on the unit sphere.

    Samples are centred by the mean sample and divided by one number, the root mean square of what
    is left: the contrast between entries, which an image or a panel of assays owes its meaning to,
    stays. Of an encoder with channels each one is divided by a number of its own, or a strong band
    of light would drown a weak one. An embedding of one dimension has no sphere to lie on; there x
    becomes x / √(1 + x²).

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
    moves : tuple of (int, int), optional
        By how many places along which mode of a sample those copies are moved, there and back,
        over which `embed` takes the mean; by default as training moves them.
    fewest_places : int
        Of moves in training, along modes that are too short for a share of them.
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
        moves: Moves | None = None,
        fewest_places: int = 1,
    ) -> None:
        super().__init__()
        self.fewest_places = fewest_places
        self.encoder = encoder.to(samples)
        self.keeps_distances = keeps_distances
        self.imputer = imputer
        samples = self.fill(samples)
        mean, scale = _mean_and_scale(samples)
        channels = encoder.channel_modes if isinstance(encoder, Encoder) else ()
        if channels and not keeps_distances:
            scale = _scale_of_channels(samples, mean, scale, channels)
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.moves = self.augmentation.moves(samples.shape[1:]) if moves is None else moves

    @property
    def augmentation(self) -> Augmentation:
        """How training varies samples: as our encoders ask for; not at all for a module."""
        if not isinstance(self.encoder, Encoder):
            return Augmentation(noise=0.0, transfer=0.0)
        if self.keeps_distances:
            return Augmentation(noise=0.0)
        return Augmentation(
            self.encoder.noise,
            fewest=self.fewest_places,
            shifted_modes=self.encoder.shifted_modes,
            mean=self.mean / self.scale,
        )

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

    def snapshot(self) -> Embedder:
        """A copy as it is now, which borrows no generator."""
        twin = copy.deepcopy(self)
        if isinstance(twin.encoder, Encoder):
            twin.encoder.draw_from(None)
        return twin

    def embed(self, samples: Tensor, *, moved: bool = True) -> Tensor:
        """Points of many samples, in evaluation mode and without gradient.

        Where training moves samples, the mean over copies that are moved: what a sample is does not
        hang on the place where it was cut out, and the mean hangs on it less than any one copy.
        Such points lie within the sphere, the deeper the less the copies agree.
        """
        self.eval()
        moves = self.moves if moved else ()
        with torch.no_grad():
            return torch.cat([self._mean_point(rows, moves) for rows in samples.split(_AT_ONCE)])

    def _mean_point(self, samples: Tensor, moves: Moves) -> Tensor:
        samples = self.fill(samples)
        points = self.encode(self.scaled(samples))
        for mode, step in moves:
            for one in (-step, step):
                points = points + self.encode(self.scaled(move(samples, mode + 1, one)))
        return points / (1 + 2 * len(moves))


def centred_and_scaled(samples: Tensor) -> Tensor:
    """Samples without holes, all in units of their overall deviation from the mean sample."""
    mean, scale = _mean_and_scale(samples)
    return (samples - mean) / scale


def _mean_and_scale(samples: Tensor) -> tuple[Tensor, Tensor]:
    """The mean sample, and the root mean square of what is left.

    Infinity, if that is no more than rounding: samples that are all alike become 0, and not noise.
    """
    unit = _unit(samples)
    mean = (samples / unit).mean(dim=0) * unit
    centred = samples - mean
    scale = (centred / unit).square().mean().sqrt() * unit
    by_rounding = _ROUNDING * torch.finfo(samples.dtype).eps * samples.abs().amax(dim=0)
    varies = (centred.abs().amax(dim=0) > by_rounding).any() & (scale > 0)
    return mean, torch.where(varies, scale, torch.inf)


def _scale_of_channels(
    samples: Tensor, mean: Tensor, scale: Tensor, channel_modes: Sequence[int]
) -> Tensor:
    """The root mean square for each channel, to be broadcast over a sample.

    A channel that varies no more than by rounding keeps the `scale` of all: it is not blown up.
    """
    dims = [dim for dim in range(samples.ndim) if dim - 1 not in channel_modes]
    unit = _unit(samples, dims)
    share = ((samples - mean) / unit).square().mean(dims, keepdim=True).sqrt()
    varies = share > _ROUNDING * torch.finfo(samples.dtype).eps
    return torch.where(varies, share * unit, scale).squeeze(0)


def _unit(samples: Tensor, dims: Sequence[int] = ()) -> Tensor:
    """The largest magnitude, of all or along dimensions that are kept; 1 where all is zero.

    In such units squares neither overflow nor vanish.
    """
    largest = samples.abs().amax(tuple(dims), keepdim=bool(dims))
    return torch.where(largest > 0, largest, torch.ones_like(largest))


@dataclass(frozen=True)
class Augmentation:
    """How training samples are varied, so that what does not make a class is not learned.

    noise : standard deviation of white noise, in units of the standardised samples.
    transfer : how much of the difference between two samples that are alike is added to any other:
        variation within classes is shared between them. Uniform from 0 to this.
    shift : samples are moved along each of `shifted_modes` by at most this share of its length, or
        so many places where these are more:
    fewest : 1, but 0 where such a move costs triplets, and in the fits that encoders are chosen by,
        which have too few passes to learn from it.
    mean : the mean sample, which standardised ones lack and which moves with them: a face that was
        cut out elsewhere, and not another one on a mean face that stays.
    """

    noise: float
    transfer: float = 0.5
    shift: float = 0.06
    fewest: int = 1
    shifted_modes: Sequence[int] = ()
    mean: Tensor | float = 0.0

    def __call__(self, samples: Tensor, differences: Tensor, generator: torch.Generator) -> Tensor:
        """Vary a standardised batch, with a difference for each sample; a copy."""
        share = self.transfer * torch.rand(
            len(samples), dtype=samples.dtype, device=samples.device, generator=generator
        )
        varied = samples + share.view(-1, *[1] * (samples.ndim - 1)) * differences
        if self.shifted_modes:
            varied = varied + self.mean
            for mode in self.shifted_modes:
                varied = self._shift(varied, mode + 1, generator)
            varied = varied - self.mean
        noise = torch.empty_like(samples).normal_(generator=generator)
        return varied + self.noise * noise

    def moves(self, sample_shape: Sequence[int]) -> Moves:
        """The moves there and back, one mode at a time, that spread as those of training do.

        But no farther than the largest of these, where several modes are moved.
        """
        largest = {mode: self._most_places(sample_shape[mode]) for mode in self.shifted_modes}
        largest = {mode: most for mode, most in largest.items() if most}
        n_copies = 1 + 2 * len(largest)
        # A uniform step from −m to m has the variance m (m + 1) / 3; of the copies two are moved.
        return tuple(
            (mode, min(most, round(math.sqrt(n_copies / 2 * most * (most + 1) / 3))))
            for mode, most in largest.items()
        )

    def _most_places(self, length: int) -> int:
        return max(self.fewest, int(self.shift * length)) if self.shift else 0

    def _shift(self, samples: Tensor, dim: int, generator: torch.Generator) -> Tensor:
        """Move each sample along one dimension."""
        most = self._most_places(samples.shape[dim])
        if most == 0:
            return samples
        size = (len(samples), 1)
        steps = torch.randint(-most, most + 1, size, generator=generator, device=samples.device)
        return move(samples, dim, steps)


def modes_moved_by_one_place(encoder: nn.Module, sample_shape: Sequence[int]) -> tuple[int, ...]:
    """Modes of samples along which it asks for moves, and which are too short for a share."""
    modes = encoder.shifted_modes if isinstance(encoder, Encoder) else ()
    with_them, without = (
        dict(Augmentation(noise=0.0, fewest=fewest, shifted_modes=modes).moves(sample_shape))
        for fewest in (1, 0)
    )
    return tuple(mode for mode in with_them if mode not in without)


def move(samples: Tensor, dim: int, steps: Tensor | int) -> Tensor:
    """Samples moved along one dimension by one step or by one each (n, 1), repeating their edge."""
    length = samples.shape[dim]
    places = (torch.arange(length, device=samples.device) + steps).clamp(0, length - 1)
    shape = [len(places) if places.ndim == 2 else 1, *[1] * (samples.ndim - 1)]
    shape[dim] = length
    return samples.gather(dim, places.view(shape).expand_as(samples))
