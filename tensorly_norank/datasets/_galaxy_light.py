"""The light of a galaxy: profiles of unit flux in its own plane, and their image on the sky.

Lengths are in seconds of arc, angles in radians. A density integrates to 1 over its plane; divided
by the apparent axis ratio it is a surface brightness on the sky with the same total.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import signal, special

_ARM_SHARPNESS = 2.0  # κ of the von Mises profile of light across an arm
_ARMS_BEGIN = 0.3  # over this share of their inner radius arms fade in
_MOFFAT_EXPONENT = 4.765  # of atmospheric turbulence (Trujillo et al. 2001)
_PSF_REACH = 4.0  # the point-spread function ends here, in units of its full width at half maximum
_CORE, _FINER = 2, 10  # grid points around a cusp that are averaged, and over how fine a grid


def sersic_density(radii: np.ndarray, effective_radius: float, index: float) -> np.ndarray:
    """Sérsic profile, half of its light within the effective radius; index 1 is exponential."""
    b = special.gammaincinv(2 * index, 0.5)
    area = 2 * np.pi * index * effective_radius**2 * b ** (-2 * index) * special.gamma(2 * index)
    return np.exp(-b * (radii / effective_radius) ** (1 / index)) / area


def exponential_density(radii: np.ndarray, scale_length: float) -> np.ndarray:
    """Exponential disc."""
    return np.exp(-radii / scale_length) / (2 * np.pi * scale_length**2)


def bar_density(along: np.ndarray, across: np.ndarray, length: float, ratio: float) -> np.ndarray:
    """Ferrers bar, (1 − u²)² within the ellipse u = 1 of semi-axes `length`, `ratio · length`."""
    u_squared = (along**2 + (across / ratio) ** 2) / length**2
    return np.clip(1 - u_squared, 0, None) ** 2 * 3 / (np.pi * ratio * length**2)


@dataclass(frozen=True)
class Arms:
    """Logarithmic spiral arms: along a ridge the azimuth grows as log R / tan(pitch)."""

    number: int
    pitch: float
    contrast: float  # how much of the disc's light follows the profile of the arms
    winding: int  # 1 or −1
    phase: float
    inner_radius: float

    def ridge(self, radii: np.ndarray) -> np.ndarray:
        """Azimuth of one arm's ridge at these radii; the others follow at equal angles."""
        return self.phase + self.winding * np.log(radii / self.inner_radius) / np.tan(self.pitch)

    def modulation(self, radii: np.ndarray, azimuths: np.ndarray) -> np.ndarray:
        """What the disc is multiplied with: 1 on average over every circle."""
        radii = np.maximum(radii, 1e-9 * self.inner_radius)
        across = np.cos(self.number * (azimuths - self.ridge(radii)))
        profile = np.exp(_ARM_SHARPNESS * across) / special.i0(_ARM_SHARPNESS)
        rise = np.clip((radii / self.inner_radius - 1) / _ARMS_BEGIN + 0.5, 0, 1)
        return 1 + self.contrast * rise * (profile - 1)


@dataclass(frozen=True)
class Grid:
    """Points on the sky, finer than the pixels, and what they look like from the galaxy's plane."""

    n_pixels: int
    pixel_scale: float
    oversampling: int

    @property
    def spacing(self) -> float:
        """Distance of neighbouring points."""
        return self.pixel_scale / self.oversampling

    @property
    def axis(self) -> np.ndarray:
        """Coordinates of the points along a row or column, 0 at the centre of the image."""
        n_points = self.n_pixels * self.oversampling
        return (np.arange(n_points) - (n_points - 1) / 2) * self.spacing

    def to_pixels(self, brightness: np.ndarray) -> np.ndarray:
        """Light within each pixel, from the brightness at the points."""
        shape = (self.n_pixels, self.oversampling) * 2
        return brightness.reshape(shape).sum(axis=(1, 3)) * self.spacing**2


@dataclass(frozen=True)
class Projection:
    """Where the galaxy's plane lies on the sky."""

    x: float
    y: float
    position_angle: float
    axis_ratio: float

    def to_plane(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates along the major axis and, stretched to face-on, the minor axis."""
        cosine, sine = np.cos(self.position_angle), np.sin(self.position_angle)
        x, y = x - self.x, y - self.y
        return cosine * x + sine * y, (cosine * y - sine * x) / self.axis_ratio

    def to_sky(self, along: np.ndarray, across: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The inverse of `to_plane`."""
        cosine, sine = np.cos(self.position_angle), np.sin(self.position_angle)
        across = across * self.axis_ratio
        return cosine * along - sine * across + self.x, sine * along + cosine * across + self.y


def apparent_axis_ratio(inclination: float, thickness: float) -> float:
    """Of an oblate spheroid with intrinsic axis ratio `thickness` (Hubble 1926)."""
    cosine_squared = np.cos(inclination) ** 2
    return float(np.sqrt(thickness**2 + (1 - thickness**2) * cosine_squared))


def cusped_brightness(
    density: Callable[[np.ndarray], np.ndarray], grid: Grid, projection: Projection
) -> np.ndarray:
    """Brightness of a density of radius that may peak sharply at the centre, averaged there.

    At the centre of a Sérsic profile of index 4 one point of the grid stands for light that varies
    a hundredfold within its cell: the cells around it are averaged over a finer grid.
    """

    def brightness(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return density(np.hypot(*projection.to_plane(x, y))) / projection.axis_ratio

    axis = grid.axis
    image = brightness(axis[None, :], axis[:, None])
    row, column = (int(np.argmin(np.abs(axis - at))) for at in (projection.y, projection.x))
    inside = [slice(max(k - _CORE, 0), min(k + _CORE + 1, len(axis))) for k in (row, column)]
    steps = ((np.arange(_FINER) + 0.5) / _FINER - 0.5) * grid.spacing
    fine_y, fine_x = ((axis[part][:, None] + steps).ravel() for part in inside)
    fine = brightness(fine_x[None, :], fine_y[:, None])
    blocks = fine.reshape(len(fine_y) // _FINER, _FINER, len(fine_x) // _FINER, _FINER)
    image[inside[0], inside[1]] = blocks.mean(axis=(1, 3))
    return image


def clump_brightness(
    grid: Grid, x: np.ndarray, y: np.ndarray, widths: np.ndarray, shares: np.ndarray
) -> np.ndarray:
    """Round Gaussian clumps on the sky, `shares` of the light in each."""
    along_x, along_y = (
        np.exp(-((grid.axis - at[:, None]) ** 2) / (2 * widths[:, None] ** 2)) for at in (x, y)
    )
    return (shares / (2 * np.pi * widths**2) * along_y.T) @ along_x


def point_spread(grid: Grid, fwhm: float) -> np.ndarray:
    """Moffat point-spread function on the grid, centred, summing to 1."""
    scale = fwhm / (2 * np.sqrt(2 ** (1 / _MOFFAT_EXPONENT) - 1))
    reach = int(np.ceil(_PSF_REACH * fwhm / grid.spacing))
    axis = np.arange(-reach, reach + 1) * grid.spacing
    squared = (axis[:, None] ** 2 + axis**2) / scale**2
    kernel = (1 + squared) ** -_MOFFAT_EXPONENT
    return kernel / kernel.sum()


def blur(brightness: np.ndarray, grid: Grid, fwhm: float) -> np.ndarray:
    """What the atmosphere and the telescope make of it; beyond the edges it goes on as there."""
    kernel = point_spread(grid, fwhm)
    padded = np.pad(brightness, len(kernel) // 2, mode="edge")
    blurred = signal.fftconvolve(padded, kernel, mode="valid")
    return np.clip(blurred, 0, None)  # rounding errors of the transform
