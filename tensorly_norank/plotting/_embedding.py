"""Samples as points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorly_norank._validation import check_number
from tensorly_norank.plotting._axes import (
    COLOUR_MAP,
    DARK,
    check_axes,
    colour_bar,
    matplotlib,
    new_axes,
    panels,
)
from tensorly_norank.plotting._classes import Classes, classes_of
from tensorly_norank.plotting._inputs import check_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_IN_LEGEND = 12  # classes; the names of more stand beside their points
_MOST_ROWS = 40  # classes that have a row with their name, where there is one component
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
    class_names : sequence of str, optional
        Names of the classes, in the order of the sorted labels; or, for integer labels, names that
        these index.
    ax : matplotlib Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
        Distances along both axes are drawn alike, for they mean similarity. Up to 63 classes have a
        colour and a mark each, with a legend or their names beside them; of more the colour tells
        the place in their order.

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
    points = check_points(embedding)
    others = points[:0] if new is None else check_points(new, "new")
    if others.shape[1] != points.shape[1]:
        raise ValueError(
            f"new must have {points.shape[1]} components as the embedding, got {others.shape[1]}."
        )
    if new is None and new_labels is not None:
        raise ValueError("new_labels must be None without new, got labels.")
    chosen = _check_components(components, points.shape[1])
    classes = classes_of(labels, len(points), class_names, new_labels, len(others))
    n_fitted, points = len(points), np.concatenate([points, others])[:, chosen]
    draw = _Drawing(points, classes, n_fitted)
    if len(chosen) == 1:
        n_rows = min(max(len(classes), 1), _MOST_ROWS)
        ax = check_axes(ax) or new_axes(5.0, 1.5 + 0.2 * n_rows)
        draw.rows(ax, chosen[0])
        return ax
    n_panels = len(chosen) - 1
    beside = 1.0 if classes.are_marked else 2.5  # inches for what explains the classes
    ax = check_axes(ax) or new_axes(beside + 3.5 * n_panels**0.7, 4.0 * n_panels**0.7)
    if n_panels == 1:
        draw.pair(ax, (0, 1), chosen)
        draw.explain(ax)
        return ax
    grid = panels(ax, n_panels, n_panels, (0.08, 0.08))
    for row in range(n_panels):
        for column in range(n_panels):
            panel = grid[row][column]
            if column > row:
                panel.remove()
                continue
            draw.pair(panel, (column, row + 1), chosen)
            panel.label_outer()
            if row < n_panels - 1:
                panel.set(xlabel="", xticklabels=[])
            if column:
                panel.set(ylabel="", yticklabels=[])
    draw.explain(ax)
    return ax


def _check_components(components: Any, n_components: int) -> list[int]:
    if components is None:
        return list(range(min(2, n_components)))
    if isinstance(components, str) or not hasattr(components, "__len__"):
        raise TypeError(f"components must be a sequence of integers, got {components!r}.")
    for one in components:
        check_number(one, "components", integer=True, high=n_components)
    chosen = [int(one) for one in components]
    if not 1 <= len(set(chosen)) == len(chosen) <= _MOST_PAIRED:
        raise ValueError(
            f"components must be one to {_MOST_PAIRED} different ones, got {components!r}."
        )
    return chosen


class _Drawing:
    """Points (n, k) of classes, of which the first `n_fitted` were fitted."""

    def __init__(self, points: np.ndarray, classes: Classes, n_fitted: int) -> None:
        self.points, self.classes, self.n_fitted = points, classes, n_fitted
        self.is_new = np.arange(len(points)) >= n_fitted

    def pair(self, ax: Axes, columns: tuple[int, int], components: list[int]) -> None:
        """Points on two of the axes."""
        self._scatter(ax, *self.points[:, columns].T)
        ax.set_xlabel(f"component {components[columns[0]] + 1}")
        ax.set_ylabel(f"component {components[columns[1]] + 1}")
        ax.set_aspect("equal", adjustable="datalim")
        if _MOST_IN_LEGEND < len(self.classes) and self.classes.are_marked:
            self._names_beside(ax, columns)

    def rows(self, ax: Axes, component: int) -> None:
        """Points on one axis, each class in a row of its own."""
        codes, n_classes = self.classes.codes, len(self.classes)
        heights = np.where(codes < 0, n_classes, codes)
        # Spread within a row by a sequence that leaves no gaps, the same every time.
        spread = np.arange(len(codes)) * 0.618034 % 1 - 0.5
        self._scatter(ax, self.points[:, 0], heights + 0.6 * spread)
        names = [*self.classes.names, *(["no label"] if (codes < 0).any() and n_classes else [])]
        if len(names) <= _MOST_ROWS:
            ax.set_yticks(np.arange(len(names)), names)
        else:
            ax.set_yticks([])
            ax.set_ylabel(f"{n_classes} classes, in order")
        ax.invert_yaxis()
        ax.set_xlabel(f"component {component + 1}")

    def _scatter(self, ax: Axes, across: np.ndarray, up: np.ndarray) -> None:
        """All classes, fitted samples below new ones, those without a label below all."""
        size = float(np.clip(6000 / len(across), 6, 30))
        codes = self.classes.codes
        for is_new, style in (
            (False, {"s": size, "linewidths": 0, "alpha": 0.8 if not self.is_new.any() else 0.5}),
            (True, {"s": 2 * size, "edgecolors": DARK, "linewidths": size / 35}),
        ):
            chosen = self.is_new == is_new
            if not self.classes.are_marked:
                shown = chosen & (codes >= 0)
                if shown.any():
                    ax.scatter(
                        across[shown],
                        up[shown],
                        c=codes[shown],
                        cmap=COLOUR_MAP,
                        vmin=0,
                        vmax=len(self.classes) - 1,
                        **style,
                    )
            present = np.unique(codes[chosen])
            for code in present if self.classes.are_marked else present[present < 0]:
                one = chosen & (codes == code)
                ax.scatter(across[one], up[one], **(self.classes.mark(code) | style))

    def _names_beside(self, ax: Axes, columns: tuple[int, int]) -> None:
        effects = matplotlib("patheffects")
        halo = [effects.withStroke(linewidth=2, foreground="white")]
        for code, name in enumerate(self.classes.names):
            middle = np.median(self.points[self.classes.codes == code][:, columns], axis=0)
            ax.annotate(name, middle, fontsize="x-small", ha="center", path_effects=halo)

    def explain(self, ax: Axes) -> None:
        """A legend, or what the colours mean, at the right."""
        names, lines = self.classes.names, matplotlib("lines")
        handles = []
        if len(names) <= _MOST_IN_LEGEND:
            handles = [
                lines.Line2D([], [], linestyle="", label=name, **self.classes.mark(code))
                for code, name in enumerate(names)
            ]
        if not self.classes.are_marked:
            pyplot = matplotlib("pyplot")
            mappable = pyplot.cm.ScalarMappable(cmap=COLOUR_MAP)
            mappable.set_clim(0, len(names) - 1)
            bar = colour_bar(ax, mappable, f"{len(names)} classes, in order")
            bar.set_ticks([0, len(names) - 1], labels=[names[0], names[-1]])
        if names and (self.classes.codes < 0).any():
            handles.append(
                lines.Line2D([], [], linestyle="", label="no label", **self.classes.mark(-1))
            )
        if self.is_new.any():
            new = {"marker": "o", "color": "white", "markeredgecolor": DARK}
            handles.append(lines.Line2D([], [], linestyle="", label="new samples", **new))
        if handles:
            right = 1.02 if self.classes.are_marked else 1.3
            ax.legend(
                handles=handles,
                loc="upper left",
                bbox_to_anchor=(right, 1),
                frameon=False,
                borderaxespad=0,
                fontsize="small",
            )
