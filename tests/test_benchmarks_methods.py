"""What the benchmarks set beside ours, and the samples that they fit and score."""

import os
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NeighborhoodComponentsAnalysis

from tensorly_norank.evaluation import evaluate_embedding


@pytest.mark.parametrize("n_each", [1, 2, 3, 5, 20])
@pytest.mark.parametrize("n_classes", [2, 3, 4, 5, 7, 20])
@pytest.mark.parametrize("unseen", [False, True])
def test_a_search_leaves_classes_to_fit_and_classes_to_score(
    benchmark_module, n_classes, n_each, unseen
):
    labels = np.repeat(np.arange(n_classes), n_each)
    fit, left = benchmark_module("_searched").a_fifth(labels, 0, unseen)
    np.testing.assert_array_equal(np.sort(np.r_[fit, left]), np.arange(len(labels)))
    assert min(len(np.unique(labels[part])) for part in (fit, left)) >= min(2, len(labels) // 2)
    if unseen and n_classes > 3:
        assert not set(labels[fit]) & set(labels[left])
    elif n_each > 1:
        assert set(labels[fit]) == set(labels[left])


def _shown(strength):
    """A method that shows the first entry so plainly, beside noise; of None, none."""

    def method(fit_samples, fit_labels, new_samples, random_state):
        if strength is None:
            raise ValueError("too few samples")
        rng = np.random.default_rng(random_state)
        return [
            np.c_[strength * part[:, 0, 0], rng.normal(size=len(part))]
            for part in (fit_samples, new_samples)
        ]

    return method


def test_a_search_takes_what_separates_samples_that_were_left_out(benchmark_module):
    labels = np.repeat(np.arange(3), 10)
    samples = np.tile(labels[:, None, None].astype(float), (1, 2, 2))
    Searched = benchmark_module("_searched").Searched
    candidates = {"fails": _shown(None), "weak": _shown(0.1), "strong": _shown(20.0)}
    found = Searched(candidates)
    found(samples, labels, samples, 0)
    assert found.chosen == "strong (1 of 3 failed)"
    undecided = Searched({"default": _shown(1.0), "other": _shown(1.0)})
    undecided(samples, labels, samples, 0)
    assert undecided.chosen == "default"
    with pytest.raises(ValueError, match="too few samples"):
        Searched({"a": _shown(None), "b": _shown(None)})(samples, labels, samples, 0)


def test_a_search_among_two_samples_of_each_class_asks_for_the_nearest_fitted_one(
    benchmark_module,
):
    """One of each is left out: there are no pairs, and silhouette and Rand index are undefined."""
    labels = np.repeat(np.arange(8), 2)
    samples = np.tile(labels[:, None, None].astype(float), (1, 2, 2))
    searched = benchmark_module("_searched").Searched({"weak": _shown(0.01), "strong": _shown(20)})
    searched(samples, labels, samples, 0)
    assert searched.chosen == "strong"


def test_what_is_searched_for_is_silhouette_and_rand_index_of_what_was_left_out(benchmark_module):
    """The two differ, and both count."""
    score = benchmark_module("_searched").score
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 20)
    points = np.c_[3.0 * labels, rng.normal(size=60)]
    figures = evaluate_embedding(points, labels, random_state=0)
    assert figures["silhouette"] != figures["ari"]
    expected = figures["silhouette"] + figures["ari"]
    assert score(points[:3], labels[:3], points, labels) == pytest.approx(expected)


class _Drifting(torch.nn.Module):
    """Shows the first entry, the more plainly the fewer steps it was trained for."""

    def __init__(self, shape, n_classes):
        super().__init__()
        self.n_losses = torch.nn.Parameter(torch.zeros(()))

    def loss(self, images, labels):
        """Falls for ever."""
        return self.n_losses

    def encode(self, images):
        """The first entry beside noise that grows with training."""
        first = images[:, 0, 0, 0]
        noise = torch.randn(len(images), generator=torch.Generator().manual_seed(0))
        return torch.stack([first, 1e3 * self.n_losses.detach() * noise], dim=1)


def test_steps_of_deep_methods_are_those_that_serve_samples_that_were_left_out(benchmark_module):
    competitors = benchmark_module("_competitors")
    labels = np.repeat(np.arange(3), 10)
    samples = np.tile(labels[:, None, None].astype(np.float32), (1, 8, 8))
    samples += np.random.default_rng(0).normal(scale=0.01, size=samples.shape).astype(np.float32)
    for n_steps in [(30, 10), (10, 30)]:
        method = competitors.Trained(_Drifting, n_steps=n_steps)
        method(samples, labels, samples, 0)
        assert method.chosen == "10 steps"
    alone = competitors.Trained(_Drifting, n_steps=(30,))
    alone(samples, labels, samples, 0)
    assert alone.chosen == "30 steps"


@pytest.mark.parametrize(
    "name", ["raw", "PCA", "kernel PCA", "LDA", "NCA", "CP", "Tucker", "t-SVD", "CNN"]
)
def test_a_new_sample_is_embedded_whatever_others_there_are(benchmark_module, name):
    """Nothing is learned from the samples that are scored."""
    competitors = benchmark_module("_competitors")
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 10)
    samples = (rng.normal(size=(30, 8, 8)) + 5 * labels[:, None, None]).astype(np.float32)
    new = (rng.normal(size=(9, 8, 8)) + 3).astype(np.float32)
    method = competitors.competitors(30, 64)[name]
    if name == "CNN":
        method.n_steps = (10,)
    else:
        first = next(iter(method.candidates))
        method.candidates = {first: method.candidates[first]}
    (fitted, whole), (again, part) = (
        method(samples, labels, rows, random_state=0) for rows in (new, new[:2])
    )
    np.testing.assert_allclose(fitted, again, atol=1e-5)
    np.testing.assert_allclose(whole[:2], part, atol=1e-5)


def test_projected_samples_lie_apart_as_what_the_patterns_of_cp_show_of_them(benchmark_module):
    """Coefficients of the same patterns, which are skew, do not."""
    embed = benchmark_module("_peers").embed_by_parafac
    samples = np.random.default_rng(0).normal(size=(30, 5, 4))
    # As many patterns as entries show everything; the distances are those of the samples.
    skew, projected = (
        embed(samples, None, samples, 0, rank=20, is_projected=is_projected)[1]
        for is_projected in (False, True)
    )
    own = pdist(samples.reshape(30, -1))
    np.testing.assert_allclose(pdist(projected), own, rtol=1e-6)
    assert np.abs(pdist(skew) - own).max() > 0.1 * own.max()


def test_a_search_goes_on_where_a_candidate_raises_and_says_nothing(benchmark_module, recwarn):
    """UMAP raises a TypeError of its own for more components than samples."""

    def fails(fit, labels, new, random_state):
        raise TypeError("k >= N")

    def works(fit, labels, new, random_state):
        warnings.warn("of few samples", stacklevel=1)
        return fit, new

    searched = benchmark_module("_searched").Searched({"fails": fails, "works": works})
    samples = np.repeat(np.eye(3), 10, axis=0)
    searched(samples, np.repeat(np.arange(3), 10), samples, 0)
    assert searched.chosen == "works (1 of 2 failed)"
    warned = [one for one in recwarn if str(one.message) == "of few samples"]
    assert len(warned) == 1  # of the last fit alone


def test_a_method_that_stopped_at_its_last_iteration_is_noted(benchmark_module):
    """By the runner, though scikit-learn's NCA says so in its printed log alone."""
    runner, searched = benchmark_module("_runner"), benchmark_module("_searched")
    rng = np.random.default_rng(0)
    samples, labels = rng.normal(size=(40, 12)), np.repeat(np.arange(4), 10)

    def noted(max_iter):
        method = searched._flat(NeighborhoodComponentsAnalysis(2, max_iter=max_iter))
        found = runner._watched(lambda: (method(samples, labels, samples, 0), ({}, []))[1], ())
        return found[0].get("note")

    assert noted(2) == "did not converge"
    assert noted(2000) is None


def test_slices_of_the_t_svd_span_what_was_fitted(benchmark_module):
    """With as many as there are, products of samples are those of the samples themselves."""
    rng = np.random.default_rng(0)
    samples, new = rng.normal(size=(30, 4, 6)), rng.normal(size=(7, 4, 6))
    fitted, embedded = benchmark_module("_searched")._t_svd(samples, None, new, 0, rank=4)
    centred = [(part - samples.mean(axis=0)).reshape(len(part), -1) for part in (samples, new)]
    np.testing.assert_allclose(embedded @ fitted.T, centred[1] @ centred[0].T, atol=1e-9)


def test_clustering_pulls_codes_to_their_centres(benchmark_module):
    import torch

    deep = benchmark_module("_deep")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        images = torch.randn(60, 1, 8, 8) + 2 * torch.arange(3).repeat(20)[:, None, None, None]
        autoencoder = deep.Autoencoder((1, 8, 8))
        deep.train(autoencoder, images, torch.zeros(60), 30, 1e-3)
        start = deep.Clustering(autoencoder, images, 3, 0)
        clustering, losses = deep.clustered(autoencoder, images, np.arange(60) % 3, 100, 0)

    def surest(one):
        soft = one.soften(torch.from_numpy(deep.embed(one, images)))
        return float(soft.detach().max(dim=1).values.mean())

    assert surest(clustering) > surest(start)
    assert np.isfinite(losses).all()


def test_deep_methods_see_each_channel_in_its_own_units(benchmark_module):
    deep = benchmark_module("_deep")
    rng = np.random.default_rng(0)
    samples = 5 + rng.normal(size=(40, 8, 8, 3)) * [1.0, 1000.0, 0.0]  # the last does not vary
    images = deep.Arranged(samples)(samples).numpy()
    assert images.shape == (40, 3, 8, 8)
    np.testing.assert_allclose(images.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose((images**2).mean(axis=(0, 2, 3)), [1, 1, 0], atol=1e-5)


def test_probabilities_of_classes_hang_less_on_the_place_than_those_of_one_copy(benchmark_module):
    import torch

    deep = benchmark_module("_deep")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        images, labels = torch.randn(60, 1, 20, 20), torch.arange(60) % 3
        images[labels == 1, :, 8:12] += 2
        images[labels == 2, :, :, 8:12] += 2
        module = deep.ConvNet((1, 20, 20), 3)
        deep.train(module, images, labels, 60, 1e-3)
    points = deep.embed(module, images, "probabilities")
    np.testing.assert_allclose(points.sum(axis=1), 1, atol=1e-5)
    assert (points.argmax(axis=1) == labels.numpy()).mean() > 0.9

    def change(read_out):
        moved = deep.embed(module, deep.move(images, 2, 1), read_out)
        return np.abs(moved - deep.embed(module, images, read_out)).mean()

    module.of_one_copy = lambda part: module.to_classes(module.features(part)).softmax(dim=1)
    assert change("probabilities") < change("of_one_copy")


def test_searched_methods_see_each_channel_in_its_own_units(benchmark_module):
    """As deep ones do; samples without channels stay as they are."""
    scaled = benchmark_module("_searched")._channels_scaled
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(40, 8, 8, 3))
    units = np.array([1.0, 1000.0, 0.01])
    np.testing.assert_allclose(scaled(samples * units, samples * units), scaled(samples, samples))
    for shape in [(8, 8), (2, 2)]:
        whole = rng.normal(size=(9, *shape))
        assert all(part is whole for part in scaled(whole, whole))


def test_shrunk_discriminants_do_not_divide_by_rounding_errors(benchmark_module):
    """Pixels at the edge of digits are black in nearly all of them."""
    samples, labels = load_digits(return_X_y=True)
    rows = np.arange(len(labels))
    fit, new = train_test_split(rows, test_size=0.5, stratify=labels, random_state=0)
    candidates = benchmark_module("_searched").searched_methods(len(fit), 64)["LDA"].candidates
    _, embedded = candidates["shrunk"](samples[fit], labels[fit], samples[new], 0)
    assert np.abs(embedded).max() < 100


def test_patches_of_the_pines_that_are_scored_share_no_pixel_with_fitted_ones(benchmark_module):
    held_out = benchmark_module("held_out")
    rng = np.random.default_rng(0)
    positions, labels = rng.integers(0, 145, (600, 2)), rng.integers(0, 3, 600)
    fit, new = held_out.split_apart(labels, positions, 0)
    steps = np.abs(positions[fit][:, None] - positions[new]).max(axis=2)
    assert len(fit) > 100
    assert len(new) > 50
    assert steps.min() >= 5


def test_of_the_pines_such_patches_are_what_is_split(benchmark_module, monkeypatch):
    held_out = benchmark_module("held_out")
    rng = np.random.default_rng(0)
    positions, labels = rng.integers(0, 145, (600, 2)), rng.integers(0, 3, 600)
    bunch = SimpleNamespace(positions=positions)
    monkeypatch.setattr(held_out, "load_indian_pines_patches", lambda: bunch)
    for found, expected in zip(
        held_out.split_of("pines", labels, 1),
        held_out.split_apart(labels, positions, 1),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)


def test_no_split_comes_twice(benchmark_module):
    """Seven classes can be halved in 35 ways; of a field four corners are possible here."""
    held_out = benchmark_module("held_out")
    labels = np.repeat(np.arange(7), 2)
    halves = {held_out.split_samples(labels, seed, True)[0].tobytes() for seed in range(12)}
    assert len(halves) == 12
    rng = np.random.default_rng(0)
    positions, labels = rng.integers(0, 40, (300, 2)), rng.integers(0, 2, 300)
    fields = [
        held_out.split_apart(labels, positions, seed, square=2, patch_size=1) for seed in range(4)
    ]
    assert len({fit.tobytes() for fit, _ in fields}) > 1  # opposite corners fit the same squares
    with pytest.raises(ValueError, match="seed 4 finds no split that none of the 4 before it has"):
        held_out.split_apart(labels, positions, 4, square=2, patch_size=1)


def test_a_split_is_the_first_draw_of_its_seed_that_no_earlier_one_has(benchmark_module):
    labels = np.repeat(np.arange(7), 2)
    first = [
        frozenset(np.random.default_rng(seed).permutation(7)[:3].tolist()) for seed in range(6)
    ]
    split_samples = benchmark_module("held_out").split_samples
    found = [frozenset(labels[split_samples(labels, s, True)[0]].tolist()) for s in range(6)]
    assert first[3] == first[2]  # which is what made them be looked at
    assert [one == other for one, other in zip(found, first, strict=True)] == [
        seed != 3 for seed in range(6)
    ]


def test_umap_is_told_which_labels_are_missing(benchmark_module, monkeypatch):
    given = []

    class UMAP:
        def __init__(self, **settings):
            pass

        def fit_transform(self, rows, y):
            given.append(y)
            return rows

        def transform(self, rows):
            return rows

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=UMAP))
    fit_umap = benchmark_module("_peers")._fit_umap
    samples = np.random.default_rng(0).normal(size=(6, 3))
    for labels in (np.array([-1, 4, 7, -1, 4, 7]), np.array(list("abcabc")), None):
        fit_umap(samples, labels, samples, 0, 2, {})
    assert given[0][[0, 3]].tolist() == [-1, -1]
    assert len(set(given[0][1:3])) == 2 and (given[0][1:3] >= 0).all()
    assert given[1].tolist() == [0, 1, 2, 0, 1, 2]
    assert given[2] is None


def test_features_of_copies_are_their_mean(benchmark_module):
    deep = benchmark_module("_deep")
    torch.manual_seed(0)
    images = torch.randn(3, 1, 8, 8)
    network = deep.ConvNet((1, 8, 8), 4).eval()
    with torch.no_grad():
        one_by_one = [network.encode(copy) for copy in deep.copies(images)]
        torch.testing.assert_close(network.encode_copies(images), sum(one_by_one) / 5)
    assert not torch.allclose(one_by_one[0], one_by_one[1])


def test_errors_of_overlapping_halves_are_those_of_the_corrected_test(benchmark_module):
    values = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 6.0]])
    means_and_errors = benchmark_module("_summary").means_and_errors
    for test_to_fit in (0.0, 1.0, 0.5):
        mean, error = means_and_errors(values, test_to_fit)
        np.testing.assert_allclose(mean, [2, 2])
        np.testing.assert_allclose(error, np.sqrt([1, 12]) * np.sqrt(1 / 3 + test_to_fit))


def test_what_is_measured_for_itself_runs_in_a_process_of_its_own(benchmark_module):
    peers = benchmark_module("_peers")
    assert len({peers.in_a_new_process(os.getpid) for _ in range(2)} | {os.getpid()}) == 3


def test_few_samples_are_drawn_of_the_classes_that_a_half_has(benchmark_module, monkeypatch):
    """Of Indian Pines a half lacks some: the others are fitted, and the rank is theirs."""
    scarcity = benchmark_module("scarcity")
    labels = np.repeat(np.arange(4), 6)
    half, new = np.flatnonzero((labels < 3) & (np.arange(24) % 2 == 0)), np.arange(1, 24, 2)
    monkeypatch.setattr(scarcity, "loaded", lambda data: (np.zeros((24, 2, 2)), labels))
    monkeypatch.setattr(scarcity, "split_of", lambda *_: (half, new))
    fitted = []
    monkeypatch.setattr(scarcity, "score_split", lambda *args: fitted.append(args[2:4]))
    scarcity.run("pines", 2, 0, "ours, rank given")
    ((method, rows),) = fitted
    assert np.bincount(labels[rows]).tolist() == [2, 2, 2]
    assert method.keywords == {"rank": 2}
    row, _ = scarcity.run("pines", 4, 0, "ours, rank given")
    assert row["note"] == "a class has fewer samples"


def test_subjects_of_a_site_are_named_by_those_of_the_others(benchmark_module):
    tensor = np.arange(12)[:, None, None] * np.ones((1, 2, 2))
    labels, sites = np.arange(12) % 2, np.repeat([0, 1, 2], 4)
    seen = []

    def method(samples, own_labels, new):
        fitted, named = samples[:, 0, 0].astype(int), new[:, 0, 0].astype(int)
        np.testing.assert_array_equal(own_labels, labels[fitted])
        assert not set(sites[fitted]) & set(sites[named])
        seen.extend([*fitted, *named])
        return labels[named] if 4 not in named else 1 - labels[named]

    accuracy = benchmark_module("connectivity").accuracy(method, tensor, labels, sites)
    assert accuracy == pytest.approx(2 / 3)  # one site of three is named wrongly
    assert np.bincount(seen).tolist() == [3] * 12


def test_regions_are_found_where_as_many_as_were_planted_stand_out(benchmark_module):
    precision = benchmark_module("connectivity").precision
    assert precision(np.array([0.1, 0.9, 0.2, 0.8]), np.array([1, 3])) == 1
    assert precision(np.array([0.1, 0.9, 0.2, 0.8]), np.array([0, 3])) == 0.5
    assert precision(np.array([0.1, 0.9, 0.2, 0.8]), np.array([0, 2])) == 0


def test_pairs_of_people_who_lie_apart_are_told_apart_both_ways(benchmark_module, monkeypatch):
    verification = benchmark_module("verification")
    labels = np.repeat(np.arange(6), 5)
    tensor = 10.0 * np.eye(6)[labels] + np.random.default_rng(0).normal(size=(30, 6))
    monkeypatch.setattr(verification, "loaded", lambda data: (tensor, labels))

    def as_they_are(samples, labels, new, random_state):
        return samples, new

    monkeypatch.setattr(verification, "competitors", lambda *_: {"ours": as_they_are})
    for name in ("ours", verification.SIMILARITY):
        verification.embedded.cache_clear()
        row, curve = verification.run("faces", 0, name)
        assert float(row["auc"]) > 0.99
        assert float(row["true_at_0.01"]) > 0.9
        assert float(curve[-1][1]) == 1
    verification.embedded.cache_clear()


@pytest.mark.parametrize("kind", ["held out", "new classes"])
def test_methods_are_told_whether_classes_are_new(benchmark_module, monkeypatch, kind):
    paper = benchmark_module("paper")
    labels = np.repeat(np.arange(6), 4)
    told = []

    def competitors(n_fit, n_entries, unseen_classes):
        told.append(unseen_classes)
        return {"raw": None}

    def score_split(tensor, labels, method, fit, new, split, unseen_classes):
        told.append(unseen_classes)
        told.append(not set(labels[fit]) & set(labels[new]))

    monkeypatch.setattr(paper, "loaded", lambda data: (np.zeros((24, 2, 2)), labels))
    monkeypatch.setattr(paper, "competitors", competitors)
    monkeypatch.setattr(paper, "score_split", score_split)
    paper.run("digits", kind, 0, "raw")
    assert told == [kind == "new classes"] * 3


def test_labels_are_permuted_within_sites(benchmark_module):
    connectivity = benchmark_module("connectivity")
    rng = np.random.default_rng(0)
    labels, sites = rng.integers(0, 2, 60), np.repeat([0, 1, 2], 20)
    permuted = connectivity.permuted_within(labels, sites, rng)
    assert (permuted != labels).any()
    for site in range(3):
        own = sites == site
        np.testing.assert_array_equal(np.sort(permuted[own]), np.sort(labels[own]))
