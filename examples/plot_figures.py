"""
Figures of a decomposition
==========================

Each function of :mod:`tensorly_norank.plotting` draws into the axes that it is given, or into new
ones, and returns them, so that they can be set beside one another, titled and saved as any figure
of matplotlib. Classes are told apart by marks as well as by colours.
"""

import matplotlib.pyplot as plt
from sklearn.model_selection import train_test_split

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import load_covid19_serology, load_digits
from tensorly_norank.plotting import (
    plot_components,
    plot_decomposition,
    plot_embedding,
    plot_history,
    plot_rank_evidence,
    plot_similarity,
)

digits = load_digits()
fitted, held_out, labels, held_out_labels = train_test_split(
    digits.tensor, digits.labels, train_size=700, stratify=digits.labels, random_state=0
)
result = no_rank_decomposition(fitted, labels, encoder="mlp", random_state=0)
new = result.transform(held_out)

# %%
# All at once
# -----------
# The samples, why there are so many components, and the first three of their patterns.

plot_decomposition(result, labels)
plt.show()

# %%
# Points
# ------
# Two components by default; of more, a panel for each pair. New samples, here those that no fit has
# seen, lie over the others with a dark edge. Distances along both axes are drawn alike, for they
# mean similarity.

plot_embedding(result, labels, (0, 1, 2), new=new[:100], new_labels=held_out_labels[:100])
plt.show()

# %%
# Similarity of all pairs
# -----------------------
# Of held-out samples: light blocks along the diagonal are classes whose samples are like one
# another, light ones beside it pairs of classes that are.

plot_similarity(new, held_out_labels)
plt.show()

# %%
# Training history
# ----------------

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
plot_history(result, ax=left)
plot_rank_evidence(result, ax=right)
plt.show()

# %%
# Patterns
# --------
# The factors of the other modes say what changes in the data along each component. Of images they
# make one together. Where entries have names, bars do: antigens and receptors of blood samples.

plot_components(result, range(4))
plt.show()

# %%

serology = load_covid19_serology()
outcomes = no_rank_decomposition(serology.tensor, serology.labels, encoder="linear", random_state=0)
plot_components(outcomes, dims=serology.dims, ticks=serology.ticks)
plt.show()

# %%
# The classes have an order here, and few components tell them apart.

plot_decomposition(
    outcomes,
    serology.labels,
    class_names=serology.class_names,
    dims=serology.dims,
    ticks=serology.ticks,
)
plt.show()
