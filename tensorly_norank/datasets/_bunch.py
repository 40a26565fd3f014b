"""What every loader and simulator returns: a Bunch, like those of `tensorly.datasets`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorly as tl
from sklearn.utils import Bunch

from tensorly_norank._validation import check_number, check_verbose

SIMULATED = "Simulated: no rights reserved (CC0)."  # the licence of what we make up ourselves


def check_drawing(n_samples: Any, verbose: Any, least: int = 1) -> None:
    """Check what every simulator takes."""
    check_number(n_samples, "n_samples", integer=True, low=least)
    check_verbose(verbose)


def allocate(n_tensors: int, n_samples: int, *sample_shape: int) -> np.ndarray:
    """Room for all samples, before any of them is drawn: too many are found out at once."""
    shape = n_tensors, n_samples, *sample_shape
    try:
        return np.empty(shape, np.float32)
    except (MemoryError, OverflowError, ValueError) as error:  # the last two: more than addresses
        gigabytes = 4 * math.prod(map(int, shape)) / 1e9
        raise MemoryError(
            f"n_samples must let the data fit into memory, got n_samples={n_samples}: samples of "
            f"shape {sample_shape} would take {gigabytes:.3g} GB. Take fewer or smaller ones."
        ) from error


def make_bunch(
    tensor: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    *,
    dims: Sequence[str],
    ticks: Sequence[Any],
    descr: str,
    reference: Sequence[str],
    licence: str,
    **more: Any,
) -> Bunch:
    """Put a data set together, its tensor in TensorLy's active backend.

    Parameters
    ----------
    tensor : ndarray
        The samples, on mode 0.
    labels : ndarray of shape (n_samples,)
        Integers that index `class_names`.
    class_names : sequence of str
        One for each class.
    dims : sequence of str
        What each mode is.
    ticks : sequence
        What each mode's entries are called, the samples' left out: they are called by their class.
    descr, reference, licence : str, sequence of str, str
        What the data are, whom to cite, what one may do with them.
    **more
        Further entries, left as they are.
    """
    names = np.asarray(class_names)
    return Bunch(
        tensor=tl.tensor(tensor),
        labels=labels,
        class_names=names,
        dims=list(dims),
        ticks=[names[labels], *map(np.asarray, ticks)],
        DESCR=descr,
        reference=list(reference),
        licence=licence,
        **more,
    )
