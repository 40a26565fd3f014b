"""What every loader and simulator returns: a Bunch, like those of `tensorly.datasets`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorly as tl
from sklearn.utils import Bunch

SIMULATED = "Simulated: no rights reserved (CC0)."  # the licence of what we make up ourselves


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


def as_published(template: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A template of the method's published simulations with its noise: σ = 0.05, cut to [0, 1]."""
    return np.clip(template + rng.normal(0, 0.05, template.shape), 0, 1)
