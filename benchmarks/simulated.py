"""Are the simulated data hard for simple methods, and is the truth in them?

    python benchmarks/simulated.py
    python benchmarks/simulated.py galaxies crystals --difficulty easy medium hard --ours

For each simulator and difficulty: k-means on raw entries (adjusted Rand index over all samples);
the vote of 3 nearest neighbours behind 20 principal components and behind LDA, and a classifier
given the truth, all held out (mean ± standard deviation over random halves). The truth is the true
parameters (trees, bagged) or, for connectivity, the edges among the planted regions (logistic
regression). With --ours the no-rank decomposition too, and its number of components.
"""

import warnings

import numpy as np
from _options import one_of, parser_of, positive
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import StratifiedShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tensorly_norank import datasets
from tensorly_norank.evaluation import compare

SIMULATORS = {
    "galaxies": datasets.simulate_galaxies,
    "crystals": datasets.simulate_crystals,
    "connectivity": datasets.simulate_connectivity,
}


def truth(bunch):
    """What makes a sample's class, as features, and a classifier that can use it."""
    if "parameters" in bunch:
        trees = RandomForestClassifier(max_features=None, random_state=0)
        return np.stack(list(bunch.parameters.values()), axis=1), trees
    first, second = np.triu_indices(len(bunch.regions), 1)
    edges = bunch.tensor[:, bunch.regions[first], bunch.regions[second]]
    regression = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
    return np.arctanh(edges), regression


def describe(name, difficulty, n_samples, n_splits, ours):
    """Print one line."""
    bunch = SIMULATORS[name](n_samples, difficulty=difficulty, random_state=0)
    tensor, labels = bunch.tensor, bunch.labels
    clusters = KMeans(len(bunch.class_names), n_init=10, random_state=0).fit_predict(
        tensor.reshape(n_samples, -1)
    )
    cells = [f"k-means ARI {adjusted_rand_score(labels, clusters):.3f}"]
    cv = StratifiedShuffleSplit(n_splits, test_size=0.5, random_state=0)
    methods = {
        "PCA-20": PCA(20),
        "LDA": make_pipeline(PCA(min(100, n_samples // 4)), LinearDiscriminantAnalysis()),
    } | ({"ours": {}} if ours else {})
    table = compare(tensor, labels, methods, cv=cv, random_state=0)
    for method, row in table.loc["knn_accuracy"].iterrows():
        cells.append(f"{method} {row['mean']:.3f}±{row['std']:.3f}")
    if ours:
        cells.append(f"components {table.loc[('n_components', 'ours'), 'mean']:.1f}")
    known, classifier = truth(bunch)
    scores = cross_val_score(classifier, known, labels, cv=cv)
    cells.append(f"truth {scores.mean():.3f}±{scores.std(ddof=1):.3f}")
    print(f"{name:>12} {difficulty:>6}  {'  '.join(cells)}", flush=True)


def main():
    """Run and print."""
    parser = parser_of(__doc__)
    parser.add_argument(
        "data", nargs="*", type=one_of(SIMULATORS), metavar="DATA", help=", ".join(SIMULATORS)
    )
    parser.add_argument(
        "--difficulty", nargs="+", default=["medium"], choices=["easy", "medium", "hard"]
    )
    parser.add_argument("--samples", type=positive, default=1000, help="of each")
    parser.add_argument("--splits", type=positive, default=5, help="random halves")
    parser.add_argument("--ours", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in options.data or SIMULATORS:
        for difficulty in options.difficulty:
            describe(name, difficulty, options.samples, options.splits, options.ours)


if __name__ == "__main__":
    main()
