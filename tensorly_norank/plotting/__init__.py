"""Figures drawn with matplotlib (extra ``plot``).

Each function draws into the axes that it is given, or into those of a new figure, and returns them.
Where a figure has several panels they lie inside these axes. Classes have marks as well as colours,
and where there are too many for that, colours that grow lighter in their order: figures can be read
in grey. What stands beside axes of your own (names, a legend, a colour bar) needs room: make their
figure with ``layout="constrained"``.
"""

from tensorly_norank.plotting._comparison import plot_comparison
from tensorly_norank.plotting._components import plot_components
from tensorly_norank.plotting._decomposition import plot_decomposition
from tensorly_norank.plotting._embedding import plot_embedding
from tensorly_norank.plotting._history import plot_history
from tensorly_norank.plotting._rank_evidence import plot_rank_evidence
from tensorly_norank.plotting._samples import plot_samples
from tensorly_norank.plotting._similarity import plot_similarity

__all__ = [
    "plot_comparison",
    "plot_components",
    "plot_decomposition",
    "plot_embedding",
    "plot_history",
    "plot_rank_evidence",
    "plot_samples",
    "plot_similarity",
]
