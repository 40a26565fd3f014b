"""What is checked about an embedding rather than promised."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

from tensorly_norank._neighbourhoods import neighbourhood_agreement
from tensorly_norank._training import Part
from tensorly_norank.losses import margin_violations, triplet_accuracy

_LARGE_GAP = 0.15  # between the shares of triplets in order, of samples fitted and held out
_MOST_SAMPLES = 1000  # of which neighbours and triplets are looked at


def diagnose(
    embedding: Tensor, standardised: Tensor, whole: Part, margin: float, rng: np.random.Generator
) -> dict[str, float]:
    """Triplets and neighbourhoods of the fitted samples, or of 1,000 of them drawn at random.

    Parameters
    ----------
    embedding : Tensor of shape (n_samples, rank)
        As it is returned.
    standardised : Tensor of shape (n_samples, *sample_shape)
        The samples, centred: what they have in common would drown their distances.
    whole : Part
        The samples and their classes.
    margin : float
        The margin of the fit.
    rng : numpy Generator
        Draws the samples.
    """
    chosen = np.sort(rng.permutation(len(whole))[:_MOST_SAMPLES])
    part = Part(standardised, whole.codes).take(chosen)
    points = embedding[torch.from_numpy(chosen).to(embedding.device)]
    return triplet_figures(points, part.labels, margin) | _neighbourhoods(points, part)


def triplet_figures(
    points: Tensor, labels: Tensor, margin: float, prefix: str = ""
) -> dict[str, float]:
    """Share of triplets in order, and share that violates the margin."""
    return {
        f"{prefix}triplet_accuracy": triplet_accuracy(points, labels),
        f"{prefix}margin_violations": margin_violations(points, labels, margin),
    }


def _neighbourhoods(points: Tensor, part: Part) -> dict[str, float]:
    samples, embedded = part.samples.flatten(1).cpu().numpy(), points.cpu().numpy()
    return {
        "trustworthiness": neighbourhood_agreement(samples, embedded),
        "continuity": neighbourhood_agreement(embedded, samples),
    }


def warn_of_fitted_encoder() -> None:
    """Say that an encoder may have seen what is held out."""
    warnings.warn(
        "encoder has parameters already: if they were fitted to these samples, held-out figures "
        "and the count of components mean nothing. Pass a new one, or its name.",
        UserWarning,
        stacklevel=3,
    )


def warn_of_overfitting(diagnostics: dict[str, float]) -> None:
    """Say so when the samples are in much better order than those that were held out."""
    fitted = diagnostics["triplet_accuracy"]
    held_out = diagnostics.get("held_out_triplet_accuracy", np.nan)
    if fitted - held_out > _LARGE_GAP:
        warnings.warn(
            f"Of the triplets of fitted samples {fitted:.0%} are in order, but of samples held out "
            f"of a fit {held_out:.0%}: the embedding knows its own samples partly by heart. Judge "
            "it by held-out figures alone. More samples help most, a simpler encoder or fewer "
            "passes sometimes.",
            UserWarning,
            stacklevel=3,
        )
