"""What figures are computed from: checked, as numpy arrays, and in a place that rounds little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorly_norank._labels import number_jointly, number_labels
from tensorly_norank._points import as_array, as_doubles, check_points

_MOST_FOR_MIDDLE = 1000  # points that are asked where the middle is


def check_fitted(
    embedding: Any, fit_labels: Any, labels: Any, n_components: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fitted points, and codes that mean the same for them and for the samples asked about."""
    points = check_points(embedding, "fit_embedding")
    if points.shape[1] != n_components:
        raise ValueError(
            f"fit_embedding must have the {n_components} columns of embedding, got "
            f"{points.shape[1]}."
        )
    number_labels(fit_labels, len(points), "fit_labels")
    codes = number_jointly(fit_labels, labels)
    return points, codes[: len(points)], codes[len(points) :]


def check_data(data: Any, n_samples: int) -> np.ndarray:
    """Finite samples, flattened, (n_samples, n_entries), as seen from one of them."""
    array = as_array(data, "data")
    if array.ndim < 1 or len(array) != n_samples or not array.size:
        raise ValueError(
            f"data must hold the {n_samples} samples of embedding on axis 0, of one entry or more, "
            f"got shape {array.shape}."
        )
    flat = as_doubles(array.reshape(n_samples, -1), "data")
    return Place.of(flat).move(flat)


@dataclass(frozen=True)
class Place:
    """Where points lie and how far they reach: figures depend on neither, but rounding does.

    The origin is a point, one in the middle, and the unit a power of two, so that ties stay ties.
    """

    origin: np.ndarray  # (D,)
    unit: float

    @classmethod
    def of(cls, points: np.ndarray) -> Place:
        """That of points (n, D)."""
        some = points[:: -(-len(points) // _MOST_FOR_MIDDLE)]
        distances = np.abs(some - np.median(some, axis=0)).max(axis=1)
        origin = some[distances.argmin()]  # seen from an outlier, all others would coincide
        _, exponent = np.frexp(np.abs(points - origin).max())
        return cls(origin, float(np.ldexp(1.0, int(exponent))))

    def move(self, points: np.ndarray) -> np.ndarray:
        """Points (n, D) as seen from there."""
        return (points - self.origin) / self.unit
