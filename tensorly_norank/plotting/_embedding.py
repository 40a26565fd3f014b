"""Samples as points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorly_norank._points import check_points
from tensorly_norank.plotting._axes import (
    COLOUR_MAP,
    DARK,
    check_axes,
    colour_bar,
    matplotlib,
    new_axes,
    panels,
)
from tensorly_norank.plotting._classes import MOST_MARKED, Classes, classes_of
from tensorly_norank.plotting._inputs import check_components

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LONGEST_COLUMN = 21  # entries of a legend
_MOST_PAIRED = 6  # components


def plot_embedding(
    embedding: Any,
    labels: Any = None,
    components: Sequence[int] | None = None,
    *,
    new: Any = None,
    new_labels: Any = None,
    class_names: Any = None,
    ax: Axes | None = None,
) -> Axes:
    """Samples as points, and new ones over them.

    Parameters
    ----------
    embedding : NoRankTensor, NoRankDecomposition or array-like of shape (n_samples, R)
        A decomposition, a fitted estimator, or points.
    labels : array-like of length n_samples, optional
        The class of each; None, NaN or −1 where there is none.
    components : sequence of int, optional
        Which ones, the first being 0: two make a scatter plot, one a row of points for each class,
        three to six a panel for each pair. By default the first two, or the only one.
    new : array-like of shape (n_new, R), optional
        More samples, as from `transform`: larger, with a dark edge.
    new_labels : array-like of length n_new, optional
        Their classes.
    class_names : sequence of str or dict, optional
        Names of the classes, in the order of the sorted labels; for integer labels also names that
        these index, which gives the classes an order of your own; or a dict from labels to names.
    ax : matplotlib Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
        Distances along both axes are drawn alike, for they mean similarity. Up to 63 classes have a
        colour and a mark each, and a name; of more the colour tells the place in their order.

    Raises
    ------
    ImportError
        If matplotlib is not installed (extra ``plot``).
    TypeError, ValueError
        If an argument is not as above.

    Examples
    --------
    >>> import numpy as np
    >>> from tensorly_norank.plotting import plot_embedding
    >>> points = np.random.default_rng(0).normal(size=(30, 3))
    >>> ax = plot_embedding(points, np.repeat(["a", "b", "c"], 10))
    >>> ax.get_xlabel(), [text.get_text() for text in ax.get_legend().get_texts()]
    ('component 1', ['a', 'b', 'c'])
    """
    points, others = checked_points(embedding, new, new_labels)
    some = range(min(2, points.shape[1])) if components is None else components
    chosen = check_components(some, points.shape[1], _MOST_PAIRED)
    classes = classes_of(labels, len(points), class_names, new_labels, len(others))
    n_fitted, points = len(points), np.concatenate([points, others])[:, chosen]
    draw = _Drawing(points, classes, n_fitted)
    if len(chosen) == 1:
        n_rows = min(max(len(classes), 1), MOST_MARKED)
        ax = check_axes(ax) or new_axes(6.0, 1.5 + 0.2 * n_rows)
        draw.rows(ax, chosen[0])
        draw.explain(ax, names=False)
        return ax
    n_panels = len(chosen) - 1
    beside = 0.5 + 0.5 * -(-len(classes) // _LONGEST_COLUMN)  # inches for the legend
    beside = beside if classes.are_marked else 1.0
    ax = check_axes(ax) or new_axes(beside + 3.5 * n_panels**0.7, 4.0 * n_panels**0.7)
    if n_panels == 1:
        draw.pair(ax, (0, 1), chosen)
        draw.explain(ax)
        return ax
    # All axes are of the same length: what panels share, they show alike.
    middles, halves = (draw.points.max(0) + draw.points.min(0)) / 2, np.ptp(draw.points, axis=0) / 2
    half = 1.05 * (halves.max() or 1.0)
    limits = [(middle - half, middle + half) for middle in middles]
    grid = panels(ax, n_panels, n_panels, (0.08, 0.08))
    for row in range(n_panels):
        for column in range(n_panels):
            panel = grid[row][column]
            if column > row:
                panel.remove()
                continue
            draw.pair(panel, (column, row + 1), chosen)
            panel.set(xlim=limits[column], ylim=limits[row + 1])
            panel.set_aspect("equal", adjustable="box")
            if row < n_panels - 1:
                panel.set(xlabel="", xticklabels=[])
            if column:
                panel.set(ylabel="", yticklabels=[])
    draw.explain(ax)
    return ax


def checked_points(embedding: Any, new: Any, new_labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """The samples and new ones, of which there may be none."""
    points = check_points(embedding)
    others = points[:0] if new is None else check_points(new, "new")
    if others.shape[1] != points.shape[1]:
        raise ValueError(
            f"new must have {points.shape[1]} components as the embedding, got {others.shape[1]}."
        )
    if new is None and new_labels is not None:
        raise ValueError("new_labels must be None without new, got labels.")
    return points, others


class _Drawing:
    """Points (n, k) of classes, of which the first `n_fitted` were fitted."""

    def __init__(self, points: np.ndarray, classes: Classes, n_fitted: int) -> None:
        self.points, self.classes = points, classes
        self.is_new = np.arange(len(points)) >= n_fitted

    def pair(self, ax: Axes, columns: tuple[int, int], components: list[int]) -> None:
        """Points on two of the axes."""
        self._scatter(ax, *self.points[:, columns].T)
        ax.set_xlabel(f"component {components[columns[0]] + 1}")
        ax.set_ylabel(f"component {components[columns[1]] + 1}")
        ax.set_aspect("equal", adjustable="datalim")

    def rows(self, ax: Axes, component: int) -> None:
        """Points on one axis, each class in a row of its own."""
        codes, n_classes = self.classes.codes, len(self.classes)
        heights = np.where(codes < 0, n_classes, codes)
        # Spread within a row by a sequence that leaves no gaps, the same every time.
        spread = np.arange(len(codes)) * 0.618034 % 1 - 0.5
        self._scatter(ax, self.points[:, 0], heights + 0.6 * spread)
        names = [*self.classes.names, *(["no label"] if (codes < 0).any() and n_classes else [])]
        places = np.arange(len(names))
        if not self.classes.are_marked:
            places = places[[0, n_classes - 1]]
            ax.set_ylabel(f"{n_classes} classes, in order")
        ax.set_yticks(places, [names[place] for place in places])
        ax.invert_yaxis()
        ax.set_xlabel(f"component {component + 1}")

    def _scatter(self, ax: Axes, across: np.ndarray, up: np.ndarray) -> None:
        """Fitted samples below new ones, and of each those without a label below the others."""
        size = float(np.clip(6000 / len(across), 6, 30))
        codes = self.classes.codes
        styles: list[tuple[bool, dict[str, Any]]] = [
            (False, {"s": size, "linewidths": 0, "alpha": 0.8 if not self.is_new.any() else 0.5}),
            (True, {"s": 2 * size, "edgecolors": DARK, "linewidths": size / 35}),
        ]
        for is_new, style in styles:
            # Small marks that are snapped to pixels may lose all their area, a plus above all.
            style["snap"] = False
            chosen = self.is_new == is_new
            present = np.unique(codes[chosen])
            for code in present if self.classes.are_marked else present[present < 0]:
                one = chosen & (codes == code)
                ax.scatter(across[one], up[one], **(self.classes.mark(code) | style))
            shown = chosen & (codes >= 0)
            if not self.classes.are_marked and shown.any():
                style |= {"cmap": COLOUR_MAP, "vmin": 0, "vmax": len(self.classes) - 1}
                ax.scatter(across[shown], up[shown], c=codes[shown], **style)

    def explain(self, ax: Axes, names: bool = True) -> None:
        """A legend, or what the colours mean, at the right; without names where these are shown."""
        lines = matplotlib("lines")

        def entry(label: str, **mark: Any) -> Any:
            return lines.Line2D([], [], linestyle="", label=label, **mark)

        handles = []
        if names and self.classes.are_marked:
            marked = enumerate(self.classes.names)
            handles = [entry(name, **self.classes.mark(code)) for code, name in marked]
        elif names:
            mappable = matplotlib("pyplot").cm.ScalarMappable(cmap=COLOUR_MAP)
            mappable.set_clim(0, len(self.classes) - 1)
            bar = colour_bar(ax, mappable, f"{len(self.classes)} classes, in order")
            ends = [self.classes.names[0], self.classes.names[-1]]
            bar.set_ticks([0, len(self.classes) - 1], labels=ends)
            bar.ax.invert_yaxis()  # the first on top, as in a legend
        if names and self.classes.names and (self.classes.codes < 0).any():
            handles.append(entry("no label", **self.classes.mark(-1)))
        if self.is_new.any():
            handles.append(entry("new samples", marker="o", color="white", markeredgecolor=DARK))
        if not handles:
            return
        n_columns = -(-len(handles) // _LONGEST_COLUMN)
        is_beside = {"loc": "upper left", "bbox_to_anchor": (1.02, 1), "borderaxespad": 0}
        ax.legend(
            handles=handles,
            ncols=n_columns,
            fontsize="small" if n_columns == 1 else "x-small",
            frameon=not self.classes.are_marked,
            **(is_beside if self.classes.are_marked else {"loc": "upper right"}),
        )
