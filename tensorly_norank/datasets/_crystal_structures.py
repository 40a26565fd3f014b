"""Crystal structures of the seven systems: cells, symmetry, atoms, density, structure factors.

Vectors are rows. A cell is a (3, 3) matrix of its axes a, b, c in Å; a fractional position x lies
at ``x @ cell``. A point-group operator is an integer matrix R that takes x to R x.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

_GENERATORS = {
    "-1": -np.eye(3, dtype=int),
    "2x": np.diag([1, -1, -1]),
    "2y": np.diag([-1, 1, -1]),
    "2xy": np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1]]),
    "3z": np.array([[0, -1, 0], [1, -1, 0], [0, 0, 1]]),
    "3xyz": np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]]),
    "4z": np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]),
    "6z": np.array([[1, -1, 0], [1, 0, 0], [0, 0, 1]]),
}


class System(NamedTuple):
    """One crystal system: its holohedry, and what its conventional cells leave free."""

    point_group: str
    generators: str
    centrings: str
    lengths: str  # which of a, b, c are equal
    angles: tuple[float, float, float]  # NaN where free


SYSTEMS = {
    "triclinic": System("-1", "-1", "P", "abc", (np.nan, np.nan, np.nan)),
    "monoclinic": System("2/m", "2y -1", "PC", "abc", (90, np.nan, 90)),
    "orthorhombic": System("mmm", "2x 2y -1", "PCIF", "abc", (90, 90, 90)),
    "tetragonal": System("4/mmm", "4z 2x -1", "PI", "aac", (90, 90, 90)),
    "trigonal": System("-3m", "3z 2xy -1", "R", "aac", (90, 90, 120)),
    "hexagonal": System("6/mmm", "6z 2xy -1", "P", "aac", (90, 90, 120)),
    "cubic": System("m-3m", "4z 3xyz -1", "PIF", "aaa", (90, 90, 90)),
}

# The lattice points within the conventional cell; R in its obverse setting, -h + k + l = 3n.
CENTRINGS = {
    "P": np.zeros((1, 3)),
    "C": np.array([[0, 0, 0], [1, 1, 0]]) / 2,
    "I": np.array([[0, 0, 0], [1, 1, 1]]) / 2,
    "F": np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2,
    "R": np.array([[0, 0, 0], [2, 1, 1], [1, 2, 2]]) / 3,
}
_PRIMITIVE_BASES = {
    "P": np.eye(3),
    "C": np.array([[1, -1, 0], [1, 1, 0], [0, 0, 2]]) / 2,
    "I": np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]) / 2,
    "F": np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2,
    "R": np.array([[2, 1, 1], [-1, 1, 1], [-1, -2, 1]]) / 3,
}

_ELEMENTS = (8, 14, 22, 29, 38, 50)  # O, Si, Ti, Cu, Sr, Sn: easily told apart
_CLOSEST_ATOMS = 1.4  # Å
_VOLUME_PER_ATOM = 16.0  # Å³, as in an oxide or a light metal
_MOST_ATOMS = 48  # a cell, however large
_FLATTEST = 0.01  # (V / abc)² of a cell; not positive where three angles make no cell
_MAX_TRIES = 60


@cache
def point_group_operators(system: str) -> np.ndarray:
    """The operators of a system's holohedry, integers, (order, 3, 3), by closure."""
    generators = [_GENERATORS[name] for name in SYSTEMS[system].generators.split()]
    operators = [np.eye(3, dtype=int)]
    for operator in operators:  # grows on the way
        for generator in generators:
            product = generator @ operator
            if not any(np.array_equal(product, known) for known in operators):
                operators.append(product)
    return np.array(operators)


def _integers(most: Sequence[int]) -> np.ndarray:
    """All integer rows n with |n_i| ≤ most_i, (n_rows, n_columns)."""
    grid = np.meshgrid(*(np.arange(-number, number + 1) for number in most), indexing="ij")
    return np.stack(grid, axis=-1).reshape(-1, len(grid))


_STEPS = {n: _integers([1] * n) for n in (1, 2, 3)}


def lattice_points(basis: np.ndarray, radius: float) -> np.ndarray:
    """All integer rows n with ‖n @ basis‖ ≤ radius, (n_points, 3)."""
    most = np.floor(radius * np.linalg.norm(np.linalg.inv(basis), axis=0) + 1e-9)
    points = _integers(most.astype(int).tolist())
    return points[np.linalg.norm(points @ basis, axis=1) <= radius * (1 + 1e-9)]


def atom_width(atomic_numbers: np.ndarray, b_iso: float) -> np.ndarray:
    """Standard deviation in Å of each atom's electron density, thermal motion included.

    A factor exp(−A s²) with s = |h| / 2 belongs to a Gaussian of variance A / (8 π²).
    """
    return np.sqrt((_form_exponent(atomic_numbers) + b_iso) / (8 * np.pi**2))


def _form_exponent(atomic_numbers: np.ndarray) -> np.ndarray:
    """A of form factors Z exp(−A s²), in Å²: atoms shrink with Z^(1/3) (Thomas and Fermi)."""
    return 40.0 * np.asarray(atomic_numbers, dtype=float) ** (-2 / 3)


@dataclass(frozen=True, eq=False)
class CrystalStructure:
    """A crystal structure; its density and its structure factors are an exact Fourier pair.

    Attributes
    ----------
    system, point_group, centring : str
        E.g. "cubic", "m-3m", "F": the space group is the symmorphic one, here Fm-3m.
    cell : ndarray of shape (3, 3)
        Rows a, b, c in Å, with a along x and b in the xy plane.
    positions : ndarray of shape (n_atoms, 3)
        Fractional coordinates, from 0 to 1, of all atoms in the conventional cell.
    atomic_numbers : ndarray of shape (n_atoms,)
    b_iso : float
        Isotropic displacement parameter B in Å².
    occupancy : float
        Share of the sites that hold an atom.
    """

    system: str
    point_group: str
    centring: str
    cell: np.ndarray
    positions: np.ndarray
    atomic_numbers: np.ndarray
    b_iso: float
    occupancy: float = 1.0

    @property
    def volume(self) -> float:
        """Of the conventional cell, in Å³."""
        return float(np.linalg.det(self.cell))

    @property
    def lengths(self) -> np.ndarray:
        """Those of a, b and c in Å."""
        return np.linalg.norm(self.cell, axis=1)

    @property
    def angles(self) -> np.ndarray:
        """α between b and c, β between c and a, γ between a and b, in degrees."""
        axes = self.cell / self.lengths[:, None]
        return np.rad2deg(np.arccos(np.sum(np.roll(axes, -1, 0) * np.roll(axes, -2, 0), axis=1)))

    def structure_factors(self, hkl: np.ndarray) -> np.ndarray:
        """F(hkl) in electrons per conventional cell, complex, (n_hkl,), for hkl (n_hkl, 3)."""
        hkl = np.atleast_2d(hkl)
        s_squared = np.sum((hkl @ np.linalg.inv(self.cell).T) ** 2, axis=1) / 4  # (n_hkl,)
        elements, which = np.unique(self.atomic_numbers, return_inverse=True)
        members = np.eye(len(elements))[which]  # (n_atoms, n_elements)
        exponent = _form_exponent(elements) + self.b_iso
        total = np.empty(len(hkl), complex)
        for some in np.array_split(np.arange(len(hkl)), len(hkl) // 1024 + 1):
            scattering = elements * np.exp(-np.outer(s_squared[some], exponent))
            total[some] = np.sum(scattering * (self._phases(hkl[some]) @ members), axis=1)
        return self.occupancy * total

    def _phases(self, hkl: np.ndarray) -> np.ndarray:
        """exp(2πi hkl · r) of each atom, (n_hkl, n_atoms), from a factor for each index."""
        phases = np.ones((1, 1))
        for indices, coordinates in zip(hkl.T, self.positions.T, strict=True):
            values, places = np.unique(indices, return_inverse=True)  # a few of them, many times
            phases = phases * np.exp(2j * np.pi * np.outer(values, coordinates))[places]
        return phases

    def density(self, points: np.ndarray) -> np.ndarray:
        """Electrons per Å³ at Cartesian points (n_points, 3) of the endless crystal."""
        widths = atom_width(self.atomic_numbers, self.b_iso)
        weights = self.atomic_numbers / (2 * np.pi * widths**2) ** 1.5
        fractional = np.atleast_2d(points) @ np.linalg.inv(self.cell) % 1
        offsets = (fractional[:, None] - self.positions + 0.5) % 1 - 0.5  # (n_points, n_atoms, 3)
        # An offset lies within half the sum of the cell's edges of the origin.
        reach = 7 * widths.max() + self.lengths.sum() / 2
        total = np.zeros(len(fractional))
        for translation in lattice_points(self.cell, reach):
            squared = np.sum(((offsets + translation) @ self.cell) ** 2, axis=-1)
            total += np.exp(-squared / (2 * widths**2)) @ weights
        return self.occupancy * total


def diffuse_intensity(structure: CrystalStructure, q_squared: np.ndarray) -> np.ndarray:
    """Intensity between the reflections, in electrons² per cell, where |q|² is as given.

    Sites that are empty, and atoms that move, independently of each other scatter ⟨|f|²⟩ − |⟨f⟩|²
    each: o f² − (o f exp(−B s²))², with o the occupancy and s = |q| / 4π.
    """
    s_squared = q_squared / (4 * np.pi) ** 2
    total = np.zeros_like(s_squared)
    elements, counts = np.unique(structure.atomic_numbers, return_counts=True)
    for element, count in zip(elements, counts, strict=True):
        total += count * element**2 * np.exp(-2 * _form_exponent(element) * s_squared)
    lost = 1 - structure.occupancy * np.exp(-2 * structure.b_iso * s_squared)
    return structure.occupancy * lost * total


# Cells.


@dataclass(frozen=True)
class CellLimits:
    """What cells are drawn within: ranges in Å and degrees, and gaps to a higher symmetry."""

    length: tuple[float, float]
    angle: tuple[float, float]
    length_gap: float  # a share
    angle_gap: float


def cell_matrix(lengths: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rows a, b, c, with a along x and b in the xy plane, from lengths in Å and angles in °."""
    a, b, c = lengths
    cos_alpha, cos_beta, cos_gamma = np.cos(np.deg2rad(angles))
    sin_gamma = np.sin(np.deg2rad(angles[2]))
    tilt = (cos_alpha - cos_beta * cos_gamma) / sin_gamma
    height = np.sqrt(1 - cos_beta**2 - tilt**2)
    along_b = [b * cos_gamma, b * sin_gamma, 0]
    return np.array([[a, 0, 0], along_b, [c * cos_beta, c * tilt, c * height]])


def draw_cell(
    system: str, centring: str, limits: CellLimits, rng: np.random.Generator
) -> np.ndarray:
    """A conventional cell that no higher symmetry fits nearly."""
    low, high = limits.length
    n_rotations = len(point_group_operators(system)) // 2  # the others are these and an inversion
    for _ in range(_MAX_TRIES):
        # First of all, and alike for all systems: it is not to give the system away.
        volume = low**3 * (high / low) ** (3 * rng.uniform(0.25, 0.75))
        for cell in _candidates(system, limits, volume, rng):
            if n_near_symmetries(cell, centring, limits.length_gap) == n_rotations:
                return cell
    raise ValueError(
        f"no {system} cell was found in {_MAX_TRIES} rounds with cell_length={limits.length}, "
        f"cell_angle={limits.angle}, length_gap={limits.length_gap} and "
        f"angle_gap={limits.angle_gap}: widen the ranges or narrow the gaps."
    )


def _candidates(
    system: str, limits: CellLimits, volume: float, rng: np.random.Generator, n_drawn: int = 64
) -> Iterator[np.ndarray]:
    """Those of `n_drawn` cells of a volume that are within the limits."""
    tied, tied_angles = SYSTEMS[system].lengths, np.array(SYSTEMS[system].angles)
    free = np.isnan(tied_angles)
    angles = np.where(free, rng.uniform(*limits.angle, (n_drawn, 3)), tied_angles)
    cosines = np.cos(np.deg2rad(angles))
    flatness = 1 - np.sum(cosines**2, axis=1) + 2 * np.prod(cosines, axis=1)  # (V / abc)²
    product = volume / np.sqrt(np.maximum(flatness, _FLATTEST))  # abc
    low, high = np.log(limits.length)
    a, b = np.exp(rng.uniform(low, high, (2, n_drawn)))
    if tied == "aaa":
        a = np.cbrt(product)
    if tied != "abc":
        b = a
    lengths = np.stack([a, b, product / (a * b)], axis=1)
    off_special = np.abs(angles[:, free, None] - [90, 120]).min(axis=(1, 2), initial=np.inf)
    distinct = np.sort(lengths[:, sorted({tied.index(name) for name in tied})], axis=1)
    allowed = (
        (off_special >= limits.angle_gap)
        & (flatness > _FLATTEST)
        & np.all(distinct[:, 1:] >= distinct[:, :-1] * (1 + limits.length_gap), axis=1)
        & (lengths.min(axis=1) >= limits.length[0])
        & (lengths.max(axis=1) <= limits.length[1])
    )
    yield from map(cell_matrix, lengths[allowed], angles[allowed])


@cache
def _proper_changes_of_basis() -> np.ndarray:
    """(n, 3, 3): every rotation that a lattice can have is among them if its basis is reduced."""
    matrices = _integers([1] * 9).reshape(-1, 3, 3)
    matrices = matrices[np.linalg.det(matrices).round() == 1]
    powers = np.array([np.linalg.matrix_power(matrices, order) for order in (1, 2, 3, 4, 6)])
    return matrices[(powers == np.eye(3)).all(axis=(2, 3)).any(axis=0)]


def n_near_symmetries(cell: np.ndarray, centring: str, tolerance: float) -> int:
    """Rotations that change the metric of the lattice by less than the tolerance, relatively."""
    basis = reduced_basis(_PRIMITIVE_BASES[centring] @ cell)
    metric = basis @ basis.T
    changes = _proper_changes_of_basis()
    lengths = np.sqrt(np.diag(metric))
    strain = np.abs(changes @ metric @ changes.swapaxes(1, 2) - metric) / np.outer(lengths, lengths)
    return int(np.sum(strain.max(axis=(1, 2)) < max(tolerance, 1e-9)))


def reduced_basis(basis: np.ndarray) -> np.ndarray:
    """Minkowski's reduced basis of a lattice, shortest vector first."""
    while True:
        basis = basis[np.argsort(np.linalg.norm(basis, axis=1), kind="stable")]
        size = np.linalg.norm(basis)
        for k in (1, 2):
            longer = basis[k] + _STEPS[k] @ basis[:k]
            basis[k] = longer[np.argmin(np.linalg.norm(longer, axis=1))]
        if np.linalg.norm(basis) > size * (1 - 1e-9):
            return basis


# Atoms.


class _Frame(NamedTuple):
    """What relates the atoms of a structure to each other."""

    operators: np.ndarray  # (order, 3, 3)
    translations: np.ndarray  # (n_lattice_points, 3)
    cell: np.ndarray
    reduced: np.ndarray  # another basis of the same lattice, in which near means near

    def images(self, site: np.ndarray) -> np.ndarray:
        """Those of a fractional position, with repeats, (n_images, 3)."""
        return ((self.operators @ site)[:, None] + self.translations).reshape(-1, 3)

    def distances(self, site: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """In Å, from a site to positions and the repeats of these nearby, sorted."""
        offsets = (positions - site) @ self.cell @ np.linalg.inv(self.reduced)
        offsets -= np.round(offsets)
        nearby = (offsets[:, None] + _STEPS[3]) @ self.reduced
        return np.sort(np.linalg.norm(nearby, axis=-1), axis=None)


def draw_structure(
    system: str,
    limits: CellLimits,
    b_iso: tuple[float, float],
    occupancy: float,
    rng: np.random.Generator,
) -> CrystalStructure:
    """A structure of a system that has its symmetry and no more."""
    centring = str(rng.choice(list(SYSTEMS[system].centrings)))
    displacement = float(rng.uniform(*b_iso))
    operators, translations = point_group_operators(system), CENTRINGS[centring]
    for _ in range(_MAX_TRIES):
        cell = draw_cell(system, centring, limits, rng)
        atoms = _draw_atoms(_Frame(operators, translations, cell, reduced_basis(cell)), rng)
        if atoms is not None and _n_translations(*atoms) == len(translations):
            names = system, SYSTEMS[system].point_group, centring
            return CrystalStructure(*names, cell, *atoms, displacement, occupancy)
    raise ValueError(
        f"no {system} structure was found in {_MAX_TRIES} cells: atoms {_CLOSEST_ATOMS} Å apart "
        f"do not fill cells with cell_length={limits.length}; take longer ones."
    )


def _n_translations(positions: np.ndarray, numbers: np.ndarray) -> int:
    """Translations within the cell that map the atoms onto each other: its lattice points."""
    elements, counts = np.unique(numbers, return_counts=True)
    rarest = positions[numbers == elements[np.argmin(counts)]]
    offsets = (rarest - rarest[0])[:, None, None] + positions[:, None] - positions
    same_place = np.all(np.abs(offsets - np.round(offsets)) < 1e-6, axis=-1)
    maps = same_place & (numbers[:, None] == numbers)  # (n_translations, n_atoms, n_atoms)
    return int(np.sum(maps.any(axis=2).all(axis=1)))


def _draw_atoms(frame: _Frame, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray] | None:
    """Positions and atomic numbers; None if the cell does not fill up."""
    wanted = min(np.linalg.det(frame.cell) / _VOLUME_PER_ATOM, _MOST_ATOMS)
    most = max(1.2 * wanted, len(frame.translations))
    palette = rng.choice(_ELEMENTS, 3, replace=False)
    positions, numbers = np.empty((0, 3)), np.empty(0, int)
    for _ in range(_MAX_TRIES):
        at_origin = len(positions) == 0 and rng.random() < 0.5
        site = np.zeros(3) if at_origin else _draw_site(frame, rng)
        if frame.distances(site, positions).min(initial=np.inf) < _CLOSEST_ATOMS:
            continue
        orbit = _orbit(frame, site, most - len(positions))
        if orbit is None:
            continue
        positions = np.concatenate([positions, orbit])
        numbers = np.concatenate([numbers, np.full(len(orbit), rng.choice(palette))])
        if len(positions) >= 0.8 * wanted:
            return positions, numbers
    return None


def _draw_site(frame: _Frame, rng: np.random.Generator) -> np.ndarray:
    """A site on a general or a special position, (3,).

    A random point moves to the middle of those of its images that are near it, onto the symmetry
    element that relates them. How near is drawn too, so that high symmetry gets its share.
    """
    site = rng.random(3)
    radius = _CLOSEST_ATOMS + 0.6 * np.cbrt(np.linalg.det(frame.cell)) * rng.random()
    for _ in range(4):
        offsets = frame.images(site) - site
        offsets -= np.round(offsets)
        site = site + offsets[np.linalg.norm(offsets @ frame.cell, axis=1) < radius].mean(axis=0)
    return site % 1


def _orbit(frame: _Frame, site: np.ndarray, most: float) -> np.ndarray | None:
    """The distinct images of a site in one cell, (n_images, 3); None if too many, or too close."""
    images = frame.images(site) % 1 % 1  # twice: −1e-17 % 1 is 1
    places = np.round(images * 1e6).astype(int) % 10**6 @ [1, 10**6, 10**12]
    orbit = images[np.unique(places, return_index=True)[1]]
    if len(orbit) > most or frame.distances(site, orbit)[1] < _CLOSEST_ATOMS:
        return None  # the first distance is that of the site to itself
    return orbit
