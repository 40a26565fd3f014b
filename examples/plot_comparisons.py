"""
Comparisons in place of labels
==============================

"Is this image more like that one or like the other?" Thousands of such answers, some of them wrong,
do what labels do.
"""

import matplotlib.pyplot as plt
import numpy as np

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import load_digits
from tensorly_norank.evaluation import evaluate_embedding

digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.labels))
fitted, new = order[:600], order[600:1200]
tensor, labels = digits.tensor[fitted], digits.labels[fitted]

# %%
# Who answers knows the digits, is asked about twenty pairs for each image, and errs in one of five.

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
# New images, in their true colours, on the first two components:

points = result.transform(digits.tensor[new])
figures = evaluate_embedding(points, digits.labels[new])
_, ax = plt.subplots(figsize=(5.5, 5.5), layout="constrained")
ax.scatter(*points[:, :2].T, c=digits.labels[new], cmap="tab10", s=6)
ax.set(xticks=[], yticks=[], aspect="equal", title="12,000 answers, one of five wrong")
ax.set_xlabel(
    f"{result.rank} components, silhouette {figures['silhouette']:.2f}, "
    f"nearest neighbour right {figures['recall_at_1']:.0%}"
)
plt.show()
