"""Held-out quality: fit on one half, score the other, over stratified splits (seeds 0, 1, ...).

    python benchmarks/held_out.py digits conv
    python benchmarks/held_out.py olivetti mlp --unseen

With --unseen half of the classes is fitted and the samples of the others are scored. LDA (behind
PCA) is run on the same splits.
"""

import argparse
import time
import warnings

import numpy as np
from _data import load
from _figures import held_out_figures, summary
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from tensorly_norank import no_rank_decomposition


def split_samples(labels, seed, unseen):
    """Indices of the fitted and of the held-out half."""
    if not unseen:
        everything = np.arange(len(labels))
        return train_test_split(everything, test_size=0.5, stratify=labels, random_state=seed)
    classes = np.random.default_rng(seed).permutation(np.unique(labels))
    fitted = np.isin(labels, classes[: len(classes) // 2])
    return np.flatnonzero(fitted), np.flatnonzero(~fitted)


def ours(encoder):
    """Fit and embed, with defaults but for the encoder."""

    def embed(fitting, labels, held_out, seed):
        result = no_rank_decomposition(fitting, labels, encoder=encoder, random_state=seed)
        return result.embedding, result.transform(held_out)

    return embed


def lda(fitting, labels, held_out, seed):
    """Linear discriminant analysis on at most 100 principal components."""
    n_components = min(100, len(fitting) // 2, fitting[0].size)
    model = make_pipeline(PCA(n_components, random_state=seed), LinearDiscriminantAnalysis())
    fitted = model.fit_transform(fitting.reshape(len(fitting), -1), labels)
    return fitted, model.transform(held_out.reshape(len(held_out), -1))


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
    rows = {options.encoder: [], "LDA": []}
    for seed in range(options.splits):
        fit, test = split_samples(labels, seed, options.unseen)
        for name, embed in [(options.encoder, ours(options.encoder)), ("LDA", lda)]:
            start = time.perf_counter()
            fitted, new = embed(tensor[fit], labels[fit], tensor[test], seed)
            seconds = time.perf_counter() - start
            known = () if options.unseen else (fitted, labels[fit])
            row = held_out_figures(new, labels[test], tensor[test], *known)
            rows[name].append(row | {"components": new.shape[1], "seconds": seconds})
        print(f"# split {seed}: {summary(rows[options.encoder][-1:])}", flush=True)
    for name, figures in rows.items():
        kind = "unseen classes" if options.unseen else "held out"
        print(f"{options.data} {name} ({kind}, {options.splits} splits): {summary(figures)}")


if __name__ == "__main__":
    main()
