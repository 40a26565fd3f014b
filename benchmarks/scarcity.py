"""How many labelled samples a class it takes: held-out figures against their number.

    python benchmarks/scarcity.py digits
    python benchmarks/scarcity.py lfw --each 2 5 10 20 --splits 10
    python benchmarks/scarcity.py digits --each 3 4  # which the page shows, too

So many samples of every class are drawn for fitting (from one half, as in paper.py; of the other
all are scored), and nothing else is known. Rows are appended to results/scarcity.csv; what is there
already is not run again. With one sample a class nothing can be learned of what is alike: our own
method says so, and the row has its words. "ours, rank given" counts no components, but keeps one
fewer than there are classes: what the two differ by is what counting costs.
"""

import numpy as np
from _competitors import Ours, competitors
from _options import add_options, data_name, one_of, parser_of, positive, quoted, table_of
from _runner import FIELDS, loaded, run_missing, score_split
from held_out import some_of_each, split_of

RANK_GIVEN = "ours, rank given"
DATA = ("digits", "lfw", "pines", "olivetti")
METHODS = ("ours", RANK_GIVEN, "LDA", "NCA", "supervised UMAP", "CNN", "transformer", "PCA", "raw")
KEYS = ("data", "each", "split", "method")


def main():
    """Run what is missing."""
    parser = parser_of(__doc__)
    parser.add_argument(
        "data",
        nargs="*",
        type=data_name,
        default=DATA,
        help="data sets",
    )
    parser.add_argument(
        "--each", type=positive, nargs="+", default=[1, 2, 5, 10, 20, 50], help="labelled samples"
    )
    add_options(parser, n_splits=5, name="scarcity")
    known = (RANK_GIVEN, *competitors(100, 100))
    parser.add_argument(
        "--methods", nargs="+", type=one_of(known), default=METHODS, help=f"of {quoted(known)}"
    )
    options = parser.parse_args()
    jobs = (
        (data, each, split, method)
        for split in range(options.splits)
        for data in options.data
        for each in options.each
        for method in options.methods
    )
    rows = table_of(parser, options.name, (*KEYS, *FIELDS), len(KEYS))
    run_missing(rows, jobs, run, options)


def run(data, each, split, method):
    """One method, fitted to so many samples of every class."""
    if loaded(data) is None:
        return None
    tensor, labels = loaded(data)
    half, new = split_of(data, labels, split)
    fit = some_of_each(half, labels, each, split)
    n_classes = len(np.unique(labels[half]))
    if len(fit) < each * n_classes:
        return {"note": "a class has fewer samples"}, []
    if method == RANK_GIVEN:
        one = Ours(rank=n_classes - 1)
    else:
        one = competitors(len(fit), tensor[0].size)[method]
    return score_split(tensor, labels, one, fit, new, split)


if __name__ == "__main__":
    main()
