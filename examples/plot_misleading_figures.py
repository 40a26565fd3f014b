"""
Perfect figures that mean nothing
=================================

A figure of an embedding says something about the samples it is taken of, and only if nothing else
was sacrificed for it. Three ways to be misled, each with the figure that tells: labels that mean
nothing, classes that collapse, and maps in two dimensions.
"""

# %%
# Random labels
# -------------
# 200 samples of pure noise, with labels drawn at random. There is nothing to find. Three components
# are fitted to one half, by metric learning and by linear discriminant analysis.

import warnings

import matplotlib.pyplot as plt
import numpy as np
import tensorly as tl
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.manifold import TSNE
from sklearn.model_selection import StratifiedShuffleSplit, train_test_split

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import load_digits
from tensorly_norank.evaluation import compare, evaluate_embedding
from tensorly_norank.plotting import plot_comparison

warnings.simplefilter("ignore")  # of fits that find nothing

rng = np.random.default_rng(0)
noise = tl.tensor(rng.normal(size=(200, 20, 15)).astype(np.float32))
random_labels = rng.permutation(np.repeat(["a", "b", "c", "d"], 50))

table = compare(
    noise,
    random_labels,
    {
        "no-rank, 3 components": {"encoder": "mlp", "rank": 3, "validation_fraction": 0},
        "LDA": LinearDiscriminantAnalysis(),
        "raw": PCA(100),
    },
    cv=StratifiedShuffleSplit(3, test_size=0.5, random_state=0),
    random_state=0,
)
shown = ["silhouette", "ari", "triplet_accuracy", "recall_at_1"]
print(table.loc[shown, ["in_sample", "mean", "std"]].round(2))

figure, axes = plt.subplots(1, 2, figsize=(11, 2.6), layout="constrained")
for ax, name in zip(axes, ("ari", "triplet_accuracy"), strict=True):
    plot_comparison(table, name, ax=ax)

# %%
# The crosses are the samples that were fitted: on these the decomposition separates classes that do
# not exist, perfectly. The held-out samples say what there is: nothing. LDA looks less perfect only
# because scikit-learn's default solver drops directions with little variance: with more entries
# than samples a linear map can separate any labels, too.
#
# When nobody says how many components there are, the held-out samples are asked before the result
# is returned, and it warns.

result = no_rank_decomposition(noise, random_labels, encoder="mlp", random_state=0)
evidence = result.rank_evidence
print(f"{result.rank} component, p = {evidence.p_value[0]:.2f}: {evidence.significant} significant")

# %%
# Classes that collapse
# ---------------------
# Now there is something to find: handwritten digits. A classifier's answer, one axis a class, is an
# embedding too: all samples of a class at the same point. Silhouette, ARI and nearest neighbours
# can hardly tell it from one that keeps what a digit looks like. Trustworthiness can: it asks
# whether neighbours in the embedding are neighbours in the data.

digits = load_digits()
fit, test = train_test_split(
    np.arange(len(digits.labels)), test_size=0.5, stratify=digits.labels, random_state=0
)
pixels = tl.to_numpy(digits.tensor).reshape(len(digits.labels), -1)
fit_labels, test_labels = digits.labels[fit], digits.labels[test]
classifier = LinearDiscriminantAnalysis().fit(pixels[fit], fit_labels)
result = no_rank_decomposition(digits.tensor[fit], fit_labels, encoder="mlp", random_state=0)
embeddings = {
    "classifier's answer": np.eye(10)[classifier.predict(pixels[test])],
    "no-rank": tl.to_numpy(result.transform(digits.tensor[test])),
    "PCA, 20": PCA(20, random_state=0).fit(pixels[fit]).transform(pixels[test]),
}


def print_figures(embeddings, names):
    """One line for each embedding of the held-out digits."""
    print(" " * 20, *(f"{name:>16}" for name in names))
    for name, embedding in embeddings.items():
        figures = evaluate_embedding(embedding, test_labels, data=pixels[test], random_state=0)
        print(f"{name:>20}", *(f"{figures[key]:16.3f}" for key in names))


print_figures(embeddings, ["silhouette", "ari", "recall_at_1", "trustworthiness", "continuity"])

# %%
# Maps in two dimensions
# ----------------------
# A silhouette compares distances, and methods that draw maps choose distances to draw well: t-SNE
# pulls clusters apart whatever their distance was. Its silhouette is that of the map. The other way
# round, the first two of nine components show less separation than all nine have. A silhouette is
# that of the space it is computed in, and only figures of the same kind of space compare.

maps = {
    "t-SNE of PCA": TSNE(random_state=0, init="pca").fit_transform(embeddings["PCA, 20"]),
    "PCA, 20": embeddings["PCA, 20"],
    "no-rank, first 2": embeddings["no-rank"][:, :2],
    "no-rank": embeddings["no-rank"],
}
print_figures(maps, ["silhouette", "recall_at_1", "effective_rank"])
plt.show()
