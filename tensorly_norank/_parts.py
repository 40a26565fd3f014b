"""Samples that serve one purpose, with what is known about which of them are alike.

Classes, comparisons or nothing but the samples themselves: a fit asks a part for batches and for
triplets, and need not know which it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from tensorly_norank._batches import (
    Batch,
    Split,
    class_balanced_pass,
    comparisons_pass,
    default_batch_size,
    drawn_evenly,
    random_pass,
    some_samples,
    split_at_random,
    split_samples,
)
from tensorly_norank._class_balance import class_weights
from tensorly_norank._triplets import AllTriplets, ListedTriplets, pairwise_distances

_MOST_COMPANIONS = 1024  # fitted samples beside those that are placed
_N_NEIGHBORS = 10
_SHARE_NEAR = 0.04  # of the samples that are looked at, where ten neighbours would be more
_MOST_HELD_OUT = 8192  # comparisons that are looked at
_MOST_DIAGNOSED = 20_000  # the same, of fitted samples
_COMPARISONS_A_STEP = 1024  # of training
_LARGEST_BATCH = 1536  # samples


@dataclass(frozen=True)
class PlacedBatch:
    """A batch, its numbers beside the samples: putting them there waits for a GPU, steps do not."""

    indices: Tensor  # (B,) which samples
    weights: Tensor  # (B,) of each as an anchor
    labels: Tensor  # (B,)
    largest: int  # how many of them are of one class
    triplets: Tensor | None  # (T, 3) places in `indices`
    depth: float


@dataclass(frozen=True)
class Part:
    """Samples of classes: alike are those of one class."""

    samples: Tensor  # (n, *sample_shape); NaN where nothing was observed
    codes: np.ndarray  # (n,); −1 where nothing is known of a sample, which no fit takes
    places: np.ndarray | None = None  # (n,) where they are among all samples, if that matters

    too_few: ClassVar[str] = "that takes two classes with 4 labelled samples or more"
    most_passes: ClassVar[int] = 150  # by default: a pass of few samples has few steps

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def labels(self) -> Tensor:
        """The codes, beside the samples."""
        return self._beside_samples(self.codes)

    @property
    def known(self) -> np.ndarray:
        """Indices of the samples that a fit can learn from."""
        return np.flatnonzero(self.codes >= 0)

    @property
    def can_teach(self) -> bool:
        """Whether there is any triplet."""
        sizes = np.bincount(self.codes)
        return bool((sizes > 0).sum() >= 2 and sizes.max() >= 2)

    @property
    def default_batch_size(self) -> int:
        """Of training."""
        return default_batch_size(len(self))

    def take(self, indices: np.ndarray) -> Part:
        """The samples at `indices`, in their order; a copy."""
        samples = take_rows(self.samples, indices)
        places = None if self.places is None else self.places[indices]
        return replace(self, samples=samples, codes=self.codes[indices], places=places)

    def filled_by(self, fill: Callable[[Tensor], Tensor]) -> Self:
        """With samples in which nothing is missing."""
        samples = fill(self.samples)
        return self if samples is self.samples else replace(self, samples=samples)

    def held_out(self, indices: np.ndarray, company: np.ndarray) -> Part:
        """Samples that are looked at by themselves, or beside fitted ones if it takes those."""
        return self.take(indices)

    def beside(self, indices: np.ndarray, fitted: np.ndarray, rng: np.random.Generator) -> Part:
        """First these samples, then fitted ones, enough to tell where the former lie."""
        companions = drawn_evenly(self.codes[fitted], _MOST_COMPANIONS, rng, self.codes[indices])
        return self.take(np.concatenate([indices, fitted[companions]]))

    def some(self, n_most: int, rng: np.random.Generator) -> Part:
        """At most so many of the samples, evenly over classes."""
        return self.take(some_samples(self.codes, n_most, rng))

    def drawn(self, n_most: int, rng: np.random.Generator) -> Part:
        """At most so many of the samples that are known, evenly over classes."""
        return self.take(self.known[some_samples(self.codes[self.known], n_most, rng)])

    def split(self, fraction: float, rng: np.random.Generator) -> list[Split]:
        """What is fitted, what stops the fit, and what counts components; several times."""
        return split_samples(self.codes, fraction, rng)

    def batches(self, batch_size: int, rng: np.random.Generator) -> list[Batch]:
        """Of one pass."""
        return class_balanced_pass(self.codes, batch_size, rng)

    def place(self, batch: Batch) -> PlacedBatch:
        """The batch beside the samples."""
        codes = self.codes[batch.indices]
        return PlacedBatch(
            indices=self._beside_samples(batch.indices),
            weights=self._beside_samples(batch.weights),
            labels=self._beside_samples(codes),
            largest=int(np.unique(codes, return_counts=True)[1].max()),
            triplets=None if batch.triplets is None else self._beside_samples(batch.triplets),
            depth=batch.depth,
        )

    def _beside_samples(self, numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(numbers).to(self.samples.device)

    def triplets(self, points: Tensor) -> AllTriplets | ListedTriplets:
        """Of all samples, embedded as `points`."""
        return AllTriplets.of_classes(pairwise_distances(points), self.labels)

    def batch_triplets(
        self, points: Tensor, batch: PlacedBatch, varied: Tensor
    ) -> AllTriplets | ListedTriplets:
        """Of a batch, whose `varied` samples are embedded as `points`."""
        return AllTriplets.of_classes(pairwise_distances(points), batch.labels, batch.largest)

    def differences(
        self, samples: Tensor, batch: PlacedBatch, generator: torch.Generator
    ) -> Tensor:
        """For each sample of a batch, the difference of a random pair of samples that are alike.

        Samples are ordered by class, at random within it; each one's partner is the next of its
        class, or itself where there is none.
        """
        device, labels = samples.device, batch.labels
        shuffled = torch.randperm(len(samples), generator=generator, device=device)
        order = shuffled[torch.argsort(labels[shuffled], stable=True)]
        following = order.roll(-1)
        has_partner = labels[order] == labels[following]
        following = torch.where(has_partner, following, order)
        receivers = torch.randperm(len(samples), generator=generator, device=device)
        return (samples[order] - samples[following])[receivers]

    def mean(self, by_anchor: Tensor) -> float:
        """Over samples within each class, then over classes, skipping NaN."""
        values = by_anchor.double().cpu().numpy()  # at once: a GPU waits whenever it is asked
        is_known = ~np.isnan(values)
        if not is_known.any():
            return float("nan")
        return float(class_weights(self.codes[is_known]) @ values[is_known])

    def figures(self, points: Tensor, margin: float) -> Tensor:
        """Share of each anchor's triplets in order, and their mean hinge, (2, n)."""
        triplets = self.triplets(points)
        return torch.stack(
            [triplets.order_by_anchor().double(), triplets.hinge_by_anchor(margin).double()]
        )

    def hinge(self, points: Tensor, margin: float) -> float:
        """Mean hinge over all triplets, violating or not.

        The mean over violating triplets alone is no measure of progress, because its denominator
        shrinks too.
        """
        return self.mean(self.figures(points, margin)[1])

    def triplet_accuracy(self, points: Tensor) -> float:
        """Share of triplets in the right order, ties counting half."""
        return self.mean(self.triplets(points).order_by_anchor())


@dataclass(frozen=True)
class ComparedPart(Part):
    """Samples that somebody has compared: code 0 for those that a comparison names, −1 else."""

    # (T, 3) anchor, positive, negative
    comparisons: np.ndarray = field(default_factory=lambda: np.empty((0, 3), dtype=int))

    too_few: ClassVar[str] = "that takes six compared samples in the validation_fraction"

    @property
    def can_teach(self) -> bool:
        """Whether there is any triplet."""
        return len(self.comparisons) > 0

    @property
    def default_batch_size(self) -> int:
        """So many samples as have about 1,024 comparisons among them, where these are dense."""
        share = min(1.0, _COMPARISONS_A_STEP / max(len(self.comparisons), 1)) ** (1 / 3)
        return int(np.clip(share * len(self.known), 64, _LARGEST_BATCH))

    def take(self, indices: np.ndarray) -> ComparedPart:
        """The samples at `indices`, in their order, and the comparisons among them."""
        return self._with(indices, self.comparisons)

    def held_out(self, indices: np.ndarray, company: np.ndarray) -> ComparedPart:
        """These samples first, then those that they are compared with.

        They are the anchors, and both others are of their company: two that were fitted are as near
        or as far as they were told to be, which says nothing of a third.
        """
        rows = self._rows(indices, company)
        # Looking must not change what is drawn after it: a generator of its own.
        rows = rows[np.random.default_rng(0).permutation(len(rows))[:_MOST_HELD_OUT]]
        others = np.setdiff1d(rows, indices)
        return self._with(np.concatenate([indices, others]), rows)

    def beside(
        self, indices: np.ndarray, fitted: np.ndarray, rng: np.random.Generator
    ) -> ComparedPart:
        """First these samples, then those that they are compared with."""
        return self.held_out(indices, fitted)

    def some(self, n_most: int, rng: np.random.Generator) -> ComparedPart:
        """So many of the comparisons, and their samples."""
        rows = self.comparisons[rng.permutation(len(self.comparisons))[: max(n_most, 1)]]
        return self._with(np.unique(rows), rows)

    def drawn(self, n_most: int, rng: np.random.Generator) -> ComparedPart:
        """The samples of many comparisons."""
        return self.some(_MOST_DIAGNOSED, rng)

    def _rows(self, anchors: np.ndarray, others: np.ndarray) -> np.ndarray:
        """The comparisons of these anchors with these others."""
        is_anchor, is_other = np.zeros((2, len(self)), dtype=bool)
        is_anchor[anchors] = is_other[others] = True
        rows = self.comparisons
        return rows[is_anchor[rows[:, 0]] & is_other[rows[:, 1:]].all(axis=1)]

    def _with(self, indices: np.ndarray, rows: np.ndarray) -> ComparedPart:
        numbers = np.full(len(self), -1)
        numbers[indices] = np.arange(len(indices))
        rows = numbers[rows]
        part = super().take(indices)
        assert isinstance(part, ComparedPart)
        return replace(part, comparisons=rows[(rows >= 0).all(axis=1)])

    def split(self, fraction: float, rng: np.random.Generator) -> list[Split]:
        """What is fitted, what stops the fit, and what counts components; several times.

        Where only some samples are anchors, a split may have nothing to fit, or to count.
        """
        splits = []
        for split in split_at_random(self.known, fraction, rng):
            if split.count is None or not len(self._rows(split.fit, split.fit)):
                continue
            if not len(self._rows(split.count, split.fit)):
                continue
            stops = split.stop is not None and len(self._rows(split.stop, split.fit)) > 0
            splits.append(split if stops else replace(split, stop=None))
        return splits or [Split(self.known, None, None)]

    def batches(self, batch_size: int, rng: np.random.Generator) -> list[Batch]:
        """Of one pass, so many samples each, and the comparisons among them."""
        return comparisons_pass(self.comparisons, batch_size, rng)

    def triplets(self, points: Tensor) -> ListedTriplets:
        """Of all samples, embedded as `points`."""
        return ListedTriplets(points, self._beside_samples(self.comparisons))

    def batch_triplets(self, points: Tensor, batch: PlacedBatch, varied: Tensor) -> ListedTriplets:
        """Of a batch, whose samples are embedded as `points`."""
        assert batch.triplets is not None
        return ListedTriplets(points, batch.triplets)

    def differences(
        self, samples: Tensor, batch: PlacedBatch, generator: torch.Generator
    ) -> Tensor:
        """For each sample of a batch, the difference of the anchor and the positive of some row."""
        rows = batch.triplets
        assert rows is not None
        drawn = torch.randint(
            len(rows), (len(samples),), generator=generator, device=samples.device
        )
        anchors, positives, _ = rows[drawn].T
        return samples[anchors] - samples[positives]

    def mean(self, by_anchor: Tensor) -> float:
        """Over comparisons."""
        weights = np.bincount(self.comparisons[:, 0], minlength=len(self))
        values = by_anchor.double().nan_to_num().cpu().numpy()
        return float((weights * values).sum() / weights.sum())


@dataclass(frozen=True)
class NeighbouringPart(Part):
    """Samples of which nothing else is known (code 0): alike are near neighbours.

    Where it is `nested`, a batch keeps a random number of the leading coordinates (its depth), so
    that each of them is of use without those behind it.
    """

    nested: bool = False

    too_few: ClassVar[str] = "that takes six samples in the validation_fraction"
    most_passes: ClassVar[int] = 200

    @property
    def can_teach(self) -> bool:
        """Whether there is any triplet."""
        return len(self) >= 3

    @property
    def default_batch_size(self) -> int:
        """Large enough for an anchor's neighbours to be in it."""
        return int(np.clip(default_batch_size(len(self)), 256, 512))

    def split(self, fraction: float, rng: np.random.Generator) -> list[Split]:
        """What is fitted, what stops the fit, and what counts components; several times."""
        return split_at_random(self.known, fraction, rng)

    def batches(self, batch_size: int, rng: np.random.Generator) -> list[Batch]:
        """Of one pass."""
        batches = random_pass(len(self), batch_size, rng)
        return [replace(batch, depth=rng.random()) for batch in batches] if self.nested else batches

    @cached_property
    def _nearest(self) -> Tensor:
        return _nearest_samples(self.samples)

    def triplets(self, points: Tensor) -> AllTriplets:
        """Of all samples, embedded as `points`."""
        return AllTriplets.of_neighbours(pairwise_distances(points), self._nearest)

    def batch_triplets(self, points: Tensor, batch: PlacedBatch, varied: Tensor) -> AllTriplets:
        """Of a batch: neighbours are those of the `varied` samples."""
        if self.nested:
            # As likely 1 to 2 coordinates as 2 to 4, ...
            points = points[:, : int((points.shape[1] + 1) ** batch.depth)]
        return AllTriplets.of_neighbours(pairwise_distances(points), _nearest_samples(varied))

    def differences(
        self, samples: Tensor, batch: PlacedBatch, generator: torch.Generator
    ) -> Tensor:
        """For each sample of a batch, the difference of a random pair."""
        first, second = (
            torch.randperm(len(samples), generator=generator, device=samples.device)
            for _ in range(2)
        )
        return samples[first] - samples[second]

    def figures(self, points: Tensor, margin: float) -> Tensor:
        """As of any part; the mean over 1, 2, 4, ... coordinates where these are nested."""
        n_axes = points.shape[1]
        if not self.nested:
            return super().figures(points, margin)
        numbers = [2**k for k in range(n_axes.bit_length()) if 2**k <= n_axes]
        by_number = [super(NeighbouringPart, self).figures(points[:, :n], margin) for n in numbers]
        return torch.stack(by_number).mean(dim=0)


def take_rows(rows: Tensor, indices: np.ndarray) -> Tensor:
    """The rows at these indices, in their order; a copy."""
    return rows[torch.from_numpy(indices).to(rows.device)]


def _nearest_samples(samples: Tensor) -> Tensor:
    """The nearest other samples of each, (n, k): 4 % of all, but 1 to 10 (and one is not near)."""
    n_samples = len(samples)
    n_neighbors = min(_N_NEIGHBORS, max(1, round(_SHARE_NEAR * n_samples)), max(n_samples - 2, 0))
    flat = samples.flatten(1).double()
    # By a product of matrices: many entries would take long, and near ties do not matter.
    distances = torch.cdist(flat - flat.mean(dim=0), flat - flat.mean(dim=0))
    distances.fill_diagonal_(torch.inf)
    return distances.topk(n_neighbors, dim=1, largest=False).indices
