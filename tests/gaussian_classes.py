"""Held-out samples of classes whose means differ in so many directions."""

import numpy as np

from tensorly_norank._held_out_order import HeldOutPoints
from tensorly_norank._rank_evidence import HeldOut


def placed(points, codes, means=None):
    """Held-out samples, and fitted class means: without any, of a fit that has learned nothing."""
    if means is None:
        means = np.zeros((codes.max() + 1, points.shape[1]))
    return HeldOutPoints(points, codes, np.arange(len(means)), means)


def both_placed(embedding, linear, codes, n_spanned):
    return HeldOut(placed(embedding, codes), placed(linear, codes), n_spanned)


def gaussian_classes(n_separated, n_samples=240, n_classes=6, n_dimensions=8, seed=0, strength=3):
    rng = np.random.default_rng(seed)
    codes = np.arange(n_samples) % n_classes
    means = np.zeros((n_classes, n_dimensions))
    means[:, :n_separated] = (
        strength * np.linalg.qr(rng.normal(size=(n_classes, n_classes)))[0][:, :n_separated]
    )
    points = means[codes] + rng.normal(size=(n_samples, n_dimensions))
    one = placed(points, codes, means)
    return HeldOut(one, one, min(n_classes - 1, n_dimensions))
