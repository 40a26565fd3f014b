"""tensorly-viz takes our decomposition as it takes that of `parafac`."""

import numpy as np
import pytest
import tensorly as tl
from sklearn.neighbors import KNeighborsClassifier
from tensorly.decomposition import parafac

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import simulate_planted

pytest.importorskip("matplotlib").use("Agg")
pyplot = pytest.importorskip("matplotlib.pyplot")
xarray = pytest.importorskip("xarray")
tlviz = pytest.importorskip("tlviz")

RANK = 3


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def planted():
    return simulate_planted(60, n_classes=4, random_state=0)


@pytest.fixture(scope="module")
def centred(planted):
    """What both decompose: ours takes the mean sample away itself."""
    return planted.tensor - tl.mean(planted.tensor, axis=0)


@pytest.fixture(scope="module")
def ours(planted):
    return _ours(planted.tensor, planted.labels, seed=0)


@pytest.fixture(scope="module")
def parafacs(centred):
    return parafac(centred, RANK, n_iter_max=20, random_state=0, return_errors=True)


@pytest.fixture(params=["ours", "parafacs"])
def fitted(request):
    """A CP tensor and its errors, from either; no test looks from which."""
    return request.getfixturevalue(request.param)


def _ours(tensor, labels, seed):
    return no_rank_decomposition(
        tensor,
        labels,
        encoder="linear",
        rank=RANK,
        validation_fraction=0,
        n_iter_max=10,
        tol=0,
        random_state=seed,
        return_errors=True,
    )


def _figures(cp_tensor, dataset, labels):
    """Every number that tensorly-viz has for one CP tensor, the dataset and labels."""
    evaluation, factors = tlviz.model_evaluation, tlviz.factor_tools
    of_data, of_model = factors.percentage_variation(cp_tensor, dataset, method="both")
    outliers = tlviz.outliers.compute_outlier_info(cp_tensor, dataset)
    return {
        "core_consistency": evaluation.core_consistency(cp_tensor, dataset),
        "normalised": evaluation.core_consistency(cp_tensor, dataset, normalised=True),
        "fit": evaluation.fit(cp_tensor, dataset),
        "relative_sse": evaluation.relative_sse(cp_tensor, dataset),
        "sse": evaluation.sse(cp_tensor, dataset),
        "degeneracy": factors.degeneracy_score(cp_tensor),
        "match_with_itself": factors.factor_match_score(cp_tensor, cp_tensor),
        "predictive_power": evaluation.predictive_power(
            cp_tensor, labels, KNeighborsClassifier(3), mode=0
        ),
        "of_data": of_data,
        "of_model": of_model,
        "leverage": outliers["Leverage score"].to_numpy(),
        "slabwise_sse": outliers["Slabwise SSE"].to_numpy(),
    }


def test_figures_are_numbers_in_their_ranges(fitted, centred, planted):
    figures = _figures(fitted[0], centred, planted.labels)
    assert all(np.isfinite(value).all() for value in figures.values())
    assert figures["core_consistency"] <= 100 and figures["normalised"] <= 100
    assert 0 < figures["fit"] < 1
    assert figures["fit"] == pytest.approx(1 - figures["relative_sse"])
    assert figures["sse"] > 0
    assert -1 <= figures["degeneracy"] <= 1
    assert figures["match_with_itself"] == pytest.approx(1)
    assert 0 <= figures["predictive_power"] <= 1
    for name in ("of_data", "of_model"):
        assert figures[name].shape == (RANK,) and (figures[name] > 0).all()
    assert figures["leverage"].shape == figures["slabwise_sse"].shape == (60,)
    assert figures["leverage"].sum() == pytest.approx(RANK)  # the trace of a projection
    assert figures["slabwise_sse"].sum() == pytest.approx(1)


def test_fit_is_our_explained_variance(ours, centred, planted):
    result, _ = ours
    np.testing.assert_allclose(
        tl.to_numpy(planted.tensor - result.offset), tl.to_numpy(centred), atol=1e-6
    )
    assert tlviz.model_evaluation.fit(result, centred) == pytest.approx(
        result.explained_variance, abs=1e-5
    )


def test_components_have_an_axis_for_each_mode_and_a_line_for_each_component(fitted):
    for weight_behaviour in ("normalise", "ignore", "evenly", "one_mode"):
        _, axes = tlviz.visualisation.components_plot(fitted[0], weight_behaviour=weight_behaviour)
        assert [len(ax.lines) for ax in axes] == [RANK] * 3
        lengths = [{len(line.get_ydata()) for line in ax.lines} for ax in axes]
        assert lengths == [{60}, {20}, {15}]


def test_samples_are_scattered_on_two_components(fitted):
    ax = tlviz.visualisation.component_scatterplot(fitted[0], mode=0, x_component=2, y_component=1)
    (points,) = ax.collections
    factor = tl.to_numpy(fitted[0].factors[0])
    np.testing.assert_allclose(points.get_offsets(), factor[:, [2, 1]])
    assert ax.get_xlabel() == "Component 2" and ax.get_ylabel() == "Component 1"


def test_outliers_are_shown_and_have_thresholds(fitted, centred):
    # Thresholds are not drawn: tensorly-viz 0.1.8 cannot, with matplotlib 3.11.
    ax = tlviz.visualisation.outlier_plot(fitted[0], centred)
    (points,) = ax.lines
    assert len(points.get_xdata()) == 60
    assert tlviz.outliers.get_leverage_outlier_threshold(points.get_xdata(), "p-value") > 0
    assert tlviz.outliers.get_slabwise_sse_outlier_threshold(points.get_ydata(), "two sigma") > 0


def test_residuals_and_core_are_shown(fitted, centred):
    _, axes = pyplot.subplots(1, 4)
    tlviz.visualisation.histogram_of_residuals(fitted[0], centred, ax=axes[0], bins=7)
    assert sum(patch.get_height() for patch in axes[0].patches) == centred.shape[0] * 20 * 15
    tlviz.visualisation.residual_qq(fitted[0], centred, ax=axes[1])
    assert len(axes[1].lines[0].get_xdata()) == 60 * 20 * 15
    tlviz.visualisation.core_element_plot(fitted[0], centred, ax=axes[2])
    assert [len(line.get_xdata()) for line in axes[2].lines] == [RANK**3, RANK, RANK**3 - RANK]
    tlviz.visualisation.percentage_variation_plot(fitted[0], centred, method="both", ax=axes[3])
    assert len(axes[3].patches) == 2 * RANK


def test_errors_of_several_starts_are_shown(fitted):
    _, errors = fitted
    _, axes = tlviz.visualisation.optimisation_diagnostic_plots([errors, errors], n_iter_max=20)
    assert len(axes[0].collections) == 2  # the last errors
    assert [len(line.get_ydata()) for line in axes[1].lines] == [len(errors)] * 2


def test_factors_get_the_names_of_a_labelled_dataset(fitted, centred):
    """Such a dataset holds numpy's arrays on every backend."""
    dataset = xarray.DataArray(
        tl.to_numpy(centred),
        dims=["sample", "row", "column"],
        coords={"sample": np.arange(60), "row": list("abcdefghijklmnopqrst"), "column": range(15)},
    )
    weights, factors = tlviz.postprocessing.postprocess(fitted[0], dataset=dataset)
    assert [factor.index.name for factor in factors] == ["sample", "row", "column"]
    assert list(factors[1].index) == list("abcdefghijklmnopqrst")
    assert [factor.shape[1] for factor in factors] == [RANK] * 3
    _, axes = tlviz.visualisation.components_plot((weights, factors))
    assert [ax.get_xlabel() for ax in axes] == ["sample", "row", "column"]
    assert tlviz.factor_tools.factor_match_score((weights, factors), fitted[0]) == pytest.approx(1)


def test_ours_and_parafacs_go_into_one_figure(ours, parafacs, centred):
    models = {"ours": ours[0], "parafac": parafacs[0]}
    ax = tlviz.visualisation.scree_plot(models, centred)
    fits = [tlviz.model_evaluation.fit(model, centred) for model in models.values()]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), fits)
    assert fits[0] < fits[1]  # it keeps what tells classes apart, not what varies most
    _, axes = tlviz.visualisation.component_comparison_plot(models, row="component")
    assert axes.shape == (RANK, 3)
    assert {len(ax.lines) for ax in axes.ravel()} == {len(models)}


def test_several_starts_of_ours_are_sorted_and_compared(ours, centred, planted):
    others = [_ours(planted.tensor, planted.labels, seed)[0] for seed in (1, 2)]
    ordered, errors = tlviz.multimodel_evaluation.sort_models_by_error([ours[0], *others], centred)
    assert sorted(errors) == list(errors)
    scores = tlviz.multimodel_evaluation.similarity_evaluation(ordered[0], ordered[1:])
    assert len(scores) == 2 and all(0 <= score <= 1 for score in scores)


def test_looking_at_a_decomposition_leaves_it_as_it_is(fitted, centred, planted):
    before = [tl.copy(one) for one in [fitted[0].weights, *fitted[0].factors]]
    _figures(fitted[0], centred, planted.labels)
    for weight_behaviour in ("normalise", "ignore", "evenly", "one_mode"):
        tlviz.visualisation.components_plot(fitted[0], weight_behaviour=weight_behaviour)
    tlviz.postprocessing.postprocess(fitted[0], dataset=tl.to_numpy(centred))
    for one, copy in zip([fitted[0].weights, *fitted[0].factors], before, strict=True):
        np.testing.assert_array_equal(tl.to_numpy(one), tl.to_numpy(copy))
