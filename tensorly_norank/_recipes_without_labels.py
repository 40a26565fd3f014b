"""What differs from the recipe where there are comparisons, or nothing, in place of labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch

from tensorly_norank._batches import Split
from tensorly_norank._components import CanonicalAxes, canonical_axes, leading_axes
from tensorly_norank._embedder import Embedder
from tensorly_norank._linear_part import LinearPart
from tensorly_norank._parts import ComparedPart, NeighbouringPart, Part
from tensorly_norank._rank_evidence import RankEvidence
from tensorly_norank._recipe import Recipe, TrainingState
from tensorly_norank._training import Plan, Settings
from tensorly_norank._triplet_evidence import (
    BothParts,
    Ordered,
    count_by_comparisons,
    count_by_neighbourhoods,
    order_comparisons,
    order_neighbours,
)
from tensorly_norank.norank_tensor import NoRankTensor


class ComparisonRecipe(Recipe):
    """From comparisons: components by variance, counted on those that held-out samples are in."""

    without_held_out: ClassVar[str] = "Without them components cannot be counted: one is kept."

    def _held_out(  # type: ignore[override]
        self, embedder: Embedder, split: Split, rng: np.random.Generator
    ) -> BothParts:
        assert split.count is not None
        fitted = self.data.part.take(split.fit)
        counted = self.data.part.held_out(split.count, split.fit)
        assert isinstance(counted, ComparedPart)
        points, placed = embedder.embed(fitted.samples), embedder.embed(counted.samples)
        followed = LinearPart(embedder.standardise(fitted.samples), points, fitted.codes, rng)
        linear, of_linear = (
            followed(embedder.standardise(part.samples)) for part in (fitted, counted)
        )
        whole, straight = (
            order_comparisons(
                counted,
                canonical_axes(own, fitted.labels).project(of_counted),
                len(split.count),
            )
            for own, of_counted in ((points, placed), (linear, of_linear))
        )
        return BothParts(whole, straight)

    def _evidence(  # type: ignore[override]
        self, embedder: Embedder, parts: Sequence[BothParts], rng: np.random.Generator
    ) -> RankEvidence:
        return count_by_comparisons(parts, self.n_dimensions, rng, self.max_rank)


class NeighbourRecipe(Recipe):
    """From nothing but the samples: as near as they are, as few components as that takes.

    A first fit keeps a random number of its leading coordinates in every step, so that they can be
    counted; the last one has the dimension that was found.
    """

    keeps_distances: ClassVar[bool] = True
    without_held_out: ClassVar[str] = "Components are counted on principal components alone."

    def _evidence(  # type: ignore[override]
        self, embedder: Embedder, parts: Sequence[Ordered], rng: np.random.Generator
    ) -> RankEvidence:
        return count_by_neighbourhoods(
            parts,
            embedder.fill(self.data.part.samples),
            self.n_dimensions,
            rng,
            self.max_rank,
        )

    def _held_out(  # type: ignore[override]
        self, embedder: Embedder, split: Split, rng: np.random.Generator
    ) -> Ordered:
        """On the coordinates as they are: they were made to be of use one after the other."""
        assert split.count is not None
        counted = self.data.part.take(split.count).filled_by(embedder.fill)
        return order_neighbours(counted, embedder.embed(counted.samples))

    def run(
        self,
        settings: Settings,
        callback: Callable[[TrainingState, float], bool | None] | None,
    ) -> NoRankTensor:
        """As any recipe; a fit that nothing is counted on has the dimension that is asked for."""
        first = self if self.validation_fraction else self._of_dimension(self.rank or 1)
        return Recipe.run(first, settings, callback)

    def _fit_on_all(self, plan: Plan, evidence: RankEvidence) -> Embedder:
        return Recipe._fit_on_all(self._of_dimension(self.rank or evidence.chosen), plan, evidence)

    def _of_dimension(self, n_dimensions: int) -> NeighbourRecipe:
        """With coordinates that are of use together; a module of the caller's stays as it is."""
        part = self.data.part
        if not isinstance(self.encoder, str) or not isinstance(part, NeighbouringPart):
            return self
        data = replace(self.data, part=replace(part, nested=False))
        return replace(self, n_dimensions=n_dimensions, data=data)

    def _axes(
        self,
        embedder: Embedder,
        part: Part,
        points: torch.Tensor,
        evidence: RankEvidence | None,
        rng: np.random.Generator,
    ) -> CanonicalAxes:
        return leading_axes(points, self.rank or (evidence.chosen if evidence else 1))
