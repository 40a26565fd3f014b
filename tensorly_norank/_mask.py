"""Which entries of a tensor were observed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorly as tl
import torch
from torch import Tensor

from tensorly_norank._backend import Origin, check_dense, check_finite, enter, to_numpy

HINT = " mask='nan' takes NaN as missing."


@dataclass(frozen=True)
class Mask:
    """What was observed; without an array, whatever is not NaN."""

    array: Any = None  # of bool, as the tensor

    def seen(self, tensor: Any, index: tuple[slice, ...]) -> Any:
        """Which of `tensor[index]` were observed; an array of bool."""
        if self.array is not None:
            return self.array[index]
        part = tensor[index]
        return part == part

    def fill(self, tensor: Any) -> Any:
        """A copy of the tensor in which what was not observed is 0."""
        return tl.where(self.seen(tensor, (slice(None),)), tensor, tl.zeros_like(tensor))


def check_mask(mask: Any, tensor: Any, origin: Origin, name: str = "tensor") -> Mask | None:
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
    array = _numbers(mask) if is_plain else mask
    shape, wanted = tuple(array.shape), tuple(tl.shape(tensor))
    if shape != wanted:
        raise ValueError(f"mask must have the shape of {name}, {wanted}, got {shape}.")
    is_one = array == 1
    is_strange = ~(is_one | (array == 0))
    if bool(is_strange.any()):
        values = to_numpy(array)[to_numpy(is_strange)]
        raise ValueError(
            "mask must hold nothing but 1 or True (observed) and 0 or False (missing), got "
            f"{len(values)} other entries, the first of them {values[0]}."
        )
    if bool(is_one.all()):
        return None
    # numpy's may be of any layout, which other backends do not take.
    return Mask(origin.beside(tl.tensor(np.ascontiguousarray(is_one)) if is_plain else is_one))


def _numbers(mask: Any) -> np.ndarray:
    try:
        array = to_numpy(mask)
    except ValueError as error:  # of rows of different lengths
        raise ValueError(f"mask must be an array of the tensor's shape: {error}") from error
    if array.dtype == object and all(isinstance(one, bool | np.bool_) for one in array.flat):
        array = array.astype(bool)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"mask must hold numbers or booleans, got dtype {array.dtype}.")
    return array


def enter_observed(
    array: Any,
    mask: Mask | None,
    origin: Origin,
    mode: int,
    device: Any,
    name: str = "tensor",
    may_vanish: bool = False,
) -> Tensor:
    """A copy in torch with NaN where nothing was observed; what was observed must be finite."""
    entered = enter(array, origin, device)
    if mask is None:
        check_finite(entered, name, HINT, may_vanish)
        return entered
    seen = ~entered.isnan() if mask.array is None else enter(mask.array, origin, device) != 0
    check_finite(torch.where(seen, entered, 0), name, may_vanish=may_vanish)
    hidden = ~seen.movedim(mode, 0).flatten(1).any(dim=1)
    if bool(hidden.any()):
        raise ValueError(
            "mask must leave something to be seen of every sample, got no observed entry of "
            f"sample {int(hidden.int().argmax())} along mode {mode} ({int(hidden.sum())} such "
            f"samples): leave them out of {name}."
        )
    return entered.masked_fill_(~seen, torch.nan)


def check_observed(counts: np.ndarray, mode: int) -> None:
    """Raise where nothing was observed of some slice; of counts of samples (*other modes)."""
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
