"""A t-test for differences over splits of the same samples."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from tensorly_norank._validation import check_number

_ROUNDING = 1e-12


def corrected_resampled_t_test(differences: Any, test_to_fit: float) -> float:
    """Two-sided p-value of a mean difference over splits of the same samples.

    The fits of different splits share samples, so that their differences vary less than those of
    independent ones would; the plain t-test then rejects far too often. The corrected one [1]_
    enlarges the variance of the mean from s²/J to (1/J + n_test/n_fit) s².

    Parameters
    ----------
    differences : array-like of length J
        Of two methods' figures, split by split. Those below 1e-12, which is rounding where figures
        are of the order of 1, count as 0.
    test_to_fit : float
        Size of the held-out part over that of the fitted one; 0 gives the plain t-test.

    Returns
    -------
    float
        NaN with fewer than two differences, or where all are the same and not 0: of how much
        differences vary, they say nothing. 1 where all are 0.

    Raises
    ------
    TypeError, ValueError
        If the differences are no vector of finite numbers, or `test_to_fit` is negative.

    References
    ----------
    .. [1] C. Nadeau and Y. Bengio, "Inference for the generalization error", Machine Learning 52,
       239-281 (2003).

    Examples
    --------
    >>> from tensorly_norank.evaluation import corrected_resampled_t_test
    >>> corrected_resampled_t_test([0.01, 0.02, 0.03, 0.02, 0.02], test_to_fit=1)
    0.06...
    """
    try:
        values = np.asarray(differences, float)
    except (TypeError, ValueError):
        values = np.full(1, np.nan)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(
            "differences must be a vector of finite numbers, one for each split, got "
            f"{differences!r}."
        )
    check_number(test_to_fit, "test_to_fit")
    n_splits = len(values)
    values = np.where(np.abs(values) < _ROUNDING, 0.0, values)
    if n_splits < 2 or (np.ptp(values) < _ROUNDING and values.any()):
        return float("nan")
    if not values.any():
        return 1.0
    spread = np.sqrt((1 / n_splits + test_to_fit) * values.var(ddof=1))
    return float(2 * stats.t.sf(abs(values.mean()) / spread, n_splits - 1))
