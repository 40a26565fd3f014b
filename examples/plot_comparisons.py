"""
Comparisons in place of labels
==============================

"Is this image more like that one or like the other?" Thousands of such answers, some of them wrong,
in place of labels, beside a fit from labels.
"""

import matplotlib.pyplot as plt
import numpy as np

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import load_digits
from tensorly_norank.evaluation import evaluate_embedding
from tensorly_norank.plotting import plot_embedding

digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.labels))
fitted, new = order[:600], order[600:1200]
tensor, labels = digits.tensor[fitted], digits.labels[fitted]

# %%
# The respondent knows the digits, is asked about twenty pairs for each image, and errs in one of
# five.

rng = np.random.default_rng(0)
triplets = []
for anchor, digit in enumerate(labels):
    alike = np.setdiff1d(np.flatnonzero(labels == digit), anchor)
    others = np.flatnonzero(labels != digit)
    triplets += zip([anchor] * 20, rng.choice(alike, 20), rng.choice(others, 20), strict=True)
triplets = np.array(triplets)
is_wrong = rng.random(len(triplets)) < 0.2
triplets[is_wrong] = triplets[is_wrong][:, [0, 2, 1]]

# %%
# Components are counted by comparisons with images that a first fit did not see. The encoder is
# named here to save time, and all passes are run.

result = no_rank_decomposition(tensor, triplets=triplets, encoder="mlp", tol=0, random_state=0)
print(result.rank_evidence)

# %%
# Two figures tell how far these answers can be trusted. Hardly any of them contradict one another,
# whatever the distances are: each is about a pair of pairs that no other is about. But the
# embedding, which must place images by what they look like, cannot fulfil a fifth of them, of those
# that it was not fitted to either.

for name in ("contradicting_share", "triplet_accuracy", "held_out_triplet_accuracy"):
    print(f"{name:26}{result.diagnostics[name]:.3f}")

# %%
# Where the same few samples are compared many times, contradictions show by themselves: all
# comparisons of twelve images, thirty answers each.

few = np.array([(a, p, n) for a in range(12) for p in range(12) for n in range(12)])
few = few[(labels[few[:, 0]] == labels[few[:, 1]]) & (labels[few[:, 0]] != labels[few[:, 2]])]
few = few[few[:, 0] != few[:, 1]].repeat(30, axis=0)
is_wrong = rng.random(len(few)) < 0.2
few[is_wrong] = few[is_wrong][:, [0, 2, 1]]
asked = no_rank_decomposition(
    tensor[:12],
    triplets=few,
    encoder="linear",
    rank=2,
    validation_fraction=0,
    n_iter_max=5,
    tol=0,
    random_state=0,
)
print(f"{is_wrong.mean():.3f} wrong, {asked.diagnostics['contradicting_share']:.3f} contradict")

# %%
# New images, in their true colours, on the first two components; and the same from labels. Three
# nearest neighbours among the fitted images name them. Comparisons serve as well as labels here.
# Among the pixels neighbours are as good or better, but classes do not lie apart.

by_label = no_rank_decomposition(tensor, labels, encoder="mlp", tol=0, random_state=0)
pixels = digits.tensor.reshape(len(digits.tensor), -1)
spaces = {
    "12,000 answers, one of five wrong": (result.embedding, result.transform(digits.tensor[new])),
    "600 labels": (by_label.embedding, by_label.transform(digits.tensor[new])),
    "pixels": (pixels[fitted], pixels[new]),
}
_, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
for (name, (points, placed)), ax in zip(spaces.items(), [*axes, None], strict=True):
    figures = evaluate_embedding(placed, digits.labels[new], points, labels)
    print(
        f"{name}: {placed.shape[1]} dimensions, silhouette {figures['silhouette']:.2f}, "
        f"3-NN {figures['knn_accuracy']:.3f}"
    )
    if ax is not None:
        plot_embedding(placed, digits.labels[new], ax=ax).set_title(name)
plt.show()
