"""Figures drawn with matplotlib (extra ``plot``).

Each function draws into the axes that it is given, or into new ones, and returns them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tensorly_norank._backend import check_dense, to_numpy
from tensorly_norank._labels import number_labels
from tensorly_norank._optional import import_optional
from tensorly_norank._rank_evidence import RankEvidence
from tensorly_norank._rank_search import ALPHA
from tensorly_norank._validation import (
    check_choice,
    check_number,
)
from tensorly_norank.norank_tensor import NoRankTensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_comparison", "plot_rank_evidence", "plot_samples"]

_LARGEST = 40.0  # inches: beyond that a figure takes long to draw and nobody sees more
_COLUMNS = ("mean", "std", "in_sample", "p_value")
_CANDIDATES_BEHIND = 6  # shown behind the last one that either reading keeps
_AXIS_LABELS = {
    "davies_bouldin": "davies bouldin, held out (smaller is better)",
    "n_components": "components",
    "seconds": "seconds to fit and embed",
}
_DARK, _LIGHT = "0.1", "0.6"  # grey: nothing here depends on colour


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
    ax = _check_axes(ax) or _new_axes(5.0, 0.45 * len(rows) + 1)
    splits = table.attrs.get("splits", [])
    for place, (name, row) in enumerate(rows.iterrows()):
        own = [split for split in splits if split["method"] == name]
        values = [split[figure] for split in own if figure in split]
        ax.plot(values, np.full(len(values), place), "o", color=_LIGHT, markersize=4, zorder=1)
        ax.errorbar(row["mean"], place, xerr=row["std"], fmt="D", color=_DARK, capsize=3)
        ax.plot(row["in_sample"], place, "x", color=_DARK, markersize=7)
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


def plot_rank_evidence(evidence: Any, ax: Axes | None = None) -> Axes:
    """Why so many components: the two readings of what held-out samples say.

    Parameters
    ----------
    evidence : NoRankTensor or RankEvidence
        A decomposition whose components were counted, or its `rank_evidence`.
    ax : matplotlib Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
        Over the number of components: the share of held-out triplets in the right order, with its
        standard error (line and band, left), and the p-value of there being fewer (squares, right,
        filled where 0.01 or less). A solid line stands at the number that is significant, if any, a
        dotted one at the number that is needed. Candidates far behind both are left out. Where no
        sample could be held out there are p-values alone.

    Raises
    ------
    ImportError
        If matplotlib is not installed (extra ``plot``).
    TypeError, ValueError
        If `evidence` is of another kind, or the components of the decomposition were not counted.

    Examples
    --------
    >>> from tensorly_norank import no_rank_decomposition
    >>> from tensorly_norank.datasets import simulate_planted
    >>> from tensorly_norank.plotting import plot_rank_evidence
    >>> planted = simulate_planted(200, rank=2, n_classes=4, random_state=0)
    >>> result = no_rank_decomposition(
    ...     planted.tensor, planted.labels, encoder="linear", random_state=0
    ... )
    >>> plot_rank_evidence(result).get_title(loc="left")
    '2 significant, 2 needed'
    """
    evidence = _as_evidence(evidence)
    last = max(evidence.significant, evidence.needed) + _CANDIDATES_BEHIND
    shown = slice(min(last, len(evidence.candidates)))
    candidates = evidence.candidates[shown]
    accuracy, error = evidence.triplet_accuracy[shown], evidence.triplet_accuracy_se[shown]
    ax = _check_axes(ax) or _new_axes(4.0, 3.0)
    ax.fill_between(candidates, accuracy - error, accuracy + error, color=_LIGHT, alpha=0.4)
    ax.plot(candidates, accuracy, "o-", color=_DARK, markersize=4)
    if evidence.significant:
        ax.axvline(evidence.significant, color=_DARK, linewidth=1)
    title = f"{evidence.significant} significant"
    if evidence.needed:
        ax.axvline(evidence.needed, color=_DARK, linewidth=1, linestyle=":")
        title += f", {evidence.needed} needed"
    else:
        ax.set_yticks([])
    ax.set_xlabel("components")
    ax.set_ylabel("held-out triplets in order" if evidence.needed else "")
    ticker = import_optional("matplotlib.ticker", "plot", "tensorly_norank.plotting")
    ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    beside = ax.twinx()
    p_value = evidence.p_value[shown]
    is_small = p_value <= ALPHA
    for chosen, face in [(is_small, _LIGHT), (~is_small, "white")]:
        beside.plot(
            candidates[chosen], p_value[chosen], "s", color=_DARK, markerfacecolor=face, zorder=3
        )
    beside.axhline(ALPHA, color=_LIGHT, linewidth=1, linestyle="--")
    beside.set_yscale("log")
    beside.set_ylabel("p-value (squares)")
    ax.set_title(title, fontsize="medium", loc="left")
    return ax


def _as_evidence(evidence: Any) -> RankEvidence:
    if isinstance(evidence, NoRankTensor):
        if evidence.rank_evidence is None:
            raise ValueError(
                "evidence must be of a decomposition whose components were counted, got one "
                "without rank_evidence (validation_fraction=0)."
            )
        return evidence.rank_evidence
    if not isinstance(evidence, RankEvidence):
        raise TypeError(
            "evidence must be a NoRankTensor or its rank_evidence, got a "
            f"{type(evidence).__name__}."
        )
    return evidence


def plot_samples(
    tensor: Any,
    labels: Any,
    class_names: Any = None,
    n_each: int = 8,
    stretch: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A contact sheet: the first samples of every class, a row for each class.

    Parameters
    ----------
    tensor : tensor of shape (n_samples, n_rows, n_columns) or (n_samples, n_rows, n_columns, depth)
        Images; volumes are shown as their sum over the last mode.
    labels : array-like of length n_samples
        The class of each sample.
    class_names : sequence of str, optional
        What to write beside the rows, in the order of the sorted labels; by default the labels.
        There may be more names than classes if labels are integers that index them.
    n_each : int, default 8
        Samples of each class.
    stretch : float, optional
        Draw ``arcsinh(value / stretch)``, of the sums of volumes, as astronomers do to see bright
        centres and faint rims at once.
    ax : matplotlib Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
        Each sample in grey, from its own smallest to its own largest value. Entries that are NaN or
        infinite are left white.

    Raises
    ------
    ImportError
        If matplotlib is not installed (extra ``plot``).
    TypeError, ValueError
        If an argument is not as above.

    Examples
    --------
    >>> from tensorly_norank.datasets import load_digits
    >>> from tensorly_norank.plotting import plot_samples
    >>> digits = load_digits()
    >>> ax = plot_samples(digits.tensor, digits.labels, n_each=4)
    >>> [tick.get_text() for tick in ax.get_yticklabels()][:3]
    ['0', '1', '2']
    """
    check_dense(tensor, "tensor")
    values = to_numpy(tensor)
    if values.ndim not in (3, 4):
        raise ValueError(
            f"tensor must hold images or volumes, samples on mode 0, got shape {values.shape}."
        )
    values = values.astype(float)
    classes, codes = number_labels(labels, len(values))
    names = _class_names(class_names, classes.tolist())
    check_number(n_each, "n_each", integer=True, low=1)
    n_each = min(n_each, int(np.bincount(codes).max()))
    images = values.sum(axis=3) if values.ndim == 4 else values
    if stretch is not None:
        check_number(stretch, "stretch", include_low=False)
        images = np.arcsinh(images / stretch)
    _, n_rows, n_columns = images.shape
    sheet = np.full((len(classes) * (n_rows + 1), n_each * (n_columns + 1)), np.nan)
    for code in range(len(classes)):
        for place, index in enumerate(np.flatnonzero(codes == code)[:n_each]):
            row, column = code * (n_rows + 1), place * (n_columns + 1)
            sheet[row : row + n_rows, column : column + n_columns] = _to_unit(images[index])
    beside = 0.1 * max(map(len, names))  # inches for the longest name
    height = 1.0 * len(classes) * n_rows / n_columns
    ax = _check_axes(ax) or _new_axes(1.0 * n_each + beside, height)
    ax.imshow(sheet, cmap="gray", interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks(np.arange(len(names)) * (n_rows + 1) + n_rows / 2, names)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def _class_names(class_names: Any, labels: list[Any]) -> list[str]:
    """One for each of the labels, which are sorted."""
    default = [str(label) for label in labels]
    if class_names is None:
        return default
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


def _to_unit(image: np.ndarray) -> np.ndarray:
    known = image[np.isfinite(image)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 0.0)
    return (image - low) / ((high - low) or 1.0)


def _check_axes(ax: Any) -> Axes | None:
    if ax is None or hasattr(ax, "fill_between"):
        return cast("Axes | None", ax)
    raise TypeError(f"ax must be a matplotlib Axes, got a {type(ax).__name__}.")


def _new_axes(width: float, height: float) -> Axes:
    pyplot = import_optional("matplotlib.pyplot", "plot", "tensorly_norank.plotting")
    size = min(width + 1, _LARGEST), min(height, _LARGEST)
    _, ax = pyplot.subplots(figsize=size, layout="constrained")
    return ax
