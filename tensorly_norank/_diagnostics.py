"""What is checked about an embedding rather than promised."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from tensorly_norank._batches import Split
from tensorly_norank._training import Part
from tensorly_norank.losses import margin_violations, triplet_accuracy

_N_NEIGHBORS = 10
_MOST_SAMPLES = 1000  # of which neighbours and triplets are looked at


def diagnose(
    embedding: Tensor,
    whole: Part,
    split: Split | None,
    margin: float,
    held_out: dict[str, Any] | None,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Triplets and neighbourhoods of fitted and held-out samples.

    Parameters
    ----------
    embedding : Tensor of shape (n_samples, rank)
        Of all samples, as it is returned.
    whole : Part
        All samples and their classes.
    split : Split, optional
        Which samples the fit at hand has seen; None for all of them.
    margin : float
        The margin of the fit.
    held_out : dict, optional
        Diagnostics of an earlier fit, from which the held-out figures are taken over.
    rng : numpy Generator
        Draws the samples where there are more than 1,000.
    """
    fitted = np.arange(len(whole)) if split is None else split.fit
    figures = _triplet_figures(embedding, whole, fitted, margin, rng, "")
    if held_out is not None:
        figures |= {k: v for k, v in held_out.items() if k.startswith("held_out_")}
    elif split is not None and split.count is not None:
        figures |= _triplet_figures(embedding, whole, split.count, margin, rng, "held_out_")
    return figures | _neighbourhoods(embedding, whole, rng)


def _triplet_figures(
    embedding: Tensor,
    whole: Part,
    indices: np.ndarray,
    margin: float,
    rng: np.random.Generator,
    prefix: str,
) -> dict[str, float]:
    chosen = torch.from_numpy(rng.permutation(indices)[:_MOST_SAMPLES]).to(embedding.device)
    points, labels = embedding[chosen], whole.labels[chosen]
    return {
        f"{prefix}triplet_accuracy": triplet_accuracy(points, labels),
        f"{prefix}margin_violations": margin_violations(points, labels, margin),
    }


def _neighbourhoods(embedding: Tensor, whole: Part, rng: np.random.Generator) -> dict[str, float]:
    from sklearn.manifold import trustworthiness  # slow to import

    chosen = torch.from_numpy(rng.permutation(len(whole))[:_MOST_SAMPLES]).to(embedding.device)
    points = embedding[chosen].cpu().numpy()
    samples = whole.samples[chosen].flatten(1).cpu().numpy()
    n_neighbors = min(_N_NEIGHBORS, (len(chosen) - 1) // 2)
    if n_neighbors < 1:
        return {"trustworthiness": float("nan"), "continuity": float("nan")}
    return {
        "trustworthiness": float(trustworthiness(samples, points, n_neighbors=n_neighbors)),
        "continuity": float(trustworthiness(points, samples, n_neighbors=n_neighbors)),
    }
