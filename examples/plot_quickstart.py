"""
Two real data sets without a rank
=================================

438 blood samples, each a table of 6 antigens × 11 receptors, with five outcomes of COVID-19; and
1,797 images of handwritten digits. Nobody says how many components they have. One half of each is
decomposed, the other half is held out: the table below is of samples that no fit has seen.
"""

# %%
# The data
# --------
# Half of the samples of each class is for fitting.

import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
import tensorly as tl
from matplotlib.ticker import MaxNLocator
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.pipeline import make_pipeline
from tensorly.datasets import load_covid19_serology
from tensorly.decomposition import parafac

from tensorly_norank import no_rank_decomposition
from tensorly_norank.evaluation import evaluate_embedding

serology = load_covid19_serology()
digits = load_digits()
data = {
    "COVID-19 serology": (serology.tensor, np.asarray(serology.ticks[0])),
    # Pixels are whole numbers from 0 to 16: single precision holds them, in half the time.
    "digits": (digits.images.astype(np.float32), digits.target),
}
halves = {
    name: train_test_split(tensor, labels, test_size=0.5, stratify=labels, random_state=0)
    for name, (tensor, labels) in data.items()
}

# %%
# The decomposition
# -----------------
# No rank is given. `rank_evidence` says why the result has as many components as it has. A first
# fit leaves some samples out to count on (with few samples, two more fits do); the last one takes
# all of them.

results, seconds = {}, {}
for name, (fitting, _, labels, _) in halves.items():
    start = time.perf_counter()
    results[name] = no_rank_decomposition(tl.tensor(fitting), labels, random_state=0, verbose=1)
    seconds[name] = time.perf_counter() - start
    evidence = results[name].rank_evidence
    print(f"\n{name}\n{results[name]}")
    print(f"  stability over resamples: {evidence.stability}")
    print("  components  p-value   held-out triplet accuracy")
    for r in range(min(evidence.significant + 2, len(evidence.candidates))):
        accuracy, error = evidence.triplet_accuracy[r], evidence.triplet_accuracy_se[r]
        print(f"  {r + 1:10d}  {evidence.p_value[r]:7.1e}   {accuracy:.3f} ± {error:.3f}")

# %%
# Beside other methods
# --------------------
# Principal components, CP (with new samples projected by least squares), linear discriminant
# analysis and neighbourhood components analysis are fitted to the same half. Those that need a
# number of components get 20.


def embed_by_parafac(fitting, held_out, rank=20):
    """CP of the fitting half; samples of the other half by least squares on its factors."""
    mean = fitting.mean(axis=0)
    cp = parafac(tl.tensor(fitting - mean), rank, n_iter_max=100, init="random", random_state=0)
    patterns = tl.tenalg.khatri_rao([cp.weights[None] * cp.factors[1], *cp.factors[2:]])
    flat = [(part - mean).reshape(len(part), -1) for part in (fitting, held_out)]
    return [np.linalg.lstsq(patterns, part.T, rcond=None)[0].T for part in flat]


def embed_by_sklearn(model, fitting, held_out, labels):
    """Any scikit-learn transformer, on flattened samples."""
    flat = [part.reshape(len(part), -1) for part in (fitting, held_out)]
    return [model.fit(flat[0], labels).transform(flat[0]), model.transform(flat[1])]


reported = ("silhouette", "ari", "knn_accuracy", "knn_balanced_accuracy")

for name, (fitting, held_out, labels, held_out_labels) in halves.items():
    n_pca = min(40, fitting[0].size)
    transformers = {
        "PCA": PCA(20, random_state=0),
        "LDA": make_pipeline(PCA(n_pca, random_state=0), LinearDiscriminantAnalysis()),
        "NCA": make_pipeline(
            PCA(n_pca, random_state=0),
            NeighborhoodComponentsAnalysis(20, max_iter=50, random_state=0),
        ),
    }
    result = results[name]
    embeddings = {"no-rank": [result.embedding, result.transform(tl.tensor(held_out))]}
    times = {"no-rank": seconds[name]}
    for key in ["CP", *transformers]:
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of parafac and NCA, when they run out of iterations
            embeddings[key] = (
                embed_by_parafac(fitting, held_out)
                if key == "CP"
                else embed_by_sklearn(transformers[key], fitting, held_out, labels)
            )
        times[key] = time.perf_counter() - start
    print(f"\n{name}, held out   silhouette    ARI   3-NN  balanced  seconds")
    for key, (fitted, new) in embeddings.items():
        figures = evaluate_embedding(new, held_out_labels, fitted, labels, random_state=0)
        row = "  ".join(f"{figures[figure]:6.3f}" for figure in reported)
        print(f"  {key:>{len(name) + 7}}      {row}   {times[key]:7.1f}")

# %%
# One figure
# ----------
# The held-out digits on their first two axes; the evidence for the count; which antigens and which
# receptors change along the first axis of the serology; the training.

figure, axes = plt.subplots(2, 3, figsize=(13, 7.5), layout="constrained")

_, held_out, _, held_out_labels = halves["digits"]
embedded = results["digits"].transform(tl.tensor(held_out))
colours = axes[0, 0].scatter(
    embedded[:, 0], embedded[:, 1], c=held_out_labels, cmap="tab10", vmin=-0.5, vmax=9.5, s=8
)
figure.colorbar(colours, ax=axes[0, 0], ticks=range(10), label="digit")
axes[0, 0].set(title="digits, held out", xlabel="component 1", ylabel="component 2")

for name, axis in zip(results, axes[0, 1:], strict=True):
    evidence = results[name].rank_evidence
    shown = slice(0, min(evidence.chosen + 6, len(evidence.candidates)))
    axis.errorbar(
        evidence.candidates[shown],
        evidence.triplet_accuracy[shown],
        evidence.triplet_accuracy_se[shown],
        marker="o",
        capsize=3,
    )
    axis.axvline(evidence.chosen, color="black", linestyle=":")
    axis.set(
        title=f"{name}: {evidence.chosen} of at most {len(results[name].classes) - 1}",
        xlabel="components kept",
        ylabel="held-out triplets in order",
    )
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))

result = results["COVID-19 serology"]
for axis, k in zip(axes[1, :2], (1, 2), strict=True):
    axis.barh(serology.ticks[k], result.factors[k][:, 0], color="tab:blue")
    axis.invert_yaxis()
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set(title=f"serology: {serology.dims[k]}", xlabel="component 1")

for name, outcome in results.items():
    axes[1, 2].plot(np.arange(1, outcome.n_iter + 1), outcome.history["error"], label=name)
axes[1, 2].set(title="history", xlabel="pass", ylabel="error", yscale="log")
axes[1, 2].legend()
figure.savefig("quickstart.png", dpi=100)
print("\nThe figure is in quickstart.png")
plt.show()
