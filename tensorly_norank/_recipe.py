"""The steps from labelled samples to their decomposition, shared by all fits of one call."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from tensorly_norank import _backend, _factors
from tensorly_norank._batches import Split
from tensorly_norank._components import CanonicalAxes, canonical_axes, class_means
from tensorly_norank._diagnostics import diagnose, triplet_figures
from tensorly_norank._embedder import Embedder, modes_moved_by_one_place
from tensorly_norank._encoder_choice import (
    EncoderChoice,
    choose_encoder,
    encoder_of_few,
    moves_cost_triplets,
)
from tensorly_norank._held_out_order import HeldOutPoints
from tensorly_norank._imputation import Imputer, imputer_of, mean_of_observed
from tensorly_norank._label_spreading import LabelSpreader
from tensorly_norank._linear_part import LinearPart, principal_scores
from tensorly_norank._mask import Mask
from tensorly_norank._objective import Objective
from tensorly_norank._parts import Part
from tensorly_norank._rank_evidence import HeldOut, RankEvidence, count_components
from tensorly_norank._rank_search import LabelledPoints, Look
from tensorly_norank._training import Fit, Plan, Settings, train
from tensorly_norank._warnings import warn
from tensorly_norank.encoders import Encoder, candidates, make_encoder
from tensorly_norank.norank_tensor import NoRankTensor

_ENOUGH_HELD_OUT = 160  # samples; with fewer, more parts are held out
_ENOUGH_TO_TEST = 500  # held-out samples; with fewer, all samples are looked at too
_AXES_OF_SAMPLES = (4, 8, 16)  # then: a quarter as many principal axes as samples, an eighth, ...
_FEWEST_PASSES_OF_TRIAL = 5
_MARKED_FALL = 0.125  # of the error, within the patience: that of most fits of half the passes
_PASSES_TO_COUNT = 0.25  # share of the first fit's: more make the count no better


@dataclass(frozen=True)
class Data:
    """The caller's tensor and what came of it at the border."""

    tensor: Any
    mode: int
    origin: _backend.Origin
    part: Part
    classes: np.ndarray
    mask: Mask | None = None

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Of one sample, the mode of the samples left out."""
        return tuple(self.part.samples.shape[1:])


@dataclass(frozen=True)
class TrainingState:
    """What a callback sees after a pass; kept for later, it shows the fit as it is then.

    Attributes
    ----------
    n_iter : int
        Passes so far.
    history : dict of str to list of float
        Per pass, as in `NoRankTensor`; the lists go on growing.
    """

    n_iter: int
    history: dict[str, list[float]]
    _result: Callable[[], NoRankTensor]

    def result(self) -> NoRankTensor:
        """What a stop at this pass would give, but for chance in the evidence; computed now."""
        return self._result()

    def embedding(self) -> Any:
        """The embedding of all samples as it is now, (I_mode, R), in the caller's backend."""
        return self._result().embedding


@dataclass(frozen=True)
class Recipe:
    """What all fits of one call share, and the steps from samples to the decomposition."""

    data: Data
    encoder: str | nn.Module
    n_dimensions: int
    objective: Objective
    rank: int | None
    max_rank: int | None
    validation_fraction: float
    verbose: int
    rng: np.random.Generator
    asked_for: dict[str, Any]  # what a result notes as its settings
    figures: dict[str, Any]  # diagnostics that are the same for all fits
    spreader: LabelSpreader | None = None  # where some samples have no label
    choice: EncoderChoice | None = None  # where `encoder` was "auto"
    moves_short_modes: bool | None = None  # None where nobody asks, or before it is decided
    # Of sets of samples that fits have learned from; all copies of a recipe share them.
    imputers: dict[bytes, Imputer | None] = field(default_factory=dict, repr=False, compare=False)

    keeps_distances: ClassVar[bool] = False  # of the samples, instead of lying on the sphere
    without_held_out: ClassVar[str] = (
        "The components are counted on principal components, as far as samples suffice, which show "
        "only what is linear in the data."
    )

    def run(
        self,
        settings: Settings,
        callback: Callable[[TrainingState, float], bool | None] | None,
    ) -> NoRankTensor:
        """Choose the encoder, fit on a part, decide on the rest, fit on everything, assemble."""
        splits = self.data.part.split(self.validation_fraction, self.rng)
        split = splits[0]
        if split.count is None and self.rank is None:
            warn(f"No samples could be held out: {self.data.part.too_few}. {self.without_held_out}")
        chosen = self._with_encoder(split, settings)._with_moves(split, settings)
        return chosen._decompose(splits, settings, callback)

    def _with_encoder(self, split: Split, settings: Settings) -> Recipe:
        """For "auto", with the encoder that is best for the samples that shall not count."""
        if self.encoder != "auto" and self.choice is None:
            return self

        def fit(name: str, share: float, part: Part) -> Embedder:
            # Too short to learn from moves by a place of few.
            trial = replace(self, encoder=name, moves_short_modes=False)
            return trial._try(part, settings, share, f"trial of {name}")

        part = self._to_choose_by(split)
        names = candidates(self.data.sample_shape)
        by_order = not self.keeps_distances  # whether it serves these has not been measured
        choice = encoder_of_few(names, part) if by_order else None
        if choice is None:
            margin = self.objective.margin
            choice = choose_encoder(names, part, margin, fit, self.rng, by_order)
        if self.verbose and self.choice is None:  # those of later fits only serve to count
            print(choice)
        return replace(self, encoder=choice.chosen, choice=choice)

    def _with_moves(self, split: Split, settings: Settings) -> Recipe:
        """The same, with or without moves along short modes where the encoder asks for them."""
        modes = modes_moved_by_one_place(self._new_encoder(), self.data.sample_shape)
        if self.keeps_distances or not modes:
            return replace(self, moves_short_modes=None)

        def fit(is_moved: bool, share: float, part: Part) -> Embedder:
            title = f"trial {'with' if is_moved else 'without'} moves"
            return replace(self, moves_short_modes=is_moved)._try(part, settings, share, title)

        part = self._to_choose_by(split)
        costs = moves_cost_triplets(part, modes, self.objective.margin, fit, self.rng)
        if self.verbose and self.moves_short_modes is None:  # later ones only serve to count
            print(f"samples are {'not ' if costs else ''}moved along short modes")
        return replace(self, moves_short_modes=not costs)

    def _to_choose_by(self, split: Split) -> Part:
        """The samples that shall not count; a few labels alone tell no encoders apart."""
        counted = np.array([], dtype=int) if split.count is None else split.count
        part = self.data.part.take(np.setdiff1d(self.data.part.known, counted))
        return self._with_neighbours(part)

    def _try(self, part: Part, settings: Settings, share: float, title: str) -> Embedder:
        """A short fit."""
        trial = replace(self, spreader=None, verbose=max(0, self.verbose - 1))
        share = max(share, min(1.0, _FEWEST_PASSES_OF_TRIAL / settings.n_iter_max))
        return trial._fit_again(Plan(settings).shortened(share), part, title)

    def _decompose(
        self,
        splits: list[Split],
        settings: Settings,
        callback: Callable[[TrainingState, float], bool | None] | None,
    ) -> NoRankTensor:
        split = splits[0]
        fitted = self._with_neighbours(self.data.part.take(split.fit))
        embedder = self._new_embedder(fitted)

        def on_pass(fit: Fit) -> bool:
            if callback is None:
                return False
            state = TrainingState(
                fit.n_iter,
                fit.history,
                # Looking must not change what follows, nor what is seen next.
                lambda: self._finish(embedder.snapshot(), fit, split, np.random.default_rng(0)),
            )
            stops = callback(state, fit.history["error"][-1])
            return isinstance(stops, bool | np.bool_) and bool(stops)

        fit = train(
            embedder,
            fitted,
            self.objective,
            Plan(settings),
            self.rng,
            held_out=None if split.stop is None else self.data.part.held_out(split.stop, split.fit),
            verbose=self.verbose,
            title="fit" if split.count is None else "fit on a part",
            on_pass=on_pass,
        )
        if settings.tol and not fit.last_fall <= _MARKED_FALL:
            reason = "The error still fell markedly when {} passes ran out"
            if np.isnan(fit.last_fall):
                reason = "{} passes are too few to tell whether the error still fell"
            reason = reason.format(f"n_iter_max={settings.n_iter_max}")
            warn(f"{reason}: raise n_iter_max; tol=0 silences this.", ConvergenceWarning)
        if fit.stopped or split.count is None:
            result = self._finish(embedder, fit, split, self.rng)
        else:
            counted = self._count(embedder, fit, splits)
            held_out = self._held_out_figures(embedder, split, counted, self.rng)
            final = self._fit_on_all(fit.plan, counted)
            result = self._assemble(final, fit, counted, held_out, self.rng)
        return result

    def _count(self, embedder: Embedder, fit: Fit, splits: list[Split]) -> RankEvidence:
        """The evidence from the first fit and, where it has few held-out samples, from more."""
        parts = [self._held_out(embedder, splits[0], self.rng)]
        more = splits[1 : round(_ENOUGH_HELD_OUT / max(len(parts[0]), 1))]
        plan = fit.plan.shortened(_PASSES_TO_COUNT)
        for k, split in enumerate(more):
            title = f"fit on another part, {k + 1} of {len(more)}"
            # The encoder and its moves, too, are chosen without the samples that count.
            other = self._with_encoder(split, plan.settings)._with_moves(split, plan.settings)
            fitted = other._fit_again(plan, self.data.part.take(split.fit), title)
            parts.append(self._held_out(fitted, split, self.rng))
        return self._evidence(embedder, parts, self.rng)

    def _evidence(
        self, embedder: Embedder, parts: list[HeldOut], rng: np.random.Generator
    ) -> RankEvidence:
        is_little = sum(len(part) for part in parts) < _ENOUGH_TO_TEST
        blind = self._principal_scores(embedder, rng) if is_little else []
        codes = self.data.part.codes
        sizes = np.bincount(codes[codes >= 0])
        return count_components(parts, blind, self.n_dimensions, rng, self.max_rank, sizes)

    def _principal_scores(self, embedder: Embedder, rng: np.random.Generator) -> list[Look]:
        """All labelled samples on so many leading principal components, and on fewer."""
        whole = self.data.part
        samples = embedder.standardise(whole.samples)
        scores = principal_scores(samples, whole.codes, _AXES_OF_SAMPLES, rng)
        return [[LabelledPoints(*half) for half in halves] for halves in scores]

    def _with_neighbours(self, part: Part) -> Part:
        """These labelled samples, and the unlabelled ones that get a label from them."""
        if self.spreader is None:
            return part
        assert part.places is not None
        whole = self.data.part
        codes = np.full(len(whole), -1)
        codes[part.places] = part.codes
        codes = self.spreader(codes)
        may_teach = whole.codes < 0  # not the labelled samples that are held out
        may_teach[part.places] = True
        chosen = np.flatnonzero((codes >= 0) & may_teach)
        return replace(whole.take(chosen), codes=codes[chosen])

    def _fit_on_all(self, plan: Plan, evidence: RankEvidence) -> Embedder:
        return self._fit_again(plan, self.data.part.take(self.data.part.known), "fit on all")

    def _fit_again(self, plan: Plan, labelled: Part, title: str) -> Embedder:
        """The passes of a plan, from a new start, on other samples."""
        part = self._with_neighbours(labelled)
        embedder = self._new_embedder(part)
        train(
            embedder,
            part,
            self.objective,
            plan,
            self.rng,
            stops=False,
            verbose=self.verbose,
            title=title,
        )
        return embedder

    def _held_out(self, embedder: Embedder, split: Split, rng: np.random.Generator) -> HeldOut:
        """The samples for counting, on the canonical axes of the fitted ones."""
        assert split.count is not None
        fitted = self._with_neighbours(self.data.part.take(split.fit))
        counted = self.data.part.take(split.count)
        points = embedder.embed(fitted.samples)
        samples = embedder.standardise(fitted.samples)
        part = LinearPart(samples, points, fitted.codes, rng)
        new = part(embedder.standardise(counted.samples))
        return HeldOut(
            _on_axes(points, fitted, embedder.embed(counted.samples), counted),
            _on_axes(part(samples), fitted, new, counted),
            n_spanned=min(len(np.unique(fitted.codes)) - 1, new.shape[1]),
        )

    def _held_out_figures(
        self, embedder: Embedder, split: Split, evidence: RankEvidence, rng: np.random.Generator
    ) -> dict[str, float]:
        assert split.count is not None
        fitted = self._with_neighbours(self.data.part.take(split.fit))
        counted = self.data.part.held_out(split.count, split.fit).filled_by(embedder.fill)
        axes = self._axes(embedder, fitted, embedder.embed(fitted.samples), evidence, rng)
        points = axes.project(embedder.embed(counted.samples), self.rank or evidence.chosen)
        return triplet_figures(points, counted, self.objective.margin, "held_out_")

    def _axes(
        self,
        embedder: Embedder,
        part: Part,
        points: torch.Tensor,
        evidence: RankEvidence | None,
        rng: np.random.Generator,
    ) -> CanonicalAxes:
        """Canonical axes of fitted samples; those of the linear part first if it is enough."""
        if evidence is None or not evidence.linear:
            return canonical_axes(points, part.labels)
        samples = embedder.standardise(part.samples)
        followed = LinearPart(samples, points, part.codes, rng)(samples)
        # Those that are kept for want of evidence are of the embedding, but for one.
        n_first = min(evidence.chosen, max(evidence.found, 1))
        first = canonical_axes(followed, part.labels).axes[:, :n_first]
        return canonical_axes(points, part.labels, first)

    def _finish(
        self, embedder: Embedder, fit: Fit, split: Split, rng: np.random.Generator
    ) -> NoRankTensor:
        """The decomposition of the first fit alone."""
        if self.validation_fraction == 0:
            return self._assemble(embedder, fit, None, {}, rng)
        if split.count is None:
            return self._assemble(embedder, fit, self._evidence(embedder, [], rng), {}, rng)
        evidence = self._evidence(embedder, [self._held_out(embedder, split, rng)], rng)
        figures = self._held_out_figures(embedder, split, evidence, rng)
        return self._assemble(embedder, fit, evidence, figures, rng)

    def _new_embedder(self, part: Part) -> Embedder:
        generator = torch.Generator(part.samples.device)
        generator.manual_seed(int(self.rng.integers(2**63)))
        encoder = self._new_encoder()
        embedder = Embedder(
            encoder,
            part.samples,
            keeps_distances=self.keeps_distances,
            imputer=self._imputer(part),
            fewest_places=0 if self.moves_short_modes is False else 1,
        )
        if isinstance(encoder, Encoder) and not encoder.initialized:
            encoder.initialize(embedder.standardise(part.samples), generator)
            if self.keeps_distances:
                encoder.start_at_components()
        return embedder

    def _new_encoder(self) -> nn.Module:
        if isinstance(self.encoder, str):
            return make_encoder(self.encoder, self.data.sample_shape, self.n_dimensions)
        return copy.deepcopy(self.encoder)

    def _imputer(self, part: Part) -> Imputer | None:
        """What has learned from these samples, once for all encoders, if some have holes."""
        if self.data.mask is None:
            return None
        assert part.places is not None
        key = part.places.tobytes()
        if key not in self.imputers:
            self.imputers[key] = imputer_of(part.samples)
        return copy.deepcopy(self.imputers[key])

    def _assemble(
        self,
        embedder: Embedder,
        fit: Fit,
        evidence: RankEvidence | None,
        held_out_figures: dict[str, float],
        rng: np.random.Generator,
    ) -> NoRankTensor:
        """Axes, factors and diagnostics of an embedder."""
        data = self.data
        whole = data.part.filled_by(embedder.fill)
        points = embedder.embed(whole.samples)
        axes = self._axes(embedder, whole, points, evidence, rng)
        assert evidence is not None or self.rank  # which is checked at the border
        rank = self.rank or (evidence.chosen if evidence else 1)
        embedding = axes.project(points, rank)
        offset = mean_of_observed(data.part.samples)[None].movedim(0, data.mode)
        home = data.origin.device or torch.device("cpu")
        samples_factor = data.origin.restore(embedding)
        mean_sample = data.origin.restore(offset)
        problem = _factors.compress(data.tensor, samples_factor, data.mode, mean_sample, data.mask)
        factors = problem.solve(None, _factors.N_ITER_MAX, _factors.TOL, rng)
        return NoRankTensor(
            factors.as_cp_tensor(samples_factor, data.mode, data.origin),
            mode=data.mode,
            embedding=samples_factor,
            offset=mean_sample,
            explained_variance=factors.explained_variance,
            rank_evidence=evidence,
            encoder_choice=self.choice,
            history={name: list(values) for name, values in fit.history.items()},
            diagnostics={"converged": fit.plan.converged}
            | (
                {}
                if self.moves_short_modes is None
                else {"moved_short_modes": self.moves_short_modes}
            )
            | diagnose(embedding, whole, embedder.standardise, self.objective.margin, rng)
            | self.figures
            | held_out_figures,
            converged=fit.plan.converged,
            classes=data.classes,
            settings=dict(self.asked_for),
            embedder=embedder.to(home),
            axes=axes.to(home),
            origin=data.origin,
        )


def _on_axes(points: torch.Tensor, fitted: Part, new: torch.Tensor, counted: Part) -> HeldOutPoints:
    """Those held out, `new` (n, D), on the canonical axes of the fitted ones, `points` (m, D)."""
    axes = canonical_axes(points, fitted.labels)
    means = class_means(axes.project(points).double(), fitted.labels)
    return HeldOutPoints(
        axes.project(new).double().cpu().numpy(),
        counted.codes,
        fitted_classes=np.unique(fitted.codes),
        fitted_means=means.cpu().numpy(),
    )
