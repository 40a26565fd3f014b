"""The simulations that were published with the method: a few templates, and Gaussian noise."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorly as tl
from sklearn.utils import Bunch

from tensorly_norank._progress import follow
from tensorly_norank.datasets._bunch import SIMULATED, allocate, make_bunch

_NOISE = 0.05

_Draw = Callable[[str, np.random.Generator], np.ndarray]


def check_left_alone(simulator: Callable[..., Bunch], given: dict[str, Any]) -> None:
    """Raise an error that names what was `given` to a simulator and is not the default there."""
    parameters = inspect.signature(simulator).parameters
    changed = {
        name: value
        for name, value in given.items()
        if not np.array_equal(value, parameters[name].default)
    }
    if changed:
        raise ValueError(
            f"{', '.join(changed)} must be left at the default with difficulty='paper', whose "
            "templates have no physics in them, got "
            f"{', '.join(f'{name}={value!r}' for name, value in changed.items())}."
        )


def published_galaxies(
    n_samples: int, image_size: int, rng: np.random.Generator, verbose: bool
) -> Bunch:
    """Samples of the four templates of galaxies, of which the irregular one is drawn anew."""
    axis = np.linspace(-1, 1, image_size)
    radii = np.hypot(axis[None, :], axis[:, None])
    azimuths = np.arctan2(axis[:, None], axis[None, :])
    fixed = {
        "elliptical": np.exp(-4 * radii**2),
        "spiral": np.exp(-3 * radii**2) * (1 + 0.5 * np.sin(6 * azimuths + 10 * radii)),
        "lenticular": np.exp(-6 * radii**2) * np.where(radii > 0.6, 0.2, 1),
    }

    def draw(name: str, stream: np.random.Generator) -> np.ndarray:
        return fixed[name] if name in fixed else stream.random(radii.shape)

    return _published_bunch(n_samples, [*fixed, "irregular"], draw, axis, rng, "galaxy", verbose)


def published_crystals(
    n_samples: int, image_size: int, rng: np.random.Generator, verbose: bool
) -> Bunch:
    """Samples of the four templates of crystals."""
    place = np.arange(image_size)
    columns = np.broadcast_to(place, (image_size, image_size))
    rows = columns.T
    fixed = {
        "Cubic": (rows % 8 < 2) | (columns % 8 < 2),
        "Hexagonal": (rows % 10 < 2) & (columns % 10 < 2),
        "Tetragonal": rows % 6 < 1,
        "Orthorhombic": columns % 12 < 2,
    }
    return _published_bunch(
        n_samples, list(fixed), lambda name, _: fixed[name], place, rng, "crystal", verbose
    )


def _published_bunch(
    n_samples: int,
    names: Sequence[str],
    draw: _Draw,
    axis: np.ndarray,
    rng: np.random.Generator,
    sample: str,
    verbose: bool,
) -> Bunch:
    """Templates by turns, as `noiseless`, and with their noise, cut to [0, 1], as `tensor`."""
    templates, images = allocate(2, n_samples, len(axis), len(axis))
    labels = np.arange(n_samples) % len(names)
    streams = rng.spawn(n_samples)
    for k, stream in enumerate(follow(streams, "simulate", sample, verbose)):
        template = draw(names[labels[k]], stream)
        templates[k] = template
        images[k] = np.clip(template + stream.normal(0, _NOISE, template.shape), 0, 1)
    return make_bunch(
        images,
        labels,
        names,
        dims=[sample, "row", "column"],
        ticks=[axis, axis],
        descr=(
            f"{n_samples} noisy images of four {sample} templates, {', '.join(names)}, as "
            "published with the method."
        ),
        reference=[
            "M. Bagherian (2026). No-rank tensor decomposition via metric learning. Scientific "
            "Reports 16, 8326."
        ],
        licence=SIMULATED,
        noiseless=tl.tensor(templates),
    )
