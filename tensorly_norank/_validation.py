"""Checks of what the caller passes, all of them before any work is done."""

from __future__ import annotations

import math
import numbers
import reprlib
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

from tensorly_norank._backend import to_numpy
from tensorly_norank._warnings import warn


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


def check_flag(value: Any, name: str) -> None:
    """Raise an error unless it is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}.")


_BOUNDS: dict[str, dict[str, Any]] = {
    "margin": {"include_low": False},
    "learning_rate": {"include_low": False},
    "validation_fraction": {"high": 1},
    "rank": {"integer": True, "low": 1},
    "max_rank": {"integer": True, "low": 1, "high": 4096, "include_high": True},
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


_MISSING = "None, NaN, infinite, or -1 among integer labels"
_NAMES_OF_MISSING = {"", "nan", "none", "null", "na", "n/a", "<na>", "nat", "-1", "-1.0"}


def encode_labels(
    labels: Any, shape: tuple[int, ...], mode: int, *, complete: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Check one label per sample, some of which may be missing, and number the classes.

    Parameters
    ----------
    labels : array-like of length shape[mode]
        Integers, strings or any hashable values.
    shape : tuple of int
        Shape of the tensor.
    mode : int
        The samples mode.
    complete : bool
        Whether none may be missing.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        The distinct labels, sorted if all are numbers or all strings; else as they first appear.
    codes : ndarray of shape (n_samples,)
        Position of each sample's label in `classes`; −1 where it is missing.
    """
    values = _as_vector(labels, "labels")
    n_samples = shape[mode]
    if len(values) != n_samples:
        other = [k for k, length in enumerate(shape) if length == len(values)]
        hint = f" Mode {other[0]} has that length: pass mode={other[0]}?" if other else ""
        raise ValueError(
            f"labels must hold one label for each of the {n_samples} samples along mode {mode}, "
            f"got {len(values)}.{hint}"
        )
    if complete:
        _check_complete(values, "labels")
    missing = _find_missing(values)
    if missing.all():
        raise ValueError(
            f"labels must hold at least 2 classes, got none: all {n_samples} labels are missing "
            f"({_MISSING}). Pass labels=None to do without."
        )
    codes = np.full(n_samples, -1)
    known = values[~missing]
    if known.dtype == object:  # of one plain type, perhaps, without what is missing
        known = _from_list(list(known))
        _check_not_continuous(known, "labels")
    classes, codes[~missing] = _number(known, "labels")
    sizes = np.bincount(codes[~missing])
    if len(classes) < 2:
        raise ValueError(
            "labels must hold at least 2 classes, got 1 class: every label that is not missing is "
            f"{classes[0]}. Pass labels=None to do without."
        )
    _warn_of_lookalikes(classes)
    if sizes.max() < 2:
        raise ValueError(
            "labels must hold at least one class with 2 or more samples, got "
            f"{len(classes)} classes of 1 sample each: no two samples are known to be alike."
        )
    return classes, codes


def _warn_of_lookalikes(classes: np.ndarray) -> None:
    """Name classes that may be one, or are called as if nobody knew them.

    (But -1 and 1 alone are two classes.)
    """
    by_text: dict[str, Any] = {}
    for name in classes.tolist():
        if isinstance(name, str | int | float):
            other = by_text.setdefault(str(name).strip(), name)
            if other != name:
                warn(
                    f"labels hold {other!r} and {name!r}, taken for two classes. If they are one, "
                    "write them alike: one type, no blanks around."
                )
                break
    names = [name for name in classes.tolist() if isinstance(name, str | int | float)]
    found = [name for name in names if str(name).strip().lower() in _NAMES_OF_MISSING]
    if found and set(names) != {-1, 1}:
        warn(
            f"labels hold {', '.join(map(repr, found))}, taken for the name of a class. Where "
            "nobody knows the class, put None."
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


def number_labels(
    labels: Any, n_samples: int, name: str = "labels"
) -> tuple[np.ndarray, np.ndarray]:
    """The distinct labels, and for each sample the position of its own among them.

    Unlike `encode_labels` this takes a single class, and classes of one sample.
    """
    values = _as_vector(labels, name)
    if len(values) != n_samples:
        raise ValueError(
            f"{name} must hold one label for each of the {n_samples} samples, got {len(values)}."
        )
    _check_complete(values, name)
    return _number(values, name)


def number_jointly(*several: Any) -> np.ndarray:
    """Codes that mean the same in all of several label vectors, which are checked already."""
    lists = (
        list(labels) if isinstance(labels, list | tuple) else to_numpy(labels).tolist()
        for labels in several
    )
    return _number(_from_list([label for labels in lists for label in labels]), "labels")[1]


def _as_vector(labels: Any, name: str) -> np.ndarray:
    if not hasattr(labels, "__len__") and hasattr(labels, "__array__"):
        labels = np.asarray(labels)
    is_vector = hasattr(labels, "__len__") and getattr(labels, "ndim", None) != 0
    if isinstance(labels, str | bytes | set | dict) or not is_vector:
        raise TypeError(f"{name} must be one label per sample, got {reprlib.repr(labels)}.")
    if np.ma.is_masked(labels):
        raise TypeError(
            f"{name} must not be a masked array, got one with {int(np.ma.count_masked(labels))} "
            "masked entries: put None where a label is missing."
        )
    labels = np.asarray(labels) if isinstance(labels, np.ma.MaskedArray) else labels
    # numpy would make numbers of a data frame's integers, some of which are missing, floats.
    is_of_frame = hasattr(getattr(labels, "dtype", None), "na_value") and np.ndim(labels) == 1
    is_list = isinstance(labels, list | tuple) or is_of_frame
    values = _from_list(list(labels)) if is_list else to_numpy(labels)
    if values.dtype == object and values.ndim == 1:
        values = _from_list(list(values))
    if values.ndim == 2 and values.shape[1] == 1:
        raise ValueError(
            f"{name} must be one-dimensional, got shape {values.shape}: pass the column itself, as "
            "by ravel(), or frame['name'] of a data frame."
        )
    if values.ndim != 1:
        raise ValueError(
            f"{name} must be one-dimensional, one label per sample, got shape {values.shape}: of "
            "several labels a sample choose one, or make each combination a class; comparisons of "
            "samples are passed as triplets."
        )
    _check_not_continuous(values, name)
    return values


def _check_not_continuous(values: np.ndarray, name: str) -> None:
    floats = values if values.dtype.kind == "f" else np.array([])
    if values.dtype == object and all(isinstance(value, int | float) for value in values):
        floats = np.array([value for value in values if isinstance(value, float)])
    if np.any(floats[np.isfinite(floats)] % 1):
        raise ValueError(
            f"{name} must name classes, got non-integer numbers of dtype "
            f"{values.dtype}: cut a continuous quantity into classes first, e.g. by numpy.digitize."
        )


def _is_wrapped(label: Any) -> bool:
    """Whether it is a plain value of numpy's, or in an array or tensor without axes."""
    if isinstance(label, np.generic):
        return isinstance(label, np.number | np.bool_ | np.str_)
    return getattr(label, "ndim", None) == 0 and hasattr(label, "item")


def _from_list(labels: list[Any] | tuple[Any, ...]) -> np.ndarray:
    """An array of one plain type if all are of it, else of objects: numpy would make it strings."""
    plain = [label.item() if _is_wrapped(label) else label for label in labels]
    if len({type(label) for label in plain}) == 1 and type(plain[0]) in (bool, int, float, str):
        return np.asarray(plain)
    vector = np.empty(len(plain), dtype=object)
    vector[:] = plain
    return vector


def _check_complete(values: np.ndarray, name: str) -> None:
    missing = _find_missing(values)
    if missing.any():
        raise ValueError(
            f"{name} must be complete, got {missing.sum()} missing ({_MISSING}) of {len(values)}, "
            f"the first at index {int(missing.argmax())}: leave these samples out."
        )


def _find_missing(values: np.ndarray) -> np.ndarray:
    """Which labels say that nobody knows the class, (n,) of bool."""
    if values.dtype.kind in "iuf":
        known = np.isfinite(values)
        return ~known | ((values == -1) & (len(np.unique(values[known & (values != -1)])) >= 2))
    if values.dtype.kind in "mMc":
        return np.asarray(values != values)  # NaT, NaN
    missing = np.array([_is_missing(value) for value in values], bool)
    rest = _from_list(list(values[~missing]))
    if missing.any() and rest.dtype.kind in "iuf":  # numbers beside None
        missing[~missing] = _find_missing(rest)
    return missing


def _is_missing(value: Any) -> bool:
    if isinstance(value, tuple):  # of a combination nobody knows what part of it is missing in
        return any(_is_missing(part) for part in value)
    if value is None or type(value).__name__ == "NAType":  # pandas.NA, without importing pandas
        return True
    if isinstance(value, float):
        return not math.isfinite(value)
    differs = value != value
    return bool(differs) if isinstance(differs, bool | np.bool_) else False


def _number(values: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    if values.dtype != object:
        classes, codes = np.unique(values, return_inverse=True)
        return classes, codes.reshape(-1)
    # Objects need not have an order (sets have half of one): numbered by first appearance.
    numbers_by_class: dict[Hashable, int] = {}
    for index, value in enumerate(values):
        try:
            if getattr(value, "ndim", 0):  # tensors of some backends are hashable, each by itself
                raise TypeError
            numbers_by_class.setdefault(value, len(numbers_by_class))
        except TypeError:
            raise TypeError(
                f"{name} must be hashable, got {value!r} of type {type(value).__name__} at index "
                f"{index}."
            ) from None
    classes = np.empty(len(numbers_by_class), dtype=object)
    classes[:] = list(numbers_by_class)
    return classes, np.array([numbers_by_class[value] for value in values])
