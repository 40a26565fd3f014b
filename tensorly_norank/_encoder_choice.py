"""What the data choose: short fits of each candidate, scored on samples left out of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor

from tensorly_norank._batches import drawn_evenly, shuffle_within_classes
from tensorly_norank._class_balance import class_weights, standard_error
from tensorly_norank._embedder import Embedder
from tensorly_norank._parts import Part
from tensorly_norank.encoders._convolution import modes_to_convolve

_SHARE = 0.1  # of all passes, in a short fit
_SHARE_OF_MOVED = 0.15  # the same, where it has to learn from moved samples
_LEVEL = 2.0  # standard errors of the difference from the best one
_OUT = 3.0  # the same, after the first of the two fits of each
_WORTH = 0.01  # of the triplets, or of the hinge: two fits of one encoder differ by as much
_WORTH_OF_MOVES = 0.03  # the same, of moves that make sense: short fits make less of them
_MOST_SCORED = 512  # samples left out, each time
_ENOUGH_TO_COMPARE = 64  # samples: of fewer, those left out do not tell encoders apart
_ALIKE = 0.9  # of the neighbours along a mode: those of images all are, in any other order a third
_ENOUGH_TO_SEE = 64  # samples: of more, up to twice as many are looked at

# From an encoder's name, a share of all passes and samples to fit to the fitted embedder.
ShortFit = Callable[[str, float, Part], Embedder]
# The same from whether samples are moved along short modes.
ShortFitMoved = Callable[[bool, float, Part], Embedder]


@dataclass(frozen=True, eq=False)
class EncoderChoice:
    """Why `encoder="auto"` took the encoder that it took.

    Attributes
    ----------
    candidates : tuple of str
        Encoders that were tried, or could have been where one was taken without a trial.
    triplet_accuracy, triplet_accuracy_se : ndarray, shape (n_candidates,)
        Share of triplets in the right order whose anchor was left out of a short fit, classes
        weighing the same, and its standard error over anchors, given these fits: two, or the first
        one where that was too far behind for a second. NaN where no samples could be left out, or
        the first fit diverged. Where labels are missing, those that neighbours lend count like
        others.
    hinge, hinge_se : ndarray, shape (n_candidates,)
        The same of the mean hinge: by how much these triplets fall short of the margin.
    plain_accuracy : ndarray, shape (n_candidates,)
        Share of triplets in the right order, all anchors weighing the same.
    behind : tuple of str
        For each candidate "triplets" if its accuracy falls short of the best one's by more than
        twice the standard error of their difference, and more than 0.01; of the others "hinge" if
        its hinge exceeds the least by so much; "diverged" where a fit did, if only the second; and
        "" where nothing tells it from the best.
    chosen : str
        Of what is left "conv", if neighbouring entries are alike (not without labels or
        comparisons); else the one with the largest plain accuracy: balanced between classes, the
        few anchors of small ones would decide by chance. Of equal ones, that with the least hinge.
        Of fewer than 64 samples whose neighbouring entries are alike, "conv", without a trial.
        Where nothing else could be compared, "mlp".
    """

    candidates: tuple[str, ...]
    triplet_accuracy: np.ndarray = field(repr=False)
    triplet_accuracy_se: np.ndarray = field(repr=False)
    hinge: np.ndarray = field(repr=False)
    hinge_se: np.ndarray = field(repr=False)
    plain_accuracy: np.ndarray = field(repr=False)
    behind: tuple[str, ...] = field(repr=False)
    chosen: str

    def __str__(self) -> str:
        """A line for each candidate."""
        if np.isnan(self.triplet_accuracy).all() and not any(self.behind):
            reason = (
                "neighbouring entries are alike, and samples too few to compare encoders"
                if self.chosen == "conv"
                else "nothing could be compared"
            )
            return f"{self.chosen} chosen: {reason}"
        by_order = ": neighbouring entries are alike" if self._is_by_order else ""
        lines = [
            f"{self.chosen} chosen{by_order}",
            "encoder      triplets in order  hinge              triplets, plain",
        ]
        columns = (
            self.triplet_accuracy,
            self.triplet_accuracy_se,
            self.hinge,
            self.hinge_se,
            self.plain_accuracy,
        )
        marks = [f"  out: {why}" if why else "" for why in self.behind]
        lines += [
            f"{name:11s}  {accuracy:6.4f} ± {error:6.4f}    {hinge:6.4f} ± {hinge_error:6.4f}    "
            f"{plain:6.4f}{mark}"
            for name, accuracy, error, hinge, hinge_error, plain, mark in zip(
                self.candidates, *columns, marks, strict=True
            )
        ]
        return "\n".join(lines)

    @property
    def _is_by_order(self) -> bool:
        """Whether, of those that nothing tells apart, another one has the largest accuracy."""
        accuracy = dict(zip(self.candidates, self.plain_accuracy, strict=True))
        left = [name for name, why in zip(self.candidates, self.behind, strict=True) if not why]
        return any(accuracy[name] > accuracy[self.chosen] for name in left)


def encoder_of_few(candidates: Sequence[str], part: Part) -> EncoderChoice | None:
    """Convolutions, if samples are few and suit them; None where candidates are to be compared.

    Of few samples so few are left out that chance decides. Whether the order of places means
    something can be seen on as few.

    Parameters
    ----------
    candidates : sequence of str
        Names of encoders.
    part : Part
        Samples that may decide.

    Returns
    -------
    EncoderChoice or None
    """
    if len(part) >= _ENOUGH_TO_COMPARE or not _suits_convolutions(candidates, part):
        return None
    accuracy, accuracy_se, hinge, hinge_se, plain = np.full((5, len(candidates)), np.nan)
    behind = ("",) * len(candidates)
    return EncoderChoice(
        tuple(candidates), accuracy, accuracy_se, hinge, hinge_se, plain, behind, "conv"
    )


def _suits_convolutions(candidates: Sequence[str], part: Part) -> bool:
    if "conv" not in candidates:
        return False
    return neighbours_are_alike(part.samples, modes_to_convolve(part.samples.shape[1:]))


def neighbours_are_alike(samples: Tensor, modes: Sequence[int]) -> bool:
    """Whether along each of these modes of samples (n, *sample_shape) the order means something."""
    some = samples[:: max(1, len(samples) // _ENOUGH_TO_SEE)].to("cpu", torch.float64)
    return all(_share_alike(some, mode + 1) >= _ALIKE for mode in modes)


def _share_alike(samples: Tensor, dim: int) -> float:
    """The share of places whose neighbours on both sides vary less alike than each does with it.

    Of those of faces, digits, volumes or patches of a field it is all; in an order that means
    nothing a third. Of few objects in much noise it may be no more.
    """
    deviations = samples - samples.nanmean(dim=0, keepdim=True)
    places = deviations.nan_to_num(0.0).movedim(dim, 0).flatten(1)
    norms = places.norm(dim=1, keepdim=True)
    varies = norms[:, 0] > 0
    places = places[varies] / norms[varies]
    if len(places) < 3:
        return 0.0
    next_to, behind = ((places[:-step] * places[step:]).sum(dim=1) for step in (1, 2))
    is_alike = torch.minimum(next_to[:-1], next_to[1:]) > behind
    return is_alike.double().mean().item()


def choose_encoder(
    candidates: Sequence[str],
    part: Part,
    margin: float,
    fit: ShortFit,
    rng: np.random.Generator,
    by_order: bool = True,
) -> EncoderChoice:
    """Let each candidate, after a short fit of three quarters of the samples, place the fourth.

    Twice, with different fourths; who is clearly behind after the first time is not fitted again.
    Triplets whose anchor was left out decide; the other two samples may have been fitted, so that
    as many as possible are. Where their order does not (all may be in order), their hinges may: how
    far they are from the margin.

    Parameters
    ----------
    candidates : sequence of str
        Names of encoders; the first is taken where nothing can be compared.
    part : Part
        Samples that may decide.
    margin : float
        Of the hinge.
    fit : callable
        Makes a short fit.
    rng : numpy Generator
        Draws the fourths, and the samples that are scored.
    by_order : bool
        Whether of those that nothing tells apart "conv" is taken, where neighbouring entries are
        alike.

    Returns
    -------
    EncoderChoice
    """
    quarters = _quarters(part, rng)
    seeds = rng.integers(2**63, size=len(quarters))
    placed, codes = np.empty((2, 0, len(candidates))), part.codes[:0]  # of the anchors so far
    behind = [""] * len(candidates)
    for quarter, seed, level in zip(quarters, seeds, (_OUT, _LEVEL), strict=False):
        _, left_out = quarter
        figures = np.full((2, len(left_out), len(candidates)), np.nan)
        for k in [k for k, why in enumerate(behind) if not why]:
            short_fit = partial(fit, candidates[k], _SHARE)
            try:
                figures[..., k] = _fit_and_place(short_fit, part, quarter, margin, seed)
            except FloatingPointError:
                behind[k] = "diverged"
        is_anchor = ~np.isnan(figures[0]).all(axis=1)
        placed = np.concatenate([placed, figures[:, is_anchor]], axis=1)
        codes = np.concatenate([codes, part.codes[left_out[is_anchor]]])
        behind = _behind(behind, placed, class_weights(codes), level)
    accuracy, hinge = (_means_and_errors(figure, codes) for figure in placed)
    plain, _ = _means_and_errors(placed[0], np.zeros_like(codes))  # as if all were of one class
    # If all are out, because the last one diverged, one that did not is taken.
    is_out = np.array([(why != "") + (why == "diverged") for why in behind])
    # Short fits tell the worst of convolutions: they are worth more the longer they are trained.
    is_suited = by_order and _suits_convolutions(candidates, part)
    is_other = np.array([is_suited and name != "conv" for name in candidates])
    chosen = candidates[int(np.lexsort((hinge[0], -plain, is_other, is_out))[0])]
    return EncoderChoice(tuple(candidates), *accuracy, *hinge, plain, tuple(behind), chosen)


def moves_cost_triplets(
    part: Part, modes: Sequence[int], margin: float, fit: ShortFitMoved, rng: np.random.Generator
) -> bool:
    """Whether fits that move samples along `modes`, short ones, order clearly fewer triplets.

    A step of one place is a long way along eight, and no way at all where entries have no order,
    such as antigens. Twice a fourth of the samples is left out, as in `choose_encoder`. What costs
    no triplets is kept: in short fits moves look worse than they are, in hinges above all. Where
    neighbouring entries are alike, so that moves make sense, it takes more to give them up.
    """
    accuracy, codes = [np.empty((0, 2))], [part.codes[:0]]
    quarters = _quarters(part, rng)
    for quarter, seed in zip(quarters, rng.integers(2**63, size=2), strict=False):
        columns = []
        for is_moved in (False, True):
            short_fit = partial(fit, is_moved, _SHARE_OF_MOVED)
            try:
                columns.append(_fit_and_place(short_fit, part, quarter, margin, seed)[0])
            except FloatingPointError:
                return is_moved
        is_anchor = ~np.isnan(columns[0])
        accuracy.append(np.stack(columns, axis=1)[is_anchor])
        codes.append(part.codes[quarter[1][is_anchor]])
    still_and_moved, anchors = np.concatenate(accuracy), np.concatenate(codes)
    if not len(anchors):
        return False
    make_sense = neighbours_are_alike(part.samples, modes)
    level, worth = (_OUT, _WORTH_OF_MOVES) if make_sense else (_LEVEL, _WORTH)
    return not bool(_is_level(still_and_moved, 0, class_weights(anchors), level, worth)[1])


def _behind(
    behind: Sequence[str], placed: np.ndarray, weights: np.ndarray, level: float
) -> list[str]:
    """Why each candidate is out: as before, or clearly behind in triplets, or then in hinges.

    In hinges it can only be behind candidates that are not behind in triplets by the last level.
    """
    now = list(behind)
    left = np.array([k for k, why in enumerate(now) if not why], dtype=int)
    accuracy, hinge = placed[0][:, left], placed[1][:, left]
    if not accuracy.size:
        return now
    best = int((weights @ accuracy).argmax())
    is_level = _is_level(accuracy, best, weights, level)
    of_least = np.where(_is_level(accuracy, best, weights, _LEVEL), weights @ hinge, np.inf)
    is_near = _is_level(-hinge, int(of_least.argmin()), weights, level)
    for k, in_triplets, in_hinge in zip(left, is_level, is_near, strict=True):
        now[k] = "" if in_triplets and in_hinge else "hinge" if in_triplets else "triplets"
    return now


def _is_level(
    values: np.ndarray, best: int, weights: np.ndarray, level: float, worth: float = _WORTH
) -> np.ndarray:
    """Columns that fall short of the best one by no more than chance; anchors are paired."""
    behind = values[:, [best]] - values
    return weights @ behind <= np.maximum(worth, level * standard_error(behind, weights))


def _means_and_errors(values: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each column, over those of the anchors that it has; NaN if it has none."""
    means, errors = np.full((2, values.shape[1]), np.nan)
    for k, column in enumerate(values.T):
        known = ~np.isnan(column)
        if known.any():
            weights = class_weights(codes[known])
            means[k] = weights @ column[known]
            errors[k] = standard_error(column[known], weights)
    return means, errors


def _quarters(part: Part, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Samples to fit and samples to leave out, twice; none if that leaves nothing to learn from.

    About a fourth of each class is left out, rounded up the first time; pairs are left out or
    fitted together, and single samples fitted.
    """
    codes = part.codes
    order, place = shuffle_within_classes(codes, rng)
    sizes = np.bincount(codes)
    pairs = rng.permutation(np.flatnonzero(sizes == 2))
    of_pair = np.zeros(len(sizes), dtype=int)
    of_pair[pairs] = np.arange(len(pairs)) % 4
    size = sizes[codes[order]]
    quarter = np.where(size == 2, of_pair[codes[order]], place % 4)
    quarter[size == 1] = 3  # always fitted
    splits = []
    for k in (0, 1):
        fitted, left_out = np.sort(order[quarter != k]), np.sort(order[quarter == k])
        if not len(left_out) or not part.take(fitted).can_teach:
            return []
        splits.append((fitted, left_out[drawn_evenly(codes[left_out], _MOST_SCORED, rng)]))
    return splits


def _fit_and_place(
    fit: Callable[[Part], Embedder],
    part: Part,
    quarter: tuple[np.ndarray, np.ndarray],
    margin: float,
    seed: int,
) -> np.ndarray:
    """Figures of the samples left out of a fit; the same seed gives them the same companions."""
    fitted, left_out = quarter
    embedder = fit(part.take(fitted))
    return _place(embedder, part, fitted, left_out, margin, np.random.default_rng(seed))


def _place(
    embedder: Embedder,
    part: Part,
    fitted: np.ndarray,
    left_out: np.ndarray,
    margin: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Share of triplets in order and mean hinge of each sample left out, (2, n_left_out).

    Its triplets are with all other samples, or some of them if they are many, fitted ones too.
    """
    both = part.beside(left_out, fitted, rng).filled_by(embedder.fill)
    points = embedder.embed(both.samples)
    if not bool(points.isfinite().all()):
        raise FloatingPointError("The embedding is not finite.")
    figures = both.figures(points, margin)
    return figures[:, : len(left_out)].cpu().numpy()
