"""CP tensors with a known number of components that tell the classes apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tensorly as tl
from sklearn.utils import Bunch

from tensorly_norank._validation import (
    check_choice,
    check_number,
    check_random_state,
    check_sizes,
)
from tensorly_norank.datasets._bunch import SIMULATED, make_bunch

_NOISE_KINDS = ("gaussian", "heavy_tailed", "unequal")
_CLASS_MEANS = ("general", "simplex")
_DEGREES_OF_FREEDOM = 3  # of the heavy-tailed noise: its variance exists, its kurtosis does not
_MOST_MODES = 16  # of a sample
_LARGEST_TO_SMALLEST = 4.0  # standard deviation within classes, where it is unequal

_DESCR = """Planted CP tensor
=================

{n_samples} samples of shape {sample_shape}, each a sum of rank-one patterns. The scores of {rank}
of them have means that differ between the {n_classes} classes ({class_means}); those of
{n_distractors} more, {distractor_scale:g} times as loud, do not depend on the class. Within-class
variation: {noise_kind}. Noise has {noise:g} times the norm of the informative components.
"""


def simulate_planted(
    n_samples: int = 400,
    sample_shape: Sequence[int] = (20, 15),
    rank: int = 3,
    n_classes: int = 8,
    n_distractors: int = 4,
    noise: float = 1.0,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
    *,
    noise_kind: str = "gaussian",
    spread: float = 0.3,
    distractor_scale: float = 2.0,
    factor_correlation: float = 0.0,
    class_means: str = "general",
    imbalance: float = 1.0,
) -> Bunch:
    r"""Simulate a CP tensor in which it is known how many components separate the classes.

    Sample i is the sum of `rank` informative and `n_distractors` uninformative components, and
    noise: the score of sample i on an informative component r is the mean of its class, plus
    within-class variation; on a distractor it is variation alone. It is what a rule that counts
    components can be judged by.

    Parameters
    ----------
    n_samples : int, default 400
        Number of samples.
    sample_shape : sequence of int, default (20, 15)
        Shape of a sample: one length for each further mode.
    rank : int, default 3
        Components whose scores depend on the class; at most ``n_classes - 1``, which is all that
        the means of so many classes can span.
    n_classes : int, default 8
        Number of classes.
    n_distractors : int, default 4
        Components whose scores do not depend on the class.
    noise : float, default 1.0
        Norm of the noise over that of the informative components, both as expected.
    random_state : int, RandomState or Generator, optional
        Seed or source of randomness.
    noise_kind : {"gaussian", "heavy_tailed", "unequal"}, default "gaussian"
        Of all that varies within classes, scores as well as noise: Student's t with 3 degrees of
        freedom; or normal with a standard deviation that grows from class to class, fourfold in
        all. Either has the same variance over all samples as the first.
    spread : float, default 0.3
        Standard deviation of the informative scores within classes; that of the class means is 1 on
        every component.
    distractor_scale : float, default 2.0
        Standard deviation of the distractors' scores.
    factor_correlation : float, default 0.0
        Expected cosine of any two columns of a mode's factor, distractors included; at least 0 and
        below 1.
    class_means : {"general", "simplex"}, default "general"
        Drawn from a normal distribution, so that some directions separate the classes better than
        others; or a random projection of a regular simplex, all directions being equally good.
    imbalance : float, default 1.0
        Size of the largest class over that of the smallest, sizes falling geometrically; of what is
        left when each class has got two samples.

    Returns
    -------
    Bunch
        As those of the other simulators (`tensor`, of shape (n_samples, \*sample_shape), in
        TensorLy's active backend, `labels`, ...), and

        rank : int
            The number of informative components.
        factors : list of tensors
            Of the tensor without noise, of shapes (n_samples, rank + n_distractors), then
            (sample_shape[k], rank + n_distractors) with columns of norm 1: the informative
            components first. All weights are 1.
        score_means : ndarray of shape (n_classes, rank)
            The class means.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Examples
    --------
    >>> import tensorly as tl
    >>> from tensorly_norank.datasets import simulate_planted
    >>> planted = simulate_planted(200, (10, 6, 5), rank=2, n_classes=4, random_state=0)
    >>> tl.shape(planted.tensor), planted.rank, [tl.shape(factor) for factor in planted.factors]
    ((200, 10, 6, 5), 2, [(200, 6), (10, 6), (6, 6), (5, 6)])
    """
    check_number(n_samples, "n_samples", integer=True, low=4)
    shape = check_sizes(sample_shape, "sample_shape", _MOST_MODES)
    check_number(n_classes, "n_classes", integer=True, low=2)
    if n_classes > n_samples // 2:
        raise ValueError(
            f"n_classes must be at most {n_samples // 2}, half of n_samples, got {n_classes}."
        )
    check_number(rank, "rank", integer=True, low=1)
    if rank >= n_classes:
        raise ValueError(
            f"rank must be less than n_classes={n_classes}, whose means differ in no more "
            f"directions, got {rank}."
        )
    if rank > math.prod(shape):
        raise ValueError(
            f"rank must be at most {math.prod(shape)}, the number of entries of a sample of shape "
            f"{shape}: class means differ in no more directions. Got {rank}."
        )
    check_number(n_distractors, "n_distractors", integer=True)
    check_number(noise, "noise")
    check_choice(noise_kind, "noise_kind", _NOISE_KINDS)
    check_number(spread, "spread")
    check_number(distractor_scale, "distractor_scale")
    check_number(factor_correlation, "factor_correlation", high=1)
    check_choice(class_means, "class_means", _CLASS_MEANS)
    check_number(imbalance, "imbalance", low=1)
    random = check_random_state(random_state)

    labels = _labels(n_samples, n_classes, imbalance, random)
    means = _means(n_classes, rank, class_means, random)
    scales = _scales(labels, n_classes, noise_kind)
    patterns = [_pattern(n, rank + n_distractors, factor_correlation, random) for n in shape]
    within = np.r_[np.full(rank, spread), np.full(n_distractors, distractor_scale)]
    scores = within * _vary((n_samples, len(within)), scales, noise_kind, random)
    scores[:, :rank] += means[labels]
    factors = [scores, *patterns]
    level = noise * math.sqrt(rank * (1 + spread**2) / math.prod(shape))
    tensor = _to_tensor(factors)
    tensor += level * _vary(tensor.shape, scales, noise_kind, random)
    return make_bunch(
        tensor.astype(np.float32),
        labels,
        [f"class {code}" for code in range(n_classes)],
        dims=["Sample", *(f"Mode {k}" for k in range(1, len(shape) + 1))],
        ticks=[np.arange(n) for n in shape],
        descr=_DESCR.format(
            n_samples=n_samples,
            sample_shape=shape,
            rank=rank,
            n_classes=n_classes,
            class_means=class_means,
            n_distractors=n_distractors,
            distractor_scale=distractor_scale,
            noise_kind=noise_kind,
            noise=noise,
        ),
        reference=[],
        licence=SIMULATED,
        rank=int(rank),
        factors=[tl.tensor(factor.astype(np.float32)) for factor in factors],
        score_means=means,
    )


def _labels(
    n_samples: int, n_classes: int, imbalance: float, random: np.random.Generator
) -> np.ndarray:
    """Class of each sample, (n,), in random order: sizes fall geometrically, none below two."""
    shares = imbalance ** -np.linspace(0, 1, n_classes)
    ends = np.round((n_samples - 2 * n_classes) * np.cumsum(shares) / shares.sum()).astype(int)
    sizes = 2 + np.diff(ends, prepend=0)
    return random.permutation(np.repeat(np.arange(n_classes), sizes))


def _means(n_classes: int, rank: int, kind: str, random: np.random.Generator) -> np.ndarray:
    """Mean scores of each class, (K, R): mean 0 and variance 1 on each component."""
    means = random.standard_normal((n_classes, rank))
    means -= means.mean(axis=0)
    if kind == "simplex":  # orthogonal columns: the vertices' distances alike, but for projection
        means = np.linalg.qr(means)[0]
    return means / np.sqrt(np.mean(means**2, axis=0))


def _scales(labels: np.ndarray, n_classes: int, kind: str) -> np.ndarray:
    """Standard deviation of what varies within each sample's class, (n,); root mean square 1."""
    if kind != "unequal":
        return np.ones(len(labels))
    scales = _LARGEST_TO_SMALLEST ** np.linspace(0, 1, n_classes)[labels]
    return scales / np.sqrt(np.mean(scales**2))


def _vary(
    shape: tuple[int, ...], scales: np.ndarray, kind: str, random: np.random.Generator
) -> np.ndarray:
    """Draws of variance 1, one row a sample, times the scale of its class."""
    if kind == "heavy_tailed":
        variance = _DEGREES_OF_FREEDOM / (_DEGREES_OF_FREEDOM - 2)
        draws = random.standard_t(_DEGREES_OF_FREEDOM, shape) / math.sqrt(variance)
    else:
        draws = random.standard_normal(shape)
    return draws * scales.reshape(-1, *[1] * (len(shape) - 1))


def _pattern(
    length: int, n_components: int, correlation: float, random: np.random.Generator
) -> np.ndarray:
    """Columns of norm 1, (length, n_components), that share a direction of their mode."""
    shared, own = (
        random.standard_normal((length, 1)),
        random.standard_normal((length, n_components)),
    )
    columns = math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own
    return columns / np.linalg.norm(columns, axis=0)


def _to_tensor(factors: list[np.ndarray]) -> np.ndarray:
    letters = "abcdefghijklmnopqrstuvwxy"[: len(factors)]
    return np.einsum(
        ",".join(f"{letter}z" for letter in letters) + f"->{letters}", *factors, optimize=True
    )
