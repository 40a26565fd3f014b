"""What `encoder="auto"` chooses, what that costs, and what the other encoders would have given.

    python benchmarks/encoder_choice.py serology digits olivetti --splits 3
    python benchmarks/encoder_choice.py galaxies crystals connectivity --choices
    python benchmarks/encoder_choice.py --moves

Every encoder fits the same stratified half and embeds the other half. "Cost" is the time of the
call with "auto" over that of the call with the encoder that it chose, in the same process, one
after the other. --choices only shows the choices and their scores. --moves is of `conv` and planted
tensors of 8×10 entries whose modes have no order, 300 samples and 300 new ones: whether short modes
are moved, and the 3-NN accuracy of the new samples then, and if they never or always were.
"""

import time
import warnings
from collections import Counter
from unittest import mock

import numpy as np
from _data import load
from _options import data_name, parser_of, positive
from held_out import split_samples

from tensorly_norank import _recipe, no_rank_decomposition
from tensorly_norank.datasets import simulate_planted
from tensorly_norank.encoders import candidates
from tensorly_norank.evaluation import evaluate_embedding

SHOWN = ("triplet_accuracy", "silhouette", "ari", "knn_accuracy", "knn_balanced_accuracy")


class _ChosenError(Exception):
    """Carries the recipe whose encoder has been chosen."""


def choice(tensor, labels, seed):
    """The choice alone, without the fits that follow it."""

    def stop(recipe, *_):
        raise _ChosenError(recipe)

    with mock.patch.object(_recipe.Recipe, "_decompose", stop):
        try:
            no_rank_decomposition(tensor, labels, random_state=seed)
        except _ChosenError as error:
            return error.args[0].choice


def fit_and_score(tensor, labels, encoder, fit, new, seed):
    """Held-out figures, the result and the seconds of the fit."""
    start = time.perf_counter()
    result = no_rank_decomposition(tensor[fit], labels[fit], encoder=encoder, random_state=seed)
    seconds = time.perf_counter() - start
    figures = evaluate_embedding(
        result.transform(tensor[new]),
        labels[new],
        fit_embedding=result.embedding,
        fit_labels=labels[fit],
        random_state=seed,
    )
    return [figures[name] for name in SHOWN] + [result.rank, seconds], result


def show_figures(tensor, labels, splits):
    """A line an encoder, and what the choice costs."""
    rows, costs = {}, []
    for seed, (fit, new) in enumerate(splits):
        seconds = {}
        for encoder in ["auto", *candidates(tensor.shape[1:])]:
            row, result = fit_and_score(tensor, labels, encoder, fit, new, seed)
            rows.setdefault(encoder, []).append(row)
            seconds[encoder] = row[-1]
            if encoder == "auto":
                chosen = result.encoder_choice.chosen
        costs.append(seconds["auto"] / seconds[chosen])
    print(f"  cost {np.mean(costs):.2f} (at most {max(costs):.2f})")
    print(f"  {'':11}", *[f"{name:>21}" for name in (*SHOWN, "components", "seconds")])
    for encoder, values in rows.items():
        means, deviations = (
            np.mean(values, axis=0),
            np.std(values, axis=0, ddof=min(1, len(values) - 1)),
        )
        cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(means, deviations, strict=True)]
        print(f"  {encoder:11}", *[f"{cell:>21}" for cell in cells], flush=True)


def show_moves(n_tensors=8):
    """A line a planted tensor, and the mean."""
    scores = []
    for seed in range(n_tensors):
        planted = simulate_planted(600, (8, 10), rank=2, n_classes=4, random_state=seed)
        tensor, labels = planted.tensor.astype(np.float32), planted.labels
        fit, new = np.arange(300), np.arange(300, 600)
        row, result = fit_and_score(tensor, labels, "conv", fit, new, 0)
        rows = [row]
        for costs in (True, False):
            with mock.patch.object(_recipe, "moves_cost_triplets", lambda *_, costs=costs: costs):
                rows.append(fit_and_score(tensor, labels, "conv", fit, new, 0)[0])
        scores.append([row[SHOWN.index("knn_accuracy")] for row in rows])
        decided = "moved" if result._embedder.moves else "still"
        print(f"  {seed}: {decided}", *np.round(scores[-1], 3), flush=True)
    print("  as decided, still, moved:", *np.round(np.mean(scores, axis=0), 3))


def main():
    """Run and print."""
    parser = parser_of(__doc__)
    parser.add_argument("data", nargs="*", type=data_name)
    parser.add_argument("--splits", type=positive, default=3, help="the first so many")
    parser.add_argument("--choices", action="store_true")
    parser.add_argument("--moves", action="store_true")
    options = parser.parse_args()
    if not (options.data or options.moves):
        parser.error("name data sets, or --moves")
    warnings.simplefilter("ignore")
    if options.moves:
        show_moves()
    for name in options.data:
        loaded = load(name)
        if loaded is None:
            continue
        tensor, labels = loaded[0], np.asarray(loaded[1])
        splits = [split_samples(labels, seed, False) for seed in range(options.splits)]
        found = [choice(tensor[fit], labels[fit], seed) for seed, (fit, _) in enumerate(splits)]
        print(f"{name}: {dict(Counter(one.chosen for one in found))}", flush=True)
        if options.choices:
            print(*found, sep="\n", flush=True)
        else:
            show_figures(tensor, labels, splits)


if __name__ == "__main__":
    main()
