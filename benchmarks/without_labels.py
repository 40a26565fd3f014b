"""No labels at all, or comparisons in their place; held out.

    python benchmarks/without_labels.py none --data digits
    python benchmarks/without_labels.py triplets --data digits
    python benchmarks/without_labels.py planted

`none`: trustworthiness and continuity (10 neighbours) of the half that was not fitted: ours, PCA
with as many components, and UMAP with as many and with two.
`triplets`: share of new samples that three nearest neighbours among the fitted ones name correctly:
ours from labels, and from comparisons that were drawn from them at random, so many a sample, none
or 20 % of them the wrong way round. Of peers metric-learn takes comparisons (SCML); its last
release does not run with current scikit-learn.

`planted`: how many components are found in planted tensors of 400 samples of 8 classes, from 20
comparisons a sample, a tenth of them the wrong way round; and, of shuffled classes, 0 should be
significant.

Printed are, of the first two, means ± standard errors over the splits, and ours (of `triplets`:
from labels) minus each other's, paired.
"""

import importlib.util
import time
import warnings

import numpy as np
from _data import load
from _options import data_name, encoder_name, parser_of, positive
from _peers import in_another_process
from _summary import paired_summary
from held_out import split_samples
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import simulate_planted


def draw_comparisons(codes, n_each, share_wrong, rng):
    """So many (anchor, of its class, of another) of each sample; some the wrong way round."""
    rows = []
    for anchor, code in enumerate(codes):
        alike = np.setdiff1d(np.flatnonzero(codes == code), anchor)
        others = np.flatnonzero(codes != code)
        rows += zip(
            [anchor] * n_each, rng.choice(alike, n_each), rng.choice(others, n_each), strict=True
        )
    rows = np.array(rows)
    is_wrong = rng.random(len(rows)) < share_wrong
    rows[is_wrong] = rows[is_wrong][:, [0, 2, 1]]
    return rows


def fit_umap(fitted, new, n_components, random_state):
    """UMAP of flattened samples; of the new ones."""
    from umap import UMAP

    return UMAP(n_components=n_components, random_state=random_state).fit(fitted).transform(new)


def without_labels(tensor, codes, encoder, seed):
    """Yield each method's name and figures."""
    fit, new = split_samples(codes, seed, False)
    flat = tensor.reshape(len(tensor), -1)
    start = time.perf_counter()
    result = no_rank_decomposition(tensor[fit], encoder=encoder, random_state=seed)
    rank, seconds_before = result.rank, {"ours": time.perf_counter() - start}
    methods = {
        "ours": lambda: result.transform(tensor[new]),
        "PCA": lambda: PCA(rank).fit(flat[fit]).transform(flat[new]),
    }
    if importlib.util.find_spec("umap"):
        for name, number in [("UMAP", rank), ("UMAP of two", 2)]:
            methods[name] = lambda n=number: in_another_process(
                fit_umap, flat[fit], flat[new], n, seed
            )
    for name, method in methods.items():
        start = time.perf_counter()
        placed = np.asarray(method())
        seconds = time.perf_counter() - start + seconds_before.get(name, 0.0)
        figures = [
            trustworthiness(flat[new], placed, n_neighbors=10),
            trustworthiness(placed, flat[new], n_neighbors=10),
        ]
        yield name, [*figures, placed.shape[1], seconds]


def from_comparisons(tensor, codes, encoder, seed):
    """Yield each kind of comparisons, and its figures."""
    fit, new = split_samples(codes, seed, False)
    kinds = {"labels": None}
    for n_each in (50, 10):
        for share in (0, 0.2):
            wrong = f", {share:.0%} wrong" if share else ""
            kinds[f"{n_each} a sample{wrong}"] = (n_each, share)
    for name, kind in kinds.items():
        known = {"labels": codes[fit]}
        if kind is not None:
            rng = np.random.default_rng(seed)
            known = {"triplets": draw_comparisons(codes[fit], *kind, rng)}
        start = time.perf_counter()
        result = no_rank_decomposition(tensor[fit], encoder=encoder, random_state=seed, **known)
        seconds = time.perf_counter() - start
        neighbours = KNeighborsClassifier(3).fit(np.asarray(result.embedding), codes[fit])
        right = neighbours.score(np.asarray(result.transform(tensor[new])), codes[new])
        in_order = result.diagnostics["held_out_triplet_accuracy"]
        yield name, [right, in_order, result.rank, seconds]


def planted_counts():
    """Print a line for each encoder and number of components."""
    for encoder in ("linear", "mlp"):
        for rank in (0, 1, 2, 3, 5):
            found = []
            for seed in range(4):
                bunch = simulate_planted(400, rank=max(rank, 1), n_classes=8, random_state=seed)
                rng = np.random.default_rng(seed)
                codes = bunch.labels if rank else rng.permutation(bunch.labels)
                rows = draw_comparisons(codes, 20, 0.1, rng)
                result = no_rank_decomposition(
                    bunch.tensor, triplets=rows, encoder=encoder, random_state=seed
                )
                found.append(result.rank_evidence.significant)
            print(f"{encoder}, {rank} planted: {found}", flush=True)


KINDS = {
    "none": (without_labels, ("trustworthiness", "continuity", "components", "seconds")),
    "triplets": (from_comparisons, ("3-NN", "held-out triplets", "components", "seconds")),
}


def main():
    """Run and print."""
    parser = parser_of(__doc__)
    parser.add_argument("kind", choices=[*KINDS, "planted"])
    parser.add_argument("--data", type=data_name, default="digits", help="data sets")
    parser.add_argument("--encoder", type=encoder_name, default="auto", help="encoder of ours")
    parser.add_argument("--splits", type=positive, default=5, help="the first so many")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.kind == "planted":
        planted_counts()
        return
    loaded = load(options.data)
    if loaded is None:
        return
    tensor, codes = np.asarray(loaded[0]), np.unique(loaded[1], return_inverse=True)[1]
    run, shown = KINDS[options.kind]
    rows = {}
    for seed in range(options.splits):
        for name, row in run(tensor, codes, options.encoder, seed):
            rows.setdefault(name, []).append(row)
            print(f"split {seed + 1}, {name}: {np.round(row, 4)}", flush=True)
    print(f"{options.data}, {options.kind}, {options.encoder}, {options.splits} splits")
    paired_summary(rows, shown, [0, 1], n_digits=4)


if __name__ == "__main__":
    main()
