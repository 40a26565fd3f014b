"""How long a fit should take: ours with other patiences and more passes, on samples left out.

    python benchmarks/patience.py pines serology digits galaxies --shares 0.1
    python benchmarks/patience.py crystals --shares 0.1 --first 5 --splits 2
    python benchmarks/patience.py pines --multiples 2 0.5

Patience is the share of `n_iter_max` passes that may bring no improvement before the learning rate
begins to fall; it has no keyword and is patched. Multiples are of the default of `n_iter_max`. For
each split a line with the passes that were run, the share by which the watched error fell in the
last of them before the learning rate did (of which `ConvergenceWarning` asks; NaN where they did
not run out), and the seconds; then means, and how far each is behind the default on the same
splits. Splits begin with number 10: those before serve the paper's experiments (of galaxies and
crystals, those before 5).
"""

import warnings
from collections import defaultdict
from unittest.mock import patch

import numpy as np
from _competitors import Ours
from _data import load
from _options import data_name, encoder_name, not_negative, parser_of, positive
from _runner import score_split
from _summary import paired_summary
from held_out import split_of

from tensorly_norank import _training, decomposition

FIGURES = ("silhouette", "ari", "knn_accuracy")


def scores(tensor, labels, halves, schedule, seed, encoder="auto"):
    """Figures of the samples left out, and how the fit ended; of the same fit as in paper.py."""
    share, multiple = schedule
    errors, allowed = [], []
    ours = Ours(encoder=encoder, callback=lambda state, error: errors.append(error))
    default = decomposition._default_size_and_passes

    def multiplied(*args):
        size, n_passes = default(*args)
        allowed.append(max(1, round(multiple * n_passes)))
        return size, allowed[-1]

    with (
        patch.object(_training, "_PATIENCE", share),
        patch.object(decomposition, "_default_size_and_passes", multiplied),
    ):
        row, _ = score_split(tensor, labels, ours, *halves, seed)
    fall = _last_fall(errors) if len(errors) == allowed[-1] else np.nan
    return [*(float(row[name]) for name in FIGURES), len(errors), fall, float(row["seconds"])]


def _last_fall(errors):
    settings = _training.Settings(len(errors), 0.0, 1, 1.0)
    stopper = _training._Stopper(settings)
    for error in errors:
        stopper.plateaued(error)
    return stopper.last_fall(_training.Plan(settings).n_plateau)


def main():
    """Run and print."""
    parser = parser_of(__doc__)
    parser.add_argument("data", nargs="+", type=data_name)
    parser.add_argument("--shares", type=float, nargs="+", default=[])
    parser.add_argument("--multiples", type=float, nargs="+", default=[])
    parser.add_argument("--encoder", type=encoder_name, default="auto", help="encoder of ours")
    parser.add_argument("--first", type=not_negative, default=10, help="number of the first split")
    parser.add_argument("--splits", type=positive, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    schedules = {"default": (_training._PATIENCE, 1)}
    schedules |= {f"patience {share:g}": (share, 1) for share in options.shares}
    schedules |= {f"{n:g} times the passes": (_training._PATIENCE, n) for n in options.multiples}
    for data in options.data:
        if (loaded := load(data)) is None:
            continue
        tensor, labels = loaded
        rows = defaultdict(list)
        for seed in range(options.first, options.first + options.splits):
            halves = fit, new = split_of(data, labels, seed)
            for name, schedule in schedules.items():
                row = scores(tensor, labels, halves, schedule, seed, options.encoder)
                rows[name].append(row)
                print(data, seed, name, *(f"{figure:.4g}" for figure in row), flush=True)
        if options.splits > 1:
            print(data)
            shown = [*FIGURES, "passes", "fall", "seconds"]
            paired_summary(rows, shown, range(len(FIGURES)), test_to_fit=len(new) / len(fit))


if __name__ == "__main__":
    main()
