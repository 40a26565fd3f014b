"""
What the keywords change
========================

Every keyword has a default, and the defaults were measured on many data sets. Here is what happens
without a choice, and what each keyword changes, on images of digits: always on samples that were
not fitted.
"""

# %%
# Choosing nothing
# ----------------
# The encoder is chosen, the components are counted, the number of passes follows the data.

import matplotlib.pyplot as plt
import numpy as np

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import load_digits
from tensorly_norank.evaluation import evaluate_embedding
from tensorly_norank.plotting import plot_embedding

digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.labels))
fitted, held_out = order[:500], order[500:1000]
tensor, labels = digits.tensor, digits.labels

result = no_rank_decomposition(tensor[fitted], labels[fitted], random_state=0)
print(result.encoder_choice)
print(result.rank_evidence)

# %%
# All that follows names the encoder, the rank, and holds nothing out for counting
# (``validation_fraction=0``): one quick fit of 50 passes (``tol=0``: all of them) for each picture,
# instead of the several that choosing and counting take.


def fit(samples, codes, **keywords):
    """One fit, nothing chosen and nothing counted."""
    options = {"encoder": "mlp", "rank": 9, "validation_fraction": 0, "n_iter_max": 50, "tol": 0}
    return no_rank_decomposition(samples, codes, random_state=0, **options | keywords)


def show(name, values):
    """Held-out samples on the first two components, for each value of a keyword."""
    _, axes = plt.subplots(1, len(values), figsize=(13, 4.5), layout="constrained")
    for ax, value in zip(axes, values, strict=True):
        points = fit(tensor[fitted], labels[fitted], **{name: value}).transform(tensor[held_out])
        figures = evaluate_embedding(points, labels[held_out], data=tensor[held_out])
        plot_embedding(points, labels[held_out], ax=ax)
        ax.set_title(
            f"{name}={value:g}\nsilhouette {figures['silhouette']:.2f}, "
            f"trustworthiness {figures['trustworthiness']:.2f}"
        )
    plt.show()


# %%
# margin
# ------
# How much farther away than their own class the others should be. The larger it is, the harder
# classes are pressed together; points on a sphere of radius 1 are at most 2 apart, and 1.4 where
# they stand at right angles. Raise it a little for tighter classes, lower it where classes overlap;
# many classes cannot all be 1.4 farther from each other than from themselves, and trying is no use.

show("margin", [0.2, 0.8, 1.4])

# %%
# locality
# --------
# Keeps what is near in the data near within its class. Classes stay apart, but their inside looks
# more like the data: trustworthiness (whether neighbours were neighbours before) rises.

show("locality", [0.0, 1.0, 10.0])

# %%
# diversity
# ---------
# Spreads the embedding over many directions instead of those few that the classes need. In two
# components of nine this is hard to see, and known classes lose a little. It is for classes that
# are yet to come: here, only the digits 0 to 4 are fitted. Do the nearest neighbours of the
# others share their class, as they nearly always do in the raw pixels? All axes are kept, for the
# four that tell five digits apart are too few for five others.

known = labels < 5
others = tensor[~known][::2], labels[~known][::2]


def recall_of_others(**keywords):
    """Share of samples of classes never shown whose nearest neighbour is of their class."""
    points = fit(tensor[known][::2], labels[known][::2], rank=64, **keywords).transform(others[0])
    return evaluate_embedding(points, others[1])["recall_at_1"]


raw = evaluate_embedding(others[0].reshape(len(others[0]), -1), others[1])["recall_at_1"]
weights = [0.0, 1.0, 10.0]
recalls = [recall_of_others(diversity=weight) for weight in weights]

fig, ax = plt.subplots(figsize=(5, 3), layout="constrained")
ax.bar([f"{weight:g}" for weight in weights], recalls, color="0.6")
ax.axhline(raw, color="k", linestyle=":", label="raw pixels")
ax.set(xlabel="diversity", ylabel="recall@1, classes never shown", ylim=(0.5, 1))
ax.legend()
plt.show()

# %%
# n_iter_max and tol
# ------------------
# A fit ends when the error on held-out samples improves no more. The history shows it: the learning
# rate falls at the end, and with it the errors. If held-out triplets are in much worse order than
# those that were fitted, a warning says so.

history = result.history
fig, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
axes[0].plot(history["error"], label="error, held out")
axes[0].plot(history["learning_rate"] / np.max(history["learning_rate"]), label="learning rate")
axes[1].plot(history["fitted_triplet_accuracy"], label="triplets in order, fitted")
axes[1].plot(history["triplet_accuracy"], label="triplets in order, held out")
for ax in axes:
    ax.set_xlabel("pass")
    ax.legend()
plt.show()

# %%
# When to touch which, and what was measured: :doc:`/user_guide/choosing`.
