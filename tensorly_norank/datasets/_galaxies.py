"""Simulated images of galaxies of five morphological types."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import tensorly as tl
from scipy import special
from sklearn.utils import Bunch

from tensorly_norank._progress import follow
from tensorly_norank._validation import (
    check_choice,
    check_number,
    check_random_state,
    check_range,
)
from tensorly_norank.datasets import _galaxy_light as light
from tensorly_norank.datasets._bunch import SIMULATED, allocate, check_drawing, make_bunch
from tensorly_norank.datasets._galaxy_types import (
    BULGE_THICKNESS,
    CLASS_NAMES,
    DIFFICULTIES,
    DRAWN_AS,
    Conditions,
    Galaxy,
    Range,
)
from tensorly_norank.datasets._published import check_left_alone, published_galaxies

# The imaging survey: r band of the Sloan Digital Sky Survey, roughly.
_ZERO_POINT = 29.76  # magnitude that gives one electron in the exposure of 54 s
_READ_NOISE = 5.0  # electrons
_FINEST_SPACING = 0.15  # seconds of arc between the points that the light is computed at

_ARMS_END = 3.5  # clumps lie within so many scale lengths
_EFFECTIVE_RADIUS = 1.6783  # of an exponential disc, in scale lengths

_LIMITS: dict[str, dict[str, Any]] = {
    "magnitude": {"low": 5, "high": 30},
    "radius": {"low": 1, "high": 1000},  # clumps and bars of smaller ones slip through the grid
    "inclination": {"low": 0, "high": 90},
    "centre_offset": {"low": 0, "high": 1000},
    "psf_fwhm": {"low": 0.1, "high": 20},
    "sky_brightness": {"low": 10, "high": 40},
}


def simulate_galaxies(
    n_samples: int = 200,
    image_size: int = 64,
    difficulty: str = "medium",
    *,
    magnitude: Range | None = None,
    radius: Range | None = None,
    inclination: Range | None = None,
    centre_offset: Range | None = None,
    psf_fwhm: Range | None = None,
    sky_brightness: Range | None = None,
    field_of_view: float = 25.6,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
    verbose: bool = False,
) -> Bunch:
    r"""Simulate images of galaxies: elliptical, lenticular, spiral, barred spiral, irregular.

    The types are modelled as the field models them: Sérsic spheroids [1]_, exponential discs [2]_,
    logarithmic spiral arms, Ferrers bars, and clumps of young stars. What does not make a type
    varies from image to image: position angle, inclination, size, centre, flux, the blurring by the
    atmosphere, the brightness of the sky, and the noise of photons and detector.

    Parameters
    ----------
    n_samples : int, default 200
        Number of images. The types take turns, so classes differ by one image at most.
    image_size : int, default 64
        Pixels along each side, 8 or more.
    difficulty : {"easy", "medium", "hard", "paper"}, default "medium"
        How much the nuisances vary, see Notes. "paper": the four templates of the simulation that
        was published with the method [3]_, plus Gaussian noise of 0.05. Neighbours in raw pixels
        tell these apart: a check, not a benchmark. With it all keywords below but `random_state`
        and `verbose` must be left alone.
    magnitude : (float, float), optional
        Smallest and largest apparent magnitude, in the r band, from 5 to 30. This range and the
        next ones replace those that the difficulty stands for; two equal numbers fix a quantity.
    radius : (float, float), optional
        Effective radius of the spheroid of an elliptical, or of the disc of another galaxy (1.68
        scale lengths), in seconds of arc, from 1 to 1,000: half of that component's light lies
        within.
    inclination : (float, float), optional
        Between the line of sight and the axis of the disc, from 0 (face-on) to 90 (edge-on)
        degrees; its cosine is drawn uniformly.
    centre_offset : (float, float), optional
        Distance of the galaxy from the centre of the image, in seconds of arc, at most half of
        `field_of_view` (the difficulty's range ends there).
    psf_fwhm : (float, float), optional
        Full width at half maximum of the point-spread function, in seconds of arc, from 0.1 to 20.
    sky_brightness : (float, float), optional
        In magnitudes per square second of arc, from 10 to 40: a smaller number is a brighter,
        noisier sky.
    field_of_view : float, default 25.6
        Side of the image in seconds of arc (0.4 a pixel at the default size; 0.01 to 4 are
        allowed).
    random_state : int, RandomState or Generator, optional
        Fixes every random choice. The first images do not depend on `n_samples`.
    verbose : bool, default False
        Show how many images are done: a progress bar on a terminal (with tqdm), else lines.

    Returns
    -------
    Bunch
        tensor : tensor of shape (n_samples, image_size, image_size)
            Electrons collected in each pixel, less those of the sky; float32, in TensorLy's active
            backend. The centre of a galaxy is a hundred times as bright as its rim: to look at it,
            astronomers draw ``arcsinh(tensor / s)`` with s about the noise of the sky.
        noiseless : tensor of the same shape
            The electrons expected in each pixel, less those of the sky.
        labels : ndarray of shape (n_samples,)
            Integers that index `class_names`.
        class_names : ndarray of 5 str
            Elliptical, lenticular, spiral, barred spiral, irregular. With "paper" four in another
            order: a label means another class there.
        parameters : dict of str to ndarray of shape (n_samples,)
            The true parameters, see :class:`Galaxy`.
        dims, ticks, DESCR, reference, licence
            As in TensorLy's data sets; the ticks of the pixels are in seconds of arc.

        With "paper", `noiseless` are the templates, before noise is added and the sum is cut to
        [0, 1]; there are four classes and no `parameters`; ticks run from −1 to 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above; if another keyword is given together with "paper".
    MemoryError
        If the images do not fit into memory.

    Notes
    -----
    The camera is that of the Sloan Digital Sky Survey in the r band, roughly: an exposure of 54 s,
    in which magnitude 29.76 gives one electron, so that magnitude m gives
    :math:`10^{0.4 (29.76 - m)}`, some 800 000 at magnitude 15; a point-spread function of Moffat's
    form with exponent 4.765; Poisson noise of galaxy and sky; read noise of 5 electrons (standard
    deviation) in each pixel.

    Ranges that are drawn from:

    ========================== ============ ============ ============
    \                          easy         medium       hard
    ========================== ============ ============ ============
    magnitude                  14.5 to 15.5 14.5 to 16.5 15.5 to 17.5
    radius (arcsec)            3.5 to 5     2.5 to 5     2 to 5
    inclination (degrees)      0 to 35      0 to 55      0 to 70
    centre_offset (arcsec)     0 to 0.4     0 to 1.2     0 to 2.5
    psf_fwhm (arcsec)          0.8 to 1     0.9 to 1.4   1 to 1.8
    sky_brightness             21 to 21.5   20.5 to 21.5 20 to 21.5
    contrast of the arms       0.8 to 0.95  0.6 to 0.9   0.4 to 0.8
    share of light in the bar  0.25 to 0.35 0.2 to 0.35  0.1 to 0.3
    ========================== ============ ============ ============

    An elliptical is one Sérsic profile of index 2.5 to 5.5; a lenticular a disc with a bulge of
    index 2 to 4 that holds 30 to 60 % of the light; spirals have a bulge of index 1 to 2 with 5 to
    25 %, two to four arms, and 3 to 10 % of their light in clumps along these; barred spirals half
    as large a bulge and two arms that start at the ends of the bar; irregulars a lopsided disc
    without a bulge and 25 to 50 % of their light in clumps.

    References
    ----------
    .. [1] A. W. Graham and S. P. Driver, "A concise reference to (projected) Sérsic R^(1/n)
       quantities", Publications of the Astronomical Society of Australia 22, 118-127 (2005).
    .. [2] K. C. Freeman, "On the disks of spiral and S0 galaxies", Astrophysical Journal 160, 811
       (1970).
    .. [3] M. Bagherian, "No-rank tensor decomposition via metric learning", Scientific Reports 16,
       8326 (2026).

    Examples
    --------
    >>> import tensorly as tl
    >>> from tensorly_norank.datasets import simulate_galaxies
    >>> galaxies = simulate_galaxies(5, image_size=32, random_state=0)
    >>> tl.shape(galaxies.tensor)
    (5, 32, 32)
    >>> galaxies.class_names[galaxies.labels[3]]
    np.str_('barred spiral')
    >>> [bool(fraction > 0) for fraction in galaxies.parameters["bar_fraction"]]
    [False, False, False, True, False]
    """
    check_drawing(n_samples, verbose)
    check_number(image_size, "image_size", integer=True, low=8)
    check_choice(difficulty, "difficulty", [*DIFFICULTIES, "paper"])
    rng = check_random_state(random_state)
    values = (magnitude, radius, inclination, centre_offset, psf_fwhm, sky_brightness)
    ranges = dict(zip(_LIMITS, values, strict=True))
    if difficulty == "paper":
        check_left_alone(simulate_galaxies, {**ranges, "field_of_view": field_of_view})
        return published_galaxies(n_samples, image_size, rng, verbose)
    # A pixel of 0.01 to 4 seconds of arc: the grid that the light is computed on stays small.
    check_number(field_of_view, "field_of_view", low=0.01 * image_size, high=4 * image_size)
    conditions = _conditions(difficulty, ranges)
    # Farther out, the centre would not be in the image.
    if centre_offset is None:
        low, high = np.minimum(conditions.centre_offset, field_of_view / 2).tolist()
        conditions = replace(conditions, centre_offset=(low, high))
    check_range(conditions.centre_offset, "centre_offset", high=field_of_view / 2)
    expected, observed = allocate(2, n_samples, image_size, image_size)
    labels = np.arange(n_samples) % len(CLASS_NAMES)
    scale = field_of_view / image_size
    grid = light.Grid(image_size, scale, int(np.ceil(scale / _FINEST_SPACING)))
    galaxies = []
    for k, stream in enumerate(follow(rng.spawn(n_samples), "simulate", "galaxy", verbose)):
        galaxies.append(DRAWN_AS[CLASS_NAMES[labels[k]]](conditions, stream))
        electrons = _expected_electrons(galaxies[k], stream, grid)
        expected[k] = electrons
        observed[k] = _observe(electrons, galaxies[k], stream, scale)
    axis = (np.arange(image_size) - (image_size - 1) / 2) * scale
    return _bunch(observed, expected, labels, galaxies, axis)


def _conditions(difficulty: str, ranges: dict[str, Any]) -> Conditions:
    """Those of a difficulty, with the caller's own ranges in their places."""
    checked = {
        name: check_range(value, name, **_LIMITS[name])
        for name, value in ranges.items()
        if value is not None
    }
    return replace(DIFFICULTIES[difficulty], **checked)


def _bunch(
    observed: np.ndarray,
    expected: np.ndarray,
    labels: np.ndarray,
    galaxies: list[Galaxy],
    axis: np.ndarray,
) -> Bunch:
    return make_bunch(
        observed,
        labels,
        CLASS_NAMES,
        dims=["galaxy", "row", "column"],
        ticks=[axis, axis],
        descr=(
            f"{len(observed)} simulated images of galaxies of {len(CLASS_NAMES)} morphological "
            "types (tensorly_norank.datasets.simulate_galaxies)."
        ),
        reference=[
            "A. W. Graham and S. P. Driver (2005). A concise reference to (projected) Sérsic "
            "R^(1/n) quantities. PASA 22, 118-127.",
            "K. C. Freeman (1970). On the disks of spiral and S0 galaxies. ApJ 160, 811.",
        ],
        licence=SIMULATED,
        noiseless=tl.tensor(expected),
        parameters={
            field.name: np.array([getattr(galaxy, field.name) for galaxy in galaxies])
            for field in fields(Galaxy)
        },
    )


# From parameters to an image.


def _expected_electrons(galaxy: Galaxy, rng: np.random.Generator, grid: light.Grid) -> np.ndarray:
    """Electrons expected from the galaxy in each pixel; where its clumps are is drawn."""
    inclination = np.deg2rad(galaxy.inclination)
    place = light.Projection(
        galaxy.x,
        galaxy.y,
        np.deg2rad(galaxy.position_angle),
        light.apparent_axis_ratio(inclination, galaxy.thickness),
    )
    brightness = np.zeros((len(grid.axis),) * 2)
    if galaxy.bulge_fraction:
        brightness += galaxy.bulge_fraction * _bulge(galaxy, grid, place)
    disc_fraction = 1 - galaxy.bulge_fraction - galaxy.bar_fraction - galaxy.clump_fraction
    if disc_fraction > 0:
        brightness += disc_fraction * _disc(galaxy, grid, place)
    if galaxy.bar_fraction:
        along, across = place.to_plane(grid.axis[None, :], grid.axis[:, None])
        bar = light.bar_density(along, across, galaxy.bar_length, galaxy.bar_axis_ratio)
        brightness += galaxy.bar_fraction * bar / place.axis_ratio
    if galaxy.n_clumps:
        brightness += galaxy.clump_fraction * _clumps(galaxy, grid, place, rng)
    electrons = _electrons(galaxy.magnitude) * light.blur(brightness, grid, galaxy.psf_fwhm)
    return grid.to_pixels(electrons)


def _electrons(magnitude: float) -> float:
    return 10 ** (0.4 * (_ZERO_POINT - magnitude))


def _bulge(galaxy: Galaxy, grid: light.Grid, place: light.Projection) -> np.ndarray:
    """A spheroid around the centre; rounder than the disc, where there is one."""
    thickness = max(galaxy.thickness, BULGE_THICKNESS if galaxy.bulge_fraction < 1 else 0)
    ratio = light.apparent_axis_ratio(np.deg2rad(galaxy.inclination), thickness)
    # The radius of a spheroid on the sky is that of the circle with the same area.
    radius = galaxy.bulge_radius / np.sqrt(ratio)
    return light.cusped_brightness(
        lambda radii: light.sersic_density(radii, radius, galaxy.sersic_index),
        grid,
        replace(place, axis_ratio=ratio),
    )


def _scale_length(galaxy: Galaxy) -> float:
    return galaxy.effective_radius / _EFFECTIVE_RADIUS


def _arms(galaxy: Galaxy) -> light.Arms:
    """They start at the ends of the bar, or half a scale length from the centre."""
    return light.Arms(
        galaxy.n_arms,
        np.deg2rad(galaxy.pitch_angle),
        galaxy.arm_contrast,
        galaxy.winding,
        np.deg2rad(galaxy.arm_phase),
        galaxy.bar_length or 0.5 * _scale_length(galaxy),
    )


def _disc(galaxy: Galaxy, grid: light.Grid, place: light.Projection) -> np.ndarray:
    along, across = place.to_plane(grid.axis[None, :], grid.axis[:, None])
    radii, azimuths = np.hypot(along, across), np.arctan2(across, along)
    density = light.exponential_density(radii, _scale_length(galaxy))
    if galaxy.n_arms:
        density *= _arms(galaxy).modulation(radii, azimuths)
    if galaxy.lopsidedness:
        # Nothing at the centre, so that the disc stays smooth there.
        grown = 1 - np.exp(-radii / _scale_length(galaxy))
        side = np.cos(azimuths - np.deg2rad(galaxy.arm_phase))
        density *= 1 + galaxy.lopsidedness * grown * side
    return density / place.axis_ratio


def _clumps(
    galaxy: Galaxy, grid: light.Grid, place: light.Projection, rng: np.random.Generator
) -> np.ndarray:
    """Along the arms where there are arms, else anywhere in the disc; brighter and fainter ones."""
    scale = _scale_length(galaxy)
    inner = _arms(galaxy).inner_radius if galaxy.n_arms else 0.0
    # Radii as light is distributed in an exponential disc, between the inner radius and the end.
    low, high = special.gammainc(2, [inner / scale, _ARMS_END])
    radii = scale * special.gammaincinv(2, rng.uniform(low, high, galaxy.n_clumps))
    azimuths = rng.uniform(0, 2 * np.pi, galaxy.n_clumps)
    if galaxy.n_arms:
        which = 2 * np.pi * rng.integers(galaxy.n_arms, size=galaxy.n_clumps) / galaxy.n_arms
        azimuths = _arms(galaxy).ridge(radii) + which + rng.normal(0, 0.15, galaxy.n_clumps)
    x, y = place.to_sky(radii * np.cos(azimuths), radii * np.sin(azimuths))
    widths = scale * rng.uniform(0.08, 0.25, galaxy.n_clumps)
    shares = rng.lognormal(0, 0.5, galaxy.n_clumps)
    return light.clump_brightness(grid, x, y, widths, shares / shares.sum())


def _observe(
    electrons: np.ndarray, galaxy: Galaxy, rng: np.random.Generator, pixel_scale: float
) -> np.ndarray:
    """Photons of galaxy and sky, the detector's noise, and the mean sky taken off again."""
    sky = _electrons(galaxy.sky_brightness) * pixel_scale**2
    return rng.poisson(electrons + sky) + rng.normal(0, _READ_NOISE, electrons.shape) - sky
