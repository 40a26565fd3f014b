"""Labels become numbers, whatever they come in."""

import math

import numpy as np
import pytest
import tensorly as tl
import torch
from hypothesis import given
from hypothesis import strategies as st

from tensorly_norank._labels import encode_labels, number_labels
from tensorly_norank._validation import check_triplets


@given(st.lists(st.sampled_from([0, 3, 7, -2]), min_size=4, max_size=30))
def test_codes_are_places_among_the_sorted_classes(values):
    if len(set(values)) < 2 or len(set(values)) == len(values):
        return
    for labels in (values, tuple(values), np.array(values), np.array(values, float)):
        classes, codes = encode_labels(labels, (len(values), 2), 0)
        assert list(classes) == sorted(set(values))
        assert list(classes[codes]) == values


def test_labels_may_be_anything_hashable():
    for names in (["a", "b"], [(0, 1), (1, 0)], ["x", 1], [frozenset("a"), 2.5j], [True, False]):
        labels = [names[0], names[1], names[0]]
        classes, codes = encode_labels(labels, (3, 2), 0)
        assert [classes[code] for code in codes] == labels


def test_labels_may_be_a_tensor_of_the_backend():
    classes, codes = encode_labels(tl.tensor([5, 5, 9]), (3, 2), 0)
    assert (list(classes), list(codes)) == ([5, 9], [0, 0, 1])


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, 1], ValueError, r"each of the 3 samples along mode 0, got 2\. Mode 1 has that length"),
        ([0, 1, 1, 0], ValueError, r"each of the 3 samples along mode 0, got 4\.$"),
        ([0, 0, 0], ValueError, "at least 2 classes, got 1 class"),
        ([0, 1, 2], ValueError, "got 3 classes of 1 sample each"),
        (
            [0.0, math.inf, 0.0],
            ValueError,
            r"must be finite or NaN \(missing\), got inf at index 1",
        ),
        ([0, None, -math.inf], ValueError, r"finite or NaN \(missing\), got -inf at index 2"),
        (np.array([0, 0, np.inf], "f2"), ValueError, r"finite or NaN .* got inf at index 2"),
        ([0, None, 0], ValueError, "at least 2 classes, got 1 class"),
        (["a", math.nan, "b"], ValueError, "got 2 classes of 1 sample each"),
        ([None, None, None], ValueError, "got none: all 3 labels are missing"),
        ([math.nan] * 3, ValueError, "got none: all 3 labels are missing"),
        ([("a", None), (1, math.nan), (None,)], ValueError, "all 3 labels are missing"),
        ([0.5, 1.5, 0.5], ValueError, "non-integer numbers"),
        ([0.5, 0.5, None], ValueError, "non-integer numbers"),
        ([0.5, 1, 1], ValueError, "non-integer numbers"),
        ({"a": list(range(99)), "b": 0, "c": 0}, TypeError, r"got \{'a': \[0, 1, .*\.\.\.\], 'b'"),
        (np.ones((3, 2)), ValueError, r"one-dimensional, one label per sample, got shape \(3, 2\)"),
        (np.ones((3, 1)), ValueError, r"got shape \(3, 1\): pass the column itself"),
        ([[0], [1], {}], TypeError, r"labels must be hashable, got \[0\] .* at index 0"),
        ([None, "a", {}], TypeError, "labels must be hashable, got {} .* at index 2"),
        ([torch.ones(2), torch.ones(2), "a"], TypeError, "hashable, got tensor.* at index 0"),
        ("abc", TypeError, "one label per sample, got 'abc'"),
        (3, TypeError, "one label per sample, got 3"),
        (np.array(3), TypeError, r"one label per sample, got array\(3\)"),
        (None, TypeError, "one label per sample, got None"),
    ],
)
def test_bad_labels_are_named(labels, error, message):
    with pytest.raises(error, match=message):
        encode_labels(labels, (3, 2), 0)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["2020-01-01", "NaT", "2020-01-01", "2020-01-02"], "datetime64[D]"),
        np.array([1 + 1j, complex("nan"), 1 + 1j, 0]),
        np.array([0, np.float32("nan"), 0, 1], object),
        [np.int64(0), np.int64(-1), np.int64(0), np.int64(1)],
        np.array([0, -1, 0, 1], object),
        [1.0, np.float64("nan"), 1.0, 0.0],
        ["a", None, "a", "b"],
        ["a", math.nan, "a", "b"],
        [5, None, 5, 6],
    ],
    ids=repr,
)
def test_missing_labels_are_found_in_whatever_they_come(labels):
    classes, codes = encode_labels(labels, (4, 2), 0)
    assert len(classes) == 2
    assert codes.tolist() in ([0, -1, 0, 1], [1, -1, 1, 0])
    with pytest.raises(ValueError, match=r"complete, got 1 missing .* the first at index 1"):
        number_labels(labels, 4)


def test_labels_with_half_an_order_are_told_apart():
    sets = [frozenset({k % 3, "x"}) for k in range(30)]
    classes, codes = encode_labels(sets, (30, 2), 0)
    assert len(classes) == 3
    assert [classes[code] for code in codes] == sets


@pytest.mark.parametrize(
    "labels", [{0, 1}, {0: 1}, {0: 1}.values(), np.ma.masked_equal([0, 1, 1], 0)], ids=repr
)
def test_sets_dicts_and_masked_arrays_are_no_labels(labels):
    with pytest.raises(TypeError, match="labels must"):
        encode_labels(labels, (len(labels), 2), 0)


def test_minus_one_is_missing_only_beside_two_other_classes():
    classes, _ = encode_labels([-1, 1, 1], (3, 2), 0)
    assert list(classes) == [-1, 1]
    classes, codes = encode_labels([-1, 1, 1, 0], (4, 2), 0)
    assert list(classes) == [0, 1]
    assert codes.tolist() == [-1, 1, 1, 0]


@pytest.mark.parametrize(
    "labels",
    [["a", "b", -1], ["a", "nan", "b"], [0, 0, -1], ["NA ", "a"], ["a", "-1"], [0.0, -1.0]],
    ids=repr,
)
def test_classes_called_as_if_nobody_knew_them_are_named(labels):
    with pytest.warns(UserWarning, match="taken for the name of a class"):
        encode_labels(labels * 2, (2 * len(labels), 2), 0)


@pytest.mark.parametrize(
    "labels", [[-1, 1], [-1.0, 1.0], ["a", "Nancy"], [0, 1, -1], [True, 0]], ids=repr
)
def test_classes_of_other_names_are_not(labels, recwarn):
    encode_labels(labels * 2, (2 * len(labels), 2), 0)
    assert not recwarn


@pytest.mark.parametrize("labels", [[1, "1", 2], ["a", "a ", "b"], [1.0, "1.0", "b"]], ids=repr)
def test_classes_that_may_be_one_are_named(labels):
    with pytest.warns(UserWarning, match="taken for two classes. If they are one"):
        classes, _ = encode_labels(labels * 2, (6, 2), 0)
    assert len(classes) == 3


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([True, 1, "c"], "labels hold True and 1, taken for one class. If they are two"),
        ([np.False_, 0.0, None, 5], "labels hold False and 0, taken for one class"),
    ],
    ids=repr,
)
def test_truth_values_that_equal_numbers_are_named(labels, message):
    with pytest.warns(UserWarning, match=message):
        classes, _ = encode_labels(labels * 2, (2 * len(labels), 2), 0)
    assert len(classes) == 2


def test_combinations_with_a_missing_part_are_missing():
    labels = [("a", 0), ("a", math.nan), ("b", 0), ("b", None), ("a", 0)]
    classes, codes = encode_labels(labels, (5, 2), 0)
    assert list(classes) == [("a", 0), ("b", 0)]
    assert codes.tolist() == [0, -1, 1, -1, 0]


@pytest.mark.skipif(tl.get_backend() != "numpy", reason="masked arrays are numpy's")
def test_masked_arrays_of_labels_that_mask_nothing_are_labels():
    assert encode_labels(np.ma.array([4, 4, 5]), (3, 2), 0)[1].tolist() == [0, 0, 1]


@pytest.mark.parametrize("is_series", [True, False])
def test_integers_of_a_data_frame_stay_integers_where_some_are_missing(is_series):
    pandas = pytest.importorskip("pandas")
    labels = pandas.Series([2**53, pandas.NA, 2**53 + 1, 2**53, 2**53 + 1], dtype="Int64")
    labels = labels if is_series else labels.array
    classes, codes = encode_labels(labels, (5, 2), 0)
    assert classes.tolist() == [2**53, 2**53 + 1]
    assert codes.tolist() == [0, -1, 1, 0, 1]
    rows = pandas.DataFrame([[0, 1, 2], [2, 1, 0]], dtype="Int64")
    assert check_triplets(rows, 3).tolist() == [[0, 1, 2], [2, 1, 0]]


@pytest.mark.parametrize("nobody_knows", [None, math.nan], ids=str)
def test_minus_one_means_the_same_beside_other_signs_of_missing_labels(nobody_knows):
    classes, codes = encode_labels([1, 0, 1, -1, nobody_knows], (5, 2), 0)
    assert list(classes) == [0, 1]
    assert codes.tolist() == [1, 0, 1, -1, -1]
    classes, codes = encode_labels([-1, 1, 1, -1, nobody_knows], (5, 2), 0)
    assert list(classes) == [-1, 1]
    assert codes.tolist() == [0, 1, 1, 0, -1]


def test_labels_of_a_picture_may_be_missing_and_classes_small():
    classes, codes = number_labels(["b", None, "a", "a"], 4, may_be_missing=True)
    assert classes.tolist() == ["a", "b"] and codes.tolist() == [1, -1, 0, 0]
    classes, codes = number_labels([np.nan, np.nan], 2, may_be_missing=True)
    assert not len(classes) and codes.tolist() == [-1, -1]
    with pytest.raises(ValueError, match="labels must be complete, got 1 missing"):
        number_labels(["b", None], 2)
