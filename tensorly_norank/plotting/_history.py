"""How a fit went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from tensorly.cp_tensor import CPTensor

from tensorly_norank._points import decomposition_in
from tensorly_norank.norank_tensor import NoRankTensor
from tensorly_norank.plotting._axes import (
    DARK,
    LIGHT,
    check_axes,
    matplotlib,
    new_axes,
    twin,
    whole_numbers,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_history(result: Any, ax: Axes | None = None) -> Axes:
    """Error and triplets in order, pass by pass.

    Parameters
    ----------
    result : NoRankTensor, NoRankDecomposition or dict
        A decomposition, a fitted estimator, or the `history` of one.
    ax : matplotlib Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
        The error (dark, left), of held-out samples where some decided when to stop. At the right
        the share of triplets in order: of the same samples (light, solid) and, where those were
        held out, of as many fitted ones, at least 64 (dashed): lines that part show what was
        memorised. From the dotted line on the learning rate falls.

    Raises
    ------
    ImportError
        If matplotlib is not installed (extra ``plot``).
    TypeError, ValueError
        If `result` is of another kind, or holds no pass.

    Examples
    --------
    >>> from tensorly_norank.plotting import plot_history
    >>> history = {
    ...     "error": [0.8, 0.5, 0.4],
    ...     "triplet_accuracy": [0.6, 0.8, 0.9],
    ...     "learning_rate": [1, 1, 0],
    ... }
    >>> plot_history(history).get_xlabel()
    'pass'
    """
    result = decomposition_in(result)
    history = result.history if isinstance(result, NoRankTensor) else result
    wanted = ("error", "triplet_accuracy", "learning_rate")
    is_other = isinstance(history, CPTensor) or not isinstance(history, Mapping)
    if is_other or not all(name in history for name in wanted):
        raise TypeError(
            "result must be a NoRankTensor, a fitted NoRankDecomposition or a history with "
            f"{', '.join(wanted)}, got a {type(result).__name__}."
        )
    n_iter = len(history["error"])
    if not n_iter:
        raise ValueError("result must hold one pass at least, got none.")
    ax = check_axes(ax) or new_axes(4.0, 3.0)
    passes = np.arange(1, n_iter + 1)
    is_held_out = "fitted_triplet_accuracy" in history
    lines = ax.plot(passes, history["error"], color=DARK, label="error (left)")
    rate = np.asarray(history["learning_rate"])
    ax.axvline(passes[rate >= rate.max()][-1], color=DARK, linewidth=1, linestyle=":")
    ax.set_xlabel("pass")
    ax.set_ylabel("error, held out" if is_held_out else "error")
    ax.xaxis.set_major_locator(whole_numbers())
    beside = twin(ax)
    name = "held-out triplets" if is_held_out else "triplets"
    lines += beside.plot(
        passes, history["triplet_accuracy"], color=LIGHT, linewidth=2.5, label=name
    )
    if is_held_out:
        fitted = history["fitted_triplet_accuracy"]
        lines += beside.plot(passes, fitted, color=LIGHT, linestyle="--", label="fitted triplets")
    beside.set_ylabel("triplets in order")
    inches = ax.figure.dpi_scale_trans
    below = matplotlib("transforms").ScaledTranslation(0, -0.5, inches)
    beside.legend(
        handles=lines,
        ncols=3,
        fontsize="small",
        frameon=False,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),  # below, for lines may be anywhere within
        bbox_transform=ax.transAxes + below,
    )
    if isinstance(result, NoRankTensor):
        end = "converged" if result.converged else "not converged"
        ax.set_title(f"{n_iter} passes, {end}", fontsize="medium", loc="left")
    return ax
