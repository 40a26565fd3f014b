"""
Another library's loss
======================

By default an embedding is trained on triplets: a sample, one of its class, one of another.
``loss=`` puts any function of a batch in their place, ``loss(embedding, labels)`` to a number that
is to be small. Here: one written in six lines, and two of pytorch-metric-learning, which has dozens
with that signature.
"""

# %%
# A loss of your own
# ------------------
# The embedding of a batch are points on the unit sphere, (batch, D), and the labels are numbers of
# classes, counted from 0 in the order of ``result.classes``. Every batch holds the classes in equal
# shares, several samples of each. This is the supervised contrastive loss: among all others of the
# batch, those of a sample's class should be most similar to it.

import matplotlib.pyplot as plt
import torch
from sklearn.model_selection import StratifiedShuffleSplit

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import load_digits
from tensorly_norank.evaluation import compare
from tensorly_norank.plotting import plot_comparison


def contrastive(embedding, labels):
    """Mean negative log-probability of picking a sample's like, at temperature 0.1."""
    is_self = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    is_alike = (labels[:, None] == labels) & ~is_self
    similarity = (embedding @ embedding.T / 0.1).masked_fill(is_self, -torch.inf)
    return -similarity.log_softmax(dim=1)[is_alike].mean()


losses = {"triplets (ours)": None, "contrastive (by hand)": contrastive}

# %%
# Losses of a library
# -------------------
# The first compares pairs of the batch and has nothing to learn. The second is a classifier: it has
# a direction for each class, which is learned with the encoder. It must know how many classes there
# are, and the dimension of the embedding: 64, unless a sample has fewer entries. A module is
# copied, so that every fit starts from what you pass and leaves it as it is; its directions are
# drawn at random when it is made, and are not fixed by ``random_state``.

torch.manual_seed(0)
try:
    from pytorch_metric_learning.losses import ArcFaceLoss, MultiSimilarityLoss
except ImportError:
    remark = "pytorch-metric-learning is not installed: its two losses are left out"
else:
    remark = "pytorch-metric-learning's losses with their default settings"
    losses["multi-similarity"] = MultiSimilarityLoss()
    losses["ArcFace"] = ArcFaceLoss(num_classes=10, embedding_size=64)

# %%
# The same halves for all
# -----------------------
# All else is the same: encoder, passes (few, to be quick), the variation of the samples in
# training, the terms beside the loss, the count of the components. Three times, half of 800 digits
# are fitted and the other half is scored.

digits = load_digits()
tensor, labels = digits.tensor[:800], digits.labels[:800]
settings = {"encoder": "mlp", "n_iter_max": 20, "tol": 0}
table = compare(
    tensor,
    labels,
    {name: settings | {"loss": loss} for name, loss in losses.items()},
    cv=StratifiedShuffleSplit(3, test_size=0.5, random_state=0),
    random_state=0,
    verbose=1,
)

figures = ["knn_accuracy", "recall_at_1", "triplet_accuracy", "silhouette", "trustworthiness"]
for column in ("mean", "std", "p_value"):
    shown = table[column].unstack("figure").loc[list(losses), [*figures, "n_components"]]
    print(f"\n{column}, held out ({remark})")
    print(shown.to_string(float_format="%.3f"))

# %%
# Their picture: a diamond for the mean of the splits, a cross for the samples that were fitted.

_, axes = plt.subplots(1, 3, figsize=(13, 2.6), layout="constrained")
for ax, name in zip(axes, ("knn_accuracy", "silhouette", "trustworthiness"), strict=True):
    plot_comparison(table, name, ax=ax)
plt.show()

# %%
# What comes back is as always
# ----------------------------
# A decomposition, whose number of components was counted on held-out samples. Its history has the
# loss of yours in the triplets' place. The share of triplets in order is reported for any loss.

name = list(losses)[-1]
result = no_rank_decomposition(tensor, labels, loss=losses[name], random_state=0, **settings)
print(result)
_, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
axes[0].plot(result.history["loss"], "k")
axes[0].set(xlabel="pass", ylabel=name)
axes[1].plot(result.history["triplet_accuracy"], "k")
axes[1].set(xlabel="pass", ylabel="triplets in order, held out")
plt.show()

# %%
# What the figures show
# ---------------------
# The losses agree on what matters most: they find the same number of components, and nearest
# neighbours and triplets are right about equally often. What differs there is small, and the test
# does not tell it from chance. They differ in shape. Triplets with a margin press the classes
# together most, which is what the silhouette measures; the others keep a little more of the data's
# neighbourhoods (trustworthiness), by about as much as splits differ. That is three splits of one
# easy data set, with few passes and default settings for everyone: no ranking of losses. If your
# field trusts one of them, ``loss=`` takes it; these figures are no reason to leave the default.
