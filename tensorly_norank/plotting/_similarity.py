"""The similarity of all pairs of samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tensorly_norank._points import check_points
from tensorly_norank.plotting._axes import COLOUR_MAP, check_axes, colour_bar, new_axes
from tensorly_norank.plotting._classes import classes_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_SHOWN = 600  # samples: more would be smaller than a pixel
_FEWEST_OF_CLASS = 10  # of these, or all: where they would be less, some classes are left out
_MOST_NAMED, _MOST_NAMED_TWICE = 40, 12  # classes: at the left, and below as well


def plot_similarity(
    embedding: Any, labels: Any = None, *, class_names: Any = None, ax: Axes | None = None
) -> Axes:
    """The similarity S_ij = Σ_r z_ir z_jr of all pairs of samples, class beside class.

    Parameters
    ----------
    embedding : NoRankTensor, NoRankDecomposition or array-like of shape (n_samples, R)
        A decomposition, a fitted estimator, or points, new ones perhaps.
    labels : array-like of length n_samples, optional
        The class of each, None where there is none: these come last. Without labels samples are in
        the order of the first component.
    class_names : sequence of str or dict, optional
        As in `plot_embedding`.
    ax : matplotlib Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
        The matrix, lighter where samples are more alike, with names of up to 40 classes and lines
        between these. Of more than 600 samples an even selection is shown, and some of the classes
        whole where these are many.

    Raises
    ------
    ImportError
        If matplotlib is not installed (extra ``plot``).
    TypeError, ValueError
        If an argument is not as above.

    Examples
    --------
    >>> import numpy as np
    >>> from tensorly_norank.plotting import plot_similarity
    >>> labels = np.tile(["b", "a"], 10)
    >>> points = np.where(labels == "a", 1, -1)[:, None] * np.ones((20, 2))
    >>> ax = plot_similarity(points, labels)
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['a', 'b']
    """
    points = check_points(embedding)
    classes = classes_of(labels, len(points), class_names)
    names = [*classes.names, "no label"]
    codes = np.where(classes.codes < 0, len(classes), classes.codes)
    order = np.argsort(points[:, 0] if labels is None else codes, kind="stable")
    shown = _some(order, None if labels is None else codes, len(classes))
    beside = 0.07 * max(map(len, names))  # inches for the longest name
    ax = check_axes(ax) or new_axes(4.8 + beside, 4.5)
    matrix = points[shown] @ points[shown].T
    image = ax.imshow(matrix, cmap=COLOUR_MAP, interpolation="nearest")
    colour_bar(ax, image, "similarity")
    ax.set_xticks([])
    ax.set_yticks([])
    what = f"{len(shown)} of {len(order)} samples" if len(shown) < len(order) else "samples"
    if labels is None:
        ax.set_xlabel(f"{what}, by their first component")
        return ax
    present, starts, sizes = np.unique(codes[shown], return_index=True, return_counts=True)
    n_present = int(np.sum(present < len(classes)))
    part = f"{n_present} of " if n_present < len(classes) else ""
    ax.set_xlabel(f"{what} of {part}{len(classes)} classes")
    if len(present) > _MOST_NAMED:
        return ax
    middles = starts + (sizes - 1) / 2
    texts = [names[code] for code in present]
    ax.set_yticks(middles, texts)
    if len(present) <= _MOST_NAMED_TWICE:
        ax.set_xticks(middles, texts, rotation=90)
    ax.tick_params(length=0, labelsize="medium" if len(present) <= _MOST_NAMED_TWICE else 6)
    for start in starts[1:]:
        ax.axhline(start - 0.5, color="white", linewidth=0.5)
        ax.axvline(start - 0.5, color="white", linewidth=0.5)
    return ax


def _some(order: np.ndarray, codes: np.ndarray | None, n_classes: int) -> np.ndarray:
    """Samples in their order, so many that they can be seen: of all classes, or of some of them."""
    n_samples = len(order)
    if n_samples <= _MOST_SHOWN:
        return order
    if codes is not None and n_classes:
        typical = float(np.median(np.bincount(codes[codes < n_classes])))
        if min(typical, _FEWEST_OF_CLASS) * n_classes > _MOST_SHOWN:
            n_kept = max(1, int(_MOST_SHOWN / typical))
            kept = np.linspace(0, n_classes - 1, n_kept).round().astype(int)
            order = order[np.isin(codes[order], kept)]
    if len(order) <= _MOST_SHOWN:
        return order
    return order[np.linspace(0, len(order) - 1, _MOST_SHOWN).round().astype(int)]
