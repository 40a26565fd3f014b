"""
A few labels, and many samples without
======================================

Five images of each digit are labelled, 850 images are not. Labels spread to neighbours as far as
the labelled images vouch for it; what that is worth is scored on images that nobody fitted.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import load_digits
from tensorly_norank.evaluation import evaluate_embedding

digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.labels))
fitted, new = order[:900], order[900:]
tensor, labels = digits.tensor[fitted], digits.labels[fitted]

is_labelled = np.zeros(900, dtype=bool)
for digit in range(10):
    is_labelled[np.flatnonzero(labels == digit)[:5]] = True
given = np.where(is_labelled, labels, -1)

# %%
# A warning counts what is missing. The encoder is named here to save time.

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    result = no_rank_decomposition(tensor, given, encoder="mlp", random_state=0)
print(*[warning.message for warning in caught], sep="\n")
print(result.rank_evidence)

# %%
# And the labelled images alone:

alone = no_rank_decomposition(
    tensor[is_labelled], labels[is_labelled], encoder="mlp", tol=0, random_state=0
)

# %%
# New images, in their true colours
# ---------------------------------

_, axes = plt.subplots(1, 2, figsize=(9, 5), layout="constrained")
for ax, fit, title in [(axes[0], alone, "50 images"), (axes[1], result, "and 850 without a label")]:
    points = fit.transform(digits.tensor[new])
    figures = evaluate_embedding(points, digits.labels[new])
    ax.scatter(*points[:, :2].T, c=digits.labels[new], cmap="tab10", s=6)
    ax.set(xticks=[], yticks=[], aspect="equal", title=title)
    ax.set_xlabel(
        f"{fit.rank} components, silhouette {figures['silhouette']:.2f}, "
        f"nearest neighbour right {figures['recall_at_1']:.0%}"
    )
plt.show()
