"""Which entries of a tensor were observed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorly as tl

from tensorly_norank._backend import Origin, check_dense, to_numpy


@dataclass(frozen=True)
class Mask:
    """What was observed; without an array, whatever is not NaN."""

    array: Any = None  # as the tensor; nonzero where observed

    def seen(self, tensor: Any, index: tuple[slice, ...]) -> Any:
        """Which of `tensor[index]` were observed; an array of bool."""
        if self.array is not None:
            return self.array[index] != 0
        part = tensor[index]
        return part == part

    def fill(self, tensor: Any, index: tuple[slice, ...] = (...,)) -> Any:  # type: ignore[assignment]
        """A copy of `tensor[index]` in which what was not observed is 0."""
        part = tensor[index]
        return tl.where(self.seen(tensor, index), part, tl.zeros_like(part))


def check_mask(mask: Any, tensor: Any, origin: Origin) -> Mask | None:
    """The mask of a tensor; None where nothing is missing.

    Parameters
    ----------
    mask : None, "nan" or array-like of the tensor's shape
        1 or True where an entry was observed, 0 or False where it is missing. Any array will do.
    tensor : tensor
        In the active backend.
    origin : Origin
        Of the tensor.
    """
    if mask is None:
        return None
    if isinstance(mask, str):
        if mask != "nan":
            raise ValueError(f"mask must be an array, None or 'nan', got {mask!r}.")
        return None if bool(tl.all(tensor == tensor)) else Mask()
    check_dense(mask, "mask")
    is_plain = isinstance(mask, np.ndarray) or not tl.is_tensor(mask)
    array = tl.tensor(_numbers(mask)) if is_plain else mask
    shape, wanted = tuple(tl.shape(array)), tuple(tl.shape(tensor))
    if shape != wanted:
        raise ValueError(f"mask must have the shape of tensor, {wanted}, got {shape}.")
    array = origin.beside(array)
    is_one = array == 1
    if not bool(tl.all(is_one | (array == 0))):
        raise ValueError(
            "mask must hold nothing but 1 or True (observed) and 0 or False (missing), got other "
            "values."
        )
    return None if bool(tl.all(is_one)) else Mask(array)


def _numbers(mask: Any) -> np.ndarray:
    array = to_numpy(mask)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"mask must hold numbers or booleans, got dtype {array.dtype}.")
    return array


def check_observed(n_observed: Any, mode: int) -> None:
    """Raise where nothing was observed of some slice; of counts of samples (*other modes)."""
    counts = tl.to_numpy(n_observed)
    if not counts.any():
        raise ValueError("mask must leave something to be seen, got no observed entry at all.")
    for k in range(counts.ndim):
        of_slices = counts.sum(axis=tuple(j for j in range(counts.ndim) if j != k))
        hidden = np.flatnonzero(of_slices == 0)
        if len(hidden):
            raise ValueError(
                "mask must leave something to be seen of every slice, got none of slice "
                f"{int(hidden[0])} along mode {k + (k >= mode)} ({len(hidden)} such slices along "
                "that mode): leave them out of tensor."
            )
