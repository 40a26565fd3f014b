"""
parafac and no-rank side by side
================================

The same tensor by TensorLy's ``parafac``, which needs a rank and reconstructs the data, and by
``no_rank_decomposition``, which needs labels and keeps what tells them apart. What one does with
the one result can be done with the other.
"""

import matplotlib.pyplot as plt
import numpy as np
import tensorly as tl
from tensorly.cp_tensor import cp_normalize
from tensorly.decomposition import parafac

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import load_covid19_serology

serology = load_covid19_serology()  # samples × antigens × Fc receptors
outcomes = np.array(serology.class_names)[serology.labels]
centred = serology.tensor - tl.mean(serology.tensor, axis=0)

# %%
# Two calls
# ---------
# ``parafac`` is told how many components to look for; four of them here, for no better reason than
# that one has to say something. Ours is told the outcomes. (The encoder, which by default is chosen
# among four, is named to save time.)

by_variance = cp_normalize(parafac(centred, rank=4, random_state=0))
settings = {"encoder": "linear", "random_state": 0}
by_outcome = no_rank_decomposition(serology.tensor, outcomes, **settings)
print(by_outcome)

# %%
# Both are CP tensors: they unpack, reconstruct, and go into whatever takes a ``CPTensor``.

weights, factors = by_outcome
print([tl.shape(factor) for factor in factors])
for name, cp_tensor in [("parafac", by_variance), ("no rank", by_outcome)]:
    left = tl.norm(centred - tl.cp_to_tensor(cp_tensor)) / tl.norm(centred)
    print(f"{name}: {cp_tensor.rank} components, {1 - left**2:.2f} of the variance")

# %%
# The samples factor
# ------------------
# Of ``parafac`` it says how much of each pattern a sample has; of ours, where the sample lies among
# the others, near to those with the same outcome. Its columns have norm 1; distances are those in
# ``embedding``, which is drawn here. (Ours were fitted to these outcomes, so that the picture is no
# evidence that new samples would lie as well.)

_, axes = plt.subplots(1, 2, figsize=(9, 4.5), layout="constrained")
for ax, (title, points) in zip(
    axes, {"parafac": by_variance.factors[0], "no rank": by_outcome.embedding}.items(), strict=True
):
    for name in serology.class_names:
        ax.scatter(*points[outcomes == name, :2].T, s=10, label=name)
    ax.set(title=title, xlabel="component 1", ylabel="component 2")
axes[1].legend()
plt.show()

# %%
# The other factors
# -----------------
# They are read in the same way. Here, those of the receptors.

_, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained", sharey=True)
receptors = serology.ticks[2]
for ax, (title, cp_tensor) in zip(
    axes, {"parafac": by_variance, "no rank": by_outcome}.items(), strict=True
):
    for r in range(2):
        places = np.arange(len(receptors)) + 0.4 * r - 0.2
        ax.bar(places, cp_tensor.factors[2][:, r], 0.4, label=f"component {r + 1}")
    ax.set_xticks(range(len(receptors)), receptors, rotation=90)
    ax.set(title=title)
axes[0].set_ylabel("loading")
axes[1].legend()
plt.show()

# %%
# New samples
# -----------
# Ours embeds them, one by one. ``parafac`` has no such function; new samples can be projected on
# its other factors by least squares.

fitted = no_rank_decomposition(serology.tensor[::2], outcomes[::2], rank=2, **settings)
print(tl.shape(fitted.transform(serology.tensor[1::2])))

# %%
# Missing entries
# ---------------
# The mask means what it means in ``parafac``. What stands where it is 0 changes nothing.

mask = np.random.default_rng(0).random(serology.tensor.shape) >= 0.2
with_holes = no_rank_decomposition(
    np.where(mask, serology.tensor, np.nan), outcomes, mask="nan", **settings
)
print(with_holes)

# %%
# One after the other
# -------------------
# Our components can be where ``parafac`` starts. It then moves all factors, towards reconstruction
# and away from the outcomes. With the samples factor fixed it would stay: that is what ours is.

refined = parafac(centred, by_outcome.rank, init=by_outcome.cp_copy(), n_iter_max=200)
fixed = parafac(centred, by_outcome.rank, init=by_outcome.cp_copy(), fixed_modes=[0], n_iter_max=20)
for name, cp_tensor in [("as found", by_outcome), ("fixed", fixed), ("refined", refined)]:
    left = tl.norm(centred - tl.cp_to_tensor(cp_tensor)) / tl.norm(centred)
    print(f"{name:8}: {1 - left**2:.4f} of the variance")
