"""Classes in figures: their names, and marks that tell them apart, in colour and in grey."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorly_norank._labels import number_labels

# Okabe and Ito's, which the colour-blind tell apart, without their yellow, which is too light.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
_MARKERS = "os^DvPX*<"  # as many as have no divisor with the colours in common
MOST_MARKED = len(_COLOURS) * len(_MARKERS)  # classes; more have colours by their order


@dataclass(frozen=True)
class Classes:
    """The classes of samples, in their order."""

    names: list[str]
    codes: np.ndarray  # (n,) of each sample; −1 where it has no label

    def __len__(self) -> int:
        return len(self.names)

    @property
    def are_marked(self) -> bool:
        """Whether they are few enough for a mark each."""
        return len(self) <= MOST_MARKED

    def mark(self, code: int) -> dict[str, Any]:
        """Colour and marker of one class, where they have any; of no label, light dots."""
        if code < 0:
            return {"color": "0.7", "marker": "."}
        return {
            "color": _COLOURS[code % len(_COLOURS)],
            "marker": _MARKERS[code % len(_MARKERS)],
        }


def classes_of(
    labels: Any, n_samples: int, class_names: Any, new_labels: Any = None, n_new: int = 0
) -> Classes:
    """Of samples, and of new ones behind them; where there are no labels, no classes."""
    names, codes = _number(labels, n_samples, "labels", [])
    names, new_codes = _number(new_labels, n_new, "new_labels", names)
    return Classes(class_names_of(class_names, names), np.concatenate([codes, new_codes]))


def _number(
    labels: Any, n_samples: int, name: str, known: list[Any]
) -> tuple[list[Any], np.ndarray]:
    """The classes that are known and those that these labels add; their codes.

    −1 means what it means among the known: one of two classes, or that nobody knows.
    """
    if labels is None:
        return known, np.full(n_samples, -1)
    classes, codes = number_labels(labels, n_samples, name, may_be_missing=True, fitted=known)
    places = {label: code for code, label in enumerate(known)}
    for label in classes.tolist():
        places.setdefault(label, len(places))
    numbers = np.array([places[label] for label in classes.tolist()] + [-1])[codes]
    return list(places), numbers


def class_names_of(class_names: Any, labels: list[Any]) -> list[str]:
    """One for each of the labels, for a figure; names in a sequence are of the sorted ones."""
    default = [str(label) for label in labels]
    if class_names is None:
        return [name.replace("$", r"\$") for name in default]  # a pair would be read as mathematics
    if isinstance(class_names, str) or not hasattr(class_names, "__len__"):
        raise TypeError(f"class_names must be a sequence of names, or a dict, got {class_names!r}.")
    if isinstance(class_names, Mapping):
        nameless = [label for label in labels if label not in class_names]
        if nameless:
            raise ValueError(f"class_names must name all classes of labels, not {nameless[0]!r}.")
        return [str(class_names[label]) for label in labels]
    names = [str(name) for name in class_names]
    if len(names) > len(labels) and all(
        isinstance(label, int) and 0 <= label < len(names) for label in labels
    ):
        return [names[label] for label in labels]
    if len(names) != len(labels):
        raise ValueError(
            f"class_names must name the {len(labels)} classes of labels, got {len(names)}."
        )
    in_order = _sorted(labels)
    if sorted(names) == sorted(default) and names != [str(label) for label in in_order]:
        raise ValueError(
            "class_names must be in the order of the sorted labels, which are these names, got "
            f"{names}: leave class_names out, or pass integer labels, which these names index."
        )
    by_label = dict(zip(in_order, names, strict=True))
    return [by_label[label] for label in labels]


def _sorted(labels: list[Any]) -> list[Any]:
    """Numbers or strings in their order; others as they came."""
    are_alike = any(all(isinstance(one, kind) for one in labels) for kind in (int | float, str))
    return sorted(labels) if are_alike else labels
