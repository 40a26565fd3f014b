"""Why so many components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tensorly_norank._points import decomposition_in
from tensorly_norank._rank_evidence import RankEvidence
from tensorly_norank._rank_search import ALPHA
from tensorly_norank.norank_tensor import NoRankTensor
from tensorly_norank.plotting._axes import DARK, LIGHT, check_axes, new_axes, twin, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CANDIDATES_BEHIND = 6  # shown behind the last one that either reading keeps


def plot_rank_evidence(evidence: Any, ax: Axes | None = None) -> Axes:
    """Why so many components: the two readings of what held-out samples say.

    Parameters
    ----------
    evidence : NoRankTensor, NoRankDecomposition or RankEvidence
        A decomposition whose components were counted, a fitted estimator, or a `rank_evidence`.
    ax : matplotlib Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
        Over the number of components: the share of held-out triplets in the right order (of few
        samples, where that decides, of the means of other classes that are farther than that of
        one's own), with its standard error (line and band, left), and the p-value of there being
        fewer (squares, right, filled where 0.01 or less). A solid line stands at the number that
        is significant, if any, a dotted one at the number that is needed, or likely where that is
        kept. Candidates far behind both are left out. Where no sample could be held out there are
        p-values alone.

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
    other, word = evidence.other_reading
    last = max(evidence.significant, other) + _CANDIDATES_BEHIND
    shown = slice(min(last, len(evidence.candidates)))
    candidates = evidence.candidates[shown]
    accuracy, error, name = _shares_to_show(evidence)
    accuracy, error = accuracy[shown], error[shown]
    ax = check_axes(ax) or new_axes(4.0, 3.0)
    ax.fill_between(candidates, accuracy - error, accuracy + error, color=LIGHT, alpha=0.4)
    ax.plot(candidates, accuracy, "o-", color=DARK, markersize=4)
    if evidence.significant:
        ax.axvline(evidence.significant, color=DARK, linewidth=1)
    title = f"{evidence.significant} significant"
    if other:
        ax.axvline(other, color=DARK, linewidth=1, linestyle=":")
        title += f", {other} {word}"
    if not evidence.needed:
        ax.set_yticks([])
    ax.set_xlabel("components")
    ax.set_ylabel(name if evidence.needed else "")
    ax.xaxis.set_major_locator(whole_numbers())
    beside = twin(ax)
    p_value = evidence.p_value[shown]
    is_small = p_value <= ALPHA
    for chosen, face in [(is_small, LIGHT), (~is_small, "white")]:
        beside.plot(
            candidates[chosen], p_value[chosen], "s", color=DARK, markerfacecolor=face, zorder=3
        )
    beside.axhline(ALPHA, color=LIGHT, linewidth=1, linestyle="--")
    beside.set_yscale("log")
    beside.set_ylim(min(ALPHA, np.nanmin(p_value, initial=ALPHA)) / 3, 2)
    beside.set_ylabel("p-value (squares)")
    ax.set_title(title, fontsize="medium", loc="left")
    return ax


def _shares_to_show(evidence: RankEvidence) -> tuple[np.ndarray, np.ndarray, str]:
    """Those that can decide, their standard errors, and what they are of."""
    if evidence.class_accuracy is None or evidence.class_accuracy_se is None:
        shares, errors = evidence.triplet_accuracy, evidence.triplet_accuracy_se
        return shares, errors, "held-out triplets in order"
    return evidence.class_accuracy, evidence.class_accuracy_se, "held-out samples: classes in order"


def _as_evidence(evidence: Any) -> RankEvidence:
    evidence = decomposition_in(evidence)
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
