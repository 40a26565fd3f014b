"""What the count keeps and what it cuts off, on samples that the fit has not seen.

    python benchmarks/cut.py digits:auto olivetti:auto planted:linear planted:mlp
    python benchmarks/cut.py digits:auto olivetti:auto --unseen
    python benchmarks/cut.py lfw:linear pines:linear --each 3

One half is fitted (with --unseen half of the classes), with all components kept, and the other half
is scored with as many components as were counted; and with one less, one more, and all of them,
as a difference from that on the same split: mean and standard deviation over splits. With --each so
many labelled samples of every class are fitted; then also with as many components as are
significant, and with as many as the class means span.
"""

import warnings

import numpy as np
import pandas
from _data import load
from _options import data_and_encoder, parser_of, positive
from held_out import some_of_each, split_samples

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import simulate_planted
from tensorly_norank.evaluation import evaluate_embedding

FIGURES = ("triplet_accuracy", "knn_accuracy", "recall_at_1", "verification_auc")


def load_split(name, seed, unseen, each=None):
    """Tensor, labels, and the two halves; of planted tensors a new one for every seed.

    Of the fitted half, so many samples of each class.
    """
    if name == "planted":
        bunch = simulate_planted(800, rank=1 + seed % 6, n_classes=8, random_state=seed)
        tensor, labels = bunch.tensor, bunch.labels
    elif (loaded := load(name)) is None:
        return None
    else:
        tensor, labels = loaded
    labels = np.asarray(labels)
    fit, new = split_samples(labels, seed, unseen)
    return tensor, labels, fit if each is None else some_of_each(fit, labels, each, seed), new


def scores(name, encoder, seed, unseen, each=None):
    """A row for each number of components; none where the data are not at hand."""
    loaded = load_split(name, seed, unseen, each)
    if loaded is None:
        return
    tensor, labels, fit, new = loaded
    most = min(64, tensor[0].size)
    result = no_rank_decomposition(
        tensor[fit], labels[fit], encoder=encoder, rank=most, random_state=seed
    )
    chosen = result.rank_evidence.chosen
    fitted, held_out = result.embedding, result.transform(tensor[new])
    known = {} if unseen else {"fit_labels": labels[fit]}
    ranks = {"count": chosen, "one less": chosen - 1, "one more": chosen + 1, "all": most}
    if each is not None:
        ranks["significant"] = max(result.rank_evidence.significant, 1)
        ranks["spanned"] = len(np.unique(labels[fit])) - 1
    for kept, rank in ranks.items():
        if 0 < rank <= most:
            if known:
                known["fit_embedding"] = fitted[:, :rank]
            figures = evaluate_embedding(held_out[:, :rank], labels[new], **known)
            row = {"components": rank} | {
                name: figures[name] for name in FIGURES if name in figures
            }
            if kept == "count":
                at_count = row
            else:
                row = {name: value - at_count[name] for name, value in row.items()}
            yield {"kept": kept} | row


def main():
    """Run and print."""
    parser = parser_of(__doc__)
    parser.add_argument("runs", nargs="+", type=data_and_encoder("planted"), metavar="DATA:ENCODER")
    parser.add_argument("--splits", type=positive, default=5, help="the first so many")
    parser.add_argument("--unseen", action="store_true")
    parser.add_argument("--each", type=positive, help="labelled samples of every class")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for data, encoder in options.runs:
        rows = [
            row
            for seed in range(options.splits)
            for row in scores(data, encoder, seed, options.unseen, options.each)
        ]
        if not rows:  # which has been said
            continue
        table = pandas.DataFrame(rows).groupby("kept", sort=False).agg(["mean", "std"]).round(3)
        with pandas.option_context("display.width", 200, "display.max_columns", 20):
            kind = "classes not fitted" if options.unseen else "held out"
            print(f"{data}:{encoder}, {kind}\n{table}")


if __name__ == "__main__":
    main()
