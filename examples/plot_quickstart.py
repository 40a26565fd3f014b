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
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from tensorly.decomposition import parafac

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import load_covid19_serology, load_digits
from tensorly_norank.evaluation import evaluate_embedding
from tensorly_norank.plotting import plot_decomposition

serology = load_covid19_serology()
digits = load_digits()
data = {"COVID-19 serology": serology, "digits": digits}
halves = {
    name: train_test_split(
        tl.to_numpy(one.tensor), one.labels, test_size=0.5, stratify=one.labels, random_state=0
    )
    for name, one in data.items()
}

# %%
# The decomposition
# -----------------
# No rank is given. `rank_evidence` says why the result has as many components as it has. A first
# fit leaves some samples out to count on (with few samples, one or two more fits do); the last one
# takes all of them.

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
# The entries as they are, principal components, CP (with new samples projected by least squares),
# linear discriminant analysis and neighbourhood components analysis are fitted to the same half.
# Those that need a number of components get 20.


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
        "raw": FunctionTransformer(),
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
# The digits lie farther apart than by any of the others. The outcomes of the blood samples do not
# lie apart in any of these spaces: what the antibodies tell of them is little, and three nearest
# neighbours find it best among the entries as they are.
#
# One figure
# ----------
# Of each decomposition the samples on the first two components (or on one, if there is but one),
# those that were held out with a dark edge; the evidence for the count; and what changes in the
# data along the first components: strokes of the pen, or antigens and receptors.

figure, axes = plt.subplots(2, 1, figsize=(12, 11), layout="constrained")
for (name, result), axis in zip(results.items(), axes, strict=True):
    _, held_out, labels, held_out_labels = halves[name]
    names = {"dims": serology.dims, "ticks": serology.ticks} if "serology" in name else {}
    plot_decomposition(
        result,
        labels,
        new=result.transform(tl.tensor(held_out[:100])),
        new_labels=held_out_labels[:100],
        class_names=data[name].class_names,
        ax=axis,
        **names,
    )
figure.savefig("quickstart.png", dpi=100)
print("\nThe figure is in quickstart.png")
plt.show()
