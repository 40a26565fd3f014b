"""
Classes of very unequal size
============================

Of five digits there are ninety images each, of the other five only eight. Nothing need be done
about it: batches hold classes in like numbers, and what is reported weighs them the same.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import recall_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import load_digits

digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.labels))
half, new = order[:900], order[900:]
fitted = np.concatenate(
    [half[digits.labels[half] == digit][: 8 if digit % 2 else 90] for digit in range(10)]
)
tensor, labels = digits.tensor[fitted], digits.labels[fitted]
print(dict(enumerate(np.bincount(labels).tolist())))

# %%
# The encoder is named here to save time. A class of eight images holds two of them out.

result = no_rank_decomposition(tensor, labels, encoder="mlp", random_state=0)
print(result.rank_evidence)

# %%
# How many new images of each digit three nearest neighbours recognise
# --------------------------------------------------------------------

lda = make_pipeline(PCA(40), LinearDiscriminantAnalysis()).fit(tensor.reshape(-1, 64), labels)
embedded = {
    "no-rank": (result.embedding, result.transform(digits.tensor[new])),
    "LDA": tuple(lda.transform(digits.tensor[part].reshape(-1, 64)) for part in (fitted, new)),
}
_, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
for k, (name, (points, placed)) in enumerate(embedded.items()):
    predicted = KNeighborsClassifier(3).fit(points, labels).predict(placed)
    recalls = recall_score(digits.labels[new], predicted, average=None)
    ax.bar(np.arange(10) + 0.4 * k - 0.2, recalls, 0.4, label=f"{name}: {recalls.mean():.2f}")
ax.set(xticks=range(10), ylabel="recall", ylim=(0, 1))
ax.set_xticklabels([f"{k}\n({8 if k % 2 else 90})" for k in range(10)])
ax.set_xlabel("digit (images that were fitted)")
ax.legend(loc="lower left", title="balanced accuracy")
plt.show()
