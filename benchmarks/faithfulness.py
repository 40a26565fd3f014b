"""How much faithfulness is traded for meaning: curves over `locality` and over `diversity`.

    python benchmarks/faithfulness.py --data digits --encoder conv --splits 3
    python benchmarks/faithfulness.py --diversity 0 3 30 --locality 0
    python benchmarks/faithfulness.py --table

Fits half of the samples and scores the silhouette of the others; fits half of the classes and
scores the nearest neighbours of the others, all axes kept, beside those of the raw entries. Rows
are added to results/faithfulness.csv; `--table` prints means over the splits and draws
results/faithfulness.png.
"""

import warnings

import numpy as np
from _data import load
from _options import data_name, encoder_name, parser_of, positive
from _rows import RESULTS, Rows
from ablation import figures
from held_out import split_samples

from tensorly_norank.evaluation import evaluate_embedding

LOCALITY = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0)
DIVERSITY = (1.0, 10.0)
SHOWN = ("silhouette", "ari", "knn_balanced_accuracy", "trustworthiness")
OF_OTHERS = ("recall_at_1", "verification_auc")
FIELDS = ("data", "encoder", "diversity", "locality", "split", *SHOWN, *OF_OTHERS)


def raw_figures(tensor, labels, seed):
    """Of the raw entries of the classes that are not fitted."""
    _, test = split_samples(labels, seed, True)
    row = evaluate_embedding(tensor[test].reshape(len(test), -1), labels[test], random_state=seed)
    return [row[key] for key in OF_OTHERS]


def run(data, encoder, diversities, localities, n_splits):
    """Add what is missing to the results."""
    rows = Rows("faithfulness", FIELDS, 5)
    for name in data:
        loaded = load(name)
        if loaded is None:
            continue
        for seed in range(n_splits):
            if (name, "raw", "", "", seed) not in rows:
                rows.add(name, "raw", "", "", seed, *[""] * len(SHOWN), *raw_figures(*loaded, seed))
            for diversity in diversities:
                for locality in localities:
                    keys = (name, encoder, diversity, locality, seed)
                    if keys in rows:
                        continue
                    variant = {"diversity": diversity, "locality": locality}
                    seen, unseen = (
                        figures(*loaded, encoder, variant, seed, kind) for kind in (False, True)
                    )
                    values = [seen[key] for key in SHOWN] + [unseen[key] for key in OF_OTHERS]
                    rows.add(*keys, *(f"{value:.4f}" for value in values))
                    print(*keys, np.round(values, 3), flush=True)


def print_table():
    """Means over the splits, and the figure."""
    rows = Rows("faithfulness", FIELDS, 5).table()
    raw = rows[rows["encoder"] == "raw"].groupby("data")[list(OF_OTHERS)].mean()
    by = ["data", "encoder", "diversity", "locality"]
    table = rows[rows["encoder"] != "raw"].groupby(by)[[*SHOWN, *OF_OTHERS]].agg(["mean", "sem"])
    print(raw.round(3).to_string())
    print(table.round(3).to_string())
    draw(table, raw)


def draw(table, raw):
    """Silhouette of the classes fitted against nearest neighbours of the others."""
    from matplotlib import pyplot

    runs = list(dict.fromkeys(key[:2] for key in table.index))
    _, axes = pyplot.subplots(
        1, len(runs), figsize=(6 * len(runs), 4), layout="constrained", squeeze=False
    )
    for ax, (name, encoder) in zip(axes[0], runs, strict=True):
        points = table.loc[name, encoder]
        draw_curve(ax, points.xs(0.0, level="locality"), "diversity (locality 0)", "-o", 4)
        for marker, diversity in zip("sD", DIVERSITY, strict=True):
            curve = points.xs(diversity, level="diversity")
            draw_curve(ax, curve, f"locality (diversity {diversity:g})", f":{marker}", -12)
        ax.axvline(raw.loc[name, "recall_at_1"], color="0.5", linestyle="--", label="raw entries")
        ax.set(
            title=f"{name}, {encoder}",
            xlabel="recall@1 of classes never shown",
            ylabel="silhouette of the classes fitted",
        )
        ax.legend(title="numbers: values of")
    ax.figure.savefig(RESULTS / "faithfulness.png", dpi=110)


def draw_curve(ax, curve, label, style, offset):
    """Means with their standard errors; each point says what it belongs to."""
    x, y = curve["recall_at_1"], curve["silhouette"]
    line = ax.errorbar(
        x["mean"],
        y["mean"],
        y["sem"],
        x["sem"],
        fmt=style,
        label=label,
        elinewidth=0.5,
        markersize=4,
    )
    for value in curve.index:
        ax.annotate(
            f"{value:g}",
            (x["mean"][value], y["mean"][value]),
            (4, offset),
            textcoords="offset points",
            color=line[0].get_color(),
        )


def main():
    """Run, or print."""
    parser = parser_of(__doc__)
    parser.add_argument("--data", nargs="+", type=data_name, default=["digits"], help="data sets")
    parser.add_argument("--encoder", type=encoder_name, default="conv", help="encoder of ours")
    parser.add_argument("--diversity", nargs="+", type=float, default=DIVERSITY)
    parser.add_argument("--locality", nargs="+", type=float, default=LOCALITY)
    parser.add_argument("--splits", type=positive, default=5, help="the first so many")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.table:
        print_table()
    else:
        run(options.data, options.encoder, options.diversity, options.locality, options.splits)


if __name__ == "__main__":
    main()
