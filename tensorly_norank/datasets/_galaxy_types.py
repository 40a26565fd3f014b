"""Types of galaxies: the parameters of each, and how they are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

CLASS_NAMES = ("elliptical", "lenticular", "spiral", "barred spiral", "irregular")

DISC_THICKNESS, BULGE_THICKNESS = 0.2, 0.65

Range = tuple[float, float]


@dataclass(frozen=True)
class Conditions:
    """Ranges that nuisances, and how clear the structure is, are drawn from."""

    magnitude: Range
    radius: Range  # effective, in seconds of arc
    inclination: Range  # degrees
    centre_offset: Range  # seconds of arc
    psf_fwhm: Range  # seconds of arc
    sky_brightness: Range  # magnitudes per square second of arc
    arm_contrast: Range
    bar_fraction: Range


DIFFICULTIES = {
    "easy": Conditions(
        magnitude=(14.5, 15.5),
        radius=(3.5, 5.0),
        inclination=(0, 35),
        centre_offset=(0, 0.4),
        psf_fwhm=(0.8, 1.0),
        sky_brightness=(21.0, 21.5),
        arm_contrast=(0.8, 0.95),
        bar_fraction=(0.25, 0.35),
    ),
    "medium": Conditions(
        magnitude=(14.5, 16.5),
        radius=(2.5, 5.0),
        inclination=(0, 55),
        centre_offset=(0, 1.2),
        psf_fwhm=(0.9, 1.4),
        sky_brightness=(20.5, 21.5),
        arm_contrast=(0.6, 0.9),
        bar_fraction=(0.2, 0.35),
    ),
    "hard": Conditions(
        magnitude=(15.5, 17.5),
        radius=(2.0, 5.0),
        inclination=(0, 70),
        centre_offset=(0, 2.5),
        psf_fwhm=(1.0, 1.8),
        sky_brightness=(20.0, 21.5),
        arm_contrast=(0.4, 0.8),
        bar_fraction=(0.1, 0.3),
    ),
}


@dataclass(frozen=True)
class Galaxy:
    """The true parameters of one galaxy; what a type does not have is 0.

    Lengths are in seconds of arc, angles in degrees, fractions are shares of the total light.

    Attributes
    ----------
    magnitude : float
        Apparent, in the r band, of the whole galaxy.
    effective_radius : float
        `bulge_radius` of an elliptical. Of another galaxy, the radius in the plane of its disc that
        holds half of an exponential disc's light, 1.678 scale lengths.
    inclination : float
        Between the line of sight and the axis of the galaxy; 0 is face-on.
    thickness : float
        Shortest over longest axis of an elliptical, or of a disc (0.2). The bulge of a disc is a
        spheroid of 0.65.
    position_angle : float
        Of the major axis, from the direction of growing columns (x) towards that of growing rows
        (y), 0 to 180: clockwise where row 0 is drawn at the top. Seen face-on, a disc has its first
        axis there.
    x, y : float
        Of the centre, along columns and rows, from the middle of the image.
    psf_fwhm : float
        Full width at half maximum of the point-spread function.
    sky_brightness : float
        In magnitudes per square second of arc.
    sersic_index : float
        Of the spheroid; without meaning where `bulge_fraction` is 0.
    bulge_fraction : float
        Share of the spheroid: 1 in ellipticals, 0 in irregulars.
    bulge_radius : float
        Half of the spheroid's light lies within an ellipse on the sky that has the area of the
        circle of this radius; without meaning where `bulge_fraction` is 0.
    n_arms : int
        Number of spiral arms.
    arm_contrast : float
        How much of the disc's light follows the profile of the arms, 0 to 1.
    pitch_angle : float
        Between an arm and a circle, in the plane of the disc.
    winding : int
        1 if the azimuth of an arm grows with the radius, −1 if it falls; azimuths are taken in the
        plane of the disc, from the major axis, in the sense of `position_angle`.
    arm_phase : float
        Azimuth at which an arm starts: half a scale length from the centre; at 0, the end of the
        bar, in barred spirals. In irregulars, the azimuth of the brighter side.
    bar_fraction : float
        Share of the bar.
    bar_length : float
        From the centre to an end of the bar, which lies along the major axis.
    bar_axis_ratio : float
        Width of the bar over its length, in the plane of the disc.
    clump_fraction : float
        Share of the clumps.
    n_clumps : int
        Number of clumps.
    lopsidedness : float
        Amplitude, far from the centre, of a variation of the disc's light with the cosine of the
        azimuth from `arm_phase`.
    """

    magnitude: float
    effective_radius: float
    inclination: float
    thickness: float
    position_angle: float
    x: float
    y: float
    psf_fwhm: float
    sky_brightness: float
    sersic_index: float
    bulge_fraction: float
    bulge_radius: float
    n_arms: int = 0
    arm_contrast: float = 0.0
    pitch_angle: float = 0.0
    winding: int = 0
    arm_phase: float = 0.0
    bar_fraction: float = 0.0
    bar_length: float = 0.0
    bar_axis_ratio: float = 0.0
    clump_fraction: float = 0.0
    n_clumps: int = 0
    lopsidedness: float = 0.0


def _nuisances(conditions: Conditions, rng: np.random.Generator) -> dict[str, Any]:
    offset = rng.uniform(*conditions.centre_offset)
    direction = rng.uniform(0, 2 * np.pi)
    cosines = np.cos(np.deg2rad(conditions.inclination))
    return {
        "magnitude": rng.uniform(*conditions.magnitude),
        "effective_radius": rng.uniform(*conditions.radius),
        "inclination": float(np.rad2deg(np.arccos(rng.uniform(cosines[1], cosines[0])))),
        "position_angle": rng.uniform(0, 180),
        "x": offset * np.cos(direction),
        "y": offset * np.sin(direction),
        "psf_fwhm": rng.uniform(*conditions.psf_fwhm),
        "sky_brightness": rng.uniform(*conditions.sky_brightness),
    }


def _elliptical(conditions: Conditions, rng: np.random.Generator) -> Galaxy:
    common = _nuisances(conditions, rng)
    return Galaxy(
        **common,
        thickness=rng.uniform(0.4, 0.95),
        sersic_index=rng.uniform(2.5, 5.5),
        bulge_fraction=1.0,
        bulge_radius=common["effective_radius"],
    )


def _disc_galaxy(
    conditions: Conditions,
    rng: np.random.Generator,
    index: Range,
    bulge_fraction: Range,
    **more: Any,
) -> Galaxy:
    common = _nuisances(conditions, rng)
    return Galaxy(
        **common,
        thickness=DISC_THICKNESS,
        sersic_index=rng.uniform(*index),
        bulge_fraction=rng.uniform(*bulge_fraction),
        bulge_radius=common["effective_radius"] * rng.uniform(0.15, 0.3),
        **more,
    )


def _lenticular(conditions: Conditions, rng: np.random.Generator) -> Galaxy:
    return _disc_galaxy(conditions, rng, index=(2, 4), bulge_fraction=(0.3, 0.6))


def _spiral(conditions: Conditions, rng: np.random.Generator, n_arms: int | None = None) -> Galaxy:
    return _disc_galaxy(
        conditions,
        rng,
        index=(1, 2),
        bulge_fraction=(0.05, 0.25),
        n_arms=n_arms or int(rng.choice([2, 2, 3, 4])),
        arm_contrast=rng.uniform(*conditions.arm_contrast),
        pitch_angle=rng.uniform(12, 30),
        winding=int(rng.choice([-1, 1])),
        arm_phase=rng.uniform(0, 360),
        clump_fraction=rng.uniform(0.03, 0.1),
        n_clumps=int(rng.integers(5, 20)),
    )


def _barred_spiral(conditions: Conditions, rng: np.random.Generator) -> Galaxy:
    spiral = _spiral(conditions, rng, n_arms=2)
    return replace(
        spiral,
        bulge_fraction=spiral.bulge_fraction / 2,  # the rest of the inner light is the bar
        bar_fraction=rng.uniform(*conditions.bar_fraction),
        bar_length=rng.uniform(0.8, 1.2) * spiral.effective_radius,
        bar_axis_ratio=rng.uniform(0.15, 0.3),
        arm_phase=0.0,  # the arms start at the ends of the bar
    )


def _irregular(conditions: Conditions, rng: np.random.Generator) -> Galaxy:
    galaxy = _disc_galaxy(conditions, rng, index=(1, 1), bulge_fraction=(0, 0))
    return replace(
        galaxy,
        clump_fraction=rng.uniform(0.25, 0.5),
        n_clumps=int(rng.integers(4, 13)),
        lopsidedness=rng.uniform(0.3, 0.7),
        arm_phase=rng.uniform(0, 360),
    )


DRAWN_AS: dict[str, Callable[[Conditions, np.random.Generator], Galaxy]] = {
    "elliptical": _elliptical,
    "lenticular": _lenticular,
    "spiral": _spiral,
    "barred spiral": _barred_spiral,
    "irregular": _irregular,
}
