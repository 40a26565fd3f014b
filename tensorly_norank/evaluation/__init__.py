"""Figures of an embedding, and several methods on the same splits.

What each figure measures, and when it misleads, is on the documentation's page on evaluation.
"""

from tensorly_norank.evaluation._comparison import compare
from tensorly_norank.evaluation._figures import Figures, evaluate_embedding
from tensorly_norank.evaluation._t_test import corrected_resampled_t_test

__all__ = [
    "Figures",
    "compare",
    "corrected_resampled_t_test",
    "evaluate_embedding",
]
