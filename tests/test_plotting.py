"""Figures show what they are given, in the axes that they are given."""

import sys

import numpy as np
import pytest
import tensorly as tl

from tensorly_norank import no_rank_decomposition
from tensorly_norank._rank_evidence import RankEvidence
from tensorly_norank.evaluation import compare
from tensorly_norank.plotting import plot_comparison, plot_rank_evidence, plot_samples

pandas = pytest.importorskip("pandas")
pytest.importorskip("matplotlib").use("Agg")
pyplot = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def evidence():
    accuracy = np.array([0.6, 0.9, 0.92, *[0.91] * 17])
    p_value = np.array([0.003, 0.01, 0.4, 0.2, *[np.nan] * 16])
    return RankEvidence(
        candidates=np.arange(1, 21),
        statistic=-np.log(p_value),
        p_value=p_value,
        triplet_accuracy=accuracy,
        triplet_accuracy_se=np.full(20, 0.01),
        significant=2,
        needed=3,
        chosen=2,
        n_held_out=100,
        stability={2: 1.0},
        linear=True,
    )


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 12)
    values = rng.normal(size=(36, 4, 3)) + labels[:, None, None]
    methods = {
        "good": lambda fit, y, new: (tl.unfold(fit, 0), tl.unfold(new, 0)),
        "poor": lambda fit, y, new: (fit[:, 0], new[:, 0]),
        "fitted only": lambda fit, y, new: (tl.unfold(fit, 0), None),
        "broken": lambda fit, y, new: 1 / 0,
    }
    return compare(tl.tensor(values), labels, methods, random_state=0)


def test_a_comparison_shows_splits_mean_spread_and_in_sample_of_each_method(table):
    ax = plot_comparison(table, "ari")
    names = [tick.get_text() for tick in ax.get_yticklabels()]
    assert names == ["good", "poor", "fitted only", "broken"]
    assert ax.get_ylim() == (3.5, -0.5)  # the first on top
    shown = {tuple(np.round(np.asarray(line.get_xdata(), float), 6)) for line in ax.lines}
    splits = pandas.DataFrame(table.attrs["splits"])
    good = splits.loc[splits["method"] == "good", "ari"]
    assert tuple(np.round(good, 6)) in shown
    for column in ("mean", "in_sample"):
        assert (round(table.loc[("ari", "good"), column], 6),) in shown
    bars = [bar for container in ax.containers for bar in container.lines[2]]
    (start, _), (end, _) = bars[0].get_segments()[0]
    assert (end - start) / 2 == pytest.approx(table.loc[("ari", "good"), "std"])
    beside = [text.get_text() for text in ax.texts]
    assert beside[0] == f"p = {table.loc[('ari', 'good'), 'p_value']:.2g}"
    assert beside[2:] == ["in sample only", "failed"]
    assert ax.get_xlabel() == "ari, held out"


def test_given_axes_are_drawn_into_and_returned(table):
    _, ax = pyplot.subplots()
    assert plot_comparison(table, ax=ax) is ax
    assert plot_samples(np.zeros((2, 3, 3)), [0, 1], ax=ax) is ax
    assert len(pyplot.get_fignums()) == 1


def test_a_figure_without_a_test_is_drawn_without_p_values(table):
    ax = plot_comparison(table, "seconds")
    assert [text.get_text() for text in ax.texts][:2] == ["", ""]


def test_an_unknown_figure_is_an_error_that_lists_the_known_ones(table):
    with pytest.raises(ValueError, match=r"figure must be one of 'silhouette', .*got 'accuracy'"):
        plot_comparison(table, "accuracy")


def test_a_contact_sheet_holds_the_first_samples_of_each_class_in_its_row():
    rng = np.random.default_rng(0)
    images = rng.random((9, 4, 5))
    labels = np.array(["b", "a", "b", "a", "c", "c", "b", "b", "a"])
    ax = plot_samples(tl.tensor(images), labels, n_each=3)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b", "c"]
    sheet = np.asarray(ax.images[0].get_array().filled(np.nan))
    for row, indices in enumerate([[1, 3, 8], [0, 2, 6], [4, 5]]):
        for column, index in enumerate(indices):
            cell = sheet[row * 5 : row * 5 + 4, column * 6 : column * 6 + 5]
            image = images[index]
            expected = (image - image.min()) / (image.max() - image.min())
            np.testing.assert_allclose(cell, expected)
    assert np.isnan(sheet[10:14, 12:17]).all()  # there is no third sample of c


def test_volumes_are_shown_as_sums_that_are_stretched():
    volumes = np.random.default_rng(0).random((2, 3, 3, 4))
    ax = plot_samples(tl.tensor(volumes), [0, 1], ["x", "y"], n_each=1, stretch=0.1)
    first = np.asarray(ax.images[0].get_array())[:3, :3]
    expected = np.arcsinh(volumes[0].sum(axis=-1) / 0.1)
    expected = (expected - expected.min()) / np.ptp(expected)
    np.testing.assert_allclose(first, expected)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["x", "y"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tensor": np.zeros((4, 3))}, "tensor must hold images or volumes"),
        ({"labels": [0, 1]}, "labels must hold one label for each of the 4 samples"),
        ({"class_names": ["a"]}, "class_names must name the 2 classes of labels, got 1"),
        ({"labels": list("abab"), "class_names": ["b", "a"]}, "in the order of the sorted labels"),
        ({"tensor": np.ma.masked_equal(np.zeros((4, 3, 3)), 0)}, "must not be a masked array"),
        ({"n_each": 0}, "n_each must be at least 1"),
        ({"stretch": 0.0}, "stretch must be greater than 0"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = {"tensor": np.zeros((4, 3, 3)), "labels": [0, 1, 0, 1]} | change
    with pytest.raises((TypeError, ValueError), match=message):
        plot_samples(**arguments)


def test_pixels_that_are_missing_stay_white_and_the_others_keep_their_contrast():
    images = np.array([[[0.0, 2.0], [np.nan, 4.0]], [[1.0, np.inf], [1.0, 1.0]]])
    ax = plot_samples(images, [0, 1], n_each=1)
    sheet = ax.images[0].get_array().filled(np.nan)
    np.testing.assert_array_equal(sheet[:2, :2], [[0, 0.5], [np.nan, 1]])
    np.testing.assert_array_equal(sheet[3:5, :2], [[0, np.nan], [0, 0]])


def test_evidence_shows_both_readings(evidence):
    ax = plot_rank_evidence(evidence)
    assert ax.get_title(loc="left") == "2 significant, 3 needed"
    accuracy, significant, needed = ax.lines
    np.testing.assert_array_equal(accuracy.get_xdata(), np.arange(1, 10))
    np.testing.assert_array_equal(accuracy.get_ydata(), evidence.triplet_accuracy[:9])
    assert set(significant.get_xdata()) == {2} and significant.get_linestyle() == "-"
    assert set(needed.get_xdata()) == {3} and needed.get_linestyle() == ":"
    (beside,) = (axes for axes in ax.figure.axes if axes is not ax)
    small, large, level = beside.lines
    np.testing.assert_array_equal(small.get_ydata(), [0.003, 0.01])
    np.testing.assert_array_equal(large.get_xdata()[:2], [3, 4])
    assert set(level.get_ydata()) == {0.01}


def test_evidence_that_is_missing_or_of_another_kind_is_named(evidence):
    _, ax = pyplot.subplots()
    assert plot_rank_evidence(evidence, ax) is ax
    for not_axes in (3, pyplot.subplots(1, 2)[1], ax.figure):
        with pytest.raises(TypeError, match="ax must be a matplotlib Axes, got a "):
            plot_rank_evidence(evidence, not_axes)
    with pytest.raises(TypeError, match="evidence must be a NoRankTensor or its rank_evidence"):
        plot_rank_evidence({"chosen": 3})
    result = _of_triples(rank=1, validation_fraction=0)
    with pytest.raises(ValueError, match=r"without rank_evidence \(validation_fraction=0\)"):
        plot_rank_evidence(result)


def test_evidence_without_held_out_samples_shows_p_values_alone():
    with pytest.warns(UserWarning, match="No samples could be held out"):
        evidence = _of_triples().rank_evidence
    ax = plot_rank_evidence(evidence)
    assert ax.get_title(loc="left") == f"{evidence.significant} significant"
    accuracy = ax.lines[0]
    assert np.isnan(accuracy.get_ydata()).all()
    assert not len(ax.get_yticks())
    (beside,) = (axes for axes in ax.figure.axes if axes is not ax)
    assert sum(len(line.get_xdata()) for line in beside.lines[:2]) > 0


def _of_triples(**options):
    """Three samples in each class: none can be held out."""
    labels = np.repeat([0, 1, 2], 3)
    tensor = labels[:, None, None] + np.random.default_rng(0).normal(size=(9, 4, 3))
    return no_rank_decomposition(
        tl.tensor(tensor),
        labels,
        encoder="linear",
        n_iter_max=2,
        tol=0,
        random_state=0,
        **options,
    )


@pytest.mark.parametrize("kind", ["int8", "uint8", "bool"])
def test_images_of_any_type_keep_their_order(kind):
    image = np.array([[0, 1], [0, 1]]) if kind == "bool" else np.array([[-128, 127], [0, 64]])
    image = (image + 128 * (kind == "uint8")).astype(kind)
    ax = plot_samples(np.stack([image, image]), [0, 1], n_each=1)
    shown = ax.images[0].get_array()[:2, :2].filled(np.nan)
    expected = (image.astype(float) - image.min()) / (float(image.max()) - float(image.min()))
    np.testing.assert_allclose(shown, expected)


def test_many_classes_make_a_figure_that_can_still_be_drawn():
    ax = plot_samples(np.zeros((500, 2, 2)), np.arange(500), n_each=1)
    assert max(ax.figure.get_size_inches()) <= 40


def test_axes_say_what_is_measured_and_which_end_is_better(table):
    assert plot_comparison(table, "davies_bouldin").get_xlabel().endswith("(smaller is better)")
    assert plot_comparison(table, "seconds").get_xlabel() == "seconds to fit and embed"


def test_methods_without_a_figure_say_why(table):
    table = table.copy()
    assert [text.get_text() for text in plot_comparison(table, "knn_accuracy").texts][2:] == [
        "in sample only",
        "failed",
    ]
    rng = np.random.default_rng(0)
    methods = {
        "constant": lambda fit, y, new: (np.ones((len(fit), 2)), np.ones((len(new), 2))),
        "held out": lambda fit, y, new: (tl.unfold(fit, 0), np.full((len(new), 12), np.nan)),
    }
    with pytest.warns(UserWarning, match="failed on every split"):
        other = compare(
            tl.tensor(rng.normal(size=(24, 4, 3))), np.arange(24) % 2, methods, random_state=0
        )
    ax = plot_comparison(other, "davies_bouldin")
    assert [text.get_text() for text in ax.texts] == ["not defined", "failed"]


def test_a_table_without_its_splits_is_drawn_without_dots(table):
    stored = table.copy()
    stored.attrs = {}
    ax = plot_comparison(stored, "ari")
    assert "splits" not in ax.get_title(loc="left")
    assert "splits" in plot_comparison(table, "ari").get_title(loc="left")


def test_integer_labels_may_index_more_names_than_there_are_classes():
    ax = plot_samples(np.zeros((4, 3, 3)), [0, 2, 0, 2], ["a", "b", "c"])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "c"]


@pytest.mark.parametrize("wrong", [None, {"a": 1}, pandas.DataFrame({"mean": [1.0]}), "one column"])
def test_a_table_of_another_kind_is_refused(table, wrong):
    wrong = table["mean"] if isinstance(wrong, str) else wrong
    with pytest.raises(TypeError, match="table must be what compare returns"):
        plot_comparison(wrong)


def test_without_matplotlib_the_extra_is_named(table, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "tensorly-norank\[plot\]"'):
        plot_comparison(table)
