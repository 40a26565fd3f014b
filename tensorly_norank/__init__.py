"""Tensor decomposition without a rank: metric learning finds the components.

See :func:`no_rank_decomposition`.
"""

from tensorly_norank import encoders, losses
from tensorly_norank._factors import fit_factors
from tensorly_norank.decomposition import no_rank_decomposition
from tensorly_norank.norank_tensor import NoRankTensor

__version__ = "0.1.0.dev0"

__all__ = ["NoRankTensor", "encoders", "fit_factors", "losses", "no_rank_decomposition"]
