"""
Several methods on the same splits
==================================

Is it better than what I use now? `compare` fits any number of methods to the same halves of a data
set, scores what was held out, and tests the differences with a test that knows that the halves
overlap. Here: 600 handwritten digits.
"""

# %%
# The methods
# -----------
# A dict of keywords stands for our own decomposition; scikit-learn's transformers and pipelines are
# taken as they are, and so is any function that embeds. One of them is broken, to show that the
# others go on.

import warnings

import matplotlib.pyplot as plt
import numpy as np
import tensorly as tl
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from tensorly.decomposition import parafac

from tensorly_norank.datasets import load_digits
from tensorly_norank.evaluation import compare
from tensorly_norank.plotting import plot_comparison


def embed_by_parafac(fit_samples, fit_labels, new_samples, random_state):
    """CP of the fitted samples; new ones by least squares on its factors."""
    mean = tl.mean(fit_samples, axis=0)
    cp = parafac(fit_samples - mean, rank=10, n_iter_max=50, random_state=random_state)
    patterns = tl.tenalg.khatri_rao([cp.weights[None] * cp.factors[1], *cp.factors[2:]])
    return [
        np.linalg.lstsq(tl.to_numpy(patterns), tl.to_numpy(tl.unfold(part - mean, 0)).T)[0].T
        for part in (fit_samples, new_samples)
    ]


def broken(fit_samples, fit_labels, new_samples):
    """Nothing works all the time."""
    raise RuntimeError("out of memory")


methods = {
    "no-rank": {"encoder": "mlp", "n_iter_max": 40},  # fewer than by default, to be quick
    "LDA": make_pipeline(PCA(40), LinearDiscriminantAnalysis()),
    "PCA": PCA(20),
    "pixels": FunctionTransformer(),
    "CP": embed_by_parafac,
    "broken": broken,
}
digits = load_digits()
tensor, labels = digits.tensor[:600], digits.labels[:600]
warnings.simplefilter("ignore")  # of fits that could go on improving
table = compare(
    tensor,
    labels,
    methods,
    cv=StratifiedShuffleSplit(3, test_size=0.5, random_state=0),
    random_state=0,
    verbose=1,
)

# %%
# The table
# ---------
# For each figure and method: mean and spread over the splits, held out; the same figure of the
# samples that were fitted; the difference to the best other method, and how surely it is one.

print(table.loc["knn_accuracy"].drop(columns="in_sample").to_string(float_format="%.3f"))
print()
print(table["mean"].unstack("method")[list(methods)].to_string(float_format="%.3f"))

# %%
# Its picture. A cross far to the right of its diamond shows overfitting.

figure, axes = plt.subplots(1, 3, figsize=(13, 2.8), layout="constrained")
for ax, name in zip(axes, ("silhouette", "ari", "knn_accuracy"), strict=True):
    plot_comparison(table, name, ax=ax)

# %%
# Classes that were never shown
# -----------------------------
# With `unseen_classes` five of the digits are fitted and the other five are scored: does distance
# mean similarity there, too? With so few classes to learn from, less than in the pixels themselves:
# part of what was learned is these five digits.

unseen = compare(
    tensor,
    labels,
    {name: methods[name] for name in ("no-rank", "LDA", "PCA", "pixels")},
    unseen_classes=True,
    random_state=0,
)
figure, axes = plt.subplots(1, 2, figsize=(10, 2.4), layout="constrained")
for ax, name in zip(axes, ("recall_at_1", "verification_auc"), strict=True):
    plot_comparison(unseen, name, ax=ax)
plt.show()
