"""
No labels: keeping neighbours
=============================

Without labels an encoder learns to keep neighbours together, and held-out samples say how many
components that takes. It starts at the principal components, and ends with more neighbours kept
than they keep.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import load_digits
from tensorly_norank.evaluation import evaluate_embedding
from tensorly_norank.plotting import plot_embedding

digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.labels))
fitted, new = digits.tensor[order[:900]], digits.tensor[order[900:]]

# %%
# The encoder is named here to save time (by default four are tried), and all passes are run.

result = no_rank_decomposition(fitted, encoder="mlp", tol=0, random_state=0)
print(result.rank_evidence)

# %%
# A component is needed as long as it puts a thousandth more of the triplets (a sample, one of its
# nearest neighbours, any other) of held-out images into their order, and significant as long as
# entries of the images share it; noise would not.
#
# Images that were not fitted, beside as many principal components. Labels only serve to score and
# to colour.

flat, new_flat = (images.reshape(len(images), -1) for images in (fitted, new))


def agreement(points):
    """How many neighbours are kept, of those in the embedding and of those in the data."""
    figures = evaluate_embedding(points, digits.labels[order[900:]], data=new)
    return f"{figures['trustworthiness']:.4f}, {figures['continuity']:.4f}"


components = PCA(result.rank).fit(flat)
print(f"trustworthiness, continuity of {result.rank} components:")
print("  ours                ", agreement(result.transform(new)))
print("  principal components", agreement(components.transform(new_flat)))

# %%
# Two components, for a map
# -------------------------
# Asked for two, the encoder arranges samples for these two alone.

two = no_rank_decomposition(fitted, encoder="mlp", rank=2, tol=0, random_state=0)
maps = {
    "two principal components": PCA(2).fit(flat).transform(new_flat),
    "rank=2": two.transform(new),
}
_, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
for ax, (title, points) in zip(axes, maps.items(), strict=True):
    plot_embedding(points, digits.labels[order[900:]], ax=ax)
    ax.set_title(f"{title}\ntrustworthiness, continuity: {agreement(points)}")
plt.show()
