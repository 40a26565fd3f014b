"""Tensor decomposition without a rank: metric learning finds the components.

See :func:`no_rank_decomposition`, and :class:`NoRankDecomposition` for scikit-learn.
"""

import importlib
from types import ModuleType

from tensorly_norank import encoders, losses
from tensorly_norank._encoder_choice import EncoderChoice
from tensorly_norank._factors import fit_factors
from tensorly_norank._rank_evidence import RankEvidence
from tensorly_norank.decomposition import TrainingState, no_rank_decomposition
from tensorly_norank.estimator import NoRankDecomposition
from tensorly_norank.norank_tensor import NoRankTensor

__version__ = "0.1.0.dev0"

_LAZY = ("datasets", "evaluation", "plotting")  # imported when first used: they take their time

__all__ = [
    "EncoderChoice",
    "NoRankDecomposition",
    "NoRankTensor",
    "RankEvidence",
    "TrainingState",
    "datasets",
    "encoders",
    "evaluation",
    "fit_factors",
    "losses",
    "no_rank_decomposition",
    "plotting",
]


def __getattr__(name: str) -> ModuleType:
    if name in _LAZY:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
