"""What each default buys: one setting changed at a time, held out, on seen and on unseen classes.

    python benchmarks/defaults.py digits:conv olivetti:mlp serology:mlp --splits 3
    python benchmarks/defaults.py olivetti:mlp --only defaults "margin 0.5"

Every variant fits the same half of the samples (then of the classes) and scores the other half. The
count is left out, so that only the fit differs: one fit without held-out samples, cut to as many
axes as the class means of the fitted half span. Settings that have no keyword are patched.
"""

import argparse
import contextlib
import inspect
import time
import warnings
from unittest.mock import patch

import numpy as np
from _data import load
from held_out import split_samples

from tensorly_norank import decomposition, encoders, no_rank_decomposition
from tensorly_norank._embedder import Augmentation
from tensorly_norank.evaluation import evaluate_embedding

VARIANTS = {
    "defaults": {},
    "margin 0.3": {"margin": 0.3},
    "margin 0.5": {"margin": 0.5},
    "margin 1": {"margin": 1.0},
    "diversity 0": {"diversity": 0.0},
    "diversity 5": {"diversity": 5.0},
    "diversity 20": {"diversity": 20.0},
    "uniformity 0.1": {"uniformity": 0.1},
    "uniformity 1": {"uniformity": 1.0},
    "locality 0.3": {"locality": 0.3},
    "locality 1": {"locality": 1.0},
    "noise × 0": {"noise": 0.0},
    "noise × 2": {"noise": 2.0},
    "no transfer": {"transfer": 0.0},
    "transfer 1": {"transfer": 1.0},
    "no shift": {"shift": 0.0},
    "no dropout": {"dropout": 0.0},
    "damping 0.1": {"damping": 0.1},
    "1,200 steps": {"steps": 1200},
    "2,400 steps": {"steps": 2400},
}
SEEN = ("silhouette", "ari", "knn_accuracy", "knn_balanced_accuracy", "trustworthiness")
UNSEEN = ("silhouette", "ari", "recall_at_1", "verification_auc", "trustworthiness")


def patches(noise=1.0, transfer=None, shift=None, dropout=None, damping=None, steps=None):
    """Settings without a keyword; `noise` is a multiple of the default, `dropout` can only be 0."""
    vary = Augmentation.__call__

    def varied(self, samples, labels, generator):
        changed = Augmentation(
            noise * self.noise,
            self.transfer if transfer is None else transfer,
            self.shift if shift is None else shift,
            self.shifted_modes,
        )
        return vary(changed, samples, labels, generator)

    stack = contextlib.ExitStack()
    stack.enter_context(patch.object(Augmentation, "__call__", varied))
    if dropout is not None:
        stack.enter_context(patch.object(encoders._Dropout, "forward", lambda self, values: values))
    if damping is not None:
        stack.enter_context(patch.object(encoders._Whitening, "damping", damping))
    if steps is not None:
        stack.enter_context(patch.object(decomposition, "_N_STEPS", steps))
    return stack


def figures(tensor, labels, encoder, variant, seed, unseen):
    """Fit one half, score the other."""
    private = inspect.signature(patches).parameters
    patched = {key: value for key, value in variant.items() if key in private}
    keywords = {key: value for key, value in variant.items() if key not in private}
    fit, test = split_samples(labels, seed, unseen)
    rank = min(len(np.unique(labels[fit])) - 1, tensor[0].size, 64)
    start = time.perf_counter()
    with patches(**patched):
        result = no_rank_decomposition(
            tensor[fit],
            labels[fit],
            encoder=encoder,
            rank=rank,
            validation_fraction=0,
            random_state=seed,
            **keywords,
        )
    seconds = time.perf_counter() - start
    known = {} if unseen else {"fit_embedding": result.embedding, "fit_labels": labels[fit]}
    row = evaluate_embedding(
        result.transform(tensor[test]),
        labels[test],
        data=tensor[test],
        random_state=seed,
        **known,
    )
    return {key: row[key] for key in (UNSEEN if unseen else SEEN)} | {"seconds": seconds}


def summary(rows):
    """Mean ± standard deviation over splits, a line."""
    return "  ".join(
        f"{key} {np.mean([row[key] for row in rows]):.3f}±{np.std([row[key] for row in rows]):.3f}"
        for key in rows[0]
    )


def main():
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", nargs="+", metavar="DATA:ENCODER")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for job in options.jobs:
        name, encoder = job.split(":")
        loaded = load(name)
        if loaded is None:
            continue
        for unseen in (False, True):
            print(f"{job}, {'unseen classes' if unseen else 'held out'}, {options.splits} splits")
            for variant in options.only:
                rows = [
                    figures(*loaded, encoder, VARIANTS[variant], seed, unseen)
                    for seed in range(options.splits)
                ]
                print(f"  {variant:>14}  {summary(rows)}", flush=True)


if __name__ == "__main__":
    main()
