"""Classes in figures: their names, and marks that tell them apart, in colour and in grey."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorly_norank._labels import number_labels
from tensorly_norank.plotting._axes import COLOUR_MAP, matplotlib

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
        """Colour and marker of one class; of no label, light dots."""
        if code < 0:
            return {"color": "0.7", "marker": "."}
        if self.are_marked:
            colour, marker = _COLOURS[code % len(_COLOURS)], _MARKERS[code % len(_MARKERS)]
            return {"color": colour, "marker": marker}
        share = code / (len(self) - 1)
        return {"color": matplotlib("pyplot").get_cmap(COLOUR_MAP)(share), "marker": "o"}


def classes_of(
    labels: Any, n_samples: int, class_names: Any, new_labels: Any = None, n_new: int = 0
) -> Classes:
    """Of samples, and of new ones behind them; where there are no labels, no classes."""
    values = _values(labels, n_samples, "labels") + _values(new_labels, n_new, "new_labels")
    if labels is None and new_labels is None:
        return Classes([], np.full(len(values), -1))
    classes, codes = number_labels(values, len(values), may_be_missing=True)
    return Classes(class_names_of(class_names, classes.tolist()), codes)


def _values(labels: Any, n_samples: int, name: str) -> list[Any]:
    """A label, or None, for each sample."""
    if labels is None:
        return [None] * n_samples
    classes, codes = number_labels(labels, n_samples, name, may_be_missing=True)
    names = classes.tolist()
    return [names[code] if code >= 0 else None for code in codes]


def class_names_of(class_names: Any, labels: list[Any]) -> list[str]:
    """One for each of the labels, which are sorted."""
    default = [str(label) for label in labels]
    if class_names is None:
        return default
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
    if sorted(names) == sorted(default) and names != default:
        raise ValueError(
            "class_names must be in the order of the sorted labels, which are these names, got "
            f"{names}: leave class_names out."
        )
    return names
