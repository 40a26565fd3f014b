"""What changes in the data along each component: the factors of the other modes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorly_norank._validation import check_choice, check_mode
from tensorly_norank.plotting._axes import (
    COLOUR_MAP,
    DARK,
    LIGHT,
    check_axes,
    new_axes,
    panels,
)
from tensorly_norank.plotting._inputs import check_components, factors_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_KINDS = ("bars", "line", "image")
_MOST_BARS = 16  # entries of a mode without names; of more a line is drawn
_MOST_TICKS = 40  # names: more cannot be read
_SMALLEST_IMAGE, _ALIKE = 8, 4  # entries along a side, and how many times the other it may have
_MOST_COMPONENTS = 50


@dataclass(frozen=True)
class _Column:
    """One or, of an image, two of the modes, drawn alike for all components."""

    kind: str
    modes: tuple[int, ...]


def plot_components(
    result: Any,
    components: Sequence[int] | None = None,
    *,
    mode: int | None = None,
    kinds: Mapping[int, str] | None = None,
    dims: Sequence[str] | None = None,
    ticks: Sequence[Sequence[Any] | None] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The patterns of components: a row for each of them, a column for each of the other modes.

    Parameters
    ----------
    result : NoRankTensor, NoRankDecomposition or CPTensor
        A decomposition, a fitted estimator, or what `parafac` returns.
    components : sequence of int, optional
        Which ones, the first being 0; by default all, but 50 at most.
    mode : int, optional
        The mode of the samples, which is left out; by default that of the decomposition, and 0 of
        a CP tensor that has none.
    kinds : dict of int to {"bars", "line", "image"}, optional
        How a mode of the tensor is drawn. Two modes make an image, the outer product of their
        factors. By default bars of up to 16 entries or where `ticks` name them, a line of more, and
        an image of the first two modes beside each other that have no names, at least 8 entries
        and lengths that differ by a factor of 4 at most.
    dims : sequence of str, optional
        Names of all the modes, as `dims` of TensorLy's data sets.
    ticks : sequence, optional
        For each mode the names of its entries, or None, as `ticks` of TensorLy's data sets. Those
        of the samples are not looked at.
    ax : matplotlib Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
        It holds the panels. Within a column all have the same scale, with zero in its middle (of
        images the middle colour, and lighter is more): factors have columns of norm 1.

    Raises
    ------
    ImportError
        If matplotlib is not installed (extra ``plot``).
    TypeError, ValueError
        If an argument is not as above.

    Examples
    --------
    >>> from tensorly.datasets import load_covid19_serology
    >>> from tensorly_norank import no_rank_decomposition
    >>> from tensorly_norank.plotting import plot_components
    >>> serology = load_covid19_serology()
    >>> result = no_rank_decomposition(
    ...     serology.tensor,
    ...     serology.ticks[0],
    ...     encoder="linear",
    ...     rank=2,
    ...     n_iter_max=2,
    ...     tol=0,
    ...     validation_fraction=0,
    ...     random_state=0,
    ... )
    >>> ax = plot_components(result, dims=serology.dims, ticks=serology.ticks)
    >>> len(ax.child_axes)  # two components times antigens and receptors
    4
    """
    factors, chosen, names, columns = checked_components(
        result, components, mode, kinds, dims, ticks
    )
    height = max(0.7, 1.6 - 0.1 * len(chosen))  # inches a row: of many components lower ones
    ax = check_axes(ax) or new_axes(3.0 * len(columns), 0.8 + height * len(chosen))
    grid = panels(ax, len(chosen), len(columns), (0.15, 0.2))
    for column, drawn in zip(columns, zip(*grid, strict=True), strict=True):
        patterns = [_pattern(column, factors, r) for r in chosen]
        largest = max(float(np.abs(one).max()) for one in patterns) or 1.0
        for panel, pattern in zip(drawn, patterns, strict=True):
            _draw(panel, column, pattern, largest)
            panel.set(xticks=[])
        _name_entries(drawn[-1], column, *names)
    for r, (first, *_) in zip(chosen, grid, strict=True):
        first.set_ylabel(f"{r + 1}", rotation=0, ha="right", va="center")
    return ax


def checked_components(
    result: Any,
    components: Sequence[int] | None,
    mode: int | None,
    kinds: Mapping[int, str] | None,
    dims: Sequence[str] | None,
    ticks: Sequence[Sequence[Any] | None] | None,
) -> tuple[list[np.ndarray], list[int], tuple[list[str], list[Any]], list[_Column]]:
    """Factors, which components, names of modes and entries, columns; before anything is drawn."""
    factors, own = factors_of(result)
    mode = check_mode(own if mode is None else mode, len(factors))
    n_components = factors[0].shape[1]
    some = range(min(n_components, _MOST_COMPONENTS)) if components is None else components
    chosen = check_components(some, n_components, _MOST_COMPONENTS)
    names = _check_names(dims, ticks, [len(factor) for factor in factors], mode)
    return factors, chosen, names, _columns(factors, mode, kinds or {}, names[1])


def _check_names(dims: Any, ticks: Any, shape: list[int], mode: int) -> tuple[list[str], list[Any]]:
    """Of each mode, and of its entries."""
    order = len(shape)
    for name, given in (("dims", dims), ("ticks", ticks)):
        is_sequence = hasattr(given, "__len__") and not isinstance(given, str)
        if given is not None and not (is_sequence and len(given) == order):
            raise ValueError(
                f"{name} must have one entry for each of the {order} modes, got {given!r}."
            )
    modes = [f"mode {k}" for k in range(order)] if dims is None else [str(one) for one in dims]
    entries = [None] * order if ticks is None else list(ticks)
    for k, names in enumerate(entries):
        if k != mode and names is not None and len(names) != shape[k]:
            raise ValueError(
                f"ticks must name the {shape[k]} entries of mode {k}, got {len(names)} names."
            )
    return modes, entries


def _columns(
    factors: list[np.ndarray], mode: int, kinds: Mapping[int, str], ticks: list[Any]
) -> list[_Column]:
    """What is drawn of which modes, in their order."""
    order = len(factors)
    if not isinstance(kinds, Mapping):
        raise TypeError(f"kinds must be a dict of modes, got {kinds!r}.")
    asked = {check_mode(k, order): kind for k, kind in kinds.items()}
    for kind in asked.values():
        check_choice(kind, "kinds", _KINDS)
    if mode in asked:
        raise ValueError(f"kinds must leave out mode {mode}, that of the samples.")
    others = [k for k in range(order) if k != mode]
    image = tuple(k for k in others if asked.get(k) == "image")
    if len(image) not in (0, 2):
        raise ValueError(f"kinds must make an image of two modes, got {len(image)}.")
    if not image:
        free = [k for k in others if k not in asked and ticks[k] is None]
        lengths = {k: len(factors[k]) for k in free}
        pairs = [
            (one, two)
            for one, two in itertools.pairwise(others)
            if {one, two} <= set(free)
            and min(lengths[one], lengths[two]) >= _SMALLEST_IMAGE
            and max(lengths[one], lengths[two]) <= _ALIKE * min(lengths[one], lengths[two])
        ]
        image = pairs[0] if pairs else ()
    columns = []
    for k in others:
        if k in image:
            columns += [_Column("image", image)] if k == image[0] else []
            continue
        is_short = len(factors[k]) <= _MOST_BARS or ticks[k] is not None
        columns.append(_Column(asked.get(k, "bars" if is_short else "line"), (k,)))
    return columns


def _pattern(column: _Column, factors: list[np.ndarray], r: int) -> np.ndarray:
    first, *second = (factors[k][:, r] for k in column.modes)
    return np.outer(first, second[0]) if second else first


def _draw(ax: Axes, column: _Column, pattern: np.ndarray, largest: float) -> None:
    ax.set_yticks([])
    if column.kind == "image":
        ax.imshow(pattern, cmap=COLOUR_MAP, vmin=-largest, vmax=largest, interpolation="nearest")
        return
    places = np.arange(len(pattern))
    ax.axhline(0, color=LIGHT, linewidth=0.8)
    if column.kind == "bars":
        ax.bar(places, pattern, color=DARK, width=0.7)
    else:
        ax.plot(places, pattern, color=DARK, linewidth=1)
    ax.set_ylim(-1.1 * largest, 1.1 * largest)
    ax.set_xlim(-0.6, len(pattern) - 0.4)


def _name_entries(ax: Axes, column: _Column, dims: list[str], ticks: list[Any]) -> None:
    """Below the last panel: the name of the mode, and of its entries or some of their numbers."""
    names = ticks[column.modes[-1]]
    ax.set_xlabel(" × ".join(dims[k] for k in column.modes))
    if names is not None and len(names) <= _MOST_TICKS:
        ax.set_xticks(np.arange(len(names)), [str(name) for name in names], rotation=90)
        ax.tick_params(axis="x", labelsize="small" if len(names) <= _MOST_BARS else 6)
    if column.kind == "image" and ticks[column.modes[0]] is not None:
        names = ticks[column.modes[0]]
        if len(names) <= _MOST_TICKS:
            ax.set_yticks(np.arange(len(names)), [str(name) for name in names], fontsize=6)
    elif names is None and column.kind != "image":
        low, high = ax.get_xlim()
        ax.set_xticks([0, int(high)])
        ax.set_xlim(low, high)
