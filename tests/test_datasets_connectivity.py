"""What is planted is there, as large as was asked for, and nothing else is."""

import numpy as np
import pytest
import tensorly as tl
from scipy import stats
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tensorly_norank.datasets._connectivity import simulate_connectivity

SMALL = {"n_samples": 12, "n_regions": 10, "n_planted": 4, "n_sites": 3}
LARGE = {"n_samples": 3000, "n_regions": 16, "n_planted": 6}


def _matrices(bunch):
    return np.asarray(tl.to_numpy(bunch.tensor), dtype=float)


def _edges(matrices):
    """Above the diagonal, (n, R, R) -> (n, R (R - 1) / 2), or (R, R) -> (R (R - 1) / 2,)."""
    rows, columns = np.triu_indices(matrices.shape[-1], 1)
    return matrices[..., rows, columns]


def _fisher(bunch):
    return np.arctanh(_edges(_matrices(bunch)))


def _planted(bunch):
    """Of each edge, whether both of its ends are planted."""
    planted = np.isin(np.arange(len(bunch.networks)), bunch.regions)
    return _edges(planted & planted[:, None])


def _p_values(bunch):
    fisher = _fisher(bunch)
    return stats.ttest_ind(fisher[bunch.labels == 1], fisher[bunch.labels == 0]).pvalue


def _achieved_effect(bunch):
    """Cohen's d within sites, in the planted directions, its mean over the planted edges."""
    fisher, cells = _fisher(bunch), []
    for site in np.unique(bunch.sites):
        cases, controls = (fisher[(bunch.sites == site) & (bunch.labels == k)] for k in (1, 0))
        gap, variance = cases.mean(0) - controls.mean(0), (cases.var(0) + controls.var(0)) / 2
        cells.append(((bunch.sites == site).mean(), gap, variance))
    gap, variance = (sum(cell[0] * cell[k] for cell in cells) for k in (1, 2))
    effects = np.sign(_edges(bunch.difference)) * gap / np.sqrt(variance)
    return effects[_planted(bunch)].mean()


def _achieved_site_strength(bunch):
    """Root of the variance between sites over that within, from an analysis of variance."""
    controls = bunch.labels == 0
    fisher, sites = _fisher(bunch)[controls], bunch.sites[controls]
    groups = [fisher[sites == site] for site in np.unique(sites)]
    within = np.mean([group.var(axis=0, ddof=1) for group in groups])
    means = np.stack([group.mean(axis=0) for group in groups])
    noise = within * np.mean([1 / len(group) for group in groups])
    return np.sqrt(max(0, means.var(axis=0, ddof=1).mean() - noise) / within)


def test_matrices_are_correlation_matrices():
    matrices = _matrices(simulate_connectivity(20, 30, n_planted=5, random_state=0))
    assert matrices.shape == (20, 30, 30)
    assert np.array_equal(matrices, matrices.swapaxes(1, 2))
    assert np.all(np.diagonal(matrices, axis1=1, axis2=2) == 1)
    assert np.abs(matrices).max() <= 1
    assert np.linalg.eigvalsh(matrices).min() > 1e-4  # at least 40 time points for 30 regions


def test_matrices_are_semi_definite_with_few_time_points():
    bunch = simulate_connectivity(20, 30, n_planted=5, n_timepoints=(10, 12), random_state=0)
    eigenvalues = np.linalg.eigvalsh(_matrices(bunch))
    assert eigenvalues.min() > -1e-5
    ranks = (eigenvalues > 1e-4).sum(axis=1)
    assert np.array_equal(ranks, bunch.n_timepoints - 1)


def test_bunch_describes_every_mode_and_sample():
    bunch = simulate_connectivity(**SMALL, random_state=0)
    assert bunch.dims == ["subject", "region", "other region"]
    assert [len(ticks) for ticks in bunch.ticks] == [12, 10, 10]
    assert bunch.ticks[1][7] == bunch.ticks[2][7] == "region 7"
    assert list(bunch.class_names) == ["control", "case"]
    assert list(bunch.ticks[0]) == [["control", "case"][label] for label in bunch.labels]
    assert tl.to_numpy(bunch.tensor).dtype == np.float32
    assert bunch.sites.shape == bunch.n_timepoints.shape == (12,)
    assert len(bunch.regions) == 4 and np.all(np.diff(bunch.regions) > 0)
    assert bunch.difference.shape == (10, 10) and bunch.networks.shape == (10,)


@pytest.mark.parametrize(("effect_size", "seed"), [(0.2, 0), (0.5, 1), (0.8, 2)])
def test_effect_size_is_achieved(effect_size, seed):
    bunch = simulate_connectivity(**LARGE, effect_size=effect_size, random_state=seed)
    assert _achieved_effect(bunch) == pytest.approx(effect_size, abs=0.05)


@pytest.mark.parametrize("site_strength", [0.3, 1.0])
def test_site_strength_is_achieved(site_strength):
    bunch = simulate_connectivity(
        **LARGE, effect_size=0.3, site_strength=site_strength, random_state=0
    )
    assert _achieved_site_strength(bunch) == pytest.approx(site_strength, rel=0.08)


def test_effect_size_is_achieved_in_spite_of_strong_sites():
    bunch = simulate_connectivity(**LARGE, effect_size=0.5, site_strength=1, random_state=0)
    assert _achieved_effect(bunch) == pytest.approx(0.5, abs=0.05)


def test_no_site_strength_means_no_site_differences():
    shares = []
    for seed in range(20):
        bunch = simulate_connectivity(
            150, 16, n_planted=4, effect_size=0, site_strength=0, random_state=seed
        )
        fisher = _fisher(bunch)
        p_values = stats.f_oneway(*(fisher[bunch.sites == s] for s in range(4))).pvalue
        shares.append((p_values < 0.05).mean())
    assert 0.02 < np.mean(shares) < 0.09


def test_no_effect_size_means_no_difference_between_groups():
    shares = []
    for seed in range(20):
        bunch = simulate_connectivity(
            150, 12, n_sites=2, effect_size=0, confounding=0, random_state=seed
        )
        assert not bunch.difference.any()
        shares.append((_p_values(bunch) < 0.05).mean())
    assert 0.02 < np.mean(shares) < 0.09


def test_confounded_sites_differ_between_groups_without_an_effect():
    shares = {}
    for confounding in (0, 1):
        bunch = simulate_connectivity(
            400, 16, effect_size=0, site_strength=1, confounding=confounding, random_state=0
        )
        shares[confounding] = (_p_values(bunch) < 0.05).mean()
    assert shares[1] > shares[0] + 0.3


def test_difference_is_the_mean_difference_of_many_subjects():
    bunch = simulate_connectivity(
        4000,
        12,
        n_planted=5,
        effect_size=0.7,
        site_strength=0,
        n_timepoints=(200, 200),
        random_state=3,
    )
    matrices = _matrices(bunch)
    observed = matrices[bunch.labels == 1].mean(0) - matrices[bunch.labels == 0].mean(0)
    assert np.abs(_edges(bunch.difference)[_planted(bunch)]).min() > 0.05
    np.testing.assert_allclose(observed, bunch.difference, atol=0.025)


def test_difference_is_confined_to_planted_edges_and_has_both_signs():
    bunch = simulate_connectivity(n_samples=8, n_planted=10, random_state=0)
    difference, planted = _edges(bunch.difference), _planted(bunch)
    assert not difference[~planted].any()
    assert np.sum(difference[planted] > 0) == 15 + 6  # six regions of one sign, four of the other
    assert np.sum(difference[planted] < 0) == 24
    assert np.array_equal(bunch.difference, bunch.difference.T)


def test_planted_edges_differ_most_and_the_more_the_larger_the_effect():
    precisions = []
    for effect_size in (0, 0.3, 0.7):
        found = []
        for seed in range(3):
            bunch = simulate_connectivity(
                300, 30, n_planted=8, n_sites=2, effect_size=effect_size, random_state=seed
            )
            top = np.argsort(_p_values(bunch))[:28]
            found.append(_planted(bunch)[top].mean())
        precisions.append(np.mean(found))
    assert precisions[0] < 0.2 < precisions[1] < precisions[2]
    assert precisions[2] > 0.75


def test_sampling_noise_has_the_variance_of_fisher_z():
    # The subjects are the same, whatever their number of time points: what is left is the noise.
    variances = [
        _fisher(
            simulate_connectivity(
                1500,
                12,
                n_planted=2,
                n_sites=1,
                effect_size=0,
                n_timepoints=(number, number),
                random_state=0,
            )
        ).var(axis=0)
        for number in (13, 403)
    ]
    noise = np.mean(variances[0] - variances[1])
    assert noise == pytest.approx(1 / 10 - 1 / 400, rel=0.08)


def test_regions_of_a_network_are_more_strongly_connected():
    bunch = simulate_connectivity(50, 42, n_planted=2, random_state=0)
    mean = _edges(_matrices(bunch).mean(axis=0))
    same = _edges(bunch.networks == bunch.networks[:, None])
    assert mean[same].mean() > mean[~same].mean() + 0.1
    assert np.bincount(bunch.networks).tolist() == [6] * 7


@pytest.mark.parametrize("n_samples", [7, 30, 31])
@pytest.mark.parametrize("confounding", [0, 0.3, 1])
def test_groups_are_equal_and_every_site_has_a_subject(n_samples, confounding):
    bunch = simulate_connectivity(
        n_samples, 8, n_planted=2, n_sites=6, confounding=confounding, random_state=0
    )
    assert bunch.labels.sum() == n_samples // 2
    assert np.bincount(bunch.sites, minlength=6).min() >= 1
    assert np.bincount(bunch.sites).max() > np.bincount(bunch.sites).min()


def test_confounding_sets_the_shares_of_cases_in_the_sites():
    extremes = {}
    for confounding in (0, 0.5, 1):
        bunch = simulate_connectivity(
            2000, 4, n_planted=2, effect_size=0, confounding=confounding, random_state=1
        )
        shares = np.bincount(bunch.sites, bunch.labels) / np.bincount(bunch.sites)
        extremes[confounding] = shares.max() - shares.min()
    assert extremes[0] == pytest.approx(0, abs=0.02)
    assert extremes[0.5] == pytest.approx(0.5, abs=0.02)
    assert extremes[1] > 0.8


def test_all_subjects_of_a_site_have_the_same_number_of_time_points():
    bunch = simulate_connectivity(40, 8, n_planted=2, n_timepoints=(20, 99), random_state=0)
    numbers = [np.unique(bunch.n_timepoints[bunch.sites == site]) for site in range(4)]
    assert all(len(number) == 1 and 20 <= number[0] <= 99 for number in numbers)
    assert len(np.unique(bunch.n_timepoints)) > 1


def test_one_site_has_no_strength():
    bunch = simulate_connectivity(10, 8, n_planted=2, n_sites=1, random_state=0)
    assert bunch.site_strength == 0
    assert not bunch.sites.any()


def test_explicit_values_override_the_difficulty():
    levels = [
        simulate_connectivity(**SMALL, difficulty=level, random_state=1)
        for level in ("easy", "medium", "hard")
    ]
    assert [level.effect_size for level in levels] == sorted(
        (level.effect_size for level in levels), reverse=True
    )
    bunch = simulate_connectivity(**SMALL, difficulty="hard", effect_size=0.45, random_state=1)
    assert bunch.effect_size == 0.45
    assert bunch.site_strength == levels[2].site_strength


def test_regions_do_not_depend_on_the_number_of_samples_nor_on_the_effect():
    bunch = simulate_connectivity(**SMALL, effect_size=0.2, random_state=0)
    more = simulate_connectivity(**{**SMALL, "n_samples": 20}, effect_size=0.2, random_state=0)
    stronger = simulate_connectivity(**SMALL, effect_size=0.6, random_state=0)
    assert np.array_equal(bunch.difference, more.difference)
    assert np.array_equal(bunch.regions, stronger.regions)
    ratio = _edges(stronger.difference)[_planted(bunch)] / _edges(bunch.difference)[_planted(bunch)]
    assert ratio.min() == pytest.approx(ratio.max()) and ratio.min() > 2


def test_default_needs_more_than_raw_distances_but_can_be_solved():
    bunch = simulate_connectivity(random_state=0)
    fisher, labels = _fisher(bunch), bunch.labels
    clusters = KMeans(2, n_init=3, random_state=0).fit_predict(fisher)
    assert adjusted_rand_score(labels, clusters) < 0.35
    neighbors = make_pipeline(PCA(20, random_state=0), KNeighborsClassifier(3))
    assert cross_val_score(neighbors, fisher, labels, cv=5).mean() < 0.65
    knowing = LogisticRegression(max_iter=1000)
    planted = fisher[:, _planted(bunch)]
    assert cross_val_score(knowing, planted, labels, cv=5).mean() > 0.85


def test_the_truth_solves_the_default_and_lda_on_raw_entries_does_not():
    bunch = simulate_connectivity(400, random_state=0)
    fit, test = slice(0, 200), slice(200, 400)

    def held_out(model, features):
        return model.fit(features[fit], bunch.labels[fit]).score(features[test], bunch.labels[test])

    knowing = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    assert held_out(knowing, _fisher(bunch)[:, _planted(bunch)]) >= 0.99
    raw = _matrices(bunch).reshape(400, -1)
    pca = PCA(100, random_state=0)
    neighbours = KNeighborsClassifier(3)
    assert held_out(make_pipeline(pca, LinearDiscriminantAnalysis(), neighbours), raw) < 0.75
    assert held_out(make_pipeline(PCA(20, random_state=0), neighbours), raw) < 0.75


@pytest.mark.parametrize("backend", ["numpy", "pytorch", "jax"])
def test_same_seed_gives_the_same_tensor_on_every_backend(backend):
    tl.set_backend("numpy")
    expected = simulate_connectivity(**SMALL, random_state=5).tensor
    pytest.importorskip({"pytorch": "torch"}.get(backend, backend))
    tl.set_backend(backend)
    tensor = simulate_connectivity(**SMALL, random_state=5).tensor
    assert tl.is_tensor(tensor)
    assert np.array_equal(tl.to_numpy(tensor), expected)


def test_seeds_differ_and_the_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()
    first, again, other = (
        _matrices(simulate_connectivity(**SMALL, random_state=seed)) for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.allclose(first, other, atol=0.1)
    assert np.array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"difficulty": "paper"}, "'easy', 'medium', 'hard'"),
        ({"n_planted": 11}, "n_planted must be at least 2 and at most 10"),
        ({"n_planted": 1}, "n_planted must be at least 2"),
        ({"effect_size": -0.1}, "effect_size must be at least 0"),
        ({"effect_size": 50}, r"effect_size must be at most \d\.\d\d .* got 50"),
        ({"effect_size": np.nan}, "effect_size"),
        ({"site_strength": -1}, "site_strength must be at least 0"),
        ({"site_strength": 500}, r"site_strength must be at most .* got 500"),
        ({"site_strength": 0.2, "n_sites": 1}, "site_strength must be 0 or None where n_sites"),
        ({"n_timepoints": (60, 40)}, "n_timepoints must be a pair"),
        ({"n_timepoints": (4, 40)}, "n_timepoints must be at least 5"),
        ({"n_sites": 13}, "n_samples must be at least n_sites, .*n_samples=12 and n_sites=13"),
        ({"n_sites": 0}, "n_sites must be at least 1"),
        ({"n_samples": 1}, "n_samples must be at least 2"),
        ({"n_regions": 1}, "n_regions must be at least 2"),
        ({"confounding": 1.1}, "confounding must be at least 0 and at most 1"),
    ],
)
def test_values_out_of_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        simulate_connectivity(**{**SMALL, **arguments}, random_state=0)


def test_fewer_subjects_than_the_default_number_of_sites_hear_of_both():
    with pytest.raises(ValueError, match=r"got n_samples=2 and n_sites=4: .* n_sites=1"):
        simulate_connectivity(2)
    assert len(simulate_connectivity(2, n_sites=1, random_state=0).labels) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_samples": 12.5},
        {"n_samples": True},
        {"n_regions": "10"},
        {"n_planted": 2.0},
        {"n_timepoints": 50},
        {"n_timepoints": (40.5, 60)},
        {"effect_size": "large"},
        {"random_state": "seed"},
    ],
)
def test_values_of_the_wrong_type_are_named(arguments):
    with pytest.raises(TypeError, match=next(iter(arguments))):
        simulate_connectivity(**{**SMALL, **arguments})


def test_a_quarter_of_the_regions_is_planted_by_default_16_at_most():
    for n_regions, n_planted in [(3, 2), (12, 3), (80, 16)]:
        bunch = simulate_connectivity(4, n_regions, n_sites=1, effect_size=0, random_state=0)
        assert len(bunch.regions) == n_planted


def test_subjects_come_in_random_order_and_any_site_may_have_the_most_cases():
    most = set()
    for seed in range(8):
        bunch = simulate_connectivity(
            200, 4, n_planted=2, n_sites=3, effect_size=0, confounding=1, random_state=seed
        )
        first = slice(0, 100)
        assert 30 < bunch.labels[first].sum() < 70  # of 100 cases half
        assert np.count_nonzero(np.diff(bunch.sites)) > 20
        shares = np.bincount(bunch.sites, bunch.labels) / np.bincount(bunch.sites)
        most.add(int(shares.argmax()))
    assert most == {0, 1, 2}


def test_difficulties_are_the_strengths_that_the_documentation_names():
    strengths = {"easy": (0.7, 0.2), "medium": (0.5, 0.3), "hard": (0.3, 0.4)}
    for difficulty, expected in strengths.items():
        bunch = simulate_connectivity(
            12, 10, difficulty, n_planted=4, n_sites=3, n_timepoints=(90, 99), random_state=1
        )
        assert (bunch.effect_size, bunch.site_strength) == expected
    assert simulate_connectivity(12, 10, n_planted=4, n_sites=3, random_state=1).effect_size == 0.5
