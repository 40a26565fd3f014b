"""Simulated functional connectivity of two groups, with a known difference in known regions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq
from sklearn.utils import Bunch

from tensorly_norank._progress import follow
from tensorly_norank._validation import check_choice, check_number, check_random_state, check_range
from tensorly_norank.datasets._bunch import SIMULATED, allocate, check_drawing, make_bunch

_LEVELS = {"easy": (0.7, 0.2), "medium": (0.5, 0.3), "hard": (0.3, 0.4)}  # effect, site

# Fitted by hand to 87 subjects of ABIDE (AAL atlas, no global signal regression): mean and spread
# of the correlations, spread between subjects, leading eigenvalues.
_N_NETWORKS = 7
_GLOBAL_LOADING = (0.75, 0.2)  # mean and SD over regions
_NETWORK_LOADING = (0.3, 0.6)  # smallest and largest, on a region's own network
_OVERLAP = 0.14  # SD of a region's loadings on the other networks
_LEAST_SPECIFIC = 0.2  # share of a region's variance that no network explains, at least
_GLOBAL_GAIN, _NETWORK_GAIN, _OWN_GAIN = 0.29, 0.39, 0.62  # SD over subjects of log gains
_SITE_RANK = 2

_MOST_SHARED = 0.95  # planted regions keep some activity of their own: positive definite
_LARGEST_SITE_SCALE = 4.0  # artefacts with about 30 times the variance of a region
_N_DRAWS, _N_PAIRS = 1000, 300  # subjects and edges over which the calibration takes its means

_DESCR = """\
Simulated functional connectivity: correlation matrices of the activity of brain regions, one for
each subject. Between the planted regions, `regions`, those of cases are raised or lowered by
`difference`. Networks, differences between subjects, effects of the site and the noise of a short
scan resemble those of the Autism Brain Imaging Data Exchange (ABIDE).
"""
_REFERENCE = (
    "Di Martino, A., et al. (2014). The autism brain imaging data exchange. Molecular Psychiatry, "
    "19(6), 659–667. doi:10.1038/mp.2013.78"
)


class _Population(NamedTuple):
    """What all subjects have in common; R regions, K networks and the global signal, S sites."""

    loadings: np.ndarray  # (R, 1 + K) the global signal first
    specific: np.ndarray  # (R,) variance of each region's own activity
    networks: np.ndarray  # (R,) network of each region
    signs: np.ndarray  # (R,) 1 or -1 in planted regions, 0 elsewhere
    site_loadings: np.ndarray  # (S, R, 2) of the artefacts, before they are scaled
    site_shares: np.ndarray  # (S,) expected share of the subjects
    site_timepoints: np.ndarray  # (S,)


class _Edges(NamedTuple):
    """What the correlations of P edges are made of, in n subjects."""

    first: np.ndarray  # (P,) one region of each edge
    second: np.ndarray  # (P,) the other
    covariance: np.ndarray  # (n, P) that the networks bring about
    hidden: np.ndarray  # (n, P) what the hidden signal of a case would add; 0 unless both planted
    variance: np.ndarray  # (n, R) of every region, artefacts left out


def simulate_connectivity(
    n_samples: int = 200,
    n_regions: int = 116,
    difficulty: str = "medium",
    *,
    effect_size: float | None = None,
    site_strength: float | None = None,
    n_planted: int | None = None,
    n_sites: int = 4,
    confounding: float = 0.3,
    n_timepoints: tuple[int, int] = (40, 60),
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
    verbose: bool = False,
) -> Bunch:
    r"""Functional connectivity of cases and controls who differ in known regions.

    Parameters
    ----------
    n_samples : int, default 200
        Number of subjects, at least 2 and at least `n_sites`. Half of them are cases, rounded down.
    n_regions : int, default 116
        Number of brain regions, at least 2; the AAL atlas has 116. They form up to 7 networks of
        nearly equal size.
    difficulty : {"easy", "medium", "hard"}, default "medium"
        Sets `effect_size` and `site_strength` where these are None: 0.7 and 0.2, 0.5 and 0.3, or
        0.3 and 0.4. In ABIDE, sites have a strength of about 0.2.
    effect_size : float, optional
        Cohen's d of the Fisher z of a planted edge, i.e. of the correlation of two planted regions:
        difference between the groups over standard deviation within group and site, noise included.
        The mean over all planted edges, each in the direction in which it was planted. At least 0;
        how large it can be depends on the regions drawn: 0.85 to 1.2 with the other defaults.
    site_strength : float, optional
        Standard deviation between sites of the Fisher z of an edge, over that within group and
        site; root mean squares over all edges. With 0, only the length of the scans depends on the
        site. With one site it is 0.
    n_planted : int, optional
        Number of planted regions, between 2 and `n_regions`. By default a quarter of them, at most
        16.
    n_sites : int, default 4
        Number of sites, at most `n_samples`. They differ in size.
    confounding : float, default 0.3
        How much group and site go together, from 0 to 1. The share of cases runs from
        (1 - confounding) / 2 in one site to (1 + confounding) / 2 in another, then all shares move
        alike until the groups are equal.
    n_timepoints : (int, int), default (40, 60)
        Smallest and largest number of independent time points in a scan, at least 5; one number is
        drawn for each site. Successive volumes of fMRI are alike: band-pass filtering left 36 to 60
        dimensions of ABIDE's 78 to 206 volumes. Matrices are positive definite where it exceeds
        `n_regions`, and elsewhere positive semi-definite, up to rounding.
    random_state : int, RandomState or Generator, optional
        Fixes every random choice. Networks, planted regions and sites do not depend on `n_samples`,
        `effect_size` and `site_strength`. For a held-out sample of the same population, split a
        larger one: a second call with the same seed repeats the same random numbers.
    verbose : bool, default False
        Show how many subjects are done: a progress bar on a terminal (with tqdm), else lines.

    Returns
    -------
    Bunch
        tensor : tensor of shape (n_samples, n_regions, n_regions)
            Correlation matrices in float32, in TensorLy's active backend.
        labels, class_names : ndarray of shape (n_samples,) and (2,)
            0 for "control", 1 for "case". In :func:`load_abide` 0 is autism, 1 a control.
        sites, n_timepoints : ndarray of shape (n_samples,)
            Site of each subject, from 0, and number of independent time points. The sites can be
            the `groups` of :func:`~tensorly_norank.evaluation.compare`, which takes a -1 among
            integers for a missing one: here is none.
        regions : ndarray of shape (n_planted,)
            Indices of the planted regions, sorted.
        difference : ndarray of shape (n_regions, n_regions)
            Expected correlation of a case minus that of a control, before site and sampling noise
            enter; 0 wherever one of the two regions is not planted.
        networks : ndarray of shape (n_regions,)
            Network of each region, from 0.
        effect_size, site_strength : float
            As used.
        dims, ticks, DESCR, reference, licence
            As in TensorLy's data sets.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range, `effect_size` or `site_strength` is
        larger than the model can reach, or `site_strength` is positive with one site.
    MemoryError
        If the matrices do not fit into memory.

    Notes
    -----
    The activity of subject :math:`i`, of site :math:`s`, has the covariance

    .. math::

        \Sigma_i = L \operatorname{diag}(a_i^2) L^\top + \gamma^2 B_s B_s^\top
            + P_i^{1/2} (I + g_i \delta (v v^\top - \operatorname{diag}(v^2))) P_i^{1/2}

    with loadings :math:`L` of a global signal and overlapping networks, whose gains :math:`a_i` are
    log-normal over subjects; artefacts :math:`B_s` of rank 2; and the regions' own activity, whose
    variances :math:`P_i` are diagonal and log-normal over subjects. In cases, :math:`g_i = 1`, a
    share :math:`\delta` of the planted regions' own activity is a common hidden signal, with sign
    :math:`v = 1` in about half of them and -1 in the others: connections are stronger within either
    part and weaker between the two. No variance changes, hence no other edge.

    A matrix holds the correlations of :math:`T` independent Gaussian time points of this
    covariance, so the noise of its Fisher z has variance :math:`1 / (T - 3)` [3]_. Root finding
    gives :math:`\delta` and :math:`\gamma` such that `effect_size` and `site_strength` hold in
    expectation. The other constants resemble ABIDE [1]_; subjects that vary about a common
    covariance are the model of [2]_.

    References
    ----------
    .. [1] A. Di Martino et al., "The autism brain imaging data exchange", Molecular Psychiatry 19,
       659-667, 2014.
    .. [2] G. Varoquaux, A. Gramfort, J.-B. Poline and B. Thirion, "Brain covariance selection:
       better individual functional connectivity models using population prior", NIPS 2010.
    .. [3] R. A. Fisher, "On the 'probable error' of a coefficient of correlation deduced from a
       small sample", Metron 1, 3-32, 1921.

    Examples
    --------
    >>> from tensorly_norank.datasets import simulate_connectivity
    >>> bunch = simulate_connectivity(20, 12, n_planted=3, n_sites=2, random_state=0)
    >>> tuple(bunch.tensor.shape)
    (20, 12, 12)
    >>> bunch.regions
    array([0, 1, 3])
    >>> bunch.class_names[bunch.labels].tolist().count("case")
    10
    """
    check_drawing(n_samples, verbose, least=2)
    n_planted = _check_sizes(n_samples, n_regions, n_planted, n_sites)
    check_range(n_timepoints, "n_timepoints", low=5)
    for number in n_timepoints:
        check_number(number, "n_timepoints", integer=True, high=100_000)
    check_number(confounding, "confounding", high=1, include_high=True)
    effect_size, site_strength = _strengths(difficulty, effect_size, site_strength, n_sites)
    rng = check_random_state(random_state)
    (matrices,) = allocate(1, n_samples, n_regions, n_regions)
    streams = rng.spawn(3 + n_samples)
    population = _draw_population(n_regions, n_planted, n_sites, n_timepoints, streams[0])
    labels, sites = _assign(n_samples, population.site_shares, confounding, streams[1])
    gains, own = _draw_subjects(population, _N_DRAWS, streams[2])
    pairs = np.column_stack(np.triu_indices(n_regions, 1))  # (R (R - 1) / 2, 2)
    edges = _edges(population, gains, own, streams[2].permutation(pairs)[:_N_PAIRS])
    population = _with_sites(population, edges, site_strength)
    pairs = pairs[population.signs[pairs].all(axis=1)]
    edges = _edges(population, gains, own, streams[2].permutation(pairs)[:_N_PAIRS])
    shared = _solve_shared(population, edges, effect_size)
    for k, stream in enumerate(follow(streams[3:], "simulate", "subject", verbose)):
        matrices[k] = _observe(population, int(sites[k]), shared * labels[k], stream)
    return make_bunch(
        matrices,
        labels,
        ["control", "case"],
        dims=["subject", "region", "other region"],
        ticks=[[f"region {region}" for region in range(n_regions)]] * 2,
        descr=_DESCR,
        reference=[_REFERENCE],
        licence=SIMULATED,
        sites=sites,
        regions=np.flatnonzero(population.signs),
        difference=shared * _difference(population, edges, own),
        networks=population.networks,
        n_timepoints=population.site_timepoints[sites],
        effect_size=effect_size,
        site_strength=site_strength,
    )


def _check_sizes(n_samples: int, n_regions: int, n_planted: int | None, n_sites: int) -> int:
    """Check them; how many regions are planted."""
    check_number(n_regions, "n_regions", integer=True, low=2)
    if n_planted is None:
        n_planted = max(2, min(16, n_regions // 4))
    check_number(n_planted, "n_planted", integer=True, low=2, high=n_regions, include_high=True)
    check_number(n_sites, "n_sites", integer=True, low=1)
    if n_sites > n_samples:
        raise ValueError(
            "n_samples must be at least n_sites, every site having a subject, got "
            f"n_samples={n_samples} and n_sites={n_sites}: take more samples, or fewer sites, e.g. "
            "n_sites=1."
        )
    return n_planted


def _strengths(
    difficulty: str, effect_size: Any, site_strength: Any, n_sites: int
) -> tuple[float, float]:
    """What the difficulty stands for, or what the caller wants instead."""
    check_choice(difficulty, "difficulty", _LEVELS)
    default_effect, default_site = _LEVELS[difficulty]
    effect_size = default_effect if effect_size is None else effect_size
    if site_strength is None:
        site_strength = 0.0 if n_sites == 1 else default_site
    check_number(effect_size, "effect_size")
    check_number(site_strength, "site_strength")
    if n_sites == 1 and site_strength > 0:
        raise ValueError(
            f"site_strength must be 0 or None where n_sites is 1, got {site_strength!r}: one site "
            "differs from no other."
        )
    return float(effect_size), float(site_strength)


def _draw_population(
    n_regions: int, n_planted: int, n_sites: int, n_timepoints: Any, random: np.random.Generator
) -> _Population:
    n_networks = min(_N_NETWORKS, max(1, n_regions // 4))
    networks = np.sort(np.arange(n_regions) % n_networks)
    loadings = np.empty((n_regions, 1 + n_networks))
    loadings[:, 0] = np.clip(random.normal(*_GLOBAL_LOADING, n_regions), 0.1, 0.9)
    loadings[:, 1:] = random.normal(0, _OVERLAP, (n_regions, n_networks))
    loadings[np.arange(n_regions), 1 + networks] = random.uniform(*_NETWORK_LOADING, n_regions)
    explained = (loadings**2).sum(axis=1, keepdims=True)  # (R, 1) of a variance of 1
    loadings *= np.sqrt(np.minimum(1, (1 - _LEAST_SPECIFIC) / explained))
    fewest, most = n_timepoints
    signs = np.zeros(n_regions)
    # In pairs of either sign: the mean connectivity hardly gives the cases away.
    halves = np.where(np.arange(n_planted) // 2 % 2, -1, 1)
    signs[random.permutation(n_regions)[:n_planted]] = halves
    return _Population(
        loadings=loadings,
        specific=1 - (loadings**2).sum(axis=1),
        networks=networks,
        signs=signs,
        site_loadings=random.standard_normal((n_sites, n_regions, _SITE_RANK)),
        site_shares=random.dirichlet(np.full(n_sites, 3.0)),
        site_timepoints=random.integers(fewest, most, n_sites, endpoint=True),
    )


def _assign(
    n_samples: int, site_shares: np.ndarray, confounding: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Group and site of each subject, (n,) and (n,): nobody is left without a site or a group."""
    n_sites = len(site_shares)
    sizes = 1 + random.multinomial(n_samples - n_sites, site_shares)
    case_shares = 0.5 + confounding * random.permutation(np.linspace(-0.5, 0.5, n_sites))
    sites = np.repeat(np.arange(n_sites), sizes)
    places = np.concatenate([(np.arange(size) + 0.5) / size for size in sizes])
    # Within a site, subjects placed below its share of cases are cases. The first half in the order
    # of place minus share are those below, after all shares moved alike to make the groups equal.
    labels = np.zeros(n_samples, dtype=int)
    labels[np.argsort(places - case_shares[sites], kind="stable")[: n_samples // 2]] = 1
    order = random.permutation(n_samples)
    return labels[order], sites[order]


def _draw_subjects(
    population: _Population, n_subjects: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Gain of each network and SD of each region's own activity, (n, 1 + K) and (n, R)."""
    n_regions, n_networks = population.loadings.shape
    spread = np.r_[_GLOBAL_GAIN, np.full(n_networks - 1, _NETWORK_GAIN)]
    gains = np.exp(spread * random.standard_normal((n_subjects, n_networks)))
    own = np.exp(_OWN_GAIN * random.standard_normal((n_subjects, n_regions)))
    return gains, np.sqrt(population.specific) * own


def _edges(
    population: _Population, gains: np.ndarray, own: np.ndarray, pairs: np.ndarray
) -> _Edges:
    first, second = pairs.T
    hidden = own * population.signs
    return _Edges(
        first,
        second,
        covariance=gains**2 @ (population.loadings[first] * population.loadings[second]).T,
        hidden=hidden[:, first] * hidden[:, second],
        variance=gains**2 @ (population.loadings**2).T + own**2,
    )


def _difference(population: _Population, edges: _Edges, own: np.ndarray) -> np.ndarray:
    """Of the expected correlations, if all of the planted regions' own activity is shared."""
    hidden = own * population.signs / np.sqrt(edges.variance)  # (n, R)
    difference = hidden.T @ hidden / len(hidden)
    np.fill_diagonal(difference, 0)
    return difference


def _fisher_moments(
    population: _Population, edges: _Edges, site_scale: float, shared: float
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance over subjects of the Fisher z of each edge in each site, (S, P) each."""
    means, variances = [], []
    for site, n_timepoints in enumerate(population.site_timepoints):
        loadings = site_scale * population.site_loadings[site]  # (R, 2)
        artefact = (loadings[edges.first] * loadings[edges.second]).sum(axis=1)  # (P,)
        deviation = np.sqrt(edges.variance + (loadings**2).sum(axis=1))  # (n, R)
        covariance = edges.covariance + artefact + shared * edges.hidden  # (n, P)
        fisher = np.arctanh(covariance / (deviation[:, edges.first] * deviation[:, edges.second]))
        means.append(fisher.mean(axis=0))
        variances.append(fisher.var(axis=0) + 1 / (n_timepoints - 3))
    return np.stack(means), np.stack(variances)


def _with_sites(population: _Population, edges: _Edges, site_strength: float) -> _Population:
    """The population whose site loadings are as strong as asked for."""

    def strength(scale: float) -> float:
        means, variances = _fisher_moments(population, edges, scale, 0)
        return float(np.sqrt(means.var(axis=0, ddof=1).mean() / variances.mean()))

    scale = _solve(strength, site_strength, _LARGEST_SITE_SCALE, "site_strength")
    return population._replace(site_loadings=scale * population.site_loadings)


def _solve_shared(population: _Population, edges: _Edges, effect_size: float) -> float:
    """How much of the planted regions' own activity must be shared for this effect size."""
    weights = population.site_shares
    signs = population.signs[edges.first] * population.signs[edges.second]
    control_means, control_variances = _fisher_moments(population, edges, 1, 0)

    def effect(shared: float) -> float:
        means, variances = _fisher_moments(population, edges, 1, shared)
        deviations = np.sqrt(weights @ (variances + control_variances) / 2)
        return float((signs * (weights @ (means - control_means)) / deviations).mean())

    return _solve(effect, effect_size, _MOST_SHARED, "effect_size")


def _solve(achieved: Callable[[float], float], wanted: float, upper: float, name: str) -> float:
    if wanted == 0:
        return 0.0
    highest = achieved(upper)
    if wanted > highest:
        raise ValueError(
            f"{name} must be at most {highest:.2f} for the regions and sites that were drawn, got "
            f"{wanted!r}: the model reaches no more. It does with a weaker site_strength or more "
            "n_timepoints, and another random_state draws others."
        )
    return float(brentq(lambda value: achieved(value) - wanted, 0, upper, rtol=1e-3))


def _observe(
    population: _Population, site: int, shared: float, random: np.random.Generator
) -> np.ndarray:
    """The correlations over the time points of one scan, (R, R)."""
    gains, own = _draw_subjects(population, 1, random)
    n_regions, n_networks = population.loadings.shape
    n_timepoints = population.site_timepoints[site]
    shares = shared * population.signs**2  # (R,)
    activity = random.standard_normal((n_regions, n_timepoints))
    activity *= (own * np.sqrt(1 - shares)).T
    activity += (own * np.sqrt(shares) * population.signs).T * random.standard_normal(n_timepoints)
    activity += population.loadings * gains @ random.standard_normal((n_networks, n_timepoints))
    activity += population.site_loadings[site] @ random.standard_normal((_SITE_RANK, n_timepoints))
    activity -= activity.mean(axis=1, keepdims=True)
    activity /= np.linalg.norm(activity, axis=1, keepdims=True)
    correlation = np.clip(activity @ activity.T, -1, 1).astype(np.float32)
    np.fill_diagonal(correlation, 1)
    return correlation
