"""A decomposition in one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tensorly_norank.plotting._axes import check_axes, new_axes
from tensorly_norank.plotting._classes import classes_of
from tensorly_norank.plotting._components import checked_components, plot_components
from tensorly_norank.plotting._embedding import checked_points, plot_embedding
from tensorly_norank.plotting._history import plot_history
from tensorly_norank.plotting._inputs import check_decomposition
from tensorly_norank.plotting._rank_evidence import plot_rank_evidence

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COMPONENTS = 3  # whose patterns are shown


def plot_decomposition(
    result: Any,
    labels: Any = None,
    *,
    new: Any = None,
    new_labels: Any = None,
    class_names: Any = None,
    kinds: Mapping[int, str] | None = None,
    dims: Sequence[str] | None = None,
    ticks: Sequence[Sequence[Any] | None] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The samples, why so many components, and what these are, in one figure.

    Parameters
    ----------
    result : NoRankTensor or NoRankDecomposition
        A decomposition, or a fitted estimator.
    labels, new, new_labels, class_names
        Of samples, as in `plot_embedding`.
    kinds, dims, ticks
        Of the other modes, as in `plot_components`.
    ax : matplotlib Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
        It holds three panels: `plot_embedding` of the first two components at the left; at the
        right `plot_rank_evidence` (or `plot_history` where components were not counted) over
        `plot_components` of the first three.

    Raises
    ------
    ImportError
        If matplotlib is not installed (extra ``plot``).
    TypeError, ValueError
        If an argument is not as in those functions.

    Examples
    --------
    >>> from tensorly_norank import no_rank_decomposition
    >>> from tensorly_norank.datasets import simulate_planted
    >>> from tensorly_norank.plotting import plot_decomposition
    >>> planted = simulate_planted(200, rank=2, n_classes=4, random_state=0)
    >>> result = no_rank_decomposition(
    ...     planted.tensor, planted.labels, encoder="linear", random_state=0
    ... )
    >>> plot_decomposition(result, planted.labels).get_title(loc="left")
    '200 × 20 × 15, samples on mode 0: 2 components'
    """
    result = check_decomposition(result)
    points, others = checked_points(result, new, new_labels)
    classes_of(labels, len(points), class_names, new_labels, len(others))
    shown = range(min(_COMPONENTS, result.rank))
    checked_components(result, shown, None, kinds, dims, ticks)
    ax = check_axes(ax) or new_axes(11.0, 5.5)
    ax.set_axis_off()
    samples = ax.inset_axes((0, 0, 0.42, 1))
    plot_embedding(
        result, labels, new=new, new_labels=new_labels, class_names=class_names, ax=samples
    )
    why = ax.inset_axes((0.63, 0.66, 0.29, 0.34))  # and a scale at its right
    (plot_history if result.rank_evidence is None else plot_rank_evidence)(result, ax=why)
    patterns = ax.inset_axes((0.63, 0, 0.37, 0.5))
    plot_components(result, shown, kinds=kinds, dims=dims, ticks=ticks, ax=patterns)
    shape = " × ".join(map(str, result.shape))
    word = "component" if result.rank == 1 else "components"
    ax.set_title(
        f"{shape}, samples on mode {result.mode}: {result.rank} {word}", loc="left", pad=16
    )
    return ax
