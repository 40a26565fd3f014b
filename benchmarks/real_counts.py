"""How many components real data have, over ten seeds, and what counting them costs.

    python benchmarks/real_counts.py digits:auto olivetti:auto serology:auto galaxies:auto

Prints the counts, the other reading (needed), how often the structure is linear, and the seconds of
counting (more fits, tests) over those of fitting. Of serology also what the components of the last
seed are: means of the outcomes along each, and the largest entries of its other factors.
"""

import time
import warnings
from collections import Counter
from unittest import mock

import numpy as np
import tensorly as tl
from _data import load
from _options import data_and_encoder, parser_of, positive

from tensorly_norank import datasets, no_rank_decomposition
from tensorly_norank._recipe import Recipe

SHOWN = 4  # entries of a factor


def decompose(tensor, labels, encoder, seed):
    """The decomposition, seconds of counting, seconds of the rest."""
    spent = []
    count = Recipe._count

    def timed(*arguments):
        start = time.perf_counter()
        evidence = count(*arguments)
        spent.append(time.perf_counter() - start)
        return evidence

    start = time.perf_counter()
    with mock.patch.object(Recipe, "_count", timed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = no_rank_decomposition(tensor, labels, encoder=encoder, random_state=seed)
    return result, sum(spent), time.perf_counter() - start - sum(spent)


def describe(result, bunch):
    """Where the classes lie along each component, and what changes along it."""
    embedding, labels = tl.to_numpy(result.embedding), np.asarray(bunch.labels)
    for r in range(result.rank):
        means = [embedding[labels == code, r].mean() for code in range(len(bunch.class_names))]
        order = np.argsort(means)
        print(f"  component {r + 1}:", end=" ")
        print(", ".join(f"{bunch.class_names[k]} {means[k]:+.2f}" for k in order))
        for mode, names in enumerate(bunch.ticks[1:], start=1):
            factor = tl.to_numpy(result.factors[mode])[:, r]
            largest = np.argsort(-np.abs(factor))[:SHOWN]
            print("   ", ", ".join(f"{names[k]} {factor[k]:+.2f}" for k in largest))


def main():
    """Run and print."""
    parser = parser_of(__doc__)
    parser.add_argument("runs", nargs="+", type=data_and_encoder(), metavar="DATA:ENCODER")
    parser.add_argument("--seeds", type=positive, default=10, help="the first so many")
    options = parser.parse_args()
    for name, encoder in options.runs:
        loaded = load(name)
        if loaded is None:
            continue
        results = [decompose(*loaded, encoder, seed) for seed in range(options.seeds)]
        evidence = [result.rank_evidence for result, _, _ in results]
        share = [counting / fitting for _, counting, fitting in results]
        print(
            f"{name}:{encoder}: counts {dict(Counter(one.chosen for one in evidence))}, needed "
            f"{min(one.needed for one in evidence)} to {max(one.needed for one in evidence)}, "
            f"linear {np.mean([one.linear for one in evidence]):.0%}, counting over fitting "
            f"{np.mean(share):.2f} ({np.mean([seconds for *_, seconds in results]):.1f} s)",
            flush=True,
        )
        if name == "serology":
            describe(results[-1][0], datasets.load_covid19_serology())


if __name__ == "__main__":
    main()
