"""Labels as people have them: few, or very unequal; held out, beside what peers make of them.

    python benchmarks/labels.py few --data digits --each 5
    python benchmarks/labels.py unequal

`few`: of the fitted half all but so many labels a class are left out. Ours with all samples, ours
with the labelled ones alone, supervised UMAP with −1 for the others, and scikit-learn's
LabelSpreading, which classifies and does not embed.
`unequal`: of the fitted half five digits keep eight samples each. Ours, ours without balancing
(classes in batches as they come, anchors weighing the same), LDA, NCA and supervised UMAP. LFW has
71 to 530 images a person as it is.

Printed are means ± standard errors over the splits, and ours minus each other's, paired.
"""

import argparse
import time
import warnings
from unittest.mock import patch

import numpy as np
from _data import load
from _peers import peers
from held_out import split_samples
from sklearn.decomposition import PCA
from sklearn.metrics import recall_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.semi_supervised import LabelSpreading

from tensorly_norank import _training, no_rank_decomposition
from tensorly_norank._batches import Batch

SHOWN = ("3-NN", "balanced 3-NN", "worst recall", "components", "seconds")


def as_they_come(codes, batch_size, rng):
    """Batches of random samples, in place of balanced ones."""
    order = rng.permutation(len(codes))
    batches = np.array_split(order, -(-len(order) // batch_size))
    return [Batch(batch, np.ones(len(batch))) for batch in batches]


def ours(tensor, codes, new, seed):
    """Embeddings of the labelled samples and of new ones."""
    result = no_rank_decomposition(tensor, codes, random_state=seed)
    return np.asarray(result.embedding)[codes >= 0], result.transform(new)


def scores(embedded, codes, new, truth):
    """Of the new samples, by their three nearest neighbours among those given."""
    predicted = KNeighborsClassifier(3).fit(embedded, codes).predict(new)
    return _scores(truth, predicted, embedded.shape[1])


def _scores(truth, predicted, n_components):
    recalls = recall_score(truth, predicted, average=None, labels=np.unique(truth))
    return [np.mean(truth == predicted), recalls.mean(), recalls.min(), n_components]


def few_labels(tensor, codes, n_each, seed):
    """Yield each method's name and scores."""
    fit, new = split_samples(codes, seed, False)
    order = np.random.default_rng(seed).permutation(fit)
    known = np.concatenate([order[codes[order] == code][:n_each] for code in np.unique(codes)])
    given = np.where(np.isin(fit, known), codes[fit], -1)
    is_known = given >= 0

    def with_umap():
        points, placed = peers(len(fit), tensor[0].size)["supervised UMAP"](
            tensor[fit], given, tensor[new], random_state=seed
        )
        return points[is_known], placed

    def spread():
        pca = PCA(min(64, len(fit) // 2)).fit(tensor[fit].reshape(len(fit), -1))
        rows, others = (pca.transform(tensor[part].reshape(len(part), -1)) for part in (fit, new))
        model = LabelSpreading(kernel="knn").fit(rows, given)
        return model.predict(others)

    methods = {
        "all samples": lambda: ours(tensor[fit], given, tensor[new], seed),
        "labelled alone": lambda: ours(tensor[fit[is_known]], given[is_known], tensor[new], seed),
        "supervised UMAP": with_umap,
        "LabelSpreading": spread,
    }
    for name, method in methods.items():
        start = time.perf_counter()
        found = method()
        seconds = time.perf_counter() - start
        if name == "LabelSpreading":
            row = _scores(codes[new], found, np.nan)
        else:
            row = scores(found[0], given[is_known], found[1], codes[new])
        yield name, [*row, seconds]


def unequal_classes(tensor, codes, n_each, seed):
    """Yield each method's name and scores; `n_each` samples of every other class are kept."""
    fit, new = split_samples(codes, seed, False)
    if n_each:
        order = np.random.default_rng(seed).permutation(fit)
        fit = np.concatenate(
            [order[codes[order] == k][: n_each if k % 2 else None] for k in np.unique(codes)]
        )
    others = peers(len(fit), tensor[0].size)
    methods = {
        "ours": lambda: ours(tensor[fit], codes[fit], tensor[new], seed),
        "without balancing": lambda: ours(tensor[fit], codes[fit], tensor[new], seed),
        **{
            name: lambda name=name: _peer(others[name], tensor[fit], codes[fit], tensor[new], seed)
            for name in ("LDA", "NCA", "supervised UMAP")
        },
    }
    for name, method in methods.items():
        start = time.perf_counter()
        if name == "without balancing":
            with patch.object(_training, "class_balanced_pass", as_they_come):
                points, placed = method()
        else:
            points, placed = method()
        seconds = time.perf_counter() - start
        yield name, [*scores(points, codes[fit], placed, codes[new]), seconds]


def _peer(method, samples, codes, new, seed):
    if callable(method):
        return method(samples, codes, new, random_state=seed)
    rows = samples.reshape(len(samples), -1)
    return method.fit(rows, codes).transform(rows), method.transform(new.reshape(len(new), -1))


def summary(rows):
    """A line for each method: means ± standard errors, and how far it is behind the first."""
    names = list(rows)
    first = np.array(rows[names[0]])
    for name in names:
        values = np.array(rows[name])
        root = np.sqrt(len(values))
        errors = values.std(axis=0, ddof=1) / root
        cells = [
            f"{label} {mean:.3f} ± {error:.3f}"
            for label, mean, error in zip(SHOWN, values.mean(axis=0), errors, strict=True)
        ]
        behind = (first - values)[:, 1]
        print(f"  {name:>17}  {'  '.join(cells)}", end="")
        print(f"  behind by {behind.mean():+.3f} ± {behind.std(ddof=1) / root:.3f}", flush=True)


def main():
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["few", "unequal"])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--each", type=int, default=None, help="0: classes as they are")
    parser.add_argument("--splits", type=int, default=5)
    options = parser.parse_args()
    loaded = load(options.data)
    if loaded is None:
        return
    warnings.simplefilter("ignore")
    tensor, labels = np.asarray(loaded[0]), np.unique(loaded[1], return_inverse=True)[1]
    run = few_labels if options.kind == "few" else unequal_classes
    default = 5 if options.kind == "few" else 8
    n_each = default if options.each is None else options.each
    rows = {}
    for seed in range(options.splits):
        for name, row in run(tensor, labels, n_each, seed):
            rows.setdefault(name, []).append(row)
            print(f"split {seed + 1}, {name}: {np.round(row, 3)}", flush=True)
    print(f"{options.data}, {options.kind}, {n_each} samples a class, {options.splits} splits")
    summary(rows)


if __name__ == "__main__":
    main()
