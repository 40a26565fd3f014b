"""
A few labels, and many samples without
======================================

Five images of each digit are labelled, 850 images are not. Labels spread to neighbours as far as
the labelled images vouch for it; what that is worth is scored on images that nobody fitted.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import load_digits
from tensorly_norank.evaluation import evaluate_embedding
from tensorly_norank.plotting import plot_embedding

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
    tensor[is_labelled], labels[is_labelled], encoder="mlp", random_state=0
)

# %%
# New images, in their true colours
# ---------------------------------
# What a user can do with 50 labels is to name a new image by the nearest of the labelled ones. That
# is what the percentage counts, here and among the pixels.

known = labels[is_labelled]
pixels = digits.tensor.reshape(len(digits.tensor), -1)
nearest = KNeighborsClassifier(1).fit(pixels[fitted][is_labelled], known)
print(f"pixels: {nearest.score(pixels[new], digits.labels[new]):.0%} named correctly")

_, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
fits = {
    "50 images": (alone, alone.embedding),
    "and 850 without a label": (result, result.embedding[is_labelled]),
}
for ax, (title, (fit, points)) in zip(axes, fits.items(), strict=True):
    placed = fit.transform(digits.tensor[new])
    named = KNeighborsClassifier(1).fit(points, known).score(placed, digits.labels[new])
    silhouette = evaluate_embedding(placed, digits.labels[new])["silhouette"]
    plot_embedding(placed, digits.labels[new], ax=ax)
    ax.set_title(
        f"{title}\n{fit.rank} components, silhouette {silhouette:.2f}, {named:.0%} named correctly"
    )
plt.show()
