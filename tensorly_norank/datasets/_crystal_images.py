"""Images of a crystal: its electron density in a box, and how it diffracts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from tensorly_norank.datasets import _crystal_structures as crystal


@dataclass(frozen=True)
class Pose:
    """How a crystal lies in the box, and how large it is."""

    rotation: np.ndarray  # (3, 3), proper; takes rows v of the crystal to v @ rotation
    origin: np.ndarray  # (3,) where the cell's origin lies in the box, in Å
    crystal_size: float  # Å


def density_image(
    structure: crystal.CrystalStructure,
    pose: Pose,
    edges: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Electron density, a mean over each voxel, relative to that of the complete crystal."""
    widths = crystal.atom_width(structure.atomic_numbers, structure.b_iso)  # (n_atoms,)
    reach = edges[-1] + 6 * widths.max()
    radius = np.sqrt(3) * reach + np.linalg.norm(pose.origin) + structure.lengths.sum()
    cells = crystal.lattice_points(structure.cell, radius)
    sites = (cells[:, None] + structure.positions) @ structure.cell @ pose.rotation + pose.origin
    which_cell, which_atom = np.nonzero(np.all(np.abs(sites) < reach, axis=2))
    occupied = rng.random(len(which_atom)) < structure.occupancy
    which_cell, which_atom = which_cell[occupied], which_atom[occupied]
    of_complete = structure.atomic_numbers.sum() / structure.volume
    weights = structure.atomic_numbers[which_atom] / of_complete
    return _deposit(sites[which_cell, which_atom], widths[which_atom], weights, edges)


def diffraction_image(
    structure: crystal.CrystalStructure, pose: Pose, edges: np.ndarray
) -> np.ndarray:
    """Intensity, a mean over each voxel, relative to its mean over all of them.

    A crystal whose density falls off as a Gaussian of standard deviation S has reflections of
    standard deviation 1 / (√2 S) in q, and of (2π)³ |F|² / V to the diffuse intensity of a cell.
    """
    width = np.sqrt(8 * np.log(2)) / pose.crystal_size / np.sqrt(2)  # 1/Å
    basis = 2 * np.pi * np.linalg.inv(structure.cell).T
    reach = edges[-1] + 6 * width
    hkl = crystal.lattice_points(basis, np.sqrt(3) * reach)
    # In their order, opposite ones mirror each other about 000: the direct beam, thousands of times
    # as bright, is stopped, and the others come in pairs of equal intensity (Friedel's law).
    hkl = hkl[len(hkl) // 2 + 1 :]
    q = hkl @ basis @ pose.rotation  # (n_hkl, 3)
    if not np.any(np.all(np.abs(q) < edges[-1], axis=1)):
        raise ValueError(
            f"q_max must reach a reflection, got {edges[-1]}: one crystal has cell lengths of "
            f"{', '.join(f'{length:.1f}' for length in structure.lengths)} Å."
        )
    inside = np.all(np.abs(q) < reach, axis=1)
    weights = np.abs(structure.structure_factors(hkl[inside])) ** 2
    weights *= (2 * np.pi) ** 3 / structure.volume
    image = _deposit(q[inside], np.full(len(weights), width), weights, edges)
    image = image + image[::-1, ::-1, ::-1]
    squared = ((edges[1:] + edges[:-1]) / 2) ** 2
    q_squared = squared[:, None, None] + squared[:, None] + squared  # (S, S, S)
    image += crystal.diffuse_intensity(structure, q_squared)
    return image / image.mean()


def _deposit(
    positions: np.ndarray, widths: np.ndarray, weights: np.ndarray, edges: np.ndarray
) -> np.ndarray:
    """Gaussians that integrate to their weights, averaged over each voxel, (S, S, S).

    They are products of a factor for each direction: many of them together take one matrix product.
    Neighbours come together, so that it takes the voxels around them only.
    """
    spacing = np.diff(edges).mean()
    image = np.zeros((len(edges) - 1,) * 3)
    order = np.lexsort(np.floor(positions[:, :2] / spacing).T)
    for start in range(0, len(order), 1024):
        some = order[start : start + 1024]
        along_x, along_y, along_z = (
            _shares(along, widths[some], edges) for along in positions[some].T
        )
        of_columns = np.einsum("jx,jy->xyj", weights[some, None] * along_x[1], along_y[1])
        image[along_x[0], along_y[0], along_z[0]] += of_columns @ along_z[1]
    return image / spacing**3


def _shares(
    positions: np.ndarray, widths: np.ndarray, edges: np.ndarray
) -> tuple[slice, np.ndarray]:
    """Which voxels Gaussians reach along one direction, and what each has in each, (n, n_reached).

    Beyond nine standard deviations lies less than what numbers near 1 are rounded to.
    """
    reach = 9 * widths.max()
    first = max(np.searchsorted(edges, positions.min() - reach) - 1, 0)
    last = np.searchsorted(edges, positions.max() + reach)
    below = special.ndtr((edges[first : last + 1] - positions[:, None]) / widths[:, None])
    return slice(first, min(last, len(edges) - 1)), np.diff(below, axis=1)
