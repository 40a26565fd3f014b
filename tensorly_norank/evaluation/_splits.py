"""Which samples are fitted and which are scored, split by split."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
)

from tensorly_norank._labels import number_labels
from tensorly_norank._validation import (
    check_flag,
    check_number,
)

_N_SPLITS = 5
_N_DRAWS = 100  # among which to look for as many halves that differ


@dataclass(frozen=True)
class Split:
    """Indices of the samples that are fitted and of those that are scored."""

    fit: np.ndarray
    test: np.ndarray
    unseen: bool  # are the classes of the latter others than those of the former?


def make_splits(
    codes: np.ndarray, cv: Any, unseen_classes: bool, groups: Any, rng: np.random.Generator
) -> list[Split]:
    """The splits that `compare` is asked for, checked.

    Whole classes are held out by taking the class as the group that stays together.
    """
    check_flag(unseen_classes, "unseen_classes")
    kept_together = _kept_together(codes, bool(unseen_classes), groups)
    seed = int(rng.integers(2**31 - 1))
    if cv is None:
        pairs: Iterable[Any] = _random_halves(codes, kept_together, bool(unseen_classes), seed)
    else:
        splitter = _splitter(cv, kept_together, bool(unseen_classes), codes, seed)
        pairs = (
            splitter.split(np.zeros((len(codes), 1)), codes, kept_together)
            if hasattr(splitter, "split")
            else splitter
        )
    checked = (_check_pair(pair, len(codes)) for pair in pairs)
    # Of splits that are alike only one is evidence.
    distinct = {tuple(np.sort(part).tobytes() for part in pair): pair for pair in checked}
    splits = [Split(*pair, bool(unseen_classes)) for pair in distinct.values()]
    if not splits:
        raise ValueError(f"cv must give at least one split, got none from {cv!r}.")
    if kept_together is not None and any(
        np.isin(kept_together[split.test], kept_together[split.fit]).any() for split in splits
    ):
        what = "classes apart with unseen_classes=True" if unseen_classes else "groups apart"
        raise ValueError(
            f"cv must keep the {what}, got {cv!r}: take one that splits by groups, e.g. "
            "sklearn.model_selection.GroupShuffleSplit."
        )
    return splits


def _kept_together(codes: np.ndarray, unseen_classes: bool, groups: Any) -> np.ndarray | None:
    """For each sample the number of the group that no split may part, if there are groups."""
    if not unseen_classes:
        if groups is None:
            return None
        names, group_numbers = number_labels(groups, len(codes), "groups")
        if len(names) < 2:
            raise ValueError(
                f"groups must hold at least 2 groups, got 1: every sample is of {names[0]}."
            )
        return group_numbers
    if groups is not None:
        raise ValueError("groups cannot be given with unseen_classes=True, got both.")
    n_classes = int(codes.max()) + 1
    if n_classes < 4:
        raise ValueError(
            "unseen_classes=True needs at least 4 classes, two to fit and two to score, got "
            f"{n_classes}."
        )
    return codes


def _random_halves(
    codes: np.ndarray, groups: np.ndarray | None, unseen_classes: bool, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Five random halves of the samples of each class, or of the groups; no two alike.

    There are fewer than five where few groups or samples leave no more. Of halves of groups, those
    that fit the classes that they score come first.
    """
    if groups is None:
        _check_smallest_class(codes, 2, None)
        shuffle = StratifiedShuffleSplit(_N_DRAWS, test_size=0.5, random_state=seed)
    else:
        shuffle = GroupShuffleSplit(_N_DRAWS, test_size=0.5, random_state=seed)
    halves: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
    wanting: dict[bytes, int] = {}  # classes that are scored and not fitted
    for fit, test in shuffle.split(np.zeros((len(codes), 1)), codes, groups):
        key = np.sort(test).tobytes()
        halves.setdefault(key, (fit, test))
        wanting[key] = 0 if unseen_classes else len(np.setdiff1d(codes[test], codes[fit]))
        if list(wanting.values()).count(0) == _N_SPLITS:
            break
    return [halves[key] for key in sorted(halves, key=wanting.__getitem__)[:_N_SPLITS]]


def _splitter(
    cv: Any, groups: np.ndarray | None, unseen_classes: bool, codes: np.ndarray, seed: int
) -> Any:
    """What `cv` stands for: something with a method `split`, or pairs of indices."""
    if not isinstance(cv, numbers.Integral):
        is_name = isinstance(cv, str | type)
        if is_name or not (hasattr(cv, "split") or hasattr(cv, "__iter__")):
            raise TypeError(
                "cv must be an integer, a splitter (an instance) or pairs of (fit, test) indices, "
                f"got {cv!r}."
            )
        return cv
    check_number(cv, "cv", integer=True, low=2)
    if groups is None:
        _check_smallest_class(codes, int(cv), cv)
        return StratifiedKFold(cv, shuffle=True, random_state=seed)
    n_groups = int(groups.max()) + 1
    most = n_groups // 2 if unseen_classes else n_groups
    if int(cv) > most:
        what = "half the number of classes" if unseen_classes else "the number of groups"
        raise ValueError(f"cv must be at most {what}, {most}, got {cv}.")
    if unseen_classes:
        return GroupKFold(cv, shuffle=True, random_state=seed)
    # Shuffled here: scikit-learn before 1.8 moves the groups' counts without the groups.
    shuffled = np.random.RandomState(seed).permutation(n_groups)[groups]
    return StratifiedGroupKFold(cv).split(np.zeros((len(codes), 1)), codes, shuffled)


def _check_smallest_class(codes: np.ndarray, fewest: int, cv: Any) -> None:
    smallest = int(np.bincount(codes).min())
    if smallest < fewest:
        raise ValueError(
            f"cv={cv!r} splits class by class and needs {fewest} samples of each, got a class "
            f"of {smallest}: pass a splitter, e.g. sklearn.model_selection.ShuffleSplit."
        )


def _check_pair(pair: Any, n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    try:
        fit, test = (np.ascontiguousarray(part) for part in pair)  # torch refuses reversed views
    except (TypeError, ValueError):
        raise TypeError(f"cv must give pairs of (fit, test) indices, got {pair!r}.") from None
    for part in (fit, test):
        if part.ndim != 1 or part.dtype.kind not in "iu" or not len(part):
            raise ValueError(
                "cv must give non-empty vectors of integer indices, got one of shape "
                f"{part.shape} and dtype {part.dtype}."
            )
        if part.min() < 0 or part.max() >= n_samples:
            raise ValueError(
                f"cv must give indices from 0 to {n_samples - 1}, got {part.min()} to {part.max()}."
            )
    if len(np.unique(test)) < len(test):
        raise ValueError("cv must hold out each sample once, got a split that repeats some.")
    if np.isin(test, fit).any():
        raise ValueError("cv must keep fitted and held-out samples apart, got splits that overlap.")
    return fit.astype(np.intp), test.astype(np.intp)  # torch takes bytes for a mask
