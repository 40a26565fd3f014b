"""The encoder that the data choose: short fits of each, scored on samples left out of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from tensorly_norank._batches import shuffle_within_classes, some_samples
from tensorly_norank._class_balance import class_weights, standard_error
from tensorly_norank._embedder import Embedder
from tensorly_norank._training import Part
from tensorly_norank.losses import hinge_by_anchor, triplet_accuracy_by_anchor

_HEATS = (1 / 15, 2 / 15)  # shares of all passes: the two best run the second
_LEVEL = 2.0  # standard errors of the difference from the best one
_MOST_SCORED = 512  # samples left out, each time

# From an encoder's name, samples to fit and a share of all passes to the fitted embedder.
ShortFit = Callable[[str, Part, float], Embedder]


@dataclass(frozen=True)
class EncoderChoice:
    """Why `encoder="auto"` took the encoder that it took.

    Attributes
    ----------
    candidates : tuple of str
        Encoders that were tried.
    triplet_accuracy, triplet_accuracy_se : ndarray, shape (n_candidates,)
        Share of held-out triplets in the right order after a short fit, classes weighing the same,
        and its standard error over anchors. NaN where no samples could be left out.
    hinge : ndarray, shape (n_candidates,)
        Mean hinge of the same triplets: by how much they fall short of the margin.
    n_heats : ndarray of int, shape (n_candidates,)
        After which of the short fits that is: the first, of a fifteenth of the passes, or the
        second, of two fifteenths, which only the two best come to.
    chosen : str
        Of those whose accuracy falls short of the best one's by no more than twice the standard
        error of their difference, the one with the least hinge.
    """

    candidates: tuple[str, ...]
    triplet_accuracy: np.ndarray = field(repr=False)
    triplet_accuracy_se: np.ndarray = field(repr=False)
    hinge: np.ndarray = field(repr=False)
    n_heats: np.ndarray = field(repr=False)
    chosen: str

    def __str__(self) -> str:
        """A line for each candidate."""
        lines = [f"{self.chosen} chosen", "encoder      triplets in order  hinge  heats"]
        lines += [
            f"{name:11s}  {accuracy:.4f} ± {error:.4f}    {hinge:.3f}  {n_heats:5d}"
            for name, accuracy, error, hinge, n_heats in zip(
                self.candidates,
                self.triplet_accuracy,
                self.triplet_accuracy_se,
                self.hinge,
                self.n_heats,
                strict=True,
            )
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class _Score:
    """What one candidate did on the samples left out."""

    accuracy: np.ndarray  # (n_anchors,)
    weights: np.ndarray  # (n_anchors,)
    hinge: float
    n_heats: int

    @property
    def mean(self) -> float:
        return float(self.weights @ self.accuracy)

    @property
    def error(self) -> float:
        return float(standard_error(self.accuracy, self.weights))

    def is_level_with(self, best: _Score) -> bool:
        """Anchors are the same, so that differences are paired."""
        behind = best.accuracy - self.accuracy
        return bool(self.weights @ behind <= _LEVEL * standard_error(behind, self.weights))


_NOTHING = _Score(np.full(1, np.nan), np.ones(1), np.nan, 0)


def choose_encoder(
    candidates: Sequence[str], part: Part, margin: float, fit: ShortFit, rng: np.random.Generator
) -> EncoderChoice:
    """Let each candidate, after a short fit of three quarters of the samples, place the fourth.

    Twice, with different fourths. Triplets whose anchor was left out decide; the other two samples
    may have been fitted, so that as many as possible are. A fifteenth of the passes tells most
    candidates apart. Where they are level (all triplets may be in order), the hinges decide: how
    far the triplets are from the margin. The two that are level and have least run two fifteenths.

    Parameters
    ----------
    candidates : sequence of str
        Names of encoders, the simplest first: it is taken where nothing can be compared.
    part : Part
        Samples that may decide.
    margin : float
        Of the hinge.
    fit : callable
        Makes a short fit.
    rng : numpy Generator
        Draws the fourths, and the samples that are scored.

    Returns
    -------
    EncoderChoice
    """
    quarters = _quarters(part.codes, rng)
    scores: dict[str, _Score] = {}
    best = list(candidates)
    for n_heats, share in enumerate(_HEATS if quarters else (), start=1):
        heat = {}
        for name in best:
            placed = [
                _place(fit(name, part.take(fitted), share), part, fitted, left_out, margin)
                for fitted, left_out in quarters
            ]
            heat[name] = _score(placed, n_heats)
        scores |= heat
        best = _best_two(heat)
        if len(best) == 1:
            break
    listed = [scores.get(name, _NOTHING) for name in candidates]
    return EncoderChoice(
        candidates=tuple(candidates),
        triplet_accuracy=np.array([score.mean for score in listed]),
        triplet_accuracy_se=np.array([score.error for score in listed]),
        hinge=np.array([score.hinge for score in listed]),
        n_heats=np.array([score.n_heats for score in listed]),
        chosen=best[0],
    )


def _best_two(heat: dict[str, _Score]) -> list[str]:
    """Of those whose accuracy is level with the best one, the two with least hinge, in order."""
    leader = max(heat.values(), key=lambda score: score.mean)
    level = [name for name, score in heat.items() if score.is_level_with(leader)]
    return sorted(level, key=lambda name: heat[name].hinge)[:2]


def _quarters(codes: np.ndarray, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Samples to fit and samples to leave out, twice; none if that leaves nothing to learn from.

    A fourth of each class is left out; pairs are left out or fitted together.
    """
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
        fitted_sizes = np.bincount(codes[fitted])
        if not len(left_out) or (fitted_sizes > 0).sum() < 2 or fitted_sizes.max() < 2:
            return []
        splits.append((fitted, left_out[some_samples(codes[left_out], _MOST_SCORED, rng)]))
    return splits


class _Placed(NamedTuple):
    """Samples left out, among those fitted."""

    codes: np.ndarray  # (n,)
    accuracy: np.ndarray  # (n,)
    hinge: np.ndarray  # (n,)


def _place(
    embedder: Embedder, part: Part, fitted: np.ndarray, left_out: np.ndarray, margin: float
) -> _Placed:
    """Triplets of the samples left out, with all others that there are, at most so many."""
    every = max(1, len(fitted) // _MOST_SCORED)
    both = part.take(np.concatenate([left_out, fitted[::every]]))
    points, labels, n_anchors = embedder.embed(both.samples), both.labels, len(left_out)
    accuracy = triplet_accuracy_by_anchor(points, labels)[:n_anchors]
    hinge = hinge_by_anchor(points, labels, margin)[:n_anchors]
    return _Placed(part.codes[left_out], *(v.double().cpu().numpy() for v in (accuracy, hinge)))


def _score(placed: Sequence[_Placed], n_heats: int) -> _Score:
    codes, accuracy, hinge = (np.concatenate(values) for values in zip(*placed, strict=True))
    is_anchor = ~np.isnan(accuracy)
    weights = class_weights(codes[is_anchor])
    return _Score(accuracy[is_anchor], weights, float(weights @ hinge[is_anchor]), n_heats)
