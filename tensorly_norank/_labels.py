"""Labels: one for each sample, as people have them, and numbers in their place."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from tensorly_norank._backend import to_numpy
from tensorly_norank._warnings import warn

_MISSING = "None, NaN, or -1 among integer labels"
_NAMES_OF_MISSING = {"", "nan", "none", "null", "na", "n/a", "<na>", "nat", "-1", "-1.0"}


def encode_labels(
    labels: Any,
    shape: tuple[int, ...],
    mode: int,
    *,
    complete: bool = False,
    fitted: Sequence[Any] | np.ndarray = (),
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
    fitted : sequence
        Classes of a fit, if there was one. Where −1 was one of them it is one here, and where it
        was missing it is missing, whatever other classes there are among integers.

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
    missing = _find_missing(values, fitted)
    if complete:
        _check_complete(missing, "labels")
    if missing.all():
        raise ValueError(
            f"labels must hold at least 2 classes, got none: all {n_samples} labels are missing "
            f"({_MISSING}). Pass labels=None to do without."
        )
    classes, codes = _number_known(values, missing, "labels")
    sizes = np.bincount(codes[~missing])
    if len(classes) < 2:
        raise ValueError(
            "labels must hold at least 2 classes, got 1 class: every label that is not missing is "
            f"{classes[0]}. Pass labels=None to do without."
        )
    _warn_of_lookalikes(classes)
    _warn_of_equals(values)
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


def _warn_of_equals(values: np.ndarray) -> None:
    """Name a truth value and a number that Python takes for equal: they are one class."""
    if values.dtype == object:
        truths = {value for value in values if isinstance(value, bool)}
        numbers = {value for value in values if type(value) in (int, float)}
        for value in truths & numbers:
            warn(
                f"labels hold {bool(value)} and {int(value)}, taken for one class. If they are "
                "two, write them as strings."
            )


def number_labels(
    labels: Any,
    n_samples: int,
    name: str = "labels",
    *,
    may_be_missing: bool = False,
    fitted: Sequence[Any] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """The distinct labels, and for each sample the position of its own among them, or −1.

    Unlike `encode_labels` this takes a single class, and classes of one sample.
    """
    values = _as_vector(labels, name)
    if len(values) != n_samples:
        raise ValueError(
            f"{name} must hold one label for each of the {n_samples} samples, got {len(values)}."
        )
    missing = _find_missing(values, fitted)
    if not may_be_missing:
        _check_complete(missing, name)
    return _number_known(values, missing, name)


def _number_known(
    values: np.ndarray, missing: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray]:
    codes = np.full(len(values), -1)
    known = values[~missing]
    if known.dtype == object:  # of one plain type, perhaps, without what is missing
        known = _from_list(list(known))
        _check_not_continuous(known, name)
    classes, codes[~missing] = _number(known, name, np.flatnonzero(~missing))
    return classes, codes


def number_jointly(*several: Any) -> np.ndarray:
    """Codes that mean the same in all of several label vectors, which are checked already."""
    lists = (
        list(labels) if isinstance(labels, list | tuple) else to_numpy(labels).tolist()
        for labels in several
    )
    together = _from_list([label for labels in lists for label in labels])
    return _number(together, "labels", range(len(together)))[1]


def _as_vector(labels: Any, name: str) -> np.ndarray:
    if not hasattr(labels, "__len__") and hasattr(labels, "__array__"):
        labels = np.asarray(labels)
    is_vector = hasattr(labels, "__len__") and getattr(labels, "ndim", None) != 0
    is_indexed = hasattr(labels, "__getitem__")  # views of a dict are not
    if isinstance(labels, str | bytes | set | dict) or not is_vector or not is_indexed:
        raise TypeError(f"{name} must be one label per sample, got {reprlib.repr(labels)}.")
    if isinstance(labels, np.ma.MaskedArray) and np.ma.is_masked(labels):
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
    _check_not_infinite(values, name)
    _check_not_continuous(values, name)
    return values


def _check_not_infinite(values: np.ndarray, name: str) -> None:
    if values.dtype == object:
        is_infinite = np.array([isinstance(one, float) and math.isinf(one) for one in values], bool)
    else:
        is_infinite = np.isinf(values) if values.dtype.kind == "f" else np.array([False])
    if is_infinite.any():
        index = int(is_infinite.argmax())
        raise ValueError(
            f"{name} must be finite or NaN (missing), got {values[index]} at index {index}."
        )


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


def _check_complete(missing: np.ndarray, name: str) -> None:
    if missing.any():
        raise ValueError(
            f"{name} must be complete, got {missing.sum()} missing ({_MISSING}) of {len(missing)}, "
            f"the first at index {int(missing.argmax())}: leave these samples out."
        )


def _find_missing(values: np.ndarray, fitted: Sequence[Any] | np.ndarray = ()) -> np.ndarray:
    """Which labels say that nobody knows the class, (n,) of bool; −1 as among the fitted ones."""
    missing = _find_missing_alone(values)
    if len(fitted):
        is_minus_one = [isinstance(one, int | float) and one == -1 for one in values.tolist()]
        missing[np.array(is_minus_one, dtype=bool)] = -1 not in list(fitted)
    return missing


def _find_missing_alone(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind in "iuf":
        known = ~np.isnan(values)
        return ~known | ((values == -1) & (len(np.unique(values[known & (values != -1)])) >= 2))
    if values.dtype.kind in "mMc":
        return np.asarray(values != values)  # NaT, NaN
    missing = np.array([_is_missing(value) for value in values], bool)
    rest = _from_list(list(values[~missing]))
    if missing.any() and rest.dtype.kind in "iuf":  # numbers beside None
        missing[~missing] = _find_missing_alone(rest)
    return missing


def _is_missing(value: Any) -> bool:
    if isinstance(value, tuple):  # of a combination nobody knows what part of it is missing in
        return any(_is_missing(part) for part in value)
    if value is None or type(value).__name__ == "NAType":  # pandas.NA, without importing pandas
        return True
    if isinstance(value, float):
        return math.isnan(value)
    differs = value != value
    return bool(differs) if isinstance(differs, bool | np.bool_) else False


def _number(values: np.ndarray, name: str, places: Iterable[int]) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values, and the position of each among them; `places` are the caller's."""
    if values.dtype != object:
        classes, codes = np.unique(values, return_inverse=True)
        return classes, codes.reshape(-1)
    # Objects need not have an order (sets have half of one): numbered by first appearance.
    numbers_by_class: dict[Hashable, int] = {}
    for index, value in zip(places, values, strict=True):
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
