"""Several methods on the same splits: what is fitted, scored, tested, and survived."""

import functools
import math

import numpy as np
import pytest
import tensorly as tl
from scipy import stats
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.manifold import TSNE
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, LeaveOneGroupOut, ShuffleSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from tensorly_norank import NoRankDecomposition
from tensorly_norank.evaluation import (
    _comparison,
    compare,
    corrected_resampled_t_test,
    evaluate_embedding,
)
from tensorly_norank.evaluation._methods import default_methods

pandas = pytest.importorskip("pandas")


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    labels = np.tile(["a", "b", "c", "d"], 15)
    patterns = dict(zip("abcd", rng.normal(size=(4, 5, 3)), strict=True))
    values = np.stack([patterns[label] for label in labels]) + 0.7 * rng.normal(size=(60, 5, 3))
    return values, labels


RAW = FunctionTransformer()
OURS = {"encoder": "linear", "rank": 2, "validation_fraction": 0, "n_iter_max": 3, "tol": 0}


def noting(seeds):
    """A class of estimators that add their seeds to these when they are fitted."""

    class Seeded(TransformerMixin, BaseEstimator):
        def __init__(self, random_state=None):
            self.random_state = random_state

        def fit(self, X, y=None):
            seeds.append(self.random_state)
            return self

        def transform(self, X):
            return X

    return Seeded


def rows_of(table, method=None):
    splits = pandas.DataFrame(table.attrs["splits"])
    return splits if method is None else splits[splits["method"] == method]


def test_figures_are_those_of_the_held_out_part_and_in_sample_those_of_the_fitted_one(data):
    values, labels = data
    fit, test = np.arange(0, 40), np.arange(40, 60)
    flat = values.reshape(60, -1)
    methods = {"PCA": PCA(2), "raw": RAW}
    table = compare(tl.tensor(values), labels, methods, cv=[(fit, test)], random_state=0)
    model = PCA(2).fit(flat[fit])
    fitted, new = model.transform(flat[fit]), model.transform(flat[test])
    expected = evaluate_embedding(new, labels[test], fitted, labels[fit], flat[test])
    own = evaluate_embedding(fitted, labels[fit], data=flat[fit])
    assert set(expected) <= set(table.index.levels[0])
    for figure in set(expected) - {"ari", "nmi"}:  # which k-means may draw differently
        row = table.loc[(figure, "PCA")]
        assert row["mean"] == pytest.approx(expected[figure]), figure
        assert row["in_sample"] == pytest.approx(own.get(figure, math.nan), nan_ok=True), figure
        assert row["n_splits"] == 1
    assert table.loc[("n_components", "PCA"), "mean"] == 2


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint64"])
def test_indices_of_any_integers_are_taken(data, dtype):
    values, labels = data
    fit, test = np.arange(40, dtype=dtype), np.arange(40, 60, dtype=dtype)
    table = compare(tl.tensor(values), labels, {"raw": RAW}, cv=[(fit, test)])
    wide = compare(tl.tensor(values), labels, {"raw": RAW}, cv=[(np.arange(40), np.arange(40, 60))])
    row = ("silhouette", "raw")
    assert table.loc[row, "mean"] == pytest.approx(wide.loc[row, "mean"])


def test_a_callable_gets_only_what_it_may_know(data):
    values, labels = data
    seen = []

    def embed(fit_samples, fit_labels, new_samples, random_state):
        seen.append((tl.to_numpy(fit_samples), fit_labels, tl.to_numpy(new_samples), random_state))
        return tl.unfold(fit_samples, 0), tl.unfold(new_samples, 0)

    table = compare(tl.tensor(values), labels, {"mine": embed}, cv=3, random_state=0)
    assert len(seen) == 3
    assert len({seed for *_, seed in seen}) == 3
    for fit_samples, fit_labels, new_samples, _ in seen:
        fit = [k for k in range(60) if (values[k] == fit_samples).all(axis=(1, 2)).any()]
        new = [k for k in range(60) if (values[k] == new_samples).all(axis=(1, 2)).any()]
        assert not set(fit) & set(new)
        assert len(fit) + len(new) == 60
        np.testing.assert_array_equal(fit_labels, labels[fit])
    assert table.loc[("silhouette", "mine"), "n_splits"] == 3


def test_all_methods_are_given_the_same_splits_and_the_same_call_gives_the_same_table(data):
    values, labels = data
    one, two = (
        compare(tl.tensor(values), labels, {"a": RAW, "b": RAW, "ours": OURS}, random_state=3)
        for _ in range(2)
    )
    figures = one["mean"].unstack("method").drop("seconds")
    pandas.testing.assert_series_equal(figures["a"], figures["b"], check_names=False)
    pandas.testing.assert_series_equal(
        one["mean"].drop("seconds", level=0), two["mean"].drop("seconds", level=0), check_exact=True
    )
    other = compare(tl.tensor(values), labels, {"a": RAW}, random_state=4)
    assert other.loc[("silhouette", "a"), "mean"] != figures.loc["silhouette", "a"]


def test_mean_spread_difference_and_p_value_follow_from_the_splits(data):
    values, labels = data
    methods = {"PCA": PCA(1), "raw": RAW, "worst": lambda fit, y, new: (fit[:, 0], new[:, 0])}
    table = compare(tl.tensor(values), labels, methods, cv=4, random_state=0)
    for figure, best in [("ari", "raw"), ("davies_bouldin", None)]:
        by_split = rows_of(table).pivot(index="split", columns="method", values=figure)
        for name in methods:
            row = table.loc[(figure, name)]
            assert row["mean"] == pytest.approx(by_split[name].mean())
            assert row["std"] == pytest.approx(by_split[name].std(ddof=1))
            others = by_split.drop(columns=name).mean()
            expected = others.idxmax() if best else others.idxmin()
            assert row["best_other"] == expected
            differences = by_split[name] - by_split[expected]
            assert row["difference"] == pytest.approx(differences.mean())
            assert row["p_value"] == pytest.approx(
                corrected_resampled_t_test(differences, 1 / 3), nan_ok=True
            )
    assert table.loc["seconds", "p_value"].isna().all()


def test_the_corrected_test_is_the_t_test_with_a_larger_variance():
    differences = np.array([0.1, 0.3, -0.05, 0.2, 0.15])
    plain = stats.ttest_1samp(differences, 0)
    assert corrected_resampled_t_test(differences, 0) == pytest.approx(plain.pvalue)
    statistic = differences.mean() / np.sqrt((1 / 5 + 0.25) * differences.var(ddof=1))
    expected = 2 * stats.t.sf(statistic, 4)
    assert corrected_resampled_t_test(differences, 0.25) == pytest.approx(expected)
    assert corrected_resampled_t_test(-differences, 0.25) == pytest.approx(expected)
    assert math.isnan(corrected_resampled_t_test([0.1], 1))
    assert corrected_resampled_t_test([0.0, 0.0], 1) == 1
    assert math.isnan(corrected_resampled_t_test([0.5, 0.5], 1))  # by chance or not, who knows
    assert corrected_resampled_t_test([1e-17, -2e-17, 0], 1) == 1


@pytest.mark.parametrize(
    ("differences", "ratio", "message"),
    [
        ([[0.1, 0.2]], 1, "differences must be a vector"),
        ([0.1, np.nan], 1, "differences must be a vector of finite numbers"),
        ([0.1, 0.2], -1, "test_to_fit must be at least 0"),
    ],
)
def test_the_corrected_test_refuses_what_makes_no_sense(differences, ratio, message):
    with pytest.raises(ValueError, match=message):
        corrected_resampled_t_test(differences, ratio)


def test_the_corrected_test_keeps_its_level_where_the_plain_one_does_not():
    """Two fits that differ by chance alone, over halves of one sample of 100."""
    rng = np.random.default_rng(0)
    corrected, plain = [], []
    for _ in range(300):
        noise = rng.normal(size=(100, 2))  # a gain for each sample and method, none real
        halves = [rng.permutation(100) for _ in range(10)]
        differences = [np.mean(np.diff(noise[half[50:]], axis=1)) for half in halves]
        corrected.append(corrected_resampled_t_test(differences, 1.0) < 0.05)
        plain.append(corrected_resampled_t_test(differences, 0.0) < 0.05)
    assert np.mean(corrected) < 0.1
    assert np.mean(plain) > 0.3


def test_whole_classes_are_held_out(data):
    values, labels = data
    classes = []

    def embed(fit_samples, fit_labels, new_samples):
        classes.append(set(fit_labels))
        return tl.unfold(fit_samples, 0), tl.unfold(new_samples, 0)

    table = compare(tl.tensor(values), labels, {"m": embed}, unseen_classes=True, random_state=0)
    assert [len(known) for known in classes] == [2] * 5
    assert len(set(map(frozenset, classes))) > 1
    assert "knn_accuracy" not in table.index.levels[0]  # no fitted sample has the labels
    assert table.loc[("recall_at_1", "m"), "mean"] > 0.5
    two_folds = compare(tl.tensor(values), labels, {"m": RAW}, cv=2, unseen_classes=True)
    assert list(rows_of(two_folds)["n_fit"]) == [30, 30]
    by_class = compare(tl.tensor(values), labels, {"m": RAW}, cv=GroupKFold(2), unseen_classes=True)
    assert list(rows_of(by_class)["n_fit"]) == [30, 30]


def _first_column(fit_samples, fit_labels, new_samples):
    return fit_samples[:, 0, :1] + 0.0, new_samples[:, 0, :1] + 0.0


def _first_column_in_place(fit_samples, fit_labels, new_samples):
    embedded = _first_column(fit_samples, fit_labels, new_samples)
    for samples in (fit_samples, new_samples):
        samples[:] = samples[:, :1, :1] + 0.0
    return embedded


@pytest.mark.parametrize(
    ("method", "in_place"),
    [
        (StandardScaler(), StandardScaler(copy=False)),
        (_first_column, _first_column_in_place),
    ],
    ids=["transformer", "function"],
)
def test_a_method_that_works_in_place_is_scored_against_the_data_as_they_were(
    data, method, in_place
):
    values, labels = data
    scaled = np.ascontiguousarray(values * np.array([1, 10, 100]))
    methods = {"copy": method, "in place": in_place}
    table = compare(tl.tensor(scaled), labels, methods, random_state=0)
    both = table.loc["trustworthiness", ["mean", "in_sample"]]
    assert both.loc["copy"].tolist() == both.loc["in place"].tolist()
    assert both.loc["copy", "mean"] < 1


def test_held_out_samples_are_looked_up_among_the_fitted_ones(data):
    values, labels = data
    labels = np.random.default_rng(0).permutation(labels)  # a sample knows but its own label
    fit, test = np.arange(40), np.arange(40, 60)
    flat = values.reshape(60, -1)
    table = compare(tl.tensor(values), labels, {"raw": RAW}, cv=[(fit, test)])
    expected = KNeighborsClassifier(3).fit(flat[fit], labels[fit]).score(flat[test], labels[test])
    assert table.loc[("knn_accuracy", "raw"), "mean"] == pytest.approx(expected)


def test_splits_that_ignore_the_groups_or_repeat_samples_are_refused(data):
    values, labels = data
    groups = np.arange(60) // 12
    for cv in (ShuffleSplit(2, random_state=0), [(np.arange(30), np.arange(30, 60))]):
        with pytest.raises(ValueError, match="cv must keep the groups apart"):
            compare(tl.tensor(values), labels, {"raw": RAW}, cv=cv, groups=groups)
    twice = [(np.arange(30), np.repeat(np.arange(30, 45), 2))]
    with pytest.raises(ValueError, match="cv must hold out each sample once"):
        compare(tl.tensor(values), labels, {"raw": RAW}, cv=twice)


def test_the_best_other_has_as_many_splits_as_any(data):
    values, labels = data
    calls = []

    def once(fit_samples, fit_labels, new_samples):
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError
        return np.eye(4)[codes(fit_labels)], np.eye(4)[codes(labels[test])]

    def codes(some):
        return np.unique(some, return_inverse=True)[1]

    test = np.arange(40, 60)
    cv = [(np.arange(first, 40), test) for first in range(3)]
    methods = {"once": once, "raw": RAW, "PCA": PCA(1)}
    table = compare(tl.tensor(values), labels, methods, cv=cv, random_state=0)
    assert table.loc[("ari", "once"), "mean"] == 1
    assert table.loc["ari", "best_other"].tolist() == ["raw", "PCA", "raw"]


def test_groups_stay_together(data):
    values, labels = data
    groups = np.arange(60) // 12
    values = values + 0.0
    values[:, 0, 0] = groups

    def embed(fit_samples, fit_labels, new_samples):
        known = set(tl.to_numpy(fit_samples)[:, 0, 0])
        new = set(tl.to_numpy(new_samples)[:, 0, 0])
        assert not known & new
        return tl.unfold(fit_samples, 0), tl.unfold(new_samples, 0)

    for cv in (None, 3, LeaveOneGroupOut()):
        table = compare(tl.tensor(values), labels, {"m": embed}, cv=cv, groups=groups)
        assert set(rows_of(table)["note"]) == {""}


@pytest.mark.parametrize(("n_groups", "expected"), [(2, 2), (3, 3), (4, 5), (12, 5)], ids=str)
def test_random_halves_of_groups_never_repeat(data, n_groups, expected):
    values, labels = data
    groups = np.arange(60) // 4 % n_groups  # every group has every class
    table = compare(tl.tensor(values), labels, {"raw": RAW}, groups=groups, random_state=0)
    figures = rows_of(table)["silhouette"]
    assert len(figures) == len(set(figures)) == expected


def test_random_halves_of_few_classes_never_repeat(data):
    values, labels = data
    for seed in range(5):
        table = compare(
            tl.tensor(values), labels, {"raw": RAW}, unseen_classes=True, random_state=seed
        )
        figures = rows_of(table)["silhouette"]
        assert len(figures) == len(set(figures)) == 5  # of six that there are
        assert "knn_accuracy" not in table.index.levels[0]


def test_random_halves_of_groups_fit_the_classes_that_they_score_where_they_can(data):
    values, labels = data
    codes = np.unique(labels, return_inverse=True)[1]
    groups = 10 * codes + np.arange(60) // 4 % 3  # three groups of each class alone
    seen = []

    def spy(fit_samples, fit_labels, new_samples):
        seen.append(len(set(fit_labels)))
        return tl.unfold(fit_samples, 0), tl.unfold(new_samples, 0)

    compare(tl.tensor(values), labels, {"spy": spy}, groups=groups, random_state=0)
    assert seen == [4] * 5


def test_folds_of_groups_are_stratified(data):
    values, labels = data
    codes = np.unique(labels, return_inverse=True)[1]
    groups = 10 * codes + np.arange(60) // 4 % 3  # three groups of each class alone
    seen = []

    def spy(fit_samples, fit_labels, new_samples):
        seen.append(np.unique(fit_labels, return_counts=True)[1].tolist())
        return tl.unfold(fit_samples, 0), tl.unfold(new_samples, 0)

    for seed in range(4):
        compare(tl.tensor(values), labels, {"spy": spy}, cv=3, groups=groups, random_state=seed)
    assert seen == [[10] * 4] * 12


def test_means_differences_and_sizes_are_those_of_unequal_splits(data):
    values, labels = data
    cv = [
        (np.arange(20), np.arange(20, 60)),
        (np.arange(10, 50), np.arange(50, 60)),
        (np.r_[0:30, 50:60], np.arange(30, 50)),
    ]
    calls = []

    def fails_first(fit_samples, fit_labels, new_samples):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError
        return fit_samples[:, 0], new_samples[:, 0]

    table = compare(tl.tensor(values), labels, {"raw": RAW, "late": fails_first}, cv=cv)
    rows = rows_of(table).pivot(index="split", columns="method", values="silhouette")
    paired = (rows["late"] - rows["raw"]).dropna()
    row = table.loc[("silhouette", "late")]
    assert len(paired) == row["n_splits"] == 2
    assert row["difference"] == pytest.approx(paired.mean())
    assert row["difference"] != pytest.approx(rows["late"].mean() - rows["raw"].mean())
    ratio = np.mean([40 / 20, 10 / 40, 20 / 40])
    assert row["p_value"] == pytest.approx(corrected_resampled_t_test(paired, ratio))
    in_sample = rows_of(table, "raw")["in_sample_silhouette"]
    assert table.loc[("silhouette", "raw"), "in_sample"] == pytest.approx(in_sample.mean())
    assert in_sample.mean() != pytest.approx(in_sample.median())


def test_an_error_leaves_nothing_of_its_split(data):
    values, labels = data
    methods = {"short": lambda fit, y, new: (fit[:, 0], new[:3, 0]), "raw": RAW}
    with pytest.warns(UserWarning, match="'short'.*failed on every split"):
        table = compare(tl.tensor(values), labels, methods, cv=2)
    short = table.xs("short", level="method")
    assert (short["n_splits"] == 0).all()
    assert short["in_sample"].isna().all()


def test_a_bar_on_a_terminal_counts_every_fit(data, monkeypatch):
    values, labels = data
    bars = []

    class Bar:
        def __init__(self, total, desc, unit):
            self.total, self.n = total, 0
            bars.append(self)

        def set_postfix_str(self, text, refresh):
            pass

        def update(self):
            self.n += 1

        def close(self):
            self.closed = True

    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("tqdm.tqdm", Bar)
    compare(tl.tensor(values), labels, {"a": RAW, "b": RAW}, cv=3, verbose=1)
    assert [(bar.total, bar.n, bar.closed) for bar in bars] == [(6, 6, True)]


def test_splits_that_repeat_count_once(data):
    values, labels = data
    fit, test = np.arange(0, 40), np.arange(40, 60)
    cv = [(fit, test), (test, fit), (fit[::-1], test)]
    table = compare(tl.tensor(values), labels, {"raw": RAW}, cv=cv)
    assert (table.loc[("silhouette", "raw"), "n_splits"]) == 2


def test_held_out_samples_of_classes_not_fitted_are_told(data):
    values, labels = data
    fit, test = np.flatnonzero(labels != "a")[:30], np.flatnonzero(labels != "b")[-20:]
    fit = np.setdiff1d(fit, test)
    table = compare(tl.tensor(values), labels, {"raw": RAW}, cv=[(fit, test)])
    n_strange = np.sum(labels[test] == "a")
    assert f"{n_strange} of 20 held-out samples are of classes not fitted" in table["note"].iloc[0]


def test_labels_of_any_kind_suit_transformers(data):
    values, labels = data
    tuples = [(label, 1) for label in labels]
    codes = np.unique(labels, return_inverse=True)[1]
    methods = {"LDA": LinearDiscriminantAnalysis()}
    ours, expected = (
        compare(tl.tensor(values), names, methods, cv=2, random_state=0)
        for names in (tuples, codes)
    )
    assert not ours["note"].any()
    assert ours.loc[("ari", "LDA"), "mean"] == expected.loc[("ari", "LDA"), "mean"]


def test_the_samples_may_be_on_another_mode(data):
    values, labels = data
    one = compare(tl.tensor(values), labels, {"raw": RAW, "ours": OURS}, random_state=0)
    moved = tl.tensor(np.moveaxis(values, 0, 2))
    other = compare(moved, labels, {"raw": RAW, "ours": OURS}, mode=2, random_state=0)
    assert one["mean"].drop("seconds", level=0).equals(other["mean"].drop("seconds", level=0))


def test_a_method_that_fails_is_a_row_that_says_so_and_the_others_go_on(data):
    values, labels = data
    calls = []

    def unlucky(fit_samples, fit_labels, new_samples):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("out of luck")
        return tl.unfold(fit_samples, 0), tl.unfold(new_samples, 0)

    methods = {
        "unlucky": unlucky,
        "rows": lambda fit, labels, new: (np.zeros((3, 2)), np.zeros((3, 2))),
        "infinite": lambda fit, labels, new: (np.full((len(fit), 2), np.inf),) * 2,
        "none": lambda fit, labels, new: None,
        "raw": RAW,
    }
    with pytest.warns(UserWarning, match="failed on every split") as caught:
        table = compare(tl.tensor(values), labels, methods, cv=3, random_state=0)
    failed = [str(warning.message).split("'")[1] for warning in caught]
    assert failed == ["rows", "infinite", "none"]
    silhouette = table.loc["silhouette"]
    assert silhouette.loc["unlucky", "n_splits"] == 2
    assert silhouette.loc["unlucky", "note"] == "1 of 3 splits: RuntimeError: out of luck"
    assert "fitting samples must have 40 rows, got 3" in silhouette.loc["rows", "note"]
    assert "must be finite" in silhouette.loc["infinite", "note"]
    assert "TypeError" in silhouette.loc["none", "note"]
    assert silhouette.loc["raw", ["n_splits", "note"]].tolist() == [3, ""]
    assert silhouette.loc["raw", "best_other"] == "unlucky"
    assert silhouette["mean"].isna().tolist() == [False, True, True, True, False]
    assert len(rows_of(table)) == 15


def test_methods_that_all_fail_still_have_their_rows(data):
    values, labels = data
    with pytest.warns(UserWarning, match=r"methods\['none'\] failed on every split.*TypeError"):
        table = compare(tl.tensor(values), labels, {"none": lambda *_: None}, cv=2)
    complete = compare(tl.tensor(values), labels, {"none": RAW}, cv=2)
    assert list(table.index) == list(complete.index)
    assert table["mean"].isna().all()
    assert (table["n_splits"] == 0).all()
    assert table["note"].str.contains("2 of 2 splits: TypeError").all()
    assert all("TypeError" in row["error"] for row in table.attrs["splits"])


def test_long_errors_are_short_in_the_note_and_whole_in_the_rows_of_splits(data):
    values, labels = data

    def fail(fit_samples, fit_labels, new_samples):
        raise RuntimeError("no " * 500)

    with pytest.warns(UserWarning, match="failed on every split"):
        table = compare(tl.tensor(values), labels, {"fail": fail}, cv=2)
    assert len(table["note"].iloc[0]) < 250
    assert len(table.attrs["splits"][0]["error"]) > 1000


def test_a_method_that_cannot_embed_new_samples_has_in_sample_figures_only(data):
    values, labels = data
    methods = {"t-SNE": TSNE(perplexity=5, max_iter=250), "raw": RAW}
    table = compare(tl.tensor(values), labels, methods, cv=2, random_state=0)
    row = table.loc[("silhouette", "t-SNE")]
    assert math.isnan(row["mean"])
    assert math.isfinite(row["in_sample"])
    assert row["note"] == "2 of 2 splits: cannot embed new samples"
    alone = compare(tl.tensor(values), labels, {"t-SNE": methods["t-SNE"]}, cv=2, random_state=0)
    assert alone.loc[("silhouette", "t-SNE"), "in_sample"] == pytest.approx(row["in_sample"])


def test_a_figure_that_cannot_be_had_gives_its_reason(data):
    values, labels = data
    one_class = np.flatnonzero(labels == "a")
    rest = np.flatnonzero(labels != "a")
    table = compare(tl.tensor(values), labels, {"raw": RAW}, cv=[(rest, one_class)])
    assert math.isnan(table.loc[("silhouette", "raw"), "mean"])
    assert "silhouette is NaN because there is 1 class only" in table["note"].iloc[0]


@pytest.mark.filterwarnings("ignore")
def test_the_class_is_given_the_samples_that_the_function_is(data):
    values, labels = data
    ours = OURS | {"encoder": "multilinear"}
    methods = {
        "function": ours,
        "class": NoRankDecomposition(**ours),
        "first in a pipeline": make_pipeline("passthrough", NoRankDecomposition(**ours)),
        "searched": GridSearchCV(NoRankDecomposition(**ours), {"tol": [1e-3]}, cv=2),
        "flattened": make_pipeline(RAW, NoRankDecomposition(**ours | {"encoder": "linear"})),
    }
    table = compare(tl.tensor(values), labels, methods, cv=2, random_state=0)
    figures = table["mean"].unstack("method").drop(index="seconds")
    assert not figures[list(methods)].isna().all().any()
    for same in ("class", "first in a pipeline", "searched"):
        pandas.testing.assert_series_equal(figures[same], figures["function"], check_names=False)


def test_transformers_are_cloned_seeded_and_left_alone(data):
    values, labels = data

    class Noisy(TransformerMixin, BaseEstimator):
        def __init__(self, random_state=None):
            self.random_state = random_state

        def fit(self, X, y=None):
            self.seed_ = self.random_state
            return self

        def transform(self, X):
            assert X.ndim == 2
            return X + 1e-3 * np.random.default_rng(self.seed_).normal(size=X.shape)

    pipeline = make_pipeline(StandardScaler(), Noisy())
    tables = [
        compare(tl.tensor(values), labels, {"noisy": pipeline}, random_state=0) for _ in range(2)
    ]
    assert tables[0].loc[("ari", "noisy"), "mean"] == tables[1].loc[("ari", "noisy"), "mean"]
    assert pipeline[-1].random_state is None
    assert not hasattr(pipeline[-1], "seed_")


def test_a_seed_that_a_method_has_is_kept_and_one_that_it_lacks_is_given(data):
    values, labels = data
    seen = []

    def embed(fit_samples, fit_labels, new_samples, random_state=None):
        seen.append(random_state)
        return tl.unfold(fit_samples, 0), tl.unfold(new_samples, 0)

    methods = {
        "partial": functools.partial(embed, random_state=7),
        "own": lambda fit, y, new, random_state=5: embed(fit, y, new, random_state),
        "none": embed,
    }
    compare(tl.tensor(values), labels, methods, cv=2, random_state=0)
    assert seen[0:2] == seen[3:5] == [7, 5]
    assert None not in seen
    assert seen[2] != seen[5]
    one, two = (
        compare(tl.tensor(values), labels, {"ours": OURS | {"random_state": None}}, random_state=0)
        for _ in range(2)
    )
    assert one.loc[("silhouette", "ours"), "mean"] == two.loc[("silhouette", "ours"), "mean"]


def test_seeded_steps_get_another_seed_on_each_split_and_estimators_of_others_are_copied(data):
    values, labels = data
    seeds, fitted = [], []

    class Plain:  # not scikit-learn's: has no get_params
        def fit(self, X, y):
            assert not hasattr(self, "done")
            self.done = True
            fitted.append(self)
            return self

        def transform(self, X):
            return X

    plain = Plain()
    table = compare(
        tl.tensor(values), labels, {"a": plain, "b": noting(seeds)()}, cv=3, random_state=0
    )
    assert not table["note"].any()
    assert plain not in fitted
    assert len(set(seeds)) == 3


def test_halves_and_folds_hold_every_class_in_proportion(data):
    values, labels = data
    for cv, expected in [(None, {7, 8}), (3, {10})]:
        seen = []

        def spy(fit_samples, fit_labels, new_samples, seen=seen):
            seen.extend(np.unique(fit_labels, return_counts=True)[1])
            return tl.unfold(fit_samples, 0), tl.unfold(new_samples, 0)

        compare(tl.tensor(values), labels, {"spy": spy}, cv=cv, random_state=0)
        assert set(seen) == expected


def test_the_default_methods_need_nothing_from_the_caller(data):
    values, labels = data
    table = compare(tl.tensor(values), labels, cv=[(np.arange(50), np.arange(50, 60))])
    assert list(table.loc["silhouette"].index) == ["no-rank", "LDA", "PCA", "raw"]
    assert table.loc["silhouette", "mean"].notna().all()


def test_a_comparison_prints_only_when_asked(data, capfd):
    values, labels = data
    compare(tl.tensor(values), labels, {"raw": RAW}, cv=2)
    assert capfd.readouterr() == ("", "")
    compare(
        tl.tensor(values),
        labels,
        {"raw": RAW, "LDA": LinearDiscriminantAnalysis()},
        cv=2,
        verbose=1,
    )
    lines = capfd.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["split 1 of 2", "split 2 of 2"]
    assert "LDA" in lines[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": {}}, "methods must be a dict of methods by name, got {}"),
        ({"methods": [PCA(2)]}, "methods must be a dict of methods by name"),
        ({"methods": {"p": PCA}}, r"methods\['p'\] must be an instance, got the class PCA"),
        ({"methods": {"p": 3}}, r"methods\['p'\] must be a dict of keywords"),
        ({"methods": {"p": {"rang": 3}}}, r"methods\['p'\] must hold keywords .* got 'rang'"),
        ({"methods": {"p": {"mask": "nan"}}}, r"methods\['p'\] must hold keywords .* got 'mask'"),
        (
            {"methods": {"p": {"triplets": [[0, 1, 2]]}}},
            r"methods\['p'\] must hold keywords .* got 'triplets'",
        ),
        ({"methods": {"p": {"mode": 1}}}, "got 'mode'"),
        ({"cv": 1}, "cv must be at least 2"),
        ({"cv": "five"}, "cv must be an integer, a splitter .an instance. or pairs"),
        ({"cv": KFold}, "cv must be an integer, a splitter .an instance. or pairs"),
        ({"cv": 3, "unseen_classes": True}, "cv must be at most half the number of classes, 2"),
        ({"cv": 4, "groups": np.arange(60) % 3}, "cv must be at most the number of groups, 3"),
        ({"groups": np.zeros(60, int)}, "groups must hold at least 2 groups, got 1"),
        ({"unseen_classes": "no"}, "unseen_classes must be True or False, got 'no'"),
        ({"methods": {1: RAW}}, "methods must have strings for names, got 1"),
        ({"methods": {"p": {"rank": -3}}}, r"methods\['p'\]: rank must be at least 1, got -3"),
        ({"methods": {"p": {"random_state": "x"}}}, r"methods\['p'\]: random_state must be"),
        ({"methods": {"p": {"encoder": "cnv"}}}, r"methods\['p'\]: encoder must be one of"),
        (
            {"methods": {"p": lambda fit, new: None}},
            r"methods\['p'\] must be callable as \(fit_samples, fit_labels, new_samples\)",
        ),
        ({"cv": []}, "cv must give at least one split"),
        (
            {"cv": [(np.arange(5), np.arange(4, 9))]},
            "cv must keep fitted and held-out samples apart",
        ),
        ({"cv": [(np.arange(5), np.arange(58, 62))]}, "cv must give indices from 0 to 59"),
        ({"cv": [(np.arange(5), np.arange(0))]}, "cv must give non-empty vectors"),
        ({"cv": [np.arange(5)]}, "cv must give pairs"),
        ({"cv": KFold(3), "unseen_classes": True}, "cv must keep the classes apart"),
        ({"cv": 16}, "cv=16 splits class by class and needs 16 samples of each, got a class of 15"),
        ({"groups": [1, 2]}, "groups must hold one label"),
        ({"groups": np.arange(60), "unseen_classes": True}, "groups cannot be given with"),
        ({"labels": np.arange(60) % 3, "unseen_classes": True}, "needs at least 4 classes"),
        ({"labels": np.arange(59)}, "labels must hold one label for each of the 60 samples"),
        ({"mode": 3}, "mode must be"),
        ({"random_state": 1.5}, "random_state must be"),
        ({"verbose": -1}, "verbose must be"),
    ],
)
def test_bad_arguments_are_named_before_anything_is_fitted(data, change, message):
    values, labels = data
    arguments = {"labels": labels, "methods": {"never": lambda *_: pytest.fail("it was fitted")}}
    with pytest.raises((TypeError, ValueError), match=message):
        compare(tl.tensor(values), **(arguments | change))


def test_without_pandas_the_extra_is_named(data, monkeypatch):
    values, labels = data
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install pandas, or .* with its extra 'compare'"):
        compare(tl.tensor(values), labels, {"raw": RAW}, cv=ShuffleSplit(1))


def test_missing_labels_are_refused(data):
    values, labels = data
    missing = [None, *labels[1:]]
    for options in ({}, {"cv": 3}, {"unseen_classes": True}, {"groups": np.arange(60) // 10}):
        with pytest.raises(ValueError, match="labels must be complete, got 1 missing"):
            compare(tl.tensor(values), missing, {"raw": RAW}, **options)


def test_what_is_no_loss_is_named_before_anything_is_fitted():
    tensor = tl.tensor(np.random.default_rng(0).normal(size=(20, 4, 3)))
    with pytest.raises(TypeError, match=r"methods\['a'\]: loss must be callable"):
        compare(tensor, np.arange(20) % 2, {"a": {"loss": "triplet"}})


@pytest.mark.parametrize(
    "options",
    [
        {"cv": 3},
        {"cv": 3, "groups": np.arange(60) // 4},
        {"groups": np.arange(60) // 4},
        {"cv": 2, "unseen_classes": True},
    ],
    ids=["folds", "folds of groups", "halves of groups", "folds of classes"],
)
def test_the_seed_draws_folds_and_groups_too(data, options):
    values, labels = data
    by_seed = [
        tuple(
            sorted(
                rows_of(
                    compare(tl.tensor(values), labels, {"raw": RAW}, random_state=seed, **options)
                )["silhouette"]
            )
        )
        for seed in (0, 0, 1, 2, 3)
    ]
    assert by_seed[0] == by_seed[1]
    assert len(set(by_seed)) > 1


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_seed_that_an_estimator_or_a_dict_has_is_kept(data):
    values, labels = data
    seeds, cv = [], [(np.arange(40), np.arange(40, 60))]

    methods = {"seeded": noting(seeds)(random_state=7), "ours": OURS | {"random_state": 7}}
    one, other = (
        compare(tl.tensor(values), labels, methods, cv=cv, random_state=seed) for seed in (0, 1)
    )
    assert seeds == [7, 7]
    figure = ("verification_auc", "ours")
    assert one.loc[figure, "mean"] == other.loc[figure, "mean"]


def test_an_encoder_is_tried_on_samples_of_the_shape_that_it_gets(data):
    values, labels = data
    moved = np.moveaxis(values[:, :3, :2], 0, 2)  # 60 samples, too short for convolutions
    with pytest.raises(ValueError, match=r"methods\['conv'\]: encoder='conv' needs a sample mode"):
        compare(tl.tensor(moved), labels, {"conv": {"encoder": "conv"}}, mode=2)


def test_default_methods_suit_the_smallest_split_and_the_entries_of_a_sample(data, monkeypatch):
    values, labels = data
    asked = []
    monkeypatch.setattr(
        _comparison, "default_methods", lambda *sizes: asked.append(sizes) or {"raw": RAW}
    )
    cv = [(np.arange(20, 60), np.arange(20)), (np.arange(12), np.arange(20, 60))]
    compare(tl.tensor(np.moveaxis(values, 0, 1)), labels, cv=cv, mode=1)
    assert asked == [(12, (5, 60, 3), 1)]
    few, many = default_methods(12, (5, 60, 3), 1), default_methods(700, (30, 900, 20), 1)
    for methods, n_first, n_alone in ((few, 6, 12), (many, 100, 20)):
        reduced, varying, _ = (step for _, step in methods["LDA"].steps)
        assert (reduced.n_components, varying.n_components) == (n_first, 0.95)
        assert methods["PCA"].n_components == n_alone
    assert default_methods(700, (5, 900, 3), 1)["PCA"].n_components == 15
