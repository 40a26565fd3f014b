"""Several methods side by side: what `compare` found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tensorly_norank._validation import check_choice
from tensorly_norank.plotting._axes import DARK, LIGHT, check_axes, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = ("mean", "std", "in_sample", "p_value")
_AXIS_LABELS = {
    "davies_bouldin": "davies bouldin, held out (smaller is better)",
    "n_components": "components",
    "seconds": "seconds to fit and embed",
}


def plot_comparison(table: Any, figure: str = "silhouette", ax: Axes | None = None) -> Axes:
    """One figure of all methods: every split, mean and spread, and what it was in sample.

    Parameters
    ----------
    table : DataFrame
        From :func:`tensorly_norank.evaluation.compare`.
    figure : str, default "silhouette"
        Which of the table's figures.
    ax : matplotlib Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
        A row for each method: light dots for splits, a bar of one standard deviation around the
        mean, a cross where the samples that were fitted stand; at the right the p-value of the
        difference to the best other method. A method that failed on every split says so, and one
        whose figure is not defined. Of a table that was stored and read again the splits are lost
        (``table.attrs``), and with them the dots.

    Raises
    ------
    ImportError
        If matplotlib is not installed (extra ``plot``).
    TypeError, ValueError
        If `table` is not from `compare`, or has no such figure.

    Examples
    --------
    >>> import numpy as np, tensorly as tl
    >>> from sklearn.decomposition import PCA
    >>> from tensorly_norank.evaluation import compare
    >>> from tensorly_norank.plotting import plot_comparison
    >>> labels = np.repeat([0, 1, 2], 10)
    >>> values = np.random.default_rng(0).normal(size=(30, 4, 3)) + labels[:, None, None]
    >>> table = compare(tl.tensor(values), labels, {"1": PCA(1), "2": PCA(2)}, random_state=0)
    >>> plot_comparison(table, "knn_accuracy").get_xlabel()
    'knn accuracy, held out'
    """
    names = list(getattr(getattr(table, "index", None), "names", []))
    if names != ["figure", "method"] or not set(_COLUMNS) <= set(getattr(table, "columns", [])):
        raise TypeError(
            f"table must be what compare returns, with all its columns, got a "
            f"{type(table).__name__}."
        )
    check_choice(figure, "figure", table.index.get_level_values("figure").unique())
    rows = table.loc[figure]
    ax = check_axes(ax) or new_axes(5.0, 0.45 * len(rows) + 1)
    splits = table.attrs.get("splits", [])
    for place, (name, row) in enumerate(rows.iterrows()):
        own = [split for split in splits if split["method"] == name]
        values = [split[figure] for split in own if figure in split]
        ax.plot(values, np.full(len(values), place), "o", color=LIGHT, markersize=4, zorder=1)
        ax.errorbar(row["mean"], place, xerr=row["std"], fmt="D", color=DARK, capsize=3)
        ax.plot(row["in_sample"], place, "x", color=DARK, markersize=7)
        ax.annotate(
            _beside(row, figure, own),
            (1.02, place),
            xycoords=ax.get_yaxis_transform(),
            verticalalignment="center",
            fontsize="small",
        )
    ax.set_yticks(np.arange(len(rows)), rows.index)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlabel(_AXIS_LABELS.get(figure, f"{figure.replace('_', ' ')}, held out"))
    marks = ["\N{BLACK DIAMOND} mean ± sd", *(["• splits"] if splits else []), "× in sample"]
    ax.set_title("   ".join(marks), fontsize="small", loc="left")
    return ax


def _beside(row: Any, figure: str, splits: list[dict[str, Any]]) -> str:
    """What stands at the right of a method: the p-value, or why there is no figure."""
    if not np.isnan(row["mean"]):
        return "" if np.isnan(row["p_value"]) else f"p = {row['p_value']:.2g}"
    if splits and all(split["error"] for split in splits):
        return "failed"
    is_described = any(figure in split for split in splits)
    return "not defined" if is_described else "in sample only"
