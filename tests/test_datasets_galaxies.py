"""Simulated galaxies have the light that their parameters say, and the noise of their sky."""

import math
from dataclasses import replace

import numpy as np
import pytest
import tensorly as tl
from scipy import integrate, optimize, special, stats
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from tensorly_norank.datasets import Galaxy, _galaxies, simulate_galaxies
from tensorly_norank.datasets import _galaxy_light as light

FACE_ON = {
    "inclination": (0, 0),
    "centre_offset": (0, 0),
    "psf_fwhm": (0.1, 0.1),
    "radius": (3, 3),
    "magnitude": (15, 15),
}
ELECTRONS_AT_15 = 10 ** (0.4 * (29.76 - 15))


def noiseless(galaxies, index):
    return tl.to_numpy(galaxies.noiseless)[index].astype(float)


def pixel_radii(galaxies):
    axis = galaxies.ticks[1]
    return np.hypot(axis[None, :], axis[:, None])


# The profiles.


def test_the_centre_must_be_in_the_image():
    with pytest.raises(ValueError, match=r"centre_offset must be at least 0 and at most 5\.0"):
        simulate_galaxies(1, 16, field_of_view=10.0, centre_offset=(0, 6))


def test_in_a_small_field_of_view_the_range_of_centres_ends_with_it():
    galaxies = simulate_galaxies(40, 16, "hard", field_of_view=3.0, random_state=0)
    offsets = np.hypot(galaxies.parameters["x"], galaxies.parameters["y"])
    assert 1 < offsets.max() <= 1.5


@pytest.mark.parametrize("index", [0.5, 1, 4])
def test_sersic_profiles_hold_unit_flux_and_half_of_it_within_the_effective_radius(index):
    def flux(radius):
        return 2 * np.pi * radius * light.sersic_density(radius, 2.0, index)

    half, _ = integrate.quad(flux, 0, 2.0)
    rest, _ = integrate.quad(flux, 2.0, np.inf)
    assert half == pytest.approx(0.5, rel=1e-6)
    assert rest == pytest.approx(0.5, rel=1e-6)


def test_an_exponential_disc_is_the_sersic_profile_of_index_1():
    radii = np.linspace(0, 10, 50)
    scale = 1.3
    expected = light.sersic_density(radii, 1.67834699 * scale, 1)
    np.testing.assert_allclose(light.exponential_density(radii, scale), expected, rtol=1e-6)


def test_a_bar_holds_unit_flux_and_ends_at_its_length():
    axis = np.linspace(-3, 3, 1201)
    density = light.bar_density(axis[None, :], axis[:, None], 2.0, 0.3)
    assert density.sum() * (axis[1] - axis[0]) ** 2 == pytest.approx(1, rel=1e-4)
    lit = density > 0
    assert np.abs(axis[lit.any(axis=0)]).max() == pytest.approx(2, abs=0.02)
    assert np.abs(axis[lit.any(axis=1)]).max() == pytest.approx(0.6, abs=0.02)


@pytest.mark.parametrize("winding", [-1, 1])
def test_arms_are_logarithmic_spirals_of_their_pitch_that_move_light_but_make_none(winding):
    arms = light.Arms(3, np.deg2rad(20), 0.8, winding, 0.4, inner_radius=1.0)
    azimuths = np.linspace(0, 2 * np.pi, 3600, endpoint=False)
    for radius in (0.2, 1.0, 2.5, 6.0):
        around = arms.modulation(np.full(3600, radius), azimuths)
        assert around.mean() == pytest.approx(1, abs=1e-9)
        assert around.min() > 0
    # Along a ridge, tan(pitch) = d log R / d azimuth.
    radii = np.array([2.0, 2.2])
    turned = np.diff(arms.ridge(radii))[0]
    assert np.log(1.1) / turned == pytest.approx(winding * np.tan(np.deg2rad(20)))
    ridge = arms.modulation(np.full(3600, 3.0), azimuths)
    peaks = np.flatnonzero((ridge > np.roll(ridge, 1)) & (ridge > np.roll(ridge, -1)))
    assert len(peaks) == 3
    expected = np.sort((arms.ridge(3.0) + 2 * np.pi * np.arange(3) / 3) % (2 * np.pi))
    np.testing.assert_allclose(azimuths[peaks], expected, atol=0.01)


def test_a_cusp_is_averaged_as_on_a_much_finer_grid():
    coarse, fine = light.Grid(16, 0.4, 3), light.Grid(16, 0.4, 63)
    place = light.Projection(coarse.axis[24], coarse.axis[22], 0.7, 0.6)  # on a point of the grid

    def density(radii):
        return light.sersic_density(radii, 1.5, 4)

    image = coarse.to_pixels(light.cusped_brightness(density, coarse, place))
    plane = place.to_plane(fine.axis[None, :], fine.axis[:, None])
    expected = fine.to_pixels(density(np.hypot(*plane)) / place.axis_ratio)
    np.testing.assert_allclose(image, expected, rtol=0.02)
    crude = coarse.to_pixels(density(np.hypot(*place.to_plane(*np.meshgrid(*[coarse.axis] * 2)))))
    assert np.abs(crude / place.axis_ratio / expected - 1).max() > 0.05


def test_plane_and_sky_are_inverse_and_the_plane_is_shortened_across_its_axis():
    place = light.Projection(1.0, -2.0, np.deg2rad(30), 0.5)
    points = np.random.default_rng(0).normal(size=(2, 20))
    np.testing.assert_allclose(place.to_sky(*place.to_plane(*points)), points, atol=1e-12)
    x, y = place.to_sky(np.array([0.0]), np.array([1.0]))
    assert math.hypot(x[0] - 1.0, y[0] + 2.0) == pytest.approx(0.5)


def test_the_apparent_axis_ratio_is_1_face_on_and_the_thickness_edge_on():
    assert light.apparent_axis_ratio(0, 0.2) == 1
    assert light.apparent_axis_ratio(np.pi / 2, 0.2) == pytest.approx(0.2)
    # An oblate spheroid x² + y² + z²/q² = 1 casts this shadow.
    angle, q = np.deg2rad(40), 0.3
    expected = math.sqrt(math.cos(angle) ** 2 + q**2 * math.sin(angle) ** 2)
    assert light.apparent_axis_ratio(angle, q) == pytest.approx(expected)


def test_blurring_has_its_width_and_keeps_light_and_a_flat_sky():
    grid = light.Grid(40, 0.4, 3)
    kernel = light.point_spread(grid, 1.2)
    middle = kernel[len(kernel) // 2]
    axis = (np.arange(len(middle)) - len(middle) // 2) * grid.spacing
    width = 2 * np.interp(0.5, (middle / middle.max())[axis >= 0][::-1], axis[axis >= 0][::-1])
    assert width == pytest.approx(1.2, rel=0.02)
    point = np.zeros((120, 120))
    point[60, 60] = 1
    assert light.blur(point, grid, 1.2).sum() == pytest.approx(1)
    np.testing.assert_allclose(light.blur(np.ones((120, 120)), grid, 1.2), 1)


# The images.


def test_a_fit_recovers_the_sersic_index_radius_and_flux_of_ellipticals():
    galaxies = simulate_galaxies(11, 64, random_state=1, **FACE_ON)
    radii = pixel_radii(galaxies)
    used = (radii > 1) & (radii < 12)
    for k in np.flatnonzero(galaxies.labels == 0):
        image = noiseless(galaxies, k)[used] / 0.4**2

        def residuals(parameters, image=image):
            flux, radius, index = np.exp(parameters)
            return np.log(flux * light.sersic_density(radii[used], radius, index)) - np.log(image)

        fitted = np.exp(optimize.least_squares(residuals, np.log([1e5, 2.0, 2.0])).x)
        expected = [ELECTRONS_AT_15, 3.0, galaxies.parameters["sersic_index"][k]]
        np.testing.assert_allclose(fitted, expected, rtol=0.02)


def test_the_light_within_an_aperture_is_that_of_the_profile():
    galaxies = simulate_galaxies(1, 65, random_state=3, **FACE_ON)
    index = galaxies.parameters["sersic_index"][0]
    b = special.gammaincinv(2 * index, 0.5)
    radii = pixel_radii(galaxies)
    for aperture in (2.0, 5.0, 10.0):
        measured = noiseless(galaxies, 0)[radii < aperture].sum()
        area = np.sum(radii < aperture) * (25.6 / 65) ** 2  # of the pixels, hardly a circle
        radius = math.sqrt(area / np.pi)
        expected = special.gammainc(2 * index, b * (radius / 3) ** (1 / index)) * ELECTRONS_AT_15
        assert measured == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("label", [1, 2, 3, 4])
def test_every_disc_galaxy_holds_the_light_of_its_magnitude(label):
    galaxies = simulate_galaxies(
        5, 64, random_state=label, **(FACE_ON | {"radius": (1, 1), "psf_fwhm": (0.5, 0.5)})
    )
    assert noiseless(galaxies, label).sum() == pytest.approx(ELECTRONS_AT_15, rel=0.02)


def test_discs_fall_off_exponentially_with_their_scale_length():
    galaxies = simulate_galaxies(2, 64, random_state=2, **FACE_ON)
    radii, image = pixel_radii(galaxies), noiseless(galaxies, 1)
    # Seen from afar the bulge, of a fraction of the radius, adds little to the disc.
    near, far = (image[np.abs(radii - at) < 0.2].mean() for at in (8.0, 11.0))
    assert math.log(near / far) == pytest.approx(3 / (3 / 1.6783), rel=0.1)


def test_inclined_galaxies_are_seen_shortened_along_the_minor_axis():
    galaxies = simulate_galaxies(1, 64, random_state=0, **(FACE_ON | {"inclination": (60, 60)}))
    image, axis = noiseless(galaxies, 0), galaxies.ticks[1]
    x, y = np.meshgrid(axis, axis)
    inside = np.hypot(x, y) < 6
    moments = np.cov(x[inside], y[inside], aweights=image[inside])
    assert np.linalg.eigvalsh(moments)[0] < 0.95 * np.linalg.eigvalsh(moments)[1]
    vectors = np.linalg.eigh(moments)[1][:, 1]
    angle = np.rad2deg(np.arctan2(vectors[1], vectors[0])) % 180
    assert angle == pytest.approx(galaxies.parameters["position_angle"][0], abs=3)


@pytest.mark.parametrize("label", range(5))
def test_inclined_galaxies_hold_as_much_light_around_their_place(label):
    tilted = {"inclination": (60, 60), "radius": (1, 1), "centre_offset": (2, 2)}
    galaxies = simulate_galaxies(5, 64, random_state=label, **(FACE_ON | tilted))
    image, axis = noiseless(galaxies, label), galaxies.ticks[1]
    assert image.sum() == pytest.approx(ELECTRONS_AT_15, rel=0.05)
    if galaxies.class_names[label] != "irregular":  # which is lopsided
        x, y = (image.sum(axis=k) @ axis / image.sum() for k in (0, 1))
        expected = [galaxies.parameters[name][label] for name in "xy"]
        assert [x, y] == pytest.approx(expected, abs=0.25)


def test_a_galaxy_that_is_a_point_shows_the_point_spread_function():
    point = {"radius": (1, 1), "psf_fwhm": (10, 10), "magnitude": (15, 15)}
    galaxies = simulate_galaxies(1, 65, random_state=0, **(FACE_ON | point))
    profile, axis = noiseless(galaxies, 0)[32], galaxies.ticks[1]
    half = np.interp(-profile.max() / 2, -profile[32:], axis[32:])
    assert 2 * half == pytest.approx(10, rel=0.1)


def test_discs_lie_in_every_direction_in_space():
    galaxies = simulate_galaxies(200, 8, random_state=0, inclination=(0, 90), field_of_view=4)
    cosines = np.cos(np.deg2rad(galaxies.parameters["inclination"]))
    assert stats.kstest(cosines, "uniform").pvalue > 0.01
    angles = galaxies.parameters["position_angle"] / 180
    assert stats.kstest(angles, "uniform").pvalue > 0.01


def test_noise_is_that_of_photons_of_galaxy_and_sky_and_of_the_detector():
    galaxies = simulate_galaxies(20, 64, random_state=0)
    sky = 10 ** (0.4 * (29.76 - galaxies.parameters["sky_brightness"])) * 0.4**2
    expected = tl.to_numpy(galaxies.noiseless).astype(float)
    deviation = tl.to_numpy(galaxies.tensor) - expected
    standardised = deviation / np.sqrt(expected + sky[:, None, None] + 5.0**2)
    assert np.abs(standardised.mean()) < 0.01
    assert standardised.std() == pytest.approx(1, abs=0.01)


def test_parameters_lie_in_the_ranges_asked_for_and_types_have_what_makes_them():
    ranges = {
        "magnitude": (16.0, 16.5),
        "radius": (2.0, 2.2),
        "inclination": (10.0, 20.0),
        "centre_offset": (0.5, 1.0),
        "psf_fwhm": (0.7, 0.8),
        "sky_brightness": (19.0, 19.1),
    }
    galaxies = simulate_galaxies(50, 16, random_state=0, **ranges)
    truth = galaxies.parameters
    drawn = truth | {
        "radius": truth["effective_radius"],
        "centre_offset": np.hypot(truth["x"], truth["y"]),
    }
    for name, (low, high) in ranges.items():
        assert low - 1e-9 <= drawn[name].min() < drawn[name].max() <= high + 1e-9, name
    kind = galaxies.class_names[galaxies.labels]
    assert set(kind[truth["bar_fraction"] > 0]) == {"barred spiral"}
    assert set(kind[truth["arm_contrast"] > 0]) == {"spiral", "barred spiral"}
    assert set(kind[truth["bulge_fraction"] == 1]) == {"elliptical"}
    assert set(kind[truth["lopsidedness"] > 0]) == {"irregular"}
    assert np.bincount(galaxies.labels).tolist() == [10] * 5


def test_bars_and_arms_and_clumps_are_in_the_images():
    """Without them, an image would be as round as its galaxy, seen face-on."""
    galaxies = simulate_galaxies(50, 64, "easy", random_state=0, inclination=(0, 0))
    unevenness = np.empty(50)
    for k in range(50):
        x, y = (galaxies.ticks[1] - galaxies.parameters[name][k] for name in "xy")
        radii = np.hypot(x[None, :], y[:, None])
        ring = noiseless(galaxies, k)[(radii > 3) & (radii < 3.4)]
        unevenness[k] = ring.std() / ring.mean()
    smooth = np.isin(galaxies.class_names[galaxies.labels], ["elliptical", "lenticular"])
    assert unevenness[smooth].max() < unevenness[~smooth].min()


# Where the structure is, by a galaxy of which only one component is left.


def galaxy(**parameters):
    """A disc alone, face-on in the middle, unless the parameters say otherwise."""
    disc = dict.fromkeys(("inclination", "position_angle", "x", "y", "bulge_fraction"), 0.0)
    seen = {"magnitude": 15.0, "psf_fwhm": 0.1, "sky_brightness": 21.0}
    shape = {"effective_radius": 4.0, "thickness": 0.2, "sersic_index": 1.0, "bulge_radius": 1.0}
    return Galaxy(**(disc | seen | shape | parameters))


GRID = light.Grid(180, 0.2, 1)
X, Y = np.meshgrid(GRID.axis, GRID.axis)
RADII, AZIMUTHS = np.hypot(X, Y), np.arctan2(Y, X)
SCALE_LENGTH = 4.0 / 1.6783
two_windings = pytest.mark.parametrize("winding", [-1, 1])


def electrons(one):
    return _galaxies._expected_electrons(one, np.random.default_rng(0), GRID)


def brightest(image, radius, fold=1):
    """At which azimuth a ring is brightest, in degrees; `fold` times around it."""
    ring = np.abs(RADII - radius) < 0.1
    return np.rad2deg(np.angle(np.sum(image[ring] * np.exp(1j * fold * AZIMUTHS[ring])))) / fold


def turned(angle, period=360):
    """An angle, from −period / 2 to period / 2."""
    return (angle + period / 2) % period - period / 2


ARMS = {"n_arms": 2, "arm_contrast": 0.8, "pitch_angle": 20.0, "position_angle": 35.0}


@two_windings
@pytest.mark.parametrize("bar_length", [0.0, 4.0])
def test_arms_start_at_their_phase_or_at_the_ends_of_the_bar_and_wind_as_stated(
    winding, bar_length
):
    start = bar_length or SCALE_LENGTH / 2
    phase = 0.0 if bar_length else 50.0
    bar = {"bar_length": bar_length, "bar_axis_ratio": 0.2, "bar_fraction": 1e-12}
    spiral = galaxy(**ARMS, winding=winding, arm_phase=phase, **(bar if bar_length else {}))
    excess = electrons(spiral) / electrons(galaxy(position_angle=35.0)) - 1
    assert np.abs(excess[RADII < 0.8 * start]).max() < 0.01
    assert excess[RADII > 1.2 * start].max() > 0.8
    for radius in (1.2 * start, 2 * start):
        # The azimuth grows with log R / tan(pitch) from there on, times the winding.
        gone = np.rad2deg(np.log(radius / start) / np.tan(np.deg2rad(20)))
        expected = 35 + phase + winding * gone
        assert turned(brightest(excess, radius, 2) - expected, 180) == pytest.approx(0, abs=3)


def test_barred_spirals_are_drawn_with_arms_at_the_ends_of_the_bar():
    truth = simulate_galaxies(50, 8, random_state=0, field_of_view=4).parameters
    barred = truth["bar_fraction"] > 0
    assert not truth["arm_phase"][barred].any()
    assert truth["arm_phase"][(truth["n_arms"] > 0) & ~barred].all()


def test_bars_lie_along_the_position_angle_and_end_at_their_length():
    for angle in (0.0, 35.0, 120.0):
        bar = {"bar_fraction": 1.0, "bar_length": 5.0, "bar_axis_ratio": 0.2}
        image = electrons(galaxy(position_angle=angle, **bar))
        assert turned(brightest(image, 3.0, 2) - angle, 180) == pytest.approx(0, abs=3)
        assert RADII[image > 1e-3 * image.max()].max() == pytest.approx(5, abs=0.5)


@two_windings
@pytest.mark.parametrize("bar_length", [0.0, 3.0])
def test_clumps_lie_along_the_arms(winding, bar_length):
    phase, start = (0.0, bar_length) if bar_length else (70.0, SCALE_LENGTH / 2)
    clumps = {"clump_fraction": 1.0 - 1e-9, "n_clumps": 600, "bar_length": bar_length}
    spiral = galaxy(**ARMS, winding=winding, arm_phase=phase, **clumps)
    bar = {"bar_fraction": 1e-9, "bar_axis_ratio": 0.2}
    image = electrons(replace(spiral, **bar) if bar_length else spiral)
    ridge = np.deg2rad(35 + phase) + winding * np.log(RADII / start) / np.tan(np.deg2rad(20))
    outside = RADII > SCALE_LENGTH  # where clumps are smaller than the arms are apart
    away = np.average(np.cos(2 * (AZIMUTHS - ridge))[outside], weights=image[outside])
    assert away > 0.8  # 0 if they lay anywhere, −1 if between the arms
    assert image[RADII < 0.5 * start].sum() < 0.05 * image.sum()


def test_the_side_at_the_phase_of_a_lopsided_disc_is_brighter_by_its_amplitude():
    lopsided = galaxy(lopsidedness=0.5, arm_phase=80.0, position_angle=35.0)
    excess = electrons(lopsided) / electrons(galaxy(position_angle=35.0)) - 1
    assert brightest(excess, 8.0) == pytest.approx(35 + 80, abs=1)
    grown = 1 - np.exp(-8 / SCALE_LENGTH)
    assert excess[np.abs(RADII - 8) < 0.1].max() == pytest.approx(0.5 * grown, rel=0.02)


@pytest.mark.parametrize(
    "spheroid",
    [
        {"thickness": 0.4, "effective_radius": 3.0, "bulge_fraction": 1.0},  # an elliptical
        {"bulge_fraction": 1 - 1e-9},  # the bulge of a disc, whose thickness is 0.65
    ],
)
def test_half_of_a_spheroids_light_is_in_the_ellipse_of_its_radius_circles_area(spheroid):
    flat = {"inclination": 80.0, "position_angle": 30.0, "bulge_radius": 3.0}
    image = electrons(galaxy(**flat, **spheroid))
    brightest_first = np.sort(image, axis=None)[::-1]
    n_inside = round(np.pi * 3.0**2 / GRID.spacing**2)  # isophotes of a spheroid are ellipses
    assert brightest_first[:n_inside].sum() == pytest.approx(0.5 * ELECTRONS_AT_15, rel=0.01)
    share = image.max() * 0.1
    moments = np.cov(X[image > share], Y[image > share])
    thickness = 0.4 if "thickness" in spheroid else 0.65
    ratio = math.sqrt(math.cos(np.deg2rad(80)) ** 2 * (1 - thickness**2) + thickness**2)
    low, high = np.linalg.eigvalsh(moments)
    assert math.sqrt(low / high) == pytest.approx(ratio, rel=0.02)


def test_the_default_is_hard_for_raw_pixels_and_easy_for_the_true_parameters():
    galaxies = simulate_galaxies(500, random_state=0)
    flat, labels = tl.to_numpy(galaxies.tensor).reshape(500, -1), galaxies.labels
    clusters = KMeans(5, n_init=3, random_state=0).fit_predict(flat)
    assert adjusted_rand_score(labels, clusters) < 0.35
    fit, test = slice(0, 250), slice(250, 500)
    for model in (PCA(20), make_pipeline(PCA(60), LinearDiscriminantAnalysis())):
        neighbours = make_pipeline(model, KNeighborsClassifier(3)).fit(flat[fit], labels[fit])
        assert neighbours.score(flat[test], labels[test]) < 0.75
    truth = np.stack(list(galaxies.parameters.values()), axis=1)
    forest = RandomForestClassifier(random_state=0).fit(truth[fit], labels[fit])
    assert forest.score(truth[test], labels[test]) >= 0.99


# What every simulator promises.


def test_same_seed_same_tensor_on_every_backend():
    images = []
    for backend in ("numpy", "pytorch", "jax"):
        if backend == "jax":
            pytest.importorskip("jax")
        tl.set_backend(backend)
        galaxies = simulate_galaxies(5, 16, random_state=4)
        assert tl.is_tensor(galaxies.tensor)
        images.append(tl.to_numpy(galaxies.tensor))
    for other in images[1:]:
        np.testing.assert_array_equal(other, images[0])
    assert images[0].dtype == np.float32


def test_the_first_images_do_not_depend_on_how_many_there_are_and_seeds_differ():
    few, many, other = (
        tl.to_numpy(simulate_galaxies(n, 16, random_state=seed).tensor)
        for n, seed in [(3, 0), (7, 0), (3, 1)]
    )
    np.testing.assert_array_equal(few, many[:3])
    assert (few != other).mean() > 0.99


def test_paper_templates_are_the_published_ones():
    galaxies = simulate_galaxies(400, 16, "paper", random_state=0)
    images = tl.to_numpy(galaxies.tensor).astype(float)
    assert list(galaxies.class_names) == ["elliptical", "spiral", "lenticular", "irregular"]
    assert images.min() == 0 and images.max() == 1
    for label in range(3):
        mean = images[galaxies.labels == label].mean(axis=0)
        for i in range(16):
            for j in range(16):
                y, x = -1 + 2 * i / 15, -1 + 2 * j / 15
                r, angle = math.hypot(x, y), math.atan2(y, x)
                value = [
                    math.exp(-4 * r**2),
                    math.exp(-3 * r**2) * (1 + 0.5 * math.sin(6 * angle + 10 * r)),
                    math.exp(-6 * r**2) * (0.2 if r > 0.6 else 1),
                ][label]
                # Cut to [0, 1], noise of 0.05 moves the mean by 0.02 at the ends.
                assert mean[i, j] == pytest.approx(min(value, 1), abs=0.03)
    irregular = images[galaxies.labels == 3]
    assert irregular.std() == pytest.approx(1 / math.sqrt(12), abs=0.01)
    noise = images[galaxies.labels == 1][:, 8, 10].std()
    assert noise == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_samples": 0}, "n_samples must be at least 1"),
        ({"n_samples": 2.5}, "n_samples must be an integer"),
        ({"image_size": 4}, "image_size must be at least 8"),
        (
            {"difficulty": "impossible"},
            "difficulty must be one of 'easy', 'medium', 'hard', 'paper'",
        ),
        ({"radius": (3, 2)}, r"radius must be a pair \(smallest, largest\), got \(3, 2\)"),
        ({"radius": (0, 2)}, "radius must be at least 1"),
        ({"radius": 3}, "radius must be a pair"),
        ({"inclination": (0, 100)}, "inclination must be at least 0 and at most 90"),
        ({"psf_fwhm": (0, 1)}, "psf_fwhm must be"),
        ({"magnitude": ("a", "b")}, "magnitude must be a number"),
        ({"magnitude": (float("nan"), 15)}, "magnitude must be"),
        ({"sky_brightness": (5, 6)}, "sky_brightness must be"),
        ({"centre_offset": (-1, 1)}, "centre_offset must be"),
        ({"field_of_view": 0}, "field_of_view must be at least 0.64"),
        ({"random_state": "x"}, "random_state must be"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        simulate_galaxies(**({"n_samples": 5} | arguments))
