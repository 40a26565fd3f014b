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

import argparse
import warnings

import numpy as np
from _data import load_abide_subjects
from _rows import Rows
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


def run_abide(n_permutations):
    """Rows that are missing: balanced accuracies, run 0 with the true labels."""
    try:
        tensor, labels, sites = load_abide_subjects()
    except OSError as error:
        print(f"abide: skipped. {error}")
        return
    rows = Rows("abide", ("run", "method", "balanced_accuracy"), 2)
    for run in range(n_permutations + 1):
        rng = np.random.default_rng(run)
        given = permuted_within(labels, sites, rng) if run else labels
        for name, method in METHODS.items():
            if (run, name) not in rows:
                rows.add(run, name, f"{accuracy(method, tensor, given, sites):.4f}")


def run_simulated(n_seeds):
    """Rows that are missing: a study of each effect size and seed, each of its sites held out."""
    rows = Rows("simulated_connectivity", ("effect_size", "seed", "site", *MEASURES), 3)
    for seed in range(n_seeds):
        for size in EFFECT_SIZES:
            if (size, seed, N_SITES - 1) not in rows:
                for site, figures in enumerate(score_study(size, seed)):
                    if (size, seed, site) not in rows:
                        rows.add(size, seed, site, *[f"{figure:.4f}" for figure in figures])


def score_study(size, seed):
    """For each site held out: `MEASURES`."""
    study = simulate_connectivity(240, 40, effect_size=size, n_sites=N_SITES, random_state=seed)
    for site in range(N_SITES):
        fitted = study.sites != site
        tensor, labels = study.tensor[fitted], study.labels[fitted]
        new, truth = study.tensor[~fitted], study.labels[~fitted]
        result = fit_ours(tensor, labels)
        said = [
            read(result, labels, new) if method is name_by_ours else method(tensor, labels, new)
            for method in METHODS.values()
        ]
        accuracies = [balanced_accuracy_score(truth, one) for one in said]
        pattern = np.abs(result.factors[1] * result.factors[2])[:, 0]
        difference = tensor[labels == 1].mean(axis=0) - tensor[labels == 0].mean(axis=0)
        yield [
            *accuracies,
            precision(pattern, study.regions),
            precision(np.abs(difference).mean(axis=0), study.regions),
            result.rank_evidence.significant,
        ]


def precision(scores, regions):
    """Share of planted regions among the first, as many as were planted."""
    return np.isin(np.argsort(-scores)[: len(regions)], regions).mean()


def main():
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", choices=["abide", "simulated"])
    parser.add_argument("--permutations", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.study == "abide":
        run_abide(options.permutations)
    else:
        run_simulated(options.seeds)


if __name__ == "__main__":
    main()
