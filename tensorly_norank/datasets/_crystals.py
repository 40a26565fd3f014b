"""Simulated crystals of the seven systems: electron density and diffraction, in 3-D and 2-D."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorly as tl
from scipy.spatial.transform import Rotation
from sklearn.utils import Bunch

from tensorly_norank._progress import follow
from tensorly_norank._validation import (
    check_choice,
    check_flag,
    check_number,
    check_random_state,
    check_range,
)
from tensorly_norank.datasets import _crystal_structures as crystal
from tensorly_norank.datasets._bunch import SIMULATED, allocate, check_drawing, make_bunch
from tensorly_norank.datasets._crystal_images import Pose, density_image, diffraction_image
from tensorly_norank.datasets._published import check_left_alone, published_crystals

CLASS_NAMES = tuple(crystal.SYSTEMS)

_Range = tuple[float, float]


@dataclass(frozen=True)
class _Conditions:
    """What the samples are drawn under."""

    kind: str
    projection: bool
    orientation: str
    origin: str
    box: float
    q_max: float
    cell_length: _Range
    cell_angle: _Range
    crystal_size: _Range
    length_gap: float
    angle_gap: float
    misorientation: float
    b_iso: _Range
    vacancies: float
    dose: float
    background: float

    @property
    def limits(self) -> crystal.CellLimits:
        """Those of the cells alone."""
        return crystal.CellLimits(
            self.cell_length, self.cell_angle, self.length_gap, self.angle_gap
        )


_DIFFICULTIES = ("easy", "medium", "hard")
_BY_DIFFICULTY: dict[str, tuple[Any, Any, Any]] = {
    "length_gap": (0.15, 0.1, 0.05),
    "angle_gap": (8.0, 6.0, 4.0),
    "misorientation": (0.0, 10.0, 20.0),
    "b_iso": ((0.5, 1.5), (1.0, 3.0), (2.0, 6.0)),
    "vacancies": (0.0, 0.05, 0.15),
    "dose": (100.0, 20.0, 4.0),
    "background": (0.0, 2.0, 4.0),
}


def simulate_crystals(
    n_samples: int = 200,
    image_size: int = 32,
    difficulty: str = "medium",
    *,
    kind: str = "density",
    projection: bool = False,
    orientation: str = "conventional",
    origin: str = "random",
    box: float = 20.0,
    q_max: float = 4.0,
    cell_length: _Range = (4.0, 9.0),
    cell_angle: _Range = (65.0, 115.0),
    crystal_size: _Range = (15.0, 25.0),
    length_gap: float | None = None,
    angle_gap: float | None = None,
    misorientation: float | None = None,
    b_iso: _Range | None = None,
    vacancies: float | None = None,
    dose: float | None = None,
    background: float | None = None,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
    verbose: bool = False,
) -> Bunch:
    r"""Simulate crystals of the seven systems: their electron density, or how they diffract.

    Each sample is a crystal structure of its own: a conventional cell, centred or not, of one of
    the symmorphic holohedral space groups [1]_, with atoms of up to three elements on general and
    special positions. What does not make the system varies from sample to sample: the cell's
    lengths, free angles and volume, the atoms, where the cell begins, how the crystal is turned,
    thermal motion, vacancies, and the noise of counting.

    Parameters
    ----------
    n_samples : int, default 200
        Number of crystals. The systems take turns, so classes differ by one crystal at most.
    image_size : int, default 32
        Voxels along each edge, 8 or more.
    difficulty : {"easy", "medium", "hard", "paper"}, default "medium"
        Sets what is None below, see Notes. "paper": the four templates of the simulation that was
        published with the method [3]_, of size 64 there, two-dimensional, in [0, 1], plus Gaussian
        noise of 0.05. Raw pixels are enough to tell these apart: a check, not a benchmark. With it
        all keywords below but `random_state` and `verbose` must be left alone.
    kind : {"density", "diffraction"}, default "density"
        Electron density in a cube of space, or intensity ``|F|²`` in a cube of reciprocal space.
    projection : bool, default False
        Sum along the last axis, as in a micrograph. Equal crystals may then look alike from above:
        the system is no longer certain, only likely.
    orientation : {"conventional", "random"}, default "conventional"
        Axis a along x and b in the xy plane, within `misorientation`; or any rotation, uniformly.
    origin : {"random", "centre"}, default "random"
        Where the cell begins in the box: anywhere, or at the centre. Intensities do not change.
    box : float, default 20.0
        Edge of the cube of space in Å, 200 at most.
    q_max : float, default 4.0
        Half the edge of the cube of reciprocal space, q = 2π / d, in 1/Å, 10 at most.
    cell_length, cell_angle : (float, float), default (4.0, 9.0) and (65.0, 115.0)
        Smallest and largest length in Å, from 2 to 50, and free angle in degrees.
    crystal_size : (float, float), default (15.0, 25.0)
        Full width at half maximum of the diffracting crystal, in Å: small ones blur reflections.
    length_gap : float, optional
        Least relative difference between lengths that the system does not tie. Nor does any
        rotation beyond the system's change the lattice's metric by less, as a share.
    angle_gap : float, optional
        Least difference of free angles from 90 and from 120 degrees.
    misorientation : float, optional
        Greatest angle, in degrees, by which a crystal in conventional orientation is turned.
    b_iso : (float, float), optional
        Smallest and largest isotropic displacement parameter B in Å².
    vacancies : float, optional
        Probability, below 1, that a site is empty.
    dose : float, optional
        Expected counts: in a voxel of the mean density of the complete crystal; or in a voxel on
        average over the intensities.
    background : float, optional
        Expected counts that each voxel has besides.
    random_state : int, RandomState or Generator, optional
        Fixes every random choice. The first crystals do not depend on `n_samples`; they are the
        same ones in both kinds.
    verbose : bool, default False
        Show how many crystals are done: a progress bar on a terminal (with tqdm), else lines.

    Returns
    -------
    Bunch
        tensor : tensor of shape (n_samples, image_size, image_size, image_size)
            Counts in each voxel; without the last mode if `projection`. float32, in TensorLy's
            active backend.
        noiseless : tensor of the same shape
            The counts expected, with background and vacancies; `tensor` is Poisson around it.
        labels : ndarray of shape (n_samples,)
            Integers that index `class_names`.
        class_names : ndarray of 7 str
            The systems, from triclinic to cubic. With "paper" four in another order: a label means
            another class there.
        parameters : dict of str to ndarray of shape (n_samples,)
            a, b, c in Å, alpha, beta, gamma in degrees, b_over_a, c_over_a, volume in Å³,
            n_lattice_points, n_atoms (both in the conventional cell), b_iso, crystal_size.
        structures : list of n_samples CrystalStructure
            Cell, centring, atoms; ``structure_factors(hkl)`` and ``density(points)``.
        rotations, origins : ndarray of shape (n_samples, 3, 3) and (n_samples, 3)
            A point v of the crystal (a row, in Å) is at ``v @ rotations[k] + origins[k]`` in the
            box, whose centre is 0.
        dims, ticks, DESCR, reference, licence
            As in TensorLy's data sets; the ticks of the voxels are in Å or 1/Å.

        With "paper", `noiseless` are the templates, before noise is added and the sum is cut to
        [0, 1]; there are four classes, and no parameters, structures, rotations and origins.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or no cell is found within the ranges and gaps; in the
        middle of the simulation if `q_max` reaches no reflection of a crystal.
    MemoryError
        If the images do not fit into memory.

    Notes
    -----
    ========================= ======== ====== ======
    \                         easy     medium hard
    ========================= ======== ====== ======
    length_gap                0.15     0.1    0.05
    angle_gap (degrees)       8        6      4
    misorientation (degrees)  0        10     20
    b_iso (Å²)                0.5–1.5  1–3    2–6
    vacancies                 0        0.05   0.15
    dose (counts)             100      20     4
    background (counts)       0        2      4
    ========================= ======== ====== ======

    An atom is a Gaussian of as many electrons as its atomic number, blurred by thermal motion, so
    that density and structure factors :math:`F(hkl) = o \sum_j f_j(s) e^{-B s^2} e^{2 \pi i h \cdot
    r_j}` [2]_ are an exact Fourier pair. Diffraction shows each reflection but 000, which a beam
    stop takes, as a Gaussian as wide as the crystal is small, over the diffuse scattering of
    vacancies and of atoms that move independently. Volumes are drawn alike for all systems, numbers
    of atoms nearly so, within what symmetry allows. Trigonal and hexagonal crystals have cells of
    one shape: the lattice points within (rhombohedral, obverse) tell them apart.

    References
    ----------
    .. [1] M. I. Aroyo (ed.), "International Tables for Crystallography, volume A: Space-group
       symmetry", 6th edition, Wiley (2016).
    .. [2] C. Giacovazzo (ed.), "Fundamentals of Crystallography", 3rd edition, Oxford University
       Press (2011).
    .. [3] M. Bagherian, "No-rank tensor decomposition via metric learning", Scientific Reports 16,
       8326 (2026).

    Examples
    --------
    >>> import numpy as np, tensorly as tl
    >>> from tensorly_norank.datasets import simulate_crystals
    >>> crystals = simulate_crystals(7, image_size=16, random_state=0)
    >>> tl.shape(crystals.tensor)
    (7, 16, 16, 16)
    >>> cubic = crystals.structures[6]
    >>> cubic.point_group, bool(np.ptp(cubic.lengths) < 1e-9)
    ('m-3m', True)
    """
    given = {
        "kind": kind,
        "projection": projection,
        "orientation": orientation,
        "origin": origin,
        "box": box,
        "q_max": q_max,
        "cell_length": cell_length,
        "cell_angle": cell_angle,
        "crystal_size": crystal_size,
        "length_gap": length_gap,
        "angle_gap": angle_gap,
        "misorientation": misorientation,
        "b_iso": b_iso,
        "vacancies": vacancies,
        "dose": dose,
        "background": background,
    }
    check_drawing(n_samples, verbose)
    check_number(image_size, "image_size", integer=True, low=8)
    check_choice(difficulty, "difficulty", [*_DIFFICULTIES, "paper"])
    rng = check_random_state(random_state)
    if difficulty == "paper":
        check_left_alone(simulate_crystals, given)
        return published_crystals(n_samples, image_size, rng, verbose)
    c = _conditions(difficulty, given)
    expected, counts = allocate(2, n_samples, *[image_size] * (2 if projection else 3))
    labels = np.arange(n_samples) % len(CLASS_NAMES)
    structures, poses = [], []
    for k, stream in enumerate(follow(rng.spawn(n_samples), "simulate", "crystal", verbose)):
        # Of its own each: what is drawn for one does not depend on how the others are drawn.
        of_structure, of_pose, of_vacancies, of_noise = stream.spawn(4)
        structures.append(
            crystal.draw_structure(
                CLASS_NAMES[labels[k]], c.limits, c.b_iso, 1 - c.vacancies, of_structure
            )
        )
        poses.append(_draw_pose(structures[k], c, of_pose))
        image = _expected_counts(structures[k], poses[k], c, image_size, of_vacancies)
        expected[k], counts[k] = image, of_noise.poisson(image)
    return _bunch(counts, expected, labels, structures, poses, c)


def _conditions(difficulty: str, given: dict[str, Any]) -> _Conditions:
    """Those of a difficulty, with the caller's own in their places, checked."""
    level = _DIFFICULTIES.index(difficulty)
    chosen = {name: values[level] for name, values in _BY_DIFFICULTY.items() if given[name] is None}
    c = _Conditions(**(given | chosen))
    check_choice(c.kind, "kind", ["density", "diffraction"])
    check_choice(c.orientation, "orientation", ["conventional", "random"])
    if c.orientation == "random" and given["misorientation"] is not None:
        raise ValueError(
            "misorientation must be None if orientation='random', got "
            f"{given['misorientation']!r}: it is measured from the conventional orientation."
        )
    check_choice(c.origin, "origin", ["centre", "random"])
    check_flag(c.projection, "projection")
    check_number(c.box, "box", include_low=False, high=200, include_high=True)
    check_number(c.q_max, "q_max", include_low=False, high=10, include_high=True)
    check_number(c.dose, "dose", include_low=False, high=1e6)
    check_number(c.background, "background", high=1e6)
    check_number(c.vacancies, "vacancies", high=1)
    check_number(c.misorientation, "misorientation", high=180, include_high=True)
    check_number(c.length_gap, "length_gap")
    check_number(c.angle_gap, "angle_gap", high=90)
    check_range(c.cell_length, "cell_length", low=2, high=50)
    check_range(c.cell_angle, "cell_angle", include_low=False, high=180)
    check_range(c.crystal_size, "crystal_size", include_low=False, high=1000)
    check_range(c.b_iso, "b_iso", high=100)
    _check_room(c)
    return c


def _check_room(c: _Conditions) -> None:
    """Whether the ranges hold what is to be drawn from them."""
    if c.cell_length[1] < c.cell_length[0] * (1 + c.length_gap) ** 2:
        raise ValueError(
            "cell_length must have room for three lengths that differ by "
            f"length_gap={c.length_gap} from one to the next, got {c.cell_length}."
        )
    low, high = c.cell_angle
    if low >= 120:
        raise ValueError(
            "cell_angle must allow three angles whose sum is less than 360 degrees, got "
            f"{c.cell_angle}."
        )
    angles = np.linspace(low, high, 1001)
    if np.all(np.abs(angles[:, None] - [90, 120]).min(axis=1) < c.angle_gap):
        raise ValueError(
            f"cell_angle must hold angles at least angle_gap={c.angle_gap} from 90 and from 120 "
            f"degrees, got {c.cell_angle}."
        )


def _draw_pose(
    structure: crystal.CrystalStructure, c: _Conditions, rng: np.random.Generator
) -> Pose:
    direction, quaternion = rng.normal(size=3), rng.normal(size=4)
    angle = np.deg2rad(c.misorientation * rng.random())
    if c.orientation == "random":  # a uniform quaternion is a uniform rotation
        rotation = Rotation.from_quat(quaternion / np.linalg.norm(quaternion))
    else:
        rotation = Rotation.from_rotvec(angle * direction / np.linalg.norm(direction))
    matrix = rotation.as_matrix()
    shift = rng.random(3) if c.origin == "random" else np.zeros(3)
    return Pose(matrix, shift @ structure.cell @ matrix, float(rng.uniform(*c.crystal_size)))


# From a crystal to an image.


def _expected_counts(
    structure: crystal.CrystalStructure,
    pose: Pose,
    c: _Conditions,
    image_size: int,
    rng: np.random.Generator,
) -> np.ndarray:
    if c.kind == "density":
        image = density_image(structure, pose, _edges(c, image_size), rng)
    else:
        image = diffraction_image(structure, pose, _edges(c, image_size))
    image = c.dose * image + c.background
    return image.sum(axis=-1) if c.projection else image


def _edges(c: _Conditions, image_size: int) -> np.ndarray:
    """Where the voxels begin and end along each direction, symmetric about 0, (S + 1,)."""
    half = c.box / 2 if c.kind == "density" else c.q_max
    return half * np.linspace(-1, 1, image_size + 1)


# What comes back.


def _bunch(
    counts: np.ndarray,
    expected: np.ndarray,
    labels: np.ndarray,
    structures: list[crystal.CrystalStructure],
    poses: list[Pose],
    c: _Conditions,
) -> Bunch:
    edges = _edges(c, counts.shape[1])
    axes = ["x", "y", "z"] if c.kind == "density" else ["q_x", "q_y", "q_z"]
    order = counts.ndim - 1
    return make_bunch(
        counts,
        labels,
        CLASS_NAMES,
        dims=["crystal", *axes[:order]],
        ticks=[(edges[1:] + edges[:-1]) / 2] * order,
        descr=(
            f"{len(counts)} simulated crystals of the seven systems "
            f"(tensorly_norank.datasets.simulate_crystals), as counts: {c.kind}, {order}-D."
        ),
        reference=[
            "M. I. Aroyo (ed.) (2016). International Tables for Crystallography, volume A: "
            "Space-group symmetry, 6th edition. Wiley.",
            "C. Giacovazzo (ed.) (2011). Fundamentals of Crystallography, 3rd edition. Oxford "
            "University Press.",
        ],
        licence=SIMULATED,
        noiseless=tl.tensor(expected),
        parameters=_parameters(structures, poses),
        structures=structures,
        rotations=np.array([pose.rotation for pose in poses]),
        origins=np.array([pose.origin for pose in poses]),
    )


def _parameters(
    structures: list[crystal.CrystalStructure], poses: list[Pose]
) -> dict[str, np.ndarray]:
    cells = np.array([[*structure.lengths, *structure.angles] for structure in structures])
    cell = dict(zip(("a", "b", "c", "alpha", "beta", "gamma"), cells.T, strict=True))
    n_points = [len(crystal.CENTRINGS[structure.centring]) for structure in structures]
    return {
        **cell,
        "b_over_a": cell["b"] / cell["a"],
        "c_over_a": cell["c"] / cell["a"],
        "volume": np.array([structure.volume for structure in structures]),
        "n_lattice_points": np.array(n_points),
        "n_atoms": np.array([len(structure.positions) for structure in structures]),
        "b_iso": np.array([structure.b_iso for structure in structures]),
        "crystal_size": np.array([pose.crystal_size for pose in poses]),
    }
