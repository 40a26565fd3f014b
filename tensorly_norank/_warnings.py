"""Warnings that name the caller's line, however deep in the package their reason shows."""

from __future__ import annotations

import sys
import warnings

# Pipelines and searches call the methods of an estimator, and scikit-learn wraps these.
_PASSED_OVER = {__name__.partition(".")[0], "sklearn", "joblib"}


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """As `warnings.warn`, of the innermost line that is neither ours nor scikit-learn's."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _package_of(frame.f_globals) in _PASSED_OVER:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _package_of(names: dict[str, object]) -> str:
    return str(names.get("__name__")).partition(".")[0]
