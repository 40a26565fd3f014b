"""
Back onto the field
===================

What covers the ground in each patch of a hyperspectral image of fields (AVIRIS, 0.4 to 2.5 µm):
sixteen classes, 5 × 5 pixels, 200 bands. Patches that were not fitted are named by their nearest
neighbour and drawn back where they lie, to see where that is wrong.
"""

# %%
# Squares that are apart
# ----------------------
# Neighbouring patches overlap, so that a random half would be scored on pixels that were fitted.
# Here the field is cut into squares like a chessboard. The patches of one colour are fitted, and of
# the other colour those are scored that share no pixel with a fitted one. Classes with too few
# patches on either side are left out.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import balanced_accuracy_score, confusion_matrix
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import load_indian_pines_patches

pines = load_indian_pines_patches(n_most=150)
labels, positions = pines.labels, pines.positions
is_fitted = (positions // 16).sum(axis=1) % 2 == 0
steps = np.abs(positions[:, None] - positions[is_fitted]).max(axis=2).min(axis=1)
is_scored = ~is_fitted & (steps >= 5)  # a patch has 5 × 5 pixels
n_fitted, n_scored = (np.bincount(labels[part], minlength=16) for part in (is_fitted, is_scored))
is_kept = ((n_fitted >= 4) & (n_scored >= 2))[labels]
fitted, new = np.flatnonzero(is_fitted & is_kept), np.flatnonzero(is_scored & is_kept)
classes = np.unique(labels[new])
print(f"{len(fitted)} patches fitted, {len(new)} scored, {len(classes)} classes")
print("left out:", ", ".join(np.delete(pines.class_names, classes)))

# %%
# Nearest neighbours
# ------------------
# The nearest fitted patch gives its class: among the raw counts, in the space of LDA, and in the
# embedding. The figures depend on where the chessboard lies: on two of three others that were
# tried, LDA was level with the embedding.

result = no_rank_decomposition(
    pines.tensor[fitted], labels[fitted], encoder="mlp", n_iter_max=60, random_state=0
)
pixels = pines.tensor.reshape(len(labels), -1)
lda = make_pipeline(PCA(40, random_state=0), LinearDiscriminantAnalysis())
lda.fit(pixels[fitted], labels[fitted])
spaces = {
    "raw": (pixels[fitted], pixels[new]),
    "LDA": (lda.transform(pixels[fitted]), lda.transform(pixels[new])),
    f"no-rank, {result.rank} components": (
        result.embedding,
        result.transform(pines.tensor[new]),
    ),
}
assigned = {}
for name, (points, placed) in spaces.items():
    assigned[name] = KNeighborsClassifier(1).fit(points, labels[fitted]).predict(placed)
    accuracy = balanced_accuracy_score(labels[new], assigned[name])
    print(f"{name:>23}: balanced accuracy {accuracy:.2f}")

# %%
# The map
# -------
# Grey are the fitted patches: the chessboard. Classes have a colour and a mark each. The last panel
# says where the nearest neighbour in our embedding is right and where it is wrong.

figure, axes = plt.subplots(1, 3, figsize=(13, 6.2), sharey=True, layout="constrained")
colours = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#000000")
styles = [{"color": colour, "marker": mark} for mark in "os^" for colour in colours]
ours = assigned[f"no-rank, {result.rank} components"]
is_wrong = ours != labels[new]
titles = ("true classes", "nearest neighbour", "right and wrong")
for ax, title in zip(axes, titles, strict=True):
    rows, columns = positions[fitted].T
    ax.scatter(columns, rows, s=5, marker="s", color="0.85")
    ax.set(title=title, xlabel="column", aspect="equal")
for ax, shown in zip(axes, (labels[new], ours), strict=False):
    for one, style in zip(classes, styles, strict=False):
        rows, columns = positions[new][shown == one].T
        ax.scatter(columns, rows, s=9, **style, label=pines.class_names[one])
for wrong, style in ((False, styles[0]), (True, {"color": "#d55e00", "marker": "x"})):
    rows, columns = positions[new][is_wrong == wrong].T
    axes[2].scatter(columns, rows, s=9, **style, label="wrong" if wrong else "right")
axes[2].legend(loc="upper right")
axes[0].set_ylabel("row")
axes[0].invert_yaxis()
handles, names = axes[0].get_legend_handles_labels()
figure.legend(handles, names, loc="outside lower center", ncols=5, markerscale=2)
plt.show()

# %%
# The mistakes
# ------------
# Soybeans are taken for soybeans of another tillage and for corn, and half of the grounds with
# buildings and trees at the top for woods. Wheat, hay and most woods are right. A field may be
# larger than a square, so that patches of it are fitted and others scored: on fields that are all
# new the figures may be lower.

table = confusion_matrix(labels[new], ours, labels=classes)
np.fill_diagonal(table, 0)
for i, j in np.argwhere(table >= 5):
    true, taken = pines.class_names[classes[[i, j]]]
    print(f"{true} taken for {taken}: {table[i, j]} of {np.sum(labels[new] == classes[i])}")
