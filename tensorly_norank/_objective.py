"""What a fit minimises: triplets, or a loss of the caller's, and the terms beside them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tensorly_norank._batches import class_balanced_pass
from tensorly_norank._global_state import lent_global_generators
from tensorly_norank._parts import Part, PlacedBatch
from tensorly_norank.losses import diversity_loss, locality_loss, uniformity_loss

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Objective:
    """The weighted sum of the four terms; a weight of 0 leaves a term out."""

    margin: float
    diversity: float
    uniformity: float
    locality: float
    loss: Loss | None = None  # in place of the triplets

    def own_copy(self, points: Tensor) -> Objective:
        """For one fit: a loss with parameters, or memory, has them for itself, beside `points`."""
        return replace(self, loss=_copied(self.loss, points))

    def parameters(self) -> Iterator[nn.Parameter]:
        """Those of the loss, which are learned with the encoder's."""
        return self.loss.parameters() if isinstance(self.loss, nn.Module) else iter(())

    def terms(
        self, part: Part, points: Tensor, batch: PlacedBatch, samples: Tensor, varied: Tensor
    ) -> dict[str, Tensor]:
        """Each term that counts, unweighted, of a batch whose `varied` samples are `points`."""
        if self.loss is None:
            triplets = part.batch_triplets(points, batch, varied)
            first = {"triplet": triplets.loss(self.margin, batch.weights)}
        else:
            first = {"loss": self.loss(points, batch.labels)}
        return first | self.regularisers(points, batch.labels, samples)

    def regularisers(self, embedding: Tensor, labels: Tensor, samples: Tensor) -> dict[str, Tensor]:
        """Each term beside the triplets that counts, unweighted, of samples (n, ...)."""
        terms = {}
        if self.diversity:
            terms["diversity"] = diversity_loss(embedding)
        if self.uniformity:
            terms["uniformity"] = uniformity_loss(embedding)
        if self.locality:
            flat = samples.flatten(1)
            terms["locality"] = locality_loss(embedding, labels, torch.cdist(flat, flat))
        return terms

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """The weighted sum."""
        weights = vars(self) | {"triplet": 1.0, "loss": 1.0}
        return torch.stack([weights[name] * term for name, term in terms.items()]).sum()

    def monitored(self, part: Part, embedding: Tensor, samples: Tensor, batch_size: int) -> float:
        """The objective, to be compared across passes.

        With the hinge averaged over all triplets; or a loss of the caller's over batches, always
        the same ones, of the size that it is made for.
        """
        regularisers = self.regularisers(embedding, part.labels, samples)
        if self.loss is None:
            first = {"triplet": embedding.new_tensor(part.hinge(embedding, self.margin))}
        else:
            loss = _copied(self.loss, embedding)  # looking must not change what it remembers
            batches = part.batches(batch_size, np.random.default_rng(0))
            placed = [part.place(batch) for batch in batches]
            with lent_global_generators(embedding.device, 0):
                values = [loss(embedding[batch.indices], batch.labels) for batch in placed]
            first = {"loss": torch.stack(values).mean().to(embedding)}
        return float(self.total(first | regularisers))


def _copied(loss: Any, points: Tensor) -> Any:
    """A module that shares nothing with the one given, beside `points`; a function as it is."""
    return copy.deepcopy(loss).to(points).train() if isinstance(loss, nn.Module) else loss


def check_callable(loss: Any) -> None:
    """Raise an error unless it is."""
    if not callable(loss):
        raise TypeError(f"loss must be callable as loss(embedding, labels), got {loss!r}.")


def check_loss(loss: Any, n_dimensions: int, part: Part, batch_size: int) -> None:
    """Raise an error unless it maps points and labels to a number that can be minimised.

    It is tried on a batch of random points, and without all but one sample of a class, as such
    batches are to come.
    """
    check_callable(loss)
    if type(part) is not Part:
        raise ValueError("loss needs labels, got none: it is a function of points and labels.")
    codes = part.codes[part.known]
    batch = class_balanced_pass(codes, batch_size, np.random.default_rng(0))[0]
    labels = torch.from_numpy(codes[batch.indices])
    labels[-1] = int(codes.max())  # a loss that knows too few classes fails here
    generator = torch.Generator("cpu").manual_seed(0)
    points = torch.randn(len(labels), n_dimensions, generator=generator, device="cpu")
    points = nn.functional.normalize(points).to(part.samples)
    own = _copied(loss, points)
    rows = torch.arange(len(labels), device="cpu")
    thinned = rows[(labels != labels[0]) | (rows == 0)]
    for chosen, which in [(rows, ""), (thinned, ", one of them the only one of its class")]:
        given = f"for {len(chosen)} points of dimension {n_dimensions} and their labels{which}"
        with torch.enable_grad(), lent_global_generators(points.device, 0):
            _try(own, points[chosen].requires_grad_(), labels[chosen].to(points.device), given)
    try:
        _copied(own, points)  # as is done in every pass, to look without being remembered
    except Exception as error:
        raise ValueError(
            f"loss must be one that can be copied after a call: {type(error).__name__}: {error}"
        ) from error


def _try(loss: Loss, points: Tensor, labels: Tensor, given: str) -> None:
    try:
        value = loss(points, labels)
    except Exception as error:
        raise ValueError(f"loss failed {given}: {type(error).__name__}: {error}") from error
    if not isinstance(value, Tensor) or value.ndim or value.is_complex():
        is_tensor = isinstance(value, Tensor)
        found = f"{value.dtype} of shape {tuple(value.shape)}" if is_tensor else repr(value)
        raise TypeError(f"loss must return a real torch tensor of shape (), got {found} {given}.")
    if not bool(value.isfinite()):
        found = str(float(value.detach()))
        raise ValueError(f"loss must return a finite number, got {found} {given}.")
    gradient = None
    if value.requires_grad:
        (gradient,) = torch.autograd.grad(value, points, allow_unused=True)
    own = set(loss.parameters()) if isinstance(loss, nn.Module) else set()
    if _leaves(value) - own - {points}:
        raise ValueError(
            "loss must have no parameters but its own: those that a function holds are not "
            "learned. Make it a torch.nn.Module that has them."
        )
    if gradient is None or not bool(gradient.isfinite().all()):
        found = "none" if gradient is None else "one with NaN or infinite entries"
        raise ValueError(f"loss must have a gradient by the embedding, got {found} {given}.")


def _leaves(value: Tensor) -> set[Tensor]:
    """All tensors that a gradient would be left in."""
    waiting, seen, leaves = [value.grad_fn], set(), set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            leaves.add(node.variable)
        waiting += [one for one, _ in node.next_functions]
    return leaves
