"""
How many components, and why
============================

No rank is given: the number of components is the number of directions in which the classes differ
on samples that served no earlier decision. First on a tensor of which the number is known, then on
one in which nothing is to be found, then on blood samples.
"""

# %%
# A number that is known
# ----------------------
# Three components tell eight classes apart. Four more, twice as loud, have nothing to do with the
# classes, and would be the first that a method finds which only looks at the tensor.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import load_covid19_serology, simulate_planted
from tensorly_norank.plotting import plot_rank_evidence

planted = simulate_planted(n_samples=400, rank=3, n_classes=8, n_distractors=4, random_state=1)
result = no_rank_decomposition(planted.tensor, planted.labels, encoder="linear", random_state=0)
print(result.rank_evidence)
plot_rank_evidence(result)
plt.show()

# %%
# Squares are p-values of there being fewer components: filled ones reject that. The line is the
# share of held-out triplets in the right order, if so many components are kept. Both say three.
#
# The components are those that were planted. A score of the truth, over the samples, is a
# combination of the columns of the embedding; of the distractors it is not.

truth = planted.factors[0] - planted.factors[0].mean(axis=0)


def print_what_is_explained(points):
    """The share of each true score that is a combination of the columns."""
    columns = np.c_[points, np.ones(400)]
    residuals = truth - columns @ np.linalg.lstsq(columns, truth)[0]
    explained = 1 - (residuals**2).sum(axis=0) / (truth**2).sum(axis=0)
    print("informative:", explained[:3].round(2), " distractors:", explained[3:].round(2))


print_what_is_explained(result.embedding)

# %%
# The variance of the tensor knows nothing of that: of its first four principal components the
# distractors are combinations, and the scores of the truth are not.

pca = PCA(4)
print_what_is_explained(pca.fit_transform(planted.tensor.reshape(400, -1)))
print("principal components' shares of the variance:", pca.explained_variance_ratio_.round(3))

# %%
# Nothing to be found
# -------------------
# The same tensor, its labels shuffled. One component is kept, for a decomposition must have one,
# and a warning says that it means nothing.

shuffled = np.random.default_rng(0).permutation(planted.labels)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    nothing = no_rank_decomposition(planted.tensor, shuffled, encoder="linear", random_state=0)
print(nothing.rank, "component;", nothing.rank_evidence.significant, "significant")
print(caught[-1].message)
plot_rank_evidence(nothing)
plt.show()

# %%
# Blood samples
# -------------
# Five outcomes of COVID-19, from antibodies against six antigens. Four components are the most that
# five classes could give.

serology = load_covid19_serology()
result = no_rank_decomposition(serology.tensor, serology.labels, random_state=0)
evidence = result.rank_evidence
print(evidence)
plot_rank_evidence(result)
plt.show()

# %%
# `stability` says how often fewer samples, four fifths of each class, give each number. `linear`
# says that the components are directions of the data, and not of the embedding alone. What they
# are, the factors of the other modes tell: here, how much each antigen has to do with them.

for name, loadings in zip(serology.ticks[1], np.asarray(result.factors[1]), strict=True):
    print(f"{name:>10}", loadings.round(2))
