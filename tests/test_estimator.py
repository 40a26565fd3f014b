"""The scikit-learn class: its contract, and that it is the function in another dress."""

import inspect
import pickle
import re
import warnings
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import tensorly as tl
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.manifold import trustworthiness
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    cross_val_predict,
    cross_val_score,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from tensorly_norank import NoRankDecomposition, no_rank_decomposition
from tensorly_norank._parts import Part
from tensorly_norank.datasets import simulate_planted

COUNTED = {"encoder": "linear", "n_iter_max": 5, "tol": 0, "random_state": 0}
QUICK = COUNTED | {"rank": 2, "validation_fraction": 0}
FUNCTION_ALONE = {"tensor", "labels", "mode", "triplets", "return_errors"}


def _data(seed=0, n_samples=90):
    """Arrays, whatever the backend is: what a user of scikit-learn has."""
    bunch = simulate_planted(n_samples, sample_shape=(5, 4), n_classes=3, rank=2, random_state=seed)
    return tl.to_numpy(bunch.tensor), np.array(["a", "b", "c"])[bunch.labels]


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([NoRankDecomposition(**COUNTED)])
def test_scikit_learns_own_checks_pass(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([NoRankDecomposition()])
def test_scikit_learns_own_checks_pass_with_the_defaults(estimator, check):
    check(estimator)


def test_class_and_function_have_the_same_parameters_and_defaults():
    own = inspect.signature(NoRankDecomposition).parameters
    of_function = inspect.signature(no_rank_decomposition).parameters
    assert list(own) == [name for name in of_function if name not in FUNCTION_ALONE]
    for name, parameter in own.items():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert parameter.default == of_function[name].default


def test_every_parameter_is_described_in_the_words_of_the_function():
    text, of_function = NoRankDecomposition.__doc__, no_rank_decomposition.__doc__
    of_function = of_function.replace("``result.", "``decomposition_.").replace("`tensor`", "`X`")
    section = text[text.index("Parameters\n") : text.index("Attributes\n")]
    assert "{" + "parameters}" not in section
    for name in inspect.signature(NoRankDecomposition).parameters:
        assert re.search(rf"^    (\w+, )*{name}(, \w+)* : ", section, flags=re.MULTILINE), name
    assert [line for line in section.splitlines()[4:] if line not in of_function] == []
    assert all(f"\n    {name} :" not in section for name in FUNCTION_ALONE)


@pytest.mark.filterwarnings("ignore")
def test_it_is_the_function():
    samples, labels = _data()
    model = NoRankDecomposition(**COUNTED)
    embedded = model.fit_transform(samples, labels)
    result = no_rank_decomposition(tl.tensor(samples), labels, **COUNTED)
    np.testing.assert_array_equal(embedded, tl.to_numpy(result.embedding))
    np.testing.assert_array_equal(model.embedding_, embedded)
    np.testing.assert_array_equal(model.transform(samples), embedded)
    np.testing.assert_array_equal(
        model.inverse_transform(embedded), tl.to_numpy(result.inverse_transform(result.embedding))
    )
    assert model.decomposition_.rank == model.rank_ == result.rank
    assert model.history_ == result.history
    assert model.n_iter_ == result.n_iter == 5
    assert model.classes_.tolist() == ["a", "b", "c"]


class _WithAParameterOfItsOwn(NoRankDecomposition):
    def __init__(self, *, extra=1, rank=None, encoder="auto"):
        super().__init__(**QUICK | {"rank": rank, "encoder": encoder})
        self.extra = extra


@pytest.mark.filterwarnings("ignore")
def test_a_subclass_may_have_parameters_of_its_own_or_fewer():
    samples, labels = _data()
    model = clone(_WithAParameterOfItsOwn(extra=2, rank=2, encoder="linear"))
    embedded = model.fit_transform(samples, labels)
    np.testing.assert_array_equal(
        embedded, NoRankDecomposition(**QUICK).fit_transform(samples, labels)
    )
    assert model.extra == 2


@pytest.mark.filterwarnings("ignore")
def test_what_comes_back_is_no_memory_of_the_model():
    samples, labels = _data()
    model = NoRankDecomposition(**QUICK)
    model.fit_transform(samples, labels)[:] = 0
    assert model.embedding_.any()
    model.transform(samples)[:] = 0
    model.inverse_transform(model.embedding_)[:] = 0
    assert np.any(model.transform(samples)) and np.any(model.inverse_transform(model.embedding_))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_go_in_and_out_on_every_backend(dtype):
    samples, labels = _data()
    samples = samples.astype(dtype)
    model = NoRankDecomposition(**QUICK).fit(samples, labels)
    tensor = tl.tensor(samples)
    assert tl.is_tensor(model.decomposition_.embedding)
    for embedded in (model.embedding_, model.transform(samples), model.transform(tensor)):
        assert type(embedded) is np.ndarray
        assert embedded.dtype == dtype
    from_tensor = NoRankDecomposition(**QUICK).fit(tensor, labels)
    np.testing.assert_array_equal(from_tensor.embedding_, model.embedding_)
    assert from_tensor.n_features_in_ == model.n_features_in_ == 5


@pytest.mark.filterwarnings("ignore")
def test_tensors_that_require_a_gradient_are_taken():
    tl.set_backend("pytorch")
    samples, labels = _data()
    tensor = torch.tensor(samples, requires_grad=True)
    model = NoRankDecomposition(**QUICK).fit(tensor, labels)
    np.testing.assert_array_equal(model.transform(tensor), model.embedding_)
    assert tensor.requires_grad


@pytest.mark.filterwarnings("ignore")
def test_samples_of_another_shape_are_refused_with_both_shapes():
    samples, labels = _data()
    model = NoRankDecomposition(**QUICK).fit(samples, labels)
    for wrong in (samples[:, :4], tl.tensor(samples[:, :4])):
        with pytest.raises(ValueError, match=r"X has 4 features, but .* expecting 5 features"):
            model.transform(wrong)
    with pytest.raises(ValueError, match=r"shape \(n_samples, 5, 4\) .* got \(90, 5, 3\)"):
        model.transform(samples[..., :3])
    with pytest.raises(ValueError, match=r"shape \(n_samples, 5, 4\) .* got \(90, 5\)"):
        model.transform(samples[..., 0])


def test_what_is_not_fitted_says_so():
    samples, _ = _data()
    model = NoRankDecomposition()
    for method in (model.transform, model.inverse_transform, model.score):
        with pytest.raises(NotFittedError, match="NoRankDecomposition instance is not fitted yet"):
            method(samples)
    with pytest.raises(NotFittedError):
        model.get_feature_names_out()
    with pytest.raises(ValueError, match="class"):
        model.fit(samples, np.zeros(len(samples)))
    with pytest.raises(NotFittedError):  # not for the attributes that the failed fit has set
        model.transform(samples)


@pytest.mark.filterwarnings("ignore")
def test_missing_entries_are_nan_in_fit_and_transform():
    samples, labels = _data()
    holes = np.where(np.random.default_rng(0).random(samples.shape) < 0.1, np.nan, samples)
    model = NoRankDecomposition(mask="nan", **QUICK).fit(holes, labels)
    result = no_rank_decomposition(tl.tensor(holes), labels, mask="nan", **QUICK)
    np.testing.assert_array_equal(model.embedding_, tl.to_numpy(result.embedding))
    np.testing.assert_array_equal(model.transform(holes), model.embedding_)
    assert np.isfinite(model.score(holes, labels)) and np.isfinite(model.score(holes))
    with pytest.raises(ValueError, match="contains NaN"):
        NoRankDecomposition(**QUICK).fit(holes, labels)
    with pytest.raises(ValueError, match="mask must be None or 'nan'"):
        NoRankDecomposition(mask=np.isnan(holes), **QUICK).fit(holes, labels)


@pytest.mark.filterwarnings("ignore")
def test_comparisons_take_the_place_of_labels():
    samples, labels = _data()
    rng = np.random.default_rng(0)
    anchors = rng.integers(len(labels), size=500)
    triplets = [
        (a, rng.choice(np.flatnonzero(same & others)), rng.choice(np.flatnonzero(~same)))
        for a in anchors
        for same, others in [(labels == labels[a], np.arange(len(labels)) != a)]
    ]
    model = NoRankDecomposition(**QUICK)
    embedded = model.fit_transform(samples, triplets=triplets)
    result = no_rank_decomposition(tl.tensor(samples), triplets=triplets, **QUICK)
    np.testing.assert_array_equal(embedded, tl.to_numpy(result.embedding))
    both = NoRankDecomposition(**QUICK).fit(samples, labels, triplets=triplets)
    np.testing.assert_array_equal(both.embedding_, embedded)  # as in a pipeline, which passes both


def test_what_is_wrong_is_named_as_the_estimator_calls_it():
    samples, labels = _data()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        NoRankDecomposition(**QUICK).fit(samples, labels[:5])
    with pytest.raises(TypeError, match="X must not be a masked array"):
        NoRankDecomposition(**QUICK).fit(np.ma.masked_greater(samples, 1), labels)
    with pytest.raises(ValueError, match=r"^y must be one-dimensional"):
        NoRankDecomposition(**QUICK).fit(samples, np.stack([labels, labels], axis=1))
    with pytest.raises(ValueError, match=r"^y must hold at least 2 classes, .* Pass y=None"):
        NoRankDecomposition(**QUICK).fit(samples, ["a"] * len(labels))


@pytest.mark.filterwarnings("ignore")
def test_what_is_wrong_of_new_samples_is_named_as_the_estimator_calls_it():
    samples, labels = _data()
    model = NoRankDecomposition(**QUICK).fit(samples, labels)
    with pytest.raises(ValueError, match=r"^X must have shape \(n_samples, 5, 4\)"):
        model.transform(samples[..., :3])
    with pytest.raises(ValueError, match=r"^X must have shape \(n_samples, 2\), got \(90, 1\)"):
        model.inverse_transform(model.embedding_[:, :1])
    with pytest.raises(ValueError, match=r"^y must hold at least 2 classes, got 1 class"):
        model.score(samples, ["a"] * len(labels))
    tl.set_backend("pytorch")
    holes = torch.from_numpy(samples).masked_fill(torch.from_numpy(samples) > 1, torch.inf)
    with pytest.raises(ValueError, match=r"^X must be finite"):
        NoRankDecomposition(**QUICK).fit(holes, labels)


@pytest.mark.filterwarnings("ignore")
def test_the_score_is_the_share_of_triplets_in_order():
    samples, labels = _data()
    few = np.flatnonzero(labels == "a")[8:]  # classes of one size weigh the same in any case
    samples, labels = np.delete(samples, few, axis=0), np.delete(labels, few)
    model = NoRankDecomposition(**QUICK).fit(samples, labels)
    points, by_class = model.embedding_, []
    for one in np.unique(labels):
        shares = []
        for a in np.flatnonzero(labels == one):
            distances = np.linalg.norm(points - points[a], axis=1)
            positives = distances[(labels == one) & (np.arange(len(labels)) != a)]
            negatives = distances[labels != one]
            shares.append(np.mean(positives[:, None] < negatives))
        by_class.append(np.mean(shares))
    assert model.score(samples, labels) == pytest.approx(np.mean(by_class), abs=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_without_labels_the_score_is_how_many_neighbours_are_kept():
    samples, _ = _data()
    model = NoRankDecomposition(**QUICK).fit(samples)
    rows = samples.reshape(len(samples), -1)
    expected = trustworthiness(rows, model.embedding_, n_neighbors=10)
    assert model.score(samples) == pytest.approx(expected, abs=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_missing_entries_are_those_of_the_mean_sample_in_a_score_without_labels():
    samples, _ = _data()
    holes = np.where(np.random.default_rng(0).random(samples.shape) < 0.1, np.nan, samples + 100)
    model = NoRankDecomposition(mask="nan", **QUICK).fit(holes)
    filled = np.where(np.isnan(holes), tl.to_numpy(model.decomposition_.offset), holes)
    expected = trustworthiness(filled.reshape(90, -1), model.transform(holes), n_neighbors=10)
    assert model.score(holes) == pytest.approx(expected, abs=1e-12)


def test_samples_without_a_label_are_left_out_of_a_score():
    samples, labels = _data()
    model = NoRankDecomposition(**QUICK).fit(samples, labels)
    is_known = np.arange(90) % 3 > 0
    given = [label if known else None for label, known in zip(labels, is_known, strict=True)]
    assert model.score(samples, given) == model.score(samples[is_known], labels[is_known])


@pytest.mark.filterwarnings("ignore")
def test_what_is_missing_in_the_fit_is_missing_in_a_score_of_fewer_classes():
    samples, labels = _data()
    numbers = np.where(labels == "a", 0, np.where(labels == "b", 1, -1))
    model = NoRankDecomposition(**QUICK).fit(samples, numbers)
    assert model.classes_.tolist() == [0, 1]
    part = numbers != 1
    with pytest.raises(ValueError, match=r"y must hold at least 2 classes, got 1 class: .* is 0"):
        model.score(samples[part], numbers[part])
    known = numbers != -1
    assert model.score(samples, numbers) == model.score(samples[known], numbers[known])
    with_others = [pd.NA if n % 9 == 0 else int(one) for n, one in enumerate(numbers)]
    known &= np.arange(90) % 9 > 0
    assert model.score(samples, with_others) == model.score(samples[known], numbers[known])
    is_first = numbers != 0
    two = NoRankDecomposition(**QUICK).fit(
        samples[is_first], numbers[is_first]
    )  # here it is a class
    assert two.classes_.tolist() == [-1, 1]
    codes = np.array(["x", "y", "z"])[numbers]  # the same three, by names
    assert two.score(samples, numbers) == two.score(samples, codes)


@pytest.mark.filterwarnings("ignore")
def test_a_class_of_two_among_thousands_is_in_the_score():
    samples, _ = _data()
    model = NoRankDecomposition(**QUICK | {"n_iter_max": 1}).fit(samples, np.arange(90) % 2)
    many = np.tile(samples, (45, 1, 1))[:4000]
    for pair in ((0, 1), (17, 3000), (3998, 3999)):
        assert 0 <= model.score(many, np.isin(np.arange(4000), pair)) <= 1


@pytest.mark.filterwarnings("ignore")
def test_samples_of_half_precision_have_a_score():
    samples, labels = _data()
    half = samples.astype("float16")
    model = NoRankDecomposition(**QUICK).fit(half, labels)
    wide = NoRankDecomposition(**QUICK).fit(half.astype("float32"), labels)
    assert model.score(half, labels) == pytest.approx(wide.score(half, labels), abs=1e-2)
    assert model.score(half) == pytest.approx(wide.score(half), abs=1e-2)


def test_a_model_that_gives_data_frames_scores_without_a_warning():
    samples, labels = _data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = NoRankDecomposition(**QUICK).fit(samples, labels)
    plain = model.score(samples, labels)
    model.set_output(transform="pandas")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.score(samples, labels) == plain


@pytest.mark.filterwarnings("ignore")
def test_of_many_samples_small_classes_are_scored_too():
    samples, _ = _data(n_samples=1500)
    labels = np.where(np.arange(1500) < 1498, "many", "few")
    model = NoRankDecomposition(**QUICK | {"n_iter_max": 1}).fit(samples[-200:], labels[-200:])
    drawn = []
    original = Part.triplets
    with mock.patch.object(
        Part, "triplets", lambda part, *rest: drawn.append(part) or original(part, *rest)
    ):
        score = model.score(samples, labels)
    assert 990 <= len(drawn[-1]) <= 1000
    assert 0 <= score <= 1
    assert score == model.score(samples, labels)


@pytest.mark.filterwarnings("ignore")
def test_data_frames_give_and_get_names():
    samples, labels = _data()
    frame = pd.DataFrame(samples[:, :, 0], columns=list("vwxyz"))
    model = NoRankDecomposition(**QUICK).set_output(transform="pandas")
    embedded = model.fit_transform(frame, pd.Series(labels))
    assert list(embedded.columns) == ["norankdecomposition0", "norankdecomposition1"]
    assert embedded.index.equals(frame.index)
    assert model.feature_names_in_.tolist() == list("vwxyz")
    with pytest.raises(ValueError, match="feature names should match"):
        model.transform(frame[list("wvxyz")])
    assert 0.5 < model.score(frame, labels) <= 1
    model.fit(frame.to_numpy(), labels)
    assert not hasattr(model, "feature_names_in_")


@pytest.mark.filterwarnings("ignore")
def test_it_works_in_a_pipeline_and_in_cross_validation():
    samples, labels = _data(n_samples=150)
    model = make_pipeline(NoRankDecomposition(**QUICK), KNeighborsClassifier(3))
    assert cross_val_score(model, samples, labels, cv=2).mean() > 0.6  # chance is 1/3
    assert np.mean(cross_val_predict(model, samples, labels, cv=2) == labels) > 0.6
    assert cross_val_score(NoRankDecomposition(**QUICK), samples, labels, cv=2).mean() > 0.6


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_search_in_processes_gives_the_same_table_twice():
    samples, labels = _data()
    grid = {"encoder": ["linear", "multilinear", "mlp"], "margin": [0.5, 0.7, 0.9, 1.1]}
    tables = []
    for _ in range(2):
        search = GridSearchCV(NoRankDecomposition(**QUICK), grid, cv=2, n_jobs=4)
        search.fit(samples, labels)
        tables.append(search.cv_results_["mean_test_score"])
    assert len(tables[0]) == 12 and np.all(np.isfinite(tables[0]))
    np.testing.assert_array_equal(*tables)
    assert search.best_estimator_.transform(samples).shape == (90, search.best_estimator_.rank_)


@pytest.mark.filterwarnings("ignore")
def test_it_works_in_a_halving_search_over_passes():
    samples, labels = _data()
    search = HalvingGridSearchCV(
        NoRankDecomposition(**QUICK),
        {"margin": [0.5, 1.1]},
        factor=2,
        resource="n_iter_max",
        min_resources=1,
        max_resources=2,
        cv=2,
    )
    search.fit(samples, labels)
    assert search.n_resources_ == [1, 2]
    assert search.best_estimator_.n_iter_ == 2


@pytest.mark.filterwarnings("ignore")
def test_a_module_of_ones_own_is_cloned_and_left_as_it_is():
    samples, labels = _data()
    module = nn.Sequential(nn.Flatten(), nn.Linear(20, 6)).to(torch.float64)
    before = [one.detach().clone() for one in module.parameters()]
    model = clone(NoRankDecomposition(**QUICK | {"encoder": module}))
    assert model.encoder is not module
    model.fit(samples, labels)
    assert all(torch.equal(*pair) for pair in zip(before, module.parameters(), strict=True))
    assert model.decomposition_.encoder is not model.encoder


@pytest.mark.filterwarnings("ignore")
def test_a_pickled_model_embeds_as_before():
    samples, labels = _data()
    model = NoRankDecomposition(**QUICK).fit(samples, labels)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(samples), model.transform(samples))


@pytest.mark.filterwarnings("ignore")
def test_fitting_again_forgets_the_first_fit():
    samples, labels = _data()
    model = NoRankDecomposition(**QUICK).fit(samples, labels)
    model.fit(samples[:, :3, 0], labels)
    fresh = NoRankDecomposition(**QUICK).fit(samples[:, :3, 0], labels)
    np.testing.assert_array_equal(model.embedding_, fresh.embedding_)
    assert model.n_features_in_ == 3
