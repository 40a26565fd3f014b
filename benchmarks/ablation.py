"""What each term and each trick buys: one setting changed at a time, on seen and unseen classes.

    python benchmarks/ablation.py --data digits serology --splits 5
    python benchmarks/ablation.py --only defaults "margin 0.5" --encoder conv --data digits
    python benchmarks/ablation.py --table

Every variant fits the same half of the samples (then of the classes) and scores the other half. The
count is left out, so that only the fit differs: one fit without held-out samples. Of classes that
were fitted, as many axes are kept as their means span; of others, all of them. Settings that have
no keyword are patched.

Each run adds rows to results/ablation.csv and leaves out what is there already. `--table` prints,
for each variant, the mean difference from the defaults on the same splits and the standard
deviation of these differences, and how many data sets it helps and harms (p < 0.05 by the
corrected resampled t-test: halves of the same samples are not independent).
"""

import contextlib
import dataclasses
import inspect
import time
import warnings
from unittest.mock import patch

import numpy as np
from _data import load
from _options import data_name, encoder_name, parser_of, positive
from _rows import Rows
from held_out import split_samples

from tensorly_norank import _layers, decomposition, no_rank_decomposition
from tensorly_norank._embedder import Augmentation
from tensorly_norank._parts import Part
from tensorly_norank.evaluation import corrected_resampled_t_test, evaluate_embedding

DATA = ("serology", "connectivity", "olivetti", "digits", "pines")
VARIANTS = {
    "defaults": {},
    "diversity 0": {"diversity": 0.0},
    "diversity 5": {"diversity": 5.0},
    "diversity 10": {"diversity": 10.0},
    "uniformity 0.1": {"uniformity": 0.1},
    "locality 0.3": {"locality": 0.3},
    "locality 1": {"locality": 1.0},
    "margin 0.5": {"margin": 0.5},
    "margin 1": {"margin": 1.0},
    "no noise": {"noise": 0.0},
    "no transfer": {"transfer": 0.0},
    "no shift": {"shift": 0.0},
    "shift 0.03": {"shift": 0.03},
    "shift 0.1": {"shift": 0.1},
    "no moved copies": {"copies": False},
    "no dropout": {"dropout": 0.0},
    "damping 0.1": {"damping": 0.1},
    "large start": {"small": 1.0},
    "half the passes": {"passes": 0.5},
    "twice the passes": {"passes": 2.0},
}
SEEN = ("silhouette", "ari", "knn_balanced_accuracy", "trustworthiness")
UNSEEN = ("silhouette", "ari", "recall_at_1", "verification_auc", "trustworthiness")
FIGURES = tuple(dict.fromkeys(SEEN + UNSEEN))
FIELDS = ("data", "encoder", "variant", "classes", "split", *FIGURES, "seconds")
N_KEYS = 5


def patches(
    noise=1.0,
    transfer=None,
    shift=None,
    copies=True,
    dropout=None,
    damping=None,
    small=None,
    passes=None,
):
    """Settings without a keyword; `noise` is a multiple of the default, `dropout` can only be 0."""
    vary, moves = Augmentation.__call__, Augmentation.moves

    def changed(self):
        return dataclasses.replace(
            self,
            noise=noise * self.noise,
            transfer=self.transfer if transfer is None else transfer,
            shift=self.shift if shift is None else shift,
        )

    def varied(self, samples, differences, generator):
        return vary(changed(self), samples, differences, generator)

    def moved(self, sample_shape):
        return moves(changed(self), sample_shape) if copies else ()

    stack = contextlib.ExitStack()
    stack.enter_context(patch.object(Augmentation, "__call__", varied))
    stack.enter_context(patch.object(Augmentation, "moves", moved))
    if dropout is not None:
        stack.enter_context(patch.object(_layers.Dropout, "forward", lambda self, values: values))
    if damping is not None:
        stack.enter_context(patch.object(_layers.Whitening, "damping", damping))
    if small is not None:
        stack.enter_context(patch.object(_layers, "_SMALL", small))
    if passes is not None:
        for name in ("_N_STEPS", "_FEWEST_PASSES"):
            most = getattr(decomposition, name)
            stack.enter_context(patch.object(decomposition, name, round(passes * most)))
        most = round(passes * Part.most_passes)
        stack.enter_context(patch.object(Part, "most_passes", most))
    return stack


def figures(tensor, labels, encoder, variant, seed, unseen):
    """Fit one half, score the other; and the seconds of fitting."""
    private = inspect.signature(patches).parameters
    patched = {key: value for key, value in variant.items() if key in private}
    keywords = {key: value for key, value in variant.items() if key not in private}
    fit, test = split_samples(labels, seed, unseen)
    n_spanned = len(np.unique(labels[fit])) - 1
    n_axes = min(64, tensor[0].size)
    start = time.perf_counter()
    with patches(**patched):
        result = no_rank_decomposition(
            tensor[fit],
            labels[fit],
            encoder=encoder,
            rank=n_axes if unseen else min(n_axes, n_spanned),
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


def run(data, encoder, variants, kinds, n_splits):
    """Add what is missing to the results."""
    rows = Rows("ablation", FIELDS, N_KEYS)
    for name in data:
        loaded = load(name)
        if loaded is None:
            continue
        n_classes = len(np.unique(loaded[1]))
        for variant in variants:
            for kind in kinds:
                if kind == "unseen" and n_classes < 4:  # of two, one would be fitted
                    continue
                for seed in range(n_splits):
                    keys = (name, encoder, variant, kind, seed)
                    if keys in rows:
                        continue
                    row = figures(*loaded, encoder, VARIANTS[variant], seed, kind == "unseen")
                    rows.add(
                        *keys,
                        *(f"{row.get(one, np.nan):.4f}" for one in FIGURES),
                        f"{row['seconds']:.1f}",
                    )
            print(name, encoder, variant, flush=True)


def print_tables():
    """The defaults' figures, and what each variant adds to them."""
    table = Rows("ablation", FIELDS, N_KEYS).table()
    for (encoder, kind), rows in table.groupby(["encoder", "classes"]):
        shown = list(SEEN if kind == "seen" else UNSEEN)
        own = rows[rows["variant"] == "defaults"].set_index(["data", "split"])
        print(f"\n{encoder}, {kind} classes: defaults")
        print(own.groupby("data")[[*shown, "seconds"]].mean().round(3).to_string())
        changed = rows[rows["variant"] != "defaults"].set_index(["variant", "data", "split"])
        paired = own[shown].reindex(changed.index.droplevel("variant")).to_numpy()
        difference = (changed[shown] - paired).groupby(["variant", "data"])
        cells = (
            difference.mean().map("{:+.3f}".format) + " ± " + difference.std().map("{:.3f}".format)
        )
        print(f"\n{encoder}, {kind} classes: difference from the defaults")
        print(cells.to_string())
        is_clear = difference.agg(lambda d: corrected_resampled_t_test(d, 1) < 0.05)
        counts = [
            (is_clear & sign(difference.mean())).groupby("variant").sum().astype(int).map(str)
            for sign in (lambda mean: mean > 0, lambda mean: mean < 0)
        ]
        print(f"\n{encoder}, {kind} classes: data sets helped / harmed")
        print((counts[0] + " / " + counts[1]).to_string())


def main():
    """Run, or print."""
    parser = parser_of(__doc__)
    parser.add_argument("--data", nargs="+", type=data_name, default=list(DATA), help="data sets")
    parser.add_argument("--encoder", type=encoder_name, default="mlp", help="encoder of ours")
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument(
        "--classes", nargs="+", default=["seen", "unseen"], choices=["seen", "unseen"]
    )
    parser.add_argument("--splits", type=positive, default=5, help="the first so many")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.table:
        print_tables()
    else:
        run(options.data, options.encoder, options.only, options.classes, options.splits)


if __name__ == "__main__":
    main()
