"""The same person or another one? Pairs of people none of whom was fitted.

    python benchmarks/verification.py
    python benchmarks/verification.py olivetti --splits 10

Half of the people is fitted, all pairs of images of the others are scored: by inner
products from the mean of the fitted ones, which are what `similarity` is of a result's own samples,
and for every method by distance. Rows with the area under the ROC curve and the true accepts at
given false accepts are appended to results/verification.csv, the curves to
results/verification_curves.csv; what is there already is not run again.
"""

import time
import warnings
from functools import lru_cache

import numpy as np
from _competitors import SPREAD, competitors
from _options import add_options, data_name, one_of, parser_of, table_of
from _runner import loaded, run_missing
from held_out import split_samples
from scipy.spatial.distance import pdist
from sklearn.metrics import roc_auc_score, roc_curve

SIMILARITY = "ours, by similarity"
METHODS = (
    SIMILARITY,
    "ours",
    SPREAD,
    "our network, another loss",
    "LDA",
    "NCA",
    "supervised UMAP",
    "CNN",
    "transformer",
    "PCA",
    "raw",
)
KEYS = ("data", "split", "method")
FALSE_ACCEPTS = (0.001, 0.01, 0.1)
GRID = np.geomspace(1e-4, 1, 41)
FIELDS = (
    *KEYS,
    "auc",
    *(f"true_at_{rate}" for rate in FALSE_ACCEPTS),
    "n_pairs",
    "n_fit",
    "n_test",
    "seconds",
    "settings",
    "note",
    "versions",
)


def main():
    """Run what is missing."""
    parser = parser_of(__doc__)
    parser.add_argument(
        "data", nargs="*", type=data_name, default=["olivetti", "lfw"], help="data sets"
    )
    add_options(parser, n_splits=5, name="verification")
    parser.add_argument("--methods", nargs="+", type=one_of(METHODS), default=METHODS, help="names")
    options = parser.parse_args()
    jobs = (
        (data, split, method)
        for split in range(options.splits)
        for data in options.data
        for method in options.methods
    )
    rows = table_of(parser, options.name, FIELDS, len(KEYS))
    fields = (*KEYS, "false", "true")
    curves = table_of(parser, f"{options.name}_curves", fields, len(KEYS) + 1)
    run_missing(rows, jobs, run, options, curves)


def run(data, split, method):
    """One method on one split: what is known of the fields, and true accepts over `GRID`."""
    if loaded(data) is None:
        return None
    labels = loaded(data)[1]
    fit, new = split_samples(labels, split, True)
    by_similarity = method == SIMILARITY
    points, row, remarks = embedded(data, split, "ours" if by_similarity else method)
    for remark in remarks:  # of the fit, for the rows of both ways to compare it
        warnings.warn(remark, stacklevel=1)
    left, right = np.triu_indices(len(new), 1)
    scores = (points @ points.T)[left, right] if by_similarity else -pdist(points)
    is_same = labels[new][left] == labels[new][right]
    false, true, _ = roc_curve(is_same, scores)
    row = row | {"auc": f"{roc_auc_score(is_same, scores):.4f}", "n_pairs": len(scores)}
    row |= {"n_fit": len(fit), "n_test": len(new)}
    row |= {f"true_at_{rate}": f"{np.interp(rate, false, true):.4f}" for rate in FALSE_ACCEPTS}
    accepts = np.interp(GRID, false, true)
    return row, [
        (f"{rate:.3g}", f"{accept:.4f}") for rate, accept in zip(GRID, accepts, strict=True)
    ]


@lru_cache(1)  # both ways to compare ours are of one fit, where one process does both
def embedded(data, split, method):
    """Points of the new people; the time it took and what was chosen; what was warned of."""
    tensor, labels = loaded(data)
    fit, new = split_samples(labels, split, True)
    one = competitors(len(fit), tensor[0].size, True)[method]
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, embedding = one(tensor[fit], labels[fit], tensor[new], random_state=split)
    row = {
        "seconds": f"{time.perf_counter() - start:.1f}",
        "settings": getattr(one, "chosen", ""),
    }
    return np.asarray(embedding, float), row, [warning.message for warning in caught]


if __name__ == "__main__":
    main()
