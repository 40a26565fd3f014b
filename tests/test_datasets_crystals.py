"""Crystals: symmetry, structure factors, images and noise, each against an independent account."""

import functools
import itertools

import numpy as np
import pytest
import tensorly as tl
from scipy import stats
from scipy.integrate import trapezoid
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from tensorly_norank._backend import to_numpy
from tensorly_norank.datasets import _crystal_images, simulate_crystals
from tensorly_norank.datasets import _crystal_structures as crystal

ORDERS = {
    "triclinic": 2,
    "monoclinic": 4,
    "orthorhombic": 8,
    "tetragonal": 16,
    "trigonal": 12,
    "hexagonal": 24,
    "cubic": 48,
}
SYSTEMS = list(ORDERS)
# A system, and one whose cells have a part of its symmetry only.
LOWER = {
    "monoclinic": "triclinic",
    "orthorhombic": "monoclinic",
    "tetragonal": "orthorhombic",
    "trigonal": "orthorhombic",
    "hexagonal": "tetragonal",
    "cubic": "tetragonal",
}
BRAVAIS = [
    (system, centring) for system in SYSTEMS for centring in crystal.SYSTEMS[system].centrings
]
REFLECTION_CONDITIONS = {  # a row n, and a divisor of n @ hkl; International Tables A
    "P": [],
    "C": [((1, 1, 0), 2)],
    "I": [((1, 1, 1), 2)],
    "F": [((1, 1, 0), 2), ((0, 1, 1), 2)],
    "R": [((-1, 1, 1), 3)],
}
LIMITS = crystal.CellLimits((4.0, 9.0), (65.0, 115.0), 0.1, 6.0)
HKL = np.array(list(itertools.product(range(-4, 5), repeat=3)))
STILL = {"misorientation": 0.0, "vacancies": 0.0, "background": 0.0, "dose": 50.0}


@functools.cache
def structure_of(system, centring=None, seed=0):
    for attempt in itertools.count():
        rng = np.random.default_rng([seed, attempt])
        structure = crystal.draw_structure(system, LIMITS, (1.0, 3.0), 0.9, rng)
        if centring in (None, structure.centring):
            return structure


@functools.cache
def numpy_crystals(n_samples=14, image_size=8, **options):
    tl.set_backend("numpy")
    return simulate_crystals(n_samples, image_size, random_state=0, **options)


# Symmetry.


@pytest.mark.parametrize("system", SYSTEMS)
def test_operators_form_a_group_of_the_known_order(system):
    operators = crystal.point_group_operators(system)
    members = {operator.tobytes() for operator in operators}
    assert len(members) == len(operators) == ORDERS[system]
    assert {(a @ b).tobytes() for a in operators for b in operators} == members
    assert set(np.linalg.det(operators).round().astype(int)) == {1, -1}


def _n_isometries(operators, cell):
    metric = cell @ cell.T
    error = np.abs(operators.transpose(0, 2, 1) @ metric @ operators - metric).max(axis=(1, 2))
    return np.sum(error < 1e-9 * metric.max())


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("seed", range(3))
def test_operators_preserve_the_metric_of_their_own_cells_only(system, seed):
    operators = crystal.point_group_operators(system)
    assert _n_isometries(operators, structure_of(system, seed=seed).cell) == len(operators)
    if system in LOWER:
        lower = structure_of(LOWER[system], seed=seed).cell
        assert _n_isometries(operators, lower) < len(operators)


@pytest.mark.parametrize(("system", "centring"), BRAVAIS)
def test_operators_map_the_lattice_points_to_themselves(system, centring):
    points = crystal.CENTRINGS[centring]
    for operator in crystal.point_group_operators(system):
        images = points @ operator.T
        offsets = images[:, None] - points
        assert np.all(np.any(np.all(np.isclose(offsets, offsets.round()), axis=2), axis=1))


def test_hexagonal_rotation_breaks_the_rhombohedral_lattice():
    points = crystal.CENTRINGS["R"]
    operators = crystal.point_group_operators("hexagonal")
    offsets = (points @ operators.transpose(0, 2, 1))[:, :, None] - points
    kept = np.isclose(offsets, offsets.round()).all(axis=3).any(axis=2).all(axis=1)
    assert kept.sum() == 12


@pytest.mark.parametrize(
    ("lengths", "angles", "centring", "n_rotations"),
    [
        ((5, 5, 5), (90, 90, 90), "P", 24),
        ((5, 5, 5), (90, 90, 90), "F", 24),
        ((5, 5, 7), (90, 90, 90), "P", 8),
        ((5, 5, 5 * np.sqrt(2)), (90, 90, 90), "I", 24),  # is face-centred cubic
        ((5, 5, 5 * np.sqrt(6)), (90, 90, 120), "R", 24),  # is face-centred cubic
        ((5, 5, 5 * np.sqrt(3 / 2)), (90, 90, 120), "R", 24),  # is primitive cubic
        ((5, 5, 8), (90, 90, 120), "R", 6),
        ((5, 5, 8), (90, 90, 120), "P", 12),
        ((5, 5 * np.sqrt(3), 7), (90, 90, 90), "C", 12),  # is hexagonal
        ((4, 5, 6), (90, 90, 90), "F", 4),
        ((4, 5, 6), (90, 75, 90), "C", 2),
        ((4, 5, 6), (80, 75, 70), "P", 1),
        ((4, 4, 30), (90, 90, 20), "P", 4),  # far from reduced: a rhombus, so C-centred
    ],
)
def test_lattice_symmetry_is_that_of_known_lattices(lengths, angles, centring, n_rotations):
    cell = crystal.cell_matrix(np.array(lengths, float), np.array(angles, float))
    assert crystal.n_near_symmetries(cell, centring, 1e-6) == n_rotations


@pytest.mark.parametrize("system", SYSTEMS)
def test_no_rotation_beside_those_of_the_system_nearly_fits_a_cell(system):
    n_rotations = len(crystal.point_group_operators(system)) // 2
    for centring in crystal.SYSTEMS[system].centrings:
        for seed in range(20):
            cell = crystal.draw_cell(system, centring, LIMITS, np.random.default_rng(seed))
            assert crystal.n_near_symmetries(cell, centring, LIMITS.length_gap) == n_rotations


@pytest.mark.parametrize(("system", "centring"), BRAVAIS)
def test_centring_extinguishes_its_reflections_and_no_others(system, centring):
    structure = structure_of(system, centring)
    strengths = np.abs(structure.structure_factors(HKL))
    allowed = np.ones(len(HKL), bool)
    for row, divisor in REFLECTION_CONDITIONS[centring]:
        allowed &= HKL @ row % divisor == 0
    assert strengths[~allowed].max(initial=0) < 1e-6 * strengths.max()
    # Translations that leave all reflections as they are: those of the centring alone.
    seen = HKL[strengths > 1e-6 * strengths.max()]
    trials = np.array(list(itertools.product(range(12), repeat=3))) / 12
    phases = trials @ seen.T
    n_translations = np.sum(np.all(np.abs(phases - phases.round()) < 1e-6, axis=1))
    assert n_translations == len(crystal.CENTRINGS[centring])


@pytest.mark.parametrize(("system", "centring"), BRAVAIS)
def test_structure_factors_have_the_symmetry_of_the_point_group(system, centring):
    structure = structure_of(system, centring)
    expected = structure.structure_factors(HKL)
    for operator in crystal.point_group_operators(system):
        rotated = structure.structure_factors(HKL @ operator)
        np.testing.assert_allclose(
            np.abs(rotated), np.abs(expected), atol=1e-6 * np.abs(expected).max()
        )


@pytest.mark.parametrize(("system", "centring"), BRAVAIS)
def test_density_has_the_symmetry_of_the_space_group(system, centring):
    structure = structure_of(system, centring)
    rng = np.random.default_rng(1)
    points = rng.uniform(-1, 2, (4, 3))  # fractional
    expected = structure.density(points @ structure.cell)
    operators = crystal.point_group_operators(system)
    moved = points @ operators.transpose(0, 2, 1) + rng.choice(crystal.CENTRINGS[centring], 4)
    density = structure.density(moved.reshape(-1, 3) @ structure.cell).reshape(len(operators), -1)
    np.testing.assert_allclose(density, np.tile(expected, (len(operators), 1)), rtol=1e-6)


# Density and structure factors.


@pytest.mark.parametrize("system", ["triclinic", "trigonal", "cubic"])
def test_density_and_structure_factors_are_a_fourier_pair(system):
    limits = crystal.CellLimits((3.5, 5.5), (65.0, 115.0), 0.1, 6.0)
    structure = crystal.draw_structure(system, limits, (2.0, 3.0), 0.8, np.random.default_rng(0))
    n_steps = 26  # the trapezoid rule converges exponentially for a periodic function
    grid = np.array(list(itertools.product(range(n_steps), repeat=3))) / n_steps
    density = structure.density(grid @ structure.cell)
    hkl = HKL[np.abs(HKL).max(axis=1) <= 2]
    integral = np.exp(2j * np.pi * hkl @ grid.T) @ density * structure.volume / n_steps**3
    factors = structure.structure_factors(hkl)
    n_electrons = 0.8 * structure.atomic_numbers.sum()
    np.testing.assert_allclose(integral, factors, atol=1e-5 * n_electrons)
    assert structure.structure_factors([0, 0, 0])[0] == pytest.approx(n_electrons)


def test_density_is_that_of_one_gaussian_at_each_atom():
    cell = crystal.cell_matrix(np.array([30.0, 30.0, 30.0]), np.array([90.0, 90.0, 90.0]))
    one = crystal.CrystalStructure(
        "cubic", "m-3m", "P", cell, np.zeros((1, 3)), np.array([14]), b_iso=2.0
    )
    exponent = 40 * 14 ** (-2 / 3) + 2.0  # of the form factor, in s²
    s = np.linspace(0, 0.6, 4)
    # The transform of exp(−A s²), s = |q| / 4π, by a radial integral over q.
    q = np.linspace(1e-6, 60, 200001)
    radii = np.array([0.1, 0.5, 0.9])
    kernel = q * np.sin(np.outer(radii, q)) * np.exp(-exponent * (q / (4 * np.pi)) ** 2)
    expected = 14 * trapezoid(kernel, q, axis=1) / (2 * np.pi**2 * radii)
    points = radii[:, None] * [[0.6, 0.0, 0.8]]
    np.testing.assert_allclose(one.density(points), expected, rtol=1e-6)
    np.testing.assert_allclose(
        one.structure_factors(np.outer(60 * s, [1, 0, 0])), 14 * np.exp(-exponent * s**2)
    )


def test_structure_factors_are_the_sum_over_the_atoms_of_any_indices_in_any_order():
    rng = np.random.default_rng(0)
    cell = crystal.cell_matrix(np.array([5.0, 6.0, 7.0]), np.array([80.0, 95.0, 100.0]))
    positions, numbers = rng.random((9, 3)), rng.choice([8, 14, 50], 9)
    structure = crystal.CrystalStructure("none", "1", "P", cell, positions, numbers, 1.2, 0.9)
    hkl = np.concatenate([rng.integers(-9, 9, (2500, 3)), rng.uniform(-9, 9, (500, 3))])
    expected = np.zeros(3000, complex)
    s_squared = np.sum((hkl @ np.linalg.inv(cell).T) ** 2, axis=1) / 4
    for position, number in zip(positions, numbers, strict=True):
        fall_off = np.exp(-(40 * number ** (-2 / 3) + 1.2) * s_squared)
        expected += 0.9 * number * fall_off * np.exp(2j * np.pi * hkl @ position)
    np.testing.assert_allclose(structure.structure_factors(hkl), expected, atol=1e-11)


def test_diffuse_intensity_is_the_variance_of_a_disordered_cell():
    structure = structure_of("triclinic")
    rng = np.random.default_rng(0)
    q = np.array([1.5, -0.5, 2.0])
    still = structure.atomic_numbers * np.exp(
        -40 * structure.atomic_numbers ** (-2 / 3) * (q @ q) / (4 * np.pi) ** 2
    )
    moved = rng.normal(0, np.sqrt(structure.b_iso / (8 * np.pi**2)), (20000, len(still), 3))
    occupied = rng.random((20000, len(still))) < structure.occupancy
    phases = (moved + structure.positions @ structure.cell) @ q
    amplitudes = np.sum(occupied * still * np.exp(1j * phases), axis=1)
    expected = crystal.diffuse_intensity(structure, np.array([q @ q]))[0]
    assert np.var(amplitudes) == pytest.approx(expected, rel=0.03)


# Cells and atoms.


@pytest.mark.parametrize("difficulty", ["easy", "hard"])
def test_cells_stay_within_the_ranges_and_honour_the_gaps(difficulty):
    ranges = {"cell_length": (5.0, 8.5), "cell_angle": (70.0, 112.0)}
    length_gap, angle_gap = {"easy": (0.15, 8.0), "hard": (0.05, 4.0)}[difficulty]
    crystals = numpy_crystals(49, difficulty=difficulty, **ranges)
    cells = crystals.parameters
    systems = crystals.class_names[crystals.labels]
    lengths = np.stack([cells["a"], cells["b"], cells["c"]], axis=1)
    angles = np.stack([cells["alpha"], cells["beta"], cells["gamma"]], axis=1)
    assert lengths.min() >= 5 - 1e-9 and lengths.max() <= 8.5 + 1e-9
    for system, abc, free in zip(systems, lengths, angles, strict=True):
        tied = {"cubic": 3, "tetragonal": 2, "trigonal": 2, "hexagonal": 2}.get(system, 1)
        np.testing.assert_allclose(abc[:tied], abc[0])
        for one, other in itertools.combinations(abc[tied - 1 :], 2):
            assert max(one, other) / min(one, other) >= 1 + length_gap - 1e-9
        right = {"triclinic": [], "monoclinic": [0, 2], "trigonal": [0, 1], "hexagonal": [0, 1]}
        right = right.get(system, [0, 1, 2])
        np.testing.assert_allclose(free[right], 90)
        if system in ("trigonal", "hexagonal"):
            assert free[2] == pytest.approx(120)
        else:
            for angle in np.delete(free, right):
                assert 70 <= angle <= 112
                assert min(abs(angle - 90), abs(angle - 120)) >= angle_gap - 1e-9


def test_volume_is_that_of_the_triclinic_formula():
    parameters = numpy_crystals(14).parameters
    cosines = [np.cos(np.deg2rad(parameters[name])) for name in ("alpha", "beta", "gamma")]
    root = np.sqrt(1 - sum(x**2 for x in cosines) + 2 * np.prod(cosines, axis=0))
    expected = parameters["a"] * parameters["b"] * parameters["c"] * root
    np.testing.assert_allclose(parameters["volume"], expected)


@pytest.mark.parametrize(("system", "centring"), BRAVAIS)
def test_atoms_keep_their_distance_and_fill_the_cell(system, centring):
    structure = structure_of(system, centring)
    steps = np.array(list(itertools.product(range(-3, 4), repeat=3)))
    pairs = structure.positions[:, None, None] - structure.positions[:, None] + steps
    distances = np.linalg.norm(pairs @ structure.cell, axis=-1)
    assert np.sort(distances, axis=None)[len(structure.positions)] >= 1.4  # but to themselves
    assert 10 < structure.volume / len(structure.positions) < 25
    assert np.all((structure.positions >= 0) & (structure.positions < 1))


@pytest.mark.parametrize(
    ("system", "centring", "site", "multiplicity"),
    [  # Wyckoff positions, International Tables A
        ("cubic", "F", (0, 0, 0), 4),
        ("cubic", "F", (0.25, 0.25, 0.25), 8),
        ("cubic", "F", (0, 0.25, 0.25), 24),
        ("cubic", "F", (0.13, 0, 0), 24),
        ("cubic", "F", (0.06, 0.19, 0.36), 192),
        ("trigonal", "R", (0, 0, 0.2), 6),
        ("trigonal", "R", (0.5, 0, 0.5), 9),
        ("trigonal", "R", (0.13, -0.13, 0.3), 18),
        ("hexagonal", "P", (1 / 3, 2 / 3, 0), 2),
        ("hexagonal", "P", (0.5, 0, 0), 3),
        ("hexagonal", "P", (0.11, 0.29, 0.23), 24),
        ("monoclinic", "C", (0.25, 0.25, 0), 4),
        ("triclinic", "P", (0.5, 0.5, 0.5), 1),
        ("cubic", "F", (0.02, 0.21, 0.37), None),  # 1.2 Å from its mirror image
    ],
)
def test_sites_have_the_multiplicity_of_their_wyckoff_position(
    system, centring, site, multiplicity
):
    angles = (90.0, 90.0, 120.0) if system in ("trigonal", "hexagonal") else (90.0, 90.0, 90.0)
    cell = crystal.cell_matrix(np.full(3, 30.0), np.array(angles))
    operators = crystal.point_group_operators(system)
    frame = crystal._Frame(operators, crystal.CENTRINGS[centring], cell, cell)
    orbit = crystal._orbit(frame, np.array(site, float), most=192)
    assert (None if orbit is None else len(orbit)) == multiplicity


def test_volume_and_number_of_atoms_hardly_tell_the_system():
    crystals = numpy_crystals(84)
    for name in ("volume", "n_atoms"):
        values = crystals.parameters[name].reshape(-1, 7)  # systems take turns
        assert np.ptp(values.mean(axis=0)) < values.std(axis=0).mean()


# Images.


@pytest.mark.parametrize("orientation", ["conventional", "random"])
def test_image_is_the_mean_density_of_each_voxel(orientation):
    options = {**STILL, "misorientation": None if orientation == "random" else 15.0}
    crystals = numpy_crystals(4, 8, box=5.0, orientation=orientation, **options)
    structure, k = crystals.structures[3], 3
    nodes, weights = np.polynomial.legendre.leggauss(6)
    voxels = np.random.default_rng(0).integers(8, size=(15, 3))
    within = np.stack(np.meshgrid(nodes, nodes, nodes), axis=-1).reshape(-1, 3)
    points = (voxels[:, None] - 3.5 + within / 2) * (5 / 8)  # (n_voxels, n_nodes, 3)
    in_crystal = (points - crystals.origins[k]) @ crystals.rotations[k].T
    density = structure.density(in_crystal.reshape(-1, 3)).reshape(len(voxels), -1)
    shares = np.einsum("i,j,k->ijk", weights, weights, weights).ravel() / 8
    mean_density = structure.atomic_numbers.sum() / structure.volume
    expected = 50 * density @ shares / mean_density
    found = crystals.noiseless[k][tuple(voxels.T)]
    np.testing.assert_allclose(found, expected, atol=1e-3 * expected.max())


def test_centred_conventional_image_of_a_cubic_crystal_is_cubic():
    image = numpy_crystals(7, 16, origin="centre", **STILL).noiseless[6]
    for axes in itertools.permutations(range(3)):
        np.testing.assert_allclose(image.transpose(axes), image, atol=1e-4)
    np.testing.assert_allclose(image[::-1], image, atol=1e-4)
    tetragonal = numpy_crystals(7, 16, origin="centre", **STILL).noiseless[3]
    np.testing.assert_allclose(tetragonal.transpose(1, 0, 2), tetragonal, atol=1e-4)
    assert np.abs(tetragonal.transpose(0, 2, 1) - tetragonal).max() > 1


def test_reflections_have_the_intensities_of_the_structure_factors():
    options = {"q_max": 2.0, "crystal_size": (60.0, 60.0), "b_iso": (0.0, 0.0), **STILL}
    crystals = numpy_crystals(7, 32, kind="diffraction", orientation="conventional", **options)
    voxel = 2 * 2.0 / 32
    centres = np.stack(np.meshgrid(*crystals.ticks[1:], indexing="ij"), axis=-1)
    for image, structure in zip(crystals.noiseless, crystals.structures, strict=True):
        q = 2 * np.pi * HKL @ np.linalg.inv(structure.cell).T
        inside = (np.abs(q).max(axis=1) < 2 - 2 * voxel) & np.any(HKL != 0, axis=1)
        sums = [
            image[np.abs(centres - place).max(axis=-1) < 1.5 * voxel].sum() for place in q[inside]
        ]
        strengths = np.abs(structure.structure_factors(HKL[inside])) ** 2
        share = np.sum(sums) / np.sum(strengths)
        np.testing.assert_allclose(sums, share * strengths, atol=2e-3 * np.max(sums))
        assert image[15:17, 15:17, 15:17].max() < 1e-6 * image.max()  # the beam stop


def test_intensity_is_that_of_a_crystal_of_gaussian_shape():
    """With half of its sites empty, summed atom by atom: width, strength, diffuse scattering."""
    edge, size, occupancy = 4.0, 14.0, 0.5
    structure = crystal.CrystalStructure(
        "cubic", "m-3m", "P", edge * np.eye(3), np.zeros((1, 3)), np.array([50]), 0.0, occupancy
    )
    bounds = np.linspace(-2.2, 2.2, 42)
    image = _crystal_images.diffraction_image(
        structure, _crystal_images.Pose(np.eye(3), np.zeros(3), size), bounds
    )
    spread = size / np.sqrt(8 * np.log(2))  # of the shape, from its full width at half maximum
    places = edge * np.arange(-20, 21)
    shape = np.exp(-(places**2) / (2 * spread**2))
    nodes, weights = np.polynomial.legendre.leggauss(5)
    centres, half = (bounds[1:] + bounds[:-1]) / 2, np.diff(bounds)[0] / 2
    q = centres[:, None] + half * nodes  # (n_voxels, n_nodes)
    # Lattice and shape are products of a factor for each direction; so is their transform.
    along = (np.cos(q[..., None] * places) @ shape) ** 2 @ weights / 2
    coherent = np.einsum("x,y,z->xyz", along, along, along)
    q_squared = np.sum(np.stack(np.meshgrid(centres, centres, centres)) ** 2, axis=0)
    atom = np.exp(-2 * 40 * 50 ** (-2 / 3) * q_squared / (4 * np.pi) ** 2)
    diffuse = np.sum(shape**2) ** 3 * occupancy * (1 - occupancy) * atom
    expected = occupancy**2 * coherent * atom + diffuse
    off_beam = q_squared > 0.7**2
    between = off_beam & (coherent < 1e-3 * np.sum(shape**2) ** 3)
    expected *= image[between].mean() / expected[between].mean()
    np.testing.assert_allclose(image[between], expected[between], rtol=0.02)
    np.testing.assert_allclose(
        image[off_beam], expected[off_beam], atol=0.03 * expected[off_beam].max()
    )
    assert expected[off_beam].max() > 50 * expected[between].max()


def test_thousands_of_gaussians_are_averaged_over_each_voxel():
    rng = np.random.default_rng(0)
    edges = np.linspace(-2, 2, 14)
    positions, weights = rng.uniform(-2.5, 2.5, (3000, 3)), rng.random(3000)
    for widths in (rng.uniform(0.02, 0.1, 3000), rng.uniform(0.5, 3, 3000)):
        below = stats.norm.cdf(edges, positions[..., None], widths[:, None, None])
        shares = np.diff(below, axis=2)  # (3000, 3, 13)
        expected = np.einsum("j,jx,jy,jz->xyz", weights, *shares.swapaxes(0, 1), optimize=True)
        image = _crystal_images._deposit(positions, widths, weights, edges)
        np.testing.assert_allclose(image * (4 / 13) ** 3, expected, rtol=1e-10)


@pytest.mark.parametrize("n_atoms", [0, 1])
def test_few_gaussians_or_none_are_averaged_too(n_atoms):
    image = _crystal_images._deposit(
        np.zeros((n_atoms, 3)), np.full(n_atoms, 0.1), np.ones(n_atoms), np.linspace(-3, 3, 4)
    )
    assert image.sum() * 2**3 == pytest.approx(n_atoms)
    assert image[1, 1, 1] == image.sum()


def test_intensities_are_symmetric_about_the_middle():
    image = numpy_crystals(7, 9, kind="diffraction").noiseless
    np.testing.assert_allclose(image[:, ::-1, ::-1, ::-1], image, rtol=1e-5)
    for tick in numpy_crystals(7, 8, kind="diffraction").ticks[1:]:
        np.testing.assert_allclose(tick[::-1], -tick, atol=1e-12)


@pytest.mark.parametrize("kind", ["density", "diffraction"])
def test_projection_is_the_sum_of_the_volume(kind):
    volume = numpy_crystals(7, 12, kind=kind)
    flat = numpy_crystals(7, 12, kind=kind, projection=True)
    np.testing.assert_allclose(flat.noiseless, volume.noiseless.sum(-1), rtol=1e-5)
    assert flat.dims == volume.dims[:3] and len(flat.ticks) == 3


def test_vacancies_lower_the_mean_density_by_their_share():
    options = {**STILL, "box": 24.0}
    complete = numpy_crystals(7, 8, **options).noiseless.mean()
    options["vacancies"] = 0.3
    assert numpy_crystals(7, 8, **options).noiseless.mean() / complete == pytest.approx(
        0.7, abs=0.015
    )


@pytest.mark.parametrize("kind", ["density", "diffraction"])
def test_counts_scatter_as_poisson_around_what_is_expected(kind):
    crystals = numpy_crystals(7, 20, kind=kind)
    counts, expected = crystals.tensor.astype(float), crystals.noiseless.astype(float)
    np.testing.assert_array_equal(counts, counts.round())
    for bright in (expected > np.median(expected), expected <= np.median(expected)):
        scaled = ((counts - expected) / np.sqrt(expected))[bright]
        assert abs(scaled.mean()) < 5 / np.sqrt(scaled.size)
        assert scaled.var() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("kind", ["density", "diffraction"])
def test_dose_and_background_set_the_mean_count(kind):
    crystals = numpy_crystals(14, 8, kind=kind, dose=30.0, background=5.0, vacancies=0.0)
    means = crystals.noiseless.mean(axis=(1, 2, 3))
    assert np.mean(means) == pytest.approx(35, rel=0.02)
    if kind == "diffraction":
        np.testing.assert_allclose(means, 35, rtol=1e-5)


# Poses.


def test_random_orientations_are_proper_and_uniform():
    rotations = numpy_crystals(84, orientation="random").rotations
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), [np.eye(3)] * 84, atol=1e-9
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1)
    assert np.abs(rotations.mean(axis=0)).max() < 4 / np.sqrt(3 * 84)
    # Of a uniform rotation, the trace squared is 1 on average; of a uniform angle it would be 3.
    assert np.mean(np.trace(rotations, axis1=1, axis2=2) ** 2) == pytest.approx(1, abs=0.5)


def test_misorientation_bounds_the_angle_from_the_conventional_orientation():
    rotations = numpy_crystals(70, misorientation=12.0).rotations
    cosines = (np.trace(rotations, axis1=1, axis2=2) - 1) / 2
    angles = np.rad2deg(np.arccos(cosines.clip(-1, 1)))
    assert angles.max() <= 12 + 1e-6 and angles.max() > 11 and angles.min() < 1
    still = numpy_crystals(14, 8, misorientation=0.0).rotations
    np.testing.assert_allclose(still, [np.eye(3)] * 14, atol=1e-12)


def test_random_origin_lies_within_the_cell_and_a_centred_one_at_the_middle():
    crystals = numpy_crystals(84, orientation="random")
    for structure, rotation, origin in zip(
        crystals.structures, crystals.rotations, crystals.origins, strict=True
    ):
        fractional = origin @ rotation.T @ np.linalg.inv(structure.cell)
        assert np.all((fractional >= 0) & (fractional < 1))
    assert not np.any(numpy_crystals(7, 16, origin="centre", **STILL).origins)


# What comes back.


def test_systems_take_turns_and_the_entries_fit_together():
    crystals = numpy_crystals(15)
    np.testing.assert_array_equal(crystals.labels, np.arange(15) % 7)
    assert list(crystals.class_names) == SYSTEMS
    assert crystals.tensor.shape == crystals.noiseless.shape == (15, 8, 8, 8)
    assert crystals.tensor.dtype == crystals.noiseless.dtype == np.float32
    assert [len(tick) for tick in crystals.ticks] == [15, 8, 8, 8]
    assert crystals.dims == ["crystal", "x", "y", "z"]
    assert crystals.ticks[1][-1] == pytest.approx(10 * 7 / 8)
    for key, values in crystals.parameters.items():
        assert values.shape == (15,), key
    for label, structure in zip(crystals.labels, crystals.structures, strict=True):
        assert structure.system == SYSTEMS[label]
        assert structure.point_group == crystal.SYSTEMS[structure.system].point_group


@pytest.mark.parametrize("backend", ["pytorch", "jax"])
@pytest.mark.parametrize("difficulty", ["medium", "paper"])
def test_every_backend_gets_the_same_crystals(backend, difficulty):
    pytest.importorskip({"pytorch": "torch"}.get(backend, backend))
    expected = numpy_crystals(7, difficulty=difficulty)
    tl.set_backend(backend)
    crystals = simulate_crystals(7, 8, difficulty, random_state=0)
    for name in ("tensor", "noiseless"):
        assert tl.is_tensor(crystals[name])
        np.testing.assert_array_equal(to_numpy(crystals[name]), expected[name])


@pytest.mark.parametrize("difficulty", ["medium", "paper"])
def test_first_crystals_do_not_depend_on_how_many_there_are(difficulty):
    few = numpy_crystals(3, difficulty=difficulty)
    many = numpy_crystals(7, difficulty=difficulty)
    np.testing.assert_array_equal(few.tensor, many.tensor[:3])


def test_seeds_differ_and_numpys_global_state_stays_alone():
    state = np.random.get_state()[1].copy()
    one, again, other = (simulate_crystals(2, 8, random_state=seed).tensor for seed in (1, 1, 2))
    np.testing.assert_array_equal(to_numpy(one), to_numpy(again))
    assert np.any(to_numpy(one) != to_numpy(other))
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_both_kinds_show_the_same_crystals():
    density, diffraction = numpy_crystals(7), numpy_crystals(7, kind="diffraction")
    for one, other in zip(density.structures, diffraction.structures, strict=True):
        np.testing.assert_array_equal(one.positions, other.positions)
    np.testing.assert_array_equal(density.rotations, diffraction.rotations)


def test_explicit_keyword_replaces_the_difficultys_own():
    crystals = numpy_crystals(7, difficulty="hard", b_iso=(0.7, 0.7))
    np.testing.assert_array_equal(crystals.parameters["b_iso"], 0.7)
    assert crystals.structures[0].occupancy == pytest.approx(0.85)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["density", "diffraction"])
def test_raw_voxels_do_not_tell_the_systems_and_the_true_cells_do(kind):
    n_train = 350
    crystals = numpy_crystals(2 * n_train, 32, kind=kind)
    labels = crystals.labels
    voxels = crystals.tensor.reshape(len(labels), -1)
    axes = PCA(100, svd_solver="randomized", random_state=0).fit(voxels[:n_train])
    scores = axes.transform(voxels)
    clusters = KMeans(7, n_init=3, random_state=0).fit_predict(scores[:, :50])
    assert adjusted_rand_score(labels, clusters) < 0.35
    discriminants = LinearDiscriminantAnalysis().fit(scores[:n_train], labels[:n_train])
    for features in (scores[:, :20], discriminants.transform(scores)):
        neighbours = KNeighborsClassifier(3).fit(features[:n_train], labels[:n_train])
        assert neighbours.score(features[n_train:], labels[n_train:]) < 0.75
    names = ("a", "b", "c", "alpha", "beta", "gamma", "b_over_a", "c_over_a", "n_lattice_points")
    cells = np.stack([crystals.parameters[name] for name in names], axis=1)
    forest = RandomForestClassifier(300, random_state=0).fit(cells[:n_train], labels[:n_train])
    assert forest.score(cells[n_train:], labels[n_train:]) >= 0.99


@pytest.mark.slow
def test_the_power_spectrum_tells_what_raw_voxels_do_not():
    n_train = 350
    crystals = numpy_crystals(2 * n_train, 32, projection=True)
    window = np.outer(np.hanning(32), np.hanning(32))
    centred = crystals.tensor - crystals.tensor.mean(axis=(1, 2), keepdims=True)
    spectra = np.log1p(np.abs(np.fft.fft2(centred * window)) ** 2).reshape(2 * n_train, -1)
    machine = make_pipeline(PCA(100, random_state=0), SVC(C=10))
    machine.fit(spectra[:n_train], crystals.labels[:n_train])
    assert machine.score(spectra[n_train:], crystals.labels[n_train:]) > 0.5


# The published templates.


def _published(size):
    cubic, hexagonal, tetragonal, orthorhombic = np.zeros((4, size, size))
    for start in range(0, size, 8):
        cubic[start : start + 2, :] = 1
        cubic[:, start : start + 2] = 1
    for row in range(0, size, 10):
        for column in range(0, size, 10):
            hexagonal[row : row + 2, column : column + 2] = 1
    for row in range(0, size, 6):
        tetragonal[row, :] = 1
    for column in range(0, size, 12):
        orthorhombic[:, column : column + 2] = 1
    return [cubic, hexagonal, tetragonal, orthorhombic]


def test_paper_gives_the_published_templates_with_their_noise():
    crystals = numpy_crystals(8, 64, difficulty="paper")
    assert list(crystals.class_names) == ["Cubic", "Hexagonal", "Tetragonal", "Orthorhombic"]
    np.testing.assert_array_equal(crystals.noiseless, _published(64) * 2)
    assert crystals.tensor.min() == 0 and crystals.tensor.max() == 1
    # Clipped Gaussian noise: half of it is lost, and |noise| has σ √(2 / π) on average.
    off = np.abs(crystals.tensor - crystals.noiseless)
    assert off.mean() == pytest.approx(0.05 * np.sqrt(2 / np.pi) / 2, rel=0.02)


# Errors.


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_samples": 0}, ValueError, "n_samples"),
        ({"n_samples": 2.5}, TypeError, "n_samples"),
        ({"image_size": 4}, ValueError, "image_size"),
        ({"difficulty": "trivial"}, ValueError, "difficulty must be one of"),
        ({"kind": "neutron"}, ValueError, "kind must be one of"),
        ({"orientation": "upright"}, ValueError, "orientation must be one of"),
        ({"origin": "corner"}, ValueError, "origin must be one of"),
        ({"projection": "yes"}, TypeError, "projection"),
        ({"cell_length": (9.0, 4.0)}, ValueError, "cell_length"),
        ({"cell_length": (-4.0, 9.0)}, ValueError, "cell_length"),
        ({"cell_length": 5.0}, TypeError, "cell_length"),
        ({"cell_length": (5.0, 5.5)}, ValueError, "cell_length must have room"),
        ({"cell_angle": (170.0, 175.0)}, ValueError, "cell_angle must allow three angles"),
        ({"cell_angle": (88.0, 92.0)}, ValueError, "cell_angle must hold angles"),
        ({"cell_angle": (1.0, 2.0)}, ValueError, "no triclinic cell was found"),
        ({"length_gap": 0.6}, ValueError, "cell_length must have room"),
        ({"length_gap": 0.45}, ValueError, "no triclinic cell was found"),
        ({"kind": "diffraction", "q_max": 0.5}, ValueError, "q_max must reach a reflection"),
        ({"b_iso": (2.0, 1.0)}, ValueError, "b_iso"),
        ({"vacancies": 1.0}, ValueError, "vacancies"),
        ({"dose": 0}, ValueError, "dose"),
        ({"background": -1.0}, ValueError, "background"),
        ({"box": 0.0}, ValueError, "box"),
        ({"q_max": -1.0}, ValueError, "q_max"),
        (
            {"orientation": "random", "misorientation": 5.0},
            ValueError,
            "misorientation must be None",
        ),
        ({"random_state": "seed"}, TypeError, "random_state"),
    ],
)
def test_what_cannot_be_simulated_is_refused_by_name(arguments, error, message):
    with pytest.raises(error, match=message):
        simulate_crystals(**{"n_samples": 7, "image_size": 8, "random_state": 0, **arguments})


def test_atoms_that_do_not_fit_are_refused_by_name(monkeypatch):
    monkeypatch.setattr(crystal, "_CLOSEST_ATOMS", 9.5)
    with pytest.raises(ValueError, match="no triclinic structure was found in 60 cells"):
        simulate_crystals(1, 8, random_state=0)
