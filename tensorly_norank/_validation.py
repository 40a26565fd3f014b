"""Checks of what the caller passes, all of them before any work is done."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tensorly_norank._backend import to_numpy


def check_number(
    value: Any,
    name: str,
    *,
    integer: bool = False,
    low: float = 0,
    high: float = math.inf,
    include_low: bool = True,
    include_high: bool = False,
) -> None:
    """Raise an error that names the argument, its value and what was expected."""
    kind = numbers.Integral if integer else numbers.Real
    if isinstance(value, bool | np.bool_) or not isinstance(value, kind):
        wanted = "an integer" if integer else "a number"
        raise TypeError(f"{name} must be {wanted}, got {value!r} of type {type(value).__name__}.")
    number = _as_float(value)
    above = number >= low if include_low else number > low
    below = number <= high if include_high else number < high
    if not (above and below):
        bounds = f"{'at least' if include_low else 'greater than'} {low}"
        if high == math.inf:
            bounds += ", and finite" if not integer else ""
        else:
            bounds += f" and {'at most' if include_high else 'less than'} {high}"
        raise ValueError(f"{name} must be {bounds}, got {value!r}.")


def check_size(value: Any, name: str) -> int:
    """A positive integer, as one of Python's own."""
    check_number(value, name, integer=True, low=1)
    return int(value)


def check_sizes(values: Any, name: str, most: int | None = None) -> tuple[int, ...]:
    """One positive integer or more, at most so many, as Python's own."""
    is_sequence = isinstance(values, Sequence) and not isinstance(values, str | bytes)
    is_vector = isinstance(values, np.ndarray) and values.ndim == 1
    if not (is_sequence or is_vector) or not 1 <= len(values) <= (most or math.inf):
        wanted = "one or more integers" if most is None else f"1 to {most} integers"
        raise TypeError(f"{name} must be a sequence of {wanted}, got {values!r}.")
    return tuple(check_size(value, f"{name}[{k}]") for k, value in enumerate(values))


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond all floats
        return math.copysign(math.inf, value)


def check_verbose(value: Any) -> None:
    """Raise an error unless it is True, False or an integer from 0 up."""
    if not isinstance(value, bool | np.bool_):
        check_number(value, "verbose", integer=True)


def check_range(
    value: Any, name: str, *, low: float = 0, high: float = math.inf, include_low: bool = True
) -> tuple[float, float]:
    """Two numbers, smallest and largest, within bounds; equal ones fix the quantity."""
    if not isinstance(value, list | tuple | np.ndarray) or np.shape(value)[:1] != (2,):
        raise TypeError(f"{name} must be a pair (smallest, largest), got {value!r}.")
    for number in value:
        check_number(
            number, name, low=low, high=high, include_low=include_low, include_high=high < math.inf
        )
    if value[0] > value[1]:
        raise ValueError(f"{name} must be a pair (smallest, largest), got {value!r}.")
    return float(value[0]), float(value[1])


def check_choice(value: Any, name: str, choices: Iterable[str]) -> None:
    """Raise an error that lists the choices."""
    options = list(choices)
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}.")


def check_real(array: np.ndarray, name: str) -> None:
    """Raise an error unless all entries are real numbers, and finite."""
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got NaN or infinite entries.")


def check_flag(value: Any, name: str) -> None:
    """Raise an error unless it is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}.")


_BOUNDS: dict[str, dict[str, Any]] = {
    "margin": {"include_low": False},
    "learning_rate": {"include_low": False},
    "validation_fraction": {"high": 1},
    "rank": {"integer": True, "low": 1},
    "max_rank": {"integer": True, "low": 1},
    "n_iter_max": {"integer": True, "low": 1},
    "batch_size": {"integer": True, "low": 4},
    "n_init": {"integer": True, "low": 1},
}
SCALARS = (*_BOUNDS, "verbose", "diversity", "uniformity", "locality", "tol")
_MAY_BE_NONE = ("margin", "diversity", "rank", "max_rank", "n_iter_max", "batch_size")


def check_scalars(**values: Any) -> None:
    """Check the keywords of `no_rank_decomposition` that are numbers, all of them at once."""
    check_verbose(values["verbose"])
    for name, value in values.items():
        if name != "verbose" and (value is not None or name not in _MAY_BE_NONE):
            check_number(value, name, **_BOUNDS.get(name, {}))
    if values["validation_fraction"] == 0 and values["rank"] is None:
        raise ValueError(
            "validation_fraction must be greater than 0 when rank is None, got 0: the components "
            "are counted on held-out samples. Or give a rank."
        )


def check_shape(shape: Iterable[Any]) -> tuple[int, ...]:
    """That of a tensor of samples: of order 2 or more, and not empty."""
    lengths = tuple(int(length) for length in shape)
    if len(lengths) < 2:
        raise ValueError(
            "tensor must be of order 2 or more (samples and at least one other mode), got shape "
            f"{lengths}."
        )
    if 0 in lengths:
        raise ValueError(f"tensor must not be empty, got shape {lengths}.")
    return lengths


def check_mode(mode: Any, order: int) -> int:
    """The mode as a number from 0 to order − 1; negative ones count from the end."""
    check_number(mode, "mode", integer=True, low=-order, high=order)
    return int(mode) % order


def check_random_state(random_state: Any) -> np.random.Generator:
    """A generator of our own, from None, an int, a RandomState or a Generator.

    A generator that is handed in is drawn from once, so that two calls with it differ; numpy's
    global state is neither read nor moved.
    """
    if random_state is None:
        return np.random.default_rng()
    if isinstance(random_state, np.random.Generator):
        return np.random.default_rng(random_state.integers(2**63))
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31 - 1))
    if isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool):
        check_number(random_state, "random_state", integer=True)
        return np.random.default_rng(int(random_state))
    raise TypeError(
        "random_state must be None, an integer, a numpy RandomState or a numpy Generator, got "
        f"{random_state!r}."
    )


_COLUMNS = ("anchor", "positive", "negative")


def check_triplets(triplets: Any, n_samples: int) -> np.ndarray:
    """Comparisons as integers (T, 3): anchor, what is nearer to it, what is farther.

    Raises an error that names the first row that cannot be meant.
    """
    if isinstance(triplets, str | bytes | set | dict) or not hasattr(triplets, "__len__"):
        raise TypeError(f"triplets must be an array of shape (T, 3), got {triplets!r}.")
    if isinstance(triplets, np.ma.MaskedArray):
        raise TypeError("triplets must not be a masked array: leave rows out instead.")
    if set(getattr(triplets, "columns", ())) == set(_COLUMNS):  # of a data frame, in any order
        triplets = triplets[list(_COLUMNS)]
    try:
        rows = to_numpy(triplets) if hasattr(triplets, "shape") else np.asarray(triplets)
        if rows.dtype == object and not any(isinstance(one, bool) for one in rows.flat):
            rows = np.array(rows.tolist())  # integers, perhaps, of a data frame
    except ValueError:
        raise ValueError(
            "triplets must be an array of shape (T, 3), got rows of unequal length."
        ) from None
    if rows.ndim != 2 or rows.shape[1] != 3 or not len(rows):
        hint = " Transpose it?" if rows.ndim == 2 and len(rows) == 3 else ""
        raise ValueError(
            "triplets must be of shape (T, 3), with at least one row, got shape "
            f"{rows.shape}.{hint}"
        )
    if rows.dtype.kind not in "iu":
        raise TypeError(
            f"triplets must hold indices of samples, which are integers, got dtype {rows.dtype}."
        )
    _check_rows(rows, (rows < 0) | (rows >= n_samples), f"indices from 0 to {n_samples - 1}")
    for first, second, what in [
        (0, 1, "a positive other than the anchor"),
        (0, 2, "a negative other than the anchor"),
        (1, 2, "a positive other than the negative"),
    ]:
        _check_rows(rows, rows[:, [first]] == rows[:, [second]], what)
    return rows.astype(np.int64)


def _check_rows(rows: np.ndarray, is_wrong: np.ndarray, wanted: str) -> None:
    wrong = np.flatnonzero(is_wrong.any(axis=1))
    if len(wrong):
        raise ValueError(
            f"triplets must hold {wanted}, got {tuple(rows[wrong[0]].tolist())} in row {wrong[0]} "
            f"({len(wrong)} such {'row' if len(wrong) == 1 else 'rows'} of {len(rows)})."
        )
