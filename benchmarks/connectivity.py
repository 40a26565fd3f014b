"""What can be said of groups of brains: ABIDE with sites kept apart, and simulated groups.

    python benchmarks/connectivity.py abide --permutations 200
    python benchmarks/connectivity.py simulated

Rows are appended to results/abide.csv and results/simulated_connectivity.csv; what is there already
is not run again.

`abide`: all sites but one are fitted and the subjects of that one are named, in turns; all subjects
together give the balanced accuracy. In the runs from 1 on, labels are permuted within each site (so
that sites keep their shares of cases): the p-value is the share of runs, that with the true labels
included, that reach what these do. Methods: ours with the linear encoder, read by logistic
regression; the same regression on principal components; LDA with shrinkage. `simulated`: 240
subjects of 40 regions at three sites, one held out; beside the balanced accuracy how many of the
planted regions are among the first, as many as were planted: by the pattern of the first component,
and by the difference of the groups' means.
"""

import itertools
import time
from functools import lru_cache

import numpy as np
from _data import load_abide_subjects
from _options import add_options, not_negative, parser_of, table_of
from _runner import run_missing
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import simulate_connectivity

EFFECT_SIZES = (0.1, 0.2, 0.3, 0.4, 0.6, 0.8)
N_SITES = 3


def _regression():
    return LogisticRegression(class_weight="balanced", max_iter=2000)


def name_by_ours(samples, labels, new):
    """Classes of new samples."""
    return read(fit_ours(samples, labels), labels, new)


def fit_ours(samples, labels):
    """With the linear encoder."""
    return no_rank_decomposition(samples, labels, encoder="linear", random_state=0)


def read(result, labels, new):
    """Classes of new samples, by regression on the embedding."""
    return _regression().fit(result.embedding, labels).predict(result.transform(new))


def _flat(estimator):
    def name(samples, labels, new):
        rows, new = (part.reshape(len(part), -1) for part in (samples, new))
        return estimator.fit(rows, labels).predict(new)

    return name


METHODS = {
    "ours, linear": name_by_ours,
    "PCA, regression": _flat(make_pipeline(PCA(20, random_state=0), _regression())),
    "LDA, shrunk": _flat(
        make_pipeline(
            PCA(),  # only a rotation: 13,456 entries would have a covariance of a gigabyte
            LinearDiscriminantAnalysis("lsqr", shrinkage="auto", priors=[0.5, 0.5]),
        )
    ),
}
MEASURES = (*METHODS, "regions of the component", "regions of the means", "significant")
HOW = ("seconds", "note", "versions")

subjects = lru_cache(load_abide_subjects)  # read once in each process


def accuracy(method, tensor, labels, sites):
    """Balanced, of all subjects, each named by a fit of the other sites."""
    said = np.empty_like(labels)
    for site in np.unique(sites):
        fitted = sites != site
        said[~fitted] = method(tensor[fitted], labels[fitted], tensor[~fitted])
    return balanced_accuracy_score(labels, said)


def permuted_within(labels, sites, rng):
    """The labels of each site in another order."""
    permuted = labels.copy()
    for site in np.unique(sites):
        permuted[sites == site] = rng.permutation(labels[sites == site])
    return permuted


def run_abide(run, method):
    """Balanced accuracy of one method; in run 0 with the true labels."""
    tensor, labels, sites = subjects()
    rng = np.random.default_rng(run)
    given = permuted_within(labels, sites, rng) if run else labels
    start = time.perf_counter()
    found = accuracy(METHODS[method], tensor, given, sites)
    return {"balanced_accuracy": f"{found:.4f}", "seconds": seconds_since(start)}, []


def run_simulated(size, seed, site):
    """`MEASURES` of a study of an effect size and a seed, with a site held out."""
    study = simulate_connectivity(240, 40, effect_size=size, n_sites=N_SITES, random_state=seed)
    fitted = study.sites != site
    tensor, labels = study.tensor[fitted], study.labels[fitted]
    new, truth = study.tensor[~fitted], study.labels[~fitted]
    start = time.perf_counter()
    result = fit_ours(tensor, labels)
    said = [
        read(result, labels, new) if method is name_by_ours else method(tensor, labels, new)
        for method in METHODS.values()
    ]
    pattern = np.abs(result.factors[1] * result.factors[2])[:, 0]
    difference = tensor[labels == 1].mean(axis=0) - tensor[labels == 0].mean(axis=0)
    figures = [
        *[balanced_accuracy_score(truth, one) for one in said],
        precision(pattern, study.regions),
        precision(np.abs(difference).mean(axis=0), study.regions),
        result.rank_evidence.significant,
    ]
    row = {name: f"{figure:.4f}" for name, figure in zip(MEASURES, figures, strict=True)}
    return row | {"seconds": seconds_since(start)}, []


def seconds_since(start):
    """As text."""
    return f"{time.perf_counter() - start:.1f}"


def precision(scores, regions):
    """Share of planted regions among the first, as many as were planted."""
    return np.isin(np.argsort(-scores)[: len(regions)], regions).mean()


def main():
    """Run what is missing."""
    parser = parser_of(__doc__)
    parser.add_argument("study", choices=["abide", "simulated"])
    parser.add_argument("--permutations", type=not_negative, default=200, help="of `abide`")
    add_options(parser, n_splits=5, name=None)
    options = parser.parse_args()
    if options.study == "abide":
        fields = ("run", "method", "balanced_accuracy", *HOW)
        rows = table_of(parser, options.name or "abide", fields, 2)
        try:
            subjects()
        except (OSError, ImportError) as error:  # no data, no package that reads them
            print(f"abide: skipped. {error}")
            return
        jobs = itertools.product(range(options.permutations + 1), METHODS)
        run_missing(rows, jobs, run_abide, options)
    else:
        jobs = (
            (size, seed, site)
            for seed in range(options.splits)
            for size in EFFECT_SIZES
            for site in range(N_SITES)
        )
        fields = ("effect_size", "seed", "site", *MEASURES, *HOW)
        rows = table_of(parser, options.name or "simulated_connectivity", fields, 3)
        run_missing(rows, jobs, run_simulated, options)


if __name__ == "__main__":
    main()
