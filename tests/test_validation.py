"""Every check names the argument, the value and what was expected."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorly_norank._validation import (
    check_mode,
    check_number,
    check_random_state,
    check_shape,
    check_triplets,
)


@given(st.floats(min_value=0, max_value=1e300))
def test_numbers_within_bounds_pass(value):
    check_number(value, "margin")
    check_number(np.float32(min(value, 1e30)), "margin")


@pytest.mark.parametrize("value", [-1e-9, math.inf, math.nan])
def test_numbers_out_of_bounds_are_named_with_the_bound(value):
    with pytest.raises(ValueError, match=r"margin must be at least 0, and finite, got "):
        check_number(value, "margin")


@pytest.mark.parametrize("value", ["1", None, True, np.True_, 1j, [1]])
def test_what_is_no_number_is_a_type_error(value):
    with pytest.raises(TypeError, match=r"margin must be a number, got .* of type"):
        check_number(value, "margin")


def test_bounds_are_inclusive_only_where_said():
    check_number(1, "order", high=1, include_high=True)
    with pytest.raises(ValueError, match="at least 0 and less than 1, got 1"):
        check_number(1, "share", high=1)
    with pytest.raises(ValueError, match="greater than 0"):
        check_number(0, "margin", include_low=False)


def test_integers_must_be_integers():
    check_number(np.int64(3), "rank", integer=True)
    with pytest.raises(TypeError, match=r"rank must be an integer, got 3\.0"):
        check_number(3.0, "rank", integer=True)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((), r"tensor must be of order 2 or more .*, got shape \(\)"),
        ((5,), r"tensor must be of order 2 or more .*, got shape \(5,\)"),
        ((np.int64(5), 0), r"tensor must not be empty, got shape \(5, 0\)"),
    ],
)
def test_shapes_of_no_samples_are_named(shape, message):
    with pytest.raises(ValueError, match=message):
        check_shape(shape)
    assert check_shape((np.int64(5), 1)) == (5, 1)


@given(st.integers(1, 6), st.data())
def test_modes_count_from_both_ends(order, data):
    mode = data.draw(st.integers(-order, order - 1))
    assert check_mode(mode, order) == range(order)[mode]


@pytest.mark.parametrize("mode", [3, -4])
def test_modes_out_of_range_are_named(mode):
    with pytest.raises(ValueError, match=rf"mode must be at least -3 and less than 3, got {mode}"):
        check_mode(mode, 3)


@pytest.mark.parametrize(
    "make", [lambda: 5, lambda: np.random.default_rng(5), lambda: np.random.RandomState(5)]
)
def test_equal_random_states_give_equal_numbers(make):
    first, second = (check_random_state(make()).integers(2**60) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("generator", [np.random.default_rng(5), np.random.RandomState(5)])
def test_a_generator_handed_in_twice_gives_two_streams(generator):
    first, second = (check_random_state(generator).integers(2**60) for _ in range(2))
    assert first != second


def test_no_random_state_leaves_numpys_global_one_alone():
    before = np.random.get_state()[1].tobytes()
    check_random_state(None)
    assert np.random.get_state()[1].tobytes() == before


def test_columns_of_triplets_are_taken_by_their_names():
    pandas = pytest.importorskip("pandas")
    rows = pandas.DataFrame({"negative": [2, 0], "anchor": [0, 1], "positive": [1, 2]})
    assert check_triplets(rows, 3).tolist() == [[0, 1, 2], [1, 2, 0]]
    rows.columns = ["a", "b", "c"]
    assert check_triplets(rows, 3).tolist() == [[2, 0, 1], [0, 1, 2]]
