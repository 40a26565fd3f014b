"""Encoders: torch modules that map samples (batch, *sample_shape) to points (batch, n_components).

An encoder is built from sizes alone, so that it can be built again and given stored parameters;
`initialize` then fits to the data what does not need labels (principal axes, starting values).
Random numbers come from the generator that is handed in, never from torch's global one, and nothing
in an encoder ties a sample to the others of its batch.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tensorly_norank._global_state import lent_global_generators
from tensorly_norank.encoders._base import Encoder
from tensorly_norank.encoders._convolution import ConvEncoder
from tensorly_norank.encoders._linear import LinearEncoder, MultilinearEncoder
from tensorly_norank.encoders._perceptron import MLPEncoder

__all__ = [
    "ConvEncoder",
    "Encoder",
    "LinearEncoder",
    "MLPEncoder",
    "MultilinearEncoder",
]

_LONG = 8  # a mode of this length makes convolutions worth a trial

_ENCODERS: dict[str, type[Encoder]] = {
    "multilinear": MultilinearEncoder,
    "linear": LinearEncoder,
    "mlp": MLPEncoder,
    "conv": ConvEncoder,
}


def make_encoder(name: str, sample_shape: Sequence[int], n_components: int) -> Encoder:
    """Build an encoder by name."""
    return _ENCODERS[name](sample_shape, n_components)


def candidates(sample_shape: Sequence[int]) -> list[str]:
    """Names of the encoders that make sense for samples of this shape.

    The first, which assumes least about the data, is taken where nothing can be compared.
    """
    names = ["mlp"]
    if max(sample_shape) >= _LONG:
        names.append("conv")
    if sum(length > 1 for length in sample_shape) > 1:
        names.append("multilinear")
    return [*names, "linear"]


def _copied(encoder: nn.Module) -> nn.Module:
    """A copy, as every fit gets one of its own; raises if there can be none."""
    try:
        copied = copy.deepcopy(encoder)
    except Exception as error:  # torch.nn.utils.weight_norm's weights are no leaves of the graph
        raise ValueError(
            "encoder must be a module that copy.deepcopy can copy (of torch.nn.utils those in "
            f"parametrizations can be), got an error from {type(encoder).__name__}: {error}"
        ) from error
    if not all(parameter.is_leaf for parameter in copied.parameters()):
        raise ValueError(
            "encoder must be a module whose copy can be trained, got one whose copy has parameters "
            f"that depend on others: {type(encoder).__name__} (scripted modules are like that)."
        )
    return copied


def check_encoder(encoder: str | nn.Module, samples: Tensor, n_components: int) -> int:
    """Try an encoder on a few samples, without touching it; the dimension of its embedding."""
    if isinstance(encoder, str):
        if encoder != "auto" and encoder not in _ENCODERS:
            names = ", ".join(repr(name) for name in ["auto", *_ENCODERS])
            raise ValueError(
                f"encoder must be one of {names}, or a torch.nn.Module, got {encoder!r}."
            )
        if encoder != "auto":
            make_encoder(encoder, samples.shape[1:], n_components)  # which may refuse the shape
        return n_components
    if not isinstance(encoder, nn.Module):
        raise TypeError(
            f"encoder must be a name or a torch.nn.Module, got {encoder!r} of type "
            f"{type(encoder).__name__}."
        )
    if isinstance(encoder, Encoder) and encoder.sample_shape != tuple(samples.shape[1:]):
        raise ValueError(
            f"encoder must be built for samples of shape {tuple(samples.shape[1:])}, got "
            f"{type(encoder).__name__} for {encoder.sample_shape}."
        )
    module = _copied(encoder).to(samples).eval()
    with torch.enable_grad(), lent_global_generators(samples.device, 0):
        try:
            points = module(torch.zeros_like(samples))
        except Exception as error:
            raise ValueError(
                "encoder must map (batch, *sample_shape) to (batch, D), got an error "
                f"from {type(encoder).__name__} on shape {tuple(samples.shape)}: {error}"
            ) from error
    shape = tuple(points.shape) if isinstance(points, Tensor) else type(points).__name__
    if not isinstance(points, Tensor) or points.ndim != 2 or len(points) != len(samples):
        raise ValueError(
            f"encoder must return (batch, D), ({len(samples)}, D) for {len(samples)} samples, "
            f"got {shape} from {type(encoder).__name__}."
        )
    if points.shape[1] < 1 or not points.is_floating_point():
        raise ValueError(
            "encoder must return real numbers of one dimension or more, got shape "
            f"{tuple(points.shape)} of {points.dtype} from {type(encoder).__name__}."
        )
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise ValueError(
            f"encoder must have parameters to train, got {type(encoder).__name__} without any that "
            "requires a gradient."
        )
    if not points.requires_grad:
        raise ValueError(
            "encoder must return points that its parameters can be trained by, got such as have no "
            f"gradient from {type(encoder).__name__} (are they detached?)."
        )
    return points.shape[1]
