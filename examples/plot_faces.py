"""
Faces of people who were never seen
===================================

Half of the people are fitted, and two photographs of other people are compared: is it the same
person? The Olivetti faces are a download. Where they are not at hand, handwritten digits take their
place, which is a harder case: only five classes are there to learn from.
"""

import matplotlib.pyplot as plt
import numpy as np
import tensorly as tl
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import pairwise_distances, roc_auc_score, roc_curve
from sklearn.pipeline import make_pipeline

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import load_digits, load_olivetti
from tensorly_norank.plotting import plot_samples

try:
    data = load_olivetti(download_if_missing=False)
    tensor, labels = data.tensor[:, ::2, ::2], data.labels  # every other pixel, to be quick
    print("Olivetti: ten photographs of each of 40 people.")
except OSError:
    data = load_digits()
    tensor, labels = data.tensor[:800], data.labels[:800]
    print("The Olivetti faces are not in scikit-learn's cache: 800 digits take their place.")

# %%
# Two halves of the people
# ------------------------
# No photograph of a held-out person is used before the curves below.

people = np.random.default_rng(0).permutation(np.unique(labels))
is_fitted = np.isin(labels, people[: len(people) // 2])
fitted, fitted_labels = tensor[is_fitted], labels[is_fitted]
new, new_labels = tensor[~is_fitted], labels[~is_fitted]
names = data.class_names[np.unique(new_labels)[:4]]
shown = np.isin(new_labels, np.unique(new_labels)[:4])
ax = plot_samples(new[shown], new_labels[shown], names)
ax.set_title("some of those who are held out")

# %%
# Four ways to compare
# --------------------
# The pixels themselves; LDA; our components, as many as are found; and all 64 components of an
# embedding that is kept spread out, which is meant for classes that are yet to come.

settings = {"encoder": "mlp", "n_iter_max": 60, "tol": 0, "random_state": 0}  # to be quick
counted = no_rank_decomposition(fitted, fitted_labels, **settings)
spread = no_rank_decomposition(fitted, fitted_labels, diversity=10, rank=64, **settings)
pixels = [tl.to_numpy(part).reshape(len(part), -1) for part in (fitted, new)]
lda = make_pipeline(PCA(40, random_state=0), LinearDiscriminantAnalysis())
lda.fit(pixels[0], fitted_labels)
placed = {
    "pixels": pixels[1],
    "LDA": lda.transform(pixels[1]),
    f"no-rank, {counted.rank} components": counted.transform(new),
    "no-rank, spread, 64 components": spread.transform(new),
}

# %%
# Same or different?
# ------------------
# For each threshold on the distance: the share of pairs of one person that are accepted, and the
# share of pairs of two people that are accepted by mistake. The numbers are areas under the curves.

first, second = np.triu_indices(len(new), k=1)
is_same = new_labels[first] == new_labels[second]
print(f"{is_same.sum()} pairs of the same, {(~is_same).sum()} of different people")
figure, ax = plt.subplots(figsize=(6, 5.5), layout="constrained")
for (name, points), style in zip(placed.items(), (":", "--", "-", "-."), strict=True):
    similarity = -pairwise_distances(points)[first, second]
    area = roc_auc_score(is_same, similarity)
    false_accepts, true_accepts, _ = roc_curve(is_same, similarity)
    ax.plot(false_accepts, true_accepts, style, label=f"{name}: {area:.3f}")
    print(f"{name:>32}: {area:.3f}")
ax.set(xlabel="false accept rate", ylabel="true accept rate", xscale="log", xlim=(1e-3, 1))
figure.legend(title="area under the curve", loc="outside lower center", ncols=2)
plt.show()

# %%
# What to make of it
# ------------------
# Twenty faces teach what other faces need: with Olivetti, both of ours are above LDA, and all three
# above the pixels, though LDA is as good where hardly any mistake is allowed. Five digits do not:
# there, LDA and the components that tell these five apart do worse than the pixels, and only the
# spread embedding keeps up with them. This is one split, and the gaps differ between splits.
