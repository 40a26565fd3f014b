"""Held-out quality: fit on one half, score the other, over stratified splits (seeds 0, 1, ...).

    python benchmarks/held_out.py digits conv
    python benchmarks/held_out.py olivetti mlp --unseen

    python benchmarks/held_out.py lfw --peers

    python benchmarks/held_out.py pines conv --apart

With --unseen half of the classes is fitted and the samples of the others are scored. Patches of the
pines overlap: with --apart the field is cut into squares, every other one is fitted, and only
patches of the others that share no pixel with a fitted one are scored. The peers run
on the same splits: LDA and the raw entries, with --peers also PCA, CP, Tucker, NCA and supervised
UMAP (if umap-learn is installed).
"""

import warnings

import numpy as np
from _data import load
from _options import data_name, encoder_name, parser_of, positive
from _peers import peers
from sklearn.model_selection import train_test_split

from tensorly_norank.datasets import load_indian_pines_patches
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
    classes = np.unique(labels)

    def half(rng):
        return frozenset(rng.permutation(classes)[: len(classes) // 2])

    fitted = np.isin(labels, list(_unlike_earlier(half, seed)))
    return np.flatnonzero(fitted), np.flatnonzero(~fitted)


def _unlike_earlier(draw, seed):
    """The first draw of this seed that no earlier seed has, so that no split comes twice.

    Seven people can be halved in 35 ways, and the corner of a field lie in 256 places: sooner than
    one would think two seeds draw the same.
    """
    drawn = []
    for one in range(seed + 1):
        rng = np.random.default_rng(one)
        draws = (draw(rng) for _ in range(1000))
        found = next((each for each in draws if each not in drawn), None)
        if found is None:
            raise ValueError(f"seed {seed} finds no split that none of the {one} before it has")
        drawn.append(found)
    return drawn[-1]


def split_apart(labels, positions, seed, patch_size=5, square=16):
    """Indices of fitted patches, and of patches of the same classes that touch none of them."""
    corner = _unlike_earlier(lambda rng: tuple(rng.integers(0, square, 2).tolist()), seed)
    is_fitted = ((positions + corner) // square).sum(axis=1) % 2 == 0
    steps = np.abs(positions[:, None] - positions[None, is_fitted]).max(axis=2).min(axis=1)
    is_scored = ~is_fitted & (steps >= patch_size)
    sizes = [np.bincount(labels[one], minlength=labels.max() + 1) for one in (is_fitted, is_scored)]
    is_kept = ((sizes[0] >= 4) & (sizes[1] >= 2))[labels]
    return np.flatnonzero(is_fitted & is_kept), np.flatnonzero(is_scored & is_kept)


def split_of(data, labels, seed, unseen=False):
    """Halves of the samples, of Indian Pines apart; or of the classes."""
    if data != "pines" or unseen:
        return split_samples(labels, seed, unseen)
    return split_apart(labels, load_indian_pines_patches().positions, seed)


def some_of_each(rows, labels, each, seed):
    """So many rows of each class, at most."""
    order = np.random.default_rng(seed).permutation(rows)
    taken = [order[labels[order] == label][:each] for label in np.unique(labels)]
    return np.sort(np.concatenate(taken))


def summary(table, figures):
    """Mean ± standard deviation over splits, a line for each method."""
    for method in table.index.unique("method"):
        rows = {name: table.loc[(name, method)] for name in figures if name in table.index}
        cells = [f"{name} {row['mean']:.3f}±{row['std']:.3f}" for name, row in rows.items()]
        print(f"  {method:>15}  {'  '.join(cells)}")


def main():
    """Run and print."""
    parser = parser_of(__doc__)
    parser.add_argument("data", type=data_name)
    parser.add_argument("encoder", nargs="?", type=encoder_name, help="without: only the peers")
    parser.add_argument("--splits", type=positive, default=5, help="the first so many")
    parser.add_argument("--unseen", action="store_true")
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--peers", action="store_true")
    options = parser.parse_args()
    if options.apart and (options.data != "pines" or options.unseen):
        parser.error("--apart is for pines, and not for classes that are not fitted")
    loaded = load(options.data)
    if loaded is None:
        return
    tensor, labels = loaded
    warnings.simplefilter("ignore")
    if options.apart:
        splits = [split_of(options.data, labels, seed) for seed in range(options.splits)]
    else:
        splits = [split_samples(labels, seed, options.unseen) for seed in range(options.splits)]
    methods = peers(min(len(fit) for fit, _ in splits), tensor[0].size)
    if not options.peers:
        methods = {name: methods[name] for name in ("LDA", "raw")}
    if options.encoder:
        methods = {options.encoder: {"encoder": options.encoder}} | methods
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
    kind += ", apart" if options.apart else ""
    print(f"{options.data}, {kind}, {options.splits} splits")
    summary(table, SHOWN)


if __name__ == "__main__":
    main()
