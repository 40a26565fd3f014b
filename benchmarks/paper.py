"""The paper's data sets and methods, on the same splits: one row for each method and split.

    python benchmarks/paper.py                     # ten splits of everything: two days of two cores
    python benchmarks/paper.py digits lfw --splits 3  # pieces; two can run side by side
    python benchmarks/paper.py --methods ours LDA NCA --limit 300

Rows are appended to results/paper.csv as they come, with their time and the versions used; what is
there already is not run again. Every method runs in a process that is stopped at its limit. What
fails, runs out of time or is killed for its memory becomes a row that says so in `note`.

Deep competitors, and variants of ours, run on the first five splits alone. "held out" fits a
stratified half and scores the other (figures of the fitted half in-sample beside it); "new classes"
fits half of the classes and scores the others. How the loss of deep methods fell is in
results/paper_curves.csv. With `--workers 1` what neighbouring methods have in common (DEC's
autoencoder, the network that is read in several ways) is trained once, else once in each process.
"""

from _competitors import DEEP, IN_SAMPLE_ONLY, OURS, SPREAD, competitors
from _options import add_options, not_negative, one_of, parser_of, quoted, table_of
from _runner import FIELDS, loaded, run_missing, score_split
from held_out import split_of

DATA = (
    "olivetti",
    "lfw",
    "digits",
    "pines",
    "serology",
    "abide",
    "galaxies",
    "galaxies, paper",
    "crystals",
    "crystals, paper",
)
WITH_NEW_CLASSES = ("olivetti", "lfw", "digits", "crystals")  # patches of the pines overlap
LONG = (*DEEP, *OURS[1:], SPREAD)  # deep competitors, and variants of ours
KINDS = ("held out", "new classes")
KEYS = ("data", "kind", "split", "method")


def main():
    """Run what is missing."""
    parser = parser_of(__doc__)
    known = competitors(100, 100)
    parser.add_argument("data", nargs="*", type=one_of(DATA), help=f"{quoted(DATA)}; none: all")
    add_options(parser, n_splits=10, name="paper")
    parser.add_argument(
        "--deep-splits", type=not_negative, default=5, help="of those that take long"
    )
    parser.add_argument(
        "--methods", nargs="+", type=one_of(known), help=f"{quoted(known)}; none: all"
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    options = parser.parse_args()
    rows = table_of(parser, options.name, (*KEYS, *FIELDS), len(KEYS))
    fields = (*KEYS, "tenth", "loss")
    curves = table_of(parser, f"{options.name}_curves", fields, len(KEYS) + 1)
    run_missing(rows, jobs(options), run, options, curves)


def jobs(options):
    """(data, kind, split, method); a split of everything before the next."""
    methods = options.methods or list(competitors(100, 100))
    for split in range(options.splits):
        for data in options.data or DATA:
            for kind in options.kinds:
                if kind == "new classes" and data not in WITH_NEW_CLASSES:
                    continue
                for method in methods:
                    too_many = method in LONG and split >= options.deep_splits
                    if not too_many and is_of_use(kind, method):
                        yield data, kind, split, method


def is_of_use(kind, method):
    """What embeds no new samples has no new classes; what is meant for these is for them alone."""
    return method not in IN_SAMPLE_ONLY if kind == "new classes" else method != SPREAD


def run(data, kind, split, method):
    """One method on one split."""
    if loaded(data) is None:
        return None
    tensor, labels = loaded(data)
    unseen = kind == "new classes"
    fit, new = split_of(data, labels, split, unseen)
    one = competitors(len(fit), tensor[0].size, unseen)[method]
    return score_split(tensor, labels, one, fit, new, split, unseen)


if __name__ == "__main__":
    main()
