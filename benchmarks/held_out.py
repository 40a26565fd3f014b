"""Held-out quality: fit on one half, score the other, over stratified splits (seeds 0, 1, ...).

    python benchmarks/held_out.py digits conv
    python benchmarks/held_out.py olivetti mlp --unseen

With --unseen half of the classes is fitted and the samples of the others are scored. LDA (behind
PCA) and the raw entries are run on the same splits.
"""

import argparse
import warnings

import numpy as np
from _data import load
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tensorly_norank.evaluation import compare

SHOWN = (
    "silhouette",
    "ari",
    "recall_at_1",
    "verification_auc",
    "trustworthiness",
    "knn_accuracy",
    "knn_balanced_accuracy",
    "n_components",
    "seconds",
)


def split_samples(labels, seed, unseen):
    """Indices of the fitted and of the held-out half."""
    if not unseen:
        everything = np.arange(len(labels))
        return train_test_split(everything, test_size=0.5, stratify=labels, random_state=seed)
    classes = np.random.default_rng(seed).permutation(np.unique(labels))
    fitted = np.isin(labels, classes[: len(classes) // 2])
    return np.flatnonzero(fitted), np.flatnonzero(~fitted)


def summary(table, figures):
    """Mean ± standard deviation over splits, a line for each method."""
    for method in table.index.unique("method"):
        rows = {name: table.loc[(name, method)] for name in figures if name in table.index}
        cells = [f"{name} {row['mean']:.3f}±{row['std']:.3f}" for name, row in rows.items()]
        print(f"  {method:>6}  {'  '.join(cells)}")


def main():
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("encoder")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--unseen", action="store_true")
    options = parser.parse_args()
    loaded = load(options.data)
    if loaded is None:
        return
    tensor, labels = loaded
    warnings.simplefilter("ignore")
    splits = [split_samples(labels, seed, options.unseen) for seed in range(options.splits)]
    n_components = min(100, min(len(fit) for fit, _ in splits) // 2, tensor[0].size)
    methods = {
        options.encoder: {"encoder": options.encoder},
        # LDA blows up directions that hardly vary: 95 % of the variance of the first components.
        "LDA": make_pipeline(PCA(n_components), PCA(0.95), LinearDiscriminantAnalysis()),
        "raw": FunctionTransformer(),
    }
    table = compare(
        tensor,
        labels,
        methods,
        cv=splits,
        unseen_classes=options.unseen,
        random_state=0,
        verbose=1,
    )
    kind = "classes not fitted" if options.unseen else "held out"
    print(f"{options.data}, {kind}, {options.splits} splits")
    summary(table, SHOWN)


if __name__ == "__main__":
    main()
