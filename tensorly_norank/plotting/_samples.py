"""Samples themselves, where they are images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tensorly_norank._backend import check_dense, to_numpy
from tensorly_norank._validation import check_number
from tensorly_norank.plotting._axes import check_axes, new_axes
from tensorly_norank.plotting._classes import classes_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
        The class of each sample; those without one (None, NaN, or −1 among integers of two other
        classes) are not drawn.
    class_names : sequence of str or dict, optional
        What to write beside the rows, in the order of the sorted labels; by default the labels.
        There may be more names than classes if labels are integers that index them. Or a dict from
        labels to names.
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
    classes = classes_of(labels, len(values), class_names)
    if not len(classes):
        raise ValueError("labels must say of some samples which class they are of, got none.")
    check_number(n_each, "n_each", integer=True, low=1)
    n_each = min(n_each, int(np.bincount(classes.codes[classes.codes >= 0]).max()))
    images = values.sum(axis=3) if values.ndim == 4 else values
    if stretch is not None:
        check_number(stretch, "stretch", include_low=False)
        images = np.arcsinh(images / stretch)
    _, n_rows, n_columns = images.shape
    sheet = np.full((len(classes) * (n_rows + 1), n_each * (n_columns + 1)), np.nan)
    for code in range(len(classes)):
        for place, index in enumerate(np.flatnonzero(classes.codes == code)[:n_each]):
            row, column = code * (n_rows + 1), place * (n_columns + 1)
            sheet[row : row + n_rows, column : column + n_columns] = _to_unit(images[index])
    beside = 0.1 * max(map(len, classes.names))  # inches for the longest name
    height = 1.0 * len(classes) * n_rows / n_columns
    ax = check_axes(ax) or new_axes(1.0 * n_each + beside, height)
    ax.imshow(sheet, cmap="gray", interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks(np.arange(len(classes)) * (n_rows + 1) + n_rows / 2, classes.names)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def _to_unit(image: np.ndarray) -> np.ndarray:
    known = image[np.isfinite(image)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 0.0)
    return (image - low) / ((high - low) or 1.0)
