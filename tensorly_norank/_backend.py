"""The border between TensorLy's backends and torch: the only file that knows both.

TensorLy's functions are not used inside the trained part, on purpose: `tl.tensor` cuts the autograd
graph, contexts carry `requires_grad`, and the active backend is a process-wide switch. So a tensor
crosses the border once on its way in, as a copy, and results cross it once on their way out.
Arrays whose library speaks DLPack (JAX's, CuPy's) do so on their own device, others through numpy.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorly as tl
import torch
from torch import Tensor

_LARGEST_ENTRY = 1e140
# Where the function from_dlpack is. (numpy has it too, but torch warns of its read-only arrays.)
_SPEAK_DLPACK = {"jax": "jax.numpy", "cupy": "cupy"}
_HALVES = {"float16", "bfloat16"}
_FLOATS = {"float32", "float64", *_HALVES}
_MAY_HAVE_A_MASK = {"tensor", "samples", "X"}
_WIDE_INTEGERS = {"int32", "int64", "uint32", "uint64"}
_INTEGERS = {"bool", "int8", "uint8", "int16", "uint16", *_WIDE_INTEGERS}


@dataclass(frozen=True)
class Origin:
    """Where a tensor came from, and so how results go back."""

    backend: str
    dtype: Any  # the backend's own; what integers are promoted to, for them
    working: str  # "float32" or "float64": what is computed in
    device: torch.device | None = None  # None where torch cannot look at the array's own memory

    def cast(self, array: Any) -> Any:
        """An array of the active backend in the caller's float dtype, on its device."""
        return tl.tensor(array, dtype=self.dtype, **self._place)

    def double(self, array: Any) -> Any:
        """The same in float64."""
        return tl.tensor(array, dtype=tl.backend.float64, **self._place)

    def beside(self, array: Any) -> Any:
        """An array of the active backend, in its own dtype, on the caller's device."""
        return tl.tensor(array, dtype=array.dtype, **self._place)

    @property
    def name(self) -> str:
        """Of the caller's dtype: "float32", ..., on every backend."""
        return _letters(self.dtype)

    @property
    def largest(self) -> float:
        """The largest number of the caller's dtype."""
        return float(torch.finfo(getattr(torch, self.name)).max)

    @property
    def _place(self) -> dict[str, Any]:
        return {"device": self.device} if self.backend == "pytorch" else {}

    def restore(self, tensor: Tensor) -> Any:
        """A torch tensor as a tensor of the caller's backend, dtype and device; always a copy."""
        tensor = tensor.detach()
        if self.backend == "pytorch":
            return self.cast(tensor)
        if self.device is None:
            return self.cast(tensor.cpu().numpy())
        library = importlib.import_module(_SPEAK_DLPACK[self.backend])
        return self.cast(library.from_dlpack(tensor.to(self.device).contiguous()))


def origin_of(array: Any, name: str = "tensor") -> Origin:
    """Check that `array` is a real tensor of the active backend, and note where it came from.

    Integers and booleans are promoted as numpy promotes them with float32 (those of 32 and 64 bits
    to float64). Half precision is computed in float32 and handed back in half precision.

    Raises
    ------
    TypeError
        If `array` is no tensor of the active backend.
    ValueError
        If it does not hold real numbers.
    """
    backend = tl.get_backend()
    if not tl.is_tensor(array):
        raise TypeError(
            f"{name} must be a tensor of TensorLy's active backend, {backend!r}, got "
            f"{_describe(array)}.{_conversion(array, name)}"
        )
    check_dense(array, name)
    letters = _letters(array.dtype)
    if letters not in _FLOATS | _INTEGERS:
        raise ValueError(
            f"{name} must hold real numbers (of a float dtype of up to 64 bits, an integer or bool "
            f"dtype), got dtype {array.dtype}."
        )
    shared = _shared(array, backend)
    device = None if shared is None else shared.device
    if letters in _FLOATS:
        return Origin(
            backend, array.dtype, "float64" if letters == "float64" else "float32", device
        )
    working = "float64" if letters in _WIDE_INTEGERS else "float32"
    return Origin(backend, getattr(tl.backend, working), working, device)


def origin_named(dtype: str, working: str, device: Any = None) -> Origin:
    """That of an array of the active backend with such a dtype, on a device (of torch's)."""
    backend, place = tl.get_backend(), check_device(device)
    if backend == "pytorch":
        return Origin(backend, getattr(torch, dtype), working, place or torch.device("cpu"))
    if dtype == "bfloat16" and backend == "numpy":
        dtype = "float32"  # numpy has no such numbers
    return Origin(backend, getattr(tl.backend, dtype, dtype), working)


def _letters(dtype: Any) -> str:
    # numpy's str() of a dtype of the other byte order is ">f8", its name "float64"; and
    # tl.backend.float64 may be a class.
    name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None)
    return name or str(dtype).removeprefix("torch.")


def check_dense(array: Any, name: str) -> None:
    """Raise a TypeError if what `array` holds is masked, sparse or not there."""
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        hint = f" Pass {name}.data, and mask=~{name}.mask." if name in _MAY_HAVE_A_MASK else ""
        raise TypeError(
            f"{name} must not be a masked array, got one with {int(np.ma.count_masked(array))} "
            f"masked entries: what the mask hides would be used.{hint}"
        )
    if isinstance(array, Tensor) and (
        array.layout != torch.strided or array.is_meta or array.is_nested
    ):
        kind = "without data" if array.is_meta else f"of layout {array.layout}"
        kind = "that is nested" if array.is_nested else kind
        raise TypeError(f"{name} must be a dense tensor, got one {kind}.")
    if not isinstance(array, Tensor) and hasattr(array, "toarray"):  # scipy's
        raise TypeError(
            f"{name} must be dense, not sparse, got {_describe(array)}: its toarray() gives an "
            "array."
        )


def check_device(device: Any, name: str = "device") -> torch.device | None:
    """The device of that name; None stays None. Raises if torch cannot compute there."""
    if device is None:
        return None
    try:
        found = torch.device(device)
        torch.zeros(1, dtype=torch.float64, device=found).item()
    except (RuntimeError, AssertionError, ImportError, TypeError) as error:
        kind: type[Exception] = ValueError
        reason = ": " + str(error).partition("\n")[0].partition(". ")[0]
        if isinstance(error, TypeError):  # of which torch says at length what it takes
            kind, reason = TypeError, "."
        raise kind(
            f"{name} must be one that torch can compute on here (in float64 too), such as 'cpu' or "
            f"'cuda:0', got {device!r}{reason}"
        ) from error
    return found


def enter(array: Any, origin: Origin, device: torch.device | None = None) -> Tensor:
    """Copy a tensor into torch, contiguous and without gradient, in its working dtype.

    To the device given; by default it stays on its own, where torch can look at it there.
    """
    shared = _shared(array, origin.backend)
    if shared is None:
        copy = torch.from_numpy(np.array(tl.to_numpy(array), dtype=origin.working, order="C"))
        return copy if device is None else copy.to(device)
    working = getattr(torch, origin.working)
    copy = torch.empty(shared.shape, dtype=working, device=device or shared.device)
    return copy.copy_(shared)


def _shared(array: Any, backend: str) -> Tensor | None:
    """The array's own memory as a torch tensor, to be read only; None where that cannot be had."""
    if isinstance(array, Tensor):
        return array.detach()
    if backend not in _SPEAK_DLPACK:
        return None
    try:
        return torch.from_dlpack(array)
    except (AttributeError, BufferError, RuntimeError, TypeError, ValueError):
        return None  # a dtype, layout or device that one of the two does not know


def _conversion(array: Any, name: str) -> str:
    """How a tensor of the active backend can be had, if it can."""
    if hasattr(array, "to_tensor"):  # TensorLy's decompositions
        return f" {name}.to_tensor() is the tensor that it stands for."
    for dense in ("toarray", "todense"):
        if hasattr(array, dense):
            return f" Convert it with tl.tensor({name}.{dense}())."
    if isinstance(array, list | tuple) or hasattr(array, "__array__"):
        return f" Convert it with tl.tensor({name}), or change the backend with tl.set_backend."
    return ""


def _describe(array: Any) -> str:
    kind = type(array)
    module = kind.__module__.split(".")[0]
    return f"a {kind.__name__}" if module == "builtins" else f"a {module}.{kind.__name__}"


def check_finite(
    tensor: Tensor, name: str = "tensor", hint: str = "", may_vanish: bool = True
) -> None:
    """Raise a ValueError that counts the NaN and infinite entries and says where the first is.

    So it does where the square of an entry would overflow; and of what is fitted, which may not
    vanish, where those of all entries would.
    """
    if not tensor.numel():
        return
    largest = float(torch.stack(torch.aminmax(tensor)).abs().amax())  # NaN if any entry is
    if 0 < largest < 1 / _LARGEST_ENTRY and not may_vanish:
        raise ValueError(
            f"{name} must hold some number beyond {1 / _LARGEST_ENTRY:g}, for squares of smaller "
            f"ones vanish, got {largest:g} at most: multiply it by a constant."
        )
    if largest <= _LARGEST_ENTRY:
        return
    bad = ~torch.isfinite(tensor)  # who is to blame is looked for only then
    n_bad = int(bad.sum())
    if n_bad:
        n_nan = int(torch.isnan(tensor).sum())
        first = np.unravel_index(int(bad.flatten().int().argmax()), tuple(bad.shape))
        raise ValueError(
            f"{name} must be finite, got {n_nan} NaN and {n_bad - n_nan} infinite entries among "
            f"{tensor.numel()}, the first at index {tuple(int(k) for k in first)}."
            f"{hint if n_nan else ''}"
        )
    raise ValueError(
        f"{name} must hold no number beyond {_LARGEST_ENTRY:g}, whose squares would overflow, "
        f"got {largest:g}: divide it by a constant."
    )


def to_numpy(array: Any) -> np.ndarray:
    """Any array-like, a tensor of whichever backend too, as a numpy array on the host."""
    if isinstance(array, Tensor):
        array = array.detach().cpu()
        return (array.float() if array.dtype == torch.bfloat16 else array).numpy()
    return np.asarray(tl.to_numpy(array) if tl.is_tensor(array) else array)
