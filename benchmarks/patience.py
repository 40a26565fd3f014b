"""How long a fit should wait for an improvement: ours with other patiences, on samples left out.

    python benchmarks/patience.py pines serology digits galaxies
    python benchmarks/patience.py crystals --first 5 --splits 2

Patience is the share of `n_iter_max` passes that may bring no improvement before the learning rate
begins to fall; it has no keyword and is patched. For each split a line with the passes that were
run, then means, and how far each is behind the default on the same splits. Splits begin with number
10: those before serve the paper's experiments (of galaxies and crystals, those before 5).
"""

import argparse
import warnings
from collections import defaultdict
from unittest.mock import patch

from _competitors import Ours
from _data import NAMES, load
from _runner import check_names, positive, score_split
from _summary import paired_summary
from held_out import split_of

from tensorly_norank import _training

FIGURES = ("silhouette", "ari", "knn_accuracy")


def scores(tensor, labels, halves, share, seed):
    """Figures of the samples left out, and the passes run; of the same fit as in paper.py."""
    passes = []
    ours = Ours(callback=lambda state, error: passes.append(state.n_iter))
    with patch.object(_training, "_PATIENCE", share):
        row, _ = score_split(tensor, labels, ours, *halves, seed)
    return [*(float(row[name]) for name in FIGURES), passes[-1]]


def main():
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.1])
    parser.add_argument("--first", type=int, default=10, help="number of the first split")
    parser.add_argument("--splits", type=positive, default=5)
    options = parser.parse_args()
    check_names(parser, options.data, NAMES)
    warnings.simplefilter("ignore")
    shares = [_training._PATIENCE, *options.shares]
    for data in options.data:
        if (loaded := load(data)) is None:
            continue
        tensor, labels = loaded
        rows = defaultdict(list)
        for seed in range(options.first, options.first + options.splits):
            halves = split_of(data, labels, seed)
            for share in shares:
                row = scores(tensor, labels, halves, share, seed)
                rows[f"patience {share:g}"].append(row)
                print(data, seed, share, *(f"{figure:.4g}" for figure in row), flush=True)
        if options.splits > 1:
            print(data)
            paired_summary(rows, [*FIGURES, "passes"], range(len(FIGURES)))


if __name__ == "__main__":
    main()
