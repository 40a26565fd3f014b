"""What is checked about an embedding rather than promised."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from tensorly_norank._neighbourhoods import neighbourhood_agreement
from tensorly_norank._parts import Part, take_rows
from tensorly_norank._warnings import warn

_LARGE_GAP = 0.15  # between the shares of triplets in order, of samples fitted and held out
_NO_EXTENT = 1e-6  # where points reach about as far as 1
_MOST_SAMPLES = 1000  # of which neighbours and triplets are looked at


def diagnose(
    embedding: Tensor,
    whole: Part,
    standardise: Callable[[Tensor], Tensor],
    margin: float,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Triplets and neighbourhoods of the fitted samples, or of 1,000 of them drawn at random.

    Triplets are of those of which something is known, drawn evenly over classes, or of 20,000
    comparisons.

    Parameters
    ----------
    embedding : Tensor of shape (n_samples, rank)
        As it is returned.
    whole : Part
        The samples and what is known of them.
    standardise : callable
        Centres samples: what they have in common would drown their distances.
    margin : float
        The margin of the fit.
    rng : numpy Generator
        Draws the samples.
    """
    drawn = whole.drawn(_MOST_SAMPLES, rng)
    assert drawn.places is not None
    some = np.sort(rng.permutation(len(whole))[:_MOST_SAMPLES])
    return triplet_figures(take_rows(embedding, drawn.places), drawn, margin) | _neighbourhoods(
        take_rows(embedding, some), standardise(take_rows(whole.samples, some))
    )


def triplet_figures(
    points: Tensor, part: Part, margin: float, prefix: str = ""
) -> dict[str, float]:
    """Share of triplets in order, and share that violates the margin, of a part's samples."""
    triplets = part.triplets(points)
    return {
        f"{prefix}triplet_accuracy": part.mean(triplets.order_by_anchor()),
        f"{prefix}margin_violations": part.mean(triplets.violations_by_anchor(margin)),
    }


def _neighbourhoods(points: Tensor, standardised: Tensor) -> dict[str, float]:
    samples, embedded = standardised.flatten(1).cpu().numpy(), points.cpu().numpy()
    return {
        "trustworthiness": neighbourhood_agreement(samples, embedded),
        "continuity": neighbourhood_agreement(embedded, samples),
    }


def warn_of_missing_labels(given: np.ndarray, filled: np.ndarray) -> None:
    """Say how many samples have no label (code −1), and how many get one from others."""
    n_missing = int(np.sum(given < 0))
    n_lent = n_missing - int(np.sum(filled < 0))
    others = "The others are left out of the fit. " if n_lent < n_missing else ""
    warn(
        f"{n_missing} of {len(given)} labels are missing (None, NaN, or -1 among integers: write "
        f"strings where that is a class): {n_lent} of these samples are fitted with the label that "
        f"neighbours lend them. {others}Components are counted on labelled samples."
    )


def warn_of_collapse(embedding: np.ndarray, n_found: int) -> None:
    """Say so when the embedding (n, R) has no extent along components that the data have."""
    n_flat = int(np.sum(np.ptp(embedding, axis=0) <= _NO_EXTENT))
    if n_found and n_flat:
        warn(
            f"The embedding has no extent along {n_flat} of its {embedding.shape[1]} components: "
            "the encoder has collapsed. Look for what it gives, and at result.history."
        )


def warn_of_fitted_encoder() -> None:
    """Say that an encoder may have seen what is held out."""
    warn(
        "encoder has parameters already: if they were fitted to these samples, held-out figures "
        "and the count of components mean nothing. Pass a new one, or its name."
    )


def warn_of_overfitting(diagnostics: dict[str, float]) -> None:
    """Say so when the samples are in much better order than those that were held out."""
    fitted = diagnostics["triplet_accuracy"]
    held_out = diagnostics.get("held_out_triplet_accuracy", np.nan)
    if fitted - held_out > _LARGE_GAP:
        warn(
            f"Of the triplets of fitted samples {fitted:.0%} are in order, but of samples held out "
            f"of a fit {held_out:.0%}: the embedding has partly memorised its own samples. Judge "
            "it by held-out figures alone. More samples help most, a simpler encoder or fewer "
            "passes sometimes."
        )
