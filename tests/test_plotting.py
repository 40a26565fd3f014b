"""Figures show what they are given, in the axes that they are given."""

import itertools
import sys
from dataclasses import replace

import numpy as np
import pytest
import tensorly as tl
from tensorly.cp_tensor import CPTensor

from tensorly_norank import NoRankDecomposition, no_rank_decomposition
from tensorly_norank._rank_evidence import RankEvidence
from tensorly_norank.datasets import simulate_planted
from tensorly_norank.evaluation import compare
from tensorly_norank.plotting import (
    plot_comparison,
    plot_components,
    plot_decomposition,
    plot_embedding,
    plot_history,
    plot_rank_evidence,
    plot_samples,
    plot_similarity,
)

pandas = pytest.importorskip("pandas")
pytest.importorskip("matplotlib").use("Agg")
pyplot = pytest.importorskip("matplotlib.pyplot")


def _cp_of(*factors):
    return CPTensor((None, [tl.tensor(factor) for factor in factors]))


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


def test_of_few_samples_evidence_shows_the_shares_that_decide(evidence):
    shares = np.array([0.5, 0.7, 0.8, 0.8, *[np.nan] * 16])
    few = replace(evidence, likely=4, class_accuracy=shares, class_accuracy_se=shares / 10)
    ax = plot_rank_evidence(few)
    assert ax.get_title(loc="left") == "2 significant, 4 likely"
    assert ax.get_ylabel() == "held-out samples: classes in order"
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), shares[:10])
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(0.88)
    assert plot_rank_evidence(evidence).get_ylabel() == "held-out triplets in order"


def test_evidence_that_is_missing_or_of_another_kind_is_named(evidence):
    _, ax = pyplot.subplots()
    assert plot_rank_evidence(evidence, ax) is ax
    polar = pyplot.figure().add_subplot(projection="polar")
    for not_axes in (3, pyplot.subplots(1, 2)[1], ax.figure, polar):
        with pytest.raises(TypeError, match="ax must be a matplotlib Axes, rectilinear ones, got"):
            plot_rank_evidence(evidence, not_axes)
    with pytest.raises(TypeError, match="evidence must be a NoRankTensor or its rank_evidence"):
        plot_rank_evidence({"chosen": 3})
    result = _of_triples(rank=1, validation_fraction=0)
    with pytest.raises(ValueError, match=r"without rank_evidence \(validation_fraction=0\)"):
        plot_rank_evidence(result)


def test_evidence_without_held_out_samples_shows_p_values_alone():
    with pytest.warns(UserWarning, match="No samples could be held out"):
        evidence = _of_triples().rank_evidence
    evidence = replace(evidence, significant=1, likely=2)
    ax = plot_rank_evidence(evidence)
    assert ax.get_title(loc="left") == "1 significant, 2 likely"
    accuracy, significant, likely = ax.lines
    assert set(significant.get_xdata()) == {1} and set(likely.get_xdata()) == {2}
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


def test_samples_without_a_label_are_not_drawn():
    images = np.arange(4.0)[:, None, None] * np.eye(3)
    ax = plot_samples(images, ["a", None, "b", "a"], {"a": "first", "b": "second"})
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["first", "second"]
    expected = plot_samples(images[[0, 2, 3]], ["a", "b", "a"])
    np.testing.assert_array_equal(ax.images[0].get_array(), expected.images[0].get_array())
    with pytest.raises(ValueError, match="labels must say of some samples which class"):
        plot_samples(images, [None] * 4)


@pytest.mark.parametrize("wrong", [None, {"a": 1}, pandas.DataFrame({"mean": [1.0]}), "one column"])
def test_a_table_of_another_kind_is_refused(table, wrong):
    wrong = table["mean"] if isinstance(wrong, str) else wrong
    with pytest.raises(TypeError, match="table must be what compare returns"):
        plot_comparison(wrong)


def test_without_matplotlib_the_extra_is_named(table, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install matplotlib, or .* with its extra 'plot'"):
        plot_comparison(table)


def _points(n_classes, n_samples=None, n_components=5):
    rng = np.random.default_rng(0)
    codes = np.arange(n_samples or max(60, 2 * n_classes)) % n_classes
    centres = rng.normal(size=(n_classes, n_components))
    return centres[codes] + 0.1 * rng.normal(size=(len(codes), n_components)), codes


def _drawn(ax):
    """All points of scatter plots in these axes, as they lie on top of each other."""
    return np.concatenate([np.asarray(one.get_offsets()) for one in ax.collections])


def _form(cloud):
    return cloud.get_paths()[0].vertices.round(6).tobytes()


@pytest.fixture(scope="module")
def result():
    planted = simulate_planted(90, rank=2, n_classes=4, random_state=0)
    return no_rank_decomposition(
        planted.tensor, planted.labels, encoder="linear", n_iter_max=5, tol=0, random_state=0
    )


@pytest.mark.parametrize("n_classes", [2, 40, 1000])
def test_every_sample_is_drawn_at_its_place_in_the_mark_of_its_class(n_classes):
    points, codes = _points(n_classes)
    ax = plot_embedding(points, codes)
    drawn = _drawn(ax)
    assert set(map(tuple, drawn.round(9))) == set(map(tuple, points[:, :2].round(9)))
    assert len(drawn) == len(points)
    if n_classes > 63:
        (cloud,) = ax.collections
        np.testing.assert_array_equal(cloud.get_array(), codes)
        bar = ax.child_axes[0]
        assert [text.get_text() for text in bar.get_yticklabels()] == ["0", "999"]
        assert bar.yaxis_inverted()
        assert bar.get_ylabel() == "1000 classes, in order"
    else:
        marks = {(tuple(one.get_facecolor()[0]), _form(one)) for one in ax.collections}
        assert len(marks) == len(ax.collections) == n_classes
        for cloud, code in zip(ax.collections, range(n_classes), strict=True):
            np.testing.assert_allclose(cloud.get_offsets(), points[codes == code, :2])
    ax.figure.canvas.draw()


@pytest.mark.parametrize(("n_classes", "n_columns"), [(3, 1), (40, 2), (63, 3)])
def test_a_legend_names_all_classes_that_have_marks(n_classes, n_columns):
    points, codes = _points(n_classes)
    legend = plot_embedding(points, codes).get_legend()
    assert [text.get_text() for text in legend.get_texts()] == list(map(str, range(n_classes)))
    assert legend._ncols == n_columns
    names = {k: f"person {k}" for k in reversed(range(n_classes))}
    legend = plot_embedding(points, codes, class_names=names).get_legend()
    assert legend.get_texts()[1].get_text() == "person 1"


def test_dollars_in_labels_are_dollars():
    points, codes = _points(3)
    labels = np.array(["$5 to $10", "$ $x_$", "$"])[codes]
    ax = plot_embedding(points, labels)
    ax.figure.canvas.draw()  # where mathematics that cannot be read would be an error
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert sorted(texts) == sorted(name.replace("$", r"\$") for name in np.unique(labels))


@pytest.mark.parametrize("dpi", [60, 72, 100])
@pytest.mark.parametrize("is_new", [False, True])
def test_small_marks_are_seen_at_any_resolution(dpi, is_new):
    """Snapped to pixels, a plus of 900 had no area at 60 and 72 dots per inch."""
    codes = np.repeat(np.arange(10), 90)
    across = np.arange(900) % 90 / 10
    points = np.c_[across, codes]  # a line for each class
    others = {"new": points, "new_labels": codes} if is_new else {}
    ax = plot_embedding(np.full_like(points, -1) if is_new else points, codes, **others)
    ax.figure.set_dpi(dpi)
    ax.figure.canvas.draw()
    image = np.asarray(ax.figure.canvas.buffer_rgba())[..., :3].astype(int)
    heights = image.shape[0] - ax.transData.transform([(0, code) for code in range(10)])[:, 1]
    inside = ax.get_window_extent()
    image = image[:, int(inside.x0) + 8 : int(inside.x1) - 8]
    darkness = (255 - image).sum(axis=(1, 2))
    near = [darkness[round(height) - 4 : round(height) + 5].sum() for height in heights]
    assert min(near) > 0.2 * np.median(near)


def test_marks_differ_in_lightness_or_form_where_colour_is_not_seen():
    points, codes = _points(63)
    ax = plot_embedding(points, codes)
    weights = np.array([0.299, 0.587, 0.114])
    grey = [
        (round(float(one.get_facecolor()[0][:3] @ weights), 1), _form(one))
        for one in ax.collections
    ]
    assert all(one != other for one, other in itertools.pairwise(grey))
    assert len(set(grey)) > 40


def test_new_samples_lie_over_the_fitted_ones_with_an_edge():
    points, codes = _points(3)
    ax = plot_embedding(points, codes, new=points[:4] + 1, new_labels=[0, 1, 2, "c"])
    assert [text.get_text() for text in ax.get_legend().get_texts()][-2:] == ["c", "new samples"]
    new = ax.collections[3:]
    assert len(new) == 4 and all(one.get_linewidths()[0] > 0 for one in new)
    assert all(one.get_edgecolor()[0][:3].max() < 0.2 for one in new)  # dark
    assert new[0].get_sizes()[0] > ax.collections[0].get_sizes()[0]
    assert ax.get_aspect() == 1
    np.testing.assert_allclose(_drawn(ax)[-4:], points[:4, :2] + 1)
    ax = plot_embedding(points, codes, new=points[:4] + 1)
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["0", "1", "2", "no label", "new samples"]


def test_new_labels_add_classes_and_change_none_of_those_that_are_there():
    points, _ = _points(3)
    labels, names = [2, 0, 1] * 20, ["zero", "one", "two"]
    ax = plot_embedding(points, labels, new=points[:2], new_labels=[0.0, np.nan], class_names=names)
    assert [text.get_text() for text in ax.get_legend().get_texts()][:3] == names
    fitted_zeros = np.asarray(ax.collections[0].get_offsets())
    np.testing.assert_allclose(fitted_zeros, points[1::3, :2])
    ax = plot_embedding(points, [-1, 1] * 30, new=points[:3], new_labels=[-1, 1, 0])
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["-1", "1", "0", "new samples"]
    some = pandas.Series([0, None], dtype="Int64")
    ax = plot_embedding(points, labels, new=points[:2], new_labels=some)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["0", "1", "2", "no label", "new samples"]


@pytest.mark.parametrize(
    ("fitted", "new_labels", "names"),
    [
        ([0, 2], [1, 3], ["zero", "one", "two", "three"]),
        ([0, 2], [1, 3], ["zero", "one", "two", "three", "four"]),
        ([0, 2], [1, 3], {0: "zero", 1: "one", 2: "two", 3: "three"}),
        (["a", "c"], ["b"], ["first", "second", "third"]),
    ],
    ids=["of all", "of more", "dict", "strings"],
)
def test_names_stay_with_their_classes_where_new_samples_add_one_between_them(
    fitted, new_labels, names
):
    points, _ = _points(3)
    given = [fitted[k % 2] for k in range(60)]
    new = points[: len(new_labels)]
    ax = plot_embedding(points, given, new=new, new_labels=new_labels, class_names=names)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    expected = list(names.values()) if isinstance(names, dict) else names
    ranks = sorted([*fitted, *new_labels])
    assert texts[:-1] == [expected[ranks.index(one)] for one in [*fitted, *new_labels]]


def test_sorted_names_are_taken_where_new_samples_add_a_class_between_them():
    points, _ = _points(2)
    names = ["a", "b", "c"]
    ax = plot_embedding(
        points, ["a", "c"] * 30, new=points[:1], new_labels=["b"], class_names=names
    )
    assert [text.get_text() for text in ax.get_legend().get_texts()][:3] == ["a", "c", "b"]


@pytest.mark.parametrize("fitted", [[0, 1, 2, 0, 1, 2], [0, 1, 2, -1, 0, 1]], ids=["all", "some"])
@pytest.mark.parametrize("new_labels", [[-1, -1, -1], [-1, 1, -1]], ids=str)
def test_minus_one_means_of_new_samples_what_it_means_of_the_fitted(fitted, new_labels):
    points, _ = _points(3)
    names = ["zero", "one", "two"]
    ax = plot_embedding(
        points[:6], fitted, new=points[:3], new_labels=new_labels, class_names=names
    )
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == [*names, "no label", "new samples"]


def test_panels_that_share_an_axis_show_it_alike():
    points, codes = _points(3)
    ax = plot_embedding(points * [1, 5, 0.3, 1, 1], codes, (0, 1, 2))
    first, below, right = ax.child_axes
    ax.figure.canvas.draw()
    assert first.get_xlim() == below.get_xlim() and below.get_ylim() == right.get_ylim()
    spans = {round(float(np.ptp(one)), 9) for one in (first.get_xlim(), first.get_ylim())}
    assert len(spans) == 1


def test_samples_without_a_label_are_light_dots_below_the_others():
    points, codes = _points(2)
    labels = [None, *codes[1:].tolist()]
    ax = plot_embedding(points, labels)
    np.testing.assert_allclose(ax.collections[0].get_offsets(), points[:1, :2])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0", "1", "no label"]
    assert plot_embedding(points).get_legend() is None


def test_one_component_has_a_row_for_each_class():
    points, codes = _points(3)
    ax = plot_embedding(points[:, :1], codes, class_names=["a", "b", "c"])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b", "c"]
    for cloud, code in zip(ax.collections, range(3), strict=True):
        across, up = np.asarray(cloud.get_offsets()).T
        np.testing.assert_allclose(across, points[codes == code, 0])
        assert np.all(abs(up - code) < 0.5) and np.ptp(up) > 0.4
    assert ax.yaxis_inverted()  # the first on top
    ax = plot_embedding(*_points(1000), components=[2], new=_points(1000)[0][:3])
    assert ax.get_xlabel() == "component 3" and ax.get_ylabel() == "1000 classes, in order"
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["0", "999"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["new samples"]


def test_more_components_have_a_panel_for_each_pair():
    points, codes = _points(3)
    ax = plot_embedding(points, codes, components=(0, 2, 4))
    pairs = {(panel.get_xlabel(), panel.get_ylabel()) for panel in ax.child_axes}
    assert pairs == {("", "component 3"), ("component 1", "component 5"), ("component 3", "")}
    by_row = [np.concatenate([c.get_offsets() for c in one.collections]) for one in ax.child_axes]
    columns = [(0, 2), (0, 4), (2, 4)]
    order = np.argsort(codes, kind="stable")
    for drawn, pair in zip(by_row, columns, strict=True):
        np.testing.assert_allclose(drawn, points[order][:, pair])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embedding": np.zeros((4, 2, 2))}, r"embedding must be .* of shape \(n_samples, R\)"),
        ({"embedding": np.full((4, 2), np.nan)}, "embedding must be finite"),
        ({"embedding": _cp_of(np.ones((3, 2)))}, "got a CPTensor: pass one of"),
        ({"labels": [0, 1]}, "labels must hold one label for each of the 4 samples"),
        ({"components": (0, 2)}, "components must be at least 0 and less than 2, got 2"),
        ({"components": (1, 1)}, "components must be one to 6 different ones"),
        ({"components": 1}, "components must be a sequence of integers, got 1"),
        ({"new": np.zeros((2, 3))}, "new must have 2 components as the embedding, got 3"),
        ({"new_labels": [1]}, "new_labels must be None without new"),
        ({"new": np.zeros((2, 2)), "new_labels": [1]}, "new_labels must hold one label for each"),
        ({"class_names": ["a"]}, "class_names must name the 2 classes"),
        ({"class_names": {0: "a"}}, "class_names must name all classes of labels, not 1"),
        ({"class_names": 5}, "class_names must be a sequence of names, or a dict, got 5"),
        (
            {"embedding": "abc"},
            r"embedding must be a NoRankTensor, .* or points of shape .*, got shape \(\)",
        ),
        ({"embedding": NoRankDecomposition()}, "This NoRankDecomposition instance is not fitted"),
    ],
)
def test_bad_points_are_named(change, message):
    arguments = {"embedding": np.zeros((4, 2)), "labels": [0, 1, 0, 1]} | change
    with pytest.raises((TypeError, ValueError), match=message):
        plot_embedding(**arguments)


def test_decompositions_estimators_and_points_are_drawn_alike(result):
    model = NoRankDecomposition()
    model.decomposition_ = result
    titles = {plot_rank_evidence(one).get_title(loc="left") for one in (model, result)}
    assert len(titles) == 1
    for plot in (plot_embedding, plot_similarity):
        images = []
        for given in (result, model, result.embedding):
            ax = plot(given)
            drawn = ax.collections[0].get_offsets() if ax.collections else ax.images[0].get_array()
            images.append(np.asarray(drawn))
        np.testing.assert_array_equal(images[0], images[1])
        np.testing.assert_array_equal(images[0], images[2])


@pytest.mark.parametrize("n_classes", [2, 40, 1000])
def test_similarity_stands_class_beside_class(n_classes):
    points, codes = _points(n_classes)
    ax = plot_similarity(points, codes)
    order = np.argsort(codes, kind="stable")
    shown = np.asarray(ax.images[0].get_array())
    if n_classes == 1000:  # whole classes
        shown_classes = np.linspace(0, 999, 300).round().astype(int)
        kept = np.concatenate([np.flatnonzero(codes == code) for code in shown_classes])
        np.testing.assert_allclose(shown, points[kept] @ points[kept].T)
        assert ax.get_xlabel() == "600 of 2000 samples of 300 of 1000 classes"
        assert not ax.get_yticklabels()
    else:
        np.testing.assert_allclose(shown, (points @ points.T)[np.ix_(order, order)])
        assert [tick.get_text() for tick in ax.get_yticklabels()] == list(
            map(str, range(n_classes))
        )
        ends = np.cumsum(np.bincount(codes))[:-1] - 0.5
        assert [line.get_ydata()[0] for line in ax.lines[::2]] == list(ends)
        assert [line.get_xdata()[0] for line in ax.lines[1::2]] == list(ends)
    assert ax.child_axes[0].get_ylabel() == "similarity"
    ax.figure.canvas.draw()


def test_similarity_of_many_samples_is_of_an_even_selection():
    points, codes = _points(2, 3000)
    ax = plot_similarity(points, codes)
    order = np.argsort(codes, kind="stable")
    chosen = order[np.linspace(0, 2999, 600).round().astype(int)]
    np.testing.assert_allclose(ax.images[0].get_array(), points[chosen] @ points[chosen].T)
    assert ax.get_xlabel() == "600 of 3000 samples of 2 classes"


def test_samples_without_a_label_come_last_in_a_similarity():
    points, codes = _points(2)
    labels = [None, *codes[1:].tolist()]
    ax = plot_similarity(points, labels)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["0", "1", "no label"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "1", "no label"]
    last = np.asarray(ax.images[0].get_array())[-1, -1]
    assert last == pytest.approx(points[0] @ points[0])


def test_similarity_without_labels_follows_the_first_component():
    points, _ = _points(2)
    ax = plot_similarity(points)
    order = np.argsort(points[:, 0])
    expected = (points @ points.T)[np.ix_(order, order)]
    np.testing.assert_allclose(np.asarray(ax.images[0].get_array()), expected)


def test_a_history_shows_error_and_triplets_of_held_out_and_fitted_samples(result):
    ax = plot_history(result)
    error, begins = ax.lines
    np.testing.assert_array_equal(error.get_ydata(), result.history["error"])
    rates = np.array(result.history["learning_rate"])
    assert begins.get_xdata()[0] == np.flatnonzero(rates == rates.max())[-1] + 1
    (beside,) = (axes for axes in ax.figure.axes if axes is not ax)
    held_out, fitted = beside.lines
    np.testing.assert_array_equal(held_out.get_ydata(), result.history["triplet_accuracy"])
    np.testing.assert_array_equal(fitted.get_ydata(), result.history["fitted_triplet_accuracy"])
    assert ax.get_title(loc="left") == "5 passes, not converged"
    assert ax.get_ylabel() == "error, held out"
    names = [text.get_text() for text in beside.get_legend().get_texts()]
    assert names == ["error (left)", "held-out triplets", "fitted triplets"]
    history = {
        name: values for name, values in result.history.items() if name != "fitted_triplet_accuracy"
    }
    alone = plot_history(history)
    assert alone.get_ylabel() == "error" and not alone.get_title(loc="left")


@pytest.mark.parametrize("wrong", [3, {"error": [1.0]}, None, _cp_of(np.ones((3, 2)))])
def test_what_has_no_history_is_refused(wrong):
    with pytest.raises(TypeError, match="result must be a NoRankTensor, a fitted"):
        plot_history(wrong)
    empty = {"error": [], "triplet_accuracy": [], "learning_rate": []}
    with pytest.raises(ValueError, match="result must hold one pass at least"):
        plot_history(empty)


def _cp(n_components, *lengths):
    rng = np.random.default_rng(0)
    return _cp_of(*(rng.normal(size=(length, n_components)) for length in lengths))


@pytest.mark.parametrize("n_components", [1, 3, 50])
def test_patterns_are_drawn_by_their_nature(n_components):
    cp = _cp(n_components, 30, 6, 12, 14, 200)
    ax = plot_components(cp)
    assert len(ax.child_axes) == 3 * n_components
    bars, image, line = (ax.child_axes[k::3] for k in range(3))
    for r in range(n_components):
        heights = [bar.get_height() for bar in bars[r].patches]
        np.testing.assert_allclose(heights, cp.factors[1][:, r])
        outer = np.outer(cp.factors[2][:, r], cp.factors[3][:, r])
        np.testing.assert_allclose(np.asarray(image[r].images[0].get_array()), outer)
        np.testing.assert_allclose(line[r].lines[1].get_ydata(), cp.factors[4][:, r])
    for column in (bars, line):  # to be compared
        assert len({panel.get_ylim() for panel in column}) == 1
    assert len({panel.images[0].get_clim() for panel in image}) == 1
    low, high = image[0].images[0].get_clim()
    assert low == -high
    assert [panel.get_xlabel() for panel in ax.child_axes[-3:]] == [
        "mode 1",
        "mode 2 × mode 3",
        "mode 4",
    ]
    assert max(ax.figure.get_size_inches()) <= 40
    ax.figure.canvas.draw()


def test_entries_have_their_names_and_components_their_numbers():
    cp = _cp(4, 30, 3, 20)
    ticks = [None, ["S", "RBD", "N"], None]
    ax = plot_components(cp, [2, 0], dims=["sample", "antigen", "time"], ticks=ticks)
    first, _, bars, line = ax.child_axes
    assert (first.get_ylabel(), bars.get_ylabel()) == ("3", "1")
    assert [tick.get_text() for tick in bars.get_xticklabels()] == ["S", "RBD", "N"]
    assert bars.get_xlabel() == "antigen" and line.get_xlabel() == "time"
    assert not first.get_xticklabels()
    np.testing.assert_allclose([bar.get_height() for bar in bars.patches], cp.factors[1][:, 0])


def test_the_mode_of_the_samples_is_left_out_and_kinds_may_be_chosen(result):
    assert len(plot_components(result).child_axes) == result.rank  # images
    cp = _cp(2, 12, 30, 10)
    assert len(plot_components(cp, mode=1).child_axes) == 2  # an image
    ax = plot_components(cp, mode=1, kinds={0: "line", -1: "bars"})
    assert len(ax.child_axes) == 4 and len(ax.child_axes[1].patches) == 10
    ax = plot_components(_cp(1, 12, 30, 7, 5), kinds={2: "image", 3: "image"})
    assert ax.child_axes[1].images[0].get_array().shape == (7, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"result": 3}, "result must be a NoRankTensor or another CP tensor, .* got 3"),
        ({"result": _cp_of(np.full((3, 2), np.nan))}, "result must have finite"),
        ({"mode": 1.5}, "mode must be an integer, got 1.5"),
        ({"components": [2]}, "components must be at least 0 and less than 2, got 2"),
        ({"components": []}, r"components must be one to 50 different ones, got \[\]"),
        ({"mode": 3}, "mode must be at least -3 and less than 3, got 3"),
        ({"kinds": {1: "pie"}}, "kinds must be one of 'bars', 'line', 'image', got 'pie'"),
        ({"kinds": {1: "image"}}, "kinds must make an image of two modes, got 1"),
        ({"kinds": {0: "bars"}}, "kinds must leave out mode 0, that of the samples"),
        ({"kinds": ["bars"]}, "kinds must be a dict of modes"),
        ({"ticks": 5}, "ticks must have one entry for each of the 3 modes, got 5"),
        ({"dims": ["a"]}, "dims must have one entry for each of the 3 modes"),
        ({"ticks": [None, ["a"], None]}, "ticks must name the 4 entries of mode 1, got 1 names"),
    ],
)
def test_bad_requests_for_patterns_are_named(change, message):
    arguments = {"result": _cp(2, 9, 4, 5)} | change
    with pytest.raises((TypeError, ValueError), match=message):
        plot_components(**arguments)


def test_a_decomposition_in_one_figure_holds_samples_evidence_and_patterns(result):
    labels = np.arange(90) % 4
    ax = plot_decomposition(result, labels, class_names=list("abcd"))
    samples, why, patterns = ax.child_axes
    assert [text.get_text() for text in samples.get_legend().get_texts()] == list("abcd")
    assert why.get_xlabel() == "components"
    assert len(patterns.child_axes) == min(result.rank, 3)
    title = f"90 × 20 × 15, samples on mode 0: {result.rank} components"
    assert ax.get_title(loc="left") == title
    assert len(pyplot.get_fignums()) == 1
    ax.figure.canvas.draw()
    with pytest.raises(TypeError, match="result must be a NoRankTensor or a fitted"):
        plot_decomposition(_cp(2, 9, 4))


def test_a_decomposition_in_one_figure_passes_on_what_is_of_its_parts(result):
    new = tl.to_numpy(result.embedding)[:3] + 1
    ax = plot_decomposition(
        result,
        new=new,
        new_labels=["a", "b", "c"],
        kinds={1: "bars", 2: "line"},
        dims=["sample", "row", "column"],
        ticks=[None, list("ABCDEFGHIJKLMNOPQRST"), None],
    )
    samples, _, patterns = ax.child_axes
    np.testing.assert_allclose(_drawn(samples)[-3:], new[:, :2])
    bars, line = patterns.child_axes[-2:]
    assert (bars.get_xlabel(), line.get_xlabel()) == ("row", "column")
    assert bars.get_xticklabels()[3].get_text() == "D" and len(line.lines) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0, 1]}, "labels must hold one label for each"),
        ({"kinds": {1: "pie"}}, "pie"),
        ({"dims": ["a"]}, "dims must"),
        ({"new": np.zeros((2, 7))}, "new must have"),
        ({"new_labels": [0, 1]}, "new_labels must be None without new"),
    ],
    ids=["labels", "kinds", "dims", "new", "new_labels"],
)
def test_nothing_is_drawn_of_a_decomposition_where_something_is_wrong(result, change, message):
    with pytest.raises(ValueError, match=message):
        plot_decomposition(result, **change)
    assert not pyplot.get_fignums()
    ax = pyplot.figure().add_subplot()
    with pytest.raises(ValueError, match=message):
        plot_decomposition(result, **change, ax=ax)
    assert ax.axison and not ax.child_axes


def test_a_decomposition_without_evidence_shows_how_the_fit_went():
    ax = plot_decomposition(_of_triples(rank=1, validation_fraction=0))
    assert ax.child_axes[1].get_xlabel() == "pass"
    assert ax.get_title(loc="left").endswith(": 1 component")


def test_all_figures_are_drawn_into_given_axes_and_returned(result):
    figure, given = pyplot.subplots(1, 4)
    for ax, plot in zip(
        given, (plot_embedding, plot_similarity, plot_history, plot_components), strict=True
    ):
        assert plot(result, ax=ax) is ax
    assert plot_decomposition(result, ax=figure.add_subplot()) in figure.axes
    assert len(pyplot.get_fignums()) == 1


def test_what_lies_inside_of_other_axes_hides_nothing(result):
    ax = plot_decomposition(result)
    why = ax.child_axes[1]
    (beside,) = (one for one in ax.figure.axes if one.get_ylabel() == "p-value (squares)")
    assert beside is not why and not beside.patch.get_visible()
