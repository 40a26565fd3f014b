"""Every figure equals its definition, scikit-learn's where it has one, and says why it is NaN."""

import math
import warnings

import numpy as np
import pytest
import tensorly as tl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.manifold import trustworthiness
from sklearn.metrics import (
    adjusted_rand_score,
    balanced_accuracy_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    normalized_mutual_info_score,
    roc_auc_score,
    silhouette_samples,
    silhouette_score,
)
from sklearn.neighbors import KNeighborsClassifier
from tensorly.cp_tensor import CPTensor

from tensorly_norank import NoRankDecomposition
from tensorly_norank.evaluation import _figures, evaluate_embedding

PAIRED = ("separation_ratio", "verification_auc", "triplet_accuracy")
CLUSTERED = ("silhouette", "davies_bouldin", "calinski_harabasz", "recall_at_1")


def sample(seed=0, n=23, n_classes=3, n_components=2, separation=1.0):
    """Classes of unequal size, in random order."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(n_classes)] * 2 + [rng.integers(n_classes, size=n)])[:n]
    points = rng.normal(size=(n, n_components))
    return points + separation * rng.normal(size=(n_classes, n_components))[labels], labels


def distance(points, i, j):
    return math.dist(points[i], points[j])


@pytest.mark.parametrize("seed", range(3))
def test_separation_ratio_is_the_mean_distance_between_over_that_within_classes(seed):
    points, labels = sample(seed)
    between, within = [], []
    for i in range(len(labels)):
        for j in range(i):
            kind = within if labels[i] == labels[j] else between
            kind.append(distance(points, i, j))
    figures = evaluate_embedding(points, labels)
    assert figures["separation_ratio"] == pytest.approx(np.mean(between) / np.mean(within))


@pytest.mark.parametrize("seed", range(3))
def test_triplet_accuracy_is_the_share_of_all_triplets_in_order_ties_counting_half(seed):
    points, labels = sample(seed, n=14)
    points = np.round(points)  # ties
    scores = []
    for a in range(len(labels)):
        for p in range(len(labels)):
            for n in range(len(labels)):
                if p != a and labels[p] == labels[a] != labels[n]:
                    near, far = distance(points, a, p), distance(points, a, n)
                    scores.append(1.0 if near < far else 0.5 if near == far else 0.0)
    assert evaluate_embedding(points, labels)["triplet_accuracy"] == pytest.approx(np.mean(scores))


@pytest.mark.parametrize("seed", range(3))
def test_verification_auc_is_the_share_of_pairs_of_a_class_nearer_than_other_pairs(seed):
    points, labels = sample(seed, n=15)
    same, other = [], []
    for i in range(len(labels)):
        for j in range(i):
            (same if labels[i] == labels[j] else other).append(distance(points, i, j))
    nearer = [(s < o) + 0.5 * (s == o) for s in same for o in other]
    assert evaluate_embedding(points, labels)["verification_auc"] == pytest.approx(np.mean(nearer))


@pytest.mark.parametrize("seed", range(3))
def test_recall_at_1_asks_the_nearest_other_sample_of_those_not_alone_in_their_class(seed):
    points, labels = sample(seed)
    labels = labels.copy()
    labels[4] = 99
    hits = []
    for i in range(len(labels)):
        if labels[i] != 99:
            others = [j for j in range(len(labels)) if j != i]
            hits.append(labels[min(others, key=lambda j: distance(points, i, j))] == labels[i])
    assert evaluate_embedding(points, labels)["recall_at_1"] == pytest.approx(np.mean(hits))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_recall_at_1_is_chance_where_all_points_coincide_although_the_samples_come_sorted():
    labels = np.repeat(np.arange(10), 30)
    recalls = [
        evaluate_embedding(np.zeros((300, 2)), labels, random_state=seed).get("recall_at_1")
        for seed in range(5)
    ]
    assert np.mean(recalls) < 0.2


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_recall_at_1_among_points_that_coincide_does_not_depend_on_the_order_of_the_samples():
    places = np.repeat(np.arange(40.0), 3)[:, None]  # of each class two samples at every place,
    labels = np.tile([0, 0, 1], 40)  # and one of the other behind them
    recalls = [
        evaluate_embedding(places, labels, random_state=seed)["recall_at_1"] for seed in range(5)
    ]
    assert np.mean(recalls) == pytest.approx(1 / 3, abs=0.1)


def test_effective_rank_counts_equal_directions_and_ignores_the_mean():
    cross = np.concatenate([np.eye(4), -np.eye(4)])
    labels = [0, 1] * 4
    assert evaluate_embedding(cross, labels)["effective_rank"] == pytest.approx(4)
    assert evaluate_embedding(cross + 7, labels)["effective_rank"] == pytest.approx(4)
    line = np.outer(np.arange(8.0), [1, 2, 3, 4])
    assert evaluate_embedding(line, labels)["effective_rank"] == pytest.approx(1)
    singular = np.array([3.0, 1.0])
    shares = singular / singular.sum()
    expected = np.exp(-np.sum(shares * np.log(shares)))
    scaled = cross[:, :2] * singular
    assert evaluate_embedding(scaled, labels)["effective_rank"] == pytest.approx(expected)


def test_figures_that_scikit_learn_has_are_its_own():
    points, labels = sample(5, n=60, separation=3)
    fit_points, fit_labels = sample(6, n=40, separation=3)
    data = np.random.default_rng(1).normal(size=(60, 3, 4))
    figures = evaluate_embedding(points, labels, fit_points, fit_labels, data, random_state=0)
    clusters = KMeans(3, n_init=10, random_state=0).fit_predict(points)
    voted = KNeighborsClassifier(3).fit(fit_points, fit_labels).predict(points)
    flat = data.reshape(60, -1)
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    upper = np.triu_indices(60, 1)
    same = (labels[:, None] == labels)[upper]
    expected = {
        "silhouette": silhouette_score(points, labels),
        "davies_bouldin": davies_bouldin_score(points, labels),
        "calinski_harabasz": calinski_harabasz_score(points, labels),
        "ari": adjusted_rand_score(labels, clusters),
        "nmi": normalized_mutual_info_score(labels, clusters),
        "verification_auc": roc_auc_score(same, -distances[upper]),
        "knn_accuracy": np.mean(voted == labels),
        "knn_balanced_accuracy": balanced_accuracy_score(labels, voted),
        "trustworthiness": trustworthiness(flat, points, n_neighbors=10),
        "continuity": trustworthiness(points, flat, n_neighbors=10),
    }
    assert {name: figures[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def brute_trustworthiness(data, points, k):
    """By ranks: neighbours in `points` that are no neighbours in `data` cost their excess rank."""
    n, cost = len(points), 0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        by_data = sorted(others, key=lambda j: distance(data, i, j))
        nearest = sorted(others, key=lambda j: distance(points, i, j))[:k]
        cost += sum(max(0, by_data.index(j) + 1 - k) for j in nearest)
    return 1 - 2 * cost / (n * k * (2 * n - 3 * k - 1))


def test_continuity_is_trustworthiness_with_the_spaces_swapped():
    rng = np.random.default_rng(3)
    data, points, labels = rng.normal(size=(24, 5)), rng.normal(size=(24, 2)), [0, 1] * 12
    one = evaluate_embedding(points, labels, data=data)
    other = evaluate_embedding(data, labels, data=points)
    assert one["continuity"] == other["trustworthiness"]
    assert one["trustworthiness"] == other["continuity"]
    assert one["trustworthiness"] == pytest.approx(brute_trustworthiness(data, points, 10))
    assert one["continuity"] == pytest.approx(brute_trustworthiness(points, data, 10))


def test_neighbourhoods_take_fewer_neighbours_where_there_are_few_samples():
    rng = np.random.default_rng(3)
    data, points = rng.normal(size=(9, 5)), rng.normal(size=(9, 2))
    figures = evaluate_embedding(points, [0, 1, 2] * 3, data=data)
    assert figures["trustworthiness"] == pytest.approx(brute_trustworthiness(data, points, 4))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000),
    st.floats(0.1, 100),
    st.lists(st.floats(-50, 50), min_size=3, max_size=3),
)
def test_figures_do_not_change_with_rotation_shift_scale_order_or_names(seed, scale, shift):
    rng = np.random.default_rng(seed)
    points, labels = sample(seed, n=20, n_components=3, separation=4)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    order = rng.permutation(20)
    names = np.array(["pear", "apple", "fig"])
    one = evaluate_embedding(points, labels, data=points, random_state=0)
    moved = scale * points @ turn + shift
    other = evaluate_embedding(
        moved[order], names[labels[order]], data=points[order], random_state=0
    )
    for name in {*PAIRED, *CLUSTERED, "effective_rank", "trustworthiness"}:
        assert other[name] == pytest.approx(one[name], abs=1e-6), name


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 1e9), (1e200, 0.0), (1e-200, 0.0)])
def test_figures_are_those_of_the_points_near_the_origin_and_of_size_1(scale, shift):
    points, labels = sample()
    coarse = np.round(points, 3)  # which a float holds far from the origin too
    near = evaluate_embedding(coarse, labels, coarse[::2], labels[::2], coarse, random_state=0)
    far = scale * (coarse + shift)
    there = evaluate_embedding(far, labels, far[::2], labels[::2], far, random_state=0)
    for name, value in near.items():
        assert there[name] == pytest.approx(value, rel=1e-3), name


def test_neighbourhoods_of_points_that_coincide_do_not_depend_on_the_order_of_the_samples():
    labels = np.repeat(np.arange(4), 15)
    data = np.arange(60.0)[:, None]
    points = np.eye(4)[labels]
    shuffled = np.random.default_rng(0).permutation(60)
    by_seed = [
        [
            evaluate_embedding(points[order], labels[order], data=data[order], random_state=seed)
            for seed in range(20)
        ]
        for order in (np.arange(60), shuffled)
    ]
    for name in ("trustworthiness", "continuity"):
        sorted_, mixed = (np.mean([figures[name] for figures in one]) for one in by_seed)
        assert sorted_ == pytest.approx(mixed, abs=0.01)


def test_classes_about_one_centre_have_no_davies_bouldin_figure():
    with pytest.warns(UndefinedMetricWarning, match="two classes have the same mean"):
        figures = evaluate_embedding([[-1.0], [1], [-2], [2]], list("aabb"))
    assert math.isnan(figures["davies_bouldin"])
    assert math.isfinite(figures["silhouette"])


def test_a_davies_bouldin_figure_of_classes_about_nearly_one_centre_is_none_or_right():
    """scikit-learn's is 0, the best there is, where centres are 1e-8 apart."""
    for distance in 10.0 ** -np.arange(1, 14):
        figures = evaluate_embedding([[-1.0], [1], [-0.5], [0.5 + distance]], list("aabb"))
        known = figures["davies_bouldin"]
        exact = (1 + 0.5 + distance / 2) / (distance / 2)
        assert math.isnan(known) or known == pytest.approx(exact, rel=0.02)
        assert math.isnan(known) == (distance < 2e-7)


@pytest.mark.parametrize("name", ["embedding", "data"])
def test_numbers_whose_differences_overflow_are_refused(name):
    values = {"embedding": np.eye(4), "data": np.eye(4)}
    values[name] = np.array([[1e300], [-1.7e308], [1.7e308], [0.0]])
    with pytest.raises(ValueError, match=f"{name} must hold no number beyond 1e"):
        evaluate_embedding(values["embedding"], [0, 0, 1, 1], data=values["data"])


def test_data_without_entries_are_refused():
    with pytest.raises(
        ValueError, match=r"data must hold .* one entry or more, got shape \(4, 0\)"
    ):
        evaluate_embedding(np.eye(4), [0, 0, 1, 1], data=np.empty((4, 0)))


def test_an_infinite_figure_is_nan_with_a_reason():
    points = np.zeros((12, 2))
    points[6:, 0] = 1
    points[0, 1] = 1e-160
    with pytest.warns(UndefinedMetricWarning):
        figures = evaluate_embedding(points, np.repeat([0, 1], 6))
    assert all(math.isfinite(figures[name]) != (name in figures.reasons) for name in figures)


def test_minus_one_and_one_are_two_classes_whatever_was_fitted():
    points = np.arange(8.0)[:, None]
    figures = evaluate_embedding(points[:4], [-1, -1, 1, 1], points[4:], [-1, -1, 0, 0])
    assert figures["knn_accuracy"] == 0.5


def test_pairs_are_those_of_samples_that_the_seed_draws(monkeypatch):
    monkeypatch.setattr("tensorly_norank.evaluation._figures._MOST_IN_PAIRS", 40)
    rng = np.random.default_rng(0)
    labels = np.sort(rng.integers(0, 3, 200))
    points = rng.normal(size=(200, 4)) + labels[:, None]
    one, same, other = (evaluate_embedding(points, labels, random_state=seed) for seed in (0, 0, 1))
    for name in ("silhouette", "verification_auc", "triplet_accuracy"):
        assert one[name] == same[name] != other[name]
    drawn = np.random.default_rng(0).permutation(200)[:40]
    few = evaluate_embedding(points[drawn], labels[drawn], random_state=0)
    for name in ("separation_ratio", "verification_auc"):
        assert one[name] == pytest.approx(few[name])
    assert one["silhouette"] == pytest.approx(silhouette_samples(points, labels)[drawn].mean())


def test_small_classes_keep_their_silhouette_among_many_samples(monkeypatch):
    monkeypatch.setattr("tensorly_norank.evaluation._figures._MOST_IN_PAIRS", 60)
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(151), 2)[:-1]  # of the last class there is one sample
    points = rng.normal(size=(151, 8))[labels] + 0.05 * rng.normal(size=(301, 8))
    figures = evaluate_embedding(points, labels, random_state=0)
    drawn = np.random.default_rng(0).permutation(301)[:60]
    assert figures["silhouette"] == pytest.approx(silhouette_samples(points, labels)[drawn].mean())


def test_an_outlier_costs_no_figure_its_digits_wherever_it_stands():
    points, labels = sample()
    points[0] = 1e8
    first = evaluate_embedding(points, labels, data=points, random_state=0)
    last = evaluate_embedding(points[::-1], labels[::-1], data=points[::-1], random_state=0)
    assert first["trustworthiness"] == last["trustworthiness"] == 1
    for name in ("silhouette", "recall_at_1", "verification_auc"):
        assert first[name] == pytest.approx(last[name], abs=1e-6)


def test_reasons_tell_samples_that_were_drawn_from_all(monkeypatch):
    monkeypatch.setattr("tensorly_norank.evaluation._figures._MOST_IN_PAIRS", 20)
    points = np.random.default_rng(0).normal(size=(500, 2))
    with pytest.warns(UndefinedMetricWarning):
        figures = evaluate_embedding(points, np.arange(500) == 0, random_state=1)
    expected = "there is 1 class only among the 20 samples whose pairs are looked at"
    assert figures.reasons["verification_auc"] == expected


def test_one_class_leaves_what_needs_no_other_class():
    points, _ = sample()
    with pytest.warns(UndefinedMetricWarning, match="silhouette.*1 class only"):
        figures = evaluate_embedding(points, ["a"] * len(points), data=points)
    undefined = {*PAIRED, *CLUSTERED, "ari", "nmi"}
    assert {name for name, value in figures.items() if math.isnan(value)} == undefined
    assert set(figures.reasons) == undefined
    assert figures["trustworthiness"] == 1


def test_singletons_throughout_leave_what_needs_no_pairs():
    points, _ = sample(n=12)
    with pytest.warns(UndefinedMetricWarning, match="no class has 2 samples"):
        figures = evaluate_embedding(points, np.arange(12), points, np.arange(12), data=points)
    undefined = {*PAIRED, *CLUSTERED, "ari", "nmi"}
    assert {name for name, value in figures.items() if math.isnan(value)} == undefined


def test_one_singleton_changes_no_figure_to_nan():
    points, labels = sample()
    labels[0] = 7
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures = evaluate_embedding(points, labels, points, labels, points, random_state=0)
    assert not any(map(math.isnan, figures.values()))
    assert figures.reasons == {}


def test_a_single_sample_gives_reasons_and_no_error():
    with pytest.warns(UndefinedMetricWarning):
        figures = evaluate_embedding([[1.0, 2.0]], ["a"], data=[[0.0]])
    assert all(map(math.isnan, figures.values()))


def test_collapsed_classes_have_no_separation_ratio_but_every_other_figure():
    labels = np.repeat([0, 1, 2], 5)
    points = np.eye(3)[labels]
    with pytest.warns(UndefinedMetricWarning, match="calinski_harabasz, separation_ratio: NaN"):
        figures = evaluate_embedding(points, labels, random_state=0)
    assert figures["silhouette"] == figures["ari"] == figures["triplet_accuracy"] == 1
    assert set(figures.reasons) == {"calinski_harabasz", "separation_ratio"}


def test_a_constant_embedding_gives_no_warning_from_k_means():
    labels = np.repeat([0, 1], 5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figures = evaluate_embedding(np.ones((10, 2)), labels, random_state=0)
    assert {warning.category for warning in caught} == {UndefinedMetricWarning}
    assert figures["ari"] == 0
    assert figures["triplet_accuracy"] == figures["verification_auc"] == 0.5


def test_classes_of_the_fitting_set_may_be_others_without_a_warning():
    points, labels = sample(n=20, separation=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures = evaluate_embedding(points, labels, points, labels + 1)
    assert figures["knn_accuracy"] < 0.7  # class 0 is not there, and the others are one off


def test_any_backend_and_any_kind_of_labels():
    points, labels = sample()
    expected = evaluate_embedding(points, labels, random_state=0)
    named = [("class", int(label)) for label in labels]
    given = evaluate_embedding(tl.tensor(points), named, random_state=0)
    assert given == pytest.approx(expected)


def test_labels_in_tensors_without_axes_are_those_in_them():
    points, labels = sample()
    wrapped = list(torch.tensor(labels))
    expected = evaluate_embedding(points, labels, random_state=0)
    assert evaluate_embedding(points, wrapped, random_state=0) == pytest.approx(expected)


def test_many_samples_are_drawn_from_for_pairs(monkeypatch):
    monkeypatch.setattr(_figures, "_MOST_IN_PAIRS", 150)
    points, labels = sample(n=300, separation=2)
    drawn = evaluate_embedding(points, labels, data=points, random_state=0)
    assert drawn == evaluate_embedding(points, labels, data=points, random_state=0)
    assert drawn != evaluate_embedding(points, labels, data=points, random_state=1)
    monkeypatch.undo()
    every = evaluate_embedding(points, labels, data=points, random_state=0)
    assert drawn["verification_auc"] == pytest.approx(every["verification_auc"], abs=0.05)
    assert drawn["recall_at_1"] == every["recall_at_1"]


def test_neither_arguments_nor_global_random_states_change():
    points, labels = sample()
    before = points.copy(), labels.copy(), np.random.get_state()[1].copy()
    evaluate_embedding(points, labels, points, labels, points)
    np.testing.assert_array_equal(points, before[0])
    np.testing.assert_array_equal(labels, before[1])
    np.testing.assert_array_equal(np.random.get_state()[1], before[2])


@pytest.mark.filterwarnings("ignore")
def test_a_decomposition_or_a_fitted_estimator_stands_for_its_embedding():
    points, labels = sample(n=30, n_components=5)
    quick = {"encoder": "linear", "rank": 2, "validation_fraction": 0, "n_iter_max": 2}
    model = NoRankDecomposition(**quick, random_state=0).fit(points, labels)
    expected = evaluate_embedding(model.embedding_, labels, model.embedding_, labels)
    for one in (model, model.decomposition_):
        assert evaluate_embedding(one, labels, one, labels) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embedding": np.zeros(5)}, r"embedding must be a NoRankTensor, .* or points of shape"),
        ({"embedding": np.full((5, 2), np.nan)}, "embedding must be finite"),
        ({"embedding": np.full((5, 2), "a")}, "embedding must hold real numbers"),
        ({"labels": [0, 1]}, "labels must hold one label for each of the 5 samples, got 2"),
        ({"labels": [0, 1, None, 0, 1]}, "labels must be complete"),
        ({"fit_embedding": np.zeros((4, 2))}, "fit_embedding and fit_labels go together"),
        ({"fit_labels": [0, 1]}, "fit_embedding and fit_labels go together"),
        (
            {"fit_embedding": np.zeros((4, 3)), "fit_labels": [0] * 4},
            "fit_embedding must have the 2 columns of embedding, got 3",
        ),
        ({"fit_embedding": np.zeros((4, 2)), "fit_labels": [0]}, "fit_labels must hold one label"),
        ({"data": np.zeros((4, 2))}, "data must hold the 5 samples"),
        ({"data": np.full((5, 2), np.inf)}, "data must be finite"),
        ({"random_state": "seed"}, "random_state must be"),
        (
            {"embedding": CPTensor((None, [tl.tensor(np.eye(5, 2)), tl.tensor(np.eye(3, 2))]))},
            "embedding must be a NoRankTensor, .* got a CPTensor: pass one of its factors",
        ),
        (
            {"embedding": [np.eye(5), np.eye(3)]},
            "embedding must be a NoRankTensor, .* or points, got ",
        ),
        (
            {"data": CPTensor((None, [tl.tensor(np.eye(5, 2)), tl.tensor(np.eye(3, 2))]))},
            "data must be an array",
        ),
        ({"embedding": np.ma.masked_less(np.eye(5, 2), 1)}, "must not be a masked array"),
        ({"embedding": sparse.eye(5, 2)}, r"embedding must be dense, .*toarray"),
        ({"data": sparse.eye(5, 2)}, "data must be dense"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = {"embedding": np.eye(5, 2), "labels": [0, 1, 0, 1, 0]} | change
    with pytest.raises((TypeError, ValueError), match=message):
        evaluate_embedding(**arguments)


def test_clusters_are_the_best_of_ten_starts_that_the_seed_draws():
    rng = np.random.default_rng(0)
    labels = rng.integers(12, size=200)  # so many that a single start is hardly ever the best
    points = rng.normal(size=(200, 2)) + 2 * rng.normal(size=(12, 2))[labels]
    for seed in range(4):
        clusters = KMeans(12, n_init=10, random_state=seed).fit_predict(points)
        figures = evaluate_embedding(points, labels, random_state=seed)
        assert figures["ari"] == pytest.approx(adjusted_rand_score(labels, clusters))
        assert figures["nmi"] == pytest.approx(normalized_mutual_info_score(labels, clusters))
